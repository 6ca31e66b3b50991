import { isTufError, ownerRoleName, projectDirectory } from '@countersign/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ecosystemOf, npmProject, projectOf, tarballName, tarballPath, versionOfTarballName } from '../index.ts';

const codeOf = (act: () => unknown): string => {
  try {
    act();
    return 'accepted';
  } catch (error) {
    return isTufError(error) ? error.code : String(error);
  }
};

describe('names', () => {
  test.each([
    'ms',
    'is-odd',
    'JSONStream',
    'lodash.merge',
    'a_b',
    '3d',
    '@types/node',
    '@babel/code-frame',
    '@x/node_modules',
    'a..b',
    'constructor',
    'a'.repeat(174),
  ])('%s is accepted as it is', (name) => {
    expect(npmProject(name).name).toBe(name);
  });

  const refused = [
    '',
    '.',
    '..',
    '.hidden',
    '_private',
    '-',
    '-dash',
    'a/b',
    '@scope',
    '@scope/',
    '@/name',
    '@a/b/c',
    '@.s/n',
    '@s/.n',
    '@s/_n',
    '@s/..',
    '@s/-',
    'a b',
    ' a',
    'a ',
    'a%2fb',
    'a\\b',
    'a\u0000b',
    'ä',
    'node_modules',
    'Node_Modules',
    'favicon.ico',
    'a'.repeat(215),
    '_'.padStart(200, 'a'),
    `a${'.'.repeat(100)}`,
    'a\n',
  ];
  test.each(refused)('%j is refused', (name) => {
    expect(codeOf(() => npmProject(name))).toBe('NAME_INVALID');
  });

  test.each("[]{}!#()\\+@|*?'~$^:;,=&%".split(''))(
    'a pattern dialect might read %s differently: refused anywhere',
    (sign) => {
      for (const name of [`${sign}a`, `a${sign}b`, `a${sign}`, `@s${sign}/a`, `@s/a${sign}b`]) {
        expect(codeOf(() => npmProject(name))).toBe('NAME_INVALID');
      }
    },
  );

  const part = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,12}$/);
  const name = fc.oneof(
    part,
    fc.tuple(part, part).map(([scope, rest]) => `@${scope}/${rest}`),
  );

  test('segment and owner role stand for one name each', () => {
    fc.assert(
      fc.property(name, name, (a, b) => {
        fc.pre(codeOf(() => npmProject(a)) === 'accepted' && codeOf(() => npmProject(b)) === 'accepted');
        const [one, other] = [npmProject(a), npmProject(b)];
        expect(one.segment).not.toMatch(/[/*?]/);
        expect(one.segment.replace(/(?<=.)@/, '/')).toBe(a);
        expect(one.segment === other.segment).toBe(a === b);
        expect(ownerRoleName(one, 1) === ownerRoleName(other, 1)).toBe(a === b);
        expect(ownerRoleName(one, 1)).not.toBe(ownerRoleName(other, 2));
        expect(ownerRoleName(one, 1)).toMatch(/^[a-z0-9.-]+$/);
      }),
    );
  });

  test('owner roles differ on disks that ignore case', () => {
    expect(ownerRoleName(npmProject('JSONStream'), 1)).not.toBe(ownerRoleName(npmProject('jsonstream'), 1));
  });

  test('a project is in one directory at the one depth', () => {
    const directory = projectDirectory(npmProject('@types/node'), () => new Uint8Array(32).fill(0xab));
    expect(directory).toBe('npm/abab/@types@node');
  });
});

describe('file names', () => {
  test('belong to one version of one project', () => {
    const project = npmProject('@types/node');
    expect(tarballName(project, '20.1.0-beta.1')).toBe('node-20.1.0-beta.1.tgz');
    expect(tarballPath(project, 'node-20.1.0.tgz')).toBe('@types/node/-/node-20.1.0.tgz');
    expect(versionOfTarballName(project, 'node-20.1.0.tgz')).toBe('20.1.0');
  });

  test.each([
    'node-20.1.tgz',
    'node-v20.1.0.tgz',
    'node-20.1.0+b.tgz',
    'node-20.1.0.tar.gz',
    'types-node-20.1.0.tgz',
    'node-.tgz',
    'node.tgz',
    'node-1.0.0/../x.tgz',
    'node-01.0.0.tgz',
    'node- 1.0.0.tgz',
  ])('%s is refused', (file) => {
    const npm = ecosystemOf('npm');
    expect(codeOf(() => npm.checkFileName(npm.project('@types/node'), file))).toBe('ENTRY_INVALID');
  });

  test.each([
    '1',
    '1.2',
    'v1.2.3',
    '=1.2.3',
    '1.2.3+build',
    ' 1.2.3',
    '01.2.3',
    '',
    '1.2.3-',
    `1.2.3-${'a'.repeat(300)}`,
  ])('version %j names no file', (version) => {
    expect(codeOf(() => tarballName(npmProject('ms'), version))).toBe('ENTRY_INVALID');
  });
});

describe('projects as people write them', () => {
  test('ecosystem/name', () => {
    expect(projectOf('npm/@types/node')).toEqual({ ecosystem: 'npm', name: '@types/node', segment: '@types@node' });
    expect(projectOf('files/tool')).toEqual({ ecosystem: 'files', name: 'tool', segment: 'tool' });
  });
  test.each([
    'npm',
    'npm/',
    'NPM/ms',
    'pypi/x',
    'constructor/x',
    '/ms',
    'files/A',
    'files/../x',
    'files/a/b',
    `files/${'a'.repeat(101)}`,
  ])('%s is refused', (text) => {
    expect(codeOf(() => projectOf(text))).toBe('NAME_INVALID');
  });
});

describe('plain files', () => {
  const files = ecosystemOf('files');
  const tool = files.project('tool');
  test.each(['a.bin', 'Read me.txt', 'größe.pdf', 'x+y[1].tar.gz', '_x', 'x'.repeat(120)])(
    '%s is a file name',
    async (fileName) => {
      const inspected = await files.inspect(new Uint8Array(), { fileName, project: tool });
      expect(inspected.file).toBe(fileName);
      expect(files.entryMatches({ path: `files/0000/tool/${fileName}`, custom: inspected.custom }, inspected)).toBe(
        true,
      );
      expect(files.entryMatches({ path: `files/0000/tool/${fileName}`, custom: undefined }, inspected)).toBe(true);
      expect(
        files.entryMatches({ path: `files/0000/tool/${fileName}`, custom: new Map([['npm', new Map()]]) }, inspected),
      ).toBe(false);
    },
  );
  test.each([
    '',
    '.',
    '..',
    '.x',
    'a/b',
    'a\\b',
    'a\nb',
    'a\u202eb',
    'a:b',
    'a*',
    'x ',
    'x.',
    'u\u0308.txt',
    '\ud800',
    'x'.repeat(121),
  ])('%j is refused', async (fileName) => {
    expect(codeOf(() => files.checkFileName(tool, fileName))).toBe('ENTRY_INVALID');
    await expect(files.inspect(new Uint8Array(), { fileName, project: tool })).rejects.toMatchObject({
      code: 'ENTRY_INVALID',
    });
  });
  test('without a name or project there is nothing to say', async () => {
    await expect(files.inspect(new Uint8Array())).rejects.toMatchObject({ code: 'ENTRY_INVALID' });
  });
  test('publishing moves no pointer', async () => {
    const inspected = await files.inspect(new Uint8Array(), { fileName: 'a', project: tool });
    const custom = new Map([['x', 1]]);
    expect(files.withPublished(custom, inspected)).toBe(custom);
  });
});
