// What anybody can check about shelves from public files: whose keys sign them,
// that no name on them was ever claimed, that they say nothing but names and
// their files, and that no online key lists one of these names as well. That a
// file is what it was before the name was shelved is the word of the quorum.

import type { Client } from '@countersign/client';
import { type DelegatedRole, isTufError, MetadataError } from '@countersign/core';
import type { Quorum, Register } from '@countersign/decisions';
import { projectOf } from '@countersign/ecosystems';
import {
  directoriesOn,
  faultOfShelf,
  filesIn,
  keysOfRole,
  type ShelvingBase,
  sameKeySet,
  shelvesOf,
  unclaimedFor,
} from '@countersign/repository';
import { directoryOf, nameOf, shelvedDirectories, shelvingBase } from './shelves.ts';

/** A shelf that says what it may. */
export interface AuditedShelf {
  readonly role: string;
  readonly version: number;
  readonly names: number;
  readonly files: number;
  /** Whether it still is under the keys of a quorum before the present one. */
  readonly former: boolean;
}

/** Every shelf as one's own client verifies it, its files, and the unclaimed shards beside it. */
export async function shelvesToAudit(client: Client): Promise<ShelvingBase> {
  const { targets } = client.trusted;
  const shelves = targets === undefined ? [] : shelvesOf(targets.content);
  const release = await shelvedDirectories(client);
  return await shelvingBase(client, { take: [], release, renew: shelves.map(({ name }) => name) });
}

/**
 * Checks every shelf of a collection.
 *
 * @param register the decisions, replayed
 * @throws MetadataError DECISIONS_INVALID naming the first role that is not as it must be
 */
export function auditShelves(base: ShelvingBase, register: Register): readonly AuditedShelf[] {
  return shelvesOf(base.targets).map((shelf) => auditShelf(base, shelf, register));
}

function auditShelf(base: ShelvingBase, shelf: DelegatedRole, register: Register): AuditedShelf {
  const role = shelf.name;
  const { version } = base.root;
  const former = !isOfQuorum(base, shelf, register.rules.quorum(version));
  const known = Array.from({ length: version }, (_, i) => register.rules.quorum(i + 1));
  if (!known.some((quorum) => isOfQuorum(base, shelf, quorum)))
    throw wrong('targets', `${role} is under other keys than the quorum's`);
  const fault = faultOfShelf(base, shelf);
  if (fault !== undefined) throw wrong(fault.role, fault.what);
  const content = base.contentOf(role);
  const directories = directoriesOn(content);
  for (const directory of directories) {
    const name = nameOf(directory);
    if (!isDirectoryOf(directory, name)) throw wrong(role, `${directory} is the directory of no name`);
    const { ecosystem, name: own } = projectOf(name);
    if (register.record(ecosystem, own) !== undefined) throw wrong(role, `${name} has owners`);
    const unclaimed = unclaimedFor(base.targets, directory);
    if (filesIn(base.contentOf(unclaimed), directory).length > 0) throw wrong(unclaimed, `${name} is on ${role}`);
  }
  const files = base.contentOf(`${role}-files`)?.targets.size ?? 0;
  return { role, version: content?.version ?? 0, names: directories.length, files, former };
}

function isOfQuorum({ targets }: ShelvingBase, shelf: DelegatedRole, quorum: Quorum | undefined): boolean {
  const { delegations } = targets;
  if (delegations === undefined || quorum === undefined) return false;
  return sameKeySet(keysOfRole(delegations.keys, shelf), keysOfRole(quorum.keys, quorum.role));
}

function isDirectoryOf(directory: string, name: string): boolean {
  try {
    return directoryOf(name) === directory;
  } catch (error) {
    if (isTufError(error)) return false;
    throw error;
  }
}

function wrong(role: string, what: string): MetadataError {
  return new MetadataError('DECISIONS_INVALID', `Auditing ${role.slice(0, 200)}: ${what.slice(0, 300)}`, {
    detail: { role: role.slice(0, 200) },
  });
}
