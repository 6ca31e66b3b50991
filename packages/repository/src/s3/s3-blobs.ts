// Blobs as objects: `blobs/<sha256>`. A stream is first spooled to a temporary
// file, and gets its key only when its digest is the one that was asked for; the
// store checks the digest again, and never replaces a blob that it has. So
// nothing is ever left half-written.

import { randomUUID } from 'node:crypto';
import { openAsBlob } from 'node:fs';
import { open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isTufError, StoreError, UsageError } from '@countersign/core';
import { copyBlob, isDigest, requireDigest } from '../blob-stream.ts';
import type { BlobStore } from '../ports.ts';
import { forEachOf, type S3Client } from './s3-client.ts';
import { listObjects } from './s3-listing.ts';

/** The blobs of a collection. @param spoolFolder for uploads under way */
export function s3Blobs(client: S3Client, spoolFolder = tmpdir()): BlobStore {
  const size = async (sha256: string): Promise<number | undefined> => {
    requireDigest(sha256);
    const answer = await client.ask({ method: 'HEAD', key: blobKey(sha256), accept: [200, 404] });
    return answer.status === 200 ? Number(answer.headers.get('content-length')) : undefined;
  };
  return {
    async put(sha256, body, maxBytes) {
      requireDigest(sha256);
      const spool = join(spoolFolder, `countersign-upload-${randomUUID()}`);
      try {
        const facts = await spooled(spool, (write) => copyBlob(sha256, body, maxBytes, write));
        const { status } = await client.ask({
          method: 'PUT',
          key: blobKey(sha256),
          headers: { 'if-none-match': '*', 'content-type': 'application/octet-stream' },
          body: { content: await openAsBlob(spool), length: facts.length, sha256 },
          accept: [200, 412],
        });
        // It was there before, or a first try did get through.
        if (status === 412 && (await size(sha256)) !== facts.length) {
          throw new StoreError('STORE_CORRUPT', 'Storing a blob: the store has something else in its place', {
            detail: { sha256 },
          });
        }
        return facts;
      } catch (error) {
        if (isTufError(error)) throw error;
        throw new StoreError('STORE_WRITE', `Storing blob ${sha256}: it could not be taken in`, {
          detail: { sha256 },
          cause: error,
        });
      } finally {
        await unlink(spool).catch(() => undefined); // may never have been made
      }
    },
    async *read(sha256) {
      requireDigest(sha256);
      yield* client.read(blobKey(sha256));
    },
    size,
    async *list() {
      for await (const { key, ...object } of listObjects(client, FOLDER)) {
        yield { ...object, name: key.slice(FOLDER.length), partial: false };
      }
    },
    async remove(names) {
      await forEachOf(names, async (name) => {
        if (!isDigest(name)) {
          throw new UsageError('USAGE_INVALID', 'Removing a blob: the store cannot have listed that name');
        }
        await client.ask({ method: 'DELETE', key: blobKey(name), accept: [200, 204, 404] });
      });
    },
  };
}

async function spooled<T>(file: string, copy: (write: (chunk: Uint8Array) => Promise<void>) => Promise<T>): Promise<T> {
  const handle = await open(file, 'wx', 0o600);
  try {
    return await copy((chunk) => handle.writeFile(chunk));
  } finally {
    await handle.close();
  }
}

/** The key of a blob. */
export function blobKey(sha256: string): string {
  return `${FOLDER}${sha256}`;
}

const FOLDER = 'blobs/';
