// Admission: may this submission change the collection as it stands? Pure.
// Every signature goes through core's threshold; every refusal names its code.
// Order: wrapping, claims, then each role in turn against what the ones before
// it would make true. Nothing is changed here: see plan.ts.

import {
  AdmissionError,
  type Authority,
  binOf,
  type Delegations,
  days,
  driveCrypto,
  type Instant,
  isReleaseRoleOf,
  isTufError,
  MetadataError,
  matchesPattern,
  openEnvelope,
  ownerDelegation,
  ownerRoleName,
  ownerRoleOf,
  type Project,
  readOwnerRoleName,
  readShardName,
  readTargets,
  type Sha256,
  type SyncCryptoPort,
  shardName,
  strongHashes,
  type TargetFile,
  type Targets,
  targetPathOf,
  utf8,
  verify,
  writeInstant,
} from '@countersign/core';
import { type Claim, openClaim } from './claim.ts';
import { directoryOf, type Owner, type Standing, shardDigits, shardsOf } from './standing.ts';
import type { Submission, SubmittedRole } from './submission.ts';

/** What one ecosystem demands, as the service passes it in. */
export interface EcosystemRules {
  /** @throws AdmissionError NAME_INVALID */
  project(ecosystem: string, name: string): Project;
  /** @throws AdmissionError ENTRY_INVALID */
  checkFileName(project: Project, file: string): void;
  /** Whether a published file's content may never change under its name. */
  immutable(ecosystem: string): boolean;
}

/** Bounds and means of admission. */
export interface AdmissionRules {
  readonly crypto: SyncCryptoPort;
  readonly sha256: Sha256;
  readonly ecosystems: EcosystemRules;
  readonly now: Instant;
  readonly maxRoleBytes: number;
  readonly maxTargets: number;
}

/** A submitted role that passed. */
export interface AdmittedRole {
  readonly role: string;
  readonly bytes: Uint8Array;
  readonly content: Targets;
  /** Targets that are new or changed by it. */
  readonly added: readonly TargetFile[];
}

/** A submission that passed. */
export interface Admitted {
  readonly claims: readonly { readonly claim: Claim; readonly project: Project; readonly owner: Owner }[];
  readonly roles: readonly AdmittedRole[];
}

/**
 * Judges a submission.
 *
 * @throws AdmissionError with the rule that it breaks; the collection is unchanged
 */
export function admit(standing: Standing, submission: Submission, rules: AdmissionRules): Admitted {
  const claims = submission.claims.map((text) => admitClaim(standing, text, rules));
  const names = submission.roles.map((role) => role.role);
  if (new Set(names).size !== names.length) throw refuse('SUBMISSION_INVALID', 'it holds a role twice', {});
  const proposed = new Map<string, Owner>(claims.map(({ owner }) => [owner.delegation.name, owner]));
  if (proposed.size !== claims.length) throw refuse('SUBMISSION_INVALID', 'it claims a name twice', {});
  for (const name of proposed.keys()) {
    // Delegated to and listed at once: a name without metadata would end searches.
    if (!names.includes(name))
      throw refuse('SUBMISSION_INVALID', `the first version of ${name} is missing`, { role: name });
  }
  const roles: AdmittedRole[] = [];
  const contents = new Map<string, Targets>();
  for (const submitted of submission.roles) {
    const owner = (name: string): Owner | undefined => proposed.get(name) ?? standing.owners.get(name);
    const content = (name: string): Targets | undefined => contents.get(name) ?? standing.contents.get(name);
    const admitted = admitRole(standing, submitted, rules, owner, content);
    contents.set(admitted.role, admitted.content);
    roles.push(admitted);
  }
  return { claims, roles };
}

/** The roles whose present content admission of a submission looks at. */
export function rolesNeeded(submission: Submission): readonly string[] {
  return submission.roles.flatMap(({ role }) => [role, ownerRoleOf(role)]);
}

/** The blobs that a submission lists, by SHA-256. Unreadable files list none: admission will say why. */
export function blobsNeeded(submission: Submission): readonly string[] {
  return submission.roles.flatMap(({ role, file }) => {
    try {
      const { targets } = readTargets(openEnvelope(utf8(file), role).signed, role);
      return [...targets.values()].map((target) => target.hashes.get('sha256') ?? '');
    } catch (error) {
      if (isTufError(error)) return [];
      throw error;
    }
  });
}

