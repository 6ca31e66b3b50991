// One step of the machine: a record and a decision become the next record, or
// a refusal that names the rule and what to do instead. Pure. Walks EDGES;
// every signature is judged by core. Nothing is ever changed in place.

import {
  AdmissionError,
  type Authority,
  type CheckEffect,
  type Detail,
  days,
  driveCrypto,
  type Instant,
  isTufError,
  type KeyId,
  readInstant,
  type SyncCryptoPort,
  tallySignatures,
  verify,
  writeInstant,
} from '@countersign/core';
import {
  type Case,
  type Delays,
  EDGES,
  type Edge,
  type EdgeId,
  RULES,
  type Rule,
  SIGNERS,
  type Signing,
} from './edges.ts';
import { authorityOf, identitiesOf, identityOf, incomingKeys, type OwnerSet } from './owners.ts';
import { isAtOnce, liveOwnersOf, type NameRecord, type Pending, pacedUntil, previousOf, withBegun } from './record.ts';
import type { NameDecision, NameKind, OpenedDecision } from './statement.ts';

/** What a step may look at besides record and decision. */
export interface StepContext {
  readonly crypto: SyncCryptoPort;
  readonly collection: string;
  /** The offline quorum in force. */
  readonly quorum: Authority;
  readonly delays: Delays;
  /** The time of the publication that lists the decision. */
  readonly at: Instant;
  /** The place in the list that the decision gets. */
  readonly sequence: number;
}

/** A step that was taken. */
export interface Stepped {
  readonly record: NameRecord;
  readonly edge: EdgeId;
}

/**
 * Takes one decision about a name.
 *
 * @throws AdmissionError with `detail.rule`, `detail.demands` and `detail.next`; the codes are in RULES
 * @example step(undefined, openDecision(claim, crypto), context).record.epoch // 1
 */
export function step(record: NameRecord | undefined, opened: OpenedDecision, context: StepContext): Stepped {
  const decision = opened.decision as NameDecision;
  if (record !== undefined && (record.ecosystem !== decision.ecosystem || record.name !== decision.name)) {
    throw new TypeError('The record is about another name');
  }
  if (decision.decision === 'claim' && record !== undefined) throw refusal('free', decision);
  if (decision.decision !== 'claim' && record === undefined) throw refusal('held', decision);
  const epoch = record?.epoch ?? 1;
  if (decision.epoch !== epoch) throw refusal('epoch', decision, { want: epoch, got: decision.epoch });
  const facts = factsOf(record, opened, decision, context);
  const edge = edgeOf(facts);
  requirePrevious(edge, facts);
  for (const rule of edge.requires) {
    if (!HOLDS[rule](facts, edge)) throw refusal(rule, decision, detailOf(rule, facts));
  }
  const next = EFFECTS[edge.effect](facts, edge);
  const isCounted = (edge as Edge).requires.includes('paced');
  return { record: isCounted ? withBegun(next, facts.signed.length, context.at) : next, edge: edge.id };
}

/**
 * Whose thresholds a decision must meet, all of them: of the first row whose
 * keys have begun to sign, else of the decision's first row.
 *
 * @example demandsOf(record, opened, context).map(({ role }) => role.threshold)
 */
export function demandsOf(
  record: NameRecord | undefined,
  opened: OpenedDecision,
  context: StepContext,
): readonly Authority[] {
  const decision = opened.decision as NameDecision;
  const facts = factsOf(record, opened, decision, context);
  const rows = (ROWS.get(decision.decision) ?? []).map(({ signers }) => authoritiesOf(signers, facts));
  const begun = rows.find(([first]) => first?.role.keyIds.some((keyId) => facts.counted.has(keyId)));
  return begun ?? rows[0] ?? [];
}

/** All that a rule may ask for. */
interface Facts {
  /** The record; for a claim, the one that the claim would begin. */
  readonly record: NameRecord;
  readonly opened: OpenedDecision;
  readonly decision: NameDecision;
  readonly context: StepContext;
  /** The present owner keys that count. */
  readonly live: OwnerSet;
  /** Those of them that signed. */
  readonly signed: readonly KeyId[];
  /** Every key that counts for anything here and signed. */
  readonly counted: ReadonlySet<KeyId>;
  /** The owners that the decision names. */
  readonly proposal: OwnerSet | undefined;
}

type TakenEdge = (typeof EDGES)[number] & Edge;

/** The rows of each decision, in their order. */
const ROWS: ReadonlyMap<NameKind, readonly TakenEdge[]> = rowsByDecision(EDGES as readonly TakenEdge[]);

