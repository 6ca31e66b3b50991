// docs/guides/accidents.md, as a script: every command on that page is run, by
// whom and when the page says, on one collection, and must succeed. Then the
// auditor replays it all, and a user still gets every file.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { days } from '@countersign/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CliWorld, npmTarball, startCliWorld } from '../test/cli-world.ts';

const PAGE = fileURLToPath(new URL('../../../docs/guides/accidents.md', import.meta.url));
const DAY = days(1);

interface Section {
  readonly title: string;
  readonly lines: readonly string[];
}

/** The commands of a page, by section. */
function sectionsOf(page: string): readonly Section[] {
  return page
    .split(/^## /m)
    .slice(1)
    .map((text) => {
      const title = text.slice(0, text.indexOf('\n'));
      const blocks = [...text.matchAll(/^```console\n([^`]*)^```/gm)].map(([, block = '']) => block);
      return { title, lines: blocks.join('').split('\n').filter(Boolean) };
    });
}

/** Splits a command as a shell does; the page uses double quotes only. */
function wordsOf(line: string): readonly string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

const sections = sectionsOf(await readFile(PAGE, 'utf8'));
let world: CliWorld;
let event = '';
beforeAll(async () => {
  world = await startCliWorld();
  for (const name of ['bad', 'only']) await world.file(`${name}-1.0.0.tgz`, npmTarball({ name, version: '1.0.0' }));
  await world.file('report.txt', 'What the quorum was shown.\n');
});
afterAll(() => world.close());

async function runLine(line: string): Promise<void> {
  const wait = /^# (\d+) days later$/.exec(line);
  if (wait !== null) {
    // Time passes day by day, and the service with it.
    for (let day = 0; day < Number(wait[1]); day++) {
      world.move(DAY);
      await world.renew();
    }
    return;
  }
  const [, person = '', command = '', target] = /^(\w+)\$ countersign (.*?)(?: > (\S+))?$/.exec(line) ?? [];
  const { exit, out, err } = await world.as(person, ...wordsOf(command.replace('<event>', event)));
  expect([line, exit, exit === 0 ? '' : err]).toEqual([line, 0, '']);
  // A careful reader does what the reader does, but trusts nobody yet.
  if (person === 'reader' && !command.startsWith('trust')) {
    expect((await world.as('careful', ...wordsOf(command))).exit).toBe(0);
  }
  event = /Signing event (\S+) waits/.exec(out + err)?.[1] ?? event;
  if (target !== undefined) await writeFile(join(world.folder, target), out);
}

describe('the page of accidents', () => {
  it.each(sections)('$title', async ({ lines }) => {
    for (const line of lines) await runLine(line);
  });

  it('has a section for each kind of accident', () => {
    expect(sections.length).toBeGreaterThanOrEqual(14);
    expect(sections.filter(({ lines }) => lines.length === 0)).toEqual([]);
  });

  it.each([
    ['npm/lost', { epoch: 1, state: 'claimed' }],
    ['npm/only', { epoch: 2, state: 'claimed' }],
    ['npm/gone', { epoch: 2, state: 'claimed' }],
    ['npm/mine', { epoch: 1, state: 'claimed' }],
    ['npm/given', { epoch: 2, state: 'claimed' }],
    ['npm/old', { epoch: 2, state: 'claimed' }],
    ['npm/end', { epoch: 2, state: 'claimed' }],
  ])('and %s stands as the page says', async (name, want) => {
    expect(await world.json('auditor', 'owners', name)).toMatchObject(want);
  });

  it('who asked for it is stopped by the new epoch, until they trust it', async () => {
    const fetch = ['fetch', 'npm/only@1.0.0', '--new-owners', 'stop'];
    const stopped = await world.as('careful', ...fetch);
    expect([stopped.exit, stopped.err.includes('OWNER_CHANGED')]).toEqual([3, true]);
    const shown = await world.as('careful', 'fetch', 'npm/only@1.0.0');
    expect([shown.exit, shown.err]).toEqual([0, expect.stringContaining('it was recovered (epoch 2 after 1)')]);
    expect(await world.json('careful', 'trust', 'npm/only')).toMatchObject({ epoch: 2, confirmed: true });
    expect((await world.as('careful', ...fetch)).exit).toBe(0);
  });

  it('afterwards everything can be replayed, and users get what they got', async () => {
    expect(await world.json('auditor', 'audit')).toMatchObject({ collection: 'main' });
    expect((await world.as('reader', 'fetch', 'npm/only@1.0.0')).exit).toBe(0);
    expect((await world.json('reader', 'fetch', 'npm/bad@1.0.0'))['assurance']).toBe('claimed');
  });
});
