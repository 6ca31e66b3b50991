// The machine without paper: decisions go straight into `step`, signatures
// are the signer's name, so that every reachable state can be visited. What is
// explored is step.ts itself, not a model of it; only equal states are folded.

import { type Authority, days, type Instant, isTufError, type SyncCryptoPort } from '@countersign/core';
import {
  DELAYS,
  type EdgeId,
  liveOwnersOf,
  type NameBody,
  type NameDecision,
  type NameRecord,
  type OpenedDecision,
  type OwnerSet,
  ownersOf,
  PACE,
  pacedUntil,
  previousOf,
  step,
} from '../src/index.ts';
import { EVIDENCE, key, QUORUM, type TestKey } from './world.ts';

/** A moment of one name. */
export interface Moment {
  /** How it stands; `undefined` before the claim. */
  readonly record: NameRecord | undefined;
  readonly at: Instant;
}

/** Something that somebody may send. */
export interface Offer {
  readonly body: NameBody;
  readonly side: 'owners' | 'quorum';
  /** Names of the keys that sign. */
  readonly by: readonly string[];
}

const crypto: SyncCryptoPort = {
  check: ({ key, signature }) => signature[0] === numbers.get(key.identity),
  hash: () => new Uint8Array(32),
};

const NAMES = ['o1', 'o2', 'o3', 't', 'n', 'm', ...QUORUM];
const KEYS = new Map(NAMES.map((name) => [name, key(name)]));
const numbers = new Map([...KEYS.values()].map((signer, i) => [identity(signer), i]));
const names = new Map([...KEYS].map(([name, { keyId }]) => [keyId, name]));

const members = QUORUM.map((name) => known(name));
const quorum: Authority = {
  keys: new Map(members.map((member) => [member.keyId, member.key])),
  role: { keyIds: members.map(({ keyId }) => keyId), threshold: 2 },
  name: 'the quorum',
};

function known(name: string): TestKey {
  return KEYS.get(name) ?? key(name);
}

function identity(signer: TestKey): string {
  return signer.key.verification?.key.identity ?? '';
}

let count = 0;

/** Takes an offer; `undefined` when it is refused. */
export function take(moment: Moment, { body, side, by }: Offer): { moment: Moment; edge: EdgeId } | undefined {
  const { record, at } = moment;
  const previous = previousOf(record, body.decision, side);
  const subject = { collection: 'main', ecosystem: 'pkg', name: 'ms', epoch: record?.epoch ?? 1, previous };
  const decision: NameDecision = { ...subject, ...body };
  const sequence = ++count;
  try {
    const context = { crypto, collection: 'main', quorum, delays: DELAYS, at, sequence };
    const taken = step(record, opened(decision, by, `id ${sequence}`), context);
    return { moment: { record: taken.record, at }, edge: taken.edge };
  } catch (error) {
    if (isTufError(error)) return undefined;
    throw error;
  }
}

function opened(decision: NameDecision, by: readonly string[], id: string): OpenedDecision {
  const signatures = by.map((name) => ({
    keyId: known(name).keyId,
    bytes: Uint8Array.of(numbers.get(identity(known(name))) ?? 255),
  }));
  const message = new Uint8Array();
  return { id, text: '', envelope: { bytes: message, signed: new Map(), message, signatures }, decision };
}

/** A session of the quorum that reaches up to now, for one name. */
export function session({ record, at }: Moment): Moment {
  if (record === undefined || record.frozen !== undefined || record.pending?.by === 'quorum') return { record, at };
  const { epoch, authority, cameBy, tombstoned: retired } = record;
  return { record: { ...record, countersigned: { epoch, authority, cameBy, retired } }, at };
}

/** The next moment at which time alone permits something new. */
export function tick({ record, at }: Moment): Moment | undefined {
  if (record === undefined) return undefined;
  const { pending, frozen, since } = record;
  const events = [pending?.until, since + days(DELAYS.seasoned)];
  if (frozen?.by === 'quorum') events.push(frozen.since + days(DELAYS.standstill));
  const next = Math.min(...events.filter((event) => event !== undefined && event > at).map(Number));
  return Number.isFinite(next) ? { record, at: next } : undefined;
}

/** The names of an owner set's keys. */
export function namesOf(owners: OwnerSet): readonly string[] {
  return owners.keyIds.map(nameOf);
}

/** The owner set of some names. */
export function set(names: readonly string[], threshold: number): OwnerSet {
  return ownersOf(names.map(known), threshold);
}

/** The name of a key of this world. */
export function nameOf(keyId: string): string {
  return names.get(keyId) ?? keyId;
}

/** Every non-empty selection. */
export function subsets<T>(items: readonly T[]): readonly (readonly T[])[] {
  return items.reduce<readonly (readonly T[])[]>((all, item) => [...all, ...all.map((some) => [...some, item])], [[]]);
}

