import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codeOf } from '../test/world.ts';
import { utf8, utf8Text } from './bytes.ts';
import { canonicalBytes, plainOf } from './canonical.ts';
import { compareCodePoints } from './code-points.ts';
import { DeferredMap } from './deferred-map.ts';
import { MetadataError } from './errors.ts';
import { type JsonObject, type JsonValue, membersChanged, membersUnlike, readDocument, type Shape } from './json.ts';
import { asObject } from './shape.ts';

const read = (text: string): JsonValue | undefined => readDocument(utf8(text)).root.get('v');
const slice = (text: string, member = 'signed'): string | undefined => {
  const bytes = readDocument(utf8(text)).canonicalSlice(member);
  return bytes && utf8Text(bytes);
};

describe('what is read', () => {
  test.each<[string, JsonValue]>([
    ['null', null],
    ['true', true],
    ['false', false],
    ['0', 0],
    ['-1', -1],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
    ['-9007199254740991', -Number.MAX_SAFE_INTEGER],
    ['""', ''],
    ['"é€😀\u007f\u2028"', 'é€😀\u007f\u2028'],
    [String.raw`"\"\\\/\b\f\n\r\t\u0041\u00e9"`, '"\\/\b\f\n\r\tAé'],
    [String.raw`"a\ud83d\ude00b"`, 'a😀b'],
    [String.raw`"😀\ud83d\uDE00"`, '😀😀'],
    ['[]', []],
    ['[ 1 , [ ] ]', [1, []]],
    ['{}', new Map()],
    [
      '{ "a" : 1 , "b" : { } }',
      new Map<string, JsonValue>([
        ['a', 1],
        ['b', new Map()],
      ]),
    ],
  ])('%s', (text, want) => {
    expect(read(`{"v":${text}}`)).toEqual(want);
    expect(read(`\t\r\n {"v" :\n${text}\t}\r\n `)).toEqual(want);
  });

  test('an empty document is an empty object', () => {
    expect(readDocument(utf8('{}')).root).toEqual(new Map());
    expect(readDocument(utf8(' { } ')).root).toEqual(new Map());
  });

  test('names that are traps for objects are plain names here, in the order of the file', () => {
    const { root } = readDocument(utf8('{"__proto__":{"x":1},"constructor":2,"10":3,"9":4,"":5}'));
    expect([...root.keys()]).toEqual(['__proto__', 'constructor', '10', '9', '']);
    expect(Object.getPrototypeOf(root)).toBe(Map.prototype);
  });

  test('depth: 64 levels are read', () => {
    const nested = (n: number): string => `{"v":${'['.repeat(n)}${']'.repeat(n)}}`;
    expect(codeOf(() => read(nested(63)))).toBeUndefined();
    expect(codeOf(() => read(nested(64)))).toBe('JSON_INVALID');
  });
});

