// The signed envelope of a metadata file (§4.2.1): received bytes become a
// tree, its signatures, and the very bytes that the signatures cover. Nothing
// is ever re-serialised from a model: either the received slice of `signed` is
// canonical already, or the received tree is canonicalised once.

import { hexBytes } from './bytes.ts';
import { canonicalBytes } from './canonical.ts';
import { MetadataError } from './errors.ts';
import { type JsonObject, readDocument } from './json.ts';
import type { KeyId } from './keys.ts';
import { SHAPES } from './model.ts';
import { arrayAt, asObject, objectAt, stringAt } from './shape.ts';

/** A signature as received: by key id, raw bytes; `undefined` when its text is not hexadecimal. */
export interface Signature {
  readonly keyId: KeyId;
  readonly bytes: Uint8Array | undefined;
}

/** Signed content whose signatures have not been checked. */
export interface Envelope {
  /** The whole file, as received. */
  readonly bytes: Uint8Array;
  /** The tree of its `signed` member. Not to be believed yet. */
  readonly signed: JsonObject;
  /** What the signatures are made over. */
  readonly message: Uint8Array;
  readonly signatures: readonly Signature[];
}

/**
 * Opens a metadata file without believing it.
 *
 * @param role its name, for messages
 * @param like a large object of an earlier version, which makes reading what has not changed faster
 * @throws MetadataError JSON_INVALID, FORMAT_INVALID, SIGNATURE_DUPLICATE
 */
export function openEnvelope(bytes: Uint8Array, role: string, like?: JsonObject): Envelope {
  const document = readDocument(bytes, undefined, SHAPES, like);
  const signed = objectAt(document.root, 'signed', role);
  return {
    bytes,
    signed,
    message: document.canonicalSlice('signed') ?? canonicalBytes(signed),
    signatures: readSignatures(document.root, role),
  };
}

/** Reads the `signatures` member that metadata files and DSSE envelopes share. */
export function readSignatures(
  envelope: JsonObject,
  where: string,
  decode: (text: string) => Uint8Array | undefined = hexBytes,
): readonly Signature[] {
  const seen = new Set<KeyId>();
  return arrayAt(envelope, 'signatures', where).map((item) => {
    const json = asObject(item, `${where} signatures`);
    const keyId = stringAt(json, 'keyid', `${where} signatures`);
    // §4.2.1/1: key ids are unique in `signatures`; a file that repeats one is refused whole.
    if (seen.has(keyId)) {
      throw new MetadataError('SIGNATURE_DUPLICATE', `Reading the signatures of ${where}: a key id occurs twice`, {
        detail: { role: where, keyId: keyId.slice(0, 80) },
      });
    }
    seen.add(keyId);
    return { keyId, bytes: decode(stringAt(json, 'sig', `${where} signatures`)) };
  });
}
