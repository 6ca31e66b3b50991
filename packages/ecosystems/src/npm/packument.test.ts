import { createHash } from 'node:crypto';
import { base64, hex, type JsonLiteral, type JsonObject, objectOf, type TargetFile } from '@countersign/core';
import { describe, expect, test } from 'vitest';
import {
  ecosystemOf,
  highestVersion,
  type Inspected,
  isTagName,
  npmProject,
  type PackumentSource,
  packumentOf,
  readDistTags,
  readYanks,
  tarballPath,
  writeDistTags,
  writeYanks,
} from '../index.ts';

const project = npmProject('@x/demo');
const sha512 = createHash('sha512').update('bytes').digest();
const sha256 = createHash('sha256').update('bytes').digest();

function target(
  version: string,
  more: { readonly [name: string]: JsonLiteral } = {},
  changes: Partial<TargetFile> = {},
): TargetFile {
  return {
    path: `npm/0000/@x@demo/demo-${version}.tgz`,
    length: 5,
    hashes: new Map([
      ['sha256', hex(sha256)],
      ['sha512', hex(sha512)],
    ]),
    custom: objectOf({ npm: { name: '@x/demo', version, ...more } }),
    ...changes,
  };
}

const derive = (
  targets: readonly TargetFile[],
  tags: Record<string, string> = {},
  more: Partial<PackumentSource> = {},
) =>
  packumentOf({
    project,
    versions: targets.map((each) => ({ target: each })),
    distTags: new Map(Object.entries(tags)),
    tarballUrl: (file) => `http://gateway.test/npm/${tarballPath(project, file)}`,
    ...more,
  });

describe('a packument of yanked versions', () => {
  test('leaves them out with their reason, and `latest` goes to one that is left', () => {
    const yanks = new Map([['1.1.0', 'leaks memory']]);
    const { packument, withheld } = derive(
      [target('1.0.0'), target('1.1.0')],
      { latest: '1.1.0', next: '1.1.0' },
      { yanks },
    );
    expect(Object.keys(packument.versions)).toEqual(['1.0.0']);
    expect(packument['dist-tags']).toEqual({ latest: '1.0.0', next: '1.1.0' });
    expect(withheld).toEqual([
      { version: '1.1.0', path: target('1.1.0').path, code: 'YANKED', reason: 'leaks memory' },
    ]);
    expect(packument.policyRestrictions?.message).toBe('TUF YANKED: 1.1.0: leaks memory');
  });

  test('yanks are read leniently, written strictly, and leave other members alone', () => {
    const custom = objectOf({ npm: { 'dist-tags': { latest: '1.0.0' }, yanked: { '1.0.0': 'old', '2.0.0': 7 } } });
    expect(readYanks(custom, 'npm')).toEqual(new Map([['1.0.0', 'old']]));
    expect(readYanks(undefined, 'npm').size).toBe(0);
    const lifted = writeYanks(custom, 'npm', new Map());
    expect(lifted).toEqual(objectOf({ npm: { 'dist-tags': { latest: '1.0.0' } } }));
    expect(readYanks(writeYanks(lifted, 'npm', new Map([['1.0.0', '']])), 'npm')).toEqual(new Map([['1.0.0', '']]));
    const refusal = expect.objectContaining({ code: 'ENTRY_INVALID' });
    expect(() => writeYanks(undefined, 'npm', new Map([['1.0.0', 'two\nlines']]))).toThrow(refusal);
    expect(() => writeYanks(undefined, 'npm', new Map([['1.0.0', 'x'.repeat(301)]]))).toThrow(refusal);
  });
});

