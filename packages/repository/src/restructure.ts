// What the offline quorum brings: its root, its top-level targets role, its
// bins and its shards, alone or together. With them come later expiries, other
// keys for the quorum or for online roles, and other layouts. Drafts follow from
// the present state; what an online key signs is written again by the engine;
// everything is switched by one timestamp. No name and no file changes owner,
// path or content, and no role changes its meaning.

import {
  type Authority,
  canonicalBytes,
  driveCrypto,
  type Envelope,
  editTargets,
  type Instant,
  type JsonObject,
  MetadataError,
  openEnvelope,
  type Root,
  readInstant,
  readShardName,
  type Signer,
  sameBytes,
  shardName,
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
import { type OnlineKeySets, type OnlineKind, onlineKeySets } from './online-keys.ts';
import type { Lookup } from './overlay.ts';
import {
  type DelegatedKind,
  draftRoot,
  draftTargets,
  identitiesOf,
  type KeySet,
  keysOfKind,
  keysOfTop,
  sameKeySet,
} from './quorum-drafts.ts';
import { isDerived, shardDraft } from './shards.ts';
import { type Standing, shardDigits, shardsOf } from './standing.ts';
import type { ReceivedRole, Submission } from './submission.ts';

/** Tells whether a submission brings files of the quorum that concern the whole collection. It is published alone. */
export function isRestructuring({ roles }: { readonly roles: readonly { readonly role: string }[] }): boolean {
  return roles.some(({ role }) => role === 'root' || role === 'targets' || role === BINS_ROLE);
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

/** Drafts the `bins` role with the same bins, under the same online key or another. @throws UsageError USAGE_INVALID when it is no `bins` role */
export function draftBins(present: Targets, expires: Instant, signer?: Pick<Signer, 'keyId' | 'key'>): JsonObject {
  const bins = binsOf(present);
  if (bins === undefined) throw new UsageError('USAGE_INVALID', 'Renewing bins: that role has none');
  if (signer === undefined) return editTargets(present, { expires });
  return editTargets(present, { expires, delegations: binsDelegations(bins, formOf(present), signer) });
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
  const { targets, digits, expires } = base;
  return new Map([['targets', draftTargets(targets, { digits, expires })], ...draftClaimedShards(base)]);
}

/** Drafts every claimed shard as the decisions say. */
export function draftClaimedShards(base: Omit<ReshardingBase, 'targets'>): ReadonlyMap<string, JsonObject> {
  const { register, versionOf, projectOf, digits, expires } = base;
  const roles = shardPrefixes(digits).map((prefix) => shardName('claimed', prefix));
  return new Map(roles.map((role) => [role, shardDraft(role, versionOf(role) + 1, expires, register, projectOf)]));
}

/** A root that passed. */
export interface AdmittedRoot {
  readonly bytes: Uint8Array;
  readonly content: Root;
}

/** A restructuring that passed. */
export interface Restructuring {
  /** The next root; `undefined` where it stays. */
  readonly root: AdmittedRoot | undefined;
  /** Every other file of the quorum that comes with it. */
  readonly roles: readonly AdmittedRole[];
  /** The new bins; `undefined` where they stay. */
  readonly bins: Bins | undefined;
  /** The new number of shard digits; `undefined` where it stays. */
  readonly digits: number | undefined;
  /** The online keys that count from then on. */
  readonly online: OnlineKeySets;
  /** Kinds of roles whose online key is another from then on. */
  readonly rekeyed: ReadonlySet<OnlineKind>;
}

/**
 * Judges what the quorum brings.
 *
 * @param files the present files of the quorum's roles, by role
 * @throws AdmissionError
 */
export function admitRestructuring(
  standing: Standing,
  files: Lookup<string, Uint8Array>,
  submission: Submission,
  rules: AdmissionRules,
): Restructuring {
  const { decisions, files: listed, remove, roles } = submission;
  if (decisions.length + listed.length + remove.length > 0) {
    throw refuse('SUBMISSION_INVALID', 'what the quorum signs for the whole collection comes alone', { rule: 'alone' });
  }
  const sent = new Map(roles.map((received) => [received.role, received]));
  if (sent.size !== roles.length) throw refuse('SUBMISSION_INVALID', 'it holds a role twice', {});
  const take = (role: string): ReceivedRole | undefined => {
    const received = sent.get(role);
    sent.delete(role);
    return received;
  };
  const [rootFile, targetsFile, binsFile] = [take('root'), take('targets'), take(BINS_ROLE)];
  const root = rootFile && admitRoot(standing, rootFile, rules);
  const inForce = root?.content ?? standing.root;
  const targets = targetsFile && admitTargets(standing, inForce, targetsFile, rules);
  if (targets === undefined) requireStillSigned('targets', topLevelAuthority(inForce, 'targets'), files, rules);
  const targetsNow = targets?.content ?? standing.targets;
  const bins = binsFile && admitBins(standing, targetsNow, binsFile, rules);
  if (bins === undefined && standing.bins !== undefined) {
    requireStillSigned(BINS_ROLE, delegationOf(targetsNow, BINS_ROLE), files, rules);
  }
  const digits = shardDigits(targetsNow);
  const moved = standing.bins === undefined && digits !== shardDigits(standing.targets);
  const shards = [...sent.values()].map((shard) => admitClaimedShard(standing, targetsNow, shard, rules));
  if (standing.bins === undefined) {
    requireQuorum(inForce, targetsNow);
    for (const role of shardPrefixes(digits).map((prefix) => shardName('claimed', prefix))) {
      if (sent.has(role)) continue;
      if (moved) throw missing(role);
      requireStillSigned(role, delegationOf(targetsNow, role), files, rules);
    }
  }
  requireFresh('root', inForce, rules);
  requireFresh('targets', targetsNow, rules);
  const binsBefore = standing.contents.get(BINS_ROLE);
  const before = onlineKeySets(standing.root, standing.targets, binsBefore);
  const online = onlineKeySets(inForce, targetsNow, bins?.role.content ?? binsBefore);
  requireApart(inForce, targetsNow, online);
  return {
    root,
    roles: [...(targets ? [targets] : []), ...(bins ? [bins.role] : []), ...shards],
    bins: bins?.moved,
    digits: moved ? digits : undefined,
    online,
    rekeyed: new Set([...online].flatMap(([kind, set]) => (sameKeySet(before.get(kind), set) ? [] : [kind]))),
  };
}

/**
 * The thresholds that each file of a restructuring must meet, for those who gather signatures.
 *
 * @throws AdmissionError SUBMISSION_INVALID
 */
export function restructuringDemands(
  standing: Standing,
  { roles }: Pick<Submission, 'roles'>,
): ReadonlyMap<string, readonly Authority[]> {
  const opened = <T>(read: () => T): T => {
    try {
      return read();
    } catch (error) {
      throw error instanceof MetadataError ? refuse('SUBMISSION_INVALID', error.message, {}) : error;
    }
  };
  const contentOf = (name: string): ReceivedRole | undefined => roles.find(({ role }) => role === name);
  const root = opened(() => contentOf('root')?.openRoot().content ?? standing.root);
  const targets = opened(() => contentOf('targets')?.open().content ?? standing.targets);
  return new Map(
    roles.map(({ role }): [string, readonly Authority[]] => {
      if (role === 'root') return [role, [topLevelAuthority(standing.root, 'root'), topLevelAuthority(root, 'root')]];
      if (role === 'targets') return [role, targetsAuthorities(standing.root, root)];
      return [role, [delegationOf(targets, role)]];
    }),
  );
}

function admitRoot(standing: Standing, submitted: ReceivedRole, rules: AdmissionRules): AdmittedRoot {
  const present = standing.root;
  const { envelope, content } = legible(submitted, () => submitted.openRoot());
  // §5.3.4: the one before it and its own.
  const own = topLevelAuthority(content, 'root');
  requireSigned('root', envelope, [topLevelAuthority(present, 'root'), own], rules);
  requireNext('root', content, present.version, rules);
  const sets = {
    root: keysOfTop(content, 'root'),
    targets: keysOfTop(content, 'targets'),
    snapshot: keysOfTop(content, 'snapshot'),
    timestamp: keysOfTop(content, 'timestamp'),
  };
  if (!saysOnly('root', content, draftRoot(present, { expires: 0, roles: sets }))) {
    throw refuse('SUBMISSION_FOREIGN', 'it changes more than keys, thresholds and expiry', { role: 'root' });
  }
  for (const [role, set] of Object.entries(sets)) requireMeetable(role, set);
  requireOne('snapshot', sets.snapshot);
  requireOne('timestamp', sets.timestamp);
  return { bytes: submitted.bytes, content };
}

function admitTargets(standing: Standing, root: Root, submitted: ReceivedRole, rules: AdmissionRules): AdmittedRole {
  // Who has not seen the new root yet goes by the old one's keys (§5.6.3): both must be content.
  const role = authentic(standing, submitted, targetsAuthorities(standing.root, root), rules);
  const { content } = role;
  const keys: Partial<Record<DelegatedKind, KeySet>> = {};
  for (const kind of ['claimed', 'recent', 'unclaimed', 'decisions', 'bins'] as const) {
    const set = keysOfKind(content, kind);
    if (set === undefined) continue;
    requireMeetable(kind, set);
    if (kind !== 'claimed' && kind !== 'bins') requireOne(kind, set);
    keys[kind] = set;
  }
  const change = { expires: 0, keys, ...(standing.bins === undefined && { digits: shardDigits(content) }) };
  if (saysOnly('targets', content, draftTargets(standing.targets, change))) return role;
  throw refuse('SUBMISSION_FOREIGN', 'it changes more than keys, shards and expiry', { role: 'targets' });
}

function admitBins(
  standing: Standing,
  targets: Targets,
  submitted: ReceivedRole,
  rules: AdmissionRules,
): { readonly role: AdmittedRole; readonly moved: Bins | undefined } {
  if (standing.bins === undefined) {
    throw refuse('SUBMISSION_FOREIGN', 'the collection has no bins', { rule: 'layout' });
  }
  const role = authentic(standing, submitted, [delegationOf(targets, BINS_ROLE)], rules);
  const bins = binsOf(role.content);
  const present = standing.bins;
  if (bins === undefined || role.content.targets.size > 0) {
    throw refuse('SUBMISSION_FOREIGN', 'it does not delegate to bins only', { role: BINS_ROLE });
  }
  const [key, ...more] = role.content.delegations?.keys.values() ?? [];
  const [keyId = ''] = role.content.delegations?.keys.keys() ?? [];
  const whole =
    key !== undefined &&
    more.length === 0 &&
    saysOnly(
      BINS_ROLE,
      role.content,
      editTargets(undefined, { expires: 0, delegations: binsDelegations(bins, formOf(role.content), { keyId, key }) }),
    );
  if (!whole) throw refuse('SUBMISSION_FOREIGN', 'it is not what was drafted for these bins', { role: BINS_ROLE });
  const stays = bins.bitLength === present.bitLength && bins.namePrefix === present.namePrefix;
  if (!stays && binNames(bins).some((name) => standing.versions.has(name))) {
    throw refuse('SUBMISSION_FOREIGN', 'it gives names of former bins another meaning', { role: BINS_ROLE });
  }
  return { role, moved: stays ? undefined : bins };
}

function admitClaimedShard(
  standing: Standing,
  targets: Targets,
  submitted: ReceivedRole,
  rules: AdmissionRules,
): AdmittedRole {
  const { role } = submitted;
  if (readShardName(role)?.kind !== 'claimed' || !shardsOf(targets).has(role)) {
    throw refuse('SUBMISSION_FOREIGN', `${role.slice(0, 200)} does not belong to it`, { role });
  }
  const admitted = authentic(standing, submitted, [delegationOf(targets, role)], rules);
  if (isDerived(role, admitted.content, standing.register, projectsBy(rules))) return admitted;
  throw refuse('SUBMISSION_FOREIGN', `${role} does not say what follows from the decisions`, { role });
}

/** Whoever signs claimed shards is whom the list of decisions calls the quorum. */
function requireQuorum(root: Root, targets: Targets): void {
  if (sameKeySet(keysOfTop(root, 'targets'), keysOfKind(targets, 'claimed'))) return;
  throw refuse('SUBMISSION_INVALID', 'the top-level targets role and the claimed shards must have the same keys', {
    role: 'targets',
    rule: 'quorum',
  });
}

/** An online key must never be able to do what the quorum does. */
function requireApart(root: Root, targets: Targets, online: OnlineKeySets): void {
  const offline = [keysOfTop(root, 'root'), keysOfTop(root, 'targets'), keysOfKind(targets, 'bins')];
  const quorum = new Set(offline.flatMap((set) => (set === undefined ? [] : [...identitiesOf(set)])));
  for (const [kind, set] of online) {
    if ([...identitiesOf(set)].every((identity) => !quorum.has(identity))) continue;
    throw refuse('SUBMISSION_INVALID', `the ${kind} key must not be one of the quorum's`, { rule: 'apart', kind });
  }
}

function requireMeetable(role: string, set: KeySet): void {
  if (set.threshold <= identitiesOf(set).size && identitiesOf(set).size === set.keyIds.length) return;
  throw refuse('SUBMISSION_INVALID', `the threshold of ${role} can never be met, or a key is named twice`, { role });
}

/** One process holds the online keys: more than one signature would say no more than one. */
function requireOne(role: string, set: KeySet): void {
  if (set.threshold === 1) return;
  throw refuse('SUBMISSION_INVALID', `an online role is signed by one key, ${role} too`, { role });
}

/** A role that does not come along must hold with the file that it has. */
function requireStillSigned(
  role: string,
  authority: Authority,
  files: Lookup<string, Uint8Array>,
  rules: AdmissionRules,
): void {
  const bytes = files.get(role);
  try {
    if (bytes === undefined) throw missing(role);
    driveCrypto(
      verify(openEnvelope(bytes, role), [authority], () => true),
      rules.crypto,
    );
  } catch (error) {
    if (error instanceof MetadataError) throw missing(role);
    throw error;
  }
}

function requireFresh(role: string, { expires }: Root | Targets, { now }: AdmissionRules): void {
  if (expires > now) return;
  throw refuse('SUBMISSION_EXPIRED', `${role} has expired at ${writeInstant(expires)}: it must be renewed too`, {
    role,
  });
}

function missing(role: string): ReturnType<typeof refuse> {
  return refuse('SUBMISSION_INVALID', `${role} is missing: it must be signed by those who count from now on`, { role });
}

function targetsAuthorities(before: Root, after: Root): readonly [Authority, ...Authority[]] {
  const [old, now] = [topLevelAuthority(before, 'targets'), topLevelAuthority(after, 'targets')];
  return sameKeySet(keysOfTop(before, 'targets'), keysOfTop(after, 'targets')) ? [now] : [old, now];
}

function delegationOf({ delegations }: Targets, name: string): Authority {
  const role = delegations?.roles.find((one) => one.name === name);
  if (delegations !== undefined && role !== undefined) return { keys: delegations.keys, role, name };
  throw refuse('SUBMISSION_FOREIGN', `${name.slice(0, 200)} does not belong to it`, { role: name.slice(0, 200) });
}

function formOf({ delegations }: Targets): BinsForm {
  return delegations?.succinct === undefined ? 'classic' : 'succinct';
}

/** Tells whether a role says exactly what was drafted, but for version and time. */
function saysOnly(role: string, { json, version }: Root | Targets, draft: JsonObject): boolean {
  const expires = readInstant(stringAt(json, 'expires', role)) ?? 0;
  const drafted = new Map([...draft, ['version', version] as const, ['expires', writeInstant(expires)] as const]);
  return sameBytes(canonicalBytes(drafted), canonicalBytes(json));
}

function authentic(
  standing: Standing,
  submitted: ReceivedRole,
  authorities: readonly [Authority, ...Authority[]],
  rules: AdmissionRules,
): AdmittedRole {
  const { role, bytes } = submitted;
  const { envelope, content } = legible(submitted, () => submitted.open());
  requireSigned(role, envelope, authorities, rules);
  const present = role === 'targets' ? standing.targets.version : (standing.versions.get(role) ?? 0);
  requireNext(role, content, present, rules);
  return { role, bytes, envelope, content, directory: undefined, added: [] };
}

function legible<T>({ role, bytes }: ReceivedRole, open: () => T): T {
  if (bytes.length > MAX_FILE) throw refuse('SUBMISSION_TOO_LARGE', `the file of ${role} is too large`, { role });
  try {
    return open();
  } catch (error) {
    if (error instanceof MetadataError) throw refuse('SUBMISSION_INVALID', error.message, { role });
    throw error;
  }
}

function requireSigned(
  role: string,
  envelope: Envelope,
  authorities: readonly [Authority, ...Authority[]],
  { crypto }: AdmissionRules,
): void {
  try {
    driveCrypto(
      verify(envelope, authorities, () => true),
      crypto,
    );
  } catch (error) {
    if (error instanceof MetadataError) throw refuse('SUBMISSION_UNSIGNED', error.message, { role });
    throw error;
  }
}

function requireNext(role: string, content: Root | Targets, present: number, { now }: AdmissionRules): void {
  if (content.version !== present + 1) {
    const problem = `version ${present + 1} of ${role} is due, ${content.version} came`;
    throw refuse('SUBMISSION_STALE', problem, { role, want: present + 1, got: content.version });
  }
  if (content.expires <= now) throw refuse('SUBMISSION_EXPIRED', `${role} has expired`, { role });
}

// What clients take of a targets role; roots are smaller.
const MAX_FILE = 5_000_000;
