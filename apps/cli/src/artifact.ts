// From a path on the author's disk to a file to publish: a package folder is
// packed by the author's own npm, everything else is taken as it is. The
// ecosystem reads the bytes and says which project and entry they are.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { type Project, StoreError, UsageError } from '@countersign/core';
import { ecosystemOf, type Inspected } from '@countersign/ecosystems';
import type { Upload } from './http-api.ts';
import type { Output } from './output.ts';
import { foreignEnvironment, type Shell } from './shell.ts';

/** A file to publish, read once and hashed. */
export interface Artifact extends Upload {
  /** As the user named it. */
  readonly source: string;
  readonly inspected: Inspected;
  readonly sha512: string;
}

/**
 * Reads the artifacts behind paths, for as long as `use` runs.
 *
 * @param project what plain files belong to; packages say it themselves
 * @throws UsageError USAGE_INVALID; AdmissionError ENTRY_INVALID, NAME_INVALID; StoreError
 */
export async function withArtifacts<T>(
  paths: readonly string[],
  project: Project | undefined,
  surroundings: { readonly shell: Shell; readonly output: Output },
  use: (artifacts: readonly Artifact[]) => Promise<T>,
): Promise<T> {
  const { shell, output } = surroundings;
  const room = await mkdtemp(join(tmpdir(), 'countersign-pack-'));
  try {
    const artifacts: Artifact[] = [];
    for (const [i, source] of paths.entries()) {
      const progress = output.progress(`Reading ${source}`);
      const file = await fileOfPath(source, project, join(room, String(i)), shell);
      artifacts.push(await readArtifact(source, file, project));
      progress.end();
    }
    return await use(artifacts);
  } finally {
    await rm(room, { recursive: true, force: true });
  }
}

async function fileOfPath(source: string, project: Project | undefined, room: string, shell: Shell): Promise<string> {
  const path = resolve(shell.cwd, source);
  const facts = await stat(path).catch(() => undefined); // absent: refused next
  if (facts === undefined) throw unusable(source, 'there is no such file or folder');
  if (!facts.isDirectory()) {
    if (project === undefined && !source.endsWith('.tgz')) {
      throw unusable(source, 'it is no package; say what it belongs to with --project files/<name>');
    }
    return path;
  }
  if (project !== undefined && project.ecosystem !== 'npm') throw unusable(source, 'it is a folder, not a file');
  const manifest = await stat(join(path, 'package.json')).catch(() => undefined); // absent: refused next
  if (manifest === undefined) throw unusable(source, 'it holds no package.json');
  return await packedByNpm(source, path, room, shell);
}

async function readArtifact(source: string, file: string, project: Project | undefined): Promise<Artifact> {
  const [sha256, sha512] = [createHash('sha256'), createHash('sha512')];
  let length = 0;
  try {
    for await (const chunk of bytesOf(file)) {
      sha256.update(chunk);
      sha512.update(chunk);
      length += chunk.length;
    }
  } catch (cause) {
    throw new StoreError('STORE_READ', `Reading ${source}: the system refused`, { detail: { file }, cause });
  }
  const hint = { fileName: basename(file), ...(project && { project }) };
  const inspected = await ecosystemOf(project?.ecosystem ?? 'npm').inspect(bytesOf(file), hint);
  return {
    source,
    inspected,
    length,
    sha256: sha256.digest('hex'),
    sha512: sha512.digest('hex'),
    read: () => bytesOf(file),
  };
}

async function* bytesOf(file: string): AsyncGenerator<Uint8Array> {
  for await (const chunk of createReadStream(file)) if (chunk instanceof Uint8Array) yield chunk;
}

/** Runs the user's own npm, which decides what belongs into the package. */
async function packedByNpm(source: string, folder: string, room: string, shell: Shell): Promise<string> {
  await mkdir(room, { recursive: true });
  const windows = process.platform === 'win32';
  const running = spawn('npm', ['pack', '--json', '--pack-destination', windows ? `"${room}"` : room], {
    cwd: folder,
    env: foreignEnvironment(shell),
    stdio: ['ignore', 'ignore', 'pipe'],
    shell: windows,
  });
  const told: Buffer[] = [];
  running.stderr.on('data', (chunk: Buffer) => told.push(chunk));
  const exit = await new Promise<number | string>((done) => {
    running.on('error', (error) => done(error.message));
    running.on('close', (code) => done(code ?? 'a signal'));
  });
  const packed = (await readdir(room)).filter((name) => name.endsWith('.tgz'));
  const [name] = packed;
  if (exit === 0 && name !== undefined && packed.length === 1) return join(room, name);
  throw new UsageError('USAGE_INVALID', `Packing ${source}: npm pack made no package (${exit})`, {
    detail: { folder, npm: Buffer.concat(told).toString('utf8').trim().split('\n').slice(-5) },
  });
}

function unusable(source: string, problem: string): UsageError {
  return new UsageError('USAGE_INVALID', `Publishing ${source}: ${problem}`, { detail: { path: source } });
}
