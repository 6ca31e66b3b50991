// Drafts of the metadata that a world publishes: plain, mutable, without any
// check, because a test must be able to write what no honest tool would. Each
// becomes the `signed` object of its role here; what the drafts cannot say, a
// `Tamper` does, at whichever layer the cheating is.

import {
  canonicalBytes,
  documentBytes,
  type FileMeta,
  hex,
  type Instant,
  type JsonLiteral,
  type JsonObject,
  type JsonValue,
  jsonOf,
  objectOf,
  readDocument,
  SPEC_VERSION,
  type TopLevelRole,
  utf8,
  utf8Text,
  writeInstant,
} from '@countersign/core';
import type { WorldKey } from './keys.ts';

/** A signature as it is written into a file. */
export interface SignatureText {
  readonly keyid: string;
  readonly sig: string;
}

/** What is changed on the way from a draft to a file. All layers are signed for but the last two. */
export interface Tamper {
  /** Changes the tree. */
  readonly signed?: (signed: JsonObject) => JsonObject;
  /** Changes the text of the tree: what no tree can say, such as a duplicate key. */
  readonly text?: (text: string) => string;
  /** Changes the list of signatures. */
  readonly signatures?: (signatures: readonly SignatureText[]) => readonly SignatureText[];
  /** Changes the text of the whole file. */
  readonly file?: (text: string) => string;
}

/** What all drafts have. */
export interface RoleDraft {
  /** The version published last, or the one to publish next if set by hand. */
  version: number;
  expires: Instant;
  /** Who signs; `undefined` for those who should. */
  signers: readonly WorldKey[] | undefined;
  /** More members of `signed`, such as `custom`. */
  readonly members: Map<string, JsonLiteral>;
  tamper: Tamper;
}

/** Who may sign for a role. */
export interface KeysDraft {
  keys: readonly WorldKey[];
  threshold: number;
}

export interface RootDraft extends RoleDraft {
  consistentSnapshot: boolean;
  readonly roles: Map<TopLevelRole, KeysDraft>;
}

/** How much one file says about another. */
export type ListedAs = 'version' | 'length' | 'full';

export interface TimestampDraft extends RoleDraft {
  /** How the snapshot is listed. */
  listing: ListedAs;
}

export interface SnapshotDraft extends RoleDraft {
  /** By role name; every publication sets the roles that it changes. */
  readonly meta: Map<string, FileMeta>;
}

/** A target as listed; hashes by algorithm. */
export interface TargetDraft {
  length: number;
  hashes: Readonly<Record<string, string>>;
  custom?: JsonLiteral;
}

/** A delegation as listed: exactly one of `paths` and `prefixes`, in an honest world. */
export interface DelegationDraft extends KeysDraft {
  readonly name: string;
  terminating: boolean;
  paths?: readonly string[];
  prefixes?: readonly string[];
}

export interface TargetsDraft extends RoleDraft {
  readonly targets: Map<string, TargetDraft>;
  /** In order of appearance. */
  readonly delegations: DelegationDraft[];
  /** How the snapshot lists this role. */
  listing: ListedAs;
}

/** The parts that every draft begins with. */
export function emptyDraft(expires: Instant): RoleDraft {
  return { version: 0, expires, signers: undefined, members: new Map(), tamper: {} };
}

export function rootJson(draft: RootDraft): JsonObject {
  const roles = new Map([...draft.roles].map(([name, role]) => [name, keysJson(role)]));
  const keys = keyMap([...draft.roles.values()]);
  return signedJson('root', draft, { consistent_snapshot: draft.consistentSnapshot, keys, roles });
}

export function timestampJson(draft: TimestampDraft, snapshot: FileMeta): JsonObject {
  return signedJson('timestamp', draft, { meta: { 'snapshot.json': metaJson(snapshot) } });
}

export function snapshotJson(draft: SnapshotDraft): JsonObject {
  const meta = new Map([...draft.meta].map(([role, listed]) => [`${role}.json`, metaJson(listed)]));
  return signedJson('snapshot', draft, { meta });
}

