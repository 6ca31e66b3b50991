// The system under measurement, through its public doors only: the command
// `countersign` in processes of its own, and HTTP. Nothing here looks into a
// collection's folder.

import { execFile, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const COMMAND = fileURLToPath(new URL('../../apps/cli/dist/main.js', import.meta.url));
const MINUTE = 60_000;

/** Runs `countersign` to its end; gives what it printed as JSON. */
export async function countersign(state, ...args) {
  const { stdout } = await promisify(execFile)(process.execPath, [COMMAND, '--state', state, '--json', ...args], {
    env: environment(),
    maxBuffer: 2 ** 28,
  });
  return stdout.trim() === '' ? undefined : JSON.parse(stdout);
}

/** Makes the collection `main` in a state folder. */
export async function makeCollection(state, ...options) {
  await countersign(state, 'init', 'main', '--dev', ...options);
}

/**
 * Starts `countersign serve` over a state folder and waits until it listens.
 *
 * @param options.processes how many serve on its port; all of them do when this resolves
 * @returns `{ url, api, port, pid, anchor, token, stop }`; `pid` is of the process that starts the others, `stop` waits for its end
 */
export async function startService(state, { args = [], node = [], processes = 1 } = {}) {
  const child = spawn(
    process.execPath,
    [...node, COMMAND, '--state', state, '--json', 'serve', '--port', '0', ...serving(processes), ...args],
    { env: environment(), stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const failures = [];
  let url;
  let started = 0;
  await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const event = JSON.parse(line);
      if (event.event === 'listening') url = event.url;
      if (event.event === 'started') started++;
      if (url !== undefined && (processes === 1 || started === processes)) resolve();
      if (event.event === 'failed' || event.event === 'fault') failures.push(event);
    });
    child.once('error', reject);
    void ended.then((code) => reject(new Error(`countersign serve ended with ${code}`)));
  });
  return {
    url: `${url}/main`,
    api: `${url}/api/v1/main`,
    port: Number(new URL(url).port),
    pid: child.pid,
    anchor: await readFile(join(state, 'main.root.json')),
    token: (await readFile(join(state, 'main.token'), 'utf8')).trim(),
    /** What the service said went wrong. */
    failures,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** A connection pool of the bench: keep-alive, and no more work per request than it takes. */
export function connections(most) {
  const agent = new Agent({ keepAlive: true, maxSockets: most });
  /** @returns `{ status, body }` @throws Error when the answer is no success */
  const send = (method, url, headers, body) =>
    new Promise((resolve, reject) => {
      const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
      const outgoing = request(url, { agent, method, headers: { ...headers, ...length } }, (incoming) => {
        const chunks = [];
        incoming.on('data', (chunk) => chunks.push(chunk));
        incoming.on('error', reject);
        incoming.on('end', () => {
          const answer = { status: incoming.statusCode, headers: incoming.headers, body: Buffer.concat(chunks) };
          if (answer.status < 300) resolve(answer);
          else reject(new Error(`${method} ${url}: ${answer.status} ${answer.body.toString().slice(0, 300)}`));
        });
      });
      outgoing.setTimeout(MINUTE, () => outgoing.destroy(new Error(`${method} ${url}: no answer for a minute`)));
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  return { send, close: () => agent.destroy() };
}

/** Uploads the bytes of one artifact. */
export async function putBlob({ api, token }, { send }, { sha256, bytes }) {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/octet-stream' };
  await send('PUT', `${api}/blobs/${sha256}`, headers, bytes);
}

/** Posts one submission and waits for its 201: clients can see it. */
export async function post({ api, token }, { send }, body) {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  await send('POST', `${api}/submissions`, headers, body);
}

function serving(processes) {
  return processes === 1 ? [] : ['--processes', String(processes)];
}

function environment() {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('COUNTERSIGN_'));
  return { ...Object.fromEntries(kept), NODE_ENV: 'production' };
}
