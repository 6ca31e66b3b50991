// Two publishers who both believe that they lead: each commit of one is held
// until the other has planned on the same head, then both go. One wins, the
// other plans again; nobody's submission is lost, and clients see no step back.

import { openCollectionFolder } from '@countersign/server';
import { SharedWorld } from './shared-world.mjs';
import { broken, pause, randomOf } from './workload.mjs';

/**
 * Runs the proof.
 *
 * @param {{ place: import('./shared-world.mjs').Place, races: number, seed?: number, say?: (line: string) => void }} options
 * @returns {Promise<Readonly<Record<string, number>>>} what happened, in counts
 */
export async function publisherRaces({ place, races, seed = 1, say = () => undefined }) {
  const world = await SharedWorld.begin(place, randomOf(seed), { authors: 2 });
  const { workload } = world;
  const start = new StartingLine();
  const counts = { races: 0, conflicts: 0, rounds: 0 };
  const racers = [];
  try {
    for (const _ of [0, 1]) {
      racers.push(
        await openCollectionFolder({
          folder: world.folder,
          name: world.name,
          passphrases: async () => 'only for the proof',
          clock: Date.now,
          // What either is told of who leads is a lie.
          stores: { open: async () => ({ ...world.store, ledger: believing(await ledgerOf(world, place), start) }) },
          log: ({ event, code }) => {
            if (event === 'failed' && code === 'STORE_CONFLICT') counts.conflicts++;
            else if (event === 'failed') start.failures.push(code);
          },
        }),
      );
    }
    if (racers.some(({ repository }) => repository.role !== 'publisher')) broken('a racer does not lead');
    for (; start.races < races; counts.rounds++) {
      if (counts.rounds > races * 3) broken(`they raced only ${start.races} times in ${counts.rounds} rounds`);
      const before = start.races;
      start.set();
      await Promise.all(racers.map(({ repository }, i) => submit(repository, workload, workload.authors[i])));
      if (start.races > before && start.races % 100 === 0) say(`  ${start.races} races, ${counts.conflicts} conflicts`);
      // A race is one if the loser was told so.
      await workload.healthy();
    }
    if (counts.conflicts < start.races) broken(`${start.races} races, but ${counts.conflicts} were lost`);
    if (start.failures.length > 0) broken(`something else failed: ${start.failures.slice(0, 5).join()}`);
    await workload.end();
    return { ...counts, races: start.races, ...workload.counts };
  } finally {
    start.open();
    for (const { repository } of racers) await repository.close();
    await world.close();
  }
}

/** Lets two commits that were planned on the same head go together. */
class StartingLine {
  races = 0;
  failures = [];
  waiting;
  isSet = false;

  set() {
    this.isSet = true;
  }

  open() {
    this.isSet = false;
    this.waiting?.go();
    this.waiting = undefined;
  }

  async arrive(expected) {
    if (!this.isSet) return;
    if (this.waiting?.expected === expected) {
      this.races++;
      this.open();
      return;
    }
    this.waiting?.go();
    const gone = new Promise((go) => {
      this.waiting = { expected, go };
    });
    // Whoever waits in vain goes alone.
    await Promise.race([gone, pause(500)]);
  }
}

/** A ledger that tells whoever asks that it leads. */
function believing(ledger, start) {
  return Object.assign(Object.create(ledger), {
    lead: async () => ({ lost: new Promise(() => undefined), release: async () => undefined }),
    commit: async (commit) => {
      await start.arrive(commit.expected);
      return await ledger.commit(commit);
    },
  });
}

async function ledgerOf(world, { databaseUrl, storeUrl }) {
  const shared = { database: databaseUrl, store: `${storeUrl}/bucket/proofs` };
  return (await world.stores.openShared(shared, world.folder, world.name)).ledger;
}

async function submit(repository, workload, author) {
  const submission = await workload.prepare(author);
  await repository.putBlob(submission.digest, once(submission.content));
  const { published } = await repository.submit(submission.text);
  await published;
  author.present = submission.next;
  workload.counts.answered++;
  workload.acknowledged.set(submission.path, submission.digest);
}

async function* once(bytes) {
  yield bytes;
}