describe('what is refused, with JSON_INVALID', () => {
  test.each([
    ['nothing', ''],
    ['only white space', ' \n'],
    ['an array outermost', '[]'],
    ['a string outermost', '"a"'],
    ['a number outermost', '1'],
    ['null outermost', 'null'],
    ['a byte order mark', '\ufeff{}'],
    ['a non-breaking space', '\u00a0{}'],
    ['trailing garbage', '{}x'],
    ['a second document', '{}{}'],
    ['trailing NUL', '{}\0'],
    ['an object that is not closed', '{'],
    ['a member without a value', '{"a"'],
    ['a member without a colon', '{"a" 1}'],
    ['an end after the colon', '{"a":'],
    ['a comma before nothing', '{"a":1,}'],
    ['two commas', '{"a":1,,"b":2}'],
    ['a missing comma', '{"a":1 "b":2}'],
    ['a name that is not a string', '{1:2}'],
    ['a single-quoted name', "{'a':1}"],
    ['a comment', '{/**/}'],
  ])('%s', (_, text) => {
    expect(codeOf(() => readDocument(utf8(text)))).toBe('JSON_INVALID');
  });

  test.each([
    ['a duplicate member', '{"a":1,"a":1}'],
    ['a duplicate member, one spelt with an escape', String.raw`{"a":1,"\u0061":1}`],
    ['a duplicate deep inside', '[{"a":{"b":1,"c":2,"b":3}}]'],
    ['duplicate empty names', '{"":1,"":2}'],
    ['duplicate __proto__', '{"__proto__":1,"__proto__":2}'],
    ['a float', '1.0'],
    ['a float without digits', '1.'],
    ['an exponent', '1e2'],
    ['an exponent in upper case', '1E2'],
    ['an exponent on zero', '0e0'],
    ['minus zero', '-0'],
    ['a minus alone', '-'],
    ['two minuses', '--1'],
    ['a plus', '+1'],
    ['a leading zero', '01'],
    ['a negative leading zero', '-01'],
    ['a leading point', '.5'],
    ['hexadecimal', '0x10'],
    ['2^53', '9007199254740992'],
    ['-2^53', '-9007199254740992'],
    ['an integer that a double rounds', '9007199254740993'],
    ['an integer beyond any double', '9'.repeat(400)],
    ['NaN', 'NaN'],
    ['Infinity', '-Infinity'],
    ['undefined', 'undefined'],
    ['a capital word', 'True'],
    ['a cut word', 'tru'],
    ['a word that goes on', 'truex'],
    ['null that goes on', 'nulls'],
    ['a number that goes on', '12a'],
    ['an array that is not closed', '[1'],
    ['an array with a trailing comma', '[1,]'],
    ['an array with no comma', '[1 2]'],
    ['an array closed by a brace', '[1}'],
    ['a single-quoted string', "'a'"],
    ['a string that is not closed', '"a'],
    ['a string with an escape that is not closed', String.raw`"\na`],
    ['a string that ends in a backslash', '"\\'],
    ['a raw newline', '"a\nb"'],
    ['a raw tab after an escape', '"\\n\tb"'],
    ['a raw NUL', '"\0"'],
    ['a raw U+001F', '"\u001f"'],
    ['an unknown escape', String.raw`"\x41"`],
    ['an upper-case U escape', String.raw`"\U0041"`],
    ['an escaped quote of the other kind', String.raw`"\'"`],
    ['three hexadecimal digits', String.raw`"\u004"`],
    ['hexadecimal digits with a sign', String.raw`"\u+041"`],
    ['hexadecimal digits with a space', String.raw`"\u 041"`],
    ['no digits at the end', String.raw`"\u`],
    ['a lone high surrogate', String.raw`"\ud800"`],
    ['a lone low surrogate', String.raw`"\udc00"`],
    ['surrogates in the wrong order', String.raw`"\ude00\ud83d"`],
    ['two high surrogates', String.raw`"\ud83d\ud83d\ude00"`],
    ['two low surrogates', String.raw`"\ud83d\ude00\ude00"`],
    ['a high surrogate before a raw character', String.raw`"\ud83d😀"`],
    ['a lone surrogate in a name', String.raw`{"\ud800":1}`],
  ])('%s', (_, text) => {
    expect(codeOf(() => read(`{"v":${text}}`))).toBe('JSON_INVALID');
  });

  test('bytes that are not UTF-8', () => {
    expect(codeOf(() => readDocument(new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])))).toBe('JSON_INVALID');
    expect(codeOf(() => readDocument(new Uint8Array([0xff, 0xfe, 0x7b, 0, 0x7d, 0])))).toBe('JSON_INVALID');
  });

  test('the place is told in `detail`, nothing of the content is', () => {
    try {
      readDocument(utf8('{"secret":1,"secret":2}'));
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(MetadataError);
      expect(error).toMatchObject({ code: 'JSON_INVALID', detail: { at: 20 } });
      expect(String(error)).not.toContain('secret');
    }
  });

  test('nesting without end costs no stack', () => {
    for (const open of ['[', '{"a":', '[{"a":']) {
      expect(codeOf(() => readDocument(utf8(`{"v":${open.repeat(200_000)}`)))).toBe('JSON_INVALID');
    }
  });
});

