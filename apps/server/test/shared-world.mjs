// A collection in a shared place, two nodes that serve it, and what stands in
// front of them in earnest: a cache in front of the bucket, and a balancer that
// sends each request to the next node, or to the one after it where that one
// does not answer.

import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCollectionFolder, Stores } from '@countersign/server';
import { listening } from './kill-rounds.mjs';
import { NodeProcess } from './node-process.mjs';
import { Workload } from './workload.mjs';

/**
 * @typedef {{ databaseUrl: string, storeUrl: string, keys: object }} Place where the real servers are
 */

let places = 0;

export class SharedWorld {
  /** One for each machine; `undefined` while it is down. */
  nodes = [];
  /** How to go to the store; a proof may put something in between. */
  instead = {};
  retryEvery = undefined;

  /** @param {Place} place @param {ReturnType<import('./workload.mjs').randomOf>} random @param {object} more of the workload */
  static async begin(place, random, more = {}) {
    const world = new SharedWorld();
    world.scratch = await mkdtemp(join(tmpdir(), 'countersign-shared-'));
    world.name = `proof-${process.pid}-${++places}`;
    world.keys = place.keys;
    world.stores = new Stores(place.keys);
    const shared = { database: place.databaseUrl, store: `${place.storeUrl}/bucket/proofs` };
    const folder = join(world.scratch, 'collection');
    const passphrases = async () => 'only for the proof';
    const { name, stores } = world;
    const made = await createCollectionFolder({
      folder,
      name,
      passphrases,
      clock: Date.now,
      shared: { place: shared, stores },
    });
    world.folder = folder;
    world.store = await stores.openShared(shared, folder, name);
    world.cache = await listening(createServer((incoming, outgoing) => void world.fromBucket(incoming, outgoing)));
    world.balancer = await listening(createServer((incoming, outgoing) => world.balance(incoming, outgoing)));
    const { anchor, token } = made;
    const nodeFor = (author) => {
      const up = world.up();
      const place = Number(author.name.slice(-1));
      return up[place % Math.max(1, up.length)]?.url;
    };
    world.workload = new Workload({
      scratch: world.scratch,
      random,
      anchor,
      token,
      name,
      siteUrl: world.cache.url,
      nodeFor,
      ...more,
    });
    await world.workload.begin();
    return world;
  }

  /** The nodes that serve now. */
  up() {
    return this.nodes.filter((node) => node?.url !== undefined);
  }

  /** Starts the node of a machine. */
  start(machine) {
    const { folder, name, instead, keys: secrets, retryEvery } = this;
    this.nodes[machine] = new NodeProcess({ folder, name, instead, secrets, retryEvery });
    return this.nodes[machine];
  }

  /** A client of the nodes, by way of the balancer. */
  pollNodes() {
    this.workload.addPoller('poller-of-nodes', `${this.balancer.url}/${this.name}`, true);
  }

  async close() {
    if (this.workload) this.workload.polling = false;
    for (const node of this.nodes) await node?.kill();
    await this.workload?.stopPolling().catch(() => undefined);
    await this.cache?.close();
    await this.balancer?.close();
    await this.store?.ledger.close();
    await this.stores?.close();
    await rm(this.scratch, { recursive: true, force: true });
  }

  async fromBucket({ url = '' }, outgoing) {
    const chunks = [];
    try {
      for await (const chunk of this.store.site.read(url.slice(1))) chunks.push(chunk);
      outgoing.end(Buffer.concat(chunks));
    } catch (error) {
      const missing = /NoSuchKey|404/.test(error.detail?.reason ?? '');
      outgoing.writeHead(missing ? 404 : 502).end();
    }
  }

  turn = 0;

  balance(incoming, outgoing) {
    const up = this.up();
    const first = this.turn++;
    const ask = (tries) => {
      const node = up[(first + tries) % Math.max(1, up.length)];
      if (node?.url === undefined || tries >= up.length) {
        if (!outgoing.headersSent) outgoing.writeHead(502);
        outgoing.end();
        return;
      }
      const to = new URL(incoming.url ?? '/', node.url);
      const asked = request(to, { method: incoming.method, headers: incoming.headers, agent: false }, (answer) => {
        if ((answer.statusCode ?? 500) >= 500) {
          answer.resume();
          ask(tries + 1);
          return;
        }
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(outgoing);
        answer.on('error', () => outgoing.destroy());
      });
      asked.on('error', () => (outgoing.headersSent ? outgoing.destroy() : ask(tries + 1)));
      asked.end();
    };
    ask(0);
  }
}
