import { days, releaseRoleName, StoreError, shardName } from '@countersign/core';
import { seededKey } from '@countersign/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { memoryStore } from '../test/memory-store.ts';
import {
  author,
  BEGIN,
  claimOf,
  codeOf,
  contentOf,
  delegationsTo,
  ECOSYSTEMS,
  HOUR,
  newWorld,
  ONLINE,
  presentOf,
  publish,
  roleText,
  sessionOf,
  submissionOf,
  targetOf,
  upload,
  type World,
  watcher,
} from '../test/world.ts';
import { type Repository, type Site, submissionText } from './index.ts';

let world: World;
let repository: Repository;
const ms = author('ms');
const debug = author('debug');

beforeEach(async () => {
  world = await newWorld();
  repository = await world.open();
  await publish(repository, await claimOf(ms));
});

const head = (): number => world.disk.publications.length;

async function next(by = ms, edit: Parameters<typeof roleText>[1] = {}): Promise<string> {
  return submissionOf([by.role, await roleText(presentOf(world, by.role), edit, by.keys)]);
}

/** A next version with one file, uploaded. */
async function release(file: string, by = ms, content = `content of ${file}`): Promise<string> {
  await upload(repository, content);
  return await next(by, { set: [targetOf(by, file, content)] });
}

describe('one publication of many submissions', () => {
  it('makes them all visible together', async () => {
    const authors = Array.from({ length: 40 }, (_, i) => author(`project-${i}`));
    await upload(repository, 'x');
    const texts = await Promise.all(authors.map((by) => claimOf(by, { set: [targetOf(by, 'f', 'x')] })));
    const before = head();
    const receipts = await Promise.all(texts.map((text) => repository.submit(text)));
    const publications = await Promise.all(receipts.map(({ published }) => published));
    expect(new Set(publications.map(({ number }) => number))).toEqual(new Set([before + 1]));
    expect(head()).toBe(before + 1);
    const client = watcher(world);
    for (const by of authors) expect(client.fetch(`${by.directory}/f`)).toBe('x');
    expect(client.state.snapshot.content.version).toBe(publications[0]?.snapshot);
    expect(client.state.timestamp.content.version).toBe(publications[0]?.timestamp);
  });

  it('is not disturbed by those that lose a race', async () => {
    const thief = author('debug', { keys: [seededKey('thief')] });
    const [first, second] = [await release('ms-1'), await release('ms-2')];
    const before = head();
    const sent = [first, second, await claimOf(debug), await claimOf(thief), await claimOf(author('third'))];
    const receipts = await Promise.all(sent.map((text) => repository.submit(text)));
    const codes = await Promise.all(receipts.map(({ published }) => codeOf(published)));
    expect(codes).toEqual([undefined, 'SUBMISSION_STALE', undefined, 'NAME_TAKEN', undefined]);
    expect(head()).toBe(before + 1);
    expect(repository.owner(debug.project)?.owners.keyIds).toEqual([debug.keys[0]?.keyId]);
    const client = watcher(world);
    expect(client.fetch(`${ms.directory}/ms-1`)).toBe('content of ms-1');
    expect(client.find(`${ms.directory}/ms-2`)).toBeUndefined();
    const states = await Promise.all(receipts.map(({ id }) => repository.submission(id ?? '')));
    expect(states.map(({ publication }) => publication)).toEqual([
      before + 1,
      undefined,
      before + 1,
      undefined,
      before + 1,
    ]);
    expect(states[1]?.refusal).toMatchObject({ code: 'SUBMISSION_STALE', detail: { want: 3, got: 2 } });
  });

  it('takes two versions of a role: clients see the last', async () => {
    await repository.close();
    const target = targetOf(ms, 'ms-1', 'x');
    await upload(await world.open(), 'x');
    const one = await roleText(presentOf(world, ms.role), { set: [target] }, ms.keys);
    const two = await roleText(contentOf(one), { remove: [target.path], set: [targetOf(ms, 'ms-2', 'x')] }, ms.keys);
    const journal = [one, two].map((file, i) => ({
      id: `j${i}`,
      received: BEGIN,
      text: submissionOf([ms.role, file]),
    }));
    await memoryStore(world.disk).ledger.journal(journal);
    const before = head();
    repository = await world.open();
    await repository.renew();
    expect(head()).toBe(before + 1);
    expect(world.events.filter(({ event }) => event === 'failed')).toEqual([]);
    const client = watcher(world);
    expect(client.find(target.path)).toBeUndefined();
    expect(client.fetch(`${ms.directory}/ms-2`)).toBe('x');
  });

  it('holds no more than the limit', async () => {
    repository = await world.open({ limits: { maxBatch: 3 } });
    const texts = await Promise.all(Array.from({ length: 7 }, (_, i) => claimOf(author(`p${i}`))));
    const before = head();
    await Promise.all(texts.map((text) => publish(repository, text)));
    expect(head()).toBe(before + 3);
  });

  it('moves a name from recent to claimed while its author releases', async () => {
    const prefix = ms.directory.charAt(4);
    const [shard, recent] = [shardName('claimed', prefix), shardName('recent', prefix)];
    const client = watcher(world);
    const before = head();
    const sent = [submissionText(await sessionOf(world)), await release('ms-1')];
    await Promise.all(sent.map((text) => publish(repository, text)));
    expect(head()).toBe(before + 1);
    client.refresh();
    expect(client.find(`${ms.directory}/ms-1`)?.trail).toEqual(['targets', shard, ms.role]);
    expect(presentOf(world, recent)?.delegations?.roles).toEqual([]);
    // A new process reads the same from the ledger.
    expect((await world.open()).owner(ms.project)).toMatchObject({ kind: 'claimed', shard });
  });

  it('keeps the neighbours of a name in their shard', async () => {
    const prefix = ms.directory.charAt(4);
    const names = Array.from({ length: 60 }, (_, i) => author(`neighbour-${i}`));
    const neighbours = names.filter(({ directory }) => directory.charAt(4) === prefix).slice(0, 2);
    expect(neighbours.length).toBe(2);
    for (const by of neighbours) await publish(repository, await claimOf(by));
    const except = neighbours.map(({ project }) => `pkg/${project.name}`);
    await publish(repository, submissionText(await sessionOf(world, { except })));
    const client = watcher(world);
    for (const by of [ms, ...neighbours])
      expect(client.list(by.directory).owners.map(({ role }) => role)).toEqual([by.role]);
    expect(repository.status().projects).toEqual({ claimed: 1, recent: 2 });
  });
});

