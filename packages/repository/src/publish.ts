// The engine of one collection: takes submissions in, journals them, and has
// them published, many in each publication, one publication at a time.
// "Published" is what the committed head says, and is answered only once
// clients can see it.

import {
  AdmissionError,
  errorOf,
  type Instant,
  isTufError,
  type Project,
  readShardName,
  readShelfName,
  StoreError,
  type TargetFile,
  UsageError,
  writeInstant,
} from '@countersign/core';
import { openDecision } from '@countersign/decisions';
import { isShelving } from './admit-shelving.ts';
import { Candidate } from './candidate.ts';
import { Collection } from './collection.ts';
import { type IdleName, idleNames } from './idle.ts';
import { type Incoming, incomingOf, type Publication, type Receipt } from './incoming.ts';
import { publishApart } from './isolation.ts';
import { ONLINE_KINDS } from './online-keys.ts';
import type { RepositoryOptions } from './options.ts';
import type { Plan, Waiting } from './plan.ts';
import type { BlobFacts, Journaled } from './ports.ts';
import { signReceipt } from './receipts.ts';
import { isRestructuring } from './restructure.ts';
import type { Demand, SignableSubmission } from './signing-events.ts';
import type { Owner } from './standing.ts';
import { readSubmission, type Submission, submissionText } from './submission.ts';

/**
 * One collection's engine. One instance per collection and process. Publishes,
 * or follows the process that does: then it admits and journals, and answers
 * when the head shows the outcome.
 */
export class Repository {
  readonly name: string;
  private readonly options: RepositoryOptions;
  private readonly collection: Collection;
  private incoming: Incoming[] = [];
  /** Journaled, but held up by a fault: goes into the next publication that is tried. */
  private heldUp: Incoming[] = [];
  /** Journaled, and left to the process that publishes. */
  private awaiting: Incoming[] = [];
  /** What is on its way, by its text, so that the same submission sent again joins the first. */
  private readonly onTheirWay = new Map<string, Incoming>();
  /** Publications that come from no submission. They report their own faults. */
  private readonly jobs: (() => Promise<void>)[] = [];
  private leading = false;
  /** `undefined` for the only process of a collection. */
  private readonly candidate: Candidate | undefined;
  /** Another process may have journaled something. */
  private elsewhere = true;
  /** Those who wait for a look at what other processes have done. */
  private lookingUp: (() => void)[] = [];
  private stopWatching: () => void = () => undefined;
  private running: Promise<void> | undefined;
  private woken = false;
  private closed = false;

  /**
   * Opens a collection. Whoever publishes finishes what a crash left undone.
   *
   * @throws UsageError COLLECTION_MISSING; StoreError; MetadataError when the ledger's content does not verify
   */
  static async open(options: RepositoryOptions): Promise<Repository> {
    const repository = new Repository(options, await Collection.open(options));
    if (options.publishes === 'when-elected') await repository.join();
    else await repository.begin();
    return repository;
  }

  private constructor(options: RepositoryOptions, collection: Collection) {
    this.name = options.name;
    this.options = options;
    this.collection = collection;
    if (options.publishes !== 'when-elected') return;
    this.candidate = new Candidate(options.ledger, {
      elected: () => this.takeOver(),
      deposed: () => this.stepDown(),
      report: (error) => this.report(error),
    });
  }

  /** Whether this process publishes, or another one does. */
  get role(): 'publisher' | 'follower' {
    return this.leading ? 'publisher' : 'follower';
  }

  /** Stores a blob that a later submission will list. Durable when it resolves. @throws AdmissionError, StoreError */
  async putBlob(sha256: string, body: AsyncIterable<Uint8Array>): Promise<BlobFacts & { readonly existed: boolean }> {
    const known = await this.options.ledger.blob(sha256);
    if (known !== undefined) return { ...known, existed: true };
    const facts = await this.options.blobs.put(sha256, body, this.collection.limits.maxBlobBytes, { record: true });
    await this.options.ledger.recordBlob(facts);
    return { ...facts, existed: false };
  }

