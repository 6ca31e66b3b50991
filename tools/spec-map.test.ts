import { describe, expect, test } from 'vitest';
import { countProblems, gather, readMusts, render } from './spec-map.mjs';
import { DEMANDS } from './spec-musts.mjs';
import { treeOf } from './test/tree.ts';

describe('the list of demands', () => {
  test('has every MUST of the text and every step of the workflow', () => {
    expect(countProblems(DEMANDS, readMusts())).toEqual([]);
    expect([...DEMANDS.values()].filter(({ kind }) => kind === 'MUST')).toHaveLength(51);
  });

  test('is refused when a MUST is missing, is one too many, or stands in no section', () => {
    const one = (section: string) => ({ section, kind: 'MUST' as const, says: 'so' });
    const shorter = new Map([...DEMANDS].filter(([id]) => id !== '5.5.5/2' && id !== '5.3.9/1'));
    const changed = new Map([...shorter, ['4.2.1/2', one('4.2.1')], ['9.9/1', one('9.9')]]);
    expect(countProblems(changed, readMusts()).map(({ message }) => message)).toEqual([
      '§4.2.1 has 1 MUSTs, the list 2',
      '§5.5.5 has 2 MUSTs, the list 1',
      'the specification has no §9.9',
      'the step §5.3.9 is not listed',
    ]);
  });
});

describe('the map', () => {
  const root = (files: Readonly<Record<string, string>>) => gather(treeOf(files));
  const places = (map: ReadonlyMap<string, readonly { readonly file: string; readonly name: string }[]>) =>
    Object.fromEntries([...map].map(([id, found]) => [id, found.map(({ name }) => name)]));

  test('finds code by section, in the function that cites it or that the comment stands before', () => {
    const { code } = root({
      'packages/core/src/x.ts':
        '// Head: §5.3 to §5.6.\n/** §5.3.4/2 */\nexport function one(): void {}\nfunction two() {\n  // §5.3.8, 5.4.5\n}\n',
    });
    expect(places(code)).toEqual({ '5.3.4/2': ['one'], '5.6': ['one'], '5.3.8': ['two'], '5.4.5': ['two'] });
  });

  test('takes a step for its demand where it has a single one, a section of the formats never', () => {
    const { tests } = root({
      'packages/core/src/x.test.ts':
        "import { it } from 'vitest';\nit('§5.3.5 a', () => {});\nit('§4.6 none', () => {});\nit('§5.3.4 none', () => {});\nit.each([1])('§5.3.4/2 b', () => {});\n",
    });
    expect(places(tests)).toEqual({ '5.3.5/1': ['§5.3.5 a'], '5.3.4/2': ['§5.3.4/2 b'] });
  });

  test('takes the catalogue of attacks for tests, and refuses what it cites wrongly', () => {
    const { tests, problems } = root({
      'packages/testkit/src/attacks/x.ts':
        "export const X = [{ id: 'a/b', spec: role ? ['5.3.5', '5.3.4/2'] : ['5.6.3'] }, { id: 'c/d', spec: ['5.3.4/9', '9.9'] }];\n",
    });
    expect(places(tests)).toEqual({ '5.3.5/1': ['a/b'], '5.3.4/2': ['a/b'] });
    expect(problems.map(({ message }) => message)).toEqual(['there is no §5.3.4/9', 'there is no §9.9']);
  });

  test('takes a decision record that DEVIATES for an answer', () => {
    const { departures } = root({
      'docs/adr/0002-x.md': 'We do not (DEVIATES from §4.3/5 and §4.3/6, because). See §4.3/7.\n\nDEVIATES: §5.3.5.\n',
    });
    expect([...departures.keys()]).toEqual(['4.3/5', '4.3/6', '5.3.5/1']);
  });

  test('has a row for every demand', () => {
    const page = render(root({}));
    expect(page.match(/^\| §/gm)).toHaveLength(DEMANDS.size);
    expect(page).toContain('| §5.3.4/2 | **MUST** a key contributes one signature |');
    expect(page).toContain('| §5.3.5 | **MUST** the version of the next root is N + 1 |');
  });
});
