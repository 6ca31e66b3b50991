import { cacheNameOf, days, rootHistoryName, type StatePort, utf8, utf8Text } from '@countersign/core';
import { beforeEach, describe, expect, it } from 'vitest';
import { codeOf, openState, SmallWorld } from '../test/small-world.ts';
import { Client, memoryState } from './index.ts';
import { nodeCrypto } from './node.ts';

let world: SmallWorld;
beforeEach(async () => {
  world = await SmallWorld.make();
});

describe('role', () => {
  it('verifies one delegated role under exactly one delegation, and keeps nothing of it in memory', async () => {
    const client = await world.client();
    const { targets } = await client.refresh();
    const delegations = targets.content.delegations;
    const role = delegations?.roles[0];
    if (delegations === undefined || role === undefined) throw new Error('The world delegates nothing');
    const authority = { keys: delegations.keys, role, name: role.name };
    const before = client.trusted.memo.size;
    expect((await client.role(authority)).json.get('_type')).toBe('targets');
    expect(client.trusted.memo.size).toBe(before);
    const foreign = { ...authority, role: { ...role, keyIds: [...delegations.keys.keys()].slice(0, 0) } };
    expect(await codeOf(client.role(foreign))).toBe('THRESHOLD_NOT_MET');
    expect(await codeOf(client.role({ ...authority, name: 'nobody' }))).toBe('ROLE_NOT_LISTED');
  });
});

describe('refresh', () => {
  it('§5.3 to §5.6: asks for root, timestamp, snapshot, targets, and keeps the received bytes', async () => {
    const state = openState();
    const client = await world.client({ state });
    expect(world.taken()).toEqual([]);
    const fresh = await client.refresh();
    expect(world.taken()).toEqual([
      'metadata/2.root.json',
      'metadata/timestamp.json',
      'metadata/1.snapshot.json',
      'metadata/1.targets.json',
    ]);
    expect(client.trusted).toBe(fresh);
    for (const role of ['root', 'timestamp', 'snapshot', 'targets']) {
      expect(state.files.get(cacheNameOf(role))).toEqual(world.bytesOf(role));
    }
    await client.refresh();
    expect(world.taken()).toEqual(['metadata/2.root.json', 'metadata/timestamp.json']);
  });

  it('shares one update between calls at the same time', async () => {
    const client = await world.client();
    const [a, b] = await Promise.all([client.refresh(), client.refresh()]);
    expect(a).toBe(b);
    expect(world.taken()).toHaveLength(4);
  });

  it('§5.4.3.1 rollback: an older timestamp is refused and what was trusted stays', async () => {
    const state = openState();
    const client = await world.client({ state });
    const old = world.bytesOf('timestamp');
    await world.publish();
    const fresh = await client.refresh();
    const kept = new Map(state.files);
    world.files.set('metadata/timestamp.json', old);
    expect(await codeOf(client.refresh())).toBe('ROLLBACK');
    expect(client.trusted).toBe(fresh);
    expect(state.files).toEqual(kept);
    await world.publish();
    expect((await client.refresh()).timestamp.content.version).toBe(3);
  });

  it('freeze: an expired timestamp is refused, by a running client too', async () => {
    const client = await world.client();
    await client.refresh();
    world.now += days(1) - 1;
    expect(client.isFresh()).toBe(true);
    world.now += 1;
    expect(client.isFresh()).toBe(false);
    expect(await codeOf(client.refresh())).toBe('EXPIRED');
    expect(await codeOf(client.find('readme.txt'))).toBe('EXPIRED');
    expect(await codeOf(client.list('dev'))).toBe('EXPIRED');
  });

  it('follows a rotated root and refuses the old key', async () => {
    const client = await world.client();
    await client.refresh();
    const old = world.signer('timestamp');
    await world.root({ rotate: 'timestamp' });
    const current = world.signer('timestamp');
    world.signers.set('timestamp', old);
    await world.publish();
    const before = client.trusted;
    expect(await codeOf(client.refresh())).toBe('THRESHOLD_NOT_MET');
    expect(client.trusted).toBe(before);
    world.signers.set('timestamp', current);
    await world.publish();
    expect((await client.refresh()).root.content.version).toBe(2);
  });
});

describe('open', () => {
  it('refuses to begin without an anchor, or with one that its own keys did not sign', async () => {
    const options = { metadataUrl: '', targetsUrl: '', transport: world.transport, crypto: nodeCrypto, clock: () => 0 };
    expect(await codeOf(Client.open({ ...options, state: memoryState() }))).toBe('ANCHOR_MISSING');
    const forged = utf8((utf8Text(world.anchor) ?? '').replace('"version":1', '"version":9'));
    const state = openState();
    expect(await codeOf(Client.open({ ...options, state, anchor: forged }))).toBe('THRESHOLD_NOT_MET');
    expect(state.files.size).toBe(0);
    expect(world.taken()).toEqual([]);
  });
});

