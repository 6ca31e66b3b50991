// The register: every name's record, as the decision list says. It grows by
// one entry at a time; an overlay tries entries out and is thrown away or
// absorbed. Sessions of the quorum and root notes, which are about the whole
// collection, are decided here; what is about one name, step.ts decides.

import {
  type Authority,
  binOf,
  compareCodePoints,
  type Instant,
  isTufError,
  type Sha256,
  type SyncCryptoPort,
} from '@countersign/core';
import { DELAYS, type Delays, type EdgeId } from './edges.ts';
import { Layer } from './layer.ts';
import { broken, type Entry, type ListHead, NO_TIP, readEntry, type Tip, tipOf, writeEntry } from './list.ts';
import type { NameRecord } from './record.ts';
import {
  countersigned,
  declined,
  isSettled,
  type Quorum,
  type RootInForce,
  requireRoot,
  requireSession,
  type Session,
} from './session.ts';
import { type Countersign, type OpenedDecision, openDecision } from './statement.ts';
import { demandsOf, step } from './step.ts';

/** What a register is told once. */
export interface RegisterRules {
  readonly collection: string;
  readonly crypto: SyncCryptoPort;
  /** The quorum of a verified root version; `undefined` for a version that is not known. */
  readonly quorum: (rootVersion: number) => Quorum | undefined;
  /** The collection's waiting times; DELAYS unless told. Everyone who replays must be told the same. */
  readonly delays?: Delays;
}

/** What an entry did. */
export interface Listed {
  readonly entry: Entry;
  /** The exact line of the entry, without its line end. */
  readonly line: string;
  readonly opened: OpenedDecision;
  /** The edge that was taken; `undefined` for sessions and root notes. */
  readonly edge: EdgeId | undefined;
  /** Names whose records are new, as `ecosystem/name`. */
  readonly touched: readonly string[];
}

/** Which kind of shard a name is in. */
export type ShardSide = 'recent' | 'claimed';

/** A record as it was, and what it was before: back to the last session. */
interface Past {
  readonly sequence: number;
  readonly record: NameRecord;
  readonly older: Past | undefined;
}

interface Decided {
  readonly edge: EdgeId | undefined;
  readonly records: readonly NameRecord[];
}

/** How registers and sessions name a name. @example nameKey({ ecosystem: 'npm', name: 'ms' }) // 'npm/ms' */
export function nameKey({ ecosystem, name }: { readonly ecosystem: string; readonly name: string }): string {
  return `${ecosystem}/${name}`;
}

/**
 * The records of all names of a collection.
 *
 * @example
 * const trial = register.overlay();
 * const { line, touched } = trial.append(statement, { at: now, publication: 7 });
 * register.absorb(trial);
 */
export class Register {
  readonly rules: RegisterRules;
  private readonly below: Register | undefined;
  private readonly records: Layer<string, NameRecord>;
  /** By side and bin, the names there. */
  private readonly bins: Layer<string, readonly string[]>;
  /** Names that the claimed shards may not show as they stand. */
  private readonly changed: Layer<string, Past>;
  /** Names with a request that waits. */
  private readonly waiting: Layer<string, true>;
  /** Hashes of the entries after the last session's. */
  private readonly hashes: Layer<number, string>;
  private end: Tip;
  private last: Session;
  private root: RootInForce;

  constructor(rules: RegisterRules, below?: Register) {
    this.rules = rules;
    this.below = below;
    this.records = new Layer(below?.records);
    this.bins = new Layer(below?.bins);
    this.changed = new Layer(below?.changed);
    this.waiting = new Layer(below?.waiting);
    this.hashes = new Layer(below?.hashes);
    this.end = below?.end ?? NO_TIP;
    this.last = below?.last ?? { id: '', upto: 0 };
    this.root = below?.root ?? { id: '', version: 0 };
  }

  /** The record of a name; `undefined` if nobody speaks for it. */
  record(ecosystem: string, name: string): NameRecord | undefined {
    return this.records.get(nameKey({ ecosystem, name }));
  }

  /** Where the list ends. */
  get tip(): Tip {
    return this.end;
  }

  /** The last session of the quorum. */
  get session(): Session {
    return this.last;
  }

  /** The root in force: its version is 0 before the first note of one. */
  get rootInForce(): RootInForce {
    return this.root;
  }

  /** What the head file says; `undefined` while the list is empty. */
  get head(): ListHead | undefined {
    const { sequence, entry, at } = this.end;
    return sequence === 0 ? undefined : { collection: this.rules.collection, at, entry, sequence };
  }

  /** Core's hash, as the layout asks for it. */
  get sha256(): Sha256 {
    return (bytes) => this.rules.crypto.hash('sha256', bytes);
  }

