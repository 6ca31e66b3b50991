import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  codeOf,
  delegation,
  HOLDERS,
  keysOf,
  type Members,
  rootJson,
  signer,
  snapshotJson,
  targetOf,
  targetsJson,
  timestampJson,
} from '../test/world.ts';
import { utf8 } from './bytes.ts';
import { objectOf, plainOf } from './canonical.ts';
import { openEnvelope } from './envelope.ts';
import { MetadataError } from './errors.ts';
import type { JsonObject } from './json.ts';
import { readRoot, readSnapshot, readTargets, readTimestamp, type Signed, strongHashes, succinctBin } from './model.ts';

const root = (more: Members = {}): ReturnType<typeof readRoot> => readRoot(objectOf(rootJson(3, HOLDERS, more)));
const timestamp = (more: Members = {}): ReturnType<typeof readTimestamp> =>
  readTimestamp(objectOf(timestampJson(4, { version: 7 }, more)));
const snapshot = (meta: Members, more: Members = {}): ReturnType<typeof readSnapshot> =>
  readSnapshot(objectOf(snapshotJson(5, meta, more)));
const targets = (listed: Members = {}, more: Members = {}): ReturnType<typeof readTargets> =>
  readTargets(objectOf(targetsJson(6, listed, more)), 'project');

describe('§4.3 what every role has', () => {
  const readers: readonly (readonly [string, (more: Members) => Signed])[] = [
    ['root', (more) => root(more)],
    ['timestamp', (more) => timestamp(more)],
    ['snapshot', (more) => snapshot({ 'targets.json': { version: 1 } }, more)],
    ['targets', (more) => targets({}, more)],
  ];
  describe.each(readers)('%s', (type, read) => {
    test('is read, with members we do not know', () => {
      const signed = read({ 'x-new': [1], spec_version: '1.9' });
      expect(signed).toMatchObject({ type, expires: Date.UTC(2031, 0, 1) });
      expect(signed.json.get('x-new')).toEqual([1]);
    });

    test.each<[string, string, Members]>([
      ['ROLE_TYPE_WRONG', 'another type', { _type: type === 'root' ? 'targets' : 'root' }],
      ['ROLE_TYPE_WRONG', 'type in capitals', { _type: type.toUpperCase() }],
      ['FORMAT_INVALID', 'no type', { _type: undefined }],
      ['FORMAT_INVALID', 'type null', { _type: null }],
      ['SPEC_VERSION_UNSUPPORTED', 'spec 2', { spec_version: '2.0.0' }],
      ['SPEC_VERSION_UNSUPPORTED', 'spec 0.9', { spec_version: '0.9.0' }],
      ['SPEC_VERSION_UNSUPPORTED', 'spec 10', { spec_version: '10.0.0' }],
      ['SPEC_VERSION_UNSUPPORTED', 'spec 1', { spec_version: '1' }],
      ['SPEC_VERSION_UNSUPPORTED', 'spec with a newline', { spec_version: '1.0.0\n' }],
      ['FORMAT_INVALID', 'spec a number', { spec_version: 1 }],
      ['FORMAT_INVALID', 'no spec', { spec_version: undefined }],
      ['FORMAT_INVALID', 'version 0', { version: 0 }],
      ['FORMAT_INVALID', 'version negative', { version: -1 }],
      ['FORMAT_INVALID', 'version a string', { version: '1' }],
      ['FORMAT_INVALID', 'version null', { version: null }],
      ['FORMAT_INVALID', 'no version', { version: undefined }],
      ['FORMAT_INVALID', 'no expiry', { expires: undefined }],
      ['FORMAT_INVALID', 'expiry null', { expires: null }],
      ['FORMAT_INVALID', 'an expiry that is no time', { expires: '2030-02-30T00:00:00Z' }],
      ['FORMAT_INVALID', 'an expiry with an offset', { expires: '2030-01-01T00:00:00+02:00' }],
    ])('%s: %s', (code, _, more) => {
      expect(codeOf(() => read(more))).toBe(code);
    });
  });

  test('values from outside are cut before they go into `detail`', () => {
    try {
      root({ _type: 'x'.repeat(1000) });
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(MetadataError);
      expect(error).toMatchObject({ detail: { want: 'root', got: 'x'.repeat(40) } });
    }
  });
});

