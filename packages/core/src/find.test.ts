import * as fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import {
  codeOf,
  counter,
  delegation,
  EARLIER,
  emptyWorld,
  fileBytes,
  HOLDERS,
  hexOf,
  keysOf,
  type Members,
  NOW,
  publish,
  type Role,
  rootJson,
  signer,
  type TestSigner,
  targetOf,
  targetsJson,
  type World,
} from '../test/world.ts';
import { driveSync } from './drive.ts';
import { type Found, find, type Listing, list } from './find.ts';
import { DEFAULT_LIMITS } from './limits.ts';
import { type FreshState, refresh, start } from './refresh.ts';

const ANCHOR = fileBytes(rootJson(1), HOLDERS.root);
const [x, y, thief] = [signer('x'), signer('y'), signer('thief')];

let world: World;
beforeEach(() => {
  world = emptyWorld();
});

/** A targets role with these targets, delegating to these roles under their own keys. */
function role(
  by: readonly TestSigner[],
  targets: Members,
  delegations: readonly Members[] = [],
  keys: readonly TestSigner[] = [x, y, thief],
  more: Members = {},
): Role {
  const to = delegations.length === 0 ? {} : { delegations: { keys: keysOf(keys), roles: delegations } };
  return { by, json: targetsJson(1, targets, { ...to, ...more }) };
}

/** Publishes the top-level targets role and others, and refreshes from nothing. */
function open(targets: Role, roles: Readonly<Record<string, Role>> = {}, edition = {}): FreshState {
  publish(world, { targets, roles, ...edition });
  const state = driveSync(refresh(driveSync(start(ANCHOR), world.ports), NOW), world.ports);
  world.requests.length = 0;
  return state;
}
const look = (state: FreshState, path: string, now = NOW, limits = DEFAULT_LIMITS): Found | undefined =>
  driveSync(find(state, path, now, limits), world.ports);
const trailOf = (state: FreshState, path: string): string | undefined => look(state, path)?.trail.join(' > ');
const show = (state: FreshState, directory: string): Listing => driveSync(list(state, directory, NOW), world.ports);
const named = ({ found }: Listing): Record<string, string> =>
  Object.fromEntries([...found].map(([path, { trail }]) => [path, trail.join(' > ')]));
const top = (targets: Members, ...delegations: readonly Members[]): Role => role(HOLDERS.targets, targets, delegations);
const file = (content = 'x'): Members => targetOf(content);

