// Several collections of different layouts in one service: each with its own
// keys, tokens, blobs and paths, and none that takes the others down with it.

import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '@countersign/client/node';
import { projectDirectory } from '@countersign/core';
import { projectOf } from '@countersign/ecosystems';
import { afterEach, expect, it } from 'vitest';
import { hashesOf } from '../test/cli-world.ts';
import { type OperatorWorld, operatorWorld } from '../test/operator-world.ts';

let world: OperatorWorld;
afterEach(() => world.close());

const THREE = [
  ['names'],
  ['files', '--layout', 'bins', '--bins', '16'],
  ['small', '--layout', 'succinct', '--bins', '2'],
];

async function put(url: string, name: string, token: string, path: string, content: string): Promise<number> {
  const digest = hashesOf(Buffer.from(content)).get('sha256') ?? '';
  const api = `${url}/api/v1/${name}`;
  const headers = { authorization: `Bearer ${token}` };
  const body = { method: 'PUT', body: content, headers: { ...headers, 'content-type': 'application/octet-stream' } };
  const { status } = await fetch(`${api}/blobs/${digest}`, body);
  if (status >= 400) return status;
  const sent = await fetch(`${api}/submissions`, {
    method: 'POST',
    body: JSON.stringify({ files: [{ path, sha256: digest }] }),
    headers: { ...headers, 'content-type': 'application/json' },
  });
  return sent.status;
}

it('serves layouts beside each other, with the same path in each', async () => {
  world = await operatorWorld(...THREE);
  const url = await world.serve();
  const path = `${projectDirectory(projectOf('files/handbook'), sha256)}/a.txt`;
  const names = ['names', 'files', 'small'];
  for (const name of names) {
    const { token } = await world.json('token', 'create', 'alice', '--for', name);
    expect([name, await put(url, name, String(token), path, `of ${name}`)]).toEqual([name, 201]);
    for (const other of names) if (other !== name) expect(await put(url, other, String(token), path, '?')).toBe(401);
  }
  const { token } = await world.json('token', 'create', 'bob', '--for', 'files', 'small');
  const statuses = names.map((name) => put(url, name, String(token), path, `again of ${name}`));
  expect(await Promise.all(statuses)).toEqual([401, 201, 201]);
  for (const name of names) {
    await world.json('fetch', path, '--collection', name, '-o', name);
    const content = await readFile(join(world.folder, name), 'utf8');
    expect(content).toBe(name === 'names' ? 'of names' : `again of ${name}`);
  }
  const { err } = await world.run('token', 'create', 'eve', '--for', 'files', 'none');
  expect(err).toContain('COLLECTION_MISSING');
});

it('a blob of one is not one of another', async () => {
  world = await operatorWorld(['a', '--layout', 'bins', '--bins', '2'], ['b', '--layout', 'bins', '--bins', '2']);
  const url = await world.serve();
  const { token } = await world.json('token', 'create', 'bob', '--for', 'a', 'b');
  expect(await put(url, 'a', String(token), 'x', 'content')).toBe(201);
  const digest = hashesOf(Buffer.from('content')).get('sha256');
  const sent = await fetch(`${url}/api/v1/b/submissions`, {
    method: 'POST',
    body: JSON.stringify({ files: [{ path: 'x', sha256: digest }] }),
    headers: { authorization: `Bearer ${String(token)}`, 'content-type': 'application/json' },
  });
  expect(await sent.json()).toMatchObject({ code: 'BLOB_MISSING' });
  expect((await fetch(`${url}/b/targets/${digest}.x`)).status).toBe(404);
  expect((await fetch(`${url}/a/targets/${digest}.x`)).status).toBe(200);
});

it('one that cannot be opened does not stop the others, and is told of', async () => {
  world = await operatorWorld(...THREE);
  const ledger = join(world.collection('files'), 'ledger.sqlite');
  await writeFile(ledger, 'no database at all, but long enough to be looked at '.repeat(100));
  for (const end of ['-wal', '-shm']) await rm(ledger + end, { force: true });
  const url = await world.serve();
  expect(world.log()).toMatch(/NOT SERVED: files: .*\(STORE_READ\)/);
  expect((await fetch(`${url}/names/metadata/timestamp.json`)).status).toBe(200);
  for (const path of ['/files/metadata/timestamp.json', '/files/targets/x', '/api/v1/files']) {
    const answer = await fetch(url + path);
    expect([answer.status, await answer.json()]).toEqual([502, expect.objectContaining({ code: 'UNREACHABLE' })]);
  }
  expect(await (await fetch(`${url}/health`)).json()).toMatchObject({
    status: 'troubled',
    collections: ['names', 'small'],
    troubles: { files: { code: 'STORE_READ' } },
  });
  await world.stop();
  await expect(world.serve('files')).rejects.toThrow('STORE_READ');
  await expect(world.serve('names', 'nobodys')).rejects.toThrow('COLLECTION_MISSING');
});

it('each needs the keys of its own layout only', async () => {
  world = await operatorWorld(...THREE);
  const shown = (name: string): Promise<string[]> => readdir(join(world.collection(name), 'keys'));
  expect((await shown('files')).sort()).toEqual(['bins.pem', 'offline.pem', 'snapshot.pem', 'timestamp.pem']);
  expect(await shown('names')).not.toContain('bins.pem');
});
