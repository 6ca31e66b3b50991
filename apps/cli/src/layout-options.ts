// How many bins a person may ask for: a power of two, because each is a part of
// the hash space, and no more than a snapshot that clients will read can list.

import { UsageError } from '@countersign/core';

/** The number of bits that a number of bins stands for. @throws UsageError USAGE_INVALID @example binBits('256') // 8 */
export function binBits(bins: string): number {
  const bits = Math.log2(Number(bins));
  if (/^\d{1,6}$/.test(bins) && Number.isInteger(bits) && bits >= 1 && bits <= MAX_BITS) return bits;
  throw new UsageError('USAGE_INVALID', `Laying out bins: --bins must be a power of two from 2 to ${2 ** MAX_BITS}`);
}

// Every client reads a line of the snapshot for each: 65,536 are some 7 MB.
const MAX_BITS = 16;
