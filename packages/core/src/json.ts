// The strict JSON reader: the only place where bytes from outside become a
// tree. RFC 8259, narrowed to what canonical JSON can sign: no duplicate keys,
// no floats, no unsafe integers, no lone surrogates, bounded depth, one pass.
// While reading it notes whether each top-level member is already canonical,
// so that a signature can be checked over the received slice itself.

import { utf8, utf8Text } from './bytes.ts';
import { DeferredMap, type Named } from './deferred-map.ts';
import { MetadataError } from './errors.ts';

/** A JSON value as received: objects are Maps, in the order of the file. */
export type JsonValue = null | boolean | number | string | JsonArray | JsonObject;
/** A JSON array. */
export type JsonArray = readonly JsonValue[];
/** A JSON object. Names from outside are Map keys, never property names. */
export type JsonObject = ReadonlyMap<string, JsonValue>;

/** A JSON object as read, with the received bytes of each top-level member. */
export interface JsonDocument {
  readonly root: JsonObject;
  /**
   * The received bytes of a top-level member's value when they are canonical
   * JSON already, else `undefined`.
   */
  canonicalSlice(member: string): Uint8Array | undefined;
}

/**
 * What members of large objects mostly look like: to recognise one costs a
 * fraction of reading it. An object's members have shapes of one kind.
 */
export interface Shape {
  readonly kind: string;
  /** Sticky. Whatever it matches MUST be an object in canonical JSON, and the whole of it. */
  readonly pattern: RegExp;
  /** How many objects a match holds: itself and those directly or indirectly inside. */
  readonly objects: number;
}

/**
 * Reads a document whose outermost value is an object.
 *
 * Linear in the input. The caller bounds the input's length; `maxObjects` bounds
 * how many objects that are not empty it may hold.
 *
 * @throws MetadataError JSON_INVALID with `at` (offset in characters) in `detail`.
 */
export function readDocument(bytes: Uint8Array, maxObjects = MAX_OBJECTS, shapes: readonly Shape[] = []): JsonDocument {
  const text = utf8Text(bytes);
  if (text === undefined) throw new MetadataError('JSON_INVALID', 'Reading JSON: the bytes are not UTF-8');
  const reader = new Reader(text, maxObjects, shapes);
  const root = reader.document();
  return {
    root,
    canonicalSlice(member) {
      const slice = reader.slices.get(member);
      if (slice === undefined) return undefined;
      const [start, end] = slice;
      // As many characters as bytes means all are ASCII: offsets agree.
      return text.length === bytes.length ? bytes.subarray(start, end) : utf8(text.slice(start, end));
    },
  };
}

/**
 * Compares two strings by Unicode code point, as canonical JSON sorts keys.
 * JavaScript's own order is by UTF-16 unit, which differs above U+FFFF.
 */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    // Surrogates stand for code points above every other unit.
    const high = (unit: number): number => (unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit);
    return high(x) - high(y);
  }
  return a.length - b.length;
}

/**
 * The names of those members that were not recognised as of this kind of
 * {@link Shape}, in order. In a small object that is all of them.
 */
export function membersUnlike(object: JsonObject, kind: string): Iterable<string> {
  return object instanceof LargeObject && object.outline.kind === kind ? object.outline.unlike : object.keys();
}

/**
 * The names of those members of an object that another one has not got, or not
 * with the very same text, in order; for large objects a few others may be
 * among them, for small ones all are. What the same text says is the same.
 */
export function membersChanged(before: JsonObject, after: JsonObject): Iterable<string> {
  const [from, to] = [placesOf(before), placesOf(after)];
  return from === undefined || to === undefined ? before.keys() : from.unlike(to);
}

function placesOf(object: JsonObject): SortedPlaces | undefined {
  const places = object instanceof LargeObject ? object.outline.places : undefined;
  return places instanceof SortedPlaces ? places : undefined;
}

/** Where the members of an object are, and how far they were recognised. */
interface Outline {
  /** Where each member's value begins in the text. */
  places: SortedPlaces | Map<string, number>;
  readonly unlike: string[];
  kind: string | undefined;
}

