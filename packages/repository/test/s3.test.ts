// The object store's adapter against a fake that fails: what is lost, late,
// doubled or overwritten must not lose or tear anything.

import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { beforeEach, describe, expect, it } from 'vitest';
import type { RoleFile, Site } from '../src/index.ts';
import { openS3Store } from '../src/s3/index.ts';
import { FakeS3, type Mishap } from './fake-s3.ts';
import { factsOf } from './memory-store.ts';
import { blobStoreSuite, siteSuite } from './port-suite.ts';
import { codeOf, once } from './world.ts';

let fake: FakeS3;

beforeEach(() => {
  fake = new FakeS3();
});

blobStoreSuite('fake S3', async () => {
  const store = new FakeS3();
  return {
    open: async () => (await openS3Store(store.options())).blobs,
    stored: async () => [...store.objects.keys()],
  };
});

siteSuite('fake S3', async () => {
  const store = new FakeS3();
  return {
    many: 300,
    open: async () => await openS3Store(store.options()),
    get: async (url) => store.objects.get(`main/site/${decodeURIComponent(url)}`)?.bytes,
    urls: async () => [...store.objects.keys()].filter((key) => key.startsWith('main/site/')),
  };
});

const BYTES = Buffer.alloc(20_000, 'content ');
const BLOB = factsOf(BYTES);

function timestamp(version: number): RoleFile {
  const bytes = Buffer.from(`timestamp ${version}`);
  return { role: 'timestamp', version, bytes, sha256: factsOf(bytes).sha256 };
}

async function textOf({ site }: { readonly site: Site }): Promise<string> {
  return Buffer.from((await site.shownTimestamp()) ?? '').toString();
}