describe('§4.3 root', () => {
  test('is read', () => {
    const read = root();
    expect(read).toMatchObject({ version: 3, consistentSnapshot: true });
    expect([...read.roles.keys()]).toEqual(['root', 'timestamp', 'snapshot', 'targets']);
    expect(read.roles.get('timestamp')).toMatchObject({ keyIds: [signer('timestamp').keyId], threshold: 1 });
    expect(read.keys.get(signer('root').keyId)?.public).toBe(signer('root').key.public);
  });

  test('§6.2.1 consistent_snapshot left out means that it is not', () => {
    expect(root({ consistent_snapshot: undefined }).consistentSnapshot).toBe(false);
    expect(root({ consistent_snapshot: false }).consistentSnapshot).toBe(false);
  });

  test('a `mirrors` role and unknown roles are passed over', () => {
    const roles = { ...(rootJson(1)['roles'] as Members), mirrors: { keyids: [], threshold: 1 }, 'x-other': null };
    expect(root({ roles }).roles.size).toBe(4);
  });

  const role = (more: Members): Members => ({
    roles: { ...(rootJson(1)['roles'] as Members), targets: { keyids: ['a'], threshold: 1, ...more } },
  });
  const without = (name: string): Members => ({ roles: { ...(rootJson(1)['roles'] as Members), [name]: undefined } });
  test.each<[string, Members]>([
    ['consistent_snapshot null', { consistent_snapshot: null }],
    ['consistent_snapshot a string', { consistent_snapshot: 'true' }],
    ['no keys', { keys: undefined }],
    ['keys an array', { keys: [] }],
    ['a key null', { keys: { a: null } }],
    ['a key without scheme', { keys: { a: { keytype: 'rsa', keyval: { public: '' } } } }],
    ['no roles', { roles: undefined }],
    ['roles null', { roles: null }],
    ['no root role', without('root')],
    ['no timestamp role', without('timestamp')],
    ['no snapshot role', without('snapshot')],
    ['no targets role', without('targets')],
    ['a role null', { roles: { ...(rootJson(1)['roles'] as Members), targets: null } }],
    ['a role without key ids', role({ keyids: undefined })],
    ['key ids null', role({ keyids: null })],
    ['a key id that is a number', role({ keyids: ['a', 1] })],
    ['a key id twice', role({ keyids: ['a', 'b', 'a'] })],
    ['threshold 0', role({ threshold: 0 })],
    ['threshold negative', role({ threshold: -1 })],
    ['threshold a string', role({ threshold: '1' })],
    ['no threshold', role({ threshold: undefined })],
  ])('FORMAT_INVALID: %s', (_, more) => {
    expect(codeOf(() => root(more))).toBe('FORMAT_INVALID');
  });
});

