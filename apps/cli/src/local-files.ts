// Files and folders on the user's disk, as target paths: a file by its name, a
// folder by what lies in it. In a fixed order, one folder in memory at a time.
// Links are passed by: what they lead to may lie outside the folder.

import { createHash, webcrypto } from 'node:crypto';
import { createReadStream, type Dirent } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { StoreError, UsageError } from '@countersign/core';
import type { Upload } from './http-api.ts';

/** A file on disk, and where it belongs below what was named. */
export interface LocalFile {
  readonly file: string;
  /** With `/` between segments. */
  readonly path: string;
}

/** A file, read and hashed. */
export interface HashedFile extends LocalFile, Upload {
  readonly sha512: string;
}

/** How a folder is walked. */
export interface Walk {
  /** Told of what is neither file nor folder. */
  readonly skipped?: (file: string) => void;
  /** A path below the folder: only what comes behind it is wanted. */
  readonly after?: string;
}

/**
 * The files behind a path: itself, or everything in the folder.
 *
 * @throws UsageError USAGE_INVALID when there is none; StoreError STORE_READ
 */
export async function* filesBelow(named: string, cwd: string, walk: Walk = {}): AsyncGenerator<LocalFile, void> {
  const start = resolve(cwd, named);
  const facts = await stat(start).catch(() => undefined); // absent: refused next
  if (facts === undefined) throw new UsageError('USAGE_INVALID', `Reading ${named}: there is no such file or folder`);
  const after = walk.after === undefined || walk.after === '' ? [] : walk.after.split('/');
  if (facts.isDirectory()) yield* inFolder(start, '', after, walk.skipped);
  else yield { file: start, path: basename(start) };
}

async function* inFolder(
  folder: string,
  prefix: string,
  [after, ...deeper]: readonly string[],
  skipped: Walk['skipped'],
): AsyncGenerator<LocalFile, void> {
  for (const entry of await entriesOf(folder)) {
    if (after !== undefined && entry.name < after) continue;
    const file = join(folder, entry.name);
    const path = prefix + entry.name;
    if (entry.isDirectory()) yield* inFolder(file, `${path}/`, entry.name === after ? deeper : [], skipped);
    else if (entry.name === after) continue;
    else if (entry.isFile()) yield { file, path };
    else skipped?.(file);
  }
}

async function entriesOf(folder: string): Promise<readonly Dirent[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (cause) {
    throw new StoreError('STORE_READ', `Reading ${folder}: the system refused`, { detail: { file: folder }, cause });
  }
}

/**
 * Reads a file once, for its digests. Small ones are hashed beside each other,
 * off the main thread; large ones in pieces, so that memory stays small.
 *
 * @throws StoreError STORE_READ
 */
export async function hashed(local: LocalFile): Promise<HashedFile> {
  try {
    const { size } = await stat(local.file);
    const digests = await (size > SMALL ? digestsInPieces(local.file) : digestsAtOnce(local.file));
    return { ...local, ...digests, read: () => bytesOf(local.file) };
  } catch (cause) {
    throw new StoreError('STORE_READ', `Reading ${local.file}: the system refused`, {
      detail: { file: local.file },
      cause,
    });
  }
}

type Digests = Pick<HashedFile, 'sha256' | 'sha512' | 'length'>;

async function digestsAtOnce(file: string): Promise<Digests> {
  const bytes = new Uint8Array(await readFile(file));
  const digest = async (name: string): Promise<string> =>
    Buffer.from(await webcrypto.subtle.digest(name, bytes)).toString('hex');
  const [sha256, sha512] = await Promise.all([digest('SHA-256'), digest('SHA-512')]);
  return { sha256, sha512, length: bytes.length };
}

async function digestsInPieces(file: string): Promise<Digests> {
  const [sha256, sha512] = [createHash('sha256'), createHash('sha512')];
  let length = 0;
  for await (const chunk of bytesOf(file)) {
    sha256.update(chunk);
    sha512.update(chunk);
    length += chunk.length;
  }
  return { sha256: sha256.digest('hex'), sha512: sha512.digest('hex'), length };
}

/** The bytes of a file, in pieces. */
export async function* bytesOf(file: string): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of createReadStream(file)) if (chunk instanceof Uint8Array) yield chunk;
}

// Bytes: several of these are in memory at the same time.
const SMALL = 4 * 1024 * 1024;