function rowsByDecision(edges: readonly TakenEdge[]): ReadonlyMap<NameKind, readonly TakenEdge[]> {
  return new Map(edges.map(({ decision }) => [decision, edges.filter((edge) => edge.decision === decision)]));
}

function factsOf(
  present: NameRecord | undefined,
  opened: OpenedDecision,
  decision: NameDecision,
  context: StepContext,
): Facts {
  const crypto = remembering(context.crypto);
  const proposal = 'owners' in decision ? decision.owners : undefined;
  const record = present ?? beginning(decision, opened.id, context, proposal ?? NO_OWNERS);
  const live = present === undefined ? NO_OWNERS : liveOwnersOf(record);
  const { message, signatures } = opened.envelope;
  const tally = (authority: Authority): readonly KeyId[] =>
    signatures.some(({ keyId }) => authority.keys.has(keyId))
      ? driveCrypto(tallySignatures(message, signatures, authority), crypto).signed
      : [];
  const signed = tally(authorityOf(live, 'the owners'));
  const incoming = proposal === undefined ? [] : tally(authorityOf(proposal, 'the new owners'));
  const counted = new Set([...signed, ...incoming, ...tally(context.quorum)]);
  return { record, opened, decision, context: { ...context, crypto }, live, signed, counted, proposal };
}

/** The row that a decision takes: the first whose signers and case fit. */
function edgeOf(facts: Facts): TakenEdge {
  const { decision, opened, counted, live, signed } = facts;
  const rows = ROWS.get(decision.decision) ?? [];
  const fits = ({ signers, when }: TakenEdge): boolean =>
    maySign(signers, facts) && (when === undefined || CASE_IS[when](facts));
  const edge = rows.find(fits);
  if (edge === undefined || !hasSigned(edge.signers, facts)) {
    const want = [...new Set(rows.map(({ signers }) => SIGNERS[signers]))].join('; or ');
    const missing = live.keyIds.filter((keyId) => !signed.includes(keyId));
    throw refusal('signers', decision, { want, got: [...signed], missing });
  }
  // A signature that counts for nothing would let a list be read in two ways.
  const stray = opened.envelope.signatures.find(({ keyId }) => !counted.has(keyId));
  if (stray !== undefined) throw refusal('strays', decision, { got: stray.keyId.slice(0, 80) });
  return edge;
}

/** Whether a row is worth asking core about. */
function maySign(signing: Signing, facts: Facts): boolean {
  return authoritiesOf(signing, facts).every(
    ({ role }) => role.keyIds.filter((keyId) => facts.counted.has(keyId)).length >= role.threshold,
  );
}

/** Whether core finds the signatures that a row needs: the only answer that counts. */
function hasSigned(signing: Signing, facts: Facts): boolean {
  const { opened, context } = facts;
  const [first, ...more] = authoritiesOf(signing, facts);
  if (first === undefined) return opened.envelope.signatures.length === 0;
  try {
    driveCrypto(
      verify(opened.envelope, [first, ...more], () => true),
      context.crypto,
    );
    return true;
  } catch (error) {
    if (isTufError(error) && error.code === 'THRESHOLD_NOT_MET') return false;
    throw error;
  }
}

function authoritiesOf(signing: Signing, { live, proposal, decision, context }: Facts): readonly Authority[] {
  const all = (owners: OwnerSet): readonly Authority[] =>
    owners.keyIds.length === 0 ? [] : [authorityOf(owners, 'the new owners', owners.keyIds.length)];
  const owners = authorityOf(live, 'the owners');
  switch (signing) {
    case 'nobody':
      return [];
    case 'every-new-key':
      return all(proposal ?? NO_OWNERS);
    case 'owners-and-new':
      return [owners, ...all(incomingKeys(live, proposal ?? NO_OWNERS))];
    case 'owners':
      return [owners];
    case 'one-owner':
      return [authorityOf(live, 'one owner', 1)];
    case 'that-key': {
      const keyId = decision.decision === 'revoke' ? decision.keyId : '';
      const keyIds = live.keyIds.filter((id) => id === keyId);
      return [authorityOf({ ...live, keyIds }, 'the key itself', 1)];
    }
    case 'quorum':
      return [context.quorum];
    case 'quorum-and-new':
      return [context.quorum, ...all(proposal ?? NO_OWNERS)];
  }
}

function requirePrevious(edge: Edge, { record, decision }: Facts): void {
  const side = edge.side === 'quorum' ? 'quorum' : 'owners';
  const want = edge.effect === 'begin' ? '' : previousOf(record, decision.decision, side);
  // Without a request the rules of the row say it better.
  if (want === '' && edge.effect !== 'begin') return;
  if (decision.previous !== want) throw refusal('previous', decision, { want, got: decision.previous });
}

