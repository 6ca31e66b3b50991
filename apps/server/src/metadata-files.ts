// Metadata files over HTTP: from memory, with a strong ETag that is the
// content's hash. What is on disk is the truth: each answer looks whether the
// file is still the same, so a restored or damaged site is served as it is and
// clients judge. What is known already is answered before any routing, because
// clients poll; a file seen for the first time takes the route.
// Never says more than the folder holds; never answers for another folder.

import { createHash } from 'node:crypto';
import { type Stats, statSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { AdmissionError } from '@countersign/core';
import type { FastifyInstance } from 'fastify';

/**
 * An HTTP server that answers `GET /<collection>/metadata/<file>` from memory
 * where it can, and leaves everything else to `route`.
 *
 * @param files of each collection, by its name
 */
export function metadataServer(files: ReadonlyMap<string, MetadataSource>, route: RequestListener): Server {
  const server = createServer((request, response) => {
    const [, collection = '', file = ''] = PLAIN_ADDRESS.exec(request.url ?? '') ?? [];
    const found =
      request.method === 'GET' || request.method === 'HEAD' ? files.get(collection)?.known(file) : undefined;
    // While the service stops, the router says so.
    if (found === undefined || !server.listening) route(request, response);
    else answer(request, response, found);
  });
  // A blob may take its time; whoever polls keeps a connection.
  server.requestTimeout = 0;
  server.keepAliveTimeout = KEEP_ALIVE_MILLIS;
  return server;
}

/** Adds the route for what is not in memory, and for unusual spellings of an address. */
export function routeMetadata(app: FastifyInstance, prefix: string, files: MetadataSource): void {
  app.get<{ Params: { file: string } }>(`${prefix}/:file`, async (request, reply) => {
    const { file } = request.params;
    const found = await files.read(file);
    reply.hijack();
    answer(request.raw, reply.raw, found);
  });
}

/** Where the metadata files of one collection come from. */
export interface MetadataSource {
  /** A file as it is now, if that can be told at once. */
  known(file: string): MetadataFile | undefined;
  /** @throws AdmissionError NOT_FOUND; StoreError when nobody can tell */
  read(file: string): Promise<MetadataFile>;
}

/** The metadata files of a folder: in memory, the oldest given up first, each compared with the disk on every read. */
export class MetadataFiles implements MetadataSource {
  private readonly folder: string;
  private readonly files = new HeldFiles<FolderFile>();
  private readonly compared = new Set<FolderFile>();

  constructor(folder: string) {
    this.folder = folder;
  }

  /** A file as the disk has it now, if it is in memory already. */
  known(file: string): MetadataFile | undefined {
    const known = this.files.get(file);
    if (known === undefined || this.compared.has(known)) return known;
    try {
      // In place: asking the thread pool costs more than all the rest of an answer.
      if (!isSame(known.stamp, statSync(known.path))) return undefined;
    } catch {
      return undefined; // gone, or not readable any more: for `read` to say
    }
    // Another process may have told of a newer timestamp by now, so that one is looked at for each answer. A name with
    // a version keeps its content: one look is enough for all requests that one turn of the event loop finds waiting.
    if (file === TIMESTAMP) return known;
    if (this.compared.size === 0) setImmediate(() => this.compared.clear());
    this.compared.add(known);
    return known;
  }

  async read(file: string): Promise<MetadataFile> {
    if (!isPlainName(file)) throw missingMetadata(file);
    const path = join(this.folder, file);
    const stamp = await stat(path).catch(() => undefined); // absent
    if (stamp === undefined) throw missingMetadata(file);
    const known = this.files.get(file);
    if (known !== undefined && isSame(known.stamp, stamp)) return known;
    const read = await readWhole(path, file).catch(() => undefined); // gone since, or a folder
    if (read === undefined) throw missingMetadata(file);
    this.files.set(file, read);
    return read;
  }
}

/** Files in memory up to a bound, the oldest given up first. */
export class HeldFiles<F extends MetadataFile> {
  private readonly files = new Map<string, F>();
  private held = 0;

  get(name: string): F | undefined {
    return this.files.get(name);
  }

  set(name: string, file: F): void {
    this.forget(name);
    this.files.set(name, file);
    this.held += file.costs;
    for (const oldest of this.files.keys()) {
      if (this.held <= CACHE_BYTES) break;
      this.forget(oldest);
    }
  }

  private forget(name: string): void {
    this.held -= this.files.get(name)?.costs ?? 0;
    this.files.delete(name);
  }
}

/** One file in memory, with the forms in which it is sent. */
export class MetadataFile {
  readonly plain: Form;
  /** What it counts for in the cache, in bytes: compressed forms, which come later, included. */
  readonly costs: number;
  private readonly name: string;
  private readonly digest: string;
  private readonly compressed = new Map<Coding, Form | 'under way'>();

  constructor(name: string, bytes: Buffer) {
    this.name = name;
    this.digest = createHash('sha256').update(bytes).digest('hex');
    this.plain = formOf(name, bytes, this.digest, undefined);
    this.costs = bytes.length * 2;
  }

  /** The best form that this Accept-Encoding takes. Nobody waits for compression: who asks first gets the plain one. */
  formFor(accepted: string | undefined): Form {
    if (accepted === undefined || this.plain.bytes.length < LEAST_COMPRESSED) return this.plain;
    for (const coding of CODINGS) {
      if (!accepts(accepted, coding)) continue;
      const form = this.compressed.get(coding);
      if (form === undefined) void this.compress(coding);
      else if (form !== 'under way') return form;
    }
    return this.plain;
  }

  private async compress(coding: Coding): Promise<void> {
    this.compressed.set(coding, 'under way');
    const bytes = await COMPRESSORS[coding](this.plain.bytes).catch(() => undefined); // no memory left for it
    if (bytes !== undefined) this.compressed.set(coding, formOf(this.name, bytes, this.digest, coding));
  }
}

/** A file with what tells whether the disk still has the same. */
class FolderFile extends MetadataFile {
  readonly path: string;
  readonly stamp: Stamp;

  constructor(path: string, name: string, stamp: Stamp, bytes: Buffer) {
    super(name, bytes);
    this.path = path;
    this.stamp = stamp;
  }
}

/** Reads a file in one piece: some have megabytes, and come anew with every publication. */
async function readWhole(path: string, name: string): Promise<FolderFile> {
  const handle = await open(path);
  try {
    const stamp = await handle.stat();
    const bytes = Buffer.allocUnsafeSlow(stamp.size);
    const { bytesRead } = await handle.read(bytes, 0, stamp.size, 0);
    return new FolderFile(path, name, stamp, bytes.subarray(0, bytesRead));
  } finally {
    await handle.close();
  }
}

/** By what a file on disk is known to be the same. */
type Stamp = Pick<Stats, 'ino' | 'size' | 'mtimeMs'>;

type Coding = 'br' | 'gzip';

/** A file as it is sent. */
interface Form {
  readonly bytes: Buffer;
  readonly etag: string;
  /** Headers of every answer about it, names and values in turn. */
  readonly about: readonly string[];
  /** Headers of an answer that holds it. */
  readonly whole: readonly string[];
  /** The bytes of a small one as a string, which goes out together with the head in one write. */
  readonly text: string | undefined;
}

function formOf(name: string, bytes: Buffer, digest: string, coding: Coding | undefined): Form {
  // Another representation needs another name (RFC 9110 §8.8.3.3).
  const etag = coding === undefined ? `"${digest}"` : `"${digest}-${coding}"`;
  // Versioned names never change content; the timestamp always may.
  const keep = /^\d+\./.test(name) ? 'public, max-age=31536000, immutable' : 'no-cache';
  const varies = coding !== undefined || bytes.length >= LEAST_COMPRESSED;
  const about = ['cache-control', keep, 'etag', etag, 'accept-ranges', 'bytes'];
  if (varies) about.push('vary', 'accept-encoding');
  const whole = [...about, ...CONTENT_TYPE, 'content-length', String(bytes.length)];
  if (coding !== undefined) whole.push('content-encoding', coding);
  return { bytes, etag, about, whole, text: bytes.length <= MOST_TEXT ? bytes.toString('latin1') : undefined };
}

function answer(request: IncomingMessage, response: ServerResponse, found: MetadataFile): void {
  const { headers, method } = request;
  // Ranges are of the file itself: a resume must not mix two forms.
  const form = headers.range === undefined ? found.formFor(headers['accept-encoding']) : found.plain;
  if (isNamed(headers['if-none-match'], form.etag)) {
    response.writeHead(304, [...form.about]).end();
    return;
  }
  const part = headers.range === undefined ? 'all' : partOf(headers.range, headers['if-range'], form);
  if (part !== 'all') {
    answerPart(response, method, form, part);
    return;
  }
  response.writeHead(200, [...form.whole]);
  if (method === 'HEAD') response.end();
  else if (form.text === undefined) response.end(form.bytes);
  else response.end(form.text, 'latin1');
}

function answerPart(
  response: ServerResponse,
  method: string | undefined,
  { bytes, about }: Form,
  part: Part | 'none',
): void {
  const head = [...about, ...CONTENT_TYPE];
  if (part === 'none') {
    response.writeHead(416, [...head, 'content-range', `bytes */${bytes.length}`, 'content-length', '0']).end();
    return;
  }
  const { first, last } = part;
  head.push('content-range', `bytes ${first}-${last}/${bytes.length}`, 'content-length', String(last - first + 1));
  response.writeHead(206, head);
  response.end(method === 'HEAD' ? undefined : bytes.subarray(first, last + 1));
}

/** Whether an If-None-Match names this ETag (RFC 9110 §13.1.2: compared weakly, `*` names any). */
function isNamed(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  const names = header.split(',').map((name) => name.trim().replace(/^W\//, ''));
  return names.includes(etag) || names.includes('*');
}

/** The first and the last byte of a range. */
interface Part {
  readonly first: number;
  readonly last: number;
}

/** Which bytes a Range header asks for (RFC 9110 §14.2): one range, and everything where it asks for several or for nonsense. */
function partOf(
  header: string,
  ifRange: string | readonly string[] | undefined,
  { bytes: { length }, etag }: Form,
): Part | 'all' | 'none' {
  const match = ifRange === undefined || ifRange === etag ? /^bytes=(\d*)-(\d*)$/.exec(header) : null;
  if (match === null) return 'all';
  const [, from = '', to = ''] = match;
  if (from === '' && to === '') return 'all';
  const first = from === '' ? Math.max(0, length - Number(to)) : Number(from);
  const last = from === '' || to === '' ? length - 1 : Math.min(Number(to), length - 1);
  if (from !== '' && to !== '' && Number(to) < first) return 'all';
  return first < length && first <= last ? { first, last } : 'none';
}

/** Whether an Accept-Encoding takes a coding (RFC 9110 §12.5.3): by its name, or by `*`, and not at weight 0. */
function accepts(header: string, coding: Coding): boolean {
  let any = false;
  for (const item of header.toLowerCase().split(',')) {
    const [name = '', ...parameters] = item.split(';').map((part) => part.trim());
    const refused = parameters.some((parameter) => /^q\s*=\s*0(?:\.0*)?$/.test(parameter));
    if (name === coding) return !refused;
    if (name === '*') any = !refused;
  }
  return any;
}

function isSame(a: Stamp, b: Stamp): boolean {
  return a.ino === b.ino && a.size === b.size && a.mtimeMs === b.mtimeMs;
}

/** Whether a name can be one of a metadata file. */
export function isPlainName(file: string): boolean {
  return PLAIN_NAME.test(file);
}

/** @param file as it was asked for */
export function missingMetadata(file: string): AdmissionError {
  return new AdmissionError('NOT_FOUND', 'Looking up metadata: there is no such file', {
    detail: { file: file.slice(0, 200) },
  });
}

// In the order in which we would rather send them.
const CODINGS: readonly Coding[] = ['br', 'gzip'];
// Low levels: a big snapshot is compressed again at every publication that somebody
// asks for. One level more takes three times as long, for a hundredth of its size.
const COMPRESSORS: Readonly<Record<Coding, (bytes: Buffer) => Promise<Buffer>>> = {
  br: async (bytes) => await promisify(brotliCompress)(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 3 } }),
  gzip: async (bytes) => await promisify(gzip)(bytes, { level: 3 }),
};
const TIMESTAMP = 'timestamp.json';
const PLAIN_NAME = /^[A-Za-z0-9._~-]+\.json$/;
const PLAIN_ADDRESS = /^\/([^/?#%]+)\/metadata\/([A-Za-z0-9._~-]+\.json)$/;
const CONTENT_TYPE = ['content-type', 'application/json; charset=utf-8'] as const;
const CACHE_BYTES = 64 * 1024 * 1024;
const KEEP_ALIVE_MILLIS = 72_000;
// Below it, compression saves less than a packet.
const LEAST_COMPRESSED = 2048;
const MOST_TEXT = 16 * 1024;
