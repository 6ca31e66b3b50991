// How the client benchmark measures: clients in one process, round by round, and
// whole processes. Order statistics and tables are in ../measure.mjs.

import { execFile, fork } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { timePeer } from '../../tools/peers/peers.mjs';
import { median } from '../measure.mjs';

/** @import { Repository } from './repositories.mjs' */
/** @import { ReadyPeer } from '../../tools/peers/peers.mjs' */

const OURS = fileURLToPath(new URL('ours.mjs', import.meta.url));
const COMMAND = fileURLToPath(new URL('../../packages/client/bin/countersign-client.cjs', import.meta.url));
const RUN = fileURLToPath(new URL('run.py', import.meta.url));

/** Rounds that let a runtime compile and connect, and are not counted. */
const WARM_UP = 10;

/** Where clients keep their state, and where files are served from. */
export class Bench {
  /** @param {string} folder @param {string} baseUrl @param {import('node:child_process').ChildProcess} server */
  constructor(folder, baseUrl, server) {
    this.folder = folder;
    this.baseUrl = baseUrl;
    this.server = server;
  }

  /** Starts the server. @param {string} folder */
  static async start(folder) {
    mkdirSync(join(folder, 'served'), { recursive: true });
    const server = fork(fileURLToPath(new URL('server.mjs', import.meta.url)), [join(folder, 'served')]);
    const port = await new Promise((resolve, reject) => {
      server.once('message', (/** @type {{ port: number }} */ message) => resolve(message.port));
      server.once('exit', () => reject(new Error('The server did not start')));
    });
    return new Bench(folder, `http://127.0.0.1:${port}/`, server);
  }

  stop() {
    this.server.disconnect();
  }

  /** A folder that is used once. */
  scratch() {
    return mkdtempSync(join(this.folder, 'scratch-'));
  }

  /** Where a repository of this name is made. @param {string} name */
  place(name) {
    return join(this.folder, 'served', name);
  }

  /** What a client is told of a repository. @param {Repository} repository */
  request(repository) {
    const base = `${this.baseUrl}${repository.name}/`;
    const urls = { metadataUrl: `${base}metadata/`, targetsUrl: `${base}targets/` };
    return { ...urls, rootFile: join(repository.folder, 'root.json'), targetPaths: [repository.target] };
  }

  /**
   * Milliseconds of our client in one process, without the rounds of warm-up.
   * @param {string} task @param {Repository} repository @param {number} rounds @param {readonly string[]} [paths]
   */
  async ours(task, repository, rounds, paths = [repository.target]) {
    const request = { ...this.request(repository), targetPaths: paths, outFolder: this.scratch() };
    const warmUp = task === 'time' || task === 'warm' ? WARM_UP : 0;
    const answer = await run(process.execPath, [
      OURS,
      JSON.stringify({ do: task, rounds: rounds + warmUp, ...request }),
    ]);
    rmSync(request.outFolder, { recursive: true });
    const { nanos, maxRss } = JSON.parse(answer);
    return { ms: inMilliseconds(nanos.slice(warmUp)), maxRss };
  }

  /**
   * Milliseconds of a peer's client in one process, without the rounds of warm-up.
   * @param {ReadyPeer} peer @param {Repository} repository @param {number} rounds @param {readonly string[]} [paths]
   */
  async peer(peer, repository, rounds, paths = [repository.target]) {
    const outFolder = this.scratch();
    const request = { ...this.request(repository), targetPaths: paths, outFolder, rounds: rounds + WARM_UP };
    const nanos = await timePeer(peer, request);
    rmSync(outFolder, { recursive: true });
    return inMilliseconds(nanos.slice(WARM_UP));
  }

  /** The command line of our small command. @param {Repository} repository @param {'refresh' | 'fetch'} what */
  command(repository, what) {
    const state = join(this.scratch(), '{round}');
    const url = `${this.baseUrl}${repository.name}`;
    const common = ['--url', url, '--root', join(repository.folder, 'root.json'), '--state', state];
    const rest = what === 'fetch' ? ['--output', `${state}.out`, repository.target] : [];
    return [process.execPath, COMMAND, what, ...common, ...rest];
  }

  /** The command line of a peer's program that does what `fetch` does. @param {ReadyPeer} peer @param {Repository} repository */
  peerCommand(peer, repository) {
    const outFolder = join(this.scratch(), '{round}');
    return [peer.command, ...peer.args, JSON.stringify({ do: 'fetch', ...this.request(repository), outFolder })];
  }
}

/**
 * Whole processes, one after the other: wall and processor time in milliseconds of each, peak memory in bytes of all.
 * @param {readonly string[]} command @param {number} rounds
 * @returns {Promise<{ ms: number[], cpuMs: number[], maxRss: number }>}
 */
export async function processes(command, rounds) {
  const answer = await run('python3', [RUN, JSON.stringify({ command, rounds })]);
  /** @type {{ ms: number, cpuMs: number, maxRss: number, code: number }[]} */
  const all = JSON.parse(answer);
  const failed = all.find(({ code }) => code !== 0);
  if (failed !== undefined) throw new Error(`${command.join(' ')} ended with ${failed.code}`);
  const maxRss = Math.max(...all.map((run) => run.maxRss));
  return { ms: all.map(({ ms }) => ms), cpuMs: all.map(({ cpuMs }) => cpuMs), maxRss };
}

/** Whether the small command has been bundled. */
export function isBundled() {
  return existsSync(fileURLToPath(new URL('../../packages/client/dist/countersign-client.cjs', import.meta.url)));
}

/** How often `a` goes into `b`, by their medians. @param {readonly number[]} a @param {readonly number[]} b */
export function timesFaster(a, b) {
  return median(b) / median(a);
}

/** @param {readonly number[]} nanos */
function inMilliseconds(nanos) {
  return nanos.map((value) => value / 1e6);
}

/** @param {string} command @param {readonly string[]} line @returns {Promise<string>} */
function run(command, line) {
  return new Promise((resolve, reject) => {
    execFile(command, [...line], { maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${command} failed: ${stderr || stdout || error.message}`));
    });
  });
}
