import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { days } from '@countersign/core';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type CliWorld, npmTarball, startCliWorld } from '../test/cli-world.ts';

let world: CliWorld;
beforeEach(async () => {
  world = await startCliWorld();
  await world.file('a-1.0.0.tgz', npmTarball({ name: 'a', version: '1.0.0' }));
  await world.file('b-1.0.0.tgz', npmTarball({ name: 'b', version: '1.0.0' }));
  for (const args of [
    ['claim', 'npm/a'],
    ['publish', 'a-1.0.0.tgz'],
  ])
    await ok('ada', ...args);
  await ok('quorum', 'promote');
});
afterEach(() => world.close());

async function ok(person: string, ...args: readonly string[]): Promise<string> {
  const { exit, out, err } = await world.as(person, ...args);
  expect([args.join(' '), exit, exit === 0 ? '' : err]).toEqual([args.join(' '), 0, '']);
  return out + err;
}

async function failure(person: string, ...args: readonly string[]): Promise<string> {
  const { exit, err } = await world.as(person, ...args);
  expect(exit).not.toBe(0);
  return err;
}

/** Somebody's public key file. */
async function member(person: string): Promise<string> {
  await ok(person, 'key', 'create');
  const file = join(world.folder, `${person}.json`);
  await writeFile(file, (await world.as(person, 'key', 'show')).out);
  return `${person}.json`;
}

it('shows who holds which key', async () => {
  const text = await ok('auditor', 'root');
  expect(text).toMatch(/^Root 1 of main:/);
  expect(text).toMatch(/root +the offline quorum +1 of 1/);
  expect(text).toMatch(/timestamp +the service +1 of 1/);
  const { roles } = await world.json('auditor', 'root');
  expect(roles).toHaveLength(8);
});

it('renews what the quorum keeps, also after it has expired', async () => {
  world.move(days(200));
  await world.renew();
  expect(await ok('quorum', 'root', 'renew')).toMatch(/root: version 1 → 2, until 2031-07-20/);
  world.move(days(364));
  await world.renew();
  world.move(days(30));
  await world.renew();
  expect(await failure('reader', 'fetch', 'npm/a@1.0.0')).toContain('EXPIRED');
  expect(await ok('quorum', 'root', 'renew')).toContain('expired at 2031-07-20');
  await world.renew();
  await ok('reader', 'fetch', 'npm/a@1.0.0');
  await ok('auditor', 'audit');
});

it('1 of 1 becomes 2 of 3, who sign in an event and replace each other later', async () => {
  const [ben, cyd, dan] = [await member('ben'), await member('cyd'), await member('dan')];
  const text = await ok('quorum', 'root', 'rotate', '--add', ben, cyd, '--threshold', '2');
  expect(text).toMatch(/root +1 of 1 → 2 of 3 +\+ /);
  const event = /Signing event (\S+) waits/.exec(text)?.[1] ?? '';
  expect(await ok('ben', 'sign', event, '--yes')).toContain('Nobody is missing');
  await ok('reader', 'fetch', 'npm/a@1.0.0');
  // One of them is not enough any more.
  await ok('ada', 'claim', 'npm/b');
  const session = /Signing event (\S+) waits/.exec(await ok('quorum', 'promote'))?.[1] ?? '';
  expect(await failure('ada', 'sign', session, '--yes')).toContain('nothing in it waits for your key');
  await ok('cyd', 'sign', session, '--yes');
  expect(await world.json('auditor', 'owners', 'npm/b')).toMatchObject({ state: 'claimed' });
  // Cyd leaves, Dan comes.
  expect(await failure('quorum', 'root', 'rotate')).toContain('say what changes');
  expect(await failure('quorum', 'root', 'rotate', '--remove', dan)).toContain('0 keys of the quorum');
  const change = await ok(
    'ben',
    'root',
    'rotate',
    '--remove',
    cyd,
    '--add',
    dan,
    '--key',
    join(world.folder, 'ben/author/key.pem'),
  );
  await ok('quorum', 'sign', /Signing event (\S+) waits/.exec(change)?.[1] ?? '', '--quorum', '--yes');
  const { roles } = await world.json('auditor', 'root');
  expect(JSON.stringify(roles)).toContain('"threshold":2');
  expect(await failure('cyd', 'root', 'renew', '--key', join(world.folder, 'cyd/author/key.pem'))).toContain(
    'KEY_MISSING',
  );
  await ok('auditor', 'audit');
  await ok('reader', 'fetch', 'npm/a@1.0.0');
});

it('replaces each online key while the service runs, and all at once', async () => {
  for (const kind of ['timestamp', 'snapshot', 'recent', 'unclaimed', 'decisions']) {
    expect(await ok('quorum', 'online-key', 'rotate', kind)).toMatch(new RegExp(`Made a ${kind} key`));
    await ok('reader', 'fetch', 'npm/a@1.0.0');
  }
  await ok('quorum', 'online-key', 'rotate', 'all');
  await ok('ada', 'claim', 'npm/b');
  await ok('ada', 'publish', 'b-1.0.0.tgz');
  await ok('reader', 'fetch', 'npm/b@1.0.0');
  await ok('auditor', 'audit');
  expect(await failure('quorum', 'online-key', 'rotate', 'bins')).toContain('there is no bins key');
});

it("takes a key that was made on the service's machine for a quorum elsewhere", async () => {
  const { out } = await world.as('quorum', 'online-key', 'create', 'snapshot');
  await world.file('snapshot.json', out);
  expect(await ok('quorum', 'online-key', 'rotate', 'snapshot', '--to', 'snapshot.json')).toMatch(/snapshot +\S+ → /);
  // One that nobody holds there would be the end.
  const stranger = await member('stranger');
  expect(await failure('quorum', 'online-key', 'rotate', 'snapshot', '--to', stranger)).toContain('does not hold');
  expect(await failure('ada', 'online-key', 'rotate', 'snapshot')).toContain('not on this machine');
  await ok('reader', 'fetch', 'npm/a@1.0.0');
});

it('a member sees what would change, and signs no shard that says something else', async () => {
  const ben = await member('ben');
  const text = await ok('quorum', 'root', 'rotate', '--add', ben, '--threshold', '2');
  const event = /Signing event (\S+) waits/.exec(text)?.[1] ?? '';
  const { err } = await world.as('ben', 'sign', event);
  expect(err).toMatch(/root: version 1 → 2/);
  expect(err).toMatch(/claimed shards: every name as it was decided/);
  // Whoever opens an event, and whatever the service shows: a shard follows from the decisions.
  const headers = { authorization: `Bearer ${world.token}`, 'content-type': 'application/json' };
  const opened = (await (await fetch(`${world.api}/signing-events/${event}`, { headers })).json()) as {
    submission: { roles: { role: string; file: string }[] };
  };
  const roles = opened.submission.roles.map(({ role, file }) => ({
    role,
    file: role.startsWith('claimed') ? file.replace('"terminating":true', '"terminating":false') : file,
  }));
  const body = JSON.stringify({ title: 'a harmless renewal', submission: { roles, decisions: [] } });
  const forged = await fetch(`${world.api}/signing-events`, { method: 'POST', headers, body });
  const { id } = (await forged.json()) as { id: string };
  expect(await failure('ben', 'sign', id, '--yes')).toContain('does not say what was decided');
});
