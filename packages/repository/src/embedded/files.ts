// Durable files: written beside their destination, fsynced, renamed. A reader
// sees the old file or the new one, never a part. Errors become StoreErrors.

import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { isTufError, StoreError } from '@countersign/core';

/** Writes a whole file atomically and durably; the folder must exist. @throws StoreError STORE_WRITE */
export async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  await placeFile(path, (handle) => handle.writeFile(bytes));
  await syncFolder(dirname(path)).catch((error: unknown) => {
    throw writeError(path, error);
  });
}

/**
 * Writes a file and gives it its name in one step; the caller syncs the folder,
 * once for many files.
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
  // The random part only has to be unused in this folder; nothing depends on it.
  const temporary = join(folder, `.partial-${randomUUID()}`);
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

/** The StoreError of a failed write; errors with a code of ours pass through. */
export function writeError(path: string, error: unknown): unknown {
  if (isTufError(error)) return error;
  const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  return new StoreError('STORE_WRITE', `Writing ${path}: the file system answered ${reason}`, {
    detail: { path, reason },
    cause: error,
  });
}
