// Every route over real HTTP: what it answers, what it refuses, and that a
// refusal changes nothing; long because each route is tried with everything
// that may come, in one place.

import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { openNodeClient } from '@countersign/client/node';
import { requireTargetPath, targetUrl } from '@countersign/core';
import { submissionText } from '@countersign/repository';
import { seededKey } from '@countersign/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Answer,
  Author,
  ask as askAt,
  digestOf,
  NOW,
  type Question,
  type Service,
  startService,
} from '../test/service.ts';

let service: Service;
let authorized: Record<string, string>;
const MiB = 1024 * 1024;

beforeAll(async () => {
  service = await startService({ maxBlobBytes: 200 * MiB, maxRoleBytes: 200_000 });
  authorized = { authorization: `Bearer ${service.token}` };
});
afterAll(() => service.stop());

const ask = (method: string, path: string, question?: Question): Promise<Answer> =>
  askAt(service.server, method, path, question);
const api = '/api/v1/main';

async function upload(content: Uint8Array): Promise<Answer> {
  const headers = { ...authorized, 'content-type': 'application/octet-stream' };
  return await ask('PUT', `${api}/blobs/${digestOf('sha256', content)}`, { headers, body: content });
}

async function submit(body: string, headers: Record<string, string> = {}): Promise<Answer> {
  return await ask('POST', `${api}/submissions`, {
    headers: { ...authorized, 'content-type': 'application/json', ...headers },
    body,
  });
}

/** Publishes one file of a new author; gives where it is. */
async function published(
  name: string,
  file: string,
  content: Uint8Array,
): Promise<{ author: Author; url: string; path: string }> {
  const author = new Author(name, seededKey(name));
  expect((await upload(content)).status).toBe(201);
  const target = author.target(file, content);
  expect((await submit(await author.next(target))).status).toBe(201);
  return {
    author,
    path: target.path,
    url: `/main/targets/${targetUrl(requireTargetPath(target.path), digestOf('sha256', content))}`,
  };
}

