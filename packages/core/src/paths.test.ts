import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codeOf } from '../test/world.ts';
import {
  cacheNameOf,
  isBoundedPattern,
  isTopLevelRole,
  matchesPattern,
  metadataUrl,
  patternCoverage,
  requireTargetPath,
  rootHistoryName,
  targetPathOf,
  targetUrl,
} from './paths.ts';

// Names that have broken other clients (THREATS: unusual role names).
const NASTY: readonly (readonly [string, string])[] = [
  ['project', 'project'],
  ['../x', '..%2Fx'],
  ['/x', '%2Fx'],
  ['a/b', 'a%2Fb'],
  ['..', '..'],
  ['.', '.'],
  ['?', '%3F'],
  ['#', '%23'],
  ['%', '%25'],
  ['%2e%2e', '%252e%252e'],
  ['a\\b', 'a%5Cb'],
  ['a b', 'a%20b'],
  ['a\0b', 'a%00b'],
  ['a\nb', 'a%0Ab'],
  ["!'()*", '%21%27%28%29%2A'],
  ['A-Za_z0.9~', 'A-Za_z0.9~'],
  ['é€😀', '%C3%A9%E2%82%AC%F0%9F%98%80'],
  ['http://x', 'http%3A%2F%2Fx'],
  ['C:x', 'C%3Ax'],
  ['__proto__', '__proto__'],
  ['constructor', 'constructor'],
  ['10', '10'],
  ['', ''],
];

describe('§6.2.1 role names in URLs and in local state', () => {
  test.each(NASTY)('%j', (role, encoded) => {
    expect(metadataUrl(role, 7)).toBe(`7.${encoded}.json`);
    expect(metadataUrl(role, undefined)).toBe(`${encoded}.json`);
    expect(cacheNameOf(role)).toBe(`${encoded}.json`);
  });

  test('§5.3.8 top-level roles keep their plain names; a lookalike in other case does not get one', () => {
    for (const role of ['root', 'timestamp', 'snapshot', 'targets']) expect(cacheNameOf(role)).toBe(`${role}.json`);
    expect(cacheNameOf('Root')).toBe('%52oot.json');
    expect(cacheNameOf('tARGETS')).toBe('%74ARGETS.json');
    expect(cacheNameOf('rooT').toLowerCase()).not.toBe('root.json');
    expect(cacheNameOf('%52oot')).toBe('%2552oot.json'); // no other role can take that name
  });

  test('different names never meet in one file or URL; none leaves the folder', () => {
    const name = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom(...NASTY.map(([role]) => role), 'Root', 'root'),
    );
    fc.assert(
      fc.property(name, name, (a, b) => {
        expect(cacheNameOf(a) === cacheNameOf(b)).toBe(a === b);
        expect(metadataUrl(a, 1) === metadataUrl(b, 1)).toBe(a === b);
        expect(cacheNameOf(a)).toMatch(/^[A-Za-z0-9._~%-]*\.json$/);
        expect(new URL(metadataUrl(a, 1), 'http://host/m/').href).toBe(`http://host/m/${metadataUrl(a, 1)}`);
      }),
    );
  });

  test('the history of roots is in its own folder', () => {
    expect(rootHistoryName(12)).toBe('root_history/12.root.json');
    expect(cacheNameOf('root_history/12.root')).not.toBe(rootHistoryName(12));
  });

  test('isTopLevelRole', () => {
    expect(['root', 'timestamp', 'snapshot', 'targets'].every(isTopLevelRole)).toBe(true);
    expect(['Root', 'mirrors', '', 'constructor'].some(isTopLevelRole)).toBe(false);
  });
});

// 1,023 characters in segments of 255.
const LONGEST = [...Array(4).fill('a'.repeat(255)), ''].join('/').slice(0, -1);