describe('find (§5.6.7)', () => {
  test('in the top-level role: no request', () => {
    const state = open(top({ 'a/b': file('hello') }));
    expect(look(state, 'a/b')).toEqual({ target: state.targets.content.targets.get('a/b'), trail: ['targets'] });
    expect(look(state, 'a/c')).toBeUndefined();
    expect(world.requests).toEqual([]);
  });

  test('a role’s own entry comes before its delegations', () => {
    const state = open(top({ a: file('top') }, delegation('r', [x], ['a'])), { r: role([x], { a: file('r') }) });
    expect(trailOf(state, 'a')).toBe('targets');
    expect(world.requests).toEqual([]);
  });

  test('pre-order, in order of appearance, the first that lists it', () => {
    const state = open(top({}, delegation('a', [x], ['f']), delegation('b', [x], ['f'])), {
      a: role([x], {}, [delegation('a1', [y], ['f'])]),
      a1: role([y], {}),
      b: role([x], { f: file() }),
    });
    expect(trailOf(state, 'f')).toBe('targets > b');
    expect(world.requests).toEqual(['1.a.json', '1.a1.json', '1.b.json']);
  });

  test('deeper in the first delegation comes before the second', () => {
    const state = open(top({}, delegation('a', [x], ['f']), delegation('b', [x], ['f'])), {
      a: role([x], {}, [delegation('a1', [y], ['f'])]),
      a1: role([y], { f: file() }),
      b: role([x], { f: file('other') }),
    });
    expect(trailOf(state, 'f')).toBe('targets > a > a1');
    expect(world.requests).toEqual(['1.a.json', '1.a1.json']);
  });

  test('A3 §4.5 a target counts only where every delegation in the chain covers it', () => {
    const state = open(top({}, delegation('a', [x], ['mine/*'])), {
      a: role([x], { 'mine/f': file(), 'yours/f': file(), 'mine/sub/f': file() }, [delegation('a1', [y], ['*/*'])]),
      a1: role([y], { 'mine/g': file(), 'yours/g': file() }),
    });
    expect(trailOf(state, 'mine/f')).toBe('targets > a');
    expect(trailOf(state, 'mine/g')).toBe('targets > a > a1');
    for (const path of ['yours/f', 'yours/g', 'mine/sub/f']) expect(look(state, path)).toBeUndefined();
  });

  test('§5.6.7.2.1 terminating: nothing after it is asked, its subtree and what is before it is', () => {
    const roles = {
      first: role([x], {}),
      last: role([x], {}, [delegation('inner', [y], ['*'])]),
      inner: role([y], { g: file() }),
      never: role([x], { f: file(), g: file() }),
    };
    const state = open(
      top(
        {},
        delegation('first', [x], ['*']),
        delegation('last', [x], ['*'], { terminating: true }),
        delegation('never', [x], ['*']),
      ),
      roles,
    );
    expect(look(state, 'f')).toBeUndefined();
    expect(world.requests).toEqual(['1.first.json', '1.last.json', '1.inner.json']);
    expect(trailOf(state, 'g')).toBe('targets > last > inner');
  });

  test('§5.6.7.2.1 terminating deep inside ends the search of every level above', () => {
    const state = open(top({}, delegation('a', [x], ['*']), delegation('b', [x], ['*'])), {
      a: role([x], {}, [delegation('a1', [y], ['*'], { terminating: true }), delegation('a2', [y], ['*'])]),
      a1: role([y], {}),
      a2: role([y], { f: file() }),
      b: role([x], { f: file() }),
    });
    expect(look(state, 'f')).toBeUndefined();
    expect(world.requests).toEqual(['1.a.json', '1.a1.json']);
  });

  test('a terminating delegation that does not cover the path ends nothing', () => {
    const state = open(top({}, delegation('a', [x], ['other'], { terminating: true }), delegation('b', [x], ['f'])), {
      a: role([x], {}),
      b: role([x], { f: file() }),
    });
    expect(trailOf(state, 'f')).toBe('targets > b');
  });

  test('§5.6.7.1 cycles: each role is visited once', () => {
    const state = open(top({}, delegation('a', [x], ['*'])), {
      a: role([x], {}, [delegation('b', [x], ['*'])]),
      b: role([x], {}, [delegation('a', [x], ['*']), delegation('b', [x], ['*']), delegation('c', [x], ['*'])]),
      c: role([x], { f: file() }),
    });
    expect(trailOf(state, 'f')).toBe('targets > a > b > c');
    expect(world.requests).toEqual(['1.a.json', '1.b.json', '1.c.json']);
  });

  test('§5.6.7.1 more roles than the limit: refused', () => {
    const names = Array.from({ length: 5 }, (_, i) => `r${i}`);
    const roles = Object.fromEntries(
      names.map((name, i) => [name, role([x], i === 4 ? { f: file() } : {}, [delegation(`r${i + 1}`, [x], ['*'])])]),
    );
    const state = open(top({}, delegation('r0', [x], ['*'])), roles);
    expect(look(state, 'f', NOW, { ...DEFAULT_LIMITS, delegations: 6 })?.trail).toHaveLength(6);
    expect(codeOf(() => look(state, 'f', NOW, { ...DEFAULT_LIMITS, delegations: 5 }))).toBe('DELEGATIONS_EXCEEDED');
    expect(codeOf(() => look(state, 'g', NOW, { ...DEFAULT_LIMITS, delegations: 3 }))).toBe('DELEGATIONS_EXCEEDED');
  });

  test('role names that would leave the folder or the URL', () => {
    for (const name of ['?', '#', '/r', '../r', '__proto__', 'constructor', '10', 'r\nx', 'é😀', 'Root']) {
      world = emptyWorld();
      const state = open(top({}, delegation(name, [x], ['f'])), { [name]: role([x], { f: file() }) });
      expect(trailOf(state, 'f')).toBe(`targets > ${name}`);
    }
  });

  test.each(['', '/f', 'f/', '../f', 'a//b', 'a\\b', 'a\0b', '\ud800'])(
    'a path that is none is the caller’s error, not “nobody lists it”: %j',
    (path) => {
      const listed = path === '\ud800' ? {} : { [path]: file() };
      const state = open(top(listed, delegation('r', [x], ['*', '*/*', '*/*/*'])), { r: role([x], {}) });
      expect(codeOf(() => look(state, path))).toBe('USAGE_INVALID');
      expect(codeOf(() => show(state, path))).toBe('USAGE_INVALID');
      expect(world.requests).toEqual([]);
    },
  );
});

