// Promotion of many names: what one session of the offline quorum costs each of
// its members, and what it makes the repository write again. Names are claimed
// through the service's own door; the session is the command that people type.
//   node bench/promotion.mjs [--names 10000] [--shard-digits 1]

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { machine, ms, table } from './measure.mjs';
import { Author, claimTogether, likelyName } from './repository/authors.mjs';
import { connections, countersign, makeCollection, post, startService } from './repository/service.mjs';

const { values } = parseArgs({
  options: { names: { type: 'string', default: '10000' }, 'shard-digits': { type: 'string', default: '1' } },
});
const names = Number(values.names);
const TOGETHER = 400;
const LIMIT = 60;

const state = mkdtempSync(join(tmpdir(), 'countersign-promotion-'));
console.log(machine());
try {
  await makeCollection(state, '--shard-digits', values['shard-digits']);
  const service = await startService(state);
  const own = connections(2);
  try {
    const claimed = await timed(async () => {
      for (let at = 0; at < names; at += TOGETHER) {
        const authors = Array.from(
          { length: Math.min(TOGETHER, names - at) },
          (_, i) => new Author(likelyName(at + i)),
        );
        await post(service, own, await claimTogether(authors));
      }
    });
    console.log(`${names.toLocaleString('en')} names claimed in ${seconds(claimed.millis)}`);
    const rows = [];
    for (const [what, args] of [
      ['promote --dry-run (verify, replay, derive, show)', ['promote', '--dry-run']],
      ['promote (the same, sign, publish, see it)', ['promote']],
      ['audit (replay and compare every shard)', ['audit']],
    ]) {
      const { millis, value } = await timed(() => countersign(state, ...['--url', service.url].concat(args)));
      const { promoted } = value;
      rows.push([what, ms(millis), promoted === undefined ? '' : `${promoted.length.toLocaleString('en')} names`]);
      if (args[0] === 'promote' && args.length === 1 && millis > LIMIT * 1000) process.exitCode = 1;
    }
    table(['one command of one member', 'took', ''], rows);
  } finally {
    own.close();
    await service.stop();
  }
} finally {
  rmSync(state, { recursive: true, force: true });
}

async function timed(act) {
  const from = performance.now();
  const value = await act();
  return { value, millis: performance.now() - from };
}

function seconds(millis) {
  return `${(millis / 1000).toFixed(1)} s`;
}
