// Looking up in a collection of any size while a publication is in the making:
// changes lie over what is committed, and cost what they are, never what the
// collection is. Taken over only once the publication is committed.

/** What can be asked for by key, without walking it. */
export interface Lookup<K, V> {
  get(key: K): V | undefined;
  has(key: K): boolean;
}

/** Changes over something that stays as it is. */
export interface Overlay<K, V> extends Lookup<K, V> {
  set(key: K, value: V): void;
  /** What was set here, in order of first setting. */
  readonly changes: ReadonlyMap<K, V>;
}

/**
 * Lays changes over something.
 *
 * @example const draft = overlay(committed); draft.set('a', 1); draft.changes // Map { 'a' => 1 }
 */
export function overlay<K, V>(below: Lookup<K, V>, changes = new Map<K, V>()): Overlay<K, V> {
  return {
    changes,
    get: (key) => (changes.has(key) ? changes.get(key) : below.get(key)),
    has: (key) => changes.has(key) || below.has(key),
    set: (key, value) => void changes.set(key, value),
  };
}

/** Makes changes lasting. */
export function takeOver<K, V>(into: Map<K, V>, { changes }: Overlay<K, V>): void {
  for (const [key, value] of changes) into.set(key, value);
}
