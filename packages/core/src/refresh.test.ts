// The workflow of §5.3 to §5.6 against a repository in memory, step by step:
// what is fetched, what is kept, what is refused. Long because every step of
// the workflow is tried in order and against its attacks in one place.

import { beforeEach, describe, expect, test } from 'vitest';
import {
  codeOf,
  counter,
  EARLIER,
  type Edition,
  emptyWorld,
  fileBytes,
  HOLDERS,
  type Holders,
  type Members,
  NOW,
  publish,
  rootJson,
  signer,
  snapshotJson,
  type TestSigner,
  targetOf,
  targetsJson,
  timestampJson,
  type World,
} from '../test/world.ts';
import { utf8 } from './bytes.ts';
import { driveSync } from './drive.ts';
import { isTufError, StoreError, TransportError } from './errors.ts';
import { DEFAULT_LIMITS } from './limits.ts';
import { type FreshState, refresh, start } from './refresh.ts';
import type { TrustedState } from './trusted.ts';

/** The root file of a version: signed by its own holders and, from 2 on, by those given as its predecessor's. */
function rootFile(version: number, holders: Holders = HOLDERS, also: readonly TestSigner[] = [], more: Members = {}) {
  return fileBytes(rootJson(version, holders, more), [...new Set([...holders.root, ...also])]);
}
const ANCHOR = rootFile(1);

let world: World;
beforeEach(() => {
  world = emptyWorld();
  publish(world);
});

const open = (anchor: Uint8Array | undefined = ANCHOR, at: World = world): TrustedState =>
  driveSync(start(anchor), at.ports);
const update = (state: TrustedState, now = NOW, limits = DEFAULT_LIMITS): FreshState =>
  driveSync(refresh(state, now, limits), world.ports);
/** What a run gives: `undefined` when it succeeds, else code and role. */
const failure = (run: () => unknown): unknown => {
  try {
    run();
    return undefined;
  } catch (error) {
    if (!isTufError(error)) throw error;
    const { code, detail } = error;
    return [code, detail['role'] ?? detail['what'] ?? detail['where']];
  }
};
const kept = (name: string): unknown => {
  const bytes = world.disk.get(`${name}.json`);
  return bytes && JSON.parse(Buffer.from(bytes).toString()).signed.version;
};
const keptVersions = (): unknown => ['root', 'timestamp', 'snapshot', 'targets'].map(kept);

