// One file that appears whole or not at all: written beside its destination
// under a temporary name, synced, renamed, and the folder synced, so that it is
// there for good when `commit` returns. The temporary name never ends in
// `.json`, and is short whatever the destination is called.

import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { StoreError } from '@countersign/core';
import { hasCode } from './system-error.ts';

/** A file being written. */
export interface DurableFile {
  write(chunk: Uint8Array): Promise<void>;
  /** Makes what was written outlive a power failure. */
  sync(): Promise<void>;
  /** Puts the file in its place, over any older one, for good. */
  commit(): Promise<void>;
  /** Removes what was written; harmless at any time. The destination stays as it was. */
  abort(): Promise<void>;
}

/**
 * Opens a new file for a destination; its folder is made when it is not there.
 *
 * @param mode permissions of the file, and of folders made with it
 * @throws StoreError STORE_WRITE, from each method too
 */
export async function openDurableFile(
  destination: string,
  mode: { readonly file: number; readonly folder: number },
): Promise<DurableFile> {
  const folder = dirname(destination);
  const temporary = join(folder, `.${randomBytes(9).toString('hex')}.tmp`);
  const file = await writing(destination, async () => {
    try {
      return await open(temporary, 'wx', mode.file);
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
      const made = await mkdir(folder, { recursive: true, mode: mode.folder });
      if (made !== undefined) await syncFolder(dirname(made));
      return await open(temporary, 'wx', mode.file);
    }
  });
  let closed = false;
  const close = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    await file.close();
  };
  return {
    write: (chunk) => writing(destination, () => writeAll(file, chunk)),
    sync: () => writing(destination, () => file.sync()),
    commit: () =>
      writing(destination, async () => {
        await file.sync();
        await close();
        await rename(temporary, destination);
        await syncFolder(folder);
      }),
    abort: () =>
      writing(destination, async () => {
        await close().catch(() => {}); // it goes away anyhow
        await rm(temporary, { force: true });
      }),
  };
}

/** Makes changes of a folder's entries durable. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return; // folders cannot be opened there
  await syncOpened(folder, 'r');
}

/** Makes the content of a file durable. */
export async function syncFile(file: string): Promise<void> {
  await syncOpened(file, 'r+');
}

async function syncOpened(path: string, flags: string): Promise<void> {
  const handle = await open(path, flags);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Runs file work; what it throws becomes a StoreError STORE_WRITE about `path`. */
export async function writing<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw new StoreError('STORE_WRITE', 'Writing a file: the system refused', { detail: { path }, cause });
  }
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.length; ) {
    at += (await file.write(chunk, at)).bytesWritten;
  }
}
