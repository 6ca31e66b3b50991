// A crash, or a failing disk or network, at every single effect of an update
// that has everything in it: new roots with rotated online keys, and new
// versions all the way down. Afterwards the next update must succeed, and at no
// time may what is kept have gone back.

import { nodeCrypto } from '@countersign/client/node';
import { driveSync, type Found, find, integerAt, objectAt, readDocument, refresh, start } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import {
  codeOf,
  Death,
  Fuse,
  fusedBodies,
  fusedSink,
  fusedSource,
  fusedState,
  fusedTransport,
  MemoryFiles,
  MS,
  openClient,
  registryWorld,
  type Served,
  START,
  type World,
} from '../src/index.ts';

const NEXT = `${MS.directory}/ms-2.1.4.tgz`;

describe.each([true, false])('an update (with key rotations: %s)', (rotating) => {
  const whole = completed(rotating);
  const effects = whole.fuse.effects.map((effect, at) => ({ at, effect }));
  // To die before reading is to die before the next effect that leaves something behind, or asks for it.
  const deaths = effects.filter(({ effect }) => !effect.startsWith('load'));

  it('has the effects that are at stake', () => {
    const wrote = whole.fuse.effects.filter((effect) => !/^(load|fetch)/.test(effect));
    const roots = [
      'drop timestamp.json',
      'drop snapshot.json',
      'save root_history/2.root.json',
      'save root.json',
      'save root_history/3.root.json',
      'save root.json',
    ];
    const roles = ['timestamp', 'snapshot', 'targets', 'claimed', MS.owner, MS.release];
    expect(wrote).toEqual([...(rotating ? roots : []), ...roles.map((role) => `save ${role}.json`)]);
  });

  it.each(deaths)('§5 survives that the process dies before effect $at, $effect', ({ at }) => {
    const { world, files } = scene(rotating);
    const before = versions(files);
    expect(() => oneProcess(world, files, new Fuse(at))).toThrow(Death);
    expectNothingWentBack(before, versions(files), rotating);
    expect(oneProcess(world, files, new Fuse())?.target.path).toBe(NEXT);
    expect(files.files).toEqual(whole.files);
  });

  it.each(deaths)('§5.4.3 gives nothing up to a replay after dying before effect $at, $effect', ({ at }) => {
    const { world, files, old } = scene(rotating);
    expect(() => oneProcess(world, files, new Fuse(at))).toThrow(Death);
    const between = versions(files);
    const honest = world.capture();
    world.replay(old);
    try {
      oneProcess(world, files, new Fuse());
    } catch {
      // Refused or accepted: what counts is what is kept.
    }
    expectNothingWentBack(between, versions(files), false);
    world.replay(honest);
    expect(oneProcess(world, files, new Fuse())?.target.path).toBe(NEXT);
    expect(files.files).toEqual(whole.files);
  });

  it.each(effects)('§5 survives, in the same process, a failure of effect $at, $effect', async ({ at }) => {
    const { world, files } = scene(rotating);
    const before = versions(files);
    const fuse = new Fuse(at, 'fail');
    const opening = openClient(world, fusedState(files, fuse), { transport: fusedTransport(world.transport, fuse) });
    const client = await opening.catch(() => openClient(world, files));
    if (!fuse.blown) {
      await expect(client.refresh().then(() => client.find(NEXT))).rejects.toThrow(/no network|the disk failed/);
    }
    expectNothingWentBack(before, versions(files), rotating);
    await client.refresh();
    expect((await client.find(NEXT))?.target.path).toBe(NEXT);
    // What could not be written then is written by the next process at the latest.
    expect(oneProcess(world, files, new Fuse())?.target.path).toBe(NEXT);
    expect(files.files).toEqual(whole.files);
  });
});

