// An index of very many names with a number each, in 16 bytes a name instead of
// a string: what fsck and garbage collection hold of ten million files. Two
// names are taken for one with a chance of one in 10^15 or so a pair; callers
// must see to it that such a mistake keeps something, and never drops it.

import { type SyncCryptoPort, utf8 } from '@countersign/core';

/**
 * Numbers by name.
 *
 * @example const index = new NameIndex(crypto); index.set('a/b', 3); index.get('a/b') // 3
 */
export class NameIndex {
  private readonly crypto: SyncCryptoPort;
  private keys = new Float64Array(1024);
  private values = new Float64Array(1024);
  private used = 0;

  constructor(crypto: SyncCryptoPort) {
    this.crypto = crypto;
  }

  /** How many names it holds. */
  get size(): number {
    return this.used;
  }

  get(name: string): number | undefined {
    const key = this.keyOf(name);
    const at = this.placeOf(key);
    return this.keys[at] === key ? this.values[at] : undefined;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  set(name: string, value: number): void {
    if (this.used * 2 >= this.keys.length) this.grow();
    this.put(this.keyOf(name), value);
  }

  private put(key: number, value: number): void {
    const at = this.placeOf(key);
    if (this.keys[at] !== key) this.used++;
    this.keys[at] = key;
    this.values[at] = value;
  }

  /** Where a key is, or would be. */
  private placeOf(key: number): number {
    const { keys } = this;
    let at = key % keys.length;
    while (keys[at] !== 0 && keys[at] !== key) at = at + 1 === keys.length ? 0 : at + 1;
    return at;
  }

  private grow(): void {
    const { keys, values } = this;
    this.keys = new Float64Array(keys.length * 2);
    this.values = new Float64Array(keys.length * 2);
    this.used = 0;
    for (const [i, key] of keys.entries()) if (key !== 0) this.put(key, values[i] ?? 0);
  }

  /** 52 bits of the name's SHA-256, and never 0, which stands for an empty place. */
  private keyOf(name: string): number {
    const digest = this.crypto.hash('sha256', utf8(name));
    const view = new DataView(digest.buffer, digest.byteOffset, digest.byteLength);
    return view.getUint32(0) * 2 ** 20 + (view.getUint32(4) >>> 12) + 1;
  }
}
