// The site is written without waiting for the disk. These tests lose the power:
// whatever was not synced is cut off, or its name is gone, and the next process
// has to show everything that the ledger has committed all the same.

import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type EmbeddedStore, type Machine, openEmbeddedStore } from '../src/embedded/index.ts';
import type { SqliteLedger } from '../src/embedded/sqlite-ledger.ts';
import type { Commit, RoleFile } from '../src/index.ts';
import { factsOf } from './memory-store.ts';
import { once } from './world.ts';

let folder: string;
let store: EmbeddedStore | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-power-'));
});

afterEach(async () => {
  await store?.ledger.close();
  store = undefined;
  await rm(folder, { recursive: true, force: true });
});

/** A machine whose disk forgets what was not synced when the power goes. */
class FakeMachine implements Machine {
  boots = 1;
  knowsBoots = true;
  /** Fails the sync with this number, from 0. */
  failAt = Number.POSITIVE_INFINITY;
  syncs = 0;
  private readonly timers = new Set<() => void>();
  private readonly durable = new Map<string, number>();
  private readonly durableNames = new Map<string, ReadonlySet<string>>();

  readonly boot = async (): Promise<string | undefined> => (this.knowsBoots ? `boot ${this.boots}` : undefined);

  readonly syncFile = async (path: string): Promise<void> => {
    this.count();
    this.durable.set(path, (await stat(path)).ino);
  };

  readonly syncFolder = async (path: string): Promise<void> => {
    this.count();
    this.durableNames.set(path, new Set(await readdir(path)));
  };

  readonly later = (_millis: number, act: () => void): (() => void) => {
    this.timers.add(act);
    return () => this.timers.delete(act);
  };

  /** Lets everything run that was put off. */
  async settle(opened: EmbeddedStore): Promise<void> {
    const acts = [...this.timers];
    this.timers.clear();
    for (const act of acts) act();
    await opened.settled();
  }

  /** What was not synced is empty or gone, by turns. */
  async losePower(): Promise<void> {
    this.timers.clear();
    this.boots++;
    let turn = 0;
    for (const path of await filesUnder(join(folder, 'site'))) {
      const named = this.durableNames.get(dirname(path))?.has(path.slice(dirname(path).length + 1)) === true;
      const whole = path.includes('/targets/') || this.durable.get(path) === (await stat(path)).ino;
      if (named && whole) continue;
      // A target is another name of its blob, whose content is durable.
      if (path.includes('/targets/') || (!named && turn++ % 2 === 0)) await unlink(path);
      else await truncate(path, 3);
    }
    for (const path of await filesUnder(join(folder, 'blobs'))) {
      const named = this.durableNames.get(dirname(path))?.has(path.slice(dirname(path).length + 1)) === true;
      if (named && this.durable.get(path) === (await stat(path)).ino) continue;
      // All names of a file have one content. A name of it in the site may be left.
      await truncate(path, 3);
      if (turn++ % 2 === 0) await unlink(path);
    }
    this.durable.clear();
    this.durableNames.clear();
  }

  private count(): void {
    if (this.syncs++ === this.failAt) throw new Error('the disk failed');
  }
}

