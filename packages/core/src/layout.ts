// The registry layout: how projects, owners and shards are named in paths and
// roles, so that author tool, repository and gateway agree without asking.
//   target path   <ecosystem>/<bin>/<project>/<file>
//   bin           first four hex digits of SHA-256 of the project's name
//   shard         every bin with a common prefix: `*/3f??/*/*`
//   shelf         the same for names that the offline quorum keeps as they are
// `*` does not cross `/`, so each project has exactly one directory at exactly
// one depth, and one delegation speaks for all of it.

import { hex, utf8, utf8Text } from './bytes.ts';
import { UsageError } from './errors.ts';
import type { KeyId } from './keys.ts';
import type { DelegatedRole } from './model.ts';

/** Hashes bytes with SHA-256, at once. */
export type Sha256 = (bytes: Uint8Array) => Uint8Array;

/** A project: a name that one owner speaks for. Made by the ecosystem's own rules. */
export interface Project {
  /** The ecosystem's short name, such as `npm`: lower-case letters. */
  readonly ecosystem: string;
  /** The normalised name, such as `@types/node`. */
  readonly name: string;
  /** The name as one path segment, such as `@types@node`; one-to-one with the name. */
  readonly segment: string;
}

/** Which kind of delegation covers a name. */
export type ShardKind = 'claimed' | 'recent' | 'unclaimed';

/** The four hex digits that place a project. */
export function binOf(project: Project, sha256: Sha256): string {
  return hex(sha256(utf8(project.name)).subarray(0, 2));
}

/**
 * The directory that holds all of a project's targets.
 *
 * @throws UsageError USAGE_INVALID when the segment could mean more than one project
 * @example projectDirectory({ ecosystem: 'npm', name: 'ms', segment: 'ms' }, sha256) // 'npm/9e8f/ms'
 */
export function projectDirectory(project: Project, sha256: Sha256): string {
  // It becomes a pattern: a wildcard in it would speak for other projects.
  if (!/^[^*?/\\]+$/.test(project.segment) || !/^[a-z]+$/.test(project.ecosystem)) {
    throw new UsageError('USAGE_INVALID', 'Naming a project: its segment or ecosystem cannot be part of a path');
  }
  return `${project.ecosystem}/${binOf(project, sha256)}/${project.segment}`;
}

/**
 * The name of a project's owner role. A new epoch gets a new name, so that a
 * thief's version numbers cannot block the next owner.
 *
 * @param epoch counts from 1
 * @example ownerRoleName({ ecosystem: 'npm', name: '@types/node', … }, 1) // 'npm.1..40types.2fnode'
 */
export function ownerRoleName(project: Project, epoch: number): string {
  return `${project.ecosystem}.${epoch}.${escapeName(project.name)}`;
}

/** Reads an owner role's name; `undefined` if the role is not an owner role. */
export function readOwnerRoleName(
  role: string,
): { readonly ecosystem: string; readonly epoch: number; readonly name: string } | undefined {
  const match = /^([a-z]+)\.([1-9]\d{0,8})\.((?:[a-z0-9-]|\.[0-9a-f]{2})+)$/.exec(role);
  const name = match === null ? undefined : unescapeName(String(match[3]));
  // One name has one spelling: an escape of a character that needs none is refused.
  if (match === null || name === undefined || escapeName(name) !== match[3]) return undefined;
  return { ecosystem: String(match[1]), epoch: Number(match[2]), name };
}

/** The name of a release role below an owner role. `.r.` cannot come from an escaped name. */
export function releaseRoleName(ownerRole: string, label: string): string {
  return `${ownerRole}.r.${label}`;
}

/** The owner role that a project's role belongs to: itself, or the one above a release role. */
export function ownerRoleOf(role: string): string {
  // A name comes before the label: `npm.1.r.2ejs` is the owner role of `r.js`.
  const [, owner = role] = /^([a-z]+\.\d+\.[a-z0-9.-]+)\.r\.[a-z0-9-]{1,32}$/.exec(role) ?? [];
  return owner;
}

/** Tells whether a role is a release role of the given owner role. */
export function isReleaseRoleOf(role: string, ownerRole: string): boolean {
  return role !== ownerRole && ownerRoleOf(role) === ownerRole;
}

/** The name of the shard for bins that begin with `prefix` (0 to 4 hex digits). */
export function shardName(kind: ShardKind, prefix: string): string {
  return prefix === '' ? kind : `${kind}-${prefix}`;
}

/** Reads a shard's name; `undefined` if the role is not a shard. */
export function readShardName(role: string): { readonly kind: ShardKind; readonly prefix: string } | undefined {
  const match = /^(claimed|recent|unclaimed)(?:-([0-9a-f]{1,4}))?$/.exec(role);
  return match === null ? undefined : { kind: match[1] as ShardKind, prefix: match[2] ?? '' };
}

/** The role that says which names the quorum keeps on the shelf of a prefix. */
export function shelfName(prefix: string): string {
  return prefix === '' ? 'shelf' : `shelf-${prefix}`;
}

/** The role that lists the files of the names on a shelf. */
export function shelfFilesName(shelf: string): string {
  return `${shelf}-files`;
}

/** Reads a shelf's role; `undefined` if the role is of no shelf. */
export function readShelfName(
  role: string,
): { readonly prefix: string; readonly holds: 'names' | 'files' } | undefined {
  const match = /^shelf(?:-([0-9a-f]{1,4}))?(-files)?$/.exec(role);
  return match === null ? undefined : { prefix: match[1] ?? '', holds: match[2] === undefined ? 'names' : 'files' };
}

/** The path pattern of every project whose bin begins with `prefix`, in every ecosystem. */
export function shardPattern(prefix: string): string {
  return `*/${prefix.padEnd(4, '?')}/*/*`;
}

/** All shard prefixes of a given number of hex digits, in order. */
export function shardPrefixes(digits: number): readonly string[] {
  return Array.from({ length: 16 ** digits }, (_, i) => (digits === 0 ? '' : i.toString(16).padStart(digits, '0')));
}

/** The one delegation that speaks for a project: its directory, terminating. */
export function ownerDelegation(
  project: Project,
  owner: { readonly epoch: number; readonly keyIds: readonly KeyId[]; readonly threshold: number },
  sha256: Sha256,
): DelegatedRole {
  return {
    name: ownerRoleName(project, owner.epoch),
    keyIds: owner.keyIds,
    threshold: owner.threshold,
    terminating: true,
    paths: { by: 'pattern', patterns: [`${projectDirectory(project, sha256)}/*`] },
  };
}

// `a-z`, `0-9` and `-` stand for themselves, every other byte becomes `.xx`:
// one-to-one, and safe as a file name even where case is ignored.
function escapeName(name: string): string {
  let escaped = '';
  for (const byte of utf8(name)) {
    const char = String.fromCharCode(byte);
    escaped += /[a-z0-9-]/.test(char) ? char : `.${byte.toString(16).padStart(2, '0')}`;
  }
  return escaped;
}

function unescapeName(escaped: string): string | undefined {
  const bytes: number[] = [];
  for (let i = 0; i < escaped.length; i++) {
    if (escaped[i] !== '.') {
      bytes.push(escaped.charCodeAt(i));
    } else {
      bytes.push(Number.parseInt(escaped.slice(i + 1, i + 3), 16));
      i += 2;
    }
  }
  return utf8Text(new Uint8Array(bytes));
}
