// Delegations: a role may speak only for what every delegation on the way to
// it covers, only under the keys of the delegator it was reached from, in the
// order of appearance, and at a bounded cost (§4.5, §5.6.7).

import { strict as assert } from 'node:assert';
import type { Attack } from '../attack.ts';
import { DEBUG, IS_ODD, MS, registryWorld } from '../registry-world.ts';
import type { World } from '../world.ts';
import { ANNOUNCED, CHAIN, member } from './moves.ts';

const OTHER = `${MS.directory}/other.txt`;

export const DELEGATION: readonly Attack[] = [
  ...[`${MS.directory}/ms-9.9.9.tgz`, `${IS_ODD.directory}/is-odd-9.9.9.tgz`].map(
    (path): Attack => ({
      id: `delegation/extraneous-${path.split('/')[2] ?? ''}`,
      title: `the owner of debug lists ${path}, a file of another project`,
      spec: ['4.5/2', '5.6.7/1'],
      steps: (world) => [
        {
          move: () => {
            world.addTarget(DEBUG.owner, path, 'a dependency nobody asked for');
            world.publish();
          },
          action: { fetch: path },
          code: 'TARGET_UNKNOWN',
          // Only an unclaimed path leads through the shards as far as the unclaimed one.
          kept: path.includes('is-odd') ? { ...ANNOUNCED, unclaimed: 1 } : ANNOUNCED,
        },
      ],
    }),
  ),
  {
    id: 'delegation/wider-than-the-delegator',
    title: 'the owner of debug delegates everything to a release role, which lists a file of is-odd',
    spec: ['4.5/2'],
    steps: (world) => [
      {
        move: () => {
          world.delegate(DEBUG.owner, DEBUG.release, { paths: ['*/*/*/*', `${IS_ODD.directory}/*`, '*'] });
          world.addTarget(DEBUG.release, `${IS_ODD.directory}/is-odd-9.9.9.tgz`, 'evil');
          world.publish();
        },
        action: { fetch: `${IS_ODD.directory}/is-odd-9.9.9.tgz` },
        code: 'TARGET_UNKNOWN',
        kept: { ...ANNOUNCED, unclaimed: 1 },
      },
    ],
  },
  {
    id: 'delegation/cached-under-another-delegator',
    title: 'a role kept under one delegator is asked for through another that trusts another key',
    spec: ['5.6.3/1', '5.6.7'],
    world: () => {
      const world = registryWorld();
      world.role(DEBUG.owner).delegations.push({
        name: MS.release,
        keys: [world.key('debug-release')],
        threshold: 1,
        terminating: false,
        paths: [`${DEBUG.directory}/*`],
      });
      // The owners of ms alone sign their release role, and put a file of debug into it.
      world.role(MS.release).signers = [world.key('ms-release')];
      world.addTarget(MS.release, `${DEBUG.directory}/debug-9.9.9.tgz`, 'evil');
      world.publish();
      return world;
    },
    steps: () => [
      { action: { fetch: `${DEBUG.directory}/debug-9.9.9.tgz` }, code: 'THRESHOLD_NOT_MET' },
      { action: { fetch: MS.path }, kept: {} },
    ],
  },
  {
    id: 'delegation/key-revoked',
    title: 'a kept role is signed with a key that its owner has taken away since',
    spec: ['5.6.3/1', '5.6.7/2'],
    steps: (world) => [
      {
        move: () => {
          world.role(MS.release).signers = [world.key('ms-release')];
          world.delegation(MS.owner, MS.release).keys = [world.key('ms-release-2')];
          world.publish();
        },
        action: { fetch: MS.path },
        code: 'THRESHOLD_NOT_MET',
        kept: { ...ANNOUNCED, [MS.owner]: 2 },
      },
    ],
  },
  {
    id: 'delegation/cycle',
    title: 'a release role delegates back to its owner, and to itself',
    spec: ['5.6.7.1/1'],
    steps: (world) => [
      {
        move: () => {
          const owners = [world.key('ms-owner-1'), world.key('ms-owner-2')];
          world.delegate(MS.release, MS.owner, { keys: owners, threshold: 2, paths: [`${MS.directory}/*`] });
          world.delegate(MS.release, MS.release, { keys: [world.key('ms-release')], paths: [`${MS.directory}/*`] });
          world.publish();
        },
        action: { fetch: OTHER },
        code: 'TARGET_UNKNOWN',
        kept: { ...ANNOUNCED, [MS.release]: 2 },
      },
    ],
  },
  {
    id: 'delegation/terminating-ends-the-search',
    title: 'a terminating delegation that does not list the file hides the later one that does',
    spec: ['5.6.7.2.1'],
    world: () => withBranches(true),
    steps: () => [
      {
        action: { fetch: OTHER },
        code: 'TARGET_UNKNOWN',
        kept: { 'npm.1.ms.r.a': 1, 'npm.1.ms.r.a-below': 1 },
        check: ({ requests }) => assert.ok(requests.every(({ url }) => !url.includes('r.b'))),
      },
    ],
  },
  {
    id: 'delegation/subtree-before-later-ones',
    title: 'without it, the whole subtree is searched before the later delegation',
    spec: ['5.6.7/1', '5.6.7.2'],
    world: () => withBranches(false),
    steps: (world) => [
      {
        action: { fetch: OTHER },
        kept: { 'npm.1.ms.r.a': 1, 'npm.1.ms.r.a-below': 1, 'npm.1.ms.r.b': 1 },
        check: ({ outcome }) => assert.deepEqual(outcome.bytes, world.content(OTHER)),
      },
    ],
  },
  {
    id: 'delegation/order-of-appearance',
    title: 'a later role lists the same file with another content',
    spec: ['4.5/3', '5.6.7.2', '5.6.7.2.2'],
    steps: (world) => {
      const genuine = world.content(MS.path);
      return [
        {
          move: () => {
            world.delegate(MS.owner, 'npm.1.ms.r.later', { paths: [`${MS.directory}/*`] });
            world.addTarget('npm.1.ms.r.later', MS.path, 'another content');
            world.publish();
          },
          action: { fetch: MS.path },
          check: ({ outcome }) => assert.deepEqual(outcome.bytes, genuine),
        },
      ];
    },
  },
  {
    id: 'delegation/failure-ends-the-search',
    title: 'the first of two release roles is not served; the later one lists the file, too',
    spec: ['5.6.7/2'],
    world: () => withBranches(false),
    steps: (world) => [
      {
        move: () => world.files.delete(world.urlOf('npm.1.ms.r.a')),
        action: { fetch: OTHER },
        code: 'METADATA_MISSING',
      },
    ],
  },
  {
    id: 'delegation/not-in-snapshot',
    title: 'a delegated role is missing from the snapshot: it is not even asked for',
    spec: ['4.4/1', '5.6.7/2'],
    steps: (world) => [
      {
        move: () => {
          world.delegate(MS.owner, 'npm.1.ms.r.unlisted', { paths: [`${MS.directory}/*`] });
          world.addTarget('npm.1.ms.r.unlisted', OTHER, 'other');
          world.snapshot.tamper = member(['meta', 'npm.1.ms.r.unlisted.json'], undefined);
          world.publish();
        },
        action: { fetch: OTHER },
        code: 'ROLE_NOT_LISTED',
        kept: { ...ANNOUNCED, [MS.owner]: 2 },
        check: ({ requests }) => assert.ok(requests.every(({ url }) => !url.includes('unlisted'))),
      },
    ],
  },
  ...CHAIN.map(
    (role): Attack => ({
      id: `delegation/${role}-not-served`,
      title: `the announced ${role} is not served`,
      spec: ['5.6.1', '5.6.7/2'],
      steps: (world) => {
        world.role(role).expires += 1000;
        world.publish();
        return [
          {
            move: () => world.files.delete(world.urlOf(role)),
            action: { fetch: MS.path },
            code: 'METADATA_MISSING',
            kept: ANNOUNCED,
          },
        ];
      },
    }),
  ),
  {
    id: 'delegation/endless-chain',
    title: 'each release role delegates to another one, forty deep',
    spec: ['5.6.7.1/2'],
    steps: (world) => [
      {
        move: () => {
          let parent = MS.release;
          for (let depth = 0; depth < 40; depth++) {
            const name = `${MS.release}-${depth}`;
            world.delegate(parent, name, { keys: [world.key('ms-release')], paths: [`${MS.directory}/*`] });
            parent = name;
          }
          world.addTarget(parent, OTHER, 'other');
          world.publish();
        },
        action: { fetch: OTHER },
        code: 'DELEGATIONS_EXCEEDED',
        check: ({ requests }) => assert.ok(requests.length < 40),
        kept: { ...ANNOUNCED, [MS.release]: 2, ...numbered(28) },
      },
    ],
  },
  {
    id: 'delegation/many-siblings',
    title: 'one role delegates to three hundred others',
    spec: ['5.6.7.1/2'],
    steps: (world) => [
      {
        move: () => {
          for (let i = 0; i < 300; i++) {
            world.delegate(MS.release, `${MS.release}-${i}`, {
              keys: [world.key('ms-release')],
              paths: [`${MS.directory}/*`],
            });
          }
          world.publish();
        },
        action: { fetch: OTHER },
        code: 'DELEGATIONS_EXCEEDED',
        check: ({ requests }) => assert.ok(requests.length < 40),
        kept: { ...ANNOUNCED, [MS.release]: 2, ...numbered(28) },
      },
    ],
  },
  {
    id: 'delegation/exploding-patterns',
    title: 'patterns that make a backtracking matcher take for ever',
    spec: ['4.5'],
    steps: (world) => {
      const long = `${MS.directory}/${'a'.repeat(250)}`;
      return [
        {
          move: () => {
            const patterns = ['*a'.repeat(120), '?*'.repeat(120), '*'.repeat(250), 'a*'.repeat(120), '*a?*'.repeat(60)];
            const paths = patterns.map((pattern) => `${MS.directory}/${pattern}b`);
            world.delegate(MS.owner, 'npm.1.ms.r.globs', { paths });
            world.publish();
          },
          action: { fetch: long },
          code: 'TARGET_UNKNOWN',
          kept: { ...ANNOUNCED, [MS.owner]: 2 },
        },
      ];
    },
  },
  {
    id: 'delegation/endless-pattern',
    title: 'a pattern is longer than any path',
    spec: ['4.5'],
    steps: (world) => [
      {
        move: () => {
          const paths = [`${MS.directory}/${'*a'.repeat(100_000)}`];
          world.role(MS.owner).tamper = member(['delegations', 'roles', 0, 'paths'], paths);
          world.publish();
        },
        action: { fetch: MS.path },
        code: 'FORMAT_INVALID',
        kept: ANNOUNCED,
      },
    ],
  },
  ...[
    ['dots', `${MS.directory}/../${IS_ODD.project.segment}/x`],
    ['backslash', `${MS.directory}/..\\x`],
    ['empty-segment', `${MS.directory}//x`],
    ['absolute', '/etc/passwd'],
    ['nul', `${MS.directory}/x\0`],
    ['long', `${MS.directory}/${'x'.repeat(2000)}`],
  ].map(
    ([what = '', path = '']): Attack => ({
      id: `delegation/target-path-${what}`,
      title: 'a path that is none is asked for, and an online key lists it',
      spec: ['4.5'],
      steps: (world) => [
        {
          move: () => {
            world.role('unclaimed').targets.set(path, { length: 1, hashes: { sha256: '00' } });
            world.publish();
          },
          action: { fetch: path },
          code: 'USAGE_INVALID',
          kept: ANNOUNCED,
        },
      ],
    }),
  ),
];

/** Two more release roles after the first: `a`, with one below it, and `b`, which lists a file. */
function withBranches(terminating: boolean): World {
  const world = registryWorld();
  const paths = [`${MS.directory}/*`];
  world.delegate(MS.owner, 'npm.1.ms.r.a', { paths, terminating });
  world.delegate('npm.1.ms.r.a', 'npm.1.ms.r.a-below', { paths });
  world.delegate(MS.owner, 'npm.1.ms.r.b', { paths });
  world.addTarget('npm.1.ms.r.b', OTHER, 'other');
  world.publish();
  return world;
}

/** The first versions of so many roles below the release role of `ms`. */
function numbered(count: number): Readonly<Record<string, number>> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`${MS.release}-${i}`, 1]));
}
