import { createHash } from 'node:crypto';
import { hex, utf8 } from '@countersign/core';
import { expect, test } from 'vitest';
import { nodeCrypto } from './crypto.ts';
import { startHashing } from './hashing-thread.ts';

async function aside(): Promise<NonNullable<Awaited<ReturnType<typeof startHashing>>>> {
  const started = await startHashing();
  if (started === undefined) throw new Error('This runtime starts no threads');
  return started;
}

test.each([
  ['nothing', []],
  ['a few bytes', [3, 0, 1]],
  ['pieces of every size', [2 ** 19, 2 ** 19 - 1, 2, 5 * 2 ** 20 + 7, 1]],
  ['more than may be behind', Array.from({ length: 40 }, () => 2 ** 19)],
])('§5.7.3/3 gives the digests of %s', async (_, lengths) => {
  const thread = await aside();
  const [short, long] = [thread.hasher('sha256'), thread.hasher('sha512')];
  const wanted = { short: createHash('sha256'), long: createHash('sha512') };
  for (const [i, length] of lengths.entries()) {
    const piece = new Uint8Array(length).fill(i + 1);
    for (const hasher of [short, long, wanted.short, wanted.long]) hasher.update(piece);
    piece.fill(0xff); // it was only lent
    await thread.caughtUp();
  }
  await thread.finished();
  expect([hex(short.digest()), hex(long.digest())]).toEqual([wanted.short.digest('hex'), wanted.long.digest('hex')]);
  await thread.close();
});

test('no digest before the end, and none from a thread that was closed', async () => {
  const thread = await aside();
  const hasher = thread.hasher('sha256');
  hasher.update(utf8('abc'));
  expect(() => hasher.digest()).toThrow(TypeError);
  await thread.close();
  await expect(thread.finished()).rejects.toThrow('has ended');
  expect(() => hasher.digest()).toThrow(TypeError);
});

test('a download of some size is hashed aside, a small one is not', async () => {
  expect(await nodeCrypto.aside?.(2 ** 25 - 1)).toBeUndefined();
  const thread = await nodeCrypto.aside?.(2 ** 25);
  expect(thread).toBeDefined();
  await thread?.close();
});
