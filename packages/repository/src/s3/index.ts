// Blobs and site for more than one machine: any S3-compatible object store with
// conditional writes. Subpath `@countersign/repository/s3`.

import { UsageError, utf8 } from '@countersign/core';
import type { BlobStore, Site } from '../ports.ts';
import { MAX_PREFIX } from '../showable.ts';
import { s3Blobs } from './s3-blobs.ts';
import { S3Client, type S3Options } from './s3-client.ts';
import { probeStore } from './s3-probe.ts';
import { s3Site } from './s3-site.ts';

export type { S3Options } from './s3-client.ts';

/** The blobs and the site of one collection in a bucket, below a prefix. */
export interface S3Store {
  /** Objects below `blobs/`: not for the public, as they hold what was uploaded and not published. */
  readonly blobs: BlobStore;
  /** Objects below `site/`: what a web server or a cache may show to anybody. */
  readonly site: Site;
}

/**
 * Opens a part of a bucket, after trying the store out.
 *
 * @param options the bucket, who may write to it, and a folder for uploads under way
 * @throws UsageError CONFIG_INVALID when the prefix is too long; StoreError STORE_UNSAFE when the store overwrites; STORE_READ, STORE_WRITE when it cannot be used
 * @example
 * const { blobs, site } = await openS3Store({
 *   endpoint: 'https://s3.example.org', bucket: 'packages', prefix: 'main/', accessKeyId, secretAccessKey,
 * });
 */
export async function openS3Store(options: S3Options & { readonly spoolFolder?: string }): Promise<S3Store> {
  const { prefix = '' } = options;
  if (utf8(prefix).length > MAX_PREFIX) {
    throw new UsageError('CONFIG_INVALID', `Opening the object store: its folder is longer than ${MAX_PREFIX} bytes`, {
      detail: { prefix, limit: MAX_PREFIX },
    });
  }
  const client = new S3Client(options);
  await probeStore(client);
  return { blobs: s3Blobs(client, options.spoolFolder), site: s3Site(client) };
}
