// Roles by pattern that authors sign, in front of the bins of a plain
// collection: the quorum delegates paths to them, takes them back, or names
// other keys. A role that is new, or whose keys are others, comes along signed by
// them, so that no search is ever led to what it cannot verify; and what the
// bins list of its paths leaves them, so that no online key says anything about
// them, not even after the quorum takes the paths back.

import {
  type Authority,
  canonicalBytes,
  type DelegatedRole,
  type Delegations,
  days,
  driveCrypto,
  editTargets,
  type Instant,
  isTopLevelRole,
  type JsonObject,
  type Key,
  type KeyId,
  MetadataError,
  matchesPattern,
  readInstant,
  readOwnerRoleName,
  readShardName,
  readShelfName,
  sameBytes,
  stringAt,
  type TargetFile,
  type Targets,
  targetPathOf,
  topLevelAuthority,
  UsageError,
  utf8,
  verify,
  writeInstant,
} from '@countersign/core';
import { type AdmittedRole, isUnchanged } from './admit-role.ts';
import { type AdmissionRules, refuse } from './admit-rules.ts';
import { BINS_ROLE, binNames, customRoleFor, customRoles } from './bins.ts';
import { DECISIONS_ROLE } from './list-files.ts';
import { emptyPlan, type Lifetimes, type Plan } from './plan.ts';
import { identitiesOf, type KeySet, keysOfRole, sameKeySet } from './quorum-drafts.ts';
import { requireShowable } from './showable.ts';
import type { Demand } from './signing-events.ts';
import type { Standing } from './standing.ts';
import type { ReceivedRole, Submission } from './submission.ts';

/** A role that an author is to sign. */
export interface AuthorRole {
  readonly name: string;
  /** Patterns of the paths that it alone stands for. `*` does not cross `/`. */
  readonly patterns: readonly string[];
  readonly keys: KeySet;
}

/**
 * Drafts the top-level targets role of a plain collection with one more author's
 * role, with another one of its name, or without it.
 *
 * @throws UsageError USAGE_INVALID when the role can be none, or there is no such role to take away
 * @example draftAuthorRole(targets, { expires, set: { name: 'docs', patterns: ['docs/*'], keys: keySetOf([ada], 1) } })
 */
export function draftAuthorRole(
  present: Targets,
  change: { readonly expires: Instant; readonly set?: AuthorRole; readonly remove?: string },
): JsonObject {
  const { expires, set, remove } = change;
  const before = customRoles(present);
  if (remove !== undefined && !before.some(({ name }) => name === remove)) {
    throw new UsageError('USAGE_INVALID', `Taking ${remove.slice(0, 100)} away: no author has such a role`);
  }
  const problem = set && problemOf(set);
  if (problem !== undefined) throw new UsageError('USAGE_INVALID', `Delegating: ${problem}`);
  const kept = before.filter(({ name }) => name !== remove);
  const one = set && delegationOf(set);
  const roles =
    one === undefined || !kept.some(({ name }) => name === one.name)
      ? [...kept, ...(one ? [one] : [])]
      : kept.map((role) => (role.name === one.name ? one : role));
  return editTargets(present, { expires, delegations: withAuthors(present, roles, set?.keys.keys ?? new Map()) });
}

/** Tells whether a submission changes whom paths of a plain collection are delegated to. It is published alone. */
export function isDelegating({ bins, targets }: Pick<Standing, 'bins' | 'targets'>, { roles }: Submission): boolean {
  const sent = roles.find(({ role }) => role === 'targets');
  if (bins === undefined || sent === undefined) return false;
  try {
    return !sameBytes(authorBytes(sent.open().content), authorBytes(targets));
  } catch (error) {
    if (error instanceof MetadataError) return false; // admission will say why
    throw error;
  }
}

/** Whose signatures it needs: the quorum's, and of those whose roles come along. @throws AdmissionError SUBMISSION_FOREIGN */
export function delegatingDemands({ root }: Pick<Standing, 'root'>, { roles }: Submission): readonly Demand[] {
  const targets = roles.find(({ role }) => role === 'targets')?.open().content;
  return roles.map(({ role }) => {
    if (role === 'targets' || targets === undefined) {
      return { part: role, authorities: [topLevelAuthority(root, 'targets')] };
    }
    return { part: role, authorities: [authorityOf(targets, role)] };
  });
}