  /** A register to try entries on. This one must not change while it is used. */
  overlay(): Register {
    return new Register(this.rules, this);
  }

  /** Takes over what an overlay of this register has added. */
  absorb(overlay: Register): void {
    if (overlay.below !== this) throw new TypeError('That register does not lie on this one');
    this.records.absorb(overlay.records);
    this.bins.absorb(overlay.bins);
    this.changed.absorb(overlay.changed);
    this.waiting.absorb(overlay.waiting);
    this.hashes.absorb(overlay.hashes);
    this.end = overlay.end;
    this.last = overlay.last;
    this.root = overlay.root;
  }

  /**
   * Lists one more decision, in the publication that is being made.
   *
   * @throws AdmissionError with `detail.rule` and `detail.next`; nothing is changed then
   */
  append(statement: string, { at, publication }: { readonly at: Instant; readonly publication: number }): Listed {
    const opened = openDecision(statement, this.rules.crypto);
    const { sequence, entry: previous } = this.end;
    // A clock that was set back must not make a list that nobody can replay.
    const time = Math.max(Math.floor(at / 1000) * 1000, this.end.at);
    const entry: Entry = { at: time, previous, publication, sequence: sequence + 1, statement };
    return this.push(entry, writeEntry(entry), opened);
  }

  /**
   * Lists the next entry of a list that somebody serves, checking all of it.
   *
   * @throws MetadataError DECISIONS_INVALID, with the refusal of the machine as `cause`; nothing is changed then
   */
  replay(line: string): Listed {
    const entry = readEntry(line);
    const { at, previous, publication, sequence } = entry;
    const where = { sequence: this.end.sequence + 1 };
    if (line !== writeEntry(entry)) throw broken('an entry is not in its one spelling', where);
    if (sequence !== where.sequence) throw broken('an entry is missing or out of order', { ...where, got: sequence });
    if (previous !== this.end.entry) throw broken('an entry does not follow the one before it', where);
    if (at < this.end.at || publication < this.end.publication) throw broken('an entry goes back in time', where);
    if (publication === this.end.publication && at !== this.end.at) {
      throw broken('one publication has two times', { ...where, publication });
    }
    try {
      return this.push(entry, line, openDecision(entry.statement, this.rules.crypto));
    } catch (error) {
      if (!isTufError(error)) throw error;
      const rule = error.detail['rule'];
      const facts = { ...where, code: error.code, ...(typeof rule === 'string' && { rule }) };
      throw broken('an entry breaks the rules of decisions', facts, error);
    }
  }

  /** Whose thresholds a statement must meet to be listed, as far as signatures go. */
  demands(opened: OpenedDecision, at: Instant): readonly Authority[] {
    const { collection, crypto, quorum, delays = DELAYS } = this.rules;
    const { decision } = opened;
    const named = quorum(this.root.version);
    if (decision.decision === 'root' || named === undefined) return [];
    const authority = { keys: named.keys, role: named.role, name: 'the quorum' };
    if (decision.decision === 'countersign') return [authority];
    const context = { crypto, collection, quorum: authority, delays, at, sequence: this.end.sequence + 1 };
    return demandsOf(this.record(decision.ecosystem, decision.name), opened, context);
  }

  /** Names whose request may be completed: by `ecosystem/name`, in order. */
  due(at: Instant): readonly NameRecord[] {
    return this.pending().filter(({ pending }) => pending !== undefined && pending.until <= at);
  }

  /** Names with a request that waits, in order. */
  pending(): readonly NameRecord[] {
    return this.recordsOf(this.waiting);
  }

  /** Names that the claimed shards may not show as they stand, in order: what the next session is about. */
  unsettled(): readonly NameRecord[] {
    return this.recordsOf(this.changed);
  }

  /** The names of one side whose bins begin with `prefix` (0 to 4 hex digits), in no particular order. */
  *names(side: ShardSide, prefix: string): Generator<NameRecord> {
    for (const key of this.keysIn(`${side} ${prefix}`, 4 - prefix.length)) {
      const record = this.records.get(key);
      if (record !== undefined) yield record;
    }
  }

  /** The names of all places that begin so, by whichever way is shorter. */
  private *keysIn(begin: string, digits: number): Generator<string> {
    if (16 ** digits > this.bins.bound) {
      for (const [place, keys] of this.bins.entries()) if (place.startsWith(begin)) yield* keys;
      return;
    }
    for (let i = 0; i < 16 ** digits; i++) {
      const rest = digits === 0 ? '' : i.toString(16).padStart(digits, '0');
      yield* this.bins.get(begin + rest) ?? [];
    }
  }

