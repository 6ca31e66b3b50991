// SIGKILL at seeded random moments on PostgreSQL and an object store: two nodes
// serve, the one that publishes is killed, or the other, or both; a follower
// takes over within five seconds. What else holds is in workload.mjs.

import { SharedWorld } from './shared-world.mjs';
import { broken, pause, randomOf, until } from './workload.mjs';

/**
 * Runs the proof.
 *
 * @param {{ place: import('./shared-world.mjs').Place, kills: number, seed?: number, say?: (line: string) => void }} options
 * @returns {Promise<Readonly<Record<string, number>>>} what happened, in counts
 * @throws {Error} with the seed and the round as soon as a promise is broken
 */
export async function sharedKills({ place, kills, seed = 1, say = () => undefined }) {
  const proof = new Proof(randomOf(seed));
  let round = 0;
  try {
    await proof.begin(place);
    for (; proof.kills < kills; round++) {
      await proof.round().catch((error) => {
        throw new Error(`Kills of nodes, seed ${seed}, round ${round}: ${error.message}`, { cause: error });
      });
      if (round % 25 === 24) say(`  ${JSON.stringify(proof.counts)}`);
    }
    await proof.end();
    return proof.counts;
  } finally {
    await proof.world?.close();
  }
}

class Proof {
  kills = 0;
  killsOfPublishers = 0;
  killsOfBoth = 0;
  killsWhileStarting = 0;
  takeovers = [];

  constructor(random) {
    this.random = random;
  }

  get counts() {
    const { kills, killsOfPublishers, killsOfBoth, killsWhileStarting } = this;
    const sorted = this.takeovers.toSorted((a, b) => a - b).map(Math.round);
    return {
      kills,
      killsOfPublishers,
      killsOfBoth,
      killsWhileStarting,
      takeovers: sorted.length,
      medianTakeoverMs: sorted[sorted.length >> 1] ?? 0,
      slowestTakeoverMs: sorted.at(-1) ?? 0,
      ...this.world?.workload.counts,
    };
  }

  async begin(place) {
    // A follower that loses its database says so; a kill is no other fault.
    this.world = await SharedWorld.begin(place, this.random);
    await this.startAll();
    this.world.pollNodes();
  }

  async round() {
    const { world, random } = this;
    const { workload } = world;
    await this.startAll();
    await workload.settle();
    let working = true;
    const authors = workload.authors.map((author, i) => workload.work(author, i % 2 === 0, () => working));
    await pause(20 + random() * 350);
    const [drawn, both] = [random(), random() < 0.1];
    const publisher = world.nodes.find((node) => node.leads);
    const victim = drawn < 0.7 ? (publisher ?? world.nodes[0]) : world.nodes.find((node) => node !== publisher);
    const other = world.nodes.find((node) => node !== victim);
    const killed = performance.now();
    await this.kill(victim);
    if (both) {
      await this.kill(other);
      this.killsOfBoth++;
    } else if (victim === publisher) {
      this.killsOfPublishers++;
      await until(() => other.leads, 'a new publisher', 10_000);
      const took = (other.events.findLast(({ event }) => event === 'elected')?.heard ?? killed) - killed;
      if (took > 5_000) broken(`the publisher was replaced after ${Math.round(took)} ms`);
      this.takeovers.push(took);
      // It publishes what the authors of the other node go on to send.
      await pause(random() * 200);
    }
    working = false;
    await Promise.all(authors);
    await workload.look();
    if (random() < 0.2) {
      const starting = world.start(world.nodes.indexOf(victim));
      await pause(random() * 1_500);
      await this.kill(starting);
      this.killsWhileStarting++;
    }
    await workload.healthy();
  }

  async end() {
    await this.startAll();
    await this.world.workload.settle();
    await this.world.workload.end();
  }

  async startAll() {
    const { world } = this;
    const starting = [0, 1].filter((machine) => !world.nodes[machine]?.alive).map((machine) => world.start(machine));
    for (const node of starting) await node.ready();
    await until(() => world.nodes.some((node) => node.leads), 'a publisher', 10_000);
  }

  async kill(node) {
    if (!node.alive) return;
    await node.kill();
    this.kills++;
  }
}
