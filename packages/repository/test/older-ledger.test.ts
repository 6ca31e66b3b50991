// Somebody puts back an old ledger beside the site that went on without it.
// Clients have seen more than it knows (§5.4.3): whatever it would show them
// takes them back, and whatever it would publish they refuse.

import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ifMissing } from '../src/embedded/files.ts';
import { type EmbeddedStore, type Machine, openEmbeddedStore } from '../src/embedded/index.ts';
import { createCollection, DEFAULT_LIFETIMES, Repository, type RepositoryOptions } from '../src/index.ts';
import { memoryStore } from './memory-store.ts';
import {
  author,
  BEGIN,
  claimOf,
  codeOf,
  ECOSYSTEMS,
  newWorld,
  nodeCrypto,
  OFFLINE,
  ONLINE,
  publish,
  sha256,
  watcher,
} from './world.ts';

let folder: string;
let boot = 'one';

const machine: Machine = {
  boot: async () => boot,
  syncFile: async () => undefined,
  syncFolder: async () => undefined,
  later: () => () => undefined,
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-older-'));
  boot = 'one';
});

afterEach(async () => await rm(folder, { recursive: true, force: true }));

const optionsOver = ({
  ledger,
  blobs,
  site,
}: Pick<RepositoryOptions, 'ledger' | 'blobs' | 'site'>): RepositoryOptions => ({
  name: 'main',
  ledger,
  blobs,
  site,
  signers: ONLINE,
  ecosystems: ECOSYSTEMS,
  inspect: async () => undefined,
  crypto: nodeCrypto,
  sha256,
  clock: () => BEGIN,
  newId: () => 'submission',
});

const at = async (): Promise<EmbeddedStore> => await openEmbeddedStore(join(folder, 'main'), 'publish', machine);
const genesis = { offline: OFFLINE, threshold: 2, online: ONLINE, shardDigits: 0, lifetimes: DEFAULT_LIFETIMES };
const shown = async (): Promise<string> =>
  await readFile(join(folder, 'main', 'site', 'metadata', 'timestamp.json'), 'utf8');

/** With what SQLite keeps beside it. */
const PARTS = ['', '-wal', '-shm'];

async function copyLedger(from: string, to: string): Promise<void> {
  for (const part of PARTS) await cp(join(folder, from + part), join(folder, to + part)).catch(ifMissing);
}

async function takeAway(ledger: string): Promise<void> {
  for (const part of PARTS) await rm(join(folder, ledger + part), { force: true });
}

/** A collection that went on after its ledger was copied, and then got the copy. */
async function putBack(): Promise<void> {
  let store = await at();
  await createCollection(store.ledger, genesis, BEGIN, sha256);
  await store.site.showFiles((await store.ledger.made(1)).files);
  await store.ledger.close();
  await copyLedger('main/ledger.sqlite', 'copy.sqlite');
  store = await at();
  const repository = await Repository.open(optionsOver(store));
  for (const name of ['ms', 'debug']) await publish(repository, await claimOf(author(name)));
  await repository.close();
  await takeAway('main/ledger.sqlite');
  await copyLedger('copy.sqlite', 'main/ledger.sqlite');
}

it('§5.4.3 refuses to show and to publish, and says what to do', async () => {
  await putBack();
  const before = await shown();
  const store = await at();
  const refused = await Repository.open(optionsOver(store)).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'STORE_BEHIND', detail: { shown: 3, held: 1 } });
  expect((await store.ledger.head())?.publication).toBe(1);
  await store.ledger.close();
  expect(await shown()).toBe(before);
});

it('§5.4.3 shows nothing older when the machine has started anew either', async () => {
  await putBack();
  const before = await shown();
  boot = 'two';
  expect(await codeOf(at())).toBe('STORE_BEHIND');
  expect(await shown()).toBe(before);
  // The right to publish was given back: whoever repairs it can have it.
  boot = 'one';
  await (await at()).ledger.close();
});

it('§5.4.3 a new collection does not begin over the site of an old one', async () => {
  await putBack();
  await takeAway('main/ledger.sqlite');
  const before = await shown();
  const store = await at();
  await createCollection(store.ledger, genesis, BEGIN, sha256);
  const { files } = await store.ledger.made(1);
  expect(await codeOf(store.site.showFiles(files))).toBe('STORE_BEHIND');
  await store.ledger.close();
  expect(await shown()).toBe(before);
});

it('goes on where the site was lost as well', async () => {
  await putBack();
  await rm(join(folder, 'main', 'site'), { recursive: true });
  boot = 'two';
  const store = await at();
  const repository = await Repository.open(optionsOver(store));
  await publish(repository, await claimOf(author('ms')));
  await repository.close();
});

it.each(['always', 'when-elected'] as const)(
  '§5.4.3 does not publish unseen behind a site that keeps the later timestamp: %s',
  async (publishes) => {
    const world = await newWorld();
    const repository = await world.open();
    await publish(repository, await claimOf(author('ms')));
    await repository.close();
    const behind = await newWorld();
    const { ledger, blobs } = memoryStore(behind.disk);
    const { site } = memoryStore(world.disk);
    // As the site of an object store does, whose timestamp other processes may have replaced.
    const keeping = { ...site, showFiles: async () => undefined };
    const opened = behind.open({ ledger, blobs, site: keeping, publishes, pause: () => new Promise(() => undefined) });
    if (publishes === 'always') expect(await codeOf(opened)).toBe('STORE_BEHIND');
    else {
      const follower = await opened;
      expect(follower.role).toBe('follower');
      expect(behind.events).toContainEqual(expect.objectContaining({ event: 'failed', code: 'STORE_BEHIND' }));
      await follower.close();
    }
    expect((await ledger.head())?.publication).toBe(1);
    watcher(world);
  },
);
