// The record of one name: who speaks for it, since when, what is asked for and
// what has stopped it. Plain read-only data; step.ts alone makes the next one.
// Also the questions that others ask of a record: its state in one word, whose
// signatures a publication needs, what the next decision follows.

import { days, type Instant } from '@countersign/core';
import { PACE } from './edges.ts';
import { classOf, liveOwners, type OwnerSet, sameOwners } from './owners.ts';
import type { AdoptReason, FreezeReason, NameKind, RecoverReason, RetireReason } from './statement.ts';

/** How the present epoch began. */
export interface Origin {
  readonly by: 'claim' | 'recover' | 'adopt';
  /** The entry of the list that made it so. */
  readonly sequence: number;
}

/** What clients are told of a name by the shard that delegates to it. */
export interface Shown {
  readonly epoch: number;
  readonly authority: OwnerSet;
  readonly cameBy: Origin;
  /** The entry by which the name ended, if it did. */
  readonly retired: number | undefined;
}

/** A request that waits for its time. */
export interface Pending {
  readonly kind: 'owners' | 'recover' | 'adopt' | 'retire';
  readonly by: 'owners' | 'quorum';
  /** The id of the request: what a veto and a completion name. */
  readonly request: string;
  readonly sequence: number;
  readonly since: Instant;
  /** From then on anyone may complete it. */
  readonly until: Instant;
  /** The owners that it would bring; `undefined` for the end of the name. */
  readonly proposal: OwnerSet | undefined;
  readonly reason: RecoverReason | AdoptReason | RetireReason | undefined;
  readonly evidence: string | undefined;
  /** Whether one live owner key ends it. Otherwise only the quorum withdraws it. */
  readonly vetoable: boolean;
}

/** What keeps a name from being published to. */
export interface Frozen {
  readonly by: 'owner' | 'quorum';
  readonly since: Instant;
  readonly reason: FreezeReason | 'revoked';
  /** The public key that did it, for an owner's freeze. */
  readonly key: string | undefined;
}

/** The ids that the next decisions follow. Each side has a chain of its own, so that none can outrun the other. */
export interface Chain {
  /** The decision that began the epoch. */
  readonly began: string;
  /** The last one of the owners. */
  readonly owners: string;
  /** The last one of the quorum. */
  readonly quorum: string;
  /** The last one that left the name free: the beginning, or a lift. */
  readonly thaw: string;
}

/** When something was begun about a name that could be begun without end, by one owner key and by several. */
export interface Begun {
  readonly alone: readonly Instant[];
  readonly together: readonly Instant[];
}

/** Everything that the decisions say of one name. */
export interface NameRecord {
  readonly ecosystem: string;
  readonly name: string;
  /** Counts from 1; a recovery or adoption begins a new one. */
  readonly epoch: number;
  readonly cameBy: Origin;
  readonly authority: OwnerSet;
  /** When the authority last changed. */
  readonly since: Instant;
  /** Public keys that were declared stolen. They never count again, for anything. */
  readonly dead: ReadonlySet<string>;
  /** What the claimed shard says; `undefined` until a session of the quorum has said it. */
  readonly countersigned: Shown | undefined;
  readonly pending: Pending | undefined;
  readonly frozen: Frozen | undefined;
  /** The owners have said that they stop caring. */
  readonly adoptable: boolean;
  /** The entry by which the name ended. */
  readonly tombstoned: number | undefined;
  readonly chain: Chain;
  /** The last of them, as far as they count. */
  readonly begun: Begun;
}

/** The state of a name in one word (DESIGN §6). `unclaimed` and `unregistered` differ by files only, which the engine knows. */
export type State =
  | 'unregistered'
  | 'recent'
  | 'claimed'
  | 'rotating'
  | 'transfer-pending'
  | 'recovery-pending'
  | 'frozen'
  | 'tombstoned';

