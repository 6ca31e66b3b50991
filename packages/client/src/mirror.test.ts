import { utf8, utf8Text } from '@countersign/core';
import { beforeEach, describe, expect, it } from 'vitest';
import { bodyOf, codeOf, cut, openState, SmallWorld } from '../test/small-world.ts';
import { collectionUrls } from './index.ts';

let world: SmallWorld;
beforeEach(async () => {
  world = await SmallWorld.make();
});

const TIMESTAMP = 'metadata/timestamp.json';

describe('metadata', () => {
  it('§5.4.1 endless data: stops at the limit and releases the connection', async () => {
    const state = openState();
    const client = await world.client({ state });
    let sent = 0;
    let released = false;
    world.answers.set(TIMESTAMP, () => ({
      status: 200,
      body: (async function* () {
        try {
          for (;;) {
            sent += 1000;
            yield new Uint8Array(1000);
          }
        } finally {
          released = true;
        }
      })(),
    }));
    const error: unknown = await client.refresh().catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'LENGTH_EXCEEDED', detail: { role: 'timestamp', limit: 16_384 } });
    expect(released).toBe(true);
    expect(sent).toBe(17_000);
    expect(client.isFresh()).toBe(false);
    expect([...state.files.keys()]).toEqual(['root.json']);
  });

  it.each([403, 404, 410])('§5.3.3: status %d for the next root means that there is none', async (status) => {
    world.answers.set('metadata/2.root.json', () => ({ status, body: bodyOf(utf8('<html>no</html>')) }));
    await (await world.client()).refresh();
  });

  it.each([302, 304, 400, 500, 503])('status %d is an outage, not an absence', async (status) => {
    const client = await world.client();
    world.answers.set('metadata/2.root.json', () => ({ status, body: bodyOf() }));
    const error: unknown = await client.refresh().catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'STATUS_UNEXPECTED', detail: { status } });
    expect(client.isFresh()).toBe(false);
  });

  it('does not wait for an endless error page', async () => {
    let sent = 0;
    world.answers.set('metadata/2.root.json', () => ({
      status: 404,
      body: (async function* () {
        for (;;) {
          sent++;
          yield new Uint8Array(4096);
        }
      })(),
    }));
    await (await world.client()).refresh();
    expect(sent).toBe(5);
  });

  it('garbage is refused and nothing of it is kept', async () => {
    const state = openState();
    const client = await world.client({ state });
    for (const garbage of ['', '<html>', '{"signed":null,"signatures":[]}', '[1]']) {
      world.answers.set(TIMESTAMP, () => ({ status: 200, body: bodyOf(utf8(garbage)) }));
      expect(['JSON_INVALID', 'FORMAT_INVALID']).toContain(await codeOf(client.refresh()));
    }
    expect([...state.files.keys()]).toEqual(['root.json']);
  });

  it('a cut body is asked for again, a few times', async () => {
    const client = await world.client();
    const bytes = world.bytesOf('timestamp');
    let cuts = 3;
    world.answers.set(TIMESTAMP, () => ({
      status: 200,
      body: cuts-- > 0 ? bodyOf(bytes.subarray(0, 20), cut) : bodyOf(bytes),
    }));
    await client.refresh();
    cuts = 4;
    expect(await codeOf(client.refresh())).toBe('BODY_CUT');
    expect(client.isFresh()).toBe(true);
  });

  it('a body may come in single bytes', async () => {
    const chunks = [...world.bytesOf('targets')].map((byte) => Uint8Array.of(byte));
    world.answers.set('metadata/1.targets.json', () => ({ status: 200, body: bodyOf(...chunks) }));
    await (await world.client()).refresh();
  });

  it('base URLs may end in a slash or not', () => {
    const urls = {
      metadataUrl: 'https://example.test/main/metadata/',
      targetsUrl: 'https://example.test/main/targets/',
    };
    expect(collectionUrls('https://example.test/main')).toEqual(urls);
    expect(collectionUrls('https://example.test/main/')).toEqual(urls);
  });

  it('§6.2.1: without consistent snapshots, plain names are asked for', async () => {
    world = await SmallWorld.make({ consistentSnapshot: false });
    const client = await world.client();
    const found = await client.find('dev/tool.tgz');
    expect(world.taken()).toEqual([
      'metadata/2.root.json',
      TIMESTAMP,
      'metadata/snapshot.json',
      'metadata/targets.json',
      'metadata/dev.json',
    ]);
    if (found === undefined) throw new Error('not found');
    await client.download(found.target, memorySink());
    expect(world.taken()).toEqual(['targets/dev/tool.tgz']);
  });
});

