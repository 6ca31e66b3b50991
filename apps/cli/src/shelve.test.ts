// Names under the offline key, by command: the operator's page of it, and what
// everybody else is told meanwhile.

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Client } from '@countersign/client';
import { httpTransport, openNodeClient, sha256 } from '@countersign/client/node';
import {
  days,
  editTargets,
  projectDirectory,
  readTargets,
  signFile,
  type TargetFile,
  utf8Text,
} from '@countersign/core';
import type { Register } from '@countersign/decisions';
import { projectOf } from '@countersign/ecosystems';
import { draftShelving, type ShelvingBase, shelfHolding, unclaimedFor } from '@countersign/repository';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CliWorld, startCliWorld } from '../test/cli-world.ts';
import { openDecisionList } from './decision-list.ts';
import { auditShelves, shelvesToAudit } from './shelf-audit.ts';
import { shelvingBase } from './shelves.ts';

let world: CliWorld;
let now = Date.parse('2030-01-01T00:00:00Z');
const directory = (name: string): string => projectDirectory(projectOf(name), sha256);

beforeAll(async () => {
  world = await startCliWorld();
  for (const name of ['files/old', 'files/older']) await put(name, 'a.txt', 'one');
  move(200);
  await world.renew();
  await put('files/lively', 'a.txt', 'one');
  await world.json('ada', 'key', 'create');
});
afterAll(() => world.close());

function move(by: number): void {
  now += days(by);
  world.move(days(by));
}

/** Uploads a file for a name that nobody has claimed, as a registry's own upload does. */
async function put(name: string, file: string, content: string): Promise<{ status: number; body: string }> {
  const digest = createHash('sha256').update(content).digest('hex');
  const headers = { authorization: `Bearer ${world.token}` };
  const type = { 'content-type': 'application/octet-stream' };
  await fetch(`${world.api}/blobs/${digest}`, { method: 'PUT', headers: { ...headers, ...type }, body: content });
  return await send({ files: [{ path: `${directory(name)}/${file}`, sha256: digest }] });
}

async function send(submission: object, path = 'submissions'): Promise<{ status: number; body: string }> {
  const headers = { authorization: `Bearer ${world.token}`, 'content-type': 'application/json' };
  const answer = await fetch(`${world.api}/${path}`, { method: 'POST', headers, body: JSON.stringify(submission) });
  return { status: answer.status, body: await answer.text() };
}

it('shows what has been idle for so long, and signs nothing with --dry-run', async () => {
  const before = await world.timestamp();
  expect(await world.json('quorum', 'shelve', '--idle-days', '100', '--dry-run')).toMatchObject({
    shelved: ['files/old', 'files/older'],
    publication: null,
  });
  expect(await world.json('quorum', 'shelve')).toMatchObject({ shelved: [], publication: null });
  expect(await world.timestamp()).toBe(before);
  expect((await world.as('quorum', 'shelve', '--idle-days', 'x')).exit).toBe(2);
});

it('takes it all under the offline key in one act; clients find the files as before', async () => {
  const { out } = await world.as('quorum', 'shelve', '--idle-days', '100');
  expect(out).toContain('2 names go on the shelf of the quorum, 0 come off it, in publication');
  const fetched = await world.json('cyd', 'fetch', 'files/old');
  expect(fetched).toMatchObject({ assurance: 'shelved' });
  expect(fetched['trail']).toEqual([
    'targets',
    expect.stringMatching(/^shelf-.$/),
    expect.stringMatching(/^shelf-.-files$/),
  ]);
  expect(await world.json('cyd', 'exposure')).toMatchObject({
    shelved: expect.arrayContaining(['files/old', 'files/older']),
  });
  expect(await world.json('cyd', 'audit')).toMatchObject({
    shelves: expect.arrayContaining([
      { role: expect.stringMatching(/^shelf-.$/), version: 1, names: 1, files: 1, former: false },
    ]),
  });
  expect((await world.json('quorum', 'expiry', '--days', '400'))['roles']).toContainEqual(
    expect.objectContaining({ role: expect.stringMatching(/^shelf-.$/), keeper: 'quorum' }),
  );
});

it('refuses files and claims meanwhile, with the rule and the next step', async () => {
  const { status, body } = await put('files/old', 'b.txt', 'two');
  expect([status, JSON.parse(body)]).toEqual([
    409,
    expect.objectContaining({ code: 'NAME_SHELVED', detail: expect.objectContaining({ rule: 'shelf' }) }),
  ]);
  const claim = await world.as('ada', 'claim', 'files/old');
  expect([claim.exit, claim.err.includes('countersign unshelve')]).toEqual([8, true]);
  expect((await world.as('ada', 'unshelve', 'files/old')).err).toContain('KEY_MISSING');
  expect((await world.as('quorum', 'unshelve', 'files/lively')).err).toContain('it is on none');
});

