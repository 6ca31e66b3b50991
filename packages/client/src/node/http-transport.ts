// HTTP(S) by node:http, whose first request costs a fraction of the global
// fetch's. Redirects are not followed. Every wait has an end: for a connection,
// for the next bytes, and for a body as a whole by its average rate (slow
// retrieval). Only waiting counts: a slow reader is not the mirror's fault.

import type * as http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { TransportError, UsageError } from '@countersign/core';
import type { Transport, TransportRequest } from '../ports.ts';
import { type Reading, readingInPlace } from './large-body.ts';

/** How patient and persistent the transport is. */
export interface HttpOptions {
  /** How often a request is sent again after a network error, 429 or 5xx. Default: 2. */
  readonly retries?: number;
  /** Longest wait for a connection, milliseconds. Default: 10,000. */
  readonly connectTimeoutMs?: number;
  /** Longest wait for an answer, or for more of its body, milliseconds. Default: 30,000. */
  readonly idleTimeoutMs?: number;
  /** Least average rate of a body, bytes per second of waiting. Default: 1,024. */
  readonly minBytesPerSecond?: number;
  /** Waiting before the average rate counts, milliseconds. Default: 15,000. */
  readonly graceMs?: number;
  readonly userAgent?: string;
  /** Waits before a retry, milliseconds. */
  readonly delay?: (ms: number, signal?: AbortSignal) => Promise<unknown>;
  /** A clock for measuring waits, milliseconds. */
  readonly stopwatch?: () => number;
}

/**
 * Gets URLs over HTTP and HTTPS, with connections kept open for the next
 * request. They do not keep the process alive.
 *
 * `get` and the body throw TransportError UNREACHABLE, TIMED_OUT, BODY_CUT;
 * UsageError USAGE_INVALID for a URL that is neither; and the signal's reason.
 *
 * @example const transport = httpTransport({ retries: 3, userAgent: 'countersign/0.1' });
 */
export function httpTransport(options: HttpOptions = {}): Transport {
  const settings: Settings = { ...DEFAULTS, ...options };
  const channels = new Map<string, Channel>();
  const channelFor = (protocol: string): Channel => {
    const known = channels.get(protocol) ?? openChannel(protocol);
    channels.set(protocol, known);
    return known;
  };
  return {
    async get(url, request) {
      const address = addressOf(url);
      const channel = channelFor(address.protocol);
      for (let attempt = 0; ; attempt++) {
        const last = attempt >= settings.retries;
        try {
          const answer = await send(address, request, channel, settings);
          const status = answer.response.statusCode ?? 0;
          if (last || !isTransient(status)) return { status, body: bodyOf(answer, address, request, settings) };
          answer.response.destroy();
        } catch (error) {
          if (last || !(error instanceof TransportError) || error.code !== 'UNREACHABLE') throw error;
        }
        await pause(FIRST_DELAY_MS * 2 ** attempt, settings, request.signal);
      }
    },
  };
}

type Settings = Required<HttpOptions>;

/** How requests of one protocol are sent. */
interface Channel {
  readonly request: typeof http.request;
  readonly agent: http.Agent;
  readonly takeOver: Reading['takeOver'];
}

/** Loads what a protocol needs, and no more: TLS alone costs a short-lived process a tenth of its time. */
function openChannel(protocol: string): Channel {
  const { request, Agent } = process.getBuiltinModule(protocol === 'https:' ? 'node:https' : 'node:http');
  const { onread, takeOver } = readingInPlace();
  const options = { keepAlive: true, highWaterMark: READ_AHEAD_BYTES, onread };
  return { request, agent: new Agent(options), takeOver };
}

async function pause(ms: number, { delay }: Settings, signal: AbortSignal | undefined): Promise<void> {
  try {
    await delay(ms, signal);
  } catch (error) {
    throw signal?.aborted ? reasonOf(signal) : error;
  }
}

/** The head of an answer, and its body. */
interface Answer {
  readonly response: http.IncomingMessage;
  readonly pieces: AsyncIterator<Uint8Array, unknown>;
}

