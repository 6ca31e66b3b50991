// The decision list as files: entries chained by hash, one a line, in tiles of
// 256; a small head that says where the list ends. All delays count from an
// entry's `at`, the time of the publication that first holds it.
// Reads and writes only; register.ts checks the chain as it goes along.

import {
  documentBytes,
  hex,
  type Instant,
  integerAt,
  isTufError,
  type JsonObject,
  MetadataError,
  objectOf,
  readDocument,
  readInstant,
  type Sha256,
  stringAt,
  utf8,
  utf8Text,
  writeInstant,
} from '@countersign/core';

/** An entry of the list. */
export interface Entry {
  /** The time of the publication that first holds it; whole seconds. */
  readonly at: Instant;
  /** SHA-256 of the text of the entry before, lower-case hexadecimal; 64 zeros for the first. */
  readonly previous: string;
  readonly publication: number;
  /** Counts from 1, without gaps. */
  readonly sequence: number;
  /** The exact text of the statement. */
  readonly statement: string;
}

/** Where a list ends. */
export interface Tip {
  readonly sequence: number;
  /** SHA-256 of the text of the last entry, lower-case hexadecimal. */
  readonly entry: string;
  readonly at: Instant;
  readonly publication: number;
}

/** The head file: what watchers remember of a list. */
export interface ListHead {
  readonly collection: string;
  readonly at: Instant;
  readonly entry: string;
  readonly sequence: number;
}

/** The tip of a list without entries. */
export const NO_TIP: Tip = { sequence: 0, entry: '0'.repeat(64), at: Number.NEGATIVE_INFINITY, publication: 0 };

/** How many entries a full tile holds. */
export const TILE = 256;

/** The target path of the head. */
export const HEAD_PATH = 'decisions/head.json';

/** The pattern of all paths of the list. */
export const LIST_PATTERN = 'decisions/*';

/** The target path of the tile that holds an entry. @example tilePath(257) // 'decisions/1.jsonl' */
export function tilePath(sequence: number): string {
  return `decisions/${Math.floor((sequence - 1) / TILE)}.jsonl`;
}

/** The one line of an entry, without its line end. */
export function writeEntry({ at, previous, publication, sequence, statement }: Entry): string {
  return textOf(documentBytes(objectOf({ at: writeInstant(at), previous, publication, sequence, statement })));
}

/** Reads the line of an entry. @throws MetadataError DECISIONS_INVALID */
export function readEntry(line: string): Entry {
  return reading('an entry of the decision list', line, (json, where) => ({
    at: instantAt(json, where),
    previous: digestAt(json, 'previous', where),
    publication: integerAt(json, 'publication', 1, where),
    sequence: integerAt(json, 'sequence', 1, where),
    statement: stringAt(json, 'statement', where),
  }));
}

/** The hash of an entry, for the next one and the head. */
export function entryHash(line: string, sha256: Sha256): string {
  return hex(sha256(utf8(line)));
}

/** The tip that an entry makes. */
export function tipOf({ at, publication, sequence }: Entry, line: string, sha256: Sha256): Tip {
  return { sequence, at, publication, entry: entryHash(line, sha256) };
}

/** The file of a tile: its entries' lines, in order. */
export function writeTile(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}

/** The lines of a tile. @throws MetadataError DECISIONS_INVALID */
export function readTile(text: string): readonly string[] {
  const lines = text.split('\n');
  if (lines.pop() !== '' || lines.includes('') || lines.length > TILE) throw broken('a tile is not whole', {});
  return lines;
}

/** The head file of a list. */
export function writeHead({ collection, at, entry, sequence }: ListHead): string {
  return textOf(documentBytes(objectOf({ _type: 'head', at: writeInstant(at), collection, entry, sequence })));
}

/** Reads a head file. @throws MetadataError DECISIONS_INVALID */
export function readHead(text: string): ListHead {
  return reading('the head of the decision list', text, (json, where) => {
    if (stringAt(json, '_type', where) !== 'head') throw broken('its head is of another type', {});
    return {
      collection: stringAt(json, 'collection', where),
      at: instantAt(json, where),
      entry: digestAt(json, 'entry', where),
      sequence: integerAt(json, 'sequence', 1, where),
    };
  });
}

/** Makes the error of a list that breaks its own rules. */
export function broken(
  problem: string,
  detail: Readonly<Record<string, string | number>>,
  cause?: unknown,
): MetadataError {
  return new MetadataError('DECISIONS_INVALID', `Replaying the decision list: ${problem}`, { detail, cause });
}

function reading<T>(what: string, text: string, read: (json: JsonObject, where: string) => T): T {
  try {
    return read(readDocument(utf8(text)).root, what);
  } catch (error) {
    if (!isTufError(error) || error.code === 'DECISIONS_INVALID') throw error;
    throw broken(`${what} cannot be read`, {}, error);
  }
}

function instantAt(json: JsonObject, where: string): Instant {
  const at = readInstant(stringAt(json, 'at', where));
  if (at === undefined) throw broken(`${where} has no time`, {});
  return at;
}

function digestAt(json: JsonObject, name: string, where: string): string {
  const digest = stringAt(json, name, where);
  if (!/^[0-9a-f]{64}$/.test(digest)) throw broken(`${where} has no ${name}`, {});
  return digest;
}

function textOf(bytes: Uint8Array): string {
  return utf8Text(bytes) ?? '';
}
