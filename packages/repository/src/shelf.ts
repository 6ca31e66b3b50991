// Shelves: names that nobody has claimed and that have not changed for long, kept
// as they are under the offline key (Diplomat's rarely-updated projects). In front
// of everything that online keys sign for unclaimed names, a shelf delegates
// exactly the directories of its names, terminating, to a role that lists their
// files; the quorum signs both. Drafting and judging are one function, so what is
// admitted is what was drafted: every file as the repository listed it, no more.

import {
  canonicalBytes,
  type DelegatedRole,
  type Delegations,
  editTargets,
  type Instant,
  type JsonObject,
  type Root,
  readInstant,
  readShelfName,
  sameBytes,
  shardName,
  shardPattern,
  shelfFilesName,
  shelfName,
  stringAt,
  type TargetFile,
  type Targets,
  writeInstant,
} from '@countersign/core';
import { refuse } from './admit-rules.ts';
import { type KeySet, keysOfRole, keysOfTop, sameKeySet, withShelvesInPlace } from './quorum-drafts.ts';
import { NO_DELEGATIONS, shardDigits } from './standing.ts';

/** What a shelving is drafted from, and judged by. */
export interface ShelvingBase {
  readonly root: Root;
  /** The top-level targets role as it is. */
  readonly targets: Targets;
  /** The present content of a role: shelves, their files, and unclaimed shards. */
  readonly contentOf: (role: string) => Targets | undefined;
  /** The present version of a role; 0 for one that never was. */
  readonly versionOf: (role: string) => number;
}

/** What is to change. Names are told by their directories, such as `npm/3f01/left-pad`. */
export interface ShelvingWish {
  readonly take: readonly string[];
  readonly release: readonly string[];
  /** Shelves to sign again though no name of theirs changes. */
  readonly renew: readonly string[];
  readonly expires: Instant;
}

/** The shelves that the top-level targets role delegates to. */
export function shelvesOf({ delegations }: Targets): readonly DelegatedRole[] {
  return (delegations?.roles ?? []).filter(({ name }) => readShelfName(name)?.holds === 'names');
}

/** The shelves that the quorum must sign again: past half of their life, or delegated to former keys. */
export function dueShelves(
  { root, targets, contentOf }: Omit<ShelvingBase, 'versionOf'>,
  lifetime: number,
  now: Instant,
): readonly string[] {
  const quorum = keysOfTop(root, 'targets');
  const isDue = (shelf: DelegatedRole): boolean =>
    !isOf(quorum, targets, shelf) || (contentOf(shelf.name)?.expires ?? now) - now < lifetime / 2;
  return shelvesOf(targets)
    .filter(isDue)
    .map(({ name }) => name);
}

/** The directories of the names on a shelf. */
export function directoriesOn(shelf: Targets | undefined): readonly string[] {
  return (shelf?.delegations?.roles ?? []).flatMap(({ paths }) =>
    paths.by === 'pattern' ? paths.patterns.map((pattern) => pattern.replace(/\/\*$/, '')) : [],
  );
}

/** The shelf that a directory is on; `undefined` when it is on none. */
export function shelfHolding(
  { targets, contentOf }: Pick<ShelvingBase, 'targets' | 'contentOf'>,
  directory: string,
): string | undefined {
  const shelf = shelfFor(targets, directory);
  const roles = contentOf(shelf)?.delegations?.roles ?? [];
  const holds = roles.some(({ paths }) => paths.by === 'pattern' && paths.patterns.includes(`${directory}/*`));
  return holds ? shelf : undefined;
}

/** The shelf that a directory belongs on: one that is there already, else one as wide as the shards. */
export function shelfFor(targets: Targets, directory: string): string {
  const bin = binIn(directory);
  const present = shelvesOf(targets).find(({ name }) => bin.startsWith(readShelfName(name)?.prefix ?? bin));
  return present?.name ?? shelfName(bin.slice(0, shardDigits(targets)));
}

/** The unclaimed shard that a directory's files are listed in while it is on no shelf. */
export function unclaimedFor(targets: Targets, directory: string): string {
  return shardName('unclaimed', binIn(directory).slice(0, shardDigits(targets)));
}