describe('delegated roles are verified as §5.6 says', () => {
  const under = (keys: readonly TestSigner[], threshold = 1, more: Members = {}): Role =>
    top({}, { ...delegation('r', keys, ['*'], more), threshold });

  test.each<[string, Role, Role, string]>([
    ['not signed', under([x]), role([], { f: file() }), 'THRESHOLD_NOT_MET'],
    ['signed by another author', under([x]), role([thief], { f: file() }), 'THRESHOLD_NOT_MET'],
    ['signed by its delegator', under([x]), role(HOLDERS.targets, { f: file() }), 'THRESHOLD_NOT_MET'],
    ['one of two signatures', under([x, y], 2), role([x], { f: file() }), 'THRESHOLD_NOT_MET'],
    ['expired', under([x]), role([x], { f: file() }, [], [], { expires: EARLIER }), 'EXPIRED'],
    ['a root file', under([x]), { by: [x], json: { ...rootJson(1) } }, 'ROLE_TYPE_WRONG'],
    ['targets null', under([x]), role([x], {}, [], [], { targets: null }), 'FORMAT_INVALID'],
  ])('%s', (_, targets, r, code) => {
    const state = open(targets, { r });
    expect(codeOf(() => look(state, 'f'))).toBe(code);
    expect(world.disk.has('r.json')).toBe(false);
    expect(state.memo.has('r')).toBe(false);
  });

  test('two of two signatures', () => {
    const state = open(under([x, y], 2), { r: role([y, x], { f: file() }) });
    expect(trailOf(state, 'f')).toBe('targets > r');
  });

  test('a role that the snapshot does not list is not asked for', () => {
    const state = open(under([x]));
    expect(codeOf(() => look(state, 'f'))).toBe('ROLE_NOT_LISTED');
    expect(world.requests).toEqual([]);
  });

  test('a role that is listed and not there', () => {
    const state = open(under([x]), { r: role([x], {}) });
    world.served.delete('1.r.json');
    expect(codeOf(() => look(state, 'f'))).toBe('METADATA_MISSING');
  });

  test('A failure on the way ends the search: a later role does not speak instead', () => {
    const state = open(top({}, delegation('a', [x], ['f']), delegation('b', [x], ['f'])), {
      a: role([thief], {}),
      b: role([x], { f: file() }),
    });
    expect(codeOf(() => look(state, 'f'))).toBe('THRESHOLD_NOT_MET');
  });

  test('A7 another version of a role than the snapshot lists, when it lists versions only', () => {
    const state = open(under([x]), { r: role([x], { f: file() }) }, { hashes: false });
    world.served.set('1.r.json', fileBytes(targetsJson(2, { f: file() }), [x]));
    expect(codeOf(() => look(state, 'f'))).toBe('VERSION_MISMATCH');
    world.served.set('1.r.json', new Uint8Array(DEFAULT_LIMITS.targetsBytes + 1));
    expect(codeOf(() => look(state, 'f'))).toBe('LENGTH_EXCEEDED');
  });
});

