import { objectOf } from '@countersign/core';
import { ecosystemOf } from '@countersign/ecosystems';
import { describe, expect, it } from 'vitest';
import { DEBUG, DOORS, IS_ODD, MS, registryWorld, START, World } from '../src/index.ts';

const FILES = [MS, DEBUG, IS_ODD];

describe.each(DOORS)('an honest world through $name', (door) => {
  it.each([{ shardDigits: 0 }, { shardDigits: 1 }, { consistentSnapshot: false }])(
    'is trusted: %o',
    async (options) => {
      const world = registryWorld(options);
      const session = await door.open(world);
      for (const { path, kind } of FILES) {
        const outcome = await session.fetch(path);
        expect(outcome.code).toBe('OK');
        expect(outcome.bytes).toEqual(world.content(path));
        expect(outcome.trail?.[1]).toMatch(kind);
      }
      expect(await session.fetch('npm/0000/nothing/nothing-1.0.0.tgz')).toEqual({ code: 'TARGET_UNKNOWN' });
      expect(session.kept.get('timestamp.json')).toEqual(world.bytes('timestamp'));
      expect(world.requests.filter((request) => request.open)).toEqual([]);
    },
  );

  it.each(['ed25519', 'ecdsa-p256', 'rsa-pss'] as const)('is trusted with %s keys', async (type) => {
    const world = new World();
    world.authorise('targets', [world.key('of another kind', type)]);
    world.addTarget('targets', 'hello.txt', 'hello');
    world.publish();
    expect((await (await door.open(world)).fetch('hello.txt')).code).toBe('OK');
  });

  it('is followed through key rotations and publications', async () => {
    const world = registryWorld();
    const session = await door.open(world);
    expect((await session.refresh()).code).toBe('OK');
    world.authorise('root', [world.key('root-4'), world.key('root-5')], 2);
    world.authorise('timestamp', [world.key('timestamp-2')]);
    world.publish();
    world.authorise('root', [world.key('root-6')]);
    world.publish();
    world.now = START + 3_600_000;
    expect((await session.fetch(MS.path)).code).toBe('OK');
    expect(session.kept.get('root.json')).toEqual(world.bytes('root'));
    expect(world.root.version).toBe(3);
  });
});

describe('a world', () => {
  it('carries index entries as the ecosystem derives them', async () => {
    const npm = ecosystemOf('npm');
    const world = registryWorld();
    for (const { path, facts, project } of FILES) {
      const inspected = await npm.inspect(world.content(path), { project: npm.project(project.name) });
      expect(inspected.version).toBe(facts.version);
      const custom = objectOf({ npm: { ...facts } });
      expect(npm.entryMatches({ path, custom }, inspected)).toBe(true);
    }
    expect(world.role(DEBUG.owner).targets.get(DEBUG.path)?.custom).toEqual({ npm: DEBUG.facts });
  });

  it('is the same in every run, and fetched in the order of §5', async () => {
    const [one, two] = [registryWorld(), registryWorld()];
    expect([...one.files]).toEqual([...two.files]);
    const [door] = DOORS;
    await (await door?.open(one))?.fetch(MS.path);
    expect(one.takeRequests()).toEqual([
      'metadata/2.root.json',
      'metadata/timestamp.json',
      'metadata/1.snapshot.json',
      'metadata/1.targets.json',
      'metadata/1.claimed.json',
      `metadata/1.${MS.owner}.json`,
      `metadata/1.${MS.release}.json`,
      one.targetUrls(MS.path)[0],
    ]);
  });

  it('gives only changed roles a new version', () => {
    const world = registryWorld();
    world.addTarget(DEBUG.owner, `${DEBUG.directory}/debug-4.4.2.tgz`, 'new');
    world.publish();
    expect([world.root, world.targets, world.role(MS.owner), world.role(DEBUG.owner)].map((r) => r.version)).toEqual([
      1, 1, 1, 2,
    ]);
    expect([world.snapshot.version, world.timestamp.version]).toEqual([2, 2]);
  });
});
