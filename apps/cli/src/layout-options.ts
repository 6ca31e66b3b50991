// How many bins a person may ask for: a power of two, because each is a part of
// the hash space, and no more than what clients will read can list.

import { UsageError } from '@countersign/core';
import type { BinsForm } from '@countersign/repository';

/** The number of bits that a number of bins stands for. @throws UsageError USAGE_INVALID @example binBits('256', 'classic') // 8 */
export function binBits(bins: string, form: BinsForm): number {
  const bits = Math.log2(Number(bins));
  const most = MAX_BITS[form];
  if (/^\d{1,6}$/.test(bins) && Number.isInteger(bits) && bits >= 1 && bits <= most) return bits;
  throw new UsageError('USAGE_INVALID', `Laying out bins: --bins must be a power of two from 2 to ${2 ** most}`);
}

// The role that delegates to 16,384 classic bins is some 3 MB, and clients take
// 5; a snapshot has a line for each bin of either form: 65,536 are some 7 MB.
const MAX_BITS = { classic: 14, succinct: 16 } as const;
