import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { codeOf } from '../test/world.ts';
import { days, readInstant, writeInstant } from './time.ts';

test.each([
  ['1985-10-21T01:21:00Z', Date.UTC(1985, 9, 21, 1, 21)], // the spec’s own example
  ['2030-01-01T00:00:00Z', Date.UTC(2030, 0, 1)],
  ['2028-02-29T23:59:59Z', Date.UTC(2028, 1, 29, 23, 59, 59)],
  ['9999-12-31T23:59:59Z', Date.UTC(9999, 11, 31, 23, 59, 59)],
  ['2030-01-01T00:00:00.5Z', Date.UTC(2030, 0, 1, 0, 0, 0, 500)],
  ['2030-01-01T00:00:00.123456789Z', Date.UTC(2030, 0, 1, 0, 0, 0, 123)],
])('§4.2.3 %s', (text, want) => {
  expect(readInstant(text)).toBe(want);
});

test.each([
  '',
  'never',
  '2030-01-01',
  '2030-01-01T00:00:00',
  '2030-01-01T00:00Z',
  '2030-01-01 00:00:00Z',
  '2030-01-01T00:00:00z',
  '2030-01-01t00:00:00Z',
  '2030-01-01T00:00:00+00:00',
  '2030-01-01T00:00:00.Z',
  '2030-01-01T00:00:00.1234567890Z',
  '2030-01-01T00:00:00,5Z',
  ' 2030-01-01T00:00:00Z',
  '2030-01-01T00:00:00Z\n',
  '+02030-01-01T00:00:00Z',
  '-2030-01-01T00:00:00Z',
  '12030-01-01T00:00:00Z',
  '2030-1-1T0:0:0Z',
  '2030-00-01T00:00:00Z',
  '2030-13-01T00:00:00Z',
  '2030-02-30T00:00:00Z',
  '2029-02-29T00:00:00Z',
  '2030-04-31T00:00:00Z',
  '2030-01-01T24:00:00Z',
  '2030-01-01T23:60:00Z',
  '2030-01-01T23:59:60Z',
  '٢٠٣٠-01-01T00:00:00Z',
])('%j is not a time', (text) => {
  expect(readInstant(text)).toBeUndefined();
});

test('written times are read again, in whole seconds rounded down', () => {
  expect(writeInstant(Date.UTC(2030, 0, 1) + 999)).toBe('2030-01-01T00:00:00Z');
  const instant = fc.integer({ min: Date.UTC(1970, 0, 1), max: Date.UTC(9999, 11, 31, 23, 59, 59) });
  fc.assert(fc.property(instant, (at) => readInstant(writeInstant(at)) === Math.floor(at / 1000) * 1000));
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Date.UTC(10_000, 0, 1), 8.64e15 + 1])(
  'a time that cannot be written is refused: %s',
  (at) => {
    expect(codeOf(() => writeInstant(at))).toBe('USAGE_INVALID');
  },
);

test('days', () => {
  expect(days(1.5)).toBe(36 * 3600 * 1000);
});
