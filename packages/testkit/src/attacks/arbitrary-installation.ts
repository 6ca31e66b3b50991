// Arbitrary installation: other bytes than the signed ones, and files that the
// wrong key has signed (§5.3.4, §5.4.2, §5.5.3, §5.6.3, §5.7.3).

import type { Code } from '@countersign/core';
import type { Attack } from '../attack.ts';
import type { WorldKey } from '../keys.ts';
import { DEBUG, MS } from '../registry-world.ts';
import type { World } from '../world.ts';
import { keptUpTo, publishSignedBy } from './moves.ts';

export const ARBITRARY_INSTALLATION: readonly Attack[] = [
  bytes('changed', 'one bit of a file is changed', 'HASH_MISMATCH', (content) =>
    content.map((b, i) => (i === 40 ? b ^ 1 : b)),
  ),
  bytes('shorter', 'a file lacks its last byte', 'LENGTH_MISMATCH', (content) => content.subarray(0, -1)),
  bytes('empty', 'a file is empty', 'LENGTH_MISMATCH', () => new Uint8Array()),
  bytes('longer', 'a file goes on after its end', 'LENGTH_EXCEEDED', (content) => Uint8Array.of(...content, 0)),
  bytes('other-file', 'another trusted file is served in its place', 'LENGTH_EXCEEDED', (_, world) =>
    world.content(DEBUG.path),
  ),
  {
    id: 'arbitrary/targets-replaced',
    title: 'the mirror replaces the top-level targets role by its own',
    spec: ['5.6.2'],
    before: [],
    steps: (world) => [
      {
        move: () => world.serve('targets', world.seal('targets', { signers: strangers(world) })),
        action: 'refresh',
        code: 'HASH_MISMATCH',
        kept: { root: 1, timestamp: 1, snapshot: 1 },
      },
    ],
  },
  wrongKey('root', 'timestamp'),
  wrongKey('timestamp', 'snapshot'),
  wrongKey('snapshot', 'timestamp'),
  wrongKey('targets', 'snapshot'),
  wrongKey('claimed', 'recent'),
  wrongKey(MS.owner, 'ms-release'),
  wrongKey(MS.owner, 'debug-owner'),
  wrongKey(MS.release, 'ms-owner-1'),
  wrongKey('recent', 'unclaimed', DEBUG.path),
  wrongKey(DEBUG.owner, 'recent', DEBUG.path),
  ...['root', 'timestamp', 'snapshot', 'targets', 'claimed', MS.owner, MS.release].map((role) =>
    wrongKey(role, 'stranger'),
  ),
];

function bytes(
  what: string,
  title: string,
  code: Code,
  change: (content: Uint8Array, world: World) => Uint8Array,
): Attack {
  return {
    id: `arbitrary/target-${what}`,
    title,
    spec: ['5.7.1', '5.7.3/3'],
    before: [{ fetch: DEBUG.path }],
    steps: (world) => [
      {
        move: () => {
          for (const url of world.targetUrls(MS.path)) world.files.set(url, change(world.content(MS.path), world));
        },
        action: { fetch: MS.path },
        code,
        kept: { [MS.owner]: 1, [MS.release]: 1 },
      },
    ],
  };
}

/** As many as should have signed, so that only the bytes differ. */
function strangers(world: World): readonly WorldKey[] {
  return world.signersOf('targets').map((_, i) => world.key(`stranger-${i}`));
}

function wrongKey(role: string, key: string, path = MS.path): Attack {
  return {
    id: `wrong-key/${role}-by-${key}`,
    title: `${role} is signed with the key ${key}`,
    spec: [{ root: '5.3.4/1', timestamp: '5.4.2/1', snapshot: '5.5.3/1' }[role] ?? '5.6.3/1'],
    steps: (world) => [
      {
        move: () => publishSignedBy(world, role, [world.key(key)]),
        action: { fetch: path },
        code: 'THRESHOLD_NOT_MET',
        kept: keptUpTo(role),
      },
    ],
  };
}