describe('§5.2 start', () => {
  test('from the anchor: it is kept as it came, and nothing is asked of the network', () => {
    const state = open();
    expect(state.root.bytes).toBe(ANCHOR);
    expect(state).toMatchObject({ timestamp: undefined, snapshot: undefined, targets: undefined });
    expect([...world.disk]).toEqual([['root.json', ANCHOR]]);
    expect(world.requests).toEqual([]);
  });

  test('without an anchor: the kept root.json; without that: ANCHOR_MISSING', () => {
    expect(failure(() => driveSync(start(), world.ports))).toEqual(['ANCHOR_MISSING', undefined]);
    open();
    expect(driveSync(start(), world.ports).root.content.version).toBe(1);
  });

  test.each<[string, Uint8Array, string]>([
    ['not JSON', utf8('x'), 'JSON_INVALID'],
    ['not signed', fileBytes(rootJson(1), []), 'THRESHOLD_NOT_MET'],
    ['signed by another role’s key', fileBytes(rootJson(1), [signer('targets')]), 'THRESHOLD_NOT_MET'],
    ['below its own threshold', fileBytes(rootJson(1, { ...HOLDERS, root: [signer('x')] }), []), 'THRESHOLD_NOT_MET'],
    ['of another type', fileBytes(targetsJson(1), [signer('root')]), 'ROLE_TYPE_WRONG'],
  ])('a broken anchor (%s) makes no request and keeps nothing', (_, anchor, code) => {
    expect(codeOf(() => open(anchor))).toBe(code);
    expect(world.requests).toEqual([]);
    expect(world.disk.size).toBe(0);
  });

  test('§5.2 an expired anchor is no error', () => {
    expect(failure(() => open(rootFile(1, HOLDERS, [], { expires: EARLIER })))).toBeUndefined();
  });

  test('the kept chain is walked from the anchor again, without the network', () => {
    const next = { ...HOLDERS, root: [signer('root 2')] };
    world.served.set('2.root.json', rootFile(2, next, HOLDERS.root));
    world.served.set('3.root.json', rootFile(3, next));
    update(open());
    world.requests.length = 0;
    expect(open().root.content.version).toBe(3);
    expect(driveSync(start(), world.ports).root.content.version).toBe(3);
    expect(world.requests).toEqual([]);
  });

  test('F4 an anchor newer than what was kept is kept: without it the next start does not go back', () => {
    open();
    const newer = rootFile(7, { ...HOLDERS, root: [signer('recovered')] });
    expect(open(newer).root.content.version).toBe(7);
    expect(world.disk.get('root.json')).toBe(newer);
    expect(driveSync(start(), world.ports).root.content.version).toBe(7);
  });

  test('§4.3 an older anchor never replaces a later root.json', () => {
    world.served.set('2.root.json', rootFile(2));
    world.served.set('3.root.json', rootFile(3));
    update(open());
    const later = world.disk.get('root.json');
    world.disk.delete('root_history/2.root.json'); // the chain is damaged
    expect(open().root.content.version).toBe(1);
    expect(world.disk.get('root.json')).toBe(later);
    expect(update(open()).root.content.version).toBe(3);
    expect(world.disk.get('root.json')).toBe(later);
  });

  test('an anchor of a lower version replaces a root.json that none of its keys vouches for', () => {
    const thief = { ...HOLDERS, root: [signer('thief')] };
    // What users get after a theft: a new beginning, not a successor of the stolen root.
    for (const stolen of [rootFile(9, thief), fileBytes(rootJson(9), [])]) {
      world.disk.set('root.json', stolen);
      expect(open().root.content.version).toBe(1);
      expect(world.disk.get('root.json')).toBe(ANCHOR);
      expect(driveSync(start(), world.ports).root.bytes).toBe(ANCHOR);
    }
  });

  test('a port that fails while a later root.json is looked at is an error, and replaces nothing', () => {
    const later = rootFile(9);
    world.disk.set('root.json', later);
    let checks = 0;
    const check = (): boolean => {
      if (checks++ > 0) throw new StoreError('STORE_READ', 'x');
      return true;
    };
    const ports = { ...world.ports, crypto: { ...world.ports.crypto, check } };
    expect(codeOf(() => driveSync(start(ANCHOR), ports))).toBe('STORE_READ');
    expect(world.disk.get('root.json')).toBe(later);
  });

  test('a root.json that is no root is replaced by the anchor', () => {
    world.disk.set('root.json', utf8('{"signed":'));
    open();
    expect(world.disk.get('root.json')).toBe(ANCHOR);
  });

  test.each<[string, Uint8Array]>([
    ['damaged', utf8('{')],
    ['not signed by its predecessor', rootFile(2, { ...HOLDERS, root: [signer('thief')] })],
    ['of the wrong version', rootFile(3)],
  ])('a kept root that is %s ends the chain; the network has to tell', (_, bytes) => {
    world.disk.set('root_history/2.root.json', bytes);
    expect(open().root.content.version).toBe(1);
  });

  test('a port that fails while the kept chain is walked is an error, not the end of the chain', () => {
    world.served.set('2.root.json', rootFile(2));
    update(open());
    let checks = 0;
    const check = (): boolean => {
      if (checks++ > 0) throw new StoreError('STORE_READ', 'x');
      return true;
    };
    const failing = { ...world, ports: { ...world.ports, crypto: { ...world.ports.crypto, check } } };
    expect(failure(() => open(ANCHOR, failing))).toEqual(['STORE_READ', undefined]);
  });

  test('local state that cannot be read is an error, never an empty start', () => {
    const broken = new StoreError('STORE_READ', 'x');
    const failing = (name: string): World => {
      const { state } = world.ports;
      const load: typeof state.load = (asked) => {
        if (asked === name) throw broken;
        return state.load(asked);
      };
      return { ...world, ports: { ...world.ports, state: { ...state, load } } };
    };
    expect(failure(() => open(ANCHOR, failing('root.json')))).toEqual(['STORE_READ', undefined]);
    expect(failure(() => open(ANCHOR, failing('root_history/2.root.json')))).toEqual(['STORE_READ', undefined]);
    const at = (name: string): unknown => failure(() => driveSync(refresh(open(), NOW), failing(name).ports));
    for (const name of ['timestamp.json', 'snapshot.json', 'targets.json'])
      expect(at(name)).toEqual(['STORE_READ', undefined]);
  });
});

