// What a world serves at a URL, honest bytes or a fault, and how its bytes go
// out: the same pieces for the synchronous door and for a Transport. Every
// request is logged with what was really taken of it, so that a test can tell
// a bounded read from an unbounded one. Nothing here knows about TUF.

import { TransportError } from '@countersign/core';

/** What is served at a URL. */
export type Served = Uint8Array | Fault;

/** A way in which a mirror does not answer with a file's bytes. */
export type Fault =
  /** An HTTP status and an empty body. */
  | { readonly fault: 'status'; readonly status: number }
  /** Bytes that never end: `start`, then spaces for ever. */
  | { readonly fault: 'endless'; readonly start: Uint8Array }
  /** The connection dies after `after` bytes, the first `times` times (default: always); then other bytes may be there. */
  | {
      readonly fault: 'cut';
      readonly bytes: Uint8Array;
      readonly after: number;
      readonly times?: number;
      readonly afterwards?: Uint8Array;
    }
  /** Each byte takes `millis` of the world's clock. */
  | { readonly fault: 'slow'; readonly bytes: Uint8Array; readonly millis: number }
  /** There is no answer at all. */
  | { readonly fault: 'unreachable' };

/** One request that a world has answered. */
export interface Request {
  /** Relative to the world's base URL, such as `metadata/timestamp.json`. */
  readonly url: string;
  /** 0 when there was no answer. */
  readonly status: number;
  /** Bytes of the body that were taken. */
  taken: number;
  /** Whether the body is still being read; a test expects `false`. */
  open: boolean;
}

/** An answer on its way: pieces to pull. */
export interface Reply {
  readonly status: number;
  /** The next piece; `undefined` at the end. @throws TransportError BODY_CUT */
  pull(): Uint8Array | undefined;
  /** The reader lets go. */
  close(): void;
}

/** What answering needs to know and may touch. */
export interface ServedBy {
  readonly files: ReadonlyMap<string, Served>;
  readonly requests: Request[];
  /** The status for what is not there. */
  readonly absentStatus: number;
  /** Moves the clock on. */
  pass(millis: number): void;
}

/**
 * Answers a request.
 *
 * @param from the first byte that is wanted (a Range); 0 for all
 * @throws TransportError UNREACHABLE
 */
export function answer(by: ServedBy, url: string, from = 0): Reply {
  const served = by.files.get(url);
  const status = statusOf(served, by.absentStatus, from);
  const request: Request = { url, status, taken: 0, open: status !== 0 };
  const cutsBefore = by.requests.filter((earlier) => earlier.url === url).length;
  by.requests.push(request);
  if (status === 0) throw new TransportError('UNREACHABLE', `Asking for ${url}: there is no answer`);
  const pieces = piecesOf(by, served, from, cutsBefore);
  return {
    status,
    pull() {
      const next = pieces.next();
      if (next.done === true) {
        request.open = false;
        return undefined;
      }
      request.taken += next.value.length;
      return next.value;
    },
    close() {
      request.open = false;
    },
  };
}

function statusOf(served: Served | undefined, absent: number, from: number): number {
  if (served === undefined) return absent;
  const whole = from > 0 ? 206 : 200;
  if (served instanceof Uint8Array) return whole;
  if (served.fault === 'unreachable') return 0;
  return served.fault === 'status' ? served.status : whole;
}

function* piecesOf(
  by: ServedBy,
  served: Served | undefined,
  from: number,
  before: number,
): Generator<Uint8Array, void, void> {
  if (served === undefined) return;
  if (served instanceof Uint8Array) {
    yield* cutUp(served.subarray(from));
    return;
  }
  switch (served.fault) {
    case 'status':
    case 'unreachable':
      return;
    case 'endless':
      yield* cutUp(served.start.subarray(from));
      for (;;) yield new Uint8Array(PIECE).fill(0x20);
    case 'cut': {
      const whole = before >= (served.times ?? Number.POSITIVE_INFINITY);
      if (whole) yield* cutUp((served.afterwards ?? served.bytes).subarray(from));
      else yield* cutUp(served.bytes.subarray(from, Math.max(from, served.after)));
      if (!whole) throw new TransportError('BODY_CUT', 'Reading a body: the connection died');
      return;
    }
    case 'slow':
      for (const byte of served.bytes.subarray(from)) {
        by.pass(served.millis);
        yield Uint8Array.of(byte);
      }
  }
}

function* cutUp(bytes: Uint8Array): Generator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.length; at += PIECE) yield bytes.subarray(at, at + PIECE);
}

// Small enough that a limit is met between two pieces of an ordinary file.
const PIECE = 1024;
