// Reading a document beside an earlier object must never change what is read,
// told, or refused: it only saves work. Every test compares with reading alone.

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { utf8, utf8Text } from './bytes.ts';
import { canonicalBytes } from './canonical.ts';
import { isTufError } from './errors.ts';
import { type JsonObject, membersChanged, membersUnlike, namesEnd, readDocument, type Shape } from './json.ts';
import { asObject } from './shape.ts';

const SHAPES: readonly Shape[] = [
  { kind: 'file', pattern: /\{"v":\d\}/y, objects: 1 },
  { kind: 'file', pattern: /\{"h":\{"x":\d\}\}/y, objects: 2 },
  { kind: 'other', pattern: /\{"o":\d\}/y, objects: 1 },
];
const FILLERS = Array.from({ length: 16 }, (_, i) => `"a${String(i).padStart(2, '0')}":${i}`);
const MANY = Array.from({ length: 60 }, (_, i) => `"m${String(i).padStart(2, '0')}":{"v":${i % 10}}`);

interface Asked {
  readonly maxObjects?: number;
  readonly shapes?: readonly Shape[];
  readonly like?: JsonObject | undefined;
}

function textOf(members: readonly string[]): string {
  return `{"signed":{${members.join()}}}`;
}

function large(...members: readonly string[]): string {
  return textOf([...FILLERS, ...members]);
}

function signedOf(text: string, { maxObjects, shapes = SHAPES, like }: Asked = {}): JsonObject {
  return asObject(readDocument(utf8(text), maxObjects, shapes, like).root.get('signed'), 'signed');
}

/** All that can be told of a document: what it holds, its slices, what was recognised and where; or why it was refused. */
function toldOf(text: string, asked: Asked): unknown {
  try {
    const document = readDocument(utf8(text), asked.maxObjects, asked.shapes ?? SHAPES, asked.like);
    const signed = document.root.get('signed');
    const slice = document.canonicalSlice('signed');
    if (!(signed instanceof Map)) return { signed, slice };
    return {
      content: utf8Text(canonicalBytes(signed)),
      names: [...signed.keys()],
      found: [...signed.keys()].map((name) => utf8Text(canonicalBytes(signed.get(name) ?? null))),
      slice: slice && utf8Text(slice),
      unlike: [[...membersUnlike(signed, 'file')], [...membersUnlike(signed, 'other')]],
      changed: [[...membersChanged(signed, signed)], [...membersChanged(signed, signedOf(large(...MANY)))]],
    };
  } catch (error) {
    if (!isTufError(error)) throw error;
    return { code: error.code, message: error.message, detail: error.detail };
  }
}

function expectSame(text: string, asked: Asked): void {
  expect(toldOf(text, asked)).toEqual(toldOf(text, { ...asked, like: undefined }));
}

