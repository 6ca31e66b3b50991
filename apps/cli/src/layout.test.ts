// The layout of live collections: shown, and changed by the quorum while a client
// that verifies looks for everything, again and again.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, collectionUrls, memoryState } from '@countersign/client';
import { httpTransport, nodeCrypto } from '@countersign/client/node';
import { afterEach, describe, expect, it } from 'vitest';
import { type OperatorWorld, operatorWorld } from '../test/operator-world.ts';

let world: OperatorWorld;
afterEach(() => world.close());

const START = Date.parse('2030-01-01T00:00:00Z');

/** Looks for paths without a pause until it is told to stop. Any failure is the test's. */
async function onlooker(url: string, root: Uint8Array, paths: readonly string[]): Promise<() => Promise<number>> {
  const client = await Client.open({
    ...collectionUrls(url),
    transport: httpTransport({ userAgent: 'onlooker' }),
    state: memoryState(),
    crypto: nodeCrypto,
    clock: () => START,
    anchor: root,
  });
  let [rounds, going] = [0, true];
  const looking = (async () => {
    while (going) {
      await client.refresh();
      for (const path of paths) {
        if ((await client.find(path)) === undefined) throw new Error(`${path} is gone`);
      }
      rounds++;
    }
  })();
  looking.catch(() => undefined); // told to whoever stops it
  return async () => {
    going = false;
    await looking;
    return rounds;
  };
}

describe('a plain collection', () => {
  const files = (...args: readonly string[]): ReturnType<OperatorWorld['run']> =>
    world.run(...args, '--collection', 'files');
  const json = (...args: readonly string[]): ReturnType<OperatorWorld['json']> =>
    world.json(...args, '--collection', 'files');

  it('is shown, with advice only where it helps', async () => {
    world = await operatorWorld(['files', '--layout', 'bins', '--bins', '2']);
    await writeFile(
      join(world.folder, 'l.csv'),
      `path,length,sha256\n${Array.from({ length: 2000 }, (_, i) => `f/${i},1,${'0'.repeat(64)}`).join('\n')}\n`,
    );
    await json('import', 'l.csv');
    await world.serve();
    const { out } = await files('layout');
    expect(out).toMatch(/^files: a plain collection of files, 2 bins \(classic\)/);
    expect(out).toMatch(/would spare such a client .* countersign layout --bins \d+ --collection files/);
    const { advice } = await json('layout');
    await json('layout', ...String(advice).split(' '));
    expect((await files('layout')).out).toContain('This fits');
    expect(await json('layout')).toMatchObject({ kind: 'plain', advice: null });
  });

  it('changes without a moment in which a client fails', async () => {
    world = await operatorWorld(['files', '--layout', 'bins', '--bins', '4']);
    const url = `${await world.serve()}/files`;
    for (let i = 0; i < 30; i++) await world.file(`in/${i}`, `content ${i}`);
    await json('upload', 'in/', '--to', 'f');
    const paths = Array.from({ length: 30 }, (_, i) => `f/${i}`);
    const root = await readFile(join(world.folder, '.countersign', 'files.root.json'));
    const stop = await onlooker(url, root, paths);
    const dry = await files('layout', '--bins', '16', '--dry-run');
    expect(dry.err).toContain('4 bins (classic) → 16 bins (classic)');
    const changed = await files('layout', '--bins', '16');
    expect(changed).toMatchObject({ exit: 0, out: expect.stringContaining('Published, in publication 3') });
    expect((await files('layout', '--bins', '16')).out).toContain('Nothing is to be done');
    await json('layout', '--form', 'succinct');
    await json('layout', '--bins', '2', '--form', 'classic');
    await json('upload', 'in/0', '--to', 'g');
    expect(await stop()).toBeGreaterThan(3);
    expect((await json('layout'))['roles']).toBe(2);
    expect((await json('ls'))['files']).toHaveLength(31);
    // For whoever comes after a restart too.
    await world.stop();
    await world.serve();
    expect((await json('ls'))['files']).toHaveLength(31);
  });

  it.each([
    ['a number that is no power of two', ['--bins', '100'], 'power of two'],
    ['more than clients can read', ['--bins', '32768'], '16384'],
    ['shards', ['--shard-digits', '2'], 'for a registry'],
  ])('refuses %s', async (_what, args, text) => {
    world = await operatorWorld(['files', '--layout', 'bins', '--bins', '4']);
    await world.serve();
    const { exit, err } = await files('layout', ...args);
    expect([exit, err]).toEqual([2, expect.stringContaining(text)]);
  });

  it('a quorum of two signs it one after the other', async () => {
    world = await operatorWorld(['files', '--layout', 'bins', '--bins', '4']);
    await world.serve();
    await world.file('in/a', 'a');
    await json('upload', 'in/');
    const second = await world.key('second');
    const rotated = await json('root', 'rotate', '--add', second.publicFile, '--threshold', '2');
    if (typeof rotated['event'] === 'string') await second.sign(rotated['event'], 'files');
    const opened = await json('layout', '--bins', '8');
    expect(opened).toMatchObject({ publication: null, event: expect.any(String) });
    const shown = await second.sign(String(opened['event']), 'files');
    expect(shown.err).toContain('4 bins (classic) → 8 bins (classic)');
    expect(shown.out).toContain('Nobody is missing any more');
    expect((await json('layout'))['roles']).toBe(8);
    expect((await json('ls'))['files']).toHaveLength(1);
  });
});

