// What a review of the trunk found, one test a finding.
// None of these may ever come back.

import { beforeEach, describe, expect, test } from 'vitest';
import { objectOf, plainOf } from '../src/canonical.ts';
import { driveSync } from '../src/drive.ts';
import { editSnapshot, editTargets, signFile } from '../src/edit.ts';
import { openEnvelope } from '../src/envelope.ts';
import { find, list } from '../src/find.ts';
import { readDocument } from '../src/json.ts';
import { readSnapshot, readTargets } from '../src/model.ts';
import { refresh, start } from '../src/refresh.ts';
import {
  codeOf,
  delegation,
  emptyWorld,
  fileBytes,
  HOLDERS,
  keysOf,
  NOW,
  publish,
  rootJson,
  signer,
  snapshotJson,
  targetOf,
  targetsJson,
  type World,
} from './world.ts';

const ANCHOR = fileBytes(rootJson(1), HOLDERS.root);
const [x, y, thief] = [signer('x'), signer('y'), signer('thief')];
const file = targetOf;
let world: World;
beforeEach(() => {
  world = emptyWorld();
});
const open = () => driveSync(start(ANCHOR), world.ports);
const update = (s: ReturnType<typeof open>) => driveSync(refresh(s, NOW), world.ports);
const kept = (n: string) => {
  const b = world.disk.get(`${n}.json`);
  return b && JSON.parse(Buffer.from(b).toString()).signed.version;
};

describe('G1 edit: what an edit takes away stays away', () => {
  const before = readSnapshot(
    objectOf(
      snapshotJson(1, { 'targets.json': { version: 1, length: 5, hashes: { sha256: 'ab'.repeat(32) }, 'x-new': 1 } }),
    ),
  );
  test('length and hashes of a snapshot entry', () => {
    const meta = before.meta.get('targets');
    if (meta === undefined) return expect.unreachable();
    const set = new Map([['targets', { ...meta, version: 2, length: undefined, hashes: undefined }]]);
    expect(plainOf(editSnapshot(before, { expires: NOW, set }).get('meta') ?? null)).toEqual({
      'targets.json': { version: 2, 'x-new': 1 },
    });
  });
  test('custom of a target', () => {
    const t = readTargets(objectOf(targetsJson(1, { a: file('a', { old: 1 }) })), 'x');
    const a = t.targets.get('a');
    if (a === undefined) return expect.unreachable();
    const next = readTargets(editTargets(t, { expires: NOW, set: [{ ...a, custom: undefined }] }), 'x');
    expect(next.targets.get('a')?.custom).toBeUndefined();
  });
  test('paths of a delegation that becomes a bin', () => {
    const t = readTargets(
      objectOf(targetsJson(1, {}, { delegations: { keys: keysOf([x]), roles: [delegation('r', [x], ['a'])] } })),
      'x',
    );
    const d = t.delegations;
    if (d === undefined) return expect.unreachable();
    const roles = d.roles.map((r) => ({ ...r, paths: { by: 'hash-prefix' as const, prefixes: ['00'] } }));
    expect(
      codeOf(() => readTargets(editTargets(t, { expires: NOW, delegations: { ...d, roles } }), 'x')),
    ).toBeUndefined();
  });
});

test('G2 metadata that expired before 1970 is EXPIRED', () => {
  publish(world, { timestampMore: { expires: '1969-12-31T23:59:59Z' } });
  expect(codeOf(() => update(open()))).toBe('EXPIRED');
});

test('G3 a name_prefix too long for a file', () => {
  const succinct_roles = { keyids: [], threshold: 1, bit_length: 8, name_prefix: 'a'.repeat(300) };
  expect(
    codeOf(() => readTargets(objectOf(targetsJson(1, {}, { delegations: { keys: {}, succinct_roles } })), 'x')),
  ).toBe('FORMAT_INVALID');
});

