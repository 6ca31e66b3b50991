// What the public tuf-conformance suite checks, case by case, with what checks
// it here, so that nothing from outside is needed to know. Where nothing did,
// the test stands below. How to run the public suite: conformance/README.md.

import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hex, utf8 } from '@countersign/core';
import * as fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { keptTarget } from '../../../conformance/kept-target.mjs';
import { ATTACKS, clientDoor, coreDoor, type KeysDraft, World, withMember } from '../src/index.ts';

/** An entry, or the beginning of several, of the catalogue; or a test in a file. */
type Answer = string | { readonly file: string; readonly test: string };

const WORLD = 'packages/testkit/test/world.test.ts';
const DEMANDS = 'packages/testkit/test/demands.test.ts';
const GRAPHS = 'packages/testkit/test/delegation-graphs.test.ts';
const CLIENT = 'packages/client/src/client.test.ts';
const HERE = 'packages/testkit/test/public-suite.test.ts';
const honest: Answer = { file: WORLD, test: 'is trusted: %o' };
const inOrder: Answer = {
  file: CLIENT,
  test: 'asks for root, timestamp, snapshot, targets, and keeps the received bytes',
};

/** By the name of the test in the public suite, without `test_`; how many cases it has. */
const CASES: readonly (readonly [name: string, cases: number, ...answers: readonly Answer[]])[] = [
  [
    'basic_refresh_requests',
    1,
    inOrder,
    { file: WORLD, test: 'is the same in every run, and fetched in the order of §5' },
  ],
  ['basic_refresh_trusted_data', 1, inOrder],
  ['implicit_refresh', 1, { file: CLIENT, test: 'refresh first when nothing is trusted yet' }],
  ['invalid_initial_root', 1, 'anchor/not-json', 'anchor/not-a-root'],
  ['unsigned_initial_root', 1, 'anchor/unsigned'],
  [
    'unsigned_metadata',
    4,
    ...['root', 'timestamp', 'snapshot', 'targets'].map((role) => `wrong-key/${role}-by-stranger`),
  ],
  [
    'url_and_metadata_version_mismatch',
    3,
    'rollback/root-3-after-1',
    'mix-and-match/snapshot-listed-by-version',
    'mix-and-match/targets-listed-by-version',
  ],
  ['timestamp_content_changes', 1, 'mix-and-match/timestamp-of-equal-version'],
  ['basic_metadata_hash_support', 1, honest, 'mix-and-match/targets-listed-by-full'],
  ['targets_hash_mismatch', 1, 'mix-and-match/targets-listed-by-full'],
  ['snapshot_hash_mismatch', 1, 'mix-and-match/snapshot-listed-by-full'],
  ['metadata_bytes_match', 1, inOrder, 'format/pretty-printed'],
  ['custom_fields', 1, { file: DEMANDS, test: '§4/1 members that nobody knows are part of what is signed' }],
  ['deprecated_keyid_hash_algorithms', 1, { file: HERE, test: 'keyid_hash_algorithms means nothing' }],
  ['snapshot_404', 1, 'mirror/snapshot-missing'],
  ['targets_404', 1, 'delegation/targets-not-served'],
  ['timestamp_404', 1, 'mirror/timestamp-missing', 'mirror/timestamp-silence'],
  ['incorrect_metadata_type', 1, ...['root', 'timestamp', 'snapshot', 'targets'].map((role) => `format/${role}-type`)],
  ['faketime', 1, 'freeze/replay'],
  ['root_expired', 1, 'freeze/new-root-expired'],
  ['timestamp_expired', 1, 'freeze/new-timestamp-expired'],
  ['snapshot_expired', 1, 'freeze/new-snapshot-expired'],
  ['targets_expired', 1, 'freeze/new-targets-expired'],
  ['expired_local_root', 1, { file: HERE, test: 'a root that has expired meanwhile is no hindrance' }],
  ['expired_local_timestamp', 1, 'freeze/clock-stepping-back', 'rollback/expired-timestamp-as-floor'],
  ['client_downloads_expected_file', 1, honest],
  [
    'client_downloads_expected_file_in_sub_dir',
    1,
    honest,
    { file: DEMANDS, test: '§5.7.3/1 a target is written under its plain name' },
  ],
  ['repository_substitutes_target_file', 1, 'arbitrary/target-other-file'],
  ['multiple_changes_to_target', 1, { file: HERE, test: 'a target that changes again and again' }],
  ['download_with_hash_algorithms', 3, { file: HERE, test: 'a target listed by %s alone' }],
  ['download_with_unknown_hash_algorithm', 1, 'format/target-hash-unknown-only'],
  [
    'artifact_cache',
    1,
    { file: HERE, test: 'the wrapper of the public suite keeps a file only while it is the target' },
  ],
  [
    'snapshot_does_not_meet_threshold',
    1,
    { file: HERE, test: 'roles are taken with a threshold of their keys, and only so' },
  ],
  ['snapshot_has_too_few_keys', 1, { file: HERE, test: 'roles are taken with a threshold of their keys, and only so' }],
  ['duplicate_keys', 1, 'threshold/one-root-key-under-two-ids', 'threshold/keyid-listed-twice'],
  ['duplicate_sig_keyids', 1, 'threshold/duplicate-towards-two', 'threshold/signature-twice'],
  ['keytype_and_scheme', 3, { file: WORLD, test: 'is trusted with %s keys' }],
  ['invalid_sig_in_valid_metadata', 1, 'threshold/extra-signatures'],
  ['unusual_role_name', 4, 'names/role-%3F', 'names/role-%23', 'names/role-%2Fx', 'names/role-..%2Fx'],
  ['new_timestamp_version_rollback', 1, 'rollback/timestamp'],
  ['snapshot_rollback', 2, 'rollback/snapshot-in-timestamp', 'rollback/everything'],
  ['targets_role_removal', 1, 'rollback/targets-removed'],
  ['targets_fast_forward_recovery', 1, 'fast-forward/targets-by-snapshot-rotation'],
  ['new_snapshot_fast_forward_recovery', 1, 'fast-forward/snapshot'],
  ['new_timestamp_fast_forward_recovery', 1, 'fast-forward/timestamp'],
  ['targets_rollback', 2, 'rollback/targets-in-snapshot'],
  [
    'static_repository',
    2,
    { file: 'packages/client/test/sigstore-vector.test.ts', test: 'is followed from root %i to its trusted_root.json' },
  ],
  ['graph_traversal', 12, { file: GRAPHS, test: '§5.6.7 random delegation graphs' }],
  [
    'targetfile_search',
    9,
    { file: GRAPHS, test: '§5.6.7 random delegation graphs' },
    'delegation/wider-than-the-delegator',
  ],
  ['cached_role_is_verified_against_current_delegator', 1, 'delegation/cached-under-another-delegator'],
  ['delegation_not_in_snapshot', 1, 'delegation/not-in-snapshot'],
  ['root_rotation', 15, { file: HERE, test: 'roots are followed as far as thresholds of old and new keys reach' }],
  ['non_root_rotations', 10, { file: HERE, test: 'roles are taken with a threshold of their keys, and only so' }],
];

