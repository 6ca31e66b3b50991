import {
  driveSync,
  type FreshState,
  find,
  list,
  metadataUrl,
  openEnvelope,
  readTimestamp,
  refresh,
  requireTargetPath,
  type SyncPorts,
  start,
  targetUrl,
} from '@countersign/core';
import { seededKey } from '@countersign/testkit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { factsOf, memoryStore } from '../../test/memory-store.ts';
import { copyOf, livedWorld, MS, optionsOver, pass, promote, release, TOOL } from '../../test/operations-world.ts';
import { author, BEGIN, codeOf, HOUR, newWorld, nodeCrypto, type World, watcher } from '../../test/world.ts';
import { checkCollection, type Finding, findGarbage, heldTimestamps, keptFiles, removeGarbage } from './index.ts';

const DAY = 24 * HOUR;

async function collect(world: World, step?: (name: string) => void): Promise<number> {
  const garbage = await findGarbage(optionsOver(world), 'everything');
  await removeGarbage(optionsOver(world, step), garbage);
  return garbage.urls.length + garbage.files.length + garbage.blobs.length;
}

async function errors(world: World): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  await checkCollection({ ...optionsOver(world), anchor: world.anchor }, (finding) => findings.push(finding));
  return findings.filter(({ kind }) => !['SITE_EARLIER', 'BLOBS_UNLISTED', 'ROLE_EXPIRED'].includes(kind));
}

function move(world: World, millis: number): void {
  world.clock.now += millis;
  world.disk.clock.now = world.clock.now;
}

/** A client that was given this timestamp once and goes on from it; gives all content that it finds. Throws where the site lacks anything. */
function goOnFrom(world: World, timestamp: Uint8Array, root = world.anchor): readonly string[] {
  const ports: SyncPorts = {
    crypto: nodeCrypto,
    state: { load: () => undefined, save: () => undefined, drop: () => undefined },
    source: {
      fetch: ({ role, url }) => (role === 'timestamp' ? timestamp : world.disk.site.get(`metadata/${url}`)),
    },
  };
  const now = world.clock.now;
  const state: FreshState = driveSync(refresh(driveSync(start(root), ports), now), ports);
  const contents: string[] = [];
  for (const { directory } of [MS, TOOL]) {
    for (const path of driveSync(list(state, directory, now), ports).found.keys()) {
      const target = driveSync(find(state, path, now), ports)?.target;
      for (const digest of target?.hashes.values() ?? []) {
        const bytes = world.disk.site.get(`targets/${targetUrl(requireTargetPath(path), digest)}`);
        if (bytes === undefined || factsOf(bytes).sha256 !== target?.hashes.get('sha256'))
          throw new Error(`404 ${path}`);
        contents.push(`${path} ${Buffer.from(bytes).toString()}`);
      }
    }
  }
  return contents;
}

const urlOf = (path: string, digest: string): string => `targets/${targetUrl(requireTargetPath(path), digest)}`;
const expiryOf = (timestamp: Uint8Array): number => readTimestamp(openEnvelope(timestamp, 'timestamp').signed).expires;

describe('keeping', () => {
  const served = (
    version: number,
    from: number,
    to: number,
    snapshot = version,
  ): Parameters<typeof heldTimestamps>[0][0] => ({
    version,
    served: from,
    expires: to,
    snapshot,
  });

  it('timestamps count while they are valid, for the grace after, and at least for their own lifetime', () => {
    const timestamps = [served(1, 0, 10), served(2, 10, 110)];
    const at = (now: number, grace: number): readonly number[] =>
      heldTimestamps(timestamps, now, grace).map(({ version }) => version);
    expect(at(9, 0)).toEqual([1, 2]);
    expect(at(19, 0)).toEqual([1, 2]);
    expect(at(20, 0)).toEqual([2]);
    expect(at(209, 0)).toEqual([2]);
    expect(at(210, 0)).toEqual([]);
    expect(at(209, 150)).toEqual([2]);
    expect(at(260, 150)).toEqual([]);
  });

  it('keeps every root, what is current, and what kept timestamps reach', async () => {
    const kept = await keptFiles(
      { current: [['a', 5]], timestamps: [served(1, 0, 1, 1), served(2, 100, 110, 7)] },
      async (snapshot) => [['a', snapshot - 3]],
      115,
      5,
    );
    const has = (role: string, ...versions: readonly number[]): readonly boolean[] =>
      versions.map((v) => kept.has(role, v));
    expect(has('root', 1, 2, 99)).toEqual([true, true, true]);
    expect(has('a', 3, 4, 5)).toEqual([false, true, true]);
    expect(has('snapshot', 1, 7)).toEqual([false, true]);
    expect(has('timestamp', 1, 2)).toEqual([false, true]);
  });
});

