// The engine of one collection: takes submissions in, journals them, and has
// them published, many in each publication, one publication at a time.
// "Published" is what the committed head says, and is answered only once
// clients can see it.

import {
  AdmissionError,
  errorOf,
  isTufError,
  type Project,
  readShardName,
  StoreError,
  writeInstant,
} from '@countersign/core';
import { openDecision } from '@countersign/decisions';
import { Collection } from './collection.ts';
import { type Incoming, incomingOf, type Publication, type Receipt } from './incoming.ts';
import { publishApart } from './isolation.ts';
import type { RepositoryOptions } from './options.ts';
import { isDue, type Plan, type Waiting } from './plan.ts';
import type { BlobFacts, Journaled } from './ports.ts';
import { signReceipt } from './receipts.ts';
import type { Demand, SignableSubmission } from './signing-events.ts';
import type { Owner } from './standing.ts';
import { readSubmission, submissionText } from './submission.ts';

/** One collection's engine. One instance per collection and process. */
export class Repository {
  readonly name: string;
  private readonly options: RepositoryOptions;
  private readonly collection: Collection;
  private incoming: Incoming[] = [];
  /** Journaled, but held up by a fault: goes into the next publication that is tried. */
  private heldUp: Incoming[] = [];
  /** What is on its way, by its text, so that the same submission sent again joins the first. */
  private readonly onTheirWay = new Map<string, Incoming>();
  private running: Promise<void> | undefined;
  private woken = false;
  private closed = false;

  /**
   * Opens a collection and finishes what a crash left undone.
   *
   * @throws UsageError COLLECTION_MISSING; StoreError; MetadataError when the ledger's content does not verify
   */
  static async open(options: RepositoryOptions): Promise<Repository> {
    const repository = new Repository(options, await Collection.open(options));
    await repository.collection.showAgain();
    const pending = await options.ledger.pending();
    if (pending.length > 0) repository.resumeJournal(pending);
    return repository;
  }

  private constructor(options: RepositoryOptions, collection: Collection) {
    this.name = options.name;
    this.options = options;
    this.collection = collection;
  }

  /** Stores a blob that a later submission will list. Durable when it resolves. @throws AdmissionError, StoreError */
  async putBlob(sha256: string, body: AsyncIterable<Uint8Array>): Promise<BlobFacts & { readonly existed: boolean }> {
    const known = await this.options.ledger.blob(sha256);
    if (known !== undefined) return { ...known, existed: true };
    const facts = await this.options.blobs.put(sha256, body, this.collection.limits.maxBlobBytes);
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
    if (await this.collection.isPublished(submission))
      return { id: undefined, published: this.visible(), receipts: [] };
    await this.collection.judge(submission);
    // Time has passed since the first look: it may have been sent twice, or too late.
    const same = this.onTheirWay.get(text);
    if (same !== undefined) return await same.receipt;
    if (this.closed) throw new StoreError('SHUTTING_DOWN', 'Submitting: the repository is closing');
    const incoming = this.enter({ id: this.options.newId(), text, submission, received: this.options.clock() }, 'new');
    this.incoming.push(incoming);
    this.wake();
    return await incoming.receipt;
  }

  /** Whose signatures a submission needs before it is admitted. @throws AdmissionError SUBMISSION_INVALID, NAME_UNCLAIMED; StoreError */
  async demands(submission: SignableSubmission): Promise<readonly Demand[]> {
    const { roles, decisions } = submission;
    return await this.collection.demands(readSubmission(submissionText({ roles, decisions })));
  }

  /** What became of a submission; published only once clients can see it. @throws AdmissionError NOT_FOUND */
  async submission(id: string): Promise<Journaled> {
    const found = await this.options.ledger.submission(id);
    if (found !== undefined)
      return this.collection.shows(found.publication ?? 0) ? found : { ...found, publication: undefined };
    throw new AdmissionError('NOT_FOUND', 'Looking up the submission: the journal has no such id');
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
      ...[...contents].filter(([name]) => readShardName(name) !== undefined),
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
    if (this.heldUp.length > 0 || this.collection.isBehind() || this.collection.isRenewalDue()) this.wake();
    await this.running;
  }

  /** Finishes the publication under way and stops. */
  async close(): Promise<void> {
    this.closed = true;
    while (this.running !== undefined) await this.running;
    await this.options.ledger.close();
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
      await this.work();
    }
    this.running = undefined;
  }

  private async work(): Promise<void> {
    const { collection } = this;
    // Let everything that arrived together into the same publication.
    await new Promise((resolve) => setImmediate(resolve));
    this.incoming.unshift(...this.heldUp.splice(0));
    let conflicts = 0;
    while (this.incoming.length > 0 || collection.isBehind() || collection.isRenewalDue()) {
      const batch = this.incoming.splice(0, collection.limits.maxBatch);
      try {
        if (collection.isBehind()) await collection.showAgain();
        await this.options.ledger.journal(batch);
        for (const one of batch) if (!one.journaled) one.accept(await this.receiptsFor(one));
        if (batch.length > 0 || collection.isRenewalDue()) await this.publish(batch);
      } catch (error) {
        this.report(error);
        if (isTufError(error) && error.code === 'STORE_CONFLICT' && conflicts++ < MAX_CONFLICTS) {
          this.incoming.unshift(...batch.filter((one) => !one.decided));
          continue;
        }
        // The ones behind would fare no better.
        this.holdUp([...batch, ...this.incoming.splice(0)], error);
        await this.keepFresh();
        return; // the next submission or renewal tries again
      }
    }
  }

  /** What senders of decisions can show later. Without the key they get none, and their decisions are listed all the same. */
  private async receiptsFor({ id, received, submission }: Incoming): Promise<readonly string[]> {
    const { name, crypto, signers } = this.options;
    try {
      const receipts: string[] = [];
      for (const text of submission.decisions) {
        const receipt = { collection: name, decision: openDecision(text, crypto).id, received, submission: id };
        receipts.push(await signReceipt(receipt, signers.decisions));
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

  /** Renews the timestamp by itself, so that a fault elsewhere does not take the whole collection down with it. */
  private async keepFresh(): Promise<void> {
    const { collection } = this;
    const { timestamp } = collection.state.trusted;
    if (collection.isBehind() || !isDue(timestamp.content, collection.lifetimes.timestamp, this.options.clock()))
      return;
    try {
      await collection.publish([], [], { ...collection.lifetimes, snapshot: 0, shard: 0 });
    } catch (error) {
      this.report(error);
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

  private resumeJournal(pending: readonly Journaled[]): void {
    for (const one of pending) {
      this.incoming.push(this.enter({ ...one, submission: readSubmission(one.text) }, 'journaled'));
    }
    this.wake();
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

// Publishers that keep moving the head first are more than one too many.
const MAX_CONFLICTS = 3;
