import {
  cosign,
  days,
  type JsonObject,
  openEnvelope,
  readRoot,
  type Signer,
  signFile,
  withSignatures,
} from '@countersign/core';
import { seededKey } from '@countersign/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { type ForeignWorld, foreignWorld, sourceOver, THEIRS } from '../../test/foreign-world.ts';
import { emptyDisk, factsOf, memoryStore } from '../../test/memory-store.ts';
import {
  BEGIN,
  codeOf,
  contentOf,
  ECOSYSTEMS,
  nodeCrypto,
  OFFLINE,
  ONLINE,
  publish,
  refusalOf,
  roleText,
  sha256,
  submissionOf,
  textOf,
  upload,
  type World,
  watcher,
} from '../../test/world.ts';
import { draftRoot, draftTargets, Repository, submissionText } from '../index.ts';
import {
  checkCollection,
  draftTakeover,
  readForeign,
  type TakeoverKeys,
  type TakeoverOptions,
  takeOver,
} from '../operations/index.ts';

const bins = ONLINE.bins ?? seededKey('bins');
const KEYS: TakeoverKeys = {
  offline: OFFLINE,
  threshold: 2,
  timestamp: ONLINE.timestamp,
  snapshot: ONLINE.snapshot,
  bins,
};
const { alex, blair, casey, npm, online } = THEIRS;

/** A world of our engine that begins as theirs was left. */
function worldOver(theirs: ForeignWorld): World {
  const disk = emptyDisk();
  const clock = { now: BEGIN };
  let ids = 0;
  return {
    disk,
    clock,
    anchor: theirs.anchor,
    events: [],
    open: (more, step) =>
      Repository.open({
        name: 'main',
        ...memoryStore(disk, step),
        signers: { timestamp: ONLINE.timestamp, snapshot: ONLINE.snapshot, bins },
        ecosystems: ECOSYSTEMS,
        inspect: async () => undefined,
        crypto: nodeCrypto,
        sha256,
        clock: () => clock.now,
        newId: () => `submission-${++ids}`,
        ...more,
      }),
  };
}

async function optionsFor(
  theirs: ForeignWorld,
  world: World,
  by: readonly Signer[] = [...OFFLINE, alex, blair],
  change: (draft: JsonObject) => JsonObject = (same) => same,
): Promise<TakeoverOptions> {
  const foreign = await readForeign(theirs.source, theirs.anchor, nodeCrypto);
  const root = await signFile(change(draftTakeover(foreign, KEYS, BEGIN + days(365))), by);
  const options = { name: 'main', ...memoryStore(world.disk), crypto: nodeCrypto, clock: () => world.clock.now };
  return { ...options, source: theirs.source, foreign, root, keys: KEYS, layout: { bitLength: 4, form: 'classic' } };
}

/** A client of theirs that keeps what it trusts, and later asks us at the same address. */
function theirClient(theirs: ForeignWorld, world: World): ReturnType<typeof watcher> {
  for (const [url, bytes] of theirs.site) world.disk.site.set(url, bytes);
  const client = watcher(world);
  for (const path of theirs.paths) expect(client.find(path)).toBeDefined();
  for (const url of theirs.site.keys()) world.disk.site.delete(url);
  return client;
}

let theirs: ForeignWorld;
let world: World;

