// Planning: which online roles must be written again so that the admitted
// submissions become visible together, and which are due for renewal. Pure:
// gives drafts of `signed` objects; signing and publishing is collection.ts.
// An online key is only ever used for its own kind of role; nothing here can
// touch a claimed shard except by carrying what the offline keys signed.

import {
  days,
  editTargets,
  type FileMeta,
  type Instant,
  isTufError,
  type JsonObject,
  readShardName,
  readShelfName,
  type Signed,
  shardName,
  type TargetFile,
} from '@countersign/core';
import type { Listed } from '@countersign/decisions';
import { type Admitted, admit } from './admit.ts';
import type { FileChange, NewFile } from './admit-files.ts';
import type { AdmittedRole } from './admit-role.ts';
import { type AdmissionRules, binOfKey, projectsBy, recordOf } from './admit-rules.ts';
import { BINS_ROLE, isBin } from './bins.ts';
import { DECISIONS_ROLE, type ListFile, listFiles } from './list-files.ts';
import type { Commit, Refusal, RoleFile } from './ports.ts';
import { isDerived, shardDraft } from './shards.ts';
import { type Draft, draftOf, type Standing, shardDigits } from './standing.ts';
import type { Submission } from './submission.ts';

/** How long what the repository signs stays valid, in milliseconds. */
export interface Lifetimes {
  readonly timestamp: number;
  readonly snapshot: number;
  /** Recent and unclaimed shards, and the list of decisions. */
  readonly shard: number;
  /** Root, top-level targets and claimed shards. */
  readonly offline: number;
  /**
   * How much sooner than at half of a life online roles are renewed, as a share
   * of it: drawn for each collection and process, so that what was signed at
   * one moment is not signed again at one moment. Default 0.
   */
  readonly early?: number;
}

/** What online keys renew on its own. */
export type RenewedKind = 'timestamp' | 'snapshot' | 'shard';

/** The defaults: only the timestamp expires fast. */
export const DEFAULT_LIFETIMES: Lifetimes = {
  timestamp: days(1),
  snapshot: days(90),
  shard: days(90),
  offline: days(365),
};

/** A journaled submission to plan for. */
export interface Waiting {
  readonly id: string;
  readonly text: string;
  /** The text, read. */
  readonly submission: Submission;
}

/** What the repository itself brings to a publication. */
export interface OwnBusiness {
  /** Notes of roots that are not listed yet. They come first, and only with other decisions. */
  readonly rootNotes: readonly string[];
  /** Completions of requests whose time has come. */
  readonly completions: readonly string[];
  /** Online roles that are past half of their life. */
  readonly due: readonly string[];
}

/** What a publication will consist of, before it is signed. */
export interface Plan {
  /** The standing that the publication leads to, but for the shards' new content. */
  readonly draft: Draft;
  /** The quorum's next root, to carry verbatim. */
  readonly root?: RoleFile;
  /** Roles for online keys to sign, by name. */
  readonly online: ReadonlyMap<string, JsonObject>;
  /** Files that authors and the offline quorum signed, to carry verbatim. */
  readonly authored: readonly AdmittedRole[];
  /** Decisions that it lists. */
  readonly decisions: readonly Listed[];
  /** Files of the list of decisions, whose blobs must be stored before the commit. */
  readonly listFiles: readonly ListFile[];
  /** Files that online keys newly sign for. */
  readonly files: readonly (NewFile & { readonly role: string })[];
  readonly targets: Commit['targets'];
  readonly published: readonly string[];
  readonly refused: Commit['refused'];
  /** Completions that cannot be made yet, with the reason. */
  readonly postponed: readonly { readonly statement: string; readonly refusal: Refusal }[];
}

/**
 * Plans one publication for many submissions. Each is admitted again against
 * the collection as the ones before it leave it; a refused one does not
 * disturb the others.
 */