/** The word that people read: the strongest that is true. */
export function stateOf(record: NameRecord | undefined): State {
  if (record === undefined) return 'unregistered';
  if (record.tombstoned !== undefined) return 'tombstoned';
  if (record.pending?.by === 'quorum') return 'recovery-pending';
  if (record.frozen !== undefined) return 'frozen';
  if (record.pending !== undefined) return 'transfer-pending';
  if (record.countersigned === undefined) return 'recent';
  return isRotating(record) ? 'rotating' : 'claimed';
}

/** Tells whether the claimed shard still names other owners, or an earlier epoch. */
export function isRotating({ countersigned, epoch, authority }: NameRecord): boolean {
  if (countersigned === undefined) return false;
  return countersigned.epoch !== epoch || !sameOwners(countersigned.authority, authority);
}

/** What clients see of a name at present: what the quorum countersigned, else what the record says. */
export function shownOf(record: NameRecord): Shown {
  return record.countersigned ?? currentOf(record);
}

/** What the next session would make clients see. */
export function currentOf({ epoch, authority, cameBy, tombstoned }: NameRecord): Shown {
  return { epoch, authority, cameBy, retired: tombstoned };
}

/** The present owner keys that still count. */
export function liveOwnersOf(record: NameRecord): OwnerSet {
  return liveOwners(record.authority, record.dead);
}

/**
 * Whose thresholds a role file of this name must all meet to be admitted: the
 * owners that clients know, and the present ones where they differ. `undefined`
 * while nothing may be published: frozen, ended, or between two epochs.
 *
 * @example const demanded = publishersOf(record) // [{ keys, keyIds, threshold }]
 */
export function publishersOf(record: NameRecord): readonly [OwnerSet, ...OwnerSet[]] | undefined {
  const { epoch, authority } = shownOf(record);
  if (record.frozen !== undefined || record.tombstoned !== undefined || epoch !== record.epoch) return undefined;
  const shown = liveOwners(authority, record.dead);
  return sameOwners(authority, record.authority) ? [shown] : [shown, liveOwnersOf(record)];
}

/**
 * Until when nothing more may be begun about a name by so many owner keys;
 * `undefined` where it may now. One key cannot use up what several may.
 *
 * @example pacedUntil(record, 1, now)
 */
export function pacedUntil({ begun }: NameRecord, signers: number, at: Instant): Instant | undefined {
  const [first, ...others] = begun[signers > 1 ? 'together' : 'alone'].slice(-PACE.acts);
  if (first === undefined || others.length + 1 < PACE.acts) return undefined;
  const until = first + days(PACE.days);
  return at < until ? until : undefined;
}

/** Notes that so many owner keys have begun something. */
export function withBegun(record: NameRecord, signers: number, at: Instant): NameRecord {
  const by = signers > 1 ? 'together' : 'alone';
  return { ...record, begun: { ...record.begun, [by]: [...record.begun[by], at].slice(-PACE.acts) } };
}

/**
 * Whether a change of owners that so many of them sign takes effect at once.
 * Two keys are no single thief; but even they remove nobody before the owners
 * have been the same for a while, so that a key slipped in does not throw out
 * the others on its first day.
 *
 * @param signers how many live owner keys sign
 */
export function isAtOnce(record: NameRecord, next: OwnerSet, signers: number, at: Instant, seasoning: number): boolean {
  if (signers < 2) return false;
  const change = classOf(liveOwnersOf(record), next);
  return change === 'grow' || (change === 'shrink' && at - record.since >= seasoning);
}

/**
 * The `previous` of the next decision of a kind.
 *
 * @param side who will sign it, where both might
 * @example previousOf(record, 'veto', 'owners') // the id of the pending request
 */
export function previousOf(record: NameRecord | undefined, kind: NameKind, side: 'owners' | 'quorum'): string {
  if (record === undefined) return '';
  const { pending, chain } = record;
  if (kind === 'veto' || kind === 'complete') return pending?.request ?? '';
  if (kind === 'revoke') return chain.began;
  if (side === 'quorum') return chain.quorum;
  return kind === 'freeze' ? chain.thaw : chain.owners;
}
