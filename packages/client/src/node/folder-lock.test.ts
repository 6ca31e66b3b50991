// The lock of a folder of trusted state: who holds it, and who does no more.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { threadId } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withFolderLock } from './folder-lock.ts';

let folder: string;
let lock: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-'));
  lock = join(folder, '.lock');
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

describe('the lock of a folder', () => {
  it('is held while the work is done, and gone afterwards', async () => {
    expect(await withFolderLock(folder, () => readFileSync(lock, 'utf8'))).toBe(`${process.pid} ${threadId}`);
    expect(existsSync(lock)).toBe(false);
  });

  it('is gone when the work fails', async () => {
    const failing = (): never => {
      throw new RangeError('the work');
    };
    await expect(withFolderLock(folder, failing)).rejects.toThrow(RangeError);
    expect(existsSync(lock)).toBe(false);
  });

  it.each([
    ['a process that has ended', '99999999 0'],
    ['this very thread, from before a restart', `${process.pid} ${threadId}`],
  ])('of %s blocks nobody', async (_, holder) => {
    writeFileSync(lock, holder);
    expect(await withFolderLock(folder, () => 'done', Number.POSITIVE_INFINITY)).toBe('done');
    expect(existsSync(lock)).toBe(false);
  });

  it('of a living process is waited for', async () => {
    writeFileSync(lock, `${process.ppid} 0`);
    let done = false;
    const work = withFolderLock(folder, () => (done = true), Number.POSITIVE_INFINITY);
    await new Promise(setImmediate);
    expect([done, existsSync(lock)]).toEqual([false, true]);
    await rm(lock);
    expect(await work).toBe(true);
  });

  it.each([
    ['of a living process that never lets go', `${process.ppid} 0`],
    ['that was never signed', ''],
    ['that says nothing', 'nobody at all'],
  ])('%s is broken when patience ends', async (_, holder) => {
    writeFileSync(lock, holder);
    expect(await withFolderLock(folder, () => 'done', 4)).toBe('done');
    expect(existsSync(lock)).toBe(false);
  });

  it('cannot be had where nothing can be written', async () => {
    await expect(withFolderLock(join(folder, 'missing'), () => 'done')).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
