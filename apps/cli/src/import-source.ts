// What an import reads: a folder on disk, or a list of files whose content lies
// elsewhere (CSV with a header, or JSON lines). Each entry says from where to go
// on after it, so that an import that was cut off does not begin again.

import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { isTufError, type JsonObject, objectAt, readDocument, stringAt, UsageError, utf8 } from '@countersign/core';

/** A file to import, as a list says it. */
export interface ListEntry {
  readonly path: string;
  readonly length: number;
  readonly sha256: string;
  readonly sha512: string | undefined;
  readonly custom: JsonObject | undefined;
  /** The byte of the list behind this entry. */
  readonly end: number;
}

/**
 * Reads a list from a byte on, where a line begins.
 *
 * @throws UsageError USAGE_INVALID naming the line
 * @example
 * // path,length,sha256,sha512
 * // docs/a.pdf,1234,9f86d0…,ee26b0…
 * // or {"path":"docs/a.pdf","length":1234,"sha256":"9f86d0…","custom":{}}
 */
export async function* listEntries(file: string, from = 0): AsyncGenerator<ListEntry, void> {
  const columns = await headerOf(file);
  for await (const { text, end, start } of linesOf(file, from)) {
    if (text.trim() === '' || (columns !== undefined && start === 0)) continue;
    try {
      yield { ...(columns === undefined ? fromJson(text) : fromCsv(text, columns)), end };
    } catch (error) {
      if (!isTufError(error)) throw error;
      throw new UsageError('USAGE_INVALID', `Reading ${file}: ${error.message}`, {
        detail: { line: text.slice(0, 200), byte: start },
        cause: error,
      });
    }
  }
}

type Entry = Omit<ListEntry, 'end'>;

/** The columns of a CSV list; `undefined` for JSON lines. */
async function headerOf(file: string): Promise<readonly string[] | undefined> {
  for await (const { text } of linesOf(file, 0)) {
    if (text.trimStart().startsWith('{')) return undefined;
    const columns = cellsOf(text.replace(/^\ufeff/, '')).map((cell) => cell.trim().toLowerCase());
    const missing = ['path', 'length', 'sha256'].filter((name) => !columns.includes(name));
    const foreign = columns.filter((name) => !COLUMNS.has(name));
    if (missing.length + foreign.length === 0) return columns;
    throw new UsageError(
      'USAGE_INVALID',
      `Reading ${file}: its first line must name the columns path, length, sha256 and perhaps sha512 and custom`,
      { detail: { missing, foreign: foreign.map((name) => name.slice(0, 80)) } },
    );
  }
  throw new UsageError('USAGE_INVALID', `Reading ${file}: it is empty`);
}

function fromCsv(text: string, columns: readonly string[]): Entry {
  const cells = cellsOf(text);
  if (cells.length !== columns.length) throw invalid(`a line has ${cells.length} cells instead of ${columns.length}`);
  const of = (name: string): string | undefined => cells[columns.indexOf(name)] || undefined;
  const custom = of('custom');
  const length = of('length') ?? '';
  return entryOf({
    path: of('path') ?? '',
    length: /^\d{1,16}$/.test(length) ? Number(length) : -1,
    sha256: of('sha256') ?? '',
    sha512: of('sha512'),
    custom: custom === undefined ? undefined : readDocument(utf8(custom)).root,
  });
}

function fromJson(text: string): Entry {
  const { root } = readDocument(utf8(text));
  const length = root.get('length');
  return entryOf({
    path: stringAt(root, 'path', 'a line'),
    length: typeof length === 'number' ? length : -1,
    sha256: stringAt(root, 'sha256', 'a line'),
    sha512: root.has('sha512') ? stringAt(root, 'sha512', 'a line') : undefined,
    custom: root.has('custom') ? objectAt(root, 'custom', 'a line') : undefined,
  });
}

function entryOf(entry: Entry): Entry {
  const { path, length, sha256, sha512 } = entry;
  if (path === '') throw invalid('a line has no path');
  if (!Number.isSafeInteger(length) || length < 0) throw invalid('a length is no number of bytes');
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw invalid('a SHA-256 is not 64 lower-case hexadecimal digits');
  if (sha512 !== undefined && !/^[0-9a-f]{128}$/.test(sha512)) {
    throw invalid('a SHA-512 is not 128 lower-case hexadecimal digits');
  }
  return entry;
}

/** The cells of a line of CSV (RFC 4180): no line breaks in quotes, because no path has any. */
function cellsOf(line: string): readonly string[] {
  if (!line.includes('"')) return line.split(',');
  const cells: string[] = [];
  for (const [, quoted, plain] of line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)) {
    cells.push(quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"'));
  }
  return cells;
}

/** The lines of a file, from a byte on, and the bytes where they begin and end. */
async function* linesOf(
  file: string,
  from: number,
): AsyncGenerator<{ readonly text: string; readonly start: number; readonly end: number }, void> {
  let rest: Uint8Array = new Uint8Array();
  let start = from;
  for await (const chunk of createReadStream(file, { start: from, highWaterMark: 1 << 18 })) {
    const bytes = Buffer.concat([rest, chunk]);
    let at = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, at)) {
      const text = bytes.toString('utf8', at, end).replace(/\r$/, '');
      yield { text, start: start + at, end: start + end + 1 };
      at = end + 1;
    }
    rest = bytes.subarray(at);
    start += at;
    if (rest.length > MAX_LINE) throw new UsageError('USAGE_INVALID', `Reading ${file}: a line is too long`);
  }
  if (rest.length > 0)
    yield { text: Buffer.from(rest).toString('utf8').replace(/\r$/, ''), start, end: start + rest.length };
}

/** The size of a file and when it was written last: what tells a list from another one. @throws UsageError USAGE_INVALID */
export async function factsOf(file: string): Promise<{ readonly size: number; readonly modified: number }> {
  const handle = await open(file, 'r').catch((cause: unknown) => {
    throw new UsageError('USAGE_INVALID', `Reading ${file}: it cannot be read`, { cause });
  });
  try {
    const { size, mtimeMs } = await handle.stat();
    return { size, modified: mtimeMs };
  } finally {
    await handle.close();
  }
}

function invalid(problem: string): UsageError {
  return new UsageError('USAGE_INVALID', problem);
}

const COLUMNS: ReadonlySet<string> = new Set(['path', 'length', 'sha256', 'sha512', 'custom']);
const MAX_LINE = 1 << 20;