describe('a registry', () => {
  it('splits and merges its shards while a client looks on', async () => {
    world = await operatorWorld(['main']);
    const url = `${await world.serve()}/main`;
    await world.file('in/a.txt', 'a');
    await world.json('claim', 'files/mine');
    await world.json('publish', 'in/a.txt', '--project', 'files/mine');
    await world.json('claim', 'files/own');
    await world.json('promote', 'files/mine');
    await world.json('upload', 'in/a.txt', '--to', 'files/loose');
    const found = async (name: string): Promise<string> => {
      const { files } = await world.json('ls', `files/${name}`);
      return (files as { path: string }[])[0]?.path ?? '';
    };
    const paths = [await found('mine'), await found('loose')];
    const root = await readFile(join(world.folder, '.countersign', 'main.root.json'));
    const stop = await onlooker(url, root, paths);
    for (const digits of ['2', '0', '1']) {
      const { publication } = await world.json('layout', '--shard-digits', digits);
      expect(publication).toEqual(expect.any(Number));
      expect((await world.json('layout'))['roles']).toBe(3 * 16 ** Number(digits));
    }
    expect(await stop()).toBeGreaterThan(3);
    expect((await world.json('ls'))['names']).toMatchObject([
      { project: 'files/mine', assurance: 'claimed' },
      { project: 'files/own', assurance: 'recent' },
    ]);
    expect((await world.run('layout', '--bins', '16')).err).toContain('for a plain collection');
    expect((await world.run('layout', '--shard-digits', '5')).err).toContain('0 to 4');
    expect((await world.run('layout')).out).toContain('16 shards of each kind');
  });

  it('a quorum of two splits them', async () => {
    world = await operatorWorld(['main']);
    await world.serve();
    await world.json('claim', 'files/mine');
    await world.json('promote');
    const second = await world.key('second');
    const rotated = await world.json('root', 'rotate', '--add', second.publicFile, '--threshold', '2');
    if (typeof rotated['event'] === 'string') await second.sign(rotated['event'], 'main');
    const opened = await world.json('layout', '--shard-digits', '0');
    const shown = await second.sign(String(opened['event']), 'main');
    expect(shown.err).toContain('16 shards of each kind → 1 shards of each kind');
    expect((await world.json('layout'))['roles']).toBe(3);
  });
});
