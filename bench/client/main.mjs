// `npm run bench:client`: our client beside python-tuf, go-tuf, tuf-js and the
// Rust clients, in one run, on the same files from the same server, each in its
// best settings: in one process (median of nine rounds from an empty cache) and
// as whole processes. At the end, what we hold ourselves to, and whether it
// holds; exit code 1 if something does not.
// Options: --quick (smaller sizes, fewer rounds), --only R1,T1,…

import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensurePeer, PEER_NAMES } from '../../tools/peers/peers.mjs';
import { machine } from '../measure.mjs';
import { Bench, isBundled } from './measured.mjs';
import { SCENARIOS } from './scenarios.mjs';

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' } },
});
if (!isBundled()) throw new Error('The command is not bundled: npm run bundle -w @countersign/client');
const only = values.only?.split(',');
const folder = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
const bench = await Bench.start(folder);
const say = (line = '') => console.log(line);
try {
  say(`client benchmark, ${values.quick ? 'quick' : 'full'}: medians, cold unless told otherwise`);
  say(machine());
  say(`load before: ${loadavg()[0]?.toFixed(1)}`);
  const found = await Promise.all(PEER_NAMES.map((name) => ensurePeer(name, say)));
  for (const peer of found) say(peer.available ? `peer ${peer.name}` : `peer ${peer.name}: MISSING, ${peer.why}`);
  const peers = found.filter((peer) => peer.available);
  /** @type {import('./scenarios.mjs').Promise_[]} */
  const promises = [];
  for (const { id, title, measure } of SCENARIOS) {
    if (only !== undefined && !only.includes(id)) continue;
    say();
    say(`${id}  ${title}`);
    promises.push(...(await measure({ bench, peers, quick: values.quick })));
  }
  say();
  say(`load after: ${loadavg()[0]?.toFixed(1)}`);
  for (const { text, holds } of promises) say(`${holds ? 'holds        ' : 'DOES NOT HOLD'}  ${text}`);
  if (promises.some(({ holds }) => !holds)) process.exitCode = 1;
} finally {
  bench.stop();
  rmSync(folder, { recursive: true });
}