describe('a download over an older file, from the refresh before it', { timeout: 120_000 }, () => {
  const DESTINATION = 'ms.tgz';
  const [OLD, NEW] = ['the older file', 'the next version'].map((text) => Buffer.from(text).toString());
  const shown = (disk: ReadonlyMap<string, Uint8Array>): string => Buffer.from(disk.get(DESTINATION) ?? []).toString();
  const oldDisk = (): Map<string, Uint8Array> => new Map([[DESTINATION, Buffer.from('the older file')]]);
  const download = async (
    world: World,
    files: MemoryFiles,
    disk: Map<string, Uint8Array>,
    fuse: Fuse,
  ): Promise<void> => {
    const transport = fusedBodies(fusedTransport(world.transport, fuse), fuse);
    const client = await openClient(world, fusedState(files, fuse), { transport });
    await client.refresh();
    const found = await client.find(NEXT);
    if (found !== undefined) await client.download(found.target, fusedSink(disk, DESTINATION, fuse));
  };
  const counted = new Fuse();
  const whole = scene(true);
  const effects = download(whole.world, whole.files, oldDisk(), counted).then(() => counted.effects.length);

  it.each(['die', 'fail'] as const)(
    '§5, §5.7.3/3 leaves the older file or the whole next one, whichever effect is the one to %s',
    async (blow) => {
      const count = await effects;
      expect(counted.effects.slice(-4).map((effect) => effect.split(' ')[0])).toEqual([
        'read',
        'write',
        'read',
        'rename',
      ]);
      for (let at = 0; at < count; at++) {
        const { world, files } = scene(true);
        const before = versions(files);
        const disk = oldDisk();
        const fuse = new Fuse(at, blow);
        const outcome = await download(world, files, disk, fuse).then(
          () => 'done',
          (error: unknown) => (error instanceof Death ? 'dead' : codeOf(error)),
        );
        const effect = counted.effects[at] ?? '';
        expect([effect, outcome]).toEqual([effect, blow === 'die' ? 'dead' : expect.stringMatching(outcomeOf(effect))]);
        expect([effect, shown(disk)]).toEqual([effect, outcome === 'done' ? NEW : OLD]);
        // Who lives on leaves nothing beside the destination.
        if (blow === 'fail') expect([...disk.keys()]).toEqual([DESTINATION]);
        expectNothingWentBack(before, versions(files), true);
        await download(world, files, disk, new Fuse());
        expect(shown(disk)).toBe(NEW);
        expect(files.files).toEqual(whole.files.files);
      }
    },
  );

  /** A body that is cut once is asked for again. */
  function outcomeOf(effect: string): RegExp {
    return effect.startsWith('read ') ? /^done$/ : /^(?:STORE_READ|STORE_WRITE|UNREACHABLE)$/;
  }
});

// Otherwise a restart while the service is down would find too little to resume from.
it('§5.6.6 the next update of the same process writes what could not be written', async () => {
  const { world, files } = scene(false);
  const at = completed(false).fuse.effects.indexOf('save targets.json');
  const fuse = new Fuse(at, 'fail');
  const client = await openClient(world, fusedState(files, fuse), { transport: fusedTransport(world.transport, fuse) });
  await expect(client.refresh()).rejects.toThrow(/the disk failed/);
  await client.refresh();
  expect(files.files.get('targets.json')).toEqual(world.bytes('targets'));
});

interface Scene {
  readonly world: World;
  /** What the victim has kept of the old publication. */
  readonly files: MemoryFiles;
  readonly old: ReadonlyMap<string, Served>;
}

/** A victim who trusts a publication, and a newer one in which every file is new. */
function scene(rotating: boolean): Scene {
  const world = registryWorld();
  world.addTarget(MS.release, NEXT, 'not published yet');
  world.role(MS.release).targets.delete(NEXT);
  const files = new MemoryFiles();
  oneProcess(world, files, new Fuse(), MS.path);
  const old = world.capture();
  if (rotating) {
    world.authorise('timestamp', [world.key('timestamp-2')]);
    world.publish();
    world.authorise('root', [world.key('root-4'), world.key('root-5')], 2);
  }
  for (const role of ['targets', 'claimed', MS.owner]) world.role(role).expires += 1000;
  world.addTarget(MS.release, NEXT, 'the next version');
  world.publish();
  return { world, files, old };
}

/** A process from its start to its end, or to its death. */
function oneProcess(world: World, files: MemoryFiles, fuse: Fuse, path = NEXT): Found | undefined {
  const state = fusedState(files, fuse);
  const ports = { crypto: nodeCrypto, state, source: fusedSource(world.source, fuse) };
  const fresh = driveSync(refresh(driveSync(start(world.anchor), ports), START), ports);
  return driveSync(find(fresh, path, START), ports);
}

function completed(rotating: boolean): { fuse: Fuse; files: ReadonlyMap<string, Uint8Array> } {
  const { world, files } = scene(rotating);
  const fuse = new Fuse();
  oneProcess(world, files, fuse);
  return { fuse, files: files.files };
}

function versions(files: MemoryFiles): ReadonlyMap<string, number> {
  const read = (bytes: Uint8Array): number =>
    integerAt(objectAt(readDocument(bytes).root, 'signed', 'kept'), 'version', 1, 'kept');
  return new Map([...files.files].map(([name, bytes]) => [name, read(bytes)]));
}

/** @param rotating whether timestamp and snapshot may be gone: §5.3.11 has them deleted */
function expectNothingWentBack(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
  rotating: boolean,
): void {
  for (const [name, version] of before) {
    const now = after.get(name);
    if (rotating && now === undefined) expect(['timestamp.json', 'snapshot.json']).toContain(name);
    else expect([name, now]).toEqual([name, Math.max(version, now ?? 0)]);
  }
}
