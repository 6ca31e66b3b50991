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
  const modules = [
    moduleOf('failed', [{ state: 'passed' }, { state: 'failed' }, { state: 'skipped', note: 'peer x is missing' }]),
    moduleOf('passed', [{ state: 'passed' }, { state: 'skipped' }]),
  ];
  expect(linesOf(summaryOf(modules, 0))).toEqual([
    'not run: a.test.ts > test 2: peer x is missing',
    'not run: a.test.ts > test 1: no reason given',
    '2 passed, 1 failed, 2 skipped',
  ]);
});

test('a file that could not be read and an error outside of tests are failures', () => {
  expect(linesOf(summaryOf([moduleOf('failed', [])], 1))).toEqual(['0 passed, 2 failed, 0 skipped']);
});
