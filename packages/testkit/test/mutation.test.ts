// Structured mutants of whole repositories, through the real client with what
// it has kept. Nothing may come of any of them but a typed refusal or what the
// repository really says. That the judge would notice anything else is shown
// for every kind, with clients that are broken on purpose.

import { nodeCrypto } from '@countersign/client/node';
import { MetadataError } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { clientWith, KINDS, runMutants, type Tally, type Victim, type Violation } from '../src/index.ts';
import { naiveVictim } from './naive-victim.ts';

const MUTANTS = 5000;

it(`§5 ${MUTANTS} mutants: no untyped error, no runaway, no forgery, no step back, no partial file`, async () => {
  const tally = await runMutants({ first: 0, count: MUTANTS });
  expect(tally.findings).toEqual([]);
  expect([...tally.outcomes.keys()].sort()).toEqual([...KINDS.keys()].sort());
  // A campaign that is refused or believed as a whole would prove little.
  for (const outcomes of tally.outcomes.values()) {
    expect([...outcomes.keys()].some((outcome) => outcome === 'file fetched')).toBe(true);
  }
  const codes = new Set(
    [...tally.outcomes.values()].flatMap((row) => [...row.keys()].map((outcome) => outcome.split(' ')[1])),
  );
  for (const code of EXPECTED_CODES) expect(codes).toContain(code);
}, 900_000);

describe('the judge', { timeout: 120_000 }, () => {
  const gullible = clientWith({ ...nodeCrypto, check: () => true });
  const refusing: Victim = async () => ({
    refused: new MetadataError('EXPIRED', 'Always'),
    fetched: [],
    trusted: new Map(),
  });
  const HARMLESS = ['cut-once', 'order-of-keys', 'extra-signatures', 'stolen-names'];
  const dangerous = [...KINDS.keys()].filter((kind) => !HARMLESS.includes(kind));

  it.each(dangerous)('notices what a client that checks nothing makes of a mutant of the kind %s', async (kind) => {
    const violations = violationsOf(await runMutants({ first: 0, count: 40, victim: naiveVictim, kinds: [kind] }));
    expect(DANGERS.filter((violation) => violations.has(violation))).not.toEqual([]);
  });

  it.each(HARMLESS)('notices that a client refuses a mutant of the kind %s, which is harmless', async (kind) => {
    const tally = await runMutants({ first: 0, count: 10, victim: refusing, kinds: [kind] });
    expect(violationsOf(tally)).toContain('honest repository refused');
  });

  it.each(['bytes', 'tree', 'signatures', 're-signed-under-right-ids'])(
    'notices that a client takes every signature for good, by a mutant of the kind %s',
    async (kind) => {
      const tally = await runMutants({ first: 0, count: 60, victim: gullible, kinds: [kind] });
      expect(violationsOf(tally)).toContain('accepted forgery');
    },
  );

  it('notices each of the things that must not be', async () => {
    const [naive, refused] = [
      await runMutants({ first: 0, count: 200, victim: naiveVictim }),
      await runMutants({ first: 0, count: 40, victim: refusing }),
    ];
    expect(new Set([...violationsOf(naive), ...violationsOf(refused)])).toEqual(
      new Set([...DANGERS, 'honest repository refused']),
    );
  });

  it('draws the same mutants in every run', async () => {
    expect(await runMutants({ first: 1000, count: 40 })).toEqual(await runMutants({ first: 1000, count: 40 }));
  });
});

function violationsOf({ findings }: Tally): ReadonlySet<Violation> {
  return new Set(findings.map(({ violation }) => violation));
}

const DANGERS: readonly Violation[] = [
  'untyped error',
  'runaway',
  'accepted forgery',
  'accepted malformed file',
  'trust moved backwards',
  'partial file',
];
// Every refusal that metadata or a mirror can give, but for too many roles: scenes are small.
const EXPECTED_CODES = [
  'JSON_INVALID',
  'FORMAT_INVALID',
  'ROLE_TYPE_WRONG',
  'SPEC_VERSION_UNSUPPORTED',
  'SIGNATURE_DUPLICATE',
  'THRESHOLD_NOT_MET',
  'ROLLBACK',
  'VERSION_MISMATCH',
  'EXPIRED',
  'HASH_MISMATCH',
  'HASH_UNSUPPORTED',
  'LENGTH_MISMATCH',
  'LENGTH_EXCEEDED',
  'METADATA_MISSING',
  'ROLE_NOT_LISTED',
  'STATUS_UNEXPECTED',
  'UNREACHABLE',
  'BODY_CUT',
];