describe.each([true, false])("a repository in tuf-on-ci's shape, consistent snapshots %s", (consistent) => {
  beforeEach(async () => {
    theirs = await foreignWorld(consistent);
    world = worldOver(theirs);
  });

  it('changes hands: who trusted it finds everything where it was, and what is added', async () => {
    const client = theirClient(theirs, world);
    expect(client.state.timestamp.content.version).toBe(408);
    const taken = await takeOver(await optionsFor(theirs, world));
    expect(taken).toEqual({ root: 4, roles: ['packages.example.test'], targets: 2, lost: [] });
    for (const one of [client, watcher(world)]) {
      one.refresh();
      expect(one.state.root.content.version).toBe(4);
      expect([one.state.timestamp.content.version, one.state.snapshot.content.version]).toEqual([409, 164]);
      expect(one.fetch('trusted_root.json')).toBe('the root of trust');
      expect(one.fetch('packages.example.test/keys.json')).toBe('keys of npm');
    }
    // Their role is carried byte for byte, and their root's own members stay.
    const carried = [...theirs.site].find(([url]) => url.endsWith('packages.example.test.json'))?.[1];
    expect(world.disk.roles.get('packages.example.test')?.bytes).toEqual(carried);
    expect(client.state.root.content.json.get('x-tuf-on-ci-expiry-period')).toBe(365);

    const repository = await world.open();
    await upload(repository, 'new', 'newer keys of npm');
    const sha = (text: string): string => factsOf(Buffer.from(text)).sha256;
    await publish(repository, submissionText({ files: [{ path: 'added/file', sha256: sha('new') }] }));
    const keys = {
      path: 'packages.example.test/keys.json',
      length: 17,
      hashes: new Map([['sha256', sha('newer keys of npm')]]),
      custom: undefined,
    };
    const present = contentOf(textOf(carried ?? new Uint8Array()));
    await publish(repository, submissionOf(['packages.example.test', await roleText(present, { set: [keys] }, [npm])]));
    client.refresh();
    expect([client.fetch('added/file'), client.fetch('packages.example.test/keys.json')]).toEqual([
      'new',
      'newer keys of npm',
    ]);
    // Nobody's files but their own: neither theirs nor the quorum's.
    for (const path of ['packages.example.test/more', 'trusted_root.json']) {
      const files = [{ path, sha256: sha('new') }];
      expect(await refusalOf(world, repository, submissionText({ files }))).toBe('SUBMISSION_FOREIGN');
    }
    // The quorum keeps it as any other.
    const root = draftRoot(client.state.root.content, { expires: BEGIN + days(500) });
    const targets = draftTargets(client.state.targets.content, { expires: BEGIN + days(500) });
    await publish(
      repository,
      submissionOf(
        ['root', textOf(await signFile(root, OFFLINE))],
        ['targets', textOf(await signFile(targets, OFFLINE))],
      ),
    );
    client.refresh();
    expect(client.fetch('trusted_root.json')).toBe('the root of trust');
    const findings: unknown[] = [];
    const options = { name: 'main', ...memoryStore(world.disk), crypto: nodeCrypto, clock: () => world.clock.now };
    await checkCollection({ ...options, anchor: theirs.anchor }, (finding) => findings.push(finding));
    expect(findings).toEqual([expect.objectContaining({ kind: 'SITE_EARLIER' })]);
  });

  it.each([
    ['their threshold', [...OFFLINE, alex]],
    ['any of theirs', OFFLINE],
    ['their online key beside one of them', [...OFFLINE, alex, online]],
    ['one of ours', [OFFLINE[0] as Signer, alex, blair]],
  ])('does not without %s (§5.3.4)', async (_, by) => {
    const options = await optionsFor(theirs, world, by);
    expect(await codeOf(takeOver(options))).toBe('THRESHOLD_NOT_MET');
    expect(world.disk.publications).toEqual([]);
  });

  it('is signed by people apart, each adding a signature to the file', async () => {
    const options = await optionsFor(theirs, world, OFFLINE);
    let { root } = options;
    for (const holder of [blair, casey]) {
      root = withSignatures(root, 'root', await cosign(openEnvelope(root, 'root').message, [holder]));
    }
    expect((await takeOver({ ...options, root })).root).toBe(4);
  });

  it('takes no root but the one that was drafted', async () => {
    const by = [...OFFLINE, alex, blair];
    for (const [member, value] of [
      ['version', 5],
      ['x-more', 1],
      ['expires', '2029-01-01T00:00:00Z'],
    ] as const) {
      const options = await optionsFor(theirs, world, by, (draft) => new Map([...draft, [member, value]]));
      expect(await codeOf(takeOver(options))).toBe('USAGE_INVALID');
    }
    const twice = await optionsFor(theirs, world);
    await takeOver(twice);
    expect(await codeOf(takeOver(twice))).toBe('COLLECTION_EXISTS');
  });

  it('tells what content could not be had, and serves the rest', async () => {
    for (const url of theirs.site.keys()) if (url.includes('keys.json')) theirs.site.delete(url);
    const { lost } = await takeOver(await optionsFor(theirs, world));
    expect(lost).toEqual(['packages.example.test/keys.json']);
    expect(watcher(world).fetch('trusted_root.json')).toBe('the root of trust');
  });
});

it('is refused where a client would refuse it, or names would clash', async () => {
  theirs = await foreignWorld();
  const read = (site: ReadonlyMap<string, Uint8Array>): Promise<string | undefined> =>
    codeOf(readForeign(sourceOver(site), theirs.anchor, nodeCrypto));
  const without = (part: string): Map<string, Uint8Array> =>
    new Map([...theirs.site].filter(([url]) => !url.includes(part)));
  expect(await read(without('2.root'))).toBe('STORE_READ');
  expect(await read(without('targets.json'))).toBe('METADATA_MISSING');
  expect(await read(without('4.packages.example'))).toBe('METADATA_MISSING');
  const forged = new Map(theirs.site);
  const file = forged.get('metadata/4.packages.example.test.json') ?? new Uint8Array();
  forged.set('metadata/4.packages.example.test.json', Buffer.from(textOf(file).replace('keys.json', 'evil.json')));
  expect(await read(forged)).toBe('THRESHOLD_NOT_MET');
  expect(
    await codeOf(
      readForeign(
        theirs.source,
        await signFile(new Map(openEnvelope(theirs.anchor, 'root').signed), [npm]),
        nodeCrypto,
      ),
    ),
  ).toBe('THRESHOLD_NOT_MET');
});

it('goes on with bins by TAP 15 under their names and versions', async () => {
  theirs = await foreignWorld(true, { bins: true });
  world = worldOver(theirs);
  const client = theirClient(theirs, world);
  const inBins = theirs.paths.filter((path) => path.startsWith('files/'));
  await takeOver(await optionsFor(theirs, world));
  const repository = await world.open();
  await upload(repository, 'new');
  await publish(
    repository,
    submissionText({ files: [{ path: 'files/new', sha256: factsOf(Buffer.from('new')).sha256 }] }),
  );
  for (const one of [client, watcher(world)]) {
    one.refresh();
    for (const path of inBins) expect(one.fetch(path)).toBe(`of ${path}`);
    expect(one.fetch('files/new')).toBe('new');
    expect(one.find('files/new')?.trail).toEqual(['targets', 'bins', expect.stringMatching(/^bins-[0-3]$/)]);
  }
  expect(
    Math.min(...[0, 1, 2, 3].map((bin) => client.state.snapshot.content.meta.get(`bins-${bin}`)?.version ?? 0)),
  ).toBeGreaterThan(7);
  expect(readRoot(openEnvelope(world.disk.roles.get('root')?.bytes ?? new Uint8Array(), 'root').signed).version).toBe(
    4,
  );
});
