// Metadata files over HTTP: from memory, with a strong ETag that is the
// content's hash. What is on disk is the truth: a file that changed there is
// read again, so a restored or damaged site is served as it is and clients judge.

import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AdmissionError } from '@countersign/core';
import type { FastifyInstance } from 'fastify';

/** Serves `<prefix>/<file>` from a folder. */
export function serveMetadata(app: FastifyInstance, prefix: string, folder: string): void {
  const cache = new FileCache(folder);
  app.get<{ Params: { file: string } }>(`${prefix}/:file`, async (request, reply) => {
    const { file } = request.params;
    const found = await cache.read(file);
    // Versioned names never change content; the timestamp always may.
    reply.header('cache-control', /^\d+\./.test(file) ? 'public, max-age=31536000, immutable' : 'no-cache');
    reply.header('etag', found.etag);
    if (request.headers['if-none-match'] === found.etag) return await reply.code(304).send();
    return await reply.type('application/json').send(found.bytes);
  });
}

interface CachedFile {
  readonly bytes: Buffer;
  readonly etag: string;
  readonly stamp: string;
}

/** Files in memory, the oldest given up first, each checked against the disk on every read. */
class FileCache {
  private readonly folder: string;
  private readonly files = new Map<string, CachedFile>();
  private held = 0;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** @throws AdmissionError NOT_FOUND */
  async read(file: string): Promise<CachedFile> {
    if (!/^[A-Za-z0-9._~-]+\.json$/.test(file)) throw missing(file);
    const path = join(this.folder, file);
    const facts = await stat(path).catch(() => undefined); // absent
    if (facts === undefined) throw missing(file);
    const stamp = `${facts.ino}:${facts.size}:${facts.mtimeMs}`;
    const known = this.files.get(file);
    if (known?.stamp === stamp) return known;
    const bytes = await readFile(path);
    const etag = `"${createHash('sha256').update(bytes).digest('hex')}"`;
    this.forget(file);
    this.files.set(file, { bytes, etag, stamp });
    this.held += bytes.length;
    for (const oldest of this.files.keys()) {
      if (this.held <= CACHE_BYTES) break;
      this.forget(oldest);
    }
    return { bytes, etag, stamp };
  }

  private forget(file: string): void {
    this.held -= this.files.get(file)?.bytes.length ?? 0;
    this.files.delete(file);
  }
}

function missing(file: string): AdmissionError {
  return new AdmissionError('NOT_FOUND', 'Looking up metadata: there is no such file', {
    detail: { file: file.slice(0, 200) },
  });
}

const CACHE_BYTES = 64 * 1024 * 1024;
