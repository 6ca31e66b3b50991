// When the collection is asked again, and what its silence or its lies mean:
// an outage leaves what was verified usable while the timestamp lasts; a
// refused update closes the whole gateway until one is accepted. Never serves
// past an expiry, and never lets an outage hide an earlier refusal.

import type { Client } from '@countersign/client';
import { type Instant, isTufError, MetadataError, TransportError } from '@countersign/core';
import type { Log } from './log.ts';
import { logged } from './refusal.ts';

/** What freshness needs. */
export interface FreshnessOptions {
  readonly client: Client;
  readonly clock: () => Instant;
  /** Age in milliseconds up to which an update counts as recent. */
  readonly recent: number;
  readonly log: Log;
  /** Milliseconds a request waits for an update while there is something fresh to answer from. */
  readonly patience?: { readonly usual: number; readonly inOutage: number };
}

/** How the last update went. */
export type Standing = { readonly state: 'fresh' | 'unknown' } | Failure;

/** The repository is silent, was refused, or something here does not work. */
export interface Failure {
  readonly state: 'outage' | 'refused' | 'broken';
  readonly error: unknown;
}

/** Keeps a client's state recent. */
export class Freshness {
  readonly #options: FreshnessOptions;
  #standing: Standing = { state: 'unknown' };
  #lastEnd: Instant | undefined;
  #flight: Flight | undefined;
  #following: Promise<void> | undefined;

  constructor(options: FreshnessOptions) {
    this.#options = options;
  }

  get standing(): Standing {
    return this.#standing;
  }

  /**
   * Resolves when what the client trusts may be answered from.
   *
   * @throws MetadataError of the last refused update, until one is accepted
   * @throws TransportError when nothing unexpired is trusted and the mirror is silent
   * @throws StoreError when trusted metadata cannot be kept
   */
  async current(): Promise<void> {
    let judged = false;
    if (this.#isDue()) {
      const flight = this.#flight ?? this.#start();
      const done = flight.done.then(() => true);
      judged = await (this.#options.client.isFresh() ? Promise.race([done, flight.patience]) : done);
    }
    const standing = this.#standing;
    if (standing.state === 'refused' || standing.state === 'broken') throw standing.error;
    // §5.1: an update that was just waited for is judged by the time of its start.
    if (this.#options.client.isFresh() || (judged && standing.state === 'fresh')) return;
    if (standing.state === 'outage') throw standing.error;
    throw new MetadataError('EXPIRED', 'Checking what is trusted: it has expired');
  }

  /**
   * Resolves when an update that began after this call was accepted: for
   * questions whose answer would be "no", which something just published may change.
   *
   * @throws like {@link current}, and TransportError in every outage
   */
  async anew(): Promise<void> {
    if (this.#flight === undefined) await this.#start().done;
    else {
      // One more after the running one, shared by everybody who asks meanwhile.
      this.#following ??= this.#flight.done.then(async () => {
        this.#following = undefined;
        await (this.#flight ?? this.#start()).done;
      });
      await this.#following;
    }
    if ('error' in this.#standing) throw this.#standing.error;
  }

  #isDue(): boolean {
    if (!this.#options.client.isFresh()) return true;
    if (this.#standing.state === 'refused' || this.#standing.state === 'broken') return true;
    const age = this.#lastEnd === undefined ? Number.POSITIVE_INFINITY : this.#options.clock() - this.#lastEnd;
    return age >= this.#options.recent || age < 0; // a clock that stepped back proves nothing
  }

  #start(): Flight {
    const { usual, inOutage } = this.#options.patience ?? PATIENCE;
    const done = this.#update().finally(() => {
      this.#flight = undefined;
      clearTimeout(timer);
    });
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), this.#standing.state === 'outage' ? inOutage : usual);
      timer.unref();
    });
    this.#flight = { done, patience };
    return this.#flight;
  }

  /** Never rejects: how it went is in `standing`. */
  async #update(): Promise<void> {
    const { client, clock, log } = this.#options;
    const before = this.#standing;
    try {
      const { timestamp, snapshot } = await client.refresh();
      this.#standing = { state: 'fresh' };
      if (before.state !== 'fresh') {
        log({ event: 'fresh', timestamp: timestamp.content.version, snapshot: snapshot.content.version });
      }
    } catch (error) {
      const failure = await this.#failed(before, error);
      this.#standing = failure;
      if (failure.state !== before.state) log({ event: failure.state, ...logged(error) });
    }
    this.#lastEnd = clock();
  }

  async #failed(before: Standing, error: unknown): Promise<Failure> {
    if (error instanceof MetadataError) return { state: 'refused', error };
    if (!(error instanceof TransportError)) return { state: 'broken', error };
    if (before.state === 'refused') return before; // silence does not take a refusal back
    const { client } = this.#options;
    if (client.isFresh()) return { state: 'outage', error };
    try {
      await client.resume();
    } catch (cause) {
      // Nothing kept that would do: the outage is what the user must hear of.
      if (!isTufError(cause)) return { state: 'broken', error: cause };
    }
    return { state: 'outage', error };
  }
}

interface Flight {
  readonly done: Promise<void>;
  /** Resolves when those who have something to answer from should not wait any longer. */
  readonly patience: Promise<false>;
}

// A mirror that hangs must not make every request hang while verified content
// is at hand; one that is merely slow should be waited for.
const PATIENCE = { usual: 10_000, inOutage: 1_500 };
