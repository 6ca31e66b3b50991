// The kill proof: a real server is killed with SIGKILL at seeded random moments
// while authors publish, and started again. What holds is in workload.mjs.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, normalize } from 'node:path';
import { createCollectionFolder } from '@countersign/server';
import { NodeProcess } from './node-process.mjs';
import { pause, randomOf, Workload } from './workload.mjs';

/**
 * Runs the proof.
 *
 * @param {{ rounds: number, seed?: number, say?: (line: string) => void }} options
 * @returns {Promise<Readonly<Record<string, number>>>} what happened, in counts
 * @throws {Error} with the seed and the round as soon as a promise is broken
 */
export async function killRounds({ rounds, seed = 1, say = () => undefined }) {
  const scratch = await mkdtemp(join(tmpdir(), 'countersign-kill-'));
  const proof = new Proof(scratch, randomOf(seed));
  try {
    await proof.begin();
    for (let round = 1; round <= rounds; round++) {
      await proof.round().catch((error) => {
        throw new Error(`Kill proof, seed ${seed}, round ${round}: ${error.message}`, { cause: error });
      });
      if (round % 25 === 0) say(`round ${round}: ${JSON.stringify(proof.counts)}`);
    }
    await proof.end();
    return proof.counts;
  } finally {
    await proof.stop();
    await rm(scratch, { recursive: true, force: true });
  }
}

class Proof {
  kills = 0;
  killsWhileStarting = 0;
  slowestStartMs = 0;

  constructor(scratch, random) {
    this.scratch = scratch;
    this.folder = join(scratch, 'collection');
    this.random = random;
  }

  get counts() {
    const { kills, killsWhileStarting, slowestStartMs } = this;
    return { kills, killsWhileStarting, slowestStartMs, ...this.workload?.counts };
  }

  async begin() {
    const passphrases = async () => 'only for the proof';
    const made = await createCollectionFolder({ folder: this.folder, name: 'main', passphrases, clock: Date.now });
    this.web = await staticServer(join(this.folder, 'site'));
    const { anchor, token } = made;
    this.workload = new Workload({
      scratch: this.scratch,
      random: this.random,
      anchor,
      token,
      siteUrl: this.web.url,
      nodeFor: () => this.node?.url,
    });
    await this.workload.begin();
  }

  /** Starts a server, lets authors publish, kills it, looks, and starts it again to settle what was open. */
  async round() {
    const { workload } = this;
    await this.start();
    await workload.settle();
    const working = workload.authors.map((author, i) => workload.work(author, i % 2 === 0));
    await pause(20 + this.random() * 350);
    await this.kill();
    await Promise.all(working);
    await workload.look();
    if (this.random() < 0.25) {
      // Once more, while it recovers from the first.
      const starting = this.start().catch(() => undefined);
      await pause(this.random() * (this.slowestStartMs + 20));
      await this.kill();
      await starting;
      this.killsWhileStarting++;
      await workload.look();
    }
    await workload.healthy();
  }

  async end() {
    await this.start();
    await this.workload.settle();
    await this.workload.end();
  }

  async stop() {
    if (this.workload) this.workload.polling = false;
    await this.kill();
    await this.workload?.stopPolling().catch(() => undefined);
    await this.web?.close();
  }

  async start() {
    this.node = new NodeProcess({ folder: this.folder });
    this.slowestStartMs = Math.max(this.slowestStartMs, Math.round(await this.node.ready()));
  }

  async kill() {
    if (!this.node?.alive) return;
    await this.node.kill();
    this.kills++;
  }
}

/** Any static web server over a collection's site. */
export async function staticServer(folder) {
  return await listening(
    createServer((request, response) => {
      const path = normalize(decodeURIComponent(request.url ?? ''));
      readFile(join(folder, path)).then(
        (bytes) => response.end(bytes),
        () => response.writeHead(404).end(),
      );
    }),
  );
}

/** A server on a free port, with its address and its end. */
export async function listening(server) {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections?.();
      }),
  };
}
