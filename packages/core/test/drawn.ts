// What properties are about, drawn by fast-check: JSON in any spelling that a
// file may have, patterns with paths that nearly match, and bins. Used by
// core's own properties and by those against python.

import * as fc from 'fast-check';
import { targetPathOf } from '../src/index.ts';

const word = fc.oneof(
  fc.constantFrom('a', 'b', '', '10', '9', '__proto__', 'constructor', '\u{1f984}', '\uffff', '\ufb00', '"', '\\', '/'),
  fc.string({ unit: 'binary', maxLength: 6 }),
);

/** A spelling of a value: its members in any order, white space anywhere, characters escaped or not. */
const { text } = fc.letrec<{ text: string }>((tie) => ({
  text: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom('null', 'true', 'false'),
    fc.maxSafeInteger().map(String),
    spelledWord(),
    fc.array(tie('text'), { maxLength: 4 }).chain((items) => spaced('[', items, ']')),
    object(tie('text')),
  ),
}));

/** The text of a JSON object. */
export const jsonTexts: fc.Arbitrary<string> = object(text);

function object(value: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const members = fc.uniqueArray(fc.tuple(word, value), { maxLength: 6, selector: ([name]) => name });
  return fc.tuple(members, fc.infiniteStream(fc.boolean())).chain(([list, escapes]) => {
    const written = list.map(([name, member]) => `${spelled(name, escapes)}:${member}`);
    return spaced('{', written, '}');
  });
}

function spelledWord(): fc.Arbitrary<string> {
  return fc.tuple(word, fc.infiniteStream(fc.boolean())).map(([plain, escapes]) => spelled(plain, escapes));
}

function spelled(plain: string, escapes: fc.Stream<boolean>): string {
  const units = plain.split('').map((unit) => {
    const { value: escape = false } = escapes.next();
    const code = unit.charCodeAt(0);
    // Half of a pair is escaped on both its sides, or on none.
    if (escape && (code < 0xd800 || code > 0xdfff)) return `\\u${code.toString(16).padStart(4, '0')}`;
    return code >= 0xd800 && code <= 0xdfff ? unit : JSON.stringify(unit).slice(1, -1);
  });
  return `"${units.join('')}"`;
}

function spaced(open: string, items: readonly string[], close: string): fc.Arbitrary<string> {
  const gap = fc.constantFrom('', '', ' ', '\n', '\t', '\r\n ');
  return fc.tuple(gap, gap).map(([a, b]) => `${open}${a}${items.join(`${b},${a}`)}${b}${close}`);
}

const segment = fc.string({ unit: fc.constantFrom('a', 'b', '.', '-', '\u{1f984}', 'A'), minLength: 1, maxLength: 4 });
const globbed = fc.string({
  unit: fc.constantFrom('a', 'b', '.', '*', '?', '*', '-', 'A'),
  minLength: 1,
  maxLength: 5,
});

/** A pattern and a path of nearly as many segments. Without `[`, on which dialects differ (ADR 0003). */
export const patternPairs: fc.Arbitrary<readonly [pattern: string, path: string]> = fc
  .array(fc.tuple(globbed, segment), { minLength: 1, maxLength: 4 })
  .chain((pairs) =>
    fc.tuple(
      fc.constant(pairs.map(([glob]) => glob).join('/')),
      fc.oneof(fc.constant(pairs), fc.shuffledSubarray(pairs, { minLength: 1 })),
    ),
  )
  .map(
    ([pattern, pairs]) =>
      [
        pattern,
        pairs.map(([glob, name], i) => (i % 2 === 0 ? name : glob.replaceAll(/[*?]/g, name))).join('/'),
      ] as const,
  );

/** A target path to be hashed. */
export const hashedPaths: fc.Arbitrary<string> = fc
  .array(segment, { minLength: 1, maxLength: 4 })
  .map((list) => list.join('/'))
  .filter((path) => targetPathOf(path) !== undefined);

/** Succinct bins: how many bits, and how they are called. */
export const binRoles: fc.Arbitrary<{ readonly bitLength: number; readonly namePrefix: string }> = fc.record({
  bitLength: fc.integer({ min: 1, max: 32 }),
  namePrefix: fc.constantFrom('bin', 'a-b', 'x.y', '10'),
});

/** Prefixes of hashes, short enough to be met now and then. */
export const hashPrefixes: fc.Arbitrary<readonly string[]> = fc.array(fc.stringMatching(/^[0-9a-f]{1,2}$/), {
  minLength: 1,
  maxLength: 40,
});
