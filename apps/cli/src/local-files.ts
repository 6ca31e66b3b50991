// Files and folders on the user's disk, as target paths: a file by its name, a
// folder by what lies in it. In a fixed order, one folder in memory at a time.
// Links are passed by: what they lead to may lie outside the folder.

import { createHash } from 'node:crypto';
import { createReadStream, type Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
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

/**
 * The files behind a path: itself, or everything in the folder.
 *
 * @param skipped told of what is neither file nor folder
 * @throws UsageError USAGE_INVALID when there is none; StoreError STORE_READ
 */
export async function* filesBelow(
  named: string,
  cwd: string,
  skipped: (file: string) => void = () => undefined,
): AsyncGenerator<LocalFile, void> {
  const start = resolve(cwd, named);
  const facts = await stat(start).catch(() => undefined); // absent: refused next
  if (facts === undefined) throw new UsageError('USAGE_INVALID', `Reading ${named}: there is no such file or folder`);
  if (facts.isDirectory()) yield* inFolder(start, '', skipped);
  else yield { file: start, path: basename(start) };
}

async function* inFolder(
  folder: string,
  prefix: string,
  skipped: (file: string) => void,
): AsyncGenerator<LocalFile, void> {
  for (const entry of await entriesOf(folder)) {
    const file = join(folder, entry.name);
    const path = prefix + entry.name;
    if (entry.isDirectory()) yield* inFolder(file, `${path}/`, skipped);
    else if (entry.isFile()) yield { file, path };
    else skipped(file);
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

/** Reads a file once, for its digests. @throws StoreError STORE_READ */
export async function hashed(local: LocalFile): Promise<HashedFile> {
  const [sha256, sha512] = [createHash('sha256'), createHash('sha512')];
  let length = 0;
  try {
    for await (const chunk of bytesOf(local.file)) {
      sha256.update(chunk);
      sha512.update(chunk);
      length += chunk.length;
    }
  } catch (cause) {
    throw new StoreError('STORE_READ', `Reading ${local.file}: the system refused`, {
      detail: { file: local.file },
      cause,
    });
  }
  const digests = { sha256: sha256.digest('hex'), sha512: sha512.digest('hex') };
  return { ...local, ...digests, length, read: () => bytesOf(local.file) };
}

/** The bytes of a file, in pieces. */
export async function* bytesOf(file: string): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of createReadStream(file)) if (chunk instanceof Uint8Array) yield chunk;
}
