// Admission of one role file: where it stands in the tree, whose keys count for
// it there, and whether what it lists and delegates stays within its project.

import {
  AdmissionError,
  type Authority,
  canonicalBytes,
  type DelegatedRole,
  type Delegations,
  days,
  driveCrypto,
  type Envelope,
  isReleaseRoleOf,
  MetadataError,
  matchesPattern,
  ownerRoleOf,
  type Project,
  projectDirectory,
  readOwnerRoleName,
  readShardName,
  sameBytes,
  type TargetFile,
  type Targets,
  targetPathOf,
  verify,
  writeInstant,
} from '@countersign/core';
import { liveOwnersOf, type NameRecord, type OwnerSet, publishersOf, shownOf, stateOf } from '@countersign/decisions';
import { type AdmissionRules, type Proposal, refuse } from './admit-rules.ts';
import { customRoleFor, customRoles } from './bins.ts';
import { requireShowable } from './showable.ts';
import { type Standing, shardsOf } from './standing.ts';
import type { ReceivedRole } from './submission.ts';

/** A submitted role that passed. */
export interface AdmittedRole {
  readonly role: string;
  readonly bytes: Uint8Array;
  readonly envelope: Envelope;
  readonly content: Targets;
  /** The one directory that it may list; `undefined` for a shard. */
  readonly directory: string | undefined;
  /** Targets that are new or changed by it. */
  readonly added: readonly TargetFile[];
}

/** Tells whether a role lists a target as before. The entry counts too: whoever changes it must have it compared with the file again. */
export function isUnchanged(known: TargetFile | undefined, target: TargetFile): boolean {
  return known !== undefined && sameContent(known, target) && sameEntry(known, target);
}

/** Judges one role of a submission by what the parts before it would make true. @throws AdmissionError */
export function admitRole(proposal: Proposal, submitted: ReceivedRole, rules: AdmissionRules): AdmittedRole {
  const { role, bytes } = submitted;
  const { standing } = proposal;
  if (bytes.length > rules.maxRoleBytes) {
    throw refuse('SUBMISSION_TOO_LARGE', `the file of ${role} is too large`, {
      limit: rules.maxRoleBytes,
      got: bytes.length,
    });
  }
  const place = placeOf(proposal, role, rules);
  const { envelope, content } = authenticate(submitted, place.authorities, rules);
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
  const admitted = { role, bytes, envelope, content };
  if (place.kind === 'shard') return { ...admitted, directory: undefined, added: [] };
  const directory = place.kind === 'custom' ? undefined : place.directory;
  return { ...admitted, directory, added: admitProjectRole(proposal, role, place, content, rules) };
}

/** Refuses a role whose file name would be too long. @throws AdmissionError NAME_INVALID */
export function requireRoleName(role: string): void {
  if (role.length <= MAX_ROLE_NAME) return;
  throw refuse('NAME_INVALID', 'the name of its role would be too long for a file', { limit: MAX_ROLE_NAME });
}

type Authorities = readonly [Authority, ...Authority[]];

type Place =
  | { readonly kind: 'shard'; readonly authorities: Authorities }
  | {
      readonly kind: 'owner' | 'release' | 'custom';
      /** All must have signed. */
      readonly authorities: Authorities;
      /** Whose rules for file names count; none in a plain collection. */
      readonly project: Project | undefined;
      readonly ownerRole: string;
      readonly directory: string;
      /** The patterns that every target must match, besides lying in the directory. */
      readonly patterns: readonly string[];
    };

type ProjectPlace = Exclude<Place, { kind: 'shard' }>;

