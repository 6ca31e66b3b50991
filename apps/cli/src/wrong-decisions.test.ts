// Decisions that must not be: out of order, by the wrong signers, too early,
// replayed, for another epoch, misspelt, without a key, without a service. Each
// refusal names its rule and the next step, and changes nothing.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { httpTransport, openNodeClient } from '@countersign/client/node';
import type { Signer } from '@countersign/core';
import { type NameBody, previousOf, type Register, signDecision } from '@countersign/decisions';
import { submissionText } from '@countersign/repository';
import { openKeyFile } from '@countersign/signers/file';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CliWorld, npmTarball, PASSPHRASE, startCliWorld } from '../test/cli-world.ts';
import { openDecisionList } from './decision-list.ts';

let world: CliWorld;
let ada: Signer;

async function did(person: string, line: string): Promise<string> {
  const { exit, out, err } = await world.as(person, ...line.split(' '));
  expect([line, exit, exit === 0 ? '' : err]).toEqual([line, 0, '']);
  return out + err;
}

/** Runs what must be refused: how it ends, and what a person reads; nothing is published by it. */
async function refused(person: string, line: string): Promise<{ readonly exit: number; readonly err: string }> {
  const before = await world.timestamp();
  const { exit, err } = await world.as(person, ...line.split(' '));
  expect([line, await world.timestamp()]).toEqual([line, before]);
  return { exit, err };
}

/** The list of decisions, as an auditor has it. */
async function register(): Promise<Register> {
  const config = { url: world.url, state: join(world.folder, 'auditor'), collection: 'main' };
  const clock = (): number => Date.parse('2030-01-01T00:00:00Z');
  const transport = httpTransport({ userAgent: 'test' });
  const client = await openNodeClient({ ...config, folder: config.state, anchor: world.anchor, clock, transport });
  await client.refresh();
  return (await openDecisionList(client, config, { clock })).register;
}

beforeAll(async () => {
  world = await startCliWorld();
  for (const person of ['ada', 'ben', 'eve']) {
    await did(person, `key create ${person}.pem`);
    await writeFile(join(world.folder, `${person}.json`), await did(person, `key show ${person}.pem`));
  }
  await world.file('report.txt', 'what the quorum was shown');
  await world.file('calm-1.0.0.tgz', npmTarball({ name: 'calm', version: '1.0.0' }));
  for (const name of ['calm', 'asked', 'stopped', 'moved']) await did('ada', `claim npm/${name} --key ada.pem`);
  await did('ada', 'retire npm/asked --key ada.pem');
  await did('ada', 'freeze npm/stopped --key ada.pem');
  ada = await openKeyFile(join(world.folder, 'ada.pem'), PASSPHRASE);
});
afterAll(() => world.close());

describe('a command that decides what must not be is refused, with the rule and the next step:', () => {
  it.each<readonly [what: string, person: string, line: string, exit: number, told: readonly string[]]>([
    ['a name that is taken', 'eve', 'claim npm/calm --key eve.pem', 8, ['NAME_TAKEN', 'Choose another name']],
    ['a name that is misspelt', 'ada', 'freeze npm/clam --key ada.pem', 4, ['NAME_UNCLAIMED', 'Check its spelling']],
    ['a name without its ecosystem', 'ada', 'freeze calm --key ada.pem', 8, ['NAME_INVALID', 'such as npm/left-pad']],
    ['by none of the owners', 'eve', 'freeze npm/calm --key eve.pem', 2, ["an owner's key: --key"]],
    ['a key that speaks for nothing', 'eve', 'revoke npm/calm --key eve.pem', 2, ["the stolen owner's key"]],
    ['a key file that is missing', 'ada', 'freeze npm/calm --key none.pem', 7, ['KEY_MISSING', 'key create']],
    ['an objection to nothing', 'ada', 'veto npm/calm --key ada.pem', 8, ['rule: waiting', 'Nothing is left to do']],
    ['the end of no stop', 'ada', 'lift npm/calm --key ada.pem', 8, ['rule: frozen', 'Publish: nothing stops it']],
    ['what a stop forbids', 'ada', 'abandon npm/stopped --key ada.pem', 8, ['rule: moving', 'Lift the freeze']],
    ['a second request', 'ada', 'retire npm/asked --key ada.pem', 8, ['rule: settled', 'or veto it']],
    ['what changes nothing', 'ada', 'keep npm/calm --key ada.pem', 8, ['rule: changes', 'Nothing is left to do']],
    ['nobody as owner', 'ada', 'owners npm/calm --remove ada.json --key ada.pem', 2, ['Hand it over with --only']],
    ['more keys than there are', 'ada', 'owners npm/calm --threshold 2 --key ada.pem', 2, ['a threshold from 1 to 1']],
    ['an owner who is none', 'ada', 'owners npm/calm --remove ben.json --key ada.pem', 2, ['Give four or more']],
    ['a public key that is none', 'ada', 'owners npm/calm --add report.txt --key ada.pem', 2, ['key show <key file>']],
    [
      'for the quorum by somebody else',
      'eve',
      'recover npm/calm --owner eve.json --reason lost --evidence report.txt --key eve.pem',
      7,
      ['KEY_MISSING', "a member's key: --key"],
    ],
    [
      'an adoption before its owners were written to',
      'quorum',
      'adopt npm/calm --owner ben.json --reason abandoned --evidence report.txt',
      8,
      ['rule: contacts', 'Write to the owners on three days'],
    ],
    ['a version that is not there', 'ada', 'yank npm/calm@9.9.9 --key ada.pem', 4, ['countersign ls npm/calm']],
    ['a signing event that is not there', 'ada', 'sign nothing --key ada.pem', 4, ['NOT_FOUND', '`countersign sign`']],
  ])('%s', async (_, person, line, exit, told) => {
    const answer = await refused(person, line);
    expect([answer.exit, answer.err]).toEqual([exit, expect.stringContaining('  Next: ')]);
    const next = answer.err.slice(answer.err.indexOf('  Next: '));
    for (const text of told) expect(answer.err).toContain(text);
    expect(next).toContain(told.at(-1));
    expect(answer.err).not.toMatch(/^ {2}next: |`next`/m);
  });
});

