// The fault suite: a seeded sample of it in `npm test`, the whole of it as
// `npm run proof:faults` (COUNTERSIGN_FAULTS=whole). Each prints its counts.

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { requireSharedPeers, type SharedPeers, startSharedPeers } from '../test/shared.ts';
import { sharedKills } from '../test/shared-kills.mjs';

const WHOLE = process.env['COUNTERSIGN_FAULTS'] === 'whole';
const SEED = Number(process.env['COUNTERSIGN_SEED'] ?? 1);
const seed = SEED;
const say = (line: string): void => void process.stdout.write(`${line}\n`);
/** So many in the whole suite, or in the sample. */
const often = (whole: number, sample: number): number =>
  WHOLE ? Math.ceil(whole * Number(process.env['COUNTERSIGN_SHARE'] ?? 1)) : sample;

let peers: SharedPeers | undefined;

function tell(what: string, counts: object): void {
  say(`faults, ${what}, seed ${SEED}: ${JSON.stringify(counts)}`);
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
    const counts = await sharedKills({ place: place(), kills: often(500, 5), seed, say });
    tell('SIGKILL of nodes', counts);
    expect(counts['slowestTakeoverMs']).toBeLessThan(5_000);
    expect(counts['answered']).toBeGreaterThan(0);
  });
});