/** The files of a directory that a role lists. */
export function filesIn(role: Targets | undefined, directory: string): readonly TargetFile[] {
  return [...(role?.targets.values() ?? [])].filter(({ path }) => path.startsWith(`${directory}/`));
}

/** The roles whose present content a wish must be drafted from. */
export function rolesNeeded(
  targets: Targets,
  { take, release, renew }: Omit<ShelvingWish, 'expires'>,
): readonly string[] {
  const all = [...take, ...release];
  const shelves = [...all.map((directory) => shelfFor(targets, directory)), ...renew];
  const roles = shelves.flatMap((shelf) => [shelf, shelfFilesName(shelf)]);
  return [...new Set([...roles, ...all.map((directory) => unclaimedFor(targets, directory))])];
}

/**
 * Drafts what the quorum signs: each shelf that changes with its files, and the
 * top-level targets role where a shelf is new or was delegated to former keys.
 *
 * @returns the `signed` objects by role; none when nothing is wished for
 * @throws AdmissionError SUBMISSION_STALE when nothing lists a name that is to be taken, or a name is on no shelf
 */
export function draftShelving(base: ShelvingBase, wish: ShelvingWish): ReadonlyMap<string, JsonObject> {
  const { targets, contentOf, versionOf } = base;
  const { expires } = wish;
  const quorum = keysOfTop(base.root, 'targets');
  const changes = changesOf(base, wish);
  const drafts = new Map<string, JsonObject>();
  const moved = shelvesOf(targets).filter((shelf) => !isOf(quorum, targets, shelf));
  for (const { name } of moved) changes.set(name, changes.get(name) ?? { take: [], release: new Set() });
  const created = [...changes.keys()].filter((shelf) => shelvesOf(targets).every(({ name }) => name !== shelf));
  if (moved.length + created.length > 0) drafts.set('targets', targetsDraft(targets, created, quorum, expires));
  for (const [shelf, { take, release }] of changes) {
    const kept = directoriesOn(contentOf(shelf)).filter((directory) => !release.has(directory));
    const listed = grouped(contentOf(shelfFilesName(shelf)));
    const set = [
      ...kept.flatMap((directory) => listed.get(directory) ?? []),
      ...take.flatMap(([, unclaimed]) => unclaimed),
    ];
    const directories = [...kept, ...take.map(([directory]) => directory)].sort();
    for (const [role, draft] of shelfDrafts(shelf, directories, set, quorum, expires)) {
      drafts.set(role, new Map([...draft, ['version', versionOf(role) + 1]]));
    }
  }
  return drafts;
}

/**
 * Tells what is wrong with a shelf as it is served: `undefined` when it says which names are on it, its files
 * role lists files of these alone, and both are led to as a draft of the quorum would lead there.
 *
 * @param shelf as the top-level targets role delegates to it
 */
export function faultOfShelf(
  { targets, contentOf }: Pick<ShelvingBase, 'targets' | 'contentOf'>,
  shelf: DelegatedRole,
): { readonly role: string; readonly what: string } | undefined {
  const { keys, roles } = targets.delegations ?? NO_DELEGATIONS;
  const { name } = shelf;
  const quorum = keysOfRole(keys, shelf);
  const place = (all: readonly DelegatedRole[]): number => all.findIndex((role) => role.name === name);
  const { terminating, paths } = shelfDelegation(name, shelf);
  if (shelf.terminating !== terminating || !samePaths(shelf.paths, paths)) {
    return { role: 'targets', what: `it leads to ${name} otherwise than by its bins` };
  }
  if (place(roles) !== place(withShelvesInPlace(roles))) {
    return { role: 'targets', what: `${name} is not in front of what online keys sign` };
  }
  const content = contentOf(name);
  const directories = directoriesOn(content);
  const prefix = readShelfName(name)?.prefix ?? '';
  const stray = directories.find((directory) => !binIn(directory).startsWith(prefix));
  if (stray !== undefined) return { role: name, what: `${stray} belongs on another shelf` };
  const files = contentOf(shelfFilesName(name));
  const listed = grouped(files);
  const bare = directories.find((directory) => !listed.has(directory));
  if (bare !== undefined) return { role: name, what: `it keeps no file of ${bare}` };
  // The same keys may be told in another order than in the role above.
  const [inner] = content?.delegations?.roles ?? [];
  const own = inner === undefined ? quorum : keysOfRole(content?.delegations?.keys ?? keys, inner);
  if (!sameKeySet(own, quorum)) return { role: name, what: 'its files are under other keys than itself' };
  const set = directories.flatMap((directory) => listed.get(directory) ?? []);
  for (const [role, draft] of shelfDrafts(name, [...directories].sort(), set, own, 0)) {
    const served = role === name ? content : files;
    // The files of an empty shelf are led to by nobody.
    if (served === undefined && directories.length === 0) continue;
    if (served === undefined || !saysOnly(role, served, new Map([...draft, ['version', served.version]]))) {
      return { role, what: 'it says something else than names and their files' };
    }
  }
  return undefined;
}

