// Faults of the machine under a client: a store or network that fails once, or
// a process that dies, at the k-th effect. A fuse counts the effects of
// everything that it is put into; what happens in memory does not count.

import type { Sink, Transport } from '@countersign/client';
import {
  type CacheName,
  type FetchEffect,
  type Kept,
  StoreError,
  TransportError,
  type TufError,
} from '@countersign/core';

/** How a fuse blows: the process is gone for good, or one operation fails and life goes on. */
export type Blow = 'die' | 'fail';

/** The end of a process. Not one of the project's errors, so nothing handles it. */
export class Death extends Error {}

/** Counts effects, and blows before the one numbered `at` (from 0). */
export class Fuse {
  /** The effects that were allowed, in order, such as `save root.json`. */
  readonly effects: string[] = [];
  readonly #at: number;
  readonly #blow: Blow;
  #blown = false;

  constructor(at = Number.POSITIVE_INFINITY, blow: Blow = 'die') {
    this.#at = at;
    this.#blow = blow;
  }

  /** Whether it has come to it. */
  get blown(): boolean {
    return this.#blown;
  }

  /** Lets one effect pass, or not. @throws Death, or the given failure */
  pass(effect: string, failure: () => TufError): void {
    const dead = this.#blown && this.#blow === 'die';
    if (dead || (!this.#blown && this.effects.length === this.#at)) {
      this.#blown = true;
      throw this.#blow === 'die' ? new Death(`died before: ${effect}`) : failure();
    }
    this.effects.push(effect);
  }
}

/** A state port that need not be waited for. */
export interface SyncState {
  load(name: CacheName): Uint8Array | undefined;
  save(name: CacheName, bytes: Uint8Array, over?: Kept): boolean | void;
  drop(name: CacheName): void;
}

/** A source of metadata that need not be waited for. */
export interface SyncSource {
  fetch(effect: FetchEffect): Uint8Array | undefined;
}

/** A store behind a fuse. Fails with STORE_READ and STORE_WRITE. */
export function fusedState(state: SyncState, fuse: Fuse): SyncState {
  return {
    load(name) {
      fuse.pass(`load ${name}`, () => new StoreError('STORE_READ', `Reading ${name}: the disk failed`));
      return state.load(name);
    },
    save(name, bytes, over) {
      fuse.pass(`save ${name}`, () => new StoreError('STORE_WRITE', `Writing ${name}: the disk failed`));
      return state.save(name, bytes, over);
    },
    drop(name) {
      fuse.pass(`drop ${name}`, () => new StoreError('STORE_WRITE', `Dropping ${name}: the disk failed`));
      state.drop(name);
    },
  };
}

/** A source behind a fuse. Fails with UNREACHABLE. */
export function fusedSource(source: SyncSource, fuse: Fuse): SyncSource {
  return {
    fetch(effect) {
      fuse.pass(`fetch ${effect.url}`, () => new TransportError('UNREACHABLE', `Fetching ${effect.url}: no network`));
      return source.fetch(effect);
    },
  };
}

/**
 * A file that a download goes to, as a disk has it: what is written stands
 * beside the destination until it is renamed. Fails with STORE_WRITE.
 */
export function fusedSink(disk: Map<string, Uint8Array>, destination: string, fuse: Fuse): Sink {
  const temporary = `${destination}.tmp`;
  let written = new Uint8Array(); // what an earlier process has left there is written over
  const pass = (what: string): void =>
    fuse.pass(`${what} ${destination}`, () => new StoreError('STORE_WRITE', `Writing ${destination}: the disk failed`));
  return {
    async write(chunk) {
      pass('write');
      written = new Uint8Array(Buffer.concat([written, chunk]));
      disk.set(temporary, written);
    },
    async commit() {
      pass('rename');
      disk.set(destination, written);
      disk.delete(temporary);
    },
    async abort() {
      pass('remove');
      disk.delete(temporary);
    },
  };
}

/** A transport behind a fuse. Fails with UNREACHABLE before the answer. */
export function fusedTransport(transport: Transport, fuse: Fuse): Transport {
  return {
    async get(url, request) {
      fuse.pass(`get ${url}`, () => new TransportError('UNREACHABLE', `Getting ${url}: no network`));
      return await transport.get(url, request);
    },
  };
}

/** A transport whose bodies are behind a fuse, piece by piece. Fails with BODY_CUT. */
export function fusedBodies(transport: Transport, fuse: Fuse): Transport {
  return {
    async get(url, request) {
      const { status, body } = await transport.get(url, request);
      return { status, body: fusedBody(body, url, fuse) };
    },
  };
}

function fusedBody(body: AsyncIterable<Uint8Array>, url: string, fuse: Fuse): AsyncIterable<Uint8Array> {
  const pieces = body[Symbol.asyncIterator]();
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        fuse.pass(`read ${url}`, () => new TransportError('BODY_CUT', `Reading ${url}: the connection died`));
        return await pieces.next();
      },
      async return() {
        return (await pieces.return?.()) ?? { done: true, value: undefined };
      },
    }),
  };
}
