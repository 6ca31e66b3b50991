// The committed collection in memory, and the one step that moves it:
// plan → sign → self-check → commit → visible. The only file that moves a head.
// A crash before the commit leaves nothing; a crash after it is finished from
// the head by `open`.

import {
  type Instant,
  openEnvelope,
  ownerRoleOf,
  readTargets,
  StoreError,
  type TargetFile,
  type Targets,
  UsageError,
  utf8Text,
} from '@countersign/core';
import { type AdmissionRules, type Admitted, admit, rolesNeeded, targetsNeeded } from './admit.ts';
import type { Incoming, Publication } from './incoming.ts';
import { signPlan } from './online.ts';
import { DEFAULT_REPOSITORY_LIMITS, type RepositoryLimits, type RepositoryOptions } from './options.ts';
import { overlay } from './overlay.ts';
import { DEFAULT_LIFETIMES, isDue, type Lifetimes, type Plan, plan } from './plan.ts';
import type { BlobFacts, RoleFile } from './ports.ts';
import { type Expected, selfCheck } from './self-check.ts';
import type { Owner, Standing } from './standing.ts';
import { dueShards, loadState, type State, stateAfter } from './state.ts';
import type { ReceivedRole, Submission } from './submission.ts';

/** A collection as committed. */
export class Collection {
  readonly limits: RepositoryLimits;
  readonly lifetimes: Lifetimes;
  private readonly options: RepositoryOptions;
  private loaded: State;
  private committed: number;
  /** The publication that clients see. */
  private shown = 0;

  /** @throws UsageError COLLECTION_MISSING; StoreError; MetadataError when the ledger's content does not verify */
  static async open(options: RepositoryOptions): Promise<Collection> {
    const head = await options.ledger.head();
    if (head === undefined) {
      throw new UsageError('COLLECTION_MISSING', `Opening ${options.name}: it was never created`);
    }
    const state = await loadState(options.name, options.ledger, head.at, options.crypto);
    return new Collection(options, state, head.publication);
  }

  private constructor(options: RepositoryOptions, state: State, publication: number) {
    this.options = options;
    this.limits = { ...DEFAULT_REPOSITORY_LIMITS, ...options.limits };
    this.lifetimes = options.lifetimes ?? DEFAULT_LIFETIMES;
    this.loaded = state;
    this.committed = publication;
  }

  get state(): State {
    return this.loaded;
  }

  /** The number of the last publication. */
  get publication(): number {
    return this.committed;
  }

  /** Whether clients can see a publication. */
  shows(publication: number): boolean {
    return publication <= this.shown;
  }

  /** Whether something is committed that clients cannot see yet. */
  isBehind(): boolean {
    return this.shown < this.committed;
  }

  present(): Publication {
    const { snapshot, timestamp } = this.loaded.trusted;
    return { number: this.committed, snapshot: snapshot.content.version, timestamp: timestamp.content.version };
  }

  isRenewalDue(): boolean {
    const now = this.options.clock();
    const { timestamp, snapshot } = this.loaded.trusted;
    if (isDue(timestamp.content, this.lifetimes.timestamp, now)) return true;
    if (isDue(snapshot.content, this.lifetimes.snapshot, now)) return true;
    return dueShards(this.loaded, this.lifetimes.shard, now).length > 0;
  }

  /**
   * Judges a submission against the collection as it stands, with all that it lists.
   *
   * @throws AdmissionError; StoreError
   */
  async judge(submission: Submission): Promise<Admitted> {
    const standing = await this.standingFor([submission]);
    const admitted = admit(standing, submission, this.rules(this.options.clock()));
    const claimed = admitted.claims.map(({ owner }) => owner);
    for (const { role, added } of admitted.roles) {
      for (const target of added) await this.inspect(role, target, standing, claimed);
    }
    return admitted;
  }

  /**
   * Makes one publication of many submissions. Those that the commit decided are marked.
   *
   * @param refused what is to be recorded as refused with it
   * @returns all refusals
   * @throws StoreError STORE_CONFLICT when another process moved the head: it is read again; and what signing or storing throws
   */
  async publish(
    batch: readonly Incoming[],
    refused: Plan['refused'] = [],
    lifetimes: Lifetimes = this.lifetimes,
  ): Promise<Plan['refused']> {
    const { signers, sha256, crypto, ledger, clock } = this.options;
    const now = clock();
    const before = this.loaded;
    const standing = await this.standingFor(batch.map(({ submission }) => submission));
    const due = dueShards(before, lifetimes.shard, now);
    const planned = await this.withRepeats(plan(standing, batch, due, this.rules(now), lifetimes), batch);
    const made = await signPlan(planned, before, signers, lifetimes, now, sha256);
    const known = await this.knownFiles(planned);
    const next = selfCheck(before.trusted, made.files, known, expectedOf(planned), now, crypto);
    const refusals = [...planned.refused, ...refused];
    const { targets, published } = planned;
    const { files } = made;
    if (!(await ledger.commit({ expected: this.committed, at: now, files, targets, published, refused: refusals }))) {
      await this.reload();
      throw new StoreError('STORE_CONFLICT', 'Publishing: another process moved the head');
    }
    this.committed++;
    this.loaded = stateAfter(before, planned, made, next);
    for (const one of batch) one.decided = true;
    await this.show(files, targets);
    this.options.log?.({
      event: 'published',
      publication: this.committed,
      submissions: published.length,
      refused: refusals.length,
    });
    return refusals;
  }