/** Owner sets that somebody might ask for, as a record stands. */
export function proposals(record: NameRecord): readonly OwnerSet[] {
  const { threshold } = record.authority;
  const live = namesOf(liveOwnersOf(record));
  const found = [set(['t'], 1)];
  if (!live.includes('t') && live.length > 0 && live.length < 3) found.push(set([...live, 't'], threshold));
  if (live.length > 1) found.push(set(live.slice(1), Math.min(threshold, live.length - 1)), set(live, 3 - threshold));
  return found.filter(({ threshold: count, keyIds }) => count >= 1 && count <= keyIds.length);
}

/** Everything that can be sent about a name with some owner keys, and with a quorum or without. */
export function offers(record: NameRecord | undefined, keys: readonly string[], withQuorum: boolean): readonly Offer[] {
  if (record === undefined) return [];
  const own = (body: NameBody, by: readonly string[]): Offer => ({ body, side: 'owners', by });
  const live = namesOf(liveOwnersOf(record)).filter((name) => keys.includes(name));
  const signers = subsets(live).filter((some) => some.length > 0);
  const found: Offer[] = [own({ decision: 'complete' }, [])];
  for (const by of signers) {
    for (const owners of proposals(record)) {
      const incoming = namesOf(owners).filter((name) => !by.includes(name) && keys.includes(name));
      const present = namesOf(record.authority);
      found.push(own({ decision: 'owners', owners }, [...by, ...incoming.filter((name) => !present.includes(name))]));
    }
    for (const decision of ['lift', 'abandon', 'keep'] as const) found.push(own({ decision }, by));
    found.push(own({ decision: 'retire', reason: 'ended', evidence: '' }, by));
    const [only, second] = by;
    if (only === undefined || second !== undefined) continue;
    found.push(own({ decision: 'veto' }, by), own({ decision: 'freeze', reason: 'panic' }, by));
    found.push(own({ decision: 'revoke', keyId: known(only).keyId }, by));
  }
  return withQuorum ? [...found, ...quorumOffers(record, set(['n'], 1))] : found;
}

/** Everything that a quorum can send, for owners that it would bring. */
export function quorumOffers(
  record: NameRecord,
  owners: OwnerSet,
  by: readonly string[] = QUORUM.slice(1),
): readonly Offer[] {
  const rule = (body: NameBody, more: readonly string[] = []): Offer => ({
    body,
    side: 'quorum',
    by: [...by, ...more],
  });
  const reason = record.tombstoned === undefined ? 'deceased' : 'reissue';
  return [
    rule({ decision: 'veto' }),
    rule({ decision: 'freeze', reason: 'dispute' }),
    rule({ decision: 'lift' }),
    rule({ decision: 'retire', reason: 'malware', evidence: EVIDENCE }),
    rule({ decision: 'recover', reason: 'lost', evidence: EVIDENCE, owners }, namesOf(owners)),
    rule({ decision: 'adopt', reason, evidence: EVIDENCE, contacts: [], owners }, namesOf(owners)),
  ];
}

/** The same moment, on a day on which one key has begun all that it may. */
export function fillUp({ record, at }: Moment): Moment {
  if (record === undefined) return { record, at };
  return { record: { ...record, begun: { ...record.begun, alone: Array.from({ length: PACE.acts }, () => at) } }, at };
}

/**
 * A state's fingerprint: everything that the machine may look at, with times as
 * "past their threshold or not" and the owners' keys, which are alike, unnamed.
 */
export function fingerprint({ record, at }: Moment): string {
  if (record === undefined) return '-';
  const { pending, frozen } = record;
  const still = frozen?.by === 'quorum' && at - frozen.since >= days(DELAYS.standstill);
  const alike = ['o1', 'o2', 'o3'].map((name) => roleOfKey(record, name)).sort();
  return [
    ...alike,
    roleOfKey(record, 't'),
    roleOfKey(record, 'n'),
    record.authority.threshold,
    Math.min(record.epoch, 2),
    at - record.since >= days(DELAYS.seasoned),
    pending && [pending.kind, pending.by, at >= pending.until, pending.vetoable, pending.proposal?.threshold].join(' '),
    frozen && `${frozen.by} ${still}`,
    record.adoptable,
    pacedUntil(record, 1, at) !== undefined,
    pacedUntil(record, 2, at) !== undefined,
    record.tombstoned !== undefined,
  ].join('|');
}

/** In which places of a record a key occurs. A key that has left is nowhere. */
function roleOfKey({ authority, dead, pending, frozen }: NameRecord, name: string): string {
  const signer = known(name);
  const present = authority.keys.has(signer.keyId);
  const places = [
    present,
    present && dead.has(identity(signer)),
    pending?.proposal?.keys.has(signer.keyId) === true,
    present && frozen?.key === identity(signer),
  ];
  return places.map(Number).join('');
}
