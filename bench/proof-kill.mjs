// `npm run proof:kill`: a server killed 200 times while it publishes; prints
// what happened and ends with 1 as soon as a promise is broken. Needs a build.
// Options: COUNTERSIGN_KILLS for another number, COUNTERSIGN_SEED for other moments.

import { killRounds } from '../apps/server/test/kill-rounds.mjs';

const rounds = Number(process.env['COUNTERSIGN_KILLS'] ?? 200);
const seed = Number(process.env['COUNTERSIGN_SEED'] ?? 1);
const say = (line) => process.stdout.write(`${line}\n`);
say(`kill proof: ${rounds} rounds, seed ${seed}`);
try {
  say(`kept every promise: ${JSON.stringify(await killRounds({ rounds, seed, say }))}`);
} catch (error) {
  say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  process.exitCode = 1;
}
