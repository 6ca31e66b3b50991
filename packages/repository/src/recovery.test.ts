import { days, shardName } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { memoryStore } from '../test/memory-store.ts';
import {
  author,
  claimOf,
  HOUR,
  newWorld,
  presentOf,
  publish,
  roleText,
  sessionOf,
  submissionOf,
  targetOf,
  upload,
  type World,
  watcher,
} from '../test/world.ts';
import { type Receipt, type Repository, submissionText } from './index.ts';

// The process dies before or after each durable step of publishing, in turn.
// Whatever it had done stays, whatever it had not done is gone. After each
// death: clients refresh against what is on the site, a new process opens, and
// nothing that was acknowledged may be missing.

const ms = author('ms');
const debug = author('debug');
const third = author('third');

/** A process that dies at its `count`-th step from now on, and does nothing more. */
function mortal(): { step: (name: string) => void; dieAt: (count: number) => void; readonly steps: readonly string[] } {
  const steps: string[] = [];
  let last = Number.POSITIVE_INFINITY;
  return {
    steps,
    step(name) {
      steps.push(name);
      if (steps.length > last) throw new Error(`killed ${name}`);
    },
    dieAt(count) {
      last = steps.length + count;
    },
  };
}

interface Sent {
  readonly text: string;
  readonly accepted: string | undefined;
  readonly published: boolean;
  readonly visible: () => boolean;
}

async function prepared(): Promise<World> {
  const world = await newWorld();
  const repository = await world.open();
  await upload(repository, 'one', 'two');
  await publish(repository, await claimOf(ms));
  await repository.close();
  return world;
}

/** What the process was doing when it died: an update, a claim with a file, a promotion, all at once. */
async function submissions(
  world: World,
): Promise<readonly (readonly [string, (client: ReturnType<typeof watcher>) => boolean])[]> {
  const prefix = ms.directory.charAt(4);
  const shard = shardName('claimed', prefix);
  const session = submissionText(await sessionOf(world));
  const update = await roleText(presentOf(world, ms.role), { set: [targetOf(ms, 'ms-1', 'one')] }, ms.keys);
  return [
    [submissionOf([ms.role, update]), (client) => client.fetch(`${ms.directory}/ms-1`) === 'one'],
    [
      await claimOf(debug, { set: [targetOf(debug, 'd', 'two')] }),
      (client) => client.fetch(`${debug.directory}/d`) === 'two',
    ],
    [session, (client) => client.list(ms.directory).owners[0]?.trail[1] === shard],
  ];
}

async function attempt<T>(run: Promise<T>): Promise<T | undefined> {
  return await run.catch(() => undefined);
}

async function liveThrough(world: World, dieAt: number): Promise<{ sent: readonly Sent[]; steps: readonly string[] }> {
  const client = watcher(world);
  const process = mortal();
  const wanted = await submissions(world);
  process.dieAt(dieAt);
  const repository = await attempt(world.open(undefined, process.step));
  const receipts = await Promise.all(
    wanted.map(async ([text]) => repository && (await attempt(repository.submit(text)))),
  );
  const published = await Promise.all(
    receipts.map(async (receipt?: Receipt) => receipt && (await attempt(receipt.published))),
  );
  client.refresh();
  client.list(ms.directory);
  const sent = wanted.map(([text, visible], i) => ({
    text,
    accepted: receipts[i]?.id,
    published: published[i] !== undefined,
    visible: () => visible(client),
  }));
  // Acknowledged as published: visible at this very moment, to a client that was there before.
  for (const one of sent) if (one.published) expect(one.visible()).toBe(true);
  return { sent, steps: process.steps };
}

async function expectWhole(world: World, sent: readonly Sent[], repository: Repository): Promise<void> {
  const { ledger } = memoryStore(world.disk);
  await repository.renew();
  const client = watcher(world);
  client.refresh();
  for (const { text, accepted } of sent) {
    if (accepted === undefined) continue;
    const found = await repository.submission(accepted);
    expect(found).toMatchObject({ publication: expect.any(Number), refusal: undefined });
    expect(found.text).toBe(text); // the evidence outlives every crash
  }
  expect(await ledger.pending()).toEqual([]);
  // What was not accepted is wholly there or not at all; sending it again always ends well.
  for (const { text } of sent) await publish(repository, text);
  client.refresh();
  expect(client.fetch(`${ms.directory}/ms-1`)).toBe('one');
  expect(client.fetch(`${debug.directory}/d`)).toBe('two');
  await publish(repository, await claimOf(third));
}

const probe = await liveThrough(await prepared(), Number.POSITIVE_INFINITY);

it('without a crash everything is published', async () => {
  expect(probe.sent.map(({ published }) => published)).toEqual([true, true, true]);
  expect(probe.steps.filter((step) => step.endsWith('commit'))).toEqual(['before commit', 'after commit']);
  expect(probe.steps.at(-1)).toBe('after show timestamp');
});

describe('a crash', () => {
  it.each(probe.steps.map((step, i) => [i, step] as const))(
    'at step %i, %s: nothing acknowledged is lost',
    async (dieAt, _step) => {
      const world = await prepared();
      const { sent } = await liveThrough(world, dieAt);
      const client = watcher(world);
      const repository = await world.open();
      for (const one of sent) if (one.published) expect(one.visible()).toBe(true);
      await expectWhole(world, sent, repository);
      client.refresh();
    },
  );

  it('and another one at each step of recovering from it, and another one', async () => {
    const world = await prepared();
    const { sent } = await liveThrough(world, probe.steps.indexOf('after commit'));
    const client = watcher(world);
    for (let dieAt = 0; ; dieAt++) {
      const process = mortal();
      process.dieAt(dieAt);
      const repository = await attempt(world.open(undefined, process.step));
      if (repository !== undefined) await repository.renew();
      client.refresh();
      client.list(ms.directory);
      if (process.steps.length <= dieAt) break;
    }
    await expectWhole(world, sent, await world.open());
  });

  it('while renewing leaves a site that verifies', async () => {
    for (let dieAt = 0; ; dieAt++) {
      const world = await prepared();
      const client = watcher(world);
      world.clock.now += days(46);
      const process = mortal();
      process.dieAt(dieAt);
      await attempt(world.open(undefined, process.step).then((repository) => repository.renew()));
      const done = process.steps.length <= dieAt;
      await (await world.open()).renew();
      client.refresh();
      client.list(ms.directory);
      if (done) break;
    }
  });

  it('days ago: what is pending is published by the process that finds it', async () => {
    const world = await prepared();
    const { sent } = await liveThrough(world, probe.steps.indexOf('before commit'));
    expect(sent.map(({ published }) => published)).toEqual([false, false, false]);
    world.clock.now += days(3) + HOUR;
    await expectWhole(world, sent, await world.open());
  });
});
