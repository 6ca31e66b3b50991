// The fault suite: a seeded sample of it in `npm test`, the whole of it as
// `npm run proof:faults` (COUNTERSIGN_FAULTS=whole). Each prints its counts.

import { inspect } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { requireServer } from '../../../tools/peers/require-peer.ts';
import { clockBack } from '../test/clock-back.mjs';
import { diskFull, noSmallDisk } from '../test/disk-full.mjs';
import { killRounds } from '../test/kill-rounds.mjs';
import { publisherRaces } from '../test/publisher-race.mjs';
import { requireSharedPeers, type SharedPeers, startSharedPeers } from '../test/shared.ts';
import { sharedKills } from '../test/shared-kills.mjs';
import { storeStorm } from '../test/store-storm.mjs';

const WHOLE = process.env['COUNTERSIGN_FAULTS'] === 'whole';
const seed = Number(process.env['COUNTERSIGN_SEED'] ?? 1);
const say = (line: string): void => void process.stdout.write(`${line}\n`);
/** So many in the whole suite, or in the sample. */
const often = (whole: number, sample: number): number =>
  WHOLE ? Math.ceil(whole * Number(process.env['COUNTERSIGN_SHARE'] ?? 1)) : sample;

let peers: SharedPeers | undefined;

/** Runs a proof, and says at once what came of it. */
async function proof<T extends object>(what: string, run: () => Promise<T>): Promise<T> {
  try {
    const counts = await run();
    say(`faults, ${what}, seed ${seed}: ${JSON.stringify(counts)}`);
    return counts;
  } catch (error) {
    say(`faults, ${what}, seed ${seed}: BROKEN: ${inspect(error)}`);
    throw error;
  }
}

describe('PostgreSQL and an object store, two nodes', { timeout: 3_600_000 }, () => {
  beforeAll(async () => {
    peers = await startSharedPeers();
  });
  afterAll(async () => await peers?.close());
  beforeEach((context) => requireSharedPeers(context));

  const place = (): { databaseUrl: string; storeUrl: string; keys: object } => ({
    databaseUrl: peers?.postgres.url ?? '',
    storeUrl: peers?.s3.url ?? '',
    keys: peers?.keys ?? {},
  });

  it('SIGKILL at random moments: nothing acknowledged is lost, and the publisher is replaced within 5 seconds', async () => {
    const counts = await proof(
      'SIGKILL of nodes',
      async () => await sharedKills({ place: place(), kills: often(500, 3), seed, say }),
    );
    expect(counts['slowestTakeoverMs']).toBeLessThan(5_000);
    expect(counts['answered']).toBeGreaterThan(0);
  });

  it('two who both believe that they publish: one wins each time, and nobody loses anything', async () => {
    const races = often(1_000, 8);
    const counts = await proof(
      'two publishers',
      async () => await publisherRaces({ place: place(), races, seed, say }),
    );
    expect(counts['races']).toBeGreaterThanOrEqual(races);
  });

  it('PostgreSQL restarts and the object store fails 1 in 20 requests, under load', async () => {
    const counts = await proof(
      'PostgreSQL restarted, store failing',
      async () =>
        await storeStorm({
          place: place(),
          seconds: often(300, 4),
          faults: { failed: 0.05 },
          ...(peers && { database: peers.postgres }),
          restartEvery: WHOLE ? 15 : 3,
          seed,
          say,
        }),
    );
    expect(counts['databaseRestarts']).toBeGreaterThan(0);
  });

  it('an object store that is slow, answers twice, falls silent, and is gone for a while', async () => {
    const faults = { slow: 0.1, twice: 0.2, silent: WHOLE ? 0.01 : 0 };
    await proof(
      'store slow, twice, silent, gone',
      async () =>
        await storeStorm({
          place: place(),
          seconds: often(120, 2),
          faults,
          storeAway: WHOLE ? 30 : 0,
          seed,
          say,
        }),
    );
  });
});

describe('SQLite and a folder, one node', { timeout: 3_600_000 }, () => {
  // Its sample is kill.peer.test.ts.
  it.runIf(WHOLE)('SIGKILL at random moments: nothing acknowledged is lost', async () => {
    const rounds = often(500, 1);
    const counts = await proof('SIGKILL', async () => await killRounds({ rounds, seed, say }));
    expect(counts['kills']).toBeGreaterThanOrEqual(rounds);
  });

  it('disk full at every write in turn: refused, told, and gone on by itself', async (context) => {
    const why = await noSmallDisk();
    if (why !== undefined) requireServer({ available: false, name: 'a small disk', why }, context);
    const counts = await proof(
      'disk full',
      async () => await diskFull({ step: WHOLE ? 1 : 6, sweeps: often(10, 1), seed, say }),
    );
    expect(counts['refusedFor']).toBeGreaterThan(0);
    expect(counts['wentThrough']).toBeGreaterThan(0);
  });

  it('a clock that steps back an hour', async () => {
    const steps = often(20, 1);
    const counts = await proof('clock back', async () => await clockBack({ steps, seed }));
    expect(counts['refused']).toBeGreaterThan(0);
  });
});
