// Projects that several people own: every release and every change of owners
// that one of them begins waits for the others, who see it in words first.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { days } from '@countersign/core';
import { RECEIPT_TYPE } from '@countersign/repository';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type CliWorld, npmTarball, startCliWorld } from '../test/cli-world.ts';

let world: CliWorld;
beforeAll(async () => {
  world = await startCliWorld();
  for (const person of ['ada', 'ben', 'cyd']) {
    await world.json(person, 'key', 'create');
    await writeFile(join(world.folder, `${person}.json`), (await world.as(person, 'key', 'show')).out);
  }
  await world.json('ada', 'claim', 'npm/team');
});
afterAll(() => world.close());

const eventIn = (text: string): string => /Signing event (\S+) waits/.exec(text)?.[1] ?? '';

it('an invitation waits for the invited, who sees what it is and accepts', async () => {
  const { out } = await world.as('ada', 'owners', 'npm/team', '--add', 'ben.json', '--threshold', '2');
  const id = eventIn(out);
  expect(out).toContain('decision 1: 0 of 1 have signed; missing:');
  const listed = await world.as('ben', 'sign');
  expect(listed.out).toContain(`${id}  npm/team: its owners change`);
  // Nobody is asked without a terminal, and nothing is signed unseen.
  const unasked = await world.as('ben', 'sign', id);
  expect([unasked.exit, unasked.err.includes('must sign: 1 → 2 of 2')]).toEqual([2, true]);
  expect((await world.as('cyd', 'sign', id, '--yes')).err).toContain('nothing in it waits for your key');
  expect(await world.json('ben', 'sign', id, '--yes')).toMatchObject({ complete: true });
  expect(await world.json('ben', 'sign')).toEqual({ events: [] });
  // One key asked for it alone, so it waits for a week.
  expect(await world.json('ada', 'owners', 'npm/team')).toMatchObject({ threshold: 1 });
  for (let day = 0; day < 7; day++) {
    world.move(days(1));
    await world.renew();
  }
  expect(await world.json('ada', 'owners', 'npm/team')).toMatchObject({ threshold: 2, state: 'recent' });
});

it('a release of two owners waits for the second', async () => {
  const tarball = await world.file('team-1.0.0.tgz', npmTarball({ name: 'team', version: '1.0.0' }));
  const { exit, err } = await world.as('ada', 'publish', tarball);
  expect([exit, err.includes('1 of 2 have signed')]).toEqual([0, true]);
  expect((await world.as('cyd', 'fetch', 'npm/team@1.0.0')).exit).toBe(4);
  const id = eventIn(err);
  const signed = await world.as('ben', 'sign', id, '--yes');
  expect(signed.err).toMatch(/\+ {2}team-1\.0\.0\.tgz/);
  expect(signed.out).toContain('Nobody is missing any more: it is in publication');
  expect((await world.as('cyd', 'fetch', 'npm/team@1.0.0')).exit).toBe(0);
});

it('a release key publishes alone, and is removed at once; what it published stays', async () => {
  await world.json('ada', 'claim', 'npm/solo');
  await world.json('ada', 'key', 'create', 'ci.pem');
  await writeFile(join(world.folder, 'ci.json'), (await world.as('ada', 'key', 'show', 'ci.pem')).out);
  const added = await world.json(
    'ada',
    'release-key',
    'add',
    'npm/solo',
    'ci.json',
    '--label',
    'ci',
    '--with',
    'ci.pem',
  );
  expect(added).toMatchObject({ role: 'npm.1.solo.r.ci', event: null });
  const tarball = await world.file('solo-1.0.0.tgz', npmTarball({ name: 'solo', version: '1.0.0' }));
  expect(await world.json('ada', 'publish', tarball, '--key', 'ci.pem')).toMatchObject({
    files: [{ published: true }],
  });
  const fetched = await world.json('cyd', 'fetch', 'npm/solo@1.0.0');
  expect(fetched['trail']).toEqual(['targets', expect.stringMatching(/^recent/), 'npm.1.solo', 'npm.1.solo.r.ci']);
  const key = JSON.parse((await world.as('ada', 'key', 'show', 'ci.pem')).out).keyid.slice(0, 8);
  await world.json('ada', 'release-key', 'remove', 'npm/solo', key, '--label', 'ci');
  const next = await world.file('solo-1.1.0.tgz', npmTarball({ name: 'solo', version: '1.1.0' }));
  expect((await world.as('ada', 'publish', next, '--key', 'ci.pem')).err).toContain('SUBMISSION_UNSIGNED');
  expect((await world.json('cyd', 'fetch', 'npm/solo@1.0.0'))['trail']).toHaveLength(3);
});

it('a frozen project admits nothing, and says so', async () => {
  const { receipt } = await world.json('ada', 'freeze', 'npm/solo');
  // The repository's signed word that it has the decision is checked, and kept.
  expect(JSON.parse(await readFile(String(receipt), 'utf8'))).toMatchObject({ payloadType: RECEIPT_TYPE });
  const next = join(world.folder, 'solo-1.1.0.tgz');
  expect((await world.as('ada', 'publish', next)).err).toContain('NAME_FROZEN');
  await world.json('ada', 'lift', 'npm/solo');
  expect((await world.as('ada', 'publish', next)).exit).toBe(0);
});

it('a decision by the wrong key, out of order or too early is refused with the rule', async () => {
  expect((await world.as('cyd', 'freeze', 'npm/solo')).err).toContain("none of your keys is an owner's");
  expect((await world.as('ada', 'veto', 'npm/solo')).err).toMatch(/waiting|Nothing is left to do/);
  expect((await world.as('ada', 'lift', 'npm/solo')).err).toContain('the name is frozen');
});
