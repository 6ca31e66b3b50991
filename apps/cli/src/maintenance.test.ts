import { appendFile, cp, mkdir, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CODES } from '@countersign/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CliWorld, npmTarball, type Ran, startCliWorld } from '../test/cli-world.ts';

// A collection with one package, looked after by its operator at the command
// line, on real files. What each part does is tested in the repository; here it
// is what a person is told and how it fits together.

let world: CliWorld;
let state: string;
let collection: string;
beforeEach(async () => {
  world = await startCliWorld();
  state = join(world.folder, 'operator');
  collection = join(state, 'collections', 'main');
  await release('1.0.0');
});
afterEach(() => world.close());

async function release(version: string): Promise<void> {
  if (version === '1.0.0') expect((await world.as('alice', 'claim', 'npm/hello')).exit).toBe(0);
  const file = await world.file(`hello-${version}.tgz`, npmTarball({ name: 'hello', version }));
  const { exit, err } = await world.as('alice', 'publish', file);
  expect([exit, err.includes('error')]).toEqual([0, false]);
}

const operate = (...args: readonly string[]): Promise<Ran> => world.as('operator', ...args);

/** Serves the operator's collection again, on another port, while `act` runs. */
async function served(act: (url: string) => Promise<void>): Promise<void> {
  let url = '';
  const { openCollectionFolder, passphrasesOf, startServer } = await import('@countersign/server');
  const open = await openCollectionFolder({
    folder: collection,
    name: 'main',
    passphrases: passphrasesOf(collection, {}, 'require'),
    clock: () => Date.parse('2030-01-01T00:00:00Z'),
  });
  const server = await startServer({
    collections: [open],
    port: 0,
    renewEvery: 0,
    clock: () => Date.parse('2030-01-01T00:00:00Z'),
  });
  url = `${server.url}/main`;
  try {
    await act(url);
  } finally {
    await server.close();
  }
}

async function blobFile(): Promise<string> {
  for (const name of await readdir(join(collection, 'blobs'), { recursive: true })) {
    const path = join(collection, 'blobs', name);
    const file = await stat(path);
    if (file.isFile() && (await readFile(path)).subarray(0, 2).equals(Buffer.from([0x1f, 0x8b]))) return path;
  }
  throw new Error('no tarball is stored');
}

describe('fsck', () => {
  it('says that nothing is wrong, also beside the service', async () => {
    const { exit, out } = await operate('fsck');
    expect([exit, out]).toEqual([
      0,
      expect.stringMatching(/^Nothing is wrong\. Checked publication \d+ of main: \d+ roles, /m),
    ]);
    expect(await world.json('operator', 'fsck', '--deep')).toMatchObject({
      collection: 'main',
      decisions: 2,
      repaired: [],
    });
  });

  it('says in one line each what is wrong, how bad, and what to do; repairs it once the service is stopped', async () => {
    await rm(join(collection, 'site', 'metadata', '1.root.json'));
    await writeFile(join(collection, 'site', 'metadata', 'timestamp.json'), '{}');
    const { exit, out, err } = await operate('fsck');
    expect(exit).toBe(CODES.CHECK_FAILED.exit);
    expect(out).toContain(
      'error    metadata/1.root.json: A file that clients may ask for is not on the site. Next: Run again with --repair\n',
    );
    expect(out).toMatch(/^2 errors, 0 warnings\. Checked publication /m);
    expect(err).toContain('CHECK_FAILED');
    expect((await operate('fsck', '--repair')).err).toContain('COLLECTION_BUSY');
    await world.stop();
    const repaired = await operate('fsck', '--repair');
    expect([repaired.exit, repaired.err]).toEqual([0, '']);
    expect(repaired.out).toContain('repaired metadata/1.root.json: ');
    expect(repaired.out).toContain('Nothing is wrong.');
    expect((await operate('fsck', '--json')).exit).toBe(0);
  });

  it('finds a blob that was cut, and takes it back from a copy if there is one', async () => {
    await world.stop();
    const blob = await blobFile();
    const bytes = await readFile(blob);
    // Copies are names of the blob itself: it is lost, and its author can send it again.
    await truncate(blob, 9);
    const lost = await operate('fsck', '--repair');
    expect([lost.exit, lost.out.includes('so that it can be uploaded again')]).toEqual([CODES.CHECK_FAILED.exit, true]);
    await writeFile(blob, bytes);
    expect((await operate('fsck', '--repair')).out).toContain('Done: recorded again');
    expect((await operate('fsck', '--deep')).exit).toBe(0);
    // As on a file system without hard links, where copies are files of their own.
    await rm(blob);
    await writeFile(blob, bytes.subarray(0, 9));
    expect((await operate('fsck', '--repair')).out).toContain('Done: taken back from the site');
    expect(await readFile(blob)).toEqual(bytes);
  });

  it('of what is not there', async () => {
    expect((await operate('fsck', 'other')).exit).toBe(CODES.COLLECTION_MISSING.exit);
    expect((await operate('fsck', '../x')).exit).toBe(CODES.USAGE_INVALID.exit);
    expect(await readdir(join(state, 'collections'))).toEqual(['main']);
  });
});

