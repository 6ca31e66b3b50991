// What the service says and does while something is wrong, and after.

import { days } from '@countersign/core';
import { generateSigner } from '@countersign/signers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Answer, Author, ask, NOW, type Service, startService } from '../test/service.ts';

let now: number;
let service: Service;
const author = new Author('clockwork', generateSigner());

beforeEach(async () => {
  now = NOW;
  service = await startService({}, () => now);
  await look(); // as it does by itself when it starts
  service.collection.health.news('main');
});
afterEach(async () => await service.stop());

async function submit(): Promise<Answer> {
  const content = Buffer.from('x');
  const fresh = new Author(author.project.name, author.signer);
  const target = fresh.target('f', content);
  const headers = { authorization: `Bearer ${service.token}` };
  const put = { ...headers, 'content-type': 'application/octet-stream' };
  await ask(service.server, 'PUT', `/api/v1/main/blobs/${target.hashes.get('sha256')}`, {
    body: content,
    headers: put,
  });
  const post = { ...headers, 'content-type': 'application/json' };
  return await ask(service.server, 'POST', '/api/v1/main/submissions', {
    body: await fresh.next(target),
    headers: post,
  });
}

async function health(): Promise<unknown> {
  return (await ask(service.server, 'GET', '/health')).json;
}

async function look(): Promise<void> {
  const { health: one, repository } = service.collection;
  await one.check(repository);
}

const HOUR = days(1) / 24;

describe('a clock that steps back', () => {
  it('is told, stops submissions, stops no reading, and is over when the time has come again', async () => {
    now -= HOUR;
    await look();
    const refused = await submit();
    expect(refused).toMatchObject({ status: 503, json: { code: 'CLOCK_BEHIND' } });
    expect(refused.headers['retry-after']).toBe('2');
    expect(service.collection.repository.status().publication).toBe(1);
    expect(await health()).toMatchObject({ status: 'troubled', troubles: { main: { code: 'CLOCK_BEHIND' } } });
    expect((await ask(service.server, 'GET', '/main/metadata/timestamp.json')).status).toBe(200);
    now += HOUR;
    expect((await submit()).status).toBe(201);
    await look();
    expect(await health()).toMatchObject({ status: 'ok' });
    expect(service.collection.health.news('main')).toEqual([]);
  });

  it('by seconds is nothing', async () => {
    now -= 30_000;
    expect((await submit()).status).toBe(201);
  });

  it('is noticed without anybody asking, and told once', async () => {
    await look();
    now -= HOUR;
    await look();
    expect(service.collection.health.news('main')).toMatchObject([{ event: 'trouble', code: 'CLOCK_BEHIND' }]);
    await look();
    expect(service.collection.health.news('main')).toEqual([]);
    now += HOUR;
    await look();
    expect(service.collection.health.news('main')).toMatchObject([{ event: 'well', collection: 'main' }]);
  });
});

describe('a failure of the store', () => {
  it('is told until what failed goes through again', async () => {
    const { health: one } = service.collection;
    one.hear({ event: 'failed', code: 'STORE_WRITE', message: 'Writing /a/b: the file system answered ENOSPC' });
    const { json } = await ask(service.server, 'GET', '/api/v1/main');
    expect(json?.['trouble']).toEqual({
      code: 'STORE_WRITE',
      sentence: 'Local state cannot be written',
      since: '2030-01-01T00:00:00Z',
    });
    expect(one.news('main')).toMatchObject([{ event: 'trouble', message: expect.stringContaining('ENOSPC') }]);
    one.hear({ event: 'failed', code: 'STORE_READ', message: 'another' });
    expect(one.news('main')).toEqual([]);
    now += 5_000;
    await look();
    expect(one.news('main')).toEqual([{ event: 'well', collection: 'main', after: 5_000 }]);
    expect((await ask(service.server, 'GET', '/api/v1/main')).json?.['trouble']).toBeNull();
  });

  it('is tried again without touching what anybody has uploaded', async () => {
    const { health: one, store } = service.collection;
    const names: string[] = [];
    const put = store.blobs.put.bind(store.blobs);
    Object.assign(store.blobs, {
      put: async (...given: Parameters<typeof put>) => (names.push(given[0]), await put(...given)),
    });
    for (const _ of [1, 2]) {
      one.hear({ event: 'failed', code: 'STORE_WRITE', message: '' });
      await look();
      expect(one.trouble).toBeUndefined();
    }
    Object.assign(store.blobs, { put });
    // Removed again, and not to be guessed by who would have us remove a blob of theirs.
    expect(new Set(names).size).toBe(2);
    for await (const { name } of store.blobs.list()) expect(names).not.toContain(name);
  });

  it('refusals and lost races are nobody’s trouble', () => {
    const { health: one } = service.collection;
    for (const code of ['SUBMISSION_STALE', 'STORE_CONFLICT', 'SHUTTING_DOWN', 'NOT_FOUND']) {
      one.hear({ event: 'failed', code, message: '' });
    }
    expect(one.trouble).toBeUndefined();
  });
});
