// Private keys that follow from a seed, so that a world is the same in every
// run: ed25519 by default; P-256 and RSA where a test asks for them (their
// signatures are randomised by nature, the keys are not).
// For tests only: whoever knows the seed has the key.

import { checkPrimeSync, createECDH, createHash, createPrivateKey, type KeyObject } from 'node:crypto';
import type { KeyId, Signer } from '@countersign/core';
import { signerFromPrivateKey } from '@countersign/signers';

/** The kinds of key that can follow from a seed. RSA keys have 2048 bits and take part of a second to make. */
export type SeededKeyType = 'ed25519' | 'ecdsa-p256' | 'rsa-pss';

/** A signer that never makes its caller wait. */
export interface WorldKey extends Signer {
  sign(message: Uint8Array): Uint8Array;
}

/**
 * The key of a seed: always the same one.
 *
 * @example seededKey('alice').keyId === seededKey('alice').keyId // true
 */
export function seededKey(seed: string, type: SeededKeyType = 'ed25519'): WorldKey {
  const known = made.get(`${type} ${seed}`);
  if (known !== undefined) return known;
  const signer = signerFromPrivateKey(privateKey(seed, type));
  const signed = new Map<string, Uint8Array>();
  const sign = (message: Uint8Array): Uint8Array => {
    // Worlds are made by the thousand, and most sign the same: ask the key once.
    const text = Buffer.from(message).toString('latin1');
    const signature = signed.get(text) ?? atOnce(signer.sign(message));
    if (signed.size >= REMEMBERED) signed.clear();
    signed.set(text, signature);
    return signature;
  };
  const key: WorldKey = { keyId: signer.keyId, key: signer.key, sign };
  made.set(`${type} ${seed}`, key);
  return key;
}

/** The same key under another key id: what a cheater lists to count twice. */
export function aliasOf(key: WorldKey, keyId: KeyId): WorldKey {
  return { ...key, keyId };
}

function privateKey(seed: string, type: SeededKeyType): KeyObject {
  switch (type) {
    case 'ed25519':
      // RFC 8410 §7: the seed is the private key.
      return createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, digest(seed)]), format: 'der', type: 'pkcs8' });
    case 'ecdsa-p256':
      return p256(digest(seed));
    case 'rsa-pss':
      return rsa2048(seed);
  }
}

function p256(scalar: Buffer): KeyObject {
  const pair = createECDH('prime256v1');
  pair.setPrivateKey(scalar);
  const point = pair.getPublicKey();
  const [x, y, d] = [base64url(point.subarray(1, 33)), base64url(point.subarray(33)), base64url(scalar)] as const;
  const jwk = { kty: 'EC', crv: 'P-256', x, y, d };
  return createPrivateKey({ key: jwk, format: 'jwk' });
}

function rsa2048(seed: string): KeyObject {
  const p = prime(`${seed} p`);
  const q = prime(`${seed} q`);
  const d = inverse(EXPONENT, (p - 1n) * (q - 1n));
  const numbers = { n: p * q, e: EXPONENT, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q, p) };
  const members = Object.entries(numbers).map(([name, number]) => [name, base64url(bytesOf(number))]);
  return createPrivateKey({ key: { kty: 'RSA', ...Object.fromEntries(members) }, format: 'jwk' });
}

/** The first prime of 1024 bits at or after what the seed says, with its two highest bits set. */
function prime(seed: string): bigint {
  const bytes = Buffer.concat([0, 1, 2, 3].map((part) => digest(`${seed} ${part}`)));
  let candidate = BigInt(`0x${bytes.toString('hex')}`) | (3n << 1022n) | 1n;
  while ((candidate - 1n) % EXPONENT === 0n || !checkPrimeSync(candidate)) candidate += 2n;
  return candidate;
}

function inverse(a: bigint, modulus: bigint): bigint {
  let [r, next, s, nextS] = [modulus, a % modulus, 0n, 1n];
  while (next !== 0n) {
    const quotient = r / next;
    [r, next] = [next, r - quotient * next];
    [s, nextS] = [nextS, s - quotient * nextS];
  }
  return ((s % modulus) + modulus) % modulus;
}

function bytesOf(number: bigint): Buffer {
  const text = number.toString(16);
  return Buffer.from(text.length % 2 === 0 ? text : `0${text}`, 'hex');
}

function base64url(bytes: Buffer): string {
  return bytes.toString('base64url');
}

function digest(seed: string): Buffer {
  return createHash('sha256').update(`countersign testkit ${seed}`).digest();
}

function atOnce(signature: Uint8Array | Promise<Uint8Array>): Uint8Array {
  if (signature instanceof Uint8Array) return signature;
  throw new TypeError('A seeded key signs at once');
}

const made = new Map<string, WorldKey>();
const REMEMBERED = 4096; // signatures of one key
const EXPONENT = 65537n;
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');