describe('gc', () => {
  it('shows what could go and removes nothing; --yes beside the service removes earlier metadata only', async () => {
    expect((await operate('gc')).out).toBe('There is nothing to remove in main.\n');
    world.move(6 * 86_400_000);
    await world.renew();
    for (let day = 0; day < 5; day++) {
      world.move(2 * 86_400_000);
      await world.renew();
    }
    const dry = await operate('gc');
    expect(dry.out).toMatch(
      /could go, because no client can ask for it any more:\n {2}role files in the ledger +\d+ +[\d.]+ kB\n/,
    );
    expect(dry.out).toContain('countersign gc main --yes');
    const before = await readdir(join(collection, 'site', 'metadata'));
    const beside = await operate('gc', '--yes');
    expect(beside.out).toContain('The service publishes, so files and blobs were left');
    expect((await readdir(join(collection, 'site', 'metadata'))).length).toBeLessThan(before.length);
    expect((await operate('fsck')).exit).toBe(0);
    await world.stop();
    expect((await operate('gc', '--yes')).out).not.toContain('were left');
    expect((await operate('gc', '--yes', '--json')).out).toContain('"siteFiles":{"count":0');
    expect((await operate('fsck')).exit).toBe(0);
    expect((await operate('gc', '--grace-days', 'x')).exit).toBe(2);
  });
});