describe('§4.6 timestamp', () => {
  test('is read, with and without length and hashes', () => {
    expect(timestamp().snapshot).toMatchObject({ version: 7, length: undefined, hashes: undefined });
    const listed = { version: 7, length: 0, hashes: { sha256: 'AB'.repeat(32), 'x-other': 'Any Text' } };
    const { snapshot: read } = timestamp({ meta: { 'snapshot.json': listed } });
    expect(read).toMatchObject({ version: 7, length: 0 });
    expect(read.hashes?.get('sha256')).toBe('ab'.repeat(32));
  });

  const meta = (more: Members): Members => ({ meta: { 'snapshot.json': { version: 1, ...more } } });
  test.each<[string, Members]>([
    ['no meta', { meta: undefined }],
    ['meta null', { meta: null }],
    ['meta empty', { meta: {} }],
    ['another file only', { meta: { 'root.json': { version: 1 } } }],
    ['a second file', { meta: { 'snapshot.json': { version: 1 }, 'root.json': { version: 1 } } }],
    ['an entry null', { meta: { 'snapshot.json': null } }],
    ['no version', meta({ version: undefined })],
    ['version 0', meta({ version: 0 })],
    ['length negative', meta({ length: -1 })],
    ['length null', meta({ length: null })],
    ['hashes null', meta({ hashes: null })],
    ['hashes empty', meta({ hashes: {} })],
    ['a hash that is a number', meta({ hashes: { sha256: 1 } })],
    ['a hash that is a way out of the folder', meta({ hashes: { sha256: `../${'a'.repeat(61)}` } })],
    ['a sha256 of 63 digits', meta({ hashes: { sha256: 'a'.repeat(63) } })],
    ['a sha256 of 64 digits with a newline', meta({ hashes: { sha256: `${'a'.repeat(64)}\n` } })],
    ['a sha512 as long as a sha256', meta({ hashes: { sha512: 'a'.repeat(64) } })],
    ['an empty sha256', meta({ hashes: { sha256: '' } })],
  ])('FORMAT_INVALID: %s', (_, more) => {
    expect(codeOf(() => timestamp(more))).toBe('FORMAT_INVALID');
  });
});

describe('§4.4 snapshot', () => {
  test('is read by role name, whatever the names', () => {
    const names = ['targets', '__proto__', 'constructor', '10', '../x', 'a/b', '?', '#', 'a.json', 'ümläut'];
    const meta = new Map(names.map((name, i) => [`${name}.json`, objectOf({ version: i + 1 })]));
    const read = readSnapshot(new Map([...objectOf(snapshotJson(1, {})), ['meta', meta]]));
    expect([...read.meta].map(([name, { version }]) => [name, version])).toEqual(names.map((name, i) => [name, i + 1]));
  });

  test.each<[string, Members]>([
    ['targets.json missing', {}],
    ['targets.json under another name', { targets: { version: 1 } }],
    ['a name that does not end in .json', { 'targets.json': { version: 1 }, 'other.txt': { version: 1 } }],
    ['an entry null', { 'targets.json': null }],
    ['a version that is a string', { 'targets.json': { version: '1' } }],
  ])('FORMAT_INVALID: %s', (_, meta) => {
    expect(codeOf(() => snapshot(meta))).toBe('FORMAT_INVALID');
  });

  test('FORMAT_INVALID: meta null', () => {
    expect(codeOf(() => snapshot({}, { meta: null }))).toBe('FORMAT_INVALID');
  });
});

describe('§4.5 targets', () => {
  test('target files are read, whatever their names', () => {
    const listed = new Map([
      ['__proto__', objectOf(targetOf('x', { npm: { version: '1.0.0' } }))],
      ['../x', objectOf({ length: 0, hashes: { 'x-new': 'text' } })],
    ]);
    const read = readTargets(new Map([...objectOf(targetsJson(1)), ['targets', objectOf(listed)]]), 'project');
    expect([...read.targets.keys()]).toEqual(['__proto__', '../x']);
    expect(read.targets.get('__proto__')).toMatchObject({
      path: '__proto__',
      length: 1,
      custom: objectOf({ npm: { version: '1.0.0' } }),
    });
    expect(read.targets.get('../x')).toMatchObject({
      path: '../x',
      length: 0,
      hashes: new Map([['x-new', 'text']]),
      custom: undefined,
    });
    expect(read.delegations).toBeUndefined();
  });

  test('§4.5 no targets at all is allowed', () => {
    expect(targets().targets.size).toBe(0);
  });

  const good = targetOf('x');
  test.each<[string, Members]>([
    ['a target null', { a: null }],
    ['no length', { a: { ...good, length: undefined } }],
    ['length negative', { a: { ...good, length: -1 } }],
    ['length a string', { a: { ...good, length: '1' } }],
    ['no hashes', { a: { ...good, hashes: undefined } }],
    ['hashes empty', { a: { ...good, hashes: {} } }],
    ['hashes an array', { a: { ...good, hashes: ['sha256'] } }],
    ['custom null', { a: { ...good, custom: null } }],
    ['custom an array', { a: { ...good, custom: [] } }],
    ['custom a string', { a: { ...good, custom: 'x' } }],
  ])('FORMAT_INVALID: %s', (_, listed) => {
    expect(codeOf(() => targets(listed))).toBe('FORMAT_INVALID');
  });

  test.each<[string, Members]>([
    ['no targets member', { targets: undefined }],
    ['targets null', { targets: null }],
    ['delegations null', { delegations: null }],
    ['delegations an array', { delegations: [] }],
  ])('FORMAT_INVALID: %s', (_, more) => {
    expect(codeOf(() => targets({}, more))).toBe('FORMAT_INVALID');
  });
});

