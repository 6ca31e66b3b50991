import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  codeOf,
  crypto,
  EARLIER,
  fileBytes,
  HOLDERS,
  type Members,
  NOW,
  rootJson,
  signer,
  snapshotJson,
  type TestSigner,
  targetsJson,
  timestampJson,
} from '../test/world.ts';
import { objectOf } from './canonical.ts';
import { driveCrypto } from './drive.ts';
import { openEnvelope } from './envelope.ts';
import { MetadataError } from './errors.ts';
import type { JsonObject } from './json.ts';
import { readRoot, readSnapshot, readTargets, readTimestamp } from './model.ts';
import { type Verified, verify } from './threshold.ts';
import {
  advanceRoot,
  advanceSnapshot,
  advanceTimestamp,
  type RoleMemo,
  remember,
  requireFresh,
  requireListed,
  rotatedAway,
  topLevelAuthority,
  trustRoot,
} from './trusted.ts';

/** Verified content of any kind, by the key of `targets`, which stands for all here. */
function verified<T>(json: Members, read: (json: JsonObject) => T): Verified<T> {
  const root = readRoot(objectOf(rootJson(1)));
  const envelope = openEnvelope(fileBytes(json, HOLDERS.targets), 'x');
  return driveCrypto(verify(envelope, [topLevelAuthority(root, 'targets')], read), crypto);
}
const root = (version: number): ReturnType<typeof verified<ReturnType<typeof readRoot>>> =>
  verified(rootJson(version), readRoot);
const timestamp = (version: number, snapshot: number, more: Members = {}) =>
  verified(timestampJson(version, { version: snapshot }, more), readTimestamp);
const snapshot = (version: number, roles: Readonly<Record<string, number>>, more: Members = {}) => {
  const meta = Object.fromEntries(Object.entries(roles).map(([role, v]) => [`${role}.json`, { version: v }]));
  return verified(snapshotJson(version, meta, more), readSnapshot);
};
const factsOf = (run: () => unknown): unknown => {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof MetadataError)) throw error;
    const { code, detail, evidence } = error;
    return { code, detail, evidence };
  }
};

const begun = trustRoot(root(1));

describe('§5.3.5 root', () => {
  test('exactly one higher', () => {
    const next = root(2);
    const state = { ...begun, timestamp: timestamp(5, 7), snapshot: snapshot(7, { targets: 1 }) };
    expect(advanceRoot(state, next)).toEqual({ ...state, root: next });
  });

  test('§5.3.11 with a timestamp or snapshot key taken away: nothing from before is a floor', () => {
    const state = { ...begun, timestamp: timestamp(5, 7), snapshot: snapshot(7, { targets: 1 }) };
    const next = verified(rootJson(2, { ...HOLDERS, snapshot: [signer('new')] }), readRoot);
    expect(advanceRoot(state, next)).toEqual({ ...begun, root: next });
  });

  test.each([1, 3, 100])('version %i after 1: VERSION_MISMATCH', (version) => {
    expect(factsOf(() => advanceRoot(begun, root(version)))).toMatchObject({
      code: 'VERSION_MISMATCH',
      detail: { role: 'root', want: 2, got: version },
    });
    expect(begun.root.content.version).toBe(1);
  });
});

describe('the memo of delegated roles', () => {
  test('is bounded: the one that was used longest ago makes room', () => {
    const memo: RoleMemo = new Map();
    const entry = {
      under: { keyIds: [], threshold: 1 },
      listed: { version: 1, length: undefined, hashes: undefined },
      role: verified(targetsJson(1), (json) => readTargets(json, 'x')),
    };
    for (let i = 0; i < 10_000; i++) remember(memo, `r${i}`, entry);
    remember(memo, 'r0', entry);
    remember(memo, 'new', entry);
    expect(memo.size).toBe(10_000);
    expect([memo.has('r0'), memo.has('r1'), memo.has('r2'), memo.has('new')]).toEqual([true, false, true, true]);
  });
});

