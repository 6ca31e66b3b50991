// Where the members of a large object are in its text, by name: what the strict
// reader keeps of an object instead of building it, and what it compares with
// when a later version of the same object comes. Never judges the text: whatever
// is added here, the reader has checked.

import { compareCodePoints } from './code-points.ts';
import type { Named } from './deferred-map.ts';

/**
 * Places by name, of names that come in order and without escapes, as those of
 * large files do: three numbers a member, and none of the strings.
 */
export class SortedPlaces implements Named<number> {
  readonly #text: string;
  readonly #names: number[] = [];
  readonly #places: number[] = [];
  readonly #objects: number[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  get size(): number {
    return this.#names.length;
  }

  /**
   * @param name where the name begins, behind its quote; it sorts behind all others
   * @param objects how many objects the document has up to there
   */
  add(name: number, place: number, objects: number): void {
    this.#names.push(name);
    this.#places.push(place);
    this.#objects.push(objects);
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  get(name: string): number | undefined {
    let low = 0;
    let high = this.#names.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const order = compareCodePoints(this.#nameAt(this.#names[middle]), name);
      if (order === 0) return this.#places[middle];
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return undefined;
  }

  *keys(): MapIterator<string> {
    for (const start of this.#names) yield this.#nameAt(start);
  }

  *[Symbol.iterator](): MapIterator<[string, number]> {
    for (const [i, place] of this.#places.entries()) yield [this.#nameAt(this.#names[i]), place];
  }

  /**
   * The names here that are not there with the same text. Both are read by one
   * reader, so what begins at a name and has the same text has the same members.
   */
  *unlike(other: SortedPlaces): Generator<string, void> {
    let here = 0;
    let there = 0;
    for (let stride = 1; here < this.size; ) {
      // Ever longer stretches while they are the same, ever shorter ones towards what is not.
      if (this.#sameFrom(here, stride, other.#text, other.#names[there]) > 0) {
        here += stride;
        there += stride;
        stride *= 2;
        continue;
      }
      stride >>= 1;
      if (stride > 0) continue;
      stride = 1;
      const name = this.nameOf(here);
      const order = there < other.size ? compareCodePoints(name, other.nameOf(there)) : -1;
      if (order <= 0) {
        yield name;
        here++;
      }
      if (order >= 0) there++;
    }
  }

  /**
   * Takes over so many members of another object, if they stand here with the very same text.
   *
   * @param begin where the name of the first begins here, behind its quote
   * @param objects how many objects the document has up to there
   * @returns the length of their text up to the name that follows, or 0
   */
  takeOver(other: SortedPlaces, from: number, count: number, begin: number, objects: number): number {
    const length = other.#sameFrom(from, count, this.#text, begin);
    if (length === 0) return 0;
    const shift = begin - Number(other.#names[from]);
    const more = objects - Number(other.#objects[from]);
    for (let i = from; i < from + count; i++) {
      this.add(Number(other.#names[i]) + shift, Number(other.#places[i]) + shift, Number(other.#objects[i]) + more);
    }
    return length;
  }

  /** How many objects the members from one to before another hold. */
  objectsIn(from: number, to: number): number {
    return Number(this.#objects[to]) - Number(this.#objects[from]);
  }

  /** The first member from this one on whose name sorts behind another name. */
  behind(name: string, from: number): number {
    let next = from;
    while (next < this.size && compareCodePoints(this.nameOf(next), name) <= 0) next++;
    return next;
  }

  nameOf(index: number): string {
    return this.#nameAt(this.#names[index]);
  }

  /**
   * How long the text of so many members is, if it stands in another text too,
   * else 0. The last of an object is never compared: nothing says where it ends.
   */
  #sameFrom(from: number, count: number, text: string, begin: number | undefined): number {
    const start = this.#names[from];
    const end = this.#names[from + count];
    if (start === undefined || end === undefined || begin === undefined) return 0;
    const length = end - start;
    return this.#text.slice(start, end) === text.slice(begin, begin + length) ? length : 0;
  }

  #nameAt(start: number | undefined): string {
    return this.#text.slice(start, this.#text.indexOf('"', start));
  }
}