/**
 * Places by name, of names that come in order and without escapes, as those of
 * large files do: two numbers a member, and none of the strings.
 */
class SortedPlaces implements Named<number> {
  readonly #text: string;
  readonly #names: number[] = [];
  readonly #places: number[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  get size(): number {
    return this.#names.length;
  }

  /** @param name where the name begins, behind its quote; it sorts behind all others */
  add(name: number, place: number): void {
    this.#names.push(name);
    this.#places.push(place);
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
      const same = this.#sameFrom(here, other, there, stride);
      here += same;
      there += same;
      // Ever longer stretches while they are the same, ever shorter ones towards what is not.
      stride = same === stride ? stride * 2 : stride >> 1;
      if (stride > 0) continue;
      stride = 1;
      const name = this.#nameAt(this.#names[here]);
      const order = there < other.size ? compareCodePoints(name, other.#nameAt(other.#names[there])) : -1;
      if (order <= 0) {
        yield name;
        here++;
      }
      if (order >= 0) there++;
    }
  }

  /** `count` when so many members have the same text, else 0. The last of an object is never compared: nothing says where it ends. */
  #sameFrom(here: number, other: SortedPlaces, there: number, count: number): number {
    const start = this.#names[here];
    const end = this.#names[here + count];
    const begin = other.#names[there];
    if (start === undefined || end === undefined || begin === undefined) return 0;
    return this.#text.slice(start, end) === other.#text.slice(begin, begin + end - start) ? count : 0;
  }

  #nameAt(start: number | undefined): string {
    return this.#text.slice(start, this.#text.indexOf('"', start));
  }
}

/** An object with many members: checked as a whole when it was read, built member by member when asked for. */
class LargeObject extends DeferredMap<number, JsonValue> {
  readonly outline: Outline;

  constructor(text: string, outline: Outline) {
    // The values were counted and their depth was judged: no second limit.
    super(outline.places, (place) => new Reader(text, Number.POSITIVE_INFINITY, []).valueAt(place));
    this.outline = outline;
  }
}

/**
 * How much of a value is built: `outline` leaves large objects for later,
 * `whole` is everything, `check` nothing. All is checked in each of them.
 */
type Plan = 'outline' | 'whole' | 'check';

class Reader {
  readonly slices = new Map<string, readonly [number, number]>();
  private readonly text: string;
  private readonly maxObjects: number;
  private readonly shapes: readonly Shape[];
  /** Names of the objects that are being read, outer ones first. */
  private readonly names: string[] = [];
  private at = 0;
  private objects = 0;
  private canonical = true;

  constructor(text: string, maxObjects: number, shapes: readonly Shape[]) {
    this.text = text;
    this.maxObjects = maxObjects;
    this.shapes = shapes;
  }

  document(): JsonObject {
    this.space();
    if (this.text.charCodeAt(this.at) !== BRACE_OPEN) this.fail('the outermost value is not an object');
    const root = this.object(1, 'outline', true);
    this.space();
    if (this.at !== this.text.length) this.fail('there is something after the outermost value');
    return root;
  }

  /** A value that was checked before. */
  valueAt(place: number): JsonValue {
    this.at = place;
    return this.value(1, 'whole');
  }

  private value(depth: number, plan: Plan): JsonValue {
    if (depth > MAX_DEPTH) this.fail(`it is nested deeper than ${MAX_DEPTH} levels`);
    const unit = this.text.charCodeAt(this.at);
    if (unit === QUOTE) return this.string();
    if (unit === BRACE_OPEN) return this.object(depth, plan, false);
    if (unit === BRACKET_OPEN) return this.array(depth, plan);
    if (unit === MINUS || isDigit(unit)) return this.integer();
    if (this.word('true')) return true;
    if (this.word('false')) return false;
    if (this.word('null')) return null;
    return this.fail('a value is expected');
  }

