// Getting bytes from one mirror: URLs are joined, statuses judged, bodies
// bounded, cut transfers begun or continued again. Whether the bytes are to be
// believed is not decided here.

import {
  cacheNameOf,
  type FetchPort,
  isTufError,
  MetadataError,
  type StatePort,
  TransportError,
} from '@countersign/core';
import type { Transport, TransportResponse } from './ports.ts';

/** The URLs of a collection's metadata and targets below its base URL. */
export function collectionUrls(baseUrl: string): { metadataUrl: string; targetsUrl: string } {
  const base = withSlash(baseUrl);
  return { metadataUrl: `${base}metadata/`, targetsUrl: `${base}targets/` };
}

/**
 * The metadata of a mirror, as core fetches it. 403, 404 and 410 mean that
 * there is none: many object stores answer 403 for what does not exist.
 *
 * @throws MetadataError LENGTH_EXCEEDED as soon as more than the allowed bytes came
 * @throws TransportError STATUS_UNEXPECTED, and whatever the transport gives
 */
export function mirrorOf(baseUrl: string, transport: Transport): FetchPort {
  const base = withSlash(baseUrl);
  // Searches at the same time that need the same role share one request.
  const underway = new Map<string, Promise<Uint8Array | undefined>>();
  return {
    fetch({ role, url, maxBytes }) {
      const request = `${maxBytes} ${url}`;
      const shared = underway.get(request);
      if (shared !== undefined) return shared;
      const answer = fetchFile(base + url, role, maxBytes, transport).finally(() => underway.delete(request));
      underway.set(request, answer);
      return answer;
    },
  };
}

/**
 * The metadata that was kept before, offered to core like a mirror's: everything
 * is checked again. Kept roots need no offer, core follows them by itself.
 */
export function mirrorOfState(state: StatePort): FetchPort {
  return { fetch: ({ role }) => (role === 'root' ? undefined : state.load(cacheNameOf(role))) };
}

/**
 * The bytes at a URL, from the first to the last; each piece is there until the next one is asked for. A transfer that is cut is
 * continued where it stopped; that the pieces fit together is proven by the
 * hash that the caller checks over all of them.
 *
 * @param maxBytes where to stop asking for more
 * @throws TransportError STATUS_UNEXPECTED, and whatever the transport gives
 */
export async function* bytesAt(
  url: string,
  maxBytes: number,
  transport: Transport,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  let at = 0;
  for (let cuts = 0; ; cuts++) {
    const headers = at === 0 ? {} : { range: `bytes=${at}-` };
    const response = await transport.get(url, { maxBytes, passing: true, headers, ...(signal && { signal }) });
    const continued = at > 0 && response.status === 206;
    if (!continued && response.status !== 200) throw await unexpected('Downloading a target', response);
    let skip = continued ? 0 : at; // a mirror without ranges begins again
    try {
      for await (const chunk of response.body) {
        const rest = chunk.subarray(Math.min(skip, chunk.length));
        skip -= chunk.length - rest.length;
        at += rest.length;
        if (rest.length > 0) yield rest;
      }
      return;
    } catch (error) {
      if (cuts === CUTS || !isCut(error)) throw error;
      if (at >= maxBytes) return; // everything came before the cut
    }
  }
}

/** Puts a `/` behind a base URL that has none. */
export function withSlash(baseUrl: string): string {
  return baseUrl.endsWith('/') ? baseUrl : `${baseUrl}/`;
}

async function fetchFile(
  url: string,
  role: string,
  maxBytes: number,
  transport: Transport,
): Promise<Uint8Array | undefined> {
  for (let cuts = 0; ; cuts++) {
    const response = await transport.get(url, { maxBytes });
    if (ABSENT.has(response.status)) {
      await discard(response);
      return undefined;
    }
    if (!isSuccess(response.status)) throw await unexpected(`Fetching ${role}`, response);
    try {
      return await readBody(response, role, maxBytes);
    } catch (error) {
      if (cuts === CUTS || !isCut(error)) throw error;
    }
  }
}

async function readBody({ body }: TransportResponse, role: string, maxBytes: number): Promise<Uint8Array> {
  // One growing buffer, not a list: a body in single bytes must not cost more than its size.
  let bytes = new Uint8Array(Math.min(maxBytes, FIRST_BUFFER_BYTES));
  let length = 0;
  // Leaving the loop early releases the connection, whether or not the other side ever stops.
  for await (const chunk of body) {
    const end = length + chunk.length;
    if (end > maxBytes) {
      throw new MetadataError('LENGTH_EXCEEDED', `Fetching ${role}: more than ${maxBytes} bytes came`, {
        detail: { role, limit: maxBytes },
      });
    }
    if (end > bytes.length) {
      const larger = new Uint8Array(Math.min(maxBytes, Math.max(end, 2 * bytes.length)));
      larger.set(bytes.subarray(0, length));
      bytes = larger;
    }
    bytes.set(chunk, length);
    length = end;
  }
  return bytes.slice(0, length);
}

async function unexpected(what: string, response: TransportResponse): Promise<TransportError> {
  await discard(response);
  const { status } = response;
  return new TransportError('STATUS_UNEXPECTED', `${what}: the repository answered with status ${status}`, {
    detail: { status },
  });
}

/** Reads a short body to its end, so that the connection can serve again; drops a long one with its connection. */
async function discard({ body }: TransportResponse): Promise<void> {
  let length = 0;
  try {
    for await (const chunk of body) {
      length += chunk.length;
      if (length > DISCARDED_BYTES) break;
    }
  } catch {
    // The status was the answer: how its page ended does not matter.
  }
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

function isCut(error: unknown): boolean {
  return isTufError(error) && error.code === 'BODY_CUT';
}

const ABSENT: ReadonlySet<number> = new Set([403, 404, 410]);
const CUTS = 3; // how often one transfer may be cut before it has failed
const DISCARDED_BYTES = 16_384;
const FIRST_BUFFER_BYTES = 16_384;