describe('what the public suite checks in', () => {
  it.each(CASES.map(([name, , ...answers]) => ({ name, answers })))('$name', ({ answers }) => {
    expect(answers.filter((answer) => !isThere(answer))).toEqual([]);
  });

  it('is all of its 110 cases', () => {
    expect(CASES.reduce((sum, [, cases]) => sum + cases, 0)).toBe(110);
  });
});

describe.each([coreDoor, clientDoor])('through the $name', { timeout: 120_000 }, (door) => {
  it('§5.3.4/1 roots are followed as far as thresholds of old and new keys reach', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(holding(), { minLength: 1, maxLength: 4 }), async (chain) => {
        const world = new World();
        world.authorise('root', [world.key('k0')]);
        world.publish();
        let [expected, before]: [number, Holding] = [1, { keys: [0], threshold: 1, signers: [0] }];
        let open = true;
        for (const [index, next] of chain.entries()) {
          world.authorise('root', keysOf(world, next.keys), next.threshold);
          const version = index + 2;
          world.serve('root', world.seal('root', { version, signers: keysOf(world, next.signers) }), version);
          open &&= isMet(before, next.signers) && isMet(next, next.signers);
          if (open) [expected, before] = [version, next];
        }
        const session = await door.open(world);
        const outcome = await session.refresh();
        expect(outcome.code).toBe(expected === chain.length + 1 ? 'OK' : 'THRESHOLD_NOT_MET');
        const kept = `root_history/${expected}.root.json`;
        expect([session.kept.has(kept), session.kept.has(`root_history/${expected + 1}.root.json`)]).toEqual([
          expected > 1,
          false,
        ]);
      }),
      { seed: 20300301, numRuns: 150 },
    );
  });

  it('§5.4.2/1, §5.5.3/1, §5.6.3/1 roles are taken with a threshold of their keys, and only so', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('timestamp', 'snapshot', 'targets'), holding(), async (role, held) => {
        const world = new World();
        const holders: KeysDraft = { keys: keysOf(world, held.keys), threshold: held.threshold };
        world.root.roles.set(role, holders);
        world[role].signers = keysOf(world, held.signers);
        world.publish();
        const outcome = await (await door.open(world)).refresh();
        expect([role, held, outcome.code]).toEqual([
          role,
          held,
          isMet(held, held.signers) ? 'OK' : 'THRESHOLD_NOT_MET',
        ]);
      }),
      { seed: 20300302, numRuns: 150 },
    );
  });

  it('§4.2.2 keyid_hash_algorithms means nothing, whatever it says', async () => {
    for (const value of [['sha256', 'sha512'], ['md5'], 'sha1', null, 7]) {
      const world = new World();
      const { keyId } = world.key('snapshot');
      world.root.tamper = { signed: (tree) => withMember(tree, ['keys', keyId, 'keyid_hash_algorithms'], value) };
      world.publish();
      expect((await (await door.open(world)).refresh()).code).toBe('OK');
    }
  });

  it('§5.2 a root that has expired meanwhile is no hindrance to the next one', async () => {
    const world = new World();
    world.publish();
    const session = await door.open(world);
    expect((await session.refresh()).code).toBe('OK');
    world.now = world.root.expires + 1;
    for (const draft of [world.root, world.timestamp, world.snapshot, world.targets])
      draft.expires = world.now + 1_000_000;
    world.publish();
    expect((await session.refresh()).code).toBe('OK');
    expect(session.kept.get('root.json')).toEqual(world.bytes('root'));
  });

  it('§5.7.3/3 a target that changes again and again is fetched each time, and a forged one never', async () => {
    const world = new World();
    world.addTarget('targets', 'file', 'version 0');
    world.publish();
    const session = await door.open(world);
    for (let change = 1; change <= 4; change++) {
      expect((await session.fetch('file')).bytes).toEqual(world.content('file'));
      for (const url of world.targetUrls('file'))
        world.files.set(url, Buffer.from('forged no.').subarray(0, world.content('file').length));
      expect((await session.fetch('file')).code).toBe('HASH_MISMATCH');
      expect(session.downloads.get('file')).toEqual(world.content('file'));
      world.addTarget('targets', 'file', `version ${change}`);
      world.publish();
    }
    expect((await session.fetch('file')).bytes).toEqual(utf8('version 4'));
  });

  it.each(['sha256', 'sha512'] as const)(
    '§5.7.3/3 a target listed by %s alone is fetched by it and checked with it',
    async (algorithm) => {
      for (const both of [false, true]) {
        const world = new World();
        world.addTarget('targets', 'file', 'content');
        const target = world.targets.targets.get('file');
        const digest = target?.hashes[algorithm] ?? '';
        if (target !== undefined) target.hashes = both ? target.hashes : { [algorithm]: digest };
        world.publish();
        const session = await door.open(world);
        expect((await session.fetch('file')).bytes).toEqual(world.content('file'));
        expect(world.takeRequests().at(-1)).toMatch(both ? /^targets\/[0-9a-f]+\.file$/ : `targets/${digest}.file`);
        if (target !== undefined)
          target.hashes = { ...target.hashes, [algorithm]: hex(new Uint8Array(digest.length / 2)) };
        world.publish();
        for (const prefix of Object.values(target?.hashes ?? {}))
          world.files.set(`targets/${prefix}.file`, world.content('file'));
        expect((await session.fetch('file')).code).toBe('HASH_MISMATCH');
      }
    },
  );
});

