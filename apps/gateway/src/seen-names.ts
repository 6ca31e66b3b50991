// The names this gateway has ever answered for, so that a repository cannot
// make one disappear and have it relayed, or quietly replaced, from elsewhere.
// An append-only file, one directory of targets a line, flushed to the disk
// before the first answer that relied on it. Names never leave it.

import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { StoreError } from '@countersign/core';

/** An open log of names. */
export class SeenNames {
  readonly #file: FileHandle;
  readonly #names: Set<string>;
  #pending = new Set<string>();
  #flush: Promise<void> | undefined;

  private constructor(file: FileHandle, names: Set<string>) {
    this.#file = file;
    this.#names = names;
  }

  /** Opens or creates the log. @throws StoreError STORE_READ */
  static async open(path: string): Promise<SeenNames> {
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      const file = await open(path, 'a+', 0o600);
      const text = await file.readFile('utf8');
      // A crash may have cut the last line; what it stood for was not answered.
      const whole = text.slice(0, text.lastIndexOf('\n') + 1);
      if (whole.length < text.length) await file.truncate(Buffer.byteLength(whole));
      return new SeenNames(file, new Set(whole.split('\n').filter((line) => line !== '')));
    } catch (cause) {
      throw new StoreError('STORE_READ', 'Reading the names seen before: the file cannot be opened', { cause });
    }
  }

  has(directory: string): boolean {
    return this.#names.has(directory);
  }

  /** Remembers a name; durable when it resolves. @throws StoreError STORE_WRITE */
  async add(directory: string): Promise<void> {
    if (this.#names.has(directory)) return;
    this.#pending.add(directory);
    // Whoever comes while a write runs shares the next one.
    const running = this.#flush ?? Promise.resolve();
    const mine = running.then(() => (this.#names.has(directory) ? undefined : this.#write()));
    const settled = mine.then(ignore, ignore);
    this.#flush = settled;
    try {
      await mine;
    } finally {
      if (this.#flush === settled) this.#flush = undefined;
    }
  }

  async close(): Promise<void> {
    await this.#flush;
    await this.#file.close();
  }

  async #write(): Promise<void> {
    const names = this.#pending;
    this.#pending = new Set();
    try {
      await this.#file.appendFile([...names].map((name) => `${name}\n`).join(''));
      await this.#file.datasync();
    } catch (cause) {
      for (const name of names) this.#pending.add(name);
      throw new StoreError('STORE_WRITE', 'Remembering a name: the file cannot be written', { cause });
    }
    for (const name of names) this.#names.add(name);
  }
}

function ignore(): void {}
