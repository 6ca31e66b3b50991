// A map that can be tried out: an overlay answers for the map below it, takes
// all writes, and is thrown away or absorbed. What a trial costs follows from
// what it writes, never from the size of the map below.

/** A map, or an overlay on one. */
export class Layer<K, V> {
  private readonly own = new Map<K, V | undefined>();
  private readonly below: Layer<K, V> | undefined;

  constructor(below?: Layer<K, V>) {
    this.below = below;
  }

  /** At least as many as there are entries: replaced and removed ones count twice. */
  get bound(): number {
    return this.own.size + (this.below?.bound ?? 0);
  }

  get(key: K): V | undefined {
    return this.own.has(key) ? this.own.get(key) : this.below?.get(key);
  }

  set(key: K, value: V): void {
    this.own.set(key, value);
  }

  delete(key: K): void {
    if (this.below === undefined) this.own.delete(key);
    else this.own.set(key, undefined);
  }

  /** Every entry at this moment: those of the map below first, unless they were replaced. */
  entries(): (readonly [K, V])[] {
    const entries = (this.below?.entries() ?? []).filter(([key]) => !this.own.has(key));
    for (const [key, value] of this.own) if (value !== undefined) entries.push([key, value]);
    return entries;
  }

  /** Writes what an overlay holds into this, the map that it lies on. */
  absorb(overlay: Layer<K, V>): void {
    for (const [key, value] of overlay.own) {
      if (value === undefined) this.delete(key);
      else this.own.set(key, value);
    }
  }
}