describe('§5.3.11 rotatedAway', () => {
  const [a, b] = [signer('a'), signer('b')];
  const holding = (more: Partial<Record<'root' | 'timestamp' | 'snapshot' | 'targets', readonly TestSigner[]>>) =>
    readRoot(objectOf(rootJson(1, { ...HOLDERS, ...more })));
  const before = holding({ timestamp: [a], snapshot: [b] });

  test.each<[boolean, string, Parameters<typeof holding>[0]]>([
    [false, 'nothing changed', { timestamp: [a], snapshot: [b] }],
    [false, 'keys were only added', { timestamp: [a, b], snapshot: [b, a] }],
    [false, 'keys of root and targets changed', { timestamp: [a], snapshot: [b], root: [b], targets: [b] }],
    [true, 'the timestamp key was replaced', { timestamp: [b], snapshot: [b] }],
    [true, 'the snapshot key was replaced', { timestamp: [a], snapshot: [a] }],
    [true, 'a key moved from one role to the other', { timestamp: [b], snapshot: [a] }],
    [true, 'a role lost its keys', { timestamp: [], snapshot: [b] }],
  ])('%s: %s', (want, _, after) => {
    expect(rotatedAway(before, holding(after))).toBe(want);
  });

  test('the same key under another id was not taken away', () => {
    const after = holding({ timestamp: [{ ...a, keyId: 'other' }], snapshot: [b] });
    expect(rotatedAway(before, after)).toBe(false);
  });

  test('keys of unknown kinds count by their ids', () => {
    const roles = { ...(rootJson(1)['roles'] as Members), timestamp: { keyids: ['x'], threshold: 1 } };
    const unknown = (key: Members): ReturnType<typeof readRoot> =>
      readRoot(objectOf(rootJson(1, HOLDERS, { roles, keys: key })));
    const odd = { keytype: 'odd', scheme: 'odd', keyval: { public: '1' } };
    expect(rotatedAway(unknown({ x: odd }), unknown({}))).toBe(false);
    expect(rotatedAway(unknown({ x: odd }), readRoot(objectOf(rootJson(1))))).toBe(true);
  });

  test('a role that a root does not have (made by hand) has no keys', () => {
    const none = { ...before, roles: new Map() };
    expect(rotatedAway(none, before)).toBe(false);
    expect(rotatedAway(before, none)).toBe(true);
    expect(topLevelAuthority(none, 'targets')).toMatchObject({ name: 'targets', role: { keyIds: [], threshold: 1 } });
  });
});

describe('§5.4.3 timestamp', () => {
  const trusted = timestamp(5, 7);
  const state = { ...begun, timestamp: trusted };

  test('the first one', () => {
    const first = timestamp(1, 1);
    expect(advanceTimestamp(begun, first, NOW).timestamp).toBe(first);
  });

  test('a higher one', () => {
    const next = timestamp(6, 7);
    expect(advanceTimestamp(state, next, NOW).timestamp).toBe(next);
  });

  test('§5.4.3.1 an equal one changes nothing, and is no error, whatever it says', () => {
    expect(advanceTimestamp(state, timestamp(5, 1, { expires: EARLIER }), NOW)).toEqual(state);
  });

  test('§5.4.3.1 rollback: an older timestamp is refused, with both files as evidence', () => {
    const older = timestamp(4, 7);
    expect(factsOf(() => advanceTimestamp(state, older, NOW))).toEqual({
      code: 'ROLLBACK',
      detail: { role: 'timestamp', trusted: 5, got: 4 },
      evidence: { trusted: trusted.bytes, offered: older.bytes },
    });
  });

  test('§5.4.3.2 rollback: a newer timestamp that names an older snapshot is refused', () => {
    expect(factsOf(() => advanceTimestamp(state, timestamp(6, 6), NOW))).toMatchObject({
      code: 'ROLLBACK',
      detail: { role: 'snapshot', trusted: 7, got: 6 },
    });
  });

  test('§5.4.4 freeze: an expired one is refused', () => {
    expect(codeOf(() => advanceTimestamp(state, timestamp(6, 7, { expires: EARLIER }), NOW))).toBe('EXPIRED');
  });

  test('rollback is told before expiry', () => {
    expect(codeOf(() => advanceTimestamp(state, timestamp(4, 7, { expires: EARLIER }), NOW))).toBe('ROLLBACK');
  });
});

