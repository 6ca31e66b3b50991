// Several people, one file: adds signatures to a metadata file or a statement
// that others have signed, or nobody yet. What is signed stays as it is, byte
// for byte of its canonical form. Judges nothing: threshold.ts does.

import { base64, base64Bytes, hex } from './bytes.ts';
import { documentBytes, objectOf } from './canonical.ts';
import type { Signer } from './edit.ts';
import { openEnvelope, readSignatures, type Signature } from './envelope.ts';
import { readDocument } from './json.ts';
import type { KeyId } from './keys.ts';
import { stringAt } from './shape.ts';

/** A signature that somebody made. */
export interface Cosignature {
  readonly keyId: KeyId;
  readonly bytes: Uint8Array;
}

/**
 * Signs a message with several keys.
 *
 * @param message the bytes that signatures cover: `Envelope.message`
 * @throws SignerError
 */
export async function cosign(message: Uint8Array, signers: readonly Signer[]): Promise<readonly Cosignature[]> {
  const made: Cosignature[] = [];
  for (const signer of signers) made.push({ keyId: signer.keyId, bytes: await signer.sign(message) });
  return made;
}

/**
 * The file with signatures added; one under a key id that has signed already takes its place.
 *
 * @param role its name, for messages
 * @throws MetadataError JSON_INVALID, FORMAT_INVALID, SIGNATURE_DUPLICATE
 * @example withSignatures(file, 'root', await cosign(openEnvelope(file, 'root').message, [mine]))
 */
export function withSignatures(file: Uint8Array, role: string, added: readonly Cosignature[]): Uint8Array<ArrayBuffer> {
  const { signed, signatures } = openEnvelope(file, role);
  return documentBytes(objectOf({ signatures: listOf(signatures, added, hex), signed }));
}

/**
 * The statement with signatures added, as {@link withSignatures} does it for a file.
 *
 * @param what its name, for messages
 * @throws MetadataError JSON_INVALID, FORMAT_INVALID, SIGNATURE_DUPLICATE
 */
export function withStatementSignatures(
  statement: Uint8Array,
  what: string,
  added: readonly Cosignature[],
): Uint8Array<ArrayBuffer> {
  const { root } = readDocument(statement);
  const signatures = listOf(readSignatures(root, what, base64Bytes), added, base64);
  const payload = stringAt(root, 'payload', what);
  return documentBytes(objectOf({ payload, payloadType: stringAt(root, 'payloadType', what), signatures }));
}

/** All signatures, one a key id; what was no signature at all is dropped. */
function listOf(
  present: readonly Signature[],
  added: readonly Cosignature[],
  encode: (bytes: Uint8Array) => string,
): { readonly keyid: string; readonly sig: string }[] {
  const all = new Map<KeyId, string>();
  for (const { keyId, bytes } of [...present, ...added]) if (bytes !== undefined) all.set(keyId, encode(bytes));
  return [...all].map(([keyid, sig]) => ({ keyid, sig }));
}
