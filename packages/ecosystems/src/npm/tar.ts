// A tar scanner for package tarballs (ustar, pax, GNU long names): pushed the
// unpacked bytes, it names each entry and collects the few whose content is
// wanted. One pass, constant memory but for what it collects, every size capped
// before a byte of it is kept. Kinds that no package needs are refused, not skipped.

import { AdmissionError } from '@countersign/core';

/** An entry of a tar archive as its headers describe it. */
export interface TarEntry {
  /** As written, `/`-separated; not yet safe. */
  readonly path: string;
  readonly kind: 'file' | 'directory' | 'symlink' | 'hardlink';
  /** Bytes of content. */
  readonly size: number;
  /** Where a link points, as written. */
  readonly linkTarget: string;
}

/** What is done with an entry: `keep` collects its content and hands it on. */
export type TarVisitor = (entry: TarEntry) => ((content: Uint8Array) => void) | undefined;

/** Scans one archive. */
export class TarScanner {
  private readonly visit: TarVisitor;
  private readonly maxEntries: number;
  private entries = 0;
  private ended = false;
  // What is being read: a block of 512 bytes, or content of which `left` bytes are to come.
  private readonly block = new Uint8Array(BLOCK);
  private filled = 0;
  private left = 0;
  private padding = 0;
  private kept: Uint8Array | undefined;
  private keptAt = 0;
  private whenKept: ((content: Uint8Array) => void) | undefined;
  // What extended headers say of the next entry.
  private longPath: string | undefined;
  private longLink: string | undefined;
  private longSize: number | undefined;

  constructor(visit: TarVisitor, maxEntries: number) {
    this.visit = visit;
    this.maxEntries = maxEntries;
  }

  /** Takes the next bytes of the archive. @throws AdmissionError ENTRY_INVALID */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.left > 0) {
        const taken = Math.min(this.left, chunk.length - at);
        this.content(chunk.subarray(at, at + taken));
        at += taken;
      } else if (this.padding > 0) {
        const taken = Math.min(this.padding, chunk.length - at);
        this.padding -= taken;
        at += taken;
      } else {
        const taken = Math.min(BLOCK - this.filled, chunk.length - at);
        this.block.set(chunk.subarray(at, at + taken), this.filled);
        this.filled += taken;
        at += taken;
        if (this.filled === BLOCK) {
          this.filled = 0;
          this.header();
        }
      }
    }
  }

  /** Ends. @throws AdmissionError ENTRY_INVALID when the archive stops within an entry */
  end(): void {
    if (this.left > 0 || this.padding > 0 || this.filled > 0) refuse('it ends within an entry');
    if (this.hasExtension()) refuse('it ends after an extended header');
  }

  private content(bytes: Uint8Array): void {
    this.left -= bytes.length;
    if (this.kept === undefined) return;
    this.kept.set(bytes, this.keptAt);
    this.keptAt += bytes.length;
    if (this.left === 0) this.deliver(this.kept);
  }

  private deliver(content: Uint8Array): void {
    const then = this.whenKept;
    this.kept = undefined;
    this.whenKept = undefined;
    then?.(content);
  }

  private header(): void {
    const block = this.block;
    if (block.every((byte) => byte === 0)) {
      this.ended = true;
      return;
    }
    // npm's reader stops at the end marker; others go on. Nobody may see two archives in one.
    if (this.ended) refuse('something follows its end marker');
    requireChecksum(block);
    if (++this.entries > this.maxEntries) refuse(`it has more than ${this.maxEntries} entries`);
    const type = String.fromCharCode(block[TYPE] ?? 0);
    const size = readNumber(block, 124, 12);
    if (type === 'x' || type === 'L' || type === 'K' || type === 'g') this.extension(type, size);
    else this.entry(type, size);
  }

  private extension(type: 'x' | 'L' | 'K' | 'g', size: number): void {
    if (size > MAX_EXTENSION) refuse(`an extended header is longer than ${MAX_EXTENSION} bytes`);
    this.expect(size, (content) => {
      if (type === 'L') this.longPath = textOf(content);
      else if (type === 'K') this.longLink = textOf(content);
      else this.pax(readPax(content), type === 'g');
    });
  }

  private pax(records: ReadonlyMap<string, string>, global: boolean): void {
    const path = records.get('path');
    const link = records.get('linkpath');
    const size = records.get('size');
    for (const name of records.keys()) if (name.startsWith('GNU.sparse')) refuse('it holds a sparse file');
    if (global) {
      // git writes a comment here; a name for every entry makes no sense.
      if (path !== undefined || link !== undefined || size !== undefined) refuse('a global header renames entries');
      return;
    }
    if (path !== undefined) this.longPath = path;
    if (link !== undefined) this.longLink = link;
    if (size === undefined) return;
    if (!/^\d{1,15}$/.test(size)) refuse('a size in an extended header is not a number');
    this.longSize = Number(size);
  }

  private entry(type: string, headerSize: number): void {
    const path = this.longPath ?? headerPath(this.block);
    const linkTarget = this.longLink ?? fieldText(this.block, 157, 100);
    const kind = kindOf(type, path);
    // Some writers put a directory's or link's own size here; there is no content.
    const size = kind === 'file' ? (this.longSize ?? headerSize) : 0;
    this.longPath = undefined;
    this.longLink = undefined;
    this.longSize = undefined;
    const keep = this.visit({ path, kind, size, linkTarget });
    if (keep !== undefined) this.expect(size, keep);
    else this.skip(size);
  }

  private expect(size: number, then: (content: Uint8Array) => void): void {
    this.skip(size);
    this.kept = new Uint8Array(size);
    this.keptAt = 0;
    this.whenKept = then;
    if (size === 0) this.deliver(this.kept);
  }

  private skip(size: number): void {
    this.left = size;
    this.padding = (BLOCK - (size % BLOCK)) % BLOCK;
  }

  private hasExtension(): boolean {
    return this.longPath !== undefined || this.longLink !== undefined || this.longSize !== undefined;
  }
}

