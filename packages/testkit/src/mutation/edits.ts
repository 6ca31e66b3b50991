// Changes to bytes, to JSON trees and to JSON text. Each takes the original and
// gives another one; what it was in TUF's terms is not known here.

import { type JsonValue, readDocument, utf8, utf8Text } from '@countersign/core';
import type { Draw } from './draw.ts';

/** A tree that may be edited, and may hold what no JSON tree can: text written as it stands. */
export type Tree = null | boolean | number | string | Raw | Tree[] | Map<string, Tree>;

/** Text in place of a value. */
export class Raw {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** A tree of a file that is known to be good. */
export function treeOf(file: Uint8Array): Tree {
  return copyOf(readDocument(file).root);
}

/** An editable copy. */
export function copyOf(value: JsonValue): Tree {
  if (Array.isArray(value)) return value.map(copyOf);
  if (value instanceof Map) return new Map([...value].map(([name, member]) => [name, copyOf(member)]));
  return typeof value === 'object' ? null : value;
}

/** Writes a tree; with a draw, members in another order and with white space. */
export function textOf(tree: Tree, shuffle?: Draw): string {
  const gap = (): string => (shuffle === undefined ? '' : shuffle.pick(['', '', ' ', '\n', '\t ', '\r\n']));
  const write = (node: Tree): string => {
    if (node instanceof Raw) return node.text;
    if (Array.isArray(node)) return `[${gap()}${node.map(write).join(`${gap()},${gap()}`)}${gap()}]`;
    if (!(node instanceof Map)) return JSON.stringify(node);
    const members = [...node].map(([name, value]) => `${JSON.stringify(name)}${gap()}:${gap()}${write(value)}`);
    if (shuffle !== undefined) members.sort(() => shuffle.int(3) - 1);
    return `{${gap()}${members.join(`${gap()},${gap()}`)}${gap()}}`;
  };
  return write(tree);
}

/** A place in a tree: what holds it, and under which name or index. */
type Place =
  | { readonly holder: Map<string, Tree>; readonly name: string }
  | { readonly holder: Tree[]; readonly name: number };

/** Every place below a tree. */
function placesIn(tree: Tree): Place[] {
  if (Array.isArray(tree)) return tree.flatMap((item, name) => [{ holder: tree, name }, ...placesIn(item)]);
  if (!(tree instanceof Map)) return [];
  return [...tree].flatMap(([name, item]) => [{ holder: tree, name }, ...placesIn(item)]);
}

/** Edits a tree in one place, in one of many ways. */
export function editTree(tree: Tree, draw: Draw): Tree {
  const places = placesIn(tree);
  if (places.length === 0) return new Raw('{}');
  const place = draw.pick(places);
  const old = at(place);
  switch (draw.int(8)) {
    case 0:
      remove(place);
      break;
    case 1:
      put(place, draw.pick<() => Tree>(STRANGE)());
      break;
    case 2:
      put(place, new Raw(draw.pick(NUMBERS)));
      break;
    case 3:
      put(place, at(draw.pick(places)));
      break;
    case 4:
      put(place, draw.chance(50) ? [old] : new Map([[draw.pick(NAMES), old]]));
      break;
    case 5:
      rename(place, draw.pick([...NAMES, ...namesIn(places)]));
      break;
    default:
      put(place, nearly(old, draw));
  }
  return acyclic(tree);
}

/** Changes bytes a little, anywhere. */
export function editBytes(bytes: Uint8Array, draw: Draw): Uint8Array {
  const where = draw.int(bytes.length + 1);
  const [head, tail] = [bytes.subarray(0, where), bytes.subarray(where)];
  const some = Uint8Array.from({ length: 1 + draw.int(8) }, () => draw.int(256));
  switch (draw.int(5)) {
    case 0:
      return bytes.map((byte, i) => (i === Math.min(where, bytes.length - 1) ? byte ^ (1 << draw.int(8)) : byte));
    case 1:
      return join(head, some, tail);
    case 2:
      return join(head, tail.subarray(some.length));
    case 3:
      return join(head, tail.subarray(0, 40), tail);
    default:
      return join(bytes, some);
  }
}

/** Writes a member of an object twice: the same again, or something else first. */
export function doubleMember(file: Uint8Array, draw: Draw): Uint8Array {
  const tree = treeOf(file);
  const members = placesIn(tree).filter(({ holder }) => !Array.isArray(holder));
  const place = draw.pick(members);
  const value = textOf(at(place));
  const other = draw.chance(30) ? value : draw.pick(['1', 'null', '"x"', '{}', '[]', value.replace(/\d/, '7')]);
  put(place, new Raw(`${value},${escaped(String(place.name), draw)}:${other}`));
  return utf8(textOf(tree));
}

/** Writes one number of a file in another way. */
export function respellNumber(text: string, draw: Draw): string {
  const numbers = [...text.matchAll(/(?<=[:,[])-?\d+(?=[,\]}])/g)];
  if (numbers.length === 0) return `${text} `;
  const { 0: number, index } = draw.pick(numbers);
  const spelled = draw.pick([
    `${number}.0`,
    `${number}e0`,
    `0${number}`,
    `+${number}`,
    `-${number}`,
    `${number}0000000000000000`,
    `0x${number}`,
    `"${number}"`,
    `${number}n`,
    `${number}.5`,
    '-0',
    '9007199254740992',
  ]);
  return text.slice(0, index) + spelled + text.slice(index + number.length);
}

