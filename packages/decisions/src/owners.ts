// Owner sets: which keys speak for a name and how many of them must sign.
// Reads them from statements as strictly as a shared table of keys needs, and
// compares two of them: the class of an owner change is computed, never stated.

import {
  AdmissionError,
  type Authority,
  asObject,
  driveCrypto,
  integerAt,
  type JsonObject,
  type Key,
  type KeyId,
  keyIdOf,
  objectAt,
  readKey,
  type Signer,
  type SyncCryptoPort,
  stringsAt,
} from '@countersign/core';

/** Keys that speak for a name, and how many of them must sign. Key ids are in the order of the statement. */
export interface OwnerSet {
  readonly keys: ReadonlyMap<KeyId, Key>;
  readonly keyIds: readonly KeyId[];
  readonly threshold: number;
}

/** What an owner change amounts to. */
export type ChangeClass = 'grow' | 'shrink' | 'transfer';

/**
 * The owner set of some signers.
 *
 * @param threshold how many of them must sign; all of them unless told
 * @example ownersOf([laptop, phone], 1)
 */
export function ownersOf(signers: readonly Pick<Signer, 'keyId' | 'key'>[], threshold = signers.length): OwnerSet {
  return {
    keys: new Map(signers.map(({ keyId, key }) => [keyId, key])),
    keyIds: signers.map(({ keyId }) => keyId),
    threshold,
  };
}

/**
 * Reads `keys`, `keyids` and `threshold` of a statement.
 *
 * @throws AdmissionError SUBMISSION_INVALID; MetadataError FORMAT_INVALID
 */
export function readOwners(json: JsonObject, crypto: SyncCryptoPort): OwnerSet {
  const listed = objectAt(json, 'keys', WHERE);
  if (listed.size > MAX_OWNERS) throw invalid(`it names more than ${MAX_OWNERS} keys`);
  const keys = new Map<KeyId, Key>();
  const identities = new Set<string>();
  for (const [keyId, value] of listed) {
    const key = readKey(asObject(value, WHERE), WHERE);
    // A key that nobody can check with must not be able to hold a name.
    if (key.verification === undefined) throw invalid('one of its keys is of an unsupported kind');
    // Key ids share one table per shard: a made-up id could replace another owner's key there.
    if (driveCrypto(keyIdOf(key), crypto) !== keyId) throw invalid('a key id is not the SHA-256 of its key');
    identities.add(key.verification.key.identity);
    keys.set(keyId, key);
  }
  const keyIds = stringsAt(json, 'keyids', WHERE);
  const threshold = integerAt(json, 'threshold', 1, WHERE);
  const named = new Set(keyIds);
  if (named.size !== keyIds.length || named.size !== keys.size || identities.size !== keys.size) {
    throw invalid('a key is listed twice or not at all');
  }
  if (keyIds.some((keyId) => !keys.has(keyId))) throw invalid('a key id has no key');
  if (threshold > keyIds.length) throw invalid('its threshold is higher than the number of its keys');
  return { keys, keyIds, threshold };
}

/** Equal for two keys exactly when they are the same public key. */
export function identityOf(owners: OwnerSet, keyId: KeyId): string {
  return owners.keys.get(keyId)?.verification?.key.identity ?? '';
}

/** The public keys of an owner set. */
export function identitiesOf(owners: OwnerSet): ReadonlySet<string> {
  return new Set(owners.keyIds.map((keyId) => identityOf(owners, keyId)));
}

/** An owner set without the keys that were declared stolen; the threshold stays. */
export function liveOwners(owners: OwnerSet, dead: ReadonlySet<string>): OwnerSet {
  return dead.size === 0 ? owners : restrict(owners, (identity) => !dead.has(identity));
}

/** The keys of `next` that `present` does not have: those that must show that they exist. */
export function incomingKeys(present: OwnerSet, next: OwnerSet): OwnerSet {
  const known = identitiesOf(present);
  return restrict(next, (identity) => !known.has(identity));
}

/** Tells whether two owner sets demand the same. */
export function sameOwners(a: OwnerSet, b: OwnerSet): boolean {
  if (a === b) return true;
  const other = new Set(b.keyIds);
  return a.threshold === b.threshold && a.keyIds.length === other.size && a.keyIds.every((keyId) => other.has(keyId));
}

/** What a change from one owner set to another amounts to. `present` holds live keys only. */
export function classOf(present: OwnerSet, next: OwnerSet): ChangeClass {
  const after = identitiesOf(next);
  const staying = [...identitiesOf(present)].filter((identity) => after.has(identity)).length;
  if (staying === 0) return 'transfer';
  return staying === present.keyIds.length && next.threshold >= present.threshold ? 'grow' : 'shrink';
}

/** Core's question: have `threshold` of these keys signed? */
export function authorityOf(owners: OwnerSet, name: string, threshold = owners.threshold): Authority {
  return { keys: owners.keys, role: { keyIds: owners.keyIds, threshold }, name };
}

function restrict(owners: OwnerSet, keep: (identity: string) => boolean): OwnerSet {
  const keyIds = owners.keyIds.filter((keyId) => keep(identityOf(owners, keyId)));
  const keys = new Map([...owners.keys].filter(([keyId]) => keyIds.includes(keyId)));
  return { keys, keyIds, threshold: owners.threshold };
}

function invalid(problem: string): AdmissionError {
  return new AdmissionError('SUBMISSION_INVALID', `Reading the decision: ${problem}`);
}

const WHERE = 'the decision';
/** Every one of them signs, and each is checked before anything is known of the sender. */
const MAX_OWNERS = 64;