describe('canonicalSlice: the received bytes of `signed`, only when they are canonical', () => {
  const canonical = [
    '{}',
    '[]',
    '-5',
    'null',
    '""',
    '{"a":[1,{"b":true,"c":""}],"b":{}}',
    String.raw`{"a\"b\\c":"\\\""}`,
    '{"a":"/ \u007f\u2028"}',
    '{"":0,"A":1,"a":2,"aa":3,"b":4}',
    '{"ä":1,"ﬀ":2,"😀":3}',
  ];
  test.each(canonical)('%s is given as it is', (text) => {
    expect(slice(`{"signatures": [ ],\n "signed":${text}}`)).toBe(text);
    expect(slice(`{"signed":${text} , "z" : 1}`)).toBe(text);
    expect(slice(`{"é€😀":1,"signed":${text}}`)).toBe(text);
    expect(slice(String.raw`{"\u0061" : "\n", "signed": ${text}}`)).toBe(text);
  });

  test.each([
    ['a space inside', '{"a": 1}'],
    ['a space in an empty object', '{ }'],
    ['a space in an empty array', '[\n]'],
    ['a space before a comma', '[1 ,2]'],
    ['a space before the end', '{"a":1 }'],
    ['names out of order', '{"b":1,"a":2}'],
    ['names out of order deep inside', '[{"a":{"b":1,"a":2}}]'],
    ['UTF-16 order where code points differ', '{"😀":1,"ﬀ":2}'],
    ['a longer name before its prefix', '{"aa":1,"a":2}'],
    ['an escape that canonical JSON does not write', String.raw`{"a":"\n"}`],
    ['an escaped slash', String.raw`{"a":"\/"}`],
    ['a letter as an escape', String.raw`{"a":"\u0061"}`],
    ['an escape in a name', String.raw`{"\u0061":1}`],
  ])('%s: not given', (_, text) => {
    expect(slice(`{"signed":${text}}`)).toBeUndefined();
    // The flag belongs to one member: the next one is judged anew.
    expect(slice(`{"a":${text},"signed":{"x":1}}`)).toBe('{"x":1}');
    expect(slice(`{"signed":{"x":1},"z":${text}}`)).toBe('{"x":1}');
  });

  test('a member that is not there, or is only there deeper', () => {
    expect(slice('{}')).toBeUndefined();
    expect(slice('{"a":{"signed":1}}')).toBeUndefined();
    expect(slice('{"toString":1}', 'constructor')).toBeUndefined();
  });

  test('for ASCII documents the slice is a view of the received bytes', () => {
    const bytes = utf8('{"signed":{"a":1}}');
    expect(readDocument(bytes).canonicalSlice('signed')?.buffer).toBe(bytes.buffer);
  });

  test('a view with an offset into a larger buffer is cut at the right place', () => {
    const larger = utf8('xxxxx{"signed":{"a":1}}yyy');
    const cut = readDocument(larger.subarray(5, 23)).canonicalSlice('signed');
    expect(cut && utf8Text(cut)).toBe('{"a":1}');
  });
});

describe('properties', () => {
  const name = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 4 }),
    fc.string({ unit: 'binary', maxLength: 3 }),
    fc.constantFrom('a', 'b', '__proto__', '10', '\ufb00', '😀', '\u{10ffff}', '\ud7ff', '\ue000'),
  );
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      fc.oneof(fc.constant(null), fc.boolean(), fc.maxSafeInteger(), name),
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.uniqueArray(fc.tuple(name, tie('tree')), { maxLength: 5, selector: ([key]) => key }).map((entries) => {
        const object: Record<string, unknown> = Object.create(null);
        for (const [key, value] of entries) object[key] = value;
        return object;
      }),
    ),
  }));
  const spacing = fc.constantFrom(undefined, 1, '\t', ' \n\r');

  test('agrees with JSON.parse on any document that canonical JSON can hold', () => {
    fc.assert(
      fc.property(tree, spacing, (value, space) => {
        const text = JSON.stringify({ signed: value }, null, space).replaceAll('-0', '0');
        const { root } = readDocument(utf8(text));
        expect(JSON.stringify(plainOf(root))).toBe(JSON.stringify(JSON.parse(text)));
      }),
      { numRuns: 400 },
    );
  });

  test('never reads what JSON.parse refuses', () => {
    const soup = fc.array(
      fc.constantFrom(
        '{',
        '}',
        '[',
        ']',
        ',',
        ':',
        '"',
        '"a"',
        '"b"',
        '\\',
        '\\u00',
        '1',
        '-',
        '0',
        '.',
        'e',
        'true',
        ' ',
      ),
      { maxLength: 14 },
    );
    fc.assert(
      fc.property(soup, (pieces) => {
        const text = `{"v":${pieces.join('')}}`;
        let refused = false;
        try {
          JSON.parse(text);
        } catch {
          refused = true;
        }
        const code = codeOf(() => readDocument(utf8(text)));
        if (refused) expect(code).toBe('JSON_INVALID');
      }),
      { numRuns: 2000 },
    );
  });

  test('never throws anything but JSON_INVALID, whatever the bytes', () => {
    const damaged = fc.tuple(tree, fc.nat(), fc.uint8Array({ maxLength: 3 })).map(([value, at, splice]) => {
      const bytes = [...utf8(JSON.stringify({ signed: value }))];
      bytes.splice(at % (bytes.length + 1), splice.length === 0 ? 1 : 0, ...splice);
      return new Uint8Array(bytes);
    });
    fc.assert(
      fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 30 })), (bytes) => {
        expect([undefined, 'JSON_INVALID']).toContain(codeOf(() => readDocument(bytes)));
      }),
      { numRuns: 1000 },
    );
  });

  test('a slice that is given is exactly what the canonical writer makes of the tree', () => {
    const sorted = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(sorted);
      if (value === null || typeof value !== 'object') return value;
      const names = Object.keys(value).sort(compareCodePoints);
      const object: Record<string, unknown> = Object.create(null);
      for (const key of names) object[key] = sorted((value as Record<string, unknown>)[key]);
      return object;
    };
    let given = 0;
    fc.assert(
      fc.property(tree, fc.boolean(), spacing, (value, sort, space) => {
        const text = JSON.stringify({ signed: sort ? sorted(value) : value }, null, space).replaceAll('-0', '0');
        const document = readDocument(utf8(text));
        const cut = document.canonicalSlice('signed');
        if (cut === undefined) return;
        given++;
        expect(cut).toEqual(canonicalBytes(document.root.get('signed') ?? null));
      }),
      { numRuns: 600 },
    );
    expect(given).toBeGreaterThan(50);
  });
});

