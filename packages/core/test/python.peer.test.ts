// The properties of core against python's reference implementation: canonical
// JSON against securesystemslib, patterns and bins against tuf. One process
// answers all of a property's questions.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { coreDoor, World } from '@countersign/testkit';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { requirePeer } from '../../../tools/peers/require-peer.ts';
import { canonicalBytes, hex, matchesPattern, readDocument, succinctBin, utf8 } from '../src/index.ts';
import { binRoles, hashedPaths, hashPrefixes, jsonTexts, patternPairs } from './drawn.ts';

test('§4.1 canonical JSON is what securesystemslib writes', (context) => {
  const texts = fc.sample(jsonTexts, { seed: 20300205, numRuns: 4000 });
  const asked = texts.map((text) => ({ what: 'canonical', text }));
  const ours = texts.map((text) => hex(canonicalBytes(readDocument(utf8(text)).root)));
  expectAgreement(asked, ours, answersOf(context, asked));
});

test('§4.5 patterns match what python-tuf matches', (context) => {
  const pairs = fc.sample(patternPairs, { seed: 20300206, numRuns: 6000 });
  const asked = pairs.map(([pattern, path]) => ({ what: 'pattern', pattern, path }));
  const ours = pairs.map(([pattern, path]) => matchesPattern(pattern, path));
  expect(new Set(ours)).toEqual(new Set([true, false]));
  expectAgreement(asked, ours, answersOf(context, asked));
});

test('§4.5/4 bins by hash prefixes hold what python-tuf puts there', async (context) => {
  const cases = fc.sample(fc.tuple(hashPrefixes, hashedPaths), { seed: 20300207, numRuns: 400 });
  const asked = cases.map(([prefixes, path]) => ({ what: 'prefixes', prefixes, path }));
  const ours = await Promise.all(cases.map(([prefixes, path]) => isFound(prefixes, path)));
  expect(new Set(ours)).toEqual(new Set([true, false]));
  expectAgreement(asked, ours, answersOf(context, asked));
});

test('TAP 15: succinct bins are those of python-tuf', (context) => {
  const cases = fc.sample(fc.tuple(binRoles, hashedPaths), { seed: 20300208, numRuns: 4000 });
  const asked = cases.map(([roles, path]) => ({ what: 'succinct', ...roles, path }));
  const ours = cases.map(([roles, path]) => succinctBin({ ...roles, keyIds: [], threshold: 1 }, digestOf(path)));
  expectAgreement(asked, ours, answersOf(context, asked));
});

/** Whether a path is found that a bin lists. */
async function isFound(prefixes: readonly string[], path: string): Promise<boolean> {
  const world = new World();
  world.delegate('targets', 'bin', { prefixes });
  world.addTarget('bin', path, 'content');
  world.publish();
  return (await (await coreDoor.open(world)).fetch(path)).code === 'OK';
}

function answersOf(context: Parameters<typeof requirePeer>[1], asked: readonly object[]): readonly unknown[] {
  const { command } = requirePeer('python-tuf', context);
  const script = fileURLToPath(new URL('python-oracle.py', import.meta.url));
  const input = asked.map((question) => `${JSON.stringify(question)}\n`).join('');
  const { stdout, stderr, status } = spawnSync(command, [script], { input, encoding: 'utf8', maxBuffer: 2 ** 27 });
  if (status !== 0) throw new Error(stderr);
  return stdout
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
}

/** Question by question, so that a difference shows what was asked. */
function expectAgreement(asked: readonly object[], ours: readonly unknown[], theirs: readonly unknown[]): void {
  expect(theirs).toHaveLength(asked.length);
  const apart = asked.flatMap((question, i) =>
    ours[i] === theirs[i] ? [] : [{ question, ours: ours[i], theirs: theirs[i] }],
  );
  expect(apart.slice(0, 5)).toEqual([]);
}

function digestOf(path: string): Uint8Array {
  return createHash('sha256').update(path).digest();
}
