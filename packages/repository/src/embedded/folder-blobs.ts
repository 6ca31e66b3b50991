// Blobs in a folder: `<first two digits>/<sha256>`. Each is hashed while it is
// written, and gets its name only when the digest is the one that was asked for.

import { join } from 'node:path';
import { UsageError } from '@countersign/core';
import { copyBlob, isDigest, requireDigest } from '../blob-stream.ts';
import type { BlobStore } from '../ports.ts';
import { filesBelow, lengthOf, makeFolder, openPartial, readFrom, removeFile, writeError } from './files.ts';

/** Opens a folder of blobs. */
export function folderBlobs(folder: string): BlobStore {
  return {
    async put(sha256, body, maxBytes) {
      const place = blobPath(folder, sha256);
      await makeFolder(join(folder, sha256.slice(0, 2)));
      const partial = await openPartial(join(folder, sha256.slice(0, 2)));
      try {
        const facts = await copyBlob(sha256, body, maxBytes, (chunk) => partial.handle.writeFile(chunk));
        await partial.commit(place);
        return facts;
      } catch (error) {
        await partial.discard();
        throw writeError(place, error);
      }
    },
    read: (sha256) => readFrom(blobPath(folder, sha256)),
    size: async (sha256) => await lengthOf(blobPath(folder, sha256)),
    async *list() {
      for await (const { path, ...stored } of filesBelow(folder)) {
        // A blob by its digest, anything else by where it lies.
        const digest = path.slice(path.indexOf('/') + 1);
        yield { ...stored, name: isDigest(digest) ? digest : path };
      }
    },
    async remove(names) {
      for (const name of names) {
        if (isDigest(name)) await removeFile(blobPath(folder, name));
        else if (PARTIAL.test(name)) await removeFile(join(folder, name));
        else throw new UsageError('USAGE_INVALID', 'Removing a blob: the store cannot have listed that name');
      }
    },
  };
}

/** Where a blob lies. */
export function blobPath(folder: string, sha256: string): string {
  requireDigest(sha256);
  return join(folder, sha256.slice(0, 2), sha256);
}

const PARTIAL = /^[0-9a-f]{2}\/\.partial-[0-9a-f-]{36}$/;
