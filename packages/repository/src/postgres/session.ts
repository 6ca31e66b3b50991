// The one connection of a process that lasts: it holds the right to publish, as
// advisory locks that PostgreSQL drops when the connection ends, and hears of
// changes. When it ends, every right is lost at once; for those who watch it is
// made again, and they are told that they may have missed something.

import { StoreError } from '@countersign/core';
import { Client } from 'pg';
import type { Leadership } from '../ports.ts';
import { configOf, LOCK_CLASS, storeError } from './connections.ts';

/** The lasting connection to one database. */
export class Session {
  private readonly url: string;
  private link: Link | undefined;
  /** What to call when a right is lost, by collection. */
  private readonly leads = new Map<number, () => void>();
  private readonly watches = new Map<number, Set<() => void>>();
  /** How often in a row the connection has ended while somebody watched. */
  private failures = 0;
  private closed = false;

  constructor(url: string) {
    this.url = url;
  }

  /** As {@link Ledger.lead}. @throws StoreError STORE_READ */
  async lead(collection: number): Promise<Leadership | undefined> {
    if (this.leads.has(collection)) return undefined;
    let lose = (): void => undefined;
    const lost = new Promise<void>((resolve) => {
      lose = resolve;
    });
    this.leads.set(collection, lose);
    try {
      const client = await this.connected();
      const { rows } = await client.query('SELECT pg_try_advisory_lock($1, $2) AS got', [LOCK_CLASS, collection]);
      // Not if the connection has ended since.
      if (rows[0]?.got === true && this.leads.get(collection) === lose) {
        return { lost, release: async () => await this.unlead(collection, lose) };
      }
    } catch (error) {
      this.forget(collection, lose);
      throw storeError('STORE_READ', error);
    }
    this.forget(collection, lose);
    return undefined;
  }

  /** As {@link Ledger.watch}. */
  watch(collection: number, changed: () => void): () => void {
    const watches = this.watches.get(collection) ?? new Set();
    this.watches.set(collection, watches.add(changed));
    // Something may have changed before we heard anything.
    void this.connected().then(changed, () => undefined); // tried again by itself
    return () => {
      watches.delete(changed);
    };
  }

  async close(): Promise<void> {
    this.closed = true;
    const { link } = this;
    if (link === undefined) return;
    await link.ready.catch(() => undefined); // as good as closed
    this.drop(link);
    await ending(link.client);
  }

  private async connected(): Promise<Client> {
    if (this.closed) throw new StoreError('SHUTTING_DOWN', 'Reading the ledger: it is closing');
    this.link ??= this.connect();
    const { client, ready } = this.link;
    await ready;
    return client;
  }

  private connect(): Link {
    const client = new Client(configOf(this.url));
    const ended = (): void => this.drop(link);
    client.on('error', ended);
    client.on('end', ended);
    client.on('notification', ({ payload }) => this.tell(Number(payload)));
    // A server that is gone without a word is noticed by its silence: counted in
    // turns of ours, as a long one of ours is not its fault.
    let silent = 0;
    const beat = setInterval(() => {
      if (silent++ > 0) return silent > MOST_SILENT_BEATS ? ended() : undefined;
      client.query('SELECT 1').then(() => {
        silent = 0;
      }, ended);
    }, BEAT_MILLIS).unref();
    const open = async (): Promise<void> => {
      try {
        await client.connect();
        await client.query(`LISTEN ${CHANNEL}`);
      } catch (error) {
        ended();
        throw error;
      }
      if (this.failures > 0) for (const collection of this.watches.keys()) this.tell(collection);
      this.failures = 0;
    };
    const link: Link = { client, ready: open(), beat };
    return link;
  }

  /** The connection is gone, and with it everything that it held. */
  private drop(link: Link): void {
    if (link !== this.link) return;
    this.link = undefined;
    clearInterval(link.beat);
    void ending(link.client);
    const losers = [...this.leads.values()];
    this.leads.clear();
    for (const lose of losers) lose();
    if (this.closed || ![...this.watches.values()].some(({ size }) => size > 0)) return;
    const delay = Math.min(LONGEST_DELAY_MILLIS, FIRST_DELAY_MILLIS * 2 ** this.failures++);
    setTimeout(() => {
      void this.connected().catch(() => undefined); // `drop` has arranged the next try
    }, delay).unref();
  }

  private tell(collection: number): void {
    for (const changed of this.watches.get(collection) ?? []) changed();
  }

  private async unlead(collection: number, lose: () => void): Promise<void> {
    const { link } = this;
    if (link === undefined || this.leads.get(collection) !== lose) return; // lost before
    try {
      await link.client.query('SELECT pg_advisory_unlock($1, $2)', [LOCK_CLASS, collection]);
    } catch {
      this.drop(link); // the end of the connection gives it up too
    }
    this.forget(collection, lose);
  }

  private forget(collection: number, lose: () => void): void {
    if (this.leads.get(collection) === lose) this.leads.delete(collection);
  }
}

/** Ends a connection; one that does not answer any more is left to the operating system. */
async function ending(client: Client): Promise<void> {
  const ended = client.end().catch(() => undefined); // it may have ended, or never begun
  await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, BEAT_MILLIS).unref())]);
}

interface Link {
  readonly client: Client;
  /** When it is connected and listens. */
  readonly ready: Promise<void>;
  readonly beat: NodeJS.Timeout;
}

/** Where changes are told; the payload is the number of the collection. */
export const CHANNEL = 'countersign';

const BEAT_MILLIS = 1_000;
const MOST_SILENT_BEATS = 3;
const FIRST_DELAY_MILLIS = 50;
const LONGEST_DELAY_MILLIS = 1_000;