describe('a cold and a warm refresh', () => {
  test('asks for exactly four files, in order; keeps each as it was received', () => {
    const state = update(open());
    expect(world.requests).toEqual(['2.root.json', 'timestamp.json', '1.snapshot.json', '1.targets.json']);
    expect(state.targets.content.version).toBe(1);
    for (const [name, url] of [
      ['timestamp.json', 'timestamp.json'],
      ['snapshot.json', '1.snapshot.json'],
      ['targets.json', '1.targets.json'],
    ] as const) {
      expect(world.disk.get(name)).toBe(world.served.get(url));
    }
    expect([...world.disk.keys()]).toEqual(['root.json', 'timestamp.json', 'snapshot.json', 'targets.json']);
  });

  test('unchanged, from memory and from disk: two requests', () => {
    const state = update(open());
    for (const again of [state, open()]) {
      world.requests.length = 0;
      const after = update(again);
      expect(world.requests).toEqual(['2.root.json', 'timestamp.json']);
      expect(after.targets.content).toEqual(state.targets.content);
    }
  });

  test('a new timestamp over the same snapshot: two requests', () => {
    const state = update(open());
    publish(world, { version: 2, snapshotVersion: 1 });
    world.requests.length = 0;
    expect(update(state).timestamp.content.version).toBe(2);
    expect(world.requests).toEqual(['2.root.json', 'timestamp.json']);
  });

  test('a new edition; the state given stays as it was', () => {
    const state = update(open());
    publish(world, { version: 2, targets: { json: targetsJson(2, { a: targetOf('a') }), by: HOLDERS.targets } });
    const next = update(state);
    expect(next.targets.content.targets.size).toBe(1);
    expect(keptVersions()).toEqual([1, 2, 2, 2]);
    expect(state.timestamp.content.version).toBe(1);
    expect(state.targets.content.targets.size).toBe(0);
  });

  test('§6.2.1 without consistent snapshots: plain names', () => {
    const anchor = rootFile(1, HOLDERS, [], { consistent_snapshot: false });
    world = emptyWorld();
    publish(world, { version: 4, consistent: false });
    update(open(anchor));
    expect(world.requests).toEqual(['2.root.json', 'timestamp.json', 'snapshot.json', 'targets.json']);
  });

  test('a snapshot that lists no lengths and no hashes', () => {
    publish(world, { hashes: false });
    const state = update(open());
    counter.checks = 0;
    update(state);
    // The new timestamp; what is kept is what this state verified under the same keys.
    expect(counter.checks).toBe(1);
  });
});