/** Where a role stands in the tree, and whose keys count for it. */
function placeOf(proposal: Proposal, role: string, rules: AdmissionRules): Place {
  const { standing, register, contents } = proposal;
  if (readShardName(role)?.kind === 'claimed') {
    const delegation = shardsOf(standing.targets).get(role);
    const keys = standing.targets.delegations?.keys;
    if (delegation !== undefined && keys !== undefined) {
      return { kind: 'shard', authorities: [{ keys, role: delegation, name: role }] };
    }
  }
  const custom = customRoles(standing.targets).find(({ name }) => name === role);
  if (custom?.paths.by === 'pattern') {
    const keys = standing.targets.delegations?.keys ?? new Map();
    const authorities = [{ keys, role: custom, name: role }] as const;
    const { patterns } = custom.paths;
    return { kind: 'custom', authorities, project: undefined, ownerRole: role, directory: '', patterns };
  }
  const ownerRole = ownerRoleOf(role);
  const named = readOwnerRoleName(ownerRole);
  const record = named && register.record(named.ecosystem, named.name);
  if (named === undefined || record === undefined) {
    throw refuse('NAME_UNCLAIMED', `no project of this collection has the role ${role.slice(0, 200)}`, {});
  }
  const owners = ownersFor(record, ownerRole, named.epoch);
  const project = rules.ecosystems.project(named.ecosystem, named.name);
  const directory = projectDirectory(project, rules.sha256);
  const shared = { project, ownerRole, directory };
  if (role === ownerRole) {
    return { kind: 'owner', authorities: owners, patterns: [`${directory}/*`], ...shared };
  }
  const { delegations } = contents.get(ownerRole) ?? standing.contents.get(ownerRole) ?? {};
  const delegation = delegations?.roles.find((candidate) => candidate.name === role);
  if (delegations === undefined || delegation?.paths.by !== 'pattern') {
    throw refuse('SUBMISSION_FOREIGN', `${ownerRole} does not delegate to ${role}`, { role });
  }
  const authority = { keys: delegations.keys, role: delegation, name: role };
  return { kind: 'release', authorities: [authority], patterns: delegation.paths.patterns, ...shared };
}

/** Who must sign for an owner role: everyone who speaks for that epoch of the name, as shown and as decided. */
function ownersFor(record: NameRecord, role: string, epoch: number): Authorities {
  const authorityOf = ({ keys, keyIds, threshold }: OwnerSet): Authority => ({
    keys,
    role: { keyIds, threshold },
    name: role,
  });
  const { pending } = record;
  if (epoch === record.epoch + 1 && pending?.proposal !== undefined && pending.kind !== 'owners') {
    // Not shown yet: the next owners get ready for the day.
    return [authorityOf(pending.proposal)];
  }
  if (epoch !== record.epoch) {
    throw refuse('SUBMISSION_FOREIGN', `epoch ${record.epoch} of the name is present`, {
      role,
      want: record.epoch,
      got: epoch,
    });
  }
  if (record.frozen !== undefined || record.tombstoned !== undefined) {
    throw refuse('NAME_FROZEN', `nothing of ${record.ecosystem}/${record.name} is admitted now`, {
      state: stateOf(record),
    });
  }
  // Between two epochs: the new one is countersigned with the next session.
  if (shownOf(record).epoch !== epoch) return [authorityOf(liveOwnersOf(record))];
  const [first, ...others] = publishersOf(record) ?? [liveOwnersOf(record)];
  return [authorityOf(first), ...others.map(authorityOf)];
}

function isProven(opened: object, authorities: Authorities): boolean {
  const proven = PROVEN.get(opened);
  return (
    proven?.length === authorities.length &&
    proven.every(({ keys, role }, i) => {
      const other = authorities[i];
      return keys === other?.keys && role.keyIds === other.role.keyIds && role.threshold === other.role.threshold;
    })
  );
}

