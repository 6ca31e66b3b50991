import { editRoot, metadataUrl, requireTargetPath, signFile, targetUrl } from '@countersign/core';
import { seededKey } from '@countersign/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Disk, emptyDisk, endProcesses, factsOf, memoryStore, type Step } from '../../test/memory-store.ts';
import { copyOf, livedWorld, MS, optionsOver, pass, release, TOOL } from '../../test/operations-world.ts';
import { BEGIN, codeOf, HOUR, OFFLINE, ONLINE, type World, watcher } from '../../test/world.ts';
import {
  checkCollection,
  type Finding,
  findGarbage,
  type Rebuilt,
  rebuildLedger,
  renewKeys,
  requireSound,
  showAll,
} from './index.ts';

let lived: World;
beforeAll(async () => {
  lived = await livedWorld();
});

/** A disk that has only what a mirror copies. */
function mirrored(from: Disk): Disk {
  return { ...emptyDisk(), site: new Map(from.site), written: new Map(from.written), clock: { ...from.clock } };
}

function worldOn(disk: Disk): World {
  const clock = { ...lived.clock };
  return {
    ...lived,
    disk,
    clock,
    open: (more) => lived.open({ clock: () => clock.now, ...memoryStore(disk), ...more }),
  };
}

async function rebuilt(source: Disk, world: World, step?: Step): Promise<Rebuilt> {
  const options = optionsOver(world, step);
  return await rebuildLedger({ ...options, source: memoryStore(source).site, anchor: world.anchor });
}

async function problems(world: World): Promise<readonly string[]> {
  const findings: Finding[] = [];
  await checkCollection({ ...optionsOver(world), anchor: world.anchor, deep: true }, (one) => findings.push(one));
  return findings
    .filter(({ kind }) => !['SITE_EARLIER', 'BLOBS_UNLISTED'].includes(kind))
    .map(({ kind, subject }) => `${kind} ${subject}`);
}

const contents = (world: World): readonly (string | undefined)[] => {
  const client = watcher(world);
  return [`${MS.directory}/ms-1`, `${MS.directory}/ms-2`, `${TOOL.directory}/latest`].map((path) => client.fetch(path));
};
const urlOf = (path: string, digest: string): string => `targets/${targetUrl(requireTargetPath(path), digest)}`;