describe('collecting', () => {
  it('takes nothing before its time, and afterwards all that is not current', async () => {
    const world = await livedWorld();
    expect(await findGarbage(optionsOver(world), 'everything')).toEqual({
      files: [],
      urls: [],
      blobs: [],
      notBefore: undefined,
    });
    await pass(world, 9 * 24);
    const garbage = await findGarbage(optionsOver(world), 'everything');
    expect(garbage.files.map(({ role, version }) => `${version}.${role}`)).toContain(`1.${MS.role}`);
    expect(garbage.files.some(({ role }) => role === 'root')).toBe(false);
    expect(garbage.urls.map(({ url }) => url)).toContain(`metadata/${metadataUrl(MS.role, 1)}`);
    // The content that was replaced, under both digests, and its blob.
    const old = factsOf(Buffer.from('old'));
    for (const digest of [old.sha256, old.sha512]) {
      expect(garbage.urls.map(({ url }) => url)).toContain(urlOf(`${TOOL.directory}/latest`, digest));
    }
    expect(garbage.blobs).toContainEqual({ name: old.sha256, length: 3 });
    await removeGarbage(optionsOver(world), garbage);
    expect(await errors(world)).toEqual([]);
    expect(await collect(world)).toBe(0);
    const client = watcher(world);
    expect([client.fetch(`${MS.directory}/ms-1`), client.fetch(`${TOOL.directory}/latest`)]).toEqual(['one', 'new']);
    // What a path showed is remembered even so.
    expect(await memoryStore(world.disk).ledger.shown(`${TOOL.directory}/latest`)).toBeDefined();
  });

  it('beside a publisher takes earlier metadata only', async () => {
    const world = await livedWorld();
    await pass(world, 9 * 24);
    const garbage = await findGarbage(optionsOver(world), 'metadata');
    expect(garbage.blobs).toEqual([]);
    expect(garbage.urls.every(({ url }) => url.startsWith('metadata/'))).toBe(true);
    // Found, then published, then removed.
    await release(world, TOOL, { latest: 'newest' });
    await removeGarbage(optionsOver(world), garbage);
    expect(await errors(world)).toEqual([]);
    expect(watcher(world).fetch(`${TOOL.directory}/latest`)).toBe('newest');
  });

  it('keeps what was uploaded lately, what waits in the journal, and what documents speak of', async () => {
    const world = await livedWorld();
    await pass(world, 9 * 24);
    await collect(world);
    const { ledger, blobs } = memoryStore(world.disk);
    const digests: string[] = [];
    for (const text of ['waits', 'drafted', 'nobody’s', 'lately']) {
      const bytes = Buffer.from(text);
      const { sha256 } = factsOf(bytes);
      digests.push(sha256);
      if (text === 'lately') move(world, 8 * DAY);
      await ledger.recordBlob(
        await blobs.put(
          sha256,
          (async function* () {
            yield bytes;
          })(),
          100,
        ),
      );
    }
    await ledger.journal([
      { id: 'x', received: world.clock.now, text: `{"file":"…\\"sha256\\":\\"${digests[0]}\\"…"}` },
    ]);
    await ledger.putDocument('draft', 'y', 0, `…${digests[1]}…`);
    const { blobs: found } = await findGarbage(optionsOver(world), 'everything');
    expect(found.map(({ name }) => name)).toEqual([digests[2]]);
  });

  it('removes what was left of interrupted writes, and leaves what is not its own', async () => {
    const world = await livedWorld();
    const options = optionsOver(world);
    const old = world.clock.now - 2 * HOUR;
    const stray = [
      { url: 'metadata/.partial-1', length: 1, modified: old, partial: true },
      { url: 'metadata/.partial-2', length: 1, modified: world.clock.now, partial: true },
      { url: 'robots.txt', length: 1, modified: old, partial: false },
    ];
    const site = {
      ...options.site,
      async *list() {
        yield* options.site.list();
        yield* stray;
      },
    };
    const { urls } = await findGarbage({ ...options, site }, 'everything');
    expect(urls.map(({ url }) => url)).toEqual(['metadata/.partial-1']);
  });

  it('a clock that runs years ahead takes no more than time has', async () => {
    const world = await livedWorld();
    const before = (await findGarbage(optionsOver(world), 'everything')).files.length;
    const ahead = { ...optionsOver(world), clock: () => BEGIN + 4000 * DAY };
    expect((await findGarbage(ahead, 'metadata')).files.length).toBe(before);
  });

  it('waits in a ledger that was made anew: it does not know what was served before', async () => {
    const world = await livedWorld();
    await pass(world, 9 * 24);
    world.disk.publications.splice(0, world.disk.publications.length - 1);
    const { notBefore, urls } = await findGarbage(optionsOver(world), 'everything');
    expect([notBefore, urls]).toEqual([(world.disk.publications[0]?.at ?? 0) + 8 * DAY, []]);
    await pass(world, 9 * 24);
    expect((await findGarbage(optionsOver(world), 'everything')).urls.length).toBeGreaterThan(0);
  });

  it('of what was never created', async () => {
    const world = await newWorld();
    world.disk.publications.length = 0;
    expect(await codeOf(findGarbage(optionsOver(world), 'everything'))).toBe('COLLECTION_MISSING');
  });
});