describe('an object with many members, built only when asked for', () => {
  const FILLERS = Array.from({ length: 16 }, (_, i) => `"a${String(i).padStart(2, '0')}":${i}`).join(',');
  const large = (members: string): string => `{"signed":{${FILLERS}${members && `,${members}`}}}`;
  const signedOf = (text: string, maxObjects?: number, shapes?: readonly Shape[]): JsonObject =>
    asObject(readDocument(utf8(text), maxObjects, shapes).root.get('signed'), 'signed');
  const POINT: Shape = { kind: 'point', pattern: /\{"x":\d,"y":\{"z":\d\}\}/y, objects: 2 };
  const LINE: Shape = { kind: 'line', pattern: /\{"x":\d\}/y, objects: 1 };
  const LONG: Shape = { kind: 'line', pattern: /\{"long":\d\}/y, objects: 1 };

  test('begins at the seventeenth', () => {
    expect(signedOf(large(''))).not.toBeInstanceOf(DeferredMap);
    expect(signedOf(large('"b":1'))).toBeInstanceOf(DeferredMap);
  });

  test('is read like a small one: every kind of value', () => {
    const members = String.raw`"b":{"c":[1,{"d":null}],"e":{}},"c":"\"\\","d":[],"e":-1,"f":true,"g":[{"h":[2]}]`;
    const signed = signedOf(large(members));
    const small = readDocument(utf8(`{${members}}`)).root;
    for (const [name, value] of small) expect(signed.get(name)).toEqual(value);
    expect(signed.get('a07')).toBe(7);
    expect([...signed.keys()].slice(16)).toEqual([...small.keys()]);
    expect(JSON.stringify(plainOf(signed))).toBe(JSON.stringify(JSON.parse(large(members)).signed));
    expect(slice(large('"b":{"c":1}'))).toBe(`{${FILLERS},"b":{"c":1}}`);
  });

  const soup = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"a"',
    '"b"',
    '{"x":1}',
    '\\',
    '1',
    '-',
    '01',
    '1.5',
    '"',
    ' ',
  );
  test('is refused like a small one, at the same place', () => {
    const refusalOf = (text: string): unknown => {
      try {
        readDocument(utf8(text), undefined, [LINE, POINT]);
        return undefined;
      } catch (error) {
        return error instanceof MetadataError ? [error.code, error.message, error.detail] : error;
      }
    };
    const spaces = ' '.repeat(FILLERS.length + 1);
    let refused = 0;
    fc.assert(
      fc.property(fc.array(soup, { maxLength: 12 }), (pieces) => {
        const member = `"b":${pieces.join('')}`;
        const want = refusalOf(`{"signed":{${spaces}${member}}}`);
        if (want !== undefined) refused++;
        expect(refusalOf(large(member))).toEqual(want);
      }),
      { numRuns: 1000 },
    );
    expect(refused).toBeGreaterThan(100);
  });

  test.each([
    ['twice in a row', '"b":1,"b":2'],
    ['twice, out of order', '"b":1,"a10":2'],
    ['twice, after a disorder', '"c":1,"b":2,"c":3'],
    ['twice inside', '"b":{"x":1,"x":2}'],
    ['twice inside, out of order', '"b":{"y":1,"x":{"y":2},"y":3}'],
    ['twice inside, after a disorder', '"b":{"y":1,"x":2,"z":3,"z":4}'],
  ])('a member name that occurs %s: JSON_INVALID', (_, members) => {
    expect(codeOf(() => signedOf(large(members)))).toBe('JSON_INVALID');
  });

  test('names out of order are fine, but not canonical', () => {
    expect(signedOf(large('"c":1,"b":{"y":1,"x":{"y":2},"z":3}')).size).toBe(18);
    expect(slice(large('"c":1,"b":2'))).toBeUndefined();
    expect(slice(large('"b":{"y":1,"x":2}'))).toBeUndefined();
  });

  test.each([
    ['sorted', '"b":1,"c":{"x":2},"d":3,"é":4,"\ufb00":5,"😀":6'],
    ['with an escape', String.raw`"b":1,"c\"":{"x":2},"d":3`],
    ['with an escape that hides the order', String.raw`"b":1,"\u0042":{"x":2},"c":3`],
    ['not sorted', '"c":1,"b":{"x":2},"d":3'],
  ])('members are found by name, whether names are %s', (_, members) => {
    const signed = signedOf(large(members));
    const want = new Map<string, unknown>(Object.entries(JSON.parse(large(members)).signed));
    expect([signed.size, [...signed.keys()]]).toEqual([want.size, [...want.keys()]]);
    expect([...signed].map(([name, value]) => [name, plainOf(value)])).toEqual([...want]);
    for (const name of want.keys())
      expect([signed.has(name), plainOf(signed.get(name) ?? null)]).toEqual([true, want.get(name)]);
    for (const absent of ['', 'a', 'a005', 'bb', 'zzz', '"'])
      expect([signed.has(absent), signed.get(absent)]).toEqual([false, undefined]);
  });

  test('a shape is recognised, whatever else is there', () => {
    const members = '"b":{"x":1},"c":{"x":10},"d":{"x":1,"y":{"z":2}},"e":{"long":3},"f":{"x":5}';
    const signed = signedOf(large(members), undefined, [POINT, LINE, LONG]);
    const fillers = [...signed.keys()].slice(0, 16);
    // The first that was recognised says of which kind the object's members are.
    expect([...membersUnlike(signed, 'line')]).toEqual([...fillers, 'c', 'd']);
    expect([...membersUnlike(signed, 'point')]).toEqual([...signed.keys()]);
    expect([...membersUnlike(new Map([['a', 1]]), 'line')]).toEqual(['a']);
    expect(signed.get('f')).toEqual(new Map([['x', 5]]));
    expect(utf8Text(canonicalBytes(signed))).toBe(slice(large(members)));
  });

  test('limits hold for what is recognised too', () => {
    const members = '"b":{"x":1,"y":{"z":1}},"c":{"x":1,"y":{"z":1}}';
    for (const shapes of [[], [POINT]]) {
      expect(signedOf(large(members), 6, shapes).size).toBe(18);
      expect(codeOf(() => signedOf(large(members), 5, shapes))).toBe('JSON_INVALID');
      const nested = (depth: number): string =>
        `{"signed":{"a":${'{"a":'.repeat(depth)}{${FILLERS},"b":{"x":1,"y":{"z":1}}}${'}'.repeat(depth)}}}`;
      expect(codeOf(() => signedOf(nested(58), undefined, shapes))).toBeUndefined();
      expect(codeOf(() => signedOf(nested(59), undefined, shapes))).toBe('JSON_INVALID');
    }
  });

  test('of two objects, the members are told whose text is not the same', () => {
    const before = signedOf(large('"b":1,"c":{"x":2},"d":3,"e":4,"f":5'));
    const after = (members: string): JsonObject => signedOf(large(members));
    const changed = (members: string): readonly string[] => [...membersChanged(before, after(members))];
    // Nothing says where the last one of either ends, so it is always among them.
    expect(changed('"b":1,"c":{"x":2},"d":3,"e":4,"f":5')).toEqual(['f']);
    expect(changed('"b":1,"c":{"x":1},"d":3,"e":4,"f":5')).toEqual(['c', 'f']);
    expect(changed('"c":{"x":2},"d":3,"e":4,"f":5')).toEqual(['b', 'f']);
    expect(changed('"a9":0,"b":1,"bb":2,"c":{"x":2},"d":3,"dd":1,"e":4,"f":5,"g":6')).toEqual(['f']);
    expect(changed('"b":1')).toEqual(['b', 'c', 'd', 'e', 'f']);
    expect(changed('"z":1')).toEqual(['b', 'c', 'd', 'e', 'f']);
    expect([...membersChanged(before, new Map())]).toEqual([...before.keys()]);
    // Out of order, or small: nothing is known of their places.
    expect([...membersChanged(before, after('"c":{"x":2},"b":1'))]).toEqual([...before.keys()]);
    expect([...membersChanged(new Map([['a', 1]]), before)]).toEqual(['a']);
  });

  test('no member that is not the same is ever left out, and few that are', () => {
    const members = fc.uniqueArray(fc.tuple(fc.nat(400), fc.nat(2)), { selector: ([n]) => n, maxLength: 120 });
    const edits = fc.array(fc.tuple(fc.nat(400), fc.option(fc.nat(2))), { maxLength: 6 });
    const textOf = (values: ReadonlyMap<number, number>): string =>
      large(
        [...values]
          .sort(([a], [b]) => a - b)
          .map(([name, value]) => `"n${String(name).padStart(3, '0')}":${'[7,'.repeat(value)}1${']'.repeat(value)}`)
          .join(),
      );
    fc.assert(
      fc.property(members, edits, (first, changes) => {
        const values = new Map([[401, 0], ...first]);
        const others = new Map(values);
        for (const [name, value] of changes) {
          if (value === null) others.delete(name);
          else others.set(name, value);
        }
        const [before, after] = [signedOf(textOf(values)), signedOf(textOf(others))];
        const want = [...before].flatMap(([name, value]) =>
          JSON.stringify(plainOf(value)) === JSON.stringify(plainOf(after.get(name) ?? null)) ? [] : [name],
        );
        expect([...membersChanged(before, after)].filter((name) => name !== 'n401')).toEqual(
          want.filter((name) => name !== 'n401'),
        );
      }),
      { numRuns: 500 },
    );
  });

  test('building members one by one meets no limit a second time', () => {
    const signed = signedOf(large('"b":{"x":{"y":1}},"c":{"x":{"y":1}}'), 6);
    for (let i = 0; i < 20; i++) expect(signed.get('c')).toEqual(new Map([['x', new Map([['y', 1]])]]));
  });
});

