// Endless data: a body that never ends must cost no more than its limit, at
// each place where one is read (§5.3.3, §5.4.1, §5.5.1, §5.6.1, §5.7.3).

import { strict as assert } from 'node:assert';
import { DEFAULT_LIMITS } from '@countersign/core';
import type { After, Attack } from '../attack.ts';
import { DEBUG, MS } from '../registry-world.ts';
import type { World } from '../world.ts';
import { ANNOUNCED, CHAIN } from './moves.ts';

export const ENDLESS_DATA: readonly Attack[] = [
  {
    id: 'endless/root',
    title: 'the next root never ends',
    spec: ['5.3.3/1'],
    steps: (world) => [
      {
        move: () => world.serve('root', { fault: 'endless', start: world.seal('root', { version: 2 }) }, 2),
        action: 'refresh',
        code: 'LENGTH_EXCEEDED',
        check: bounded(DEFAULT_LIMITS.rootBytes),
      },
    ],
  },
  {
    id: 'endless/timestamp',
    title: 'the timestamp never ends',
    spec: ['5.4.1/1'],
    steps: (world) => [
      {
        move: () => world.serve('timestamp', { fault: 'endless', start: world.bytes('timestamp') }),
        action: 'refresh',
        code: 'LENGTH_EXCEEDED',
        check: bounded(DEFAULT_LIMITS.timestampBytes),
      },
    ],
  },
  {
    id: 'endless/snapshot',
    title: 'the snapshot never ends',
    spec: ['5.5.1/1'],
    steps: (world) => {
      world.snapshot.expires += 1000;
      world.publish();
      const start = world.bytes('snapshot');
      return [
        {
          move: () => world.serve('snapshot', { fault: 'endless', start }),
          action: 'refresh',
          code: 'LENGTH_EXCEEDED',
          kept: { timestamp: 2 },
          check: bounded(start.length),
        },
      ];
    },
  },
  {
    id: 'endless/snapshot-without-length',
    title: 'the snapshot never ends, and no length was announced',
    spec: ['4.4/2', '5.5.1/1'],
    steps: (world) => {
      world.snapshot.expires += 1000;
      world.timestamp.listing = 'version';
      world.publish();
      return [
        {
          move: () => world.serve('snapshot', { fault: 'endless', start: world.bytes('snapshot') }),
          action: 'refresh',
          code: 'LENGTH_EXCEEDED',
          kept: { timestamp: 2 },
          check: bounded(DEFAULT_LIMITS.snapshotBytes),
        },
      ];
    },
  },
  ...CHAIN.flatMap((role) => [endlessRole(role, 'full'), endlessRole(role, 'version')]),
  {
    id: 'endless/target',
    title: 'a target never ends',
    spec: ['5.7.3/2'],
    before: [{ fetch: DEBUG.path }],
    steps: (world) => [
      {
        move: () => {
          const start = world.content(MS.path);
          for (const url of world.targetUrls(MS.path)) world.files.set(url, { fault: 'endless', start });
        },
        action: { fetch: MS.path },
        code: 'LENGTH_EXCEEDED',
        kept: { [MS.owner]: 1, [MS.release]: 1 },
        check: bounded(world.content(MS.path).length),
      },
    ],
  },
];

function endlessRole(role: string, listing: 'full' | 'version'): Attack {
  return {
    id: `endless/${role}${listing === 'full' ? '' : '-without-length'}`,
    title: `${role} never ends${listing === 'full' ? '' : ', and no length was announced'}`,
    spec: listing === 'full' ? ['5.6.1/1'] : ['4.4/2', '5.6.1/1'],
    steps: (world) => {
      renew(world, role, listing);
      const start = world.bytes(role);
      return [
        {
          move: () => world.serve(role, { fault: 'endless', start }),
          action: { fetch: MS.path },
          code: 'LENGTH_EXCEEDED',
          kept: ANNOUNCED,
          check: bounded(listing === 'full' ? start.length : DEFAULT_LIMITS.targetsBytes),
        },
      ];
    },
  };
}

function renew(world: World, role: string, listing: 'full' | 'version'): void {
  world.role(role).listing = listing;
  world.role(role).expires += 1000;
  world.publish();
}

/** No body was read much beyond the limit: what a network has on its way in one piece is allowed. */
function bounded(limit: number): (after: After) => void {
  return ({ requests }) => {
    for (const { url, taken } of requests) assert.ok(taken <= limit + PIECE, `${taken} bytes of ${url} were read`);
  };
}

const PIECE = 65_536;