const CASE_IS: Readonly<Record<Case, (facts: Facts) => boolean>> = {
  together: ({ record, signed, proposal, context: { at, delays } }) =>
    proposal !== undefined && isAtOnce(record, proposal, signed.length, at, days(delays.seasoned)),
  declared: ({ record }) => record.adoptable && record.tombstoned === undefined,
};

const HOLDS: Readonly<Record<Rule, (facts: Facts, edge: Edge) => boolean>> = {
  // The first six are asked before there is an edge.
  free: () => true,
  held: () => true,
  epoch: () => true,
  signers: () => true,
  strays: () => true,
  previous: () => true,
  alive: ({ record }) => record.tombstoned === undefined,
  moving: ({ record }) => record.frozen === undefined,
  open: ({ record }) => record.frozen?.by !== 'quorum',
  frozen: ({ record }) => record.frozen !== undefined,
  settled: ({ record }) => record.pending === undefined,
  unasked: ({ record }) => record.pending?.by !== 'quorum',
  waiting: ({ record }) => record.pending !== undefined,
  own: ({ record }) => record.pending?.by === 'quorum',
  vetoable: ({ record }) => record.pending?.vetoable === true,
  due: ({ record, context }) => record.pending !== undefined && context.at >= record.pending.until,
  able: ({ live }) => live.keyIds.length >= live.threshold,
  unopposed({ record, live, signed }) {
    const two = signed.length >= 2 || signed.length === live.keyIds.length;
    return two || signed.some((keyId) => identityOf(live, keyId) === record.frozen?.key);
  },
  changes({ record, decision, proposal }) {
    if (decision.decision === 'abandon') return !record.adoptable;
    if (decision.decision === 'keep') return record.adoptable;
    const { authority } = record;
    const same = proposal?.threshold === authority.threshold && sameKeys(proposal, authority);
    return !same;
  },
  paced: ({ record, signed, context }) => pacedUntil(record, signed.length, context.at) === undefined,
  unspent: ({ record, proposal }) => [...identitiesOf(proposal ?? NO_OWNERS)].every((key) => !record.dead.has(key)),
  reason({ record, decision }, { side }) {
    if (decision.decision === 'adopt') return (decision.reason === 'reissue') === (record.tombstoned !== undefined);
    return decision.decision !== 'retire' || (decision.reason === 'ended') === (side === 'owners');
  },
  contacts({ decision, context }) {
    if (decision.decision !== 'adopt' || decision.reason !== 'abandoned') return true;
    const past = decision.contacts.filter((contact) => (readInstant(contact) ?? Number.NaN) <= context.at);
    return new Set(past.map((contact) => contact.slice(0, 10))).size >= CONTACTS;
  },
};

const EFFECTS: Readonly<Record<Edge['effect'], (facts: Facts, edge: Edge) => NameRecord>> = {
  begin: ({ record }) => record,
  replace: ({ record, proposal, opened, context }) => ({
    ...record,
    authority: proposal ?? record.authority,
    since: context.at,
    adoptable: false,
    chain: { ...record.chain, owners: opened.id },
  }),
  ask(facts, edge) {
    const { record, opened } = facts;
    const by = edge.side === 'quorum' ? 'quorum' : 'owners';
    return { ...record, pending: requestOf(facts, edge, by), chain: { ...record.chain, [by]: opened.id } };
  },
  withdraw: ({ record, opened }, edge) => ({
    ...record,
    pending: undefined,
    chain: edge.side === 'quorum' ? { ...record.chain, quorum: opened.id } : record.chain,
  }),
  complete: completed,
  freeze: ({ record, opened, decision, signed, live, context }, edge) => ({
    ...record,
    pending: record.pending?.by === 'owners' ? undefined : record.pending,
    frozen: {
      by: edge.side === 'quorum' ? 'quorum' : 'owner',
      since: context.at,
      reason: decision.decision === 'freeze' ? decision.reason : 'panic',
      key: edge.side === 'quorum' ? undefined : identityOf(live, signed[0] ?? ''),
    },
    chain: edge.side === 'quorum' ? { ...record.chain, quorum: opened.id } : record.chain,
  }),
  revoke({ record, decision, live, context }) {
    const key = decision.decision === 'revoke' ? identityOf(live, decision.keyId) : '';
    return {
      ...record,
      pending: record.pending?.by === 'owners' ? undefined : record.pending,
      dead: new Set([...record.dead, key]),
      frozen: record.frozen ?? { by: 'owner', since: context.at, reason: 'revoked', key },
    };
  },
  lift: ({ record, opened, live }, edge) => ({
    ...record,
    authority: live,
    frozen: undefined,
    chain: { ...record.chain, thaw: opened.id, [edge.side === 'quorum' ? 'quorum' : 'owners']: opened.id },
  }),
  abandon: (facts) => marked(facts, true),
  keep: (facts) => marked(facts, false),
};

