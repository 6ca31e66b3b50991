// Reading what verified metadata says of a file, for people.

import {
  type Found,
  isObject,
  type JsonObject,
  type Project,
  readShardName,
  readShelfName,
  type Targets,
} from '@countersign/core';
import { ecosystemOf } from '@countersign/ecosystems';
import { BINS_ROLE } from '@countersign/repository';

/**
 * Who vouches for a file: its owner by the offline quorum, its owner by an
 * online key, or the repository alone. In a plain collection: the author of a
 * delegated role, or the repository alone.
 */
export type Assurance = 'claimed' | 'recent' | 'shelved' | 'unclaimed' | 'delegated' | 'repository';

/** How far up the ladder a file stands, from the roles that vouch for it. */
export function assuranceOf(trail: readonly string[]): Assurance {
  const [, first] = trail;
  if (first === undefined) return 'unclaimed';
  if (readShelfName(first) !== undefined) return 'shelved';
  return readShardName(first)?.kind ?? (first === BINS_ROLE ? 'repository' : 'delegated');
}

/** The version that a file's index entry gives, if its ecosystem has any. */
export function versionOf({ target }: Found, { ecosystem }: Project): string | undefined {
  const entry = target.custom?.get(ecosystem);
  const version = isObject(entry) ? entry.get('version') : undefined;
  return typeof version === 'string' ? version : undefined;
}

/** The mutable pointers that a role carries. */
export function pointersOf({ json }: Targets): JsonObject | undefined {
  const custom = json.get('custom');
  return isObject(custom) ? custom : undefined;
}

/**
 * Reads what people write for a file of a project: `<ecosystem>/<name>[@<version, tag or file>]`.
 *
 * @throws AdmissionError NAME_INVALID
 * @example readWanted('npm/@types/ms@2.1.0').choice // '2.1.0'
 */
export function readWanted(wanted: string): { project: Project; choice: string | undefined } {
  const slash = wanted.indexOf('/');
  const name = wanted.slice(slash + 1);
  const at = name.lastIndexOf('@');
  const ecosystem = ecosystemOf(slash < 0 ? '' : wanted.slice(0, slash));
  // The first `@` of a scoped name belongs to it.
  if (at <= 0) return { project: ecosystem.project(name), choice: undefined };
  return { project: ecosystem.project(name.slice(0, at)), choice: name.slice(at + 1) };
}
