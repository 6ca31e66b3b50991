// Choices that follow from a seed: the same seed draws the same repository and
// the same mutant in every run and on every machine.

/** A source of choices. */
export interface Draw {
  /** An integer from 0 up to, and without, `below`. */
  int(below: number): number;
  /** Yes, so many times in a hundred. */
  chance(percent: number): boolean;
  /** One of a list that is not empty. */
  pick<T>(list: readonly T[]): T;
}

/** Choices for a seed. @example drawFrom(7).pick(['a', 'b']) */
export function drawFrom(seed: number): Draw {
  let state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b);
  // mulberry32: 32 bits of state are ample for a test case.
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (below: number): number => Math.floor(next() * below);
  return {
    int,
    chance: (percent) => int(100) < percent,
    pick(list) {
      const at = int(list.length);
      for (const [index, item] of list.entries()) if (index === at) return item;
      throw new TypeError('There is nothing to pick from');
    },
  };
}
