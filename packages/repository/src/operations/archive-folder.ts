// A backup in a folder. Blobs that an earlier backup left there are not written
// again, so that the next backup costs what is new; the manifest is replaced
// last and whole, so that an interrupted one leaves the backup before it.

import { mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { StoreError } from '@countersign/core';
import {
  filesBelow,
  lengthOf,
  makeFolder,
  openPartial,
  readFrom,
  removeFile,
  writeDurably,
  writeError,
} from '../embedded/files.ts';
import { type ArchiveReader, type ArchiveWriter, MANIFEST } from './archive.ts';

/** Begins a backup in a folder, which is made where it is missing. @throws StoreError STORE_WRITE */
export async function folderArchive(folder: string): Promise<ArchiveWriter> {
  await makeFolder(folder);
  const known: readonly string[] = await readdir(folder).catch(() => []);
  if (known.length > 0 && !known.includes(MANIFEST) && !known.every((name) => OURS.includes(name))) {
    throw new StoreError('STORE_WRITE', 'Beginning a backup: the folder holds something else', { detail: { folder } });
  }
  return {
    atOnce: 16,
    existing: async (name) => await lengthOf(join(folder, name)),
    async write(name, length, body) {
      const path = join(folder, name);
      await makeFolder(dirname(path));
      const partial = await openPartial(dirname(path));
      try {
        let written = 0;
        for await (const chunk of body) {
          written += chunk.length;
          await partial.handle.writeFile(chunk);
        }
        requireLength(name, length, written);
        await partial.commit(path);
      } catch (error) {
        await partial.discard();
        throw writeError(path, error);
      }
    },
    async finish(manifest, inside, keep) {
      await writeDurably(join(folder, MANIFEST), manifest);
      await mkdir(join(folder, inside), { recursive: true });
      for await (const { path } of filesBelow(join(folder, inside))) {
        if (!keep.includes(`${inside}/${path}`)) await removeFile(join(folder, inside, path));
      }
    },
    abandon: async () => undefined,
  };
}

/** Opens a backup in a folder. */
export function openFolderArchive(folder: string): ArchiveReader {
  return {
    size: async (name) => await lengthOf(join(folder, name)),
    read: (name) => readFrom(join(folder, name)),
    close: async () => undefined,
  };
}

/** Refuses a part that is not as long as was said. @throws StoreError STORE_WRITE */
export function requireLength(name: string, want: number, got: number): void {
  if (want === got) return;
  throw new StoreError('STORE_WRITE', `Writing ${name}: ${want} bytes were due, ${got} came`, {
    detail: { want, got },
  });
}

const OURS: readonly string[] = ['ledger', 'blobs', MANIFEST];
