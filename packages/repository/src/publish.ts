// The engine of one collection: journal → plan → sign → self-check → commit →
// visible, one publication at a time, many submissions in each. The only file
// that moves a head. "Published" is what the committed head says, and is
// answered only once clients can see it.
// A crash before the commit leaves nothing; a crash after it is finished from
// the head by `open`.

import {
  AdmissionError,
  editTargets,
  errorOf,
  type Instant,
  isTufError,
  type JsonObject,
  openEnvelope,
  ownerRoleOf,
  readShardName,
  readTargets,
  type Sha256,
  StoreError,
  type SyncCryptoPort,
  type TargetFile,
  UsageError,
  utf8Text,
  writeInstant,
} from '@countersign/core';
import { type AdmissionRules, admit, type EcosystemRules, rolesNeeded, targetsNeeded } from './admit.ts';
import { type Incoming, incomingOf, type Publication, type Receipt } from './incoming.ts';
import { type OnlineSigners, signPlan } from './online.ts';
import { DEFAULT_LIFETIMES, isDue, type Lifetimes, type Plan, plan, type Waiting } from './plan.ts';
import type { BlobFacts, BlobStore, Journaled, Ledger, Refusal, RoleFile, Site } from './ports.ts';
import { type Expected, selfCheck } from './self-check.ts';
import type { Owner, Standing } from './standing.ts';
import { loadState, type State, stateAfter } from './state.ts';
import { readSubmission, type Submission } from './submission.ts';

/** What happened to a publication, for logs. */
export type RepositoryEvent =
  | {
      readonly event: 'published';
      readonly publication: number;
      readonly submissions: number;
      readonly refused: number;
    }
  | { readonly event: 'failed'; readonly code: string; readonly message: string }
  | { readonly event: 'recovered'; readonly publication: number };

/** What a repository is made of. Storage, keys, clock and rules all come from outside. */
export interface RepositoryOptions {
  readonly name: string;
  readonly ledger: Ledger;
  readonly blobs: BlobStore;
  readonly site: Site;
  readonly signers: OnlineSigners;
  readonly ecosystems: EcosystemRules;
  /** Reads a newly listed file and compares it with its index entry. @throws AdmissionError ENTRY_INVALID */
  readonly inspect: (target: NewTarget, content: AsyncIterable<Uint8Array>) => Promise<void>;
  readonly crypto: SyncCryptoPort;
  readonly sha256: Sha256;
  readonly clock: () => Instant;
  /** A new, unguessable submission id. */
  readonly newId: () => string;
  readonly log?: (event: RepositoryEvent) => void;
  readonly lifetimes?: Lifetimes;
  readonly limits?: Partial<RepositoryLimits>;
}

/** A file that a submission newly lists. */
export interface NewTarget {
  readonly ownerRole: string;
  readonly directory: string;
  readonly target: TargetFile;
}

/** Bounds of one repository. */
export interface RepositoryLimits {
  readonly maxRoleBytes: number;
  readonly maxTargets: number;
  readonly maxBlobBytes: number;
  readonly maxBatch: number;
}

/** Defaults, each with its reason. */
export const DEFAULT_REPOSITORY_LIMITS: RepositoryLimits = {
  maxRoleBytes: 4_000_000, // below the 5,000,000 that clients accept of a targets role
  maxTargets: 20_000, // files of one role; several times the largest project's
  maxBlobBytes: 2 * 1024 ** 3,
  maxBatch: 1_000, // submissions in one publication
};

