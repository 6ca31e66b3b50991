import { dirname } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkHygiene, placeProblems } from './hygiene.mjs';
import { printed, treeOf } from './test/tree.ts';

const HEAD = '// Holds x, and never y.\n';

function problems(files: Readonly<Record<string, string>>): string[] {
  return printed(checkHygiene(treeOf(files)));
}

describe('places', () => {
  test('hosts of package registries are refused, in any file', () => {
    const host = ['registry', 'npmjs', 'org'].join('.');
    expect(problems({ 'docs/a.md': `x\nhttps://${host}/ms and ${host.toUpperCase()}\nan ${host}ish name\n` })).toEqual([
      'docs/a.md:2 names the host of a package registry',
      'docs/a.md:2 names the host of a package registry',
    ]);
  });

  test('the path of the checkout and its parent, and homes of users, are refused', () => {
    const root = ['', 'projects', 'here', 'main'].join('/');
    const home = ['', 'home', 'somebody', 'x'].join('/');
    expect(printed(placeProblems('a.md', `see ${root}/x\n${dirname(root)}/y\n./a${root}\n${home}\n`, root))).toEqual([
      'a.md:1 names a path of this machine',
      'a.md:1 names a path of this machine',
      'a.md:2 names a path of this machine',
      'a.md:4 names the home of a user',
    ]);
    expect(placeProblems('a.md', 'under /tmp/x\n', '/tmp/clone')).toEqual([]);
  });
});

describe('tests', () => {
  test('are neither focused nor switched off; a skip with its reason inside a test is', () => {
    const text = [
      "import { describe, it, test } from 'vitest';",
      "it.only('a', () => {});",
      "describe.concurrent.skip('b', () => {});",
      "test.todo('c');",
      "test('d', (context) => context.skip('the peer is missing'));",
      "const text = 'it.only(';",
    ].join('\n');
    const note = 'in a test (a peer that may be missing: see tools/peers/peers.mjs)';
    expect(problems({ 'packages/core/src/x.test.ts': text })).toEqual([
      `packages/core/src/x.test.ts:2 .only ${note}`,
      `packages/core/src/x.test.ts:3 .skip ${note}`,
      `packages/core/src/x.test.ts:4 .todo ${note}`,
    ]);
  });
});

describe('files', () => {
  test('begin with a head comment, tests need none', () => {
    expect(
      problems({
        'packages/core/src/a.ts': 'export const a = 1;\n',
        'packages/core/src/a.test.ts': 'export const a = 1;\n',
        'packages/core/src/b.ts': `${HEAD}export const b = 1;\n`,
        'tools/c.mjs': `#!/usr/bin/env node\n${HEAD}`,
        'tools/d.py': '"""Fetches."""\n',
        'bench/e.py': 'import json\n',
      }),
    ).toEqual([
      'bench/e.py:1 no head comment: what does this file decide, and what must it never do?',
      'packages/core/src/a.ts:1 no head comment: what does this file decide, and what must it never do?',
    ]);
  });

  test('above 600 lines need a reason in the head comment', () => {
    const long = 'f();\n'.repeat(600);
    expect(
      problems({
        'packages/core/src/a.ts': HEAD + long,
        'packages/core/src/b.ts': `// The table. Long because its rows belong together.\n${long}`,
        'packages/core/src/c.ts': `${HEAD}${'f();\n'.repeat(599)}`,
        'docs/d.md': `${long}x\n`,
      }),
    ).toEqual([
      'packages/core/src/a.ts:1 601 lines, and the head comment does not say "long because …" (more than 600 need a reason)',
    ]);
  });

  test('are named after what they hold', () => {
    const names = [
      'utils',
      'hash-utils',
      'helpers.test',
      'common',
      'manager',
      'types',
      'KeyFile',
      'key-types',
      'recommon',
    ];
    expect(problems(Object.fromEntries(names.map((name) => [`packages/core/src/${name}.ts`, HEAD])))).toEqual([
      'packages/core/src/KeyFile.ts:1 "KeyFile" is not kebab-case',
      'packages/core/src/common.ts:1 "common" does not say what the file holds',
      'packages/core/src/hash-utils.ts:1 "hash-utils" does not say what the file holds',
      'packages/core/src/helpers.test.ts:1 "helpers.test" does not say what the file holds',
      'packages/core/src/manager.ts:1 "manager" does not say what the file holds',
      'packages/core/src/types.ts:1 "types" does not say what the file holds',
      'packages/core/src/utils.ts:1 "utils" does not say what the file holds',
    ]);
  });

  test('promise nothing without owner and issue; core promises nothing', () => {
    const text = `${HEAD}// TODO later\n// TODO(ada, #12) soon\nconst TODO = 1;\n`;
    expect(problems({ 'packages/client/src/a.ts': text })).toEqual([
      'packages/client/src/a.ts:2 a promise needs owner and issue: (name, #12)',
    ]);
    expect(problems({ 'packages/core/src/a.ts': `${HEAD}// TODO(ada, #12) soon\n` })).toEqual([
      'packages/core/src/a.ts:2 core makes no promises for later',
    ]);
  });
});