export function targetsJson(draft: TargetsDraft): JsonObject {
  const targets = new Map([...draft.targets].map(([path, target]) => [path, objectOf({ ...target })]));
  const roles = draft.delegations.map(delegationJson);
  const delegations = roles.length === 0 ? {} : { delegations: { keys: keyMap(draft.delegations), roles } };
  return signedJson('targets', draft, { targets, ...delegations });
}

/** A draft's `signed` object in both its spellings: what is signed, and what stands in the file. */
export function spell(signed: JsonObject, tamper: Tamper): { message: Uint8Array; text: string } {
  const tree = tamper.signed?.(signed) ?? signed;
  const text = utf8Text(documentBytes(tree)) ?? '';
  if (tamper.text === undefined) return { message: canonicalBytes(tree), text };
  const changed = tamper.text(text);
  try {
    return { message: canonicalBytes(readDocument(utf8(changed)).root), text: changed };
  } catch {
    return { message: utf8(changed), text: changed }; // no tree at all: signed as it stands
  }
}

/** Signs a spelling and makes the file. */
export function sealed(
  { message, text }: { readonly message: Uint8Array; readonly text: string },
  signers: readonly WorldKey[],
  tamper: Tamper,
): Uint8Array {
  const made = signers.map((key) => ({ keyid: key.keyId, sig: hex(key.sign(message)) }));
  const signatures = tamper.signatures?.(made) ?? made;
  const list = utf8Text(documentBytes(jsonOf(signatures.map(({ keyid, sig }) => ({ keyid, sig })))));
  const file = `{"signatures":${list},"signed":${text}}`;
  return utf8(tamper.file?.(file) ?? file);
}

/**
 * A tree with one member replaced, or taken out when the value is `undefined`.
 *
 * @example withMember(signed, ['meta', 'targets.json', 'version'], 1)
 */
export function withMember(
  tree: JsonObject,
  path: readonly [string, ...(string | number)[]],
  value: JsonLiteral | undefined,
): JsonObject {
  const changed = replaced(tree, path, value);
  if (changed instanceof Map) return changed;
  throw new TypeError('A path into an object leads to an object');
}

function replaced(tree: JsonValue, path: readonly (string | number)[], value: JsonLiteral | undefined): JsonValue {
  const [step, ...rest] = path;
  if (step === undefined) return value === undefined ? null : jsonOf(value);
  if (typeof step === 'number') {
    const items: readonly JsonValue[] = Array.isArray(tree) ? tree : [];
    if (rest.length === 0 && value === undefined) return items.filter((_, i) => i !== step);
    return items.map((item, i) => (i === step ? replaced(item, rest, value) : item));
  }
  const members = new Map<string, JsonValue>(tree instanceof Map ? tree : []);
  if (rest.length === 0 && value === undefined) members.delete(step);
  else members.set(step, replaced(members.get(step) ?? new Map<string, JsonValue>(), rest, value));
  return members;
}

function signedJson(
  type: string,
  draft: RoleDraft,
  members: Readonly<Record<string, JsonLiteral | undefined>>,
): JsonObject {
  return objectOf({
    ...members,
    ...Object.fromEntries(draft.members),
    _type: type,
    spec_version: SPEC_VERSION,
    version: draft.version,
    expires: writeInstant(draft.expires),
  });
}

function keysJson({ keys, threshold }: KeysDraft): JsonObject {
  return objectOf({ keyids: keys.map((key) => key.keyId), threshold });
}

function keyMap(holders: readonly KeysDraft[]): ReadonlyMap<string, JsonLiteral> {
  return new Map(holders.flatMap(({ keys }) => keys.map((key) => [key.keyId, key.key.json] as const)));
}

function delegationJson(draft: DelegationDraft): JsonObject {
  const { name, terminating, paths, prefixes } = draft;
  return objectOf({ name, terminating, paths, path_hash_prefixes: prefixes, ...Object.fromEntries(keysJson(draft)) });
}

function metaJson({ version, length, hashes }: FileMeta): JsonObject {
  return objectOf({ version, length, hashes });
}