/** One collection's engine. One instance per collection and process. */
export class Repository {
  readonly name: string;
  private readonly options: RepositoryOptions;
  private readonly limits: RepositoryLimits;
  private readonly lifetimes: Lifetimes;
  private state: State;
  private publication: number;
  /** The publication that clients see. */
  private shown = 0;
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
    const head = await options.ledger.head();
    if (head === undefined) {
      throw new UsageError('COLLECTION_MISSING', `Opening ${options.name}: it was never created`);
    }
    const repository = new Repository(
      options,
      await loadState(options.name, options.ledger, head.at, options.crypto),
      head.publication,
    );
    await repository.showAgain();
    const pending = await options.ledger.pending();
    if (pending.length > 0) repository.resumeJournal(pending);
    return repository;
  }

  private constructor(options: RepositoryOptions, state: State, publication: number) {
    this.name = options.name;
    this.options = options;
    this.limits = { ...DEFAULT_REPOSITORY_LIMITS, ...options.limits };
    this.lifetimes = options.lifetimes ?? DEFAULT_LIFETIMES;
    this.state = state;
    this.publication = publication;
  }

  /** Stores a blob that a later submission will list. Durable when it resolves. @throws AdmissionError, StoreError */
  async putBlob(sha256: string, body: AsyncIterable<Uint8Array>): Promise<BlobFacts & { readonly existed: boolean }> {
    const known = await this.options.ledger.blob(sha256);
    if (known !== undefined) return { ...known, existed: true };
    const facts = await this.options.blobs.put(sha256, body, this.limits.maxBlobBytes);
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
    if (await this.isPublished(submission)) return { id: undefined, published: this.visible() };
    const standing = await this.standingFor([submission]);
    const admitted = admit(standing, submission, this.rules());
    for (const { role, added } of admitted.roles) {
      for (const target of added)
        await this.inspect(
          role,
          target,
          standing,
          admitted.claims.map(({ owner }) => owner),
        );
    }
    // Time has passed since the first look: it may have been sent twice, or too late.
    const same = this.onTheirWay.get(text);
    if (same !== undefined) return await same.receipt;
    if (this.closed) throw new StoreError('SHUTTING_DOWN', 'Submitting: the repository is closing');
    const incoming = this.enter({ id: this.options.newId(), text, received: this.options.clock() }, 'new');
    this.incoming.push(incoming);
    this.wake();
    return await incoming.receipt;
  }

  /** What became of a submission; published only once clients can see it. @throws AdmissionError NOT_FOUND */
  async submission(id: string): Promise<Journaled> {
    const found = await this.options.ledger.submission(id);
    if (found !== undefined)
      return (found.publication ?? 0) > this.shown ? { ...found, publication: undefined } : found;
    throw new AdmissionError('NOT_FOUND', 'Looking up the submission: the journal has no such id');
  }

  /** The owner of a project, if it has one. */
  owner(ownerRole: string): (Owner & { readonly version: number }) | undefined {
    const owner = this.state.standing.owners.get(ownerRole);
    return owner && { ...owner, version: this.state.standing.versions.get(ownerRole) ?? 0 };
  }

  /** Publications so far, and when each top-level role and kind of shard expires. */
  status(): RepositoryStatus {
    const { root, timestamp, snapshot, targets } = this.state.trusted;
    const roles = [
      ['root', root.content],
      ['timestamp', timestamp.content],
      ['snapshot', snapshot.content],
      ['targets', targets.content],
      ...[...this.state.standing.contents].filter(([name]) => readShardName(name) !== undefined),
    ] as const;
    const kinds = [...this.state.standing.owners.values()].map((owner) => owner.kind);
    return {
      collection: this.name,
      publication: this.publication,
      projects: {
        claimed: kinds.filter((kind) => kind === 'claimed').length,
        recent: kinds.filter((kind) => kind === 'recent').length,
      },
      roles: roles.map(([role, { version, expires }]) => ({ role, version, expires: writeInstant(expires) })),
    };
  }

  /**
   * Publishes again if the timestamp, the snapshot or an online shard is past
   * half of its life, the site is behind, or a fault has held something up.
   */
  async renew(): Promise<void> {
    if (this.closed) return;
    if (this.heldUp.length > 0 || this.isBehind() || this.renewalDue()) this.wake();
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
    // Let everything that arrived together into the same publication.
    await new Promise((resolve) => setImmediate(resolve));
    this.incoming.unshift(...this.heldUp.splice(0));
    let conflicts = 0;
    while (this.incoming.length > 0 || this.isBehind() || this.renewalDue()) {
      const batch = this.incoming.splice(0, this.limits.maxBatch);
      try {
        if (this.isBehind()) await this.showAgain();
        await this.options.ledger.journal(batch);
        for (const one of batch) one.accept();
        if (batch.length > 0 || this.renewalDue()) await this.publishBatch(batch);
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
    const { timestamp } = this.state.trusted;
    if (this.isBehind() || !isDue(timestamp.content, this.lifetimes.timestamp, this.options.clock())) return;
    try {
      await this.publish([], [], { ...this.lifetimes, snapshot: 0, shard: 0 });
    } catch (error) {
      this.report(error);
    }
  }

  private async publishBatch(batch: readonly Incoming[]): Promise<void> {
    try {
      await this.publish(batch);
    } catch (error) {
      const [one, ...others] = batch;
      if (one === undefined || one.decided || !mayBeTheirFault(error)) throw error;
      this.report(error);
      if (others.length === 0) return await this.refuse(one, error);
      // One of them cannot be published: find it, so that it does not hold up the others.
      const half = batch.length >> 1;
      const faults: unknown[] = [];
      for (const part of [batch.slice(0, half), batch.slice(half)]) {
        await this.publishBatch(part).catch((fault: unknown) => {
          if (!mayBeTheirFault(fault)) throw fault;
          faults.push(fault);
        });
      }
      if (faults.length > 0) throw faults[0];
    }
  }

  /** Refuses a submission that cannot be published, if it is its own fault. @throws the error, if it is not */
  private async refuse(one: Incoming, error: unknown): Promise<void> {
    await this.requireOnlineKeys(one);
    const refusal = refusalOf(error);
    await this.publish([], [{ id: one.id, refusal }]);
    one.decided = true;
    one.reject(errorOf(refusal.code, refusal.message, { detail: refusal.detail, cause: error }));
    this.leave(one);
  }

  /** Signs again, without a submission, what its publication needs signed, and checks that. Keeps nothing of it. */
  private async requireOnlineKeys(one: Incoming): Promise<void> {
    const now = this.options.clock();
    const { signers, sha256, crypto } = this.options;
    const { trusted, standing, files: known } = this.state;
    const { claims } = readSubmission(one.text);
    const shards = new Map<string, JsonObject>();
    // Whose name is claimed is not worth finding out: any shard shows whether the key is right.
    const kinds = claims.length > 0 ? ['recent'] : [];
    for (const [role, content] of standing.contents) {
      if (!kinds.includes(readShardName(role)?.kind ?? '')) continue;
      shards.set(role, editTargets(content, { expires: now + this.lifetimes.shard }));
      break;
    }
    const due = { ...trusted.snapshot.content, expires: now };
    const previous = { snapshot: due, timestamp: trusted.timestamp.content };
    const files = await signPlan({ shards, authored: [] }, previous, signers, this.lifetimes, now, sha256);
    selfCheck(trusted, files, known, [], now, crypto);
  }

  private async publish(
    batch: readonly Incoming[],
    refused: Plan['refused'] = [],
    lifetimes: Lifetimes = this.lifetimes,
  ): Promise<void> {
    const now = this.options.clock();
    const standing = await this.standingFor(batch.map(({ text }) => readSubmission(text)));
    const planned = await this.withRepeats(plan(standing, batch, this.rules(now), lifetimes), batch);
    const previous = { snapshot: this.state.trusted.snapshot.content, timestamp: this.state.trusted.timestamp.content };
    const { signers, sha256, crypto, ledger } = this.options;
    const files = await signPlan(planned, previous, signers, lifetimes, now, sha256);
    const next = selfCheck(this.state.trusted, files, await this.knownFiles(planned), expectedOf(planned), now, crypto);
    const refusals = [...planned.refused, ...refused];
    const commit = {
      expected: this.publication,
      at: now,
      files,
      targets: planned.targets,
      published: planned.published,
      refused: refusals,
    };
    if (!(await ledger.commit(commit))) {
      await this.reload();
      throw new StoreError('STORE_CONFLICT', 'Publishing: another process moved the head');
    }
    this.publication++;
    this.state = stateAfter(this.state, planned, files, next);
    for (const one of batch) one.decided = true;
    await this.show(files, planned.targets);
    this.answer(batch, refusals);
    this.options.log?.({
      event: 'published',
      publication: this.publication,
      submissions: planned.published.length,
      refused: refusals.length,
    });
  }

  /** A submission that came twice into the same publication, or just after the first, is published, not stale. */
  private async withRepeats(planned: Plan, batch: readonly Incoming[]): Promise<Plan> {
    const made = new Set(planned.authored.map(({ role, bytes }) => `${role} ${textOf(bytes)}`));
    const repeated = new Set<string>();
    for (const { id, refusal } of planned.refused) {
      const text = batch.find((one) => one.id === id)?.text;
      if (text === undefined || (refusal.code !== 'SUBMISSION_STALE' && refusal.code !== 'NAME_TAKEN')) continue;
      const submission = readSubmission(text);
      const again = submission.roles.every(({ role, file }) => made.has(`${role} ${file}`));
      if (again || (await this.isPublished(submission))) repeated.add(id);
    }
    return {
      ...planned,
      published: [...planned.published, ...repeated],
      refused: planned.refused.filter(({ id }) => !repeated.has(id)),
    };
  }

  private answer(batch: readonly Incoming[], refusals: Plan['refused']): void {
    const reasons = new Map(refusals.map(({ id, refusal }) => [id, refusal]));
    const publication = this.present();
    for (const one of batch) {
      const refusal = reasons.get(one.id);
      if (refusal === undefined) one.resolve(publication);
      else one.reject(errorOf(refusal.code, refusal.message, { detail: refusal.detail }));
      this.leave(one);
    }
  }

  private async show(files: readonly RoleFile[], targets: Plan['targets']): Promise<void> {
    await this.options.site.showTargets(targets);
    await this.options.site.showFiles(files);
    this.shown = this.publication;
  }

  private isBehind(): boolean {
    return this.shown < this.publication;
  }

  /** The present publication, once clients can see it. @throws StoreError STORE_WRITE */
  private async visible(): Promise<Publication> {
    if (this.isBehind()) {
      this.wake();
      await this.running;
    }
    if (!this.isBehind()) return this.present();
    throw new StoreError('STORE_WRITE', `Showing publication ${this.publication}: the site cannot be written`);
  }

  private present(): Publication {
    const { snapshot, timestamp } = this.state.trusted;
    return {
      number: this.publication,
      snapshot: snapshot.content.version,
      timestamp: timestamp.content.version,
    };
  }

  private async showAgain(): Promise<void> {
    const { files, targets } = await this.options.ledger.made(this.publication);
    await this.show(files, targets);
    this.options.log?.({ event: 'recovered', publication: this.publication });
  }

  private resumeJournal(pending: readonly Journaled[]): void {
    for (const one of pending) this.incoming.push(this.enter(one, 'journaled'));
    this.wake();
  }

  private async reload(): Promise<void> {
    const head = await this.options.ledger.head();
    if (head === undefined) return;
    this.state = await loadState(this.name, this.options.ledger, head.at, this.options.crypto);
    this.publication = head.publication;
    this.shown = 0; // whoever moved it may not have lived to show it
  }

  private renewalDue(): boolean {
    const now = this.options.clock();
    const { timestamp, snapshot } = this.state.trusted;
    if (isDue(timestamp.content, this.lifetimes.timestamp, now)) return true;
    if (isDue(snapshot.content, this.lifetimes.snapshot, now)) return true;
    return [...this.state.standing.contents].some(([name, content]) => {
      const kind = readShardName(name)?.kind;
      return kind !== undefined && kind !== 'claimed' && isDue(content, this.lifetimes.shard, now);
    });
  }

  private rules(now = this.options.clock()): AdmissionRules {
    const { crypto, sha256, ecosystems } = this.options;
    return {
      crypto,
      sha256,
      ecosystems,
      now,
      maxRoleBytes: this.limits.maxRoleBytes,
      maxTargets: this.limits.maxTargets,
    };
  }

  /** The standing with the roles and blobs loaded that the submissions touch. */
  private async standingFor(submissions: readonly Submission[]): Promise<Standing> {
    const contents = new Map(this.state.standing.contents);
    const blobs = new Map<string, BlobFacts>();
    const shown = new Map<string, string>();
    for (const submission of submissions) {
      for (const role of rolesNeeded(submission)) {
        if (contents.has(role) || !this.state.standing.versions.has(role)) continue;
        const bytes = await this.options.ledger.file(role);
        if (bytes !== undefined) contents.set(role, readTargets(openEnvelope(bytes, role).signed, role));
      }
      for (const { path, hashes } of targetsNeeded(submission)) {
        const facts = await this.options.ledger.blob(hashes.get('sha256') ?? '');
        if (facts !== undefined) blobs.set(facts.sha256, facts);
        const content = await this.options.ledger.shown(path);
        if (content !== undefined) shown.set(path, content);
      }
    }
    return { ...this.state.standing, contents, blobs, shown };
  }

  /** Whether every role of a submission is what the collection has: it was sent again after its answer was lost. */
  private async isPublished({ roles }: Submission): Promise<boolean> {
    for (const { role, file } of roles) {
      if (!this.state.standing.versions.has(role)) return false;
      const present = await this.options.ledger.file(role);
      if (present === undefined || textOf(present) !== file) return false;
    }
    return true;
  }

  private async inspect(
    role: string,
    target: TargetFile,
    standing: Standing,
    claimed: readonly Owner[],
  ): Promise<void> {
    const ownerRole = ownerRoleOf(role);
    const owner = standing.owners.get(ownerRole) ?? claimed.find(({ delegation }) => delegation.name === ownerRole);
    const sha256 = target.hashes.get('sha256') ?? '';
    await this.options.inspect(
      { ownerRole, directory: owner?.directory ?? '', target },
      this.options.blobs.read(sha256),
    );
  }

  /** Bytes of unchanged roles that the self-check's search passes through. */
  private async knownFiles(planned: Plan): Promise<ReadonlyMap<string, Uint8Array>> {
    const known = new Map(this.state.files);
    const wanted = new Set<string>();
    for (const { role } of planned.authored) {
      const ownerRole = ownerRoleOf(role);
      wanted.add(ownerRole);
      for (const sub of planned.draft.contents.get(ownerRole)?.delegations?.roles ?? []) wanted.add(sub.name);
    }
    for (const role of wanted) {
      const bytes = await this.options.ledger.file(role);
      if (bytes !== undefined) known.set(role, bytes);
    }
    return known;
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

function expectedOf(planned: Plan): readonly Expected[] {
  // Of several versions in one publication clients only ever see the last.
  const last = new Map(planned.authored.map((authored) => [authored.role, authored.content]));
  return [...last].flatMap(([role, content]) => {
    const owner = planned.draft.owners.get(ownerRoleOf(role));
    return owner === undefined ? [] : [{ role, directory: owner.directory, content }];
  });
}

// A store or a key that fails is nobody's fault who sends; what does not verify, or breaks the plan, may be.
function mayBeTheirFault(error: unknown): boolean {
  return !isTufError(error) || error.code === 'SELF_CHECK_FAILED';
}

function refusalOf(error: unknown): Refusal {
  if (isTufError(error)) return { code: 'SUBMISSION_INVALID', message: error.message, detail: error.detail };
  // A bug of ours, which only this submission meets.
  return { code: 'SELF_CHECK_FAILED', message: 'Publishing the submission: it cannot be planned', detail: {} };
}

function textOf(bytes: Uint8Array): string {
  return utf8Text(bytes) ?? '';
}

// Publishers that keep moving the head first are more than one too many.
const MAX_CONFLICTS = 3;