/** Sends one request; resolves with the head of the answer. */
function send(
  address: URL,
  { signal, headers, passing = false }: TransportRequest,
  { request: begin, agent, takeOver }: Channel,
  settings: Settings,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const secure = address.protocol === 'https:';
    const request = begin(address, {
      agent,
      headers: { 'accept-encoding': 'identity', 'user-agent': settings.userAgent, ...headers },
      ...(signal && { signal }),
    });
    const giveUp = (): void => {
      request.destroy(timedOut(address, 'no answer came in time'));
    };
    let timer = setTimeout(giveUp, settings.connectTimeoutMs);
    const connected = (): void => {
      clearTimeout(timer);
      timer = setTimeout(giveUp, settings.idleTimeoutMs);
    };
    request.once('socket', (socket) => {
      if (socket.connecting) socket.once(secure ? 'secureConnect' : 'connect', connected);
      else connected();
    });
    request.once('response', (response) => {
      clearTimeout(timer);
      const length = passing ? largeLength(response) : undefined;
      const pieces = length === undefined ? response[Symbol.asyncIterator]() : takeOver(response, length);
      resolve({ response, pieces });
    });
    request.on('error', (cause) => {
      clearTimeout(timer);
      if (signal?.aborted) reject(reasonOf(signal));
      else if (cause instanceof TransportError) reject(cause);
      else reject(unreachable(address, cause));
    });
    request.end();
  });
}

/** The body as an iteration that ends early only on purpose, and takes the connection with it. */
function bodyOf(
  { response, pieces }: Answer,
  address: URL,
  { signal }: TransportRequest,
  settings: Settings,
): AsyncIterable<Uint8Array> {
  const pace = paceOf(address, settings);
  const next = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
    const timer = setTimeout(() => {
      response.destroy(timedOut(address, 'the body stopped coming'));
    }, settings.idleTimeoutMs);
    try {
      const result = await pace(() => pieces.next());
      return result.done ? { done: true, value: undefined } : result;
    } catch (cause) {
      response.destroy();
      if (signal?.aborted) throw reasonOf(signal);
      if (cause instanceof TransportError) throw cause;
      throw new TransportError('BODY_CUT', `Getting ${placeOf(address)}: the body ended too early`, {
        detail: { url: placeOf(address) },
        cause,
      });
    } finally {
      clearTimeout(timer);
    }
  };
  return {
    [Symbol.asyncIterator]: () => ({
      next,
      return() {
        response.destroy();
        return Promise.resolve({ done: true, value: undefined });
      },
    }),
  };
}

/** The length of a body that is worth losing its connection for: announced, and large. */
function largeLength({ statusCode, headers }: http.IncomingMessage): number | undefined {
  if (statusCode !== 200 && statusCode !== 206) return undefined;
  const length = Number(headers['content-length']);
  return length >= LARGE_BYTES ? length : undefined;
}

/** Measures waits and refuses a body whose average rate is too low. */
function paceOf(
  address: URL,
  { graceMs, minBytesPerSecond, stopwatch }: Settings,
): (wait: () => Promise<IteratorResult<Uint8Array, unknown>>) => Promise<IteratorResult<Uint8Array, unknown>> {
  let waited = 0;
  let bytes = 0;
  return async (wait) => {
    const before = stopwatch();
    const result = await wait();
    waited += stopwatch() - before;
    if (result.done) return result;
    bytes += result.value.length;
    if (waited > graceMs && bytes < (waited / 1000) * minBytesPerSecond) {
      throw timedOut(address, `the body comes at less than ${minBytesPerSecond} bytes a second`);
    }
    return result;
  };
}

function addressOf(text: string): URL {
  const address = URL.canParse(text) ? new URL(text) : undefined;
  if (address?.protocol === 'http:' || address?.protocol === 'https:') return address;
  throw new UsageError('USAGE_INVALID', 'Getting a URL: it is neither http nor https');
}

// Without user name and query, which may be secrets.
function placeOf(address: URL): string {
  return address.origin + address.pathname;
}

function timedOut(address: URL, problem: string): TransportError {
  return new TransportError('TIMED_OUT', `Getting ${placeOf(address)}: ${problem}`, {
    detail: { url: placeOf(address) },
  });
}

function unreachable(address: URL, cause: Error): TransportError {
  return new TransportError('UNREACHABLE', `Getting ${placeOf(address)}: no answer came`, {
    detail: { url: placeOf(address) },
    cause,
  });
}

function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error('Aborted', { cause: signal.reason });
}

function isTransient(status: number): boolean {
  return status === 429 || status >= 500;
}

// With Node 20's own 16 KiB a long body stops and starts for every piece of it.
const READ_AHEAD_BYTES = 2 ** 16;
const LARGE_BYTES = 2 ** 23;
const FIRST_DELAY_MS = 200; // then twice as long each time
const DEFAULTS: Settings = {
  retries: 2,
  connectTimeoutMs: 10_000,
  idleTimeoutMs: 30_000,
  minBytesPerSecond: 1024,
  graceMs: 15_000,
  userAgent: 'countersign',
  delay: (ms, signal) => sleep(ms, undefined, signal && { signal }),
  stopwatch: () => performance.now(),
};
