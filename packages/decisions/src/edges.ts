// The machine as data: what may be decided about a name, who must sign, what
// must hold first, how long it waits, who may object, and what clients see.
// step.ts walks this table and has no other knowledge of it; docs/decisions.md
// is printed from it. A change here changes who can take a name: read ADR 0014.

import type { Code } from '@countersign/core';
import type { NameKind } from './statement.ts';

/** Waiting times in days. */
export interface Delays {
  /** Before an owner change that one key asked for, or that nobody of the present owners survives. */
  readonly owners: number;
  /** How long an authority must have been in force before it may remove a key at once. */
  readonly seasoned: number;
  readonly recover: number;
  readonly adopt: number;
  /** An adoption when the owners had declared the project abandoned. */
  readonly adoptDeclared: number;
  readonly retire: number;
  readonly retireByQuorum: number;
  /** How long the quorum must have stopped a name in public before an owner's veto ends. */
  readonly standstill: number;
}

/** The waiting times unless a collection says otherwise. */
export const DELAYS: Delays = {
  owners: 7,
  seasoned: 7,
  recover: 14,
  adopt: 42,
  adoptDeclared: 7,
  retire: 7,
  retireByQuorum: 14,
  standstill: 42,
};

/**
 * How much may be begun about a name in how many days, counted in the list's
 * own time: by one owner key, and apart from that by several together. What
 * only stops or ends something is never counted, nor what the quorum does.
 */
export const PACE = { acts: 10, days: 1 } as const;

/** Who acts on a row. */
export type Side = 'newcomer' | 'owners' | 'quorum' | 'anyone';

/** Whose signatures a row needs. */
export const SIGNERS = {
  'every-new-key': 'every key of the claim',
  'owners-and-new': "the owners' threshold, and every key that comes in",
  'one-owner': 'any one owner key',
  'that-key': 'the very key',
  owners: "the owners' threshold",
  quorum: 'the offline quorum',
  'quorum-and-new': 'the offline quorum, and every key of the new owners',
  nobody: 'nobody',
} as const;
/** One of the answers to "who signs". */
export type Signing = keyof typeof SIGNERS;

/** What a demand of the machine says, and what to do where it is not met. */
export interface RuleRow {
  readonly code: Code & `${'DECISION' | 'NAME' | 'SUBMISSION'}_${string}`;
  /** What must hold; no full stop. */
  readonly demands: string;
  /** What the refused may do; no full stop. */
  readonly next: string;
}

/** Every rule that a decision about a name can break. */
export const RULES = {
  free: {
    code: 'NAME_TAKEN',
    demands: 'nobody speaks for the name yet',
    next: 'Choose another name, or ask its owner',
  },
  held: { code: 'NAME_UNCLAIMED', demands: 'somebody speaks for the name', next: 'Claim the name' },
  epoch: {
    code: 'DECISION_STALE',
    demands: "the decision names the name's present epoch",
    next: 'Read how the name stands now, and decide again',
  },
  previous: {
    code: 'DECISION_STALE',
    demands: 'the decision follows the last one of its side',
    next: 'Read how the name stands now, and sign again with the present `previous`',
  },
  signers: {
    code: 'SUBMISSION_UNSIGNED',
    demands: 'the right keys have signed, and enough of them',
    next: 'Collect the missing signatures',
  },
  strays: {
    code: 'SUBMISSION_UNSIGNED',
    demands: 'every signature is valid and of a key that counts here',
    next: 'Send the statement without the other signatures',
  },
  alive: {
    code: 'DECISION_REFUSED',
    demands: 'the name has not ended',
    next: 'Ask the quorum to issue the name again (adopt, reason reissue)',
  },
  moving: { code: 'DECISION_REFUSED', demands: 'the name is not frozen', next: 'Lift the freeze first' },
  open: {
    code: 'DECISION_REFUSED',
    demands: 'the quorum has not frozen the name',
    next: 'Ask the quorum to lift its freeze',
  },
  frozen: { code: 'DECISION_REFUSED', demands: 'the name is frozen', next: 'Publish: nothing stops it' },
  settled: {
    code: 'DECISION_REFUSED',
    demands: 'no request is waiting',
    next: 'Wait for the request that is waiting, or veto it',
  },
  unasked: {
    code: 'DECISION_REFUSED',
    demands: 'no request of the quorum is waiting',
    next: 'Wait for the request that is waiting, or have the quorum withdraw it',
  },
  waiting: { code: 'DECISION_REFUSED', demands: 'a request is waiting', next: 'Nothing is left to do' },
  own: { code: 'DECISION_REFUSED', demands: 'the request that is waiting is its own', next: 'Leave it to the owners' },
  vetoable: {
    code: 'DECISION_REFUSED',
    demands: 'the request can still be vetoed',
    next: 'Bring your evidence before the quorum, which alone can withdraw the request now',
  },
  due: { code: 'DECISION_EARLY', demands: 'the waiting time is over', next: 'Complete it when its time has come' },
  able: {
    code: 'DECISION_REFUSED',
    demands: 'enough owner keys still count',
    next: 'Ask the quorum to recover the name',
  },
  unopposed: {
    code: 'DECISION_REFUSED',
    demands: 'the key that froze the name signs, or two owner keys do',
    next: 'Lift it with the key that froze it, with two keys, or ask the quorum',
  },
  changes: { code: 'DECISION_REFUSED', demands: 'it changes something', next: 'Nothing is left to do' },
  paced: {
    code: 'DECISION_EARLY',
    demands: `no more than ${PACE.acts} things are begun about a name in a day by one key, nor by several`,
    next: 'Wait until then; veto, freeze, revoke and keep are always possible',
  },
  unspent: {
    code: 'DECISION_REFUSED',
    demands: 'no key that was declared stolen comes back',
    next: 'Make a new key',
  },
  reason: {
    code: 'DECISION_REFUSED',
    demands: 'the reason is one that this side has, at this point',
    next: 'Give the true reason',
  },
  contacts: {
    code: 'DECISION_REFUSED',
    demands: 'the owners of an abandoned project were written to on three days',
    next: 'Write to the owners on three days, then ask again',
  },
} as const satisfies Record<string, RuleRow>;
/** The name of a rule, as refusals give it in `detail.rule`. */
export type Rule = keyof typeof RULES;

