import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codeOf, hexOf, sha256 } from '../test/world.ts';
import {
  binOf,
  isReleaseRoleOf,
  ownerDelegation,
  ownerRoleName,
  ownerRoleOf,
  type Project,
  projectDirectory,
  readOwnerRoleName,
  readShardName,
  readShelfName,
  releaseRoleName,
  shardName,
  shardPattern,
  shardPrefixes,
  shelfFilesName,
  shelfName,
} from './layout.ts';
import { matchesPattern } from './paths.ts';

const project = (name: string, ecosystem = 'npm'): Project => ({ ecosystem, name, segment: name.replaceAll('/', '@') });
const node = project('@types/node');

test('a project whose name begins with `r.` or `r_` is no release role', () => {
  for (const name of ['r.js', 'r_x', 'r']) {
    const owner = ownerRoleName(project(name), 1);
    expect(ownerRoleOf(owner)).toBe(owner);
    expect(ownerRoleOf(releaseRoleName(owner, 'ci'))).toBe(owner);
    expect(readOwnerRoleName(owner)?.name).toBe(name);
  }
});

describe('where a project is', () => {
  test('the bin is four hexadecimal digits of SHA-256 of the name', () => {
    const digits = hexOf('sha256', Buffer.from('@types/node')).slice(0, 4);
    expect(binOf(node, sha256)).toBe(digits);
    expect(projectDirectory(node, sha256)).toBe(`npm/${digits}/@types@node`);
  });

  test.each(['', '*', 'a*', 'a?', 'a/b', 'a\\b'])('a segment that could speak for others is refused: %j', (segment) => {
    const odd = { ecosystem: 'npm', name: 'x', segment };
    const owner = { epoch: 1, keyIds: ['a'], threshold: 1 };
    expect(codeOf(() => projectDirectory(odd, sha256))).toBe('USAGE_INVALID');
    expect(codeOf(() => ownerDelegation(odd, owner, sha256))).toBe('USAGE_INVALID');
  });

  test.each(['', '*', 'NPM', 'npm/x', 'n2'])('an ecosystem that is no plain name is refused: %j', (ecosystem) => {
    expect(codeOf(() => projectDirectory({ ...node, ecosystem }, sha256))).toBe('USAGE_INVALID');
  });

  test('one delegation speaks for all of a project’s files, terminating, and for nothing else', () => {
    const keys = { epoch: 2, keyIds: ['a', 'b'], threshold: 2 };
    const delegation = ownerDelegation(node, keys, sha256);
    const directory = projectDirectory(node, sha256);
    expect(delegation).toEqual({
      name: ownerRoleName(node, 2),
      keyIds: ['a', 'b'],
      threshold: 2,
      terminating: true,
      paths: { by: 'pattern', patterns: [`${directory}/*`] },
    });
    expect(matchesPattern(`${directory}/*`, `${directory}/node-1.0.0.tgz`)).toBe(true);
    expect(matchesPattern(`${directory}/*`, `${directory}x/node-1.0.0.tgz`)).toBe(false);
    expect(matchesPattern(`${directory}/*`, `${directory}/sub/node-1.0.0.tgz`)).toBe(false);
  });
});