/** Puts something into a file's text that is no JSON, or no UTF-8, or barely. */
export function spoilText(file: Uint8Array, draw: Draw): Uint8Array {
  const text = utf8Text(file) ?? '';
  const strings = [...text.matchAll(/"[^"\\]*"/g)];
  const inside = 1 + (strings.length === 0 ? 0 : draw.pick(strings).index);
  const [head, tail] = [text.slice(0, inside), text.slice(inside)];
  switch (draw.int(9)) {
    case 0:
      return join(utf8(head), Uint8Array.of(0xff, 0xc0), utf8(tail));
    case 1:
      return utf8(`${head}\\ud800${tail}`);
    case 2:
      return utf8(`${head}${draw.pick(['\u0000', '\n', '\u001f'])}${tail}`);
    case 3:
      return utf8(`\ufeff${text}`);
    case 4:
      return utf8(`${head}${draw.pick(['\\x', '\\u12', '\\'])}${tail}`);
    case 5:
      return utf8(text.replace('{', `{"deep":${'['.repeat(5000)}${']'.repeat(5000)},`));
    case 6:
      return utf8(text.replace('{', `{"wide":[${'{"a":1},'.repeat(1500)}0],`));
    case 7:
      return utf8(text.replace(/[}\]]$/, draw.pick([',}', '', '}}', ']', '/**/}'])));
    default:
      return utf8(draw.pick(['', 'null', '[]', '{}', '""', '0', '<html></html>', '{"signed":{},"signatures":[]}']));
  }
}

/** Spells one character of one string as an escape: the same tree. */
export function escaped(text: string, draw: Draw): string {
  const where = draw.int(text.length + 1);
  const units = [...Array(text.length).keys()].map((i) =>
    i === where
      ? `\\u${text.charCodeAt(i).toString(16).padStart(4, '0')}`
      : JSON.stringify(text.charAt(i)).slice(1, -1),
  );
  return `"${units.join('')}"`;
}

/** The same tree, in another order, with white space, and with escapes. */
export function respell(file: Uint8Array, draw: Draw): Uint8Array {
  const tree = treeOf(file);
  const texts = placesIn(tree).filter((place) => typeof at(place) === 'string');
  const place = texts.length === 0 ? undefined : draw.pick(texts);
  const text = place === undefined ? undefined : at(place);
  if (place !== undefined && typeof text === 'string') put(place, new Raw(escaped(text, draw)));
  return utf8(textOf(tree, draw));
}

/** Something like the old value. */
function nearly(old: Tree, draw: Draw): Tree {
  if (typeof old === 'number') return old + draw.pick([1, -1, 2, 1000, -old, 2 ** 40]);
  if (typeof old === 'boolean') return !old;
  if (typeof old === 'string') {
    const where = draw.int(old.length + 1);
    return (
      old.slice(0, where) + draw.pick(['', '0', 'f', '/', '..', '*', '\u0000', '\u{1f984}']) + old.slice(where + 1)
    );
  }
  if (Array.isArray(old)) return draw.chance(50) ? [...old, ...old] : [...old].reverse();
  if (old instanceof Map) return new Map([...old].slice(draw.int(2)));
  return draw.pick<Tree>([0, '', false]);
}

function at(place: Place): Tree {
  return (
    (Array.isArray(place.holder) ? place.holder[Number(place.name)] : place.holder.get(String(place.name))) ?? null
  );
}

function put(place: Place, value: Tree): void {
  if (Array.isArray(place.holder)) place.holder[Number(place.name)] = value;
  else place.holder.set(String(place.name), value);
}

function remove(place: Place): void {
  if (Array.isArray(place.holder)) place.holder.splice(Number(place.name), 1);
  else place.holder.delete(String(place.name));
}

function rename(place: Place, name: string): void {
  if (Array.isArray(place.holder)) return;
  const value = at(place);
  remove(place);
  place.holder.set(name, value);
}

function namesIn(places: readonly Place[]): readonly string[] {
  return places.flatMap(({ name }) => (typeof name === 'string' ? [name] : []));
}

/** A value may have been put inside itself: what is deep is cut off. */
function acyclic(tree: Tree, depth = 0): Tree {
  if (depth > 40) return null;
  if (Array.isArray(tree)) return tree.map((item) => acyclic(item, depth + 1));
  if (!(tree instanceof Map)) return tree;
  return new Map([...tree].map(([name, item]) => [name, acyclic(item, depth + 1)]));
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

const STRANGE: readonly (() => Tree)[] = [
  () => null,
  () => true,
  () => '',
  () => 'x',
  () => [],
  () => new Map(),
  () => [null],
  () => new Map<string, Tree>([['__proto__', new Map()]]),
  () => 'x'.repeat(3000),
];
/** Numbers, and what is none. */
const NUMBERS = ['0', '-1', '-0', '1.5', '1e2', '1e400', '007', '9007199254740991', '9007199254740993', 'NaN', '1n'];
const NAMES = ['constructor', '__proto__', 'toString', '', '0', 'signed', 'signatures', 'version', '../x', 'root.json'];