describe('the check of a publication before it is one', () => {
  const wrongly = (role: keyof typeof ONLINE): { signers: typeof ONLINE } => ({
    signers: { ...ONLINE, [role]: seededKey('another key') },
  });

  it.each(['timestamp', 'snapshot'] as const)('publishes nothing with a wrong %s key', async (role) => {
    const before = [head(), new Map(world.disk.site)];
    const broken = await world.open(wrongly(role));
    const receipt = await broken.submit(await release('ms-1'));
    expect(await codeOf(receipt.published)).toBe('SELF_CHECK_FAILED');
    expect([head(), world.disk.site]).toEqual(before);
    // The submission is not blamed: it is published once the key is right again.
    await (await world.open()).renew();
    expect(watcher(world).fetch(`${ms.directory}/ms-1`)).toBe('content of ms-1');
  });

  it('holds up what a wrong key of the repository cannot publish, and publishes the others', async () => {
    const others = Array.from({ length: 8 }, (_, i) => author(`p${i}`));
    for (const by of others) await publish(repository, await claimOf(by));
    const broken = await world.open(wrongly('recent'));
    await upload(broken, 'x');
    const updates = await Promise.all(others.map((by) => next(by, { set: [targetOf(by, 'f', 'x')] })));
    const claim = await claimOf(debug);
    const sent = [...updates.slice(0, 3), claim, ...updates.slice(3)].map((text) => broken.submit(text));
    const receipts = await Promise.all(sent);
    const codes = await Promise.all(receipts.map(({ published }) => codeOf(published)));
    expect(codes.map((code) => code ?? '')).toEqual(['', '', '', 'SELF_CHECK_FAILED', '', '', '', '', '']);
    expect(broken.owner(debug.project)).toBeUndefined();
    const client = watcher(world);
    for (const by of others) expect(client.fetch(`${by.directory}/f`)).toBe('x');
    // Nobody is blamed: it is published as soon as the key is right.
    expect(await broken.submission(receipts[3]?.id ?? '')).toMatchObject({
      publication: undefined,
      refusal: undefined,
    });
    await broken.renew();
    expect(broken.owner(debug.project)).toBeUndefined();
    repository = await world.open();
    await repository.renew();
    expect(repository.owner(debug.project)?.kind).toBe('recent');
  });

  it('refuses the one submission that cannot be published, and publishes the others', async () => {
    const CI = releaseRoleName(ms.role, 'ci');
    const key = seededKey('release key');
    const delegations = delegationsTo([{ name: CI, keys: [key], patterns: [`${ms.directory}/*`] }]);
    const owner = await roleText(presentOf(world, ms.role), { delegations }, ms.keys);
    const ci = await roleText(undefined, { expires: BEGIN + days(8) }, [key]);
    await publish(repository, submissionOf([ms.role, owner], [CI, ci]));
    world.clock.now += days(9);
    // The release role has expired, and ends every search of its project.
    const others = Array.from({ length: 6 }, (_, i) => author(`p${i}`));
    const texts = await Promise.all(others.map((by) => claimOf(by)));
    const sent = [...texts.slice(0, 4), await next(ms), ...texts.slice(4)].map((text) => repository.submit(text));
    const receipts = await Promise.all(sent);
    const codes = await Promise.all(receipts.map(({ published }) => codeOf(published)));
    expect(codes.map((code) => code ?? '')).toEqual(['', '', '', '', 'SUBMISSION_INVALID', '', '']);
    expect((await repository.submission(receipts[4]?.id ?? '')).refusal).toMatchObject({
      code: 'SUBMISSION_INVALID',
      detail: { role: CI },
    });
    expect(presentOf(world, ms.role)?.version).toBe(2);
    const client = watcher(world);
    for (const by of others) expect(client.list(by.directory).owners.map(({ role }) => role)).toEqual([by.role]);
    // The owner heals it by signing both.
    const again = await roleText(presentOf(world, CI), { expires: BEGIN + days(365) }, [key]);
    await publish(
      repository,
      submissionOf([ms.role, await roleText(presentOf(world, ms.role), {}, ms.keys)], [CI, again]),
    );
    client.refresh();
    expect(client.list(ms.directory).complete).toBe(true);
  });

  it('isolates a submission that breaks planning itself', async () => {
    let breaking = false;
    const ecosystems = {
      ...ECOSYSTEMS,
      project(ecosystem: string, name: string) {
        if (breaking && name === 'debug') throw new RangeError('a bug');
        return ECOSYSTEMS.project(ecosystem, name);
      },
    };
    repository = await world.open({ ecosystems });
    const texts = [await release('ms-1'), await claimOf(debug), await claimOf(author('third'))];
    const sent = texts.map((text) => repository.submit(text));
    await Promise.resolve();
    setImmediate(() => {
      breaking = true;
    });
    const codes = await Promise.all((await Promise.all(sent)).map(({ published }) => codeOf(published)));
    expect(codes).toEqual([undefined, 'SELF_CHECK_FAILED', undefined]);
    expect(await memoryStore(world.disk).ledger.pending()).toEqual([]);
  });

  it.each(['recent', 'unclaimed'] as const)(
    'does not renew %s shards with a wrong key, but keeps the timestamp fresh',
    async (kind) => {
      const before = presentOf(world, shardName(kind, '0'))?.version;
      await repository.close();
      const broken = await world.open(wrongly(kind));
      const client = watcher(world);
      for (let day = 46; day < 50; day++) {
        world.clock.now = BEGIN + days(day);
        await broken.renew();
        client.refresh();
        expect(client.list(ms.directory).owners.map(({ role }) => role)).toEqual([ms.role]);
      }
      expect(presentOf(world, shardName(kind, '0'))?.version).toBe(before);
      expect(world.events.at(-2)).toMatchObject({ event: 'failed', code: 'SELF_CHECK_FAILED' });
      repository = await world.open();
      await repository.renew();
      expect(presentOf(world, shardName(kind, '0'))?.version).toBe((before ?? 0) + 1);
    },
  );

  it('renews the timestamp also while submissions are held up by a broken key', async () => {
    const failing = {
      ...ONLINE.snapshot,
      sign: () => {
        throw new StoreError('STORE_READ', 'the token is gone');
      },
    };
    const broken = await world.open({ signers: { ...ONLINE, snapshot: failing } });
    const text = await release('ms-1');
    expect(await codeOf((await broken.submit(text)).published)).toBe('STORE_READ');
    const client = watcher(world);
    for (let hour = 13; hour < 72; hour += 13) {
      world.clock.now = BEGIN + hour * HOUR;
      await broken.renew();
      client.refresh();
    }
    expect(client.find(`${ms.directory}/ms-1`)).toBeUndefined();
    expect((await memoryStore(world.disk).ledger.pending()).length).toBe(1);
    await (await world.open()).renew();
    client.refresh();
    expect(client.fetch(`${ms.directory}/ms-1`)).toBe('content of ms-1');
  });

  it('finds a role file that was changed on disk', async () => {
    const CI = releaseRoleName(ms.role, 'ci');
    const key = seededKey('release key');
    const delegations = delegationsTo([{ name: CI, keys: [key], patterns: [`${ms.directory}/*`] }]);
    const owner = await roleText(presentOf(world, ms.role), { delegations }, ms.keys);
    await publish(repository, submissionOf([ms.role, owner], [CI, await roleText(undefined, {}, [key])]));
    const kept = world.disk.files.get(`${CI} 1`) ?? new Uint8Array();
    world.disk.files.set(
      `${CI} 1`,
      kept.map((byte, i) => (i === 30 ? byte ^ 1 : byte)),
    );
    const receipt = await repository.submit(await next());
    expect(await codeOf(receipt.published)).toBe('SUBMISSION_INVALID');
    expect(presentOf(world, ms.role)?.version).toBe(2);
  });
});

