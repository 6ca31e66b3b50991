// A collection that several machines serve, on real servers: made once, served
// by each, isolated from its neighbours, refused where it would not be safe.

import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { openNodeClient } from '@countersign/client/node';
import { generateSigner } from '@countersign/signers';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { Author, ask } from '../test/service.ts';
import { requireSharedPeers, type SharedPeers, secondFolder, startSharedPeers } from '../test/shared.ts';
import {
  createCollectionFolder,
  type OpenCollection,
  openCollectionFolder,
  placeOf,
  type Server,
  type ServerEvent,
  Stores,
  startServer,
} from './index.ts';

let peers: SharedPeers | undefined;
let count = 0;
let folder: string;
let place: { database: string; store: string };
const passphrases = async (): Promise<string> => 'only for this test';
const clock = Date.now;

beforeAll(async () => {
  peers = await startSharedPeers();
});
afterAll(async () => await peers?.close());
beforeEach((context) => {
  requireSharedPeers(context);
  if (peers === undefined) return;
  folder = join(peers.scratch, `node-${++count}`);
  place = { database: peers.postgres.url, store: `${peers.s3.url}/bucket/tuf` };
});

function stores(): Stores {
  const opened = new Stores(peers?.keys ?? {});
  onTestFinished(async () => await opened.close());
  return opened;
}

async function create(name: string, where = folder): Promise<{ anchor: Uint8Array; token: string }> {
  return await createCollectionFolder({ folder: where, name, passphrases, clock, shared: { place, stores: stores() } });
}

interface Node {
  readonly collections: readonly OpenCollection[];
  readonly server: Server;
  readonly events: ServerEvent[];
}

async function node(names: readonly string[], folderOf: (name: string) => string = () => folder): Promise<Node> {
  const opened = new Stores(peers?.keys ?? {});
  const collections: OpenCollection[] = [];
  for (const name of names) {
    collections.push(await openCollectionFolder({ folder: folderOf(name), name, passphrases, clock, stores: opened }));
  }
  const events: ServerEvent[] = [];
  const server = await startServer({ collections, port: 0, clock, log: (event) => events.push(event) });
  onTestFinished(async () => {
    await server.close();
    await opened.close();
  });
  return { collections, server, events };
}

async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => undefined,
    (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
  );
}

async function publish(server: Server, name: string, token: string, project: string, content: string): Promise<number> {
  const author = new Author(project, generateSigner(), name);
  const bytes = Buffer.from(content);
  const target = author.target('f', bytes);
  const headers = { authorization: `Bearer ${token}` };
  await ask(server, 'PUT', `/api/v1/${name}/blobs/${target.hashes.get('sha256')}`, {
    body: bytes,
    headers: { ...headers, 'content-type': 'application/octet-stream' },
  });
  const { status } = await ask(server, 'POST', `/api/v1/${name}/submissions`, {
    body: await author.next(target),
    headers: { ...headers, 'content-type': 'application/json' },
  });
  return status;
}