describe('reading beside an earlier object', () => {
  const like = signedOf(large(...MANY));
  const changed = (...edits: readonly (readonly [number, ...(readonly string[])])[]): readonly string[] => {
    const members = [...MANY];
    for (const [at, ...others] of [...edits].reverse()) members.splice(at, 1, ...others);
    return members;
  };

  test.each<readonly [string, string]>([
    ['the same again', large(...MANY)],
    ['one changed', large(...changed([30, '"m30":{"v":9}']))],
    ['the first that is recognised changed', large(...changed([0, '"m00":{"v":9}']))],
    ['the last changed', large(...changed([59, '"m59":{"v":0}']))],
    [
      'some added, before, between and behind',
      large('"b":{"v":1}', ...changed([9, '"m09":{"v":9}', '"m090":{"v":1}']), '"z":1'),
    ],
    ['some gone', large(...changed([3], [17], [18]))],
    ['another shape of the kind', large(...changed([20, '"m20":{"h":{"x":1}}']))],
    ['a shape of another kind', large(...changed([20, '"m20":{"o":1}']))],
    ['no shape', large(...changed([20, '"m20":[{"v":1},null]']))],
    ['white space within', large(...changed([20, ' "m20":{"v":0}']))],
    ['an escape in a name', large(...changed([20, '"m\\u0032\\u0030":{"v":0}']))],
    ['a quote in a name', large(...changed([20, '"m20\\"":{"v":0}']))],
    ['twice the same name', large(...changed([20, MANY[20] ?? '', MANY[20] ?? '']))],
    ['a name of before once more', large(...changed([20, MANY[20] ?? '', MANY[4] ?? '']))],
    ['names out of order', large(...changed([20, MANY[21] ?? '', MANY[20] ?? '']))],
    ['all of it out of order', textOf([...FILLERS.slice(0, 15), MANY[0] ?? '', FILLERS[15] ?? '', ...MANY.slice(1)])],
    ['few members before', textOf([...FILLERS.slice(0, 4), ...MANY])],
    ['more members before', textOf([...FILLERS, '"a99":1', ...MANY])],
    ['a small one', textOf(FILLERS)],
    ['no quote before a name that is the same', large(...MANY).replace(',"m20"', ',.m20"')],
    ['a comma missing', large(...MANY).replace(',"m20"', '"m20"')],
    ['cut off', large(...MANY).slice(0, -20)],
    ['cut off behind a comma', `${large(...MANY.slice(0, 30)).slice(0, -2)},`],
    ['something behind', `${large(...MANY)}x`],
    ['two levels down', `{"signed":{"deep":${large(...MANY)}}}`],
    ['twice', `{"signed":{${[...FILLERS, ...MANY].join()}},"unsigned":{${[...FILLERS, ...MANY].join()}}}`],
  ])('gives what reading alone gives: %s', (_, text) => expectSame(text, { like }));

  test.each<readonly [string, JsonObject]>([
    ['a small one', signedOf(textOf(FILLERS))],
    ['one with white space', signedOf(large(...MANY).replaceAll(',', ', '))],
    ['one out of order', signedOf(large(...[...MANY].reverse()))],
    ['one of another kind', signedOf(large(...MANY.map((member) => member.replace('"v"', '"o"'))))],
    ['one with a member of no shape', signedOf(large('"b":[]', ...MANY))],
    ['one of no shape', signedOf(large(...MANY.map((member) => member.replace('{"v"', '{"w"'))))],
    ['one that was read for other shapes', signedOf(large(...MANY), { shapes: [] })],
    ['one of another depth', asObject(signedOf(`{"signed":{"deep":${large(...MANY)}}}`).get('deep'), 'deep')],
    ['any map', new Map([['m00', 1]])],
  ])('is of no harm beside %s', (_, other) => {
    expectSame(large(...MANY), { like: other });
    expectSame(large(...changed([20, '"m20":{"v":9}'])), { like: other });
  });

  test('the kind of the first that is recognised stands', () => {
    expectSame(large('"b":{"o":1}', ...MANY), { like });
    expectSame(large(...MANY.map((member) => member.replace('"v"', '"o"'))), { like });
  });

  test('the ends of names are told, however they are written', () => {
    const named = (...names: readonly string[]): JsonObject =>
      signedOf(large(...names.map((name) => `${name}{"v":1}`)));
    const ends = (object: JsonObject): boolean => namesEnd(object, '5');
    const fives = FILLERS.map((filler) => filler.replace('":', '-5":'));
    const five = (...names: readonly string[]): JsonObject =>
      signedOf(textOf([...fives, ...names.map((name) => `${name}{"v":1}`)]));
    expect(ends(five('"b5":', '"c5" :', '"d5": ', '"e.:5":'))).toBe(true);
    expect(ends(five('"b5":', '"c":'))).toBe(false);
    expect(ends(five('"b5":', '":5" :'))).toBe(true);
    expect(ends(five('"b5":', '"b51" : '))).toBe(false);
    expect(ends(named('"b5":'))).toBe(false);
    expect([ends(new Map([['5', 1]])), ends(new Map([['a', 1]]))]).toEqual([true, false]);
    expect(namesEnd(five('"b5":'), 'longer-than-a-name')).toBe(false);
    expect([...five('"b5":', '"c5" : ').keys()].slice(-2)).toEqual(['b5', 'c5']);
  });

  test('limits hold for what is gone over too', () => {
    const mixed = MANY.map((member, i) => (i % 3 === 0 ? member.replace(/\{.*\}/, '{"h":{"x":1}}') : member));
    const objects = 2 + 60 + 20;
    const beside = signedOf(large(...mixed));
    for (let maxObjects = 0; maxObjects <= objects + 1; maxObjects++)
      expectSame(large(...mixed), { like: beside, maxObjects });
    expect(signedOf(large(...mixed), { like: beside, maxObjects: objects }).size).toBe(76);
  });

  test('a chain of versions, each beside the one before', () => {
    let before = like;
    for (let i = 0; i < 60; i++) {
      const text = large(...changed([i, `"m${String(i).padStart(2, '0')}":{"h":{"x":${i % 10}}}`]));
      expectSame(text, { like: before });
      before = signedOf(text, { like: before });
    }
  });

  test('whatever was edited, and wherever a byte is wrong', () => {
    const member = fc.tuple(
      fc.nat(80),
      fc.constantFrom('{"v":1}', '{"v":2}', '{"h":{"x":3}}', '{"o":1}', '[1]', ' {"v":1}'),
    );
    const edits = fc.array(member, { maxLength: 8 });
    const damage = fc.option(fc.tuple(fc.nat(2000), fc.constantFrom('', '"', '}', ',', ' ', '\\', 'm', 'é')));
    const members = (values: ReadonlyMap<number, string>): string =>
      large(...[...values].sort(([a], [b]) => a - b).map(([n, value]) => `"m${String(n).padStart(2, '0')}":${value}`));
    fc.assert(
      fc.property(
        fc.uniqueArray(member, { selector: ([n]) => n, maxLength: 81 }),
        edits,
        damage,
        (first, changes, wrong) => {
          const values = new Map(first);
          const before = signedOf(members(values));
          for (const [name, value] of changes) values.set(name, value);
          const text = members(values);
          const [at, unit] = wrong ?? [text.length, ''];
          expectSame(text.slice(0, at) + unit + text.slice(at + 1), { like: before });
        },
      ),
      { numRuns: 1500 },
    );
  });
});
