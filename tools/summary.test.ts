import { expect, test } from 'vitest';
import type { TestModule } from 'vitest/node';
import { linesOf, summaryOf } from './summary.ts';

type State = 'passed' | 'failed' | 'skipped';

/** As much of a finished file as the summary reads. */
function moduleOf(state: State, tests: readonly { readonly state: State; readonly note?: string }[]): TestModule {
  const module = { relativeModuleId: 'a.test.ts', state: () => state };
  const cases = tests.map((result, index) => ({ module, fullName: `test ${index}`, result: () => result }));
  const allTests = (only?: State) => cases.filter((item) => only === undefined || item.result().state === only);
  return { ...module, children: { allTests } } as unknown as TestModule;
}

test('the last line counts; what was not run is named with its reason', () => {
  const missing = { state: 'skipped', note: 'peer x is missing' } as const;
  const modules = [
    moduleOf('failed', [{ state: 'passed' }, { state: 'failed' }, missing, missing]),
    moduleOf('passed', [{ state: 'passed' }, ...Array.from({ length: 5 }, () => ({ state: 'skipped' }) as const)]),
  ];
  expect(linesOf(summaryOf(modules, 0))).toEqual([
    'not run: a.test.ts (peer x is missing): test 2; test 3',
    'not run: a.test.ts (no reason given): test 1; test 2; test 3; and 2 more',
    '2 passed, 1 failed, 7 skipped',
  ]);
});

test('a file that could not be read and an error outside of tests are failures', () => {
  expect(linesOf(summaryOf([moduleOf('failed', [])], 1))).toEqual(['0 passed, 2 failed, 0 skipped']);
});
