// A claimed name forged by whoever holds every online key: timestamp, snapshot,
// recent and unclaimed shards. Whatever these keys sign, at whatever depth, no
// byte of theirs may pass for a file of a claimed project (DESIGN §5).

import { strict as assert } from 'node:assert';
import type { Attack, Step } from '../attack.ts';
import { DEBUG, IS_ODD, MS, registryWorld, shardOf } from '../registry-world.ts';
import type { World } from '../world.ts';
import { ANNOUNCED } from './moves.ts';

const EVIL = 'evil bytes, signed with every online key';

/** Paths that a gateway might ever ask for on behalf of `ms`, by number of segments. */
const FORGED: readonly (readonly [depth: string, path: string])[] = [
  ['2', 'npm/ms'],
  ['3', 'npm/ms/ms-9.9.9.tgz'],
  ['3-in-its-bin', MS.directory],
  ['4', `${MS.directory}/ms-9.9.9.tgz`],
  ['4-its-own-file', MS.path],
  ['5', `${MS.directory}/-/ms-9.9.9.tgz`],
  ['6', `${MS.directory}/-/dist/ms-9.9.9.tgz`],
];

export const FORGED_CLAIM: readonly Attack[] = [
  ...[0, 1].flatMap((shardDigits) =>
    FORGED.flatMap(([depth, path]) =>
      (['recent', 'unclaimed'] as const).map((kind) => forged(depth, path, kind, shardDigits)),
    ),
  ),
  {
    id: 'forged-claim/owner-role-delegated-by-recent',
    title: 'the recent shard delegates to the claimed owner role, with a key of its own',
    spec: ['5.6.7.2'],
    steps: (world) => [
      {
        move: () => {
          world.delegation('recent', DEBUG.owner).paths = [`${DEBUG.directory}/*`];
          world.role('recent').delegations.unshift({
            name: MS.owner,
            keys: [world.key('evil')],
            threshold: 1,
            terminating: true,
            paths: [`${MS.directory}/*`],
          });
          world.addTarget(MS.owner, `${MS.directory}/ms-9.9.9.tgz`, EVIL);
          world.role(MS.owner).signers = [world.key('evil')];
          world.publish();
        },
        action: { fetch: `${MS.directory}/ms-9.9.9.tgz` },
        code: 'THRESHOLD_NOT_MET',
        kept: ANNOUNCED,
      },
    ],
  },
  {
    id: 'forged-claim/second-epoch-delegated-by-recent',
    title: 'the recent shard delegates the directory of a claimed project to a role of its own',
    spec: ['5.6.7.2.1'],
    steps: (world) => [
      {
        move: () => {
          world.delegate('recent', 'npm.2.ms', {
            keys: [world.key('evil')],
            terminating: true,
            paths: [`${MS.directory}/*`, 'npm/*/*/*', '*'],
          });
          world.addTarget('npm.2.ms', `${MS.directory}/ms-9.9.9.tgz`, EVIL);
          world.publish();
        },
        action: { fetch: `${MS.directory}/ms-9.9.9.tgz` },
        code: 'TARGET_UNKNOWN',
        kept: ANNOUNCED,
      },
      originalStays(world),
    ],
  },
  ...(['claimed', MS.owner, MS.release] as const).map(
    (role): Attack => ({
      id: `forged-claim/${role}-withheld`,
      title: `${role} is withheld from a new victim, so that the search might go on to the online shards`,
      spec: ['5.6.7/2'],
      before: [],
      steps: (world) => [
        {
          move: () => {
            world.addTarget('unclaimed', MS.path, EVIL);
            world.addTarget('recent', MS.path, EVIL);
            world.publish();
            world.files.delete(world.urlOf(role));
          },
          action: { fetch: MS.path },
          code: 'METADATA_MISSING',
          kept: {
            root: 1,
            timestamp: 2,
            snapshot: 2,
            targets: 1,
            ...(role !== 'claimed' && { claimed: 1 }),
            ...(role === MS.release && { [MS.owner]: 1 }),
          },
          check: ({ requests }) => assert.ok(requests.every(({ url }) => !/recent|unclaimed/.test(url))),
        },
      ],
      afterwards: 'refresh',
    }),
  ),
  {
    id: 'forged-claim/name-not-claimed-yet',
    title: 'the same keys can do it to a project that nobody has claimed: what claiming is for',
    spec: ['5.6.7'],
    steps: (world) => [
      {
        move: () => {
          world.addTarget('unclaimed', IS_ODD.path, EVIL);
          world.publish();
        },
        action: { fetch: IS_ODD.path },
        check: ({ outcome }) => assert.deepEqual(outcome.bytes, world.content(IS_ODD.path)),
      },
    ],
  },
];

function forged(depth: string, path: string, kind: 'recent' | 'unclaimed', shardDigits: number): Attack {
  const attack: Attack = {
    id: `forged-claim/depth-${depth}-by-${kind}${shardDigits === 0 ? '' : '-among-16'}`,
    title: `every online key vouches for ${path.split('/').length} segments of a claimed project, through the ${kind} shard`,
    spec: ['4.5/2', '5.6.7.2.1'],
    world: () => registryWorld({ shardDigits }),
    steps: (world) => {
      const genuine = world.content(MS.path);
      const shard = shardOf({ ...MS, kind }, shardDigits);
      const asked: Step =
        path === MS.path
          ? { action: { fetch: path }, check: ({ outcome }) => assert.deepEqual(outcome.bytes, genuine) }
          : { action: { fetch: path }, code: 'TARGET_UNKNOWN', kept: ANNOUNCED };
      return [
        {
          ...asked,
          move: () => {
            // Every online key does its worst: lists the path, and delegates it onwards with every pattern.
            world.addTarget(shard, path, EVIL);
            world.delegate(shard, 'evil', { keys: [world.key(kind)], paths: [path, '*', '*/*', '*/*/*', '*/*/*/*'] });
            world.addTarget('evil', path, EVIL);
            world.publish();
          },
        },
        originalStays(world, genuine),
      ];
    },
    // The world's content of that path has become the forged one.
    afterwards: 'refresh',
  };
  return attack;
}

function originalStays(world: World, genuine = world.content(MS.path)): Step {
  return { action: { fetch: MS.path }, check: ({ outcome }) => assert.deepEqual(outcome.bytes, genuine) };
}