async function collected(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

describe('trying the store out', () => {
  it('leaves nothing behind', async () => {
    await openS3Store(fake.options());
    expect([...fake.objects.keys()]).toEqual([]);
  });

  it.each(['none', 'create only'] as const)(
    'refuses a store that overwrites: it keeps %s of the conditions',
    async (kept) => {
      fake.keepsConditions = kept;
      expect(await codeOf(openS3Store(fake.options()))).toBe('STORE_UNSAFE');
      expect([...fake.objects.keys()]).toEqual([]);
    },
  );

  it('refuses a place so deep that the longest paths would be no keys', async () => {
    const prefix = (length: number): string => `${'f'.repeat(length - 1)}/`;
    await openS3Store({ ...fake.options(), prefix: prefix(80) });
    expect(await codeOf(openS3Store({ ...fake.options(), prefix: prefix(83) }))).toBe('CONFIG_INVALID');
  });

  it('refuses a store that knows no conditions', async () => {
    const { fetch, ...options } = fake.options();
    const refusing: typeof fetch = async (request, init) =>
      request.headers.has('if-none-match')
        ? new Response('<Error><Code>NotImplemented</Code></Error>', { status: 501 })
        : ((await fetch?.(request, init)) ?? Response.error());
    expect(await codeOf(openS3Store({ ...options, fetch: refusing }))).toBe('STORE_UNSAFE');
  });

  it('refuses a store that shows what was there before', async () => {
    fake.stale = true;
    expect(await codeOf(openS3Store(fake.options()))).toBe('STORE_UNSAFE');
  });

  it('tells a store that refuses us from one that is unsafe, and keeps the secret', async () => {
    const denied = async (): Promise<Response> =>
      new Response('<Error><Code>AccessDenied</Code></Error>', { status: 403 });
    const opening = openS3Store({ ...fake.options(), secretAccessKey: 'very secret', fetch: denied });
    await expect(opening).rejects.toMatchObject({ code: 'STORE_WRITE', detail: { reason: 'AccessDenied' } });
    await expect(opening).rejects.toThrow('Writing to the object store: AccessDenied');
    const error: unknown = await opening.catch((failure: unknown) => failure);
    expect(JSON.stringify(error)).not.toContain('very secret');
    expect(fake.delays).toEqual([]); // asking again would not help
  });
});

describe('a store that fails', () => {
  const mishaps: readonly Mishap[] = [
    'unavailable',
    'slow down',
    'lost request',
    'lost answer',
    'twice',
    'silent',
    'cut',
  ];

  it.each(mishaps)('does everything all the same, whichever request meets this: %s', async (mishap) => {
    for (let failAt = 0; ; failAt++) {
      fake = new FakeS3();
      let requests = 0;
      fake.mishap = () => (requests++ === failAt ? mishap : 'none');
      const { blobs, site } = await openS3Store(fake.options());
      expect(await blobs.put(BLOB.sha256, once(BYTES), BYTES.length)).toEqual(BLOB);
      expect((await collected(blobs.read(BLOB.sha256))).equals(BYTES)).toBe(true);
      await site.showTargets([{ path: 'a/b', blob: BLOB }]);
      await site.showFiles([timestamp(1)]);
      await site.showFiles([timestamp(2)]);
      expect(await textOf({ site })).toBe('timestamp 2');
      const listed: string[] = [];
      for await (const { url } of site.list()) listed.push(url);
      await site.remove(listed);
      await blobs.remove([BLOB.sha256]);
      // The probe's own objects may be left when removing them fails.
      expect([...fake.objects.keys()].filter((key) => !key.startsWith('main/probe/'))).toEqual([]);
      expect(listed.length).toBe(3);
      if (requests <= failAt) break;
      expect(failAt).toBeLessThan(100);
    }
  });

  it('does everything all the same when one request in twenty fails, each in another way', async () => {
    let seed = 1;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return Math.floor((seed / 2 ** 31) * below);
    };
    fake.mishap = () => (random(20) === 0 ? (mishaps[random(mishaps.length)] ?? 'none') : 'none');
    const { blobs, site } = await openS3Store(fake.options());
    for (let number = 1; number <= 60; number++) {
      const bytes = Buffer.from(`content ${number}`);
      const blob = factsOf(bytes);
      await blobs.put(blob.sha256, once(bytes), 100);
      await site.showTargets([{ path: `a/${number}`, blob }]);
      await site.showFiles([{ role: `r${number}`, version: 1, bytes, sha256: blob.sha256 }, timestamp(number)]);
      expect(await textOf({ site })).toBe(`timestamp ${number}`);
      expect((await collected(blobs.read(blob.sha256))).equals(bytes)).toBe(true);
    }
    expect(fake.delays.length).toBeGreaterThan(10);
  });

  it('gives up a store that stays away, with growing pauses, and says why', async () => {
    const { blobs, site } = await openS3Store(fake.options());
    fake.mishap = () => 'unavailable';
    expect(await codeOf(blobs.put(BLOB.sha256, once(BYTES), BYTES.length))).toBe('STORE_WRITE');
    expect(fake.delays).toEqual([100, 200, 400, 800, 1600]);
    expect(await codeOf(site.showFiles([timestamp(1)]))).toMatch(/^STORE_/);
    await expect(collected(blobs.read(BLOB.sha256))).rejects.toThrow(
      'Reading from the object store: ServiceUnavailable',
    );
    fake.mishap = () => 'silent';
    await expect(site.shownTimestamp()).rejects.toThrow('Reading from the object store: no answer in time');
    fake.mishap = () => 'none';
    expect(await blobs.put(BLOB.sha256, once(BYTES), BYTES.length)).toEqual(BLOB);
  });

  it('reads on where it was when the way breaks, and never mixes two contents', async () => {
    const { blobs } = await openS3Store(fake.options());
    await blobs.put(BLOB.sha256, once(BYTES), BYTES.length);
    let cuts = 0;
    fake.mishap = () => (cuts++ < 4 ? 'cut' : 'none');
    expect((await collected(blobs.read(BLOB.sha256))).equals(BYTES)).toBe(true);
    expect(cuts).toBe(5);
    // Something else is there when it goes on.
    const key = `main/blobs/${BLOB.sha256}`;
    fake.mishap = () => 'cut';
    const reading = blobs.read(BLOB.sha256)[Symbol.asyncIterator]();
    await reading.next();
    fake.objects.set(key, { bytes: Buffer.alloc(BYTES.length, 'other'), etag: '"other"', headers: new Headers() });
    fake.mishap = () => 'none';
    expect(await codeOf(reading.next())).toBe('STORE_READ');
  });

  it('refuses to take something else in the place of a blob for it', async () => {
    const { blobs } = await openS3Store(fake.options());
    fake.objects.set(`main/blobs/${BLOB.sha256}`, { bytes: Buffer.from('x'), etag: '"x"', headers: new Headers() });
    expect(await codeOf(blobs.put(BLOB.sha256, once(BYTES), BYTES.length))).toBe('STORE_CORRUPT');
  });

  it('leaves no spooled upload, however it ends', async () => {
    const uploads = async (): Promise<readonly string[]> =>
      (await readdir(tmpdir())).filter((name) => name.startsWith('countersign-upload-'));
    const before = await uploads();
    const { blobs } = await openS3Store(fake.options());
    await blobs.put(BLOB.sha256, once(BYTES), BYTES.length);
    await codeOf(blobs.put(BLOB.sha256, once(Buffer.from('other')), 100));
    fake.mishap = () => 'unavailable';
    await codeOf(blobs.put(BLOB.sha256, once(BYTES), BYTES.length));
    expect(await uploads()).toEqual(before);
  });
});

