import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RepositoryEvent } from '@countersign/repository';
import { openEmbeddedStore } from '@countersign/repository/embedded';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { NOW } from '../test/service.ts';
import { tokenHash } from './collection-folder.ts';
import {
  createCollectionFolder,
  issueToken,
  KEY_NAMES,
  openCollectionFolder,
  openOfflineKey,
  passphrasesOf,
  requireCollectionName,
  Stores,
} from './index.ts';

let scratch: string;
let folder: string;
const clock = (): number => NOW;
const passphrases = async (): Promise<string> => 'only for this test';

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'countersign-folder-'));
  folder = join(scratch, 'main');
});
afterEach(() => rm(scratch, { recursive: true, force: true }));

async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => undefined,
    (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
  );
}

it('a new collection has its keys apart, encrypted and for its owner only', async () => {
  const { anchor, token } = await createCollectionFolder({ folder, name: 'main', passphrases, clock });
  expect((await readdir(join(folder, 'keys'))).sort()).toEqual([...KEY_NAMES].map((key) => `${key}.pem`).sort());
  for (const key of KEY_NAMES) {
    const place = join(folder, 'keys', `${key}.pem`);
    expect((await stat(place)).mode & 0o777).toBe(0o600);
    expect(await readFile(place, 'utf8')).toMatch(/^-----BEGIN ENCRYPTED PRIVATE KEY-----/);
  }
  expect((await stat(join(folder, 'keys'))).mode & 0o777).toBe(0o700);
  expect((await readFile(join(folder, 'site/metadata/1.root.json'))).equals(anchor)).toBe(true);
  expect(token).toMatch(/^cst_[\w-]{43}$/);
  // Nothing secret is where a web server may look.
  for (const file of await readdir(join(folder, 'site/metadata')))
    expect(file).toMatch(/^(\d+\.[\w-]+|timestamp)\.json$/);
});

it('is made once, and what is there is left alone', async () => {
  const { token } = await createCollectionFolder({ folder, name: 'main', passphrases, clock });
  const root = await readFile(join(folder, 'site/metadata/1.root.json'));
  expect(await codeOf(createCollectionFolder({ folder, name: 'main', passphrases, clock }))).toBe('COLLECTION_EXISTS');
  expect((await readFile(join(folder, 'site/metadata/1.root.json'))).equals(root)).toBe(true);
  const { repository } = await openCollectionFolder({ folder, name: 'main', passphrases, clock });
  expect(repository.status().publication).toBe(1);
  await repository.close();
  expect(token).not.toBe('');
});

it('opens only where there is one, with the right passphrases and all online keys', async () => {
  expect(await codeOf(openCollectionFolder({ folder, name: 'main', passphrases, clock }))).toBe('COLLECTION_MISSING');
  await createCollectionFolder({ folder, name: 'main', passphrases, clock });
  const wrong = async (): Promise<string> => 'wrong';
  expect(await codeOf(openCollectionFolder({ folder, name: 'main', passphrases: wrong, clock }))).toBe('KEY_LOCKED');
  // The service runs without the offline key.
  await rm(join(folder, 'keys/offline.pem'));
  await (await openCollectionFolder({ folder, name: 'main', passphrases, clock })).repository.close();
  expect(await codeOf(openOfflineKey(folder, passphrases))).toBe('KEY_MISSING');
  await rm(join(folder, 'keys/recent.pem'));
  // A key that is missing is told, and asked for when something must be signed: it may be brought, or replaced.
  const told: string[] = [];
  const log = (event: RepositoryEvent): void => void told.push('code' in event ? event.code : event.event);
  await (await openCollectionFolder({ folder, name: 'main', passphrases, clock, log })).repository.close();
  expect(told).toContain('KEY_MISSING');
});

