// The visible copies as objects below `site/`, for any web server or cache in
// front of the bucket. A name with a version or a digest has one content for
// ever and says so to caches. The timestamp is replaced last, by
// compare-and-swap: a publisher that was replaced and does not know it yet
// cannot take clients back.

import { StoreError } from '@countersign/core';
import type { BlobFacts, RoleFile, Site } from '../ports.ts';
import { roleFileName, siteName, siteUrl, targetNames } from '../site-url.ts';
import { blobKey } from './s3-blobs.ts';
import { bodyOf, forEachOf, type S3Client } from './s3-client.ts';
import { listObjects } from './s3-listing.ts';

/** The site of a collection, over the same bucket as its blobs. */
export function s3Site(client: S3Client): Site {
  const timestamp = new TimestampObject(client);
  return {
    async showTargets(targets) {
      const copies = targets.flatMap(({ path, blob }) => targetNames(path, blob).map((name) => ({ name, blob })));
      await forEachOf(copies, ({ name, blob }) => showBlob(client, FOLDER + name, blob));
    },
    async showFiles(files) {
      const others = files
        .filter(({ role }) => role !== 'timestamp')
        .map((file) => ({ ...file, name: roleFileName(file.role, file.version) }));
      await forEachOf(others, async ({ name, bytes }) => {
        // Not conditional: it is written only after its commit, so there is one content, and repair can write it again.
        const headers = { 'content-type': 'application/json', 'cache-control': FOR_EVER };
        await client.ask({ method: 'PUT', key: FOLDER + name, headers, body: bodyOf(bytes), accept: [200] });
      });
      for (const file of files) if (file.role === 'timestamp') await timestamp.replace(file);
    },
    async shownTimestamp() {
      const answer = await client.ask({ method: 'GET', key: TIMESTAMP, accept: [200, 404] });
      return answer.status === 200 ? answer.body : undefined;
    },
    async *list() {
      for await (const { key, ...object } of listObjects(client, FOLDER)) {
        yield { ...object, url: siteUrl(key.slice(FOLDER.length)), partial: false };
      }
    },
    async *read(url) {
      yield* client.read(FOLDER + siteName(url));
    },
    async remove(urls) {
      const keys = urls.map((url) => FOLDER + siteName(url));
      await forEachOf(keys, async (key) => {
        await client.ask({ method: 'DELETE', key, accept: [200, 204, 404] });
      });
    },
  };
}

/** Copies a blob inside the store, unless the copy is there. */
async function showBlob(client: S3Client, key: string, { sha256, length }: BlobFacts): Promise<void> {
  const present = await client.ask({ method: 'HEAD', key, accept: [200, 404] });
  if (present.status === 200 && Number(present.headers.get('content-length')) === length) return;
  const headers = {
    'x-amz-copy-source': client.sourceOf(blobKey(sha256)),
    'x-amz-metadata-directive': 'REPLACE',
    'content-type': 'application/octet-stream',
    'cache-control': FOR_EVER,
  };
  await client.ask({ method: 'PUT', key, headers, accept: [200] });
}

/** The one object that is ever replaced. */
class TimestampObject {
  private readonly client: S3Client;
  /** As we saw it last. */
  private seen: { readonly etag: string; readonly version: number } | undefined;

  constructor(client: S3Client) {
    this.client = client;
  }

  /** Shows a timestamp, unless a later one is shown. @throws StoreError STORE_CONFLICT when others keep replacing it */
  async replace({ version, bytes }: RoleFile): Promise<void> {
    for (let tries = 0; tries < MOST_CONFLICTS; tries++) {
      // What we remember is good enough to try, not to give up.
      const present = this.seen !== undefined && this.seen.version <= version ? this.seen : await this.look();
      if (present !== undefined && present.version > version) return;
      const answer = await this.client.ask({
        method: 'PUT',
        key: TIMESTAMP,
        headers: {
          ...(present === undefined ? { 'if-none-match': '*' } : { 'if-match': present.etag }),
          'content-type': 'application/json',
          'cache-control': 'no-cache',
          [VERSION_HEADER]: String(version),
        },
        body: bodyOf(bytes),
        accept: [200, 404, 412],
      });
      const etag = answer.headers.get('etag');
      this.seen = answer.status === 200 && etag !== null ? { etag, version } : undefined;
      if (answer.status === 200) return;
      // Somebody else has replaced or removed it, or a first try of ours did get through.
    }
    throw new StoreError('STORE_CONFLICT', 'Showing the timestamp: another process keeps replacing it');
  }

  private async look(): Promise<TimestampObject['seen']> {
    const { status, headers } = await this.client.ask({ method: 'HEAD', key: TIMESTAMP, accept: [200, 404] });
    if (status === 404) return undefined;
    return { etag: headers.get('etag') ?? '', version: Number(headers.get(VERSION_HEADER) ?? 0) };
  }
}

const FOLDER = 'site/';
const TIMESTAMP = `${FOLDER}${roleFileName('timestamp', undefined)}`;
const VERSION_HEADER = 'x-amz-meta-version';
const FOR_EVER = 'public, max-age=31536000, immutable';
const MOST_CONFLICTS = 20;
