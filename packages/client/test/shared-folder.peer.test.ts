// One folder of trusted state, several real processes: a save over what was
// loaded loses no other process's save, and a killed process blocks nobody.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const ADDER = fileURLToPath(new URL('adder.mjs', import.meta.url));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

function adder(count: number): ChildProcess {
  return fork(ADDER, [folder, String(count)], { execArgv: [] });
}

async function number(): Promise<number> {
  return Number(await readFile(join(folder, 'timestamp.json'), 'utf8').catch(() => '0'));
}

describe('several processes with one folder', () => {
  it('lose no save', async () => {
    const ends = [1, 2, 3, 4].map(() => once(adder(50), 'exit'));
    expect(await Promise.all(ends)).toEqual(ends.map(() => [0, null]));
    expect(await number()).toBe(200);
    expect(await readdir(folder)).toEqual(['timestamp.json']);
  });

  it('go on when others are killed in the middle', async () => {
    for (let round = 0; round < 5; round++) {
      const victims = [adder(1_000_000), adder(1_000_000)];
      const before = await number();
      while ((await number()) < before + 10) await new Promise(setImmediate);
      for (const victim of victims) victim.kill('SIGKILL');
      await Promise.all(victims.map((victim) => once(victim, 'exit')));
      const reached = await number();
      expect(await once(adder(20), 'exit')).toEqual([0, null]);
      expect(await number()).toBe(reached + 20);
    }
    expect(await readdir(folder)).not.toContain('.lock');
  });
});
