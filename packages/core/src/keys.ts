// Public keys as TUF writes them (§4.2.2) and the table of key types and
// schemes that count. A key of an unknown or malformed kind is kept, so that
// files stay readable, but can never contribute to a threshold.
// Two entries with the same public key are one key, whatever their ids say.

import { base64Bytes, concat, hex, hexBytes } from './bytes.ts';
import { canonicalBytes, objectOf } from './canonical.ts';
import { hash, type Workflow } from './effects.ts';
import { MetadataError } from './errors.ts';
import type { JsonObject } from './json.ts';
import { objectAt, stringAt } from './shape.ts';

/** A key id. Opaque: unique within the delegating file, never recomputed (DEVIATES from §4.3/5, §4.3/6, §4.3/7: ADR 0002). */
export type KeyId = string;

/** The signature schemes that count (§4.2.2, and P-384 and longer RSA hashes). */
export type Scheme =
  | 'ed25519'
  | 'ecdsa-sha2-nistp256'
  | 'ecdsa-sha2-nistp384'
  | 'rsassa-pss-sha256'
  | 'rsassa-pss-sha384'
  | 'rsassa-pss-sha512';

/** A public key that this implementation can check signatures with. */
export interface VerificationKey {
  readonly algorithm: 'ed25519' | 'p256' | 'p384' | 'rsa';
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  /** Equal for two keys exactly when they are the same public key. */
  readonly identity: string;
}

/** A key as listed in metadata. */
export interface Key {
  readonly keytype: string;
  readonly scheme: string;
  /** The `keyval.public` text: 64 hexadecimal digits for ed25519, PEM for the others; empty if an unknown kind has none. */
  readonly public: string;
  /** How to check with it; `undefined` when the kind is unknown or the key is malformed. */
  readonly verification: { readonly key: VerificationKey; readonly scheme: Scheme } | undefined;
  /** As received, with unknown members. */
  readonly json: JsonObject;
}

/**
 * Reads a key object (§4.2.2).
 *
 * @throws MetadataError FORMAT_INVALID when a required member is missing.
 */
export function readKey(json: JsonObject, where: string): Key {
  const keytype = stringAt(json, 'keytype', where);
  const scheme = stringAt(json, 'scheme', where);
  const keyval = objectAt(json, 'keyval', where);
  // Kinds of key that this implementation does not know may be described otherwise.
  const text = SCHEMES.has(scheme) || keyval.has('public') ? stringAt(keyval, 'public', where) : '';
  return { keytype, scheme, public: text, verification: verificationOf(keytype, scheme, text), json };
}

/** Makes a key from its three texts, as a signer describes its public half. */
export function makeKey(keytype: string, scheme: Scheme, publicText: string): Key {
  const key = readKey(objectOf({ keytype, scheme, keyval: { public: publicText } }), 'a new key');
  if (key.verification === undefined) {
    throw new MetadataError('FORMAT_INVALID', `Making a key: it is not a ${keytype} key for ${scheme}`);
  }
  return key;
}

/** The key id that we emit: SHA-256 of the canonical key object (§4.2.2). */
export function* keyIdOf(key: Key): Workflow<KeyId> {
  return hex(yield* hash('sha256', canonicalBytes(key.json)));
}

function verificationOf(keytype: string, scheme: string, text: string): Key['verification'] {
  const rule = SCHEMES.get(scheme);
  if (rule === undefined || !rule.keytypes.includes(keytype)) return undefined;
  const key = rule.algorithm === 'ed25519' ? ed25519Key(text) : pemKey(text);
  return key?.algorithm === rule.algorithm ? { key, scheme: rule.scheme } : undefined;
}

function ed25519Key(text: string): VerificationKey | undefined {
  const raw = hexBytes(text);
  if (raw?.length !== 32) return undefined;
  return { algorithm: 'ed25519', spki: concat(ED25519_PREFIX, raw), identity: `ed25519:${hex(raw)}` };
}

function pemKey(text: string): VerificationKey | undefined {
  const match = PEM.exec(text.trim());
  const spki = base64Bytes((match?.[1] ?? '').replace(/\s/g, ''));
  if (match === null || spki === undefined) return undefined;
  for (const [algorithm, prefix, pointLength] of CURVES) {
    // Only the uncompressed form is read, so a point has one spelling.
    if (spki.length !== prefix.length + pointLength || !startsWith(spki, prefix)) continue;
    return { algorithm, spki, identity: `${algorithm}:${hex(spki.subarray(prefix.length))}` };
  }
  const numbers = rsaNumbers(spki);
  return numbers === undefined ? undefined : { algorithm: 'rsa', spki, identity: `rsa:${numbers}` };
}

