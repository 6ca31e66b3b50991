// Many authors at once: 32 of them, each publishing one artifact at a time. The
// load comes from a process of its own with everything signed beforehand. What
// counts is what a polling client, which verifies, sees grow in the snapshot;
// at the end it must find each author's last artifact.

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ms, percentile, table } from '../measure.mjs';
import { startChild } from './children.mjs';
import { secondClient } from './latency.mjs';
import { cpuSeconds, memoryOf } from './process-use.mjs';
import { makeCollection, startService } from './service.mjs';

const AUTHORS = 32;
const ARTIFACT = 1024;
/** Submissions prepared for each second; more cannot be sent. */
const MOST_A_SECOND = 800;
const POLL_EVERY = 250;
const LIMIT = 300;

/** Case c. */
export async function clients({ scratch, quick, bound, say }) {
  const seconds = quick ? 8 : 60;
  const state = join(scratch, 'clients');
  await makeCollection(state);
  const service = await startService(state);
  const load = startChild('./publishers.mjs');
  try {
    const { url, api, token, anchor } = service;
    const each = Math.ceil((MOST_A_SECOND * seconds) / AUTHORS);
    const { roles } = await load.ask({ service: { api, token }, authors: AUTHORS, each, length: ARTIFACT, seconds });
    const client = await secondClient({ url, anchor });
    const before = await seenBy(client, roles);
    const cpu = cpuSeconds(service.pid);
    const from = performance.now();
    const curve = [];
    const poll = async () => {
      const seen = (await seenBy(client, roles)) - before;
      curve.push({ at: (performance.now() - from) / 1000, seen });
    };
    const ending = load.ask('go');
    while ((await Promise.race([ending, sleep(POLL_EVERY)])) === undefined) await poll();
    const { sent, times, last } = await ending;
    await poll();
    const { at: took, seen } = curve.at(-1);
    const used = cpuSeconds(service.pid) - cpu;
    for (const path of last) {
      if (path === undefined || (await client.find(path)) === undefined)
        throw new Error(`${path} was answered 201 and cannot be found`);
    }
    const rate = seen / took;
    const busy = used / took;
    say(
      `${AUTHORS} authors for ${took.toFixed(1)} s, artifacts of ${ARTIFACT} bytes (upload, then submission); a client that verifies polls every ${POLL_EVERY} ms`,
    );
    table(
      [
        'answered 201',
        'seen',
        'seen a second',
        'p50',
        'p99',
        'max',
        'CPU of the service',
        'seen a CPU second',
        'memory',
      ],
      [
        [
          sent,
          seen,
          rate.toFixed(0),
          ...[50, 99, 100].map((p) => ms(percentile(times, p))),
          `${(100 * busy).toFixed(0)} %`,
          (rate / busy).toFixed(0),
          `${Math.round(memoryOf(service.pid).peak / 1e6)} MB`,
        ],
      ],
    );
    if (seen < sent) throw new Error(`${sent} were answered 201, but a client sees ${seen}`);
    bound('c: submissions visible a second', rate, '≥', LIMIT, '');
    for (const { message } of service.failures) say(`the service said: ${message}`);
  } finally {
    load.stop();
    await service.stop();
  }
}

/** The versions of these roles, added up, as a client that verifies has them now. */
async function seenBy(client, roles) {
  const { snapshot } = await client.refresh();
  return roles.reduce((sum, role) => sum + (snapshot.content.meta.get(role)?.version ?? 0), 0);
}
