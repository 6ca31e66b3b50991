// Admission: may this submission change the collection as it stands? Pure.
// Every signature goes through core's threshold; every refusal names its code.
// Order: wrapping, decisions, then each role in turn against what the parts
// before it would make true, then what must fit together: owner roles with
// their shards, claimed shards with the decisions. Changes nothing: see plan.ts.

import {
  type Envelope,
  isTufError,
  ownerRoleName,
  ownerRoleOf,
  readOwnerRoleName,
  readShardName,
  shardName,
  type TargetFile,
  type Targets,
} from '@countersign/core';
import { isNameDecision, type Listed, openDecision, type Register } from '@countersign/decisions';
import { admitFiles, type FileChange, leavesOf } from './admit-files.ts';
import { type AdmittedRole, admitRole, isUnchanged, requireRoleName } from './admit-role.ts';
import { type AdmissionRules, binOfKey, type Proposal, projectsBy, recordOf, refuse } from './admit-rules.ts';
import { customRoles } from './bins.ts';
import { requireClaimsOffShelf } from './off-shelf.ts';
import { type Lookup, overlay } from './overlay.ts';
import { ownerRolesOf, requireOwnerFiles } from './owner-files.ts';
import { isDerived } from './shards.ts';
import { type Standing, shardDigits } from './standing.ts';
import type { ReceivedRole, Submission } from './submission.ts';

/** A submission that passed. */
export interface Admitted {
  /** The standing's register with the decisions listed. */
  readonly register: Register;
  readonly decisions: readonly Listed[];
  readonly roles: readonly AdmittedRole[];
  /** What it changes in roles that list files under an online key. */
  readonly files: readonly FileChange[];
}

/**
 * Judges a submission.
 *
 * @throws AdmissionError with the rule that it breaks; the collection is unchanged
 */
export function admit(standing: Standing, submission: Submission, rules: AdmissionRules): Admitted {
  const parts = submission.roles.length + submission.decisions.length;
  if (parts > MAX_PARTS)
    throw refuse('SUBMISSION_TOO_LARGE', 'it holds too many parts', { limit: MAX_PARTS, got: parts });
  const names = submission.roles.map((role) => role.role);
  if (new Set(names).size !== names.length) throw refuse('SUBMISSION_INVALID', 'it holds a role twice', {});
  if (standing.bins !== undefined && submission.decisions.length > 0) {
    throw refuse('SUBMISSION_FOREIGN', 'a plain collection of files has no names to decide about', { rule: 'layout' });
  }
  const register = standing.register.overlay();
  const decisions = submission.decisions.map((text) => admitDecision(register, text, rules));
  requireClaimsOffShelf(standing, decisions, rules);
  const proposal: Proposal = {
    standing,
    register,
    names: new Set(names),
    contents: new Map(),
    envelopes: new Map(),
    shown: new Map(),
  };
  const roles = ownersFirst(submission.roles).map((submitted) => {
    const admitted = admitRole(proposal, submitted, rules);
    proposal.contents.set(admitted.role, admitted.content);
    proposal.envelopes.set(admitted.role, admitted.envelope);
    for (const { path, hashes } of admitted.added) proposal.shown.set(path, hashes.get('sha256') ?? '');
    return admitted;
  });
  requireFitting(proposal, decisions, rules);
  return { register, decisions, roles, files: admitFiles(proposal, submission, decisions, rules) };
}

/** What admission of a submission looks at: to be loaded before. */
export interface Needed {
  /** Project roles whose present content counts. */
  readonly roles: readonly string[];
  /** Owner roles whose present file counts. */
  readonly ownerFiles: readonly string[];
  /** Roles that list files under an online key, whose present content counts. */
  readonly leaves: readonly string[];
}

/** What admission of a submission looks at. Unreadable parts need nothing: admission will say why. */
export function neededFor(submission: Submission, standing: Standing, rules: AdmissionRules): Needed {
  const project = submission.roles.filter(({ role }) => readOwnerRoleName(ownerRoleOf(role)) !== undefined);
  const { register, targets } = standing;
  const custom = customRoles(targets).map(({ name }) => name);
  const sent = new Set(submission.roles.map(({ role }) => role));
  const leafNames = leavesOf(submission, standing, rules);
  return {
    roles: [...project.flatMap(({ role }) => [role, ownerRoleOf(role)]), ...custom.filter((name) => sent.has(name))],
    ownerFiles: submission.decisions.flatMap((text) => ownerFilesNeeded(text, register, rules)),
    leaves: [...new Set(leafNames)],
  };
}

