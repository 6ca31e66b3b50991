// Hashes of a large download, made on another core while this thread receives
// and writes. The thread is told bytes and gives digests: whether they are the
// signed ones is checked here, by core, as without it.

import { Worker } from 'node:worker_threads';
import type { HashAlgorithm, Hasher } from '@countersign/core';
import type { HashingAside } from '../ports.ts';

/**
 * Starts a thread that hashes. Its hashers must all be made before the first
 * bytes come, and each must be given the same pieces.
 *
 * @returns `undefined` where no thread can be started
 * @example
 * const aside = await startHashing();
 * const hasher = aside?.hasher('sha256') ?? createHash('sha256');
 */
export async function startHashing(): Promise<HashingAside | undefined> {
  try {
    const worker = new Worker(THREAD, { eval: true, execArgv: [], env: {}, resourceLimits: LIMITS });
    const started = await new Promise<boolean>((resolve) => {
      worker.once('online', () => resolve(true));
      worker.once('error', () => resolve(false));
    });
    return started ? new HashingThread(worker) : undefined;
  } catch {
    return undefined; // threads may be forbidden, or used up
  }
}

class HashingThread implements HashingAside {
  readonly #worker: Worker;
  readonly #algorithms: HashAlgorithm[] = [];
  readonly #digests = new Map<HashAlgorithm, Uint8Array>();
  /** Memory that both threads see, and that nobody uses now. */
  readonly #idle: SharedArrayBuffer[] = [];
  #filling: SharedArrayBuffer | undefined;
  #filled = 0;
  /** How many pieces the thread has yet to hash. */
  #behind = 0;
  #ended = false;
  #failure: unknown;
  #wake = (): void => undefined;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.unref(); // whoever waits for it holds something else open
    worker.on('message', (answer: SharedArrayBuffer | readonly Uint8Array[]) => {
      if (answer instanceof SharedArrayBuffer) {
        this.#idle.push(answer);
        this.#behind--;
      } else {
        for (const [i, algorithm] of this.#algorithms.entries()) {
          const digest = answer[i];
          if (digest !== undefined) this.#digests.set(algorithm, digest);
        }
        this.#ended = true;
      }
      this.#wake();
    });
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', () => this.#fail(new Error('The thread that hashes has ended')));
  }

  hasher(algorithm: HashAlgorithm): Hasher {
    const first = this.#algorithms.length === 0;
    this.#algorithms.push(algorithm);
    return {
      update: (chunk) => {
        if (first) this.#take(chunk); // for all of them
      },
      digest: () => {
        const digest = this.#digests.get(algorithm);
        if (digest === undefined) throw new TypeError('A digest was asked for before the thread had ended');
        return digest;
      },
    };
  }

  async caughtUp(): Promise<void> {
    await this.#until(() => this.#behind <= MOST_BEHIND);
  }

  async finished(): Promise<void> {
    this.#send();
    this.#worker.postMessage(this.#algorithms);
    await this.#until(() => this.#ended);
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #take(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      this.#filling ??= this.#idle.pop() ?? new SharedArrayBuffer(PIECE_BYTES);
      const part = chunk.subarray(at, at + PIECE_BYTES - this.#filled);
      new Uint8Array(this.#filling).set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === PIECE_BYTES) this.#send();
    }
  }

  #send(): void {
    if (this.#filling === undefined) return;
    this.#worker.postMessage({ algorithms: this.#algorithms, bytes: this.#filling, length: this.#filled });
    this.#behind++;
    this.#filling = undefined;
    this.#filled = 0;
  }

  async #until(reached: () => boolean): Promise<void> {
    this.#worker.ref();
    while (!reached() && this.#failure === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#worker.unref();
    if (!reached()) throw this.#failure;
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#wake();
  }
}

const PIECE_BYTES = 2 ** 19;
/** Pieces; what comes faster than it can be hashed waits. */
const MOST_BEHIND = 4;
// It holds nothing but a few pieces, which count elsewhere.
const LIMITS = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 8 };
// In itself, so that a bundled command needs no second file.
const THREAD = `
'use strict';
const { parentPort } = require('node:worker_threads');
const { createHash } = require('node:crypto');
let hashes;
const begin = (algorithms) => (hashes ??= algorithms.map((algorithm) => createHash(algorithm)));
parentPort.on('message', (message) => {
  if (Array.isArray(message)) return parentPort.postMessage(begin(message).map((hash) => hash.digest()));
  const { algorithms, bytes, length } = message;
  for (const hash of begin(algorithms)) hash.update(new Uint8Array(bytes, 0, length));
  parentPort.postMessage(bytes);
});
`;