test('G5 a role given a part of a directory neither ends the listing of the rest, nor makes owners of it', () => {
  const to = (...roles: object[]) => ({ delegations: { keys: keysOf([x, y, thief]), roles } }) as never;
  publish(world, {
    targets: {
      by: HOLDERS.targets,
      json: targetsJson(1, {}, to(delegation('part', [x], ['d/b']), delegation('rest', [y], ['d/*']))),
    },
    roles: {
      part: { by: [x], json: targetsJson(1, {}, to(delegation('thief', [thief], ['d/*'], { terminating: true }))) },
      thief: { by: [thief], json: targetsJson(1, { 'd/a': file('evil'), 'd/b': file('b') }) },
      rest: { by: [y], json: targetsJson(1, { 'd/a': file('a') }) },
    },
  });
  const state = update(open());
  expect(driveSync(find(state, 'd/a', NOW), world.ports)?.trail).toEqual(['targets', 'rest']);
  const listing = driveSync(list(state, 'd', NOW), world.ports);
  expect([...listing.found].map(([p, { trail }]) => `${p}: ${trail.join(' > ')}`).sort()).toEqual([
    'd/a: targets > rest',
    'd/b: targets > part > thief',
  ]);
  expect(listing.owners.map(({ role }) => role)).toEqual(['rest']);
});

test.each(['timestamp', 'snapshot'])(
  'G6 another process that overtakes this one while it fetches %s: nothing kept goes back',
  (role) => {
    publish(world);
    const { source } = world.ports;
    let overtaken = false;
    const fetch: typeof source.fetch = (effect) => {
      const old = source.fetch(effect);
      if (effect.role !== role || overtaken) return old;
      overtaken = true;
      publish(world, { version: 2, targets: { json: targetsJson(2), by: HOLDERS.targets } });
      update(open());
      return old;
    };
    const mine = driveSync(refresh(open(), NOW), { ...world.ports, source: { fetch } });
    expect(mine.targets.content.version).toBe(2);
    expect(['timestamp', 'snapshot', 'targets'].map(kept)).toEqual([2, 2, 2]);
  },
);

test('G11 signFile with one signer twice makes no file that every reader refuses', async () => {
  const made = await signFile(objectOf(rootJson(1)), [signer('root'), signer('root')]).then(
    (bytes) => codeOf(() => openEnvelope(bytes, 'root')),
    (error: { code: string }) => error.code,
  );
  expect([undefined, 'USAGE_INVALID']).toContain(made);
});

test('many patterns with several wildcards, which alone cost more than their length, are refused', () => {
  const roles = (count: number) =>
    Array.from({ length: count }, (_, i) => delegation(`r${i}`, [x], [`d/*a*${i}`, 'd/*', '*/*']));
  const read = (count: number) =>
    codeOf(() =>
      readTargets(objectOf(targetsJson(1, {}, { delegations: { keys: keysOf([x]), roles: roles(count) } })), 'x'),
    );
  expect(read(64)).toBeUndefined();
  expect(read(65)).toBe('FORMAT_INVALID');
});

test('a file of more objects than memory should be asked for is refused', () => {
  const bytes = Buffer.from('{"a":[{"b":0},{},{"c":0}]}');
  expect(codeOf(() => readDocument(bytes, 3))).toBeUndefined();
  expect(codeOf(() => readDocument(bytes, 2))).toBe('JSON_INVALID');
});

test.each(['timestamp', 'targets'])(
  'a fault of the cryptography while a kept %s is read is not taken for a bad file',
  (role) => {
    publish(world);
    update(open());
    const again = open();
    const bytes = world.disk.get(`${role}.json`) ?? new Uint8Array();
    const { message } = openEnvelope(bytes, role);
    const { crypto } = world.ports;
    const broken = {
      ...crypto,
      check: (effect: Parameters<typeof crypto.check>[0]) => {
        // The timestamp comes from the mirror first: only what was kept is meant.
        if (Buffer.from(effect.message).equals(message) && (role === 'targets' || seen++ > 0))
          throw new Error('the device is gone');
        return crypto.check(effect);
      },
    };
    let seen = 0;
    expect(() => driveSync(refresh(again, NOW), { ...world.ports, crypto: broken })).toThrow('the device is gone');
  },
);

test('a folder that was put back to an older state does not lower what this process trusts', () => {
  publish(world);
  const first = world.disk.get('timestamp.json') ?? new Uint8Array();
  const early = update(open());
  const old = world.disk.get('timestamp.json') ?? first;
  publish(world, { version: 2, targets: { json: targetsJson(2), by: HOLDERS.targets } });
  const state = driveSync(refresh(early, NOW), world.ports);
  world.disk.set('timestamp.json', old);
  expect(driveSync(refresh(state, NOW), world.ports).timestamp.content.version).toBe(2);
});
