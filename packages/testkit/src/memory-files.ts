// Trusted state in memory that a test can look into: which files a client has
// kept, byte for byte, and every write in order.

import type { CacheName, Kept } from '@countersign/core';

/** A state port over a map. Satisfies core's synchronous and asynchronous port. */
export class MemoryFiles {
  /** What is kept, by cache name such as `timestamp.json`. */
  readonly files = new Map<string, Uint8Array>();
  /** Every write so far: `save NAME` or `drop NAME`. */
  readonly writes: string[] = [];

  load(name: CacheName): Uint8Array | undefined {
    return this.files.get(name)?.slice();
  }

  /** Compares and swaps where `over` is given. */
  save(name: CacheName, bytes: Uint8Array, over?: Kept): boolean {
    if (over !== undefined && !isSame(this.files.get(name), over.bytes)) return false;
    this.writes.push(`save ${name}`);
    this.files.set(name, bytes.slice());
    return true;
  }

  drop(name: CacheName): void {
    this.writes.push(`drop ${name}`);
    this.files.delete(name);
  }
}

function isSame(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;
}
