import { describe, expect, test } from 'vitest';
import { DeferredMap } from './deferred-map.ts';

function counting(): { map: DeferredMap<number, { readonly n: number }>; made: string[] } {
  const made: string[] = [];
  const source = new Map([
    ['b', 1],
    ['a', 2],
  ]);
  const map = new DeferredMap(source, (n, name) => {
    made.push(name);
    return { n };
  });
  return { map, made };
}

describe('a map whose values are made when asked for', () => {
  test('names, size and absence need no value', () => {
    const { map, made } = counting();
    expect([map.size, map.has('a'), map.has('c'), map.get('c'), [...map.keys()]]).toEqual([
      2,
      true,
      false,
      undefined,
      ['b', 'a'],
    ]);
    expect(made).toEqual([]);
  });

  test('each value is made once, and then the same', () => {
    const { map, made } = counting();
    expect(map.get('a')).toEqual({ n: 2 });
    expect(map.get('a')).toBe(map.get('a'));
    expect([...map.values()][1]).toBe(map.get('a'));
    expect(made).toEqual(['a', 'b']);
  });

  test('it is a Map to whoever looks, in the order of its source', () => {
    const { map } = counting();
    map.get('a');
    const same = new Map([
      ['b', { n: 1 }],
      ['a', { n: 2 }],
    ]);
    expect(map).toBeInstanceOf(Map);
    expect([...map]).toEqual([...same]);
    expect([...map.entries()]).toEqual([...same]);
    expect(new Map(map)).toEqual(same);
    const seen: unknown[] = [];
    map.forEach((value, name, whole) => {
      seen.push(name, value.n, whole === map);
    });
    expect(seen).toEqual(['b', 1, true, 'a', 2, true]);
  });
});
