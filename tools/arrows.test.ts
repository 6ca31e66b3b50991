import { describe, expect, test } from 'vitest';
import { checkArrows } from './arrows.mjs';
import { manifest, printed, treeOf } from './test/tree.ts';

const CORE = {
  'packages/core/package.json': manifest('@countersign/core'),
  'packages/core/src/index.ts': "export { a } from './a.ts';\n",
  'packages/core/src/a.ts': 'export const a = 1;\n',
};
const CLIENT = {
  ...CORE,
  'packages/client/package.json': manifest('@countersign/client', ['@countersign/core', 'left-pad'], ['./node']),
  'packages/client/src/index.ts': "import { a } from '@countersign/core';\nexport const b = a;\n",
};

function problems(files: Readonly<Record<string, string>>): string[] {
  return printed(checkArrows(treeOf(files)));
}

describe('arrows between rooms', () => {
  test('what the design allows and package.json lists is fine', () => {
    expect(problems({ ...CLIENT, 'packages/client/src/node.ts': "import 'left-pad';\nimport 'node:fs';\n" })).toEqual(
      [],
    );
  });

  test('an arrow against the design is refused, in sources and among dependencies', () => {
    const files = {
      ...CLIENT,
      'packages/signers/package.json': manifest('@countersign/signers', ['@countersign/client']),
      'packages/signers/src/index.ts': "// Head.\nimport type { b } from '@countersign/client';\nexport type C = b;\n",
    };
    expect(problems(files)).toEqual([
      'packages/signers/package.json:1 depends on @countersign/client, which DESIGN §4 does not allow',
      'packages/signers/src/index.ts:2 @countersign/signers may not import @countersign/client (DESIGN §4)',
    ]);
  });

  test('a package that package.json does not list is refused, ours or not', () => {
    const files = {
      ...CORE,
      'packages/client/package.json': manifest('@countersign/client'),
      'packages/client/src/index.ts': "import '@countersign/core';\nawait import('@scope/pkg/sub');\n",
    };
    expect(problems(files)).toEqual([
      'packages/client/src/index.ts:1 @countersign/core is not among the dependencies in packages/client/package.json',
      'packages/client/src/index.ts:2 @scope/pkg is not among the dependencies in packages/client/package.json',
    ]);
  });

  test('a room that the design does not have is refused', () => {
    const files = { 'packages/misc/package.json': manifest('@countersign/misc'), 'packages/misc/src/index.ts': '' };
    expect(problems(files)).toEqual([
      'packages/misc/package.json:1 @countersign/misc is not among the rooms of DESIGN §4',
    ]);
  });

  test('sources do not import the testkit, tests may', () => {
    const files = {
      ...CLIENT,
      'packages/testkit/package.json': manifest('@countersign/testkit'),
      'packages/testkit/src/index.ts': '',
      'packages/client/src/x.ts': "import '@countersign/testkit';\n",
      'packages/client/src/x.test.ts':
        "import '@countersign/testkit';\nimport '../../../tools/peers/require-peer.ts';\n",
    };
    expect(problems(files)).toEqual([
      'packages/client/src/x.ts:1 @countersign/client may not import @countersign/testkit (DESIGN §4)',
    ]);
  });
});

describe('doors', () => {
  test('nobody imports past the exports of another package, by name or by path, tests neither', () => {
    const files = {
      ...CLIENT,
      'packages/client/src/x.ts': "import '@countersign/core/src/a.ts';\nimport '../../core/src/a.ts';\n",
      'packages/client/src/x.test.ts': "import '../../core/src/a.ts';\n",
    };
    expect(problems(files)).toEqual([
      'packages/client/src/x.test.ts:1 reaches past the exports of @countersign/core: ../../core/src/a.ts',
      'packages/client/src/x.ts:1 reaches past the exports of @countersign/core: there is no "./src/a.ts"',
      'packages/client/src/x.ts:2 reaches past the exports of @countersign/core: ../../core/src/a.ts',
    ]);
  });

  test('a subpath that is exported is a door', () => {
    const files = {
      ...CLIENT,
      'packages/client/src/node.ts': '',
      'apps/gateway/package.json': manifest('@countersign/gateway', ['@countersign/client']),
      'apps/gateway/src/main.ts': "import '@countersign/client/node';\n",
    };
    expect(problems(files)).toEqual([]);
  });

  test('sources do not import tests, nor files outside their package', () => {
    const files = {
      ...CORE,
      'packages/core/test/world.ts': '',
      'packages/core/src/x.ts': "import '../test/world.ts';\nimport '../../../tools/x.mjs';\nimport './gone.ts';\n",
    };
    expect(problems(files)).toEqual([
      'packages/core/src/x.ts:1 a source imports test code: ../test/world.ts',
      'packages/core/src/x.ts:2 reaches out of its package: ../../../tools/x.mjs',
      'packages/core/src/x.ts:3 there is no file packages/core/src/gone.ts',
    ]);
  });

  test('index.ts does not export all of another file', () => {
    const files = { ...CORE, 'packages/core/src/index.ts': "export * from './a.ts';\n" };
    expect(problems(files)).toEqual([
      'packages/core/src/index.ts:1 index.ts lists what it exports, without `export *`',
    ]);
  });
});

