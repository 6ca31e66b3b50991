// Names as traps: role names, file names and key ids that mean something to a
// JavaScript object, a URL, a file system or a careless join (§4.5). They are
// legal; the point is that nothing but their own role is affected.

import { strict as assert } from 'node:assert';
import { type Code, isTopLevelRole } from '@countersign/core';
import type { Attack } from '../attack.ts';
import { aliasOf } from '../keys.ts';
import { MS, registryWorld } from '../registry-world.ts';
import type { World } from '../world.ts';
import { ANNOUNCED, member, stranger } from './moves.ts';

const TRAPPED = `${MS.directory}/trapped.txt`;

/** Role names, with what must stand in the URL. */
const ROLE_NAMES: readonly (readonly [name: string, quoted: string])[] = [
  ['constructor', 'constructor'],
  ['__proto__', '__proto__'],
  ['hasOwnProperty', 'hasOwnProperty'],
  ['10', '10'],
  ['../x', '..%2Fx'],
  ['..', '..'],
  ['/x', '%2Fx'],
  ['a/b', 'a%2Fb'],
  ['?', '%3F'],
  ['#', '%23'],
  ['%2e%2e%2f', '%252e%252e%252f'],
  ['a b', 'a%20b'],
  ["!'()*", '%21%27%28%29%2A'],
  ['\\x', '%5Cx'],
  ['Root', 'Root'],
  ['TIMESTAMP', 'TIMESTAMP'],
  ['root.json', 'root.json'],
  ['1.root', '1.root'],
  ['ünïcode', '%C3%BCn%C3%AFcode'],
  ['\u{1f984}', '%F0%9F%A6%84'],
];

export const NAMES: readonly Attack[] = [
  ...ROLE_NAMES.map(
    ([name, quoted]): Attack => ({
      id: `names/role-${quoted}`,
      title: `a release role is called ${JSON.stringify(name)}`,
      spec: ['4.5', '5.6.7'],
      world: () => withRole(name),
      steps: (world) => [
        {
          action: { fetch: TRAPPED },
          kept: { [name]: 1 },
          check: ({ requests, session }) => {
            assert.ok(requests.some(({ url }) => url === `metadata/1.${quoted}.json`));
            for (const kept of session.kept.keys())
              assert.match(kept, /^(root_history\/\d+\.root|[A-Za-z0-9._~%-]+)\.json$/);
            const folded = [...session.kept.keys()].map((kept) => kept.toLowerCase());
            assert.equal(new Set(folded).size, folded.length, 'two files that differ in case only');
          },
        },
        {
          move: () => {
            world.role(name).signers = [stranger(world)];
            world.publish();
          },
          action: { fetch: TRAPPED },
          code: 'THRESHOLD_NOT_MET',
          kept: { timestamp: 3, snapshot: 3 },
        },
      ],
    }),
  ),
  ...['', 'root', 'timestamp', 'snapshot', 'targets'].map(
    (name): Attack => ({
      id: `names/role-${name === '' ? 'empty' : `called-${name}`}`,
      title: `an owner delegates to a role called ${JSON.stringify(name)}`,
      spec: ['4.5'],
      steps: (world) => [
        {
          move: () => {
            world.role(MS.owner).tamper = member(['delegations', 'roles', 0, 'name'], name);
            world.publish();
          },
          action: { fetch: MS.path },
          code: 'FORMAT_INVALID',
          kept: ANNOUNCED,
        },
      ],
    }),
  ),
  {
    id: 'names/role-delegated-twice',
    title: 'one role delegates twice to the same role, with different keys',
    spec: ['4.5/1'],
    steps: (world) => [
      {
        move: () => {
          world.delegate(MS.owner, MS.release, { keys: [stranger(world)], paths: [`${MS.directory}/*`] });
          world.role(MS.release).signers = [stranger(world)];
          world.publish();
        },
        action: { fetch: MS.path },
        code: 'FORMAT_INVALID',
        kept: ANNOUNCED,
      },
    ],
    afterwards: 'refresh',
  },
  ...['constructor', '__proto__', '10', '%2e%2e', '?', '#', 'a b', '.hidden', '{a,b}', '[1]', '!x', 'ü'].map(
    (file): Attack => ({
      id: `names/file-${encodeURIComponent(file)}`,
      title: `a file is called ${JSON.stringify(file)}, and one with such a name is asked for where there is none`,
      spec: ['4.5'],
      steps: (world) => {
        const path = `${MS.directory}/${file}`;
        return [
          { action: { fetch: path }, code: 'TARGET_UNKNOWN' satisfies Code },
          {
            move: () => {
              world.addTarget(MS.release, path, `the file ${file}`);
              world.publish();
            },
            action: { fetch: path },
            kept: { ...ANNOUNCED, [MS.release]: 2 },
            check: ({ outcome }) => assert.deepEqual(outcome.bytes, world.content(path)),
          },
        ];
      },
    }),
  ),
  ...['constructor', '__proto__', '10', '', 'a/b', '\u{1f984}'].map(
    (keyId): Attack => ({
      id: `names/keyid-${keyId === '' ? 'empty' : encodeURIComponent(keyId)}`,
      title: `the release key has the id ${JSON.stringify(keyId)}, which is as good as any`,
      spec: ['4.2.1'],
      steps: (world) => [
        {
          move: () => {
            world.delegation(MS.owner, MS.release).keys = [aliasOf(world.key('ms-release'), keyId)];
            world.publish();
          },
          action: { fetch: MS.path },
          kept: { ...ANNOUNCED, [MS.owner]: 2, [MS.release]: 2 },
        },
        {
          move: () => {
            world.role(MS.release).signers = [aliasOf(stranger(world), keyId)];
            world.publish();
          },
          action: { fetch: MS.path },
          code: 'THRESHOLD_NOT_MET',
          kept: { timestamp: 3, snapshot: 3 },
        },
      ],
    }),
  ),
  {
    id: 'names/collision-between-projects',
    title: 'two projects delegate to a role of the same name with different keys: neither signs for the other',
    spec: ['5.6.7', '5.6.7.1'],
    steps: (world) => [
      {
        move: () => {
          world.delegate(MS.owner, 'release', { keys: [world.key('a')], paths: [`${MS.directory}/*`] });
          world.delegate('recent', 'release', { keys: [world.key('b')], paths: [`${MS.directory}/*`] });
          world.addTarget('release', TRAPPED, 'by b');
          world.role('release').signers = [world.key('b')];
          world.publish();
        },
        action: { fetch: TRAPPED },
        code: 'THRESHOLD_NOT_MET',
        kept: { ...ANNOUNCED, [MS.owner]: 2 },
      },
    ],
  },
];

function withRole(name: string): World {
  assert.ok(!isTopLevelRole(name));
  const world = registryWorld();
  world.delegate(MS.owner, name, { keys: [world.key('trap')], paths: [`${MS.directory}/*`] });
  world.addTarget(name, TRAPPED, 'trapped');
  world.publish();
  return world;
}
