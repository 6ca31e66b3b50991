import { expect, it } from 'vitest';
import { liveYear } from './year/year.ts';

it('the first weeks of a small registry: every evening the list says what is served, and users get what owners signed', async () => {
  const { counts, decisions, lookups } = await liveYear({ projects: 120, people: 12, seed: 1, days: 45 });
  expect(decisions).toBeGreaterThan(120);
  expect(lookups).toBeGreaterThan(500);
  for (const what of [
    'releases',
    'rotations',
    'losses',
    'thefts',
    'vetoes',
    'transfers',
    'refused',
    'sessions',
  ] as const) {
    expect([what, counts[what] > 0]).toEqual([what, true]);
  }
}, 120_000);
