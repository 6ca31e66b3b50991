// Admission: may this submission change the collection as it stands? Pure.
// Every signature goes through core's threshold; every refusal names its code.
// Order: wrapping, claims, then each role in turn against what the ones before
// it would make true. Nothing is changed here: see plan.ts.

import {
  AdmissionError,
  type Authority,
  binOf,
  canonicalBytes,
  type DelegatedRole,
  type Delegations,
  days,
  driveCrypto,
  type Instant,
  isReleaseRoleOf,
  isTufError,
  MetadataError,
  matchesPattern,
  ownerDelegation,
  ownerRoleName,
  ownerRoleOf,
  type Project,
  readOwnerRoleName,
  readShardName,
  type Sha256,
  type SyncCryptoPort,
  sameBytes,
  shardName,
  type TargetFile,
  type Targets,
  targetPathOf,
  utf8,
  verify,
  writeInstant,
} from '@countersign/core';
import { type Claim, openClaim } from './claim.ts';
import { directoryOf, type Owner, type Standing, shardDigits, shardsOf } from './standing.ts';
import type { ReceivedRole, Submission } from './submission.ts';

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
  const parts = submission.roles.length + submission.claims.length;
  if (parts > MAX_PARTS) {
    throw refuse('SUBMISSION_TOO_LARGE', 'it holds too many roles and claims', { limit: MAX_PARTS, got: parts });
  }
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
  const proposal: Proposal = {
    standing,
    names: new Set(names),
    owners: proposed,
    contents: new Map(),
    shown: new Map(),
  };
  const roles = ownersFirst(submission.roles).map((submitted) => {
    const admitted = admitRole(proposal, submitted, rules);
    proposal.contents.set(admitted.role, admitted.content);
    for (const { path, hashes } of admitted.added) proposal.shown.set(path, hashes.get('sha256') ?? '');
    return admitted;
  });
  return { claims, roles };
}

/** A submission under judgement: the collection as it stands, and what the parts judged so far would make true. */
interface Proposal {
  readonly standing: Standing;
  /** Every role of the submission. */
  readonly names: ReadonlySet<string>;
  /** Owners that it claims names for. */
  readonly owners: ReadonlyMap<string, Owner>;
  readonly contents: Map<string, Targets>;
  /** What newly listed paths would show, by SHA-256. */
  readonly shown: Map<string, string>;
}

/** The project roles whose present content admission of a submission looks at. */
export function rolesNeeded(submission: Submission): readonly string[] {
  const roles = submission.roles.filter(({ role }) => readOwnerRoleName(ownerRoleOf(role)) !== undefined);
  return roles.flatMap(({ role }) => [role, ownerRoleOf(role)]);
}

/** The files that a submission lists. Unreadable roles list none: admission will say why. */
export function targetsNeeded(submission: Submission): readonly TargetFile[] {
  return submission.roles.flatMap((role) => {
    try {
      return [...role.open().content.targets.values()];
    } catch (error) {
      if (isTufError(error)) return [];
      throw error;
    }
  });
}

// Whatever order they were sent in, a release role is judged by what its owner says in the same submission.
function ownersFirst(roles: readonly ReceivedRole[]): readonly ReceivedRole[] {
  const isRelease = ({ role }: ReceivedRole): boolean => ownerRoleOf(role) !== role;
  return [...roles.filter((role) => !isRelease(role)), ...roles.filter(isRelease)];
}

