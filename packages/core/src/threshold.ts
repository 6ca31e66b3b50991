// The one place where bytes become trust: count the distinct public keys that
// signed, and only when the threshold is met hand out a `Verified<T>`.
// Every transition of trusted state takes a `Verified<T>`; nothing else can
// make one, so unverified metadata does not compile.

import { check, type Workflow } from './effects.ts';
import type { Envelope, Signature } from './envelope.ts';
import { MetadataError } from './errors.ts';
import type { JsonObject } from './json.ts';
import type { Key, KeyId } from './keys.ts';
import type { RoleKeys } from './model.ts';

declare const proof: unique symbol;

/** Content that a threshold of the right keys has signed. */
export interface Verified<T> {
  readonly [proof]: true;
  readonly content: T;
  /** The whole file as received: what is stored and served on. */
  readonly bytes: Uint8Array;
  /** The roles whose thresholds were met: under the very same, nothing has to be verified again. */
  readonly under: readonly RoleKeys[];
}

/** Whose keys count for a piece of content. */
export interface Authority {
  readonly keys: ReadonlyMap<KeyId, Key>;
  readonly role: RoleKeys;
  /** The name of the role that must have signed, for messages. */
  readonly name: string;
}

/** Who has signed and who has not: the answer for people, where `verify` is the one for machines. */
export interface Tally {
  readonly threshold: number;
  readonly signed: readonly KeyId[];
  readonly missing: readonly KeyId[];
  readonly met: boolean;
}

/**
 * Checks that every one of the authorities' thresholds is met, then reads the
 * content. A root is checked against two: the trusted one's and its own (§5.3.4).
 *
 * @throws MetadataError THRESHOLD_NOT_MET, with the file as evidence, or what `read` throws
 */
export function* verify<T>(
  envelope: Envelope,
  authorities: readonly [Authority, ...Authority[]],
  read: (signed: JsonObject) => T,
): Workflow<Verified<T>> {
  for (const authority of authorities) {
    const enough = authority.role.threshold;
    const tally = yield* tallySignatures(envelope.message, envelope.signatures, authority, enough);
    if (!tally.met) {
      const { threshold, signed } = tally;
      throw new MetadataError(
        'THRESHOLD_NOT_MET',
        `Checking the signatures of ${authority.name}: ${signed.length} of ${threshold} required keys have signed`,
        { detail: { role: authority.name, want: threshold, got: signed.length }, evidence: { file: envelope.bytes } },
      );
    }
  }
  const under: readonly RoleKeys[] = authorities.map(({ role }) => role);
  return { content: read(envelope.signed), bytes: envelope.bytes, under } as Verified<T>;
}

/**
 * Counts valid signatures, one per distinct public key (§5.3.4, §5.4.2, §5.5.3,
 * §5.6.3). Unknown key ids, unknown kinds of key and invalid signatures count
 * for nothing and spoil nothing. Stops checking once `enough` keys have signed.
 */
export function* tallySignatures(
  message: Uint8Array,
  signatures: readonly Signature[],
  authority: Authority,
  enough = Number.POSITIVE_INFINITY,
): Workflow<Tally> {
  const { keyIds, threshold } = authority.role;
  const byKeyId = new Map(signatures.map((signature) => [signature.keyId, signature.bytes]));
  const counted = new Set<string>();
  const signed: KeyId[] = [];
  for (const keyId of keyIds) {
    if (counted.size >= enough) break;
    const signature = byKeyId.get(keyId);
    const verification = authority.keys.get(keyId)?.verification;
    if (signature === undefined || verification === undefined || counted.has(verification.key.identity)) continue;
    if (!(yield* check({ ...verification, message, signature }))) continue;
    counted.add(verification.key.identity);
    signed.push(keyId);
  }
  return {
    threshold,
    signed,
    missing: keyIds.filter((keyId) => !signed.includes(keyId)),
    met: counted.size >= threshold,
  };
}