function beginning(decision: NameDecision, id: string, context: StepContext, authority: OwnerSet): NameRecord {
  return {
    ecosystem: decision.ecosystem,
    name: decision.name,
    epoch: 1,
    cameBy: { by: 'claim', sequence: context.sequence },
    authority,
    since: context.at,
    dead: NO_KEYS,
    countersigned: undefined,
    pending: undefined,
    frozen: undefined,
    adoptable: false,
    tombstoned: undefined,
    chain: { began: id, owners: id, quorum: id, thaw: id },
    begun: { alone: [], together: [] },
  };
}

function requestOf({ record, opened, decision, proposal, context }: Facts, edge: Edge, by: Pending['by']): Pending {
  const { at, delays, sequence } = context;
  const stopped = record.frozen?.by === 'quorum' && at - record.frozen.since >= days(delays.standstill);
  return {
    kind: decision.decision as Pending['kind'],
    by,
    request: opened.id,
    sequence,
    since: at,
    until: at + days(edge.delay === undefined ? 0 : delays[edge.delay]),
    proposal,
    reason: 'reason' in decision ? (decision.reason as Pending['reason']) : undefined,
    evidence: 'evidence' in decision ? decision.evidence : undefined,
    // Six weeks in public are an owner's time to be heard. An ended name has no owners.
    vetoable: by === 'owners' || (record.tombstoned === undefined && !stopped),
  };
}

function completed({ record, opened, context }: Facts): NameRecord {
  const { pending } = record;
  const { at, sequence } = context;
  if (pending === undefined) return record;
  const { id } = opened;
  const free = { ...record, pending: undefined };
  if (pending.proposal === undefined) return { ...free, tombstoned: sequence, frozen: undefined };
  const owned = { ...free, authority: pending.proposal, since: at, adoptable: false };
  if (pending.kind === 'owners') return { ...owned, chain: { ...record.chain, owners: id } };
  return {
    ...owned,
    epoch: record.epoch + 1,
    cameBy: { by: pending.kind === 'adopt' ? 'adopt' : 'recover', sequence },
    frozen: undefined,
    tombstoned: undefined,
    chain: { began: id, owners: id, quorum: id, thaw: id },
  };
}

function marked({ record, opened }: Facts, adoptable: boolean): NameRecord {
  return { ...record, adoptable, chain: { ...record.chain, owners: opened.id } };
}

function sameKeys(a: OwnerSet, b: OwnerSet): boolean {
  const other = identitiesOf(b);
  return a.keyIds.length === b.keyIds.length && [...identitiesOf(a)].every((key) => other.has(key));
}

/** Makes the error of a rule: code, rule, and the next permitted step. */
export function refusal(rule: Rule, decision: NameDecision, detail: Detail = {}): AdmissionError {
  const { code, demands, next } = RULES[rule];
  const about = `${decision.decision} of ${decision.ecosystem}/${decision.name}`;
  return new AdmissionError(code, `Deciding ${about.slice(0, 200)}: it is required that ${demands}`, {
    detail: { ...detail, rule, demands, next, decision: decision.decision },
  });
}

function detailOf(rule: Rule, { record, signed, context }: Facts): Detail {
  const { pending } = record;
  const until = rule === 'paced' ? pacedUntil(record, signed.length, context.at) : undefined;
  if (until !== undefined) return { until: writeInstant(until) };
  const waits = rule === 'due' || rule === 'settled' || rule === 'unasked';
  return waits && pending !== undefined ? { until: writeInstant(pending.until), waiting: pending.kind } : {};
}

/** The same cryptography, asking once for each signature of one statement. */
function remembering(crypto: SyncCryptoPort): SyncCryptoPort {
  const known = new Map<Uint8Array, Map<string, boolean>>();
  return {
    hash: (algorithm, bytes) => crypto.hash(algorithm, bytes),
    check(effect: CheckEffect) {
      const answers = known.get(effect.signature) ?? new Map<string, boolean>();
      known.set(effect.signature, answers);
      const answer = answers.get(effect.key.identity) ?? crypto.check(effect);
      answers.set(effect.key.identity, answer);
      return answer;
    },
  };
}

const NO_OWNERS: OwnerSet = { keys: new Map(), keyIds: [], threshold: 1 };
const NO_KEYS: ReadonlySet<string> = new Set();
/** On how many days the owners of an abandoned project must have been written to. */
const CONTACTS = 3;
