// HTTP(S) by node:http, whose first request costs a fraction of the global
// fetch's. Redirects are not followed. Every wait has an end: for a connection,
// for the next bytes, and for a body as a whole by its average rate (slow
// retrieval). Only waiting counts: a slow reader is not the mirror's fault.

import type * as http from 'node:http';
import type { OnReadOpts, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { TransportError, UsageError } from '@countersign/core';
import type { Transport, TransportRequest } from '../ports.ts';

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
          const response = await send(address, request, channel, settings);
          const status = response.statusCode ?? 0;
          if (last || !isTransient(status)) return { status, body: bodyOf(response, address, request, settings) };
          response.destroy();
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
}

/** Loads what a protocol needs, and no more: TLS alone costs a short-lived process a tenth of its time. */
function openChannel(protocol: string): Channel {
  const { request, Agent } = process.getBuiltinModule(protocol === 'https:' ? 'node:https' : 'node:http');
  const options = { keepAlive: true, highWaterMark: READ_AHEAD_BYTES, onread: readingIntoOneBuffer() };
  return { request, agent: new Agent(options) };
}

/**
 * Lets all sockets of an agent read into one large buffer: fewer reads, and no fresh memory for each. That is safe
 * because the parser is handed the bytes at once and copies what is body; nothing that waits refers to the buffer.
 */
function readingIntoOneBuffer(): OnReadOpts {
  return {
    buffer: Buffer.allocUnsafeSlow(READ_BYTES),
    callback(this: Socket, length, bytes) {
      // Not `push`, which may keep what it is given.
      this.emit('data', bytes.subarray(0, length));
      return true;
    },
  };
}

async function pause(ms: number, { delay }: Settings, signal: AbortSignal | undefined): Promise<void> {
  try {
    await delay(ms, signal);
  } catch (error) {
    throw signal?.aborted ? reasonOf(signal) : error;
  }
}

/** Sends one request; resolves with the head of the answer. */
function send(
  address: URL,
  { signal, headers }: TransportRequest,
  { request: begin, agent }: Channel,
  settings: Settings,
): Promise<http.IncomingMessage> {
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
      resolve(response);
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
  response: http.IncomingMessage,
  address: URL,
  { signal, passing = false }: TransportRequest,
  settings: Settings,
): AsyncIterable<Uint8Array> {
  const chunks: AsyncIterator<Uint8Array> = response[Symbol.asyncIterator]();
  const pace = paceOf(address, settings);
  let given: Uint8Array | undefined;
  const next = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
    if (given !== undefined) release(given);
    given = undefined;
    const timer = setTimeout(() => {
      response.destroy(timedOut(address, 'the body stopped coming'));
    }, settings.idleTimeoutMs);
    try {
      const result = await pace(() => chunks.next());
      if (result.done) return { done: true, value: undefined };
      if (passing) given = result.value;
      return result;
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

/** Frees the memory of a piece at once, where the runtime can (from Node 22 on): garbage in large pieces piles up. */
function release({ buffer, byteLength }: Uint8Array): void {
  if (buffer.byteLength !== byteLength) return; // others may have a part of it
  if ('transfer' in buffer && typeof buffer.transfer === 'function') buffer.transfer(0);
}

/** Measures waits and refuses a body whose average rate is too low. */
function paceOf(
  address: URL,
  { graceMs, minBytesPerSecond, stopwatch }: Settings,
): (wait: () => Promise<IteratorResult<Uint8Array>>) => Promise<IteratorResult<Uint8Array>> {
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
const READ_BYTES = 2 ** 20;
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
