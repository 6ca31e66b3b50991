// The engine of one collection: journal → plan → sign → self-check → commit →
// visible, one publication at a time, many submissions in each. The only file
// that moves a head. "Published" is what the committed head says, and is
// answered only once clients can see it.
// A crash before the commit leaves nothing; a crash after it is finished from
// the head by `open`.

import {
  AdmissionError,
  errorOf,
  type FreshState,
  type Instant,
  isTufError,
  openEnvelope,
  ownerRoleOf,
  readShardName,
  readTargets,
  type Sha256,
  StoreError,
  type SyncCryptoPort,
  type TargetFile,
  type Targets,
  UsageError,
  writeInstant,
} from '@countersign/core';
import { type AdmissionRules, admit, type EcosystemRules, rolesNeeded, targetsNeeded } from './admit.ts';
import { type OnlineSigners, signPlan } from './online.ts';
import { DEFAULT_LIFETIMES, isDue, type Lifetimes, type Plan, plan, type Waiting } from './plan.ts';
import type { BlobFacts, BlobStore, Journaled, Ledger, RoleFile, Site } from './ports.ts';
import { type Expected, selfCheck, trustedFrom } from './self-check.ts';
import { type Owner, ownersOf, type Standing, shardsOf, versionsOf } from './standing.ts';
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

/** What made a submission visible. */
export interface Publication {
  readonly number: number;
  readonly snapshot: number;
  readonly timestamp: number;
}

/** What a submission's sender gets at once. */
export interface Receipt {
  readonly id: string;
  /** Resolves once clients can see it; rejects with the refusal or the fault. */
  readonly published: Promise<Publication>;
}

interface Incoming extends Waiting {
  readonly received: number;
  readonly accepted: () => void;
  readonly resolve: (publication: Publication) => void;
  readonly reject: (error: unknown) => void;
}

