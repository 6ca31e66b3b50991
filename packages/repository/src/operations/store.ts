// What every operation works on: the three ports of a collection, and readings
// of streams that several operations need.

import { type HashAlgorithm, type Hasher, hex, type Instant, isTufError, type SyncCryptoPort } from '@countersign/core';
import type { BlobFacts, BlobStore, Site, WholeLedger } from '../ports.ts';

/** The storage of one collection. */
export interface CollectionStore {
  readonly ledger: WholeLedger;
  readonly blobs: BlobStore;
  readonly site: Site;
}

/** Cryptography that can also hash what does not fit into memory. */
export interface OperationCrypto extends SyncCryptoPort {
  hasher(algorithm: HashAlgorithm): Hasher;
}

/** What an operation is told beside its own options. */
export interface OperationOptions extends CollectionStore {
  /** The collection's name. */
  readonly name: string;
  readonly crypto: OperationCrypto;
  readonly clock: () => Instant;
  readonly onProgress?: OnProgress;
}

/** Told now and then how far a long step is. `total` is 0 where it is not known. */
export type OnProgress = (step: string, done: number, total: number) => void;

/** Things a few at a time, so that the disk and the network are waited for together. */
export async function* batchesOf<T>(
  things: AsyncIterable<T> | Iterable<T>,
  size = 16,
): AsyncGenerator<readonly T[], void> {
  let batch: T[] = [];
  for await (const thing of things) {
    batch.push(thing);
    if (batch.length < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** All bytes of a stream; `undefined` when the store cannot read it. */
export async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  const read = await reading(stream, (chunk) => chunks.push(chunk));
  return read ? joined(chunks) : undefined;
}

/** Digests and length of a stream; `undefined` when the store cannot read it. */
export async function factsOf(
  stream: AsyncIterable<Uint8Array>,
  crypto: OperationCrypto,
): Promise<BlobFacts | undefined> {
  const sha256 = crypto.hasher('sha256');
  const sha512 = crypto.hasher('sha512');
  let length = 0;
  const read = await reading(stream, (chunk) => {
    sha256.update(chunk);
    sha512.update(chunk);
    length += chunk.length;
  });
  return read ? { sha256: hex(sha256.digest()), sha512: hex(sha512.digest()), length } : undefined;
}

/** The length of a stream; `undefined` when the store cannot read it. */
export async function lengthOf(stream: AsyncIterable<Uint8Array>): Promise<number | undefined> {
  let length = 0;
  const read = await reading(stream, (chunk) => {
    length += chunk.length;
  });
  return read ? length : undefined;
}

async function reading(stream: AsyncIterable<Uint8Array>, take: (chunk: Uint8Array) => void): Promise<boolean> {
  try {
    for await (const chunk of stream) take(chunk);
    return true;
  } catch (error) {
    if (isTufError(error) && error.code === 'STORE_READ') return false;
    throw error;
  }
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const [first] = chunks;
  if (chunks.length === 1 && first !== undefined) return first;
  const bytes = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** No write takes longer: what is still partial then was left behind. Milliseconds. */
export const FINISHED_BY = 3_600_000;