/** Refuses a tarball. `facts` go into the error's detail. */
export function refuse(problem: string, facts: Readonly<Record<string, string | number>> = {}): never {
  throw new AdmissionError('ENTRY_INVALID', `Reading a package tarball: ${problem}`, { detail: { problem, ...facts } });
}

function kindOf(type: string, path: string): TarEntry['kind'] {
  // Before POSIX a directory was a file whose name ends in a slash.
  if (type === '0' || type === '\0' || type === '7') return path.endsWith('/') ? 'directory' : 'file';
  if (type === '5') return 'directory';
  if (type === '2') return 'symlink';
  if (type === '1') return 'hardlink';
  return refuse('it holds an entry that is no file, folder or link', { type });
}

function headerPath(block: Uint8Array): string {
  const name = fieldText(block, 0, 100);
  const posix = fieldText(block, 257, 6) === 'ustar' && block[262] === 0;
  const prefix = posix ? fieldText(block, 345, 155) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

function requireChecksum(block: Uint8Array): void {
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 0x20 : (block[i] ?? 0);
  if (sum !== readNumber(block, 148, 8)) refuse('a header has a wrong checksum');
}

function readNumber(block: Uint8Array, at: number, length: number): number {
  const first = block[at] ?? 0;
  if (first >= 0x80) {
    // GNU: a big-endian binary number behind the marker byte 0x80.
    let number = first & 0x7f;
    for (let i = 1; i < length; i++) {
      number = number * 256 + (block[at + i] ?? 0);
      if (!Number.isSafeInteger(number)) refuse('a number in a header is out of range');
    }
    return number;
  }
  const text = fieldText(block, at, length).trim();
  if (!/^[0-7]*$/.test(text)) refuse('a number in a header is not octal');
  return text === '' ? 0 : Number.parseInt(text, 8);
}

function fieldText(block: Uint8Array, at: number, length: number): string {
  return textOf(block.subarray(at, at + length));
}

function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}

// POSIX pax records: `<length> <name>=<value>\n`, the length counting the whole record.
function readPax(content: Uint8Array): ReadonlyMap<string, string> {
  const records = new Map<string, string>();
  let at = 0;
  while (at < content.length) {
    const space = content.indexOf(0x20, at);
    const digits = decoder.decode(content.subarray(at, Math.min(space < 0 ? at : space, at + 8)));
    const end = /^\d{1,7}$/.test(digits) ? at + Number(digits) : 0;
    if (end <= space + 1 || end > content.length || content[end - 1] !== 0x0a) {
      refuse('an extended header is not well formed');
    }
    const record = decoder.decode(content.subarray(space + 1, end - 1));
    const equals = record.indexOf('=');
    if (equals < 1) refuse('an extended header is not well formed');
    const name = record.slice(0, equals);
    const value = record.slice(equals + 1);
    if (PAX_NAMES.has(name) && (records.has(name) || value.includes('\0'))) {
      refuse('an extended header says one thing twice, or holds a NUL');
    }
    records.set(name, value);
    at = end;
  }
  return records;
}

const BLOCK = 512;
const TYPE = 156;
const MAX_EXTENSION = 64 * 1024;
const PAX_NAMES: ReadonlySet<string> = new Set(['path', 'linkpath', 'size']);
// As npm's own reader does: bytes that are not UTF-8 become U+FFFD.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
