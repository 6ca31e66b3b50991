// A collection, its service on loopback, and people at their command lines,
// all in this process, on one clock that only a test moves.

import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Instant } from '@countersign/core';
import type { RepositoryLimits } from '@countersign/repository';
import {
  createCollectionFolder,
  openCollectionFolder,
  passphrasesOf,
  type Server,
  startServer,
} from '@countersign/server';
import { run } from '../src/program.ts';
import type { Shell } from '../src/shell.ts';

/** What a command printed and how it ended. */
export interface Ran {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
}

/** The world of one test file. */
export interface CliWorld {
  readonly folder: string;
  readonly url: string;
  readonly api: string;
  readonly token: string;
  readonly anchor: Uint8Array;
  /** Runs a command as somebody with a state folder of their own. */
  as(person: string, ...args: readonly string[]): Promise<Ran>;
  /** The document that a command prints with --json; throws when it failed. */
  json(person: string, ...args: readonly string[]): Promise<Record<string, unknown>>;
  /** Writes a file into the world and gives its path. */
  file(name: string, content: Uint8Array | string): Promise<string>;
  /** What clients see as timestamp: changes with every publication. */
  timestamp(): Promise<string>;
  move(milliseconds: number): void;
  /** What the service does by itself now and then. */
  renew(): Promise<void>;
  /** Stops the service; the collection stays. */
  stop(): Promise<void>;
  close(): Promise<void>;
}

/** The passphrase of everybody's key. */
export const PASSPHRASE = 'correct horse';

/** Starts a world at 2030-01-01. */
export async function startCliWorld(limits: Partial<RepositoryLimits> = {}): Promise<CliWorld> {
  let now: Instant = Date.parse('2030-01-01T00:00:00Z');
  const clock = (): Instant => now;
  const folder = await mkdtemp(join(tmpdir(), 'countersign-cli-'));
  // Where `promote` looks for the operator's collection.
  const collection = join(folder, 'operator', 'collections', 'main');
  const passphrases = passphrasesOf(collection, {}, 'create');
  const made = await createCollectionFolder({ folder: collection, name: 'main', passphrases, clock });
  const open = await openCollectionFolder({ folder: collection, name: 'main', passphrases, clock, limits });
  const server: Server = await startServer({ collections: [open], port: 0, renewEvery: 0, clock });
  let running = true;
  const url = `${server.url}/main`;
  const root = join(folder, 'root.json');
  await writeFile(root, made.anchor);
  const as = async (person: string, ...args: readonly string[]): Promise<Ran> => {
    const env = {
      // The quorum's offline key lies where the operator's `init` made it.
      COUNTERSIGN_STATE: join(folder, person === 'quorum' ? 'operator' : person),
      COUNTERSIGN_URL: url,
      COUNTERSIGN_ROOT: root,
      COUNTERSIGN_TOKEN: made.token,
      ...(person !== 'operator' && person !== 'quorum' && { COUNTERSIGN_PASSPHRASE: PASSPHRASE }),
    };
    return await runCommand({ cwd: folder, env, clock }, ...args);
  };
  return {
    folder,
    url,
    api: `${server.url}/api/v1/main`,
    token: made.token,
    anchor: made.anchor,
    as,
    async json(person, ...args) {
      const { exit, out, err } = await as(person, ...args, '--json');
      if (exit !== 0) throw new Error(err);
      const document: unknown = JSON.parse(out);
      return typeof document === 'object' && document !== null ? { ...document } : {};
    },
    async file(name, content) {
      const path = join(folder, name);
      await writeFile(path, content);
      return path;
    },
    timestamp: async () => await readFile(join(collection, 'site', 'metadata', 'timestamp.json'), 'utf8'),
    move(milliseconds) {
      now += milliseconds;
    },
    renew: async () => await open.repository.renew(),
    async stop() {
      if (running) await server.close();
      running = false;
    },
    async close() {
      if (running) await server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Runs one command in a shell of its own. */
export async function runCommand(
  shell: Partial<Shell> & Pick<Shell, 'cwd' | 'env'>,
  ...args: readonly string[]
): Promise<Ran> {
  let [out, err] = ['', ''];
  const exit = await run(args, {
    clock: () => Date.parse('2030-01-01T00:00:00Z'),
    stdout: { write: (text) => void (out += text), isTerminal: false },
    stderr: { write: (text) => void (err += text), isTerminal: false },
    ask: undefined,
    untilStopped: () => Promise.resolve(),
    ...shell,
  });
  return { exit, out, err };
}

/** An npm package as `npm pack` would make it: one folder `package/`, gzipped. */
export function npmTarball(manifest: Readonly<Record<string, unknown>>, text = 'export {};\n'): Uint8Array {
  const files = { 'package/package.json': JSON.stringify(manifest), 'package/index.js': text };
  const blocks = Object.entries(files).flatMap(([name, content]) => tarEntry(name, Buffer.from(content)));
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)]), { level: 9 });
}

/** Hashes of bytes, as a target lists them. */
export function hashesOf(bytes: Uint8Array): ReadonlyMap<string, string> {
  return new Map(['sha256', 'sha512'].map((name) => [name, createHash(name).update(bytes).digest('hex')]));
}

function tarEntry(name: string, content: Buffer): readonly Buffer[] {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write('0000644\0', 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136);
  header.write('        ', 148);
  header.write('0', 156);
  header.write('ustar\u000000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return [header, content, Buffer.alloc((512 - (content.length % 512)) % 512)];
}
