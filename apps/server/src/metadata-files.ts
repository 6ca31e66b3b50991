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
    reply.header('accept-ranges', 'bytes');
    if (isNamed(request.headers['if-none-match'], found.etag)) return await reply.code(304).send();
    reply.type('application/json');
    const ifRange = request.headers['if-range'];
    const range = ifRange === undefined || ifRange === found.etag ? request.headers.range : undefined;
    const part = partOf(range, found.bytes.length);
    if (part === 'all') return await reply.send(found.bytes);
    if (part === 'none') {
      return await reply.code(416).header('content-range', `bytes */${found.bytes.length}`).send('');
    }
    const { first, last } = part;
    reply.code(206).header('content-range', `bytes ${first}-${last}/${found.bytes.length}`);
    return await reply.send(found.bytes.subarray(first, last + 1));
  });
}

/** Whether an If-None-Match names this ETag (RFC 9110 §13.1.2: compared weakly, `*` names any). */
function isNamed(header: string | undefined, etag: string): boolean {
  const names = (header ?? '').split(',').map((name) => name.trim().replace(/^W\//, ''));
  return names.includes(etag) || names.includes('*');
}

/** Which bytes a Range header asks for (RFC 9110 §14.2): one range, and everything where it asks for several or for nonsense. */
function partOf(header: string | undefined, length: number): { first: number; last: number } | 'all' | 'none' {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (match === null) return 'all';
  const [, from = '', to = ''] = match;
  if (from === '' && to === '') return 'all';
  const first = from === '' ? Math.max(0, length - Number(to)) : Number(from);
  const last = from === '' || to === '' ? length - 1 : Math.min(Number(to), length - 1);
  if (from !== '' && to !== '' && Number(to) < first) return 'all';
  return first < length && first <= last ? { first, last } : 'none';
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
