import { describe, expect, test } from 'vitest';
import {
  codeOf,
  crypto,
  delegation,
  fileBytes,
  HOLDERS,
  keysOf,
  type Members,
  NOW,
  rootJson,
  signer,
  snapshotJson,
  targetOf,
  targetsJson,
  timestampJson,
} from '../test/world.ts';
import { utf8Text } from './bytes.ts';
import { canonicalBytes, objectOf, plainOf } from './canonical.ts';
import { driveCrypto } from './drive.ts';
import { editRoot, editSnapshot, editTargets, editTimestamp, fileOf, signFile } from './edit.ts';
import { openEnvelope } from './envelope.ts';
import { SignerError } from './errors.ts';
import type { JsonObject } from './json.ts';
import { readRoot, readSnapshot, readTargets, readTimestamp, type TargetFile } from './model.ts';
import { verify } from './threshold.ts';
import { days } from './time.ts';
import { topLevelAuthority } from './trusted.ts';

const expires = NOW + days(1);
const EXPIRES = '2030-01-02T00:00:00Z';
const plain = (json: JsonObject): Record<string, unknown> => plainOf(json) as Record<string, unknown>;
const literal = (json: Members): Record<string, unknown> => plain(objectOf(json));

describe('§6.2 the first version of each role', () => {
  const root = readRoot(objectOf(rootJson(1)));

  test('root', () => {
    const first = editRoot(undefined, { expires, keys: root.keys, roles: root.roles });
    expect(plain(first)).toEqual({ ...literal(rootJson(1)), expires: EXPIRES });
    expect(readRoot(first).consistentSnapshot).toBe(true);
    expect(readRoot(editRoot(undefined, { expires, roles: root.roles })).keys.size).toBe(0);
  });

  test('root without one of its roles: USAGE_INVALID', () => {
    const roles = new Map([...root.roles].filter(([role]) => role !== 'snapshot'));
    expect(codeOf(() => editRoot(undefined, { expires, roles }))).toBe('USAGE_INVALID');
    expect(codeOf(() => editRoot(undefined, { expires }))).toBe('USAGE_INVALID');
  });

  test('timestamp, snapshot and targets', () => {
    const meta = { version: 3, length: 5, hashes: new Map([['sha256', 'ab'.repeat(32)]]) };
    const bare = { version: 1, length: undefined, hashes: undefined };
    const listed = { version: 3, length: 5, hashes: { sha256: 'ab'.repeat(32) } };
    expect(plain(editTimestamp(undefined, { expires, snapshot: meta }))).toEqual(
      literal(timestampJson(1, listed, { expires: EXPIRES })),
    );
    expect(plain(editSnapshot(undefined, { expires, set: new Map([['targets', bare]]) }))).toEqual(
      literal(snapshotJson(1, { 'targets.json': { version: 1 } }, { expires: EXPIRES })),
    );
    expect(plain(editTargets(undefined, { expires }))).toEqual(literal(targetsJson(1, {}, { expires: EXPIRES })));
  });
});