describe('a packument', () => {
  test('says of each version what its author signed, in ascending order', () => {
    const { packument, withheld } = derive(
      [
        target('1.10.0', { deprecated: 'use 2' }),
        target('1.9.0', { dependencies: { ms: '^2' }, bin: { demo: 'cli.js' } }),
      ],
      { latest: '1.9.0', beta: '1.10.0', gone: '3.0.0' },
    );
    expect(withheld).toEqual([]);
    const dist = (version: string): object => ({
      tarball: `http://gateway.test/npm/@x/demo/-/demo-${version}.tgz`,
      integrity: `sha512-${base64(sha512)}`,
    });
    expect(JSON.parse(JSON.stringify(packument))).toStrictEqual({
      name: '@x/demo',
      'dist-tags': { latest: '1.9.0', beta: '1.10.0' },
      versions: {
        '1.9.0': {
          name: '@x/demo',
          version: '1.9.0',
          dependencies: { ms: '^2' },
          bin: { demo: 'cli.js' },
          dist: dist('1.9.0'),
        },
        '1.10.0': { name: '@x/demo', version: '1.10.0', deprecated: 'use 2', dist: dist('1.10.0') },
      },
    });
    expect(Object.keys(packument.versions)).toEqual(['1.9.0', '1.10.0']);
  });

  test.each([
    [['1.0.0', '2.0.0-rc.1', '1.2.0'], '1.2.0'],
    [['2.0.0-rc.1', '2.0.0-rc.2'], '2.0.0-rc.2'],
    [[], undefined],
  ])('without a signed tag, latest of %j is %s', (versions, latest) => {
    expect(derive(versions.map((version) => target(version))).packument['dist-tags']['latest']).toBe(latest);
  });

  test('an entry cannot bring its own dist, scripts or unknown members', () => {
    const { packument } = derive([
      target('1.0.0', { dist: { tarball: 'evil' }, scripts: { install: 'evil' }, _resolved: 'evil' }),
    ]);
    expect(JSON.stringify(packument)).not.toContain('evil');
  });

  test('a version whose entry, name or hash does not hold is withheld with its reason, the others stay', () => {
    const { packument, withheld } = derive(
      [
        target('1.0.0'),
        target('1.1.0', { version: '1.0.0' }),
        target('1.2.0', { name: 'other' }),
        target('1.3.0', {}, { custom: undefined }),
        target('1.4.0', {}, { hashes: new Map([['md5', '00']]) }),
        target('1.5.0', {}, { hashes: new Map([['sha512', 'abcd']]) }),
        target('1.6.0', {}, { path: 'npm/0000/@x@demo/readme.txt' }),
      ],
      { latest: '1.1.0', next: '1.2.0' },
    );
    expect(withheld.map(({ version, code }) => [version, code])).toEqual([
      ['1.1.0', 'INDEX_MISMATCH'],
      ['1.2.0', 'INDEX_MISMATCH'],
      ['1.3.0', 'INDEX_MISMATCH'],
      ['1.4.0', 'HASH_UNSUPPORTED'],
      ['1.5.0', 'HASH_UNSUPPORTED'],
      [undefined, 'INDEX_MISMATCH'],
    ]);
    expect(Object.keys(packument.versions)).toEqual(['1.0.0']);
    expect({ ...packument['dist-tags'] }).toEqual({ latest: '1.0.0', next: '1.2.0' });
    expect(Object.keys(packument.policyRestrictions?.versions ?? {})).toEqual([
      '1.1.0',
      '1.2.0',
      '1.3.0',
      '1.4.0',
      '1.5.0',
    ]);
    expect(packument.policyRestrictions?.message).toMatch(/^TUF INDEX_MISMATCH: 1\.1\.0: .*\n(?:.*\n)*and 1 more$/);
  });

  test('what the caller withholds is not served', () => {
    const bad = target('1.1.0');
    const { packument } = derive(
      [target('1.0.0'), bad],
      { latest: '1.1.0' },
      {
        withheld: [{ version: '1.1.0', path: bad.path, code: 'INDEX_MISMATCH', reason: 'its content says otherwise' }],
      },
    );
    expect(Object.keys(packument.versions)).toEqual(['1.0.0']);
    expect(packument['dist-tags']['latest']).toBe('1.0.0');
    expect(packument.policyRestrictions?.message).toBe('TUF INDEX_MISMATCH: 1.1.0: its content says otherwise');
  });

  test('with nothing left, latest names a withheld version, so that npm gives the reason', () => {
    const { packument } = derive([target('1.0.0', {}, { custom: undefined })]);
    expect({ ...packument['dist-tags'] }).toEqual({ latest: '1.0.0' });
  });

  test('sha256 stands in where no sha512 is signed', () => {
    const { packument } = derive([target('1.0.0', {}, { hashes: new Map([['sha256', hex(sha256)]]) })]);
    expect(packument.versions['1.0.0']).toMatchObject({ dist: { integrity: `sha256-${base64(sha256)}` } });
  });

  test('tags and dependencies named like object internals are plain members', () => {
    const { packument } = derive([target('1.0.0')], Object.fromEntries([['constructor', '1.0.0']]));
    expect(packument['dist-tags']['constructor']).toBe('1.0.0');
    expect(derive([target('1.0.0')]).packument['dist-tags']['constructor']).toBeUndefined();
  });
});

