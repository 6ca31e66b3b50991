import { metadataUrl, releaseRoleName, requireTargetPath, shardName, targetUrl } from '@countersign/core';
import { seededKey } from '@countersign/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { factsOf, memoryStore } from '../../test/memory-store.ts';
import { copyOf, livedWorld, MS, optionsOver, release, TOOL } from '../../test/operations-world.ts';
import {
  BEGIN,
  codeOf,
  delegationsTo,
  HOUR,
  newWorld,
  once,
  presentOf,
  publish,
  roleText,
  submissionOf,
  type World,
  watcher,
} from '../../test/world.ts';
import { type CheckOptions, checkCollection, type Finding, repairCollection } from './index.ts';

let lived: World;
beforeAll(async () => {
  lived = await livedWorld();
});

/** The same collection on a disk of its own. */
function copied(): World {
  return { ...lived, clock: { ...lived.clock }, disk: copyOf(lived.disk) };
}

async function check(world: World, more: Partial<CheckOptions> = {}): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  await checkCollection({ ...optionsOver(world), anchor: world.anchor, ...more }, (finding) => findings.push(finding));
  return findings;
}

/** What is found, by kind and subject, without what a sound collection has too. */
async function found(world: World, more?: Partial<CheckOptions>): Promise<readonly string[]> {
  const told = (await check(world, more)).filter(({ kind }) => !USUAL.includes(kind));
  return told.map(({ kind, subject }) => `${kind} ${subject}`).sort();
}

// The replaced content of a file may still be asked for.
const USUAL = ['SITE_EARLIER', 'BLOBS_UNLISTED'];

async function repaired(world: World, more?: Partial<CheckOptions>): Promise<readonly (string | undefined)[]> {
  return (await repairCollection(optionsOver(world), await check(world, more))).map(({ done }) => done);
}

const one = factsOf(Buffer.from('one'));
const urlOf = (path: string, digest: string): string => `targets/${targetUrl(requireTargetPath(path), digest)}`;
const MS_1 = `${MS.directory}/ms-1`;
const [SHORT, LONG] = [urlOf(MS_1, one.sha256), urlOf(MS_1, one.sha512)];
const MS_ROLE = metadataUrl(MS.role, 2);
const MS_SHARD = shardName('claimed', MS.directory.charAt(4));

describe('a sound collection', () => {
  it('has nothing wrong with it, and is counted', async () => {
    expect(await found(lived)).toEqual([]);
    expect(await found(lived, { deep: true })).toEqual([]);
    const summary = await checkCollection({ ...optionsOver(lived), anchor: lived.anchor }, () => undefined);
    expect(summary).toMatchObject({ roles: 52, targets: 5, blobs: 10, decisions: 4 });
    const [earlier, unlisted] = await check(lived);
    expect([earlier, unlisted].map((one) => one?.facts)).toEqual([
      { count: 5, bytes: expect.any(Number) },
      { count: 10, bytes: expect.any(Number) },
    ]);
  });

  it('is left alone by repair', async () => {
    const world = copied();
    expect(await repaired(world)).toEqual([]);
    expect(new Map(world.disk.site)).toEqual(new Map(lived.disk.site));
  });

  it('that was never created is not there', async () => {
    const world = await newWorld();
    world.disk.publications.length = 0;
    expect(await codeOf(check(world))).toBe('COLLECTION_MISSING');
  });

  it('is judged at one head while somebody publishes', async () => {
    const world = copied();
    const { site, ledger, blobs } = memoryStore(world.disk);
    let published = 0;
    const busy = {
      ...site,
      async *list() {
        yield* site.list();
        // Between the listing of the site and the walk.
        if (published++ === 0) {
          const open: World = { ...world, open: (more) => lived.open({ ledger, site, blobs, ...more }) };
          await release(open, TOOL, { latest: 'newest', more: 'more' });
        }
      },
    };
    expect(await found(world, { site: busy })).toEqual([]);
    expect(published).toBeGreaterThan(0);
  });
});

/** What was done to a collection, what is found, what repair says, and what is left then. */
interface Damage {
  readonly what: string;
  readonly do: (disk: World['disk']) => void;
  readonly found: readonly string[];
  readonly done: readonly (string | undefined)[];
  readonly left?: readonly string[];
  readonly deep?: boolean;
}

