// A mirror that does not do its work: statuses, silence, cut transfers, and a
// chain of roots without end (§5.3.3). Not forgery, but a client must come out
// of each of them with its trust as it was, and able to go on.

import { strict as assert } from 'node:assert';
import { gzipSync } from 'node:zlib';
import { type Code, utf8, utf8Text } from '@countersign/core';
import type { Attack } from '../attack.ts';
import { MS, registryWorld } from '../registry-world.ts';
import type { Fault } from '../served.ts';
import type { World } from '../world.ts';

const ROTATIONS = 256;

export const MIRROR: readonly Attack[] = [
  ...[403, 410].map(
    (status): Attack => ({
      id: `mirror/${status}-for-the-next-root`,
      title: `the mirror answers ${status} for what it does not have: there is no newer root`,
      spec: ['5.3.3/3'],
      before: [],
      steps: (world) => [{ move: () => (world.absentStatus = status), action: { fetch: MS.path } }],
    }),
  ),
  ...(['root', 'timestamp', 'snapshot', 'targets', MS.owner] as const).flatMap((role) => [
    faulty(role, 'error', 'answers 500', () => ({ fault: 'status', status: 500 }), 'STATUS_UNEXPECTED'),
    faulty(role, 'redirect', 'answers 302', () => ({ fault: 'status', status: 302 }), 'STATUS_UNEXPECTED'),
    faulty(role, 'silence', 'does not answer', () => ({ fault: 'unreachable' }), 'UNREACHABLE'),
    faulty(role, 'cut', 'breaks off', (bytes) => ({ fault: 'cut', bytes, after: 100 }), 'BODY_CUT'),
  ]),
  {
    id: 'mirror/timestamp-missing',
    title: 'there is no timestamp',
    spec: ['5.4.1'],
    steps: (world) => [
      { move: () => world.files.delete('metadata/timestamp.json'), action: 'refresh', code: 'METADATA_MISSING' },
    ],
  },
  {
    id: 'mirror/snapshot-missing',
    title: 'the announced snapshot is not there',
    spec: ['5.5.1'],
    steps: (world) => {
      world.snapshot.expires += 1000;
      world.publish();
      return [
        {
          move: () => world.files.delete(world.urlOf('snapshot')),
          action: 'refresh',
          code: 'METADATA_MISSING',
          kept: { timestamp: 2 },
        },
      ];
    },
  },
  {
    id: 'mirror/target-missing',
    title: 'a listed file is not there',
    spec: ['5.7.3'],
    before: ['refresh'],
    steps: (world) => [
      {
        move: () => {
          for (const url of world.targetUrls(MS.path)) world.files.delete(url);
        },
        action: { fetch: MS.path },
        code: 'STATUS_UNEXPECTED',
        kept: { claimed: 1, [MS.owner]: 1, [MS.release]: 1 },
      },
    ],
  },
  {
    id: 'mirror/resume-mixes-two-files',
    title: 'a transfer is cut, and goes on with the rest of another file of the same length',
    spec: ['5.7.3/3'],
    before: ['refresh'],
    steps: (world) => [
      {
        move: () => {
          const bytes = world.content(MS.path);
          const other = bytes.map((byte) => byte ^ 1);
          const after = Math.floor(bytes.length / 2);
          for (const url of world.targetUrls(MS.path)) {
            world.files.set(url, { fault: 'cut', bytes, after, times: 1, afterwards: other });
          }
        },
        action: { fetch: MS.path },
        code: 'HASH_MISMATCH',
        kept: { claimed: 1, [MS.owner]: 1, [MS.release]: 1 },
      },
    ],
  },
  {
    id: 'mirror/timestamp-torn',
    title: 'the timestamp is replaced while it is read: its signatures are of the old one, the rest is of the new',
    spec: ['5.4.2/1'],
    steps: (world) => {
      const halves = (file: Uint8Array): readonly [string, string] => {
        const text = utf8Text(file) ?? '';
        const middle = text.indexOf('"signed":');
        return [text.slice(0, middle), text.slice(middle)];
      };
      const [signatures] = halves(world.bytes('timestamp'));
      world.publish();
      const [, signed] = halves(world.bytes('timestamp'));
      return [
        {
          move: () => world.serve('timestamp', utf8(signatures + signed)),
          action: 'refresh',
          code: 'THRESHOLD_NOT_MET',
        },
      ];
    },
  },
  {
    id: 'mirror/compressed-bomb',
    title: '64 kB that unpack to 64 MB are served as the timestamp, and are not unpacked',
    spec: ['5.4.1/1'],
    steps: (world) => [
      {
        move: () => world.serve('timestamp', bomb()),
        action: 'refresh',
        code: 'LENGTH_EXCEEDED',
        check: ({ requests }) => assert.ok(requests.every(({ taken }) => taken < 100_000)),
      },
      { move: () => world.serve('timestamp', bomb().subarray(0, 10_000)), action: 'refresh', code: 'JSON_INVALID' },
    ],
  },
  {
    id: 'mirror/compressed-target',
    title: 'a target is served compressed, which is not what was signed',
    spec: ['5.7.3/2', '5.7.3/3'],
    before: ['refresh'],
    steps: (world) => [
      {
        move: () => {
          const packed = gzipSync(world.content(MS.path), { level: 0 });
          for (const url of world.targetUrls(MS.path)) world.files.set(url, packed);
        },
        action: { fetch: MS.path },
        code: 'LENGTH_EXCEEDED',
        kept: { claimed: 1, [MS.owner]: 1, [MS.release]: 1 },
      },
    ],
  },
  {
    id: 'mirror/bad-one-before-a-good-one',
    title: 'a mirror hands out the newest timestamp and nothing that it announces; a good one is asked after it',
    spec: ['5'],
    steps: (world) => {
      world.addTarget(MS.release, `${MS.directory}/ms-2.1.4.tgz`, 'a fix');
      world.publish();
      const good = world.capture();
      return [
        {
          move: () => {
            for (const url of world.files.keys()) if (url !== 'metadata/timestamp.json') world.files.delete(url);
          },
          action: 'refresh',
          code: 'METADATA_MISSING',
          kept: { timestamp: 2 },
        },
        {
          move: () => world.replay(good),
          action: { fetch: `${MS.directory}/ms-2.1.4.tgz` },
          kept: { snapshot: 2, [MS.release]: 2 },
        },
      ];
    },
  },
  {
    id: 'mirror/endless-root-chain',
    title: `${ROTATIONS + 4} new roots, each signed by all who must, are more than one refresh takes: it stops there, and the next goes on`,
    spec: ['5.3.3/4', '5.3.8'],
    world: () => {
      const world = registryWorld();
      chainRoots(world, ROTATIONS + 4);
      return world;
    },
    before: [],
    steps: () => [
      { action: 'refresh', kept: { root: 1 + ROTATIONS, timestamp: 1, snapshot: 1, targets: 1 } },
      { action: 'refresh', kept: { root: 1 + ROTATIONS + 4 } },
    ],
  },
];

