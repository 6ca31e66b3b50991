// docs/guides/operator-keys.md, as a script: every command on that page is run,
// by whom and when the page says, on one collection, and must succeed.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { days } from '@countersign/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CliWorld, npmTarball, startCliWorld } from '../test/cli-world.ts';

const PAGE = fileURLToPath(new URL('../../../docs/guides/operator-keys.md', import.meta.url));

interface Section {
  readonly title: string;
  readonly lines: readonly string[];
}

const sections: readonly Section[] = (await readFile(PAGE, 'utf8'))
  .split(/^## /m)
  .map((text) => {
    const blocks = [...text.matchAll(/^```console\n([^`]*)^```/gm)].map(([, block = '']) => block);
    return { title: text.slice(0, text.indexOf('\n')), lines: blocks.join('').split('\n').filter(Boolean) };
  })
  .filter(({ lines }) => lines.length > 0);

let world: CliWorld;
let event = '';
beforeAll(async () => {
  world = await startCliWorld();
  await world.file('kept-1.0.0.tgz', npmTarball({ name: 'kept', version: '1.0.0' }));
  for (const args of [
    ['claim', 'npm/kept', 'npm/fresh'],
    ['publish', 'kept-1.0.0.tgz'],
  ]) {
    expect(await world.as('ada', ...args)).toMatchObject({ exit: 0 });
  }
  expect(await world.as('quorum', 'promote', 'npm/kept')).toMatchObject({ exit: 0 });
});
afterAll(() => world.close());

async function runLine(line: string): Promise<void> {
  const wait = /^# (\d+) days later$/.exec(line);
  if (wait !== null) {
    for (let day = 0; day < Number(wait[1]); day += 0.4) {
      world.move(days(0.4));
      await world.renew();
    }
    return;
  }
  const [, person = '', command = '', target] = /^(\w+)\$ countersign (.*?)(?: > (\S+))?$/.exec(line) ?? [];
  const { exit, out, err } = await world.as(person, ...command.replace('<event>', event).split(' '));
  expect([line, exit, exit === 0 ? '' : err]).toEqual([line, 0, '']);
  event = /Signing event (\S+) waits/.exec(out + err)?.[1] ?? event;
  if (target !== undefined) await writeFile(join(world.folder, target), out);
}

describe('the page of keys', () => {
  it.each(sections)('$title', { timeout: 60_000 }, async ({ lines }) => {
    for (const line of lines) await runLine(line);
  });

  it('afterwards two of three sign, everything can be replayed, and users get what they got', async () => {
    const { roles, version } = await world.json('auditor', 'root');
    const [root] = Array.isArray(roles) ? roles : [];
    expect(root).toMatchObject({ role: 'root', threshold: 2, keys: { length: 3 } });
    expect(version).toBeGreaterThanOrEqual(8);
    expect(await world.json('auditor', 'audit')).toMatchObject({ collection: 'main' });
    expect((await world.json('reader', 'fetch', 'npm/kept@1.0.0'))['assurance']).toBe('claimed');
    expect(sections).toHaveLength(8);
  });
});
