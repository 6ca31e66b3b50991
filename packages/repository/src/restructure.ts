// Another layout for a live collection: more or fewer shards, more or fewer
// bins, or the other form of them. The offline quorum signs drafts that follow
// from the present state; the online keys rewrite what they list; everything is
// switched by one timestamp. No name and no file changes owner, path or content,
// and no role changes its meaning: new bins get names that were never used.

import {
  type Authority,
  canonicalBytes,
  type DelegatedRole,
  driveCrypto,
  editTargets,
  type Instant,
  type JsonObject,
  MetadataError,
  type RoleKeys,
  readInstant,
  readShardName,
  type Signer,
  sameBytes,
  shardName,
  shardPattern,
  shardPrefixes,
  stringAt,
  type Targets,
  topLevelAuthority,
  UsageError,
  verify,
  writeInstant,
} from '@countersign/core';
import type { ProjectOf, Register } from '@countersign/decisions';
import type { AdmittedRole } from './admit-role.ts';
import { type AdmissionRules, projectsBy, refuse } from './admit-rules.ts';
import { BINS_ROLE, type Bins, type BinsForm, binNames, binsDelegations, binsOf } from './bins.ts';
import { isDerived, shardDraft } from './shards.ts';
import { type Standing, shardDigits } from './standing.ts';
import type { ReceivedRole, Submission } from './submission.ts';

/** Tells whether a submission changes the layout, or renews the roles that hold it. It is published alone. */
export function isRestructuring({ roles }: Submission): boolean {
  return roles.some(({ role }) => role === 'targets' || role === BINS_ROLE);
}

/**
 * Drafts the `bins` role with other bins, for the offline quorum to sign.
 *
 * @param present the role as it is
 * @param signer the online key of the bins
 * @throws UsageError USAGE_INVALID when it is no `bins` role
 */
export function draftRebinning(
  present: Targets,
  to: { readonly bitLength: number; readonly form: BinsForm; readonly expires: Instant },
  signer: Pick<Signer, 'keyId' | 'key'>,
): JsonObject {
  if (binsOf(present) === undefined) throw new UsageError('USAGE_INVALID', 'Laying out bins: that role has none');
  // The version is the one number that never comes again.
  const bins = { bitLength: to.bitLength, namePrefix: `bin${present.version + 1}` };
  return editTargets(present, { expires: to.expires, delegations: binsDelegations(bins, to.form, signer) });
}

/** What a re-sharding is drafted from. */
export interface ReshardingBase {
  /** The top-level targets role as it is. */
  readonly targets: Targets;
  /** The replayed list of decisions. */
  readonly register: Register;
  /** The present version of a role; 0 for one that never was. */
  readonly versionOf: (role: string) => number;
  readonly projectOf: ProjectOf;
  readonly digits: number;
  readonly expires: Instant;
}

/**
 * Drafts the top-level targets role with another number of shards, and every
 * claimed shard, for the offline quorum to sign.
 *
 * @example const drafts = draftResharding({ targets, register, versionOf, projectOf, digits: 2, expires })
 */
export function draftResharding(base: ReshardingBase): ReadonlyMap<string, JsonObject> {
  const { targets, register, versionOf, projectOf, digits, expires } = base;
  const drafts = new Map([['targets', targetsDraft(targets, digits, expires)]]);
  for (const prefix of shardPrefixes(digits)) {
    const role = shardName('claimed', prefix);
    drafts.set(role, shardDraft(role, versionOf(role) + 1, expires, register, projectOf));
  }
  return drafts;
}

/** A restructuring that passed. */
export interface Restructuring {
  readonly roles: readonly AdmittedRole[];
  /** The new bins; `undefined` where they stay. */
  readonly bins: Bins | undefined;
  /** The new number of shard digits; `undefined` where it stays. */
  readonly digits: number | undefined;
}

/** Judges a restructuring. @throws AdmissionError */
export function admitRestructuring(standing: Standing, submission: Submission, rules: AdmissionRules): Restructuring {
  const { decisions, files, remove, roles } = submission;
  if (decisions.length + files.length + remove.length > 0) {
    throw refuse('SUBMISSION_INVALID', 'another layout comes alone', { rule: 'alone' });
  }
  const [first, ...others] = [...roles].sort((a, b) => Number(b.role === 'targets') - Number(a.role === 'targets'));
  if (first?.role === BINS_ROLE && others.length === 0) return admitBins(standing, first, rules);
  if (first?.role === 'targets') return admitShards(standing, first, others, rules);
  throw refuse('SUBMISSION_INVALID', 'it holds more than one layout', { rule: 'alone' });
}

