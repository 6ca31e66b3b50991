// Durable files: written beside their destination, fsynced, renamed. A reader
// sees the old file or the new one, never a part. Errors become StoreErrors.

import { randomUUID } from 'node:crypto';
import { createReadStream, type Dirent } from 'node:fs';
import { type FileHandle, mkdir, open, opendir, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { isTufError, StoreError } from '@countersign/core';
import type { StoredFile } from '../ports.ts';

/** Writes a whole file atomically and durably; the folder must exist. @throws StoreError STORE_WRITE */
export async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  await placeFile(path, (handle) => handle.writeFile(bytes));
  await syncFolder(dirname(path)).catch((error: unknown) => {
    throw writeError(path, error);
  });
}

/**
 * Writes a whole file in one step, as other processes see it. Not durable: a
 * power cut may leave an earlier file, a part, or nothing.
 *
 * @throws StoreError STORE_WRITE
 */
export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = partialIn(dirname(path));
  try {
    await writeFile(temporary, bytes, { flag: 'wx', mode: 0o644 });
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined); // may not be there
    throw writeError(path, error);
  }
}

/**
 * Writes a file with durable content and gives it its name in one step; the
 * caller syncs the folder, once for many files.
 *
 * @throws StoreError STORE_WRITE
 */
export async function placeFile(path: string, write: (handle: FileHandle) => Promise<void>): Promise<void> {
  const partial = await openPartial(dirname(path));
  try {
    await write(partial.handle);
    await partial.place(path);
  } catch (error) {
    await partial.discard();
    throw writeError(path, error);
  }
}

/** A file under construction in a folder. */
export interface Partial {
  readonly handle: FileHandle;
  /** Makes it durable under its final name. */
  commit(path: string): Promise<void>;
  /** Makes its content durable and gives it its final name, which lasts once the folder is synced. */
  place(path: string): Promise<void>;
  discard(): Promise<void>;
}

/** Begins a file; nothing is visible under a final name until it is committed. */
export async function openPartial(folder: string): Promise<Partial> {
  const temporary = partialIn(folder);
  const handle = await open(temporary, 'wx', 0o644).catch((error: unknown) => {
    throw writeError(temporary, error);
  });
  const place = async (path: string): Promise<void> => {
    await handle.sync();
    await handle.close();
    await rename(temporary, path);
  };
  return {
    handle,
    async commit(path) {
      await place(path);
      await syncFolder(dirname(path));
    },
    place,
    async discard() {
      await handle.close().catch(() => undefined); // may be closed already
      await unlink(temporary).catch(() => undefined); // may be renamed already
    },
  };
}

/** A name for a file that is not finished. The random part only has to be unused in this folder; nothing depends on it. */
export function partialIn(folder: string): string {
  return join(folder, `${PARTIAL_PREFIX}${randomUUID()}`);
}

/** Makes the names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a folder and those above it, durably. @throws StoreError STORE_WRITE */
export async function makeFolder(folder: string): Promise<void> {
  try {
    const first = await mkdir(folder, { recursive: true });
    if (first === undefined) return;
    const stop = dirname(resolve(first));
    // Each new folder is a name in the one above it.
    for (let above = dirname(resolve(folder)); above.length >= stop.length; above = dirname(above)) {
      await syncFolder(above);
      if (above === stop) break;
    }
  } catch (error) {
    throw writeError(folder, error);
  }
}

/** Every file below a folder, by its path from there with `/` between the segments. @throws StoreError STORE_READ */
export async function* filesBelow(folder: string): AsyncGenerator<StoredFile & { readonly path: string }, void> {
  // Folder by folder, holding no more than the names of folders.
  const pending = [folder];
  try {
    for (let above = pending.pop(); above !== undefined; above = pending.pop()) {
      const entries = await opendir(above).catch((error: unknown) => {
        if (above !== folder) return ifMissing(error); // removed since
        throw error;
      });
      const some: Dirent[] = [];
      for await (const entry of entries ?? []) {
        if (entry.isDirectory()) pending.push(join(above, entry.name));
        if (entry.isFile()) some.push(entry);
        if (some.length === STATS_AT_ONCE) yield* await factsOf(folder, above, some.splice(0));
      }
      yield* await factsOf(folder, above, some);
    }
  } catch (error) {
    throw readError(folder, error);
  }
}

/** What is known of files of one folder; without those that were removed since, or given their final name. */
async function factsOf(
  folder: string,
  above: string,
  entries: readonly Dirent[],
): Promise<readonly (StoredFile & { readonly path: string })[]> {
  const facts = await Promise.all(
    entries.map(async ({ name }) => {
      const file = join(above, name);
      const { size, mtimeMs } = (await stat(file).catch(ifMissing)) ?? {};
      if (size === undefined || mtimeMs === undefined) return [];
      const path = relative(folder, file).split(sep).join('/');
      return [{ path, length: size, modified: Math.floor(mtimeMs), partial: name.startsWith(PARTIAL_PREFIX) }];
    }),
  );
  return facts.flat();
}

/** The content of a file. @throws StoreError STORE_READ */
export async function* readFrom(path: string): AsyncGenerator<Uint8Array, void> {
  try {
    yield* createReadStream(path);
  } catch (error) {
    throw readError(path, error);
  }
}

/** The length of a file; `undefined` when it is not there. @throws StoreError STORE_READ */
export async function lengthOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path).catch(ifMissing))?.size;
  } catch (error) {
    throw readError(path, error);
  }
}

/** Removes a file, if it is there. @throws StoreError STORE_WRITE */
export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path).catch(ifMissing);
  } catch (error) {
    throw writeError(path, error);
  }
}

/** Lets an error pass that says that the file is not there. @throws any other */
export function ifMissing(error: unknown): undefined {
  if (reasonOf(error) === 'ENOENT' || reasonOf(error) === 'ENOTDIR') return undefined;
  throw error;
}

function readError(path: string, error: unknown): unknown {
  if (isTufError(error)) return error;
  const reason = reasonOf(error);
  return new StoreError('STORE_READ', `Reading ${path}: the file system answered ${reason}`, {
    detail: { path, reason },
    cause: error,
  });
}

function reasonOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
}

/** The StoreError of a failed write; errors with a code of ours pass through. */
export function writeError(path: string, error: unknown): unknown {
  if (isTufError(error)) return error;
  const reason = reasonOf(error);
  return new StoreError('STORE_WRITE', `Writing ${path}: the file system answered ${reason}`, {
    detail: { path, reason },
    cause: error,
  });
}

const PARTIAL_PREFIX = '.partial-';
const STATS_AT_ONCE = 32;
