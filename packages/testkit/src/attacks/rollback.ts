// Rollback: something older than what was already trusted, by replay or with
// stolen online keys (§5.3.5, §5.4.3, §5.5.4, §5.5.5, §5.6.4). The floor holds
// even when what was trusted has expired since.

import { strict as assert } from 'node:assert';
import type { Attack } from '../attack.ts';
import { DEBUG, MS, registryWorld } from '../registry-world.ts';
import type { World } from '../world.ts';
import { after, CHAIN, member } from './moves.ts';

export const ROLLBACK: readonly Attack[] = [
  ...[1, 3].map(
    (version): Attack => ({
      id: `rollback/root-${version}-after-1`,
      title: `root ${version} is served as the next after root 1`,
      spec: ['5.3.5'],
      steps: (world) => [
        {
          move: () => world.serve('root', world.seal('root', { version }), 2),
          action: 'refresh',
          code: 'VERSION_MISMATCH',
        },
      ],
    }),
  ),
  {
    id: 'rollback/root-replayed',
    title: 'an old root is served as the next one',
    spec: ['5.3.5'],
    steps: (world) => {
      const old = world.bytes('root');
      renewed(world, 'root');
      return [
        { action: 'refresh', kept: { root: 2, timestamp: 2 } },
        { move: () => world.serve('root', old, 3), action: 'refresh', code: 'VERSION_MISMATCH' },
      ];
    },
  },
  {
    id: 'rollback/timestamp',
    title: 'an older timestamp is replayed',
    spec: ['4.3/2', '5.4.3.1/1'],
    steps: (world) => {
      const old = world.bytes('timestamp');
      world.publish();
      return [
        { action: 'refresh', kept: { timestamp: 2 } },
        { move: () => world.serve('timestamp', old), action: 'refresh', code: 'ROLLBACK' },
        { action: { fetch: MS.path }, code: 'ROLLBACK' },
      ];
    },
  },
  {
    id: 'rollback/everything',
    title: 'the whole repository is served as it was',
    spec: ['5.4.3.1/1'],
    steps: (world) => {
      const old = world.capture();
      world.addTarget(MS.release, `${MS.directory}/ms-2.1.4.tgz`, 'a fix');
      world.publish();
      return [
        { action: { fetch: `${MS.directory}/ms-2.1.4.tgz` } },
        { move: () => world.replay(old), action: { fetch: MS.path }, code: 'ROLLBACK' },
      ];
    },
  },
  {
    id: 'rollback/snapshot-in-timestamp',
    title: 'a stolen timestamp key announces an older snapshot',
    spec: ['5.4.3.2'],
    steps: (world) => {
      renewed(world, 'snapshot');
      return [
        { action: 'refresh', kept: { timestamp: 2, snapshot: 2 } },
        {
          move: () => {
            world.timestamp.tamper = member(['meta', 'snapshot.json'], { version: 1 });
            world.publish();
          },
          action: 'refresh',
          code: 'ROLLBACK',
          check: ({ requests }) => assert.ok(requests.every(({ url }) => !url.includes('snapshot'))),
        },
      ];
    },
  },
  ...CHAIN.map(
    (role): Attack => ({
      id: `rollback/${role}-in-snapshot`,
      title: `stolen online keys announce an older ${role}`,
      spec: ['5.5.5/1'],
      steps: (world) => {
        renewed(world, role);
        return [
          { action: { fetch: MS.path }, kept: { timestamp: 2, snapshot: 2, [role]: 2 } },
          {
            move: () => {
              world.snapshot.tamper = member(['meta', `${role}.json`], { version: 1 });
              world.publish();
            },
            action: { fetch: MS.path },
            code: 'ROLLBACK',
            kept: { timestamp: 3 },
          },
        ];
      },
    }),
  ),
  ...[MS.owner, 'claimed', 'unclaimed'].map(
    (role): Attack => ({
      id: `rollback/${role}-removed`,
      title: `${role} disappears from the snapshot`,
      spec: ['5.5.5/2'],
      steps: (world) => [
        {
          move: () => {
            world.snapshot.tamper = member(['meta', `${role}.json`], undefined);
            world.publish();
          },
          action: { fetch: MS.path },
          code: 'ROLLBACK',
          kept: { timestamp: 2 },
        },
      ],
    }),
  ),
  {
    id: 'rollback/targets-removed',
    title: 'the top-level targets role disappears from the snapshot',
    spec: ['4.4/1', '5.5.5/2'],
    steps: (world) => [
      {
        move: () => {
          world.snapshot.tamper = member(['meta', 'targets.json'], undefined);
          world.publish();
        },
        action: 'refresh',
        code: 'FORMAT_INVALID',
        kept: { timestamp: 2 },
      },
    ],
  },
  {
    id: 'rollback/expired-timestamp-as-floor',
    title: 'the kept timestamp has expired, and an older one has not',
    spec: ['5.4.3.1/1'],
    world: () => {
      const world = registryWorld();
      world.timestamp.expires = after(30);
      world.publish();
      return world;
    },
    steps: (world) => {
      const old = world.bytes('timestamp');
      world.timestamp.expires = after(1);
      world.publish();
      return [
        { action: 'refresh', kept: { timestamp: 3 } },
        {
          move: () => {
            world.now = after(2);
            world.serve('timestamp', old);
          },
          action: 'refresh',
          code: 'ROLLBACK',
        },
      ];
    },
  },
  {
    id: 'rollback/expired-timestamp-as-floor-for-snapshot',
    title: 'the kept timestamp has expired, and a stolen key announces an older snapshot',
    spec: ['5.4.3.2'],
    steps: (world) => {
      renewed(world, 'snapshot');
      return [
        { action: 'refresh' },
        {
          move: () => {
            world.now = after(2);
            world.timestamp.expires = after(3);
            world.timestamp.tamper = member(['meta', 'snapshot.json'], { version: 1 });
            world.publish();
          },
          action: 'refresh',
          code: 'ROLLBACK',
        },
      ];
    },
  },
  {
    id: 'rollback/expired-snapshot-as-floor',
    title: 'the kept snapshot has expired, and a new one lists an older role',
    spec: ['5.5.5/1'],
    steps: (world) => {
      world.snapshot.expires = after(1);
      renewed(world, MS.owner);
      return [
        { action: { fetch: MS.path }, kept: { timestamp: 2, snapshot: 2, [MS.owner]: 2 } },
        {
          move: () => {
            world.now = after(2);
            world.timestamp.expires = after(3);
            world.snapshot.expires = after(90);
            world.snapshot.tamper = member(['meta', `${MS.owner}.json`], { version: 1 });
            world.publish();
          },
          action: 'refresh',
          code: 'ROLLBACK',
          kept: { timestamp: 3 },
        },
      ];
    },
  },
  {
    id: 'rollback/forgotten-by-the-mirror',
    title: 'a refused rollback is tried again and again, with restarts between',
    spec: ['5.4.3.1/1'],
    steps: (world) => {
      const old = world.bytes('timestamp');
      world.publish();
      return [
        { action: 'refresh' },
        { move: () => world.serve('timestamp', old), action: 'refresh', code: 'ROLLBACK' },
        { action: 'restart', kept: {} },
        { action: 'refresh', code: 'ROLLBACK' },
        { action: { fetch: DEBUG.path }, code: 'ROLLBACK' },
      ];
    },
  },
];

/** Publishes a new version of a role: it will last a day longer. */
function renewed(world: World, role: string): void {
  const draft = role === 'root' || role === 'snapshot' ? world[role] : world.role(role);
  draft.expires += 86_400_000;
  world.publish();
}
