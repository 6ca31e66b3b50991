// Blobs in a folder: `<first two digits>/<sha256>`. Each is hashed while it is
// written, and gets its name only when the digest is the one that was asked for.

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { AdmissionError, UsageError } from '@countersign/core';
import type { BlobFacts, BlobStore } from '../ports.ts';
import { filesBelow, lengthOf, makeFolder, openPartial, readFrom, removeFile, writeError } from './files.ts';

/** Opens a folder of blobs. */
export function folderBlobs(folder: string): BlobStore {
  return {
    async put(sha256, body, maxBytes) {
      const place = blobPath(folder, sha256);
      await makeFolder(join(folder, sha256.slice(0, 2)));
      const partial = await openPartial(join(folder, sha256.slice(0, 2)));
      try {
        const facts = await copy(body, maxBytes, (chunk) => partial.handle.writeFile(chunk));
        if (facts.sha256 !== sha256) {
          throw new AdmissionError('BLOB_MISMATCH', 'Storing a blob: its SHA-256 is not the one in its address', {
            detail: { want: sha256, got: facts.sha256 },
          });
        }
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
  if (!isDigest(sha256)) {
    throw new AdmissionError(
      'SUBMISSION_INVALID',
      'Addressing a blob: that is not a SHA-256 in lower-case hexadecimal',
    );
  }
  return join(folder, sha256.slice(0, 2), sha256);
}

async function copy(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
  write: (chunk: Uint8Array) => Promise<unknown>,
): Promise<BlobFacts> {
  const hashes = { sha256: createHash('sha256'), sha512: createHash('sha512') };
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > maxBytes) {
      throw new AdmissionError('SUBMISSION_TOO_LARGE', `Storing a blob: it is larger than ${maxBytes} bytes`, {
        detail: { limit: maxBytes },
      });
    }
    hashes.sha256.update(chunk);
    hashes.sha512.update(chunk);
    await write(chunk);
  }
  return { sha256: hashes.sha256.digest('hex'), sha512: hashes.sha512.digest('hex'), length };
}

function isDigest(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name);
}

const PARTIAL = /^[0-9a-f]{2}\/\.partial-[0-9a-f-]{36}$/;
