// What the gateway says, as data, and the one place that writes it to a
// socket: status line with its reason phrase, headers, body; HEAD without the
// body; validators and single ranges (RFC 9110, sections 13 and 14) for content
// that was verified in full before. Decides nothing about trust.

import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** A body: bytes, a verified file (closed after sending), or a stream that is only passed on (destroyed after). */
export type Body =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'file'; readonly handle: FileHandle; readonly length: number }
  | { readonly kind: 'stream'; readonly stream: Readable; readonly length: number | undefined };

/** An answer. `reason` is the reason phrase of the status line: ASCII, no line breaks. */
export interface Answer {
  readonly status: number;
  readonly reason?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Body;
  /** Strong validator, unquoted; makes the answer conditional and, for files, open to ranges. */
  readonly etag?: string;
}

/** A JSON answer. */
export function jsonAnswer(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  return {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers },
    body: { kind: 'bytes', bytes },
  };
}

/**
 * A JSON document that clients may keep and revalidate. Its validator is its
 * own hash, so a publication that does not touch it still gives a 304.
 */
export function documentAnswer(value: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  const answer = jsonAnswer(200, value, { 'cache-control': 'no-cache', ...headers });
  if (answer.body.kind !== 'bytes') return answer;
  return { ...answer, etag: createHash('sha256').update(answer.body.bytes).digest('base64url') };
}

/** Writes an answer. Resolves when it was sent, or when the caller has gone. */
export async function send(request: IncomingMessage, response: ServerResponse, answer: Answer): Promise<void> {
  try {
    await write(request, response, answer);
  } finally {
    if (answer.body.kind === 'file') await answer.body.handle.close();
    if (answer.body.kind === 'stream') answer.body.stream.destroy();
  }
}

async function write(request: IncomingMessage, response: ServerResponse, answer: Answer): Promise<void> {
  const { body, etag } = answer;
  const headers: Record<string, string> = { ...answer.headers };
  if (etag !== undefined) headers['etag'] = `"${etag}"`;
  if (etag !== undefined && answer.status === 200 && isUnchanged(request, etag)) {
    response.writeHead(304, headers).end();
    return;
  }
  const length = body.kind === 'bytes' ? body.bytes.length : body.length;
  let status = answer.status;
  let range: Range = { start: 0, end: (length ?? 0) - 1 };
  if (body.kind === 'file' && status === 200) {
    headers['accept-ranges'] = 'bytes';
    const asked = rangeOf(request, body.length, etag);
    if (asked === 'unsatisfiable') {
      headers['content-range'] = `bytes */${body.length}`;
      headers['content-length'] = '0';
      response.writeHead(416, headers).end();
      return;
    }
    if (asked !== undefined) {
      status = 206;
      range = asked;
      headers['content-range'] = `bytes ${range.start}-${range.end}/${body.length}`;
    }
  }
  if (length !== undefined) headers['content-length'] = String(status === 206 ? range.end - range.start + 1 : length);
  if (answer.reason === undefined) response.writeHead(status, headers);
  else response.writeHead(status, answer.reason, headers);
  if (request.method === 'HEAD' || body.kind === 'bytes' || length === 0) {
    response.end(request.method !== 'HEAD' && body.kind === 'bytes' ? body.bytes : undefined);
    return;
  }
  const source = body.kind === 'file' ? body.handle.createReadStream({ ...range, autoClose: false }) : body.stream;
  try {
    await pipeline(source, response);
  } catch {
    // Either the caller went away or the source broke; the head is out, so all
    // that is left is to cut the connection, and pipeline has done that.
  }
}

/** Both ends inclusive, as `Range` has them. */
interface Range {
  readonly start: number;
  readonly end: number;
}

function isUnchanged(request: IncomingMessage, etag: string): boolean {
  const wanted = request.headers['if-none-match'];
  if (wanted === undefined) return false;
  return wanted.split(',').some((item) => ['*', `"${etag}"`].includes(item.trim().replace(/^W\//, '')));
}

function rangeOf(
  request: IncomingMessage,
  length: number,
  etag: string | undefined,
): Range | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(request.headers.range ?? '');
  if (match === null || request.method !== 'GET') return undefined; // several ranges: the whole is a valid answer
  const condition = request.headers['if-range'];
  if (condition !== undefined && condition !== `"${etag ?? ''}"`) return undefined;
  const [, first = '', last = ''] = match;
  if (first === '') {
    if (last === '') return undefined;
    const suffix = Math.min(Number(last), length);
    return suffix === 0 ? 'unsatisfiable' : { start: length - suffix, end: length - 1 };
  }
  const start = Number(first);
  const end = last === '' ? length - 1 : Math.min(Number(last), length - 1);
  if (last !== '' && Number(last) < start) return undefined;
  return start >= length ? 'unsatisfiable' : { start, end };
}
