// The whole year: a thousand projects and thirty people, with python-tuf beside
// our own client. Prints what happened.

import { expect, test } from 'vitest';
import { requirePeer } from '../../../tools/peers/require-peer.ts';
import { liveYear } from './year/year.ts';

test('a year of a registry: python-tuf accepts exactly what our client accepts, and no forged package reaches anybody', async (context) => {
  const python = requirePeer('python-tuf', context);
  const report = await liveYear({ projects: 1000, people: 30, seed: 2030, days: 365 }, python.command);
  const { counts, attacked, lookups, shunned, roots } = report;
  console.log(`a year: ${JSON.stringify(report)}`);
  expect(counts.claims).toBe(1000);
  expect([counts.deaths, counts.sessions]).toEqual([6, 52]);
  for (const [what, count] of Object.entries(counts)) expect([what, count > 0]).toEqual([what, true]);
  expect(attacked).toBe(800);
  // Renewed four times; the online keys replaced once, and of no use to a thief from then on.
  expect([roots, shunned]).toEqual([6, 10]);
  expect(lookups).toBeGreaterThan(30_000);
}, 900_000);