function admitClaim(standing: Standing, text: string, rules: AdmissionRules): Admitted['claims'][number] {
  if (text.length > MAX_CLAIM) {
    throw refuse('SUBMISSION_TOO_LARGE', 'a claim is too large', { limit: MAX_CLAIM, got: text.length });
  }
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

function admitRole(proposal: Proposal, submitted: ReceivedRole, rules: AdmissionRules): AdmittedRole {
  const { role, bytes } = submitted;
  const { standing } = proposal;
  if (bytes.length > rules.maxRoleBytes) {
    throw refuse('SUBMISSION_TOO_LARGE', `the file of ${role} is too large`, {
      limit: rules.maxRoleBytes,
      got: bytes.length,
    });
  }
  const place = placeOf(proposal, role);
  const content = authenticate(submitted, place.authority, rules.crypto);
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
  return { role, bytes, content, added: admitProjectRole(proposal, role, place, content, rules) };
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

type ProjectPlace = Exclude<Place, { kind: 'shard' }>;

/** Where a role stands in the tree, and whose keys count for it. */
function placeOf({ standing, owners, contents }: Proposal, role: string): Place {
  if (readShardName(role)?.kind === 'claimed') {
    const delegation = shardsOf(standing.targets).get(role);
    const keys = standing.targets.delegations?.keys;
    if (delegation !== undefined && keys !== undefined) {
      return { kind: 'shard', authority: { keys, role: delegation, name: role } };
    }
  }
  const ownerRole = ownerRoleOf(role);
  const owner = owners.get(ownerRole) ?? standing.owners.get(ownerRole);
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
  const { delegations } = contents.get(ownerRole) ?? standing.contents.get(ownerRole) ?? {};
  const delegation = delegations?.roles.find((candidate) => candidate.name === role);
  if (delegations === undefined || delegation?.paths.by !== 'pattern') {
    throw refuse('SUBMISSION_FOREIGN', `${ownerRole} does not delegate to ${role}`, { role });
  }
  const authority = { keys: delegations.keys, role: delegation, name: role };
  return { kind: 'release', authority, patterns: delegation.paths.patterns, ...shared };
}

function authenticate(submitted: ReceivedRole, authority: Authority, crypto: SyncCryptoPort): Targets {
  try {
    const { envelope, content } = submitted.open();
    return driveCrypto(
      verify(envelope, [authority], () => content),
      crypto,
    ).content;
  } catch (error) {
    if (!(error instanceof MetadataError)) throw error;
    const code = error.code === 'THRESHOLD_NOT_MET' ? 'SUBMISSION_UNSIGNED' : 'SUBMISSION_INVALID';
    throw new AdmissionError(code, error.message, { detail: error.detail, cause: error });
  }
}

function admitProjectRole(
  proposal: Proposal,
  role: string,
  place: ProjectPlace,
  content: Targets,
  rules: AdmissionRules,
): readonly TargetFile[] {
  const { standing } = proposal;
  const before = standing.contents.get(role);
  const { ecosystem, name } = place.project;
  const project = rules.ecosystems.project(ecosystem, name);
  if (content.targets.size > rules.maxTargets) {
    throw refuse('SUBMISSION_TOO_LARGE', 'it lists too many files', {
      limit: rules.maxTargets,
      got: content.targets.size,
    });
  }
  if (content.delegations !== undefined) admitReleaseDelegations(proposal, place, content.delegations);
  const added: TargetFile[] = [];
  for (const target of content.targets.values()) {
    requireOwnPath(place, target.path);
    const known = before?.targets.get(target.path);
    // The entry counts too: whoever changes it must have it compared with the file again.
    if (known !== undefined && sameContent(known, target) && sameEntry(known, target)) continue;
    const shown = proposal.shown.get(target.path) ?? standing.shown.get(target.path);
    if (shown !== undefined && shown !== target.hashes.get('sha256') && rules.ecosystems.immutable(ecosystem)) {
      throw refuse('SUBMISSION_WITHDRAWS', `${target.path} would change`, { path: target.path });
    }
    const file = target.path.slice(place.directory.length + 1);
    rules.ecosystems.checkFileName(project, file);
    if (utf8(file).length > MAX_FILE_NAME) {
      throw refuse('ENTRY_INVALID', 'a file name is too long', { path: target.path, limit: MAX_FILE_NAME });
    }
    requireBlob(standing, target);
    added.push(target);
  }
  return added;
}

function admitReleaseDelegations(proposal: Proposal, place: ProjectPlace, delegations: Delegations): void {
  if (place.kind === 'release' || delegations.succinct !== undefined) {
    throw refuse('SUBMISSION_FOREIGN', 'only an owner role delegates, and only to release roles', {});
  }
  if (delegations.roles.length > MAX_RELEASE_ROLES) {
    throw refuse('SUBMISSION_TOO_LARGE', 'it delegates to too many release roles', {
      limit: MAX_RELEASE_ROLES,
      got: delegations.roles.length,
    });
  }
  for (const role of delegations.roles) {
    const patterns = role.paths.by === 'pattern' ? role.paths.patterns : [];
    const ours = patterns.length > 0 && patterns.every((pattern) => isOwnPattern(pattern, place.directory));
    if (!isReleaseRoleOf(role.name, place.ownerRole) || !ours) {
      throw refuse('SUBMISSION_FOREIGN', `it delegates beyond its project to ${role.name.slice(0, 200)}`, {});
    }
    if (identitiesOf(role, delegations).size < role.threshold) {
      throw refuse('SUBMISSION_INVALID', `the threshold of ${role.name} can never be met`, { role: role.name });
    }
    if (!proposal.names.has(role.name)) requireStillSigned(proposal.standing, place.ownerRole, role, delegations);
  }
}

/**
 * A release role that is delegated to without a new file must verify with the
 * one it has: one that does not would end every search of its project.
 */
function requireStillSigned(
  standing: Standing,
  ownerRole: string,
  role: DelegatedRole,
  delegations: Delegations,
): void {
  const present = standing.contents.get(ownerRole)?.delegations;
  const before = present?.roles.find(({ name }) => name === role.name);
  const identities = identitiesOf(role, delegations);
  const holds =
    before !== undefined &&
    role.threshold <= before.threshold &&
    before.keyIds.every((id) => role.keyIds.includes(id)) &&
    [...identitiesOf(before, present)].every((identity) => identities.has(identity));
  if (holds) return;
  throw refuse('SUBMISSION_INVALID', `${role.name} must be signed by its new keys and sent with it`, {
    role: role.name,
  });
}

/** The distinct public keys of a delegation. */
function identitiesOf({ keyIds }: DelegatedRole, from: Delegations | undefined): ReadonlySet<string> {
  return new Set(keyIds.flatMap((id) => from?.keys.get(id)?.verification?.key.identity ?? []));
}

function requireOwnPath(place: ProjectPlace, path: string): void {
  const inside = path.startsWith(`${place.directory}/`) && targetPathOf(path) !== undefined;
  if (inside && place.patterns.some((pattern) => matchesPattern(pattern, path))) return;
  throw refuse('SUBMISSION_FOREIGN', `${path.slice(0, 200)} is outside ${place.directory}`, { want: place.directory });
}

function requireBlob(standing: Standing, target: TargetFile): void {
  const [sha256, sha512] = [target.hashes.get('sha256'), target.hashes.get('sha512')];
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
  if (content.targets.size > 0 || content.delegations?.succinct !== undefined) {
    throw refuse('SUBMISSION_FOREIGN', `${role} does not only delegate to owners`, { role });
  }
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

function sameEntry(a: TargetFile, b: TargetFile): boolean {
  if (a.custom === undefined || b.custom === undefined) return a.custom === b.custom;
  return sameBytes(canonicalBytes(a.custom), canonicalBytes(b.custom));
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
// What a claim brings is copied into a shard that every user of its names reads.
const MAX_CLAIM = 64 * 1024;
// Each costs checks of signatures, during which nobody else is answered.
const MAX_PARTS = 1_000;
// Half of the roles that clients visit in one search.
const MAX_RELEASE_ROLES = 16;
// A SHA-512 and a dot go in front of it (§6.2.1), and file systems end at 255 bytes.
const MAX_FILE_NAME = 120;
