// Bodies that are read past the parser of node:http, through the transport.
// Each is longer than what makes it worth that, and differs in every piece.

import { createServer as createTcpServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { listen, serve } from '../../test/loopback.ts';
import { codeOf } from '../../test/small-world.ts';
import { bytesAt } from '../mirror.ts';
import type { TransportResponse } from '../ports.ts';
import { type HttpOptions, httpTransport } from './http-transport.ts';

const MIB = 2 ** 20;
const CONTENT = Buffer.from(Uint32Array.from({ length: 5 * MIB }, (_, i) => i).buffer);

async function get(url: string, options: HttpOptions = {}, signal?: AbortSignal): Promise<TransportResponse> {
  const request = { maxBytes: CONTENT.length, passing: true, ...(signal && { signal }) };
  return await httpTransport({ retries: 0, ...options }).get(url, request);
}

async function read(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of body) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

/** Answers every request on a connection so, and closes it or not. */
async function answering(bytes: readonly Uint8Array[], { close = false, gone = (): void => {} } = {}): Promise<string> {
  const server = createTcpServer((socket) => {
    socket.once('close', gone);
    socket.on('error', () => {}); // the client may leave first
    socket.once('data', () => {
      for (const part of bytes) socket.write(part);
      if (close) socket.end();
    });
  });
  return `http://127.0.0.1:${await listen(server)}/`;
}

const headOf = (length: number): Buffer => Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`);

describe('a large body', () => {
  it('comes whole, each piece staying as it is until the next one is asked for, several at once', async () => {
    const url = await serve((request, response) => {
      response.writeHead(200, { 'content-length': CONTENT.length });
      response.end(CONTENT.map((byte) => byte ^ (request.url?.length ?? 0)));
    });
    const transport = httpTransport();
    const slowly = async (path: string): Promise<void> => {
      const { body } = await transport.get(url + path, { maxBytes: CONTENT.length, passing: true });
      const pieces: Buffer[] = [];
      for await (const piece of body) {
        const before = Buffer.from(piece);
        for (let i = 0; i < 5; i++) await new Promise(setImmediate); // others read meanwhile
        expect(before.equals(piece)).toBe(true);
        pieces.push(before);
      }
      const expected = CONTENT.map((byte) => byte ^ (path.length + 1));
      expect(Buffer.concat(pieces).equals(expected)).toBe(true);
    };
    await Promise.all(['', 'a', 'bc', 'def'].map(slowly));
  });

  it('of which pieces are kept is left to the parser: they stay as they are', async () => {
    const url = await serve((_, response) => {
      response.writeHead(200, { 'content-length': CONTENT.length }).end(CONTENT);
    });
    const { body } = await httpTransport().get(url, { maxBytes: CONTENT.length });
    const pieces: Uint8Array[] = [];
    for await (const piece of body) pieces.push(piece);
    expect(CONTENT.equals(Buffer.concat(pieces))).toBe(true);
  });

  it('takes no more memory than a few pieces, however slow its reader is', async () => {
    const url = await serve((_, response) => {
      response.writeHead(200, { 'content-length': CONTENT.length }).end(CONTENT);
    });
    const { body } = await get(url);
    const memory = new Set<ArrayBufferLike>();
    for await (const piece of body) {
      memory.add(piece.buffer);
      for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    }
    expect(memory.size).toBeGreaterThan(1);
    expect(memory.size).toBeLessThan(7);
  });

  it('ends where the head of the answer says, whatever comes behind', async () => {
    const url = await answering([headOf(CONTENT.length), CONTENT, Buffer.alloc(3 * MIB, 'x')]);
    expect(CONTENT.equals(await read((await get(url)).body))).toBe(true);
  });

  it('comes whole from a server that closes the connection behind it', async () => {
    const url = await answering([headOf(CONTENT.length), CONTENT], { close: true });
    expect(CONTENT.equals(await read((await get(url)).body))).toBe(true);
  });

  it('gives up its connection at its end, without any help of the server', async () => {
    let gone = (): void => {};
    const closed = new Promise<void>((resolve) => {
      gone = resolve;
    });
    const url = await answering([headOf(CONTENT.length), CONTENT], { gone: () => gone() });
    expect(await read((await get(url)).body)).toHaveLength(CONTENT.length);
    await closed;
  });

  it('leaves the transport usable: the next request has a connection of its own', async () => {
    const ports = new Set<unknown>();
    const url = await serve((request, response) => {
      ports.add(request.socket.remotePort);
      const content = request.url === '/small' ? 'small' : CONTENT;
      response.writeHead(200, { 'content-length': content.length }).end(content);
    });
    const transport = httpTransport();
    const ask = { maxBytes: CONTENT.length, passing: true };
    for (const [path, length] of [
      ['small', 5],
      ['large', CONTENT.length],
      ['small', 5],
      ['small', 5],
    ] as const) {
      expect(await read((await transport.get(url + path, ask)).body)).toHaveLength(length);
    }
    expect(ports.size).toBe(2);
  });

  it('that is cut is BODY_CUT, after what came', async () => {
    const url = await answering([headOf(CONTENT.length), CONTENT.subarray(0, 9 * MIB)], { close: true });
    const { body } = await get(url);
    let length = 0;
    const all = (async () => {
      for await (const piece of body) length += piece.length;
    })();
    expect(await codeOf(all)).toBe('BODY_CUT');
    expect(length).toBe(9 * MIB);
  });

  it('that is cut is continued where it stopped', async () => {
    const asked: (string | undefined)[] = [];
    const url = await serve((request, response) => {
      asked.push(request.headers.range);
      const from = Number(/\d+/.exec(request.headers.range ?? '0')?.[0]);
      const rest = CONTENT.subarray(from);
      response.writeHead(from > 0 ? 206 : 200, { 'content-length': rest.length });
      if (rest.length > 9 * MIB) response.write(rest.subarray(0, 5 * MIB), () => response.destroy());
      else response.end(rest);
    });
    expect(CONTENT.equals(await read(bytesAt(url, CONTENT.length, httpTransport())))).toBe(true);
    expect(asked).toHaveLength(4);
  });

  it('that stops coming is TIMED_OUT, and its connection is released', async () => {
    let gone: Promise<unknown> | undefined;
    const url = await serve((_, response) => {
      gone = new Promise((resolve) => response.once('close', resolve));
      response.writeHead(200, { 'content-length': CONTENT.length }).write(CONTENT.subarray(0, 3 * MIB));
    });
    const { body } = await get(url, { idleTimeoutMs: 50 });
    expect(await codeOf(read(body))).toBe('TIMED_OUT');
    await gone;
  });

  it('that trickles is TIMED_OUT', async () => {
    const url = await serve((_, response) => {
      response.writeHead(200, { 'content-length': CONTENT.length });
      const trickle = (): void => {
        if (!response.destroyed) response.write('x', () => setImmediate(trickle));
      };
      trickle();
    });
    let now = 0;
    const stopwatch = (): number => (now += 500); // each wait takes half a second
    const { body } = await get(url, { stopwatch, graceMs: 2000, minBytesPerSecond: 1_000_000 });
    expect(await codeOf(read(body))).toBe('TIMED_OUT');
  });

  it('that nobody wants any more is left with its connection', async () => {
    let gone: Promise<unknown> | undefined;
    const url = await serve((_, response) => {
      gone = new Promise((resolve) => response.once('close', resolve));
      response.writeHead(200, { 'content-length': CONTENT.length }).write(CONTENT.subarray(0, 3 * MIB));
    });
    for await (const piece of (await get(url)).body) {
      expect(piece.length).toBeGreaterThan(0);
      break;
    }
    await gone;
  });

  it('stops when it is told to', async () => {
    const reason = new Error('changed my mind');
    const controller = new AbortController();
    const url = await serve((_, response) => {
      response.writeHead(200, { 'content-length': CONTENT.length }).write(CONTENT.subarray(0, 3 * MIB));
    });
    const { body } = await get(url, {}, controller.signal);
    const chunks = body[Symbol.asyncIterator]();
    await chunks.next();
    controller.abort(reason);
    const rest = (async () => {
      while (!(await chunks.next()).done);
    })();
    await expect(rest).rejects.toBe(reason);
  });

  it('whose head says of two kinds how it ends is refused', async () => {
    const head = Buffer.from(
      `HTTP/1.1 200 OK\r\nContent-Length: ${CONTENT.length}\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    expect(await codeOf(get(await answering([head, CONTENT])))).toBe('UNREACHABLE');
  });
});