function authenticate(
  submitted: ReceivedRole,
  authorities: Authorities,
  { crypto }: AdmissionRules,
): ReturnType<ReceivedRole['open']> {
  try {
    const opened = submitted.open();
    // Planning asks again: what was proven under the very same keys needs no second look.
    if (isProven(opened, authorities)) return opened;
    driveCrypto(
      verify(opened.envelope, authorities, () => true),
      crypto,
    );
    PROVEN.set(opened, authorities);
    return opened;
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
  const { project } = place;
  if (content.targets.size > rules.maxTargets) {
    throw refuse('SUBMISSION_TOO_LARGE', 'it lists too many files', {
      limit: rules.maxTargets,
      got: content.targets.size,
    });
  }
  if (content.delegations !== undefined && !keepsDelegations(place, before, content)) {
    admitReleaseDelegations(proposal, place, content.delegations);
  }
  const added: TargetFile[] = [];
  for (const target of content.targets.values()) {
    requireOwnPath(place, target.path);
    if (place.kind === 'custom' && customRoleFor(standing.targets, target.path)?.name !== role) {
      throw refuse('SUBMISSION_FOREIGN', `${target.path} belongs to another role`, { role, path: target.path });
    }
    const known = before?.targets.get(target.path);
    if (isUnchanged(known, target)) continue;
    const shown = proposal.shown.get(target.path) ?? standing.shown.get(target.path);
    if (
      shown !== undefined &&
      shown !== target.hashes.get('sha256') &&
      project !== undefined &&
      rules.ecosystems.immutable(project.ecosystem)
    ) {
      throw refuse('SUBMISSION_WITHDRAWS', `${target.path} would change`, { path: target.path });
    }
    const file = target.path.slice(target.path.lastIndexOf('/') + 1);
    if (project !== undefined) rules.ecosystems.checkFileName(project, file);
    requireShowable(target.path);
    requireBlob(standing, target, place);
    added.push(target);
  }
  return added;
}

/** A role that was carried from elsewhere may delegate as it did. */
function keepsDelegations({ kind }: ProjectPlace, before: Targets | undefined, after: Targets): boolean {
  const [was, is] = [before?.json.get('delegations'), after.json.get('delegations')];
  return (
    kind === 'custom' && was instanceof Map && is instanceof Map && sameBytes(canonicalBytes(was), canonicalBytes(is))
  );
}

function admitReleaseDelegations(proposal: Proposal, place: ProjectPlace, delegations: Delegations): void {
  if (place.kind !== 'owner' || delegations.succinct !== undefined) {
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
  const within = place.directory === '' || path.startsWith(`${place.directory}/`);
  const inside = within && targetPathOf(path) !== undefined;
  if (inside && place.patterns.some((pattern) => matchesPattern(pattern, path))) return;
  throw refuse('SUBMISSION_FOREIGN', `${path.slice(0, 200)} is outside ${place.directory}`, { want: place.directory });
}

function requireBlob(standing: Standing, target: TargetFile, { kind }: ProjectPlace): void {
  const [sha256, sha512] = [target.hashes.get('sha256'), target.hashes.get('sha512')];
  // Authors of a plain collection have tools of their own, which may know of one only.
  if (sha256 === undefined || (sha512 === undefined && kind !== 'custom')) {
    throw refuse('SUBMISSION_INVALID', `${target.path} must list sha256 and sha512`, { path: target.path });
  }
  const blob = standing.blobs.get(sha256);
  if (blob === undefined)
    throw refuse('BLOB_MISSING', `the content of ${target.path} is missing`, { path: target.path, sha256 });
  if ((sha512 !== undefined && blob.sha512 !== sha512) || blob.length !== target.length) {
    throw refuse('BLOB_MISMATCH', `the content of ${target.path} has another length or sha512`, {
      path: target.path,
      want: target.length,
      got: blob.length,
    });
  }
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

// A role that expires within days would take its project down with it.
const MINIMUM_LIFE = days(7);
// Leaves room for a version, a release role's label and `.json` in a file name.
const MAX_ROLE_NAME = 190;
// Half of the roles that clients visit in one search.
const MAX_RELEASE_ROLES = 16;
/** Under whose keys an opened role file was found to be signed. */
const PROVEN = new WeakMap<object, Authorities>();