/**
 * Reads what signed drafts would change, and judges whether they say exactly that.
 *
 * @param sent the content of every role of the submission
 * @returns the wish that they are the draft of
 * @throws AdmissionError SUBMISSION_FOREIGN, SUBMISSION_INVALID, SUBMISSION_STALE
 */
export function judgeShelving(base: ShelvingBase, sent: ReadonlyMap<string, Targets>): ShelvingWish {
  const shelves = [...sent].filter(([role]) => readShelfName(role)?.holds === 'names');
  const wish = wishOf(base, sent);
  const drafts = new Map(draftShelving(base, { ...wish, expires: 0 }));
  for (const [role, content] of sent) {
    const draft = drafts.get(role);
    drafts.delete(role);
    if (draft !== undefined && saysOnly(role, content, draft)) continue;
    throw refuse('SUBMISSION_FOREIGN', `${role.slice(0, 200)} is not what follows from the names and files there are`, {
      role: role.slice(0, 200),
    });
  }
  const [missing] = drafts.keys();
  if (missing !== undefined) throw refuse('SUBMISSION_INVALID', `${missing} is missing`, { role: missing });
  // One date to watch: the files never end before their shelf.
  for (const [shelf, { expires }] of shelves) {
    if ((sent.get(shelfFilesName(shelf))?.expires ?? 0) >= expires) continue;
    throw refuse('SUBMISSION_INVALID', `the files of ${shelf} would expire before it`, { role: shelf });
  }
  return wish;
}

/** What shelves sent to be signed or admitted would change, before they are judged. */
export function wishOf(
  { contentOf }: Pick<ShelvingBase, 'contentOf'>,
  sent: ReadonlyMap<string, Targets>,
): ShelvingWish {
  const shelves = [...sent].filter(([role]) => readShelfName(role)?.holds === 'names');
  const changes = shelves.map(([shelf, content]) => {
    const [before, after] = [new Set(directoriesOn(contentOf(shelf))), new Set(directoriesOn(content))];
    return {
      take: [...after].filter((directory) => !before.has(directory)),
      release: [...before].filter((directory) => !after.has(directory)),
    };
  });
  return {
    take: changes.flatMap(({ take }) => take),
    release: changes.flatMap(({ release }) => release),
    renew: shelves.map(([shelf]) => shelf),
    expires: Math.min(...shelves.map(([, { expires }]) => expires)),
  };
}

interface Change {
  /** Directories to take, each with its files as they are listed now. */
  readonly take: (readonly [directory: string, files: readonly TargetFile[]])[];
  readonly release: Set<string>;
}