describe('§5.3 root', () => {
  const two: Holders = { ...HOLDERS, root: [signer('root 2')] };

  test('§5.3.4 each next one by both thresholds; each is kept, alone and in the chain', () => {
    world.served.set('2.root.json', rootFile(2, two, HOLDERS.root));
    world.served.set('3.root.json', rootFile(3, two));
    expect(update(open()).root.content.version).toBe(3);
    expect(world.requests.slice(0, 4)).toEqual(['2.root.json', '3.root.json', '4.root.json', 'timestamp.json']);
    expect(world.disk.get('root.json')).toBe(world.served.get('3.root.json'));
    expect(world.disk.get('root_history/2.root.json')).toBe(world.served.get('2.root.json'));
    expect(world.disk.get('root_history/3.root.json')).toBe(world.served.get('3.root.json'));
  });

  test.each<[string, Uint8Array, string]>([
    ['signed by the old keys only', fileBytes(rootJson(2, two), HOLDERS.root), 'THRESHOLD_NOT_MET'],
    ['signed by the new keys only', fileBytes(rootJson(2, two), two.root), 'THRESHOLD_NOT_MET'],
    ['§5.3.5 the same version again', ANCHOR, 'VERSION_MISMATCH'],
    ['§5.3.5 a version left out', rootFile(3), 'VERSION_MISMATCH'],
    ['of another type', fileBytes(timestampJson(2, { version: 1 }), HOLDERS.root), 'ROLE_TYPE_WRONG'],
    ['garbage', utf8('<html>'), 'JSON_INVALID'],
    ['A2 longer than its limit', new Uint8Array(DEFAULT_LIMITS.rootBytes + 1), 'LENGTH_EXCEEDED'],
  ])('refused: %s; nothing is kept', (_, bytes, code) => {
    world.served.set('2.root.json', bytes);
    expect(codeOf(() => update(open()))).toBe(code);
    expect([...world.disk.keys()]).toEqual(['root.json']);
    expect(world.requests).toEqual(['2.root.json']);
  });

  test('§5.3.10 freeze: an expired final root is kept, and refused; an expired one on the way is no matter', () => {
    world.served.set('2.root.json', rootFile(2, HOLDERS, [], { expires: EARLIER }));
    expect(failure(() => update(open()))).toEqual(['EXPIRED', 'root']);
    expect(kept('root')).toBe(2);
    expect(world.requests).toEqual(['2.root.json', '3.root.json']);
    world.served.set('3.root.json', rootFile(3));
    expect(failure(() => update(open()))).toBeUndefined();
  });

  test('§5.3.3 more new roots than one refresh walks: it goes on with the last, the next refresh walks further', () => {
    for (const version of [2, 3, 4, 5]) world.served.set(`${version}.root.json`, rootFile(version));
    const limits = { ...DEFAULT_LIMITS, rootRotations: 3 };
    const state = update(open(), NOW, limits);
    expect(state.root.content.version).toBe(4);
    expect(world.requests.slice(0, 4)).toEqual(['2.root.json', '3.root.json', '4.root.json', 'timestamp.json']);
    expect(kept('root')).toBe(4);
    expect(update(state, NOW, limits).root.content.version).toBe(5);
    expect(update(open(), NOW, limits).root.content.version).toBe(5);
  });

  test('§5.3.7 a root that was once trusted stays trusted, though the update failed later on', () => {
    const state = update(open());
    const holders = { ...HOLDERS, timestamp: [signer('new timestamp')] };
    world.served.set('2.root.json', rootFile(2, holders));
    expect(failure(() => update(state))).toEqual(['THRESHOLD_NOT_MET', 'timestamp']);
    // Now the attacker hides root 2, and signs with the timestamp key that it took away.
    world.served.delete('2.root.json');
    publish(world, { version: 5 });
    expect(failure(() => update(state))).toEqual(['THRESHOLD_NOT_MET', 'timestamp']);
    publish(world, { version: 6, holders });
    expect(update(state).root.content.version).toBe(2);
  });

  test('a root that another process verified and kept is followed without the network', () => {
    const mine = update(open());
    world.served.set('2.root.json', rootFile(2));
    update(open()); // the other process
    world.requests.length = 0;
    expect(update(mine).root.content.version).toBe(2);
    expect(world.requests[0]).toBe('3.root.json');
  });

  test('an error of the transport is not “no newer root”', () => {
    const down = new TransportError('UNREACHABLE', 'x');
    const source = {
      fetch: () => {
        throw down;
      },
    };
    expect(() => driveSync(refresh(open(), NOW), { ...world.ports, source })).toThrow(down);
  });
});

