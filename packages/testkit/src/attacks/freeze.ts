// Indefinite freeze: what has expired must not be believed, however well it is
// signed (§5.3.10, §5.4.4, §5.5.6, §5.6.5), and time counts from the start of
// an update (§5.1).

import { strict as assert } from 'node:assert';
import type { Attack } from '../attack.ts';
import { MS } from '../registry-world.ts';
import { START } from '../world.ts';
import { ANNOUNCED, after, CHAIN } from './moves.ts';

export const FREEZE: readonly Attack[] = [
  {
    id: 'freeze/replay',
    title: 'the same files are replayed until the timestamp expires, and after',
    spec: ['4.3/3', '5.4.4'],
    steps: (world) => [
      { move: () => (world.now = after(1) - 1), action: { fetch: MS.path }, kept: {} },
      { move: () => (world.now = after(1)), action: 'refresh', code: 'EXPIRED' },
      { action: { fetch: MS.path }, code: 'EXPIRED' },
    ],
  },
  {
    id: 'freeze/clock-stepping-back',
    title: 'the clock steps back after an expiry was seen, and newer metadata is kept',
    spec: ['5.4.4'],
    steps: (world) => [
      { move: () => (world.now = after(2)), action: 'refresh', code: 'EXPIRED' },
      {
        move: () => {
          world.timestamp.expires = after(3);
          world.publish();
        },
        action: 'refresh',
        kept: { timestamp: 2 },
      },
      { move: () => (world.now = START), action: 'refresh', kept: {} },
    ],
  },
  {
    id: 'freeze/root-expired',
    title: 'no new root is shown to a victim whose root has expired',
    spec: ['5.3.10'],
    steps: (world) => [
      {
        move: () => {
          world.now = after(365);
          world.timestamp.expires = after(400);
          world.publish();
        },
        action: 'refresh',
        code: 'EXPIRED',
        check: ({ requests }) =>
          assert.deepEqual(
            requests.map(({ url }) => url),
            ['metadata/2.root.json'],
          ),
      },
    ],
  },
  {
    id: 'freeze/new-root-expired',
    title: 'the newest root has expired already; it is kept, and nothing after it is asked for',
    spec: ['5.3.8', '5.3.10'],
    steps: (world) => [
      {
        move: () => {
          world.root.expires = START;
          world.publish();
        },
        action: 'refresh',
        code: 'EXPIRED',
        kept: { root: 2 },
      },
    ],
  },
  {
    id: 'freeze/intermediate-root-expired',
    title: 'only an intermediate root has expired, which is no attack',
    spec: ['5.3.6'],
    steps: (world) => {
      world.root.expires = START - 1;
      world.publish();
      world.root.expires = after(365);
      world.publish();
      return [{ action: { fetch: MS.path }, kept: { root: 3, timestamp: 3 } }];
    },
  },
  {
    id: 'freeze/new-timestamp-expired',
    title: 'a new timestamp has expired already, and is not kept',
    spec: ['5.4.4', '5.4.5'],
    steps: (world) => [
      {
        move: () => {
          world.timestamp.expires = START;
          world.publish();
        },
        action: 'refresh',
        code: 'EXPIRED',
      },
    ],
  },
  {
    id: 'freeze/new-snapshot-expired',
    title: 'a new snapshot has expired already, and is not kept',
    spec: ['5.5.6', '5.5.7'],
    steps: (world) => [
      {
        move: () => {
          world.snapshot.expires = START;
          world.publish();
        },
        action: 'refresh',
        code: 'EXPIRED',
        kept: { timestamp: 2 },
      },
    ],
  },
  {
    id: 'freeze/kept-snapshot-expired',
    title: 'the timestamp is renewed and the snapshot is not',
    spec: ['5.5.6'],
    steps: (world) => [
      {
        move: () => {
          world.now = after(90);
          world.timestamp.expires = after(91);
          world.publish();
        },
        action: 'refresh',
        code: 'EXPIRED',
        kept: { timestamp: 2 },
      },
    ],
  },
  ...CHAIN.map(
    (role): Attack => ({
      id: `freeze/new-${role}-expired`,
      title: `a new ${role} has expired already, and is not kept`,
      spec: ['5.6.5', '5.6.6'],
      steps: (world) => [
        {
          move: () => {
            world.role(role).expires = START;
            world.publish();
          },
          action: { fetch: MS.path },
          code: 'EXPIRED',
          kept: ANNOUNCED,
        },
      ],
    }),
  ),
  ...CHAIN.map(
    (role): Attack => ({
      id: `freeze/kept-${role}-expired`,
      title: `${role} is kept and has expired since`,
      spec: ['5.6.5'],
      steps: (world) => {
        world.role(role).expires = after(2);
        world.publish();
        return [
          { action: { fetch: MS.path }, kept: { ...ANNOUNCED, [role]: 2 } },
          {
            move: () => {
              world.now = after(2);
              world.timestamp.expires = after(3);
              world.publish();
            },
            action: { fetch: MS.path },
            code: 'EXPIRED',
            kept: { timestamp: 3 },
          },
        ];
      },
    }),
  ),
  {
    id: 'freeze/time-fixed-at-start',
    title: 'the timestamp expires while the snapshot is slow to come, which is no attack',
    spec: ['5.1'],
    steps: (world) => {
      world.snapshot.expires += 1000;
      world.publish();
      return [
        {
          move: () => world.serve('snapshot', { fault: 'slow', bytes: world.bytes('snapshot'), millis: 3_600_000 }),
          action: 'refresh',
          kept: ANNOUNCED,
          check: () => assert.ok(world.now > world.timestamp.expires),
        },
      ];
    },
  },
];
