import { editTargets, type JsonLiteral, objectOf, readTargets, type TargetFile, type Targets } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { draftLines } from './draft-lines.ts';

const EXPIRES = Date.parse('2040-01-01T00:00:00Z');

function target(file: string, digit: string, custom?: JsonLiteral): TargetFile {
  const hashes = new Map([
    ['sha256', digit.repeat(64)],
    ['sha512', digit.repeat(128)],
  ]);
  return { path: `npm/9e8f/ms/${file}`, length: 3000, hashes, custom: objectOf({ npm: custom }) };
}

function version(
  previous: Targets | undefined,
  set: readonly TargetFile[],
  tags: Record<string, string>,
  remove: readonly string[] = [],
): Targets {
  const members = new Map([['custom', objectOf({ npm: { 'dist-tags': tags } })]]);
  return readTargets(editTargets(previous, { expires: EXPIRES, set, remove, members }), 'npm.1.ms');
}

describe('draftLines', () => {
  const first = version(undefined, [target('ms-1.0.0.tgz', 'a'), target('ms-1.0.1.tgz', 'b')], {
    latest: '1.0.1',
    old: '1.0.0',
  });

  it('a first version is told with its expiry', () => {
    expect(draftLines('npm.1.ms', undefined, first)).toEqual([
      'npm.1.ms: version 1, the first',
      '  +  ms-1.0.0.tgz  3.0 kB  sha256 aaaaaaaaaaaa…',
      '  +  ms-1.0.1.tgz  3.0 kB  sha256 bbbbbbbbbbbb…',
      '  +  npm dist-tags latest  1.0.1',
      '  +  npm dist-tags old     1.0.0',
      '  expires 2040-01-01T00:00:00Z',
    ]);
  });

  it('everything that changes is told, and nothing else', () => {
    const set = [target('ms-2.0.0.tgz', 'c'), target('ms-1.0.1.tgz', 'b', { deprecated: 'too old' })];
    const next = version(first, set, { latest: '2.0.0' }, ['npm/9e8f/ms/ms-1.0.0.tgz']);
    expect(draftLines('npm.1.ms', first, next)).toEqual([
      'npm.1.ms: version 1 → 2',
      '  ~  ms-1.0.1.tgz  3.0 kB  sha256 bbbbbbbbbbbb…  new index entry',
      '  +  ms-2.0.0.tgz  3.0 kB  sha256 cccccccccccc…',
      '  -  ms-1.0.0.tgz  3.0 kB  sha256 aaaaaaaaaaaa…',
      '  ~  npm dist-tags latest  1.0.1 → 2.0.0',
      '  -  npm dist-tags old     1.0.0',
    ]);
  });

  it('replaced content is told', () => {
    const next = version(first, [target('ms-1.0.0.tgz', 'd')], { latest: '1.0.1', old: '1.0.0' });
    expect(draftLines('npm.1.ms', first, next)[1]).toMatch(/~ {2}ms-1\.0\.0\.tgz .* sha256 d+… {2}new content/);
  });
});