/** What decides between two rows of the same decision. */
export const CASES = {
  together:
    'at least two owner keys signed, and either no key leaves and the threshold stays, or the owners have been the same for the seasoning time and one of them stays',
  declared: 'the owners had declared the project abandoned',
} as const;
/** One of the cases. */
export type Case = keyof typeof CASES;

/** What a row does to the record. */
export type Effect =
  | 'begin'
  | 'replace'
  | 'ask'
  | 'withdraw'
  | 'complete'
  | 'freeze'
  | 'revoke'
  | 'lift'
  | 'abandon'
  | 'keep';

/** One permitted step of the machine. */
export interface Edge {
  readonly id: string;
  readonly decision: NameKind;
  readonly side: Side;
  readonly signers: Signing;
  /** Taken only in this case; a later row of the same decision takes the rest. */
  readonly when?: Case;
  /** What must hold, in the order in which it is asked. Name, epoch, signatures and order come before. */
  readonly requires: readonly Rule[];
  readonly effect: Effect;
  readonly delay?: keyof Delays;
  readonly clients: string;
  readonly why: string;
}

const SAME = 'nothing new';
const AT_NEXT_SESSION = 'a recent name: the new owners at once; a claimed one: at the next session of the quorum';
const NEW_EPOCH = 'a new epoch and how it came, which they are asked to confirm';