it('gives a name back to its author, who claims it', async () => {
  expect(await world.json('quorum', 'unshelve', 'files/old')).toMatchObject({ unshelved: ['files/old'], event: null });
  await world.json('ada', 'claim', 'files/old');
  expect((await world.as('quorum', 'shelve', 'files/old')).err).toContain('NAME_TAKEN');
  expect(await world.json('cyd', 'exposure')).toMatchObject({ shelved: ['files/older'], recent: ['files/old'] });
});

it('shows a member of the quorum in words what a signing event shelves, from their own client', async () => {
  const { roles } = await drafted('files/lively');
  const event = await send({ title: 'shelf', submission: { roles, decisions: [] } }, 'signing-events');
  const { id } = JSON.parse(event.body) as { id: string };
  expect((await world.as('ada', 'sign', id, '--yes')).err).toContain('nothing in it waits for your key');
  const { exit, out, err } = await world.as('quorum', 'sign', id, '--quorum', '--yes');
  expect([exit, err]).toEqual([0, expect.stringMatching(/\+ {2}files\/lively {2}1 file\n/)]);
  expect(out).toContain('Nobody is missing any more');
  expect(await world.json('cyd', 'fetch', 'files/lively')).toMatchObject({ assurance: 'shelved' });
  await world.json('quorum', 'unshelve', 'files/lively');
});

it('a file slipped into such an event is not signed: it is not what one’s own client finds', async () => {
  const { roles } = await drafted('files/lively', (text) => text.replaceAll('/a.txt"', '/evil.txt"'));
  const event = await send({ title: 'shelf', submission: { roles, decisions: [] } }, 'signing-events');
  const { id } = JSON.parse(event.body) as { id: string };
  const { exit, err } = await world.as('quorum', 'sign', id, '--quorum', '--yes');
  expect([exit, err.includes('SUBMISSION_FOREIGN')]).toEqual([8, true]);
});

async function clientIn(folder: string): Promise<Client> {
  const transport = httpTransport({ userAgent: 'test' });
  const client = await openNodeClient({ url: world.url, folder, anchor: world.anchor, clock: () => now, transport });
  await client.refresh();
  return client;
}

/** What the quorum would sign to shelve a name, unsigned. */
async function drafted(
  name: string,
  change: (text: string) => string = (same) => same,
): Promise<{ readonly roles: readonly { readonly role: string; readonly file: string }[] }> {
  const client = await clientIn(join(world.folder, 'eve'));
  const wish = { take: [directory(name)], release: [], renew: [] };
  const base = await shelvingBase(client, wish);
  const roles: { role: string; file: string }[] = [];
  for (const [role, draft] of draftShelving(base, { ...wish, expires: now + days(365) })) {
    const text = utf8Text(await signFile(draft, [])) ?? '';
    roles.push({ role, file: role.endsWith('-files') ? change(text) : text });
  }
  return { roles };
}

describe('an auditor refuses shelves of a quorum', () => {
  let base: ShelvingBase;
  let register: Register;
  beforeAll(async () => {
    const config = { url: world.url, state: join(world.folder, 'auditor'), collection: 'main' };
    const client = await clientIn(config.state);
    register = (await openDecisionList(client, config, { clock: () => now })).register;
    base = await shelvesToAudit(client);
    expect(auditShelves(base, register)).toContainEqual(expect.objectContaining({ names: 1, files: 1 }));
  });
  const older = (): { shelf: string; at: string } => ({
    at: directory('files/older'),
    shelf: shelfHolding(base, directory('files/older')) ?? '',
  });
  /** The same collection with other content in one role. */
  const listing = (role: string, set: readonly TargetFile[]): ShelvingBase => {
    const content = readTargets(editTargets(base.contentOf(role), { expires: now, set }), role);
    return { ...base, contentOf: (name) => (name === role ? content : base.contentOf(name)) };
  };
  const file = (path: string): TargetFile => {
    const [any] = base.contentOf(`${older().shelf}-files`)?.targets.values() ?? [];
    if (any === undefined) throw new Error('no file');
    return { ...any, path };
  };

  it('who shelve a name that has owners', () => {
    const claimed = Object.assign(Object.create(register), { record: () => ({}) });
    expect(() => auditShelves(base, claimed)).toThrow(/files\/older has owners/);
  });
  it('whose keys are none of the quorum’s, now or before', () => {
    const nobody = Object.assign(Object.create(register), { rules: { ...register.rules, quorum: () => undefined } });
    expect(() => auditShelves(base, nobody)).toThrow(/other keys than the quorum/);
  });
  it('who list a file of a name that is on no shelf', () => {
    const set = [file(`${directory('files/lively')}/a.txt`)];
    expect(() => auditShelves(listing(`${older().shelf}-files`, set), register)).toThrow(/something else/);
  });
  it('whose online keys list a shelved name as well', () => {
    const shard = unclaimedFor(base.targets, older().at);
    expect(() => auditShelves(listing(shard, [file(`${older().at}/b.txt`)]), register)).toThrow(
      /files\/older is on shelf/,
    );
  });
});

it('with --renew takes nothing new, and signs nothing before half of a life is over', async () => {
  expect(await world.json('quorum', 'shelve', '--renew')).toMatchObject({ shelved: [], publication: null });
});
