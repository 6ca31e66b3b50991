// Decision statements: who wants what for which name, in a DSSE envelope.
// Reading believes nothing: step.ts asks core who has signed. A decision has
// one spelling (canonical JSON, no members that it does not have), so that all
// who replay a list understand the same.

import {
  AdmissionError,
  arrayAt,
  canonicalBytes,
  type Envelope,
  hex,
  integerAt,
  isTufError,
  type JsonLiteral,
  type JsonObject,
  type KeyId,
  objectOf,
  openStatement,
  preAuthEncoding,
  readInstant,
  type Signer,
  type SyncCryptoPort,
  sameBytes,
  signStatement,
  stringAt,
  stringsAt,
  utf8,
  utf8Text,
} from '@countersign/core';
import { type OwnerSet, readOwners } from './owners.ts';

/** The media type of a decision's payload. */
export const DECISION_TYPE = 'application/vnd.countersign.decision+json';

/** Which name a decision is about, and what it follows. */
export interface Subject {
  readonly collection: string;
  readonly ecosystem: string;
  /** In normal form; whether it is, the engine checks. */
  readonly name: string;
  /** The epoch that the decision acts on. */
  readonly epoch: number;
  /** The id of the decision that it follows; `previousOf` tells which. Empty for a claim. */
  readonly previous: string;
}

/** Why the quorum names new owners. */
export type RecoverReason = 'lost' | 'stolen' | 'dispute' | 'error' | 'legal';
/** Why a name gets new owners though nobody lost a key. */
export type AdoptReason = 'abandoned' | 'deceased' | 'reissue';
/** Why a name is stopped. */
export type FreezeReason = 'panic' | 'dispute' | 'legal' | 'malware';
/** Why a name ends. */
export type RetireReason = 'ended' | 'legal' | 'malware';

/** What a decision about one name says. */
export type NameBody =
  | { readonly decision: 'claim' | 'owners'; readonly owners: OwnerSet }
  | {
      readonly decision: 'recover';
      readonly owners: OwnerSet;
      readonly reason: RecoverReason;
      /** Lower-case hexadecimal SHA-256 of the private document that holds the evidence. */
      readonly evidence: string;
    }
  | {
      readonly decision: 'adopt';
      readonly owners: OwnerSet;
      readonly reason: AdoptReason;
      readonly evidence: string;
      /** When the owners were written to in vain, as UTC times. */
      readonly contacts: readonly string[];
    }
  | {
      readonly decision: 'retire';
      readonly reason: RetireReason;
      /** Empty when the owners end their own project. */
      readonly evidence: string;
    }
  | { readonly decision: 'freeze'; readonly reason: FreezeReason }
  | { readonly decision: 'revoke'; readonly keyId: KeyId }
  | { readonly decision: 'veto' | 'complete' | 'lift' | 'abandon' | 'keep' };

/** A decision about one name. */
export type NameDecision = Subject & NameBody;

/** A session of the offline quorum: "the claimed shards say what the list says up to here". */
export interface Countersign {
  readonly decision: 'countersign';
  readonly collection: string;
  /** The id of the last session; empty for the first. */
  readonly previous: string;
  readonly upto: number;
  /** Lower-case hexadecimal SHA-256 of the text of entry `upto`. */
  readonly head: string;
  /** Names to leave out, as `ecosystem/name`. */
  readonly except: readonly string[];
}

/** The repository's note that a root version is in force. */
export interface RootNote {
  readonly decision: 'root';
  readonly collection: string;
  /** The id of the last such note; empty for the first. */
  readonly previous: string;
  readonly version: number;
  /** Lower-case hexadecimal SHA-256 of the root file. */
  readonly sha256: string;
}

/** Any decision. */
export type Decision = NameDecision | Countersign | RootNote;
/** The kinds of decision about one name. */
export type NameKind = NameBody['decision'];
/** All kinds of decision. */
export type DecisionKind = Decision['decision'];