describe('a statement is refused at the door, with the rule and the next step:', () => {
  /** A statement about a name as it stands now, or otherwise. */
  const statement = async (
    name: string,
    body: NameBody,
    over: object = {},
    by: readonly Signer[] = [ada],
  ): Promise<string> => {
    const record = (await register()).record('npm', name);
    const previous = previousOf(record, body.decision, 'owners');
    const decision = { collection: 'main', ecosystem: 'npm', name, epoch: record?.epoch ?? 1, previous, ...body };
    return await signDecision({ ...decision, ...over }, by);
  };
  const send = async (text: string): Promise<unknown> => {
    const before = await world.timestamp();
    const headers = { authorization: `Bearer ${world.token}`, 'content-type': 'application/json' };
    const body = submissionText({ decisions: [text] });
    const answer = await fetch(`${world.api}/submissions`, { method: 'POST', headers, body });
    expect(await world.timestamp()).toBe(before);
    return await answer.json();
  };
  const refusal = (code: string, rule: string, next: string): object => {
    return { code, next: expect.stringContaining(next), detail: expect.objectContaining({ rule }) };
  };

  it('too early', async () => {
    const early = await statement('asked', { decision: 'complete' }, {}, []);
    expect(await send(early)).toMatchObject(refusal('DECISION_EARLY', 'due', 'when its time has come'));
  });
  it('replayed, once what it followed is over', async () => {
    const stop = await statement('moved', { decision: 'freeze', reason: 'panic' });
    const other = await statement('moved', { decision: 'freeze', reason: 'dispute' });
    await did('ada', 'freeze npm/moved --key ada.pem');
    await did('ada', 'lift npm/moved --key ada.pem');
    expect(await send(other)).toMatchObject(refusal('DECISION_STALE', 'previous', 'Read how the name stands now'));
    // Word for word what was listed already: its answer again, and the name goes on.
    expect(await send(stop)).toMatchObject({ submission: 'unchanged' });
    expect((await register()).record('npm', 'moved')?.frozen).toBeUndefined();
  });
  it('of another epoch', async () => {
    const old = await statement('calm', { decision: 'freeze', reason: 'panic' }, { epoch: 2 });
    expect(await send(old)).toMatchObject(refusal('DECISION_STALE', 'epoch', 'Read how the name stands now'));
  });
  it('of another collection', async () => {
    const other = await statement('calm', { decision: 'freeze', reason: 'panic' }, { collection: 'other' });
    expect(await send(other)).toMatchObject(refusal('SUBMISSION_INVALID', 'collection', 'Sign it for the collection'));
  });
  it('signed by somebody else, or by somebody else as well', async () => {
    const eve = await openKeyFile(join(world.folder, 'eve.pem'), PASSPHRASE);
    const body = { decision: 'freeze', reason: 'panic' } as const;
    expect(await send(await statement('calm', body, {}, [eve]))).toMatchObject({ code: 'SUBMISSION_UNSIGNED' });
    const both = await statement('calm', body, {}, [ada, eve]);
    expect(await send(both)).toMatchObject(refusal('SUBMISSION_UNSIGNED', 'strays', 'without the other signatures'));
  });
});

it('an event whose role has moved on since is not signed any more', async () => {
  const opened = await did('ada', 'owners npm/calm --add ben.json --key ada.pem');
  const [, event = ''] = /Signing event (\S+) waits/.exec(opened) ?? [];
  expect(opened.match(/npm\.1\.calm: /g)).toHaveLength(1);
  await did('ada', 'publish calm-1.0.0.tgz --key ada.pem');
  const { exit, err } = await refused('ben', `sign ${event} --key ben.pem --yes`);
  expect([exit, err]).toEqual([8, expect.stringContaining('SUBMISSION_STALE')]);
  expect(err).toContain('Next: Ask whoever opened it to begin again');
});

it('every decision is told in one line, with whom it names', async () => {
  const [first = ''] = (await did('ada', 'history npm/calm')).split('\n');
  expect(first).toMatch(new RegExp(`npm/calm: claimed by 1 of ${ada.keyId.slice(0, 12)}…$`));
});

it('without a service it says so, and how to start one', async () => {
  await world.stop();
  const { exit, err } = await world.as('ada', 'freeze', 'npm/calm', '--key', 'ada.pem');
  expect([exit, err]).toEqual([5, expect.stringContaining('Is the service running?')]);
});
