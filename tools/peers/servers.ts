// Servers of others that storage is tested against: found on this machine or
// installed once into the user's cache, started on a free port for one test
// file, and ended with it. A server that cannot be had is data, as other peers.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where a server's programs are, or why it cannot be had. */
export type FoundServer =
  | { readonly available: true; readonly name: string; readonly folder: string }
  | { readonly available: false; readonly name: string; readonly why: string };

/** A server that runs. */
export interface RunningServer {
  readonly url: string;
  /** Ends it as a crash would. */
  crash(): Promise<void>;
  /** Starts it again, on the same port, over what it had written. */
  restart(): Promise<void>;
  /** Ends it and removes what it had written. */
  close(): Promise<void>;
}

/** How a server is run. */
export interface ServerRecipe {
  readonly command: string;
  readonly args: (port: number, folder: string) => readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Who runs it, if not we. */
  readonly user?: { readonly uid: number; readonly gid: number };
  /** What ends it at once, with its children. */
  readonly signal: NodeJS.Signals;
  readonly url: (port: number) => string;
  /** Tells whether it answers. */
  readonly ready: (url: string) => Promise<boolean>;
}

/** Starts a server over a new folder in the system's temporary one. */
export async function startServer(
  recipe: ServerRecipe,
  prepare: (folder: string) => Promise<void>,
): Promise<RunningServer> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-server-'));
  await prepare(folder);
  const port = await freePort();
  const url = recipe.url(port);
  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    const { command, args, env = {}, user } = recipe;
    const running = spawn(command, args(port, folder), {
      stdio: 'ignore',
      cwd: folder,
      env: { ...ENV, ...env },
      ...user,
    });
    child = running;
    for (let tries = 0; !(await recipe.ready(url)); tries++) {
      if (running.exitCode !== null || tries > 200) throw new Error(`Starting ${command}: it does not answer`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const end = async (): Promise<void> => {
    const running = child;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const ended = new Promise((resolve) => running.once('exit', resolve));
    running.kill(recipe.signal);
    await ended;
  };
  process.once('exit', () => child?.kill(recipe.signal));
  await start();
  return {
    url,
    crash: end,
    restart: start,
    async close() {
      await end();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Runs a program to its end. @throws Error with its last words when it fails */
export async function runToEnd(
  command: string,
  args: readonly string[],
  options: { readonly env?: NodeJS.ProcessEnv; readonly user?: ServerRecipe['user']; readonly cwd?: string } = {},
): Promise<void> {
  const { env = {}, user, cwd = tmpdir() } = options;
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...ENV, ...env }, cwd, ...user });
  let words = '';
  child.stderr.on('data', (chunk) => {
    words = `${words}${chunk}`.slice(-2000);
  });
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`${command} ${args[0]} failed: ${words.trim().split('\n').at(-1)}`)),
    );
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('Finding a free port: there is none');
  return address.port;
}

// What this run says about its own packages is not the server's business.
const ENV = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(?:npm_|PG)/.test(name)));