describe('what was verified before', () => {
  const targets = top({}, delegation('r', [x], ['*']));

  test('is not asked for, nor its signatures checked, again', () => {
    const state = open(targets, { r: role([x], { f: file() }) });
    look(state, 'f');
    world.requests.length = 0;
    counter.checks = 0;
    expect(look(state, 'f')).toBeDefined();
    expect([world.requests.length, counter.checks]).toEqual([0, 0]);
  });

  test('is loaded from local state by another process, and its signatures are checked', () => {
    look(open(targets, { r: role([x], { f: file() }) }), 'f');
    const state = open(targets, { r: role([x], { f: file() }) });
    counter.checks = 0;
    expect(look(state, 'f')).toBeDefined();
    expect([world.requests.length, counter.checks]).toEqual([0, 1]);
  });

  test('a kept role that was tampered with is fetched again', () => {
    look(open(targets, { r: role([x], { f: file() }) }), 'f');
    world.disk.set('r.json', fileBytes(targetsJson(1, { f: file('evil') }), [thief]));
    const state = open(targets, { r: role([x], { f: file() }) });
    expect(look(state, 'f')?.target.hashes.get('sha256')).toBe(hexOf('sha256', Buffer.from('x')));
    expect(world.requests).toEqual(['1.r.json']);
  });

  test('a kept role is checked under the present delegator: keys taken away do not count', () => {
    const r = role([x], { f: file() });
    look(open(targets, { r }, { hashes: false }), 'f');
    const rotated = role(HOLDERS.targets, {}, [delegation('r', [y], ['*'])], [x, y], { version: 2 });
    const state = open(rotated, { r }, { version: 2, hashes: false });
    expect(codeOf(() => look(state, 'f'))).toBe('THRESHOLD_NOT_MET');
  });

  test('one role under two delegators with different keys: each time under the one it was reached from', () => {
    const state = open(top({}, delegation('a', [x], ['a/*']), delegation('b', [x], ['b/*'])), {
      a: role([x], {}, [delegation('shared', [y], ['a/*'])]),
      b: role([x], {}, [delegation('shared', [thief], ['b/*'])]),
      shared: role([y], { 'a/f': file(), 'b/f': file() }),
    });
    for (const _ of [1, 2]) {
      expect(trailOf(state, 'a/f')).toBe('targets > a > shared');
      expect(codeOf(() => look(state, 'b/f'))).toBe('THRESHOLD_NOT_MET');
    }
  });

  test('A12 an author who delegates to a role of another project’s name, with a mirror’s help: no cross-effect', () => {
    const delegations = top({}, delegation('victim', [x], ['v/*']), delegation('evil', [y], ['e/*']));
    const state = open(
      delegations,
      { victim: role([x], { 'v/f': file() }), evil: role([y], {}, [delegation('victim', [thief], ['e/*', 'v/*'])]) },
      { hashes: false },
    );
    const genuine = world.served.get('1.victim.json');
    expect(trailOf(state, 'v/f')).toBe('targets > victim');
    const forged = fileBytes(targetsJson(1, { 'e/f': file(), 'v/f': file('evil') }), [thief]);
    world.served.set('1.victim.json', forged);
    expect(trailOf(state, 'e/f')).toBe('targets > evil > victim');
    // What evil's keys vouch for counts where evil may speak, and nowhere else.
    expect(codeOf(() => look(state, 'v/f'))).toBe('THRESHOLD_NOT_MET');
    if (genuine !== undefined) world.served.set('1.victim.json', genuine);
    expect(look(state, 'v/f')?.target.hashes.get('sha256')).toBe(hexOf('sha256', Buffer.from('x')));
  });

  test('A5 a kept role that expires in the meantime', () => {
    const r = role([x], { f: file() }, [], [], { expires: '2030-02-01T00:00:00Z' });
    const state = open(targets, { r });
    expect(look(state, 'f')).toBeDefined();
    expect(codeOf(() => look(state, 'f', Date.UTC(2030, 1, 1)))).toBe('EXPIRED');
  });
});

