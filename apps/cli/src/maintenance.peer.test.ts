// The maintenance commands where several machines serve: a real PostgreSQL and
// a real S3 server instead of a folder.

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { findPostgres, startPostgres } from '../../../tools/peers/postgres.ts';
import { requireServer } from '../../../tools/peers/require-peer.ts';
import { findS3Server, S3_KEYS, startS3Server } from '../../../tools/peers/s3-server.ts';
import type { RunningServer } from '../../../tools/peers/servers.ts';
import { type Ran, runCommand } from '../test/cli-world.ts';

let scratch: string;
let postgres: RunningServer | undefined;
let s3: RunningServer | undefined;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'countersign-maintenance-'));
  const [foundPostgres, foundS3] = [findPostgres(), findS3Server()];
  if (!foundPostgres.available || !foundS3.available) return;
  postgres = await startPostgres(foundPostgres);
  s3 = await startS3Server(foundS3);
});
afterAll(async () => {
  await postgres?.close();
  await s3?.close();
  await rm(scratch, { recursive: true, force: true });
});
beforeEach((context) => {
  requireServer(findPostgres(), context);
  requireServer(findS3Server(), context);
});

async function run(...args: readonly string[]): Promise<Ran> {
  const env = {
    COUNTERSIGN_STORE_ACCESS_KEY_ID: S3_KEYS.accessKeyId,
    COUNTERSIGN_STORE_SECRET_ACCESS_KEY: S3_KEYS.secretAccessKey,
    COUNTERSIGN_URL: 'http://127.0.0.1:1/main',
  };
  return await runCommand({ cwd: scratch, env }, ...args);
}

async function done(...args: readonly string[]): Promise<string> {
  const { exit, out, err } = await run(...args);
  expect([exit, err]).toEqual([0, '']);
  return out;
}

const placeAt = (folder: string): readonly string[] => [
  '--database',
  (postgres?.url ?? '').replace(/:\/\/([^:@]*):[^@]*@/, '://$1@'),
  '--store',
  `${s3?.url}/bucket/${folder}`,
];

it('checks, backs up, restores elsewhere, and rebuilds a collection in shared storage', async () => {
  await mkdir(join(scratch, 'one'));
  await done('init', 'main', '--dev', '--shard-digits', '0', '--state', 'one', ...placeAt('one'));
  expect(await done('fsck', '--deep', '--state', 'one')).toContain('Nothing is wrong.');
  expect(await done('gc', '--yes', '--state', 'one')).toContain('nothing to remove');
  await done('backup', 'main', 'main.tar', '--state', 'one');

  // Into that very place it is refused; a folder takes it.
  const keys = ['--keys', join('one', 'collections', 'main', 'keys')];
  const taken = await run(
    'restore',
    'main',
    'main.tar',
    '--state',
    'two',
    '--last-seen',
    'none',
    ...keys,
    ...placeAt('two'),
  );
  expect(taken.err).toContain('COLLECTION_EXISTS');
  await done('restore', 'main', 'main.tar', '--state', 'folder', '--last-seen', 'none', ...keys);
  expect(await done('fsck', '--deep', '--state', 'folder')).toContain('Nothing is wrong.');

  // Of another name, because one database has one collection of a name.
  await done('init', 'other', '--dev', '--shard-digits', '0', '--state', 'folder');
  await done('backup', 'other', 'other', '--state', 'folder');
  const otherKeys = ['--keys', join('folder', 'collections', 'other', 'keys')];
  await done('restore', 'other', 'other', '--state', 'three', '--last-seen', 'none', ...otherKeys, ...placeAt('three'));
  expect(await done('fsck', 'other', '--deep', '--state', 'three')).toContain('Nothing is wrong.');

  // The database is lost: what the object store shows is enough.
  const { Client } = await import('pg');
  const client = new Client({ connectionString: postgres?.url ?? '' });
  await client.connect();
  await client.query('DROP SCHEMA countersign CASCADE');
  await client.end();
  expect((await run('fsck', 'other', '--state', 'three')).err).toContain('COLLECTION_MISSING');
  expect(await done('rebuild', 'other', '--state', 'three')).toContain('Rebuilt other at publication 1');
  expect(await done('fsck', 'other', '--deep', '--state', 'three')).toContain('Nothing is wrong.');
  expect((await run('rebuild', 'other', '--state', 'three')).err).toContain('COLLECTION_EXISTS');
});
