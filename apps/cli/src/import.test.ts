// Imports from the outside: folders and lists, into plain collections and as
// names that nobody has claimed. Cutting them off is in import.peer.test.ts.

import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hashesOf, npmTarball } from '../test/cli-world.ts';
import { type OperatorWorld, operatorWorld } from '../test/operator-world.ts';
import { ImportRoom } from './import-room.ts';
import { listEntries } from './import-source.ts';
import { inOrder } from './in-order.ts';
import { paceText } from './pace.ts';

let world: OperatorWorld;
beforeEach(async () => {
  world = await operatorWorld(['files', '--layout', 'bins', '--bins', '16'], ['main']);
});
afterEach(() => world.close());

const into = (name: string, ...args: readonly string[]): ReturnType<OperatorWorld['run']> =>
  world.run('import', ...args, '--collection', name);
const listed = async (...args: readonly string[]): Promise<readonly string[]> =>
  ((await world.json('ls', ...args))['files'] as { path: string }[]).map(({ path }) => path);
const digest = (content: string, name = 'sha256'): string => hashesOf(Buffer.from(content)).get(name) ?? '';

describe('a folder', () => {
  it('comes in whole, and comes in again without a publication', async () => {
    for (let i = 0; i < 40; i++) await world.file(`in/${i % 3}/f ${i}.txt`, `content ${i}`);
    const { exit, out } = await into('files', 'in', '--to', 'docs');
    expect([exit, out]).toEqual([0, expect.stringContaining('Imported 40 files into files: 1 publication')]);
    expect(out).toContain('Your own verifying client found 40 of them');
    expect(await readdir(world.collection('files'))).not.toContain('import');
    expect(await world.json('import', 'in', '--to', 'docs', '--collection', 'files')).toMatchObject({
      files: 40,
      publications: 0,
    });
    await world.serve();
    expect(await listed('--collection', 'files')).toHaveLength(40);
    await world.json('fetch', 'docs/1/f 7.txt', '--collection', 'files', '-o', 'got');
    expect(await readFile(join(world.folder, 'got'), 'utf8')).toBe('content 7');
    // Large ones are hashed in pieces.
    await world.stop();
    await world.file('large/l', Buffer.alloc(5_000_000, 7));
    expect(await into('files', 'large')).toMatchObject({ exit: 0 });
  });

  it('becomes names that nobody has claimed, with what packages say of themselves', async () => {
    await world.file('in/npm/left-pad/left-pad-1.0.0.tgz', npmTarball({ name: 'left-pad', version: '1.0.0' }));
    await world.file('in/npm/@types/x/x-2.0.0.tgz', npmTarball({ name: '@types/x', version: '2.0.0' }));
    await world.file('in/files/handbook/a.txt', 'a');
    await world.file('in/files/mine/b.txt', 'b');
    await world.serve();
    await world.json('claim', 'files/mine');
    await world.stop();
    const done = await world.json('import', 'in');
    expect(done).toMatchObject({ files: 3, skipped: 1, publications: 1, sample: 3 });
    await world.serve();
    expect(await listed('npm/@types/x')).toHaveLength(1);
    expect(await listed('files/mine')).toEqual([]);
    expect(await world.json('fetch', 'npm/left-pad@1.0.0')).toMatchObject({ assurance: 'unclaimed' });
  });
});

describe('a list', () => {
  const row = (i: number): string => `"a ""b"",${i}",${i},${digest(String(i))},${digest(String(i), 'sha512')}`;

  it('is CSV or JSON lines, and is verified as far as it says', async () => {
    const csv = await world.file('l.csv', `path,length,sha256,sha512\r\n${row(1)}\r\n\r\n${row(2)}`);
    const seen = [];
    for await (const { path, length, sha512 } of listEntries(csv)) seen.push([path, length, sha512]);
    expect(seen).toEqual([
      ['a "b",1', 1, digest('1', 'sha512')],
      ['a "b",2', 2, digest('2', 'sha512')],
    ]);
    expect((await into('files', 'l.csv', '--to', 'x')).out).toContain('their content is not here');
    const json = { path: 'j', length: 5, sha256: digest('j'), custom: { note: 'ä' } };
    await world.file('l.jsonl', `${JSON.stringify(json)}\n${JSON.stringify({ ...json, length: 6 })}\n`);
    expect(await into('files', 'l.jsonl')).toMatchObject({ exit: 0 });
    await world.serve();
    expect(await world.json('ls', '--collection', 'files')).toMatchObject({
      // Of a path that is there twice the last one counts.
      files: [{ path: 'j', length: 6, sha256: digest('j') }, { path: 'x/a "b",1' }, { path: 'x/a "b",2' }],
    });
  });

  it('can be read on from any entry', async () => {
    const csv = await world.file('l.csv', `path,length,sha256,sha512\n${[1, 2, 3].map(row).join('\n')}\n`);
    const rests = [];
    for await (const { end } of listEntries(csv)) {
      const rest = [];
      for await (const { length } of listEntries(csv, end)) rest.push(length);
      rests.push(rest);
    }
    expect(rests).toEqual([[2, 3], [3], []]);
  });

  it.each([
    ['an empty one', ''],
    ['one without the columns', 'name,size\na,1\n'],
    ['a foreign column', 'path,length,sha256,md5\n'],
    ['a short line', 'path,length,sha256\na,1\n'],
    ['a length that is none', `path,length,sha256\na,-1,${'0'.repeat(64)}\n`],
    ['a digest that is none', `path,length,sha256\na,1,${'X'.repeat(64)}\n`],
    ['a path that climbs', `path,length,sha256\n../a,1,${'0'.repeat(64)}\n`],
    ['torn JSON', '{"path":"a"\n'],
    ['JSON without a length', `{"path":"a","sha256":"${'0'.repeat(64)}"}\n`],
  ])('%s is refused before anything is published', async (_what, text) => {
    await world.file('bad.list', text);
    const { exit, err } = await into('files', 'bad.list');
    expect([exit, err]).toEqual([2, expect.stringContaining('USAGE_INVALID')]);
    await world.serve();
    expect(await world.json('status', '--collection', 'files')).toMatchObject({ service: { publication: 1 } });
  });
});

