import { days } from '@countersign/core';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  author,
  claimOf,
  codeOf,
  HOUR,
  newWorld,
  presentOf,
  publish,
  roleText,
  submissionOf,
  targetOf,
  upload,
  type World,
  watcher,
} from '../test/world.ts';
import type { Repository } from './index.ts';

let world: World;
let repository: Repository;
const ms = author('ms');

beforeEach(async () => {
  world = await newWorld();
  repository = await world.open();
  await publish(repository, await claimOf(ms));
});

const head = (): number => world.disk.publications.length;

async function next(by = ms, edit: Parameters<typeof roleText>[1] = {}): Promise<string> {
  return submissionOf([by.role, await roleText(presentOf(world, by.role), edit, by.keys)]);
}

/** A next version with one file, uploaded. */
async function release(file: string, by = ms, content = `content of ${file}`): Promise<string> {
  await upload(repository, content);
  return await next(by, { set: [targetOf(by, file, content)] });
}

describe('renewal', () => {
  const versions = (): Record<string, number> =>
    Object.fromEntries([...world.disk.roles].map(([role, { version }]) => [role, version]));

  it('leaves alone what is in its first half of life', async () => {
    world.clock.now += 11 * HOUR;
    const before = head();
    await repository.renew();
    expect(head()).toBe(before);
  });

  it('renews the timestamp alone after half a day', async () => {
    const before = versions();
    world.clock.now += 13 * HOUR;
    await repository.renew();
    expect(versions()).toEqual({ ...before, timestamp: (before['timestamp'] ?? 0) + 1 });
    const client = watcher(world);
    expect(client.state.timestamp.content.expires).toBe(world.clock.now + days(1));
  });

  it('renews snapshot and online shards after half of theirs, and nothing that others signed', async () => {
    const before = versions();
    world.clock.now += days(46);
    await repository.renew();
    const after = versions();
    for (const [role, version] of Object.entries(before)) {
      const online = /^(timestamp|snapshot|recent|unclaimed|decisions)/.test(role);
      expect([role, after[role]]).toEqual([role, version + (online ? 1 : 0)]);
    }
    expect(
      watcher(world)
        .list(ms.directory)
        .owners.map(({ role }) => role),
    ).toEqual([ms.role]);
  });

  it('keeps an idle collection fresh for ten times the longest life of an online role', {
    timeout: 60_000,
  }, async () => {
    world = await newWorld(0);
    const lifetimes = { timestamp: days(1), snapshot: days(9), shard: days(9), offline: days(365) };
    repository = await world.open({ lifetimes });
    await publish(repository, await claimOf(ms));
    const client = watcher(world);
    for (const end = world.clock.now + days(90); world.clock.now < end; world.clock.now += 9 * HOUR) {
      await repository.renew();
      client.refresh();
      client.list(ms.directory);
    }
    expect(world.events.filter(({ event }) => event === 'failed')).toEqual([]);
  });

  it.each([2, 40, 100, 300])('works after a stop of %i days: expired roles are renewed', async (stop) => {
    const client = watcher(world);
    await repository.close();
    world.clock.now += days(stop);
    await codeOf(() => client.refresh());
    repository = await world.open();
    await repository.renew();
    client.refresh();
    expect(client.list(ms.directory).owners.map(({ role }) => role)).toEqual([ms.role]);
    await publish(repository, await release('ms-1'));
    client.refresh();
    expect(client.fetch(`${ms.directory}/ms-1`)).toBe('content of ms-1');
  });

  it('cannot hide that what the quorum signed has expired', async () => {
    await repository.close();
    world.clock.now += days(366);
    repository = await world.open();
    const before = head();
    await repository.renew();
    expect(head()).toBe(before);
    expect(world.events.at(-1)).toMatchObject({ event: 'failed', code: 'SELF_CHECK_FAILED' });
    expect(repository.status().publication).toBe(before);
  });

  it.each([HOUR, days(1), days(30)])('lives with a clock that steps back %i ms', async (step) => {
    world.clock.now += days(40);
    await repository.renew();
    const client = watcher(world);
    world.clock.now -= step;
    await repository.renew();
    await publish(repository, await release('ms-1'));
    client.refresh();
    expect(client.fetch(`${ms.directory}/ms-1`)).toBe('content of ms-1');
    const reopened = await world.open();
    await publish(reopened, await next());
    client.refresh();
  });
});