describe('A5 a state is not believed for ever', () => {
  test.each([
    ['timestamp', { timestampMore: { expires: '2030-01-02T00:00:00Z' } }],
    ['snapshot', { snapshotMore: { expires: '2030-01-02T00:00:00Z' } }],
  ])('when its %s expires, nothing is found any more', (_, edition) => {
    const state = open(top({ 'd/a': file() }), {}, edition);
    const later = Date.UTC(2030, 0, 2);
    expect(look(state, 'd/a')).toBeDefined();
    expect(codeOf(() => look(state, 'd/a', later))).toBe('EXPIRED');
    expect(codeOf(() => driveSync(list(state, 'd', later), world.ports))).toBe('EXPIRED');
  });

  test('when its root expires', () => {
    const state = open(top({ 'd/a': file() }));
    expect(codeOf(() => look(state, 'd/a', Date.UTC(2031, 0, 1)))).toBe('EXPIRED');
  });
});

describe('§4.5 path_hash_prefixes', () => {
  const digest = hexOf('sha256', Buffer.from('f'));
  const bins = (...prefixes: readonly string[]): Members =>
    delegation('bin', [x], [], { paths: undefined, path_hash_prefixes: prefixes });

  test.each<[boolean, string, readonly string[]]>([
    [true, 'a prefix', [digest.slice(0, 3)]],
    [true, 'one of several', ['00000', digest.slice(0, 2)]],
    [true, 'in upper case', [digest.slice(0, 8).toUpperCase()]],
    [true, 'the whole digest', [digest]],
    [true, 'the empty prefix', ['']],
    [false, 'another prefix', [digest.slice(1, 4)]],
    [false, 'longer than the digest', [`${digest}0`]],
    [false, 'none', []],
    [false, 'base64 of the digest', [Buffer.from(digest, 'hex').toString('base64').slice(0, 4)]],
  ])('%s: %s', (want, _, prefixes) => {
    const state = open(top({}, bins(...prefixes)), { bin: role([x], { f: file() }) });
    expect(look(state, 'f') !== undefined).toBe(want);
  });
});

describe('TAP 15 succinct roles', () => {
  const succinct = (more: Members = {}): Role => {
    const roles = { keyids: [x.keyId], threshold: 1, bit_length: 4, name_prefix: 'bin', ...more };
    const delegations = { keys: keysOf([x]), succinct_roles: roles };
    return { by: HOLDERS.targets, json: targetsJson(1, { top: file() }, { delegations }) };
  };
  const bin = `bin-${hexOf('sha256', Buffer.from('d/f')).slice(0, 1)}`;

  test('the bin of the path is asked, and no other', () => {
    const state = open(succinct(), { [bin]: role([x], { 'd/f': file() }) });
    expect(trailOf(state, 'd/f')).toBe(`targets > ${bin}`);
    expect(world.requests).toEqual([`1.${bin}.json`]);
    expect(trailOf(state, 'top')).toBe('targets');
  });

  test('bins are checked by their keys and threshold', () => {
    expect(codeOf(() => look(open(succinct(), { [bin]: role([y], { 'd/f': file() }) }), 'd/f'))).toBe(
      'THRESHOLD_NOT_MET',
    );
  });

  test('a bin terminates', () => {
    const inner = succinct().json;
    const state = open(top({}, delegation('a', [x], ['d/*']), delegation('b', [x], ['d/*'])), {
      a: { by: [x], json: inner },
      [bin]: role([x], {}),
      b: role([x], { 'd/f': file() }),
    });
    expect(look(state, 'd/f')).toBeUndefined();
  });

  test('a listing passes them by, and says so', () => {
    const state = open(succinct(), { [bin]: role([x], { 'd/f': file() }) });
    expect(show(state, 'd')).toMatchObject({ complete: false });
    expect(show(state, 'd').found.size).toBe(0);
  });
});