describe('a collection in a shared place', () => {
  it('is served by every node: what one takes in, clients of the other see', async () => {
    const name = `shared-${count}`;
    const { anchor, token } = await create(name);
    const other = await secondFolder(folder, `${folder}-b`);
    expect(await readdir(join(other, 'keys'))).not.toContain('offline.pem');
    const first = await node([name]);
    const second = await node([name], () => other);
    const roles = [first, second].map(({ collections }) => collections[0]?.repository.role);
    expect(roles).toEqual(['publisher', 'follower']);
    expect(await publish(second.server, name, token, 'through-follower', 'x')).toBe(201);
    expect(await publish(first.server, name, token, 'through-publisher', 'y')).toBe(201);
    for (const { server } of [first, second]) {
      const url = `${server.url}/${name}`;
      const client = await openNodeClient({ url, folder: join(other, `client-${server.port}`), anchor });
      await client.refresh();
      const path = new Author('through-follower', generateSigner()).target('f', Buffer.from('x')).path;
      const { role } = new Author('through-publisher', generateSigner());
      expect(client.trusted.snapshot?.content.meta.has(role)).toBe(true);
      const found = await client.find(path);
      const chunks: Uint8Array[] = [];
      const sink = {
        write: async (chunk: Uint8Array) => void chunks.push(chunk.slice()),
        commit: async () => undefined,
        abort: async () => undefined,
      };
      if (found !== undefined) await client.download(found.target, sink);
      expect(Buffer.concat(chunks).toString()).toBe('x');
      expect((await ask(server, 'GET', `/${name}/metadata/99.root.json`)).status).toBe(404);
      expect((await ask(server, 'GET', `/${name}/targets/files/none`)).json?.['code']).toBe('NOT_FOUND');
    }
  });

  it('keeps where it is without the password, and no secret in any file', async () => {
    const database = place.database.replace('countersign@', 'countersign:swordfish@');
    place = { ...place, database };
    await create(`secret-${count}`);
    expect((await placeOf(folder))?.database).toBe(place.database.replace(':swordfish', ''));
    expect(await readFile(join(folder, 'storage.json'), 'utf8')).not.toMatch(/swordfish|countersign-secret/);
  });

  it('is made once; made again after an interruption it goes on with the same keys', async () => {
    const name = `again-${count}`;
    const { anchor } = await create(name);
    expect(await codeOf(create(name))).toBe('COLLECTION_EXISTS');
    expect(await codeOf(create(name, `${folder}-elsewhere`))).toBe('COLLECTION_EXISTS');
    // As if `init` had been killed before its last step.
    await rm(join(folder, 'storage.json'));
    const again = await create(name);
    expect(Buffer.from(again.anchor).equals(anchor)).toBe(true);
    // With other keys it is somebody else's.
    const thief = `${folder}-thief`;
    await createCollectionFolder({ folder: thief, name, passphrases, clock });
    for (const file of ['ledger.sqlite', 'site', 'blobs']) await rm(join(thief, file), { recursive: true });
    expect(await codeOf(create(name, thief))).toBe('COLLECTION_EXISTS');
  });

  it('is isolated: its neighbour in the same place has its own tokens, names and troubles', async () => {
    const [a, b] = [`one-${count}`, `two-${count}`];
    const folderOf = (name: string): string => join(folder, name);
    await mkdir(folder, { recursive: true });
    const madeA = await create(a, folderOf(a));
    const madeB = await create(b, folderOf(b));
    const { server, collections } = await node([a, b], folderOf);
    expect(await publish(server, a, madeB.token, 'ms', 'x')).toBe(401);
    expect(await publish(server, a, madeA.token, 'ms', 'of a')).toBe(201);
    expect(await publish(server, b, madeB.token, 'ms', 'of b')).toBe(201);
    expect(collections.map(({ repository }) => repository.status().publication)).toEqual([2, 2]);
    collections[0]?.health.hear({ event: 'failed', code: 'STORE_WRITE', message: 'made up' });
    const { json } = await ask(server, 'GET', '/health');
    expect(json).toMatchObject({ status: 'troubled', troubles: { [a]: { code: 'STORE_WRITE' } } });
    expect(Object.keys(json?.['troubles'] ?? {})).toEqual([a]);
    expect(await publish(server, b, madeB.token, 'debug', 'of b')).toBe(201);
  });

  it('is refused on a store that overwrites, before anything is made', async () => {
    const objects = new Map<string, Buffer>();
    const careless = createServer((request, response) => {
      const key = request.url ?? '';
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        if (request.method === 'PUT') objects.set(key, Buffer.concat(chunks));
        const found = objects.get(key);
        response.writeHead(found === undefined && request.method === 'GET' ? 404 : 200, { etag: '"same"' });
        response.end(request.method === 'GET' ? found : undefined);
      });
    });
    await new Promise<void>((resolve) => careless.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void careless.close());
    const address = careless.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    place = { ...place, store: `http://127.0.0.1:${port}/bucket` };
    expect(await codeOf(create(`unsafe-${count}`))).toBe('STORE_UNSAFE');
    expect(await readdir(join(folder, 'keys'))).toEqual([]);
  });

  it('says which secret is missing, and which address is none', async () => {
    const made = (store: string, secrets = {}): Promise<unknown> =>
      createCollectionFolder({
        folder,
        name: 'main',
        passphrases,
        clock,
        shared: { place: { ...place, store }, stores: new Stores(secrets) },
      });
    await expect(made(place.store)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      detail: { variable: 'COUNTERSIGN_STORE_ACCESS_KEY_ID' },
    });
    for (const store of ['bucket', 'https://s3.example.org', 'https://key:secret@s3.example.org/bucket', 'ftp://a/b']) {
      expect(await codeOf(made(store, peers?.keys))).toBe('CONFIG_INVALID');
    }
  });
});