describe('the ledger made anew', () => {
  it('from its own site and blobs, in place: clients notice nothing, and authors go on', async () => {
    const disk = copyOf(lived.disk);
    const world = worldOn({ ...mirrored(disk), blobs: disk.blobs });
    const client = watcher(worldOn(disk));
    const made = await rebuilt(world.disk, world);
    const head = await memoryStore(lived.disk).ledger.head();
    expect(made).toMatchObject({
      publication: head?.publication,
      roles: 52,
      targets: 5,
      lostRoles: [],
      lostTargets: [],
    });
    expect([...world.disk.roles.keys()].sort()).toEqual([...lived.disk.roles.keys()].sort());
    for (const [role, { version, sha256 }] of lived.disk.roles)
      expect(world.disk.roles.get(role)).toMatchObject({ version, sha256 });
    expect(new Map(world.disk.shown)).toEqual(new Map(lived.disk.shown));
    expect(await requireSound(optionsOver(world), world.anchor)).toEqual([]);
    expect(contents(world)).toEqual(['one', 'two', 'new']);
    await release(world, MS, { 'ms-1': 'one', 'ms-2': 'two', 'ms-3': 'three' });
    client.refresh();
    expect(watcher(world).fetch(`${MS.directory}/ms-3`)).toBe('three');
    // Earlier files are still on the site, and nobody knows yet who may ask for them.
    expect((await problems(world)).every((one) => one.startsWith('SITE_UNLISTED'))).toBe(true);
    expect((await findGarbage(optionsOver(world), 'everything')).urls).toEqual([]);
    await pass(world, 10 * 24);
    expect((await findGarbage(optionsOver(world), 'everything')).urls.length).toBeGreaterThan(0);
  });

  it('from anybody’s mirror alone: blobs come from the visible copies, under either digest', async () => {
    const source = copyOf(lived.disk).site;
    const one = factsOf(Buffer.from('one'));
    source.delete(urlOf(`${MS.directory}/ms-1`, one.sha256));
    const world = worldOn(emptyDisk());
    expect(await rebuilt({ ...emptyDisk(), site: source }, world)).toMatchObject({ lostTargets: [] });
    await showAll(optionsOver(world));
    expect(await requireSound(optionsOver(world), world.anchor)).toEqual([]);
    expect(await problems(world)).toEqual([]);
    expect(contents(world)).toEqual(['one', 'two', 'new']);
  });

  it('what nobody has is told, and can be published again', async () => {
    const source = copyOf(lived.disk).site;
    const path = `${MS.directory}/ms-1`;
    const one = factsOf(Buffer.from('one'));
    for (const digest of [one.sha256, one.sha512]) source.delete(urlOf(path, digest));
    source.delete(`metadata/${metadataUrl(TOOL.role, 2)}`);
    const world = worldOn(emptyDisk());
    const made = await rebuilt({ ...emptyDisk(), site: source }, world);
    expect(made).toMatchObject({ lostTargets: [path], lostRoles: [`${metadataUrl(TOOL.role, 2)} (METADATA_MISSING)`] });
    expect(await memoryStore(world.disk).ledger.blob(one.sha256)).toBeUndefined();
    expect(await codeOf(requireSound(optionsOver(world), world.anchor))).toBe('CHECK_FAILED');
  });

  it('a mirror that forged anything is not believed', async () => {
    const source = copyOf(lived.disk).site;
    const url = `metadata/${metadataUrl(MS.role, 2)}`;
    source.set(
      url,
      Buffer.from(
        Buffer.from(source.get(url) ?? '')
          .toString()
          .replace('ms-2', 'ms-3'),
      ),
    );
    const path = `${TOOL.directory}/latest`;
    const content = factsOf(Buffer.from('new'));
    for (const digest of [content.sha256, content.sha512]) source.set(urlOf(path, digest), Buffer.from('bad'));
    const world = worldOn(emptyDisk());
    const made = await rebuilt({ ...emptyDisk(), site: source }, world);
    expect(made.lostRoles).toEqual([`${metadataUrl(MS.role, 2)} (THRESHOLD_NOT_MET)`]);
    expect(made.lostTargets).toEqual([path]);
    expect([...world.disk.blobs.keys()]).not.toContain(factsOf(Buffer.from('bad')).sha256);
  });

  it('a damaged blob in the store is replaced by a good visible copy', async () => {
    const disk = copyOf(lived.disk);
    const one = factsOf(Buffer.from('one'));
    disk.blobs.set(one.sha256, Buffer.from('eno'));
    const world = worldOn({ ...mirrored(disk), blobs: disk.blobs });
    expect(await rebuilt(world.disk, world)).toMatchObject({ lostTargets: [] });
    expect(world.disk.blobs.get(one.sha256)?.toString()).toBe('one');
  });

  it.each([
    ['without timestamp', 'metadata/timestamp.json', 'METADATA_MISSING'],
    ['without snapshot', 'metadata/6.snapshot.json', 'METADATA_MISSING'],
    ['without its first root', 'metadata/1.root.json', 'STORE_READ'],
  ])('%s there is nothing to begin with', async (_what, url, code) => {
    const source = copyOf(lived.disk).site;
    expect(source.delete(url)).toBe(true);
    const world = worldOn(emptyDisk());
    expect(await codeOf(rebuilt({ ...emptyDisk(), site: source }, world))).toBe(code);
    expect(await memoryStore(world.disk).ledger.head()).toBeUndefined();
  });

  it('of somebody else’s collection it is refused', async () => {
    const stranger = seededKey('stranger');
    const only = { keyIds: [stranger.keyId], threshold: 1 };
    const root = editRoot(undefined, {
      expires: BEGIN + 1000 * HOUR,
      keys: new Map([[stranger.keyId, stranger.key]]),
      roles: new Map((['root', 'timestamp', 'snapshot', 'targets'] as const).map((role) => [role, only] as const)),
    });
    const world = { ...worldOn(emptyDisk()), anchor: await signFile(root, [stranger]) };
    expect(await codeOf(rebuilt(lived.disk, world))).toBe('THRESHOLD_NOT_MET');
  });

  it('after a root rotation it has every root', async () => {
    const world = worldOn(copyOf(lived.disk));
    await renewKeys(
      optionsOver(world),
      { offline: OFFLINE, timestamp: ONLINE.recent, snapshot: ONLINE.unclaimed },
      undefined,
    );
    await showAll(optionsOver(world));
    const again = worldOn(emptyDisk());
    await rebuilt(world.disk, again);
    await showAll(optionsOver(again));
    expect([...again.disk.files.keys()].filter((key) => key.startsWith('root'))).toEqual(['root 1', 'root 2']);
    expect(await problems(again)).toEqual([]);
  });

  it('expired long ago: it comes back, and is as old as it says', async () => {
    const world = worldOn(emptyDisk());
    world.clock.now += 1000 * HOUR;
    await rebuilt(lived.disk, world);
    await showAll(optionsOver(world));
    expect(await problems(world)).toEqual(['ROLE_EXPIRED timestamp']);
    const repository = await world.open();
    await repository.renew();
    await repository.close();
    expect(contents(world)).toEqual(['one', 'two', 'new']);
  });

  it('a process that dies while it rebuilds leaves no collection, and the next run ends the work', async () => {
    let steps = 0;
    await rebuilt(lived.disk, worldOn(emptyDisk()), () => void steps++);
    for (let last = 0; last < steps; last += 1) {
      const world = worldOn(emptyDisk());
      let step = 0;
      const dies: Step = () => {
        if (step++ === last) throw new Error('killed');
      };
      await expect(rebuilt(lived.disk, world, dies)).rejects.toThrow('killed');
      if (last < steps - 1) expect(await memoryStore(world.disk).ledger.head()).toBeUndefined();
      endProcesses(world.disk);
      await rebuilt(lived.disk, world);
      await showAll(optionsOver(world));
      expect(await problems(world)).toEqual([]);
    }
  });
});