describe('cycles', () => {
  test('between files by values; what only types ask for is no cycle', () => {
    const files = {
      ...CORE,
      'packages/core/src/b.ts': "import { c } from './c.ts';\nexport const b = c;\n",
      'packages/core/src/c.ts':
        "import { d } from './d.ts';\nimport type { b } from './b.ts';\nexport const c: typeof b = d;\n",
      'packages/core/src/d.ts': "export const d = 1;\nexport { b } from './b.ts';\n",
      'packages/core/src/e.ts': "import type { F } from './f.ts';\nexport type E = F;\n",
      'packages/core/src/f.ts': "import { type E } from './e.ts';\nexport type F = E;\n",
    };
    expect(problems(files)).toEqual([
      'packages/core/src/d.ts:2 import cycle: packages/core/src/b.ts → packages/core/src/c.ts → packages/core/src/d.ts → packages/core/src/b.ts',
    ]);
  });

  test('between packages even by types', () => {
    const files = {
      ...CLIENT,
      'packages/core/src/b.ts': "export type B = import('@countersign/client').b;\n",
    };
    expect(problems(files)).toEqual([
      'packages/core/src/b.ts:1 @countersign/core may not import @countersign/client (DESIGN §4)',
      'packages/core/src/b.ts:1 package cycle: @countersign/client → @countersign/core → @countersign/client',
    ]);
  });
});

describe('purity', () => {
  test('core imports nothing: no packages, no node:', () => {
    const files = {
      ...CORE,
      'packages/core/src/x.ts': "import 'left-pad';\nimport { hash } from 'node:crypto';\nexport { hash };\n",
    };
    expect(problems(files)).toEqual([
      'packages/core/src/x.ts:1 core imports nothing, but asks for left-pad',
      'packages/core/src/x.ts:2 pure code may not import node:crypto',
    ]);
  });

  test('core uses no platform globals, no clock, no randomness', () => {
    const lines = [
      'export const a = Date.now();',
      'export const b = new Date();',
      'export const c = Math.random() + Number(process.env.X);',
      'export const d = new TextEncoder();',
      'export const e = { fetch: 1, crypto: a }.fetch; // a name is not a use',
      'export function f(fetch: (url: string) => void, { crypto }: { crypto: number }) { fetch(String(crypto)); }',
      'export const g = new Date(0);',
      'export const h = import.meta.url;',
      'export class I extends Error { j = new.target; }',
    ];
    expect(problems({ ...CORE, 'packages/core/src/x.ts': lines.slice(0, 4).join('\n') })).toEqual([
      'packages/core/src/x.ts:1 pure code may not use Date.now',
      'packages/core/src/x.ts:2 pure code may not use the clock (Date)',
      'packages/core/src/x.ts:3 pure code may not use Math.random',
      'packages/core/src/x.ts:3 pure code may not use process',
      'packages/core/src/x.ts:4 pure code may not use TextEncoder',
    ]);
    expect(problems({ ...CORE, 'packages/core/src/x.ts': lines.slice(4).join('\n') })).toEqual([
      'packages/core/src/x.ts:4 pure code may not use import.meta',
    ]);
  });

  test('planning has no ambient powers either', () => {
    const files = {
      ...CORE,
      'packages/repository/package.json': manifest('@countersign/repository', ['@countersign/core']),
      'packages/repository/src/plan.ts': "import 'node:fs';\nexport const now = Date.now();\n",
      'packages/repository/src/publish.ts': "import 'node:fs';\nexport const now = Date.now();\n",
    };
    expect(problems(files)).toEqual([
      'packages/repository/src/plan.ts:1 pure code may not import node:fs',
      'packages/repository/src/plan.ts:2 pure code may not use Date.now',
    ]);
  });

  test('nothing within reach of a platform-neutral entry asks for Node', () => {
    const files = {
      ...CLIENT,
      'packages/client/src/index.ts': "export { c } from './deep.ts';\n",
      'packages/client/src/deep.ts': "import { c } from 'node:crypto';\nexport { c };\n",
      'packages/client/src/node.ts': "import 'node:fs';\n",
    };
    expect(problems(files)).toEqual([
      'packages/client/src/deep.ts:1 node:crypto is within reach of a platform-neutral entry',
    ]);
  });
});