/** A change of delegations that passed. */
export interface Delegating {
  readonly targets: AdmittedRole;
  /** Authors' roles that come along. */
  readonly authors: readonly AdmittedRole[];
  /** Whether an author stands for paths that none stood for before. */
  readonly covers: boolean;
}

/**
 * Judges a change of delegations.
 *
 * @param standing with the blobs, and the present authors' roles, that it touches
 * @throws AdmissionError
 */
export function admitDelegating(standing: Standing, submission: Submission, rules: AdmissionRules): Delegating {
  const { decisions, files, remove } = submission;
  if (decisions.length + files.length + remove.length > 0) {
    throw refuse('SUBMISSION_INVALID', 'what the quorum delegates comes alone', { rule: 'alone' });
  }
  const sent = new Map(submission.roles.map((received) => [received.role, received]));
  if (sent.size < submission.roles.length) throw refuse('SUBMISSION_INVALID', 'it holds a role twice', {});
  const received = sent.get('targets');
  sent.delete('targets');
  if (received === undefined) throw refuse('SUBMISSION_INVALID', 'targets is missing', { role: 'targets' });
  const targets = authentic(standing, received, topLevelAuthority(standing.root, 'targets'), rules);
  requireOnlyAuthors(standing.targets, targets.content);
  const before = new Map(customRoles(standing.targets).map((role) => [role.name, role]));
  const roles = customRoles(targets.content);
  const authors: AdmittedRole[] = [];
  for (const role of roles) {
    const file = sent.get(role.name);
    sent.delete(role.name);
    if (file !== undefined) authors.push(admitAuthor(standing, targets.content, role, file, rules));
    else if (!isSameAuthor(standing.targets, before.get(role.name), targets.content, role)) {
      const problem = `${role.name} must be signed by its keys and sent with it`;
      throw refuse('SUBMISSION_UNSIGNED', problem, { role: role.name });
    }
  }
  const [stray] = sent.keys();
  if (stray !== undefined) {
    throw refuse('SUBMISSION_FOREIGN', `${stray.slice(0, 200)} does not belong to it`, { role: stray.slice(0, 200) });
  }
  const known = new Set([...before.values()].flatMap((role) => patternsOf(role)));
  const covers = roles.some((role) => patternsOf(role).some((pattern) => !known.has(pattern)));
  return { targets, authors, covers };
}

/**
 * Plans its publication.
 *
 * @param leaves every bin, where an author stands for paths that none stood for before
 */
export function planDelegating(
  standing: Standing,
  id: string,
  { targets, authors }: Delegating,
  leaves: ReadonlyMap<string, Targets>,
  { now }: AdmissionRules,
  lifetimes: Lifetimes,
): Plan {
  const online = new Map<string, JsonObject>();
  for (const [role, content] of leaves) {
    const remove = [...content.targets.keys()].filter((path) => customRoleFor(targets.content, path) !== undefined);
    if (remove.length > 0) online.set(role, editTargets(content, { expires: now + lifetimes.shard, remove }));
  }
  const shown = authors
    .flatMap(({ added }) => added)
    .flatMap(({ path, hashes }) => {
      const blob = standing.blobs.get(hashes.get('sha256') ?? '');
      return blob === undefined ? [] : [{ path, blob }];
    });
  return { ...emptyPlan(standing), online, authored: [targets, ...authors], targets: shown, published: [id] };
}

/** The bins that a change must look into. */
export function leavesBelow({ bins }: Pick<Standing, 'bins'>, { covers }: Delegating): readonly string[] {
  return covers && bins !== undefined ? binNames(bins) : [];
}