describe('a process that dies while it collects', () => {
  it('at any step leaves a sound collection, and the next run ends the work', async () => {
    const lived = await livedWorld();
    await pass(lived, 9 * 24);
    let steps = 0;
    const whole = { ...lived, disk: copyOf(lived.disk) };
    await collect(whole, () => void steps++);
    expect(steps).toBeGreaterThan(30);
    for (let last = 0; last < steps; last++) {
      const world = { ...lived, disk: copyOf(lived.disk) };
      let step = 0;
      const died = await collect(world, () => {
        if (step++ === last) throw new Error('killed');
      }).then(
        () => false,
        () => true,
      );
      expect(died).toBe(true);
      expect(await errors(world)).toEqual([]);
      await collect(world);
      expect([...world.disk.site.keys()].sort()).toEqual([...whole.disk.site.keys()].sort());
      expect([...world.disk.blobs.keys()].sort()).toEqual([...whole.disk.blobs.keys()].sort());
      expect([...world.disk.files.keys()].sort()).toEqual([...whole.disk.files.keys()].sort());
    }
  });
});

describe('no client that holds a valid timestamp is ever let down', () => {
  const action = fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant('release' as const), n: fc.nat({ max: 5 }) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('pass' as const), n: fc.integer({ min: 1, max: 8 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('promote' as const), n: fc.nat({ max: 1 }) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('collect' as const), n: fc.constant(0) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('idle' as const), n: fc.integer({ min: 1, max: 40 }) }) },
  );

  it('whatever is published, and whenever garbage is collected', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 4, maxLength: 14 }), async (actions) => {
        const world = await newWorld();
        await release(world, MS, { 'ms-0': 'zero' });
        await release(world, TOOL, { latest: 'first' });
        /** What was served, with what a client found from it then. */
        const holders: { readonly timestamp: Uint8Array; readonly found: readonly string[] }[] = [];
        const remember = (): void => {
          const timestamp = world.disk.site.get('metadata/timestamp.json') ?? new Uint8Array();
          if (expiryOf(timestamp) > world.clock.now) holders.push({ timestamp, found: goOnFrom(world, timestamp) });
        };
        remember();
        for (const { do: what, n } of actions) {
          if (what === 'release') await release(world, TOOL, { latest: `content ${n}`, [`file-${n}`]: `file ${n}` });
          else if (what === 'pass') await pass(world, n * 24);
          else if (what === 'promote') await promote(world).catch(() => undefined);
          else if (what === 'idle') move(world, n * 6 * HOUR);
          else await collect(world);
          remember();
          for (const { timestamp, found } of holders) {
            if (expiryOf(timestamp) > world.clock.now) expect(goOnFrom(world, timestamp)).toEqual(found);
          }
        }
      }),
      { numRuns: 10, seed: 4 },
    );
  }, 60_000);

  it('many names, one of them deep below: release roles are reached too', async () => {
    const world = await newWorld();
    await release(world, author('other', { keys: [seededKey('someone')] }), { file: 'x' });
    await release(world, MS, { 'ms-1': 'one' });
    const timestamp = world.disk.site.get('metadata/timestamp.json') ?? new Uint8Array();
    const found = goOnFrom(world, timestamp);
    await release(world, MS, { 'ms-1': 'one', 'ms-2': 'two' });
    move(world, 20 * HOUR);
    await collect(world);
    expect(goOnFrom(world, timestamp)).toEqual(found);
  });
});
