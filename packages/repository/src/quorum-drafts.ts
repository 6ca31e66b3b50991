// What the offline quorum signs, drafted: its root and the top-level targets
// role with other keys, or only with a later expiry. A draft says nothing but
// what it was asked for; admission makes the same draft again and compares.
// Works from public files alone, so that no member has to believe the service.

import {
  type DelegatedRole,
  type Delegations,
  editRoot,
  editTargets,
  type Instant,
  type JsonObject,
  type Key,
  type KeyId,
  type RoleKeys,
  type Root,
  readShardName,
  readShelfName,
  shardName,
  shardPattern,
  shardPrefixes,
  type Targets,
  TOP_LEVEL_ROLES,
  type TopLevelRole,
  UsageError,
} from '@countersign/core';
import { BINS_ROLE } from './bins.ts';
import { DECISIONS_ROLE } from './list-files.ts';

/** Public keys, and how many of them must sign. */
export interface KeySet {
  readonly keys: ReadonlyMap<KeyId, Key>;
  readonly keyIds: readonly KeyId[];
  readonly threshold: number;
}

/** Whose keys a targets role of ours delegates to: the quorum's own shards and bins, and the online roles. */
export type DelegatedKind = 'claimed' | 'recent' | 'unclaimed' | 'decisions' | 'bins';

/**
 * The key set of some public keys.
 *
 * @throws UsageError USAGE_INVALID when a key is given twice, or the threshold cannot be met
 * @example keySetOf([ada, ben, cyd], 2)
 */
export function keySetOf(keys: readonly { readonly keyId: KeyId; readonly key: Key }[], threshold: number): KeySet {
  const set = {
    keys: new Map(keys.map(({ keyId, key }) => [keyId, key])),
    keyIds: keys.map(({ keyId }) => keyId),
    threshold,
  };
  const distinct = identitiesOf(set).size;
  if (distinct === keys.length && Number.isInteger(threshold) && threshold >= 1 && threshold <= distinct) return set;
  throw new UsageError('USAGE_INVALID', `Naming keys: ${threshold} of ${distinct} different keys cannot be required`);
}

/** The key set of a role, from the file that names it. */
export function keysOfRole(keys: ReadonlyMap<KeyId, Key>, { keyIds, threshold }: RoleKeys): KeySet {
  const own = keyIds.flatMap((id): (readonly [KeyId, Key])[] => {
    const key = keys.get(id);
    return key === undefined ? [] : [[id, key]];
  });
  return { keys: new Map(own), keyIds, threshold };
}

/** The key set of a top-level role. */
export function keysOfTop(root: Root, role: TopLevelRole): KeySet {
  return keysOfRole(root.keys, root.roles.get(role) ?? { keyIds: [], threshold: 1 });
}

/** The key set that a targets role delegates one kind to; `undefined` where it has none of the kind. */
export function keysOfKind({ delegations }: Targets, kind: DelegatedKind): KeySet | undefined {
  const role = delegations?.roles.find(({ name }) => kindOf(name) === kind);
  return role && delegations && keysOfRole(delegations.keys, role);
}

/** Tells whether the same public keys count, and as many must sign. */
export function sameKeySet(a: KeySet | undefined, b: KeySet | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  const [one, other] = [identitiesOf(a), identitiesOf(b)];
  return a.threshold === b.threshold && one.size === other.size && [...one].every((identity) => other.has(identity));
}

/** The distinct public keys that can count. */
export function identitiesOf({ keys, keyIds }: Pick<KeySet, 'keys' | 'keyIds'>): ReadonlySet<string> {
  return new Set(keyIds.flatMap((id) => keys.get(id)?.verification?.key.identity ?? []));
}

/**
 * Drafts the next root: roles that are left out stay as they are.
 *
 * @example draftRoot(present, { expires, roles: { root: quorum, targets: quorum } })
 */
export function draftRoot(
  present: Root,
  edit: { readonly expires: Instant; readonly roles?: Partial<Readonly<Record<TopLevelRole, KeySet>>> },
): JsonObject {
  const roles = new Map<TopLevelRole, RoleKeys>();
  const keys = new Map<KeyId, Key>();
  for (const role of TOP_LEVEL_ROLES) {
    const set = edit.roles?.[role] ?? keysOfTop(present, role);
    // Members of the role that we do not know stay.
    roles.set(role, { ...present.roles.get(role), keyIds: set.keyIds, threshold: set.threshold });
    addKeys(keys, set);
  }
  return editRoot(present, { expires: edit.expires, keys, roles });
}

/** What may change in the top-level targets role. What is left out stays. */
export interface TargetsChange {
  readonly expires: Instant;
  /** How many hex digits of the bin the shards are split by. */
  readonly digits?: number;
  readonly keys?: Partial<Readonly<Record<DelegatedKind, KeySet>>>;
}

/** Drafts the next top-level targets role. Roles by pattern that authors sign stay as they are. */
export function draftTargets(present: Targets, { expires, digits, keys: given = {} }: TargetsChange): JsonObject {
  const { delegations } = present;
  if (delegations === undefined) return editTargets(present, { expires });
  const keys = new Map<KeyId, Key>();
  const withKeys = (role: DelegatedRole): DelegatedRole => {
    const kind = kindOf(role.name);
    const set = (kind && given[kind]) ?? keysOfRole(delegations.keys, role);
    addKeys(keys, set);
    return { ...role, keyIds: set.keyIds, threshold: set.threshold };
  };
  const roles = (digits === undefined ? delegations.roles : resharded(delegations, digits)).map(withKeys);
  return editTargets(present, { expires, delegations: { ...delegations, keys, roles } });
}

/** The same roles with other shards. */
function resharded({ roles }: Delegations, digits: number): readonly DelegatedRole[] {
  const others = roles.filter(({ name }) => readShardName(name) === undefined);
  const shards = (['claimed', 'recent', 'unclaimed'] as const).flatMap((kind) => {
    const one = roles.find(({ name }) => readShardName(name)?.kind === kind);
    if (one === undefined) return [];
    const { keyIds, threshold } = one;
    return shardPrefixes(digits).map((prefix): DelegatedRole => {
      const paths = { by: 'pattern', patterns: [shardPattern(prefix)] } as const;
      return { name: shardName(kind, prefix), keyIds, threshold, terminating: false, paths };
    });
  });
  return withShelvesInPlace([...others, ...shards]);
}

/** Puts shelves where they belong: behind claimed names, which need none, and in front of what online keys sign. */
export function withShelvesInPlace(roles: readonly DelegatedRole[]): readonly DelegatedRole[] {
  const isShelf = ({ name }: DelegatedRole): boolean => readShelfName(name)?.holds === 'names';
  const others = roles.filter((role) => !isShelf(role));
  const online = others.findIndex(({ name }) => readShardName(name)?.kind === 'recent');
  const at = online < 0 ? others.length : online;
  return [...others.slice(0, at), ...roles.filter(isShelf), ...others.slice(at)];
}

function kindOf(role: string): DelegatedKind | undefined {
  if (role === DECISIONS_ROLE) return 'decisions';
  return role === BINS_ROLE ? 'bins' : readShardName(role)?.kind;
}

function addKeys(keys: Map<KeyId, Key>, set: KeySet): void {
  for (const id of set.keyIds) {
    const key = set.keys.get(id);
    if (key !== undefined) keys.set(id, key);
  }
}
