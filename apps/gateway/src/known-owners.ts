// The names this user has ever been answered for, and who spoke for each: so
// that a repository cannot make a name disappear and have it relayed from
// elsewhere, nor hand it to others unseen. An append-only file of JSON lines,
// the last line of a name counts, flushed to the disk before the first answer
// that relied on it. Several processes may append. Names never leave it.

import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { days, type Instant, MetadataError, StoreError } from '@countersign/core';
import { type Change, changeOf, type Speaker } from './continuity.ts';

/** What to do when a name has owners whom the old ones did not appoint: tell it, or stop until it is confirmed. */
export type OwnerPolicy = 'show' | 'stop';

/** A change that a person should know of. */
export interface OwnerChange {
  readonly directory: string;
  readonly change: Exclude<Change, 'same' | 'appointed' | 'older-epoch'>;
  readonly before: Speaker;
  readonly now: Speaker;
  /** When it was first seen. */
  readonly since: Instant;
}

interface Known {
  /** Those the user has known or confirmed; `undefined` while only the repository signed. */
  readonly accepted: Speaker | undefined;
  /** Those who came without being appointed, until confirmed. */
  readonly offered?: { readonly speaker: Speaker; readonly since: Instant };
}

/** An open log of names and their owners. */
export class KnownOwners {
  readonly #file: FileHandle;
  readonly #names = new Map<string, Known>();
  #read = 0;
  #pending = new Map<string, Known>();
  #flush: Promise<void> | undefined;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Opens or creates the log. @throws StoreError STORE_READ */
  static async open(path: string): Promise<KnownOwners> {
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      const known = new KnownOwners(await open(path, 'a+', 0o600));
      await known.#catchUp();
      // A crash may have cut the last line; what it stood for was not answered.
      const { size } = await known.#file.stat();
      if (size > known.#read) await known.#file.truncate(known.#read);
      return known;
    } catch (cause) {
      throw new StoreError('STORE_READ', 'Reading the names seen before: the file cannot be opened', { cause });
    }
  }

  has(directory: string): boolean {
    return this.#names.has(directory);
  }

  /**
   * Judges who speaks for a name against who did before, and remembers it;
   * durable when it resolves.
   *
   * @returns the change to tell the user, if any
   * @throws MetadataError ROLLBACK for an epoch that is over, OWNER_CHANGED under the policy `stop`
   * @throws StoreError STORE_WRITE
   */
  async meet(
    directory: string,
    speaker: Speaker | undefined,
    policy: OwnerPolicy,
    now: Instant,
  ): Promise<OwnerChange | undefined> {
    const before = this.#names.get(directory);
    const after = afterMeeting(directory, before, speaker, now);
    if (!same(before, after)) await this.#remember(directory, after);
    const change = changeIn(directory, after);
    if (change === undefined) return undefined;
    if (policy === 'show') return now - change.since < SHOWN_FOR ? change : undefined;
    // Another process of this user may have confirmed it meanwhile.
    await this.#catchUp();
    const confirmed = this.#names.get(directory);
    if (changeIn(directory, confirmed) === undefined) return undefined;
    throw new MetadataError('OWNER_CHANGED', `Looking at ${directory}: ${sentenceOf(change)}`, {
      detail: { directory, epoch: change.now.epoch, before: change.before.epoch, owners: change.now.keys },
    });
  }

  /** Confirms whoever was last met for a name. `undefined` when nothing waits for that. @throws StoreError STORE_WRITE */
  async confirm(directory: string): Promise<OwnerChange | undefined> {
    const known = this.#names.get(directory);
    const change = changeIn(directory, known);
    if (known?.offered === undefined || change === undefined) return undefined;
    await this.#remember(directory, { accepted: known.offered.speaker });
    return change;
  }

  async close(): Promise<void> {
    await this.#flush;
    await this.#file.close();
  }

