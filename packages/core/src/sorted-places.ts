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
  readonly #names = new Column();
  readonly #places = new Column();
  readonly #objects = new Column();

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
      const order = compareCodePoints(this.nameOf(middle), name);
      if (order === 0) return this.#places.at(middle);
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return undefined;
  }

  *keys(): MapIterator<string> {
    for (let i = 0; i < this.size; i++) yield this.nameOf(i);
  }

  *[Symbol.iterator](): MapIterator<[string, number]> {
    for (let i = 0; i < this.size; i++) yield [this.nameOf(i), this.#places.at(i)];
  }

  /**
   * The names here that are not there with the same text. Both are read by one
   * reader, so what begins at a name and has the same text has the same members.
   */
  *unlike(other: SortedPlaces): Generator<string, void> {
    let here = 0;
    let there = 0;
    while (here < this.size) {
      const same = there < other.size ? this.sameAs(here, other.#text, other.#names.at(there)) : 0;
      here += same;
      there += same;
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
   * How many members from one on stand in another text with the very same text. The
   * last of an object is never among them: nothing says where it ends.
   *
   * @param begin where the name of the first would begin there, behind its quote
   */
  sameAs(from: number, text: string, begin: number): number {
    let count = 0;
    // Ever longer stretches while they are the same, ever shorter ones towards what is not.
    for (let stride = 1; stride > 0; ) {
      const start = from + count;
      const at = begin + this.lengthOf(from, count);
      const same = start + stride < this.size && this.#standsAt(start, stride, text, at);
      if (same) count += stride;
      stride = same ? stride * 2 : stride >> 1;
    }
    return count;
  }

  /**
   * Takes over members that another object has with the very same text.
   *
   * @param begin where the name of the first begins here, behind its quote
   * @param objects how many objects the document has up to there
   */
  takeOver(other: SortedPlaces, from: number, count: number, begin: number, objects: number): void {
    const shift = begin - other.#names.at(from);
    this.#names.append(other.#names, from, count, shift);
    this.#places.append(other.#places, from, count, shift);
    this.#objects.append(other.#objects, from, count, objects - other.#objects.at(from));
  }

  /** How many objects so many members hold, the last of all not among them. */
  objectsIn(from: number, count: number): number {
    return this.#objects.at(from + count) - this.#objects.at(from);
  }

  /** How long the text of so many members is, up to the name that follows. */
  lengthOf(from: number, count: number): number {
    return this.#names.at(from + count) - this.#names.at(from);
  }

  /** Whether all names end so. @param end without a quote */
  allEnd(end: string): boolean {
    for (let i = 0; i < this.size; i++) {
      const at = this.#endOf(i) - end.length;
      if (at < this.#names.at(i) || !this.#text.startsWith(end, at)) return false;
    }
    return true;
  }

  /** The first member from this one on whose name sorts behind another name. */
  behind(name: string, from: number): number {
    let next = from;
    while (next < this.size && compareCodePoints(this.nameOf(next), name) <= 0) next++;
    return next;
  }

  nameOf(index: number): string {
    return this.#text.slice(this.#names.at(index), this.#endOf(index));
  }

  #standsAt(from: number, count: number, text: string, at: number): boolean {
    const start = this.#names.at(from);
    const length = this.lengthOf(from, count);
    return this.#text.slice(start, start + length) === text.slice(at, at + length);
  }

  /** Where a name ends: mostly, its quote and a colon are all there is between it and its value. */
  #endOf(index: number): number {
    const close = this.#places.at(index) - 2;
    return this.#text.startsWith('":', close) ? close : this.#text.indexOf('"', this.#names.at(index));
  }
}

/** A list of offsets that grows: half of what an array of numbers takes, and copied in one go. */
class Column {
  #items = new Uint32Array(64);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** @param index below the length */
  at(index: number): number {
    return Number(this.#items[index]);
  }

  push(item: number): void {
    this.#makeRoom(1);
    this.#items[this.#length++] = item;
  }

  append(other: Column, from: number, count: number, shift: number): void {
    this.#makeRoom(count);
    for (let i = from; i < from + count; i++) this.#items[this.#length++] = other.at(i) + shift;
  }

  #makeRoom(count: number): void {
    const wanted = this.#length + count;
    if (wanted <= this.#items.length) return;
    const grown = new Uint32Array(Math.max(wanted, this.#items.length * 2));
    grown.set(this.#items);
    this.#items = grown;
  }
}
