// Real HTTP over loopback, on a port of the system's choice. Limits are short;
// rates are measured with a clock of our own.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { metadataUrl, utf8 } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { hangUp, listen, serve, stopServers } from '../../test/loopback.ts';
import { codeOf } from '../../test/small-world.ts';
import { mirrorOf } from '../mirror.ts';
import type { TransportRequest, TransportResponse } from '../ports.ts';
import { type HttpOptions, httpTransport } from './http-transport.ts';

/** A transport that never really waits before a retry. */
function transport(options: HttpOptions = {}) {
  const delays: number[] = [];
  const delay = (ms: number): Promise<void> => {
    delays.push(ms);
    return Promise.resolve();
  };
  const real = httpTransport({ delay, ...options });
  const get = (url: string, request: TransportRequest): Promise<TransportResponse> => real.get(url, request);
  return { get, delays };
}

async function read({ body }: TransportResponse): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

const ask = { maxBytes: 100 };
const closed = (response: ServerResponse): Promise<void> => new Promise((resolve) => response.once('close', resolve));

describe('httpTransport', () => {
  it('gives status and body, and keeps the connection for the next request', async () => {
    const ports = new Set<unknown>();
    const seen: IncomingMessage['headers'][] = [];
    const url = await serve((request, response) => {
      ports.add(request.socket.remotePort);
      seen.push(request.headers);
      response.end(`you asked for ${request.url}`);
    });
    const { get } = transport({ userAgent: 'test/1' });
    const first = await get(`${url}a?b`, { ...ask, headers: { range: 'bytes=1-' } });
    expect(first.status).toBe(200);
    expect(await read(first)).toBe('you asked for /a?b');
    expect(await read(await get(`${url}c`, ask))).toBe('you asked for /c');
    expect(ports.size).toBe(1);
    expect(seen[0]).toMatchObject({ 'user-agent': 'test/1', 'accept-encoding': 'identity', range: 'bytes=1-' });
  });

  it('survives a kept connection that the server has closed meanwhile', async () => {
    const url = await serve((_, response) => response.end('ok'));
    const { get, delays } = transport();
    expect(await read(await get(url, ask))).toBe('ok');
    hangUp();
    expect(await read(await get(url, ask))).toBe('ok');
    expect(delays.length).toBeLessThan(2);
  });

  it.each([301, 302, 307, 403, 404, 410])('status %d is an answer, asked for once', async (status) => {
    let asked = 0;
    const url = await serve((_, response) => {
      asked++;
      response.writeHead(status, { location: '/elsewhere' }).end('page');
    });
    expect((await transport().get(url, ask)).status).toBe(status);
    expect(asked).toBe(1);
  });

  it.each([429, 500, 503])('status %d is asked for again, later each time', async (status) => {
    let asked = 0;
    const url = await serve((_, response) => response.writeHead(++asked < 3 ? status : 200).end('ok'));
    const { get, delays } = transport();
    expect(await read(await get(url, ask))).toBe('ok');
    expect(delays).toEqual([200, 400]);
  });

  it('gives a status that stays, once the retries are used up', async () => {
    const url = await serve((_, response) => response.writeHead(503).end('down'));
    const { get, delays } = transport({ retries: 3 });
    expect((await get(url, ask)).status).toBe(503);
    expect(delays).toEqual([200, 400, 800]);
  });

  it('a server that is not there is UNREACHABLE, after the retries', async () => {
    const url = await serve(() => {});
    await stopServers();
    const { get, delays } = transport();
    expect(await codeOf(get(url, ask))).toBe('UNREACHABLE');
    expect(delays).toEqual([200, 400]);
  });

  it('garbage instead of HTTP is UNREACHABLE', async () => {
    const port = await listen(createTcpServer((socket) => socket.end('SSH-2.0-OpenSSH_9.9\r\n')));
    expect(await codeOf(transport().get(`http://127.0.0.1:${port}/`, ask))).toBe('UNREACHABLE');
  });

  it('endless data: an over-long body is left with its connection, which the server kept open', async () => {
    let gone: Promise<void> | undefined;
    const url = await serve((_, response) => {
      gone = closed(response);
      response.write('x'.repeat(70_000)); // and never ends
    });
    const fetching = mirrorOf(url, transport()).fetch({
      do: 'fetch',
      role: 'timestamp',
      url: metadataUrl('timestamp', undefined),
      maxBytes: 1000,
    });
    expect(await codeOf(Promise.resolve(fetching))).toBe('LENGTH_EXCEEDED');
    await gone;
  });

  it('leaving a body before its first chunk releases the connection', async () => {
    let gone: Promise<void> | undefined;
    const url = await serve((_, response) => {
      gone = closed(response);
      response.write('more to come');
    });
    const { body } = await transport().get(url, ask);
    await body[Symbol.asyncIterator]().return?.();
    await gone;
  });

  it('a short page of an absent file leaves the connection usable', async () => {
    const ports = new Set<unknown>();
    const url = await serve((request, response) => {
      ports.add(request.socket.remotePort);
      response.writeHead(404).end('no such file');
    });
    const mirror = mirrorOf(url, transport());
    for (const version of [2, 3]) {
      const effect = { do: 'fetch', role: 'root', url: metadataUrl('root', version), maxBytes: 1000 } as const;
      expect(await mirror.fetch(effect)).toBeUndefined();
    }
    expect(ports.size).toBe(1);
  });

  it.each([
    ['fewer bytes than its Content-Length', { 'content-length': '1000' }],
    ['no last chunk', { 'transfer-encoding': 'chunked' }],
  ])('a body with %s is BODY_CUT', async (_, headers) => {
    const url = await serve((_, response) => {
      response.writeHead(200, headers);
      response.write('only this', () => response.destroy());
    });
    expect(await codeOf(read(await transport().get(url, ask)))).toBe('BODY_CUT');
  });

  it('slow retrieval: no answer at all', async () => {
    const url = await serve(() => {});
    const { get, delays } = transport({ idleTimeoutMs: 30 });
    expect(await codeOf(get(url, ask))).toBe('TIMED_OUT');
    expect(delays).toEqual([]);
  });

  it('slow retrieval: a body that stops coming, and its connection is released', async () => {
    let gone: Promise<void> | undefined;
    const url = await serve((_, response) => {
      gone = closed(response);
      response.write('a beginning');
    });
    const { get } = transport({ idleTimeoutMs: 30 });
    expect(await codeOf(read(await get(url, ask)))).toBe('TIMED_OUT');
    await gone;
  });

  it('slow retrieval: a body that trickles', async () => {
    let gone: Promise<void> | undefined;
    const url = await serve((_, response) => {
      gone = closed(response);
      const trickle = (): void => {
        if (!response.destroyed) response.write('x', () => setImmediate(trickle));
      };
      trickle();
    });
    let now = 0;
    const stopwatch = (): number => (now += 500); // each wait takes half a second
    const { get } = transport({ stopwatch, graceMs: 2000, minBytesPerSecond: 1_000_000 });
    expect(await codeOf(read(await get(url, ask)))).toBe('TIMED_OUT');
    await gone;
  });

  it('a slow reader is not the mirror’s fault', async () => {
    const url = await serve((_, response) => response.end('x'.repeat(300_000)));
    let now = 0;
    const { get } = transport({ stopwatch: () => now, graceMs: 1000, minBytesPerSecond: 1000 });
    const { body } = await get(url, ask);
    let length = 0;
    for await (const chunk of body) {
      length += chunk.length;
      now += 3_600_000; // an hour passes between chunks, outside of any wait
    }
    expect(length).toBe(300_000);
  });

  it('stops when it is told to: before, while waiting, in a body, before a retry', async () => {
    const reason = new Error('changed my mind');
    const url = await serve((request, response) => {
      if (request.url === '/body') response.write('a beginning');
      if (request.url === '/busy') response.writeHead(503).end();
      if (request.url === '/wait') controller.abort(reason);
    });
    let controller = new AbortController();
    controller.abort(reason);
    await expect(transport().get(url, { ...ask, signal: controller.signal })).rejects.toBe(reason);

    controller = new AbortController();
    await expect(transport().get(`${url}wait`, { ...ask, signal: controller.signal })).rejects.toBe(reason);

    controller = new AbortController();
    const { body } = await transport().get(`${url}body`, { ...ask, signal: controller.signal });
    const chunks = body[Symbol.asyncIterator]();
    await chunks.next();
    const next = chunks.next();
    controller.abort(reason);
    await expect(next).rejects.toBe(reason);

    controller = new AbortController();
    const delay = (): Promise<never> => {
      controller.abort(reason);
      return Promise.reject(new Error('woken'));
    };
    await expect(transport({ delay }).get(`${url}busy`, { ...ask, signal: controller.signal })).rejects.toBe(reason);
  });

  it('asks nothing but http and https', async () => {
    for (const url of ['file:///etc/passwd', 'ftp://example.test/', 'not a url', '']) {
      expect(await codeOf(transport().get(url, ask))).toBe('USAGE_INVALID');
    }
  });

  it('tells no secrets of a URL', async () => {
    const url = await serve(() => {});
    await stopServers();
    const secret = `${url.replace('http://', 'http://user:hunter2@')}a?token=hunter2`;
    const error: unknown = await transport()
      .get(secret, ask)
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'UNREACHABLE', detail: { url: `${url}a` } });
    expect(String(error)).not.toContain('hunter2');
  });

  it('what was given of a body stays as it is, while more of it and of others comes', async () => {
    const length = 3 * 2 ** 20;
    const url = await serve((request, response) => {
      const letter = request.url?.at(1) ?? '';
      response.writeHead(200, letter === 'a' ? { 'content-length': length } : {}); // in one piece, or in chunks
      const rest = letter.repeat(length / 4);
      response.write(rest);
      response.write(rest);
      response.write(rest);
      response.end(rest);
    });
    const { get } = transport();
    const slowly = async (letter: string): Promise<void> => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of (await get(url + letter, ask)).body) {
        chunks.push(chunk);
        await new Promise(setImmediate); // lets the other connections read
      }
      expect(Buffer.concat(chunks).equals(Buffer.alloc(length, letter))).toBe(true);
    };
    await Promise.all(['a', 'b', 'c', 'd'].map(slowly));
  });

  it('bytes come as they were sent', async () => {
    const sent = utf8('\u0000\u00ff\u{1f600}');
    const url = await serve((_, response) => response.end(sent));
    expect(utf8(await read(await transport().get(url, ask)))).toEqual(sent);
  });
});
