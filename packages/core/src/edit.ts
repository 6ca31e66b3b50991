// The writing side: trusted content and a change become the `signed` object of
// the next version (§6.2, §6.3), and signatures make it a file. Members of the
// previous version that this model does not know are carried over.
// Nothing here signs: see `Signer`.

import { concat, hex, utf8 } from './bytes.ts';
import { canonicalBytes, documentBytes, type JsonLiteral, jsonOf, objectOf } from './canonical.ts';
import type { MaybePromise } from './drive.ts';
import { UsageError } from './errors.ts';
import type { JsonObject, JsonValue } from './json.ts';
import type { Key, KeyId } from './keys.ts';
import {
  type Delegations,
  type FileMeta,
  type RoleKeys,
  type Root,
  type Snapshot,
  SPEC_VERSION,
  type TargetFile,
  type Targets,
  type Timestamp,
} from './model.ts';
import { TOP_LEVEL_ROLES, type TopLevelRole } from './paths.ts';
import { objectAt } from './shape.ts';
import { type Instant, writeInstant } from './time.ts';

/** The holder of a private key. Implementations are in @countersign/signers. */
export interface Signer {
  readonly keyId: KeyId;
  /** The public half. */
  readonly key: Key;
  /** Signs exactly these bytes under the key's scheme. @throws SignerError */
  sign(message: Uint8Array): MaybePromise<Uint8Array>;
}

/** A change of a root: members left out stay as they are. */
export interface RootEdit {
  readonly expires: Instant;
  readonly keys?: ReadonlyMap<KeyId, Key>;
  readonly roles?: ReadonlyMap<TopLevelRole, RoleKeys>;
  readonly consistentSnapshot?: boolean;
}

/** A change of a targets role: members left out stay as they are. */
export interface TargetsEdit {
  readonly expires: Instant;
  /** Targets to add or replace, by path. */
  readonly set?: readonly TargetFile[];
  /** Paths to take out. */
  readonly remove?: readonly string[];
  readonly delegations?: Delegations;
  /** Own members of the `signed` object to set, such as `custom`. */
  readonly members?: ReadonlyMap<string, JsonValue>;
}

/** The first root, or the next one after `previous`. @throws UsageError when a role is missing from the first */
export function editRoot(previous: Root | undefined, edit: RootEdit): JsonObject {
  const roles = edit.roles ?? previous?.roles ?? new Map();
  const missing = TOP_LEVEL_ROLES.find((role) => !roles.has(role));
  if (missing !== undefined) throw new UsageError('USAGE_INVALID', `Editing root: it has no ${missing} role`);
  return nextVersion('root', previous, edit.expires, [
    ['consistent_snapshot', edit.consistentSnapshot ?? previous?.consistentSnapshot ?? true],
    ['keys', keysJson(edit.keys ?? previous?.keys ?? new Map())],
    ['roles', over(asRoles(previous), new Map([...roles].map(([name, role]) => [name, roleKeysJson(role)])))],
  ]);
}

/** The first timestamp, or the next one after `previous`. */
export function editTimestamp(
  previous: Timestamp | undefined,
  edit: { readonly expires: Instant; readonly snapshot: FileMeta },
): JsonObject {
  return nextVersion('timestamp', previous, edit.expires, [
    ['meta', new Map([['snapshot.json', fileMetaJson(edit.snapshot)]])],
  ]);
}

/** The first snapshot, or the next one after `previous`, with the given roles set. No role ever leaves it (§5.5.5). */
export function editSnapshot(
  previous: Snapshot | undefined,
  edit: { readonly expires: Instant; readonly set: ReadonlyMap<string, FileMeta> },
): JsonObject {
  const meta = new Map<string, JsonValue>();
  for (const [role, listed] of previous?.meta ?? []) meta.set(`${role}.json`, fileMetaJson(listed));
  for (const [role, listed] of edit.set) meta.set(`${role}.json`, fileMetaJson(listed));
  return nextVersion('snapshot', previous, edit.expires, [['meta', meta]]);
}

/** The first version of a targets role, or the next one after `previous`. */
export function editTargets(previous: Targets | undefined, edit: TargetsEdit): JsonObject {
  const targets = new Map<string, JsonValue>();
  for (const [path, target] of previous?.targets ?? []) targets.set(path, targetJson(target));
  for (const path of edit.remove ?? []) targets.delete(path);
  for (const target of edit.set ?? []) targets.set(target.path, targetJson(target));
  const delegations = edit.delegations ?? previous?.delegations;
  return nextVersion('targets', previous, edit.expires, [
    ...(edit.members ?? []),
    ...(delegations === undefined ? [] : ([['delegations', delegationsJson(delegations)]] as const)),
    ['targets', targets],
  ]);
}

