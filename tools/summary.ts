// The last lines of a test run: which tests were not run and why, and one line
// with the counts, `N passed, N failed, N skipped`, for people and machines
// alike. A file that could not be read counts as one failure. Decides nothing:
// the exit code is vitest's.

import type { Reporter, TestCase, TestModule } from 'vitest/node';

/** Counts of a run, and the tests that were not run. */
export interface Summary {
  readonly passed: number;
  readonly failed: number;
  /** `file > name: reason`, one a test. */
  readonly notRun: readonly string[];
}

/** Adds up a run. `errors` are failures outside of any test. */
export function summaryOf(modules: readonly TestModule[], errors: number): Summary {
  const tests = modules.flatMap((module) => [...module.children.allTests()]);
  const states = tests.map((test) => test.result().state);
  const unread = modules.filter((module) => module.state() === 'failed' && !hasFailedTest(module)).length;
  return {
    passed: states.filter((state) => state === 'passed').length,
    failed: states.filter((state) => state === 'failed').length + unread + errors,
    notRun: tests.filter((test) => test.result().state === 'skipped').map(notRun),
  };
}

/** The lines to print. */
export function linesOf({ passed, failed, notRun: tests }: Summary): string[] {
  return [...tests.map((test) => `not run: ${test}`), `${passed} passed, ${failed} failed, ${tests.length} skipped`];
}

function hasFailedTest(module: TestModule): boolean {
  return [...module.children.allTests('failed')].length > 0;
}

function notRun(test: TestCase): string {
  const result = test.result();
  const note = result.state === 'skipped' ? result.note : undefined;
  return `${test.module.relativeModuleId} > ${test.fullName}: ${note ?? 'no reason given'}`;
}

/** The reporter, for vitest.config.ts; after `default`, so that its lines are the last. */
export const summary: Reporter = {
  onTestRunEnd(modules, errors) {
    process.stdout.write(`${linesOf(summaryOf(modules, errors.length)).join('\n')}\n`);
  },
};