const BOTH = 'shown again';
const DAMAGES: readonly Damage[] = [
  {
    what: 'a role file is gone from the ledger',
    do: (disk) => disk.files.delete(`${MS.role} 2`),
    found: [`ROLE_MISSING ${MS_ROLE}`],
    done: ['taken back from the site'],
  },
  {
    what: 'a role file in the ledger is another one',
    do: (disk) => disk.files.set(`${MS.role} 2`, Buffer.from('{}')),
    found: [`ROLE_DAMAGED ${MS_ROLE}`],
    done: ['taken back from the site'],
  },
  {
    what: 'an early root is gone from the ledger',
    do: (disk) => disk.files.delete('root 1'),
    found: ['ROLE_MISSING 1.root.json'],
    done: ['taken back from the site'],
  },
  {
    what: 'the snapshot is gone from the ledger',
    do: (disk) => disk.files.delete(`snapshot ${disk.roles.get('snapshot')?.version}`),
    found: ['ROLE_MISSING 6.snapshot.json'],
    done: ['taken back from the site'],
  },
  {
    what: 'a role file is gone from ledger and site',
    do: (disk) => {
      disk.files.delete(`${MS.role} 2`);
      disk.site.delete(`metadata/${MS_ROLE}`);
    },
    found: [`ROLE_MISSING ${MS_ROLE}`],
    done: [undefined],
    left: [`ROLE_MISSING ${MS_ROLE}`],
  },
  {
    what: 'a row of the ledger names an earlier version',
    do: (disk) => {
      const { role, sha256, bytes } = disk.roles.get(MS.role) ?? { role: '', sha256: '', bytes: new Uint8Array() };
      disk.roles.set(MS.role, { role, version: 1, sha256, bytes });
    },
    found: [`ROLE_ROW ${MS.role}`],
    done: ['version 2 is current again'],
  },
  {
    what: 'a row of the ledger is gone',
    do: (disk) => disk.roles.delete(MS_SHARD),
    found: [`ROLE_ROW ${MS_SHARD}`],
    done: ['version 2 is current again'],
  },
  {
    what: 'a blob is gone',
    do: (disk) => disk.blobs.delete(one.sha256),
    found: [`BLOB_MISSING ${MS_1}`],
    done: ['taken back from the site'],
  },
  {
    what: 'a blob was cut short',
    do: (disk) => disk.blobs.set(one.sha256, Buffer.from('on')),
    found: [`BLOB_DAMAGED ${MS_1}`],
    done: ['taken back from the site'],
  },
  {
    what: 'a blob has other content of the same length',
    deep: true,
    do: (disk) => disk.blobs.set(one.sha256, Buffer.from('eno')),
    found: [`BLOB_DAMAGED ${one.sha256}`],
    done: ['taken back from the site'],
  },
  {
    what: 'a blob is gone from store and site',
    do: (disk) => {
      disk.blobs.delete(one.sha256);
      for (const url of [SHORT, LONG]) disk.site.delete(url);
    },
    found: [`BLOB_MISSING ${MS_1}`, `SITE_MISSING ${LONG}`, `SITE_MISSING ${SHORT}`],
    done: ['lost: forgotten, so that it can be uploaded again; check again then', undefined, undefined],
    left: [`BLOB_MISSING ${MS_1}`, `SITE_MISSING ${LONG}`, `SITE_MISSING ${SHORT}`],
  },
  {
    what: 'the record of a blob is gone',
    do: (disk) => disk.known.delete(one.sha256),
    found: [`BLOB_UNRECORDED ${MS_1}`],
    done: ['recorded again'],
  },
  {
    what: 'a record speaks of a blob that is not there and that nobody lists',
    do: (disk) => disk.known.set('f'.repeat(64), { sha256: 'f'.repeat(64), sha512: '', length: 1 }),
    found: [`BLOB_LOST ${'f'.repeat(64)}`],
    done: ['forgotten: it can be uploaded again'],
  },
  {
    what: 'a shown path is forgotten',
    do: (disk) => {
      disk.shown.delete(MS_1);
    },
    found: [`SHOWN_UNKNOWN ${MS_1}`],
    done: ['noted as shown'],
  },
  {
    what: 'a role file is gone from the site',
    do: (disk) => disk.site.delete(`metadata/${MS_ROLE}`),
    found: [`SITE_MISSING metadata/${MS_ROLE}`],
    done: ['written again'],
  },
  {
    what: 'a root is gone from the site',
    do: (disk) => disk.site.delete('metadata/1.root.json'),
    found: ['SITE_MISSING metadata/1.root.json'],
    done: ['written again'],
  },
  {
    what: 'an earlier role file, which clients may still ask for, is gone from the site',
    do: (disk) => disk.site.delete(`metadata/${metadataUrl(MS.role, 1)}`),
    found: [`SITE_MISSING metadata/${metadataUrl(MS.role, 1)}`],
    done: ['written again'],
  },
  {
    what: 'a role file on the site is torn',
    do: (disk) => disk.site.set(`metadata/${MS_ROLE}`, Buffer.from('{"signed"')),
    found: [`SITE_DIFFERS metadata/${MS_ROLE}`],
    done: ['written again'],
  },
  {
    what: 'a visible copy is gone',
    do: (disk) => disk.site.delete(LONG),
    found: [`SITE_MISSING ${LONG}`],
    done: [BOTH],
  },
  {
    what: 'a visible copy is empty',
    do: (disk) => disk.site.set(SHORT, new Uint8Array()),
    found: [`SITE_DIFFERS ${SHORT}`],
    done: [BOTH],
  },
  {
    what: 'a visible copy has other content of the same length',
    deep: true,
    do: (disk) => disk.site.set(SHORT, Buffer.from('eno')),
    found: [`SITE_DIFFERS ${SHORT}`],
    done: [BOTH],
  },
  {
    what: 'the site shows an earlier timestamp',
    do: (disk) => disk.site.set('metadata/timestamp.json', disk.files.get('timestamp 1') ?? new Uint8Array()),
    found: ['SITE_BEHIND metadata/timestamp.json'],
    done: [BOTH],
  },
  {
    what: 'the site shows no timestamp',
    do: (disk) => disk.site.delete('metadata/timestamp.json'),
    found: ['SITE_BEHIND metadata/timestamp.json'],
    done: [BOTH],
  },
  {
    what: 'the site holds a role file that nobody made',
    do: (disk) => disk.site.set('metadata/9.stranger.json', Buffer.from('{}')),
    found: ['SITE_UNLISTED metadata/9.stranger.json'],
    done: [],
    left: ['SITE_UNLISTED metadata/9.stranger.json'],
  },
  {
    what: 'a submission waits for days',
    do: (disk) =>
      disk.journal.set('old', { id: 'old', received: BEGIN, text: '', publication: undefined, refusal: undefined }),
    found: ['SUBMISSION_WAITS old'],
    done: [],
    left: ['SUBMISSION_WAITS old'],
  },
  {
    what: 'a submission was answered from a publication that is lost',
    do: (disk) => disk.journal.set('lost', { id: 'lost', received: 0, text: '', publication: 999, refusal: undefined }),
    found: ['SUBMISSION_AHEAD lost'],
    done: [],
    left: ['SUBMISSION_AHEAD lost'],
  },
  {
    what: 'a list of decisions that nobody signed is in the ledger',
    do: (disk) => disk.decisions.push({ sequence: 5, text: '{}' }),
    found: ['DECISIONS_REFUSED entry 5'],
    done: [],
    left: ['DECISIONS_REFUSED entry 5'],
  },
];

