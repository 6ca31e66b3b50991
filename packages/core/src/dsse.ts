// Signed statements in DSSE envelopes (secure-systems-lab/dsse, protocol v1):
// what claims and later decisions travel in. Only the encoding is here; opening
// one gives the same `Envelope` as metadata, and the same threshold judges it.

import { base64, base64Bytes, concat, utf8 } from './bytes.ts';
import { documentBytes, objectOf } from './canonical.ts';
import type { Signer } from './edit.ts';
import { type Envelope, readSignatures } from './envelope.ts';
import { readDocument } from './json.ts';
import { malformed, stringAt } from './shape.ts';

/** The pre-authentication encoding: what the signatures of a statement are made over. */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const type = utf8(payloadType);
  return concat(utf8(`DSSEv1 ${type.length} `), type, utf8(` ${payload.length} `), payload);
}

/**
 * Opens a statement without believing it. Its payload must be a JSON object.
 *
 * @throws MetadataError JSON_INVALID, FORMAT_INVALID, SIGNATURE_DUPLICATE
 */
export function openStatement(bytes: Uint8Array, payloadType: string, what: string): Envelope {
  const { root } = readDocument(bytes);
  const type = stringAt(root, 'payloadType', what);
  if (type !== payloadType) malformed(`${what} payloadType`, `${payloadType} is required`);
  const payload = base64Bytes(stringAt(root, 'payload', what));
  if (payload === undefined) malformed(`${what} payload`, 'base64 is required');
  return {
    bytes,
    signed: readDocument(payload).root,
    message: preAuthEncoding(payloadType, payload),
    signatures: readSignatures(root, what, base64Bytes),
  };
}

/** Signs a payload and makes the statement. @throws SignerError when a signer fails */
export async function signStatement(
  payloadType: string,
  payload: Uint8Array,
  signers: readonly Signer[],
): Promise<Uint8Array<ArrayBuffer>> {
  const message = preAuthEncoding(payloadType, payload);
  const signatures: Map<string, string>[] = [];
  for (const signer of signers) {
    signatures.push(
      new Map([
        ['keyid', signer.keyId],
        ['sig', base64(await signer.sign(message))],
      ]),
    );
  }
  return documentBytes(objectOf({ payload: base64(payload), payloadType, signatures }));
}
