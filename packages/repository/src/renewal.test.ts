import { days, openEnvelope, readTimestamp, SignerError } from '@countersign/core';
import { previousOf, signDecision } from '@countersign/decisions';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  author,
  BEGIN,
  claimOf,
  codeOf,
  HOUR,
  newWorld,
  ONLINE,
  presentOf,
  publish,
  replayed,
  roleText,
  submissionOf,
  targetOf,
  upload,
  type World,
  watcher,
} from '../test/world.ts';
import { type OnlineKind, type Repository, submissionText } from './index.ts';

let world: World;
let repository: Repository;
const ms = author('ms');

/** Numbers that a seed decides. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const presentTimestamp = (disk: World['disk']): number | undefined => {
  const bytes = disk.roles.get('timestamp')?.bytes;
  return bytes && readTimestamp(openEnvelope(bytes, 'timestamp').signed).expires;
};

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

describe('many collections that were made at one moment', () => {
  const together = 24;

  /** When each renews its timestamp, as a share of its life; one look every ten minutes. */
  async function agesAtRenewal(random: (() => number) | undefined, rounds: number): Promise<number[][]> {
    const worlds = await Promise.all(Array.from({ length: together }, async () => await newWorld(0)));
    const repositories = await Promise.all(worlds.map((one) => one.open({ ...(random && { random }) })));
    const ages: number[][] = worlds.map(() => []);
    for (let now = BEGIN; now < BEGIN + rounds * days(1); now += HOUR / 6) {
      for (const [i, { clock, disk }] of worlds.entries()) {
        clock.now = now;
        const before = disk.publications.length;
        const since = (presentTimestamp(disk) ?? 0) - days(1);
        await repositories[i]?.renew();
        if (disk.publications.length > before) ages[i]?.push((now - since) / days(1));
        expect(presentTimestamp(disk)).toBeGreaterThan(now);
      }
    }
    return ages;
  }

  it('would renew at one moment without chance', async () => {
    const ages = await agesAtRenewal(() => 0, 1);
    expect(new Set(ages.map(([first]) => first)).size).toBe(1);
  });

  it('renew at moments of their own, the later the more so, and never after half of a life', async () => {
    const ages = await agesAtRenewal(seeded(1), 4);
    for (const age of ages.flat()) {
      expect(age).toBeGreaterThan(3 / 8);
      expect(age).toBeLessThanOrEqual(1 / 2 + 1 / 144);
    }
    expect(new Set(ages.map(([first]) => first)).size).toBeGreaterThan(together / 3);
    // What one process has drawn it keeps: asking more often renews no sooner.
    for (const [first = 0, ...others] of ages) for (const age of others) expect(age).toBeCloseTo(first, 1);
  });

  it('renew snapshot and shards apart, too', async () => {
    const worlds = await Promise.all(Array.from({ length: together }, async () => await newWorld(0)));
    const random = seeded(2);
    const first: number[] = [];
    for (const one of worlds) {
      const opened = await one.open({ random });
      for (let day = 30; day <= 45 && first.length <= worlds.indexOf(one); day++) {
        one.clock.now = BEGIN + days(day) + 1;
        await opened.renew();
        if ((one.disk.roles.get('snapshot')?.version ?? 0) > 1) first.push(day);
      }
      expect(one.disk.roles.get('unclaimed')?.version).toBe(2);
    }
    expect(Math.min(...first)).toBeGreaterThanOrEqual(33);
    expect(new Set(first).size).toBeGreaterThan(5);
  });
});

describe('a role that cannot be renewed', () => {
  const without = (kind: OnlineKind): { signers: typeof ONLINE } => {
    const sign = (): never => {
      throw new SignerError('KEY_MISSING', 'the token is gone');
    };
    return { signers: { ...ONLINE, [kind]: { ...ONLINE[kind], sign } } };
  };
  const kindOf = (role: string): string => role.replace(/-.*/, '');
  const renewed = (before: Map<string, number>): Set<string> =>
    new Set(
      [...world.disk.roles]
        .filter(([role, { version }]) => version > (before.get(role) ?? 0))
        .map(([role]) => kindOf(role)),
    );
  const now = (): Map<string, number> => new Map([...world.disk.roles].map(([role, { version }]) => [role, version]));

  it.each(['recent', 'unclaimed', 'decisions'] as const)('holds up no other: %s', async (kind) => {
    await repository.close();
    repository = await world.open(without(kind));
    const before = now();
    world.clock.now += days(46);
    await repository.renew();
    const all = ['timestamp', 'snapshot', 'recent', 'unclaimed', 'decisions'];
    expect(renewed(before)).toEqual(new Set(all.filter((one) => one !== kind)));
    expect(world.events.filter(({ event }) => event === 'failed').length).toBeGreaterThan(0);
    // What can be renewed is, once; the rest is tried for ever without moving the head.
    const publications = head();
    for (let again = 0; again < 3; again++) await repository.renew();
    expect(head()).toBe(publications);
    watcher(world).list(ms.directory);
  });

  it('lets the timestamp live where the snapshot cannot be renewed', async () => {
    await repository.close();
    repository = await world.open(without('snapshot'));
    const before = now();
    world.clock.now += days(46);
    await repository.renew();
    expect(renewed(before)).toEqual(new Set(['timestamp']));
  });

  it('lets the timestamp live also when it has expired itself', async () => {
    await repository.close();
    repository = await world.open(without('unclaimed'));
    for (let day = 0; day < 120; day++) {
      world.clock.now += days(1) - HOUR;
      await repository.renew();
      watcher(world).list(ms.directory);
    }
  });

  it('lets the timestamp live while a completion cannot be listed', async () => {
    const record = replayed(world).record('pkg', 'ms');
    if (record === undefined) throw new Error('nobody speaks for it');
    const about = {
      collection: 'main',
      ecosystem: 'pkg',
      name: 'ms',
      epoch: 1,
      previous: previousOf(record, 'retire', 'owners'),
    };
    const text = await signDecision({ ...about, decision: 'retire', reason: 'ended', evidence: '' }, ms.keys);
    await publish(repository, submissionText({ decisions: [text] }));
    await repository.close();
    repository = await world.open(without('decisions'));
    for (let day = 0; day < 12; day++) {
      world.clock.now += days(1) - HOUR;
      await repository.renew();
      watcher(world);
    }
    expect(world.events).toContainEqual(expect.objectContaining({ event: 'failed', code: 'KEY_MISSING' }));
    expect(replayed(world).record('pkg', 'ms')?.tombstoned).toBeUndefined();
    repository = await world.open();
    await repository.renew();
    expect(replayed(world).record('pkg', 'ms')?.tombstoned).toBeDefined();
  });
});
