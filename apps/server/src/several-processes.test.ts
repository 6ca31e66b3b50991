// One folder served by several members at once, as processes of one service do:
// what each of them can do, and that clients who are answered by one and then
// by another never see anything go back.

import { renameSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateSigner } from '@countersign/signers';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Answer, Author, ask, NOW } from '../test/service.ts';
import {
  createCollectionFolder,
  type OpenCollection,
  openCollectionFolder,
  type Server,
  startServer,
} from './index.ts';
import { MetadataFiles } from './metadata-files.ts';

interface Member {
  readonly collection: OpenCollection;
  readonly server: Server;
}

let scratch: string;
let folder: string;
let token: string;
let members: Member[];
const clock = (): number => NOW;
const passphrases = async (): Promise<string> => 'only for this test';

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'countersign-several-'));
  folder = join(scratch, 'main');
  members = [];
  ({ token } = await createCollectionFolder({ folder, name: 'main', passphrases, clock }));
});
afterEach(async () => {
  for (const { server } of members) await server.close();
  await rm(scratch, { recursive: true, force: true });
});

async function member(among: 'first' | 'others'): Promise<Member> {
  const collection = await openCollectionFolder({ folder, name: 'main', passphrases, clock, among });
  const server = await startServer({ collections: [collection], port: 0, renewEvery: 0, clock });
  const made = { collection, server };
  members.push(made);
  return made;
}

async function publish({ server }: Member, author: Author, content: string, prefer = ''): Promise<Answer> {
  const target = author.target(content, Buffer.from(content));
  const headers = { authorization: `Bearer ${token}`, prefer };
  await ask(server, 'PUT', `/api/v1/main/blobs/${target.hashes.get('sha256')}`, {
    body: content,
    headers: { ...headers, 'content-type': 'application/octet-stream' },
  });
  return await ask(server, 'POST', '/api/v1/main/submissions', {
    body: await author.next(target),
    headers: { ...headers, 'content-type': 'application/json' },
  });
}

it('the first one publishes and is the only first one; the others follow', async () => {
  const first = await member('first');
  await expect(member('first')).rejects.toMatchObject({ code: 'COLLECTION_BUSY' });
  await expect(openCollectionFolder({ folder, name: 'main', passphrases, clock })).rejects.toMatchObject({
    code: 'COLLECTION_BUSY',
  });
  const second = await member('others');
  expect([first, second].map(({ collection }) => collection.repository.role)).toEqual(['publisher', 'follower']);
});

it('each takes submissions and blobs in, and what one has said the next one knows', async () => {
  const all = [await member('first'), await member('others'), await member('others')];
  const asker = new Set<string>();
  for (const [i, one] of all.entries()) {
    const author = new Author(`by-${i}`, generateSigner());
    for (const content of ['a', 'b']) {
      const { status, headers } = await publish(one, author, `${content}${i}`);
      expect(status).toBe(201);
      asker.add(headers.location ?? '');
      for (const { server } of all) {
        const known = await ask(server, 'GET', `/api/v1/main/projects/files/by-${i}`);
        expect([known.status, known.json?.['version']]).toEqual([200, content === 'a' ? 1 : 2]);
        expect((await ask(server, 'GET', headers.location ?? '')).json?.['state']).toBe('published');
        expect((await ask(server, 'GET', '/api/v1/main/')).json?.['publication']).toBe(1 + asker.size);
      }
    }
  }
});

it('a follower goes on where the one that published ended', async () => {
  const [first, second] = [await member('first'), await member('others')];
  await publish(first, new Author('before', generateSigner()), 'x');
  await first.server.close();
  members.shift();
  await second.collection.repository.renew();
  expect(second.collection.repository.role).toBe('publisher');
  expect((await publish(second, new Author('after', generateSigner()), 'y')).status).toBe(201);
});

it('no answer shows a timestamp that is older than what another process may have shown before it', async () => {
  const metadata = join(scratch, 'metadata');
  await writeFile(join(scratch, 'new'), '7');
  await mkdir(metadata);
  await rename(join(scratch, 'new'), join(metadata, 'timestamp.json'));
  const files = new MetadataFiles(metadata);
  await files.read('timestamp.json');
  expect(files.known('timestamp.json')).toBeDefined();
  // In the same turn of the event loop, as the publisher is another process.
  writeFileSync(join(scratch, 'newer'), '8');
  renameSync(join(scratch, 'newer'), join(metadata, 'timestamp.json'));
  expect(files.known('timestamp.json')).toBeUndefined();
  expect((await files.read('timestamp.json')).plain.text).toBe('8');
});