describe('backup and restore', () => {
  const place = (): string => join(world.folder, 'backup');

  it('beside the service, and back again in place of a collection that is damaged', async () => {
    const { exit, out } = await operate('backup', 'main', 'backup');
    expect(exit).toBe(0);
    expect(out).toContain('It holds no keys');
    const sha256 = /manifest {2}sha256 ([0-9a-f]{64})/.exec(out)?.[1] ?? '';
    const names = await readdir(place(), { recursive: true });
    expect(names.some((name) => name.includes('.pem') || name.includes('passphrase'))).toBe(false);
    expect((await operate('restore', 'main', 'backup')).err).toContain('COLLECTION_EXISTS');
    expect((await operate('restore', 'main', 'backup', '--replace')).err).toContain('COLLECTION_BUSY');
    await world.stop();
    await truncate(join(collection, 'ledger.sqlite'), 5000);
    const wrong = await operate('restore', 'main', 'backup', '--replace', '--manifest', 'f'.repeat(64));
    expect(wrong.err).toContain('STORE_CORRUPT');
    const restored = await operate('restore', 'main', 'backup', '--replace', '--manifest', sha256);
    expect([restored.exit, restored.err]).toEqual([0, '']);
    expect(restored.out).toMatch(/^Restored main as it was at publication \d+ \(/);
    expect(restored.out).not.toContain('holds no keys. Put');
    expect((await operate('fsck', '--deep')).exit).toBe(0);
    expect((await readdir(join(state, 'collections'))).sort()).toEqual([
      expect.stringMatching(/^\.main\.before-20300101T000000Z$/),
      'main',
    ]);
    await served(async (url) => {
      const fetched = await world.as('bob', 'fetch', 'npm/hello@1.0.0', '--url', url);
      expect([fetched.exit, fetched.err]).toEqual([0, '']);
    });
  });

  it('as a tar file, on a machine that has nothing but it and the keys', async () => {
    await operate('backup', 'main', 'main.tar');
    expect((await operate('backup', 'main', 'main.tar')).exit).toBe(2);
    await world.stop();
    const unknown = await world.as('heir', 'restore', 'main', 'main.tar');
    expect(unknown.err).toContain('what clients have seen last is not known');
    const bare = await world.as('heir', 'restore', 'main', 'main.tar', '--last-seen', 'none');
    expect(bare.exit).toBe(0);
    expect(bare.out).toContain('A backup holds no keys. Put timestamp.pem, snapshot.pem, recent.pem, unclaimed.pem');
    const keys = join(collection, 'keys');
    const again = await world.as(
      'heir',
      'restore',
      'main',
      'main.tar',
      '--replace',
      '--keys',
      keys,
      '--last-seen',
      join(collection, 'site'),
    );
    expect([again.exit, again.out.includes('holds no keys. Put')]).toEqual([0, false]);
    expect((await world.as('heir', 'fsck')).exit).toBe(0);
    expect((await stat(join(world.folder, 'heir', 'collections', 'main', 'keys', 'timestamp.pem'))).mode & 0o777).toBe(
      0o600,
    );
  });

  it('§5.3.11 below what clients have seen: refused with the way out, and accepted by them after --new-keys', async () => {
    await operate('backup', 'main', 'backup');
    await release('1.1.0');
    expect((await world.as('bob', 'fetch', 'npm/hello@1.1.0')).exit).toBe(0);
    await world.stop();
    const refused = await operate('restore', 'main', 'backup', '--replace');
    expect(refused.exit).toBe(2);
    expect(refused.err).toContain('ROLLBACK');
    expect(refused.err).toContain('add --new-keys');
    expect(refused.err).toMatch(/timestamp last seen: \d+/);

    // What happens to those who do it all the same.
    const forced = await operate('restore', 'main', 'backup', '--replace', '--last-seen', 'none');
    expect(forced.err).toContain('ROLLBACK'); // the site that is there still knows better
    await rename(join(collection, 'site'), join(world.folder, 'site-away'));
    expect((await operate('restore', 'main', 'backup', '--replace', '--last-seen', 'none')).exit).toBe(0);
    await served(async (url) => {
      const { exit, err } = await world.as('bob', 'fetch', 'npm/hello@1.0.0', '--url', url);
      expect([exit, err.includes('ROLLBACK')]).toEqual([CODES.ROLLBACK.exit, true]);
    });

    const seen = join(world.folder, 'site-away');
    const restored = await operate('restore', 'main', 'backup', '--replace', '--new-keys', '--last-seen', seen);
    expect([restored.exit, restored.err]).toEqual([0, '']);
    expect(restored.out).toContain('root      version 2, with new keys for timestamp and snapshot');
    expect((await operate('fsck')).exit).toBe(0);
    await served(async (url) => {
      const { exit, err } = await world.as('bob', 'fetch', 'npm/hello@1.0.0', '--url', url);
      expect([exit, err]).toEqual([0, '']);
      expect((await world.as('bob', 'fetch', 'npm/hello@1.1.0', '--url', url)).exit).toBe(CODES.TARGET_UNKNOWN.exit);
    });
    // The keys of before are where the collection of before is, and nowhere else.
    const [before] = (await readdir(join(state, 'collections'))).filter((name) => name.startsWith('.main.before'));
    const old = await readFile(join(state, 'collections', before ?? '', 'keys', 'timestamp.pem'), 'utf8');
    expect(await readFile(join(collection, 'keys', 'timestamp.pem'), 'utf8')).not.toBe(old);
  });

  it('the service that is still up tells what clients have seen', async () => {
    await operate('backup', 'main', 'backup');
    await release('1.1.0');
    const { exit, err } = await world.as('heir', 'restore', 'main', 'backup');
    expect([exit, err.includes('ROLLBACK')]).toEqual([2, true]);
  });

  it('leaves everything where it was when it fails', async () => {
    await operate('backup', 'main', 'backup');
    await world.stop();
    const [part] = (await readdir(join(place(), 'ledger'), { recursive: true })).filter((name) =>
      name.endsWith('.jsonl'),
    );
    await appendFile(join(place(), 'ledger', part ?? ''), '{}\n');
    expect((await operate('restore', 'main', 'backup', '--replace')).err).toContain('STORE_CORRUPT');
    expect((await operate('fsck', '--deep')).exit).toBe(0);
    expect(await operate('restore', 'other', 'backup')).toMatchObject({
      exit: 2,
      err: expect.stringContaining('a backup of main'),
    });
    expect((await operate('restore', 'main', 'nowhere', '--replace')).err).toContain('no manifest');
  });
});

describe('rebuild', () => {
  it('in place, from its own site and blobs; says what is lost', async () => {
    expect((await operate('rebuild', 'main')).err).toContain('COLLECTION_BUSY');
    await world.stop();
    for (const name of ['ledger.sqlite-wal', 'ledger.sqlite-shm']) await rm(join(collection, name), { force: true });
    await writeFile(join(collection, 'ledger.sqlite'), 'not a database at all');
    expect((await operate('fsck')).err).toContain('STORE_READ');
    const { exit, out, err } = await operate('rebuild', 'main');
    expect([exit, err]).toEqual([0, '']);
    expect(out).toMatch(/^Rebuilt main at publication \d+: \d+ roles, 3 listed files, 2 decisions, all verified/);
    expect(out).toContain('submissions that waited');
    expect(out).toMatch(/what was here is in .*\.ledger\.before-20300101T000000Z/);
    expect((await operate('fsck', '--deep')).out).toContain('Nothing is wrong.');
    await served(async (url) => {
      expect((await world.as('bob', 'fetch', 'npm/hello@1.0.0', '--url', url)).exit).toBe(0);
    });
  });

  it('from a copy of the site, and never below what the service still shows', async () => {
    const copy = join(world.folder, 'mirror');
    await cp(join(collection, 'site'), copy, { recursive: true });
    await release('1.1.0');
    const old = await world.as('heir', 'rebuild', 'main', '--from', 'mirror');
    expect([old.exit, old.err.includes('ROLLBACK')]).toEqual([2, true]);
    await rm(copy, { recursive: true });
    await cp(join(collection, 'site'), copy, { recursive: true });
    const { exit, out } = await world.as(
      'heir',
      'rebuild',
      'main',
      '--from',
      'mirror',
      '--keys',
      join(collection, 'keys'),
    );
    expect(exit).toBe(0);
    expect(out).toContain('4 listed files');
    expect((await world.as('heir', 'fsck', '--deep')).exit).toBe(0);
  });

  it('needs the root that users trust, and a site', async () => {
    await world.stop();
    await mkdir(join(world.folder, 'empty'));
    const { err } = await world.as('heir', 'rebuild', 'main', '--from', 'empty');
    expect(err).toContain('METADATA_MISSING');
    expect((await world.as('heir', 'rebuild', 'main')).err).toContain('COLLECTION_MISSING');
    const none = await world.as('heir', 'rebuild', 'main', '--from', 'empty', '--root', 'no.json');
    expect(none.err).toContain('ANCHOR_MISSING');
  });
});