describe('damage', () => {
  it.each(DAMAGES)('$what: is found, and repaired as far as it can be', async (damage) => {
    const world = copied();
    damage.do(world.disk);
    const more = { deep: damage.deep ?? false };
    expect(await found(world, more)).toEqual(damage.found);
    expect(await repaired(world, more)).toEqual(damage.done);
    expect(await found(world, more)).toEqual(damage.left ?? []);
    if (damage.left === undefined) expect(watcher(world).fetch(MS_1)).toBe('one');
  });

  it('§5.4.3 a ledger that went back is said, and the site is not taken back after it', async () => {
    const world = copied();
    const before = copyOf(world.disk);
    const later: World = { ...world, open: (more) => lived.open({ ...memoryStore(world.disk), ...more }) };
    await release(later, TOOL, { latest: 'newest' });
    const back = { ...world, disk: { ...before, site: world.disk.site, blobs: world.disk.blobs } };
    expect(await found(back)).toContain('SITE_AHEAD metadata/timestamp.json');
    const shown = back.disk.site.get('metadata/timestamp.json');
    await repaired(back);
    expect(back.disk.site.get('metadata/timestamp.json')).toBe(shown);
  });

  it('whole folders at once', async () => {
    const world = copied();
    world.disk.site.clear();
    expect((await found(world)).length).toBeGreaterThan(50);
    await repaired(world);
    expect(await found(world)).toEqual([]);
    const client = watcher(world);
    expect([client.fetch(MS_1), client.fetch(`${TOOL.directory}/latest`)]).toEqual(['one', 'new']);
  });

  it('what was lost can be uploaded again, and is shown then', async () => {
    const world = copied();
    world.disk.blobs.delete(one.sha256);
    for (const url of [SHORT, LONG]) world.disk.site.delete(url);
    await repaired(world);
    const { ledger, blobs } = memoryStore(world.disk);
    expect(await ledger.blob(one.sha256)).toBeUndefined();
    await ledger.recordBlob(await blobs.put(one.sha256, once(Buffer.from('one')), 100));
    await repaired(world);
    expect(await found(world)).toEqual([]);
  });

  it('a role that its delegator does not know the keys of is refused, and no repair changes that', async () => {
    const world = copied();
    const stranger = world.disk.files.get(`${TOOL.role} 2`) ?? new Uint8Array();
    const listed = world.disk.files.get(`${MS.role} 2`) ?? new Uint8Array();
    // Of the listed length, so that only the signatures tell.
    const forged = Buffer.concat([
      stranger.subarray(0, listed.length),
      Buffer.alloc(Math.max(0, listed.length - stranger.length), ' '),
    ]);
    world.disk.files.set(`${MS.role} 2`, forged);
    world.disk.site.set(`metadata/${MS_ROLE}`, forged);
    const role = world.disk.roles.get(MS.role);
    if (role) world.disk.roles.set(MS.role, { ...role, bytes: forged, sha256: factsOf(forged).sha256 });
    for (const made of world.disk.made.values()) {
      for (const [i, file] of made.files.entries()) {
        if (file.role === MS.role && file.version === 2)
          (made.files as unknown[])[i] = { ...file, bytes: forged, sha256: factsOf(forged).sha256 };
      }
    }
    const findings = (await check(world)).filter(({ kind }) => !USUAL.includes(kind));
    expect(findings.map(({ kind, subject }) => `${kind} ${subject}`)).toEqual([`ROLE_REFUSED ${MS_ROLE}`]);
    expect(await repaired(world)).toEqual([]);
  });

  it('partial files are left to those who may still write them, and removed when they are old', async () => {
    const world = copied();
    const options = optionsOver(world);
    const removed: string[] = [];
    const partial = { name: 'ab/.partial-1', length: 5, partial: true };
    const blobs = (modified: number): CheckOptions['blobs'] => ({
      ...options.blobs,
      async *list() {
        yield* options.blobs.list();
        yield { ...partial, modified };
      },
      remove: async (names) => void removed.push(...names),
    });
    expect(await found(world, { blobs: blobs(world.clock.now - HOUR / 2) })).toEqual([]);
    const old = blobs(world.clock.now - 2 * HOUR);
    expect(await found(world, { blobs: old })).toEqual(['PARTIAL ab/.partial-1']);
    await repairCollection({ ...options, blobs: old }, await check(world, { blobs: old }));
    expect(removed).toEqual(['ab/.partial-1']);
  });
});