function changesOf(base: ShelvingBase, { take, release, renew }: ShelvingWish): Map<string, Change> {
  const { targets, contentOf } = base;
  const changes = new Map<string, Change>();
  const changeOf = (shelf: string): Change => {
    const change = changes.get(shelf) ?? { take: [], release: new Set() };
    changes.set(shelf, change);
    return change;
  };
  const unclaimed = new Map<string, ReadonlyMap<string, readonly TargetFile[]>>();
  for (const directory of new Set(take)) {
    const shard = unclaimedFor(targets, directory);
    const listed = unclaimed.get(shard) ?? grouped(contentOf(shard));
    unclaimed.set(shard, listed);
    const files = listed.get(directory);
    if (files === undefined || shelfHolding(base, directory) !== undefined) {
      throw refuse('SUBMISSION_STALE', `no unclaimed file is in ${directory.slice(0, 200)}`, {
        directory: directory.slice(0, 200),
      });
    }
    changeOf(shelfFor(targets, directory)).take.push([directory, files]);
  }
  for (const directory of release) {
    const shelf = shelfHolding(base, directory);
    if (shelf === undefined) {
      throw refuse('SUBMISSION_STALE', `${directory.slice(0, 200)} is on no shelf`, {
        directory: directory.slice(0, 200),
      });
    }
    changeOf(shelf).release.add(directory);
  }
  for (const shelf of renew) changeOf(shelf);
  return changes;
}

function samePaths(a: DelegatedRole['paths'], b: DelegatedRole['paths']): boolean {
  return a.by === 'pattern' && b.by === 'pattern' && a.patterns.join('\n') === b.patterns.join('\n');
}

/** The files that a role lists, by directory. */
function grouped(role: Targets | undefined): ReadonlyMap<string, readonly TargetFile[]> {
  const directories = new Map<string, TargetFile[]>();
  for (const target of role?.targets.values() ?? []) {
    const directory = target.path.slice(0, target.path.lastIndexOf('/'));
    const files = directories.get(directory) ?? [];
    files.push(target);
    directories.set(directory, files);
  }
  return directories;
}

function isOf(quorum: KeySet, { delegations }: Targets, shelf: DelegatedRole): boolean {
  return delegations !== undefined && sameKeySet(keysOfRole(delegations.keys, shelf), quorum);
}

function targetsDraft(
  present: Targets,
  created: readonly string[],
  { keys, keyIds, threshold }: KeySet,
  expires: Instant,
): JsonObject {
  const { delegations = NO_DELEGATIONS } = present;
  const roles = delegations.roles.map((role) =>
    readShelfName(role.name) === undefined ? role : { ...role, keyIds, threshold },
  );
  const shelves = [...created].sort().map((name) => shelfDelegation(name, { keyIds, threshold }));
  const all = withShelvesInPlace([...roles, ...shelves]);
  // Former keys that count for nothing any more go.
  const used = new Set(all.flatMap((role) => role.keyIds));
  const known = [...delegations.keys, ...keys].filter(([id]) => used.has(id));
  return editTargets(present, { expires, delegations: { ...delegations, keys: new Map(known), roles: all } });
}

/** A shelf and its files, without versions. */
function shelfDrafts(
  shelf: string,
  directories: readonly string[],
  set: readonly TargetFile[],
  quorum: KeySet,
  expires: Instant,
): readonly (readonly [role: string, draft: JsonObject])[] {
  const files = shelfFilesName(shelf);
  const delegations = directories.length === 0 ? NO_DELEGATIONS : filesDelegation(files, directories, quorum);
  return [
    [shelf, editTargets(undefined, { expires, delegations })],
    [files, editTargets(undefined, { expires, set })],
  ];
}

function shelfDelegation(name: string, { keyIds, threshold }: Pick<KeySet, 'keyIds' | 'threshold'>): DelegatedRole {
  const paths = { by: 'pattern', patterns: [shardPattern(readShelfName(name)?.prefix ?? '')] } as const;
  return { name, keyIds, threshold, terminating: false, paths };
}

function filesDelegation(
  name: string,
  directories: readonly string[],
  { keys, keyIds, threshold }: KeySet,
): Delegations {
  const paths = { by: 'pattern', patterns: directories.map((directory) => `${directory}/*`) } as const;
  return { keys, roles: [{ name, keyIds, threshold, terminating: true, paths }], succinct: undefined };
}

/** Tells whether a role says exactly what was drafted, but for its expiry. */
function saysOnly(role: string, { json }: Targets, draft: JsonObject): boolean {
  const expires = readInstant(stringAt(json, 'expires', role)) ?? 0;
  const drafted = new Map([...draft, ['expires', writeInstant(expires)] as const]);
  return sameBytes(canonicalBytes(drafted), canonicalBytes(json));
}

function binIn(directory: string): string {
  return directory.split('/')[1] ?? '';
}