function admitBins(standing: Standing, submitted: ReceivedRole, rules: AdmissionRules): Restructuring {
  const { delegations } = standing.targets;
  const delegation = delegations?.roles.find(({ name }) => name === BINS_ROLE);
  if (delegations === undefined || delegation === undefined) {
    throw refuse('SUBMISSION_FOREIGN', 'the collection has no bins', { rule: 'layout' });
  }
  const role = authentic(standing, submitted, { keys: delegations.keys, role: delegation, name: BINS_ROLE }, rules);
  const bins = binsOf(role.content);
  const present = standing.bins;
  if (bins === undefined || present === undefined || role.content.targets.size > 0) {
    throw refuse('SUBMISSION_FOREIGN', 'it does not delegate to bins only', { role: BINS_ROLE });
  }
  const form = role.content.delegations?.succinct === undefined ? 'classic' : 'succinct';
  const [key, ...more] = role.content.delegations?.keys.values() ?? [];
  const [keyId = ''] = role.content.delegations?.keys.keys() ?? [];
  const whole =
    key !== undefined &&
    more.length === 0 &&
    saysOnly(role, editTargets(undefined, { expires: 0, delegations: binsDelegations(bins, form, { keyId, key }) }));
  if (!whole) throw refuse('SUBMISSION_FOREIGN', 'it is not what was drafted for these bins', { role: BINS_ROLE });
  const stays = bins.bitLength === present.bitLength && bins.namePrefix === present.namePrefix;
  if (!stays && binNames(bins).some((name) => standing.versions.has(name))) {
    throw refuse('SUBMISSION_FOREIGN', 'it gives names of former bins another meaning', { role: BINS_ROLE });
  }
  return { roles: [role], bins: stays ? undefined : bins, digits: undefined };
}

function admitShards(
  standing: Standing,
  submitted: ReceivedRole,
  others: readonly ReceivedRole[],
  rules: AdmissionRules,
): Restructuring {
  const role = authentic(standing, submitted, topLevelAuthority(standing.root, 'targets'), rules);
  const digits = shardDigits(role.content);
  if (!saysOnly(role, targetsDraft(standing.targets, digits, 0))) {
    throw refuse('SUBMISSION_FOREIGN', 'it changes more than the number of shards', { role: 'targets' });
  }
  const stays = digits === shardDigits(standing.targets);
  const wanted = new Set(stays ? [] : shardPrefixes(digits).map((prefix) => shardName('claimed', prefix)));
  const { delegations } = role.content;
  const shards = others.map((shard) => {
    const delegation = delegations?.roles.find(({ name }) => name === shard.role);
    if (delegations === undefined || delegation === undefined || !wanted.delete(shard.role)) {
      throw refuse('SUBMISSION_FOREIGN', `${shard.role.slice(0, 200)} does not belong to it`, { role: shard.role });
    }
    const admitted = authentic(standing, shard, { keys: delegations.keys, role: delegation, name: shard.role }, rules);
    if (isDerived(shard.role, admitted.content, standing.register, projectsBy(rules))) return admitted;
    throw refuse('SUBMISSION_FOREIGN', `${shard.role} does not say what follows from the decisions`, {
      role: shard.role,
    });
  });
  const [missing] = wanted;
  if (missing !== undefined) throw refuse('SUBMISSION_INVALID', `${missing} is missing`, { role: missing });
  return { roles: [role, ...shards], bins: undefined, digits: stays ? undefined : digits };
}

/** The top-level targets role with another number of shards: everything else as it is. */
function targetsDraft(present: Targets, digits: number, expires: Instant): JsonObject {
  const { delegations } = present;
  const roles = delegations?.roles ?? [];
  const others = roles.filter(({ name }) => readShardName(name) === undefined);
  const shards = (['claimed', 'recent', 'unclaimed'] as const).flatMap((kind) => {
    const one = roles.find(({ name }) => readShardName(name)?.kind === kind);
    if (one === undefined) return [];
    const { keyIds, threshold }: RoleKeys = one;
    return shardPrefixes(digits).map((prefix): DelegatedRole => {
      const paths = { by: 'pattern', patterns: [shardPattern(prefix)] } as const;
      return { name: shardName(kind, prefix), keyIds, threshold, terminating: false, paths };
    });
  });
  if (delegations === undefined) return editTargets(present, { expires });
  return editTargets(present, { expires, delegations: { ...delegations, roles: [...others, ...shards] } });
}

/** Tells whether a role says exactly what was drafted, but for version and time. */
function saysOnly({ role, content }: AdmittedRole, draft: JsonObject): boolean {
  const expires = readInstant(stringAt(content.json, 'expires', role)) ?? 0;
  const drafted = new Map([
    ...draft,
    ['version', content.version] as const,
    ['expires', writeInstant(expires)] as const,
  ]);
  return sameBytes(canonicalBytes(drafted), canonicalBytes(content.json));
}

function authentic(
  standing: Standing,
  submitted: ReceivedRole,
  authority: Authority,
  { crypto, now }: AdmissionRules,
): AdmittedRole {
  const { role, bytes } = submitted;
  try {
    const { envelope, content } = submitted.open();
    driveCrypto(
      verify(envelope, [authority], () => true),
      crypto,
    );
    const present = role === 'targets' ? standing.targets.version : (standing.versions.get(role) ?? 0);
    if (content.version !== present + 1) {
      throw refuse('SUBMISSION_STALE', `version ${present + 1} of ${role} is due, ${content.version} came`, { role });
    }
    if (content.expires <= now) throw refuse('SUBMISSION_EXPIRED', `${role} has expired`, { role });
    return { role, bytes, envelope, content, directory: undefined, added: [] };
  } catch (error) {
    if (!(error instanceof MetadataError)) throw error;
    const code = error.code === 'THRESHOLD_NOT_MET' ? 'SUBMISSION_UNSIGNED' : 'SUBMISSION_INVALID';
    throw refuse(code, error.message, { role });
  }
}