  /**
   * Admits, journals and queues a submission. Resolves when it is journaled:
   * from then on it survives a crash.
   *
   * @throws AdmissionError at once when the collection as it stands refuses it
   */
  async submit(text: string): Promise<Receipt> {
    if (this.closed) throw new StoreError('SHUTTING_DOWN', 'Submitting: the repository is closing');
    const submission = readSubmission(text);
    const known = this.onTheirWay.get(text);
    if (known !== undefined) {
      this.wake(); // a fault may have held it up
      return await known.receipt;
    }
    if ((await this.collection.isPublished(submission)) || (await this.judge(submission)) === 'published') {
      return { id: undefined, published: this.visible(), receipts: [] };
    }
    // Time has passed since the first look: it may have been sent twice, or too late.
    const same = this.onTheirWay.get(text);
    if (same !== undefined) return await same.receipt;
    if (this.closed) throw new StoreError('SHUTTING_DOWN', 'Submitting: the repository is closing');
    const incoming = this.enter({ id: this.options.newId(), text, submission, received: this.options.clock() }, 'new');
    this.incoming.push(incoming);
    this.wake();
    return await incoming.receipt;
  }

  /** Judges a submission; before it is refused, by what was published meanwhile too, here or by other processes. */
  private async judge(submission: Submission): Promise<'admitted' | 'published'> {
    for (let tries = 1; ; tries++) {
      const before = this.collection.publication;
      try {
        await this.collection.judge(submission);
        return 'admitted';
      } catch (error) {
        if (!(error instanceof AdmissionError)) throw error;
        await this.catchUp();
        if (this.collection.publication === before || tries > MAX_CONFLICTS) throw error;
        if (await this.collection.isPublished(submission)) return 'published';
      }
    }
  }

  /**
   * Takes in what other processes have published, so that nobody is told less than they were told before.
   * To be called before something is told of the collection.
   *
   * @throws StoreError
   */
  async catchUp(): Promise<void> {
    if (this.options.publishes !== 'when-elected') return;
    const head = await this.options.ledger.head();
    const isKnown = (head?.publication ?? 0) <= this.collection.publication;
    if (isKnown && !this.collection.isBehind()) return;
    if (isKnown && this.leading) return await this.collection.shownOrNot(); // its own publication is under way
    await new Promise<void>((resolve) => {
      this.lookingUp.push(resolve);
      this.elsewhere = true;
      this.wake();
    });
  }

  /** Whose signatures a submission needs before it is admitted. @throws AdmissionError SUBMISSION_INVALID, NAME_UNCLAIMED; StoreError */
  async demands(submission: SignableSubmission): Promise<readonly Demand[]> {
    const { roles, decisions } = submission;
    await this.catchUp();
    return await this.collection.demands(readSubmission(submissionText({ roles, decisions })));
  }

  /**
   * Lists many files under an online key in one publication: files of a plain
   * collection, or of names that nobody has claimed. Not journaled: send it
   * again if no answer came, and nothing is done twice.
   *
   * @param content `held` when the blobs were uploaded, `elsewhere` when only their hashes are known
   * @throws AdmissionError; StoreError; UsageError COLLECTION_BUSY where another process publishes
   */
  async importFiles(files: readonly TargetFile[], content: 'held' | 'elsewhere'): Promise<Publication> {
    if (this.closed) throw new StoreError('SHUTTING_DOWN', 'Importing: the repository is closing');
    if (!this.leading) throw new UsageError('COLLECTION_BUSY', 'Importing: another process publishes this collection');
    const done = new Promise<void>((resolve, reject) => {
      this.jobs.push(() => this.collection.importFiles(files, content).then(resolve, reject));
    });
    this.wake();
    await done;
    return await this.visible();
  }

  /** What became of a submission; published only once clients can see it. @throws AdmissionError NOT_FOUND */
  async submission(id: string): Promise<Journaled> {
    const found = await this.options.ledger.submission(id);
    if (found?.publication !== undefined && !this.collection.shows(found.publication)) await this.catchUp();
    if (found !== undefined)
      return this.collection.shows(found.publication ?? 0) ? found : { ...found, publication: undefined };
    throw new AdmissionError('NOT_FOUND', 'Looking up the submission: the journal has no such id');
  }

