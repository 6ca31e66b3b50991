// Canonical JSON (the OLPC dialect that TUF signs): keys sorted by code point,
// no white space, only `"` and `\` escaped. The writer of files differs in one
// point: control characters, which strict JSON forbids in strings, are escaped.
// Received metadata is never written again by either; see envelope.ts.

import { utf8 } from './bytes.ts';
import { compareCodePoints } from './code-points.ts';
import { UsageError } from './errors.ts';
import { type JsonObject, type JsonValue } from './json.ts';

/**
 * The canonical bytes of a value: what signatures and key ids are made over (§4.2.1).
 *
 * @example canonicalBytes(new Map([['b', 1], ['a', 'x']])) // {"a":"x","b":1}
 */
export function canonicalBytes(value: JsonValue): Uint8Array<ArrayBuffer> {
  return utf8(write(value, canonicalString));
}

/**
 * The bytes to put into a file: strict JSON, equal to the canonical bytes
 * unless a string holds a control character (a PEM key does).
 */
export function documentBytes(value: JsonValue): Uint8Array<ArrayBuffer> {
  return utf8(write(value, JSON.stringify));
}

/** What {@link jsonOf} accepts: plain literals, and trees already read. */
export type JsonLiteral =
  | JsonValue
  | readonly JsonLiteral[]
  | { readonly [name: string]: JsonLiteral | undefined }
  | ReadonlyMap<string, JsonLiteral>;

/**
 * Turns plain literals into a JSON tree. Members that are `undefined` are left
 * out. For names that come from outside pass a Map, not an object.
 */
export function jsonOf(literal: JsonLiteral): JsonValue {
  if (literal === null || typeof literal !== 'object') return literal;
  if (isList(literal)) return literal.map(jsonOf);
  return objectOf(literal);
}

/** Like {@link jsonOf}, for an object. */
export function objectOf(
  literal: { readonly [name: string]: JsonLiteral | undefined } | ReadonlyMap<string, JsonLiteral>,
): JsonObject {
  const entries = literal instanceof Map ? literal : Object.entries(literal);
  const members = new Map<string, JsonValue>();
  for (const [name, value] of entries) if (value !== undefined) members.set(name, jsonOf(value));
  return members;
}

/** Turns a JSON tree into plain objects with null prototypes, for printing and for APIs. */
export function plainOf(value: JsonValue): unknown {
  if (value === null || typeof value !== 'object') return value;
  if (isList(value)) return value.map(plainOf);
  const plain: Record<string, unknown> = Object.create(null);
  for (const [name, member] of value) plain[name] = plainOf(member);
  return plain;
}

function write(value: JsonValue, quote: (text: string) => string): string {
  if (typeof value === 'string') return quote(wellFormed(value));
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new UsageError('USAGE_INVALID', 'Writing canonical JSON: only safe integers can be signed');
  }
  if (value === null || typeof value !== 'object') return String(value);
  if (isList(value)) return `[${value.map((item) => write(item, quote)).join(',')}]`;
  const names = [...value.keys()].sort(compareCodePoints);
  let text = '{';
  for (const name of names) {
    text += `${text === '{' ? '' : ','}${quote(wellFormed(name))}:${write(value.get(name) ?? null, quote)}`;
  }
  return `${text}}`;
}

function wellFormed(text: string): string {
  if (!/\p{Cs}/u.test(text)) return text;
  throw new UsageError('USAGE_INVALID', 'Writing canonical JSON: a string holds half of a surrogate pair');
}

function canonicalString(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

function isList<T>(value: object): value is readonly T[] {
  return Array.isArray(value);
}
