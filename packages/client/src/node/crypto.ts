// Node's cryptography as core's port. No policy: which keys and schemes count
// is decided by core. A key or signature that node refuses is simply not valid.

import { constants, createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import type { CheckEffect, Sha256, SyncCryptoPort, VerificationKey } from '@countersign/core';
import type { ClientCrypto } from '../ports.ts';

/** Signature checks and hashes by node:crypto. Remembers parsed keys: parsing one costs more than a check. */
export const nodeCrypto: SyncCryptoPort & ClientCrypto = {
  check(effect) {
    try {
      return checkWith(keyObjectOf(effect.key), effect);
    } catch {
      return false; // the port's contract: malformed is not valid
    }
  },
  hash: (algorithm, bytes) => createHash(algorithm).update(bytes).digest(),
  hasher: (algorithm) => createHash(algorithm),
};

/** SHA-256, at once. */
export const sha256: Sha256 = (bytes) => createHash('sha256').update(bytes).digest();

function checkWith(key: KeyObject, { scheme, message, signature }: CheckEffect): boolean {
  switch (scheme) {
    case 'ed25519':
      return verify(null, message, key, signature);
    case 'ecdsa-sha2-nistp256':
      return verify('sha256', message, { key, dsaEncoding: 'der' }, signature);
    case 'ecdsa-sha2-nistp384':
      return verify('sha384', message, { key, dsaEncoding: 'der' }, signature);
    case 'rsassa-pss-sha256':
      return verify('sha256', message, pss(key), signature);
    case 'rsassa-pss-sha384':
      return verify('sha384', message, pss(key), signature);
    case 'rsassa-pss-sha512':
      return verify('sha512', message, pss(key), signature);
  }
}

// Signers differ in the length of the salt, so it is read from the signature.
function pss(key: KeyObject): { key: KeyObject; padding: number; saltLength: number } {
  return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO };
}

function keyObjectOf({ identity, spki }: VerificationKey): KeyObject {
  const known = parsed.get(identity);
  if (known !== undefined) return known;
  const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  // Names from metadata must not fill the memory: the oldest goes.
  const oldest = parsed.size >= REMEMBERED_KEYS ? parsed.keys().next().value : undefined;
  if (oldest !== undefined) parsed.delete(oldest);
  parsed.set(identity, key);
  return key;
}

const REMEMBERED_KEYS = 1024;
const parsed = new Map<string, KeyObject>();
