// Readers for the members of received JSON objects: each takes `unknown` shape
// in and gives an exact type out, or refuses with the name of the place.

import { MetadataError } from './errors.ts';
import type { JsonArray, JsonObject, JsonValue } from './json.ts';

/** Refuses a file's shape. `where` names the role and member. */
export function malformed(where: string, problem: string): never {
  throw new MetadataError('FORMAT_INVALID', `Reading ${where}: ${problem}`, { detail: { where } });
}

/** Requires an object. */
export function asObject(value: JsonValue | undefined, where: string): JsonObject {
  return isObject(value) ? value : malformed(where, 'an object is required');
}

/** Tells whether a value is a JSON object. */
export function isObject(value: JsonValue | undefined): value is JsonObject {
  return value instanceof Map;
}

/** Requires an object member. */
export function objectAt(object: JsonObject, name: string, where: string): JsonObject {
  return asObject(object.get(name), `${where} ${name}`);
}

/** Requires an array member. */
export function arrayAt(object: JsonObject, name: string, where: string): JsonArray {
  const value = object.get(name);
  return isArray(value) ? value : malformed(`${where} ${name}`, 'an array is required');
}

/** Requires a string member. */
export function stringAt(object: JsonObject, name: string, where: string): string {
  const value = object.get(name);
  return typeof value === 'string' ? value : malformed(`${where} ${name}`, 'a string is required');
}

/** Requires a member that is an array of strings. */
export function stringsAt(object: JsonObject, name: string, where: string): readonly string[] {
  return arrayAt(object, name, where).map((item) =>
    typeof item === 'string' ? item : malformed(`${where} ${name}`, 'only strings are allowed'),
  );
}

/** Requires an integer member of at least `least`. */
export function integerAt(object: JsonObject, name: string, least: number, where: string): number {
  const value = object.get(name);
  if (typeof value === 'number' && value >= least) return value;
  return malformed(`${where} ${name}`, `an integer of at least ${least} is required`);
}

/** Requires a boolean member. */
export function booleanAt(object: JsonObject, name: string, where: string): boolean {
  const value = object.get(name);
  return typeof value === 'boolean' ? value : malformed(`${where} ${name}`, 'a boolean is required');
}

function isArray(value: JsonValue | undefined): value is JsonArray {
  return Array.isArray(value);
}