/** Every edge of the machine. For one decision the first row whose signers and case fit is taken. */
export const EDGES = [
  {
    id: 'claim',
    decision: 'claim',
    side: 'newcomer',
    signers: 'every-new-key',
    requires: ['free'],
    effect: 'begin',
    clients: 'the owner, as recent; as claimed from the next session on',
    why: 'Who comes first owns the name, and holds every key that is said to own it',
  },
  {
    id: 'owners-together',
    decision: 'owners',
    side: 'owners',
    signers: 'owners-and-new',
    when: 'together',
    requires: ['alive', 'open', 'settled', 'changes', 'unspent', 'paced'],
    effect: 'replace',
    clients: AT_NEXT_SESSION,
    why: 'Two keys are no single thief: they may act at once, even while one owner key has frozen the name',
  },
  {
    id: 'owners-alone',
    decision: 'owners',
    side: 'owners',
    signers: 'owners-and-new',
    requires: ['alive', 'moving', 'settled', 'changes', 'unspent', 'paced'],
    effect: 'ask',
    delay: 'owners',
    clients: SAME,
    why: 'A single stolen key signs this as well as its owner does: the owner gets a week to object',
  },
  {
    id: 'veto',
    decision: 'veto',
    side: 'owners',
    signers: 'one-owner',
    requires: ['waiting', 'vetoable'],
    effect: 'withdraw',
    clients: SAME,
    why: 'One key can always stop: an owner who is reachable is not passed over',
  },
  {
    id: 'withdraw',
    decision: 'veto',
    side: 'quorum',
    signers: 'quorum',
    requires: ['waiting', 'own'],
    effect: 'withdraw',
    clients: SAME,
    why: 'The quorum takes back its own request',
  },
  {
    id: 'complete',
    decision: 'complete',
    side: 'anyone',
    signers: 'nobody',
    requires: ['waiting', 'due'],
    effect: 'complete',
    clients: `what was asked for. Owners: ${AT_NEXT_SESSION}. Recovery, adoption: ${NEW_EPOCH}`,
    why: 'It was decided when it was asked for; now its time is over and nobody has objected',
  },
  {
    id: 'freeze',
    decision: 'freeze',
    side: 'owners',
    signers: 'one-owner',
    requires: ['alive', 'moving'],
    effect: 'freeze',
    clients: 'no new version',
    why: 'Panic needs no quorum: one key stops the name, and ends what owners asked for',
  },
  {
    id: 'quarantine',
    decision: 'freeze',
    side: 'quorum',
    signers: 'quorum',
    requires: ['alive', 'open'],
    effect: 'freeze',
    clients: 'no new version, and who stopped it',
    why: 'Malware, a court or a dispute: stop first, decide later',
  },
  {
    id: 'revoke',
    decision: 'revoke',
    side: 'owners',
    signers: 'that-key',
    requires: ['alive'],
    effect: 'revoke',
    clients: 'no new version',
    why: 'Thief and owner hold the same key: either can end it, and nobody can use it again',
  },
  {
    id: 'lift',
    decision: 'lift',
    side: 'owners',
    signers: 'owners',
    requires: ['alive', 'frozen', 'open', 'unopposed', 'paced'],
    effect: 'lift',
    clients: 'new versions again',
    why: 'Enough owners agree, and it is not one key against another. Keys declared stolen leave',
  },
  {
    id: 'release',
    decision: 'lift',
    side: 'quorum',
    signers: 'quorum',
    requires: ['alive', 'frozen', 'able'],
    effect: 'lift',
    clients: 'new versions again',
    why: 'The quorum ends a stop that was a mistake or has done its work',
  },
  {
    id: 'recover',
    decision: 'recover',
    side: 'quorum',
    signers: 'quorum-and-new',
    requires: ['alive', 'unasked', 'unspent'],
    effect: 'ask',
    delay: 'recover',
    clients: 'that a recovery is waiting',
    why: 'A lost key must not be a lost project; the delay and the veto keep the quorum honest',
  },
  {
    id: 'adopt-declared',
    decision: 'adopt',
    side: 'quorum',
    signers: 'quorum-and-new',
    when: 'declared',
    requires: ['unasked', 'unspent', 'reason', 'contacts'],
    effect: 'ask',
    delay: 'adoptDeclared',
    clients: 'that an adoption is waiting',
    why: 'The owners said that they no longer care',
  },
  {
    id: 'adopt',
    decision: 'adopt',
    side: 'quorum',
    signers: 'quorum-and-new',
    requires: ['unasked', 'unspent', 'reason', 'contacts'],
    effect: 'ask',
    delay: 'adopt',
    clients: 'that an adoption is waiting',
    why: 'The owners are silent or dead, or the name had ended: six weeks for anyone to speak up',
  },
  {
    id: 'abandon',
    decision: 'abandon',
    side: 'owners',
    signers: 'owners',
    requires: ['alive', 'moving', 'changes', 'paced'],
    effect: 'abandon',
    clients: SAME,
    why: 'Owners hand the project to whom the quorum finds',
  },
  {
    id: 'keep',
    decision: 'keep',
    side: 'owners',
    signers: 'owners',
    requires: ['alive', 'changes'],
    effect: 'keep',
    clients: SAME,
    why: 'Owners change their minds',
  },
  {
    id: 'retire',
    decision: 'retire',
    side: 'owners',
    signers: 'owners',
    requires: ['alive', 'moving', 'settled', 'reason', 'paced'],
    effect: 'ask',
    delay: 'retire',
    clients: SAME,
    why: 'Owners end their project; another owner may object',
  },
  {
    id: 'close',
    decision: 'retire',
    side: 'quorum',
    signers: 'quorum',
    requires: ['alive', 'unasked', 'reason'],
    effect: 'ask',
    delay: 'retireByQuorum',
    clients: 'that the end of the name is waiting',
    why: 'Malware or a court ends a name; the freeze before it works at once',
  },
] as const satisfies readonly Edge[];

/** The name of an edge. */
export type EdgeId = (typeof EDGES)[number]['id'];