describe('dist-tags in the role', () => {
  const npm = ecosystemOf('npm');
  const published = (version: string, tag?: string): Inspected => ({
    project,
    file: '',
    version,
    custom: new Map(),
    tag,
  });
  const tagsOf = (custom: JsonObject): object => Object.fromEntries(readDistTags(custom));

  test('are written and read again, and keep what else is there', () => {
    const before = objectOf({ other: 1, npm: { 'dist-tags': { old: '1.0.0' }, more: 'x' } });
    const after = writeDistTags(before, new Map([['latest', '1.2.3']]));
    expect(after).toEqual(objectOf({ other: 1, npm: { 'dist-tags': { latest: '1.2.3' }, more: 'x' } }));
    expect(tagsOf(after)).toEqual({ latest: '1.2.3' });
  });

  test.each([
    undefined,
    objectOf({}),
    objectOf({ npm: 'x' }),
    objectOf({ npm: { 'dist-tags': ['latest'] } }),
    objectOf({ npm: { 'dist-tags': { latest: 1, 'v1.x': '1.0.0', beta: 'v1.0.0', '../x': '1.0.0' } } }),
  ])('a pointer that is none is left out (%#)', (custom) => {
    expect(readDistTags(custom).size).toBe(0);
  });

  test.each([
    ['1.x', '1.0.0'],
    ['', '1.0.0'],
    ['1.0.0', '1.0.0'],
    ['a b', '1.0.0'],
    ['latest', '1'],
    ['latest', '1.0.0+b'],
  ])('%j → %j is not written', (tag, version) => {
    expect(() => writeDistTags(undefined, new Map([[tag, version]]))).toThrow(
      expect.objectContaining({ code: 'ENTRY_INVALID' }),
    );
  });

  test('latest follows the highest release, in whatever order versions are published', () => {
    const orders = [
      ['1.0.0', '2.0.0', '1.5.0', '3.0.0-rc.1'],
      ['3.0.0-rc.1', '2.0.0', '1.5.0', '1.0.0'],
    ];
    for (const order of orders) {
      let custom: JsonObject | undefined;
      for (const version of order) custom = npm.withPublished(custom, published(version));
      expect(tagsOf(custom ?? new Map())).toEqual({ latest: '2.0.0' });
    }
  });

  test('a tag of the author or of the package moves alone', () => {
    const base = npm.withPublished(undefined, published('1.0.0'));
    expect(tagsOf(npm.withPublished(base, published('2.0.0', 'next')))).toEqual({ latest: '1.0.0', next: '2.0.0' });
    expect(tagsOf(npm.withPublished(base, published('2.0.0', 'next'), 'beta'))).toEqual({
      latest: '1.0.0',
      beta: '2.0.0',
    });
    expect(tagsOf(npm.withPublished(base, published('0.9.0'), 'latest'))).toEqual({ latest: '0.9.0' });
  });

  test('what can be a tag', () => {
    expect(['latest', 'next-11', 'canary_1', 'rc', 'v'].filter(isTagName)).toEqual([
      'latest',
      'next-11',
      'canary_1',
      'rc',
      'v',
    ]);
    expect(['x', '1', 'v1', '1.2.3', '', '*', 'a/b', '__proto__', 'a'.repeat(101)].filter(isTagName)).toEqual([]);
    expect(highestVersion([])).toBeUndefined();
  });
});