/** Modulus and exponent of an RSA SPKI of at least 2048 bits, as text; else `undefined`. */
function rsaNumbers(spki: Uint8Array): string | undefined {
  const info = derElement(spki, 0, 0x30);
  if (info === undefined || info.end !== spki.length) return undefined;
  const afterAlgorithm = info.start + RSA_ALGORITHM.length;
  if (!startsWith(spki.subarray(info.start), RSA_ALGORITHM)) return undefined;
  const bits = derElement(spki, afterAlgorithm, 0x03);
  if (bits === undefined || bits.end !== spki.length || spki[bits.start] !== 0) return undefined;
  const sequence = derElement(spki, bits.start + 1, 0x30);
  if (sequence === undefined || sequence.end !== spki.length) return undefined;
  const modulus = derElement(spki, sequence.start, 0x02);
  const exponent = modulus && derElement(spki, modulus.end, 0x02);
  if (modulus === undefined || exponent === undefined || exponent.end !== spki.length) return undefined;
  const n = hex(spki.subarray(modulus.start, modulus.end)).replace(/^(00)+/, '');
  const e = hex(spki.subarray(exponent.start, exponent.end)).replace(/^(00)+/, '');
  const strength = n.length * 4 - Math.clz32(Number.parseInt(n.charAt(0), 16)) + 28;
  // An even modulus or exponent, or 1, is no RSA key; 64 bits are ample for an exponent.
  const sound = isOdd(n) && isOdd(e) && e !== '01' && e.length <= 16;
  return sound && strength >= RSA_MINIMUM_BITS && strength <= RSA_MAXIMUM_BITS ? `${n}:${e}` : undefined;
}

/** Where the content of a DER element lies; `undefined` unless the tag and a minimal length are there. */
function derElement(der: Uint8Array, at: number, tag: number): { start: number; end: number } | undefined {
  if (der[at] !== tag) return undefined;
  let length = der[at + 1] ?? 0x80;
  let start = at + 2;
  if (length >= 0x80) {
    const octets = length - 0x80;
    if (octets < 1 || octets > 2) return undefined;
    length = 0;
    for (let i = 0; i < octets; i++) length = length * 256 + (der[start++] ?? 0);
    if (length < (octets === 1 ? 0x80 : 0x100)) return undefined;
  }
  const end = start + length;
  return end <= der.length ? { start, end } : undefined;
}

function isOdd(digits: string): boolean {
  return Number.parseInt(digits.slice(-1), 16) % 2 === 1;
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return prefix.every((byte, i) => bytes[i] === byte);
}

function der(text: string): Uint8Array {
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

interface SchemeRule {
  readonly scheme: Scheme;
  readonly algorithm: VerificationKey['algorithm'];
  readonly keytypes: readonly string[];
}

// `ecdsa-sha2-nistp…` as a key type is what older repositories write.
const RULES: readonly SchemeRule[] = [
  { scheme: 'ed25519', algorithm: 'ed25519', keytypes: ['ed25519'] },
  { scheme: 'ecdsa-sha2-nistp256', algorithm: 'p256', keytypes: ['ecdsa', 'ecdsa-sha2-nistp256'] },
  { scheme: 'ecdsa-sha2-nistp384', algorithm: 'p384', keytypes: ['ecdsa', 'ecdsa-sha2-nistp384'] },
  { scheme: 'rsassa-pss-sha256', algorithm: 'rsa', keytypes: ['rsa'] },
  { scheme: 'rsassa-pss-sha384', algorithm: 'rsa', keytypes: ['rsa'] },
  { scheme: 'rsassa-pss-sha512', algorithm: 'rsa', keytypes: ['rsa'] },
];
const SCHEMES: ReadonlyMap<string, SchemeRule> = new Map(RULES.map((rule) => [rule.scheme, rule]));

const PEM = /^-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----$/;
// SubjectPublicKeyInfo up to the key itself: RFC 8410 §4, RFC 5480 §2.
const ED25519_PREFIX = der('302a300506032b6570032100');
const CURVES: readonly (readonly ['p256' | 'p384', Uint8Array, number])[] = [
  ['p256', der('3059301306072a8648ce3d020106082a8648ce3d03010703420004'), 64],
  ['p384', der('3076301006072a8648ce3d020106052b8104002203620004'), 96],
];
// AlgorithmIdentifier rsaEncryption with NULL parameters: RFC 3279 §2.3.1.
const RSA_ALGORITHM = der('300d06092a864886f70d0101010500');
const RSA_MINIMUM_BITS = 2048; // §4.2.2/1
const RSA_MAXIMUM_BITS = 16_384; // what libraries accept