function admitAuthor(
  standing: Standing,
  targets: Targets,
  role: DelegatedRole,
  received: ReceivedRole,
  rules: AdmissionRules,
): AdmittedRole {
  if (received.bytes.length > rules.maxRoleBytes) {
    throw refuse('SUBMISSION_TOO_LARGE', `the file of ${role.name} is too large`, { limit: rules.maxRoleBytes });
  }
  const admitted = authentic(standing, received, authorityOf(targets, role.name), rules);
  const { content } = admitted;
  if (content.expires < rules.now + MINIMUM_LIFE) {
    throw refuse('SUBMISSION_EXPIRED', `${role.name} would expire at ${writeInstant(content.expires)}`, {
      role: role.name,
    });
  }
  if (content.delegations !== undefined) {
    throw refuse('SUBMISSION_FOREIGN', `${role.name} must not delegate`, { role: role.name });
  }
  if (content.targets.size > rules.maxTargets) {
    throw refuse('SUBMISSION_TOO_LARGE', 'it lists too many files', { limit: rules.maxTargets });
  }
  const known = standing.contents.get(role.name)?.targets;
  const added = [...content.targets.values()].filter((target) => !isUnchanged(known?.get(target.path), target));
  for (const target of added) requireOwnFile(standing, targets, role, target);
  return { ...admitted, added };
}

function requireOwnFile(
  standing: Standing,
  targets: Targets,
  role: DelegatedRole,
  { path, length, hashes }: TargetFile,
): void {
  if (targetPathOf(path) === undefined || customRoleFor(targets, path)?.name !== role.name) {
    throw refuse('SUBMISSION_FOREIGN', `${path.slice(0, 200)} is not delegated to ${role.name}`, { role: role.name });
  }
  requireShowable(path);
  const sha256 = hashes.get('sha256') ?? '';
  const blob = standing.blobs.get(sha256);
  if (blob === undefined) throw refuse('BLOB_MISSING', `the content of ${path} is missing`, { path, sha256 });
  if (blob.length === length && blob.sha512 === hashes.get('sha512')) return;
  throw refuse('BLOB_MISMATCH', `the content of ${path} has another length or sha512`, { path });
}

/** Refuses a targets role that says more than that other authors stand for paths. @throws AdmissionError SUBMISSION_FOREIGN, SUBMISSION_INVALID */
function requireOnlyAuthors(present: Targets, content: Targets): void {
  const roles = customRoles(content);
  for (const role of roles) {
    const keys = keysOfRole(content.delegations?.keys ?? new Map(), role);
    const problem = role.terminating
      ? problemOf({ name: role.name, patterns: patternsOf(role), keys })
      : 'it must end searches';
    if (problem !== undefined) {
      throw refuse('SUBMISSION_INVALID', `${role.name.slice(0, 100)}: ${problem}`, { role: role.name.slice(0, 100) });
    }
  }
  if (roles.length > MAX_ROLES || new Set(roles.map(({ name }) => name)).size < roles.length) {
    throw refuse('SUBMISSION_INVALID', 'it delegates to too many roles, or to one twice', { limit: MAX_ROLES });
  }
  const draft = editTargets(present, {
    expires: 0,
    delegations: withAuthors(present, roles, content.delegations?.keys ?? new Map()),
  });
  const expires = readInstant(stringAt(content.json, 'expires', 'targets')) ?? 0;
  const drafted = new Map([...draft, ['expires', writeInstant(expires)] as const]);
  if (sameBytes(canonicalBytes(drafted), canonicalBytes(content.json))) return;
  throw refuse('SUBMISSION_FOREIGN', 'it changes more than what authors stand for', { role: 'targets' });
}

function authentic(
  standing: Standing,
  received: ReceivedRole,
  authority: Authority,
  { crypto, now }: AdmissionRules,
): AdmittedRole {
  const { role, bytes } = received;
  try {
    const { envelope, content } = received.open();
    driveCrypto(
      verify(envelope, [authority], () => true),
      crypto,
    );
    const want = (role === 'targets' ? standing.targets.version : (standing.versions.get(role) ?? 0)) + 1;
    if (content.version !== want) {
      const problem = `version ${want} of ${role} is due, ${content.version} came`;
      throw refuse('SUBMISSION_STALE', problem, { role, want, got: content.version });
    }
    if (content.expires <= now) throw refuse('SUBMISSION_EXPIRED', `${role} has expired`, { role });
    return { role, bytes, envelope, content, directory: undefined, added: [] };
  } catch (error) {
    if (!(error instanceof MetadataError)) throw error;
    const code = error.code === 'THRESHOLD_NOT_MET' ? 'SUBMISSION_UNSIGNED' : 'SUBMISSION_INVALID';
    throw refuse(code, error.message, { role });
  }
}

