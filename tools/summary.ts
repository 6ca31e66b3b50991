// The last lines of a test run: which tests were not run and why, and one line
// with the counts, `N passed, N failed, N skipped`, for people and machines
// alike. A file that could not be read counts as one failure. Decides nothing:
// the exit code is vitest's.

import type { Reporter, TestCase, TestModule } from 'vitest/node';

/** Counts of a run, and the tests that were not run. */
export interface Summary {
  readonly passed: number;
  readonly failed: number;
  /** File and reason of each. */
  readonly notRun: readonly { readonly where: string; readonly name: string }[];
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

/** The lines to print: one for each file and reason, then the counts. */
export function linesOf({ passed, failed, notRun: tests }: Summary): string[] {
  const groups = new Map<string, string[]>();
  for (const { where, name } of tests) groups.set(where, [...(groups.get(where) ?? []), name]);
  const lines = [...groups].map(([where, names]) => `not run: ${where}: ${listOf(names)}`);
  return [...lines, `${passed} passed, ${failed} failed, ${tests.length} skipped`];
}

function listOf(names: readonly string[]): string {
  const rest = names.length - SHOWN;
  return [...names.slice(0, SHOWN), ...(rest > 0 ? [`and ${rest} more`] : [])].join('; ');
}

function hasFailedTest(module: TestModule): boolean {
  return [...module.children.allTests('failed')].length > 0;
}

function notRun(test: TestCase): { where: string; name: string } {
  const result = test.result();
  const note = result.state === 'skipped' ? result.note : undefined;
  return { where: `${test.module.relativeModuleId} (${note ?? 'no reason given'})`, name: test.fullName };
}

const SHOWN = 3;

/** The reporter, for vitest.config.ts; after `default`, so that its lines are the last. */
export const summary: Reporter = {
  onTestRunEnd(modules, errors) {
    process.stdout.write(`${linesOf(summaryOf(modules, errors.length)).join('\n')}\n`);
  },
};