describe('a submission that is sent again', () => {
  it('gets the same answer and changes nothing', async () => {
    const text = await release('ms-1');
    const first = await (await repository.submit(text)).published;
    const facts = [head(), world.disk.journal.size];
    const again = await repository.submit(text);
    expect(again.id).toBeUndefined();
    expect(await again.published).toEqual(first);
    expect([head(), world.disk.journal.size]).toEqual(facts);
  });

  it('joins the first while that is on its way', async () => {
    const text = await release('ms-1');
    const before = [head(), world.disk.journal.size];
    const receipts = await Promise.all([0, 1, 2].map(() => repository.submit(text)));
    expect(new Set(receipts.map(({ id }) => id)).size).toBe(1);
    const publications = await Promise.all(receipts.map(({ published }) => published));
    expect(new Set(publications.map(({ number }) => number)).size).toBe(1);
    expect([head(), world.disk.journal.size]).toEqual([(before[0] ?? 0) + 1, (before[1] ?? 0) + 1]);
  });

  it.each(['the same publication', 'a later one'])(
    'is published, not stale, when the journal has it twice: %s',
    async (when) => {
      const text = await claimOf(debug);
      const { ledger } = memoryStore(world.disk);
      const journal = ['a', 'b'].map((id) => ({ id, received: BEGIN, text }));
      await ledger.journal(journal);
      repository = await world.open({ limits: { maxBatch: when === 'a later one' ? 1 : 10 } });
      await repository.renew();
      for (const { id } of journal) {
        expect(await repository.submission(id)).toMatchObject({ refusal: undefined, publication: expect.any(Number) });
      }
    },
  );
});