describe('role names', () => {
  test.each([
    [node, 1, 'npm.1..40types.2fnode'],
    [project('ms'), 12, 'npm.12.ms'],
    [project('Foo_bar.js', 'cpan'), 1, 'cpan.1..46oo.5fbar.2ejs'],
    [project('é'), 1, 'npm.1..c3.a9'],
  ])('%o, epoch %i: %s', (of, epoch, role) => {
    expect(ownerRoleName(of, epoch)).toBe(role);
    expect(readOwnerRoleName(role)).toEqual({ ecosystem: of.ecosystem, epoch, name: of.name });
  });

  test.each([
    '',
    'npm',
    'npm.1',
    'npm.1.',
    'npm.0.ms',
    'npm.01.ms',
    'npm.-1.ms',
    'npm.1234567890.ms',
    'NPM.1.ms',
    'npm.1.Ms',
    'npm.1.m s',
    'npm.1.m.7s', // an escape of one digit
    'npm.1..6ds', // an escape of a letter that needs none
    'npm.1..2Fs', // an escape in upper case
    'npm.1..ff', // not UTF-8
    'npm.1.ms.r.ci',
    'claimed-3f',
    'targets',
  ])('%j is not an owner role', (role) => {
    expect(readOwnerRoleName(role)).toBeUndefined();
  });

  test('one-to-one: any name comes back; no two names meet, on no file system', () => {
    const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(name, name, (a, b) => {
        const [one, two] = [ownerRoleName(project(a), 1), ownerRoleName(project(b), 1)];
        expect(readOwnerRoleName(one)?.name).toBe(a);
        expect(one).toMatch(/^[a-z0-9.-]+$/);
        expect(one === two).toBe(a === b);
        expect(ownerRoleOf(one)).toBe(one); // no name looks like a release role
      }),
    );
  });

  test('release roles', () => {
    const owner = ownerRoleName(node, 1);
    const release = releaseRoleName(owner, 'ci-2');
    expect(release).toBe('npm.1..40types.2fnode.r.ci-2');
    expect(ownerRoleOf(release)).toBe(owner);
    expect(isReleaseRoleOf(release, owner)).toBe(true);
    expect(isReleaseRoleOf(owner, owner)).toBe(false);
    expect(isReleaseRoleOf(release, ownerRoleName(node, 2))).toBe(false);
    expect(isReleaseRoleOf(releaseRoleName(ownerRoleName(project('@types/nod'), 1), 'ci'), owner)).toBe(false);
    for (const label of ['', 'a'.repeat(33), 'A', 'a.b', 'a/b', '../x']) {
      expect(isReleaseRoleOf(releaseRoleName(owner, label), owner)).toBe(false);
    }
  });

  test('shards', () => {
    for (const kind of ['claimed', 'recent', 'unclaimed'] as const) {
      for (const prefix of ['', '0', '3f', 'abcd']) {
        expect(readShardName(shardName(kind, prefix))).toEqual({ kind, prefix });
      }
    }
    for (const role of [
      '',
      'claimed-',
      'claimed-3F',
      'claimed-12345',
      'claimed-3f-1',
      'claimedx',
      'npm.1.claimed',
      'x-3f',
    ]) {
      expect(readShardName(role)).toBeUndefined();
    }
  });
});

test('shelves', () => {
  for (const prefix of ['', '0', 'f', '3f', 'abcd']) {
    const shelf = shelfName(prefix);
    expect(readShelfName(shelf)).toEqual({ prefix, holds: 'names' });
    expect(readShelfName(shelfFilesName(shelf))).toEqual({ prefix, holds: 'files' });
    expect(readShardName(shelf)).toBeUndefined();
    expect(readOwnerRoleName(shelf)).toBeUndefined();
  }
  for (const role of ['', 'shelf-', 'shelf-3F', 'shelf-12345', 'shelf-3-files-files', 'shelves', 'npm.1.shelf']) {
    expect(readShelfName(role)).toBeUndefined();
  }
});

describe('shards', () => {
  test('prefixes are all there, in order', () => {
    expect(shardPrefixes(0)).toEqual(['']);
    expect(shardPrefixes(1).join('')).toBe('0123456789abcdef');
    expect(shardPrefixes(2)).toHaveLength(256);
    expect(shardPrefixes(2).slice(14, 18)).toEqual(['0e', '0f', '10', '11']);
  });

  test('exactly one shard pattern covers a project, at every number of digits', () => {
    const path = `${projectDirectory(node, sha256)}/node-1.0.0.tgz`;
    const bin = binOf(node, sha256);
    for (const digits of [0, 1, 2, 3]) {
      const covering = shardPrefixes(digits).filter((prefix) => matchesPattern(shardPattern(prefix), path));
      expect(covering).toEqual([bin.slice(0, digits)]);
    }
    expect(shardPattern('3f')).toBe('*/3f??/*/*');
    expect(shardPattern('3f01')).toBe('*/3f01/*/*');
  });
});
