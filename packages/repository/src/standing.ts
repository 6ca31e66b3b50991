// How a collection stands: the committed roles that admission and planning
// judge against, with an overlay for what the publication in the making adds.
// Pure data. Built from the ledger by publish.ts, from a draft by plan.ts.

import {
  type DelegatedRole,
  type Delegations,
  type Key,
  type KeyId,
  type Root,
  readShardName,
  type Snapshot,
  type Targets,
} from '@countersign/core';
import { type Lookup, type Overlay, overlay } from './overlay.ts';
import type { BlobFacts } from './ports.ts';

/** A project's owner as delegated. */
export interface Owner {
  /** The shard that delegates. */
  readonly shard: string;
  readonly kind: 'claimed' | 'recent';
  readonly delegation: DelegatedRole;
  /** Keys by id, among them the owner's. */
  readonly keys: ReadonlyMap<KeyId, Key>;
  /** The one directory that the owner speaks for. */
  readonly directory: string;
}

/** What admission needs to know of a collection. */
export interface Standing {
  readonly collection: string;
  readonly root: Root;
  /** The top-level targets role. */
  readonly targets: Targets;
  /** The current version of every role. */
  readonly versions: Lookup<string, number>;
  /** Present content of shards and of the project roles that were loaded. */
  readonly contents: Lookup<string, Targets>;
  /** Owners by owner role name. */
  readonly owners: Lookup<string, Owner>;
  /** Uploaded blobs that were looked up, by SHA-256. */
  readonly blobs: Lookup<string, BlobFacts>;
  /** What target paths that were looked up show, or showed last: SHA-256 by path. */
  readonly shown: Lookup<string, string>;
}

/** A standing that a publication in the making writes on. */
export interface Draft extends Standing {
  readonly versions: Overlay<string, number>;
  readonly contents: Overlay<string, Targets>;
  readonly owners: Overlay<string, Owner>;
  readonly shown: Overlay<string, string>;
}

/** A draft over a standing, which stays as it is. */
export function draftOf(standing: Standing): Draft {
  return {
    ...standing,
    versions: overlay(standing.versions),
    contents: overlay(standing.contents),
    owners: overlay(standing.owners),
    shown: overlay(standing.shown),
  };
}

/** The shards that the top-level targets role delegates to, by name. */
export function shardsOf(targets: Targets): ReadonlyMap<string, DelegatedRole> {
  const shards = (targets.delegations?.roles ?? []).filter((role) => readShardName(role.name) !== undefined);
  return new Map(shards.map((role) => [role.name, role]));
}

/** The owners that shards delegate to. A claimed one hides a recent one of the same name. */
export function ownersOf(shards: Iterable<readonly [string, Targets]>): Map<string, Owner> {
  const owners = new Map<string, Owner>();
  for (const [shard, content] of shards) {
    const kind = readShardName(shard)?.kind;
    if (kind !== 'claimed' && kind !== 'recent') continue;
    const { keys, roles } = content.delegations ?? NO_DELEGATIONS;
    for (const delegation of roles) {
      if (kind === 'recent' && owners.has(delegation.name)) continue;
      owners.set(delegation.name, { shard, kind, delegation, keys, directory: directoryOf(delegation) });
    }
  }
  return owners;
}

/** The directory of an owner delegation: its one pattern without the last segment. */
export function directoryOf(delegation: DelegatedRole): string {
  const [pattern = ''] = delegation.paths.by === 'pattern' ? delegation.paths.patterns : [];
  return pattern.slice(0, Math.max(0, pattern.lastIndexOf('/')));
}

/** The prefix length in hex digits of a collection's shards. */
export function shardDigits(targets: Targets): number {
  for (const name of shardsOf(targets).keys()) {
    const shard = readShardName(name);
    if (shard?.kind === 'recent') return shard.prefix.length;
  }
  return 0;
}

/** Delegations without any role. */
export const NO_DELEGATIONS: Delegations = { keys: new Map(), roles: [], succinct: undefined };

/** The versions that a snapshot lists, by role name. */
export function versionsOf({ meta }: Snapshot): Lookup<string, number> {
  return { get: (role) => meta.get(role)?.version, has: (role) => meta.has(role) };
}
