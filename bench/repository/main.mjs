// `npm run bench:repository`: how the repository service stands against the
// bounds it was built for and against its peers, in one run on this machine.
// Cases (`--only a,c`):
//   a  one artifact until it is answered and visible, beside Notary
//   b  the same in a collection of 100,000 projects (`--projects`); sizes of its snapshot
//   c  32 clients publishing for a minute; what a polling client sees of it
//   d  import of 1,000,000 targets into 16,384 hash bins (`--targets`), then one more
//   e  creating 16,384 hash bins
//   f  metadata served for a second of server CPU, beside nginx
// `--quick` measures less of each. Exits with 1 when a bound is missed.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { machine } from '../measure.mjs';

const CASES = {
  a: ['one artifact at a time', async () => (await import('./latency.mjs')).latency],
  b: ['one artifact among 100,000 projects', async () => (await import('./many-projects.mjs')).manyProjects],
  c: ['32 clients for a minute', async () => (await import('./clients.mjs')).clients],
  d: ['import into 16,384 hash bins', async () => (await import('./bins.mjs')).importing],
  e: ['creating 16,384 hash bins', async () => (await import('./bins.mjs')).creating],
  f: ['metadata served', async () => (await import('./serving.mjs')).serving],
};

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: Object.keys(CASES).join() },
    quick: { type: 'boolean', default: false },
    projects: { type: 'string', default: '100000' },
    targets: { type: 'string', default: '1000000' },
    keep: { type: 'boolean', default: false },
  },
});
const say = (line = '') => process.stdout.write(`${line}\n`);
const sizes = { projects: Number(values.projects), targets: Number(values.targets) };
const verdicts = [];
const scratch = await mkdtemp(join(tmpdir(), 'countersign-bench-'));
try {
  say(`bench/repository${values.quick ? ', quick: fewer rounds, for orientation only' : ''}`);
  say(machine());
  for (const name of values.only.split(',')) {
    if (CASES[name] === undefined) throw new Error(`There is no case ${name}: ${Object.keys(CASES).join(', ')}`);
    const [title, load] = CASES[name];
    say(`\n${name}  ${title}`);
    const run = await load();
    await run({ scratch: join(scratch, name), quick: values.quick, ...sizes, bound, say });
  }
  say('\nbounds');
  for (const line of verdicts) say(line);
} finally {
  if (values.keep) say(`kept ${scratch}`);
  else await rm(scratch, { recursive: true, force: true });
}

/** Notes how a figure stands to its bound; a missed one makes the run fail. */
function bound(name, got, relation, limit, unit) {
  const met = relation === '≤' ? got <= limit : relation === '<' ? got < limit : got >= limit;
  if (!met) process.exitCode = 1;
  verdicts.push(`${met ? 'met   ' : 'MISSED'}  ${name}: ${figure(got)} ${unit}, bound ${relation} ${limit} ${unit}`);
}

function figure(value) {
  return Number.isInteger(value) || value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);
}