describe('§5.5 snapshot', () => {
  const state = { ...begun, timestamp: timestamp(1, 9) };
  const floor = snapshot(8, { targets: 4, a: 2 });

  test('the first one, and the next', () => {
    const next = snapshot(9, { targets: 4, a: 3, b: 1 });
    expect(advanceSnapshot(state, next, undefined, NOW).snapshot).toBe(next);
    expect(advanceSnapshot(state, next, floor, NOW).snapshot).toBe(next);
  });

  test.each([8, 10])('§5.5.4 version %i where the timestamp names 9', (version) => {
    expect(factsOf(() => advanceSnapshot(state, snapshot(version, { targets: 9 }), undefined, NOW))).toMatchObject({
      code: 'VERSION_MISMATCH',
      detail: { role: 'snapshot', want: 9, got: version },
    });
  });

  test.each<[string, Record<string, number>, string, number, number]>([
    ['targets goes back', { targets: 3, a: 2 }, 'targets', 4, 3],
    ['a delegated role goes back', { targets: 5, a: 1 }, 'a', 2, 1],
    ['a delegated role disappears', { targets: 5, b: 1 }, 'a', 2, 0],
  ])('§5.5.5 rollback: %s', (_, roles, role, trusted, got) => {
    const next = snapshot(9, roles);
    expect(factsOf(() => advanceSnapshot(state, next, floor, NOW))).toEqual({
      code: 'ROLLBACK',
      detail: { role, trusted, got },
      evidence: { trusted: floor.bytes, offered: next.bytes },
    });
  });

  test('§5.5.5 among many roles, the first one behind is found wherever it is', () => {
    const versions = fc.dictionary(fc.stringMatching(/^[a-d\u00e9]{1,3}$/), fc.integer({ min: 1, max: 3 }), {
      maxKeys: 60,
    });
    const changes = fc.array(fc.tuple(fc.nat(80), fc.nat(4)), { maxLength: 3 });
    let found = 0;
    fc.assert(
      fc.property(versions, changes, (some, edits) => {
        const many = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`m${i + 10}`, 2]));
        const listed = new Map(Object.entries({ ...many, ...some, targets: 4 }));
        const offered = new Map(listed);
        const roles = [...listed.keys()].filter((role) => role !== 'targets');
        for (const [at, version] of edits) {
          const role = roles[at % roles.length] ?? '';
          if (version === 0) offered.delete(role);
          else offered.set(role, version);
        }
        const before = snapshot(8, Object.fromEntries(listed));
        const next = snapshot(9, Object.fromEntries(offered));
        const behind = [...before.content.meta].find(
          ([role, { version }]) => (next.content.meta.get(role)?.version ?? 0) < version,
        );
        const want = behind && {
          code: 'ROLLBACK',
          detail: { role: behind[0], trusted: behind[1].version, got: offered.get(behind[0]) ?? 0 },
          evidence: { trusted: before.bytes, offered: next.bytes },
        };
        if (want === undefined) expect(advanceSnapshot(state, next, before, NOW).snapshot).toBe(next);
        else expect(factsOf(() => advanceSnapshot(state, next, before, NOW))).toEqual(want);
        if (want !== undefined) found++;
      }),
    );
    expect(found).toBeGreaterThan(10);
  });

  test('§5.5.5 an expired floor is still a floor', () => {
    const expired = snapshot(8, { targets: 4 }, { expires: EARLIER });
    expect(codeOf(() => advanceSnapshot(state, snapshot(9, { targets: 3 }), expired, NOW))).toBe('ROLLBACK');
  });

  test('§5.5.6 freeze: an expired one is refused', () => {
    const next = snapshot(9, { targets: 4, a: 2 }, { expires: EARLIER });
    expect(codeOf(() => advanceSnapshot(state, next, floor, NOW))).toBe('EXPIRED');
  });
});

describe('§5.6 targets roles', () => {
  const role = readTargets(objectOf(targetsJson(3)), 'a');
  const listed = (version: number) => ({ version, length: undefined, hashes: undefined });

  test('§5.6.4 exactly the version that the snapshot lists', () => {
    expect(requireListed('a', role, listed(3), NOW)).toBeUndefined();
    expect(codeOf(() => requireListed('a', role, listed(2), NOW))).toBe('VERSION_MISMATCH');
    expect(codeOf(() => requireListed('a', role, listed(4), NOW))).toBe('VERSION_MISMATCH');
  });

  test('§5.6.5 freeze', () => {
    expect(codeOf(() => requireListed('a', role, listed(3), Date.UTC(2031, 0, 1)))).toBe('EXPIRED');
  });
});

test('§5.1 expiry: content expires at its instant, not after it', () => {
  const at = Date.UTC(2031, 0, 1);
  const { content } = root(1);
  expect(requireFresh('root', content, at - 1)).toBeUndefined();
  expect(factsOf(() => requireFresh('root', content, at))).toMatchObject({
    code: 'EXPIRED',
    detail: { role: 'root', version: 1, expired: '2031-01-01T00:00:00Z', now: '2031-01-01T00:00:00Z' },
  });
});
