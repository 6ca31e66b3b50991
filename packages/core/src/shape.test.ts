import { expect, test } from 'vitest';
import { codeOf } from '../test/world.ts';
import { objectOf } from './canonical.ts';
import { arrayAt, asObject, booleanAt, integerAt, isObject, objectAt, stringAt, stringsAt } from './shape.ts';

const json = objectOf({ o: {}, a: ['x'], m: ['x', 1], s: 's', i: 3, b: false, n: null });

test('each reader gives its own type', () => {
  expect(objectAt(json, 'o', 'x')).toEqual(new Map());
  expect(arrayAt(json, 'm', 'x')).toEqual(['x', 1]);
  expect(stringAt(json, 's', 'x')).toBe('s');
  expect(stringsAt(json, 'a', 'x')).toEqual(['x']);
  expect(integerAt(json, 'i', 3, 'x')).toBe(3);
  expect(booleanAt(json, 'b', 'x')).toBe(false);
  expect(isObject(json)).toBe(true);
  expect(isObject([])).toBe(false);
  expect(isObject(undefined)).toBe(false);
});

test('each reader refuses every other type, absence and null', () => {
  const readers: readonly (readonly [(name: string) => unknown, string])[] = [
    [(name) => objectAt(json, name, 'x'), 'o'],
    [(name) => arrayAt(json, name, 'x'), 'am'],
    [(name) => stringAt(json, name, 'x'), 's'],
    [(name) => stringsAt(json, name, 'x'), 'a'],
    [(name) => integerAt(json, name, 0, 'x'), 'i'],
    [(name) => booleanAt(json, name, 'x'), 'b'],
    [(name) => asObject(json.get(name), 'x'), 'o'],
  ];
  for (const [read, own] of readers) {
    for (const name of ['o', 'a', 'm', 's', 'i', 'b', 'n', 'missing', 'constructor', '__proto__']) {
      expect([name, codeOf(() => read(name))]).toEqual([name, own.includes(name) ? undefined : 'FORMAT_INVALID']);
    }
  }
  expect(codeOf(() => integerAt(json, 'i', 4, 'x'))).toBe('FORMAT_INVALID');
});

test('the place is told', () => {
  try {
    stringAt(json, 'i', 'root keys');
    expect.unreachable();
  } catch (error) {
    expect(error).toMatchObject({ detail: { where: 'root keys i' }, message: expect.stringContaining('root keys i') });
  }
});