describe('target paths', () => {
  test.each(['a', 'a/b/c.tgz', '...', 'a/.hidden', '..a/b..', 'é/€/😀', 'a b/%2e%2e/c', '*/?/[x]', LONGEST])(
    '%j is one',
    (path) => {
      expect(targetPathOf(path)).toBe(path);
      expect(requireTargetPath(path)).toBe(path);
    },
  );

  test.each([
    '',
    '/',
    '/a',
    'a/',
    'a//b',
    '.',
    '..',
    './a',
    '../a',
    'a/..',
    'a/./b',
    'a/../b',
    'a\\b',
    '..\\a',
    'a\0b',
    'a\nb',
    'a\u001fb',
    'a\u007fb',
    'a\ud800b',
    '\udc00',
    `${LONGEST}/a`,
    'a'.repeat(256),
  ])('%j is not', (path) => {
    expect(targetPathOf(path)).toBeUndefined();
    expect(codeOf(() => requireTargetPath(path))).toBe('USAGE_INVALID');
  });

  test('§6.2.1 the digest goes in front of the last segment; each segment is encoded by itself', () => {
    const digest = 'ab'.repeat(32);
    const url = (path: string, prefix?: string): string => targetUrl(requireTargetPath(path), prefix);
    expect(url('a.tgz')).toBe('a.tgz');
    expect(url('a.tgz', digest)).toBe(`${digest}.a.tgz`);
    expect(url('npm/3f01/@x@y/a b?.tgz', digest)).toBe(`npm/3f01/%40x%40y/${digest}.a%20b%3F.tgz`);
    expect(url('%2e%2e/%2F/#')).toBe('%252e%252e/%252F/%23');
    expect(url('a/b', '../../x?y=')).toBe('a/..%2F..%2Fx%3Fy%3D.b'); // should a digest ever be none
  });

  test('the URL of a target path never leaves its base', () => {
    const segment = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 6 }),
      fc.constantFrom('..', '.', '%2e%2e', '%2F', '?', '#', '\\', ':', '@'),
    );
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 5 }), (segments) => {
        const path = targetPathOf(segments.join('/'));
        if (path === undefined) return;
        const url = new URL(targetUrl(path, undefined), 'http://host/t/');
        expect(url.pathname.startsWith('/t/')).toBe(true);
        expect(decodeURIComponent(url.pathname)).toBe(`/t/${path}`);
        expect(url.search + url.hash).toBe('');
      }),
    );
  });
});

