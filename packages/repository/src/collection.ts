// The committed collection in memory, and the one step that moves it:
// plan → sign → self-check → store → commit → visible. The only file that moves
// a head. A crash before the commit leaves nothing but blobs; a crash after it
// is finished from the head by `open`.

import {
  type Instant,
  isTufError,
  type Project,
  SignerError,
  StoreError,
  type TargetFile,
  type Targets,
  UsageError,
} from '@countersign/core';
import { admit, neededFor } from './admit.ts';
import { type AdmissionRules, projectsBy, refuse } from './admit-rules.ts';
import { admitShelving, isShelving, loadShelving, planShelving, shelvingDemands } from './admit-shelving.ts';
import {
  admitDelegating,
  type Delegating,
  delegatingDemands,
  isDelegating,
  leavesBelow,
  planDelegating,
} from './author-roles.ts';
import { BINS_ROLE } from './bins.ts';
import { demandsOf } from './demands.ts';
import { expectedOf, newTargets } from './expectations.ts';
import { planImport } from './import.ts';
import type { Incoming, Publication } from './incoming.ts';
import { requireNothingLater, shownVersion } from './later-site.ts';
import { LoadedRoles } from './loaded-roles.ts';
import { knownFiles, standingFor } from './looking-up.ts';
import { type LeavingSigners, type OnlineSigners, type SignedPlan, signPlan } from './online.ts';
import {
  type FindOnlineKey,
  findAmong,
  leavingFrom,
  missingKey,
  missingKeys,
  type OnlineKeySets,
  type OnlineKind,
  onlineKeySets,
  signersFor,
} from './online-keys.ts';
import { DEFAULT_REPOSITORY_LIMITS, type RepositoryLimits, type RepositoryOptions } from './options.ts';
import { isRenewalDue, OwnBusinessFinder } from './own-business.ts';
import { pinnedLedger } from './pinned-ledger.ts';
import { DEFAULT_LIFETIMES, emptyPlan, isDue, type Lifetimes, type OwnBusiness, type Plan, plan } from './plan.ts';
import { changesPlaces, oldLeaves, planRestructuring } from './plan-restructure.ts';
import type { BlobFacts, Head, RoleFile } from './ports.ts';
import { isPublished, withRepeats } from './repeats.ts';
import { admitRestructuring, isRestructuring, type Restructuring, restructuringDemands } from './restructure.ts';
import { selfCheck } from './self-check.ts';
import type { Demand } from './signing-events.ts';
import { type Owner, ownerOf, type Standing, shardDigits } from './standing.ts';
import { dueRoles, learnExpiries, loadState, type State, stateAfter, stateFollowing } from './state.ts';
import type { Submission } from './submission.ts';

/** A collection as committed. */
export class Collection {
  readonly limits: RepositoryLimits;
  readonly lifetimes: Lifetimes;
  private readonly options: RepositoryOptions;
  private loaded: State;
  private signing: OnlineSigners;
  private committed: number;
  /** The publication that clients see. */
  private shown = 0;
  private showing: Promise<void> | undefined;
  private readonly roles: LoadedRoles;
  private readonly own: OwnBusinessFinder;

  /** @throws UsageError COLLECTION_MISSING; StoreError; MetadataError when the ledger's content does not verify */
  static async open(options: RepositoryOptions): Promise<Collection> {
    const head = await options.ledger.head();
    if (head === undefined) {
      throw new UsageError('COLLECTION_MISSING', `Opening ${options.name}: it was never created`);
    }
    const state = await loadState(await pinnedLedger(options.ledger, head), head.at, readingOf(options));
    const { signers } = options;
    const own = typeof signers === 'function' ? await signersFor(namedKeys(state), signers) : signers;
    for (const kind of typeof signers === 'function' ? missingKeys(namedKeys(state), own) : []) {
      const { code, message } = missingKey(kind, namedKeys(state).get(kind)?.keyIds ?? []);
      options.log?.({ event: 'failed', code, message });
    }
    const collection = new Collection(options, state, head.publication, own);
    await collection.catchUp();
    return collection;
  }