/**
 * Signs a `signed` object and makes the file.
 *
 * @throws SignerError when a signer fails; UsageError USAGE_INVALID when one is given twice
 * @example const bytes = await signFile(editTargets(previous, edit), [signer])
 */
export async function signFile(signed: JsonObject, signers: readonly Signer[]): Promise<Uint8Array<ArrayBuffer>> {
  if (new Set(signers.map((signer) => signer.keyId)).size !== signers.length) {
    throw new UsageError('USAGE_INVALID', 'Signing a file: a signer was given twice');
  }
  const message = canonicalBytes(signed);
  const signatures: { keyId: KeyId; bytes: Uint8Array }[] = [];
  for (const signer of signers) signatures.push({ keyId: signer.keyId, bytes: await signer.sign(message) });
  return fileAround(message, signed, signatures);
}

/** Makes the file from a `signed` object and signatures made over its canonical bytes. */
export function fileOf(
  signed: JsonObject,
  signatures: readonly { readonly keyId: KeyId; readonly bytes: Uint8Array }[],
): Uint8Array<ArrayBuffer> {
  return fileAround(canonicalBytes(signed), signed, signatures);
}

/** The file, with what was signed in it as it was signed, where strict JSON writes that in the same way. */
function fileAround(
  message: Uint8Array,
  signed: JsonObject,
  signatures: readonly { readonly keyId: KeyId; readonly bytes: Uint8Array }[],
): Uint8Array<ArrayBuffer> {
  const list = signatures.map(({ keyId, bytes }) => objectOf({ keyid: keyId, sig: hex(bytes) }));
  const content = hasControl(message) ? documentBytes(signed) : message;
  const head = documentBytes(objectOf({ signatures: list }));
  return concat(head.subarray(0, -1), SIGNED, content, END);
}

/** The `signed` object of the version after `previous`, with these members set. */
export function nextVersion(
  type: string,
  previous: { readonly version: number; readonly json: JsonObject } | undefined,
  expires: Instant,
  members: readonly (readonly [string, JsonValue])[],
): JsonObject {
  return new Map<string, JsonValue>([
    ...(previous?.json ?? []),
    ...members,
    ['_type', type],
    ['spec_version', SPEC_VERSION],
    ['version', (previous?.version ?? 0) + 1],
    ['expires', writeInstant(expires)],
  ]);
}

/** What was received, with what is known of it now; `undefined` takes a member out. */
function over(
  received: JsonObject | undefined,
  known: { readonly [name: string]: JsonLiteral | undefined } | JsonObject,
): JsonObject {
  const merged = new Map(received);
  for (const [name, value] of known instanceof Map ? known : Object.entries(known)) {
    if (value === undefined) merged.delete(name);
    else merged.set(name, jsonOf(value));
  }
  return merged;
}

/** The roles of a root as received, among them ones that are not top-level roles here. */
function asRoles(root: Root | undefined): JsonObject | undefined {
  return root && objectAt(root.json, 'roles', 'root');
}

function keysJson(keys: ReadonlyMap<KeyId, Key>): JsonObject {
  return new Map([...keys].map(([keyId, key]) => [keyId, key.json]));
}

function roleKeysJson(role: RoleKeys): JsonObject {
  return over(role.json, { keyids: role.keyIds, threshold: role.threshold });
}

/** How a file is listed in a snapshot or timestamp (§4.4). */
export function fileMetaJson(meta: FileMeta): JsonObject {
  return over(meta.json, { version: meta.version, length: meta.length, hashes: meta.hashes });
}

function targetJson(target: TargetFile): JsonObject {
  return over(target.json, { length: target.length, hashes: target.hashes, custom: target.custom });
}

function delegationsJson({ keys, roles, succinct, json }: Delegations): JsonObject {
  if (succinct !== undefined) {
    const { bitLength, namePrefix, keyIds, threshold } = succinct;
    const known = { bit_length: bitLength, name_prefix: namePrefix, keyids: keyIds, threshold };
    const bins = over(succinct.json, known);
    return over(json, { keys: keysJson(keys), succinct_roles: bins, roles: undefined });
  }
  const list = roles.map((role) => {
    const { name, keyIds, threshold, terminating } = role;
    const paths = role.paths.by === 'pattern' ? role.paths.patterns : undefined;
    const path_hash_prefixes = role.paths.by === 'hash-prefix' ? role.paths.prefixes : undefined;
    return over(role.json, { name, keyids: keyIds, threshold, terminating, paths, path_hash_prefixes });
  });
  return over(json, { keys: keysJson(keys), roles: list, succinct_roles: undefined });
}

/** Control characters, which strict JSON escapes and canonical JSON does not (a PEM key holds some). */
export function hasControl(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte < 0x20) return true;
  return false;
}

const SIGNED = utf8(',"signed":');
const END = utf8('}');
