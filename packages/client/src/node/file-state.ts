// Trusted metadata in a folder, one file per name. A save replaces the old file
// in one step, or leaves it as it was; several processes may share the folder,
// because everything read from it is verified again, and because a save can be
// made to depend on what is there.
// The files are small, so all but the wait for the disk is done at once.

import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { type CacheName, cacheNameOf, type Kept, type StatePort, StoreError } from '@countersign/core';
import { syncFile, syncFolder, writing } from './durable-file.ts';
import { withFolderLock } from './folder-lock.ts';
import { hasCode } from './system-error.ts';

/**
 * Keeps trusted metadata in a folder, made with mode 0700 when it is not there.
 * Its methods throw StoreError STORE_READ and STORE_WRITE. What was saved
 * outlives a power failure once `settle` has returned.
 *
 * @example fileState('.countersign/client')
 */
export function fileState(folder: string): StatePort & { settle(): Promise<void> } {
  const pathOf = (name: CacheName): string => join(folder, ...name.split('/'));
  const unsettled = new Set<string>(); // files and folders to sync
  return {
    async load(name) {
      try {
        return readIfPresent(pathOf(name));
      } catch (cause) {
        throw new StoreError('STORE_READ', 'Reading trusted metadata: the system refused', { detail: { name }, cause });
      }
    },
    async save(name, bytes, over) {
      const path = pathOf(name);
      return await writing(path, async () => {
        const made = makeFolder(dirname(path));
        const floor = isFloor(name);
        // Where nothing was kept there is nothing to lose: then the sync can wait for the others.
        const first = floor && !existsSync(path);
        const replaced = await replace(path, bytes, { over, durable: floor && !first });
        if (floor && replaced) unsettled.add(dirname(path));
        if (first && replaced) unsettled.add(path);
        if (made !== undefined) unsettled.add(dirname(made));
        return replaced;
      });
    },
    async drop(name) {
      await writing(pathOf(name), async () => {
        rmSync(pathOf(name), { force: true });
        // Durable before anything that is saved later, or a crash could bring it back.
        await syncFolder(dirname(pathOf(name))).catch((error: unknown) => {
          if (!hasCode(error, 'ENOENT')) throw error; // no folder, nothing to drop
        });
      });
    },
    async settle() {
      const changed = [...unsettled];
      unsettled.clear();
      await Promise.all(changed.map((path) => writing(path, () => syncKept(path))));
    },
  };
}

/**
 * What the rollback checks of the next update rest on (§5.3.8, §5.4.5, §5.5.7):
 * it must not be lost. Any other file that a power failure spoils is fetched again.
 */
function isFloor(name: CacheName): boolean {
  return FLOORS.has(name) || name.includes('/'); // below `root_history/`
}

async function replace(
  path: string,
  bytes: Uint8Array,
  { over, durable }: { readonly over: Kept | undefined; readonly durable: boolean },
): Promise<boolean> {
  const folder = dirname(path);
  // Never ends in `.json`, and is short whatever the role is called.
  const temporary = join(folder, `.${randomBytes(9).toString('hex')}.tmp`);
  const file = openSync(temporary, 'wx', 0o600);
  let placed = false;
  const place = (): boolean => {
    if (over !== undefined && !isKept(path, over)) return false;
    renameSync(temporary, path);
    placed = true;
    return true;
  };
  try {
    try {
      writeFileSync(file, bytes);
      if (durable) await synced(file);
    } finally {
      closeSync(file);
    }
    return over === undefined ? place() : await withFolderLock(folder, place);
  } finally {
    if (!placed) rmSync(temporary, { force: true });
  }
}

/** @returns the uppermost folder that was made, if there was any to make */
function makeFolder(folder: string): string | undefined {
  return existsSync(folder) ? undefined : mkdirSync(folder, { recursive: true, mode: 0o700 });
}

/** Makes a file or folder durable, if it is still there. */
async function syncKept(path: string): Promise<void> {
  try {
    if (path.endsWith('.json')) await syncFile(path);
    else await syncFolder(path);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}

function isKept(path: string, { bytes }: Kept): boolean {
  const present = readIfPresent(path);
  return bytes === undefined || present === undefined ? bytes === present : present.equals(bytes);
}

function readIfPresent(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function synced(file: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fsync(file, (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

const FLOORS: ReadonlySet<CacheName> = new Set(['root', 'timestamp', 'snapshot'].map(cacheNameOf));