  private constructor(options: RepositoryOptions, state: State, publication: number, signers: OnlineSigners) {
    this.options = options;
    this.signing = signers;
    this.limits = { ...DEFAULT_REPOSITORY_LIMITS, ...options.limits };
    const { lifetimes = DEFAULT_LIFETIMES, random = () => 0 } = options;
    this.lifetimes = { ...lifetimes, early: random() * MAX_EARLY };
    this.loaded = state;
    this.committed = publication;
    this.roles = new LoadedRoles(options.ledger);
    this.own = new OwnBusinessFinder(options);
  }

  get state(): State {
    return this.loaded;
  }

  /** The online keys that are in use. */
  get signers(): OnlineSigners {
    return this.signing;
  }

  /** Whether nothing can be published before the quorum has signed: no client would accept it (§5.3.10, §5.6.5). */
  isExpired(): boolean {
    const { root, targets } = this.loaded.standing;
    return Math.min(root.expires, targets.expires) <= this.options.clock();
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
    return this.own.isDue(this.loaded, this.lifetimes, this.options.clock());
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
    if (isShelving(submission)) {
      const { standing } = this.loaded;
      const contents = await loadShelving(standing, submission, this.roles);
      admitShelving(standing, contents, submission, this.rules(this.options.clock()));
      return;
    }
    if (isDelegating(this.loaded.standing, submission)) {
      const standing = await this.standingFor([submission]);
      admitDelegating(standing, submission, this.rules(this.options.clock()));
      return;
    }
    if (isRestructuring(submission)) {
      const { standing, files } = this.loaded;
      const admitted = admitRestructuring(standing, files, submission, this.rules(this.options.clock()));
      await this.requireKeys(admitted);
      return;
    }
    const own = await this.own.rootNotes(this.loaded, [submission]);
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
    if (isShelving(submission)) return shelvingDemands(this.loaded.standing, submission);
    if (isDelegating(this.loaded.standing, submission)) return delegatingDemands(this.loaded.standing, submission);
    if (isRestructuring(submission)) {
      const demands = restructuringDemands(this.loaded.standing, submission);
      return [...demands].map(([part, authorities]) => ({ part, authorities }));
    }
    const own = await this.own.rootNotes(this.loaded, [submission]);
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
    if (alone !== undefined && isShelving(alone.submission)) return await this.shelve(alone, lifetimes, now);
    if (alone !== undefined && isDelegating(this.loaded.standing, alone.submission))
      return await this.delegate(alone, lifetimes, now);
    if (alone !== undefined && isRestructuring(alone.submission)) return await this.restructure(alone, lifetimes, now);
    const submissions = batch.map(({ submission }) => submission);
    const own = await this.own.find(this.loaded, submissions, lifetimes, now);
    const standing = await this.standingFor(submissions, own);
    const first = plan(standing, batch, own, this.rules(now), lifetimes);
    const planned = await withRepeats(first, batch, this.loaded, this.options);
    this.own.remember(planned);
    const refusals = [...planned.refused, ...refused];
    if (batch.length + refused.length + planned.decisions.length === 0 && !isRenewalDue(this.loaded, lifetimes, now)) {
      return refusals; // all that was to be done had to be put off
    }
    await this.carryOut(planned, batch, refusals, lifetimes, now);
    return refusals;
  }

  /**
   * Renews what one online key signs, if it is due, and nothing else: so no key
   * that is missing, and nothing else that fails, takes the others' roles down.
   *
   * @throws as {@link publish}
   */
  async renew(kind: OnlineKind): Promise<void> {
    const now = this.options.clock();
    const { lifetimes } = this;
    const { trusted, standing } = this.loaded;
    if (kind === 'timestamp' || kind === 'snapshot') {
      if (!isDue(trusted[kind].content, kind, lifetimes, now)) return;
      const some = kind === 'timestamp' ? { ...lifetimes, snapshot: NEVER } : lifetimes;
      return await this.carryOut(emptyPlan(standing), [], [], some, now);
    }
    const own = { rootNotes: [], completions: [], due: dueRoles(this.loaded, lifetimes, now, kind) };
    if (own.due.length === 0) return;
    const planned = plan(await this.standingFor([], own), [], own, this.rules(now), lifetimes);
    await this.carryOut(planned, [], [], lifetimes, now);
  }

