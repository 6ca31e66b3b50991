// Receipts for decisions that are journaled: the repository's signed word that
// it has a veto, a freeze or any other decision, and since when. Whoever holds
// one can show that a list which leaves the decision out is not the whole truth.

import {
  AdmissionError,
  type Authority,
  canonicalBytes,
  driveCrypto,
  type Instant,
  isTufError,
  type JsonObject,
  objectOf,
  openStatement,
  readInstant,
  type Signer,
  type SyncCryptoPort,
  signStatement,
  stringAt,
  utf8,
  utf8Text,
  verify,
  writeInstant,
} from '@countersign/core';

/** The media type of a receipt's payload. */
export const RECEIPT_TYPE = 'application/vnd.countersign.receipt+json';

/** What a receipt says. */
export interface DecisionReceipt {
  readonly collection: string;
  /** The id of the decision. */
  readonly decision: string;
  /** When it was taken in; whole seconds. */
  readonly received: Instant;
  /** The submission that brought it. */
  readonly submission: string;
}

/** Signs a receipt with the key of the list of decisions. @throws SignerError */
export async function signReceipt(receipt: DecisionReceipt, signer: Signer): Promise<string> {
  const { collection, decision, received, submission } = receipt;
  const payload = objectOf({ _type: 'receipt', collection, decision, received: writeInstant(received), submission });
  return utf8Text(await signStatement(RECEIPT_TYPE, canonicalBytes(payload), [signer])) ?? '';
}

/**
 * Opens a receipt.
 *
 * @param authority who signs the collection's list of decisions, from its verified top-level targets role
 * @throws AdmissionError SUBMISSION_UNSIGNED, SUBMISSION_INVALID
 * @example openReceipt(text, { keys, role, name: 'decisions' }, crypto).decision
 */
export function openReceipt(text: string, authority: Authority, crypto: SyncCryptoPort): DecisionReceipt {
  try {
    const envelope = openStatement(utf8(text), RECEIPT_TYPE, WHERE);
    return driveCrypto(verify(envelope, [authority], readReceipt), crypto).content;
  } catch (error) {
    if (!isTufError(error)) throw error;
    const code = error.code === 'THRESHOLD_NOT_MET' ? 'SUBMISSION_UNSIGNED' : 'SUBMISSION_INVALID';
    throw new AdmissionError(code, error.message, { detail: error.detail, cause: error });
  }
}

function readReceipt(json: JsonObject): DecisionReceipt {
  const received = readInstant(stringAt(json, 'received', WHERE));
  if (stringAt(json, '_type', WHERE) !== 'receipt' || received === undefined) {
    throw new AdmissionError('SUBMISSION_INVALID', 'Reading the receipt: it is none');
  }
  const text = (name: string): string => stringAt(json, name, WHERE);
  return { collection: text('collection'), decision: text('decision'), received, submission: text('submission') };
}

const WHERE = 'the receipt';
