// Points in time as TUF writes them (§4.2.3). Pure arithmetic: the clock is
// always an argument called `now`.

import { UsageError } from './errors.ts';

/** A point in time in milliseconds since 1970-01-01T00:00:00Z. */
export type Instant = number;

/**
 * Reads an ISO 8601 UTC time such as `2030-01-01T00:00:00Z`. Fractions of a
 * second, which other tools write, are accepted. `undefined` if it is not one.
 */
export function readInstant(text: string): Instant | undefined {
  const match = PATTERN.exec(text);
  if (match === null) return undefined;
  const at = Date.parse(`${match[1]}Z`);
  // Date.parse is lenient about some impossible dates: writing it back tells.
  if (Number.isNaN(at) || new Date(at).toISOString().slice(0, 19) !== match[1]) return undefined;
  return at + Math.floor(Number(`0${match[2] ?? ''}`) * 1000);
}

/** Writes a time in whole seconds, rounded down, as §4.2.3 has it. @throws UsageError USAGE_INVALID outside the years 0 to 9999 */
export function writeInstant(at: Instant): string {
  if (!(at >= YEAR_0 && at < YEAR_10000)) throw new UsageError('USAGE_INVALID', 'Writing a time: it is out of range');
  return `${new Date(at).toISOString().slice(0, 19)}Z`;
}

/** Milliseconds of a number of days. */
export function days(count: number): number {
  return count * 86_400_000;
}

const PATTERN = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(\.\d{1,9})?Z$/;
const YEAR_0 = -62_167_219_200_000;
const YEAR_10000 = 253_402_300_800_000;
