// The bodies of large answers, read past the parser of node:http. The parser
// copies each piece of a body into fresh memory, which takes longer than
// receiving it. Only for a body of announced length: it needs no parser to end.

import type { IncomingMessage } from 'node:http';
import type { OnReadOpts, Socket } from 'node:net';

/** How the sockets of one agent read. */
export interface Reading {
  /** The option of that name for the agent. */
  readonly onread: OnReadOpts;
  /**
   * Takes the body away from its parser; MUST be called within the event
   * `response`. The connection cannot serve again.
   *
   * @param length of the body
   * @returns its pieces, each only until the next one is asked for; ends early with the error of the response
   */
  readonly takeOver: (response: IncomingMessage, length: number) => AsyncIterator<Uint8Array, undefined>;
}

/**
 * Lets all sockets of an agent read into one buffer: fewer reads, and no fresh
 * memory for each. That is safe because the parser is handed the bytes at once
 * and copies what is body; nothing that waits refers to the buffer. A socket
 * whose answer was taken over reads into buffers of that body instead.
 *
 * @example
 * const { onread, takeOver } = readingInPlace();
 * const agent = new Agent({ keepAlive: true, onread });
 */
export function readingInPlace(): Reading {
  const common = new Uint8Array(READ_BYTES);
  const bodies = new WeakMap<Socket, LargeBody>();
  let next: Uint8Array = common;
  return {
    onread: {
      // Asked for when a socket opens, and at once after each call of `callback`.
      buffer() {
        const buffer = next;
        next = common;
        return buffer;
      },
      callback(this: Socket, length, buffer) {
        const mayGoOn = bodies.get(this)?.take({ buffer, length }) ?? true;
        // Not `push`, which may keep what it is given.
        if (!bodies.has(this)) this.emit('data', buffer.subarray(0, length));
        next = bodies.get(this)?.freeBuffer() ?? common; // this answer may just have been taken over
        return mayGoOn;
      },
    },
    takeOver: (response, length) => {
      const body = new LargeBody(response, length);
      bodies.set(response.socket, body);
      return body;
    },
  };
}

class LargeBody implements AsyncIterator<Uint8Array, undefined> {
  readonly #response: IncomingMessage;
  /** What came, and was not asked for yet. */
  readonly #waiting: Piece[] = [];
  readonly #free: Uint8Array[] = [];
  #given: Piece | undefined;
  /** How much is still to be given. */
  #left: number;
  #begun = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(response: IncomingMessage, length: number) {
    this.#response = response;
    this.#left = length;
    response.once('error', (error) => {
      this.#failure = error;
    });
    response.once('close', () => this.#wake?.());
  }

  freeBuffer(): Uint8Array {
    return this.#free.pop() ?? new Uint8Array(READ_BYTES);
  }

  /** Takes what was read. @returns whether more may come at once */
  take(piece: Piece): boolean {
    this.#waiting.push(piece);
    this.#wake?.();
    return this.#waiting.length < READ_AHEAD;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#given !== undefined) this.#free.push(this.#given.buffer);
    this.#given = undefined;
    const bytes = this.#first() ?? (await this.#following());
    if (bytes !== undefined) {
      // What comes behind the announced end is not of the body.
      const value = bytes.subarray(0, this.#left);
      this.#left -= value.length;
      return { done: false, value };
    }
    if (this.#left > 0) throw this.#failure ?? new Error('The connection was closed');
    this.#response.destroy();
    return { done: true, value: undefined };
  }

  /** What came together with the head, and so went through the parser. */
  #first(): Uint8Array | undefined {
    if (this.#begun) return undefined;
    this.#begun = true;
    const bytes: Uint8Array | null = this.#response.read();
    return bytes ?? undefined;
  }

  async #following(): Promise<Uint8Array | undefined> {
    if (this.#left === 0) return undefined;
    this.#response.socket.resume();
    while (this.#waiting.length === 0 && !this.#response.closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#given = this.#waiting.shift();
    return this.#given && this.#given.buffer.subarray(0, this.#given.length);
  }
}

/** A buffer of a body, with so many bytes in it. */
interface Piece {
  readonly buffer: Uint8Array;
  readonly length: number;
}

const READ_BYTES = 2 ** 20;
const READ_AHEAD = 2; // pieces
