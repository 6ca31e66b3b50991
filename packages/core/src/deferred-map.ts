// A map over another one, whose values are made when they are first asked for.
// What is deferred is work, never a decision: whoever makes one has checked that
// every value can be made, so that reading it later refuses nothing.

/** Where the values are made from: a map, or what looks like one. */
export type Named<T> = Pick<ReadonlyMap<string, T>, 'size' | 'has' | 'get' | 'keys' | typeof Symbol.iterator>;

/**
 * A read-only map of values that are made from another map's, once each.
 *
 * @example new DeferredMap(new Map([['a', 1]]), (n, name) => `${name}${n}`).get('a') // 'a1'
 */
export class DeferredMap<Source, Value> extends Map<string, Value> {
  readonly #source: Named<Source>;
  readonly #make: (source: Source, name: string) => Value;

  constructor(source: Named<Source>, make: (source: Source, name: string) => Value) {
    super();
    this.#source = source;
    this.#make = make;
  }

  override get size(): number {
    return this.#source.size;
  }

  override has(name: string): boolean {
    return this.#source.has(name);
  }

  override get(name: string): Value | undefined {
    const made = super.get(name);
    if (made !== undefined) return made;
    const source = this.#source.get(name);
    return source === undefined ? undefined : this.#keep(name, source);
  }

  override keys(): MapIterator<string> {
    return this.#source.keys();
  }

  override *values(): MapIterator<Value> {
    for (const [, value] of this) yield value;
  }

  override *entries(): MapIterator<[string, Value]> {
    for (const [name, source] of this.#source) yield [name, super.get(name) ?? this.#keep(name, source)];
  }

  override [Symbol.iterator](): MapIterator<[string, Value]> {
    return this.entries();
  }

  override forEach(visit: (value: Value, name: string, map: Map<string, Value>) => void): void {
    for (const [name, value] of this) visit(value, name, this);
  }

  #keep(name: string, source: Source): Value {
    const value = this.#make(source, name);
    super.set(name, value);
    return value;
  }
}