describe('when storage fails', () => {
  /** A store whose site fails while `site.broken`. */
  function fragile(): { site: Site; broken: { now: boolean } } {
    const { site } = memoryStore(world.disk);
    const broken = { now: false };
    const guard = (): void => {
      if (broken.now) throw new StoreError('STORE_WRITE', 'no space left');
    };
    return {
      broken,
      site: {
        ...site,
        showTargets: async (targets) => (guard(), site.showTargets(targets)),
        showFiles: async (files) => (guard(), site.showFiles(files)),
      },
    };
  }

  it('says published only when clients can see it', async () => {
    const { site, broken } = fragile();
    repository = await world.open({ site });
    const client = watcher(world);
    const text = await release('ms-1');
    broken.now = true;
    const receipt = await repository.submit(text);
    expect(await codeOf(receipt.published)).toBe('STORE_WRITE');
    // Committed, so it will be: but nobody can see it yet.
    expect((await repository.submission(receipt.id ?? '')).publication).toBeUndefined();
    expect(await codeOf((await repository.submit(text)).published)).toBe('STORE_WRITE');
    client.refresh();
    expect(client.find(`${ms.directory}/ms-1`)).toBeUndefined();
    // Neither is anything put on top of it, which would never show its files.
    expect(await codeOf(repository.submit(await claimOf(debug)))).toBe('STORE_WRITE');
    world.clock.now += 20 * HOUR;
    await repository.renew();
    expect(head()).toBe(3);
    broken.now = false;
    expect((await (await repository.submit(text)).published).number).toBeGreaterThan(2);
    expect((await repository.submission(receipt.id ?? '')).publication).toBe(3);
    client.refresh();
    expect(client.fetch(`${ms.directory}/ms-1`)).toBe('content of ms-1');
    await publish(repository, await claimOf(debug));
  });

  it('keeps what is in the journal for the next try, in order, and tells the sender', async () => {
    const store = memoryStore(world.disk);
    let failures = 2;
    const ledger = {
      ...store.ledger,
      async commit(commit: Parameters<typeof store.ledger.commit>[0]) {
        if (failures-- > 0) throw new StoreError('STORE_WRITE', 'the disk is full');
        return await store.ledger.commit(commit);
      },
    };
    repository = await world.open({ ledger });
    const text = await release('ms-1');
    const receipt = await repository.submit(text);
    expect(await codeOf(receipt.published)).toBe('STORE_WRITE');
    expect(await repository.submission(receipt.id ?? '')).toMatchObject({ publication: undefined, refusal: undefined });
    // Sending it again joins what is in the journal already, and has it tried again.
    const again = await repository.submit(text);
    expect(again.id).toBe(receipt.id);
    expect(await codeOf(again.published)).toBe('STORE_WRITE');
    const before = head();
    await repository.renew();
    const publication = head();
    expect(publication).toBe(before + 1);
    await repository.renew();
    expect(head()).toBe(publication);
    expect(await repository.submission(receipt.id ?? '')).toMatchObject({ publication });
    expect(watcher(world).fetch(`${ms.directory}/ms-1`)).toBe('content of ms-1');
  });

  it('accepts nothing that the journal did not take', async () => {
    const store = memoryStore(world.disk);
    const ledger = {
      ...store.ledger,
      journal: () => Promise.reject(new StoreError('STORE_WRITE', 'the disk is full')),
    };
    const broken = await world.open({ ledger });
    const before = head();
    expect(await codeOf(broken.submit(await release('ms-1')))).toBe('STORE_WRITE');
    await broken.renew();
    expect([head(), world.disk.journal.size]).toEqual([before, 1]);
  });
});

