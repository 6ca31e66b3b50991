// @ts-check
// What is asked of the model: the two assumptions on new projects, the fit, and
// users at risk under each policy of promotion, averaged over seeds. It decides
// which numbers are fitted and which are assumed; it prints nothing.

import { fetchesOfNew, keptUpEvery, stoppedAfter, usersAtRisk } from './compromise.mjs';
import { arrivalsOf, DAYS, LEGACY, NEW_PROJECTS, PROJECTS, readCurves, rowOf } from './curves.mjs';
import { fitLaw } from './popularity.mjs';

/** @import { Interest, Policy } from './compromise.mjs' */
/** @import { Law } from './popularity.mjs' */

/** The paper's rows. */
export const CURVES = readCurves();

/** Everybody: whom a compromise reaches where nothing is signed by authors. */
export const EVERYBODY = rowOf(CURVES, 'Fig6 TLS/GPG');

/** Users of the whole month. */
export const USERS = EVERYBODY.at(-1) ?? 0;

/** Users who come on each day. */
export const ARRIVALS = arrivalsOf(EVERYBODY);

/** The row that is predicted, and that nothing here is fitted to. */
export const MAXIMUM = rowOf(CURVES, 'Fig6 maximum');

/**
 * New projects are used like any project that is not in the top 1 %, from the hour they are created.
 * @type {Interest}
 */
export const LASTING = { below: 0.01, launch: 0, later: 0, perDay: NEW_PROJECTS / DAYS };

/**
 * New projects are fetched by two users on their first day (who made it, and one other), and from then on are used like
 * any project that is not in the top 10 %.
 * @type {Interest}
 */
export const LAUNCH = { below: 0.1, launch: 2, later: 0, perDay: NEW_PROJECTS / DAYS };

/** Days between promotions that are compared. */
export const INTERVALS = /** @type {const} */ ([1, 7, 14, 30]);

/** The law through the three legacy rows at the end of the month. */
export function fittedLaw() {
  return fitLaw(
    PROJECTS,
    LEGACY.map(([name, claimed]) => [Math.round(claimed * PROJECTS), (rowOf(CURVES, name).at(-1) ?? 0) / USERS]),
  );
}

/**
 * Shares of all users at risk by the end of each day, one list for each seed: with the last promotion on the day of the
 * compromise, so many days before it, or every so many days throughout.
 * @typedef {{ onTheDay: Runs, stopped: ReadonlyMap<number, Runs>, keptUp: ReadonlyMap<number, Runs> }} Outcome
 */

/** @typedef {readonly (readonly number[])[]} Runs */

/**
 * Predicts the maximum model under each policy of promotion. The paper's is `onTheDay`.
 * @param {Law} law @param {Interest} interest @param {readonly number[]} seeds @returns {Outcome}
 */
export function predict(law, interest, seeds) {
  const months = seeds.map((seed) => fetchesOfNew({ law, arrivals: ARRIVALS, interest, seed }));
  /** @param {Policy} policy @returns {Runs} */
  const shares = (policy) => months.map((touches) => usersAtRisk(touches, policy, DAYS).map((users) => users / USERS));
  return {
    onTheDay: shares(stoppedAfter(0)),
    stopped: new Map(INTERVALS.map((days) => [days, shares(stoppedAfter(days))])),
    keptUp: new Map(INTERVALS.map((days) => [days, shares(keptUpEvery(days))])),
  };
}

/** The mean over seeds at the end of a day, and the least and the most. @param {Runs} runs @param {number} day */
export function atEndOf(runs, day) {
  const shares = runs.map((run) => run[day - 1] ?? 0);
  return {
    mean: shares.reduce((sum, share) => sum + share, 0) / shares.length,
    least: Math.min(...shares),
    most: Math.max(...shares),
  };
}

/** Seeds from 1 on. @param {number} count */
export function seedsTo(count) {
  return Array.from({ length: count }, (_, i) => i + 1);
}