function admitClaim(standing: Standing, text: string, rules: AdmissionRules): Admitted['claims'][number] {
  const claim = openClaim(text, rules.crypto);
  if (claim.collection !== standing.collection) {
    throw refuse('SUBMISSION_INVALID', 'the claim is for another collection', { got: claim.collection.slice(0, 80) });
  }
  const project = rules.ecosystems.project(claim.ecosystem, claim.name);
  if (project.name !== claim.name) {
    throw refuse('NAME_INVALID', 'the name is not in its normal form', { got: claim.name, want: project.name });
  }
  const delegation = ownerDelegation(project, claim, rules.sha256);
  if (delegation.name.length > MAX_ROLE_NAME) {
    throw refuse('NAME_INVALID', 'the name of its role would be too long for a file', { limit: MAX_ROLE_NAME });
  }
  const directory = directoryOf(delegation);
  // Epochs follow each other without gaps, so the first tells whether there is any.
  const holder = standing.owners.get(ownerRoleName(project, 1));
  if (holder !== undefined) {
    throw refuse('NAME_TAKEN', `${project.ecosystem}/${project.name} has an owner`, { state: holder.kind });
  }
  if (claim.epoch !== 1) throw refuse('SUBMISSION_INVALID', 'a first claim begins epoch 1', { got: claim.epoch });
  const prefix = binOf(project, rules.sha256).slice(0, shardDigits(standing.targets));
  return {
    claim,
    project,
    owner: { shard: shardName('recent', prefix), kind: 'recent', delegation, keys: claim.keys, directory },
  };
}

function admitRole(
  standing: Standing,
  submitted: SubmittedRole,
  rules: AdmissionRules,
  ownerOf: (role: string) => Owner | undefined,
  contentOf: (role: string) => Targets | undefined,
): AdmittedRole {
  const { role } = submitted;
  const bytes = utf8(submitted.file);
  if (bytes.length > rules.maxRoleBytes) {
    throw refuse('SUBMISSION_TOO_LARGE', `the file of ${role} is too large`, {
      limit: rules.maxRoleBytes,
      got: bytes.length,
    });
  }
  const place = placeOf(standing, role, ownerOf, contentOf);
  const content = authenticate(role, bytes, place.authority, rules.crypto);
  const current = standing.versions.get(role) ?? 0;
  if (content.version !== current + 1) {
    throw refuse('SUBMISSION_STALE', `version ${current + 1} of ${role} is due, ${content.version} came`, {
      role,
      want: current + 1,
      got: content.version,
    });
  }
  if (content.expires < rules.now + MINIMUM_LIFE) {
    throw refuse('SUBMISSION_EXPIRED', `${role} would expire at ${writeInstant(content.expires)}`, { role });
  }
  if (place.kind === 'shard') {
    admitShard(standing, role, content, rules);
    return { role, bytes, content, added: [] };
  }
  const before = standing.contents.get(role);
  return { role, bytes, content, added: admitProjectRole(standing, place, content, before, rules) };
}

type Place =
  | { readonly kind: 'shard'; readonly authority: Authority }
  | {
      readonly kind: 'owner' | 'release';
      readonly authority: Authority;
      readonly project: { readonly ecosystem: string; readonly name: string };
      readonly ownerRole: string;
      readonly directory: string;
      /** The patterns that every target must match, besides lying in the directory. */
      readonly patterns: readonly string[];
    };