describe('§6.2 the next version', () => {
  const unknown: Members = { 'x-new': { kept: [1] }, custom: { npm: { 'dist-tags': { latest: '1.0.0' } } } };

  test('version + 1, the new expiry, our specification version; unknown members are carried over (§4/2)', () => {
    const old = { ...unknown, spec_version: '1.0.19' };
    const next = plain(editRoot(readRoot(objectOf(rootJson(41, HOLDERS, old))), { expires }));
    expect(next).toEqual({ ...literal(rootJson(42)), ...literal(unknown), expires: EXPIRES });
    const stamp = readTimestamp(objectOf(timestampJson(7, { version: 1 }, old)));
    const snapshot = { version: 2, length: undefined, hashes: undefined };
    expect(plain(editTimestamp(stamp, { expires, snapshot }))).toEqual(
      literal(timestampJson(8, { version: 2 }, { ...unknown, expires: EXPIRES })),
    );
  });

  test('§4/2 unknown members deep inside are carried over, and roles that are not top-level', () => {
    const x: Members = { 'x-new': [{ y: null }] };
    const author = signer('author');
    const roles = rootJson(1)['roles'] as Members;
    const more = {
      roles: { ...roles, mirrors: { keyids: [], threshold: 1 }, targets: { ...(roles['targets'] as Members), ...x } },
    };
    const root = rootJson(1, HOLDERS, more);
    expect(plain(editRoot(readRoot(objectOf(root)), { expires }))).toEqual(
      literal({ ...root, version: 2, expires: EXPIRES }),
    );
    const delegations = { keys: keysOf([author]), roles: [delegation('one', [author], ['a/*'], x)], ...x };
    const targets = targetsJson(1, { a: { ...targetOf('a'), ...x } }, { delegations });
    expect(plain(editTargets(readTargets(objectOf(targets), 'x'), { expires }))).toEqual(
      literal({ ...targets, version: 2, expires: EXPIRES }),
    );
    const snapshot = snapshotJson(1, { 'targets.json': { version: 1, ...x } });
    expect(plain(editSnapshot(readSnapshot(objectOf(snapshot)), { expires, set: new Map() }))).toEqual(
      literal({ ...snapshot, version: 2, expires: EXPIRES }),
    );
    const bins = { keyids: ['a'], threshold: 1, bit_length: 8, name_prefix: 'bin', ...x };
    const succinct = targetsJson(1, {}, { delegations: { keys: {}, succinct_roles: bins, ...x } });
    expect(plain(editTargets(readTargets(objectOf(succinct), 'x'), { expires }))).toEqual(
      literal({ ...succinct, version: 2, expires: EXPIRES }),
    );
  });

  test('root: what is given replaces, what is left out stays', () => {
    const before = readRoot(objectOf(rootJson(1, HOLDERS, { consistent_snapshot: false })));
    const [key] = [signer('new')];
    const keys = new Map([[key.keyId, key.key]]);
    const roles = new Map(before.roles).set('targets', { keyIds: [key.keyId], threshold: 1 });
    expect(readRoot(editRoot(before, { expires })).consistentSnapshot).toBe(false);
    const next = readRoot(editRoot(before, { expires, keys, roles, consistentSnapshot: true }));
    expect([...next.keys.keys()]).toEqual([key.keyId]);
    expect(next.roles.get('targets')?.keyIds).toEqual([key.keyId]);
    expect(next.roles.get('root')).toEqual(before.roles.get('root'));
    expect(next.consistentSnapshot).toBe(true);
  });

  test('§5.5.5 snapshot: no role ever leaves; given ones are set', () => {
    const meta = { 'targets.json': { version: 1 }, 'a.json': { version: 5, length: 1, hashes: { 'x-h': 'Y' } } };
    const before = readSnapshot(objectOf(snapshotJson(3, meta)));
    const set = new Map([['targets', { version: 2, length: 9, hashes: undefined }]]);
    const next = plain(editSnapshot(before, { expires, set }));
    expect(next['meta']).toEqual({
      'a.json': { version: 5, length: 1, hashes: { 'x-h': 'y' } },
      'targets.json': { version: 2, length: 9 },
    });
    expect(next['version']).toBe(4);
  });

  test('targets: set, replace, remove; delegations and own members', () => {
    const author = signer('author');
    const roles = [
      delegation('one', [author], ['a/*'], { terminating: true }),
      delegation('two', [author], [], { paths: undefined, path_hash_prefixes: ['0a'] }),
    ];
    const delegations = { keys: keysOf([author]), roles };
    const listed = { a: targetOf('a'), b: targetOf('b', { x: 1 }), c: targetOf('c') };
    const before = readTargets(objectOf(targetsJson(1, listed, { ...unknown, delegations })), 'x');
    const file = (path: string, content: string): TargetFile => {
      const read = readTargets(objectOf(targetsJson(1, { [path]: targetOf(content) })), 'x').targets.get(path);
      return read ?? expect.unreachable();
    };
    const next = editTargets(before, {
      expires,
      remove: ['a', 'c', 'missing'],
      set: [file('c', 'new c'), file('d', 'd')],
      members: new Map([['custom', objectOf({ npm: 1 })]]),
    });
    expect(plain(next)).toEqual(
      literal(
        targetsJson(
          2,
          { b: targetOf('b', { x: 1 }), c: targetOf('new c'), d: targetOf('d') },
          { 'x-new': { kept: [1] }, custom: { npm: 1 }, delegations, expires: EXPIRES },
        ),
      ),
    );
    const read = readTargets(next, 'x');
    const none = { keys: new Map(), roles: [], succinct: undefined };
    expect(plain(editTargets(read, { expires, delegations: none }))['delegations']).toEqual({ keys: {}, roles: [] });
  });

  test('TAP 15 succinct roles are carried over', () => {
    const succinct = { keyids: ['a'], threshold: 1, bit_length: 8, name_prefix: 'bin' };
    const delegations = { keys: {}, succinct_roles: succinct };
    const before = readTargets(objectOf(targetsJson(1, {}, { delegations })), 'x');
    expect(plain(editTargets(before, { expires }))['delegations']).toEqual(literal(delegations));
  });

  test('own members cannot replace what an edit decides', () => {
    const members = new Map<string, string | number>([
      ['_type', 'root'],
      ['version', 99],
      ['targets', 'x'],
      ['expires', 'never'],
    ]);
    expect(plain(editTargets(undefined, { expires, members }))).toEqual(
      literal(targetsJson(1, {}, { expires: EXPIRES })),
    );
  });

  test('names that are traps for objects go through unharmed', () => {
    const names = ['__proto__', 'constructor', '10', '9'];
    const targets = objectOf(new Map(names.map((name) => [name, objectOf(targetOf(name))])));
    const before = readTargets(new Map([...objectOf(targetsJson(1)), ['targets', targets]]), 'x');
    const next = readTargets(editTargets(before, { expires }), 'x');
    expect([...next.targets.keys()]).toEqual(names);
    expect(next.targets.get('__proto__')).toEqual(before.targets.get('__proto__'));
  });

  test('the version after the last safe integer cannot be signed', () => {
    const before = readTargets(objectOf(targetsJson(Number.MAX_SAFE_INTEGER)), 'x');
    expect(codeOf(() => canonicalBytes(editTargets(before, { expires })))).toBe('USAGE_INVALID');
  });
});

