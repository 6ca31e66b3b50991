// @ts-check
// The curves of Diplomat's evaluation (NSDI 2016, figures 6 to 8): users at risk
// by the end of each of 30 days, read off the paper's figures into curves.csv.
// Decides nothing about the model; it must never correct a value.

import { readFileSync } from 'node:fs';

/** Users at risk by the end of day 1 to 30, of one row. @typedef {readonly number[]} Curve */

/** Every row of the data, under its figure and name, as in `Fig6 legacy top 1%`. @returns {ReadonlyMap<string, Curve>} */
export function readCurves() {
  const lines = readFileSync(new URL('curves.csv', import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .slice(1);
  return new Map(
    lines.map((line) => {
      const [figure, series, ...days] = line.split(',');
      return [`${figure} ${series}`, days.map(Number)];
    }),
  );
}

/** One row, which must be there. @param {ReadonlyMap<string, Curve>} curves @param {string} name @returns {Curve} */
export function rowOf(curves, name) {
  const row = curves.get(name);
  if (row?.length !== DAYS) throw new Error(`curves.csv has no row "${name}" of ${DAYS} days`);
  return row;
}

/** Users seen for the first time on each day: what everybody's row grows by. @param {Curve} everybody @returns {readonly number[]} */
export function arrivalsOf(everybody) {
  return everybody.map((users, day) => users - (everybody[day - 1] ?? 0));
}

/**
 * What a steady growth of the daily share of users at risk adds to the month, in shares of all users, with its
 * standard error: a straight line through the days, weighted by their users. New projects that stay in use make every
 * row grow so, because each day has more of them.
 * @param {Curve} row @param {readonly number[]} arrivals @returns {{ growth: number, error: number }}
 */
export function growthOf(row, arrivals) {
  const points = arrivalsOf(row).map((users, day) => ({
    day: day + 0.5,
    share: users / (arrivals[day] ?? 1),
    weight: arrivals[day] ?? 0,
  }));
  /** @param {(point: { day: number, share: number }) => number} of */
  const mean = (of) =>
    points.reduce((sum, point) => sum + point.weight * of(point), 0) /
    points.reduce((sum, point) => sum + point.weight, 0);
  const day = mean((point) => point.day);
  const share = mean((point) => point.share);
  const spread = mean((point) => (point.day - day) ** 2);
  const slope = mean((point) => (point.day - day) * (point.share - share)) / spread;
  const left = mean((point) => (point.share - share - slope * (point.day - day)) ** 2);
  return { growth: slope * day, error: Math.sqrt(left / (points.length - 2) / spread) * day };
}

/** Days in the paper's month. */
export const DAYS = 30;

/** The column where the paper says "after a week" (679 of the maximum model's users): a week after the first day's. */
export const WEEK = 8;

/** Projects in the paper's repository: its top 1 % are 406. */
export const PROJECTS = 40_600;

/** Projects that the same repository gained in the same month: 58,328 became 59,486 (Mercury, ATC 2017). */
export const NEW_PROJECTS = 1158;

/** The legacy rows, and the share of projects that each has claimed. Nothing else is fitted to. */
export const LEGACY = /** @type {const} */ ([
  ['Fig6 legacy top 0.1%', 0.001],
  ['Fig6 legacy top 1%', 0.01],
  ['Fig6 legacy top 10%', 0.1],
]);
