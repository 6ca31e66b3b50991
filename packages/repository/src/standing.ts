// How a collection stands: the committed roles and records that admission and
// planning judge against, with an overlay for what the publication in the
// making adds. Pure data. Built from the ledger by state.ts, laid over by plan.ts.

import {
  type DelegatedRole,
  type Delegations,
  type Envelope,
  type Project,
  projectDirectory,
  type Root,
  readShardName,
  type Sha256,
  type Snapshot,
  type Targets,
} from '@countersign/core';
import { type NameRecord, type OwnerSet, type Register, shownOf, shownRole } from '@countersign/decisions';
import type { Bins } from './bins.ts';
import { type Lookup, type Overlay, overlay } from './overlay.ts';
import type { BlobFacts } from './ports.ts';

/** What admission needs to know of a collection. */
export interface Standing {
  readonly collection: string;
  readonly root: Root;
  /** The top-level targets role. */
  readonly targets: Targets;
  /** The bins of a plain collection of files; `undefined` where files belong to names. */
  readonly bins: Bins | undefined;
  /** Who speaks for which name. */
  readonly register: Register;
  /** The lines of the list's last tile, unless that is full. */
  readonly lastTile: readonly string[];
  /** The current version of every role. */
  readonly versions: Lookup<string, number>;
  /** Present content of shards and of the project roles that were loaded. */
  readonly contents: Lookup<string, Targets>;
  /** The present files of the owner roles that were loaded. */
  readonly ownerFiles: Lookup<string, Envelope>;
  /** Uploaded blobs that were looked up, by SHA-256. */
  readonly blobs: Lookup<string, BlobFacts>;
  /** What target paths that were looked up show, or showed last: SHA-256 by path. */
  readonly shown: Lookup<string, string>;
}

/** A standing that a publication in the making writes on. */
export interface Draft extends Standing {
  readonly versions: Overlay<string, number>;
  readonly contents: Overlay<string, Targets>;
  readonly ownerFiles: Overlay<string, Envelope>;
  readonly shown: Overlay<string, string>;
}

/** A draft over a standing, which stays as it is. */
export function draftOf(standing: Standing): Draft {
  return {
    ...standing,
    register: standing.register.overlay(),
    versions: overlay(standing.versions),
    contents: overlay(standing.contents),
    ownerFiles: overlay(standing.ownerFiles),
    shown: overlay(standing.shown),
  };
}

/** Who speaks for a project, as clients see it. */
export interface Owner {
  readonly record: NameRecord;
  /** The owner role that clients follow. */
  readonly role: string;
  /** The shard that delegates to it. */
  readonly shard: string;
  readonly kind: 'claimed' | 'recent';
  readonly owners: OwnerSet;
  /** The one directory that the owner speaks for. */
  readonly directory: string;
}

/** A record as clients see it. @param prefix the first digits of the project's bin */
export function ownerOf(record: NameRecord, project: Project, digits: number, sha256: Sha256): Owner {
  const kind = record.countersigned === undefined ? 'recent' : 'claimed';
  const directory = projectDirectory(project, sha256);
  const prefix = directory.slice(project.ecosystem.length + 1, project.ecosystem.length + 1 + digits);
  const shard = prefix === '' ? kind : `${kind}-${prefix}`;
  return { record, role: shownRole(record), shard, kind, owners: shownOf(record).authority, directory };
}

/** The shards that the top-level targets role delegates to, by name. */
export function shardsOf(targets: Targets): ReadonlyMap<string, DelegatedRole> {
  const shards = (targets.delegations?.roles ?? []).filter((role) => readShardName(role.name) !== undefined);
  return new Map(shards.map((role) => [role.name, role]));
}

/** The prefix length in hex digits of a collection's shards. */
export function shardDigits(targets: Targets): number {
  for (const { name } of targets.delegations?.roles ?? []) {
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