describe('signing', () => {
  const root = readRoot(objectOf(rootJson(1)));

  test('a signed file opens and verifies; its keys are PEM with newlines or not', async () => {
    const signed = editRoot(root, { expires });
    const bytes = await signFile(signed, [signer('root')]);
    const envelope = openEnvelope(bytes, 'root');
    const verified = driveCrypto(verify(envelope, [topLevelAuthority(root, 'root')], readRoot), crypto);
    expect(verified.content.version).toBe(2);
    expect(envelope.message).toEqual(canonicalBytes(signed));
    const odd = new Map(signed).set('x', 'line\nbreak');
    const other = openEnvelope(await signFile(odd, [signer('root')]), 'root');
    expect(driveCrypto(verify(other, [topLevelAuthority(root, 'root')], readRoot), crypto).content.version).toBe(2);
  });

  test('fileOf writes hexadecimal signatures, in the order given', () => {
    const signatures = [
      { keyId: 'b', bytes: new Uint8Array([1, 255]) },
      { keyId: 'a', bytes: new Uint8Array() },
    ];
    expect(utf8Text(fileOf(objectOf({ z: 1, a: 'é' }), signatures))).toBe(
      '{"signatures":[{"keyid":"b","sig":"01ff"},{"keyid":"a","sig":""}],"signed":{"a":"é","z":1}}',
    );
    expect(fileOf(objectOf(rootJson(1)), [])).toEqual(fileBytes(rootJson(1), []));
  });

  test('a signer that fails', async () => {
    const { key, keyId } = signer('root');
    const failing = { key, keyId, sign: () => Promise.reject(new SignerError('SIGNING_FAILED', 'x')) };
    await expect(signFile(objectOf({}), [failing])).rejects.toMatchObject({ code: 'SIGNING_FAILED' });
  });
});