  /**
   * Unclaimed names that nothing has been published for since an instant, so that the quorum may shelve them.
   *
   * @throws StoreError
   */
  async idleNames(before: Instant, limit = MAX_IDLE): Promise<readonly IdleName[]> {
    const { ledger } = this.options;
    return await idleNames(ledger, this.collection.state.standing, this.options, before, limit);
  }

  /** Who speaks for a project, as clients see it, with its role's version; `undefined` if nobody does. */
  owner(project: Project): (Owner & { readonly version: number }) | undefined {
    const owner = this.collection.owner(project);
    return owner && { ...owner, version: this.collection.state.standing.versions.get(owner.role) ?? 0 };
  }

  /** Publications so far, and when each top-level role and shard expires. */
  status(): RepositoryStatus {
    const { trusted, contents, projects } = this.collection.state;
    const roles = [
      ['root', trusted.root.content],
      ['timestamp', trusted.timestamp.content],
      ['snapshot', trusted.snapshot.content],
      ['targets', trusted.targets.content],
      ...[...contents].filter(([name]) => readShardName(name) !== undefined || readShelfName(name) !== undefined),
    ] as const;
    return {
      collection: this.name,
      publication: this.collection.publication,
      projects,
      roles: roles.map(([role, { version, expires }]) => ({ role, version, expires: writeInstant(expires) })),
    };
  }

  /**
   * Publishes again if the timestamp, the snapshot or an online shard is past
   * half of its life, the site is behind, or a fault has held something up.
   */
  async renew(): Promise<void> {
    if (this.closed) return;
    await this.candidate?.stand();
    await this.collection.learn();
    const due = this.heldUp.length > 0 || this.collection.isBehind() || this.collection.isRenewalDue();
    if (due || this.elsewhere) this.wake();
    await this.running;
  }

  /** Finishes the publication under way and stops. What others are to publish stays in the journal. */
  async close(): Promise<void> {
    this.closed = true;
    this.stopWatching();
    while (this.running !== undefined) await this.running;
    const error = new StoreError('SHUTTING_DOWN', 'Waiting for the publication: the repository is closing');
    for (const one of this.awaiting) one.reject(error);
    await this.candidate?.close();
    await this.options.ledger.close();
  }

  /** Enters the company of processes that serve a collection. */
  private async join(): Promise<void> {
    this.stopWatching = this.options.ledger.watch(() => {
      this.elsewhere = true;
      this.wake();
    });
    await this.candidate?.stand();
    await this.collection.lookAtSite();
    const { pause = pauseFor } = this.options;
    void this.candidate?.standAgain(() => pause(ELECTION));
  }

  /** With the lead, goes on where the process before left off. */
  private async takeOver(): Promise<void> {
    while (this.running !== undefined) await this.running;
    await this.collection.catchUp();
    await this.begin();
    this.options.log?.({ event: 'elected', publication: this.collection.publication });
  }

  /** Begins to publish: shows what is committed, and takes up what is in the journal. */
  private async begin(): Promise<void> {
    await this.collection.requireLatest();
    await this.collection.showAgain();
    this.leading = true;
    this.incoming.unshift(...(await this.undecided(this.awaiting.splice(0))));
    this.elsewhere = true;
    await this.takeUpJournal();
    if (this.incoming.length > 0) this.wake();
  }

  /** What is under way then fails at the head, and is left to whoever has the lead now. */
  private stepDown(): void {
    if (!this.leading) return;
    this.leading = false;
    this.options.log?.({ event: 'deposed', publication: this.collection.publication });
    this.wake();
  }

  /** Takes a submission in: under way until it is decided. */
  private enter(one: Waiting & { readonly received: number }, since: 'new' | 'journaled'): Incoming {
    const incoming = incomingOf(one, since);
    this.onTheirWay.set(one.text, incoming);
    return incoming;
  }

  private leave(one: Incoming): void {
    if (this.onTheirWay.get(one.text) === one) this.onTheirWay.delete(one.text);
  }

  private wake(): void {
    this.woken = true;
    this.running ??= this.run();
  }

  private async run(): Promise<void> {
    while (this.woken) {
      this.woken = false;
      const waiting = this.lookingUp.splice(0);
      // Let everything that arrived together into the same publication.
      await new Promise((resolve) => setImmediate(resolve));
      await (this.leading ? this.work() : this.follow());
      for (const resolve of waiting) resolve();
    }
    this.running = undefined;
  }

