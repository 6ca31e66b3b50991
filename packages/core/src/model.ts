// The metadata model (§4): received JSON trees become exact, read-only types.
// Unknown members are kept in `json`, and signatures never depend on this file.
// Nothing here decides trust.

import { DeferredMap, type Named } from './deferred-map.ts';
import type { HashAlgorithm } from './effects.ts';
import { MetadataError } from './errors.ts';
import { type JsonObject, type JsonValue, membersUnlike, namesEnd, type Shape } from './json.ts';
import { type Key, type KeyId, readKey } from './keys.ts';
import {
  cacheNameOf,
  isBoundedPattern,
  isCostlyPattern,
  isTopLevelRole,
  TOP_LEVEL_ROLES,
  type TopLevelRole,
} from './paths.ts';
import {
  arrayAt,
  asObject,
  booleanAt,
  integerAt,
  isObject,
  malformed,
  objectAt,
  stringAt,
  stringsAt,
} from './shape.ts';
import { type Instant, readInstant } from './time.ts';

/** What all role files have in common (§4.3). */
export interface Signed {
  readonly version: number;
  readonly expires: Instant;
  /** The `signed` object as received, with members this model does not know. */
  readonly json: JsonObject;
}

/** A part of a file: as received, so that members this model does not know survive an edit (§4/2). */
export interface Received {
  readonly json?: JsonObject;
}

/** Who may sign for a role, and how many must. */
export interface RoleKeys extends Received {
  readonly keyIds: readonly KeyId[];
  readonly threshold: number;
}

/** root.json (§4.3). */
export interface Root extends Signed {
  readonly type: 'root';
  readonly consistentSnapshot: boolean;
  readonly keys: ReadonlyMap<KeyId, Key>;
  readonly roles: ReadonlyMap<TopLevelRole, RoleKeys>;
}

/** What one file says about another (§4.4 METAFILES). Hashes are lower-case hexadecimal by algorithm name. */
export interface FileMeta extends Received {
  readonly version: number;
  readonly length: number | undefined;
  readonly hashes: ReadonlyMap<string, string> | undefined;
}

/** timestamp.json (§4.6). */
export interface Timestamp extends Signed {
  readonly type: 'timestamp';
  readonly snapshot: FileMeta;
}

/** snapshot.json (§4.4). Keys are role names, without `.json`. */
export interface Snapshot extends Signed {
  readonly type: 'snapshot';
  readonly meta: ReadonlyMap<string, FileMeta>;
}

/** A target file (§4.5). Length in bytes; hashes are lower-case hexadecimal by algorithm name. */
export interface TargetFile extends Received {
  readonly path: string;
  readonly length: number;
  readonly hashes: ReadonlyMap<string, string>;
  readonly custom: JsonObject | undefined;
}

/** Which paths a delegation is about (§4.5): patterns, or prefixes of the SHA-256 of the path. */
export type DelegatedPaths =
  | { readonly by: 'pattern'; readonly patterns: readonly string[] }
  | { readonly by: 'hash-prefix'; readonly prefixes: readonly string[] };

/** A delegated role (§4.5). */
export interface DelegatedRole extends RoleKeys {
  readonly name: string;
  readonly terminating: boolean;
  readonly paths: DelegatedPaths;
}

/** Hash bins named by a prefix (TAP 15). */
export interface SuccinctRoles extends RoleKeys {
  /** How many leading bits of the SHA-256 of the path choose the bin: 1 to 32. */
  readonly bitLength: number;
  readonly namePrefix: string;
}

/** The delegations of a targets role, in order of appearance. */
export interface Delegations extends Received {
  readonly keys: ReadonlyMap<KeyId, Key>;
  readonly roles: readonly DelegatedRole[];
  readonly succinct: SuccinctRoles | undefined;
}

/** targets.json and delegated targets roles (§4.5). */
export interface Targets extends Signed {
  readonly type: 'targets';
  readonly targets: ReadonlyMap<string, TargetFile>;
  readonly delegations: Delegations | undefined;
}

