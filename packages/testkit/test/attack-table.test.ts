// Every attack that the specification names among its goals (§1.5.2) and every
// trap of DESIGN §9 has its entry in the catalogue. What no single user can
// meet, such as two publishers at once, has a test elsewhere, named here.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ATTACKS, DOORS } from '../src/index.ts';

/** An entry, or the beginning of several, of the catalogue; or a test elsewhere. */
type Answer = string | { readonly file: string; readonly test: string };

const GOALS: readonly (readonly [attack: string, ...answers: readonly Answer[]])[] = [
  ['arbitrary installation', 'arbitrary/', 'wrong-key/'],
  ['endless data', 'endless/', 'mirror/compressed-bomb'],
  ['extraneous dependencies', 'delegation/extraneous-', 'delegation/wider-than-the-delegator'],
  ['fast-forward', 'fast-forward/'],
  ['indefinite freeze', 'freeze/'],
  ['malicious mirrors preventing updates', 'mirror/bad-one-before-a-good-one', 'mirror/root-', 'mirror/timestamp-'],
  ['mix-and-match', 'mix-and-match/'],
  ['rollback', 'rollback/'],
  [
    'key compromise, of one key or fewer than the threshold',
    'threshold/',
    'wrong-key/',
    'forged-claim/',
    'delegation/key-revoked',
  ],
  ['wrong software installation', 'arbitrary/target-other-file', 'names/collision-between-projects'],
];

const TRAPS: readonly (readonly [trap: string, ...answers: readonly Answer[]])[] = [
  ['a key listed twice under two ids', 'threshold/one-key-under-two-ids', 'threshold/one-root-key-under-two-ids'],
  ['hashes: {}', 'format/npm.1.ms.r.ci-hashes-empty', 'format/snapshot-meta-hashes-empty'],
  ['weak algorithms only', 'format/target-hash-md5-only', 'format/announced-by-md5-only'],
  ...['constructor', '__proto__', '10', '..%2Fx', '%3F', '%23', 'a%2Fb'].map(
    (name) => [`the role name ${decodeURIComponent(name)}`, `names/role-${name}`] as const,
  ),
  ['keys in astral planes', 'names/role-%F0%9F%A6%84', 'names/keyid-%F0%9F%A6%84', 'format/pretty-printed'],
  [
    'expired local files as rollback floors',
    'rollback/expired-timestamp-as-floor',
    'rollback/expired-timestamp-as-floor-for-snapshot',
    'rollback/expired-snapshot-as-floor',
  ],
  ['a cached role checked against another delegator', 'delegation/cached-under-another-delegator'],
  [
    'fast-forward recovery after key rotation',
    'fast-forward/timestamp',
    'fast-forward/snapshot',
    'fast-forward/targets-by-',
  ],
  ['null where an object belongs', 'format/null', 'format/signed-null', 'format/timestamp-meta-null'],
  ['fractional versions', 'format/fraction', 'format/whole-fraction', 'format/exponent'],
  [
    'two processes refreshing one cache',
    {
      file: 'packages/testkit/test/shared-state.test.ts',
      test: '§5 leave a folder from which the next one gets the newest',
    },
  ],
  [
    'a crash at every write',
    { file: 'packages/testkit/test/crash.test.ts', test: '§5 survives that the process dies before effect' },
    { file: 'packages/repository/test/power-loss.test.ts', test: 'shows everything again after the power was lost' },
  ],
  [
    'a body longer than its limit with the connection kept open',
    'endless/timestamp',
    'endless/target',
    {
      file: 'packages/client/src/mirror.test.ts',
      test: '§5.4.1 endless data: stops at the limit and releases the connection',
    },
  ],
  [
    'compressed bombs',
    'mirror/compressed-bomb',
    'mirror/compressed-target',
    { file: 'packages/ecosystems/src/npm/tarball.test.ts', test: 'bombs: unpacked size, ratio, entries' },
  ],
  ['a mirror answering 403 for the next root', 'mirror/403-for-the-next-root'],
  ['a glob built to explode', 'delegation/exploding-patterns', 'delegation/endless-pattern'],
  [
    'two publishers racing',
    { file: 'apps/server/src/collection-folder.test.ts', test: 'is served by one process at a time' },
    { file: 'apps/server/src/faults.peer.test.ts', test: 'two who both believe that they publish' },
  ],
  [
    'a timestamp read while being replaced',
    'mirror/timestamp-torn',
    { file: 'apps/server/src/metadata-files.test.ts', test: 'is gone as soon as it is gone from the disk' },
  ],
  [
    'an object store that overwrites',
    { file: 'packages/repository/test/s3.test.ts', test: 'refuses a store that overwrites' },
  ],
  ['clocks stepping back', 'freeze/clock-stepping-back'],
  [
    'a resume that would mix two files',
    'mirror/resume-mixes-two-files',
    { file: 'apps/server/src/metadata-files.test.ts', test: 'a resume that would mix two files gets the whole one' },
  ],
];

describe.each([
  { what: '§1.5.2 the goal to withstand', table: GOALS },
  { what: 'the trap of DESIGN §9', table: TRAPS },
])('$what', ({ table }) => {
  it.each(table.map(([name, ...answers]) => ({ name, answers })))('$name', ({ answers }) => {
    expect(answers.filter((answer) => !isThere(answer))).toEqual([]);
  });
});

it('§1.5.2 is complete: every attack that the specification names', () => {
  expect(GOALS).toHaveLength(10);
});

it('every door is one that attacks go through', () => {
  expect(DOORS.map(({ name }) => name)).toEqual(['core', 'client', 'client, restarted at every step']);
  for (const file of [
    'packages/testkit/test/attacks-core.test.ts',
    'packages/testkit/test/attacks-client.test.ts',
    'apps/gateway/src/attacks.test.ts',
  ]) {
    expect(textOf(file)).toMatch(/ATTACKS\.map\(/);
  }
});

function isThere(answer: Answer): boolean {
  if (typeof answer !== 'string') return textOf(answer.file).includes(answer.test);
  return ATTACKS.some(({ id }) => (/[-/]$/.test(answer) ? id.startsWith(answer) : id === answer));
}

function textOf(file: string): string {
  return readFileSync(join(fileURLToPath(new URL('../../..', import.meta.url)), ...file.split('/')), 'utf8');
}