export function plan(
  standing: Standing,
  waiting: readonly Waiting[],
  own: OwnBusiness,
  rules: AdmissionRules,
  lifetimes: Lifetimes,
): Plan {
  const draft = draftOf(standing);
  const admitted: Admitted[] = [];
  const published: string[] = [];
  const refused: { id: string; refusal: Refusal }[] = [];
  const postponed: { statement: string; refusal: Refusal }[] = [];
  const notes = own.rootNotes.map((note) =>
    draft.register.append(note, { at: rules.now, publication: rules.publication }),
  );
  const take = (submission: Submission): Refusal | undefined => {
    try {
      const one = admit(draft, submission, rules);
      apply(draft, one);
      admitted.push(one);
      return undefined;
    } catch (error) {
      if (!isTufError(error)) throw error;
      return { code: error.code, message: error.message, detail: error.detail };
    }
  };
  for (const { id, submission } of waiting) {
    const refusal = take(submission);
    if (refusal === undefined) published.push(id);
    else refused.push({ id, refusal });
  }
  // Last: a submission may have brought the very file that a completion waits for.
  for (const statement of own.completions) {
    const refusal = take({ roles: [], decisions: [statement], files: [], remove: [] });
    if (refusal !== undefined) postponed.push({ statement, refusal });
  }
  const made = admitted.flatMap(({ decisions }) => decisions);
  // A root in force is noted where it matters: in front of decisions.
  const decisions = made.length > 0 ? [...notes, ...made] : [];
  const authored = admitted.flatMap(({ roles }) => roles);
  const list = listFiles(standing.lastTile, decisions, draft.register, rules.crypto);
  const changes = merged(admitted.flatMap(({ files }) => files));
  const online = new Map<string, JsonObject>([
    ...shardsToSign(standing, draft, decisions, own.due, rules, lifetimes),
    ...leavesToSign(standing, changes, own.due, rules, lifetimes),
    ...listToSign(standing, list, own.due, rules, lifetimes),
  ]);
  const files = changes.flatMap(({ role, set }) => set.map((file) => ({ ...file, role })));
  const targets = [...authored.flatMap(({ added }) => added), ...files.map(({ target }) => target)].map((target) =>
    visible(standing, target),
  );
  const listed = list.map(({ target, blob }) => ({ path: target.path, blob }));
  return {
    draft,
    online,
    authored,
    decisions,
    listFiles: list,
    files,
    targets: [...targets, ...listed],
    published,
    refused,
    postponed,
  };
}

/** A plan to do nothing. */
export function emptyPlan(standing: Standing): Plan {
  return {
    draft: draftOf(standing),
    online: new Map(),
    authored: [],
    decisions: [],
    listFiles: [],
    files: [],
    targets: [],
    published: [],
    refused: [],
    postponed: [],
  };
}

/** What the snapshot says of a role: shards and top-level targets with length and hash, project roles with length. */
export function listingOf(role: string, version: number, length: number, sha256: string): FileMeta {
  const pinned =
    role === 'targets' ||
    role === DECISIONS_ROLE ||
    role === BINS_ROLE ||
    readShardName(role) !== undefined ||
    readShelfName(role) !== undefined;
  return { version, length, hashes: pinned ? new Map([['sha256', sha256]]) : undefined };
}

/** Tells whether about half of a life is over. */
export function isDue(signed: Pick<Signed, 'expires'>, kind: RenewedKind, lifetimes: Lifetimes, now: Instant): boolean {
  const { [kind]: lifetime, early = 0 } = lifetimes;
  return signed.expires - now < lifetime * (1 / 2 + early);
}

/** Makes an admitted submission true in the draft. */
function apply(draft: Draft, { register, roles, files }: Admitted): void {
  draft.register.absorb(register);
  for (const { role, content, envelope, added } of roles) {
    draft.versions.set(role, content.version);
    draft.contents.set(role, content);
    draft.ownerFiles.set(role, envelope);
    for (const { path, hashes } of added) draft.shown.set(path, hashes.get('sha256') ?? '');
  }
  for (const { role, set, remove } of files) {
    const before = draft.contents.get(role);
    if (before === undefined) throw new TypeError(`The content of ${role} was not loaded`);
    const targets = new Map(before.targets);
    for (const path of remove) targets.delete(path);
    for (const { target } of set) {
      targets.set(target.path, target);
      draft.shown.set(target.path, target.hashes.get('sha256') ?? '');
    }
    draft.contents.set(role, { ...before, targets });
  }
}