describe('§4.4, §4.5 large files are judged whole, and built when asked for', () => {
  const SHA256 = 'a1'.repeat(32);
  const SHA512 = 'b2'.repeat(64);
  const members = (count: number, text: (i: number) => string): string =>
    Array.from({ length: count }, (_, i) => text(i)).join(',');
  const fileNamed = (i: number): string => `f${String(i).padStart(2, '0')}`;
  const signedOf = (type: string, member: string): JsonObject =>
    openEnvelope(
      utf8(
        `{"signatures":[],"signed":{"_type":"${type}","expires":"2031-01-01T00:00:00Z",${member},"spec_version":"1.0.34","version":1}}`,
      ),
      type,
    ).signed;
  const targetsWith = (last: string): ReturnType<typeof readTargets> => {
    const plain = (i: number): string => `"${fileNamed(i)}":{"hashes":{"sha256":"${SHA256}"},"length":${i}}`;
    return readTargets(signedOf('targets', `"targets":{${members(20, plain)},"last":${last}}`), 'project');
  };
  const snapshotWith = (last: string): ReturnType<typeof readSnapshot> => {
    const plain = (i: number): string => `"${fileNamed(i)}.json":{"version":${i + 1}}`;
    return readSnapshot(
      signedOf('snapshot', `"meta":{${members(20, plain)},"last.json":${last},"targets.json":{"version":1}}`),
    );
  };

  test.each([
    `{"hashes":{"sha256":"${SHA256}"},"length":0}`,
    `{"hashes":{"sha256":"${SHA256}","sha512":"${SHA512}"},"length":123456789012345}`,
    `{"custom":{"x":[1]},"hashes":{"sha512":"${SHA512}"},"length":9007199254740991}`,
    `{"hashes":{"md5":"x","sha256":"${SHA256.toUpperCase()}"},"length":7,"x-new":1}`,
    `{ "length": 7, "hashes": { "sha256": "${SHA256}" } }`,
  ])('a target: %s', (text) => {
    const want = readTargets(objectOf(targetsJson(6, { last: JSON.parse(text) })), 'project').targets.get('last');
    const { targets } = targetsWith(text);
    expect({ ...targets.get('last'), json: undefined }).toEqual({ ...want, json: undefined });
    expect(targets.size).toBe(21);
    expect(targets.get('f19')).toEqual({
      path: 'f19',
      length: 19,
      hashes: new Map([['sha256', SHA256]]),
      custom: undefined,
      json: objectOf({ hashes: { sha256: SHA256 }, length: 19 }),
    });
  });

  test.each([
    ['of the other kind of file', '{"version":1}'],
    ['without hashes', '{"length":1}'],
    ['with an empty list of hashes', '{"hashes":{},"length":1}'],
    ['with a short digest', `{"hashes":{"sha256":"${SHA256.slice(1)}"},"length":1}`],
    ['with a digest that is not hexadecimal', `{"hashes":{"sha256":"${SHA256.slice(1)}g"},"length":1}`],
    ['with a negative length', `{"hashes":{"sha256":"${SHA256}"},"length":-1}`],
    ['with a custom that is no object', `{"custom":1,"hashes":{"sha256":"${SHA256}"},"length":1}`],
    ['that is null', 'null'],
    ['that is a number', '1'],
  ])('a target %s is refused at once', (_, text) => {
    expect(codeOf(() => targetsWith(text))).toBe('FORMAT_INVALID');
  });

  test.each(['01', '1.0', '9007199254740993', '1e2', '-0'])('a length of %s is refused at once', (length) => {
    expect(codeOf(() => targetsWith(`{"hashes":{"sha256":"${SHA256}"},"length":${length}}`))).toBe('JSON_INVALID');
  });

  test.each([
    '{"version":123456789012345}',
    '{"length":0,"version":2}',
    `{"hashes":{"sha256":"${SHA256}"},"version":3}`,
    `{"hashes":{"sha256":"${SHA256}","sha512":"${SHA512}"},"length":5,"version":4}`,
    '{"version":9007199254740991,"x-new":{}}',
    '{ "version": 5 }',
  ])('a listed file: %s', (text) => {
    const want = snapshot({ 'targets.json': { version: 1 }, 'last.json': JSON.parse(text) }).meta.get('last');
    const { meta } = snapshotWith(text);
    expect({ ...meta.get('last'), json: undefined }).toEqual({ ...want, json: undefined });
    expect([meta.size, meta.has('f19'), meta.has('f19.json'), meta.get('nobody')]).toEqual([
      22,
      true,
      false,
      undefined,
    ]);
    expect([...meta.keys()]).toEqual([...meta].map(([role]) => role));
    expect([...meta.values()].at(19)).toMatchObject({ version: 20, length: undefined, hashes: undefined });
  });

  test.each([
    ['of the other kind of file', `{"hashes":{"sha256":"${SHA256}"},"length":1}`],
    ['of version 0', '{"version":0}'],
    ['with an empty list of hashes', '{"hashes":{},"version":1}'],
    ['that is null', 'null'],
  ])('a listed file %s is refused at once', (_, text) => {
    expect(codeOf(() => snapshotWith(text))).toBe('FORMAT_INVALID');
  });

  test('a file name that does not end in .json is refused at once', () => {
    expect(codeOf(() => snapshotWith('{"version":1},"other":{"version":1}'))).toBe('FORMAT_INVALID');
  });
});