describe('two publishers of one collection', () => {
  it('the second sees that the head moved, follows, and publishes on top', async () => {
    const other = await world.open();
    const client = watcher(world);
    await publish(other, await claimOf(debug));
    await publish(repository, await release('ms-1'));
    client.refresh();
    expect(client.fetch(`${ms.directory}/ms-1`)).toBe('content of ms-1');
    expect(client.list(debug.directory).owners.map(({ role }) => role)).toEqual([debug.role]);
    expect(world.events.some((event) => event.event === 'failed' && event.code === 'STORE_CONFLICT')).toBe(true);
    expect(await codeOf(repository.submit(await claimOf(author('debug', { keys: [seededKey('thief')] }))))).toBe(
      'NAME_TAKEN',
    );
  });

  it('shows what the other committed and did not live to show', async () => {
    const { site } = memoryStore(world.disk);
    let alive = true;
    const other = await world.open({
      site: {
        ...site,
        showFiles: async (files) => (alive ? site.showFiles(files) : Promise.reject(new Error('killed'))),
      },
    });
    alive = false;
    await codeOf((await other.submit(await claimOf(debug))).published).catch(() => undefined);
    await publish(repository, await release('ms-1'));
    const client = watcher(world);
    expect(client.list(debug.directory).owners.map(({ role }) => role)).toEqual([debug.role]);
    expect(client.fetch(`${ms.directory}/ms-1`)).toBe('content of ms-1');
  });

  it('gives up for now when the head keeps moving', async () => {
    const store = memoryStore(world.disk);
    const ledger = { ...store.ledger, commit: async () => false };
    repository = await world.open({ ledger });
    const receipt = await repository.submit(await claimOf(debug));
    expect(await codeOf(receipt.published)).toBe('STORE_CONFLICT');
    expect((await store.ledger.pending()).map(({ id }) => id)).toEqual([receipt.id]);
  });
});

