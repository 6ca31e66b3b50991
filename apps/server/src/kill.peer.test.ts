import { expect, it } from 'vitest';
import { killRounds } from '../test/kill-rounds.mjs';

const ROUNDS = Number(process.env['COUNTERSIGN_KILLS'] ?? 25);
const SEED = Number(process.env['COUNTERSIGN_SEED'] ?? 1);

it(`SIGKILL at ${ROUNDS} random moments of publishing loses nothing acknowledged, and clients never fail`, {
  timeout: 60_000 + ROUNDS * 10_000,
}, async () => {
  const counts = await killRounds({ rounds: ROUNDS, seed: SEED });
  process.stdout.write(`kill proof, ${ROUNDS} rounds, seed ${SEED}: ${JSON.stringify(counts)}\n`);
  expect(counts['kills']).toBeGreaterThanOrEqual(ROUNDS);
  expect(counts['answered']).toBeGreaterThan(0);
});
