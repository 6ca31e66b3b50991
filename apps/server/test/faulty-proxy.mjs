// What stands between a node and its object store while the store is at fault:
// it fails some requests before or after they are carried out, is slow, falls
// silent, or carries them out twice. Requests pass unchanged, signatures too.

import { createServer, request } from 'node:http';
import { listening } from './kill-rounds.mjs';
import { pause } from './workload.mjs';

export class FaultyProxy {
  /** Shares of requests, each from 0 to 1. */
  faults = { failed: 0, slow: 0, silent: 0, twice: 0 };
  /** Whether nothing is let through. */
  down = false;
  counts = { requests: 0, failed: 0, lostAnswers: 0, slow: 0, silent: 0, twice: 0 };

  static async before(target, random) {
    const proxy = new FaultyProxy();
    proxy.target = new URL(target);
    proxy.random = random;
    proxy.server = await listening(createServer((incoming, outgoing) => void proxy.pass(incoming, outgoing)));
    return proxy;
  }

  get url() {
    return this.server.url;
  }

  async close() {
    await this.server.close();
  }

  async pass(incoming, outgoing) {
    const { counts, faults } = this;
    counts.requests++;
    const chunks = [];
    try {
      for await (const chunk of incoming) chunks.push(chunk);
    } catch {
      return; // whoever asked has gone
    }
    const body = Buffer.concat(chunks);
    if (this.down) return void outgoing.destroy();
    if (this.random() < faults.silent) {
      counts.silent++;
      return; // until whoever asked gives up
    }
    if (this.random() < faults.slow) {
      counts.slow++;
      await pause(200 + this.random() * 2_800);
    }
    if (this.random() < faults.failed) return await this.fail(incoming, outgoing, body);
    if (this.random() < faults.twice) {
      counts.twice++;
      await this.forward(incoming, body).catch(() => undefined);
    }
    await this.answer(incoming, outgoing, body);
  }

  /** As stores fail: with words, without, or after all was done. */
  async fail(incoming, outgoing, body) {
    this.counts.failed++;
    const way = this.random();
    if (way < 0.25) outgoing.destroy();
    else if (way < 0.75) {
      const [status, code] = way < 0.5 ? [500, 'InternalError'] : [503, 'SlowDown'];
      outgoing.writeHead(status, { 'content-type': 'application/xml' });
      outgoing.end(`<Error><Code>${code}</Code></Error>`);
    } else {
      this.counts.lostAnswers++;
      await this.forward(incoming, body).catch(() => undefined);
      outgoing.destroy();
    }
  }

  async answer(incoming, outgoing, body) {
    try {
      const { status, headers, content } = await this.forward(incoming, body);
      outgoing.writeHead(status, headers);
      outgoing.end(content);
    } catch {
      outgoing.destroy();
    }
  }

  async forward({ method, url, headers }, body) {
    const { hostname, port } = this.target;
    return await new Promise((resolve, reject) => {
      const asked = request({ hostname, port, method, path: url, headers, agent: false }, (answer) => {
        const chunks = [];
        answer.on('data', (chunk) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () => {
          const { connection: _, 'transfer-encoding': __, ...kept } = answer.headers;
          resolve({ status: answer.statusCode, headers: kept, content: Buffer.concat(chunks) });
        });
      });
      asked.on('error', reject);
      asked.end(body);
    });
  }
}