describe('§4.5 delegations', () => {
  const author = signer('author');
  const delegations = (...roles: readonly Members[]): ReturnType<typeof readTargets>['delegations'] =>
    targets({}, { delegations: { keys: keysOf([author]), roles } }).delegations;
  const one = delegation('project', [author], ['a/*']);

  test('are read, in order of appearance', () => {
    const bins = { ...one, name: 'bins', paths: undefined, path_hash_prefixes: ['0A', ''], terminating: true };
    const read = delegations(one, { ...bins, terminating: true }, { ...one, name: 'last', terminating: undefined });
    expect(read?.roles).toMatchObject([
      {
        name: 'project',
        keyIds: [author.keyId],
        threshold: 1,
        terminating: false,
        paths: { by: 'pattern', patterns: ['a/*'] },
      },
      {
        name: 'bins',
        keyIds: [author.keyId],
        threshold: 1,
        terminating: true,
        paths: { by: 'hash-prefix', prefixes: ['0a', ''] },
      },
      { name: 'last', terminating: false },
    ]);
    expect(read?.succinct).toBeUndefined();
    expect(read?.keys.get(author.keyId)?.verification).toBeDefined();
  });

  test('a role name as long as a file name may be', () => {
    expect(delegations({ ...one, name: 'a'.repeat(235) })?.roles[0]?.name).toHaveLength(235);
  });

  test('A13 patterns are kept as they are: everything but * and ? is literal', () => {
    expect(delegations({ ...one, paths: ['!a', '[a]', '{a,b}', '#'] })?.roles[0]?.paths).toEqual({
      by: 'pattern',
      patterns: ['!a', '[a]', '{a,b}', '#'],
    });
  });

  test.each<[string, readonly Members[]]>([
    ['a role name twice', [one, { ...one, paths: ['b'] }]],
    ['a role without name', [{ ...one, name: undefined }]],
    ['a role with an empty name', [{ ...one, name: '' }]],
    ['a role whose name is too long for a file', [{ ...one, name: 'a'.repeat(236) }]],
    ['a role whose name is too long when encoded', [{ ...one, name: '€'.repeat(27) }]],
    ['a role called root', [{ ...one, name: 'root' }]],
    ['a role called timestamp', [{ ...one, name: 'timestamp' }]],
    ['a role called snapshot', [{ ...one, name: 'snapshot' }]],
    ['a role called targets', [{ ...one, name: 'targets' }]],
    ['no key ids', [{ ...one, keyids: undefined }]],
    ['a key id twice', [{ ...one, keyids: ['a', 'a'] }]],
    ['threshold 0', [{ ...one, threshold: 0 }]],
    ['terminating null', [{ ...one, terminating: null }]],
    ['terminating a number', [{ ...one, terminating: 1 }]],
    ['neither paths nor prefixes', [{ ...one, paths: undefined }]],
    ['both paths and prefixes', [{ ...one, path_hash_prefixes: ['00'] }]],
    ['paths null', [{ ...one, paths: null }]],
    ['paths a string', [{ ...one, paths: 'a/*' }]],
    ['a path segment of 256', [{ ...one, paths: ['a', 'a'.repeat(256)] }]],
    ['a path of more than 1,024', [{ ...one, paths: ['*/'.repeat(513)] }]],
    ['a path null', [{ ...one, paths: ['a', null] }]],
    ['a prefix that is a number', [{ ...one, paths: undefined, path_hash_prefixes: [0] }]],
  ])('FORMAT_INVALID: %s', (_, roles) => {
    expect(codeOf(() => delegations(...roles))).toBe('FORMAT_INVALID');
  });

  test.each<[string, Members]>([
    ['no keys', { roles: [] }],
    ['no roles', { keys: {} }],
    ['roles an object', { keys: {}, roles: {} }],
    ['a role null', { keys: {}, roles: [null] }],
  ])('FORMAT_INVALID: %s', (_, json) => {
    expect(codeOf(() => targets({}, { delegations: json }))).toBe('FORMAT_INVALID');
  });
});

