import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { folderBlobs, folderSite, openSqliteLedger } from '../src/embedded/index.ts';
import { factsOf } from './memory-store.ts';
import { blobStoreSuite, ledgerSuite, siteSuite } from './port-suite.ts';
import { once } from './world.ts';

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
