// Plain files from the outside: put in, listed, fetched, changed and taken out,
// each time seen by a client that verifies.

import { readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { CODES } from '@countersign/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type OperatorWorld, operatorWorld } from '../test/operator-world.ts';

let world: OperatorWorld;
beforeAll(async () => {
  world = await operatorWorld(['files', '--layout', 'bins', '--bins', '16'], ['main']);
  await world.serve();
  await world.file('site/index.html', '<p>one');
  await world.file('site/img/a b.png', 'not really');
  await symlink('/etc', join(world.folder, 'site/link'));
});
afterAll(() => world.close());

const files = (...args: readonly string[]): ReturnType<OperatorWorld['run']> =>
  world.run(...args, '--collection', 'files');
const json = (...args: readonly string[]): ReturnType<OperatorWorld['json']> =>
  world.json(...args, '--collection', 'files');
const paths = async (...args: readonly string[]): Promise<unknown> =>
  ((await json('ls', ...args))['files'] as { path: string }[]).map(({ path }) => path);

describe('a plain collection', () => {
  it('is empty at first, and says what to do', async () => {
    expect((await files('ls')).out).toContain('files has no files yet. Upload some: countersign upload');
  });

  it('takes a folder as it lies on the disk, but no links', async () => {
    const dry = await files('upload', 'site/', '--to', 'docs', '--dry-run');
    expect(dry.err).toMatch(/\+ {2}docs\/index\.html +6 B/);
    expect(await paths()).toEqual([]);
    const { out, err } = await files('upload', 'site/', '--to', 'docs');
    expect(out).toContain('publication 2 of files; your own verifying client has seen it');
    expect(err).toContain('Passed by: site/link');
    expect(await paths()).toEqual(['docs/img/a b.png', 'docs/index.html']);
    expect(await paths('docs/img')).toEqual(['docs/img/a b.png']);
    expect(await paths('docs/index.html')).toEqual(['docs/index.html']);
    expect(await paths('doc')).toEqual([]);
  });

  it('takes a folder by its name, or only what is in it', async () => {
    await world.file('a/b/c', 'c');
    const dry = async (named: string): Promise<unknown> =>
      ((await json('upload', named, '--to', 't', '--dry-run'))['files'] as { path: string }[]).map(({ path }) => path);
    expect(await dry('a')).toEqual(['t/a/b/c']);
    expect(await dry('a/b')).toEqual(['t/b/c']);
    expect(await dry('a/')).toEqual(['t/b/c']);
    expect(await dry('a/b/c')).toEqual(['t/c']);
  });

  it('sends nothing twice', async () => {
    expect(await json('upload', 'site/', '--to', 'docs')).toMatchObject({
      publication: null,
      files: [{ change: 'unchanged' }, { change: 'unchanged' }],
    });
  });

  it('changes and removes in one go, and whole folders', async () => {
    await world.file('site/index.html', '<p>two');
    await world.file('more/x', 'x');
    const done = await json('upload', 'site/index.html', 'more/', '--to', 'docs', '--remove', 'img/a b.png');
    expect(done['files']).toMatchObject([
      { path: 'docs/index.html', change: 'changed' },
      { path: 'docs/x', change: 'added' },
      { path: 'docs/img/a b.png', change: 'removed' },
    ]);
    await json('fetch', 'docs/index.html', '-o', 'got.html');
    expect(await readFile(join(world.folder, 'got.html'), 'utf8')).toBe('<p>two');
    expect((await files('fetch', 'docs/img/a b.png')).exit).toBe(CODES.TARGET_UNKNOWN.exit);
    await json('upload', '--remove', 'docs/');
    await world.file('site/img/deep/y', 'y');
    await json('upload', 'site/', '--to', 'docs');
    await json('upload', '--remove', 'docs/img/');
    expect(await paths()).toEqual(['docs/index.html']);
  });

  it('says who vouches for a file', async () => {
    expect(await json('fetch', 'docs/index.html')).toMatchObject({ assurance: 'repository' });
  });

  it.each([
    ['what is not there', ['upload', '--remove', 'docs/none'], 'TARGET_UNKNOWN'],
    ['a folder that is not there', ['upload', '--remove', 'none/'], 'TARGET_UNKNOWN'],
    ['nothing', ['upload'], 'USAGE_INVALID'],
    ['no such file', ['upload', 'nothing'], 'USAGE_INVALID'],
    ['a path that climbs', ['upload', 'site/', '--to', '../..'], 'USAGE_INVALID'],
    ['a file twice', ['upload', 'site/index.html', 'site/index.html'], 'USAGE_INVALID'],
    ['a file to put in and take out', ['upload', 'site/index.html', '--remove', 'index.html'], 'USAGE_INVALID'],
  ])('refuses %s', async (_what, args, code) => {
    expect((await files(...args)).err).toContain(`(${code})`);
  });

  it('many files make few publications', async () => {
    for (let i = 0; i < 600; i++) await world.file(`many/${i % 7}/${i}`, `content ${i}`);
    const { publication } = await json('upload', 'many/', '--to', 'many');
    expect(await json('status')).toMatchObject({ service: { publication } });
    expect(await paths('many')).toHaveLength(600);
    await json('upload', '--remove', 'many/');
  });
});

describe('names that nobody has claimed', () => {
  it('takes files for them, lists and fetches them, and stops when somebody claims', async () => {
    const put = await world.json('upload', 'site/index.html', '--to', 'files/handbook');
    expect(put['files']).toMatchObject([{ path: expect.stringMatching(/^files\/[0-9a-f]{4}\/handbook\/index.html$/) }]);
    expect(await world.json('ls', 'files/handbook')).toMatchObject({
      assurance: 'unclaimed',
      files: [{ file: 'index.html', assurance: 'unclaimed' }],
    });
    expect(await world.json('fetch', 'files/handbook', '-o', 'hand')).toMatchObject({ assurance: 'unclaimed' });
    await world.json('upload', '--to', 'files/handbook', '--remove', 'index.html');
    expect((await world.run('fetch', 'files/handbook')).exit).toBe(CODES.TARGET_UNKNOWN.exit);
    await world.json('claim', 'files/handbook');
    const { err } = await world.run('upload', 'site/index.html', '--to', 'files/handbook');
    expect(err).toContain('NAME_TAKEN');
  });
});