  private object(depth: number, plan: Plan, outermost: boolean): JsonObject {
    this.at++;
    this.space();
    if (this.text.charCodeAt(this.at) === BRACE_CLOSE) {
      this.at++;
      return EMPTY_OBJECT;
    }
    if (++this.objects > this.maxObjects) this.fail(`it holds more than ${this.maxObjects} objects`);
    const members = plan === 'check' ? undefined : new Map<string, JsonValue>();
    const outline: Outline | undefined =
      plan === 'outline' ? { places: new SortedPlaces(this.text), unlike: [], kind: undefined } : undefined;
    const names = this.names.length;
    let previous: string | undefined;
    let seen: Set<string> | undefined; // needed only where names are not in order
    for (;;) {
      if (this.text.charCodeAt(this.at) !== QUOTE) this.fail('a member name is expected');
      const quote = this.at;
      const name = this.string();
      if (previous !== undefined && compareCodePoints(previous, name) >= 0) {
        this.canonical = false;
        seen ??= new Set(outline?.places.keys() ?? this.names.slice(names));
      }
      if (seen?.has(name)) this.fail('a member name occurs twice');
      seen?.add(name);
      if (outline === undefined) this.names.push(name);
      previous = name;
      const plain = seen === undefined && this.at - quote === name.length + 2; // in order, and without escapes
      this.space();
      this.expect(COLON, 'a colon is expected');
      this.space();
      if (outermost) this.canonical = true;
      const start = this.at;
      if (outline !== undefined) keepPlace(outline, name, start, plain ? quote + 1 : undefined);
      if (outline === undefined || outline.places.size <= SMALL_OBJECT) {
        const value = this.value(depth + 1, plan);
        members?.set(name, value);
        outline?.unlike.push(name);
      } else if (!this.recognise(outline, depth + 1)) {
        this.value(depth + 1, 'check');
        outline.unlike.push(name);
      }
      if (outermost && this.canonical) this.slices.set(name, [start, this.at]);
      this.space();
      if (this.text.charCodeAt(this.at) === BRACE_CLOSE) break;
      this.expect(COMMA, 'a comma or a closing brace is expected');
      this.space();
    }
    this.at++;
    this.names.length = names;
    if (outline !== undefined && outline.places.size > SMALL_OBJECT) return new LargeObject(this.text, outline);
    return members ?? EMPTY_OBJECT;
  }

  /** Goes over a value if it has a shape that is known; every limit then holds for it too. */
  private recognise(outline: Outline, depth: number): boolean {
    for (const { kind, pattern, objects } of this.shapes) {
      if (outline.kind !== undefined && outline.kind !== kind) continue;
      pattern.lastIndex = this.at;
      if (!pattern.test(this.text)) continue;
      if (depth + objects > MAX_DEPTH || this.objects + objects > this.maxObjects) return false; // for a slower look
      outline.kind = kind;
      this.at = pattern.lastIndex;
      this.objects += objects;
      return true;
    }
    return false;
  }

  private array(depth: number, plan: Plan): JsonArray {
    const items: JsonValue[] = [];
    this.at++;
    this.space();
    if (this.text.charCodeAt(this.at) === BRACKET_CLOSE) {
      this.at++;
      return items;
    }
    for (;;) {
      const item = this.value(depth + 1, plan === 'outline' ? 'whole' : plan);
      if (plan !== 'check') items.push(item);
      this.space();
      if (this.text.charCodeAt(this.at) === BRACKET_CLOSE) break;
      this.expect(COMMA, 'a comma or a closing bracket is expected');
      this.space();
    }
    this.at++;
    return items;
  }

  private string(): string {
    const { text } = this;
    const start = this.at + 1;
    for (let at = start; ; at++) {
      const unit = text.charCodeAt(at);
      if (unit === QUOTE) {
        this.at = at + 1;
        return text.slice(start, at);
      }
      if (unit === BACKSLASH || !(unit >= 0x20)) {
        this.at = at;
        return this.escapedString(start);
      }
    }
  }

