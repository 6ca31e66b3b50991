// Trusted metadata in a folder, one file per name. A save replaces the old file
// in one step, or leaves it as it was; several processes may share the folder,
// because everything read from it is verified again.

import { readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type CacheName, type StatePort, StoreError } from '@countersign/core';
import { isAbsent, openDurableFile, syncFolder, writing } from './durable-file.ts';

/**
 * Keeps trusted metadata in a folder, made with mode 0700 when it is not there.
 * Its methods throw StoreError STORE_READ and STORE_WRITE.
 *
 * @example fileState('.countersign/client')
 */
export function fileState(folder: string): StatePort {
  const pathOf = (name: CacheName): string => join(folder, ...name.split('/'));
  return {
    async load(name) {
      try {
        return await readFile(pathOf(name));
      } catch (cause) {
        if (isAbsent(cause)) return undefined;
        throw new StoreError('STORE_READ', 'Reading trusted metadata: the system refused', { detail: { name }, cause });
      }
    },
    async save(name, bytes) {
      const file = await openDurableFile(pathOf(name), { file: 0o600, folder: 0o700 });
      try {
        await file.write(bytes);
        await file.commit();
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
          if (!isAbsent(error)) throw error; // no folder, nothing to drop
        });
      });
    },
  };
}
