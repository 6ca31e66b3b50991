// Faults of what the nodes stand on, under load: PostgreSQL crashes and comes
// back, the object store fails, is slow, is silent, carries requests out twice,
// or is gone for a while. The nodes say so, refuse what they cannot do, keep
// serving what is published, and go on by themselves.

import { FaultyProxy } from './faulty-proxy.mjs';
import { SharedWorld } from './shared-world.mjs';
import { broken, pause, randomOf, until } from './workload.mjs';

/**
 * Runs the proof.
 *
 * @param {{ place: import('./shared-world.mjs').Place, seconds: number, faults?: object, seed?: number, say?: (line: string) => void,
 *   database?: { crash(): Promise<void>, restart(): Promise<void> }, restartEvery?: number, storeAway?: number }} options
 *   `faults` of the store as of FaultyProxy; the database restarts every so many seconds; the store is away for so many at the end
 * @returns {Promise<Readonly<Record<string, number>>>} what happened, in counts
 */
export async function storeStorm({ place, seconds, faults = {}, seed = 1, say = () => undefined, ...more }) {
  const { database, restartEvery = 0, storeAway = 0 } = more;
  const random = randomOf(seed);
  const world = await SharedWorld.begin(place, random, { maySay5xx: true });
  const proxy = await FaultyProxy.before(place.storeUrl, randomOf(seed + 1));
  const counts = { seconds, databaseRestarts: 0, troubles: 0, slowestRecoveryMs: 0 };
  let working = true;
  try {
    world.instead = { store: `${proxy.url}/bucket/proofs` };
    for (const machine of [0, 1]) await world.start(machine).ready();
    world.pollNodes();
    const { workload } = world;
    Object.assign(proxy.faults, faults);
    const authors = workload.authors.map((author, i) => workload.work(author, i % 2 === 0, () => working));
    let failed;
    for (const author of authors) author.catch((error) => (failed ??= error));
    const began = performance.now();
    let restarts = 0;
    while (performance.now() - began < seconds * 1000) {
      await pause(200);
      if (failed !== undefined) throw failed;
      await workload.healthy();
      if (restartEvery === 0 || performance.now() - began < (restarts + 0.5) * restartEvery * 1000) continue;
      restarts++;
      await database.crash();
      await pause(random() * 3_000);
      await database.restart();
      counts.databaseRestarts++;
      counts.slowestRecoveryMs = Math.max(counts.slowestRecoveryMs, await untilPublished(workload));
      if (restarts % 5 === 0) say(`  ${JSON.stringify({ ...counts, ...workload.counts })}`);
    }
    if (storeAway > 0) await storeGone(world, proxy, storeAway, counts);
    proxy.faults = { failed: 0, slow: 0, silent: 0, twice: 0 };
    working = false;
    await Promise.all(authors);
    for (const node of world.nodes) {
      await until(async () => (await node.health()).status === 'ok', 'health after the fault', 30_000);
      counts.troubles += node.events.filter(({ event }) => event === 'trouble').length;
      const last = node.events.findLast(({ event }) => event === 'trouble' || event === 'well');
      if (last?.event === 'trouble') broken('a node did not say that it is well again');
    }
    await workload.settle();
    await workload.end();
    return { ...counts, ...workload.counts, store: proxy.counts, codes: Object.fromEntries(workload.codes) };
  } finally {
    working = false;
    proxy.down = false;
    await world.close();
    await proxy.close();
  }
}

/** The store lets nothing through: nodes say so, and still serve what is published. */
async function storeGone(world, proxy, seconds, counts) {
  proxy.down = true;
  await until(
    async () => {
      const all = await Promise.all(world.nodes.map(async (node) => await node.health()));
      return all.some(({ status, troubles }) => status === 'troubled' && troubles[world.name].code !== undefined);
    },
    'word of the lost store',
    30_000,
  );
  await pause(seconds * 1000);
  const { workload } = world;
  const refreshes = () => workload.refreshed.get('poller-of-nodes') ?? 0;
  const before = refreshes();
  const { unreachable } = workload.counts;
  await until(() => refreshes() > before + 2, 'a client that the nodes serve while the store is away');
  if (workload.counts.unreachable > unreachable) broken('nobody answered a client while the store was away');
  proxy.down = false;
  counts.recoveryOfStoreMs = await untilPublished(workload);
}

/** How long it takes until something is answered again. */
async function untilPublished({ counts }) {
  const { answered, accepted } = counts;
  return Math.round(
    await until(() => counts.answered + counts.accepted > answered + accepted, 'a new publication', 60_000),
  );
}
