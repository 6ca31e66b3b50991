import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checkCitations, citationsOf, readSections } from './citations.mjs';
import { sectionsOf } from './spec-sections.mjs';
import { printed, treeOf } from './test/tree.ts';

const FILE = 'packages/core/src/x.ts';

function problems(text: string, file = FILE): string[] {
  return printed(checkCitations(treeOf({ [file]: text, 'docs/adr/0002-opaque-key-ids.md': '' })));
}

describe('sections of the specification', () => {
  test('headings are counted by level, the client workflow goes on with its steps', () => {
    const text = [
      '# Introduction # {#a}',
      '## Scope ## {#b}',
      '1. a list is no section here',
      '# Two # {#c}',
      '# Three # {#d}',
      '# Four # {#e}',
      '# Workflow # {#f}',
      '## Update the root role ## {#g}',
      '1. First',
      '2. **Check for a rollback attack.** text',
      '  1. Inner',
      '    1. Innermost',
      '3. Third',
      '## Next ##\u00a0 {#h}',
      '1. First again',
    ].join('\n');
    expect([...sectionsOf(text).keys()]).toEqual([
      '1',
      '1.1',
      '2',
      '3',
      '4',
      '5',
      '5.1',
      '5.1.1',
      '5.1.2',
      '5.1.2.1',
      '5.1.2.1.1',
      '5.1.3',
      '5.2',
      '5.2.1',
    ]);
    expect(sectionsOf(text).get('5.1.2')).toEqual({ title: '', attacks: ['rollback'], musts: 0 });
    expect(sectionsOf(text).get('5.1')).toEqual({ title: 'Update the root role', attacks: [], musts: 0 });
  });

  test('each sentence that says MUST is counted, in the formats and in the workflow only', () => {
    const text = [
      '# One # {#a}',
      'It MUST not count.',
      '# Two # {#b}',
      '# Three # {#c}',
      '# Four # {#d}',
      '## Formats ## {#e}',
      'It MUST. It MUST NOT. It must. It is REQUIRED, RECOMMENDED and SHALL.',
      '# Five # {#f}',
      '## Workflow ## {#g}',
      '1. A step that',
      '   MUST go on.',
    ].join('\n');
    const counted = [...sectionsOf(text)].filter(([, { musts }]) => musts > 0);
    expect(counted.map(([number, { musts }]) => [number, musts])).toEqual([
      ['4.1', 4],
      ['5.1.1', 1],
    ]);
  });

  test('the committed list has what we lean on', () => {
    const sections = readSections();
    expect(sections['5.7']).toBe('Fetch target');
    expect(sections['4.2.2']).toBe('Key objects');
    for (const step of ['5.3.4', '5.3.11', '5.4.3.1', '5.5.7', '5.6.7.2.1', '5.7.3'])
      expect(sections).toHaveProperty([step]);
    expect(Object.keys(sections).filter((number) => /^5\.\d$/.test(number))).toHaveLength(7);
    expect(readFileSync(new URL('spec-sections.json', import.meta.url), 'utf8')).toContain('"version": "1.0.34"');
  });
});

describe('citations', () => {
  test('of sections that exist are fine, in lists and ranges, across lines', () => {
    expect(
      problems(
        '// §5.3.8, 5.4.5 and §5.5.7; §5.3 to\n// §5.6 (§5.4.3.1 rollback), §4.2.2.\n/**\n * §5.6.3, 5 files,\n * §2.1.\n */\n',
      ),
    ).toEqual([]);
  });

  test('of sections that do not exist are refused, with their line', () => {
    expect(problems('// Fine: §5.3.4,\n// §5.3.13 and\n// §5.3.4, 5.4.9, §§9.1.\n// § alone\n')).toEqual([
      `${FILE}:2 the specification has no §5.3.13`,
      `${FILE}:3 the specification has no §5.4.9`,
      `${FILE}:3 the specification has no §9.1`,
      `${FILE}:4 § without a section number`,
    ]);
  });

  test('of other documents are not ours, when the § directly follows the name', () => {
    expect(
      problems(
        '// RFC 8410 §4, RFC 9110 §14.1 and §15, TAP 15 §9, DESIGN §10, PEP 458 §9,\n// package-clients.md §3.3, RFC\n// 8410 §9. FIPS 186-5 §7.8\n',
      ),
    ).toEqual([]);
    expect(problems('// as in RFC 8410, but see §9.9\n')).toEqual([`${FILE}:1 the specification has no §9.9`]);
    expect(problems('/* RFC 8410 */\nf();\n/* §9 */\n')).toEqual([`${FILE}:3 the specification has no §9`]);
  });

  test('in names of tests are checked, other strings are not', () => {
    const text = "import { test } from 'vitest';\ntest.each([1])('§9.1 rollback', () => { f('§9.2'); });\n";
    expect(problems(text, 'packages/core/src/x.test.ts')).toEqual([
      'packages/core/src/x.test.ts:2 the specification has no §9.1',
    ]);
    expect(problems(text)).toEqual([]);
  });

  test('of an attack must fit the section', () => {
    expect(
      problems('// §5.3.10 freeze: …, §5.4.3.2 rollback, §5.3 fast-forward, §5.7.3 freeze, §6.1 rollback\n'),
    ).toEqual([]);
    expect(problems('// §5.3.5 freeze: …\n')).toEqual([`${FILE}:1 §5.3.5 is not about freeze`]);
  });

  test('of one demand of a section are checked, too', () => {
    expect(problems('// §5.3.4/2, §5.4.2/4 and 5.5.5/2: fine; §5.3.4/5, 5.3.5/2 are not\n')).toEqual([
      `${FILE}:1 there is no demand §5.3.4/5`,
      `${FILE}:1 there is no demand §5.3.5/2`,
    ]);
  });

  test('keep their offsets', () => {
    expect(citationsOf('ab §5.3/1, 5.4/22').map(({ at, number, item }) => [at, number, item])).toEqual([
      [3, '5.3', '1'],
      [11, '5.4', '22'],
    ]);
  });
});

describe('departures', () => {
  test('name a decision record that exists', () => {
    expect(
      problems(
        '// Key ids are opaque (DEVIATES: ADR 0002).\n// DEVIATES from §4.5, see docs/adr/0002-opaque-key-ids.md\n',
      ),
    ).toEqual([]);
    expect(problems('// DEVIATES: ADR 0009\n// DEVIATES: because. See ADR 0002\nconst DEVIATES = 1;\n')).toEqual([
      `${FILE}:1 there is no docs/adr/0009-*.md`,
      `${FILE}:2 DEVIATES without the number of its ADR`,
    ]);
  });
});
