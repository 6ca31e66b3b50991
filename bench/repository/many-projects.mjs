// One artifact at a time in a collection of 100,000 projects, each with an
// owner of its own. Building it takes minutes, so it stays in the cache folder,
// and later runs add their own project to it; one that today's service cannot
// open is built anew.

import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { median, ms, percentile, table } from '../measure.mjs';
import { Author, claimTogether, likelyName } from './authors.mjs';
import { cacheFolder } from './cache.mjs';
import { publishOne, secondClient, timesOf, WARM_UP } from './latency.mjs';
import { cpuSeconds, memoryOf } from './process-use.mjs';
import { connections, makeCollection, post, startService } from './service.mjs';

/** Claims in one submission: below what admission takes. */
const TOGETHER = 400;
/** Raised when what is built is another thing than before. */
const FORMAT = 1;
const LIMIT = 150;

/** Case b. */
export async function manyProjects({ quick, projects, bound, say }) {
  const { service, started } = await builtService(projects, say);
  const own = connections(4);
  try {
    const author = new Author(`bench-${Date.now()}`);
    await post(service, own, await author.claim());
    const second = await secondClient(service);
    const cpu = cpuSeconds(service.pid);
    const [times] = await timesOf(quick ? 20 : 100, [() => publishOne(service, own, author, second)]);
    const { answered, visible } = times;
    const each = (1000 * (cpuSeconds(service.pid) - cpu)) / (WARM_UP + visible.length);
    const { snapshot } = await second.refresh();
    const { version, meta } = snapshot.content;
    const { body } = await own.send('GET', `${service.url}/metadata/${version}.snapshot.json`, {});
    const zipped = gzipSync(body).length;
    say(
      `the snapshot lists ${meta.size.toLocaleString('en')} roles: ${megabytes(body.length)}, gzipped ${megabytes(zipped)}`,
    );
    say(
      `the service opened it in ${(started / 1000).toFixed(1)} s and holds ${megabytes(memoryOf(service.pid).peak)} at most`,
    );
    const row = (name, times) => [name, ...[50, 90, 99, 100].map((p) => ms(percentile(times, p)))];
    table(
      ['from the first byte of the upload until', 'p50', 'p90', 'p99', 'max'],
      [row('answered 201', answered), row('found by a second client that verifies', visible)],
    );
    say(`the service used ${ms(each)} of CPU for each, its answers to the polling client among them`);
    bound(`b: p50 with ${projects.toLocaleString('en')} projects`, median(visible), '≤', LIMIT, 'ms');
  } finally {
    own.close();
    await service.stop();
  }
}

/** The service over the kept collection; builds that first where it is missing. */
async function builtService(projects, say) {
  const state = join(cacheFolder(), `projects-${projects}-${FORMAT}`);
  if (existsSync(state)) {
    const from = performance.now();
    const service = await startService(state).catch(() => undefined); // of another time: built anew
    if (service !== undefined) return { service, started: performance.now() - from };
    rmSync(state, { recursive: true });
  }
  say(`building a collection of ${projects.toLocaleString('en')} projects, once`);
  const aside = `${state}.building`;
  rmSync(aside, { recursive: true, force: true });
  mkdirSync(aside, { recursive: true });
  await makeCollection(aside, '--shard-digits', '2');
  const building = await startService(aside);
  const own = connections(2);
  const from = performance.now();
  try {
    let posted = Promise.resolve();
    for (let at = 0; at < projects; at += TOGETHER) {
      const count = Math.min(TOGETHER, projects - at);
      const body = await claimTogether(Array.from({ length: count }, (_, i) => new Author(likelyName(at + i))));
      // The next one is signed while the service works on this one.
      await posted;
      posted = post(building, own, body);
      posted.catch(() => undefined); // thrown where it is awaited
      if (at > 0 && at % 10_000 === 0)
        say(
          `  ${at.toLocaleString('en')} after ${((performance.now() - from) / 1000).toFixed(0)} s, ${megabytes(memoryOf(building.pid).now)} resident`,
        );
    }
    await posted;
  } finally {
    own.close();
    await building.stop();
  }
  renameSync(aside, state);
  const restart = performance.now();
  return { service: await startService(state), started: performance.now() - restart };
}

function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 0)} MB`;
}