async function files(folder: string): Promise<readonly string[]> {
  const entries = await readdir(join(service.folder, folder), { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return paths.sort();
}

/** Everything that a refusal must leave as it is. */
async function facts(): Promise<unknown> {
  return [(await ask('GET', api)).text, await files('blobs'), await files('site')];
}

function expectRefusal({ status, json }: Answer, code: string, http: number): void {
  expect({ status, json }).toEqual({
    status: http,
    json: {
      code,
      error: expect.stringMatching(/\S.*: \S/),
      next: expect.stringMatching(/\S/),
      detail: expect.any(Object),
    },
  });
}

describe('what it says of itself', () => {
  it('is healthy', async () => {
    expect((await ask('GET', '/health')).json).toEqual({ status: 'ok', collections: ['main'] });
  });

  it('tells the state of a collection', async () => {
    const { status, json } = await ask('GET', api);
    expect(status).toBe(200);
    expect(json).toMatchObject({ collection: 'main', projects: { claimed: 0 } });
    expect(json?.['roles']).toContainEqual({
      role: 'timestamp',
      version: expect.any(Number),
      expires: '2030-01-02T00:00:00Z',
    });
    expect((await ask('GET', `${api}/`)).text).toBe((await ask('GET', api)).text);
  });

  it.each([
    ['GET', '/'],
    ['GET', '/nope'],
    ['GET', '/main'],
    ['GET', '/main/'],
    ['GET', '/other/metadata/timestamp.json'],
    ['GET', '/api/v1/other'],
    ['GET', '/api/v1/main/nope'],
    ['DELETE', '/main/metadata/timestamp.json'],
    ['PUT', '/main/metadata/timestamp.json'],
    ['POST', '/main/targets/x'],
    ['GET', '/api/v1/main/blobs/x'],
    ['GET', '/%E0%A4%A'],
  ])('%s %s is nothing', async (method, path) => {
    const answer = await ask(method, path);
    expect([400, 404]).toContain(answer.status);
    expect(answer.json).toMatchObject({ code: expect.stringMatching(/^(NOT_FOUND|USAGE_INVALID)$/) });
  });
});

describe('tokens', () => {
  it.each([
    ['none', undefined],
    ['an empty one', 'Bearer '],
    ['a wrong one', 'Bearer cst_wrong'],
    ['another scheme', 'Basic dXNlcjpwYXNz'],
    ['two', 'Bearer a b'],
    ['the hash of one', () => `Bearer ${digestOf('sha256', service.token)}`],
  ])('%s may not write', async (_what, given) => {
    const authorization = typeof given === 'function' ? given() : given;
    const headers = {
      'content-type': 'application/octet-stream',
      ...(authorization === undefined ? {} : { authorization }),
    };
    const before = await facts();
    const put = await ask('PUT', `${api}/blobs/${digestOf('sha256', 'x')}`, { headers, body: 'x' });
    const post = await ask('POST', `${api}/submissions`, {
      headers: { ...headers, 'content-type': 'application/json' },
      body: '{}',
    });
    for (const answer of [put, post]) {
      expectRefusal(answer, 'UNAUTHENTICATED', 401);
      expect(answer.headers['www-authenticate']).toBe('Bearer');
    }
    expect(await facts()).toEqual(before);
  });

  it('are known whatever the case of their scheme, and never logged or kept', async () => {
    const author = new Author('schemes', seededKey('schemes'));
    await upload(Buffer.from('schemes'));
    const text = await author.next(author.target('f', Buffer.from('schemes')));
    const headers = { authorization: `bearer ${service.token}`, 'content-type': 'application/json' };
    expect((await ask('POST', `${api}/submissions`, { headers, body: text })).status).toBe(201);
    expect(JSON.stringify(service.events)).not.toContain(service.token);
    for (const file of ['ledger.sqlite', 'ledger.sqlite-wal']) {
      expect((await readFile(join(service.folder, file))).includes(service.token)).toBe(false);
    }
  });
});

describe('blobs', () => {
  const address = (content: string): string => `${api}/blobs/${digestOf('sha256', content)}`;
  const put = (path: string, body: Question['body'], headers = {}): Promise<Answer> =>
    ask('PUT', path, {
      headers: { ...authorized, 'content-type': 'application/octet-stream', ...headers },
      ...(body !== undefined && { body }),
    });

  it('are taken once, and known from then on', async () => {
    const want = { sha256: digestOf('sha256', 'blob'), sha512: digestOf('sha512', 'blob'), length: 4 };
    expect(await put(address('blob'), 'blob')).toMatchObject({ status: 201, json: want });
    expect(await put(address('blob'), 'blob')).toMatchObject({ status: 200, json: want });
    expect(await put(address(''), '')).toMatchObject({ status: 201, json: { length: 0 } });
  });

  it('are refused when they are something else, and leave nothing', async () => {
    const before = await facts();
    expectRefusal(await put(address('right'), 'wrong'), 'BLOB_MISMATCH', 422);
    expectRefusal(await put(`${api}/blobs/${digestOf('sha256', 'x').toUpperCase()}`, 'x'), 'SUBMISSION_INVALID', 400);
    expectRefusal(await put(`${api}/blobs/..%2f..%2fx`, 'x'), 'SUBMISSION_INVALID', 400);
    expectRefusal(await put(`${api}/blobs/__proto__`, 'x'), 'SUBMISSION_INVALID', 400);
    expectRefusal(
      await put(address('x'), 'x', { 'content-type': 'application/x-www-form-urlencoded' }),
      'USAGE_INVALID',
      400,
    );
    expect(await facts()).toEqual(before);
  });

  it('endless data: refused at the limit, and nothing left', async () => {
    const before = await facts();
    const endless = async function* (): AsyncGenerator<Uint8Array, void> {
      for (let i = 0; i < 4000; i++) yield Buffer.alloc(64 * 1024);
    };
    const answer = await put(address('x'), endless()).catch((error: NodeJS.ErrnoException) => error.code);
    // The answer may be lost to a sender who goes on sending.
    if (typeof answer === 'object') expectRefusal(answer, 'SUBMISSION_TOO_LARGE', 413);
    else expect(['EPIPE', 'ECONNRESET']).toContain(answer);
    expect(await facts()).toEqual(before);
  });

  it('an upload that breaks off leaves nothing, and the log blames its sender', async () => {
    const before = await facts();
    await new Promise<void>((resolve) => {
      const headers = { ...authorized, 'content-type': 'application/octet-stream', 'content-length': 1_000_000 };
      const outgoing = request({
        host: '127.0.0.1',
        port: service.server.port,
        method: 'PUT',
        path: address('broken'),
        headers,
        agent: false,
      });
      outgoing.on('error', () => resolve());
      outgoing.write(Buffer.alloc(100_000), () => {
        void until(async () => (await files('blobs')).some((file) => file.includes('partial'))).then(() =>
          outgoing.destroy(),
        );
      });
    });
    await until(async () => service.events.some((event) => event.event === 'refused' && event.code === 'BODY_CUT'));
    await until(async () => (await files('blobs')).every((file) => !file.includes('partial')));
    expect(await facts()).toEqual(before);
    expect(service.events.filter(({ event }) => event === 'fault')).toEqual([]);
  });

  it('of any size go through little memory, up and down', { timeout: 60_000 }, async () => {
    const chunk = Buffer.alloc(64 * 1024, 'countersign');
    const count = (160 * MiB) / chunk.length;
    const [sha256, sha512] = [createHash('sha256'), createHash('sha512')];
    for (let i = 0; i < count; i++) for (const hash of [sha256, sha512]) hash.update(chunk);
    const [digest, long] = [sha256.digest('hex'), sha512.digest('hex')];
    let most = 0;
    const start = process.memoryUsage().arrayBuffers;
    const watch = (): void => {
      most = Math.max(most, process.memoryUsage().arrayBuffers - start);
    };
    const body = async function* (): AsyncGenerator<Uint8Array, void> {
      for (let i = 0; i < count; i++) {
        watch();
        yield chunk;
      }
    };
    expect((await put(`${api}/blobs/${digest}`, body())).status).toBe(201);
    const author = new Author('big', seededKey('big'));
    const hashes = new Map([
      ['sha256', digest],
      ['sha512', long],
    ]);
    const path = `${author.directory}/big.bin`;
    expect((await submit(await author.next({ path, length: 160 * MiB, hashes, custom: undefined }))).status).toBe(201);
    const back = createHash('sha256');
    await new Promise<void>((resolve, reject) => {
      const url = `/main/targets/${targetUrl(requireTargetPath(path), digest)}`;
      request({ host: '127.0.0.1', port: service.server.port, path: url, agent: false }, (incoming) => {
        incoming.on('data', (piece: Buffer) => {
          watch();
          back.update(piece);
        });
        incoming.on('end', resolve).on('error', reject);
      }).end();
    });
    expect(back.digest('hex')).toBe(digest);
    expect(most).toBeLessThan(64 * MiB);
  });
});

describe('submissions', () => {
  it('are answered with the publication, once a second client sees it', async () => {
    const content = Buffer.from('one');
    const author = new Author('alice', seededKey('alice'));
    await upload(content);
    const second = await openNodeClient({
      url: `${service.server.url}/main`,
      folder: join(service.folder, '..', 'second'),
      anchor: service.anchor,
      clock: () => NOW,
    });
    await second.refresh();
    const target = author.target('one.txt', content);
    const { status, headers, json } = await submit(await author.next(target));
    const state = await second.refresh();
    expect((await second.find(target.path))?.target.length).toBe(3);
    expect(status).toBe(201);
    expect(json).toEqual({
      submission: expect.stringMatching(/^[0-9a-f-]{36}$/),
      state: 'published',
      // The name was claimed with it: the repository's word for that decision.
      receipts: [expect.stringContaining('receipt+json')],
      publication: {
        number: expect.any(Number),
        snapshot: state.snapshot.content.version,
        timestamp: state.timestamp.content.version,
      },
    });
    expect(headers.location).toBe(`${api}/submissions/${String(json?.['submission'])}`);
    expect(await ask('GET', headers.location ?? '')).toMatchObject({
      status: 200,
      json: { submission: json?.['submission'], state: 'published', received: '2030-01-01T00:00:00.000Z' },
    });
    const chunks: Uint8Array[] = [];
    const sink = {
      write: async (chunk: Uint8Array) => void chunks.push(chunk.slice()),
      commit: async () => undefined,
      abort: async () => undefined,
    };
    await second.download(target, sink);
    expect(Buffer.concat(chunks).toString()).toBe('one');
  });

  it('are answered at once for who prefers that, and published soon', async () => {
    const author = new Author('async', seededKey('async'));
    await upload(Buffer.from('async'));
    const { status, headers, json } = await submit(await author.next(author.target('f', Buffer.from('async'))), {
      prefer: 'respond-async, wait=5',
    });
    expect([status, json]).toEqual([
      202,
      { submission: expect.any(String), state: 'accepted', receipts: [expect.stringContaining('receipt+json')] },
    ]);
    await until(async () => (await ask('GET', headers.location ?? '')).json?.['state'] === 'published');
    expect((await ask('GET', headers.location ?? '')).json?.['publication']).toEqual({ number: expect.any(Number) });
  });

  it('that were accepted and lost a race say why', async () => {
    const [one, other] = ['one', 'other'].map((key) => new Author('raced', seededKey(key)));
    await upload(Buffer.from('raced'));
    const texts = await Promise.all(
      [one, other].map((author) => author?.next(author.target('f', Buffer.from('raced'))) ?? ''),
    );
    const answers = await Promise.all(texts.map((text) => submit(text, { prefer: 'respond-async' })));
    const states = await Promise.all(
      answers.map(async ({ status, headers, json }) => {
        if (status !== 202) return json?.['code'];
        const state = async (): Promise<Answer> => await ask('GET', headers.location ?? '');
        await until(async () => (await state()).json?.['state'] !== 'accepted');
        const { json: outcome } = await state();
        const refusal = outcome?.['refusal'];
        return typeof refusal === 'object' && refusal !== null && 'code' in refusal ? refusal.code : outcome?.['state'];
      }),
    );
    expect(new Set(states)).toEqual(new Set(['NAME_TAKEN', 'published']));
  });

  it('sent again get the same answer', async () => {
    const author = new Author('again', seededKey('again'));
    await upload(Buffer.from('again'));
    const text = await author.next(author.target('f', Buffer.from('again')));
    const first = await submit(text);
    for (const headers of [{}, { prefer: 'respond-async' }]) {
      const again = await submit(text, headers);
      expect(again).toMatchObject({
        status: 201,
        json: { state: 'published', publication: first.json?.['publication'] },
      });
      expect(again.headers.location).toBeUndefined();
    }
  });

  it.each([
    ['nothing', '', 'SUBMISSION_INVALID', 400],
    ['no JSON', '<xml/>', 'SUBMISSION_INVALID', 400],
    ['a prototype', '{"__proto__":{"roles":[]}}', 'SUBMISSION_INVALID', 400],
    [
      'a stranger',
      submissionText({ roles: [{ role: 'files.1.nobody', file: '{"signatures":[],"signed":{}}' }], decisions: [] }),
      'NAME_UNCLAIMED',
      404,
    ],
    [
      'more than a role may have',
      submissionText({ roles: [{ role: 'files.1.rules', file: 'x'.repeat(200_001) }], decisions: [] }),
      'SUBMISSION_TOO_LARGE',
      413,
    ],
    ['more than is read at all', 'x'.repeat(17 * MiB), 'SUBMISSION_TOO_LARGE', 413],
  ])('of %s are refused', async (_what, body, code, http) => {
    const before = await facts();
    expectRefusal(await submit(body), code, http);
    expect(await facts()).toEqual(before);
  });

  it('that break a rule are refused with the code, what was wanted and what to do', async () => {
    const { author } = await published('rules', 'f', Buffer.from('rules'));
    const thief = new Author('rules', seededKey('thief'));
    const before = await facts();
    expectRefusal(await submit(await thief.next(thief.target('f', Buffer.from('rules')))), 'NAME_TAKEN', 409);
    expectRefusal(await submit(await author.next(author.target('g', Buffer.from('never sent')))), 'BLOB_MISSING', 422);
    const stale = await submit(await author.next(author.target('g', Buffer.from('rules'))));
    expectRefusal(stale, 'SUBMISSION_STALE', 409);
    expect(stale.json?.['detail']).toEqual({ role: author.role, want: 2, got: 3 });
    expect(await facts()).toEqual(before);
  });

  it.each(['unchanged', 'nope', '__proto__', '..%2f..%2fx', '%00'])('with the id %s are unknown', async (id) => {
    expectRefusal(await ask('GET', `${api}/submissions/${id}`), 'NOT_FOUND', 404);
  });
});

describe('targets', () => {
  const content = Buffer.from('0123456789'.repeat(1000));
  let url: string;
  let path: string;
  beforeAll(async () => {
    ({ url, path } = await published('targets', '100%41 + ü.bin', content));
  });

  it('are served under both digests, for GET and HEAD, for ever', async () => {
    const long = `/main/targets/${targetUrl(requireTargetPath(path), digestOf('sha512', content))}`;
    for (const address of [url, long]) {
      const got = await ask('GET', address);
      expect([got.status, got.bytes.equals(content)]).toEqual([200, true]);
      expect(got.headers['cache-control']).toContain('immutable');
      const head = await ask('HEAD', address);
      expect([head.status, head.headers['content-length'], head.bytes.length]).toEqual([200, '10000', 0]);
    }
  });

  it('are not sent again to who has them', async () => {
    const { etag = '' } = (await ask('GET', url)).headers;
    expect((await ask('GET', url, { headers: { 'if-none-match': etag } })).status).toBe(304);
  });

  it('are served in parts', async () => {
    const part = await ask('GET', url, { headers: { range: 'bytes=5-14' } });
    expect([part.status, part.text, part.headers['content-range']]).toEqual([206, '5678901234', 'bytes 5-14/10000']);
    const { etag = '' } = part.headers;
    const resume = async (name: string): Promise<number> =>
      (await ask('GET', url, { headers: { range: 'bytes=5-', 'if-range': name } })).status;
    expect([await resume(etag), await resume('"other"')]).toEqual([206, 200]);
    const beyond = await ask('GET', url, { headers: { range: 'bytes=10000-' } });
    expect([beyond.status, beyond.text]).toEqual([416, '']);
  });

  it.each([
    '',
    'files',
    'files/',
    '../metadata/timestamp.json',
    '%2e%2e/metadata/timestamp.json',
    '..%2fmetadata%2ftimestamp.json',
    '%2e%2e%2f%2e%2e%2fledger.sqlite',
    'files/%2e%2e/%2e%2e/%2e%2e/ledger.sqlite',
    'files/..%2f..%2f..%2fkeys/offline.pem',
    '..%5c..%5cledger.sqlite',
    '%252e%252e%252fledger.sqlite',
    '/etc/passwd',
    '%2fetc%2fpasswd',
    'files//x',
    'files/%00',
    'files/%E0%A4%A',
    'x'.repeat(5000),
  ])('has nothing under %s', async (address) => {
    const answer = await ask('GET', `/main/targets/${address}`);
    expect([400, 403, 404, 414]).toContain(answer.status);
    expect(answer.json).toMatchObject({ code: expect.any(String) });
  });

  it('are not there without their digest, or under another', async () => {
    expectRefusal(await ask('GET', `/main/targets/${targetUrl(requireTargetPath(path), undefined)}`), 'NOT_FOUND', 404);
    expectRefusal(
      await ask('GET', `/main/targets/${targetUrl(requireTargetPath(path), digestOf('sha256', 'x'))}`),
      'NOT_FOUND',
      404,
    );
  });
});

describe('projects', () => {
  it('tell who owns them', async () => {
    const { author } = await published('owned', 'f', Buffer.from('owned'));
    expect((await ask('GET', `${api}/projects/files/owned`)).json).toEqual({
      ecosystem: 'files',
      name: 'owned',
      state: 'recent',
      epoch: 1,
      ownerRole: author.role,
      shard: expect.stringMatching(/^recent-[0-9a-f]$/),
      directory: author.directory,
      owners: [author.signer.keyId],
      threshold: 1,
      version: 1,
    });
  });

  it.each([
    ['npm/@types%2fnode', 'NAME_UNCLAIMED', 404],
    ['npm/left-pad', 'NAME_UNCLAIMED', 404],
    ['npm/__proto__', 'NAME_INVALID', 422],
    ['files/..%2fx', 'NAME_INVALID', 422],
    ['files/*', 'NAME_INVALID', 422],
    ['nope/x', 'NAME_INVALID', 422],
    ['constructor/x', 'NAME_INVALID', 422],
  ])('%s has none', async (name, code, http) => {
    expectRefusal(await ask('GET', `${api}/projects/${name}`), code, http);
  });
});

it('a token of one collection is none of another', async () => {
  const other = await startService();
  try {
    const headers = { ...authorized, 'content-type': 'application/octet-stream' };
    const answer = await askAt(other.server, 'PUT', `${api}/blobs/${digestOf('sha256', 'x')}`, { headers, body: 'x' });
    expectRefusal(answer, 'UNAUTHENTICATED', 401);
  } finally {
    await other.stop();
  }
});

it('closing finishes what is being published, and answers it', async () => {
  const closing = await startService();
  const author = new Author('closing', seededKey('closing'));
  const headers = { authorization: `Bearer ${closing.token}`, 'content-type': 'application/octet-stream' };
  const content = Buffer.from('closing');
  await askAt(closing.server, 'PUT', `${api}/blobs/${digestOf('sha256', content)}`, { headers, body: content });
  const sent = askAt(closing.server, 'POST', `${api}/submissions`, {
    headers: { ...headers, 'content-type': 'application/json' },
    body: await author.next(author.target('f', content)),
  });
  await until(async () => closing.collection.repository.owner(author.project) !== undefined);
  await closing.stop();
  expect((await sent).status).toBe(201);
});

/** Waits for what happens in its own time, such as a socket's end; bounded by the test's timeout. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setImmediate(resolve));
}
