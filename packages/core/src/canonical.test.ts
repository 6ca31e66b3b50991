import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codeOf } from '../test/world.ts';
import { utf8, utf8Text } from './bytes.ts';
import { canonicalBytes, documentBytes, jsonOf, objectOf, plainOf } from './canonical.ts';
import { type JsonValue, readDocument } from './json.ts';

const text = (value: JsonValue): string | undefined => utf8Text(canonicalBytes(value));

describe('canonicalBytes: the OLPC dialect, as securesystemslib writes it', () => {
  // Worked out by hand from the definition: keys sorted, no space, `"` and `\` escaped, all else raw.
  test.each<[string, JsonValue, string]>([
    ['empty object', new Map(), '{}'],
    ['empty array', [], '[]'],
    ['words', [true, false, null], '[true,false,null]'],
    ['integers', [0, -1, Number.MAX_SAFE_INTEGER], '[0,-1,9007199254740991]'],
    ['minus zero is zero', [-0], '[0]'],
    ['keys are sorted', jsonOf({ b: 1, a: { d: 2, c: 3 } }), '{"a":{"c":3,"d":2},"b":1}'],
    ['upper case before lower', jsonOf({ a: 1, B: 2, _: 3 }), '{"B":2,"_":3,"a":1}'],
    ['numeric names sort as text', jsonOf({ 9: 1, 10: 2 }), '{"10":2,"9":1}'],
    ['quote and backslash', 'a"b\\c', '"a\\"b\\\\c"'],
    ['control characters are raw', 'a\nb\t\u0000\u007f', '"a\nb\t\u0000\u007f"'],
    ['slash and beyond ASCII are raw', '/é€😀\u2028', '"/é€😀\u2028"'],
    [
      'astral keys come after U+FB00',
      new Map([
        ['😀', 1],
        ['\ufb00', 2],
      ]),
      '{"\ufb00":2,"😀":1}',
    ],
    ['names are escaped too', new Map([['"\\\n', null]]), '{"\\"\\\\\n":null}'],
  ])('%s', (_, value, want) => {
    expect(text(value)).toBe(want);
  });

  test.each([0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])('%s cannot be signed', (number) => {
    expect(codeOf(() => canonicalBytes([number]))).toBe('USAGE_INVALID');
    expect(codeOf(() => documentBytes(new Map([['a', number]])))).toBe('USAGE_INVALID');
  });

  test('half of a surrogate pair cannot be signed, in a value or a name', () => {
    for (const value of ['\ud800', ['a\udc00'], new Map([['\ud800', 1]])]) {
      expect(codeOf(() => canonicalBytes(value))).toBe('USAGE_INVALID');
      expect(codeOf(() => documentBytes(value))).toBe('USAGE_INVALID');
    }
  });

  test('agrees with the definition, written again in the other way: encode, then sort pairs by UTF-8 bytes', () => {
    const reference = (value: unknown): Buffer => {
      if (typeof value === 'string') {
        const escaped = Array.from(value, (c) => (c === '"' || c === '\\' ? `\\${c}` : c));
        return Buffer.from(`"${escaped.join('')}"`);
      }
      if (value === null || typeof value !== 'object') return Buffer.from(`${value as number}`);
      const list = Array.isArray(value);
      const parts = list
        ? value.map(reference)
        : Object.entries(value)
            .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
            .map(([key, member]) => Buffer.concat([reference(key), Buffer.from(':'), reference(member)]));
      const joined = parts.flatMap((part, i) => (i === 0 ? [part] : [Buffer.from(','), part]));
      return Buffer.concat([Buffer.from(list ? '[' : '{'), ...joined, Buffer.from(list ? ']' : '}')]);
    };
    const value = fc
      .jsonValue({ stringUnit: 'binary' })
      .map((json) =>
        JSON.parse(JSON.stringify(json), (_, member: unknown) =>
          typeof member === 'number' ? Math.trunc(member % 2 ** 53) + 0 : member,
        ),
      );
    fc.assert(
      fc.property(value, (json) => {
        expect(Buffer.from(canonicalBytes(jsonOf(json))).equals(reference(json))).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe('documentBytes', () => {
  test('equals the canonical bytes unless a string holds a control character', () => {
    const plain = jsonOf({ b: ['é"\\', 1], a: null });
    expect(documentBytes(plain)).toEqual(canonicalBytes(plain));
    expect(utf8Text(documentBytes('-----BEGIN\nEND'))).toBe(String.raw`"-----BEGIN\nEND"`);
  });

  test('any tree that is written can be read, and is canonically the same', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' })), (strings) => {
        const tree = objectOf(new Map(Object.entries(strings)));
        const { root } = readDocument(documentBytes(tree));
        expect(canonicalBytes(root)).toEqual(canonicalBytes(tree));
      }),
    );
  });
});

describe('jsonOf, objectOf, plainOf', () => {
  test('members that are undefined are left out; Maps, arrays and literals mix', () => {
    const tree = objectOf({ a: undefined, b: [new Map([['c', null]]), { d: true, e: undefined }], f: 'x' });
    expect(text(tree)).toBe('{"b":[{"c":null},{"d":true}],"f":"x"}');
    expect(
      text(
        objectOf(
          new Map([
            ['10', 1],
            ['9', 2],
          ]),
        ),
      ),
    ).toBe('{"10":1,"9":2}');
    expect(jsonOf(null)).toBe(null);
    expect(jsonOf('x')).toBe('x');
  });

  test('plainOf: objects without a prototype, so that __proto__ is a name like another', () => {
    const { root } = readDocument(utf8('{"__proto__":{"polluted":true},"a":[1,{"b":null}]}'));
    const plain = plainOf(root) as Record<string, unknown>;
    expect(Object.getPrototypeOf(plain)).toBe(null);
    expect(Object.keys(plain)).toEqual(['__proto__', 'a']);
    expect(JSON.stringify(plain)).toBe('{"__proto__":{"polluted":true},"a":[1,{"b":null}]}');
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
    expect(plainOf(5)).toBe(5);
  });
});
