// @ts-check
// `npm run bench:diplomat`: a repository compromised for a month, on the users
// of Diplomat's evaluation. Fits popularity to the legacy rows, predicts the
// maximum model, and compares intervals of promotion. Prints tables and writes
// the plot. Options: --seeds 9, --plot FILE.

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { machine, table } from '../measure.mjs';
import { legacyRow } from './compromise.mjs';
import { DAYS, growthOf, LEGACY, NEW_PROJECTS, PROJECTS, rowOf, WEEK } from './curves.mjs';
import { plotOf } from './plot.mjs';
import { atRisk, lawOf } from './popularity.mjs';
import {
  ARRIVALS,
  atEndOf,
  CURVES,
  EVERYBODY,
  fittedLaw,
  INTERVALS,
  LASTING,
  LAUNCH,
  MAXIMUM,
  predict,
  seedsTo,
  USERS,
} from './study.mjs';

/** @import { Interest } from './compromise.mjs' */
/** @import { Law } from './popularity.mjs' */
/** @import { Outcome, Runs } from './study.mjs' */

const { values } = parseArgs({ options: { seeds: { type: 'string', default: '9' }, plot: { type: 'string' } } });
const seeds = seedsTo(Number(values.seeds));
const plot = values.plot ?? new URL('../../docs/images/diplomat-promotion.svg', import.meta.url);

const started = performance.now();
const law = fittedLaw();
const { steep, flat, light } = law.shape;
console.log(`diplomat: ${USERS} users, ${PROJECTS} projects, ${NEW_PROJECTS} new ones in ${DAYS} days`);
console.log(machine());
console.log(`seeds 1 to ${seeds.length}: the mean, and the least and the most in brackets\n`);

console.log(
  `Fitted: popularity of rank r is (r + ${flat.toFixed(1)})^-${steep.toFixed(3)}, k packages a user k^-${light.toFixed(3)}`,
);
table(['claimed', 'paper, %', 'law', 'drawn', 'paper, first week', 'drawn'], LEGACY.map(legacyLine));

const lasting = predict(law, LASTING, seeds);
const launch = predict(law, LAUNCH, seeds);
console.log('\nPredicted: users at risk in the maximum model, %');
table(
  ['', 'first week', 'month'],
  [
    ['paper', percent((MAXIMUM[WEEK - 1] ?? 0) / USERS), percent((MAXIMUM.at(-1) ?? 0) / USERS)],
    ['lasting: used like any project outside the top 1 %', ...[WEEK, DAYS].map((day) => ranged(lasting.onTheDay, day))],
    [
      'launch: 2 users on the first day, then like any outside the top 10 %',
      ...[WEEK, DAYS].map((day) => ranged(launch.onTheDay, day)),
    ],
  ],
);
const { growth, error } = growthOf(rowOf(CURVES, 'Fig6 legacy top 10%'), ARRIVALS);
console.log(
  `Growth of the legacy row with 10 % claimed: ${percent(growth)} ± ${percent(error)} points of the month's users`,
);

console.log('\nPredicted: other rows, as if what is claimed there were as popular as anything, %');
table(
  ['claimed', 'share of projects', 'paper', 'model'],
  otherRows().map(([what, row, share]) => [
    what,
    `${(100 * share).toFixed(0)} %`,
    percent((rowOf(CURVES, row).at(-1) ?? 0) / USERS),
    percent(atRisk(law, share)),
  ]),
);

for (const [name, outcome] of /** @type {const} */ ([
  ['lasting', lasting],
  ['launch', launch],
])) {
  console.log(`\nPromotion, interest in new projects ${name}: users at risk, %`);
  table(
    ['every', 'goes on: first week', 'month', 'last one an interval before: first week', 'month'],
    INTERVALS.map((days) => promotionLine(days, outcome)),
  );
}

console.log('\nSensitivity: users at risk in the maximum model, %');
table(
  ['changed', 'first week', 'month'],
  variants().map(([what, interest, shape]) => {
    const { onTheDay } = predict(shape ?? law, interest, seeds);
    return [what, ranged(onTheDay, WEEK), ranged(onTheDay, DAYS)];
  }),
);

writeFileSync(plot, plotOf({ lasting, launch }));
console.log(`\nin ${((performance.now() - started) / 1000).toFixed(0)} s; plot written`);

/** @param {(typeof LEGACY)[number]} row */
function legacyLine([name, claimed]) {
  const paper = rowOf(CURVES, name);
  const n = Math.round(claimed * PROJECTS);
  const drawn = legacyRow({ law, arrivals: ARRIVALS, n, seed: 1 });
  /** @param {readonly number[]} row @param {number} day */
  const share = (row, day) => ((100 * (row[day - 1] ?? 0)) / (EVERYBODY[day - 1] ?? 1)).toFixed(1);
  return [
    `top ${100 * claimed} %`,
    share(paper, DAYS),
    (100 * atRisk(law, law.claimed(n))).toFixed(1),
    share(drawn, DAYS),
    share(paper, WEEK),
    share(drawn, WEEK),
  ];
}

/** What the paper says of how many projects are claimed in rows that depend on updates. @returns {(readonly [string, string, number])[]} */
function otherRows() {
  return [
    ['updated less than once in 2 years', 'Fig7 legacy >2yr', 0.04],
    ['updated less than once a year', 'Fig7 legacy >1yr', 0.12],
    ['updated in the last 2 years', 'Fig8 legacy last 2yr', 27_235 / PROJECTS],
  ];
}

/** One thing changed at a time. @returns {(readonly [string, Interest, Law?])[]} */
function variants() {
  const rounded = lawOf({ steep: 2, flat: 40, light: 1.67 }, PROJECTS);
  /** @param {number} below */
  const outside = (below) =>
    /** @type {const} */ ([`lasting, outside the top ${100 * below} %`, { ...LASTING, below }]);
  /** @param {number} users */
  const audience = (users) =>
    /** @type {const} */ ([`launch, audience of ${users} on the first day`, { ...LAUNCH, launch: users }]);
  const fewer = (NEW_PROJECTS * PROJECTS) / 58_328 / DAYS;
  return [
    ...[0.001, 0.005, 0.01, 0.02, 0.1].map(outside),
    ['lasting, half of the fetches after the first day', { ...LASTING, later: 0.5 }],
    ['lasting, 806 new projects (1,158 scaled to 40,600)', { ...LASTING, perDay: fewer }],
    ['lasting, law rounded to (r + 40)^-2, k^-1.67', LASTING, rounded],
    ...[1, 2, 3].map(audience),
    ['launch, 806 new projects', { ...LAUNCH, perDay: fewer }],
    ['launch, law rounded likewise', LAUNCH, rounded],
  ];
}

/** @param {number} days @param {Outcome} outcome */
function promotionLine(days, { keptUp, stopped }) {
  return [
    days === 1 ? 'day' : `${days} days`,
    ...[keptUp, stopped].flatMap((runs) => [WEEK, DAYS].map((day) => percent(atEndOf(runs.get(days) ?? [], day).mean))),
  ];
}

/** @param {Runs} runs @param {number} day */
function ranged(runs, day) {
  const { mean, least, most } = atEndOf(runs, day);
  return `${percent(mean)} (${percent(least)} to ${percent(most)})`;
}

/** @param {number} share */
function percent(share) {
  return (100 * share).toFixed(2);
}