describe('what stands in the way is told', () => {
  it.each([
    ['a service that runs', ['in'], 'COLLECTION_BUSY'],
    ['no such source', ['nothing'], 'USAGE_INVALID'],
  ])('%s', async (_what, args, code) => {
    await world.file('in/a', 'a');
    await world.serve();
    expect((await into('files', ...args)).err).toContain(`(${code})`);
  });

  it('a collection that is not here', async () => {
    await world.file('in/a', 'a');
    expect((await into('elsewhere', 'in')).err).toContain('(COLLECTION_MISSING)');
  });

  it('an import of something else that is not finished; a list that changed begins again', async () => {
    const room = join(world.collection('files'), 'import');
    const csv = await world.file('l.csv', `path,length,sha256\na,1,${digest('a')}\n`);
    await ImportRoom.open(room, `list ${csv}\n0 bytes, 0`).then((one) => one.keep('', 0, false));
    await world.file('in/a', 'a');
    expect((await into('files', 'in')).err).toContain('is not finished');
    expect((await into('files', 'l.csv')).err).toContain('has changed since');
    await ImportRoom.open(room, 'folder /elsewhere').then((one) => one.keep('', 0, false));
    expect(await into('files', 'in', '--restart')).toMatchObject({ exit: 0 });
  });
});

describe('an import room', () => {
  const target = { path: 'a', length: 1, hashes: new Map([['sha256', '00']]), custom: undefined };

  it('takes back what was written after its mark', async () => {
    const folder = join(world.folder, 'room');
    const room = await ImportRoom.open(folder, 'x');
    room.add('00', target);
    await room.keep('a', 1, false);
    await writeFile(join(folder, '00.jsonl'), '["torn', { flag: 'a' });
    const again = await ImportRoom.open(folder, 'x');
    expect([again.mark.read, await again.entries(0, 1)]).toEqual([1, [target]]);
  });

  it.each([
    ['a part is missing', '00.jsonl', ''],
    ['the mark is torn', 'mark.json', '{"sou'],
  ])('begins again where %s', async (_what, file, text) => {
    const folder = join(world.folder, 'room');
    const room = await ImportRoom.open(folder, 'x');
    room.add('00', target);
    await room.keep('a', 1, false);
    await writeFile(join(folder, file), text);
    expect((await ImportRoom.open(folder, 'x')).mark.read).toBe(0);
  });
});

async function all<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

it('works on some at a time, and gives them back in order', async () => {
  let [now, most] = [0, 0];
  async function* numbers(): AsyncGenerator<number, void> {
    for (let i = 0; i < 50; i++) yield i;
  }
  const seen: number[] = [];
  const work = async (i: number): Promise<number> => {
    most = Math.max(most, ++now);
    for (let turn = 0; turn < i % 5; turn++) await Promise.resolve();
    now--;
    return i;
  };
  for await (const i of inOrder(numbers(), 4, work)) seen.push(i);
  expect(seen).toEqual(Array.from({ length: 50 }, (_, i) => i));
  expect(most).toBeLessThanOrEqual(4);
  const failing = inOrder(numbers(), 4, (i) => (i === 3 ? Promise.reject(new Error('three')) : Promise.resolve(i)));
  await expect(all(failing)).rejects.toThrow('three');
});

it('tells how far it is, how fast, and what is left', () => {
  expect(paceText(50, 100, 10, 'files')).toBe('██████████░░░░░░░░░░  50 %  10 files/s  5 s left');
  expect(paceText(0, 0, 0, 'files')).toContain('100 %');
  expect(paceText(1, 10_000, 1, 'files')).toContain('2 h 46 min left');
});
