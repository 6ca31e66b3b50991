import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { codeOf, counter, crypto, hexOf, targetOf, targetsJson } from '../test/world.ts';
import { utf8 } from './bytes.ts';
import { objectOf } from './canonical.ts';
import { checkContent, type Gate, openGate } from './content.ts';
import { driveCrypto } from './drive.ts';
import { MetadataError } from './errors.ts';
import { readTargets, type TargetFile } from './model.ts';

const BODY = utf8('hello world');
const target = (more: Partial<TargetFile> = {}): TargetFile => {
  const file = readTargets(objectOf(targetsJson(1, { 'a/b': targetOf('hello world') })), 'x').targets.get('a/b');
  if (file === undefined) throw new Error('no target');
  return { ...file, ...more };
};

describe('checkContent (§5.5.2, §5.6.2)', () => {
  const check = (length: number | undefined, hashes: Record<string, string> | undefined): string | undefined => {
    const listed = { length, hashes: hashes && new Map(Object.entries(hashes)) };
    return codeOf(() => driveCrypto(checkContent(BODY, listed, 'snapshot'), crypto));
  };
  const [sha256, sha512] = [hexOf('sha256', BODY), hexOf('sha512', BODY)];

  test.each<[string | undefined, string, number | undefined, Record<string, string> | undefined]>([
    [undefined, 'nothing listed', undefined, undefined],
    [undefined, 'the length', 11, undefined],
    [undefined, 'sha256', undefined, { sha256 }],
    [undefined, 'sha512 alone', 11, { sha512 }],
    [undefined, 'an unknown hash beside a known one', 11, { sha256, 'x-new': 'text' }],
    ['LENGTH_MISMATCH', 'too short', 12, { sha256 }],
    ['LENGTH_MISMATCH', 'too long', 10, { sha256 }],
    ['HASH_MISMATCH', 'A7 another sha256', 11, { sha256: sha256.replace(/^./, 'x') }],
    ['HASH_MISMATCH', 'a good sha256 and a bad sha512', 11, { sha256, sha512: sha256 }],
    ['HASH_MISMATCH', 'a good sha512 and a bad sha256', 11, { sha256: sha512, sha512 }],
    ['HASH_MISMATCH', 'an empty digest', 11, { sha256: '' }],
    ['HASH_MISMATCH', 'a digest cut short', 11, { sha256: sha256.slice(0, 32) }],
    ['HASH_UNSUPPORTED', 'weak hashes only', 11, { md5: 'aa', sha1: 'bb' }],
    ['HASH_UNSUPPORTED', 'no hash in the object', undefined, {}],
  ])('%s: %s', (code, _, length, hashes) => {
    expect(check(length, hashes)).toBe(code);
  });

  test('a wrong length is told before anything is hashed', () => {
    counter.hashes = 0;
    check(1, { sha256 });
    expect(counter.hashes).toBe(0);
  });
});

describe('openGate (§5.7.3)', () => {
  const open = (file: TargetFile): Gate => openGate(file, (algorithm) => createHash(algorithm));

  test('the right bytes pass, in any chunks', () => {
    for (const size of [1, 3, 11]) {
      const gate = open(target());
      for (let at = 0; at < BODY.length; at += size) gate.push(BODY.subarray(at, at + size));
      gate.push(new Uint8Array());
      expect(codeOf(() => gate.close())).toBeUndefined();
    }
  });

  test('A2 endless data: refused with the first byte too many, and that chunk is not hashed', () => {
    const hashed: number[] = [];
    const gate = openGate(target(), () => ({
      update: ({ length }) => void hashed.push(length),
      digest: () => new Uint8Array(),
    }));
    gate.push(BODY.subarray(0, 10));
    expect(codeOf(() => gate.push(new Uint8Array(2)))).toBe('LENGTH_EXCEEDED');
    expect(codeOf(() => gate.push(new Uint8Array(1)))).toBe('LENGTH_EXCEEDED');
    expect(codeOf(() => gate.close())).toBe('LENGTH_MISMATCH');
    expect(hashed).toEqual([10, 10]); // once for each listed hash
  });

  test('a body that ends early', () => {
    const gate = open(target());
    gate.push(BODY.subarray(0, 10));
    expect(codeOf(() => gate.close())).toBe('LENGTH_MISMATCH');
  });

  test('A10 other bytes of the same length', () => {
    const gate = open(target());
    gate.push(utf8('hello_world'));
    expect(codeOf(() => gate.close())).toBe('HASH_MISMATCH');
  });

  test('every listed strong hash counts, not only the first', () => {
    const sha256 = target().hashes.get('sha256') ?? '';
    const gate = open(target({ hashes: new Map(Object.entries({ sha256, sha512: 'ff'.repeat(64) })) }));
    gate.push(BODY);
    try {
      gate.close();
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(MetadataError);
      expect(error).toMatchObject({ code: 'HASH_MISMATCH', detail: { what: 'a/b', algorithm: 'sha512' } });
    }
  });

  test('no strong hash: refused before a byte is taken', () => {
    expect(codeOf(() => open(target({ hashes: new Map([['md5', 'aa']]) })))).toBe('HASH_UNSUPPORTED');
  });

  test('an empty target', () => {
    const empty = new Uint8Array();
    const file = target({ length: 0, hashes: new Map([['sha256', hexOf('sha256', empty)]]) });
    const gate = open(file);
    expect(codeOf(() => gate.close())).toBeUndefined();
    expect(codeOf(() => open(file).push(new Uint8Array(1)))).toBe('LENGTH_EXCEEDED');
  });
});