describe('resume', () => {
  it('serves what was kept while the service is down, until it expires', async () => {
    const state = openState();
    const first = await world.client({ state });
    await first.refresh();
    await first.find('dev/tool.tgz');
    world.down = true;
    world.taken();

    const restarted = await world.client({ state });
    expect(await codeOf(restarted.refresh())).toBe('UNREACHABLE');
    world.taken();
    const { saves } = state;
    await restarted.resume();
    expect(restarted.isFresh()).toBe(true);
    expect((await restarted.find('dev/tool.tgz'))?.trail).toEqual(['targets', 'dev']);
    expect(world.taken()).toEqual([]);
    expect(state.saves).toBe(saves);

    world.now += days(1);
    expect(await codeOf(restarted.resume())).toBe('EXPIRED');
    expect(await codeOf(restarted.find('dev/tool.tgz'))).toBe('UNREACHABLE');
  });

  it('refuses what was tampered with in the store, and where nothing was kept', async () => {
    const state = openState();
    const client = await world.client({ state });
    expect(await codeOf(client.resume())).toBe('METADATA_MISSING');
    await client.refresh();
    const forged = utf8((utf8Text(world.bytesOf('timestamp')) ?? '').replace('"version":1', '"version":9'));
    state.files.set(cacheNameOf('timestamp'), forged);
    const restarted = await world.client({ state });
    expect(await codeOf(restarted.resume())).toBe('THRESHOLD_NOT_MET');
    expect(restarted.isFresh()).toBe(false);
    await restarted.refresh();
    expect(state.files.get(cacheNameOf('timestamp'))).toEqual(world.bytesOf('timestamp'));
  });

  it('goes on from roots and roles that another process kept', async () => {
    const state = openState();
    const client = await world.client({ state });
    await client.refresh();
    await world.root({ rotate: 'timestamp' });
    await world.publish();
    await (await world.client({ state })).refresh();
    world.down = true;
    const kept = new Map(state.files);
    expect((await client.resume()).timestamp.content.version).toBe(2);
    expect(client.trusted.root.content.version).toBe(2);
    expect(state.files).toEqual(kept);
    expect(state.files.has(rootHistoryName(2))).toBe(true);
  });

  it('takes its turn after a running refresh, so that an older state never replaces a newer one', async () => {
    const client = await world.client();
    await client.refresh();
    await world.publish();
    const [refreshed, resumed] = await Promise.all([client.refresh(), client.resume()]);
    expect(refreshed.timestamp.content.version).toBe(2);
    expect(resumed.timestamp.content.version).toBe(2);
  });
});

describe('find and list', () => {
  it('refresh first when nothing is trusted yet, and use what was kept when it is fresh', async () => {
    const state = openState();
    const client = await world.client({ state });
    expect((await client.find('readme.txt'))?.target.length).toBe(18);
    expect(world.taken()).toHaveLength(4);
    const restarted = await world.client({ state });
    expect(await restarted.find('readme.txt')).toBeDefined();
    expect(await restarted.find('absent.txt')).toBeUndefined();
    expect(world.taken()).toEqual([]);
    const listing = await restarted.list('dev');
    expect([...listing.found.keys()]).toEqual(['dev/tool.tgz']);
    expect(listing.owners.map(({ role }) => role)).toEqual(['dev']);
    expect(world.taken()).toEqual(['metadata/1.dev.json']);
  });

  it('share one refresh and one request for a role that several of them need', async () => {
    const client = await world.client();
    await Promise.all([client.find('dev/tool.tgz'), client.find('dev/tool.tgz'), client.list('dev')]);
    expect(world.taken().filter((url) => url.endsWith('dev.json'))).toHaveLength(1);
  });

  it('stay with the state they began with while a refresh goes on', async () => {
    const client = await world.client();
    await client.refresh();
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const old = world.bytesOf('dev');
    world.answers.set('metadata/1.dev.json', () => ({
      status: 200,
      body: (async function* () {
        await held;
        yield old;
      })(),
    }));
    const finding = client.find('dev/tool.tgz');
    await world.targets('dev', { 'dev/tool.tgz': utf8('tool, the second version') });
    await world.publish();
    await client.refresh();
    release();
    expect((await finding)?.target.length).toBe('tool, version 1'.length);
    expect((await client.find('dev/tool.tgz'))?.target.length).toBe('tool, the second version'.length);
  });

  it('pass on what is wrong with the store', async () => {
    const broken: StatePort = {
      load: () => undefined,
      save: () => {
        throw new TypeError('disk on fire');
      },
      drop: () => {},
    };
    await expect(world.client({ state: broken })).rejects.toThrow('disk on fire');
  });
});