/** Reads the `signed` object of a root. @throws MetadataError */
export function readRoot(json: JsonObject): Root {
  const signed = readSigned(json, 'root');
  const keys = readKeys(json, 'root');
  const roles = new Map<TopLevelRole, RoleKeys>();
  const listed = objectAt(json, 'roles', 'root');
  // §4.3/4: all four; others, such as mirrors, are nobody's business here.
  for (const role of TOP_LEVEL_ROLES) roles.set(role, readRoleKeys(objectAt(listed, role, 'root roles'), role));
  // §6.2.1: unspecified means that consistent snapshots are not written.
  const consistentSnapshot = json.has('consistent_snapshot') && booleanAt(json, 'consistent_snapshot', 'root');
  return { ...signed, type: 'root', consistentSnapshot, keys, roles };
}

/** Reads the `signed` object of a timestamp. @throws MetadataError */
export function readTimestamp(json: JsonObject): Timestamp {
  const signed = readSigned(json, 'timestamp');
  const meta = objectAt(json, 'meta', 'timestamp');
  // §4.6/1: it describes the snapshot and nothing else.
  if (meta.size !== 1) malformed('timestamp meta', 'exactly one file must be described');
  const snapshot = readFileMeta(objectAt(meta, 'snapshot.json', 'timestamp meta'), 'timestamp meta');
  return { ...signed, type: 'timestamp', snapshot };
}

/** Reads the `signed` object of a snapshot. @throws MetadataError */
export function readSnapshot(json: JsonObject): Snapshot {
  const signed = readSigned(json, 'snapshot');
  const files = objectAt(json, 'meta', 'snapshot');
  if (!namesEnd(files, '.json')) malformed('snapshot meta', 'file names must end in .json');
  const meta = new DeferredMap(byRole(files), (value) =>
    readFileMeta(asObject(value, 'snapshot meta'), 'snapshot meta'),
  );
  for (const file of membersUnlike(files, 'file')) meta.get(roleOf(file));
  // §4.4/1
  if (!meta.has('targets')) malformed('snapshot meta', 'targets.json must be described');
  return { ...signed, type: 'snapshot', meta };
}

/** Reads the `signed` object of a targets role; `role` is its name, for messages. @throws MetadataError */
export function readTargets(json: JsonObject, role: string): Targets {
  const signed = readSigned(json, 'targets');
  const listed = objectAt(json, 'targets', role);
  const targets = new DeferredMap(listed, (value, path) =>
    readTargetFile(asObject(value, `${role} targets`), path, role),
  );
  for (const path of membersUnlike(listed, 'target')) targets.get(path);
  const delegations = json.has('delegations') ? readDelegations(objectAt(json, 'delegations', role), role) : undefined;
  return { ...signed, type: 'targets', targets, delegations };
}

/** The strong, known hashes of a file; §4.4 asks for one or more. @throws MetadataError HASH_UNSUPPORTED */
export function strongHashes(hashes: ReadonlyMap<string, string>, where: string): ReadonlyMap<HashAlgorithm, string> {
  const strong = new Map<HashAlgorithm, string>();
  for (const algorithm of HASH_ALGORITHMS) {
    const digest = hashes.get(algorithm);
    if (digest !== undefined) strong.set(algorithm, digest);
  }
  if (strong.size > 0) return strong;
  throw new MetadataError('HASH_UNSUPPORTED', `Reading the hashes of ${where}: none is sha256 or sha512`, {
    detail: { where, got: [...hashes.keys()] },
  });
}

/** The name of the succinct bin that a path's SHA-256 falls into (TAP 15). */
export function succinctBin(roles: SuccinctRoles, pathDigest: Uint8Array): string {
  const [a = 0, b = 0, c = 0, d = 0] = pathDigest;
  const leading = (a * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d) / 2 ** (32 - roles.bitLength);
  const digits = Math.ceil(roles.bitLength / 4);
  return `${roles.namePrefix}-${Math.floor(leading).toString(16).padStart(digits, '0')}`;
}

