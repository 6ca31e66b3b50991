// @ts-check
// One month of a compromised repository, user by user: who touches a project that
// the attacker can change. Existing projects come from the fitted law, new ones
// from a stated assumption; a policy of promotion says which new ones are exposed.
// Pure and seeded: the same arguments give the same users. Never reads the curves.

/** @import { Law } from './popularity.mjs' */

/**
 * What is assumed of new projects, and not fitted. `below`: a new project's rank is drawn evenly from those under this
 * share of the most popular, and it is used as that rank is from the hour it is created. `launch`: how many of the
 * day's users fetch it on the day it is created, whatever its rank. `later`: the share of a user's fetches that come
 * later in the month than the user's first day.
 * @typedef {{ below: number, launch: number, later: number, perDay: number }} Interest
 */

/**
 * A user fetched a new project: when, and when that project was created, in days from the compromise.
 * @typedef {{ user: number, at: number, created: number }} Touch
 */

/**
 * Says whether the attacker can change a new project in the eyes of a client.
 * @typedef {(touch: Touch) => boolean} Policy
 */

/**
 * Fetches of new projects in the month after the compromise, in no order. New projects come evenly in time from
 * `PAST` days before it on.
 * @param {{ law: Law, arrivals: readonly number[], interest: Interest, seed: number }} month @returns {readonly Touch[]}
 */
export function fetchesOfNew({ law, arrivals, interest, seed }) {
  const random = randomOf(seed);
  const projects = newProjects(law, arrivals.length, interest, random);
  const packages = cumulate(law.packages);
  const weights = cumulate(projects.map((project) => project.weight));
  /** @type {Touch[]} */
  const touches = [];
  let user = 0;
  arrivals.forEach((count, day) => {
    for (const { created } of projects.filter((project) => Math.floor(project.created) === day))
      for (let i = 0; i < interest.launch; i++) {
        const at = created + random() * (day + 1 - created);
        touches.push({ user: user + Math.floor(random() * count), at, created });
      }
    for (const last = user + count; user < last; user++) {
      const arrival = day + random();
      for (let left = indexOf(packages, random()) + 1; left > 0; left--) {
        const at = random() < interest.later ? arrival + random() * (arrivals.length - arrival) : arrival;
        // Old projects weigh 1 together; what is drawn above 1 is new, if it exists yet.
        const drawn = random() * (1 + (weights.at(-1) ?? 0)) - 1;
        const created = drawn < 0 ? undefined : projects[indexOf(weights, drawn)]?.created;
        if (created !== undefined && created <= at) touches.push({ user, at, created });
      }
    }
  });
  return touches;
}

/**
 * How many users touched something outside the n most popular projects, by the end of each day: a legacy row, drawn
 * from the law alone.
 * @param {{ law: Law, arrivals: readonly number[], n: number, seed: number }} month @returns {readonly number[]}
 */
export function legacyRow({ law, arrivals, n, seed }) {
  const random = randomOf(seed);
  const packages = cumulate(law.packages);
  const safe = law.claimed(n);
  let users = 0;
  return arrivals.map((count) => {
    for (let i = 0; i < count; i++) {
      let left = indexOf(packages, random()) + 1;
      while (left > 0 && random() < safe) left--;
      if (left > 0) users++;
    }
    return users;
  });
}

/** Users at risk by the end of each day. @param {readonly Touch[]} touches @param {Policy} exposed @param {number} days */
export function usersAtRisk(touches, exposed, days) {
  /** @type {Map<number, number>} */
  const first = new Map();
  for (const touch of touches)
    if (exposed(touch)) first.set(touch.user, Math.min(touch.at, first.get(touch.user) ?? Number.POSITIVE_INFINITY));
  const at = [...first.values()];
  return Array.from({ length: days }, (_, day) => at.filter((time) => time <= day + 1).length);
}

/** The last promotion was so many days before the compromise, and none came after it. @param {number} days @returns {Policy} */
export function stoppedAfter(days) {
  return ({ created }) => created > -days;
}

/**
 * A promotion at the compromise and every so many days after it, each of which names the true owner of every project
 * that is older. @param {number} days @returns {Policy}
 */
export function keptUpEvery(days) {
  return ({ created, at }) => created > Math.floor(at / days) * days;
}

/** @param {Law} law @param {number} days @param {Interest} interest @param {() => number} random */
function newProjects(law, days, { below, perDay }, random) {
  const above = Math.round(below * law.projects);
  const projects = Array.from({ length: Math.round(perDay * (PAST + days)) }, () => {
    const rank = above + 1 + Math.floor(random() * (law.projects - above));
    return { created: random() * (PAST + days) - PAST, weight: law.claimed(rank) - law.claimed(rank - 1) };
  });
  return projects.sort((a, b) => a.created - b.created);
}

/** @param {readonly number[]} shares @returns {readonly number[]} */
function cumulate(shares) {
  let sum = 0;
  return shares.map((share) => {
    sum += share;
    return sum;
  });
}

/** The first place whose running sum is above x, the last if none is. @param {readonly number[]} sums @param {number} x */
function indexOf(sums, x) {
  let low = 0;
  let high = sums.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sums[middle] ?? 0) > x) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Numbers from 0 to under 1: a Weyl sequence, mixed. @param {number} seed @returns {() => number} */
function randomOf(seed) {
  let state = mixed(seed); // else one seed's numbers would be the next one's, shifted
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    return mixed(state) / 2 ** 32;
  };
}

/** 32 bits of which each depends on all bits of x. @param {number} x */
function mixed(x) {
  const half = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  const whole = Math.imul(half ^ (half >>> 15), 0x735a2d97);
  return (whole ^ (whole >>> 15)) >>> 0;
}

/** How long before the compromise new projects begin: the longest interval between promotions that is asked about. */
const PAST = 30;