describe('download', () => {
  const CONTENT = 'tool, version 1';

  async function prepared(): Promise<{
    client: Awaited<ReturnType<SmallWorld['client']>>;
    target: NonNullable<Awaited<ReturnType<Awaited<ReturnType<SmallWorld['client']>>['find']>>>['target'];
    url: string;
  }> {
    const client = await world.client();
    const found = await client.find('dev/tool.tgz');
    if (found === undefined) throw new Error('not found');
    world.taken();
    return { client, target: found.target, url: `targets/dev/${found.target.hashes.get('sha256')}.tool.tgz` };
  }

  it('§5.7.3: commits what matches, tells progress, asks once', async () => {
    const { client, target, url } = await prepared();
    const sink = memorySink();
    const progress: [number, number][] = [];
    await client.download(target, sink, { onProgress: (bytes, total) => progress.push([bytes, total]) });
    expect(sink.committed).toBe(CONTENT);
    expect(progress).toEqual([[15, 15]]);
    expect(world.taken()).toEqual([url]);
  });

  it('either strong hash works as prefix, and none when they are switched off', async () => {
    const { target } = await prepared();
    const sha512 = target.hashes.get('sha512') ?? '';
    const only512 = { ...target, hashes: new Map([['sha512', sha512]]) };
    await (await world.client()).download(only512, memorySink());
    await (await world.client({ targetHashPrefix: false })).download(target, memorySink());
    expect(world.taken()).toEqual([`targets/dev/${sha512}.tool.tgz`, 'targets/dev/tool.tgz']);
  });

  it.each([
    ['arbitrary software: other bytes of the same length', 'evil, version 1', 'HASH_MISMATCH'],
    ['a shorter file', 'tool', 'LENGTH_MISMATCH'],
    ['a longer file', `${CONTENT}, and more`, 'LENGTH_EXCEEDED'],
  ])('%s never reaches its destination', async (_, content, code) => {
    const { client, target, url } = await prepared();
    world.answers.set(url, () => ({ status: 200, body: bodyOf(utf8(content)) }));
    const sink = memorySink();
    expect(await codeOf(client.download(target, sink))).toBe(code);
    expect(sink).toMatchObject({ committed: undefined, aborted: true });
  });

  it('endless data: stops reading as soon as there is too much', async () => {
    const { client, target, url } = await prepared();
    let sent = 0;
    world.answers.set(url, () => ({
      status: 200,
      body: (async function* () {
        for (;;) {
          sent++;
          yield utf8('x');
        }
      })(),
    }));
    const sink = memorySink();
    expect(await codeOf(client.download(target, sink))).toBe('LENGTH_EXCEEDED');
    expect(sent).toBe(16);
    expect(sink.aborted).toBe(true);
  });

  it.each([206, 302, 404, 500])('status %d is an outage', async (status) => {
    const { client, target, url } = await prepared();
    world.answers.set(url, () => ({ status, body: bodyOf(utf8(CONTENT)) }));
    const sink = memorySink();
    expect(await codeOf(client.download(target, sink))).toBe('STATUS_UNEXPECTED');
    expect(sink).toMatchObject({ committed: undefined, aborted: true });
  });

  it('a cut transfer goes on where it stopped', async () => {
    const { client, target, url } = await prepared();
    const ranges: unknown[] = [];
    world.answers.set(url, ({ headers }) => {
      const from = Number(/^bytes=(\d+)-$/.exec(headers?.['range'] ?? '')?.[1] ?? 0);
      ranges.push(headers?.['range']);
      const rest = utf8(CONTENT).subarray(from);
      return { status: from === 0 ? 200 : 206, body: bodyOf(rest.subarray(0, 6), ...(from < 12 ? [cut] : [])) };
    });
    const sink = memorySink();
    await client.download(target, sink);
    expect(sink.committed).toBe(CONTENT);
    expect(ranges).toEqual([undefined, 'bytes=6-', 'bytes=12-']);
  });

  it('a mirror without ranges begins again, and what came before is passed by', async () => {
    const { client, target, url } = await prepared();
    let first = true;
    world.answers.set(url, () => {
      const chunks = [utf8(CONTENT.slice(0, 4)), utf8(CONTENT.slice(4, 10)), utf8(CONTENT.slice(10))];
      const body = first ? bodyOf(utf8(CONTENT.slice(0, 6)), cut) : bodyOf(...chunks);
      first = false;
      return { status: 200, body };
    });
    const sink = memorySink();
    await client.download(target, sink);
    expect(sink.committed).toBe(CONTENT);
  });

  it('a cut after the last byte does no harm', async () => {
    const { client, target, url } = await prepared();
    world.answers.set(url, () => ({ status: 200, body: bodyOf(utf8(CONTENT), cut) }));
    await client.download(target, memorySink());
    expect(world.taken()).toEqual([url]);
  });

  it('mix of two files: a continuation with other bytes is refused', async () => {
    const { client, target, url } = await prepared();
    world.answers.set(url, ({ headers }) =>
      headers?.['range'] === undefined
        ? { status: 200, body: bodyOf(utf8('evil, '), cut) }
        : { status: 206, body: bodyOf(utf8(CONTENT.slice(6))) },
    );
    const sink = memorySink();
    expect(await codeOf(client.download(target, sink))).toBe('HASH_MISMATCH');
    expect(sink).toMatchObject({ committed: undefined, aborted: true });
  });

  it('gives up when a transfer is cut again and again', async () => {
    const { client, target, url } = await prepared();
    world.answers.set(url, () => ({ status: 200, body: bodyOf(utf8('t'), cut) }));
    expect(await codeOf(client.download(target, memorySink()))).toBe('BODY_CUT');
    expect(world.taken()).toHaveLength(4);
  });

  it('an empty file is a file', async () => {
    await world.targets('dev', { 'dev/empty': new Uint8Array() });
    await world.publish();
    const client = await world.client();
    const found = await client.find('dev/empty');
    if (found === undefined) throw new Error('not found');
    const sink = memorySink();
    await client.download(found.target, sink);
    expect(sink.committed).toBe('');
  });

  it('a failing sink is aborted, and its first failure is the one told', async () => {
    const { client, target } = await prepared();
    for (const step of ['write', 'commit'] as const) {
      const sink = memorySink();
      sink[step] = () => Promise.reject(new TypeError(`${step} failed`));
      sink.abort = () => {
        sink.aborted = true;
        throw new TypeError('abort failed');
      };
      await expect(client.download(target, sink)).rejects.toThrow(`${step} failed`);
      expect(sink).toMatchObject({ committed: undefined, aborted: true });
    }
  });

  // That digests are hexadecimal is core's to check, where they are read.
  it('names from outside: no path leads out of the targets folder', async () => {
    const { client, target } = await prepared();
    expect(await codeOf(client.download({ ...target, path: '../x' }, memorySink()))).toBe('USAGE_INVALID');
    const weak = { ...target, hashes: new Map([['md5', 'd41d8cd98f00b204e9800998ecf8427e']]) };
    expect(await codeOf(client.download(weak, memorySink()))).toBe('HASH_UNSUPPORTED');
    expect(world.taken()).toEqual([]);
  });

  it('hands the signal to the transport', async () => {
    const { client, target, url } = await prepared();
    const { signal } = new AbortController();
    let got: unknown;
    world.answers.set(url, (request) => {
      got = request.signal;
      return { status: 200, body: bodyOf(utf8(CONTENT)) };
    });
    await client.download(target, memorySink(), { signal });
    expect(got).toBe(signal);
  });
});

function memorySink() {
  let text = '';
  const sink = {
    committed: undefined as string | undefined,
    aborted: false,
    write(chunk: Uint8Array): Promise<void> {
      text += utf8Text(chunk) ?? '?';
      return Promise.resolve();
    },
    commit(): Promise<void> {
      sink.committed = text;
      return Promise.resolve();
    },
    abort(): Promise<void> {
      sink.aborted = true;
      return Promise.resolve();
    },
  };
  return sink;
}
