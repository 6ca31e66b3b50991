// Small blobs without waiting for the disk each: their bytes go into the ledger,
// many in one synced transaction, and into files that nobody waits for. In the
// background the files are synced, and the ledger forgets the bytes. When the
// machine has started anew since, what is still in the ledger is put right
// first. Never leaves the ledger before its file is durable.

import { link, mkdir, open, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Batch } from '../batch.ts';
import { copyBlob, requireDigest } from '../blob-stream.ts';
import type { BlobStore } from '../ports.ts';
import { ifMissing, partialIn, syncFolder, writeError } from './files.ts';
import { blobPath, folderBlobs } from './folder-blobs.ts';
import type { Machine } from './site-keeper.ts';
import type { SqliteLedger } from './sqlite-ledger.ts';

/** A folder of blobs beside a ledger that holds what is not synced yet. */
export class KeptBlobs {
  /** The blobs of the folder. */
  readonly store: BlobStore;
  private readonly folder: string;
  private readonly ledger: SqliteLedger;
  private readonly machine: Machine;
  /** Files that are being written. */
  private readonly writing = new Set<Promise<void>>();
  /** Makes the names of new folders last, once for many. */
  private readonly newFolders = new Batch<string>(async () => await syncFolder(this.folder));
  private readonly kept: Batch<Parameters<SqliteLedger['keepFresh']>[0][number]>;

  constructor(folder: string, ledger: SqliteLedger, machine: Machine) {
    this.folder = folder;
    this.ledger = ledger;
    this.machine = machine;
    this.kept = new Batch(
      (blobs) => ledger.keepFresh(blobs),
      async () => await Promise.allSettled(this.writing),
    );
    const plain = folderBlobs(folder);
    this.store = {
      ...plain,
      put: async (sha256, body, maxBytes, hint) => await this.put(plain, sha256, body, maxBytes, hint),
      remove: async (names) => {
        await ledger.forgetFresh(names);
        await plain.remove(names);
      },
    };
  }

  /** Writes what the machine may have lost when it went down. To be called before anybody links to it. @throws StoreError */
  async mend(): Promise<void> {
    for (let some = this.ledger.fresh(AT_ONCE); some.length > 0; some = this.ledger.fresh(AT_ONCE)) {
      for (const { sha256, bytes } of some) await this.rewrite(blobPath(this.folder, sha256), bytes);
      await this.sync(some, () => false);
      this.ledger.settled(some.map(({ id }) => id));
    }
  }

  /** Makes files durable that are not. What cannot be synced is written again. @throws StoreError; what syncing throws */
  async settle(stopped: () => boolean): Promise<void> {
    for (let some = this.ledger.freshNames(AT_ONCE); some.length > 0 && !stopped(); ) {
      try {
        await this.sync(some, stopped);
      } catch {
        // The system may have dropped what it could not write, and say nothing the next time.
        return await this.mend();
      }
      if (stopped()) return;
      this.ledger.settled(some.map(({ id }) => id));
      some = this.ledger.freshNames(AT_ONCE);
    }
  }

  private async sync(some: readonly { readonly sha256: string }[], stopped: () => boolean): Promise<void> {
    const paths = some.map(({ sha256 }) => blobPath(this.folder, sha256));
    for (const path of paths) if (!stopped()) await this.machine.syncFile(path);
    for (const folder of new Set(paths.map((path) => dirname(path)))) {
      if (!stopped()) await this.machine.syncFolder(folder);
    }
  }

  private async put(
    plain: BlobStore,
    sha256: string,
    body: AsyncIterable<Uint8Array>,
    maxBytes: number,
    hint: Parameters<BlobStore['put']>[3],
  ): Promise<Awaited<ReturnType<BlobStore['put']>>> {
    requireDigest(sha256);
    const chunks: Uint8Array[] = [];
    const rest = body[Symbol.asyncIterator]();
    let length = 0;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) {
      chunks.push(next.value);
      length += next.value.length;
      if (length > SMALL) return await plain.put(sha256, resumed(chunks, rest), maxBytes);
    }
    const bytes = Buffer.concat(chunks);
    const facts = await copyBlob(sha256, resumed(chunks, rest), maxBytes, async () => undefined);
    const written = this.write(blobPath(this.folder, sha256), bytes);
    this.writing.add(written);
    await written.finally(() => this.writing.delete(written));
    await this.kept.add({ facts, bytes, record: hint?.record === true });
    return facts;
  }

  /** Writes a file without syncing it. A durable file is never replaced by one that is not. */
  private async write(path: string, bytes: Uint8Array): Promise<void> {
    const temporary = partialIn(dirname(path));
    const writeIt = async (): Promise<void> => await writeFile(temporary, bytes, { flag: 'wx', mode: 0o644 });
    try {
      await writeIt().catch(async (error: unknown) => {
        ifMissing(error);
        await mkdir(dirname(path), { recursive: true });
        await this.newFolders.add(path);
        await writeIt();
      });
      const placed = await link(temporary, path).then(
        () => true,
        () => false, // it is there, or the file system has no links
      );
      if (placed || (await isWhole(path, bytes))) await unlink(temporary);
      else await rename(temporary, path);
    } catch (error) {
      await unlink(temporary).catch(() => undefined); // may not be there
      throw writeError(path, error);
    }
  }

  /** Writes a file again under all of its names, even if it looks right: what could not be synced looks so too. */
  private async rewrite(path: string, bytes: Uint8Array): Promise<void> {
    const handle = await open(path, 'r+').catch(ifMissing);
    if (handle === undefined) return await this.write(path, bytes);
    try {
      await handle.write(bytes, 0, bytes.length, 0);
      await handle.truncate(bytes.length);
    } catch (error) {
      throw writeError(path, error);
    } finally {
      await handle.close();
    }
  }

  /** Resolves when the ledger has what it was given. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.writing);
    await this.kept.settled();
  }
}

/** What was read of a stream, and the rest of it. */
async function* resumed(chunks: readonly Uint8Array[], rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

async function isWhole(path: string, bytes: Uint8Array): Promise<boolean> {
  const present = await readFile(path).catch(ifMissing);
  return present !== undefined && Buffer.compare(present, bytes) === 0;
}

/** In bytes: what is written twice, so that it is synced together with others. */
const SMALL = 65_536;
const AT_ONCE = 256;