  private escapedString(start: number): string {
    let result = this.text.slice(start, this.at);
    for (;;) {
      const unit = this.text.charCodeAt(this.at);
      if (unit === QUOTE) break;
      if (!(unit >= 0x20)) this.fail('a string is not closed, or holds a control character');
      if (unit === BACKSLASH) {
        result += this.escape();
      } else {
        const from = this.at;
        while (this.text.charCodeAt(this.at) >= 0x20 && !isQuoteOrBackslash(this.text.charCodeAt(this.at))) this.at++;
        result += this.text.slice(from, this.at);
      }
    }
    this.at++;
    if (LONE_SURROGATE.test(result)) this.fail('a string holds half of a surrogate pair');
    return result;
  }

  private escape(): string {
    const letter = this.text.charAt(this.at + 1);
    this.at += 2;
    // Canonical JSON escapes the quote and the backslash, and nothing else.
    if (letter === '"' || letter === '\\') return letter;
    this.canonical = false;
    if (letter === 'u') {
      const digits = this.text.slice(this.at, this.at + 4);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.fail('an escape needs four hexadecimal digits');
      this.at += 4;
      return String.fromCharCode(Number.parseInt(digits, 16));
    }
    return ESCAPES.get(letter) ?? this.fail('an escape is not known');
  }

  private integer(): number {
    const start = this.at;
    if (this.text.charCodeAt(this.at) === MINUS) this.at++;
    const first = this.at;
    while (isDigit(this.text.charCodeAt(this.at))) this.at++;
    const digits = this.at - first;
    const leadingZero = this.text.charCodeAt(first) === ZERO && digits > 1;
    if (digits === 0 || leadingZero) this.fail('a number is not well formed');
    if (NUMBER_GOES_ON.test(this.text.charAt(this.at))) this.fail('numbers must be integers');
    const number = Number(this.text.slice(start, this.at));
    if (!Number.isSafeInteger(number) || Object.is(number, -0)) this.fail('an integer is out of the safe range');
    return number;
  }

  private word(word: string): boolean {
    if (!this.text.startsWith(word, this.at)) return false;
    this.at += word.length;
    return true;
  }

  private space(): void {
    const start = this.at;
    for (;;) {
      const unit = this.text.charCodeAt(this.at);
      if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) break;
      this.at++;
    }
    if (this.at !== start) this.canonical = false;
  }

  private expect(unit: number, problem: string): void {
    if (this.text.charCodeAt(this.at) !== unit) this.fail(problem);
    this.at++;
  }

  private fail(problem: string): never {
    throw new MetadataError('JSON_INVALID', `Reading JSON: ${problem}`, { detail: { at: this.at } });
  }
}

/** @param nameStart where the name begins, if it is in order and without escapes */
function keepPlace(outline: Outline, name: string, place: number, nameStart: number | undefined): void {
  if (outline.places instanceof SortedPlaces) {
    if (nameStart !== undefined) {
      outline.places.add(nameStart, place);
      return;
    }
    outline.places = new Map(outline.places);
  }
  outline.places.set(name, place);
}

function isDigit(unit: number): boolean {
  return unit >= ZERO && unit <= 0x39;
}

function isQuoteOrBackslash(unit: number): boolean {
  return unit === QUOTE || unit === BACKSLASH;
}

// TUF metadata nests about ten levels; `custom` is the author's own business.
const MAX_DEPTH = 64;
// An object in memory costs far more than its bytes in a file.
const MAX_OBJECTS = 4_000_000;
// Above this many members a value is built only when asked for.
const SMALL_OBJECT = 16;
const EMPTY_OBJECT: JsonObject = new Map();
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const BRACE_OPEN = 0x7b;
const BRACE_CLOSE = 0x7d;
const BRACKET_OPEN = 0x5b;
const BRACKET_CLOSE = 0x5d;
const COLON = 0x3a;
const COMMA = 0x2c;
const MINUS = 0x2d;
const ZERO = 0x30;
const NUMBER_GOES_ON = /^[.eE]$/;
const LONE_SURROGATE = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/;
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);
