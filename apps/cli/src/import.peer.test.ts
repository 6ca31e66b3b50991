// An import killed at its worst moments goes on where it was: 20,000 files of a
// list, killed between two publications, and a folder, killed while it is read.
// Afterwards a client that verifies finds every one of them.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { folderSite } from '@countersign/repository/embedded';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { hashesOf } from '../test/cli-world.ts';
import { filesOf, plainOf } from './plain-collection.ts';
import { openSiteClient } from './site-client.ts';

const COMMAND = fileURLToPath(new URL('../bin/countersign.js', import.meta.url));
const ENVIRONMENT = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(npm|countersign)_/i.test(name)),
);
const FILES = 20_000;

let cwd: string;
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'countersign-import-'));
});
afterAll(async () => {
  await rm(cwd, { recursive: true, force: true });
});

const collection = (name: string): string => join(cwd, '.countersign', 'collections', name);

function start(
  name: string,
  args: readonly string[],
): { child: ChildProcess; ended: Promise<Record<string, unknown>> } {
  const all = [COMMAND, ...args, '--collection', name, '--json'];
  const child = spawn(process.execPath, all, { cwd, env: ENVIRONMENT, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const ended = new Promise<Record<string, unknown>>((resolve, reject) => {
    child.on('close', (code) => {
      if (code === 0) resolve(JSON.parse(text));
      else reject(new Error(`ended with ${code}: ${text}`));
    });
  });
  return { child, ended };
}

/** Kills an import as soon as its mark says that it is somewhere in the middle. */
async function killedAt(name: string, args: readonly string[], middle: (mark: Mark) => boolean): Promise<Mark> {
  const { child, ended } = start(name, args);
  ended.catch(() => undefined); // it is to be killed
  for (;;) {
    const mark = await markOf(name);
    if (mark !== undefined && middle(mark)) {
      child.kill('SIGKILL');
      await ended.catch(() => undefined);
      return mark;
    }
    if (child.exitCode !== null) throw new Error('It was done before it could be killed');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

interface Mark {
  readonly read: number;
  readonly whole: boolean;
  readonly done: number;
}

async function markOf(name: string): Promise<Mark | undefined> {
  const text = await readFile(join(collection(name), 'import', 'mark.json'), 'utf8').catch(() => undefined); // not yet
  return text === undefined ? undefined : JSON.parse(text);
}

/** Every file that a client finds which has never seen anything but the root. */
async function found(name: string): Promise<ReadonlyMap<string, string | undefined>> {
  const folder = collection(name);
  const site = folderSite(join(folder, 'site'), join(folder, 'blobs'));
  const anchor = await readFile(join(cwd, '.countersign', `${name}.root.json`));
  const client = await openSiteClient(site, anchor, Date.now);
  await client.refresh();
  const plain = await plainOf(client);
  if (plain === undefined) throw new Error('It is no plain collection');
  const files = new Map<string, string | undefined>();
  for await (const { target } of filesOf(client, plain)) files.set(target.path, target.hashes.get('sha256'));
  return files;
}

it('20,000 files of a list, killed between publications', async () => {
  await start('list', ['init', 'list', '--layout', 'bins', '--bins', '256', '--dev']).ended;
  const digests = Array.from({ length: FILES }, (_, i) => hashesOf(Buffer.from(String(i))).get('sha256') ?? '');
  const rows = digests.map((sha256, i) => `folder ${i % 100}/file-${i}.bin,${i},${sha256}\n`);
  await writeFile(join(cwd, 'list.csv'), `path,length,sha256\n${rows.join('')}`);
  const args = ['import', 'list.csv', '--to', 'mirror'];
  const mark = await killedAt('list', args, ({ done }) => done > 0);
  expect(mark).toMatchObject({ read: FILES, whole: true });
  expect(mark.done).toBeLessThan(256);
  const half = await found('list');
  expect([half.size > 0, half.size < FILES]).toEqual([true, true]);
  const done = await start('list', args).ended;
  expect(done).toMatchObject({ files: FILES, resumed: true });
  const all = await found('list');
  expect(all.size).toBe(FILES);
  for (const [i, sha256] of digests.entries()) {
    expect(all.get(`mirror/folder ${i % 100}/file-${i}.bin`)).toBe(sha256);
  }
});

it('a folder, killed while it is read', async () => {
  await start('folder', ['init', 'folder', '--layout', 'succinct', '--bins', '64', '--dev']).ended;
  for (let i = 0; i < 1500; i++) {
    const folder = join(cwd, 'in', `f${i % 10}`);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, `${i}.txt`), `content ${i}`);
  }
  const mark = await killedAt('folder', ['import', 'in'], ({ read }) => read > 0);
  expect([mark.whole, mark.read]).toEqual([false, 500]);
  expect(await start('folder', ['import', 'in']).ended).toMatchObject({ files: 1500, resumed: true });
  const all = await found('folder');
  expect(all.size).toBe(1500);
  for (let i = 0; i < 1500; i++) {
    expect(all.get(`f${i % 10}/${i}.txt`)).toBe(hashesOf(Buffer.from(`content ${i}`)).get('sha256'));
  }
});