describe('TAP 15 succinct roles', () => {
  const author = signer('author');
  const bins = { keyids: [author.keyId], threshold: 1, bit_length: 8, name_prefix: 'bin' };
  const read = (more: Members = {}, beside: Members = {}): ReturnType<typeof readTargets>['delegations'] =>
    targets({}, { delegations: { keys: {}, succinct_roles: { ...bins, ...more }, ...beside } }).delegations;

  test('are read', () => {
    expect(read()?.succinct).toMatchObject({ keyIds: [author.keyId], threshold: 1, bitLength: 8, namePrefix: 'bin' });
    expect(read()?.roles).toEqual([]);
    expect(read({ bit_length: 32 })?.succinct?.bitLength).toBe(32);
  });

  test.each<[string, Members, Members]>([
    ['beside roles', {}, { roles: [] }],
    ['null', {}, { succinct_roles: null }],
    ['bit_length 0', { bit_length: 0 }, {}],
    ['bit_length 33', { bit_length: 33 }, {}],
    ['no bit_length', { bit_length: undefined }, {}],
    ['no name_prefix', { name_prefix: undefined }, {}],
    ['no key ids', { keyids: undefined }, {}],
    ['threshold 0', { threshold: 0 }, {}],
  ])('FORMAT_INVALID: %s', (_, more, beside) => {
    expect(codeOf(() => read(more, beside))).toBe('FORMAT_INVALID');
  });

  test.each([
    [1, [0x7f], 'bin-0'],
    [1, [0x80], 'bin-1'],
    [4, [0xab], 'bin-a'],
    [5, [0xf8], 'bin-1f'],
    [8, [0x05], 'bin-05'],
    [9, [0x01, 0x80], 'bin-003'],
    [14, [0xff, 0xff], 'bin-3fff'],
    [32, [0x01, 0x23, 0x45, 0xff], 'bin-012345ff'],
    [32, [0xff, 0xff, 0xff, 0xff], 'bin-ffffffff'],
    [8, [], 'bin-00'],
  ])('%i leading bits choose the bin', (bitLength, digest, name) => {
    const roles = { keyIds: [], threshold: 1, bitLength, namePrefix: 'bin' };
    expect(succinctBin(roles, new Uint8Array(digest))).toBe(name);
  });
});