  /** Publishes what the quorum brings. What is not of this time is refused, as any submission. */
  private async restructure(one: Incoming, lifetimes: Lifetimes, now: Instant): Promise<Plan['refused']> {
    const { standing, files } = this.loaded;
    const rules = this.rules(now);
    let admitted: Restructuring;
    let signers: OnlineSigners;
    try {
      admitted = admitRestructuring(standing, files, one.submission, rules);
      signers = await this.requireKeys(admitted);
    } catch (error) {
      return await this.refuseAlone(one, error, lifetimes, now);
    }
    const leaves = new Map<string, Targets>();
    for (const role of oldLeaves(standing, admitted)) {
      const loaded = await this.roles.load(role, standing.versions.get(role) ?? 0);
      if (loaded !== undefined) leaves.set(role, loaded.content);
    }
    const planned = planRestructuring(standing, one.id, admitted, leaves, rules, lifetimes);
    await this.carryOut(planned, [one], [], lifetimes, now, { ...admitted, signers });
    return [];
  }

  /** Publishes whom the quorum delegates paths of a plain collection to. */
  private async delegate(one: Incoming, lifetimes: Lifetimes, now: Instant): Promise<Plan['refused']> {
    const rules = this.rules(now);
    const standing = await this.standingFor([one.submission]);
    let admitted: Delegating;
    try {
      admitted = admitDelegating(standing, one.submission, rules);
    } catch (error) {
      return await this.refuseAlone(one, error, lifetimes, now);
    }
    const leaves = new Map<string, Targets>();
    for (const role of leavesBelow(standing, admitted)) {
      const loaded = await this.roles.load(role, standing.versions.get(role) ?? 0);
      if (loaded !== undefined) leaves.set(role, loaded.content);
    }
    const planned = planDelegating(standing, one.id, admitted, leaves, rules, lifetimes);
    await this.carryOut(planned, [one], [], lifetimes, now);
    return [];
  }

  /** Refuses what comes alone, unless it is there already. @throws the error, if it is no refusal */
  private async refuseAlone(
    one: Incoming,
    error: unknown,
    lifetimes: Lifetimes,
    now: Instant,
  ): Promise<Plan['refused']> {
    if (!isTufError(error)) throw error;
    const { standing } = this.loaded;
    const again = await this.isPublished(one.submission);
    const { code, message, detail } = error;
    const refused = again ? [] : [{ id: one.id, refusal: { code, message, detail } }];
    await this.carryOut({ ...emptyPlan(standing), published: again ? [one.id] : [] }, [one], refused, lifetimes, now);
    return refused;
  }

  /** Publishes what the quorum puts on its shelves, or takes off them. */
  private async shelve(one: Incoming, lifetimes: Lifetimes, now: Instant): Promise<Plan['refused']> {
    const { standing } = this.loaded;
    const rules = this.rules(now);
    const contents = await loadShelving(standing, one.submission, this.roles);
    let planned: Plan;
    try {
      const admitted = admitShelving(standing, contents, one.submission, rules);
      planned = planShelving(standing, one.id, admitted, contents, rules, lifetimes);
    } catch (error) {
      return await this.refuseAlone(one, error, lifetimes, now);
    }
    await this.carryOut(planned, [one], [], lifetimes, now);
    return [];
  }

  /** The keys that are to sign from then on. @throws AdmissionError SUBMISSION_INVALID when a new one is not here */
  private async requireKeys({ online, rekeyed }: Restructuring): Promise<OnlineSigners> {
    const signers = await signersFor(online, this.find, this.signing);
    const kind = missingKeys(online, signers).find((one) => rekeyed.has(one));
    if (kind === undefined) return signers;
    throw refuse('SUBMISSION_INVALID', `the service does not hold the new ${kind} key`, {
      rule: 'online-key',
      kind,
      want: online.get(kind)?.keyIds[0] ?? '',
    });
  }

