// A node of the service as a process of its own, which proofs kill, put beside
// others, and whose clock they set.

import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** What the parent and the node tell each other. */
export class NodeProcess {
  url;
  /** What the node logged, with when by our own clock. */
  events = [];

  /**
   * Starts a node over a collection's folder; {@link NodeProcess.ready} tells when it serves.
   *
   * @param {{ folder: string, name?: string, instead?: object, secrets?: object, retryEvery?: number, offset?: number }} options
   */
  constructor(options) {
    const child = fork(CHILD, [JSON.stringify({ name: 'main', ...options })], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.child = child;
    this.exited = new Promise((resolve) => child.once('exit', resolve));
    this.serving = new Promise((resolve, reject) => {
      child.on('message', ({ url, event, failure }) => {
        if (failure !== undefined) reject(new Error(`the node did not start: ${failure}`));
        if (event !== undefined) this.events.push({ ...event, heard: performance.now() });
        if (url === undefined) return;
        this.url = url;
        resolve(url);
      });
      child.once('exit', () => reject(new Error('the node did not start')));
    });
    this.serving.catch(() => undefined); // told by `ready`
  }

  get alive() {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** How long it took. */
  async ready() {
    const began = performance.now();
    await this.serving;
    return performance.now() - began;
  }

  async kill() {
    if (!this.alive) return;
    this.url = undefined;
    this.child.kill('SIGKILL');
    await this.exited;
  }

  /** Whether it publishes, as far as it has told. */
  get leads() {
    const last = this.events.findLast(({ event }) => event === 'elected' || event === 'deposed');
    return this.alive && last?.event === 'elected';
  }

  /** Sets its clock this far from the true one, in milliseconds. */
  async setClock(offset) {
    const set = new Promise((resolve) => this.child.once('message', resolve));
    this.child.send({ offset });
    await set;
  }

  async health() {
    // Alone on its connection: one that was idle may be closed by the node just when it is used again.
    return await (await fetch(`${this.url}/health`, { headers: { connection: 'close' } })).json();
  }
}

const CHILD = fileURLToPath(new URL('node-child.mjs', import.meta.url));
