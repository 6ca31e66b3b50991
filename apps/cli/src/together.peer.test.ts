// `serve --processes`: real processes on one port, which are killed while
// clients ask and authors publish. That no client is ever taken back, whichever
// process answers it, and that the service neither ends nor says anything twice.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, get } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { findPostgres, startPostgres } from '../../../tools/peers/postgres.ts';
import { requireServer } from '../../../tools/peers/require-peer.ts';
import { findS3Server, S3_KEYS, startS3Server } from '../../../tools/peers/s3-server.ts';
import type { RunningServer } from '../../../tools/peers/servers.ts';
import { runCommand } from '../test/cli-world.ts';

const COMMAND = fileURLToPath(new URL('../bin/countersign.js', import.meta.url));
const running = new Set<ChildProcess>();
let cwd: string;
let servers: readonly [RunningServer, RunningServer] | undefined;
let count = 0;

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'countersign-together-'));
  const [postgres, s3] = [findPostgres(), findS3Server()];
  if (postgres.available && s3.available) servers = [await startPostgres(postgres), await startS3Server(s3)];
});
afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
});
afterAll(async () => {
  for (const server of servers ?? []) await server.close();
  await rm(cwd, { recursive: true, force: true });
});

describe('a service of two processes', () => {
  it('on one machine: goes on when the one that publishes is killed, takes no client back, and ends with success', async () => {
    const name = await create();
    const service = await serve(name);
    expect(await rolesSeen(service, name)).toEqual(new Set(['publisher', 'follower']));
    const clients = poll(service, name);
    for (let i = 0; i < 8; i++) await publish(service, name, `before-${i}`);
    await killPublisher(service);
    const killed = performance.now();
    await publish(service, name, 'after');
    expect(performance.now() - killed).toBeLessThan(5_000);
    for (let i = 0; i < 8; i++) await publish(service, name, `later-${i}`);
    await until(() => service.events.filter(({ event }) => event === 'started').length === 3);
    const { answers, versions, backwards } = await clients.end();
    expect(backwards).toEqual([]);
    expect(versions).toBeGreaterThan(10);
    expect(answers).toBeGreaterThan(200);
    expect(service.events.filter(({ event }) => event === 'listening').length).toBe(1);
    service.child.kill('SIGTERM');
    expect([await service.ended, service.errors()]).toEqual([0, '']);
  });

  it('on PostgreSQL and an object store: the same', async (context) => {
    requireServer(findPostgres(), context);
    requireServer(findS3Server(), context);
    const [database = '', store = ''] = servers?.map(({ url }) => url) ?? [];
    const name = await create('--database', database, '--store', `${store}/bucket/together`);
    const service = await serve(name);
    const clients = poll(service, name);
    for (let i = 0; i < 5; i++) await publish(service, name, `before-${i}`);
    await killPublisher(service);
    const killed = performance.now();
    await publish(service, name, 'after');
    expect(performance.now() - killed).toBeLessThan(5_000);
    expect((await clients.end()).backwards).toEqual([]);
    service.child.kill('SIGTERM');
    expect([await service.ended, service.errors()]).toEqual([0, '']);
  });

  it('tells once what keeps another one from starting; Ctrl-C ends all of it at once, without a word', async () => {
    const name = await create();
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const address = taken.address();
    const port = typeof address === 'object' ? String(address?.port) : '';
    const unable = start('serve', name, '--processes', '2', '--port', port, '--json');
    expect([await unable.ended, codesOf(unable)]).toEqual([2, ['CONFIG_INVALID']]);
    taken.close();
    const service = await serve(name);
    const second = start('serve', name, '--processes', '2', '--port', '0', '--json');
    expect([await second.ended, codesOf(second)]).toEqual([2, ['COLLECTION_BUSY']]);
    process.kill(-(service.child.pid ?? 0), 'SIGINT'); // as a terminal does it
    expect([await service.ended, service.errors()]).toEqual([0, '']);
  });
});

interface RunningCommand {
  readonly child: ChildProcess;
  readonly ended: Promise<unknown>;
  readonly errors: () => string;
}

interface RunningService extends RunningCommand {
  readonly port: number;
  readonly events: Record<string, unknown>[];
}

async function create(...args: readonly string[]): Promise<string> {
  const name = `together-${++count}`;
  await promisify(execFile)(process.execPath, [COMMAND, 'init', name, '--dev', ...args], {
    cwd,
    env: environment(),
  });
  return name;
}

function start(...args: readonly string[]): RunningCommand {
  // A process group of its own, as a terminal makes one.
  const child = spawn(process.execPath, [COMMAND, ...args], { cwd, env: environment(), detached: true });
  running.add(child);
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  return { child, ended: once(child, 'close').then(([code]) => code), errors: () => errors };
}

