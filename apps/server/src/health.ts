// Whether a collection's storage, keys and clock let it publish, and since when
// they do not. Told to the log once when it begins and once when it ends. While
// something is wrong it is tried again every few seconds, so that the service
// goes on by itself. Never keeps anybody from reading what is published.

import { createHash, randomBytes } from 'node:crypto';
import { CODES, type Code, type Instant, isTufError, StoreError, writeInstant } from '@countersign/core';
import type { Repository, RepositoryEvent } from '@countersign/repository';
import type { CollectionStore } from './collection-store.ts';

/** What keeps a collection from publishing. */
export interface Trouble {
  readonly code: string;
  /** For the log: may name a file or a key of the store. */
  readonly message: string;
  readonly since: Instant;
}

/** A change for the log. */
export type HealthEvent =
  | { readonly event: 'trouble'; readonly collection: string; readonly code: string; readonly message: string }
  | { readonly event: 'well'; readonly collection: string; readonly after: number };

/** The health of one collection. */
export class Health {
  private readonly store: Pick<CollectionStore, 'ledger' | 'blobs' | 'site'>;
  private readonly clock: () => Instant;
  private present: Trouble | undefined;
  private told: Trouble | undefined;
  /** How often something failed. */
  private failures = 0;
  private checking: Promise<void> | undefined;
  /** The latest time that we were told. Forgotten with the process, because it may be that one which was wrong. */
  private latest = Number.NEGATIVE_INFINITY;

  constructor(store: Pick<CollectionStore, 'ledger' | 'blobs' | 'site'>, clock: () => Instant) {
    this.store = store;
    this.clock = clock;
  }

  /** What is wrong now; `undefined` when nothing is. */
  get trouble(): Trouble | undefined {
    return this.present;
  }

  /** Takes note of what the engine tells. */
  hear(event: RepositoryEvent): void {
    if (event.event === 'failed' && isOurs(event.code)) this.note(event.code, event.message);
  }

  /** Takes note of a failure that somebody was answered with. */
  notice(error: unknown): void {
    if (isTufError(error) && isOurs(error.code)) this.note(error.code, error.message);
  }

  /** Receipts and lists say when: that is not to be signed by a clock that contradicts itself. @throws StoreError CLOCK_BEHIND */
  requireClock(): void {
    const now = this.clock();
    this.latest = Math.max(this.latest, now);
    if (now >= this.latest - CLOCK_SLACK_MILLIS) return;
    const times = { want: writeInstant(this.latest), got: writeInstant(now) };
    throw new StoreError('CLOCK_BEHIND', 'Reading the clock: it has gone back', { detail: times });
  }

  /** Tries again what failed, and whether the storage can be read and, after a failure, written. Never throws. */
  async check(repository: Pick<Repository, 'renew'>): Promise<void> {
    this.checking ??= this.look(repository).finally(() => {
      this.checking = undefined;
    });
    await this.checking;
  }

  /** What the log has not been told yet. */
  news(collection: string): readonly HealthEvent[] {
    const { present, told } = this;
    // What goes wrong next while it lasts is in the engine's own events.
    if ((present === undefined) === (told === undefined)) return [];
    this.told = present;
    if (present !== undefined) {
      return [{ event: 'trouble', collection, code: present.code, message: present.message }];
    }
    return [{ event: 'well', collection, after: told === undefined ? 0 : Math.max(0, this.clock() - told.since) }];
  }

  private async look(repository: Pick<Repository, 'renew'>): Promise<void> {
    const before = this.failures;
    const slow = setTimeout(() => {
      this.note('STORE_READ', 'Looking after the collection: its storage does not answer in time');
    }, SLOW_MILLIS);
    slow.unref();
    try {
      await repository.renew();
      this.requireClock();
      await this.store.ledger.head();
      await this.store.site.shownTimestamp();
      if (this.present !== undefined) await this.write();
    } catch (error) {
      this.note(isTufError(error) ? error.code : 'INTERNAL', error instanceof Error ? error.message : String(error));
    } finally {
      clearTimeout(slow);
    }
    if (this.failures === before) this.present = undefined;
  }

  /** A full disk can still be read. */
  private async write(): Promise<void> {
    const { ledger, blobs } = this.store;
    const revision = (await ledger.document(PROBE, PROBE))?.revision ?? 0;
    // Somebody else may be trying too: whoever comes first has written.
    await ledger.putDocument(PROBE, PROBE, revision, String(this.clock()));
    // Removed again, so it must be nothing that anybody else could have uploaded.
    const content = randomBytes(PROBE_BYTES);
    const name = createHash('sha256').update(content).digest('hex');
    await blobs.put(name, once(content), content.length);
    await blobs.remove([name]);
  }

  private note(code: string, message: string): void {
    this.failures++;
    this.present = { code, message, since: this.present?.since ?? this.clock() };
  }
}

/** A submission that is refused is nobody's trouble, and a conflict is for the publisher to settle. */
function isOurs(code: string): boolean {
  if (code === 'INTERNAL') return true;
  if (!Object.hasOwn(CODES, code) || code === 'STORE_CONFLICT' || code === 'SHUTTING_DOWN') return false;
  const { party } = CODES[code as Code];
  return party === 'store' || party === 'signer';
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}

const SLOW_MILLIS = 10_000;
// What time servers correct.
const CLOCK_SLACK_MILLIS = 60_000;
const PROBE = 'probe';
const PROBE_BYTES = 64 * 1024;
