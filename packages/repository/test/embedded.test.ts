import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { openDatabase } from '../src/embedded/database.ts';
import { folderBlobs, folderSite, openSqliteLedger } from '../src/embedded/index.ts';
import type { HeldFile } from '../src/index.ts';
import { requireShowable } from '../src/showable.ts';
import { factsOf } from './memory-store.ts';
import { blobStoreSuite, ledgerSuite, siteSuite } from './port-suite.ts';
import { wholeLedgerSuite } from './whole-ledger-suite.ts';
import { codeOf, once } from './world.ts';

const folders: string[] = [];

async function temporary(parent = tmpdir()): Promise<string> {
  const folder = await mkdtemp(join(parent, 'countersign-store-'));
  folders.push(folder);
  return folder;
}

async function filesUnder(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

const builtin = process.getBuiltinModule?.('node:sqlite') !== undefined;

describe('SQLite driver: drop-in', () => {
  afterEach(() => vi.restoreAllMocks());
  ledgerSuite('drop-in SQLite', async () => {
    const file = join(await temporary(), 'ledger.sqlite');
    return async () => {
      // A runtime without a driver of its own.
      vi.spyOn(process, 'getBuiltinModule').mockReturnValue(undefined);
      return await openSqliteLedger(file);
    };
  });
});

describe.runIf(builtin)('SQLite driver: built in (where the runtime has one: Node 22.13 and newer)', () => {
  ledgerSuite('built-in SQLite', async () => {
    const file = join(await temporary(), 'ledger.sqlite');
    return async () => await openSqliteLedger(file);
  });
});

wholeLedgerSuite('SQLite', async () => {
  const file = join(await temporary(), 'ledger.sqlite');
  return async () => await openSqliteLedger(file);
});

it('reads a ledger of the first version, which kept no digests of earlier role files', async () => {
  const file = join(await temporary(), 'ledger.sqlite');
  const database = await openDatabase(file);
  database.exec(`
    CREATE TABLE publications (publication INTEGER PRIMARY KEY, at INTEGER NOT NULL) STRICT;
    CREATE TABLE files (role TEXT NOT NULL, version INTEGER NOT NULL, publication INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (role, version)) STRICT;
    CREATE INDEX files_by_publication ON files (publication);
    CREATE TABLE roles (role TEXT PRIMARY KEY, version INTEGER NOT NULL, length INTEGER NOT NULL, sha256 TEXT NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO publications VALUES (1, 0), (2, 0);
    INSERT INTO files VALUES ('r', 1, 1, x'61'), ('s', 1, 1, x'62'), ('r', 2, 2, x'63');
    INSERT INTO roles VALUES ('r', 2, 1, 'c'), ('s', 1, 1, 'b');`);
  database.close();
  const digests = ['a', 'c', 'b'].map((text) => factsOf(Buffer.from(text)).sha256);
  for (let opened = 0; opened < 2; opened++) {
    const ledger = await openSqliteLedger(file);
    const held: HeldFile[] = [];
    for await (const row of ledger.held()) held.push(row);
    expect(held.map(({ role, version, sha256 }) => [role, version, sha256])).toEqual([
      ['r', 1, digests[0]],
      ['r', 2, digests[1]],
      ['s', 1, digests[2]],
    ]);
    expect((await ledger.made(1)).files.map(({ role }) => role)).toEqual(['r', 's']);
    expect(await ledger.head()).toEqual({ publication: 2, at: 0 });
    await ledger.close();
  }
});

blobStoreSuite('folder', async () => {
  const folder = await temporary();
  return {
    open: async () => folderBlobs(folder),
    stored: async () => await filesUnder(folder),
    interrupt: async (sha256) => {
      const place = join(folder, sha256.slice(0, 2));
      await mkdir(place);
      await writeFile(join(place, `.partial-${'0'.repeat(8)}-0000-4000-8000-${'0'.repeat(12)}`), 'bl');
    },
  };
});

it('shows the longest paths that admission takes, whatever else is shown', async () => {
  const [folder, blobs] = [await temporary(), await temporary()];
  const site = folderSite(folder, blobs);
  const bytes = Buffer.from('x');
  const blob = factsOf(bytes);
  await folderBlobs(blobs).put(blob.sha256, once(bytes), bytes.length);
  const paths = [
    `${`${'x'.repeat(195)}/`.repeat(4)}${'é'.repeat(8)}`,
    `${'x'.repeat(255)}/a`,
    'é'.repeat(60),
    'a',
    'a/b',
    `${'0'.repeat(63)}.a/b`,
  ];
  for (const path of paths) requireShowable(path);
  await site.showTargets(paths.map((path) => ({ path, blob })));
  expect((await filesUnder(folder)).length).toBe(2 * paths.length);
  // What is beyond would be committed, and then never be seen.
  for (const path of [`${'x'.repeat(256)}/a`, 'é'.repeat(64), `${blob.sha256}.a/b`]) {
    expect(await codeOf(async () => requireShowable(path))).toBe('ENTRY_INVALID');
    expect(await codeOf(site.showTargets([{ path, blob }]))).toMatch(/^(STORE_WRITE|USAGE_INVALID)$/);
  }
});

siteSuite('folder', async () => await siteIn(await temporary(), await temporary()));

// Another file system: hard links are impossible there, so blobs are copied.
const shm = await stat('/dev/shm').catch(() => undefined);
const here = await stat(tmpdir());
const apart = shm?.isDirectory() === true && shm.dev !== here.dev;

describe.runIf(apart)('a site on another file system than its blobs', () => {
  siteSuite('folder, copying', async () => await siteIn(await temporary('/dev/shm'), await temporary()));

  it('shows a copy whole or not at all', async () => {
    const [site, blobs] = [await temporary('/dev/shm'), await temporary()];
    const bytes = Buffer.alloc(30_000_000, 'x');
    const blob = factsOf(bytes);
    await folderBlobs(blobs).put(blob.sha256, once(bytes), bytes.length);
    const sizes = new Set<number | undefined>();
    let copying = true;
    const copied = folderSite(site, blobs)
      .showTargets([{ path: 'a/b/c/d', blob }])
      .finally(() => {
        copying = false;
      });
    while (copying) {
      sizes.add((await stat(join(site, 'targets/a/b/c', `${blob.sha256}.d`)).catch(() => undefined))?.size);
    }
    await copied;
    sizes.delete(undefined);
    expect([...sizes].filter((size) => size !== bytes.length)).toEqual([]);
    expect((await filesUnder(site)).length).toBe(2);
  });
});

async function siteIn(
  folder: string,
  blobs: string,
): Promise<Parameters<typeof siteSuite>[1] extends () => Promise<infer T> ? T : never> {
  await mkdir(join(folder, 'metadata'));
  return {
    open: async () => ({ site: folderSite(folder, blobs), blobs: folderBlobs(blobs) }),
    // As a static web server would: the URL decoded is the path.
    get: async (url) => await readFile(join(folder, ...url.split('/').map(decodeURIComponent))).catch(() => undefined),
    urls: async () => await filesUnder(folder),
  };
}
