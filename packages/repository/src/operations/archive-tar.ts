// A backup in one tar file, as any tar reads it (POSIX ustar; lengths from 8 GiB
// on in GNU's binary form). Written beside its name and renamed into place when
// it is whole; read by an index of its headers.

import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { StoreError, UsageError, utf8 } from '@countersign/core';
import { syncFolder, writeError } from '../embedded/files.ts';
import { type ArchiveReader, type ArchiveWriter, MANIFEST, streamOf } from './archive.ts';
import { requireLength } from './archive-folder.ts';

/** Begins a backup in a new tar file. @throws UsageError USAGE_INVALID when the file is there; StoreError STORE_WRITE */
export async function tarArchive(file: string): Promise<ArchiveWriter> {
  if ((await stat(file).catch(() => undefined)) !== undefined) {
    throw new UsageError('USAGE_INVALID', 'Beginning a backup: there is a file of this name', { detail: { file } });
  }
  const temporary = `${file}.partial-${randomUUID()}`;
  const handle = await open(temporary, 'wx', 0o600).catch((error: unknown) => {
    throw writeError(temporary, error);
  });
  const append = async (name: string, length: number, body: AsyncIterable<Uint8Array>): Promise<void> => {
    try {
      await handle.writeFile(headerOf(name, length));
      let written = 0;
      for await (const chunk of body) {
        written += chunk.length;
        await handle.writeFile(chunk);
      }
      requireLength(name, length, written);
      await handle.writeFile(new Uint8Array(paddingOf(length)));
    } catch (error) {
      throw writeError(temporary, error);
    }
  };
  return {
    atOnce: 1,
    existing: async () => undefined,
    write: append,
    async finish(manifest) {
      await append(MANIFEST, manifest.length, streamOf(manifest));
      try {
        await handle.writeFile(new Uint8Array(2 * BLOCK));
        await handle.sync();
        await handle.close();
        await rename(temporary, file);
        await syncFolder(dirname(file));
      } catch (error) {
        throw writeError(file, error);
      }
    },
    async abandon() {
      await handle.close().catch(() => undefined); // may be closed already
      await unlink(temporary).catch(() => undefined); // may have its name already
    },
  };
}

/** Opens a backup in a tar file. @throws StoreError STORE_READ, STORE_CORRUPT when it is no whole tar file */
export async function openTarArchive(file: string): Promise<ArchiveReader> {
  const parts = await indexOf(file);
  return {
    size: async (name) => parts.get(name)?.length,
    async *read(name) {
      const part = parts.get(name);
      if (part === undefined) throw new StoreError('STORE_READ', `Reading ${file}: it has no ${name}`);
      if (part.length > 0) yield* createReadStream(file, { start: part.at, end: part.at + part.length - 1 });
    },
    close: async () => undefined,
  };
}

async function indexOf(file: string): Promise<ReadonlyMap<string, { readonly at: number; readonly length: number }>> {
  const handle = await open(file, 'r').catch((cause: unknown) => {
    throw new StoreError('STORE_READ', `Reading ${file}: it cannot be opened`, { cause });
  });
  const parts = new Map<string, { at: number; length: number }>();
  const header = new Uint8Array(BLOCK);
  try {
    const { size } = await handle.stat();
    for (let at = 0; ; ) {
      const { bytesRead } = await handle.read(header, 0, BLOCK, at);
      if (bytesRead < BLOCK) throw new StoreError('STORE_CORRUPT', `Reading ${file}: the tar file is cut short`);
      if (header.every((byte) => byte === 0)) return parts;
      const length = lengthIn(header);
      const name = textIn(header, 0, 100);
      if (checksumOf(header) !== Number.parseInt(textIn(header, 148, 8), 8) || at + BLOCK + length > size) {
        throw new StoreError('STORE_CORRUPT', `Reading ${file}: a header of the tar file is damaged`);
      }
      parts.set(name, { at: at + BLOCK, length });
      at += BLOCK + length + paddingOf(length);
    }
  } finally {
    await handle.close();
  }
}

function headerOf(name: string, length: number): Uint8Array {
  const header = new Uint8Array(BLOCK);
  const put = (at: number, text: string): void => header.set(utf8(text), at);
  put(0, name);
  put(100, '0000600\0');
  put(108, '0000000\0');
  put(116, '0000000\0');
  putLength(header, length);
  put(136, '00000000000\0'); // the same content makes the same file
  put(156, '0');
  put(257, 'ustar\x0000');
  put(148, `${checksumOf(header).toString(8).padStart(6, '0')}\0 `);
  return header;
}

/** The sum of a header's bytes, with spaces where the sum itself stands. */
function checksumOf(header: Uint8Array): number {
  let sum = 8 * 0x20;
  for (const [i, byte] of header.entries()) if (i < 148 || i >= 156) sum += byte;
  return sum;
}

function putLength(header: Uint8Array, length: number): void {
  if (length < 8 ** 11) {
    header.set(utf8(`${length.toString(8).padStart(11, '0')}\0`), 124);
    return;
  }
  new DataView(header.buffer).setBigUint64(128, BigInt(length));
  header[124] = 0x80;
}

function lengthIn(header: Uint8Array): number {
  if (header[124] === 0x80) return Number(new DataView(header.buffer).getBigUint64(128));
  return Number.parseInt(textIn(header, 124, 12), 8);
}

function textIn(header: Uint8Array, at: number, width: number): string {
  const bytes = header.subarray(at, at + width);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end)).trim();
}

function paddingOf(length: number): number {
  return (BLOCK - (length % BLOCK)) % BLOCK;
}

const BLOCK = 512;