describe('what is not damage', () => {
  it('an expired collection is whole, and clients refuse it: both are said', async () => {
    const world = copied();
    world.clock.now += 40 * 24 * HOUR;
    expect(await found(world)).toEqual(['ROLE_EXPIRED timestamp']);
    world.clock.now += 100 * 24 * HOUR;
    const told = await found(world);
    expect(told).toContain('ROLE_EXPIRED snapshot');
    expect(told).toContain('ROLE_EXPIRED recent-0');
    expect(told).not.toContain('ROLE_EXPIRED targets');
  });

  it('another anchor: nothing verifies', async () => {
    const other = await newWorld(0);
    const stranger = { anchor: Buffer.from(other.anchor.toString()) };
    const findings = await check(lived, stranger);
    expect(findings.map(({ kind }) => kind)).toContain('METADATA_REFUSED');
  });

  it('a release role that its owner dropped stays listed, and is only noted', async () => {
    const world = copied();
    const open: World = { ...world, open: (more) => lived.open({ ...memoryStore(world.disk), ...more }) };
    const role = releaseRoleName(TOOL.role, 'nightly');
    const keys = [seededKey('nightly')];
    const delegations = delegationsTo([{ name: role, keys, patterns: [`${TOOL.directory}/n-*`] }]);
    const repository = await open.open();
    const owner = await roleText(presentOf(world, TOOL.role), { delegations }, TOOL.keys);
    await publish(repository, submissionOf([TOOL.role, owner], [role, await roleText(undefined, {}, keys)]));
    expect(await found(world)).toEqual([]);
    const without = await roleText(presentOf(world, TOOL.role), { delegations: delegationsTo([]) }, TOOL.keys);
    await publish(repository, submissionOf([TOOL.role, without]));
    await repository.close();
    expect(await found(world)).toEqual([`ROLE_UNREACHABLE ${role}`]);
  });
});