/** Where a role stands in the tree, and whose keys count for it. */
function placeOf(
  standing: Standing,
  role: string,
  ownerOf: (role: string) => Owner | undefined,
  contentOf: (role: string) => Targets | undefined,
): Place {
  if (readShardName(role)?.kind === 'claimed') {
    const delegation = shardsOf(standing.targets).get(role);
    const keys = standing.targets.delegations?.keys;
    if (delegation !== undefined && keys !== undefined) {
      return { kind: 'shard', authority: { keys, role: delegation, name: role } };
    }
  }
  const ownerRole = ownerRoleOf(role);
  const owner = ownerOf(ownerRole);
  const project = readOwnerRoleName(ownerRole);
  if (owner === undefined || project === undefined) {
    throw refuse('NAME_UNCLAIMED', `no project of this collection has the role ${role.slice(0, 200)}`, {});
  }
  const { directory } = owner;
  const shared = { project, ownerRole, directory };
  if (role === ownerRole) {
    const authority = { keys: owner.keys, role: owner.delegation, name: role };
    return { kind: 'owner', authority, patterns: [`${directory}/*`], ...shared };
  }
  const delegations = contentOf(ownerRole)?.delegations;
  const delegation = delegations?.roles.find((candidate) => candidate.name === role);
  if (delegations === undefined || delegation?.paths.by !== 'pattern') {
    throw refuse('SUBMISSION_FOREIGN', `${ownerRole} does not delegate to ${role}`, { role });
  }
  const authority = { keys: delegations.keys, role: delegation, name: role };
  return { kind: 'release', authority, patterns: delegation.paths.patterns, ...shared };
}

function authenticate(role: string, bytes: Uint8Array, authority: Authority, crypto: SyncCryptoPort): Targets {
  try {
    return driveCrypto(
      verify(openEnvelope(bytes, role), [authority], (json) => readTargets(json, role)),
      crypto,
    ).content;
  } catch (error) {
    if (!(error instanceof MetadataError)) throw error;
    const code = error.code === 'THRESHOLD_NOT_MET' ? 'SUBMISSION_UNSIGNED' : 'SUBMISSION_INVALID';
    throw new AdmissionError(code, error.message, { detail: error.detail, cause: error });
  }
}

function admitProjectRole(
  standing: Standing,
  place: Exclude<Place, { kind: 'shard' }>,
  content: Targets,
  before: Targets | undefined,
  rules: AdmissionRules,
): readonly TargetFile[] {
  const { ecosystem, name } = place.project;
  const project = rules.ecosystems.project(ecosystem, name);
  if (content.targets.size > rules.maxTargets) {
    throw refuse('SUBMISSION_TOO_LARGE', 'it lists too many files', {
      limit: rules.maxTargets,
      got: content.targets.size,
    });
  }
  if (content.delegations !== undefined) admitReleaseDelegations(place, content.delegations);
  const added: TargetFile[] = [];
  for (const target of content.targets.values()) {
    requireOwnPath(place, target.path);
    const known = before?.targets.get(target.path);
    if (known !== undefined && sameContent(known, target)) continue;
    if (known !== undefined && rules.ecosystems.immutable(ecosystem)) {
      throw refuse('SUBMISSION_WITHDRAWS', `${target.path} would change`, { path: target.path });
    }
    const file = target.path.slice(place.directory.length + 1);
    if (file.length > MAX_FILE_NAME)
      throw refuse('ENTRY_INVALID', `the name of ${file.slice(0, 200)} is too long`, { limit: MAX_FILE_NAME });
    rules.ecosystems.checkFileName(project, file);
    requireBlob(standing, target);
    added.push(target);
  }
  return added;
}

function admitReleaseDelegations(place: Exclude<Place, { kind: 'shard' }>, delegations: Delegations): void {
  if (place.kind === 'release' || delegations.succinct !== undefined) {
    throw refuse('SUBMISSION_FOREIGN', 'only an owner role delegates, and only to release roles', {});
  }
  for (const role of delegations.roles) {
    const patterns = role.paths.by === 'pattern' ? role.paths.patterns : [];
    const ours = patterns.length > 0 && patterns.every((pattern) => isOwnPattern(pattern, place.directory));
    if (!isReleaseRoleOf(role.name, place.ownerRole) || !ours) {
      throw refuse('SUBMISSION_FOREIGN', `it delegates beyond its project to ${role.name.slice(0, 200)}`, {});
    }
    const identities = new Set(role.keyIds.map((id) => delegations.keys.get(id)?.verification?.key.identity));
    identities.delete(undefined);
    if (identities.size < role.threshold) {
      throw refuse('SUBMISSION_INVALID', `the threshold of ${role.name} can never be met`, { role: role.name });
    }
  }
}

