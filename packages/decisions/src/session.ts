// Decisions about the whole collection: sessions, by which the quorum makes
// the claimed shards say what the list says, and notes of the root in force.
// What a session makes true follows from the list up to the entry that it
// names: whatever is listed later cannot spoil what the quorum signed offline.

import {
  AdmissionError,
  type Authority,
  type Detail,
  driveCrypto,
  isTufError,
  type Key,
  type KeyId,
  type RoleKeys,
  type Root,
  type SyncCryptoPort,
  tallySignatures,
  verify,
} from '@countersign/core';
import type { RuleRow } from './edges.ts';
import { sameOwners } from './owners.ts';
import { currentOf, type NameRecord, type Shown } from './record.ts';
import type { Countersign, Decision, OpenedDecision, RootNote } from './statement.ts';

/** The offline quorum that a root version names: keys and threshold of its top-level targets role. */
export interface Quorum {
  /** Lower-case hexadecimal SHA-256 of the root file. */
  readonly sha256: string;
  readonly keys: ReadonlyMap<KeyId, Key>;
  readonly role: RoleKeys;
}

/** The last session of the quorum. */
export interface Session {
  /** The id of its decision; empty before the first. */
  readonly id: string;
  /** The entry up to which it countersigned; 0 before the first. */
  readonly upto: number;
}

/** The last note of a root. */
export interface RootInForce {
  /** The id of the note; empty before the first. */
  readonly id: string;
  readonly version: number;
}

/** What a decision about the whole collection, or any, must satisfy before a name is looked at. */
export const COLLECTION_RULES = {
  collection: {
    code: 'SUBMISSION_INVALID',
    demands: 'the decision is for this collection',
    next: 'Sign it for the collection that you send it to',
  },
  rooted: { code: 'DECISION_REFUSED', demands: 'the list begins with the root', next: 'Note the root first' },
  session: {
    code: 'DECISION_STALE',
    demands: 'the session follows the last one and reaches further',
    next: 'Replay the list, and hold the session again',
  },
  head: {
    code: 'DECISION_STALE',
    demands: "the session's head is the entry of this list",
    next: 'Compare the list that you replayed with the one that is served: they differ',
  },
  quorum: {
    code: 'SUBMISSION_UNSIGNED',
    demands: 'the offline quorum has signed, and nobody else',
    next: 'Collect the missing signatures',
  },
  root: {
    code: 'DECISION_STALE',
    demands: 'the root is the next one, as it was published',
    next: 'Note each root version, in order',
  },
} as const satisfies Record<string, RuleRow>;
/** The name of such a rule. */
export type CollectionRule = keyof typeof COLLECTION_RULES;

/** The quorum that a verified root names. @param sha256 of the root file, lower-case hexadecimal */
export function quorumOf(root: Root, sha256: string): Quorum {
  const role = root.roles.get('targets');
  if (role === undefined) throw new TypeError('A root without a targets role cannot have been verified');
  return { sha256, keys: root.keys, role };
}

/**
 * Judges a session.
 *
 * @param head the hash of entry `upto` in this list; `undefined` if there is none after the last session
 * @throws AdmissionError with `detail.rule`
 */
export function requireSession(
  opened: OpenedDecision,
  decision: Countersign,
  last: Session,
  head: string | undefined,
  quorum: Authority,
  crypto: SyncCryptoPort,
): void {
  const { envelope } = opened;
  try {
    driveCrypto(
      verify(envelope, [quorum], () => true),
      crypto,
    );
  } catch (error) {
    if (isTufError(error) && error.code === 'THRESHOLD_NOT_MET') throw declined('quorum', decision, error.detail);
    throw error;
  }
  const { signed } = driveCrypto(tallySignatures(envelope.message, envelope.signatures, quorum), crypto);
  if (signed.length !== envelope.signatures.length) throw declined('quorum', decision, { got: [...signed] });
  if (decision.previous !== last.id || decision.upto <= last.upto) {
    throw declined('session', decision, { want: last.id, got: decision.previous, upto: last.upto });
  }
  if (decision.head !== head) throw declined('head', decision, { want: head ?? '', got: decision.head });
}

/** Judges a note of a root. @throws AdmissionError with `detail.rule` */
export function requireRoot(
  opened: OpenedDecision,
  note: RootNote,
  last: RootInForce,
  known: Quorum | undefined,
): void {
  const due = last.version + 1;
  const next = note.previous === last.id && note.version === due && opened.envelope.signatures.length === 0;
  if (!next || note.sha256 !== known?.sha256) throw declined('root', note, { want: due, got: note.version });
}

/** Tells whether a session makes clients see a record as it stands: not while somebody contests it. */
export function isSettled({ frozen, pending }: NameRecord): boolean {
  return frozen === undefined && pending?.by !== 'quorum';
}

/**
 * A record after a session.
 *
 * @param record as it is now
 * @param then as it was at the entry that the session names
 */
export function countersigned(record: NameRecord, then: NameRecord): NameRecord {
  const shown = currentOf(then);
  return sameShown(record.countersigned, shown) ? record : { ...record, countersigned: shown };
}

/** Makes the error of a rule about the whole collection. */
export function declined(rule: CollectionRule, decision: Decision, detail: Detail = {}): AdmissionError {
  const { code, demands, next } = COLLECTION_RULES[rule];
  const message = `Deciding ${decision.decision}: it is required that ${demands}`;
  return new AdmissionError(code, message, {
    detail: { ...detail, rule, demands, next, decision: decision.decision },
  });
}

function sameShown(a: Shown | undefined, b: Shown): boolean {
  if (a === undefined || a.epoch !== b.epoch || a.retired !== b.retired) return false;
  return sameOwners(a.authority, b.authority);
}