/** The files that a submission newly lists: where, and which blob. @param contents the roles' present content */
export function targetsNeeded(
  submission: Submission,
  contents: Lookup<string, Targets>,
): readonly { readonly path: string; readonly sha256: string }[] {
  const listed = submission.roles.flatMap((role) =>
    unlessRefused(() => {
      const known = contents.get(role.role)?.targets;
      const targets: readonly TargetFile[] = [...role.open().content.targets.values()];
      return targets.filter((target) => !isUnchanged(known?.get(target.path), target));
    }),
  );
  return [...submission.files, ...listed.map(({ path, hashes }) => ({ path, sha256: hashes.get('sha256') ?? '' }))];
}

function ownerFilesNeeded(text: string, register: Register, rules: AdmissionRules): readonly string[] {
  return unlessRefused(() => {
    const { decision } = openDecision(text, rules.crypto);
    if (isNameDecision(decision)) {
      const { ecosystem, name, epoch } = decision;
      const record = register.record(ecosystem, name);
      const next = ownerRoleName({ ecosystem, name, segment: name }, epoch + 1);
      return [...(record === undefined ? [] : ownerRolesOf(record)), next];
    }
    if (decision.decision !== 'countersign') return [];
    // Only names whose owners a session changes; the others fit already.
    const trial = register.overlay();
    const { touched } = trial.append(text, { at: rules.now, publication: rules.publication });
    return touched.flatMap((key) => {
      const [before, after] = [recordOf(register, key), recordOf(trial, key)];
      const known = before === undefined ? [] : ownerRolesOf(before);
      const changed = after !== undefined && before?.authority !== after.countersigned?.authority;
      return after === undefined ? [] : ownerRolesOf(after).filter((role) => changed || !known.includes(role));
    });
  });
}

function unlessRefused<T>(read: () => readonly T[]): readonly T[] {
  try {
    return read();
  } catch (error) {
    if (isTufError(error)) return [];
    throw error;
  }
}

// Whatever order they were sent in, a release role is judged by what its owner says in the same submission.
function ownersFirst(roles: readonly ReceivedRole[]): readonly ReceivedRole[] {
  const isRelease = ({ role }: ReceivedRole): boolean => ownerRoleOf(role) !== role;
  return [...roles.filter((role) => !isRelease(role)), ...roles.filter(isRelease)];
}

function admitDecision(register: Register, text: string, rules: AdmissionRules): Listed {
  const listed = register.append(text, { at: rules.now, publication: rules.publication });
  const { decision } = listed.opened;
  if (decision.decision === 'root') {
    throw refuse('SUBMISSION_INVALID', 'only the repository notes which root is in force', { rule: 'root' });
  }
  if (decision.decision !== 'claim') return listed;
  const project = rules.ecosystems.project(decision.ecosystem, decision.name);
  if (project.name !== decision.name) {
    throw refuse('NAME_INVALID', 'the name is not in its normal form', { got: decision.name, want: project.name });
  }
  // Room for an epoch of any length.
  requireRoleName(ownerRoleName(project, MAX_EPOCH));
  return listed;
}

/** What a submission makes true must fit together, so that no client is led to what it cannot verify. */
function requireFitting(proposal: Proposal, decisions: readonly Listed[], rules: AdmissionRules): void {
  const { standing, register, envelopes, contents } = proposal;
  const files: Lookup<string, Envelope> = overlay(standing.ownerFiles, envelopes);
  for (const key of new Set(decisions.flatMap(({ touched }) => touched))) {
    const after = recordOf(register, key);
    if (after !== undefined) requireOwnerFiles(recordOf(standing.register, key), after, files, rules.crypto);
  }
  for (const shard of claimedTouched(decisions, standing, rules)) {
    if (contents.has(shard)) continue;
    throw refuse('SUBMISSION_INVALID', `the session changes ${shard}, which is not with it`, { role: shard });
  }
  for (const [role, content] of contents) {
    if (readShardName(role) === undefined) continue;
    if (isDerived(role, content, register, projectsBy(rules))) continue;
    throw refuse('SUBMISSION_FOREIGN', `${role} does not say what follows from the decisions`, { role });
  }
}

/** The claimed shards that sessions change. */
function claimedTouched(
  decisions: readonly Listed[],
  { targets }: Standing,
  rules: AdmissionRules,
): ReadonlySet<string> {
  const sessions = decisions.filter(({ opened }) => opened.decision.decision === 'countersign');
  const digits = shardDigits(targets);
  return new Set(
    sessions
      .flatMap(({ touched }) => touched)
      .map((key) => shardName('claimed', binOfKey(key, rules.sha256).slice(0, digits))),
  );
}

// Each costs checks of signatures, during which nobody else is answered.
const MAX_PARTS = 1_000;
const MAX_EPOCH = 999_999_999;
