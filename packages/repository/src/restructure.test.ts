import { days, type JsonObject, type Signer, signFile } from '@countersign/core';
import { seededKey } from '@countersign/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { factsOf } from '../test/memory-store.ts';
import {
  author,
  BEGIN,
  claimOf,
  ECOSYSTEMS,
  newWorld,
  OFFLINE,
  ONLINE,
  presentOf,
  publish,
  refusalOf,
  replayed,
  roleText,
  sessionOf,
  submissionOf,
  targetOf,
  textOf,
  upload,
  type World,
  watcher,
} from '../test/world.ts';
import {
  type BinsForm,
  draftRebinning,
  draftResharding,
  type Repository,
  type RepositoryOptions,
  type SubmittedFile,
  submissionText,
} from './index.ts';

let world: World;
let repository: Repository;
const expires = BEGIN + days(365);
const fileOf = (path: string, content: string): SubmittedFile => ({
  path,
  sha256: factsOf(Buffer.from(content)).sha256,
});
const signed = async (draft: JsonObject, by: readonly Signer[] = OFFLINE): Promise<string> =>
  textOf(await signFile(draft, by));
const refusal = (text: string): Promise<string | undefined> => refusalOf(world, repository, text);

/** Clients who refresh and look at each step, and one who refreshed before and looks after. */
function onlookers(looks: (client: ReturnType<typeof watcher>) => void): { before(): void; after(): void } {
  const steady = watcher(world);
  const late = watcher(world);
  return {
    before() {
      steady.refresh();
      late.refresh();
      looks(steady);
    },
    after() {
      looks(late); // in what it trusted before the switch
      for (const client of [steady, late, watcher(world)]) {
        client.refresh();
        looks(client);
      }
    },
  };
}

describe('other shards for a live collection of names', () => {
  const ms = author('ms');
  const debug = author('debug');
  const loose = Array.from({ length: 20 }, (_, i) => author(`loose-${i}`));

  beforeEach(async () => {
    world = await newWorld();
    repository = await world.open();
    await upload(repository, 'one', 'two');
    await publish(repository, await claimOf(ms, { set: [targetOf(ms, 'a', 'one')] }));
    await publish(repository, submissionText(await sessionOf(world)));
    await publish(repository, await claimOf(debug, { set: [targetOf(debug, 'a', 'one')] }));
    const files = loose.map(({ directory }) => fileOf(`${directory}/a`, 'one'));
    await publish(repository, submissionText({ files }));
  });

  const looks = (client: ReturnType<typeof watcher>): void => {
    for (const { directory } of [ms, debug, ...loose]) expect(client.fetch(`${directory}/a`)).toBe('one');
    expect(client.find(`${ms.directory}/b`)).toBeUndefined();
  };

  async function drafts(digits: number): Promise<ReadonlyMap<string, JsonObject>> {
    const targets = presentOf(world, 'targets');
    if (targets === undefined) throw new Error('no targets');
    const versionOf = (role: string): number => presentOf(world, role)?.version ?? 0;
    const register = replayed(world);
    return draftResharding({
      targets,
      register,
      versionOf,
      projectOf: (ecosystem, name) => ECOSYSTEMS.project(ecosystem, name),
      digits,
      expires,
    });
  }

  async function resharding(
    digits: number,
    change: (role: string, draft: JsonObject) => JsonObject = (_, same) => same,
  ): Promise<string> {
    const roles: { role: string; file: string }[] = [];
    for (const [role, draft] of await drafts(digits)) roles.push({ role, file: await signed(change(role, draft)) });
    return submissionText({ roles });
  }

  it('splits and merges them without a moment in which a client fails', async () => {
    const clients = onlookers(looks);
    for (const digits of [2, 1, 0, 1]) {
      clients.before();
      const before = world.disk.publications.length;
      await publish(repository, await resharding(digits));
      expect(world.disk.publications.length).toBe(before + 1);
      clients.after();
      const prefix = ms.directory.slice(4, 4 + digits);
      const shard = (kind: string): string => (prefix === '' ? kind : `${kind}-${prefix}`);
      expect(watcher(world).find(`${ms.directory}/a`)?.trail).toEqual(['targets', shard('claimed'), ms.role]);
    }
    expect(repository.status().projects).toEqual({ claimed: 1, recent: 1 });
  });

  it('goes on as before: claims, files, sessions, and a new process', async () => {
    await publish(repository, await resharding(2));
    repository = await world.open();
    await publish(repository, await claimOf(author('third')));
    await publish(repository, submissionText({ files: [fileOf(`${loose[0]?.directory}/b`, 'two')] }));
    const next = await roleText(presentOf(world, debug.role), { set: [targetOf(debug, 'b', 'two')] }, debug.keys);
    await publish(repository, submissionOf([debug.role, next]));
    const client = watcher(world);
    expect([client.fetch(`${loose[0]?.directory}/b`), client.fetch(`${debug.directory}/b`)]).toEqual(['two', 'two']);
  });

  it('is published alone, between what was sent with it', async () => {
    const texts = [await claimOf(author('p1')), await resharding(2)];
    const sent = texts.map((text) => repository.submit(text));
    for (const { published } of await Promise.all(sent)) await published.catch(() => undefined);
    // The claim changed what the shards must say: then the draft is of another time.
    const claimed = repository.owner(author('p1').project);
    expect(claimed?.kind).toBe('recent');
    looks(watcher(world));
  });

  it('is refused unless it says exactly what was drafted, signed by the quorum', async () => {
    const thief = seededKey('thief');
    const all = JSON.parse(await resharding(2)) as { roles: { role: string; file: string }[] };
    const but = (role: string, file?: string): string =>
      submissionText({
        roles: all.roles.flatMap((one) => (one.role === role ? (file ? [{ role, file }] : []) : [one])),
      });
    expect(await refusal(but('claimed-ff'))).toBe('SUBMISSION_INVALID');
    const draft = (await drafts(2)).get('claimed-ff') ?? new Map();
    expect(await refusal(but('claimed-ff', await signed(draft, [thief])))).toBe('SUBMISSION_UNSIGNED');
    expect(await refusal(but('claimed-ff', await signed(draft, Object.values(ONLINE))))).toBe('SUBMISSION_UNSIGNED');
    const renamed = new Map([...draft, ['custom', new Map()]]);
    expect(await refusal(but('claimed-ff', await signed(renamed)))).toBe('SUBMISSION_FOREIGN');
    const targets = (await drafts(2)).get('targets') ?? new Map();
    const more = new Map([...targets, ['custom', new Map()]]);
    expect(await refusal(but('targets', await signed(more)))).toBe('SUBMISSION_FOREIGN');
    expect(await refusal(but('targets', await signed(targets, OFFLINE.slice(1))))).toBe('SUBMISSION_UNSIGNED');
    expect(
      await refusal(submissionText({ roles: all.roles, files: [fileOf(`${loose[0]?.directory}/b`, 'one')] })),
    ).toBe('SUBMISSION_INVALID');
  });

  it('renews the top-level targets role where nothing else changes', async () => {
    const targets = (await drafts(1)).get('targets') ?? new Map();
    await publish(repository, submissionOf(['targets', await signed(targets)]));
    expect(presentOf(world, 'targets')?.version).toBe(2);
    looks(watcher(world));
  });

  it('is followed by the other processes', async () => {
    await repository.close();
    const pause = (millis: number): Promise<void> =>
      new Promise((resolve) => (millis < 1_000 ? setImmediate(resolve) : undefined));
    const elected: Partial<RepositoryOptions> = { publishes: 'when-elected', pause };
    const publisher = await world.open(elected);
    const follower = await world.open(elected);
    await publish(follower, await resharding(2));
    await publish(follower, await claimOf(author('later')));
    expect(follower.status().roles).toEqual(publisher.status().roles);
  });
});