/** A statement as read; nothing about it is believed yet. */
export interface OpenedDecision {
  /** Lower-case hexadecimal SHA-256 of what the signatures cover. Nobody but the signers can change it. */
  readonly id: string;
  /** The exact text received. */
  readonly text: string;
  readonly envelope: Envelope;
  readonly decision: Decision;
}

/** Tells whether a decision is about one name. */
export function isNameDecision(decision: Decision): decision is NameDecision {
  return decision.decision !== 'countersign' && decision.decision !== 'root';
}

/**
 * Makes and signs a decision. Without signers it makes what needs none (`complete`, `root`).
 *
 * @throws SignerError
 * @example await signDecision({ decision: 'claim', collection, ecosystem: 'npm', name: 'ms', epoch: 1, previous: '', owners: ownersOf([key]) }, [key])
 */
export async function signDecision(decision: Decision, signers: readonly Signer[]): Promise<string> {
  return utf8Text(await signStatement(DECISION_TYPE, decisionPayload(decision), signers)) ?? '';
}

/** The payload of a decision: what signers see before they sign, and what draft collections keep. */
export function decisionPayload(decision: Decision): Uint8Array<ArrayBuffer> {
  return canonicalBytes(objectOf({ _type: 'decision', ...members(decision) }));
}

/** The id that a decision has, whoever signs it. */
export function decisionId(decision: Decision, crypto: SyncCryptoPort): string {
  return idOf(preAuthEncoding(DECISION_TYPE, decisionPayload(decision)), crypto);
}

/**
 * Reads a statement without believing it.
 *
 * @throws AdmissionError SUBMISSION_INVALID, SUBMISSION_TOO_LARGE
 */
export function openDecision(text: string, crypto: SyncCryptoPort): OpenedDecision {
  if (text.length > MAX_SESSION) throw tooLarge(text.length, MAX_SESSION);
  try {
    const envelope = openStatement(utf8(text), DECISION_TYPE, WHERE);
    const decision = readDecision(envelope.signed, crypto);
    if (isNameDecision(decision) && text.length > MAX_STATEMENT) throw tooLarge(text.length, MAX_STATEMENT);
    // One spelling: whatever else the payload might say, somebody could read differently.
    if (!sameBytes(envelope.message, preAuthEncoding(DECISION_TYPE, decisionPayload(decision)))) {
      throw invalid('it is not canonical, or has members that such a decision does not have');
    }
    return { id: idOf(envelope.message, crypto), text, envelope, decision };
  } catch (error) {
    if (!isTufError(error) || error instanceof AdmissionError) throw error;
    throw new AdmissionError('SUBMISSION_INVALID', error.message, { detail: error.detail, cause: error });
  }
}

function members(decision: Decision): { readonly [name: string]: JsonLiteral } {
  if (!('owners' in decision)) return 'keyId' in decision ? over(decision, { keyid: decision.keyId }) : { ...decision };
  const { keys, keyIds, threshold } = decision.owners;
  return over(decision, { keys: new Map([...keys].map(([id, key]) => [id, key.json])), keyids: keyIds, threshold });
}

/** A decision's members with those that are written differently replaced. */
function over(
  decision: NameDecision,
  written: { readonly [name: string]: JsonLiteral },
): { readonly [name: string]: JsonLiteral } {
  const same = Object.entries(decision).filter(([name]) => name !== 'owners' && name !== 'keyId');
  return { ...Object.fromEntries(same), ...written };
}

