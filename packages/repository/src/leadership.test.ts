import { days } from '@countersign/core';
import { seededKey } from '@countersign/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { endProcesses, memoryStore } from '../test/memory-store.ts';
import {
  author,
  claimOf,
  codeOf,
  contentOf,
  HOUR,
  newWorld,
  publish,
  roleText,
  submissionOf,
  targetOf,
  upload,
  type World,
  watcher,
} from '../test/world.ts';
import type { Ledger, Repository, RepositoryOptions } from './index.ts';

let world: World;
const ms = author('ms');
const debug = author('debug');

beforeEach(async () => {
  world = await newWorld();
});

// Nobody stands for election by itself, and nobody looks twice: tests say when.
const never = (): Promise<void> => new Promise(() => undefined);
const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const patient = (millis: number): Promise<void> => (millis >= 1_000 ? never() : soon());

const member = (more: Partial<RepositoryOptions> = {}): Promise<Repository> =>
  world.open({ publishes: 'when-elected', pause: patient, ...more });

describe('a collection that is opened while another process publishes', () => {
  // What the opening process reads of the ledger, and what it would get wrong if that were of two heads.
  it.each(['file', 'decisions'] as const)('is read as one head has it, when it moves before %s', async (read) => {
    const publisher = await member();
    const { ledger } = memoryStore(world.disk);
    let moved = false;
    const move = async (): Promise<void> => {
      if (moved) return;
      moved = true;
      await publish(publisher, await claimOf(ms));
      await publish(publisher, await claimOf(debug));
    };
    const moving: Ledger = {
      ...ledger,
      file: async (...which) => (read === 'file' && (await move()), await ledger.file(...which)),
      async *decisions(from) {
        if (read === 'decisions') await move();
        yield* ledger.decisions(from);
      },
    };
    const opened = await member({ ledger: moving });
    expect(moved).toBe(true);
    expect(opened.status()).toEqual(publisher.status());
    expect(opened.owner(debug.project)?.version).toBe(1);
  });
});

describe('a follower', () => {
  let publisher: Repository;
  let follower: Repository;

  beforeEach(async () => {
    publisher = await member();
    follower = await member();
  });

  it('is who does not have the lead', () => {
    expect([publisher, follower].map((one) => one.role)).toEqual(['publisher', 'follower']);
  });

  it('admits, journals, and answers when clients can see it', async () => {
    await upload(follower, 'x');
    const { id, published } = await follower.submit(await claimOf(ms, { set: [targetOf(ms, 'f', 'x')] }));
    const publication = await published;
    expect(watcher(world).fetch(`${ms.directory}/f`)).toBe('x');
    expect(publication.number).toBe(world.disk.publications.length);
    expect(await follower.submission(id ?? '')).toMatchObject({ publication: publication.number });
    expect(follower.owner(ms.project)?.version).toBe(1);
    expect(follower.status()).toEqual(publisher.status());
  });

  it('judges by what the publisher has published since', async () => {
    await publish(publisher, await claimOf(ms));
    await follower.renew();
    const thief = author('ms', { keys: [seededKey('thief')] });
    expect(await codeOf(follower.submit(await claimOf(thief)))).toBe('NAME_TAKEN');
  });

  it('takes for published what is published while it judges, when that is sent again', async () => {
    const text = await claimOf(ms, { set: [targetOf(ms, 'f', 'x')] });
    await upload(publisher, 'x');
    const { ledger } = memoryStore(world.disk);
    let sent = false;
    const slow: Ledger = {
      ...ledger,
      async blob(sha256) {
        if (!sent) {
          sent = true;
          await (await publisher.submit(text)).published;
          await late.renew();
        }
        return await ledger.blob(sha256);
      },
    };
    const late = await member({ ledger: slow });
    const { published } = await late.submit(text);
    expect((await published).number).toBe(world.disk.publications.length);
    expect(world.disk.journal.size).toBe(1);
  });

  it('tells of what the publisher refuses', async () => {
    const thief = author('ms', { keys: [seededKey('thief')] });
    const receipts = await Promise.all([publisher.submit(await claimOf(ms)), follower.submit(await claimOf(thief))]);
    const codes = await Promise.all(receipts.map(({ published }) => codeOf(published)));
    expect(codes).toEqual([undefined, 'NAME_TAKEN']);
  });

  it('publishes nothing itself, not even what is due', async () => {
    world.clock.now += 20 * HOUR;
    await follower.renew();
    expect(world.disk.publications.length).toBe(1);
  });

  it('gets the lead when the publisher ends, and goes on', async () => {
    await publish(follower, await claimOf(ms));
    await publisher.close();
    await follower.renew();
    expect(follower.role).toBe('publisher');
    await publish(follower, await claimOf(debug));
    expect(watcher(world).list(debug.directory).owners.length).toBe(1);
  });

  it('publishes what a killed publisher had in its journal, with its own waiting senders', async () => {
    endProcesses(world.disk); // whoever was publisher hears of nothing any more
    await memoryStore(world.disk).ledger.journal([{ id: 'left', received: 0, text: await claimOf(ms) }]);
    const receipt = await follower.submit(await claimOf(debug));
    await follower.renew();
    expect((await receipt.published).number).toBe(2);
    expect(await follower.submission('left')).toMatchObject({ publication: 2 });
    expect(watcher(world).list(ms.directory).owners.length).toBe(1);
  });

  it('shows what a killed publisher committed and did not live to show', async () => {
    await publisher.close();
    let alive = true;
    const { site } = memoryStore(world.disk);
    const dying = await member({
      site: { ...site, showFiles: async (files) => (alive ? site.showFiles(files) : never()) },
    });
    expect(dying.role).toBe('publisher');
    const client = watcher(world);
    alive = false;
    const { published } = await follower.submit(await claimOf(ms));
    for (let turn = 0; world.disk.publications.length < 2 && turn < 1_000; turn++) await soon();
    client.refresh();
    expect(client.list(ms.directory).owners).toEqual([]);
    endProcesses(world.disk);
    await follower.renew();
    expect((await published).number).toBe(2);
    client.refresh();
    expect(client.list(ms.directory).owners.length).toBe(1);
  });

  it('catches up over hundreds of publications at once', async () => {
    endProcesses(world.disk); // nobody tells it
    const alone = await world.open();
    for (let i = 0; i < 70; i++) await publish(alone, await claimOf(author(`p${i}`)));
    world.clock.now += days(46);
    await alone.renew();
    await alone.close();
    await follower.renew();
    expect(follower.status().projects).toEqual({ claimed: 0, recent: 70 });
    await publish(follower, await claimOf(debug));
  });
});

