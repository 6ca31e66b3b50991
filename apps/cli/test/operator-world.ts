// An operator at the command line: collections made by `init` in one state
// folder, served by `serve` in this process, and commands that talk to it.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Ran, runCommand } from './cli-world.ts';

/** Somebody with a key of their own, on the operator's machine. */
export interface Member {
  readonly keyFile: string;
  readonly publicFile: string;
  /** Signs an event of a collection. */
  sign(event: string, collection: string): Promise<Ran>;
}

/** The operator's machine. */
export interface OperatorWorld {
  readonly folder: string;
  /** The folder of a collection. */
  collection(name: string): string;
  /** Runs a command against the service, if it runs. */
  run(...args: readonly string[]): Promise<Ran>;
  /** The document that a command prints with --json; throws when it failed. */
  json(...args: readonly string[]): Promise<Record<string, unknown>>;
  /** Writes a file below the folder and gives its path. */
  file(path: string, content: Uint8Array | string): Promise<string>;
  /** Starts the service, and gives its address. */
  serve(...names: readonly string[]): Promise<string>;
  /** The address of the service. */
  url(): string;
  /** Makes a key. */
  key(name: string): Promise<Member>;
  /** What the service has logged. */
  log(): string;
  stop(): Promise<void>;
  close(): Promise<void>;
}

/** Makes collections: each by the arguments of its `init`. */
export async function operatorWorld(...collections: readonly (readonly string[])[]): Promise<OperatorWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-operator-'));
  let port = 1; // nothing listens there
  let log = '';
  let running: { readonly ended: Promise<Ran>; readonly stop: () => void } | undefined;
  const run = async (...args: readonly string[]): Promise<Ran> =>
    await runCommand({ cwd: folder, env: { COUNTERSIGN_PORT: String(port) } }, ...args);
  const json = async (...args: readonly string[]): Promise<Record<string, unknown>> => {
    const { exit, out, err } = await run(...args, '--json');
    if (exit !== 0) throw new Error(err);
    const document: unknown = JSON.parse(out);
    return typeof document === 'object' && document !== null ? { ...document } : {};
  };
  const stop = async (): Promise<void> => {
    running?.stop();
    await running?.ended;
    running = undefined;
  };
  for (const args of collections) await json('init', ...args, '--dev');
  return {
    folder,
    collection: (name) => join(folder, '.countersign', 'collections', name),
    run,
    json,
    async file(path, content) {
      const file = join(folder, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, content);
      return file;
    },
    async serve(...names) {
      let told: (url: string) => void;
      const listening = new Promise<string>((resolve) => {
        told = resolve;
      });
      let end: () => void = () => undefined;
      const stopped = new Promise<void>((resolve) => {
        end = resolve;
      });
      const write = (text: string): void => {
        log += text;
        const url = /listening on (\S+)/.exec(text)?.[1];
        if (url !== undefined) told(url);
      };
      const shell = { cwd: folder, env: {}, stdout: { write, isTerminal: false }, untilStopped: () => stopped };
      const ended = runCommand(shell, 'serve', ...names, '--port', '0');
      running = { ended, stop: end };
      const failed = ended.then(({ err }) => Promise.reject(new Error(err)));
      failed.catch(() => undefined); // after it has listened, `stop` looks at it
      const url = await Promise.race([listening, failed]);
      port = Number(new URL(url).port);
      return url;
    },
    url: () => `http://127.0.0.1:${port}`,
    async key(name) {
      const keyFile = join(folder, `${name}.pem`);
      const publicFile = join(folder, `${name}.json`);
      await json('key', 'create', keyFile);
      await writeFile(publicFile, (await run('key', 'show', keyFile)).out);
      const sign = (event: string, collection: string): Promise<Ran> =>
        run('sign', event, '--yes', '--key', keyFile, '--collection', collection);
      return { keyFile, publicFile, sign };
    },
    log: () => log,
    stop,
    async close() {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