describe('closing', () => {
  it('finishes what was sent and takes nothing more', async () => {
    const texts = await Promise.all(Array.from({ length: 5 }, (_, i) => claimOf(author(`p${i}`))));
    const receipts = await Promise.all(texts.map((text) => repository.submit(text)));
    await repository.close();
    for (const { published } of receipts) expect((await published).number).toBe(head());
    expect(await codeOf(repository.submit(await claimOf(debug)))).toBe('SHUTTING_DOWN');
    await repository.renew();
  });

  it('refuses what was still being looked at', async () => {
    let go = (): void => undefined;
    const waiting = new Promise<void>((resolve) => {
      go = resolve;
    });
    repository = await world.open({ inspect: () => waiting });
    const sent = repository.submit(await release('ms-1'));
    const closed = repository.close();
    await Promise.resolve();
    go();
    expect(await codeOf(sent)).toBe('SHUTTING_DOWN');
    await closed;
    expect(await memoryStore(world.disk).ledger.pending()).toEqual([]);
  });
});

it('a file that inspection refuses changes nothing', async () => {
  repository = await world.open({ inspect: () => Promise.reject(new StoreError('STORE_READ', 'unreadable')) });
  const before = [head(), world.disk.journal.size];
  expect(await codeOf(repository.submit(await release('ms-1')))).toBe('STORE_READ');
  expect([head(), world.disk.journal.size]).toEqual(before);
});

it('opening what was never created says so', async () => {
  const empty = { ...(await newWorld()).disk, publications: [] };
  expect(await codeOf(world.open(memoryStore(empty)))).toBe('COLLECTION_MISSING');
});

it('asking for an unknown submission says so', async () => {
  expect(await codeOf(repository.submission('nope'))).toBe('NOT_FOUND');
});