describe('§5.3.11 A4 fast-forward: after key rotation, versions may go down', () => {
  const far = Number.MAX_SAFE_INTEGER;
  const rotated = (role: 'timestamp' | 'snapshot'): Holders => ({ ...HOLDERS, [role]: [signer(`new ${role}`)] });

  test.each<['timestamp' | 'snapshot', Edition]>([
    ['timestamp', { version: far, snapshotVersion: far }],
    ['snapshot', { version: 5, snapshotVersion: far }],
    ['snapshot', { version: 5, targets: { json: targetsJson(far), by: HOLDERS.targets } }],
  ])('the %s key is replaced', (role, attacked) => {
    publish(world, attacked);
    const state = update(open());
    const holders = rotated(role);
    world.served.set('2.root.json', rootFile(2, holders));
    publish(world, { version: 2, holders });
    for (const from of [state, open()]) {
      const recovered = update(from);
      expect(recovered.timestamp.content.version).toBe(2);
      expect(recovered.targets.content.version).toBe(1);
    }
    expect(keptVersions()).toEqual([2, 2, 2, 1]);
  });

  test('without rotation it stays refused: a new root alone opens no way back', () => {
    publish(world, { version: 9 });
    const state = update(open());
    world.served.set('2.root.json', rootFile(2));
    publish(world, { version: 8 });
    expect(failure(() => update(state))).toEqual(['ROLLBACK', 'timestamp']);
    expect(failure(() => update(open()))).toEqual(['ROLLBACK', 'timestamp']);
    expect(kept('timestamp')).toBe(9);
  });

  test('a key that is only added drops nothing', () => {
    publish(world, { version: 9 });
    const state = update(open());
    const holders = { ...HOLDERS, timestamp: [...HOLDERS.timestamp, signer('second')] };
    world.served.set('2.root.json', rootFile(2, holders));
    publish(world, { version: 8 });
    expect(failure(() => update(state))).toEqual(['ROLLBACK', 'timestamp']);
  });

  test('what was signed by a key taken away is not asked for any more, even of the right version', () => {
    const state = update(open());
    world.served.set('2.root.json', rootFile(2, rotated('timestamp')));
    expect(failure(() => update(state))).toEqual(['THRESHOLD_NOT_MET', 'timestamp']);
    expect(keptVersions()).toEqual([2, undefined, undefined, 1]);
  });
});