  private get find(): FindOnlineKey {
    const { signers } = this.options;
    return typeof signers === 'function' ? signers : findAmong(signers);
  }

  /**
   * Lists many files under an online key in one publication, each touched role once. Never while another is made.
   *
   * @param content `held` when every blob was uploaded: the site shows them. `elsewhere` when only their hashes are known
   * @throws AdmissionError BLOB_MISSING, NAME_TAKEN, ENTRY_INVALID, SUBMISSION_*; StoreError
   */
  async importFiles(files: readonly TargetFile[], content: 'held' | 'elsewhere'): Promise<void> {
    const now = this.options.clock();
    const { standing } = this.loaded;
    const { options, lifetimes, roles } = this;
    const planned = await planImport(standing, files, content, {
      ...options,
      roles,
      lifetimes,
      rules: this.rules(now),
    });
    if (planned !== undefined) await this.carryOut(planned, [], [], lifetimes, now);
  }

  /** Signs, checks, stores, commits and shows what is planned. */
  private async carryOut(
    planned: Plan,
    batch: readonly Incoming[],
    refusals: Plan['refused'],
    lifetimes: Lifetimes,
    now: Instant,
    change?: Restructuring & { readonly signers: OnlineSigners },
  ): Promise<void> {
    const { sha256, crypto, ledger } = this.options;
    const before = this.loaded;
    const signers = change?.signers ?? this.signing;
    const standing = { bins: change?.bins ?? before.standing.bins };
    const leaving = leavingFrom(namedKeys(before), this.signing, signers);
    const sign = (more: LeavingSigners): Promise<SignedPlan> =>
      signPlan(planned, { ...before, standing }, signers, lifetimes, now, sha256, more);
    let between: 'too' | 'no' = change?.root !== undefined && leaving !== undefined && !this.isExpired() ? 'too' : 'no';
    const made = await sign(leaving ?? {}).catch((error: unknown) => {
      // Perhaps it is replaced because it cannot sign any more.
      if (!(error instanceof SignerError) || between === 'no') throw error;
      between = 'no';
      return sign({});
    });
    const known = await knownFiles(before, planned, ledger);
    const next = selfCheck(before.trusted, made.files, known, expectedOf(planned), now, crypto, between);
    for (const { blob, bytes } of planned.listFiles) await this.storeBlob(blob, bytes);
    const { targets, published } = planned;
    const { files } = made;
    const decisions = planned.decisions.map(({ entry, line }) => ({ sequence: entry.sequence, text: line }));
    const commit = { expected: this.committed, at: now, files, targets, decisions, published, refused: refusals };
    if (!(await ledger.commit(commit))) {
      await this.catchUp();
      throw new StoreError('STORE_CONFLICT', 'Publishing: another process moved the head');
    }
    for (const one of batch) one.decided = true;
    if (change !== undefined && changesPlaces(change)) {
      // If that fails, what was committed is taken in as if it were another process's.
      await this.reload({ publication: this.committed + 1, at: now });
    } else {
      this.committed++;
      this.loaded = stateAfter(before, planned, made, next);
    }
    this.signing = signers;
    for (const { role, envelope, content } of planned.authored) {
      this.roles.keep(role, { version: content.version, envelope, content });
    }
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

  /**
   * Requires that clients have seen nothing later than what is committed.
   *
   * @throws StoreError STORE_BEHIND when an older ledger was put back
   */
  async requireLatest(): Promise<void> {
    const shown = await this.options.site.shownTimestamp();
    // Shown after it was committed: read in this order, only an older ledger does not know it.
    await this.catchUp();
    requireNothingLater(this.loaded.trusted.timestamp.content.version, shown);
  }

  /** Writes the visible copies of the last publication again. @throws StoreError */
  async showAgain(): Promise<void> {
    const { files, targets } = await this.options.ledger.made(this.committed);
    await this.show(files, targets);
    this.options.log?.({ event: 'recovered', publication: this.committed });
  }

  /** Whether a submission is what the collection has already: it was sent again after its answer was lost. */
  async isPublished(submission: Submission): Promise<boolean> {
    return await isPublished(submission, this.loaded, this.options);
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
      if (isOfQuorum(files.values())) return await this.reload(head);
      const lines: string[] = [];
      for await (const { text } of ledger.decisions(this.loaded.standing.register.tip.sequence + 1)) lines.push(text);
      // What moved meanwhile would be a mixture of two heads.
      if ((await ledger.head())?.publication !== head.publication) continue;
      this.loaded = stateFollowing(this.loaded, [...files.values()], lines, head.at, readingOf(this.options));
      this.committed = head.publication;
    }
  }