/** One collection's engine. One instance per collection and process. */
export class Repository {
  readonly name: string;
  private readonly options: RepositoryOptions;
  private readonly limits: RepositoryLimits;
  private readonly lifetimes: Lifetimes;
  private state: State;
  private publication: number;
  private incoming: Incoming[] = [];
  private running: Promise<void> | undefined;
  private siteBehind = false;
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
    const repository = new Repository(options, await loadState(options, head.at), head.publication);
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
    const standing = await this.standingFor([submission]);
    const already = await this.alreadyPublished(standing, submission);
    if (already !== undefined) return already;
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
    return await new Promise<Receipt>((accepted, refused) => {
      let resolve!: (publication: Publication) => void;
      let reject!: (error: unknown) => void;
      const published = new Promise<Publication>((yes, no) => {
        resolve = yes;
        reject = no;
      });
      published.catch(() => undefined); // the receipt may be all that the sender wants
      const id = this.options.newId();
      const received = this.options.clock();
      const fail = (error: unknown): void => {
        refused(error);
        reject(error);
      };
      this.incoming.push({ id, text, received, accepted: () => accepted({ id, published }), resolve, reject: fail });
      this.wake();
    });
  }

  /** What became of a submission. @throws AdmissionError NOT_FOUND */
  async submission(id: string): Promise<Journaled> {
    const found = await this.options.ledger.submission(id);
    if (found !== undefined) return found;
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

  /** Publishes again if the timestamp, the snapshot or an online shard is past half of its life, or the site is behind. */
  async renew(): Promise<void> {
    if (this.siteBehind || this.renewalDue()) this.wake();
    await this.running;
  }

  /** Finishes the publication under way and stops. */
  async close(): Promise<void> {
    this.closed = true;
    await this.running;
    await this.options.ledger.close();
  }

  private wake(): void {
    if (this.running !== undefined) return;
    this.running = this.work().finally(() => {
      this.running = undefined;
      if (this.incoming.length > 0) this.wake();
    });
  }

  private async work(): Promise<void> {
    // Let everything that arrived together into the same publication.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.incoming.length > 0 || this.siteBehind || this.renewalDue()) {
      const batch = this.incoming.splice(0, this.limits.maxBatch);
      try {
        if (this.siteBehind) await this.showAgain();
        await this.options.ledger.journal(batch);
        for (const one of batch) one.accepted();
        if (batch.length > 0 || this.renewalDue()) await this.publishBatch(batch);
      } catch (error) {
        this.report(error);
        for (const one of batch) one.reject(error);
        return; // the next submission or renewal tries again
      }
    }
  }

  private async publishBatch(batch: readonly Incoming[]): Promise<void> {
    try {
      await this.publish(batch);
    } catch (error) {
      if (!isTufError(error) || error.code !== 'SELF_CHECK_FAILED') throw error;
      this.report(error);
      // One of them cannot be published: find it, so that it does not hold up the others.
      if (batch.length > 1) {
        for (const one of batch) await this.publishBatch([one]);
      } else {
        const refusal = { code: error.code, message: error.message, detail: error.detail };
        await this.publish(
          [],
          batch.map(({ id }) => ({ id, refusal })),
        );
        for (const one of batch) one.reject(error);
      }
    }
  }

  private async publish(batch: readonly Incoming[], refused: Plan['refused'] = []): Promise<void> {
    const now = this.options.clock();
    const standing = await this.standingFor(batch.map(({ text }) => readSubmission(text)));
    const planned = plan(standing, batch, this.rules(now), this.lifetimes);
    const previous = { snapshot: this.state.trusted.snapshot.content, timestamp: this.state.trusted.timestamp.content };
    const { signers, sha256, crypto, ledger } = this.options;
    const files = await signPlan(planned, previous, signers, this.lifetimes, now, sha256);
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
    this.siteBehind = true;
    await this.show(files, planned.targets);
    this.answer(batch, refusals);
    this.options.log?.({
      event: 'published',
      publication: this.publication,
      submissions: planned.published.length,
      refused: refusals.length,
    });
  }

  private answer(batch: readonly Incoming[], refusals: Plan['refused']): void {
    const reasons = new Map(refusals.map(({ id, refusal }) => [id, refusal]));
    const publication: Publication = {
      number: this.publication,
      snapshot: this.state.trusted.snapshot.content.version,
      timestamp: this.state.trusted.timestamp.content.version,
    };
    for (const one of batch) {
      const refusal = reasons.get(one.id);
      if (refusal === undefined) one.resolve(publication);
      else one.reject(errorOf(refusal.code, refusal.message, { detail: refusal.detail }));
    }
  }

  private async show(files: readonly RoleFile[], targets: Plan['targets']): Promise<void> {
    await this.options.site.showTargets(targets);
    await this.options.site.showFiles(files);
    this.siteBehind = false;
  }

  private async showAgain(): Promise<void> {
    const { files, targets } = await this.options.ledger.made(this.publication);
    await this.show(files, targets);
    this.options.log?.({ event: 'recovered', publication: this.publication });
  }

  private resumeJournal(pending: readonly Journaled[]): void {
    const nobody = (): void => undefined;
    for (const { id, text, received } of pending) {
      this.incoming.push({ id, text, received, accepted: nobody, resolve: nobody, reject: nobody });
    }
    this.wake();
  }

  private async reload(): Promise<void> {
    const head = await this.options.ledger.head();
    if (head === undefined) return;
    this.state = await loadState(this.options, head.at);
    this.publication = head.publication;
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

  /** A submission sent again after its answer was lost gets the same answer. */
  private async alreadyPublished(standing: Standing, submission: Submission): Promise<Receipt | undefined> {
    for (const { role, file } of submission.roles) {
      if (!standing.versions.has(role)) return undefined;
      const present = await this.options.ledger.file(role);
      if (present === undefined || new TextDecoder().decode(present) !== file) return undefined;
    }
    const { snapshot, timestamp } = this.state.trusted;
    const publication = {
      number: this.publication,
      snapshot: snapshot.content.version,
      timestamp: timestamp.content.version,
    };
    return { id: 'unchanged', published: Promise.resolve(publication) };
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

/** What the engine keeps in memory between publications. */
interface State {
  readonly standing: Standing;
  /** What a client that followed every publication trusts. */
  readonly trusted: FreshState;
  /** The bytes of the top-level roles and the shards, which every search passes through. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

async function loadState(options: RepositoryOptions, at: Instant): Promise<State> {
  const rows = await options.ledger.roles();
  const files = new Map<string, Uint8Array>();
  const shards = rows.filter(({ role }) => readShardName(role) !== undefined).map(({ role }) => role);
  for (const role of ['root', 'timestamp', 'snapshot', 'targets', ...shards]) {
    const bytes = await options.ledger.file(role);
    if (bytes !== undefined) files.set(role, bytes);
  }
  // As of the last publication, so that an expired timestamp can be renewed.
  const trusted = trustedFrom(files, at, options.crypto);
  const contents = new Map<string, Targets>();
  for (const role of shardsOf(trusted.targets.content).keys()) {
    const bytes = files.get(role);
    if (bytes !== undefined) contents.set(role, readTargets(openEnvelope(bytes, role).signed, role));
  }
  const standing: Standing = {
    collection: options.name,
    root: trusted.root.content,
    targets: trusted.targets.content,
    versions: versionsOf(rows),
    contents,
    owners: ownersOf(contents),
    blobs: new Map(),
    shown: new Map(),
  };
  return { standing, trusted, files };
}

function stateAfter(before: State, planned: Plan, made: readonly RoleFile[], trusted: FreshState): State {
  const files = new Map(before.files);
  const contents = new Map(before.standing.contents);
  const versions = new Map(planned.draft.versions);
  for (const { role, version, bytes } of made) {
    versions.set(role, version);
    if (before.files.has(role)) files.set(role, bytes);
    if (readShardName(role) !== undefined) contents.set(role, readTargets(openEnvelope(bytes, role).signed, role));
  }
  const { root, targets } = trusted;
  const standing = {
    ...before.standing,
    root: root.content,
    targets: targets.content,
    versions,
    contents,
    owners: ownersOf(contents),
  };
  return { standing, trusted, files };
}

function expectedOf(planned: Plan): readonly Expected[] {
  return planned.authored.flatMap(({ role, content }) => {
    const owner = planned.draft.owners.get(ownerRoleOf(role));
    return owner === undefined ? [] : [{ role, directory: owner.directory, content }];
  });
}
