import { expect, it } from 'vitest';
import { page } from '../test/page.ts';
import { CASES, EDGES, type Edge, RULES, SIGNERS } from './index.ts';

it('docs/decisions.md says what the machine does', async () => {
  await expect(page()).toMatchFileSnapshot('../../../docs/decisions.md');
});

it('no row, rule, case or kind of signers is there for nothing', () => {
  const edges = EDGES as readonly Edge[];
  expect(new Set(edges.map(({ id }) => id)).size).toBe(edges.length);
  // The rest are asked before a row is chosen.
  const early = ['held', 'epoch', 'previous', 'signers', 'strays'];
  expect(new Set([...edges.flatMap(({ requires }) => requires), ...early])).toEqual(new Set(Object.keys(RULES)));
  expect(new Set(edges.map(({ signers }) => signers))).toEqual(new Set(Object.keys(SIGNERS)));
  expect(new Set(edges.flatMap(({ when }) => when ?? []))).toEqual(new Set(Object.keys(CASES)));
});