  private async reload(head: Head): Promise<void> {
    const state = await loadState(await pinnedLedger(this.options.ledger, head), head.at, readingOf(this.options));
    this.signing = await signersFor(namedKeys(state), this.find, this.signing);
    this.loaded = state;
    this.committed = head.publication;
  }

  /** Looks whether the site shows what is committed. @throws StoreError */
  async lookAtSite(): Promise<void> {
    const shown = shownVersion(await this.options.site.shownTimestamp());
    if (shown >= this.loaded.trusted.timestamp.content.version) this.shown = this.committed;
  }

  /** Resolves when what is being shown is shown, or could not be. */
  async shownOrNot(): Promise<void> {
    await this.showing?.catch(() => undefined); // told to whoever publishes
  }

  private async show(files: readonly RoleFile[], targets: Plan['targets']): Promise<void> {
    this.showing = this.write(files, targets);
    await this.showing;
  }

  private async write(files: readonly RoleFile[], targets: Plan['targets']): Promise<void> {
    const { site, ledger } = this.options;
    await site.showTargets(targets);
    // The new root last: who has seen it may be shown no timestamp of its old keys any more.
    const roots = files.filter(({ role }) => role === 'root');
    await site.showFiles(files.filter(({ role }) => role !== 'root'));
    if (roots.length > 0) await site.showFiles(roots);
    this.shown = this.committed;
    if (this.options.publishes !== 'when-elected') return;
    // Whoever overtook us meanwhile may have shown a newer timestamp, which must be the last.
    const head = await ledger.head();
    if (head === undefined || head.publication === this.committed) return;
    await this.catchUp();
    await this.showAgain();
  }

  private async standingFor(submissions: readonly Submission[], own?: OwnBusiness): Promise<Standing> {
    const sources = { ledger: this.options.ledger, roles: this.roles };
    return await standingFor(this.loaded, submissions, own, sources, this.rules(this.options.clock()));
  }

  private rules(now: Instant): AdmissionRules {
    const { crypto, sha256, ecosystems } = this.options;
    const { maxRoleBytes, maxTargets } = this.limits;
    return { crypto, sha256, ecosystems, now, publication: this.committed + 1, maxRoleBytes, maxTargets };
  }

  private async storeBlob(facts: BlobFacts, bytes: Uint8Array): Promise<void> {
    await this.options.blobs.put(facts.sha256, once(bytes), bytes.length, { record: true });
    await this.options.ledger.recordBlob(facts);
  }
}

/** Tells whether files bring what concerns the whole collection. */
function isOfQuorum(files: Iterable<RoleFile>): boolean {
  for (const file of files) if (isRestructuring({ roles: [file] })) return true;
  return false;
}

/** The online keys that are in force. */
function namedKeys({ standing }: State): OnlineKeySets {
  return onlineKeySets(standing.root, standing.targets, standing.contents.get(BINS_ROLE));
}

function readingOf(options: RepositoryOptions): Parameters<typeof loadState>[2] {
  const { name, crypto, sha256 } = options;
  return { name, crypto, sha256, projectOf: projectsBy(options) };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}

// An eighth: three hours of a day, eleven days of ninety.
const MAX_EARLY = 1 / 8;
// A life that is never half over.
const NEVER = Number.NEGATIVE_INFINITY;
// Reading everything anew costs less than many steps.
const MAX_STEPS = 64;
const LEARN_AT_ONCE = 1_024;