  private async work(): Promise<void> {
    const { collection } = this;
    // What the quorum brings may be what ends the fault: a renewal, a key in place of a lost one.
    const [urgent, others] = apart(this.incoming, ({ submission }) => isRestructuring(submission));
    if (this.heldUp.length > 0 || collection.isExpired())
      this.incoming = [...urgent, ...this.heldUp.splice(0), ...others];
    let conflicts = 0;
    while (this.leading && (await this.hasWork())) {
      const batch = this.nextBatch();
      try {
        if (collection.isBehind()) await collection.showAgain();
        for (const job of this.jobs.splice(0)) await job();
        await this.journal(batch);
        if (batch.length > 0 || collection.isRenewalDue()) await this.publish(batch);
      } catch (error) {
        this.report(error);
        if (isTufError(error) && error.code === 'STORE_CONFLICT' && conflicts++ < MAX_CONFLICTS) {
          this.incoming.unshift(...(await this.undecided(batch)));
          continue;
        }
        // The ones behind would fare no better.
        this.holdUp([...batch, ...this.incoming.splice(0)], error);
        await this.keepFresh();
        return; // the next submission or renewal tries again
      }
    }
    if (!this.leading && this.incoming.length > 0) this.woken = true;
  }

  /** Takes what goes into the next publication. What the quorum brings goes alone. */
  private nextBatch(): readonly Incoming[] {
    const { maxBatch } = this.collection.limits;
    const isAlone = ({ submission }: Incoming): boolean => isShelving(submission) || isRestructuring(submission);
    const alone = this.incoming.slice(0, maxBatch).findIndex(isAlone);
    return this.incoming.splice(0, alone < 0 ? maxBatch : Math.max(1, alone));
  }

  private async hasWork(): Promise<boolean> {
    await this.takeUpJournal().catch((error: unknown) => this.report(error));
    const { collection } = this;
    return this.jobs.length + this.incoming.length > 0 || collection.isBehind() || collection.isRenewalDue();
  }

  /** Journals for the process that publishes, and looks what became of what it was left. */
  private async follow(): Promise<void> {
    const batch = [...this.heldUp.splice(0), ...this.incoming.splice(0)];
    try {
      await this.journal(batch);
      this.awaiting.push(...batch);
      this.elsewhere = false;
      await this.collection.catchUp();
      await this.collection.lookAtSite();
      this.awaiting = [...(await this.undecided(this.awaiting))];
      if (this.collection.isBehind()) void this.lookAgain();
    } catch (error) {
      this.report(error);
      this.holdUp(
        batch.filter((one) => !this.awaiting.includes(one)),
        error,
      );
    }
  }

  /** The site follows the head by some milliseconds. */
  private async lookAgain(): Promise<void> {
    await (this.options.pause ?? pauseFor)(SITE);
    if (!this.closed) this.wake();
  }

  private async journal(batch: readonly Incoming[]): Promise<void> {
    await this.options.ledger.journal(batch.filter((one) => !one.journaled));
    for (const one of batch) if (!one.journaled) one.accept(await this.receiptsFor(one));
  }

  /** What of a batch the ledger has no outcome for that clients can see. Answers the rest. */
  private async undecided(batch: readonly Incoming[]): Promise<readonly Incoming[]> {
    const left: Incoming[] = [];
    for (const one of batch) {
      if (one.decided) continue;
      const found = one.journaled ? await this.options.ledger.submission(one.id) : undefined;
      const refusals = found?.refusal === undefined ? [] : [{ id: one.id, refusal: found.refusal }];
      const published = found?.publication !== undefined && this.collection.shows(found.publication);
      if (!published && refusals.length === 0) {
        left.push(one);
        continue;
      }
      one.decided = true;
      this.answer([one], refusals);
    }
    return left;
  }

  /** What senders of decisions can show later. Without the key they get none, and their decisions are listed all the same. */
  private async receiptsFor({ id, received, submission }: Incoming): Promise<readonly string[]> {
    const { name, crypto } = this.options;
    const { decisions: signer } = this.collection.signers;
    if (signer === undefined) return []; // then it has no names to decide about
    try {
      const receipts: string[] = [];
      for (const text of submission.decisions) {
        const receipt = { collection: name, decision: openDecision(text, crypto).id, received, submission: id };
        receipts.push(await signReceipt(receipt, signer));
      }
      return receipts;
    } catch (error) {
      this.report(error);
      return [];
    }
  }

