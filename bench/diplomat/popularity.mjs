// @ts-check
// Who fetches what: a Zipf-Mandelbrot law over the ranks of projects, and a
// truncated power law for how many packages one user fetches in the month.
// Three numbers, fitted to three rows of data. It knows nothing of new projects,
// and must never be fitted to the row that it is to predict.

/**
 * Popularity of rank r is (r + flat)^-steep; the share of users who fetch k packages is k^-light, k up to 100
 * (the paper leaves out who fetches more).
 * @typedef {{ steep: number, flat: number, light: number }} Shape
 */

/**
 * `claimed(n)` is the share of all fetches that goes to the n most popular projects; `packages` the shares of users
 * who fetch 1, 2, … packages.
 * @typedef {{ shape: Shape, projects: number, claimed: (n: number) => number, packages: readonly number[] }} Law
 */

/** The law of a shape. @param {Shape} shape @param {number} projects @returns {Law} */
export function lawOf(shape, projects) {
  const upTo = new Float64Array(projects + 1);
  for (let rank = 1; rank <= projects; rank++) upTo[rank] = (upTo[rank - 1] ?? 0) + (rank + shape.flat) ** -shape.steep;
  const all = upTo[projects] ?? 1;
  const weights = Array.from({ length: MOST_PACKAGES }, (_, i) => (i + 1) ** -shape.light);
  const total = weights.reduce((sum, weight) => sum + weight);
  return {
    shape,
    projects,
    claimed: (n) => (upTo[n] ?? all) / all,
    packages: weights.map((weight) => weight / total),
  };
}

/** The share of users who fetch something outside a part of all fetches. @param {Law} law @param {number} safe @returns {number} */
export function atRisk(law, safe) {
  let power = 1;
  return law.packages.reduce((risk, users) => {
    power *= safe;
    return risk - users * power;
  }, 1);
}

/**
 * Fits a law to the users at risk with the most popular n projects claimed: three rows, three unknowns, Newton's
 * method. Throws when the rows have no solution.
 * @param {number} projects @param {readonly (readonly [n: number, share: number])[]} rows @returns {Law}
 */
export function fitLaw(projects, rows) {
  let at = START;
  for (let round = 0; round < ROUNDS; round++) {
    const missed = misses(projects, rows, at);
    if (Math.max(...missed.map(Math.abs)) < CLOSE) return lawOf(shapeOf(at), projects);
    const slopes = at.map((_, j) => {
      const moved = misses(
        projects,
        rows,
        at.map((x, i) => (i === j ? x + NUDGE : x)),
      );
      return moved.map((miss, i) => (miss - (missed[i] ?? 0)) / NUDGE);
    });
    const whole = determinant(slopes);
    // Cramer's rule, in steps of at most a tenth so that a bad start cannot run away.
    at = at.map((x, j) => {
      const step = -determinant(slopes.map((slope, i) => (i === j ? missed : slope))) / whole;
      return x + Math.max(-LONGEST_STEP, Math.min(LONGEST_STEP, step));
    });
  }
  throw new Error('No popularity law goes through these rows');
}

/** @param {number} projects @param {readonly (readonly [n: number, share: number])[]} rows @param {readonly number[]} at */
function misses(projects, rows, at) {
  const law = lawOf(shapeOf(at), projects);
  return rows.map(([n, share]) => atRisk(law, law.claimed(n)) - share);
}

/** @param {readonly number[]} at @returns {Shape} */
function shapeOf([steep = 0, logFlat = 0, light = 0]) {
  return { steep, flat: Math.exp(logFlat), light };
}

/** Of three columns. @param {readonly (readonly number[])[]} columns */
function determinant([a = [], b = [], c = []]) {
  /** @param {number} i @param {number} j */
  const minor = (i, j) => (b[i] ?? 0) * (c[j] ?? 0) - (b[j] ?? 0) * (c[i] ?? 0);
  return (a[0] ?? 0) * minor(1, 2) - (a[1] ?? 0) * minor(0, 2) + (a[2] ?? 0) * minor(0, 1);
}

const MOST_PACKAGES = 100;
const START = /** @type {readonly number[]} */ ([2, Math.log(40), 1.6]);
const ROUNDS = 50;
const CLOSE = 1e-9;
const NUDGE = 1e-5;
const LONGEST_STEP = 0.1;