function readSigned(json: JsonObject, type: 'root' | 'timestamp' | 'snapshot' | 'targets'): Signed {
  const got = stringAt(json, '_type', type);
  if (got !== type) {
    throw new MetadataError('ROLE_TYPE_WRONG', `Reading ${type}: the file is of type ${got.slice(0, 40)}`, {
      detail: { want: type, got: got.slice(0, 40) },
    });
  }
  // §4.3/1: only specification versions with our major number are understood.
  const spec = stringAt(json, 'spec_version', type);
  if (!SUPPORTED_SPEC.test(spec)) {
    throw new MetadataError('SPEC_VERSION_UNSUPPORTED', `Reading ${type}: specification ${spec.slice(0, 40)}`, {
      detail: { role: type, got: spec.slice(0, 40), want: '1.x' },
    });
  }
  const expires = readInstant(stringAt(json, 'expires', type));
  if (expires === undefined) malformed(`${type} expires`, 'a UTC time is required');
  return { version: integerAt(json, 'version', 1, type), expires, json };
}

function readKeys(json: JsonObject, where: string): ReadonlyMap<KeyId, Key> {
  const keys = new Map<KeyId, Key>();
  for (const [keyId, value] of objectAt(json, 'keys', where)) {
    keys.set(keyId, readKey(asObject(value, `${where} keys`), `${where} keys`));
  }
  return keys;
}

function readRoleKeys(json: JsonObject, where: string): RoleKeys {
  const keyIds = stringsAt(json, 'keyids', where);
  if (new Set(keyIds).size !== keyIds.length) malformed(`${where} keyids`, 'a key id is listed twice');
  return { keyIds, threshold: integerAt(json, 'threshold', 1, where), json }; // §4.3/8
}

function readFileMeta(json: JsonObject, where: string): FileMeta {
  return {
    version: integerAt(json, 'version', 1, where),
    length: json.has('length') ? integerAt(json, 'length', 0, where) : undefined,
    hashes: json.has('hashes') ? readHashes(json, where) : undefined,
    json,
  };
}

function readHashes(json: JsonObject, where: string): ReadonlyMap<string, string> {
  const hashes = new Map<string, string>();
  for (const [algorithm, digest] of objectAt(json, 'hashes', where)) {
    if (typeof digest !== 'string') malformed(`${where} hashes`, 'digests must be strings');
    // What counts becomes part of a URL (§6.2.1); other algorithms are never looked at.
    const digits = DIGEST_DIGITS.get(algorithm);
    if (digits !== undefined && !(digest.length === digits && /^[0-9a-f]*$/i.test(digest))) {
      malformed(`${where} hashes`, `a ${algorithm} is not ${digits} hexadecimal digits`);
    }
    hashes.set(algorithm, digest.toLowerCase());
  }
  if (hashes.size === 0) malformed(`${where} hashes`, 'at least one hash is required');
  return hashes;
}

function readTargetFile(json: JsonObject, path: string, where: string): TargetFile {
  const custom = json.get('custom');
  if (custom !== undefined && !isObject(custom)) malformed(`${where} custom`, 'an object is required');
  return { path, length: integerAt(json, 'length', 0, where), hashes: readHashes(json, where), custom, json };
}

function readDelegations(json: JsonObject, where: string): Delegations {
  const keys = readKeys(json, where);
  const succinct = json.has('succinct_roles')
    ? readSuccinct(objectAt(json, 'succinct_roles', where), where)
    : undefined;
  if (succinct !== undefined && json.has('roles')) {
    malformed(`${where} delegations`, 'roles and succinct_roles exclude each other');
  }
  const roles =
    succinct === undefined ? arrayAt(json, 'roles', where).map((role) => readRole(asObject(role, where), where)) : [];
  const costly = roles.flatMap(({ paths }) => (paths.by === 'pattern' ? paths.patterns : [])).filter(isCostlyPattern);
  // Only these cost more than their length to match; nobody writes many of them.
  if (costly.length > MAX_COSTLY_PATTERNS)
    malformed(`${where} delegations`, 'too many patterns with several wildcards');
  // §4.5/1: a role name is unique within a delegations object.
  if (new Set(roles.map((role) => role.name)).size !== roles.length) {
    malformed(`${where} delegations`, 'a role is delegated to twice');
  }
  return { keys, roles, succinct, json };
}