  private async publish(batch: readonly Incoming[]): Promise<void> {
    await publishApart(batch, {
      collection: this.collection,
      options: this.options,
      answer: (some, refusals) => this.answer(some, refusals),
      refuse: (one, error) => {
        one.reject(error);
        this.leave(one);
      },
      report: (error) => this.report(error),
    });
  }

  /** Tells senders of a fault. What is in the journal was promised, and will be tried again. */
  private holdUp(batch: readonly Incoming[], error: unknown): void {
    for (const one of batch) {
      one.reject(error);
      this.leave(one);
      if (!one.journaled || one.decided) continue;
      this.heldUp.push(this.enter(one, 'journaled'));
    }
  }

  /** Renews each kind of role by itself, so that a fault elsewhere does not take the whole collection down with it. */
  private async keepFresh(): Promise<void> {
    if (this.collection.isBehind()) return;
    // The timestamp last: whatever else is renewed renews it too.
    for (const kind of [...ONLINE_KINDS].reverse()) {
      await this.collection.renew(kind).catch((error: unknown) => this.report(error));
    }
  }

  private answer(batch: readonly Incoming[], refusals: Plan['refused']): void {
    const reasons = new Map(refusals.map(({ id, refusal }) => [id, refusal]));
    const publication = this.collection.present();
    for (const one of batch) {
      const refusal = reasons.get(one.id);
      if (refusal === undefined) one.resolve(publication);
      else one.reject(errorOf(refusal.code, refusal.message, { detail: refusal.detail }));
      this.leave(one);
    }
  }

  /** The present publication, once clients can see it. @throws StoreError STORE_WRITE */
  private async visible(): Promise<Publication> {
    if (this.collection.isBehind()) {
      this.wake();
      await this.running;
    }
    if (!this.collection.isBehind()) return this.collection.present();
    throw new StoreError(
      'STORE_WRITE',
      `Showing publication ${this.collection.publication}: the site cannot be written`,
    );
  }

  /** Takes in what is in the journal and not on its way here: from before a crash, or from another process. */
  private async takeUpJournal(): Promise<void> {
    if (!this.elsewhere) return;
    this.elsewhere = false;
    if (this.options.publishes === 'when-elected') await this.collection.catchUp();
    const { maxBatch } = this.collection.limits;
    const known = new Set([...this.onTheirWay.values(), ...this.incoming, ...this.heldUp].map(({ id }) => id));
    const pending = await this.options.ledger.pending(maxBatch + known.size);
    const found = pending.filter(({ id }) => !known.has(id));
    for (const one of found) {
      this.incoming.push(this.enter({ ...one, submission: readSubmission(one.text) }, 'journaled'));
    }
    // There may be more behind them.
    if (found.length >= maxBatch) this.elsewhere = true;
  }

  private report(error: unknown): void {
    const code = isTufError(error) ? error.code : 'INTERNAL';
    this.options.log?.({ event: 'failed', code, message: error instanceof Error ? error.message : String(error) });
  }
}

/** What {@link Repository.status} tells. Times as TUF writes them. */
export interface RepositoryStatus {
  readonly collection: string;
  readonly publication: number;
  readonly projects: { readonly claimed: number; readonly recent: number };
  readonly roles: readonly { readonly role: string; readonly version: number; readonly expires: string }[];
}

function apart<T>(all: readonly T[], first: (one: T) => boolean): readonly [readonly T[], readonly T[]] {
  return [all.filter(first), all.filter((one) => !first(one))];
}

// Publishers that keep moving the head first are more than one too many.
const MAX_CONFLICTS = 16;
// How often a follower asks for the lead, in milliseconds: a killed publisher is replaced within seconds.
const ELECTION = 1_000;
// How soon to look again for what is committed, in milliseconds.
const SITE = 10;

async function pauseFor(millis: number): Promise<void> {
  await new Promise<void>((resolve) => {
    setTimeout(resolve, millis).unref();
  });
}
// What one person looks through at a time.
const MAX_IDLE = 10_000;
