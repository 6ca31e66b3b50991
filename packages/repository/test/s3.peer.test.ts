// Blobs and site on a real S3 server with conditional writes: the same suites
// as every other store.

import { AwsClient } from 'aws4fetch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requireServer } from '../../../tools/peers/require-peer.ts';
import { findS3Server, S3_KEYS, startS3Server } from '../../../tools/peers/s3-server.ts';
import type { RunningServer } from '../../../tools/peers/servers.ts';
import { openS3Store, type S3Options } from '../src/s3/index.ts';
import { factsOf } from './memory-store.ts';
import { blobStoreSuite, siteSuite } from './port-suite.ts';
import { codeOf, once } from './world.ts';

const found = findS3Server();
let server: RunningServer;
let prefixes = 0;

it('has an S3 server to be tested against', (context) => {
  requireServer(found, context);
});

beforeAll(async () => {
  if (found.available) server = await startS3Server(found);
});

afterAll(async () => {
  await server?.close();
});

function optionsOf(prefix = `collection-${++prefixes}/`): S3Options {
  return { endpoint: server.url, bucket: 'bucket', prefix, ...S3_KEYS };
}

/** What anybody gets who may read the bucket, at a key as it would be asked for. */
async function ask(url: string): Promise<Response> {
  const aws = new AwsClient({ ...S3_KEYS, service: 's3', region: 'us-east-1', retries: 0 });
  return await aws.fetch(`${server.url}/bucket${url}`);
}

async function keys(prefix: string): Promise<readonly string[]> {
  const text = await (await ask(`?list-type=2&prefix=${encodeURIComponent(prefix)}&max-keys=9999`)).text();
  expect(text).toContain('<IsTruncated>');
  return [...text.matchAll(/<Key>(.*?)<\/Key>/g)].map(([, key = '']) => key);
}

describe.runIf(found.available)('versitygw', () => {
  blobStoreSuite('versitygw', async () => {
    const options = optionsOf();
    return {
      open: async () => (await openS3Store(options)).blobs,
      stored: async () => await keys(`${options.prefix}blobs/`),
    };
  });

  siteSuite('versitygw', async () => {
    const options = optionsOf();
    return {
      many: 300,
      open: async () => await openS3Store(options),
      get: async (url) => {
        const answer = await ask(`/${options.prefix}site/${url}`);
        return answer.ok ? new Uint8Array(await answer.arrayBuffer()) : undefined;
      },
      urls: async () => {
        const urls: string[] = [];
        for await (const { url } of (await openS3Store(options)).site.list()) urls.push(url);
        return urls;
      },
    };
  });

  it('refuses wrong credentials and a bucket that is not there', async () => {
    expect(await codeOf(openS3Store({ ...optionsOf(), secretAccessKey: 'wrong' }))).toBe('STORE_WRITE');
    expect(await codeOf(openS3Store({ ...optionsOf(), bucket: 'other' }))).toBe('STORE_WRITE');
  });

  it('takes a large upload, and gives it back', async () => {
    const { blobs } = await openS3Store(optionsOf());
    const bytes = Buffer.alloc(20_000_000, 'large ');
    const facts = factsOf(bytes);
    expect(await blobs.put(facts.sha256, once(bytes), bytes.length)).toEqual(facts);
    let length = 0;
    for await (const chunk of blobs.read(facts.sha256)) length += chunk.length;
    expect(length).toBe(bytes.length);
  });

  it('of many writers of one blob all succeed, and of many timestamps the last stays', async () => {
    const options = optionsOf();
    const stores = await Promise.all([1, 2, 3, 4].map(() => openS3Store(options)));
    const bytes = Buffer.from('the same');
    const facts = factsOf(bytes);
    await Promise.all(stores.map(({ blobs }) => blobs.put(facts.sha256, once(bytes), 100)));
    const versions = Array.from({ length: 40 }, (_, i) => i + 1);
    await Promise.all(
      versions.map((version) =>
        stores[version % 4]?.site.showFiles([
          { role: 'timestamp', version, bytes: Buffer.from(`${version}`), sha256: '' },
        ]),
      ),
    );
    expect(String(Buffer.from((await stores[0]?.site.shownTimestamp()) ?? ''))).toBe('40');
  });

  it('goes on by itself when the server was away', async () => {
    const { site } = await openS3Store(optionsOf());
    const file = { role: 'timestamp', version: 1, bytes: Buffer.from('one'), sha256: '' };
    await server.crash();
    const showing = site.showFiles([file]);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await server.restart();
    await showing;
    expect(String(Buffer.from((await site.shownTimestamp()) ?? ''))).toBe('one');
  });
});
