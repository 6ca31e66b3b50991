// The strict JSON reader: the only place where bytes from outside become a
// tree. RFC 8259, narrowed to what canonical JSON can sign: no duplicate keys,
// no floats, no unsafe integers, no lone surrogates, bounded depth, one pass.
// While reading it notes whether each top-level member is already canonical,
// so that a signature can be checked over the received slice itself.

import { utf8, utf8Text } from './bytes.ts';
import { compareCodePoints } from './code-points.ts';
import { DeferredMap } from './deferred-map.ts';
import { MetadataError } from './errors.ts';
import { SortedPlaces } from './sorted-places.ts';

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
 * @param like a large object read before, perhaps an earlier version of one in
 *   this document: members with the very same text are not read letter by letter again
 * @throws MetadataError JSON_INVALID with `at` (offset in characters) in `detail`.
 */
export function readDocument(
  bytes: Uint8Array,
  maxObjects = MAX_OBJECTS,
  shapes: readonly Shape[] = [],
  like?: JsonObject,
): JsonDocument {
  const text = utf8Text(bytes);
  if (text === undefined) throw new MetadataError('JSON_INVALID', 'Reading JSON: the bytes are not UTF-8');
  const reader = new Reader(text, maxObjects, shapes, like);
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

/** Whether all names in an object end so. @param end without a quote */
export function namesEnd(object: JsonObject, end: string): boolean {
  return placesOf(object)?.allEnd(end) ?? [...object.keys()].every((name) => name.endsWith(end));
}

function placesOf(object: JsonObject | undefined): SortedPlaces | undefined {
  const places = object instanceof LargeObject ? object.outline.places : undefined;
  return places instanceof SortedPlaces ? places : undefined;
}

/** Where the members of an object are, and how far they were recognised. */
interface Outline {
  /** Where each member's value begins in the text. */
  places: SortedPlaces | Map<string, number>;
  readonly unlike: string[];
  kind: string | undefined;
  /** By which members were recognised. */
  readonly shapes: readonly Shape[];
  readonly depth: number;
  /** Known once all of it was read. */
  canonical: boolean;
}

/** An object read before, and how far the one that is being read has come beside it. */
interface Model {
  readonly places: SortedPlaces;
  readonly kind: string;
  /** The first member that may still come. */
  next: number;
}

/**
 * An earlier object as a model for one that is read in the same way: in order,
 * canonical, and all members behind the first few recognised, so that what the
 * reader would do with any stretch of them is known.
 */
function modelOf(like: JsonObject | undefined, { depth, shapes }: Outline): Model | undefined {
  const places = placesOf(like);
  if (!(like instanceof LargeObject) || places === undefined) return undefined;
  const { kind, unlike, canonical, ...read } = like.outline;
  if (kind === undefined || unlike.length > SMALL_OBJECT || !canonical) return undefined;
  if (read.depth !== depth || read.shapes !== shapes) return undefined;
  return { places, kind, next: SMALL_OBJECT };
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
  private readonly like: JsonObject | undefined;
  /** Names of the objects that are being read, outer ones first. */
  private readonly names: string[] = [];
  private at = 0;
  private objects = 0;
  private canonical = true;

  constructor(text: string, maxObjects: number, shapes: readonly Shape[], like?: JsonObject) {
    this.text = text;
    this.maxObjects = maxObjects;
    this.shapes = shapes;
    this.like = like;
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
    const outline = plan === 'outline' ? this.newOutline(depth) : undefined;
    const model = outline && modelOf(this.like, outline);
    const names = this.names.length;
    let previous: string | undefined;
    let seen: Set<string> | undefined; // needed only where names are not in order
    for (;;) {
      if (this.text.charCodeAt(this.at) !== QUOTE) this.fail('a member name is expected');
      if (outline && model && previous !== undefined) previous = this.passOver(outline, model, previous);
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
      if (outline !== undefined) keepPlace(outline, name, start, plain ? quote + 1 : undefined, this.objects);
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
    if (outline !== undefined) outline.canonical = this.canonical;
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
      this.at = pattern.lastIndex;
      this.objects += objects;
      outline.kind = kind;
      return true;
    }
    return false;
  }

  /**
   * Goes over members that stand in the model with the very same text: there
   * this reader has read them, after a name that sorts before theirs, too.
   *
   * @param previous the name of the last member
   * @returns the name of the last member now
   */
  private passOver(outline: Outline, model: Model, previous: string): string {
    const { places, kind = model.kind } = outline;
    if (!(places instanceof SortedPlaces) || places.size < SMALL_OBJECT || kind !== model.kind) return previous;
    const from = model.places.behind(previous, model.next);
    const count = model.places.sameAs(from, this.text, this.at + 1);
    model.next = from + count;
    if (count === 0) return previous;
    const objects = model.places.objectsIn(from, count);
    if (this.objects + objects > this.maxObjects) {
      model.next = model.places.size; // for a slower look, which tells where it is too much
      return previous;
    }
    places.takeOver(model.places, from, count, this.at + 1, this.objects);
    this.at += model.places.lengthOf(from, count);
    this.objects += objects;
    outline.kind = kind;
    return model.places.nameOf(model.next - 1);
  }

  private newOutline(depth: number): Outline {
    const { shapes } = this;
    const places = new SortedPlaces(this.text);
    return { places, unlike: [], kind: undefined, shapes, depth, canonical: false };
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
function keepPlace(
  outline: Outline,
  name: string,
  place: number,
  nameStart: number | undefined,
  objects: number,
): void {
  if (outline.places instanceof SortedPlaces) {
    if (nameStart !== undefined) {
      outline.places.add(nameStart, place, objects);
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
