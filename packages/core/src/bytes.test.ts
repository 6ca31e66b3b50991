import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { base64, base64Bytes, concat, hex, hexBytes, sameBytes, utf8, utf8Text } from './bytes.ts';

test('utf8: round trip of text, astral characters and an embedded NUL', () => {
  expect([...utf8('aé€😀\0')]).toEqual([0x61, 0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80, 0]);
  expect(utf8Text(utf8('aé€😀\0'))).toBe('aé€😀\0');
});

test.each([
  ['a continuation byte alone', [0x80]],
  ['an overlong slash', [0xc0, 0xaf]],
  ['an encoded surrogate (CESU-8)', [0xed, 0xa0, 0x80]],
  ['beyond U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
  ['a cut sequence', [0xe2, 0x82]],
])('utf8Text: %s is not UTF-8', (_, bytes) => {
  expect(utf8Text(new Uint8Array(bytes))).toBeUndefined();
  // A refused text leaves nothing behind in the shared decoder.
  expect(utf8Text(utf8('fine'))).toBe('fine');
});

test('utf8Text: a byte order mark is kept, so that readers can refuse it', () => {
  expect(utf8Text(new Uint8Array([0xef, 0xbb, 0xbf, 0x7b]))).toBe('\ufeff{');
});

test('hex: lower case out, either case in, nothing else', () => {
  expect(hex(new Uint8Array([0, 1, 0xab, 0xff]))).toBe('0001abff');
  expect(hexBytes('0001aBfF')).toEqual(new Uint8Array([0, 1, 0xab, 0xff]));
  expect(hexBytes('')).toEqual(new Uint8Array());
  for (const bad of ['0', 'abc', '0x', 'zz', ' 00', '00\n', '0-', '٠٠']) expect(hexBytes(bad)).toBeUndefined();
});

test('base64: the vectors of RFC 4648 §10', () => {
  const vectors = {
    '': '',
    f: 'Zg==',
    fo: 'Zm8=',
    foo: 'Zm9v',
    foob: 'Zm9vYg==',
    fooba: 'Zm9vYmE=',
    foobar: 'Zm9vYmFy',
  };
  for (const [text, encoded] of Object.entries(vectors)) {
    expect(base64(utf8(text))).toBe(encoded);
    expect(base64Bytes(encoded)).toEqual(utf8(text));
  }
});

test.each(['Zg', 'Zg=', 'Zg===', '====', 'Z===', 'Zh==', 'Zm9=', 'Zm-_', 'Zm9v\n', ' Zm9', 'Zg==Zg==', 'Zm9vé'])(
  'base64Bytes: one byte string has one spelling: %j is refused',
  (text) => {
    expect(base64Bytes(text)).toBeUndefined();
  },
);

test('base64 and hex agree with node on any bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      expect(base64(bytes)).toBe(Buffer.from(bytes).toString('base64'));
      expect(base64Bytes(base64(bytes))).toEqual(bytes);
      expect(hex(bytes)).toBe(Buffer.from(bytes).toString('hex'));
      expect(hexBytes(hex(bytes))).toEqual(bytes);
    }),
  );
});

test('concat and sameBytes', () => {
  expect(concat()).toEqual(new Uint8Array());
  expect(concat(new Uint8Array([1]), new Uint8Array(), new Uint8Array([2, 3]))).toEqual(new Uint8Array([1, 2, 3]));
  expect(sameBytes(new Uint8Array([1, 2]), new Uint8Array([1, 2]))).toBe(true);
  expect(sameBytes(new Uint8Array([1, 2]), new Uint8Array([1, 3]))).toBe(false);
  expect(sameBytes(new Uint8Array([1, 2]), new Uint8Array([1]))).toBe(false);
});

test('sameBytes tells any one byte, wherever the two begin in memory', () => {
  const at = (offset: number): Uint8Array => new Uint8Array(24).subarray(offset, offset + 15);
  for (const [i, j] of [
    [0, 0],
    [0, 4],
    [1, 0],
    [0, 3],
    [2, 1],
  ] as const) {
    const [a, b] = [at(i), at(j)];
    expect(sameBytes(a, b)).toBe(true);
    expect(sameBytes(a, a)).toBe(true);
    for (const k of a.keys()) {
      b[k] = 1;
      expect(sameBytes(a, b)).toBe(false);
      b[k] = 0;
    }
  }
});

test('hex of long byte strings is that of their parts', () => {
  const bytes = Uint8Array.from({ length: 5000 }, (_, i) => i % 256);
  expect(hex(bytes)).toBe(Buffer.from(bytes).toString('hex'));
});