describe('compareCodePoints', () => {
  const order = [
    '',
    '\0',
    'A',
    'a',
    'a\0',
    'aa',
    'b',
    '\ud7ff',
    '\ue000',
    '\ufb00',
    '\uffff',
    '\u{10000}',
    '😀',
    '\u{10ffff}',
  ];

  test('sorts as code points do, not as UTF-16 units: astral after U+FFFF', () => {
    for (const [i, a] of order.entries()) {
      for (const [j, b] of order.entries()) {
        expect([a, b, Math.sign(compareCodePoints(a, b))]).toEqual([a, b, Math.sign(i - j)]);
        expect(Math.sign(compareCodePoints(`x😀${a}`, `x😀${b}`))).toBe(Math.sign(i - j));
      }
    }
    expect(['\uffff', '\u{10000}'].sort()).toEqual(['\u{10000}', '\uffff']); // what JavaScript itself says
  });

  test('agrees with the order of UTF-8 bytes, which is the order of code points', () => {
    const text = fc.string({ unit: 'binary', maxLength: 4 });
    fc.assert(
      fc.property(text, text, (a, b) => {
        const want = Buffer.compare(Buffer.from(a), Buffer.from(b));
        expect(Math.sign(compareCodePoints(a, b))).toBe(want);
      }),
    );
  });
});