function requireOwnPath(place: Exclude<Place, { kind: 'shard' }>, path: string): void {
  const inside = path.startsWith(`${place.directory}/`) && targetPathOf(path) !== undefined;
  if (inside && place.patterns.some((pattern) => matchesPattern(pattern, path))) return;
  throw refuse('SUBMISSION_FOREIGN', `${path.slice(0, 200)} is outside ${place.directory}`, { want: place.directory });
}

function requireBlob(standing: Standing, target: TargetFile): void {
  const strong = strongHashes(target.hashes, target.path);
  const [sha256, sha512] = [strong.get('sha256'), strong.get('sha512')];
  if (sha256 === undefined || sha512 === undefined) {
    throw refuse('SUBMISSION_INVALID', `${target.path} must list sha256 and sha512`, { path: target.path });
  }
  const blob = standing.blobs.get(sha256);
  if (blob === undefined)
    throw refuse('BLOB_MISSING', `the content of ${target.path} is missing`, { path: target.path, sha256 });
  if (blob.sha512 !== sha512 || blob.length !== target.length) {
    throw refuse('BLOB_MISMATCH', `the content of ${target.path} has another length or sha512`, {
      path: target.path,
      want: target.length,
      got: blob.length,
    });
  }
}

/**
 * A claimed shard, signed offline: it may take over owners exactly as they are
 * delegated to now, and may lose none.
 */
function admitShard(standing: Standing, role: string, content: Targets, rules: AdmissionRules): void {
  if (content.targets.size > 0) throw refuse('SUBMISSION_FOREIGN', `${role} lists files`, { role });
  const prefix = readShardName(role)?.prefix ?? '';
  const seen = new Set<string>();
  for (const delegation of content.delegations?.roles ?? []) {
    const owner = standing.owners.get(delegation.name);
    if (owner === undefined || !sameDelegation(owner, content, delegation)) {
      throw refuse('SUBMISSION_FOREIGN', `${delegation.name} is not delegated to in this way now`, { role });
    }
    const project = readOwnerRoleName(delegation.name);
    const id = project && rules.ecosystems.project(project.ecosystem, project.name);
    if (id === undefined || !binOf(id, rules.sha256).startsWith(prefix)) {
      throw refuse('SUBMISSION_FOREIGN', `${delegation.name} belongs to another shard`, { role });
    }
    seen.add(delegation.name);
  }
  for (const { name } of standing.contents.get(role)?.delegations?.roles ?? []) {
    if (!seen.has(name)) throw refuse('SUBMISSION_FOREIGN', `${name} would lose its claim`, { role });
  }
}

function sameDelegation(owner: Owner, shard: Targets, proposed: Owner['delegation']): boolean {
  const identity = (from: Authority['keys'], id: string): string | undefined =>
    from.get(id)?.verification?.key.identity;
  const { delegation, keys } = owner;
  return (
    proposed.terminating &&
    proposed.threshold === delegation.threshold &&
    JSON.stringify(proposed.paths) === JSON.stringify(delegation.paths) &&
    JSON.stringify(proposed.keyIds) === JSON.stringify(delegation.keyIds) &&
    proposed.keyIds.every((id) => identity(keys, id) === identity(shard.delegations?.keys ?? new Map(), id))
  );
}

function isOwnPattern(pattern: string, directory: string): boolean {
  const last = pattern.slice(directory.length + 1);
  return pattern.startsWith(`${directory}/`) && /^[A-Za-z0-9@._~*?-]+$/.test(last) && last !== '.' && last !== '..';
}

function sameContent(a: TargetFile, b: TargetFile): boolean {
  return a.length === b.length && ['sha256', 'sha512'].every((name) => a.hashes.get(name) === b.hashes.get(name));
}

function refuse(
  code: ConstructorParameters<typeof AdmissionError>[0],
  problem: string,
  detail: Readonly<Record<string, string | number>>,
): AdmissionError {
  return new AdmissionError(code, `Admitting the submission: ${problem}`, { detail });
}

// A role that expires within days would take its project down with it.
const MINIMUM_LIFE = days(7);
// Leaves room for a version, a release role's label and `.json` in a file name.
const MAX_ROLE_NAME = 190;
// A SHA-512 and a dot go in front of it (§6.2.1), and file systems end at 255 bytes.
const MAX_FILE_NAME = 120;