it('§5.7.3/3 the wrapper of the public suite keeps a file only while it is the target, by its content', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'file');
  const world = new World();
  world.addTarget('targets', 'file', 'content');
  const { length = 0, hashes = {} } = world.targets.targets.get('file') ?? {};
  const target = { path: 'file', length, hashes: new Map(Object.entries(hashes)), custom: undefined };
  expect(await keptTarget(path, target)).toBe(false);
  for (const [content, kept] of [
    ['content', true],
    ['contenT', false],
    ['conten', false],
    ['content!', false],
  ] as const) {
    await writeFile(path, content);
    expect([content, await keptTarget(path, target)]).toEqual([content, kept]);
  }
});

/** Who holds a role, how many must sign, who does; keys by number. */
interface Holding {
  readonly keys: readonly number[];
  readonly threshold: number;
  readonly signers: readonly number[];
}

function holding(): fc.Arbitrary<Holding> {
  const numbers = fc.uniqueArray(fc.nat(5), { minLength: 1, maxLength: 5 });
  return fc.record({ keys: numbers, threshold: fc.integer({ min: 1, max: 3 }), signers: numbers });
}

function isMet({ keys, threshold }: Holding, signers: readonly number[]): boolean {
  return signers.filter((signer) => keys.includes(signer)).length >= threshold;
}

function keysOf(world: World, numbers: readonly number[]): KeysDraft['keys'] {
  return numbers.map((number) => world.key(`k${number}`));
}

function isThere(answer: Answer): boolean {
  if (typeof answer !== 'string') {
    return readFileSync(
      join(fileURLToPath(new URL('../../..', import.meta.url)), ...answer.file.split('/')),
      'utf8',
    ).includes(answer.test);
  }
  return ATTACKS.some(({ id }) => id === answer);
}
