// Shards as they follow from the decisions: what an online key signs for recent
// names, and what the offline quorum must have signed for claimed ones. Both
// are compared and signed as whole `signed` objects, so nothing can hide beside.

import {
  canonicalBytes,
  editTargets,
  type Instant,
  type JsonObject,
  readInstant,
  readShardName,
  sameBytes,
  stringAt,
  type Targets,
} from '@countersign/core';
import { type ProjectOf, type Register, shardCustom, shardDelegations } from '@countersign/decisions';

/**
 * The `signed` object of a shard of names.
 *
 * @param role a recent or claimed shard
 * @example shardDraft('recent-3', 7, now + days(90), register, ecosystems.project)
 */
export function shardDraft(
  role: string,
  version: number,
  expires: Instant,
  register: Register,
  projectOf: ProjectOf,
): JsonObject {
  const { kind, prefix } = readShardName(role) ?? { kind: undefined, prefix: '' };
  if (kind !== 'recent' && kind !== 'claimed') throw new TypeError(`${role} is no shard of names`);
  const delegations = shardDelegations(register, kind, prefix, projectOf);
  const custom = shardCustom(register, kind, prefix);
  const first = editTargets(undefined, {
    expires,
    delegations,
    ...(custom && { members: new Map([['custom', custom]]) }),
  });
  return new Map([...first, ['version', version]]);
}

/** Tells whether a shard says exactly what follows from the decisions. */
export function isDerived(role: string, content: Targets, register: Register, projectOf: ProjectOf): boolean {
  const expires = readInstant(stringAt(content.json, 'expires', role)) ?? 0;
  const derived = shardDraft(role, content.version, expires, register, projectOf);
  return sameBytes(canonicalBytes(derived), canonicalBytes(content.json));
}
