import { describe, expect, test } from 'vitest';
import { fetchesOfNew, keptUpEvery, legacyRow, stoppedAfter, usersAtRisk } from './compromise.mjs';
import { DAYS, growthOf, LEGACY, PROJECTS, rowOf, WEEK } from './curves.mjs';
import { plotOf } from './plot.mjs';
import { atRisk, fitLaw } from './popularity.mjs';
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

const law = fittedLaw();
const assumptions = [
  ['lasting', LASTING],
  ['launch', LAUNCH],
] as const;
const outcomes = new Map(assumptions.map(([name, interest]) => [name, predict(law, interest, seedsTo(5))]));

function outcomeOf(name: 'lasting' | 'launch') {
  const outcome = outcomes.get(name);
  if (outcome === undefined) throw new Error(`No outcome for ${name}`);
  return outcome;
}

describe('the curves', () => {
  test('are the paper’s: 398,983 users, and the shares its text gives', () => {
    expect(USERS).toBe(398_983);
    expect(MAXIMUM[WEEK - 1]).toBe(679);
    expect(LEGACY.map(([name]) => rowOf(CURVES, name).at(-1))).toEqual([278_916, 108_832, 16_813]);
    for (const row of CURVES.values()) expect(row).toEqual([...row].sort((a, b) => a - b));
  });

  test('a row that is missing is refused', () => {
    expect(() => rowOf(CURVES, 'Fig9 nothing')).toThrow('curves.csv has no row "Fig9 nothing"');
  });

  test('growth is none for a steady share, and found where it was put', () => {
    const cumulative = (share: (day: number) => number) => {
      let users = 0;
      return ARRIVALS.map((arrived, day) => {
        users += arrived * share(day + 0.5);
        return users;
      });
    };
    expect(
      growthOf(
        cumulative(() => 0.04),
        ARRIVALS,
      ).growth,
    ).toBeCloseTo(0, 9);
    const { growth, error } = growthOf(
      cumulative((day) => 0.04 + 0.001 * day),
      ARRIVALS,
    );
    const meanDay = ARRIVALS.reduce((sum, arrived, day) => sum + arrived * (day + 0.5), 0) / USERS;
    expect(growth).toBeCloseTo(0.001 * meanDay, 9);
    expect(error).toBeCloseTo(0, 9);
  });
});

describe('the fit', () => {
  test.each(LEGACY)('%s: the law and the users drawn from it are within 2 points', (name, claimed) => {
    const paper = rowOf(CURVES, name);
    const n = Math.round(claimed * PROJECTS);
    expect(atRisk(law, law.claimed(n))).toBeCloseTo((paper.at(-1) ?? 0) / USERS, 6);
    const drawn = legacyRow({ law, arrivals: ARRIVALS, n, seed: 1 });
    for (const day of [WEEK, DAYS])
      expect(Math.abs((drawn[day - 1] ?? 0) - (paper[day - 1] ?? 0)) / (EVERYBODY[day - 1] ?? 1)).toBeLessThan(0.02);
  });

  test('rows that no law can give are refused', () => {
    const rising = [41, 406, 4060].map((n, i) => [n, 0.1 + 0.3 * i] as const);
    expect(() => fitLaw(PROJECTS, rising)).toThrow('No popularity law goes through these rows');
  });
});

describe('the maximum model', () => {
  const missed = (name: 'lasting' | 'launch', day: number) =>
    atEndOf(outcomeOf(name).onTheDay, day).mean - (MAXIMUM[day - 1] ?? 0) / USERS;

  test.each(assumptions)('%s interest: within 0.2 points of the paper’s 0.67 %% after a month', (name) => {
    expect(Math.abs(missed(name, DAYS))).toBeLessThan(0.002);
  });

  test('after a week, launch interest is within 0.03 points of the paper’s 0.17 %, lasting interest far below', () => {
    expect(Math.abs(missed('launch', WEEK))).toBeLessThan(0.0003);
    expect(missed('lasting', WEEK)).toBeLessThan(-0.0008);
  });

  test.each(assumptions)('%s interest: a longer interval between promotions never helps', (name) => {
    const { onTheDay, stopped, keptUp } = outcomeOf(name);
    const shares = [stopped, keptUp].map((runs) =>
      INTERVALS.map((every) => [WEEK, DAYS].map((day) => atEndOf(runs.get(every) ?? [], day).mean)),
    );
    for (const byInterval of shares)
      for (const at of [0, 1]) {
        const column = byInterval.map((days) => days[at] ?? Number.NaN);
        expect(column).toEqual([...column].sort((a, b) => a - b));
      }
    expect(keptUp.get(DAYS)).toEqual(onTheDay);
  });
});

describe('the simulation', () => {
  const month = { law, arrivals: [5000, 5000], interest: { ...LAUNCH, perDay: 100 } };

  test('the same seed gives the same users, another seed others', () => {
    expect(fetchesOfNew({ ...month, seed: 7 })).toEqual(fetchesOfNew({ ...month, seed: 7 }));
    expect(fetchesOfNew({ ...month, seed: 8 })).not.toEqual(fetchesOfNew({ ...month, seed: 7 }));
  });

  test('nobody fetches a project before it is created, or after the month', () => {
    for (const { user, at, created } of fetchesOfNew({ ...month, seed: 1 })) {
      expect(created).toBeLessThanOrEqual(at);
      expect(at).toBeLessThanOrEqual(2);
      expect(user).toBeLessThan(10_000);
    }
  });

  test('without new projects nobody is at risk', () => {
    expect(fetchesOfNew({ ...month, interest: { ...LASTING, perDay: 0 }, seed: 1 })).toEqual([]);
  });

  test('a policy exposes what was created since the last promotion, and a user counts once', () => {
    const touches = [
      { user: 1, at: 9.5, created: -3 },
      { user: 1, at: 9.6, created: 8.5 },
      { user: 2, at: 20, created: 6.5 },
    ];
    const month = (policy: Parameters<typeof usersAtRisk>[1]) => usersAtRisk(touches, policy, DAYS).at(-1);
    expect(month(stoppedAfter(0))).toBe(2);
    expect(usersAtRisk(touches, stoppedAfter(7), DAYS).slice(8, 10)).toEqual([0, 1]);
    expect(month(keptUpEvery(7))).toBe(1);
    expect(month(keptUpEvery(1))).toBe(0);
    expect(month(keptUpEvery(30))).toBe(2);
  });
});

test('the plot is one SVG without holes', () => {
  const svg = plotOf({ lasting: outcomeOf('lasting'), launch: outcomeOf('launch') });
  expect(svg).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
});