function codesOf({ errors }: RunningCommand): readonly unknown[] {
  return errors()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).code);
}

async function serve(name: string): Promise<RunningService> {
  const command = start('serve', name, '--processes', '2', '--port', '0', '--json');
  const events: RunningService['events'] = [];
  if (command.child.stdout === null) throw new Error('there is nothing to read');
  createInterface({ input: command.child.stdout }).on('line', (line) => void events.push(JSON.parse(line)));
  void command.ended.then((code) => events.push({ event: 'exit', code }));
  await until(() => events.filter(({ event }) => event === 'started' || event === 'exit').length === 2);
  const url = String(events.find(({ event }) => event === 'listening')?.['url']);
  return { ...command, events, port: Number(new URL(url).port) };
}

async function killPublisher({ events }: RunningService): Promise<void> {
  const number = events.filter(({ event }) => event === 'elected').at(-1)?.['process'];
  const started = events.filter((event) => event['event'] === 'started' && event['process'] === number);
  const pid = Number(started.at(-1)?.['pid']);
  process.kill(pid, 'SIGKILL');
  await until(() =>
    events.some((event) => event['event'] === 'ended' && event['pid'] === pid && event['by'] === 'SIGKILL'),
  );
}

/** An author with a verifying client of their own; tries again while the process that was asked is gone. */
async function publish({ port }: RunningService, name: string, project: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    const url = `http://127.0.0.1:${port}/${name}`;
    const { exit, out, err } = await runCommand(
      { cwd, env: {}, clock: Date.now },
      'claim',
      `files/${project}`,
      '--url',
      url,
    );
    if (exit === 5 && tries < 20) continue;
    expect([exit, err]).toEqual([0, expect.any(String)]);
    expect(out).toContain(`Claimed files/${project}`);
    return;
  }
}

/** Clients on connections of their own and on kept ones, who tell each other what they have seen. */
function poll(
  service: RunningService,
  name: string,
): { end(): Promise<{ answers: number; versions: number; backwards: string[] }> } {
  const seen = new Set<number>();
  const backwards: string[] = [];
  let newest = 0;
  let answers = 0;
  let ending = false;
  const client = async (agent: Agent): Promise<void> => {
    while (!ending) {
      const before = newest;
      const version = await timestampVersion(service.port, name, agent).catch(() => undefined); // its process was killed
      if (version === undefined) continue;
      answers++;
      seen.add(version);
      if (version < before) backwards.push(`${version} after ${before}`);
      newest = Math.max(newest, version);
    }
    agent.destroy();
  };
  const clients = Array.from({ length: 6 }, (_, i) => client(new Agent({ keepAlive: i < 4, maxSockets: 1 })));
  return {
    async end() {
      ending = true;
      await Promise.all(clients);
      return { answers, versions: seen.size, backwards };
    },
  };
}

async function timestampVersion(port: number, name: string, agent: Agent): Promise<number> {
  return await new Promise((resolve, reject) => {
    const path = `/${name}/metadata/timestamp.json`;
    const outgoing = get({ host: '127.0.0.1', port, path, agent }, (incoming) => {
      let text = '';
      incoming.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      incoming.on('error', reject);
      incoming.on('end', () =>
        incoming.statusCode === 200 ? resolve(JSON.parse(text).signed.version) : reject(new Error(text)),
      );
    });
    outgoing.on('error', reject);
  });
}

/** Connections at once go to whoever is free. */
async function rolesSeen(service: RunningService, name: string): Promise<Set<unknown>> {
  const seen = new Set<unknown>();
  for (let i = 0; i < 20 && seen.size < 2; i++) {
    const answers = Array.from({ length: 20 }, () => fetch(`http://127.0.0.1:${service.port}/api/v1/${name}/`));
    for (const answer of await Promise.all(answers)) seen.add(JSON.parse(await answer.text()).role);
  }
  return seen;
}

async function until(check: () => boolean): Promise<void> {
  for (const from = performance.now(); !check(); ) {
    if (performance.now() - from > 20_000) throw new Error('waited in vain');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Without what a surrounding `npm test` hands to its children, and with the keys of the object store. */
function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(npm_|COUNTERSIGN_)/i.test(name));
  return {
    ...Object.fromEntries(kept),
    COUNTERSIGN_STORE_ACCESS_KEY_ID: S3_KEYS.accessKeyId,
    COUNTERSIGN_STORE_SECRET_ACCESS_KEY: S3_KEYS.secretAccessKey,
  };
}
