// What an import keeps on disk while it runs, in the folder of its collection:
// the entries, sorted into parts of the hash space, and a mark that says how far
// it is. Memory holds one part at a time, whatever the number of files, and a
// kill at any moment costs the work since the last mark and nothing else.
//   <folder>/import/mark.json      how far it is
//   <folder>/import/<xx>.jsonl     entries whose place begins with these two digits

import { appendFile, mkdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { objectAt, plainOf, readDocument, StoreError, type TargetFile, utf8 } from '@countersign/core';

/** How far an import is. */
export interface ImportMark {
  /** What is imported, and how: another import must not go on with it. */
  readonly source: string;
  /** From where reading goes on: a byte of a list, or the last path of a folder. */
  readonly after: string;
  /** Entries read. */
  readonly read: number;
  /** Bytes of each part that count. */
  readonly lengths: readonly number[];
  /** Entries of each part. */
  readonly counts: readonly number[];
  /** Whether everything was read. */
  readonly whole: boolean;
  /** Parts that are published. */
  readonly done: number;
  /** Entries that are published. */
  readonly published: number;
}

/** The room of one import. */
export class ImportRoom {
  private readonly folder: string;
  private readonly waiting: string[][] = Array.from({ length: PARTS }, () => []);
  private present: ImportMark;

  /**
   * Opens the room: where an earlier run of the same import left it, or empty.
   *
   * @throws StoreError
   */
  static async open(folder: string, source: string): Promise<ImportRoom> {
    const kept = await readMark(folder);
    if (kept?.source === source) {
      const room = new ImportRoom(folder, kept);
      if (await room.takeBack()) return room;
    }
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return new ImportRoom(folder, emptyMark(source));
  }

  private constructor(folder: string, mark: ImportMark) {
    this.folder = folder;
    this.present = mark;
  }

  get mark(): ImportMark {
    return this.present;
  }

  /** Takes an entry in. @param place hexadecimal digits of where it belongs in the hash space */
  add(place: string, target: TargetFile): void {
    this.waiting[Number.parseInt(place.slice(0, 2), 16)]?.push(lineOf(target));
  }

  /** Keeps what was taken in, and from where to go on. @throws StoreError STORE_WRITE */
  async keep(after: string, read: number, whole: boolean): Promise<void> {
    const lengths = [...this.present.lengths];
    const counts = [...this.present.counts];
    for (const [part, lines] of this.waiting.entries()) {
      if (lines.length === 0) continue;
      const text = lines.join('');
      await appendFile(this.file(part), text);
      lengths[part] = (lengths[part] ?? 0) + Buffer.byteLength(text);
      counts[part] = (counts[part] ?? 0) + lines.length;
      lines.length = 0;
    }
    await this.write({ ...this.present, after, read, lengths, counts, whole });
  }

  /** The entries of some parts; of a path that is there twice the last one counts. */
  async entries(from: number, to: number): Promise<readonly TargetFile[]> {
    const entries = new Map<string, TargetFile>();
    for (let part = from; part < to; part++) {
      if (this.present.lengths[part] === 0) continue;
      for (const line of (await readFile(this.file(part), 'utf8')).split('\n')) {
        if (line === '') continue;
        const target = targetOf(line);
        entries.set(target.path, target);
      }
    }
    return [...entries.values()];
  }

  /** How many of the parts that follow belong into one publication. */
  next(): number {
    const { counts, done } = this.present;
    let files = 0;
    let to = done;
    while (to < PARTS && (files === 0 || files + (counts[to] ?? 0) <= TOGETHER)) files += counts[to++] ?? 0;
    return to;
  }

  /** Notes that everything up to a part is published. @throws StoreError STORE_WRITE */
  async publishedUpTo(done: number, count: number): Promise<void> {
    await this.write({ ...this.present, done, published: this.present.published + count });
  }

  /** Tells whether every part is published. */
  isDone(): boolean {
    return this.present.whole && this.present.done === PARTS;
  }

  /** Leaves nothing behind. */
  async clear(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Takes back what was written after the mark. @returns whether all that counts is there */
  private async takeBack(): Promise<boolean> {
    for (const [part, length] of this.present.lengths.entries()) {
      const size = await stat(this.file(part)).then(
        (facts) => facts.size,
        () => 0,
      );
      if (size < length) return false;
      if (size > length) await truncate(this.file(part), length);
    }
    return true;
  }

  private async write(mark: ImportMark): Promise<void> {
    const file = join(this.folder, 'mark.json');
    try {
      await writeFile(`${file}.part`, JSON.stringify(mark));
      await rename(`${file}.part`, file);
    } catch (cause) {
      throw new StoreError('STORE_WRITE', 'Keeping how far the import is: the file cannot be written', {
        detail: { file },
        cause,
      });
    }
    this.present = mark;
  }

  private file(part: number): string {
    return join(this.folder, `${part.toString(16).padStart(2, '0')}.jsonl`);
  }
}

/** What an import in a room is of; `undefined` when there is none. */
export async function unfinished(folder: string): Promise<string | undefined> {
  return (await readMark(folder))?.source;
}

async function readMark(folder: string): Promise<ImportMark | undefined> {
  const text = await readFile(join(folder, 'mark.json'), 'utf8').catch(() => undefined); // absent
  if (text === undefined) return undefined;
  try {
    return { ...emptyMark(''), ...JSON.parse(text) };
  } catch {
    return undefined; // torn by a loss of power: it begins again
  }
}

function emptyMark(source: string): ImportMark {
  const none = Array.from({ length: PARTS }, () => 0);
  return { source, after: '', read: 0, lengths: none, counts: none, whole: false, done: 0, published: 0 };
}

function lineOf({ path, length, hashes, custom }: TargetFile): string {
  const parts = [
    path,
    length,
    [...hashes],
    ...(custom === undefined ? [] : [JSON.stringify({ custom: plainOf(custom) })]),
  ];
  return `${JSON.stringify(parts)}\n`;
}

function targetOf(line: string): TargetFile {
  const [path, length, hashes, custom] = JSON.parse(line) as [string, number, [string, string][], string | undefined];
  const read = custom === undefined ? undefined : objectAt(readDocument(utf8(custom)).root, 'custom', 'an entry');
  return { path, length, hashes: new Map(hashes), custom: read };
}

const PARTS = 256;
// Files in one publication; one part of a very large import may be more.
const TOGETHER = 8192;