function readRole(json: JsonObject, delegator: string): DelegatedRole {
  const name = stringAt(json, 'name', `${delegator} delegations`);
  const where = `${delegator} delegation`;
  if (name === '' || isTopLevelRole(name)) malformed(where, 'a delegated role cannot have this name');
  requireRoleName(name, where);
  const terminating = json.has('terminating') && booleanAt(json, 'terminating', where);
  return { name, ...readRoleKeys(json, where), terminating, paths: readPaths(json, where) };
}

function requireRoleName(name: string, where: string): void {
  if (cacheNameOf(name).length > MAX_ROLE_FILE_NAME) malformed(where, 'the name of a role is too long for a file');
}

function readPaths(json: JsonObject, where: string): DelegatedPaths {
  // §4.5: exactly one of the two.
  if (json.has('paths') === json.has('path_hash_prefixes')) {
    malformed(where, 'exactly one of paths and path_hash_prefixes is required');
  }
  if (json.has('paths')) {
    const patterns = stringsAt(json, 'paths', where);
    if (!patterns.every(isBoundedPattern)) malformed(`${where} paths`, 'a pattern is too long');
    return { by: 'pattern', patterns };
  }
  return {
    by: 'hash-prefix',
    prefixes: stringsAt(json, 'path_hash_prefixes', where).map((text) => text.toLowerCase()),
  };
}

function readSuccinct(json: JsonObject, where: string): SuccinctRoles {
  const bitLength = integerAt(json, 'bit_length', 1, where);
  if (bitLength > 32) malformed(`${where} bit_length`, 'at most 32 is allowed');
  const namePrefix = stringAt(json, 'name_prefix', where);
  requireRoleName(`${namePrefix}-ffffffff`, where);
  return { ...readRoleKeys(json, where), bitLength, namePrefix };
}

/** What a snapshot lists, by role instead of by file name. */
function byRole(files: JsonObject): Named<JsonValue> {
  return {
    size: files.size,
    has: (role) => files.has(`${role}.json`),
    get: (role) => files.get(`${role}.json`),
    *keys(): MapIterator<string> {
      for (const file of files.keys()) yield roleOf(file);
    },
    *[Symbol.iterator](): MapIterator<[string, JsonValue]> {
      for (const [file, value] of files) yield [roleOf(file), value];
    },
  };
}

function roleOf(file: string): string {
  return file.slice(0, -'.json'.length);
}

const HASH_ALGORITHMS: readonly HashAlgorithm[] = ['sha256', 'sha512'];
const DIGEST_DIGITS: ReadonlyMap<string, number> = new Map([
  ['sha256', 64],
  ['sha512', 128],
]);
// File systems end at 255 bytes; a version goes in front and `.json` behind.
const MAX_ROLE_FILE_NAME = 240;
const MAX_COSTLY_PATTERNS = 64;
const SUPPORTED_SPEC = /^1\.\d+(\.\d+)?$/;

const hexDigits = (count: number): string => '[0-9a-f]'.repeat(count); // faster than a counted repetition
const HASHES = `"hashes":\\{"sha256":"${hexDigits(64)}"(?:,"sha512":"${hexDigits(128)}")?\\}`;
// At most 15 digits: safe integers, without a look at the number.
const LENGTH = '"length":(?:0|[1-9]\\d{0,14})';
const VERSION = '"version":[1-9]\\d{0,14}';

/**
 * What large files are made of. A member of one of these shapes is one that
 * `readTargetFile` or `readFileMeta` accepts, so it is read only when asked
 * for; all others are read at once, and refused there if they must be.
 */
export const SHAPES: readonly Shape[] = [
  { kind: 'target', objects: 2, pattern: new RegExp(`\\{${HASHES},${LENGTH}\\}`, 'y') },
  { kind: 'file', objects: 1, pattern: new RegExp(`\\{(?:${LENGTH},)?${VERSION}\\}`, 'y') },
  { kind: 'file', objects: 2, pattern: new RegExp(`\\{${HASHES},(?:${LENGTH},)?${VERSION}\\}`, 'y') },
];

/** The specification version that files we write declare (§4.3). */
export const SPEC_VERSION = '1.0.34';
