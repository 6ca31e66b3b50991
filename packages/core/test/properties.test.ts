// Properties over what is drawn from fixed seeds, against references that say
// the rule in one line: canonical JSON, path patterns, and bins by hash, classic
// and succinct. The same against python's tuf: python.peer.test.ts.

import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  canonicalBytes,
  matchesPattern,
  plainOf,
  readDocument,
  type SuccinctRoles,
  succinctBin,
  utf8,
} from '../src/index.ts';
import { binRoles, hashedPaths, jsonTexts, patternPairs } from './drawn.ts';

describe('§4.1 canonical JSON', () => {
  test('is what a plain recursive writer makes of what JSON.parse reads', () => {
    fc.assert(
      fc.property(jsonTexts, (text) => {
        const ours = canonicalBytes(readDocument(utf8(text)).root);
        expect(Buffer.from(ours).toString()).toBe(canonical(JSON.parse(text)));
      }),
      { seed: 20300201, numRuns: 1000 },
    );
  });

  test('once written, is what is read: the received slice is the message', () => {
    fc.assert(
      fc.property(jsonTexts, (text) => {
        const { root } = readDocument(utf8(text));
        const written = canonicalBytes(root);
        const again = /[\u0000-\u001f]/.test(Buffer.from(written).toString())
          ? root // control characters stand unescaped in what is signed, and in no file
          : readDocument(written).root;
        expect(plainOf(again)).toEqual(plainOf(root));
        expect(canonicalBytes(again)).toEqual(written);
      }),
      { seed: 20300202, numRuns: 500 },
    );
  });
});

test('§4.5 a pattern matches what the regular expression of its two wildcards matches', () => {
  fc.assert(
    fc.property(patternPairs, ([pattern, path]) => {
      const literal = pattern.replaceAll(/[\\^$.|+()[\]{}]/g, '\\$&');
      const expression = new RegExp(`^${literal.replaceAll('?', '[^/]').replaceAll('*', '[^/]*')}$`, 'u');
      expect([pattern, path, matchesPattern(pattern, path)]).toEqual([pattern, path, expression.test(path)]);
    }),
    { seed: 20300203, numRuns: 5000 },
  );
});

test('TAP 15: the bin of a path is the first bits of its SHA-256, as a binary text says', () => {
  fc.assert(
    fc.property(binRoles, hashedPaths, ({ bitLength, namePrefix }, path) => {
      const digest = createHash('sha256').update(path).digest();
      const bits = [...digest].map((byte) => byte.toString(2).padStart(8, '0')).join('');
      const number = BigInt(`0b${bits.slice(0, bitLength)}`).toString(16);
      const roles: SuccinctRoles = { bitLength, namePrefix, keyIds: [], threshold: 1 };
      const last = ((1n << BigInt(bitLength)) - 1n).toString(16); // as many digits as the last bin's name has
      expect(succinctBin(roles, digest)).toBe(`${namePrefix}-${number.padStart(last.length, '0')}`);
    }),
    { seed: 20300204, numRuns: 1000 },
  );
});

/** Sorted by code point; only the quote and the backslash escaped. */
function canonical(value: unknown): string {
  if (typeof value === 'string') return `"${value.replaceAll(/["\\]/g, '\\$&')}"`;
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  const members = Object.entries(value).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return `{${members.map(([name, member]) => `${canonical(name)}:${canonical(member)}`).join()}}`;
}