describe('§5.4 timestamp', () => {
  const serve = (json: Members, by = HOLDERS.timestamp): void =>
    void world.served.set('timestamp.json', fileBytes(json, by));

  test.each<[string, () => void, string]>([
    ['not there', () => world.served.delete('timestamp.json'), 'METADATA_MISSING'],
    [
      '§5.4.1 longer than its limit',
      () => world.served.set('timestamp.json', new Uint8Array(16_385)),
      'LENGTH_EXCEEDED',
    ],
    ['garbage', () => world.served.set('timestamp.json', utf8('{}')), 'FORMAT_INVALID'],
    ['§5.4.2 not signed', () => serve(timestampJson(2, { version: 2 }), []), 'THRESHOLD_NOT_MET'],
    ['§5.4.2 signed by snapshot', () => serve(timestampJson(2, { version: 2 }), HOLDERS.snapshot), 'THRESHOLD_NOT_MET'],
    ['a snapshot file', () => serve(snapshotJson(2, { 'targets.json': { version: 1 } })), 'ROLE_TYPE_WRONG'],
    ['§5.4.3.1 older', () => serve(timestampJson(1, { version: 2 })), 'ROLLBACK'],
    ['§5.4.3.2 with an older snapshot', () => serve(timestampJson(9, { version: 1 })), 'ROLLBACK'],
    ['§5.4.4 expired', () => serve(timestampJson(9, { version: 9 }, { expires: EARLIER })), 'EXPIRED'],
  ])('refused: %s; the kept one stays, and nothing more is asked', (_, attack, code) => {
    publish(world, { version: 2 });
    const state = update(open());
    const before = world.disk.get('timestamp.json');
    attack();
    for (const from of [state, open()]) {
      world.requests.length = 0;
      expect(codeOf(() => update(from))).toBe(code);
      expect(world.requests).toEqual(['2.root.json', 'timestamp.json']);
    }
    expect(world.disk.get('timestamp.json')).toBe(before);
  });

  test('§5.4.3.1 equal version, other content: discarded without an error', () => {
    const state = update(open());
    const before = world.disk.get('timestamp.json');
    serve(timestampJson(1, { version: 7 }));
    expect(update(state).timestamp.content.snapshot.version).toBe(1);
    expect(world.disk.get('timestamp.json')).toBe(before);
  });

  test('A5 freeze: an equal version whose kept file has expired in the meantime', () => {
    const state = update(open());
    const later = Date.UTC(2031, 0, 1);
    world.served.set('2.root.json', rootFile(2, HOLDERS, [], { expires: '2040-01-01T00:00:00Z' }));
    expect(failure(() => update(state, later))).toEqual(['EXPIRED', 'timestamp']);
  });

  test('an expired local timestamp is a floor, and no obstacle', () => {
    publish(world, { version: 5, timestampMore: { expires: '2030-01-02T00:00:00Z' } });
    update(open());
    const later = Date.UTC(2030, 5, 1);
    publish(world, { version: 4 });
    expect(failure(() => update(open(), later))).toEqual(['ROLLBACK', 'timestamp']);
    publish(world, { version: 6 });
    expect(failure(() => update(open(), later))).toBeUndefined();
  });

  test('a local file that is damaged or of another key is no floor and no obstacle', () => {
    world.disk.set('timestamp.json', utf8('{"signed":'));
    world.disk.set('snapshot.json', fileBytes(snapshotJson(99, { 'targets.json': { version: 99 } }), [signer('x')]));
    world.disk.set('targets.json', fileBytes(targetsJson(1, { evil: targetOf('x') }), [signer('x')]));
    const state = update(open());
    expect(state.targets.content.targets.size).toBe(0);
    expect(keptVersions()).toEqual([1, 1, 1, 1]);
  });

  test('another process that overtakes this one between timestamp and snapshot is no rollback', () => {
    const { state } = world.ports;
    let overtaken = false;
    const save: typeof state.save = (name, bytes) => {
      state.save(name, bytes);
      if (name !== 'timestamp.json' || overtaken) return;
      overtaken = true;
      publish(world, { version: 2, targets: { json: targetsJson(2), by: HOLDERS.targets } });
      update(open());
    };
    const mine = driveSync(refresh(open(), NOW), { ...world.ports, state: { ...state, save } });
    expect(mine.targets.content.version).toBe(2);
    expect(keptVersions()).toEqual([1, 2, 2, 2]);
  });

  test('two processes on one cache: the one further on is the floor for both', () => {
    const mine = update(open());
    publish(world, { version: 5 });
    update(open()); // the other process
    publish(world, { version: 4 });
    expect(failure(() => update(mine))).toEqual(['ROLLBACK', 'timestamp']);
    expect(keptVersions()).toEqual([1, 5, 5, 1]);
    world.disk.delete('timestamp.json');
    world.disk.delete('snapshot.json');
    const far = update(open());
    expect(far.timestamp.content.version).toBe(4);
    publish(world, { version: 3 });
    world.disk.delete('timestamp.json'); // memory is a floor as well
    expect(failure(() => update(far))).toEqual(['ROLLBACK', 'timestamp']);
  });
});

