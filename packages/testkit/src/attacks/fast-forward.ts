// Fast-forward: stolen keys publish the highest version there is, so that the
// honest next one looks like a rollback. Once the keys are rotated, victims
// must get out (§5.3.11); as long as they are not, the floor holds.

import type { Attack, Step } from '../attack.ts';
import { MS } from '../registry-world.ts';
import type { World } from '../world.ts';
import { CHAIN, member } from './moves.ts';

const HIGHEST = Number.MAX_SAFE_INTEGER;

export const FAST_FORWARD: readonly Attack[] = [
  {
    id: 'fast-forward/timestamp',
    title: 'the timestamp is at the highest version, and its key is rotated',
    spec: ['5.3.11'],
    steps: (world) => [
      forwarded(world, ['timestamp']),
      recovered(world, ['timestamp'], () => (world.timestamp.version = 2), { root: 2, timestamp: 2 }),
    ],
  },
  {
    id: 'fast-forward/snapshot',
    title: 'timestamp and snapshot are at the highest version, and both keys are rotated',
    spec: ['5.3.11'],
    steps: (world) => [
      forwarded(world, ['timestamp', 'snapshot']),
      recovered(
        world,
        ['timestamp', 'snapshot'],
        () => {
          world.timestamp.version = 2;
          world.snapshot.version = 2;
        },
        { root: 2, timestamp: 2, snapshot: 2 },
      ),
    ],
  },
  ...(['timestamp', 'snapshot'] as const).map(
    (rotated): Attack => ({
      id: `fast-forward/snapshot-by-${rotated}-rotation`,
      title: `timestamp and snapshot are at the highest version, and only the ${rotated} key is rotated`,
      spec: ['5.3.11'],
      steps: (world) => [
        forwarded(world, ['timestamp', 'snapshot']),
        recovered(
          world,
          [rotated],
          () => {
            world.timestamp.version = 2;
            world.snapshot.version = 2;
          },
          { root: 2, timestamp: 2, snapshot: 2 },
        ),
      ],
    }),
  ),
  ...CHAIN.flatMap((role) =>
    (['snapshot', 'timestamp'] as const).map(
      (rotated): Attack => ({
        id: `fast-forward/${role}-by-${rotated}-rotation`,
        title: `${role} is at the highest version, and only the ${rotated} key is rotated`,
        spec: ['5.3.11', '5.5.5/1'],
        steps: (world) => [
          {
            move: () => {
              world.role(role).version = HIGHEST;
              world.publish();
            },
            action: { fetch: MS.path },
            kept: { timestamp: 2, snapshot: 2, [role]: HIGHEST },
          },
          recovered(world, [rotated], () => (world.role(role).version = 2), {
            root: 2,
            timestamp: 3,
            snapshot: 3,
            [role]: 2,
          }),
        ],
      }),
    ),
  ),
  {
    id: 'fast-forward/not-rotated',
    title: 'the timestamp goes back without a rotation',
    spec: ['5.4.3.1/1'],
    steps: (world) => [
      forwarded(world, ['timestamp']),
      {
        move: () => {
          world.timestamp.version = 2;
          world.publish();
        },
        action: 'refresh',
        code: 'ROLLBACK',
      },
    ],
    afterwards: undefined,
  },
  {
    id: 'fast-forward/root-rotated-but-not-its-online-keys',
    title: 'a new root with the same timestamp and snapshot keys does not lower the floors',
    spec: ['5.3.11'],
    steps: (world) => {
      const old = world.bytes('timestamp');
      world.publish();
      return [
        { action: 'refresh', kept: { timestamp: 2 } },
        {
          move: () => {
            world.authorise('targets', [world.key('targets-2')]);
            world.publish();
            world.serve('timestamp', old);
          },
          action: 'refresh',
          code: 'ROLLBACK',
          kept: { root: 2 },
        },
      ];
    },
  },
  {
    id: 'fast-forward/key-added',
    title: 'a second timestamp key is added, none is taken away: the floors hold',
    spec: ['5.3.11'],
    steps: (world) => {
      const old = world.bytes('timestamp');
      world.publish();
      return [
        { action: 'refresh', kept: { timestamp: 2 } },
        {
          move: () => {
            world.authorise('timestamp', [world.key('timestamp'), world.key('timestamp-2')]);
            world.publish();
            world.serve('timestamp', old);
          },
          action: 'refresh',
          code: 'ROLLBACK',
          kept: { root: 2 },
        },
      ];
    },
  },
  {
    id: 'fast-forward/beyond-the-safe-integers',
    title: 'the timestamp is at version 2^53',
    spec: ['4.2.1', '5.4.3.1/1'],
    steps: (world) => [
      {
        move: () => {
          world.timestamp.tamper = { text: (text) => text.replace(/"version":2}$/, '"version":9007199254740992}') };
          world.publish();
        },
        action: 'refresh',
        code: 'JSON_INVALID',
      },
    ],
  },
  {
    id: 'fast-forward/announced-only',
    title: 'a stolen timestamp key announces the highest snapshot version, which does not exist; its key is rotated',
    spec: ['5.3.11', '5.4.3.2'],
    steps: (world) => [
      {
        move: () => {
          world.timestamp.tamper = member(['meta', 'snapshot.json'], { version: HIGHEST });
          world.publish();
        },
        action: 'refresh',
        code: 'METADATA_MISSING',
        kept: { timestamp: 2 },
      },
      {
        move: () => {
          world.timestamp.tamper = {};
          world.publish();
        },
        action: 'refresh',
        code: 'ROLLBACK',
      },
      recovered(world, ['timestamp'], () => {}, { root: 2, timestamp: 4 }),
    ],
  },
];

function forwarded(world: World, roles: readonly ('timestamp' | 'snapshot')[]): Step {
  return {
    move: () => {
      for (const role of roles) world[role].version = HIGHEST;
      world.publish();
    },
    action: 'refresh',
    kept: Object.fromEntries(roles.map((role) => [role, HIGHEST])),
  };
}

function recovered(
  world: World,
  rotated: readonly ('timestamp' | 'snapshot')[],
  lower: () => void,
  kept: Readonly<Record<string, number>>,
): Step {
  return {
    move: () => {
      for (const role of rotated) world.authorise(role, [world.key(`${role}-2`)]);
      lower();
      world.publish();
    },
    action: { fetch: MS.path },
    kept,
  };
}
