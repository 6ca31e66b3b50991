// Delegations as a pure function of the list: what the recent and the claimed
// shards say. Everyone who replays the same entries gets the same bytes, so
// that an auditor can compare and the quorum knows what it signs.

import {
  compareCodePoints,
  type DelegatedRole,
  type Delegations,
  type JsonLiteral,
  type JsonObject,
  type Key,
  type KeyId,
  objectOf,
  ownerDelegation,
  ownerRoleName,
  type Project,
} from '@countersign/core';
import { type NameRecord, shownOf } from './record.ts';
import type { Register, ShardSide } from './register.ts';

/** Makes a project of a name, by its ecosystem's rules. */
export type ProjectOf = (ecosystem: string, name: string) => Project;

/**
 * The delegations of a shard: roles by name, keys by id.
 *
 * @param prefix the first hex digits of the shard's bins
 * @example shardDelegations(register, 'recent', '3', ecosystems.project)
 */
export function shardDelegations(
  register: Register,
  side: ShardSide,
  prefix: string,
  projectOf: ProjectOf,
): Delegations {
  const roles: DelegatedRole[] = [];
  const keys = new Map<KeyId, Key>();
  for (const record of register.names(side, prefix)) {
    const { epoch, authority } = shownOf(record);
    const { keyIds, threshold } = authority;
    const project = projectOf(record.ecosystem, record.name);
    roles.push(ownerDelegation(project, { epoch, keyIds, threshold }, register.sha256));
    for (const [keyId, key] of authority.keys) keys.set(keyId, key);
  }
  return {
    keys: new Map([...keys].sort(([a], [b]) => compareCodePoints(a, b))),
    roles: roles.sort((a, b) => compareCodePoints(a.name, b.name)),
    succinct: undefined,
  };
}

/**
 * The `custom` member of a shard: by owner role, how a later epoch came and
 * which names have ended. `undefined` if there is nothing of the kind.
 */
export function shardCustom(register: Register, side: ShardSide, prefix: string): JsonObject | undefined {
  const epochs = new Map<string, JsonLiteral>();
  const retired = new Map<string, JsonLiteral>();
  for (const record of register.names(side, prefix)) {
    const shown = shownOf(record);
    if (shown.epoch === 1 && shown.retired === undefined) continue;
    const role = roleOf(record, shown.epoch);
    if (shown.epoch > 1) epochs.set(role, { by: shown.cameBy.by, sequence: shown.cameBy.sequence });
    if (shown.retired !== undefined) retired.set(role, { sequence: shown.retired });
  }
  if (epochs.size === 0 && retired.size === 0) return undefined;
  return objectOf({
    epochs: epochs.size === 0 ? undefined : epochs,
    retired: retired.size === 0 ? undefined : retired,
  });
}

/** The name of the owner role that clients follow for a name. */
export function shownRole(record: NameRecord): string {
  return roleOf(record, shownOf(record).epoch);
}

function roleOf({ ecosystem, name }: NameRecord, epoch: number): string {
  return ownerRoleName({ ecosystem, name, segment: name }, epoch);
}
