// Claim statements: "these keys speak for this name", signed by those very
// keys. A statement proves possession of the keys, nothing more; whether the
// name is free is admission's business. Same trunk as metadata: DSSE envelope,
// distinct public keys, threshold.

import {
  AdmissionError,
  type Authority,
  asObject,
  canonicalBytes,
  driveCrypto,
  integerAt,
  isTufError,
  type JsonObject,
  type Key,
  type KeyId,
  keyIdOf,
  MetadataError,
  objectAt,
  objectOf,
  openStatement,
  type Project,
  readKey,
  type Signer,
  type SyncCryptoPort,
  signStatement,
  stringAt,
  stringsAt,
  utf8,
  utf8Text,
  verify,
} from '@countersign/core';

/** The media type of a claim statement's payload. */
export const CLAIM_TYPE = 'application/vnd.countersign.claim+json';

/** Who claims which name, as stated and proven. */
export interface Claim {
  readonly collection: string;
  readonly ecosystem: string;
  readonly name: string;
  readonly epoch: number;
  readonly keys: ReadonlyMap<KeyId, Key>;
  readonly keyIds: readonly KeyId[];
  readonly threshold: number;
}

/**
 * Makes and signs a claim of a project for the signers' keys.
 *
 * @param threshold how many of the signers must sign from now on
 * @throws SignerError
 */
export async function signClaim(
  collection: string,
  project: Project,
  signers: readonly Signer[],
  threshold = signers.length,
): Promise<string> {
  const payload = objectOf({
    _type: 'claim',
    collection,
    ecosystem: project.ecosystem,
    name: project.name,
    epoch: 1,
    keys: new Map(signers.map((signer) => [signer.keyId, signer.key.json])),
    keyids: signers.map((signer) => signer.keyId),
    threshold,
  });
  return utf8Text(await signStatement(CLAIM_TYPE, canonicalBytes(payload), signers)) ?? '';
}

/**
 * Opens a claim and checks that a threshold of the claimed keys signed it.
 *
 * @throws AdmissionError SUBMISSION_INVALID, SUBMISSION_UNSIGNED
 */
export function openClaim(text: string, crypto: SyncCryptoPort): Claim {
  try {
    const envelope = openStatement(utf8(text), CLAIM_TYPE, 'the claim');
    const { keys, keyIds, threshold } = readClaim(envelope.signed);
    for (const [keyId, key] of keys) {
      // Key ids share one table per shard: a made-up id could replace another owner's key there.
      if (driveCrypto(keyIdOf(key), crypto) !== keyId) throw invalid('a key id is not the SHA-256 of its key');
    }
    const authority: Authority = { keys, role: { keyIds, threshold }, name: 'the claim' };
    return driveCrypto(verify(envelope, [authority], readClaim), crypto).content;
  } catch (error) {
    if (!isTufError(error)) throw error;
    const code =
      error instanceof MetadataError && error.code === 'THRESHOLD_NOT_MET'
        ? 'SUBMISSION_UNSIGNED'
        : 'SUBMISSION_INVALID';
    throw new AdmissionError(code, error.message, { detail: error.detail, cause: error });
  }
}

function readClaim(json: JsonObject): Claim {
  const where = 'the claim';
  if (stringAt(json, '_type', where) !== 'claim') throw invalid('its type is not `claim`');
  const keys = new Map<KeyId, Key>();
  const identities = new Set<string>();
  for (const [keyId, value] of objectAt(json, 'keys', where)) {
    const key = readKey(asObject(value, where), where);
    // A key that nobody can check with must not be able to hold a name.
    if (key.verification === undefined) throw invalid('one of its keys is of an unsupported kind');
    identities.add(key.verification.key.identity);
    keys.set(keyId, key);
  }
  const keyIds = stringsAt(json, 'keyids', where);
  const threshold = integerAt(json, 'threshold', 1, where);
  const listed = new Set(keyIds);
  if (listed.size !== keyIds.length || listed.size !== keys.size || identities.size !== keys.size) {
    throw invalid('a key is listed twice or not at all');
  }
  if (keyIds.some((keyId) => !keys.has(keyId))) throw invalid('a key id has no key');
  if (threshold > keyIds.length) throw invalid('its threshold is higher than the number of its keys');
  return {
    collection: stringAt(json, 'collection', where),
    ecosystem: stringAt(json, 'ecosystem', where),
    name: stringAt(json, 'name', where),
    epoch: integerAt(json, 'epoch', 1, where),
    keys,
    keyIds,
    threshold,
  };
}

function invalid(problem: string): AdmissionError {
  return new AdmissionError('SUBMISSION_INVALID', `Reading the claim: ${problem}`);
}
