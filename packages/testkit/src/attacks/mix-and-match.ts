// Mix-and-match: files that were all published, but never together, and files
// of one version with two contents (§5.4.3.1, §5.5.2, §5.5.4, §5.6.2, §5.6.4).

import type { Code } from '@countersign/core';
import type { Attack } from '../attack.ts';
import { MS, registryWorld } from '../registry-world.ts';
import { ANNOUNCED, CHAIN, keptUpTo } from './moves.ts';

export const MIX_AND_MATCH: readonly Attack[] = [
  {
    id: 'mix-and-match/timestamp-of-equal-version',
    title: 'a timestamp of the version already trusted has other content, which changes nothing',
    spec: ['5.4.3.1/2'],
    steps: (world) => [
      {
        move: () => {
          world.addTarget('unclaimed', MS.path, 'another content');
          world.timestamp.version = 1;
          world.publish();
          world.timestamp.version = 1;
          world.serve('timestamp', world.seal('timestamp'));
        },
        action: { fetch: MS.path },
        kept: {},
      },
    ],
    afterwards: 'refresh',
  },
  ...['snapshot', ...CHAIN].flatMap((role) => [
    mixed(role, 'full', 'HASH_MISMATCH', 'other content of the same length under the announced version'),
    mixed(role, 'version', 'VERSION_MISMATCH', 'the version before the announced one, announced without hashes'),
  ]),
  {
    id: 'mix-and-match/two-snapshots-of-one-version',
    title: 'a snapshot of the announced version lists another targets role',
    spec: ['5.5.2'],
    steps: (world) => [
      {
        move: () => {
          world.snapshot.expires += 1000;
          world.publish();
          world.snapshot.expires += 1000;
          world.serve('snapshot', world.seal('snapshot'));
        },
        action: 'refresh',
        code: 'HASH_MISMATCH',
        kept: { timestamp: 2 },
      },
    ],
  },
  ...CHAIN.flatMap((role) => [
    ofOtherLength(role, 'shorter', 'LENGTH_MISMATCH'),
    ofOtherLength(role, 'longer', 'LENGTH_EXCEEDED'),
  ]),
];

/** The announced version, well signed, is not the announced one: only its length tells. */
function ofOtherLength(role: string, other: 'shorter' | 'longer', code: Code): Attack {
  return {
    id: `mix-and-match/${role}-${other}`,
    title: `${role}, listed by length, comes as another file of the same version, which is ${other}`,
    spec: ['5.6.1', '5.6.2'],
    steps: (world) => {
      const draft = world.role(role);
      draft.listing = 'length';
      draft.members.set('note', 'as announced');
      world.publish();
      draft.members.set('note', other === 'shorter' ? '' : 'not as it was announced');
      return [
        {
          move: () => world.serve(role, world.seal(role)),
          action: { fetch: MS.path },
          code,
          kept: ANNOUNCED,
        },
      ];
    },
  };
}

function mixed(role: string, listing: 'full' | 'version', code: Code, title: string): Attack {
  return {
    id: `mix-and-match/${role}-listed-by-${listing}`,
    title: `${role}: ${title}`,
    spec: role === 'snapshot' ? ['5.5.2', '5.5.4'] : ['5.6.2', '5.6.4'],
    world: () => {
      const world = registryWorld();
      if (role === 'snapshot') world.timestamp.listing = listing;
      else world.role(role).listing = listing;
      return world;
    },
    steps: (world) => {
      const draft = role === 'snapshot' ? world.snapshot : world.role(role);
      const old = world.bytes(role);
      draft.expires += 86_400_000;
      world.publish();
      return [
        {
          move: () => world.serve(role, old),
          action: { fetch: MS.path },
          code,
          kept: role === 'snapshot' ? keptUpTo('snapshot') : ANNOUNCED,
        },
      ];
    },
  };
}