/** The recent shards that decisions change or that are due, as they follow from the decisions. */
function shardsToSign(
  standing: Standing,
  { register }: Draft,
  decisions: readonly Listed[],
  due: readonly string[],
  rules: AdmissionRules,
  lifetimes: Lifetimes,
): readonly (readonly [string, JsonObject])[] {
  const digits = shardDigits(standing.targets);
  const projectOf = projectsBy(rules);
  const isRecent = (from: Standing['register'], key: string): boolean => {
    const record = recordOf(from, key);
    return record !== undefined && record.countersigned === undefined;
  };
  const touched = new Set(due.filter((role) => readShardName(role)?.kind === 'recent'));
  const renewed = new Set(touched);
  for (const key of new Set(decisions.flatMap((listed) => listed.touched))) {
    if (!isRecent(standing.register, key) && !isRecent(register, key)) continue;
    touched.add(shardName('recent', binOfKey(key, rules.sha256).slice(0, digits)));
  }
  return [...touched].flatMap((role) => {
    const present = standing.contents.get(role);
    // A freeze, for one, changes nothing that clients see.
    if (!renewed.has(role) && present !== undefined && isDerived(role, present, register, projectOf)) return [];
    const version = (present?.version ?? 0) + 1;
    return [[role, shardDraft(role, version, rules.now + lifetimes.shard, register, projectOf)]];
  });
}

/** The roles that list files under an online key. */
function leavesToSign(
  { contents, bins }: Standing,
  changes: readonly FileChange[],
  due: readonly string[],
  { now }: AdmissionRules,
  lifetimes: Lifetimes,
): readonly (readonly [string, JsonObject])[] {
  const expires = now + lifetimes.shard;
  const renewed = due.filter((role) => readShardName(role)?.kind === 'unclaimed' || isBin(bins, role));
  const untouched = renewed.filter((name) => !changes.some(({ role }) => role === name));
  return [...changes, ...untouched.map((role) => ({ role, set: [], remove: [] }))].map(({ role, set, remove }) => [
    role,
    editTargets(contents.get(role), { expires, set: set.map(({ target }) => target), remove }),
  ]);
}

/** The role that lists the decisions' files. */
function listToSign(
  { contents }: Standing,
  list: readonly ListFile[],
  due: readonly string[],
  { now }: AdmissionRules,
  lifetimes: Lifetimes,
): readonly (readonly [string, JsonObject])[] {
  if (list.length === 0 && !due.includes(DECISIONS_ROLE)) return [];
  const set = list.map(({ target }) => target);
  return [[DECISIONS_ROLE, editTargets(contents.get(DECISIONS_ROLE), { expires: now + lifetimes.shard, set })]];
}

/** One change for each role. What came later counts. */
function merged(changes: readonly FileChange[]): readonly FileChange[] {
  const roles = new Map<string, { set: Map<string, NewFile>; remove: Set<string> }>();
  for (const { role, set, remove } of changes) {
    const one = roles.get(role) ?? { set: new Map(), remove: new Set() };
    roles.set(role, one);
    for (const path of remove) {
      one.set.delete(path);
      one.remove.add(path);
    }
    for (const file of set) {
      one.remove.delete(file.target.path);
      one.set.set(file.target.path, file);
    }
  }
  return [...roles].map(([role, { set, remove }]) => ({ role, set: [...set.values()], remove: [...remove] }));
}

function visible(standing: Standing, target: TargetFile): Commit['targets'][number] {
  const blob = standing.blobs.get(target.hashes.get('sha256') ?? '');
  if (blob === undefined) throw new TypeError('An admitted target has no blob');
  return { path: target.path, blob };
}