describe('§5.5 snapshot', () => {
  /** Publishes, then replaces the snapshot file by another that the timestamp vouches for or not. */
  const attack = (version: number, meta: Members, more: Members = {}, listed: Members = {}, by = HOLDERS.snapshot) => {
    const bytes = fileBytes(snapshotJson(version, meta, more), by);
    world.served.set(`${version}.snapshot.json`, bytes);
    const stamp = timestampJson(version, { version, ...listed });
    world.served.set('timestamp.json', fileBytes(stamp, HOLDERS.timestamp));
    return bytes;
  };
  const all = { 'targets.json': { version: 2 }, 'a.json': { version: 3 } };
  const first: Edition = {
    version: 2,
    targets: { json: targetsJson(2), by: HOLDERS.targets },
    roles: { a: { json: targetsJson(3), by: [signer('author')] } },
  };

  test.each<[string, () => unknown, string, string]>([
    ['not there', () => world.served.delete('3.snapshot.json'), 'METADATA_MISSING', 'snapshot'],
    [
      '§5.5.1 longer than its limit',
      () => world.served.set('3.snapshot.json', new Uint8Array(2_000_001)),
      'LENGTH_EXCEEDED',
      'snapshot',
    ],
    ['§5.5.3 not signed', () => attack(3, all, {}, {}, []), 'THRESHOLD_NOT_MET', 'snapshot'],
    ['§5.5.3 signed by timestamp', () => attack(3, all, {}, {}, HOLDERS.timestamp), 'THRESHOLD_NOT_MET', 'snapshot'],
    ['§5.5.4 of another version', () => attack(3, all, { version: 4 }), 'VERSION_MISMATCH', 'snapshot'],
    ['§5.5.5 targets goes back', () => attack(3, { ...all, 'targets.json': { version: 1 } }), 'ROLLBACK', 'targets'],
    ['§5.5.5 a role goes back', () => attack(3, { ...all, 'a.json': { version: 2 } }), 'ROLLBACK', 'a'],
    ['§5.5.5 a role disappears', () => attack(3, { 'targets.json': { version: 2 } }), 'ROLLBACK', 'a'],
    ['§5.5.6 expired', () => attack(3, all, { expires: EARLIER }), 'EXPIRED', 'snapshot'],
  ])('refused: %s; the new timestamp is kept, the old snapshot stays', (_, run, code, role) => {
    publish(world, first);
    const state = update(open());
    attack(3, all);
    run();
    for (const from of [state, open()]) expect(failure(() => update(from))).toEqual([code, role]);
    expect(keptVersions()).toEqual([1, 3, 2, 2]);
    // §5: the client can still update later.
    publish(world, { ...first, version: 4 });
    expect(failure(() => update(state))).toBeUndefined();
  });

  test('§5.5.2 A7 mix-and-match: other bytes than the timestamp lists', () => {
    publish(world, first);
    attack(3, all, {}, { hashes: { sha256: 'ab'.repeat(32) } });
    expect(failure(() => update(open()))).toEqual(['HASH_MISMATCH', 'snapshot']);
    const bytes = attack(4, all);
    attack(4, all, {}, { length: bytes.length + 1 });
    expect(failure(() => update(open()))).toEqual(['LENGTH_MISMATCH', 'snapshot']);
    attack(5, all, {}, { length: bytes.length - 1 });
    expect(failure(() => update(open()))).toEqual(['LENGTH_EXCEEDED', 'snapshot']);
    attack(6, all, {}, { hashes: { md5: 'aa' } });
    expect(failure(() => update(open()))).toEqual(['HASH_UNSUPPORTED', 'snapshot']);
  });

  test('§5.5.1 a listed length is believed up to a limit of our own', () => {
    publish(world, first);
    const limits = { ...DEFAULT_LIMITS, listedBytes: 10 };
    expect(failure(() => update(open(), NOW, limits))).toEqual(['LENGTH_EXCEEDED', 'snapshot']);
  });

  test('a kept snapshot of the right version that the timestamp’s hash does not match is fetched again', () => {
    update(open());
    const meta = { 'targets.json': { version: 1 }, 'more.json': { version: 1 } };
    world.disk.set(
      'snapshot.json',
      fileBytes(snapshotJson(1, meta, { expires: '2032-01-01T00:00:00Z' }), HOLDERS.snapshot),
    );
    world.requests.length = 0;
    // It is authentic, so what it lists is a floor; the served one lacks a role.
    expect(failure(() => update(open()))).toEqual(['ROLLBACK', 'more']);
    expect(world.requests).toContain('1.snapshot.json');
  });

  test('an error of the hash port is not a mismatch', () => {
    update(open());
    const broken = {
      ...world.ports.crypto,
      hash: () => {
        throw new StoreError('STORE_READ', 'x');
      },
    };
    expect(failure(() => driveSync(refresh(open(), NOW), { ...world.ports, crypto: broken }))).toEqual([
      'STORE_READ',
      undefined,
    ]);
  });

  test('an error of the signature port is neither', () => {
    update(open());
    let calls = 0;
    const broken = {
      ...world.ports.crypto,
      check: (): boolean => {
        if (calls++ > 0) throw new StoreError('STORE_READ', 'x');
        return true;
      },
    };
    const run = (): unknown => driveSync(refresh(open(), NOW), { ...world.ports, crypto: broken });
    expect(failure(run)).toEqual(['STORE_READ', undefined]);
  });

  test('A5 freeze: the same snapshot, expired in the meantime', () => {
    publish(world, { snapshotMore: { expires: '2030-01-02T00:00:00Z' } });
    const state = update(open());
    expect(failure(() => update(state, Date.UTC(2030, 0, 2)))).toEqual(['EXPIRED', 'snapshot']);
  });
});