function faulty(role: string, what: string, title: string, fault: (bytes: Uint8Array) => Fault, code: Code): Attack {
  return {
    id: `mirror/${role}-${what}`,
    title: `asked for ${role}, the mirror ${title}`,
    spec: ['5'],
    before: [],
    steps: (world) => [
      {
        move: () => {
          const next = role === 'root' ? world.seal('root', { version: 2 }) : world.bytes(role);
          world.serve(role, fault(next), role === 'root' ? 2 : undefined);
        },
        action: { fetch: MS.path },
        code,
        kept: KEPT_BEFORE[role] ?? {},
      },
    ],
  };
}

/** What a new victim keeps when the mirror fails at a role. */
const KEPT_BEFORE: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  root: { root: 1 },
  timestamp: { root: 1 },
  snapshot: { root: 1, timestamp: 1 },
  targets: { root: 1, timestamp: 1, snapshot: 1 },
  [MS.owner]: { root: 1, timestamp: 1, snapshot: 1, targets: 1, claimed: 1 },
};

function bomb(): Uint8Array {
  packed ??= gzipSync(new Uint8Array(2 ** 26));
  return packed;
}

function chainRoots(world: World, count: number): void {
  for (let version = 2; version <= 1 + count; version++) {
    world.root.expires += 1000;
    world.serve('root', world.seal('root', { version }), version);
  }
}

let packed: Uint8Array | undefined;