/** The same delegations with these authors' roles in front of the bins, and the keys that are needed. */
function withAuthors(
  { delegations }: Targets,
  authors: readonly DelegatedRole[],
  more: ReadonlyMap<KeyId, Key>,
): Delegations {
  const bins = delegations?.roles.find(({ name }) => name === BINS_ROLE);
  if (delegations === undefined || bins === undefined) {
    throw new UsageError('USAGE_INVALID', 'Delegating: this is no plain collection of files');
  }
  const known = new Map([...delegations.keys, ...more]);
  const keys = new Map<KeyId, Key>();
  for (const role of [...authors, bins]) for (const [id, key] of keysOfRole(known, role).keys) keys.set(id, key);
  return { ...delegations, keys, roles: [...authors, bins] };
}

function delegationOf({ name, patterns, keys: { keyIds, threshold } }: AuthorRole): DelegatedRole {
  return { name, keyIds, threshold, terminating: true, paths: { by: 'pattern', patterns } };
}

/** Why a role can be none; `undefined` when it can. */
function problemOf({ name, patterns, keys }: AuthorRole): string | undefined {
  if (!isAuthorRoleName(name)) return `${name.slice(0, 100)} cannot be the name of an author's role`;
  if (patterns.length === 0 || patterns.length > MAX_PATTERNS) return `1 to ${MAX_PATTERNS} patterns are possible`;
  for (const pattern of patterns) {
    // Where a pattern is its own path but for `*` and `?`, it can match paths.
    if (
      targetPathOf(pattern.replace(/[*?]/g, 'x')) === undefined ||
      !matchesPattern(pattern, pattern.replace(/[*?]/g, 'x'))
    ) {
      return `${pattern.slice(0, 200)} is no pattern of paths`;
    }
  }
  const met =
    keys.threshold >= 1 && keys.threshold <= identitiesOf(keys).size && keys.keyIds.length === identitiesOf(keys).size;
  return met ? undefined : 'its threshold can never be met, or a key is named twice';
}

/** Tells whether an author's role may have this name: none that a role of ours has, had or will have. */
function isAuthorRoleName(name: string): boolean {
  if (!/^[a-z][a-z0-9-]{0,63}$/.test(name) || /^bin\d*(?:s|-.*)?$/.test(name)) return false;
  const ours = isTopLevelRole(name) || name === BINS_ROLE || name === DECISIONS_ROLE;
  return !ours && [readShardName, readShelfName, readOwnerRoleName].every((read) => read(name) === undefined);
}

function authorityOf({ delegations }: Targets, name: string): Authority {
  const role = delegations?.roles.find((one) => one.name === name);
  if (delegations !== undefined && role !== undefined) return { keys: delegations.keys, role, name };
  throw refuse('SUBMISSION_FOREIGN', `${name.slice(0, 200)} does not belong to it`, { role: name.slice(0, 200) });
}

function isSameAuthor(before: Targets, role: DelegatedRole | undefined, after: Targets, now: DelegatedRole): boolean {
  const set = role && keysOfRole(before.delegations?.keys ?? new Map(), role);
  return sameKeySet(set, keysOfRole(after.delegations?.keys ?? new Map(), now));
}

/** Whom paths are delegated to, as it stands in the file. */
function authorBytes(targets: Targets): Uint8Array {
  const shape = customRoles(targets).map((role) => {
    const { keys, keyIds, threshold } = keysOfRole(targets.delegations?.keys ?? new Map(), role);
    const { name, terminating } = role;
    return JSON.stringify([name, patternsOf(role), terminating, threshold, keyIds, [...keys.keys()]]);
  });
  return utf8(shape.join('\n'));
}

function patternsOf({ paths }: DelegatedRole): readonly string[] {
  return paths.by === 'pattern' ? paths.patterns : [];
}

// A role that expires within days would take its paths down with it.
const MINIMUM_LIFE = days(7);
// Below the number of roles that clients visit in one search.
const MAX_ROLES = 24;
const MAX_PATTERNS = 64;