describe('the timestamp', () => {
  it('rollback: a publisher that was replaced cannot show its own again', async () => {
    const [old, successor] = [await openS3Store(fake.options()), await openS3Store(fake.options())];
    await old.site.showFiles([timestamp(1)]);
    await successor.site.showFiles([timestamp(3)]);
    await old.site.showFiles([timestamp(2)]);
    expect(await textOf(successor)).toBe('timestamp 3');
    await old.site.showFiles([timestamp(4)]);
    await successor.site.showFiles([timestamp(5)]);
    expect(await textOf(old)).toBe('timestamp 5');
  });

  it('begins again below what was served once it is removed, as a restore does on purpose', async () => {
    const { site } = await openS3Store(fake.options());
    await site.showFiles([timestamp(9)]);
    await site.remove(['metadata/timestamp.json']);
    await site.showFiles([timestamp(2)]);
    expect(await textOf({ site })).toBe('timestamp 2');
  });

  it('tells caches what may be kept', async () => {
    const { blobs, site } = await openS3Store(fake.options());
    await blobs.put(BLOB.sha256, once(BYTES), BYTES.length);
    await site.showTargets([{ path: 'a/b', blob: BLOB }]);
    await site.showFiles([{ ...timestamp(1), role: 'root' }, timestamp(1)]);
    const of = (url: string): readonly (string | null | undefined)[] =>
      ['cache-control', 'content-type'].map((name) => fake.objects.get(`main/site/${url}`)?.headers.get(name));
    expect(of('metadata/timestamp.json')).toEqual(['no-cache', 'application/json']);
    expect(of('metadata/1.root.json')).toEqual(['public, max-age=31536000, immutable', 'application/json']);
    expect(of(`targets/a/${BLOB.sha512}.b`)).toEqual([
      'public, max-age=31536000, immutable',
      'application/octet-stream',
    ]);
  });
});

it('keeps collections apart by their prefix', async () => {
  const [one, other] = [await openS3Store(fake.options('one/')), await openS3Store(fake.options('other/'))];
  await one.blobs.put(BLOB.sha256, once(BYTES), BYTES.length);
  await one.site.showFiles([timestamp(1)]);
  expect(await other.blobs.size(BLOB.sha256)).toBeUndefined();
  expect(await other.site.shownTimestamp()).toBeUndefined();
  for await (const found of other.site.list()) expect(found).toBeUndefined();
});