  async #remember(directory: string, known: Known): Promise<void> {
    this.#pending.set(directory, known);
    // Whoever comes while a write runs shares the next one.
    const running = this.#flush ?? Promise.resolve();
    const mine = running.then(() => (this.#pending.has(directory) ? this.#write() : undefined));
    const settled = mine.then(ignore, ignore);
    this.#flush = settled;
    try {
      await mine;
    } finally {
      if (this.#flush === settled) this.#flush = undefined;
    }
  }

  async #write(): Promise<void> {
    const names = this.#pending;
    this.#pending = new Map();
    try {
      await this.#file.appendFile([...names].map(lineOf).join(''));
      await this.#file.datasync();
    } catch (cause) {
      for (const [name, known] of names) if (!this.#pending.has(name)) this.#pending.set(name, known);
      throw new StoreError('STORE_WRITE', 'Remembering a name: the file cannot be written', { cause });
    }
    for (const [name, known] of names) this.#names.set(name, known);
  }

  /** Reads the lines that were appended since, by whomever. */
  async #catchUp(): Promise<void> {
    const { size } = await this.#file.stat();
    if (size <= this.#read) return;
    const bytes = Buffer.alloc(size - this.#read);
    await this.#file.read(bytes, 0, bytes.length, this.#read);
    const whole = bytes.subarray(0, bytes.lastIndexOf(10) + 1);
    for (const line of whole.toString('utf8').split('\n')) {
      const entry = readLine(line);
      if (entry !== undefined) this.#names.set(entry.directory, entry.known);
    }
    this.#read += whole.length;
  }
}

/** What a person reads about a change of owners. */
export function sentenceOf({ change, before, now }: OwnerChange): string {
  if (change === 'replaced')
    return 'it is signed by other keys than before, and the offline quorum has not confirmed them';
  const how = { recover: 'it was recovered', adopt: 'it was adopted' };
  const came = now.came === undefined ? 'it was given to new owners' : how[now.came];
  return `${came} (epoch ${now.epoch} after ${before.epoch}); its earlier owners did not sign this`;
}

function afterMeeting(directory: string, before: Known | undefined, speaker: Speaker | undefined, now: Instant): Known {
  // A name whose owners are gone is judged by who was there, not forgotten.
  if (before === undefined || speaker === undefined) return before ?? { accepted: speaker };
  const { accepted, offered } = before;
  if (accepted === undefined) return { accepted: speaker };
  if (offered !== undefined) {
    const change = changeOf(offered.speaker, speaker);
    if (change === 'older-epoch') throw over(directory, offered.speaker, speaker);
    return { accepted, offered: { speaker, since: change === 'new-epoch' ? now : offered.since } };
  }
  const change = changeOf(accepted, speaker);
  if (change === 'older-epoch') throw over(directory, accepted, speaker);
  if (change === 'same' || change === 'appointed') return { accepted: speaker };
  return { accepted, offered: { speaker, since: now } };
}

function changeIn(directory: string, known: Known | undefined): OwnerChange | undefined {
  if (known?.accepted === undefined || known.offered === undefined) return undefined;
  const { accepted: before, offered } = known;
  const change = changeOf(before, offered.speaker);
  // They may have been confirmed by the quorum since, or the old ones are back.
  if (change === 'same' || change === 'appointed' || change === 'older-epoch') return undefined;
  return { directory, change, before, now: offered.speaker, since: offered.since };
}

function over(directory: string, before: Speaker, now: Speaker): MetadataError {
  return new MetadataError('ROLLBACK', `Looking at ${directory}: epoch ${now.epoch} of its owners is over`, {
    detail: { directory, want: before.epoch, got: now.epoch },
  });
}

function same(a: Known | undefined, b: Known): boolean {
  return a !== undefined && lineOf(['', a]) === lineOf(['', b]);
}

function lineOf([directory, { accepted, offered }]: readonly [string, Known]): string {
  return `${JSON.stringify({ directory, accepted, offered })}\n`;
}

/** Reads a line of our own; anything else tells nothing. */
function readLine(line: string): { readonly directory: string; readonly known: Known } | undefined {
  const value = objectOf(parsed(line));
  const directory = value?.['directory'];
  if (value === undefined || typeof directory !== 'string') return undefined;
  const accepted = speakerIn(value['accepted']);
  const offered = objectOf(value['offered']);
  const speaker = speakerIn(offered?.['speaker']);
  const since = offered?.['since'];
  const waits = speaker !== undefined && typeof since === 'number';
  return { directory, known: { accepted, ...(waits && { offered: { speaker, since } }) } };
}

function speakerIn(value: unknown): Speaker | undefined {
  const { epoch, claimed, keys, came } = objectOf(value) ?? {};
  if (typeof epoch !== 'number' || typeof claimed !== 'boolean' || !Array.isArray(keys)) return undefined;
  return { epoch, claimed, keys: keys.map(String), came: came === 'recover' || came === 'adopt' ? came : undefined };
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined; // a line that was cut by a crash
  }
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null ? { ...value } : undefined;
}

function ignore(): void {}

// Long enough to be seen by whoever installs now and then.
const SHOWN_FOR = days(30);
