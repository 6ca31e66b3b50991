// Paths of a plain collection in an author's hands: given by the quorum, signed by
// the author alone from then on, and taken back.

import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { hashesOf, type Ran, runCommand } from '../test/cli-world.ts';
import { type Member, type OperatorWorld, operatorWorld } from '../test/operator-world.ts';

let world: OperatorWorld;
let ada: Member;
beforeEach(async () => {
  world = await operatorWorld(['files', '--layout', 'bins', '--bins', '16']);
  await world.serve();
  ada = await world.key('ada');
  await world.file('site/a.html', 'one');
  await world.file('site/deep/b.html', 'deep');
  await json('upload', 'site/', '--to', 'docs');
  await json('upload', 'site/a.html', '--to', 'else');
});
afterEach(() => world.close());

const files = (...args: readonly string[]): Promise<Ran> => world.run(...args, '--collection', 'files');
const json = (...args: readonly string[]): ReturnType<OperatorWorld['json']> =>
  world.json(...args, '--collection', 'files');
const rolesOf = async (): Promise<unknown> =>
  ((await json('ls'))['files'] as { path: string; role: string | null }[]).map(({ path, role }) => [path, role]);
const DOCS = ['delegate', 'docs', '--paths', 'docs/*', 'docs/*/*'];

it('waits for the author, who sees what it is; nothing disappears', async () => {
  expect((await files('delegate')).out).toContain('All paths are signed by the service itself.');
  const opened = await json(...DOCS, '--author', ada.publicFile);
  expect(opened).toMatchObject({ publication: null, event: expect.any(String) });
  const signed = await ada.sign(String(opened['event']), 'files');
  expect(signed.err).toContain('+  docs: docs/*, docs/*/*, signed by 1 of');
  expect(signed.err).toMatch(/docs: version 1, the first\n +\+ {2}a\.html/);
  expect(signed.out).toContain('Nobody is missing any more');
  expect(await rolesOf()).toEqual([
    ['docs/a.html', 'docs'],
    ['docs/deep/b.html', 'docs'],
    ['else/a.html', null],
  ]);
  expect(await json('fetch', 'docs/a.html', '-o', 'got')).toMatchObject({ assurance: 'delegated' });
  expect((await files('delegate')).out).toMatch(/^docs: docs\/\*, docs\/\*\/\*, signed by 1 of/);
  expect((await files('layout')).out).toContain('docs: docs/*');
});

it('from then on `upload` signs with the author’s key, and nobody else can', async () => {
  await json(...DOCS, '--author', ada.publicFile, '--with', ada.keyFile);
  await world.file('site/a.html', 'two');
  await world.file('site/c.html', 'new');
  // The operator has no such key.
  expect((await files('upload', 'site/a.html', '--to', 'docs')).err).toMatch(/KEY_MISSING|SUBMISSION_UNSIGNED/);
  const own = await json('upload', 'site/', '--to', 'docs', '--remove', 'deep/b.html', '--key', ada.keyFile).catch(
    (error: unknown) => String(error),
  );
  // In and out at once is a slip.
  expect(own).toContain('USAGE_INVALID');
  const done = await files('upload', 'site/a.html', 'site/c.html', '--to', 'docs', '--key', ada.keyFile);
  expect(done.err).toMatch(/~ {2}docs\/a\.html .*signed by you, as docs/);
  expect(done.out).toContain('your own verifying client has seen it');
  await json('upload', '--to', 'docs', '--remove', 'deep/', '--key', ada.keyFile);
  expect(await rolesOf()).toEqual([
    ['docs/a.html', 'docs'],
    ['docs/c.html', 'docs'],
    ['else/a.html', null],
  ]);
  const url = `${world.url()}/api/v1/files/submissions`;
  const { token } = await json('token', 'create', 'thief');
  const stolen = await fetch(url, {
    method: 'POST',
    body: JSON.stringify({ files: [{ path: 'docs/a.html', sha256: hashesOf(Buffer.from('one')).get('sha256') }] }),
    headers: { authorization: `Bearer ${String(token)}`, 'content-type': 'application/json' },
  });
  expect(await stolen.json()).toMatchObject({ code: 'SUBMISSION_FOREIGN' });
});

it('two of two sign for it, and for what they upload', async () => {
  const ben = await world.key('ben');
  const both = ['--author', ada.publicFile, ben.publicFile, '--threshold', '2'];
  const opened = await json(...DOCS, ...both, '--with', ada.keyFile);
  expect((await ben.sign(String(opened['event']), 'files')).out).toContain('Nobody is missing');
  await world.file('site/n.html', 'n');
  const sent = await json('upload', 'site/n.html', '--to', 'docs', '--key', ada.keyFile);
  expect(sent).toMatchObject({ publication: null, event: expect.any(String) });
  expect((await files('fetch', 'docs/n.html')).exit).toBe(4);
  await ben.sign(String(sent['event']), 'files');
  expect((await files('fetch', 'docs/n.html')).exit).toBe(0);
});

it('other paths, other keys, and the end of it', async () => {
  await json(...DOCS, '--author', ada.publicFile, '--with', ada.keyFile);
  expect(await json('delegate', 'docs', '--paths', 'docs/*')).toMatchObject({ publication: expect.any(Number) });
  expect(await rolesOf()).toEqual([
    ['docs/a.html', 'docs'],
    ['else/a.html', null],
  ]);
  const ben = await world.key('ben');
  const opened = await json('delegate', 'docs', '--author', ben.publicFile);
  await ben.sign(String(opened['event']), 'files');
  const refused = await files('upload', 'site/deep/b.html', '--to', 'docs', '--key', ada.keyFile);
  expect(refused.err).toContain('belongs to another key than yours');
  const end = await files('delegate', 'docs', '--remove');
  expect(end.err).toContain('What docs lists is listed no more');
  expect(await rolesOf()).toEqual([['else/a.html', null]]);
  await json('upload', 'site/a.html', '--to', 'docs');
  expect(await rolesOf()).toContainEqual(['docs/a.html', null]);
});

it.each([
  ['no paths', ['delegate', 'docs', '--author', 'ada.json'], '--paths'],
  ['nobody', ['delegate', 'docs', '--paths', 'docs/*'], '--author'],
  ['a name of ours', ['delegate', 'bins', '--paths', 'docs/*', '--author', 'ada.json'], 'cannot be the name'],
  ['no pattern', ['delegate', 'docs', '--paths', '/docs', '--author', 'ada.json'], 'no pattern'],
  ['an end of nothing', ['delegate', 'docs', '--remove'], 'no author has such a role'],
])('refuses %s', async (_what, args, text) => {
  const { exit, err } = await files(...args);
  expect([exit, err]).toEqual([2, expect.stringContaining(text)]);
});

it('is not for a registry', async () => {
  await world.stop();
  await runCommand({ cwd: world.folder, env: {} }, 'init', 'main', '--dev');
  await world.serve();
  const { err } = await world.run(...DOCS, '--author', join(world.folder, 'ada.json'));
  expect(err).toContain('the collection has names');
});
