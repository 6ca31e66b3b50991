// Blobs in a folder: `<first two digits>/<sha256>`. Each is hashed while it is
// written, and gets its name only when the digest is the one that was asked for.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AdmissionError, isTufError, StoreError } from '@countersign/core';
import type { BlobFacts, BlobStore } from '../ports.ts';
import { makeFolder, openPartial, writeError } from './files.ts';

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
    async *read(sha256) {
      const place = blobPath(folder, sha256);
      try {
        await stat(place);
        yield* createReadStream(place);
      } catch (error) {
        if (isTufError(error)) throw error;
        throw new StoreError('STORE_READ', `Reading blob ${sha256}: it cannot be read`, {
          detail: { sha256 },
          cause: error,
        });
      }
    },
  };
}

/** Where a blob lies. */
export function blobPath(folder: string, sha256: string): string {
  if (!/^[0-9a-f]{64}$/.test(sha256)) {
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