describe('strongHashes', () => {
  test('both known ones, and no others', () => {
    const hashes = new Map([
      ['md5', '00'],
      ['sha512', 'aa'],
      ['sha256', 'bb'],
    ]);
    expect([...strongHashes(hashes, 'x')]).toEqual([
      ['sha256', 'bb'],
      ['sha512', 'aa'],
    ]);
    expect([...strongHashes(new Map([['sha512', 'aa']]), 'x').keys()]).toEqual(['sha512']);
  });

  test.each([['md5'], ['SHA256'], ['sha1'], ['blake2b-256'], ['constructor']])('only %s: HASH_UNSUPPORTED', (name) => {
    expect(codeOf(() => strongHashes(new Map([[name, 'aa']]), 'x'))).toBe('HASH_UNSUPPORTED');
  });
});

describe('whatever is inside, a reader reads it or refuses it with a code', () => {
  const author = signer('author');
  const full = targetsJson(
    1,
    { a: targetOf('a', { x: 1 }) },
    {
      delegations: { keys: keysOf([author]), roles: [delegation('r', [author], ['a/*'])] },
    },
  );
  const good: readonly Members[] = [
    rootJson(1),
    timestampJson(1, { version: 1, length: 1, hashes: { sha256: 'ab'.repeat(32) } }),
    snapshotJson(1, { 'targets.json': { version: 1 } }),
    full,
    targetsJson(
      1,
      {},
      { delegations: { keys: {}, succinct_roles: { bit_length: 3, name_prefix: 'b', keyids: [], threshold: 1 } } },
    ),
  ];
  const readers = [readRoot, readTimestamp, readSnapshot, (json: JsonObject) => readTargets(json, 'x')];

  /** All places in a tree, as functions that put something else there. */
  const places = (tree: unknown): readonly ((other: unknown) => unknown)[] => {
    if (tree === null || typeof tree !== 'object') return [];
    return Object.entries(tree).flatMap(([name, member]) => {
      const put = (other: unknown): unknown =>
        Array.isArray(tree) ? tree.map((item, i) => (String(i) === name ? other : item)) : { ...tree, [name]: other };
      return [put, ...places(member).map((inside) => (other: unknown) => put(inside(other)))];
    });
  };
  const trees = good.flatMap((json) => places(plainOf(objectOf(json))));

  test('with anything in any one place', () => {
    expect(trees.length).toBeGreaterThan(90);
    const odd = fc.oneof(
      fc
        .jsonValue({ maxDepth: 2 })
        .map((json) =>
          JSON.parse(JSON.stringify(json, (_, v: unknown) => (typeof v === 'number' ? Math.trunc(v % 1e9) + 0 : v))),
        ),
      fc.constantFrom(
        undefined,
        null,
        -1,
        0,
        Number.MAX_SAFE_INTEGER,
        '',
        '\0',
        'constructor',
        [],
        {},
        [null],
        ['a', 'a'],
      ),
    );
    fc.assert(
      fc.property(fc.constantFrom(...trees), odd, fc.constantFrom(...readers), (put, other, read) => {
        const json = objectOf(put(other) as Members);
        const code = codeOf(() => read(json));
        expect([undefined, 'FORMAT_INVALID', 'ROLE_TYPE_WRONG', 'SPEC_VERSION_UNSUPPORTED']).toContain(code);
      }),
      { numRuns: 3000 },
    );
  });
});
