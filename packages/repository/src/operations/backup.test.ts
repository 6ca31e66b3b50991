import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { driveSync, editRoot, refresh, type Signer, type SyncPorts, signFile, start } from '@countersign/core';
import { seededKey } from '@countersign/testkit';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Disk, emptyDisk, endProcesses, factsOf, memoryStore, type Step } from '../../test/memory-store.ts';
import { copyOf, livedWorld, MS, optionsOver, pass, release, TOOL } from '../../test/operations-world.ts';
import { codeOf, HOUR, nodeCrypto, OFFLINE, ONLINE, type Watcher, type World, watcher } from '../../test/world.ts';
import {
  type ArchiveReader,
  type ArchiveWriter,
  backUp,
  checkCollection,
  type Finding,
  findGarbage,
  folderArchive,
  goesBack,
  lastSeenIn,
  laterRoots,
  type MadeBackup,
  openFolderArchive,
  openTarArchive,
  readBackup,
  removeGarbage,
  renewKeys,
  requireSound,
  showAll,
  tarArchive,
} from './index.ts';

let lived: World;
let folder: string;
beforeAll(async () => {
  lived = await livedWorld();
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-backup-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const PLACES: readonly (readonly [string, () => Promise<ArchiveWriter>, () => Promise<ArchiveReader>])[] = [
  ['a folder', () => folderArchive(join(folder, 'main')), async () => openFolderArchive(join(folder, 'main'))],
  ['a tar file', () => tarArchive(join(folder, 'main.tar')), () => openTarArchive(join(folder, 'main.tar'))],
];

/** A world of its own on a copy of the disk. */
function copied(): World {
  const [disk, clock] = [copyOf(lived.disk), { ...lived.clock }];
  return {
    ...lived,
    disk,
    clock,
    open: (more, step) => lived.open({ clock: () => clock.now, ...memoryStore(disk, step), ...more }),
  };
}

async function backup(world: World, place = join(folder, 'main')): Promise<MadeBackup> {
  return await backUp(optionsOver(world), await folderArchive(place));
}

/** Restores into an empty disk, as the command does. */
async function restored(from: World, archive: ArchiveReader, disk: Disk = emptyDisk(), step?: Step): Promise<World> {
  const clock = { ...from.clock };
  const world: World = {
    ...from,
    disk,
    clock,
    open: (more) => from.open({ clock: () => clock.now, ...memoryStore(disk), ...more }),
  };
  disk.clock.now = clock.now;
  const options = optionsOver(world, step);
  await readBackup(options, archive);
  await showAll(options);
  await requireSound(options, from.anchor);
  return world;
}

async function problems(world: World): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  await checkCollection({ ...optionsOver(world), anchor: world.anchor, deep: true }, (one) => findings.push(one));
  return findings.filter(({ kind }) => !['SITE_EARLIER', 'BLOBS_UNLISTED'].includes(kind));
}

const contents = (client: Pick<Watcher, 'fetch'>): readonly (string | undefined)[] =>
  [`${MS.directory}/ms-1`, `${MS.directory}/ms-2`, `${TOOL.directory}/latest`].map((path) => client.fetch(path));

/** A client of one world that keeps what it trusts, and is sent to another. */
function wanderer(world: World): { go(to: World): void } {
  const kept = new Map<string, Uint8Array>();
  const portsOf = (at: World): SyncPorts => ({
    crypto: nodeCrypto,
    state: {
      load: (name) => kept.get(name),
      save: (name, bytes) => void kept.set(name, bytes),
      drop: (name) => void kept.delete(name),
    },
    source: { fetch: ({ url }) => at.disk.site.get(`metadata/${url}`) },
  });
  const go = (to: World): void => {
    driveSync(refresh(driveSync(start(world.anchor), portsOf(to)), to.clock.now), portsOf(to));
  };
  go(world);
  return { go };
}

describe.each(PLACES)('in %s', (_name, writer, reader) => {
  it('everything comes back, and life goes on', async () => {
    const world = copied();
    const { ledger } = memoryStore(world.disk);
    await ledger.addToken('t'.repeat(64), 'alice');
    await ledger.putDocument('draft', 'x', 0, '{"a":"\\ud83d\\ude00 ☃"}');
    const client = wanderer(world);
    const { manifest } = await backUp(optionsOver(world), await writer());
    expect(manifest).toMatchObject({ collection: 'main', head: await ledger.head(), lost: [] });
    expect(manifest.blobs.count).toBe(world.disk.known.size);
    const back = await restored(world, await reader());
    expect(await problems(back)).toEqual([]);
    for (const what of ['files', 'known', 'shown', 'blobs', 'site', 'documents', 'tokens'] as const) {
      expect([what, [...back.disk[what]].sort(([a], [b]) => (a < b ? -1 : 1))]).toEqual([
        what,
        [...world.disk[what]].sort(([a], [b]) => (a < b ? -1 : 1)),
      ]);
    }
    const journal = ({ disk }: World): readonly unknown[] =>
      [...disk.journal.values()].map(({ id, received, text, publication, refusal }) => [
        id,
        received,
        text,
        publication,
        refusal,
      ]);
    expect(journal(back)).toEqual(journal(world));
    expect(back.disk.publications).toEqual(world.disk.publications);
    expect([...back.disk.roles.keys()].sort()).toEqual([...world.disk.roles.keys()].sort());
    expect(contents(watcher(back))).toEqual(['one', 'two', 'new']);
    client.go(back);
    await release(back, MS, { 'ms-1': 'one', 'ms-2': 'two', 'ms-3': 'three' });
    client.go(back);
    expect(watcher(back).fetch(`${MS.directory}/ms-3`)).toBe('three');
  });

  it('a blob of no bytes, and one larger than a chunk', async () => {
    const world = copied();
    const large = 'x'.repeat(200_000);
    await release(world, TOOL, { latest: '', large });
    await backUp(optionsOver(world), await writer());
    const back = await restored(world, await reader());
    const client = watcher(back);
    expect([client.fetch(`${TOOL.directory}/latest`), client.fetch(`${TOOL.directory}/large`)]).toEqual(['', large]);
  });
});

describe('making a backup', () => {
  it('while others publish: it is of one head, and what was acknowledged since waits in its journal', async () => {
    const world = copied();
    const options = optionsOver(world);
    let late = false;
    const busy = {
      ...options.ledger,
      async *held() {
        for await (const row of options.ledger.held()) {
          if (!late) {
            late = true;
            await release(world, TOOL, { latest: 'newest' });
            await pass(world, 24);
          }
          yield row;
        }
      },
    };
    const before = await options.ledger.head();
    const { manifest } = await backUp({ ...options, ledger: busy }, await folderArchive(join(folder, 'main')));
    expect(manifest.head).toEqual(before);
    expect((await options.ledger.head())?.publication).toBeGreaterThan(manifest.head.publication);
    const back = await restored(copied(), openFolderArchive(join(folder, 'main')));
    expect((await memoryStore(back.disk).ledger.pending()).length).toBe(1);
    expect(watcher(back).fetch(`${TOOL.directory}/latest`)).toBe('new');
    const repository = await back.open();
    await repository.renew();
    await repository.close();
    expect(watcher(back).fetch(`${TOOL.directory}/latest`)).toBe('newest');
    expect(await problems(back)).toEqual([]);
  });

  it('again writes only what is new, and what the last one needed no more is gone', async () => {
    const world = copied();
    const first = await backup(world);
    expect(first.copied).toBe(first.manifest.blobs.bytes);
    expect((await backup(world)).copied).toBe(0);
    await release(world, TOOL, { latest: 'newest' });
    const third = await backup(world);
    expect(third.copied).toBe('newest'.length);
    const parts = await readdir(join(folder, 'main', 'ledger'), { recursive: true });
    expect(parts.filter((name) => name.endsWith('.jsonl')).length).toBe(third.manifest.parts.length);
    const back = await restored(world, openFolderArchive(join(folder, 'main')));
    expect(watcher(back).fetch(`${TOOL.directory}/latest`)).toBe('newest');
  });

  it('that is cut off leaves the one before it', async () => {
    const world = copied();
    await backup(world);
    await release(world, TOOL, { latest: 'newest' });
    for (let last = 0; last < 4; last++) {
      const archive = await folderArchive(join(folder, 'main'));
      let writes = 0;
      const dying: ArchiveWriter = {
        ...archive,
        async write(name, length, body) {
          if (writes++ === last) throw new Error('killed');
          await archive.write(name, length, body);
        },
        finish: async () => {
          throw new Error('killed');
        },
      };
      await expect(backUp(optionsOver(world), dying)).rejects.toThrow('killed');
      const back = await restored(copied(), openFolderArchive(join(folder, 'main')));
      expect(watcher(back).fetch(`${TOOL.directory}/latest`)).toBe('new');
    }
  });

  it('of a damaged collection says which blobs are lost, and the rest comes back', async () => {
    const world = copied();
    const [one, two] = ['one', 'two'].map((text) => factsOf(Buffer.from(text)).sha256);
    world.disk.blobs.set(one ?? '', Buffer.from('eno'));
    world.disk.blobs.delete(two ?? '');
    const { manifest } = await backup(world);
    expect(new Set(manifest.lost)).toEqual(new Set([one, two]));
    const back = await restored(world, openFolderArchive(join(folder, 'main')));
    expect((await problems(back)).map(({ kind }) => kind).sort()).toEqual([
      'BLOB_MISSING',
      'BLOB_MISSING',
      ...Array.from({ length: 4 }, () => 'SITE_MISSING'),
    ]);
    // Forgotten, so that they can be uploaded again.
    expect(await memoryStore(back.disk).ledger.blob(one ?? '')).toBeUndefined();
    expect(watcher(back).fetch(`${TOOL.directory}/latest`)).toBe('new');
  });

  it('never into a folder of something else, and never over a file', async () => {
    await writeFile(join(folder, 'thesis.txt'), 'mine');
    expect(await codeOf(folderArchive(folder))).toBe('STORE_WRITE');
    expect(await codeOf(tarArchive(join(folder, 'thesis.txt')))).toBe('USAGE_INVALID');
    expect(await readFile(join(folder, 'thesis.txt'), 'utf8')).toBe('mine');
  });

  it('of what was never created', async () => {
    const world = copied();
    world.disk.publications.length = 0;
    expect(await codeOf(backUp(optionsOver(world), await tarArchive(join(folder, 'x.tar'))))).toBe(
      'COLLECTION_MISSING',
    );
    expect(await readdir(folder)).toEqual([]);
  });

  it('the tar file is one for every tar, and only its owner may read it', async () => {
    const file = join(folder, 'main.tar');
    await backUp(optionsOver(lived), await tarArchive(file));
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const names = execFileSync('tar', ['-tf', file], { encoding: 'utf8' }).trim().split('\n');
    expect(names.at(-1)).toBe('manifest.json');
    expect(names.filter((name) => name.startsWith('blobs/')).length).toBe(lived.disk.known.size);
    const manifest = execFileSync('tar', ['-xOf', file, 'manifest.json'], { encoding: 'utf8' });
    expect(JSON.parse(manifest)).toMatchObject({ _type: 'countersign-backup', collection: 'main' });
  });

  it('a length beyond what the old tar header takes is written and read', async () => {
    const archive = await tarArchive(join(folder, 'x.tar'));
    const length = 8 ** 11 + 5;
    const empty = (async function* (): AsyncGenerator<Uint8Array, void> {})();
    expect(await codeOf(archive.write('blobs/aa/large', length, empty))).toBe('STORE_WRITE');
    await archive.abandon();
  });
});

describe('a backup that is not as it was', () => {
  const main = (...names: readonly string[]): string => join(folder, 'main', ...names);
  async function partOf(): Promise<string> {
    const [name] = (await readdir(main('ledger'), { recursive: true })).filter((one) => one.endsWith('.jsonl'));
    return main('ledger', name ?? '');
  }
  async function edit(file: string, change: (text: string) => string): Promise<void> {
    await writeFile(file, change(await readFile(file, 'utf8')));
  }
  /** Writes a part anew with its right digest, as somebody would who knows how it is made. */
  async function forge(change: (text: string) => string): Promise<void> {
    const part = await partOf();
    const before = factsOf(await readFile(part));
    await edit(part, change);
    const after = factsOf(await readFile(part));
    await edit(main('manifest.json'), (text) =>
      text.replace(before.sha256, after.sha256).replace(`"length":${before.length}`, `"length":${after.length}`),
    );
  }
  const blob = (): string => {
    const { sha256: digest } = factsOf(Buffer.from('one'));
    return main('blobs', digest.slice(0, 2), digest);
  };

  it.each<readonly [string, string, () => Promise<unknown>]>([
    ['without manifest', 'STORE_READ', () => rm(main('manifest.json'))],
    ['with a manifest that is cut', 'STORE_CORRUPT', () => edit(main('manifest.json'), (text) => text.slice(0, 99))],
    [
      'of a later format',
      'STORE_CORRUPT',
      () => edit(main('manifest.json'), (text) => text.replace('"format":1', '"format":2')),
    ],
    [
      'with a part that leads elsewhere',
      'STORE_CORRUPT',
      () => edit(main('manifest.json'), (text) => text.replace('"ledger/', '"../')),
    ],
    ['with a part that is cut', 'STORE_CORRUPT', async () => edit(await partOf(), (text) => text.slice(0, -9))],
    ['without a part', 'STORE_CORRUPT', async () => rm(await partOf())],
    ['without a blob', 'STORE_CORRUPT', async () => rm(blob())],
    ['with a blob that is cut', 'STORE_CORRUPT', async () => writeFile(blob(), 'on')],
    ['with another blob', 'STORE_CORRUPT', async () => writeFile(blob(), 'eno')],
    ['with a row that is none', 'STORE_CORRUPT', () => forge((text) => `${text}{"row":"key"}\n`)],
    [
      'with a row that is torn',
      'STORE_CORRUPT',
      () => forge((text) => text.replace('"row":"account"', '"row":"account').concat('{"row"')),
    ],
    [
      'with a role file that is not what its digest says',
      'STORE_CORRUPT',
      () => forge((text) => text.replace('ms-2', 'ms-3')),
    ],
    [
      'with a role file that nobody signed',
      'CHECK_FAILED',
      () =>
        forge((text) =>
          text
            .split('\n')
            .map((line) => {
              if (!line.includes('"role":"pkg.1.ms"') || !line.includes('"version":2')) return line;
              const row = JSON.parse(line) as { text: string; sha256: string };
              row.text = row.text.replace(/ms-2/, 'ms-3');
              row.sha256 = factsOf(Buffer.from(row.text)).sha256;
              return JSON.stringify(Object.fromEntries(Object.entries(row).sort((a, b) => (a < b ? -1 : 1))));
            })
            .join('\n'),
        ),
    ],
  ])('%s is refused', async (_what, code, damage) => {
    const world = copied();
    await backup(world);
    await damage();
    expect(await codeOf(restored(world, openFolderArchive(main())))).toBe(code);
  });

  it('a tar file that is cut, or of something else, is refused', async () => {
    const file = join(folder, 'main.tar');
    await backUp(optionsOver(lived), await tarArchive(file));
    const bytes = await readFile(file);
    for (const part of [
      bytes.subarray(0, 700),
      bytes.subarray(0, bytes.length - 2000),
      Buffer.from('no tar at all'.repeat(99)),
    ]) {
      await writeFile(file, part);
      expect(await codeOf(openTarArchive(file))).toBe('STORE_CORRUPT');
    }
    expect(await codeOf(openTarArchive(join(folder, 'none.tar')))).toBe('STORE_READ');
  });

  it('with another anchor it is refused: it may be anybody’s collection', async () => {
    const world = copied();
    await backup(world);
    const other = {
      ...world,
      anchor: await signFile(editRoot(undefined, rootOf(seededKey('stranger'))), [seededKey('stranger')]),
    };
    expect(await codeOf(restored(other, openFolderArchive(join(folder, 'main'))))).toBe('CHECK_FAILED');
  });
});

describe('a process that dies while it restores', () => {
  it('at any step: nothing is believed of it, and the next run ends the work', async () => {
    const world = copied();
    const clean = { ...optionsOver(world) };
    await pass(world, 9 * 24);
    await removeGarbage(clean, await findGarbage(clean, 'everything'));
    await backup(world);
    const archive = openFolderArchive(join(folder, 'main'));
    let steps = 0;
    await restored(world, archive, emptyDisk(), () => void steps++);
    for (let last = 0; last < steps; last += 9) {
      const disk = emptyDisk();
      let step = 0;
      const dies: Step = () => {
        if (step++ === last) throw new Error('killed');
      };
      await expect(restored(world, archive, disk, dies)).rejects.toThrow('killed');
      endProcesses(disk);
      const back = await restored(world, archive, disk);
      expect(await problems(back)).toEqual([]);
    }
  });
});

function rootOf(signer: Signer): Parameters<typeof editRoot>[1] {
  const only = { keyIds: [signer.keyId], threshold: 1 };
  return {
    expires: Date.UTC(2031, 0, 1),
    keys: new Map([[signer.keyId, signer.key]]),
    roles: new Map((['root', 'timestamp', 'snapshot', 'targets'] as const).map((role) => [role, only] as const)),
  };
}

describe('§5.3.11 below what was once served', () => {
  const keys = { offline: OFFLINE, timestamp: seededKey('new timestamp'), snapshot: seededKey('new snapshot') };
  const newOnline = { ...ONLINE, timestamp: keys.timestamp, snapshot: keys.snapshot };

  /** A backup, and the collection some publications later. */
  async function overtaken(): Promise<{ readonly later: World; readonly archive: ArchiveReader }> {
    const later = copied();
    await backup(later);
    await release(later, TOOL, { latest: 'newest' });
    await pass(later, 24);
    return { later, archive: openFolderArchive(join(folder, 'main')) };
  }

  it('§5.4.3 a client that saw the later state refuses the earlier one, and accepts it under new keys', async () => {
    const { later, archive } = await overtaken();
    const client = wanderer(later);
    const back = await restored(later, archive);
    const seen = lastSeenIn(later.disk.site.get('metadata/timestamp.json') ?? new Uint8Array());
    expect(goesBack(lastSeenIn(back.disk.site.get('metadata/timestamp.json') ?? new Uint8Array()), seen)).toBe(true);
    expect(await codeOf(() => client.go(back))).toBe('ROLLBACK');

    expect(await renewKeys(optionsOver(back), keys, seen)).toBe(2);
    await showAll(optionsOver(back));
    expect(await requireSound(optionsOver(back), back.anchor)).toEqual([]);
    client.go(back);
    expect(contents(watcher(back))).toEqual(['one', 'two', 'new']);
    // Nothing that a cache may hold under its version is said anew.
    const now = lastSeenIn(back.disk.site.get('metadata/timestamp.json') ?? new Uint8Array());
    expect(now).toEqual({ timestamp: seen.timestamp + 1, snapshot: seen.snapshot + 1 });

    const open: World = { ...back, open: (more) => back.open({ signers: newOnline, ...more }) };
    await release(open, TOOL, { latest: 'after' });
    client.go(back);
    expect(watcher(back).fetch(`${TOOL.directory}/latest`)).toBe('after');
    expect(await problems(back)).toEqual([]);
  });

  it('the old keys sign nothing any more that clients take', async () => {
    const { later, archive } = await overtaken();
    const back = await restored(later, archive);
    await renewKeys(optionsOver(back), keys, undefined);
    await showAll(optionsOver(back));
    const client = wanderer(back);
    const old = await back.open({ log: () => undefined });
    back.clock.now += 20 * HOUR;
    await old.renew(); // with the keys of before: its own check refuses that
    await old.close();
    client.go(back);
    expect(back.disk.roles.get('timestamp')?.version).toBe(
      lastSeenIn(back.disk.site.get('metadata/timestamp.json') ?? new Uint8Array()).timestamp,
    );
    expect(await problems(back)).toEqual([]);
  });

  it('too few offline keys, or foreign ones, sign no root', async () => {
    const { later, archive } = await overtaken();
    const back = await restored(later, archive);
    const few = { ...keys, offline: OFFLINE.slice(0, 1) };
    expect(await codeOf(renewKeys(optionsOver(back), few, undefined))).toBe('KEY_MISSING');
    const foreign = { ...keys, offline: [seededKey('x'), seededKey('y')] };
    expect(await codeOf(renewKeys(optionsOver(back), foreign, undefined))).toBe('KEY_MISSING');
    expect((await memoryStore(back.disk).ledger.head())?.publication).toBe(
      (await memoryStore(lived.disk).ledger.head())?.publication,
    );
  });

  it('§5.3.5 roots that were made since the backup are followed, never forked', async () => {
    const { later, archive } = await overtaken();
    // After the backup the quorum has renewed the keys once already.
    const since = { ...keys, timestamp: seededKey('second timestamp'), snapshot: seededKey('second snapshot') };
    await renewKeys(optionsOver(later), since, undefined);
    await showAll(optionsOver(later));
    const client = wanderer(later);
    const back = await restored(later, archive);
    const rootAt = async (version: number): Promise<Uint8Array | undefined> =>
      later.disk.site.get(`metadata/${version}.root.json`);
    const roots = await laterRoots(optionsOver(back), rootAt);
    expect(roots.map(({ version }) => version)).toEqual([2]);
    const { ledger } = memoryStore(back.disk);
    const publication = (await ledger.head())?.publication ?? 0;
    await ledger.put({
      files: roots.map((file) => ({ ...file, publication })),
      roles: roots.map((file) => ({ ...file, length: file.bytes.length })),
    });
    const seen = lastSeenIn(later.disk.site.get('metadata/timestamp.json') ?? new Uint8Array());
    expect(await renewKeys(optionsOver(back), keys, seen)).toBe(3);
    await showAll(optionsOver(back));
    client.go(back);
    expect(await problems(back)).toEqual([]);
  });

  it('§5.3.4 a root that the quorum did not sign is no later root', async () => {
    const back = copied();
    const stranger = seededKey('stranger');
    const forged = await signFile(new Map([...editRoot(undefined, rootOf(stranger)), ['version', 2]]), [stranger]);
    expect(await codeOf(laterRoots(optionsOver(back), async (version) => (version === 2 ? forged : undefined)))).toBe(
      'THRESHOLD_NOT_MET',
    );
    expect(await laterRoots(optionsOver(back), async () => undefined)).toEqual([]);
  });
});