describe('two publishers who both believe that they lead', () => {
  /** A ledger that grants everybody the lead, and takes its time in an order drawn from a seed. */
  function racing(seed: number): Partial<RepositoryOptions> {
    let state = seed;
    const delay = async (): Promise<void> => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
      for (let turns = (state >> 16) % 4; turns > 0; turns--) await soon();
    };
    const { ledger, blobs, site } = memoryStore(world.disk);
    const slow: Ledger = {
      ...ledger,
      lead: async () => ({ lost: never(), release: async () => undefined }),
      commit: async (commit) => (await delay(), ledger.commit(commit)),
    };
    const showing: typeof site = {
      ...site,
      showFiles: async (files) => (await delay(), site.showFiles(files)),
    };
    return { ledger: slow, blobs, site: showing };
  }

  it('lose nothing that was acknowledged, refuse nothing twice, and leave one head', async () => {
    const rivals = [await member(racing(1)), await member(racing(2))] as const;
    const rival = (i: number): Repository => rivals[i % 2 === 0 ? 0 : 1];
    const authors = Array.from({ length: 8 }, (_, i) => author(`p${i}`));
    await Promise.all(authors.map(async (by, i) => publish(rival(i), await claimOf(by))));
    const rounds = 25;
    for (let round = 0; round < rounds; round++) await upload(rivals[0], `content ${round}`);
    const client = watcher(world);
    const work = authors.map(async (by, i) => {
      let present = contentOf(await roleText(undefined, {}, by.keys));
      for (let round = 0; round < rounds; round++) {
        const target = targetOf(by, `file-${round}`, `content ${round}`);
        const file = await roleText(present, { set: [target] }, by.keys);
        await publish(rival(i + round), submissionOf([by.role, file]));
        client.refresh();
        // Acknowledged: there, at this very moment.
        expect(client.fetch(target.path)).toBe(`content ${round}`);
        present = contentOf(file);
      }
    });
    await Promise.all(work);
    const conflicts = world.events.filter((event) => event.event === 'failed' && event.code === 'STORE_CONFLICT');
    expect(conflicts.length).toBeGreaterThan(20);
    expect(world.disk.publications.map(({ publication }) => publication)).toEqual(
      world.disk.publications.map((_, i) => i + 1),
    );
    const journal = [...world.disk.journal.values()];
    expect(journal.every(({ publication, refusal }) => publication !== undefined && refusal === undefined)).toBe(true);
    const fresh = watcher(world);
    for (const by of authors) expect(fresh.list(by.directory).found.size).toBe(rounds);
    // A third process reads one truth.
    endProcesses(world.disk);
    expect((await member()).status().publication).toBe(world.disk.publications.length);
  });
});
