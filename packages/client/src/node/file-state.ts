// Trusted metadata in a folder, one file per name. A save replaces the old file
// in one step, or leaves it as it was; several processes may share the folder,
// because everything read from it is verified again, and because a save can be
// made to depend on what is there.

import { readFileSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type CacheName, cacheNameOf, type Kept, type StatePort, StoreError } from '@countersign/core';
import { type DurableFile, openDurableFile, syncFolder, writing } from './durable-file.ts';
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
  const unsettled = new Set<string>();
  return {
    async load(name) {
      try {
        return await readFile(pathOf(name));
      } catch (cause) {
        if (hasCode(cause, 'ENOENT')) return undefined;
        throw new StoreError('STORE_READ', 'Reading trusted metadata: the system refused', { detail: { name }, cause });
      }
    },
    async save(name, bytes, over) {
      const path = pathOf(name);
      const file = await openDurableFile(path, { file: 0o600, folder: 0o700 });
      try {
        await file.write(bytes);
        // Of all others a damaged one is fetched again: losing them costs no protection.
        if (isFloor(name)) await file.sync();
        const done = await place(file, path, over);
        if (done) unsettled.add(dirname(path));
        else await file.abort();
        return done;
      } catch (error) {
        await file.abort().catch(() => {}); // the first failure is the one to tell
        throw error;
      }
    },
    async drop(name) {
      await writing(pathOf(name), async () => {
        await rm(pathOf(name), { force: true });
        // Durable before anything that is saved later, or a crash could bring it back.
        await syncFolder(dirname(pathOf(name))).catch((error: unknown) => {
          if (!hasCode(error, 'ENOENT')) throw error; // no folder, nothing to drop
        });
      });
    },
    async settle() {
      const folders = [...unsettled];
      unsettled.clear();
      for (const changed of folders) await writing(changed, () => syncFolder(changed));
    },
  };
}

/** What the rollback checks of the next update rest on (§5.3.8, §5.4.5, §5.5.7). */
function isFloor(name: CacheName): boolean {
  return FLOORS.has(name) || name.includes('/'); // below `root_history/`
}

async function place(file: DurableFile, path: string, over: Kept | undefined): Promise<boolean> {
  if (over !== undefined) return await file.placeIf(() => isKept(path, over));
  await file.place();
  return true;
}

function isKept(path: string, { bytes }: Kept): boolean {
  try {
    const present = readFileSync(path);
    return bytes !== undefined && present.equals(bytes);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return bytes === undefined;
    throw error;
  }
}

const FLOORS: ReadonlySet<CacheName> = new Set(['root', 'timestamp', 'snapshot'].map(cacheNameOf));