  private recordsOf(layer: Layer<string, unknown>): readonly NameRecord[] {
    const keys = layer
      .entries()
      .map(([key]) => key)
      .sort(compareCodePoints);
    return keys.flatMap((key) => this.records.get(key) ?? []);
  }

  /** Decides an entry, and if nothing refuses it makes it the last one. */
  private push(entry: Entry, line: string, opened: OpenedDecision): Listed {
    const { decision } = opened;
    const { edge, records } = this.decide(opened, entry);
    this.end = tipOf(entry, line, this.sha256);
    this.hashes.set(entry.sequence, this.end.entry);
    for (const record of records) this.keep(record);
    if (decision.decision === 'countersign') this.close(decision, opened.id);
    else if (decision.decision === 'root') this.root = { id: opened.id, version: decision.version };
    else for (const record of records) this.remember(record, entry.sequence);
    return { entry, line, opened, edge, touched: records.map(nameKey) };
  }

  private decide(opened: OpenedDecision, { at, sequence }: Entry): Decided {
    const { collection, crypto, quorum, delays = DELAYS } = this.rules;
    const { decision } = opened;
    if (decision.collection !== collection) throw declined('collection', decision, { want: collection });
    if (decision.decision === 'root') {
      requireRoot(opened, decision, this.root, quorum(decision.version));
      return { edge: undefined, records: [] };
    }
    const named = quorum(this.root.version);
    if (named === undefined) throw declined('rooted', decision);
    const authority = { keys: named.keys, role: named.role, name: 'the quorum' };
    if (decision.decision === 'countersign') {
      requireSession(opened, decision, this.last, this.hashes.get(decision.upto), authority, crypto);
      return { edge: undefined, records: this.promoted(decision) };
    }
    const present = this.record(decision.ecosystem, decision.name);
    const { record, edge } = step(present, opened, { crypto, collection, quorum: authority, delays, at, sequence });
    return { edge, records: [record] };
  }

  /** The records that a session changes. */
  private promoted({ upto, except }: Countersign): readonly NameRecord[] {
    const left = new Set(except);
    const records: NameRecord[] = [];
    for (const [key, past] of this.changed.entries()) {
      const then = pastAt(past, upto)?.record;
      const now = this.records.get(key);
      if (then === undefined || now === undefined || left.has(key) || !isSettled(then)) continue;
      const next = countersigned(now, then);
      if (next !== now) records.push(next);
    }
    return records;
  }

  /** Ends a session: what it has settled need not be remembered. */
  private close({ upto, except }: Countersign, id: string): void {
    const left = new Set(except);
    for (const [key, past] of this.changed.entries()) {
      const then = pastAt(past, upto);
      if (then === undefined) continue;
      const done = !left.has(key) && isSettled(then.record);
      if (done && then === past) this.changed.delete(key);
      else this.changed.set(key, cut(past, done ? upto : then.sequence - 1));
    }
    for (let sequence = this.last.upto + 1; sequence <= upto; sequence++) this.hashes.delete(sequence);
    this.last = { id, upto };
  }

  /** Puts a record into its places. */
  private keep(record: NameRecord): void {
    const key = nameKey(record);
    const before = this.records.get(key);
    this.records.set(key, record);
    if (record.pending !== undefined) this.waiting.set(key, true);
    else if (before?.pending !== undefined) this.waiting.delete(key);
    const side = sideOf(record);
    if (before !== undefined && sideOf(before) === side) return;
    const bin = binOf({ ...record, segment: record.name }, this.sha256);
    if (before !== undefined) {
      const place = `${sideOf(before)} ${bin}`;
      const others = (this.bins.get(place) ?? []).filter((other) => other !== key);
      this.bins.set(place, others);
    }
    this.bins.set(`${side} ${bin}`, [...(this.bins.get(`${side} ${bin}`) ?? []), key]);
  }

  private remember(record: NameRecord, sequence: number): void {
    const key = nameKey(record);
    this.changed.set(key, { sequence, record, older: this.changed.get(key) });
  }
}

function sideOf(record: NameRecord): ShardSide {
  return record.countersigned === undefined ? 'recent' : 'claimed';
}

/** How a record was when entry `sequence` was the last. */
function pastAt(past: Past, sequence: number): Past | undefined {
  let at: Past | undefined = past;
  while (at !== undefined && at.sequence > sequence) at = at.older;
  return at;
}

/** A record's past without what lies at or before an entry. */
function cut(past: Past, sequence: number): Past {
  const older = past.older;
  return { ...past, older: older === undefined || older.sequence <= sequence ? undefined : cut(older, sequence) };
}
