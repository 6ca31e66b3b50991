// A clock that steps back an hour, under load, and comes back by itself later;
// and a node that is started while its clock is behind.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCollectionFolder } from '@countersign/server';
import { staticServer } from './kill-rounds.mjs';
import { NodeProcess } from './node-process.mjs';
import { broken, pause, randomOf, until, Workload } from './workload.mjs';

/**
 * Runs the proof.
 *
 * @param {{ steps: number, seed?: number }} options how often the clock steps back
 * @returns {Promise<Readonly<Record<string, number>>>} what happened, in counts
 */
export async function clockBack({ steps, seed = 1 }) {
  const scratch = await mkdtemp(join(tmpdir(), 'countersign-clock-'));
  const folder = join(scratch, 'collection');
  const random = randomOf(seed);
  const counts = { steps: 0, startsBehind: 0 };
  let node;
  let web;
  let workload;
  let working = true;
  try {
    const passphrases = async () => 'only for the proof';
    const { anchor, token } = await createCollectionFolder({ folder, name: 'main', passphrases, clock: Date.now });
    web = await staticServer(join(folder, 'site'));
    const nodeFor = () => node?.url;
    workload = new Workload({ scratch, random, anchor, token, siteUrl: web.url, nodeFor, maySay5xx: true });
    await workload.begin();
    for (; counts.steps < steps; counts.steps++) {
      working = true;
      node = new NodeProcess({ folder, retryEvery: 100 });
      await node.ready();
      const authors = workload.authors.map((author, i) => workload.work(author, i % 2 === 0, () => working));
      await pause(100 + random() * 300);
      await node.setClock(-HOUR);
      await until(async () => (await node.health()).troubles?.main?.code === 'CLOCK_BEHIND', 'word of the clock');
      const { answered, accepted } = workload.counts;
      await pause(200);
      // What was under way when the clock stepped may have been answered.
      const since = workload.counts.answered + workload.counts.accepted - answered - accepted;
      if (since > workload.authors.length) broken(`${since} submissions were answered by a clock that is behind`);
      await workload.look();
      await node.setClock(0);
      await until(async () => (await node.health()).status === 'ok', 'health after the clock');
      await pause(100);
      working = false;
      await Promise.all(authors);
      await workload.settle();
      // It cannot know then, and what it makes must still verify.
      await node.kill();
      node = new NodeProcess({ folder, retryEvery: 100, offset: -HOUR });
      await node.ready();
      counts.startsBehind++;
      const [author] = workload.authors;
      await workload.send(await workload.prepare(author), true);
      await workload.look();
      await node.kill();
      await workload.healthy();
    }
    await workload.end();
    const codes = [...workload.codes.keys()];
    if (codes.some((code) => code !== 'CLOCK_BEHIND')) broken(`refused for something else: ${codes.join()}`);
    return { ...counts, ...workload.counts };
  } finally {
    working = false;
    if (workload) workload.polling = false;
    await node?.kill();
    await workload?.stopPolling().catch(() => undefined);
    await web?.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

const HOUR = 3_600_000;