interface Plan {
  readonly targets: readonly string[];
  readonly steps: readonly { readonly to: string; readonly paths: readonly string[]; readonly terminating: boolean }[];
}

describe('list', () => {
  test('the files directly inside a directory, with the roles that vouch for them', () => {
    const state = open(
      top({ 'd/top': file(), 'd/sub/x': file(), 'dx/y': file(), d: file() }, delegation('r', [x], ['d/*'])),
      { r: role([x], { 'd/a': file(), 'd/top': file('other'), 'e/b': file() }) },
    );
    const listing = show(state, 'd');
    expect(named(listing)).toEqual({ 'd/top': 'targets', 'd/a': 'targets > r' });
    expect(listing.found.get('d/top')?.target.hashes.get('sha256')).toBe(hexOf('sha256', Buffer.from('x')));
    expect(listing.complete).toBe(true);
    expect(listing.owners).toMatchObject([{ role: 'r', trail: ['targets', 'r'] }]);
    expect(listing.owners[0]?.content).toBe(state.memo.get('r')?.role.content);
  });

  test('nothing there', () => {
    expect(show(open(top({ a: file() })), 'd')).toEqual({ found: new Map(), owners: [], complete: true });
  });

  test('§5.6.7.2.1 a terminating delegation for the whole directory hides what comes after it', () => {
    const state = open(
      top({}, delegation('owner', [x], ['d/*'], { terminating: true }), delegation('rest', [y], ['*/*'])),
      {
        owner: role([x], { 'd/a': file() }),
        rest: role([y], { 'd/a': file('evil'), 'd/b': file('evil'), 'e/c': file() }),
      },
    );
    expect(named(show(state, 'd'))).toEqual({ 'd/a': 'targets > owner' });
    expect(named(show(state, 'e'))).toEqual({ 'e/c': 'targets > rest' });
  });

  test('a delegation for a part of the directory: each file is as find finds it', () => {
    const state = open(
      top({}, delegation('part', [x], ['d/a*'], { terminating: true }), delegation('rest', [y], ['d/*'])),
      {
        part: role([x], { 'd/a1': file(), 'd/b1': file('not theirs') }),
        rest: role([y], { 'd/a1': file('evil'), 'd/a2': file('evil'), 'd/b1': file(), 'd/b2': file() }),
      },
    );
    expect(named(show(state, 'd'))).toEqual({
      'd/a1': 'targets > part',
      'd/b1': 'targets > rest',
      'd/b2': 'targets > rest',
    });
  });

  test('owners: roles that were delegated exactly this directory, and no others', () => {
    const state = open(
      top(
        {},
        delegation('shard', [x], ['*/*']),
        delegation('one', [x], ['d/a']),
        delegation('some', [x], ['d/a*', 'e/*']),
        delegation('owner', [y], ['e/*', 'd/*'], { terminating: true }),
      ),
      {
        shard: role([x], {}),
        one: role([x], {}),
        some: role([x], {}),
        owner: role([y], {}, [delegation('owner.r.ci', [x], ['d/*'])]),
        'owner.r.ci': role([x], {}),
      },
    );
    expect(show(state, 'd').owners).toMatchObject([
      { role: 'owner', trail: ['targets', 'owner'] },
      { role: 'owner.r.ci', trail: ['targets', 'owner', 'owner.r.ci'] },
    ]);
    expect(show(state, 'e').owners.map(({ role: name }) => name)).toEqual(['some', 'owner']);
    expect(show(state, 'x').owners).toEqual([]);
  });

  test('names that find refuses are not listed', () => {
    const names = ['d/..', 'd/', 'd/.', 'd/a\\b', 'd/a\nb', `d/${'a'.repeat(256)}`];
    const listed = Object.fromEntries([...names, 'd/ok'].map((path) => [path, file()]));
    expect(named(show(open(top(listed)), 'd'))).toEqual({ 'd/ok': 'targets' });
  });

  test('a bin that comes first hides what comes after it, here as in find', () => {
    const bins = delegation('bin', [x], [], { paths: undefined, path_hash_prefixes: [''], terminating: true });
    const state = open(top({}, bins, delegation('rest', [y], ['d/*'])), {
      bin: role([x], { 'd/a': file() }),
      rest: role([y], { 'd/a': file('evil'), 'd/b': file('evil') }),
    });
    expect(look(state, 'd/b')).toBeUndefined();
    const listing = show(state, 'd');
    expect(named(listing)).toEqual({ 'd/a': 'targets > bin' });
    expect(listing.complete).toBe(false);
  });

  test('TAP 15 so does a succinct bin', () => {
    const roles = { keyids: [x.keyId], threshold: 1, bit_length: 1, name_prefix: 'bin' };
    const state = open(top({}, delegation('a', [x], ['d/*']), delegation('rest', [y], ['d/*'])), {
      a: { by: [x], json: targetsJson(1, {}, { delegations: { keys: keysOf([x]), succinct_roles: roles } }) },
      'bin-0': role([x], {}),
      'bin-1': role([x], {}),
      rest: role([y], { 'd/a': file('evil') }),
    });
    expect(named(show(state, 'd'))).toEqual({});
  });

  test('hash bins are passed by, and it says so', () => {
    const bins = delegation('bin', [x], [], { paths: undefined, path_hash_prefixes: [''] });
    const state = open(top({ 'd/a': file() }, bins), { bin: role([x], { 'd/b': file() }) });
    const listing = show(state, 'd');
    expect(named(listing)).toEqual({ 'd/a': 'targets' });
    expect(listing.complete).toBe(false);
    expect(world.requests).toEqual([]);
  });

  test('a failure on the way ends it', () => {
    const state = open(top({ 'd/a': file() }, delegation('r', [x], ['d/*'])), { r: role([thief], {}) });
    expect(codeOf(() => show(state, 'd'))).toBe('THRESHOLD_NOT_MET');
  });

  test('shows exactly what find finds, in any graph of delegations of whole directories', () => {
    const paths = ['d/a', 'd/b', 'd/ab'];
    const targets = fc.uniqueArray(fc.constantFrom(...paths, 'e/a'), { maxLength: 2 });
    const step = fc.record({
      to: fc.constantFrom('r0', 'r1', 'r2', 'r3'),
      paths: fc.uniqueArray(fc.constantFrom('d/*', '*/*', '?/*', 'e/*', 'x/y'), { maxLength: 2 }),
      terminating: fc.boolean(),
    });
    const one = fc.record({ targets, steps: fc.uniqueArray(step, { maxLength: 3, selector: ({ to }) => to }) });
    const graph = fc.tuple(one, one, one, one, one);
    const build = (by: readonly TestSigner[], name: string, { targets: own, steps }: Plan): Role => {
      const listed = Object.fromEntries(own.map((path) => [path, file(`${name} ${path}`)]));
      return role(
        by,
        listed,
        steps.map(({ to, paths: of, terminating }) => delegation(to, [x], of, { terminating })),
      );
    };
    fc.assert(
      fc.property(graph, ([first, ...rest]) => {
        world = emptyWorld();
        const roles = Object.fromEntries(rest.map((r, i) => [`r${i}`, build([x], `r${i}`, r)]));
        const state = open(build(HOLDERS.targets, 'targets', first), roles);
        const want: Record<string, string> = {};
        for (const path of paths) {
          const trail = trailOf(state, path);
          if (trail !== undefined) want[path] = trail;
        }
        expect(named(show(state, 'd'))).toEqual(want);
      }),
      { numRuns: 300 },
    );
  });
});