describe('§4.5 patterns', () => {
  test.each<[string, string, boolean]>([
    // The examples of the specification.
    ['targets/*.tgz', 'targets/foo.tgz', true],
    ['targets/*.tgz', 'targets/bar.tgz', true],
    ['targets/*.tgz', 'targets/foo.txt', false],
    ['foo-version-?.tgz', 'foo-version-2.tgz', true],
    ['foo-version-?.tgz', 'foo-version-a.tgz', true],
    ['foo-version-?.tgz', 'foo-version-alpha.tgz', false],
    ['*.tgz', 'foo.tgz', true],
    ['*.tgz', 'targets/foo.tgz', false],
    ['foo.tgz', 'foo.tgz', true],
    ['foo.tgz', 'foo.tgzz', false],
    // A wildcard never crosses a slash.
    ['*', 'a/b', false],
    ['**', 'a/b', false],
    ['**/c', 'a/b/c', false],
    ['a?b', 'a/b', false],
    ['*/*', 'a/b', true],
    ['*/*', 'a/b/c', false],
    ['a/*', 'a', false],
    ['a/*', 'a/', true],
    ['', '', true],
    ['', 'a', false],
    // Stars and question marks.
    ['*', '', true],
    ['?', '', false],
    ['?', 'a', true],
    ['*a*b*', 'xaybz', true],
    ['*a*b', 'xaybz', false],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['a**b', 'ab', true],
    ['a*?', 'a', false],
    ['*?*?', 'ab', true],
    ['*ab', 'aab', true],
    ['*ab*ab', 'abab', true],
    ['*ab*ab', 'aab', false],
    ['a*b', 'xab', false],
    ['*a?*', 'xa', false],
    // `?` is one character, not one UTF-16 unit; a pair is never cut in half.
    ['a?', 'a😀', true],
    ['a??', 'a😀', false],
    ['?', '😀', true],
    ['*?', '😀', true],
    ['*??', '😀', false],
    ['*?*?', '😀', false],
    ['*?b', '😀b', true],
    ['*?a*', '😀😀a', true],
    ['?😀', 'a😀', true],
    ['a?', 'a', false],
    ['npm/3f??/*/*', 'npm/3f01/x/a.tgz', true],
    ['npm/3f??/*/*', 'npm/3e01/x/a.tgz', false],
    ['npm/3f??/*/*', 'npm/3f01/x/y/a.tgz', false],
    // Case matters; leading dots do not.
    ['A', 'a', false],
    ['*', '.hidden', true],
    // A13: what other dialects give a meaning to is literal.
    ['!bar', 'foo', false],
    ['!bar', '!bar', true],
    ['#foo', '#foo', true],
    ['{a,b}1', 'a1', false],
    ['{a,b}1', '{a,b}1', true],
    ['+(abc)', 'abc', false],
    ['[1]', '1', false],
    ['[1]', '[1]', true],
    ['a\\*b', 'a\\xb', true],
    ['a\\*b', 'a*b', false],
    ['.', 'a', false],
    ['a+', 'aa', false],
    ['^a$', 'a', false],
  ])('%j against %j: %s', (pattern, path, want) => {
    expect(matchesPattern(pattern, path)).toBe(want);
  });

  test('agrees with a naive recursive reference', () => {
    const naive = (glob: string, text: string): boolean => {
      if (glob === '') return text === '';
      const rest = glob.slice(1);
      const after = /^[^/]/u.test(text) ? text.replace(/^./u, '') : undefined;
      if (glob.startsWith('*')) return naive(rest, text) || (after !== undefined && naive(glob, after));
      if (glob.startsWith('?')) return after !== undefined && naive(rest, after);
      return text.startsWith(glob.charAt(0)) && naive(rest, text.slice(1));
    };
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?', '/', '*', '[', '.'), maxLength: 8 });
    const path = fc.string({ unit: fc.constantFrom('a', 'b', '/', '*', '[', '.', '😀'), maxLength: 9 });
    fc.assert(
      fc.property(pattern, path, (glob, text) => {
        expect([glob, text, matchesPattern(glob, text)]).toEqual([glob, text, naive(glob, text)]);
      }),
      { numRuns: 5000 },
    );
  });

  test('isBoundedPattern: as long as a path may be, and its segments as long as a path’s', () => {
    for (const pattern of ['', '*', 'a'.repeat(255), LONGEST]) expect(isBoundedPattern(pattern)).toBe(true);
    for (const pattern of ['a'.repeat(256), '*/'.repeat(513)]) expect(isBoundedPattern(pattern)).toBe(false);
  });

  test('a pattern that is its own path matches, whatever is in it', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => matchesPattern(text, text)));
  });

  test('a glob built to explode costs at most pattern times path in looks at characters', () => {
    // Counted, not timed: the text answers each look at a character.
    const looks = (glob: string, text: string): number => {
      let count = 0;
      const counting = new Proxy(new String(text), {
        get(target, name) {
          if (typeof name === 'string' && /^\d+$/.test(name)) count++;
          const value: unknown = Reflect.get(target, name);
          if (typeof value !== 'function') return value;
          return (...args: readonly unknown[]): unknown => {
            count += typeof args[0] === 'string' ? args[0].length : 1;
            return value.apply(target, args);
          };
        },
      });
      const path: string = { split: () => [counting] } as never;
      expect(matchesPattern(glob, path)).toBe(false);
      return count;
    };
    for (const glob of ['*a'.repeat(40) + 'b', `*${'a'.repeat(40)}b`, `${'?*'.repeat(40)}b`, '*'.repeat(80) + 'b']) {
      const text = 'a'.repeat(200);
      const count = looks(glob, text);
      expect(count).toBeGreaterThan(0); // it did look
      expect(count).toBeLessThanOrEqual(glob.length * text.length);
    }
  });
});

describe('patternCoverage: a pattern and the files directly inside a directory', () => {
  test.each<[string, string, 'all' | 'some' | 'none']>([
    ['npm/3f01/x/*', 'npm/3f01/x', 'all'],
    ['*/3f??/*/*', 'npm/3f01/x', 'all'],
    ['npm/3f01/x/*.tgz', 'npm/3f01/x', 'some'],
    ['npm/3f01/x/a.tgz', 'npm/3f01/x', 'some'],
    ['npm/3f01/x/?', 'npm/3f01/x', 'some'],
    ['npm/3f01/y/*', 'npm/3f01/x', 'none'],
    ['npm/3f01/*', 'npm/3f01/x', 'none'],
    ['npm/3f01/x/y/*', 'npm/3f01/x', 'none'],
    ['*', 'npm', 'none'],
    ['npm', 'npm', 'none'],
  ])('%s and %s: %s', (pattern, directory, want) => {
    expect(patternCoverage(pattern, directory)).toBe(want);
  });

  test('says what matchesPattern says of each file', () => {
    const glob = fc.string({ unit: fc.constantFrom('a', '*', '?', '/'), maxLength: 5 });
    const name = fc.string({ unit: fc.constantFrom('a', 'b', '/'), minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(
        glob,
        name,
        fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 3 }),
        (pattern, directory, file) => {
          const coverage = patternCoverage(pattern, directory);
          const matches = matchesPattern(pattern, `${directory}/${file}`);
          if (coverage === 'all') expect(matches).toBe(true);
          if (coverage === 'none') expect(matches).toBe(false);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