describe('§5.6 the top-level targets role', () => {
  const good = targetsJson(2, { a: targetOf('a') });

  test.each<[string, () => unknown, string]>([
    ['not there', () => world.served.delete('2.targets.json'), 'METADATA_MISSING'],
    ['§5.6.2 other bytes', () => world.served.set('2.targets.json', fileBytes(good, [])), 'LENGTH_MISMATCH'],
    ['§5.6.3 not signed', () => publish(world, { version: 2, targets: { json: good, by: [] } }), 'THRESHOLD_NOT_MET'],
    [
      '§5.6.3 signed by snapshot',
      () => publish(world, { version: 2, targets: { json: good, by: HOLDERS.snapshot } }),
      'THRESHOLD_NOT_MET',
    ],
    [
      'a snapshot file',
      () => {
        const json = snapshotJson(2, { 'targets.json': { version: 1 } });
        publish(world, { version: 2, targets: { json, by: HOLDERS.targets } });
      },
      'ROLE_TYPE_WRONG',
    ],
    [
      '§5.6.5 expired',
      () => publish(world, { version: 2, targets: { json: { ...good, expires: EARLIER }, by: HOLDERS.targets } }),
      'EXPIRED',
    ],
  ])('refused: %s; timestamp and snapshot are kept, the old targets stays', (_, run, code) => {
    const state = update(open());
    publish(world, { version: 2, targets: { json: good, by: HOLDERS.targets } });
    run();
    for (const from of [state, open()]) expect(codeOf(() => update(from))).toBe(code);
    expect(keptVersions()).toEqual([1, 2, 2, 1]);
    publish(world, { version: 3, targets: { json: good, by: HOLDERS.targets } });
    expect(failure(() => update(state))).toBeUndefined();
  });

  test('§5.6.4 the version is exactly the one listed', () => {
    publish(world, { version: 2, hashes: false, targets: { json: good, by: HOLDERS.targets } });
    const other = fileBytes({ ...good, version: 3 }, HOLDERS.targets);
    world.served.set('2.targets.json', other);
    expect(failure(() => update(open()))).toEqual(['VERSION_MISMATCH', 'targets']);
    expect(kept('targets')).toBeUndefined();
  });

  test('the targets key was replaced: a kept file under the old key is not used', () => {
    const state = update(open());
    const holders = { ...HOLDERS, targets: [signer('new targets')] };
    world.served.set('2.root.json', rootFile(2, holders));
    expect(failure(() => update(state))).toEqual(['THRESHOLD_NOT_MET', 'targets']);
    publish(world, { version: 2, holders });
    expect(failure(() => update(state))).toBeUndefined();
  });

  test('a kept file of the right bytes is used without a request, and verified', () => {
    const { disk } = world;
    update(open());
    disk.delete('snapshot.json');
    disk.delete('timestamp.json');
    world.requests.length = 0;
    counter.checks = 0;
    update(open());
    expect(world.requests).toEqual(['2.root.json', 'timestamp.json', '1.snapshot.json']);
    expect(counter.checks).toBe(4); // root, timestamp, snapshot, targets
  });
});
