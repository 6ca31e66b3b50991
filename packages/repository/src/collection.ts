// The committed collection in memory, and the one step that moves it:
// plan → sign → self-check → store → commit → visible. The only file that moves
// a head. A crash before the commit leaves nothing but blobs; a crash after it
// is finished from the head by `open`.

import {
  type Instant,
  isTufError,
  type JsonObject,
  openEnvelope,
  ownerRoleName,
  ownerRoleOf,
  type Project,
  projectDirectory,
  readOwnerRoleName,
  readShardName,
  readTimestamp,
  StoreError,
  type TargetFile,
  type Targets,
  UsageError,
  utf8Text,
} from '@countersign/core';
import { decisionId, openDecision, shownRole, signDecision } from '@countersign/decisions';
import { type Admitted, admit, neededFor, targetsNeeded } from './admit.ts';
import type { AdmittedRole } from './admit-role.ts';
import { type AdmissionRules, projectsBy, recordOf, refuse } from './admit-rules.ts';
import { BINS_ROLE } from './bins.ts';
import { demandsOf } from './demands.ts';
import { extendBin, requireImportable, sortIntoBins } from './import.ts';
import type { Incoming, Publication } from './incoming.ts';
import { DECISIONS_ROLE } from './list-files.ts';
import { LoadedRoles } from './loaded-roles.ts';
import { signPlan } from './online.ts';
import { DEFAULT_REPOSITORY_LIMITS, type NewTarget, type RepositoryLimits, type RepositoryOptions } from './options.ts';
import { type Lookup, overlay } from './overlay.ts';
import { DEFAULT_LIFETIMES, emptyPlan, isDue, type Lifetimes, type OwnBusiness, type Plan, plan } from './plan.ts';
import { oldLeaves, planRestructuring } from './plan-restructure.ts';
import type { BlobFacts, Head, RoleFile } from './ports.ts';
import { admitRestructuring, isRestructuring, type Restructuring } from './restructure.ts';
import { type Expectations, selfCheck } from './self-check.ts';
import type { Demand } from './signing-events.ts';
import { type Owner, ownerOf, type Standing, shardDigits } from './standing.ts';
import { dueRoles, learnExpiries, loadState, type State, stateAfter, stateFollowing } from './state.ts';
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
  private readonly roles: LoadedRoles;
  /** Requests whose time has come, but whose new owners have not signed their role yet. */
  private readonly postponed = new Map<string, string>();

  /** @throws UsageError COLLECTION_MISSING; StoreError; MetadataError when the ledger's content does not verify */
  static async open(options: RepositoryOptions): Promise<Collection> {
    const head = await options.ledger.head();
    if (head === undefined) {
      throw new UsageError('COLLECTION_MISSING', `Opening ${options.name}: it was never created`);
    }
    const state = await loadState(options.ledger, head.at, readingOf(options));
    return new Collection(options, state, head.publication);
  }

  private constructor(options: RepositoryOptions, state: State, publication: number) {
    this.options = options;
    this.limits = { ...DEFAULT_REPOSITORY_LIMITS, ...options.limits };
    this.lifetimes = options.lifetimes ?? DEFAULT_LIFETIMES;
    this.loaded = state;
    this.committed = publication;
    this.roles = new LoadedRoles(options.ledger);
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
    return dueRoles(this.loaded, this.lifetimes.shard, now).length > 0 || this.dueRequests(now).length > 0;
  }

  /** Who speaks for a project, as clients see it; `undefined` if nobody does. */
  owner(project: Project): Owner | undefined {
    const { register, targets } = this.loaded.standing;
    const record = register.record(project.ecosystem, project.name);
    return record && ownerOf(record, project, shardDigits(targets), this.options.sha256);
  }

  /**
   * Judges a submission against the collection as it stands, with all that it lists.
   *
   * @throws AdmissionError; StoreError
   */
  async judge(submission: Submission): Promise<void> {
    if (isRestructuring(submission)) {
      admitRestructuring(this.loaded.standing, submission, this.rules(this.options.clock()));
      return;
    }
    const own = await this.rootNotes([submission]);
    const standing = await this.standingFor([submission]);
    const rules = this.rules(this.options.clock());
    // From here to the verdict nothing waits: the register must not move under it.
    const register = this.loaded.standing.register.overlay();
    for (const note of own) register.append(note, { at: rules.now, publication: rules.publication });
    const admitted = admit({ ...standing, register }, submission, rules);
    for (const target of newTargets(admitted, rules)) {
      await this.options.inspect(target, this.options.blobs.read(target.target.hashes.get('sha256') ?? ''));
    }
  }

  /** Whose signatures a submission needs, as the collection stands. @throws AdmissionError; StoreError */
  async demands(submission: Submission): Promise<readonly Demand[]> {
    const own = await this.rootNotes([submission]);
    const standing = await this.standingFor([submission]);
    const rules = this.rules(this.options.clock());
    const register = this.loaded.standing.register.overlay();
    for (const note of own) register.append(note, { at: rules.now, publication: rules.publication });
    return demandsOf({ ...standing, register }, submission, rules);
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
    const now = this.options.clock();
    const [alone] = batch;
    if (alone !== undefined && isRestructuring(alone.submission)) return await this.restructure(alone, lifetimes, now);
    const submissions = batch.map(({ submission }) => submission);
    const own = await this.ownBusiness(submissions, lifetimes, now);
    const standing = await this.standingFor(submissions, own);
    const planned = await this.withRepeats(plan(standing, batch, own, this.rules(now), lifetimes), batch);
    this.remember(planned);
    const refusals = [...planned.refused, ...refused];
    if (batch.length + refused.length + planned.decisions.length === 0 && !this.isAnythingDue(own, lifetimes, now)) {
      return refusals; // all that was to be done had to be put off
    }
    await this.carryOut(planned, batch, refusals, lifetimes, now);
    return refusals;
  }

  /** Publishes another layout. What is not of this time is refused, as any submission. */
  private async restructure(one: Incoming, lifetimes: Lifetimes, now: Instant): Promise<Plan['refused']> {
    const { standing } = this.loaded;
    const rules = this.rules(now);
    let admitted: Restructuring;
    try {
      admitted = admitRestructuring(standing, one.submission, rules);
    } catch (error) {
      if (!isTufError(error)) throw error;
      const again = await this.isPublished(one.submission);
      const { code, message, detail } = error;
      const refused = again ? [] : [{ id: one.id, refusal: { code, message, detail } }];
      const plan = { ...emptyPlan(standing), published: again ? [one.id] : [] };
      await this.carryOut(plan, [one], refused, lifetimes, now);
      return refused;
    }
    const leaves: Targets[] = [];
    for (const role of oldLeaves(standing)) {
      const loaded = await this.roles.load(role, standing.versions.get(role) ?? 0);
      if (loaded !== undefined) leaves.push(loaded.content);
    }
    const planned = planRestructuring(standing, one.id, admitted, leaves, rules, lifetimes);
    await this.carryOut(planned, [one], [], lifetimes, now, admitted.bins);
    return [];
  }

  /**
   * Lists many files of a plain collection in one publication, each touched bin once. Never while another is made.
   *
   * @param content `held` when every blob was uploaded: the site shows them. `elsewhere` when only their hashes are known
   * @throws AdmissionError BLOB_MISSING, SUBMISSION_FOREIGN, SUBMISSION_INVALID; StoreError
   */
  async importFiles(files: readonly TargetFile[], content: 'held' | 'elsewhere'): Promise<void> {
    const { sha256, clock, ledger } = this.options;
    const { standing } = this.loaded;
    if (standing.bins === undefined)
      throw refuse('SUBMISSION_FOREIGN', 'its files belong to names', { rule: 'layout' });
    const now = clock();
    const online = new Map<string, JsonObject>();
    const listed: { role: string; target: TargetFile; project: undefined }[] = [];
    for (const target of files) requireImportable(standing.targets, target);
    for (const [role, some] of sortIntoBins(files, standing.bins, sha256)) {
      const present = await this.roles.load(role, standing.versions.get(role) ?? 0);
      const extended = extendBin(present?.content, some, now + this.lifetimes.shard);
      if (extended === undefined) continue;
      online.set(role, extended.draft);
      for (const target of extended.added) listed.push({ role, target, project: undefined });
    }
    if (online.size === 0) return;
    const targets: { path: string; blob: BlobFacts }[] = [];
    for (const { target } of content === 'held' ? listed : []) {
      const blob = await ledger.blob(target.hashes.get('sha256') ?? '');
      if (blob === undefined)
        throw refuse('BLOB_MISSING', `the content of ${target.path} is missing`, { path: target.path });
      targets.push({ path: target.path, blob });
    }
    await this.carryOut({ ...emptyPlan(standing), online, files: listed, targets }, [], [], this.lifetimes, now);
  }

  /** Signs, checks, stores, commits and shows what is planned. */
  private async carryOut(
    planned: Plan,
    batch: readonly Incoming[],
    refusals: Plan['refused'],
    lifetimes: Lifetimes,
    now: Instant,
    bins = this.loaded.standing.bins,
  ): Promise<void> {
    const { signers, sha256, crypto, ledger } = this.options;
    const before = this.loaded;
    const made = await signPlan(planned, { ...before, standing: { bins } }, signers, lifetimes, now, sha256);
    const known = await this.knownFiles(planned);
    const next = selfCheck(before.trusted, made.files, known, expectedOf(planned), now, crypto);
    for (const { blob, bytes } of planned.listFiles) await this.storeBlob(blob, bytes);
    const { targets, published } = planned;
    const { files } = made;
    const decisions = planned.decisions.map(({ entry, line }) => ({ sequence: entry.sequence, text: line }));
    const commit = { expected: this.committed, at: now, files, targets, decisions, published, refused: refusals };
    if (!(await ledger.commit(commit))) {
      await this.catchUp();
      throw new StoreError('STORE_CONFLICT', 'Publishing: another process moved the head');
    }
    this.committed++;
    this.loaded = changesLayout(files)
      ? await loadState(ledger, now, readingOf(this.options))
      : stateAfter(before, planned, made, next);
    for (const { role, envelope, content } of planned.authored) {
      this.roles.keep(role, { version: content.version, envelope, content });
    }
    for (const one of batch) one.decided = true;
    await this.show(files, targets);
    this.options.log?.({
      event: 'published',
      publication: this.committed,
      submissions: published.length,
      refused: refusals.length,
    });
  }

  /** Roles of files that a submission touches, with their present content. */
  async leavesOf(submission: Submission): Promise<ReadonlyMap<string, Targets>> {
    const { standing } = this.loaded;
    const leaves = new Map<string, Targets>();
    for (const role of neededFor(submission, standing, this.rules(this.options.clock())).leaves) {
      const loaded = await this.roles.load(role, standing.versions.get(role) ?? 0);
      if (loaded !== undefined) leaves.set(role, loaded.content);
    }
    return leaves;
  }

  /** Learns when bins expire, some at a time, so that opening does not wait for it. @throws StoreError; MetadataError */
  async learn(): Promise<void> {
    await learnExpiries(this.loaded, this.options.ledger, LEARN_AT_ONCE);
  }

  /** Writes the visible copies of the last publication again. @throws StoreError */
  async showAgain(): Promise<void> {
    const { files, targets } = await this.options.ledger.made(this.committed);
    await this.show(files, targets);
    this.options.log?.({ event: 'recovered', publication: this.committed });
  }

  /** Whether a submission is what the collection has already: it was sent again after its answer was lost. */
  async isPublished(submission: Submission): Promise<boolean> {
    const { standing, listed } = this.loaded;
    if (submission.files.length + submission.remove.length > 0) return false; // asked anew each time
    for (const received of submission.roles) {
      if (!isPresentVersion(received, standing)) return false;
      const present = await this.options.ledger.file(received.role);
      if (present === undefined || textOf(present) !== received.file) return false;
    }
    return submission.decisions.every((text) => listed.has(idOf(text, this.options)));
  }

  /**
   * Takes in what other processes have published. Never while a publication is being made.
   *
   * @throws MetadataError when it does not verify; StoreError
   */
  async catchUp(): Promise<void> {
    const { ledger } = this.options;
    const files = new Map<string, RoleFile>();
    let seen = this.committed;
    for (let head = await ledger.head(); head !== undefined && head.publication > seen; head = await ledger.head()) {
      if (head.publication - this.committed > MAX_STEPS) return await this.reload(head);
      for (; seen < head.publication; seen++) {
        for (const file of (await ledger.made(seen + 1)).files) files.set(file.role, file);
      }
      if (changesLayout(files.values())) return await this.reload(head);
      const lines: string[] = [];
      for await (const { text } of ledger.decisions(this.loaded.standing.register.tip.sequence + 1)) lines.push(text);
      // What moved meanwhile would be a mixture of two heads.
      if ((await ledger.head())?.publication !== head.publication) continue;
      this.loaded = stateFollowing(this.loaded, [...files.values()], lines, head.at, readingOf(this.options));
      this.committed = head.publication;
    }
  }

  private async reload(head: Head): Promise<void> {
    this.loaded = await loadState(this.options.ledger, head.at, readingOf(this.options));
    this.committed = head.publication;
  }

  /** Looks whether the site shows what is committed. @throws StoreError */
  async lookAtSite(): Promise<void> {
    const bytes = await this.options.site.shownTimestamp();
    if (bytes === undefined) return;
    const { version } = readTimestamp(openEnvelope(bytes, 'timestamp').signed);
    if (version >= this.loaded.trusted.timestamp.content.version) this.shown = this.committed;
  }

  private async show(files: readonly RoleFile[], targets: Plan['targets']): Promise<void> {
    const { site, ledger } = this.options;
    await site.showTargets(targets);
    await site.showFiles(files);
    this.shown = this.committed;
    if (this.options.publishes !== 'when-elected') return;
    // Whoever overtook us meanwhile may have shown a newer timestamp, which must be the last.
    const head = await ledger.head();
    if (head === undefined || head.publication === this.committed) return;
    await this.catchUp();
    await this.showAgain();
  }

  /** A submission that came twice into the same publication, or just after the first, is published, not stale. */
  private async withRepeats(planned: Plan, batch: readonly Incoming[]): Promise<Plan> {
    if (planned.refused.length === 0) return planned;
    const made = new Set([
      ...planned.authored.map(({ role, bytes }) => `${role} ${textOf(bytes)}`),
      ...planned.decisions.map(({ opened }) => opened.id),
    ]);
    const repeated = new Set<string>();
    for (const { id, refusal } of planned.refused) {
      const submission = batch.find((one) => one.id === id)?.submission;
      if (submission === undefined || !REPEATED.has(refusal.code)) continue;
      const parts = [
        ...submission.roles.map(({ role, file }) => `${role} ${file}`),
        ...submission.decisions.map((text) => idOf(text, this.options)),
      ];
      const again = parts.length > 0 && parts.every((part) => made.has(part));
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
    return { crypto, sha256, ecosystems, now, publication: this.committed + 1, maxRoleBytes, maxTargets };
  }

  /** What the repository itself has to do now. */
  private async ownBusiness(
    submissions: readonly Submission[],
    lifetimes: Lifetimes,
    now: Instant,
  ): Promise<OwnBusiness> {
    const completions: string[] = [];
    for (const { ecosystem, name, epoch, pending } of this.dueRequests(now)) {
      const subject = { collection: this.options.name, ecosystem, name, epoch, previous: pending?.request ?? '' };
      completions.push(await signDecision({ decision: 'complete', ...subject }, []));
    }
    const rootNotes = await this.rootNotes(submissions, completions.length);
    return { rootNotes, completions, due: dueRoles(this.loaded, lifetimes.shard, now) };
  }

  private isAnythingDue({ due }: OwnBusiness, lifetimes: Lifetimes, now: Instant): boolean {
    const { timestamp, snapshot } = this.loaded.trusted;
    return (
      due.length > 0 ||
      isDue(timestamp.content, lifetimes.timestamp, now) ||
      isDue(snapshot.content, lifetimes.snapshot, now)
    );
  }

  private dueRequests(now: Instant): ReturnType<Standing['register']['due']> {
    const due = this.loaded.standing.register.due(now);
    return due.filter(({ pending }) => pending !== undefined && !this.postponed.has(pending.request));
  }

  /** Notes which roots are in force, where the list is about to grow and does not say so yet. */
  private async rootNotes(submissions: readonly Submission[], others = 0): Promise<readonly string[]> {
    if (others === 0 && submissions.every(({ decisions }) => decisions.length === 0)) return [];
    const { quorums, standing } = this.loaded;
    let { id: previous, version } = standing.register.rootInForce;
    const notes: string[] = [];
    while (version < standing.root.version) {
      const sha256 = quorums.get(++version)?.sha256 ?? '';
      const note = { decision: 'root', collection: this.options.name, previous, version, sha256 } as const;
      notes.push(await signDecision(note, []));
      previous = decisionId(note, this.options.crypto);
    }
    return notes;
  }

  /** Keeps what had to be put off until something about it changes. */
  private remember({ postponed, authored }: Plan): void {
    const names = new Set(authored.map(({ role }) => nameOfRole(role)));
    for (const [request, name] of this.postponed) if (names.has(name)) this.postponed.delete(request);
    for (const { statement, refusal } of postponed) {
      const { decision } = openDecision(statement, this.options.crypto);
      if (!('name' in decision) || names.has(`${decision.ecosystem}/${decision.name}`)) continue;
      this.postponed.set(decision.previous, `${decision.ecosystem}/${decision.name}`);
      this.options.log?.({ event: 'failed', code: refusal.code, message: refusal.message });
    }
  }

  private async storeBlob(facts: BlobFacts, bytes: Uint8Array): Promise<void> {
    await this.options.blobs.put(facts.sha256, once(bytes), bytes.length);
    await this.options.ledger.recordBlob(facts);
  }

  /** The standing with the roles and blobs loaded that the submissions touch. */
  private async standingFor(submissions: readonly Submission[], own?: OwnBusiness): Promise<Standing> {
    const { standing } = this.loaded;
    const rules = this.rules(this.options.clock());
    const contents = new Map<string, Targets>();
    const ownerFiles = new Map<string, ReturnType<typeof openEnvelope>>();
    const blobs = new Map<string, BlobFacts>();
    const shown = new Map<string, string>();
    const completions = (own?.completions ?? []).map((text) => ({
      roles: [],
      decisions: [text],
      files: [],
      remove: [],
    }));
    const sent = new Set<string>();
    for (const submission of [...submissions, ...completions]) {
      const needed = neededFor(submission, standing, rules);
      for (const role of [...needed.roles, ...needed.leaves, ...needed.ownerFiles]) {
        const version = standing.versions.get(role);
        if (contents.has(role) || standing.contents.has(role) || version === undefined) continue;
        const loaded = await this.roles.load(role, version);
        if (loaded === undefined) continue;
        contents.set(role, loaded.content);
        ownerFiles.set(role, loaded.envelope);
      }
      // Of a second version in the same batch, everything is looked up: the first may have taken a file out.
      const present: Lookup<string, Targets> = submission.roles.some(({ role }) => sent.has(role)) ? NONE : contents;
      for (const { role } of submission.roles) sent.add(role);
      for (const { path, sha256 } of targetsNeeded(submission, present)) {
        const facts = await this.options.ledger.blob(sha256);
        if (facts !== undefined) blobs.set(facts.sha256, facts);
        const content = await this.options.ledger.shown(path);
        if (content !== undefined) shown.set(path, content);
      }
    }
    for (const role of own?.due ?? []) {
      const version = standing.versions.get(role);
      if (contents.has(role) || standing.contents.has(role) || version === undefined) continue;
      const loaded = await this.roles.load(role, version);
      if (loaded !== undefined) contents.set(role, loaded.content);
    }
    return { ...standing, contents: overlay(standing.contents, contents), ownerFiles, blobs, shown };
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

function expectedOf(planned: Plan): Expectations {
  // Of several versions in one publication clients only ever see the last.
  const last = new Map(planned.authored.map((authored) => [authored.role, authored]));
  const projects = [...last.values()].flatMap(({ role, content, directory }) => {
    const record = recordOf(planned.draft.register, nameOfRole(role));
    // What gets ready for a later epoch is not shown yet.
    if (directory === undefined || record === undefined || shownRole(record) !== ownerRoleOf(role)) return [];
    return [{ role, directory, content }];
  });
  const files = [
    ...planned.files.map(({ role, target }) => ({ role, target })),
    // Roles by pattern in front of bins: what they newly list must be found there.
    ...[...last.values()].filter(isCustom).flatMap(({ role, added }) => added.map((target) => ({ role, target }))),
    ...planned.listFiles.map(({ target }) => ({ role: DECISIONS_ROLE, target })),
  ];
  return { projects, files };
}

function isCustom({ role, directory }: AdmittedRole): boolean {
  return directory === undefined && readShardName(role) === undefined;
}

/** Tells whether files bring roles that the state does not know of. */
function changesLayout(files: Iterable<RoleFile>): boolean {
  for (const { role } of files) if (role === 'targets' || role === BINS_ROLE) return true;
  return false;
}

/** What inspection is asked about. */
function newTargets({ roles, files }: Admitted, { sha256 }: AdmissionRules): readonly NewTarget[] {
  const signed = roles.flatMap(({ role, directory, added }) =>
    directory === undefined ? [] : added.map((target) => ({ ownerRole: ownerRoleOf(role), directory, target })),
  );
  const unsigned = files.flatMap(({ set }) =>
    set.flatMap(({ target, project }) => {
      if (project === undefined) return []; // nothing is known of what a plain file must be
      return [{ ownerRole: ownerRoleName(project, 1), directory: projectDirectory(project, sha256), target }];
    }),
  );
  return [...signed, ...unsigned];
}

/** The name that a role is about, as `ecosystem/name`. */
function nameOfRole(role: string): string {
  const named = readOwnerRoleName(ownerRoleOf(role));
  return named === undefined ? '' : `${named.ecosystem}/${named.name}`;
}

function idOf(text: string, { crypto }: RepositoryOptions): string {
  return openDecision(text, crypto).id;
}

function readingOf(options: RepositoryOptions): Parameters<typeof loadState>[2] {
  const { name, crypto, sha256 } = options;
  return { name, crypto, sha256, projectOf: projectsBy(options) };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
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

// Reading everything anew costs less than many steps.
const MAX_STEPS = 64;
const LEARN_AT_ONCE = 1_024;
const NONE: Lookup<string, Targets> = { get: () => undefined, has: () => false };
// What a submission that came before itself is refused with.
const REPEATED: ReadonlySet<string> = new Set(['SUBMISSION_STALE', 'NAME_TAKEN', 'DECISION_STALE', 'DECISION_REFUSED']);
