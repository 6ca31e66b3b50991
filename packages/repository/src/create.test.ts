import {
  days,
  driveSync,
  isTopLevelRole,
  readShardName,
  refresh,
  type SyncPorts,
  shardPrefixes,
  start,
} from '@countersign/core';
import { seededKey } from '@countersign/testkit';
import { expect, it } from 'vitest';
import { emptyDisk, memoryStore } from '../test/memory-store.ts';
import { BEGIN, codeOf, newWorld, nodeCrypto, OFFLINE, ONLINE, sha256, watcher } from '../test/world.ts';
import { createCollection, DEFAULT_LIFETIMES } from './index.ts';

it.each([0, 1, 2])(
  'a new collection with %i shard digits is one that core refreshes to from its anchor',
  async (digits) => {
    const world = await newWorld(digits);
    const { state } = watcher(world);
    const shards = shardPrefixes(digits).length * 3;
    expect(state.targets.content.delegations?.roles.length).toBe(shards + 1);
    expect(state.snapshot.content.meta.size).toBe(shards + 2);
    // Claimed names are asked for before recent ones, and those before what the repository signs.
    const kinds = state.targets.content.delegations?.roles.map(({ name }) => readShardName(name)?.kind) ?? [];
    expect([...new Set(kinds)]).toEqual([undefined, 'claimed', 'recent', 'unclaimed']);
    expect(kinds.lastIndexOf('claimed')).toBeLessThan(kinds.indexOf('recent'));
    expect(watcher(world).find('pkg/ab12/nobody/x')).toBeUndefined();
    await (await world.open()).close();
  },
);

it('separates the keys: each signs for its own kind of role only', async () => {
  const { state } = watcher(await newWorld());
  const { roles } = state.root.content;
  const holders = ['root', 'targets', 'snapshot', 'timestamp'].map((role) =>
    isTopLevelRole(role) ? roles.get(role) : undefined,
  );
  const offline = OFFLINE.map(({ keyId }) => keyId);
  expect(holders).toMatchObject([
    { keyIds: offline, threshold: 2 },
    { keyIds: offline, threshold: 2 },
    { keyIds: [ONLINE.snapshot.keyId], threshold: 1 },
    { keyIds: [ONLINE.timestamp.keyId], threshold: 1 },
  ]);
  for (const role of state.targets.content.delegations?.roles ?? []) {
    const kind = readShardName(role.name)?.kind ?? 'decisions';
    const want =
      kind === 'claimed' ? { keyIds: offline, threshold: 2 } : { keyIds: [ONLINE[kind].keyId], threshold: 1 };
    expect(role).toMatchObject({ ...want, terminating: kind === 'decisions' });
  }
  expect([...state.root.content.keys.keys()]).not.toContain(ONLINE.recent.keyId);
});

it('lists targets and shards with hash and length', async () => {
  const { state } = watcher(await newWorld());
  for (const meta of state.snapshot.content.meta.values()) {
    expect(meta).toMatchObject({ version: 1, length: expect.any(Number), hashes: expect.any(Map) });
  }
});

it('expires only its timestamp fast', async () => {
  const world = await newWorld();
  const { state } = watcher(world);
  const { root, timestamp, snapshot, targets } = state;
  expect([root, targets, snapshot, timestamp].map(({ content }) => (content.expires - BEGIN) / days(1))).toEqual([
    365, 365, 90, 1,
  ]);
  expect(DEFAULT_LIFETIMES.timestamp).toBe(days(1));
});

it('is created once', async () => {
  const { ledger } = memoryStore(emptyDisk());
  const genesis = { offline: OFFLINE, threshold: 1, online: ONLINE, shardDigits: 0 };
  const anchor = await createCollection(ledger, genesis, BEGIN, sha256);
  expect(await codeOf(createCollection(ledger, genesis, BEGIN, sha256))).toBe('COLLECTION_EXISTS');
  expect(await ledger.file('root')).toEqual(anchor);
});

it.each([
  { threshold: 0 },
  { threshold: 3 },
  { shardDigits: -1 },
  { shardDigits: 5 },
  { shardDigits: 1.5 },
  { threshold: 1.5 },
  { offline: [] },
  { offline: [seededKey('offline 1'), seededKey('offline 1')] },
])('refuses what makes no collection: %o', async (wrong) => {
  const disk = emptyDisk();
  const genesis = { offline: OFFLINE, threshold: 2, online: ONLINE, shardDigits: 1, ...wrong };
  expect(await codeOf(createCollection(memoryStore(disk).ledger, genesis, BEGIN, sha256))).toBe('USAGE_INVALID');
  expect(disk.publications).toEqual([]);
});

it('has an anchor that stands by itself', async () => {
  const { anchor } = await newWorld();
  const ports: SyncPorts = {
    crypto: nodeCrypto,
    state: { load: () => undefined, save: () => undefined, drop: () => undefined },
    source: { fetch: () => undefined },
  };
  const trusted = driveSync(start(anchor), ports);
  expect(trusted.root.content.version).toBe(1);
  expect(await codeOf(() => driveSync(refresh(trusted, BEGIN), ports))).toBe('METADATA_MISSING');
});