function readDecision(json: JsonObject, crypto: SyncCryptoPort): Decision {
  if (stringAt(json, '_type', WHERE) !== 'decision') throw invalid('its type is not `decision`');
  const decision = stringAt(json, 'decision', WHERE);
  const common = { collection: stringAt(json, 'collection', WHERE), previous: stringAt(json, 'previous', WHERE) };
  if (!/^(?:[0-9a-f]{64})?$/.test(common.previous)) throw invalid('`previous` is not the id of a decision');
  if (decision === 'countersign') {
    const upto = integerAt(json, 'upto', 1, WHERE);
    return { ...common, decision, upto, head: digestAt(json, 'head'), except: stringsAt(json, 'except', WHERE) };
  }
  if (decision === 'root') {
    return { ...common, decision, version: integerAt(json, 'version', 1, WHERE), sha256: digestAt(json, 'sha256') };
  }
  const subject = {
    ...common,
    ecosystem: stringAt(json, 'ecosystem', WHERE),
    name: stringAt(json, 'name', WHERE),
    epoch: integerAt(json, 'epoch', 1, WHERE),
  };
  return { ...subject, ...readBody(decision, json, crypto) };
}

function readBody(decision: string, json: JsonObject, crypto: SyncCryptoPort): NameBody {
  switch (decision) {
    case 'claim':
    case 'owners':
      return { decision, owners: readOwners(json, crypto) };
    case 'recover': {
      const reason = reasonAt(json, RECOVER_REASONS);
      return { decision, owners: readOwners(json, crypto), reason, evidence: digestAt(json, 'evidence') };
    }
    case 'adopt': {
      const contacts = arrayAt(json, 'contacts', WHERE).map((item) => {
        if (typeof item !== 'string' || readInstant(item) === undefined) throw invalid('a contact is not a UTC time');
        return item;
      });
      const reason = reasonAt(json, ADOPT_REASONS);
      return { decision, owners: readOwners(json, crypto), reason, evidence: digestAt(json, 'evidence'), contacts };
    }
    case 'retire': {
      const reason = reasonAt(json, RETIRE_REASONS);
      const bare = reason === 'ended' && stringAt(json, 'evidence', WHERE) === '';
      return { decision, reason, evidence: bare ? '' : digestAt(json, 'evidence') };
    }
    case 'freeze':
      return { decision, reason: reasonAt(json, FREEZE_REASONS) };
    case 'revoke':
      return { decision, keyId: stringAt(json, 'keyid', WHERE) };
    case 'veto':
    case 'complete':
    case 'lift':
    case 'abandon':
    case 'keep':
      return { decision };
    default:
      throw invalid('there is no such decision');
  }
}

function reasonAt<R extends string>(json: JsonObject, reasons: readonly R[]): R {
  const text = stringAt(json, 'reason', WHERE);
  const reason = reasons.find((known) => known === text);
  if (reason === undefined) throw invalid(`its reason is none of ${reasons.join(', ')}`);
  return reason;
}

function digestAt(json: JsonObject, name: string): string {
  const digest = stringAt(json, name, WHERE);
  if (!/^[0-9a-f]{64}$/.test(digest)) throw invalid(`its ${name} is not a SHA-256 in lower-case hexadecimal`);
  return digest;
}

function idOf(message: Uint8Array, crypto: SyncCryptoPort): string {
  return hex(crypto.hash('sha256', message));
}

function invalid(problem: string): AdmissionError {
  return new AdmissionError('SUBMISSION_INVALID', `Reading the decision: ${problem}`);
}

function tooLarge(got: number, limit: number): AdmissionError {
  const message = 'Reading the decision: it is too large';
  return new AdmissionError('SUBMISSION_TOO_LARGE', message, { detail: { got, limit } });
}

const WHERE = 'the decision';
const RECOVER_REASONS: readonly RecoverReason[] = ['lost', 'stolen', 'dispute', 'error', 'legal'];
const ADOPT_REASONS: readonly AdoptReason[] = ['abandoned', 'deceased', 'reissue'];
const FREEZE_REASONS: readonly FreezeReason[] = ['panic', 'dispute', 'legal', 'malware'];
const RETIRE_REASONS: readonly RetireReason[] = ['ended', 'legal', 'malware'];
/** In characters. Owner keys end up in a shard that everybody downloads. */
const MAX_STATEMENT = 65_536;
/** In characters. A session may leave out thousands of names. */
const MAX_SESSION = 1_048_576;