describe('other bins for a live collection of files', () => {
  const paths = Array.from({ length: 100 }, (_, i) => `files/${i}`);

  beforeEach(async () => {
    world = await newWorld(0, { bitLength: 4, form: 'classic' });
    repository = await world.open();
    await upload(repository, 'one', 'two');
    await publish(repository, submissionText({ files: paths.map((path) => fileOf(path, 'one')) }));
  });

  const looks = (client: ReturnType<typeof watcher>): void => {
    for (const path of paths) expect(client.fetch(path)).toBe('one');
    expect(client.find('files/none')).toBeUndefined();
  };

  async function rebinning(bitLength: number, form: BinsForm, by: readonly Signer[] = OFFLINE): Promise<string> {
    const present = presentOf(world, 'bins');
    if (present === undefined) throw new Error('no bins');
    return submissionOf([
      'bins',
      await signed(draftRebinning(present, { bitLength, form, expires }, seededKey('bins')), by),
    ]);
  }

  it('splits, merges and rewrites them without a moment in which a client fails', async () => {
    const clients = onlookers(looks);
    for (const [bitLength, form] of [
      [6, 'classic'],
      [5, 'succinct'],
      [7, 'succinct'],
      [3, 'classic'],
    ] as const) {
      clients.before();
      await publish(repository, await rebinning(bitLength, form));
      clients.after();
      const used = new Set(paths.map((path) => watcher(world).find(path)?.trail[2]));
      expect(used.size).toBeLessThanOrEqual(2 ** bitLength);
      expect(used.size).toBeGreaterThan(2 ** bitLength / 4);
    }
    repository = await world.open();
    await publish(repository, submissionText({ files: [fileOf('one more', 'two')], remove: ['files/0'] }));
    const client = watcher(world);
    expect([client.fetch('one more'), client.find('files/0')]).toEqual(['two', undefined]);
  });

  it('is refused unless the quorum signed it, with names that were never used', async () => {
    expect(await refusal(await rebinning(6, 'classic', [seededKey('bins')]))).toBe('SUBMISSION_UNSIGNED');
    await publish(repository, await rebinning(6, 'classic'));
    const present = presentOf(world, 'bins');
    const draft =
      present &&
      new Map(
        draftRebinning({ ...present, version: 1 }, { bitLength: 5, form: 'classic', expires }, seededKey('bins')),
      );
    draft?.set('version', 3);
    expect(await refusal(submissionOf(['bins', await signed(draft ?? new Map())]))).toBe('SUBMISSION_FOREIGN');
    expect(await refusal(submissionOf(['targets', await signed(draft ?? new Map())]))).toBe('SUBMISSION_STALE');
  });

  it('is refused when nobody holds the key that it names', async () => {
    const present = presentOf(world, 'bins');
    const draft = present && draftRebinning(present, { bitLength: 5, form: 'classic', expires }, seededKey('another'));
    expect(await refusal(submissionOf(['bins', await signed(draft ?? new Map())]))).toBe('SUBMISSION_INVALID');
    looks(watcher(world));
    await publish(repository, submissionText({ files: [fileOf('one more', 'two')] }));
  });
});
