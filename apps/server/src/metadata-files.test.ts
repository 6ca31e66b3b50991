import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { Agent, get } from 'node:http';
import { join } from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, ask as askAt, digestOf, type Question, type Service, startService } from '../test/service.ts';

let service: Service;

beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const ask = (method: string, path: string, question?: Question): Promise<Answer> =>
  askAt(service.server, method, path, question);

describe('metadata', () => {
  it('is served with its length, type and a strong ETag, for GET and HEAD', async () => {
    const onDisk = await readFile(join(service.folder, 'site/metadata/1.root.json'));
    const got = await ask('GET', '/main/metadata/1.root.json');
    const head = await ask('HEAD', '/main/metadata/1.root.json');
    expect(got.bytes.equals(onDisk)).toBe(true);
    expect(got.headers.etag).toBe(`"${digestOf('sha256', onDisk)}"`);
    for (const { status, headers } of [got, head]) {
      expect(status).toBe(200);
      expect(headers).toMatchObject({
        'content-type': expect.stringContaining('application/json'),
        'content-length': String(onDisk.length),
        'accept-ranges': 'bytes',
        etag: got.headers.etag,
      });
    }
    expect(head.bytes.length).toBe(0);
  });

  it('may be kept for ever under a version, and never without asking as timestamp', async () => {
    expect((await ask('GET', '/main/metadata/1.root.json')).headers['cache-control']).toContain('immutable');
    expect((await ask('GET', '/main/metadata/timestamp.json')).headers['cache-control']).toBe('no-cache');
  });

  it('is not sent again to who has it', async () => {
    const { etag = '' } = (await ask('GET', '/main/metadata/timestamp.json')).headers;
    for (const name of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const { status, bytes, headers } = await ask('GET', '/main/metadata/timestamp.json', {
        headers: { 'if-none-match': name },
      });
      expect([name, status, bytes.length, headers.etag]).toEqual([name, 304, 0, etag]);
    }
    expect(
      (await ask('GET', '/main/metadata/timestamp.json', { headers: { 'if-none-match': '"other"' } })).status,
    ).toBe(200);
  });

  it.each([
    ['bytes=0-9', 206, [0, 10]],
    ['bytes=10-', 206, [10, undefined]],
    ['bytes=-7', 206, [-7, undefined]],
    ['bytes=5-99999999', 206, [5, undefined]],
    ['bytes=-99999999', 206, [0, undefined]],
    ['bytes=99999999-', 416, [0, 0]],
    ['bytes=-0', 416, [0, 0]],
    ['bytes=9-5', 200, [0, undefined]],
    ['bytes=0-1,3-4', 200, [0, undefined]],
    ['bytes=-', 200, [0, undefined]],
    ['lines=1-2', 200, [0, undefined]],
    ['bytes=0x1-2', 200, [0, undefined]],
  ] as const)('Range %s gets %i', async (range, want, [from, to]) => {
    const whole = (await ask('GET', '/main/metadata/1.root.json')).bytes;
    const { status, bytes, headers } = await ask('GET', '/main/metadata/1.root.json', { headers: { range } });
    expect(status).toBe(want);
    const part = whole.subarray(from, to);
    expect(bytes.equals(part)).toBe(true);
    const start = part.byteOffset - whole.byteOffset;
    if (want === 206)
      expect(headers['content-range']).toBe(`bytes ${start}-${start + part.length - 1}/${whole.length}`);
    if (want === 416) expect(headers['content-range']).toBe(`bytes */${whole.length}`);
  });

  it('a resume that would mix two files gets the whole one (If-Range)', async () => {
    const whole = await ask('GET', '/main/metadata/timestamp.json');
    const resume = async (name: string): Promise<number> =>
      (await ask('GET', '/main/metadata/timestamp.json', { headers: { range: 'bytes=10-', 'if-range': name } })).status;
    expect(await resume(whole.headers.etag ?? '')).toBe(206);
    expect(await resume('"of an older one"')).toBe(200);
    expect(await resume(`W/${whole.headers.etag}`)).toBe(200);
    expect(await resume('Tue, 01 Jan 2030 00:00:00 GMT')).toBe(200);
  });

  it('is what lies on the disk: damage is for clients to judge', async () => {
    const place = join(service.folder, 'site/metadata/1.unclaimed-f.json');
    const kept = await readFile(place);
    const before = await ask('GET', '/main/metadata/1.unclaimed-f.json');
    await writeFile(place, 'damaged');
    const after = await ask('GET', '/main/metadata/1.unclaimed-f.json');
    expect([after.text, after.headers.etag === before.headers.etag]).toEqual(['damaged', false]);
    await writeFile(place, kept);
    expect((await ask('GET', '/main/metadata/1.unclaimed-f.json')).headers.etag).toBe(before.headers.etag);
  });

  it('is gone as soon as it is gone from the disk, and new as soon as it is replaced there', async () => {
    const place = join(service.folder, 'site/metadata/7.extra.json');
    const statuses = [];
    for (const text of ['{"first":1}', '{"other":2}']) {
      await writeFile(`${place}.new`, text);
      await rename(`${place}.new`, place);
      for (const _ of ['read', 'known']) statuses.push((await ask('GET', '/main/metadata/7.extra.json')).text);
    }
    await rm(place);
    statuses.push((await ask('GET', '/main/metadata/7.extra.json')).status);
    expect(statuses).toEqual(['{"first":1}', '{"first":1}', '{"other":2}', '{"other":2}', 404]);
  });

  describe('large', () => {
    const path = '/main/metadata/7.large.json';
    const content = JSON.stringify(Array.from({ length: 5000 }, (_, i) => `role-${i}`));
    const place = (): string => join(service.folder, 'site/metadata/7.large.json');
    const asked = (accepted: string, more = {}): Promise<Answer> =>
      ask('GET', path, { headers: { 'accept-encoding': accepted, ...more } });
    /** Asks until the compressed form is there: nobody waits for it. */
    const compressed = async (accepted: string, coding: string): Promise<Answer> => {
      for (let tries = 0; tries < 1000; tries++) {
        const answer = await asked(accepted);
        if (answer.headers['content-encoding'] === coding) return answer;
      }
      throw new Error('It was never compressed');
    };

    beforeAll(() => writeFile(place(), content));
    afterAll(() => rm(place()));

    it.each([
      ['gzip', 'gzip', gunzipSync],
      ['gzip, deflate', 'gzip', gunzipSync],
      ['gzip, br', 'br', brotliDecompressSync],
      ['GZIP;q=0.5, br;q=0', 'gzip', gunzipSync],
      ['*', 'br', brotliDecompressSync],
      ['*, br;q=0.0', 'gzip', gunzipSync],
    ] as const)('is compressed for who accepts %s', async (accepted, coding, decompress) => {
      const plain = await ask('GET', path);
      const { bytes, headers } = await compressed(accepted, coding);
      expect(decompress(bytes).toString()).toBe(content);
      expect(bytes.length).toBeLessThan(content.length / 2);
      expect(headers).toMatchObject({
        'content-encoding': coding,
        'content-length': String(bytes.length),
        vary: 'accept-encoding',
        etag: `${plain.headers.etag?.slice(0, -1)}-${coding}"`,
      });
      expect((await asked(accepted, { 'if-none-match': headers.etag })).status).toBe(304);
    });

    it.each(['', 'identity', 'gzip;q=0', '*;q=0', 'deflate, zstd', 'br;q=0.000'])(
      'is plain for who accepts %j',
      async (accepted) => {
        await compressed('gzip', 'gzip');
        const { headers, text } = await asked(accepted);
        expect([headers['content-encoding'], headers.vary, text]).toEqual([undefined, 'accept-encoding', content]);
      },
    );

    it('is resumed in its plain form only', async () => {
      const { headers } = await compressed('gzip', 'gzip');
      const part = await asked('gzip', { range: 'bytes=0-9' });
      expect([part.status, part.text]).toEqual([206, content.slice(0, 10)]);
      const mixed = await asked('gzip', { range: 'bytes=0-9', 'if-range': headers.etag });
      expect([mixed.status, mixed.text]).toEqual([200, content]);
    });
  });

  it('is answered to the last when the service stops', async () => {
    const own = await startService();
    const agent = new Agent({ keepAlive: true });
    const poll = (): Promise<string | undefined> =>
      new Promise((resolve, reject) => {
        const url = `${own.server.url}/main/metadata/timestamp.json`;
        const outgoing = get(url, { agent }, (incoming) => {
          incoming.resume().on('end', () => resolve(incoming.headers.connection));
        });
        outgoing.on('error', reject);
      });
    for (let i = 0; i < 3; i++) expect(await poll()).toBe('keep-alive');
    await Promise.all([own.stop(), poll().catch(() => undefined)]);
    await expect(poll()).rejects.toThrow();
    agent.destroy();
  });

  it.each([
    '2.root.json',
    'root.json',
    '..%2fblobs%2fx.json',
    '%2e%2e/ledger.sqlite',
    '../ledger.sqlite',
    '..%2f..%2fkeys%2foffline.pem',
    '%2e%2e%2f%2e%2e%2fledger.sqlite',
    '..%5c..%5cledger.sqlite',
    '....//ledger.sqlite',
    '%00.json',
    'timestamp.json%00',
    'timestamp.json/',
    '.partial-x',
    '',
    `${'a'.repeat(3000)}.json`,
  ])('has nothing under %s', async (file) => {
    const answer = await ask('GET', `/main/metadata/${file}`);
    expect([400, 404, 414]).toContain(answer.status);
    expect(answer.json).toMatchObject({ code: expect.any(String) });
  });
});