async function filesUnder(parent: string): Promise<readonly string[]> {
  const entries = await readdir(parent, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

async function open(machine: FakeMachine): Promise<EmbeddedStore> {
  store = await openEmbeddedStore(folder, 'publish', machine);
  return store;
}

/** Ends the process: what it had put off never happens. */
async function kill(): Promise<void> {
  await store?.ledger.close();
  store = undefined;
}

/** Publishes as the engine does: a target, two roles and the timestamp. */
async function publish({ ledger, blobs, site }: EmbeddedStore): Promise<void> {
  const number = ((await ledger.head())?.publication ?? 0) + 1;
  const bytes = Buffer.from(`content ${number}`);
  const blob = await blobs.put(factsOf(bytes).sha256, once(bytes), 100);
  await ledger.recordBlob(blob);
  const files = ['root', 'targets', `role-${number}`, 'timestamp'].map((role): RoleFile => {
    const text = Buffer.from(`${role} of publication ${number}`);
    return { role, version: number, bytes: text, sha256: createHash('sha256').update(text).digest('hex') };
  });
  const targets = [{ path: `pkg/${number % 2}/file-${number}`, blob }];
  const commit: Commit = { expected: number - 1, at: 0, files, targets, published: [], refused: [] };
  expect(await ledger.commit(commit)).toBe(true);
  await site.showTargets(targets);
  await site.showFiles(files);
}

/** Every file of the site, and what is wrong with it after this many publications. */
async function faults(publications: number): Promise<readonly string[]> {
  const wanted = new Map<string, string>();
  for (let number = 1; number <= publications; number++) {
    for (const role of ['root', 'targets', `role-${number}`]) {
      wanted.set(`metadata/${number}.${role}.json`, `${role} of publication ${number}`);
    }
    const content = `content ${number}`;
    const { sha256, sha512 } = factsOf(Buffer.from(content));
    for (const digest of [sha256, sha512]) wanted.set(`targets/pkg/${number % 2}/${digest}.file-${number}`, content);
  }
  wanted.set('metadata/timestamp.json', `timestamp of publication ${publications}`);
  const wrong: string[] = [];
  for (const [name, text] of wanted) {
    const found = await readFile(join(folder, 'site', name), 'utf8').catch(() => 'nothing');
    if (found !== text) wrong.push(`${name}: ${found}`);
  }
  return wrong;
}

it('shows everything again after the power was lost', async () => {
  const machine = new FakeMachine();
  for (let number = 1; number <= 3; number++) await publish(await reopened(machine));
  await kill();
  await machine.losePower();
  expect((await faults(3)).length).toBeGreaterThan(5);
  await open(machine);
  expect(await faults(3)).toEqual([]);
});

it('keeps every blob whose upload was answered, whatever the disk had of it', async () => {
  const machine = new FakeMachine();
  const contents = Array.from({ length: 40 }, (_, i) => Buffer.from(`blob ${i} `.repeat(1 + i * 100)));
  const { ledger, blobs } = await open(machine);
  const uploaded = await Promise.all(
    contents.map(async (bytes, i) => {
      const facts = await blobs.put(factsOf(bytes).sha256, once(bytes), bytes.length, { record: i % 2 === 0 });
      await ledger.recordBlob(facts);
      return facts;
    }),
  );
  for (let time = 0; time < 2; time++) {
    await kill();
    await machine.losePower();
    const mended = await open(machine);
    for (const [i, facts] of uploaded.entries()) {
      expect(await mended.ledger.blob(facts.sha256)).toEqual(facts);
      const chunks: Uint8Array[] = [];
      for await (const chunk of mended.blobs.read(facts.sha256)) chunks.push(chunk);
      expect(Buffer.concat(chunks).equals(contents[i] ?? Buffer.of())).toBe(true);
    }
  }
});

it('lets go of the bytes of blobs once their files are durable', async () => {
  const machine = new FakeMachine();
  const opened = await open(machine);
  await publish(opened);
  const held = (): number => (opened.ledger as SqliteLedger).freshNames(10).length;
  expect(held()).toBe(1);
  machine.failAt = machine.syncs;
  await machine.settle(opened);
  // It could not be synced, so it was written again, durably.
  expect([held(), await faults(1)]).toEqual([0, []]);
  await publish(opened);
  await machine.settle(opened);
  expect(held()).toBe(0);
  await kill();
  await machine.losePower();
  await open(machine);
  expect(await faults(2)).toEqual([]);
});

it('writes only what is not known to be durable', async () => {
  const machine = new FakeMachine();
  const opened = await open(machine);
  await publish(opened);
  await publish(opened);
  await machine.settle(opened);
  await publish(opened);
  const settled = await inodes();
  await machine.losePower();
  expect((await faults(2)).filter((fault) => !fault.startsWith('metadata/timestamp'))).toEqual([]);
  await kill();
  await open(machine);
  expect(await faults(3)).toEqual([]);
  const rewritten = [...(await inodes())].filter(([path, inode]) => settled.get(path) !== inode).map(([path]) => path);
  expect(rewritten.filter((path) => !/3\./.test(path) && !path.endsWith('timestamp.json'))).toEqual([]);
});

it('writes nothing again when only the process ended', async () => {
  const machine = new FakeMachine();
  const opened = await open(machine);
  await publish(opened);
  await publish(opened);
  const before = await inodes();
  await kill();
  await open(machine);
  expect(await inodes()).toEqual(before);
  expect(await faults(2)).toEqual([]);
});

it('goes on with what an earlier process left to be synced', async () => {
  const machine = new FakeMachine();
  await publish(await open(machine));
  await kill();
  const opened = await open(machine);
  await machine.settle(opened);
  await machine.losePower();
  expect(await faults(1)).toEqual([]);
});

it('shows everything again wherever in its syncs the disk fails and the power goes', async () => {
  for (let failAt = 0; ; failAt++) {
    await rm(folder, { recursive: true });
    const machine = new FakeMachine();
    const opened = await open(machine);
    await publish(opened);
    await publish(opened);
    machine.failAt = failAt;
    await machine.settle(opened);
    const failed = machine.syncs > failAt;
    await machine.losePower();
    await kill();
    await open(machine);
    expect(await faults(2)).toEqual([]);
    await kill();
    if (!failed) break;
    expect(failAt).toBeLessThan(100);
  }
});

it('writes a file again whose sync failed, for the system may have forgotten its content', async () => {
  const machine = new FakeMachine();
  const opened = await open(machine);
  await publish(opened);
  const before = await inodes();
  machine.failAt = 2; // behind the blob and its folder
  await machine.settle(opened);
  await publish(opened);
  await machine.settle(opened);
  const after = await inodes();
  const role = join(folder, 'site/metadata/1.role-1.json');
  expect(after.get(role)).not.toBe(before.get(role));
  await machine.losePower();
  expect(await faults(2)).toEqual([]);
});

it('is not misled by a mark that is torn, or by a machine that does not count its boots', async () => {
  const machine = new FakeMachine();
  await publish(await open(machine));
  await kill();
  await machine.losePower();
  await writeFile(join(folder, 'site.mark'), '{"boot":"boo');
  await open(machine);
  expect(await faults(1)).toEqual([]);
  await kill();
  machine.knowsBoots = false;
  await machine.losePower();
  await open(machine);
  expect(await faults(1)).toEqual([]);
});

it('rollback: never shows an earlier timestamp on the way, also when showing again fails', async () => {
  const machine = new FakeMachine();
  const opened = await open(machine);
  for (let number = 1; number <= 3; number++) await publish(opened);
  await kill();
  await machine.losePower();
  const timestamp = join(folder, 'site/metadata/timestamp.json');
  await writeFile(timestamp, 'timestamp of publication 3');
  // Where a role file belongs there is a folder: it cannot be written.
  const blocked = join(folder, 'site/metadata/3.role-3.json');
  await rm(blocked, { force: true });
  await mkdir(join(blocked, 'in the way'), { recursive: true });
  await expect(open(machine)).rejects.toMatchObject({ code: 'STORE_WRITE' });
  expect(await readFile(timestamp, 'utf8')).toBe('timestamp of publication 3');
  await rm(blocked, { recursive: true });
  await open(machine);
  expect(await faults(3)).toEqual([]);
});

it('shows everything again before an assisting process takes over', async () => {
  const machine = new FakeMachine();
  await publish(await open(machine));
  await kill();
  await machine.losePower();
  store = await openEmbeddedStore(folder, 'assist', machine);
  expect(await faults(1)).not.toEqual([]);
  expect(await store.ledger.lead()).toBeDefined();
  expect(await faults(1)).toEqual([]);
});

async function reopened(machine: FakeMachine): Promise<EmbeddedStore> {
  await kill();
  return await open(machine);
}

async function inodes(): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  for (const path of await filesUnder(join(folder, 'site'))) found.set(path, (await stat(path)).ino);
  return found;
}