  /** Writes the visible copies of the last publication again. @throws StoreError */
  async showAgain(): Promise<void> {
    const { files, targets } = await this.options.ledger.made(this.committed);
    await this.show(files, targets);
    this.options.log?.({ event: 'recovered', publication: this.committed });
  }

  /** Whether every role of a submission is what the collection has: it was sent again after its answer was lost. */
  async isPublished({ roles }: Submission): Promise<boolean> {
    for (const received of roles) {
      if (!isPresentVersion(received, this.loaded.standing)) return false;
      const present = await this.options.ledger.file(received.role);
      if (present === undefined || textOf(present) !== received.file) return false;
    }
    return true;
  }

  private async reload(): Promise<void> {
    const head = await this.options.ledger.head();
    if (head === undefined) return;
    this.loaded = await loadState(this.options.name, this.options.ledger, head.at, this.options.crypto);
    this.committed = head.publication;
    this.shown = 0; // whoever moved it may not have lived to show it
  }

  private async show(files: readonly RoleFile[], targets: Plan['targets']): Promise<void> {
    await this.options.site.showTargets(targets);
    await this.options.site.showFiles(files);
    this.shown = this.committed;
  }

  /** A submission that came twice into the same publication, or just after the first, is published, not stale. */
  private async withRepeats(planned: Plan, batch: readonly Incoming[]): Promise<Plan> {
    if (planned.refused.length === 0) return planned;
    const made = new Set(planned.authored.map(({ role, bytes }) => `${role} ${textOf(bytes)}`));
    const repeated = new Set<string>();
    for (const { id, refusal } of planned.refused) {
      const submission = batch.find((one) => one.id === id)?.submission;
      if (submission === undefined || (refusal.code !== 'SUBMISSION_STALE' && refusal.code !== 'NAME_TAKEN')) continue;
      const again = submission.roles.every(({ role, file }) => made.has(`${role} ${file}`));
      if (again || (await this.isPublished(submission))) repeated.add(id);
    }
    return {
      ...planned,
      published: [...planned.published, ...repeated],
      refused: planned.refused.filter(({ id }) => !repeated.has(id)),
    };
  }

  private rules(now: Instant): AdmissionRules {
    const { crypto, sha256, ecosystems } = this.options;
    const { maxRoleBytes, maxTargets } = this.limits;
    return { crypto, sha256, ecosystems, now, maxRoleBytes, maxTargets };
  }

  /** The standing with the roles and blobs loaded that the submissions touch. */
  private async standingFor(submissions: readonly Submission[]): Promise<Standing> {
    const { standing } = this.loaded;
    const contents = new Map<string, Targets>();
    const blobs = new Map<string, BlobFacts>();
    const shown = new Map<string, string>();
    for (const submission of submissions) {
      for (const role of rolesNeeded(submission)) {
        if (contents.has(role) || standing.contents.has(role) || !standing.versions.has(role)) continue;
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
    return { ...standing, contents: overlay(standing.contents, contents), blobs, shown };
  }

  private async inspect(
    role: string,
    target: TargetFile,
    standing: Standing,
    claimed: readonly Owner[],
  ): Promise<void> {
    const ownerRole = ownerRoleOf(role);
    const owner = standing.owners.get(ownerRole) ?? claimed.find(({ delegation }) => delegation.name === ownerRole);
    const content = this.options.blobs.read(target.hashes.get('sha256') ?? '');
    await this.options.inspect({ ownerRole, directory: owner?.directory ?? '', target }, content);
  }

  /** Bytes of unchanged roles that the self-check's search passes through. */
  private async knownFiles(planned: Plan): Promise<ReadonlyMap<string, Uint8Array>> {
    const known = new Map(this.loaded.files);
    const wanted = new Set<string>();
    for (const { role } of planned.authored) {
      const ownerRole = ownerRoleOf(role);
      wanted.add(ownerRole);
      for (const sub of planned.draft.contents.get(ownerRole)?.delegations?.roles ?? []) wanted.add(sub.name);
    }
    // What this publication brings is checked as it is brought.
    for (const { role } of planned.authored) wanted.delete(role);
    for (const role of wanted) {
      const bytes = await this.options.ledger.file(role);
      if (bytes !== undefined) known.set(role, bytes);
    }
    return known;
  }
}

function expectedOf(planned: Plan): readonly Expected[] {
  // Of several versions in one publication clients only ever see the last.
  const last = new Map(planned.authored.map((authored) => [authored.role, authored.content]));
  return [...last].flatMap(([role, content]) => {
    const owner = planned.draft.owners.get(ownerRoleOf(role));
    return owner === undefined ? [] : [{ role, directory: owner.directory, content }];
  });
}

/** Spares a look at the ledger for what cannot be the present file. */
function isPresentVersion(received: ReceivedRole, { versions }: Standing): boolean {
  try {
    return received.open().content.version === versions.get(received.role);
  } catch {
    return false; // what cannot be read was never published
  }
}

function textOf(bytes: Uint8Array): string {
  return utf8Text(bytes) ?? '';
}