it('is served by one process at a time, while others may still issue tokens', async () => {
  await createCollectionFolder({ folder, name: 'main', passphrases, clock });
  const first = await openCollectionFolder({ folder, name: 'main', passphrases, clock });
  expect(await codeOf(openCollectionFolder({ folder, name: 'main', passphrases, clock }))).toBe('COLLECTION_BUSY');
  const beside = await openEmbeddedStore(folder);
  const token = await issueToken(beside, 'alice');
  await beside.ledger.close();
  expect(await first.store.ledger.account(tokenHash(token))).toBe('alice');
  await first.repository.close();
  await (await openCollectionFolder({ folder, name: 'main', passphrases, clock })).repository.close();
});

it('a lost site is written again from the ledger, as far as it was published last', async () => {
  await createCollectionFolder({ folder, name: 'main', passphrases, clock });
  const timestamp = join(folder, 'site/metadata/timestamp.json');
  const kept = await readFile(timestamp);
  await writeFile(timestamp, '');
  await (await openCollectionFolder({ folder, name: 'main', passphrases, clock })).repository.close();
  expect((await readFile(timestamp)).equals(kept)).toBe(true);
});

it('refuses a ledger that does not verify, and lets go of it', async () => {
  await createCollectionFolder({ folder, name: 'main', passphrases, clock });
  const ledger = join(folder, 'ledger.sqlite');
  const bytes = await readFile(ledger);
  await rm(`${ledger}-wal`, { force: true });
  await writeFile(ledger, 'not a database at all, but long enough to be looked at'.repeat(100));
  expect(await codeOf(openCollectionFolder({ folder, name: 'main', passphrases, clock }))).toBe('STORE_READ');
  await writeFile(ledger, bytes);
});

it('takes passphrases from the environment, else from a file, and makes one only when told to', async () => {
  const env = { COUNTERSIGN_PASSPHRASE_RECENT: 'of recent', COUNTERSIGN_PASSPHRASE: 'of all' };
  expect(await passphrasesOf(folder, env, 'require')('recent')).toBe('of recent');
  expect(await passphrasesOf(folder, env, 'require')('offline')).toBe('of all');
  expect(await codeOf(passphrasesOf(folder, { COUNTERSIGN_PASSPHRASE: '' }, 'require')('recent'))).toBe('KEY_LOCKED');
  const made = await passphrasesOf(folder, {}, 'create')('recent');
  expect(made).toMatch(/^[\w-]{32}$/);
  expect(await passphrasesOf(folder, {}, 'require')('recent')).toBe(made);
  expect((await stat(join(folder, 'passphrases/recent'))).mode & 0o777).toBe(0o600);
});

it.each(['', 'Main', 'a/b', '..', 'api', 'health', '-a', 'a'.repeat(64), 'a b', '__proto__', 'ä'])(
  'refuses the name %j',
  async (name) => {
    expect(await codeOf(Promise.resolve().then(() => requireCollectionName(name)))).toBe('USAGE_INVALID');
    expect(await codeOf(createCollectionFolder({ folder, name, passphrases, clock }))).toBe('USAGE_INVALID');
    expect(await codeOf(stat(folder))).toBe('ENOENT');
  },
);

it('what lives in its folder is not opened elsewhere, and no place is made of half an address', async () => {
  await createCollectionFolder({ folder, name: 'main', passphrases, clock });
  const elsewhere = new Stores({}, { database: 'postgres://db.example.org/countersign' });
  expect(await codeOf(elsewhere.open(folder, 'main'))).toBe('CONFIG_INVALID');
  const other = join(scratch, 'other');
  await mkdir(other);
  expect(await codeOf(new Stores({}).open(other, 'other'))).toBe('COLLECTION_MISSING');
  expect(await readdir(other)).toEqual([]);
  for (const place of ['{', '{}', '{"database":"mysql://x/y","store":"https://s3.example.org/b"}']) {
    await writeFile(join(other, 'storage.json'), place);
    expect(await codeOf(new Stores({}).open(other, 'other'))).toBe('CONFIG_INVALID');
  }
});
