// Runs every command of docs/guides/operator-files.md in its order, on files that
// its reader would have.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { hashesOf } from '../test/cli-world.ts';
import { type OperatorWorld, operatorWorld } from '../test/operator-world.ts';

const GUIDE = fileURLToPath(new URL('../../../docs/guides/operator-files.md', import.meta.url));

let world: OperatorWorld;
beforeAll(async () => {
  world = await operatorWorld();
  await world.file('downloads/2030/setup.exe', 'setup');
  await world.file('guide.pdf', 'guide');
  await world.file('images/old.png', 'old');
  await world.file('images/new.png', 'new');
  await world.file('manual.html', 'manual');
  await world.file('mirror.csv', `path,length,sha256\nbig.iso,3,${hashesOf(Buffer.from('iso')).get('sha256')}\n`);
});
afterAll(() => world.close());

it('the guide for plain files works as it is written', async () => {
  const blocks = [...(await readFile(GUIDE, 'utf8')).matchAll(/```console\n([^`]*)```/g)];
  const lines = blocks.flatMap(([, block = '']) => block.trim().split('\n')).map((line) => line.replace(/^\$ /, ''));
  let collection: readonly string[] = [];
  let event = '';
  for (const line of lines) {
    const [, variable] = /^export COUNTERSIGN_COLLECTION=(\w+)$/.exec(line) ?? [];
    if (variable !== undefined) {
      collection = ['--collection', variable];
      continue;
    }
    if (line === 'countersign serve') {
      await world.serve();
      continue;
    }
    const [command = '', target] = line.replace('<event>', event).split(' > ');
    const [, ...args] = (command.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll('"', ''));
    const more = { init: ['--dev'], sign: ['--yes'] }[args[0] ?? ''] ?? [];
    const { exit, out, err } = await world.run(...args, ...more, ...(args[0] === 'init' ? [] : collection));
    expect([line, exit, err.match(/^error:.*/m)]).toEqual([line, 0, null]);
    if (target !== undefined) await writeFile(join(world.folder, target), out);
    event = /Signing event (\S+) waits/.exec(out)?.[1] ?? event;
  }
  expect(lines.length).toBe(21);
  const { files } = await world.json('ls', ...collection);
  expect(files).toMatchObject([
    { path: '2030/setup.exe' },
    { path: 'docs/guide.pdf' },
    { path: 'mirror/big.iso', length: 3 },
  ]);
});
