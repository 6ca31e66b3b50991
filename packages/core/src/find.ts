// The search for a target through the delegations (§5.6.7): pre-order,
// depth-first, in order of appearance, each role once, each delegated role
// verified under the keys of the delegator it was reached from, and ended by a
// terminating delegation. A failure on the way ends the search with its error.

import { hex, utf8 } from './bytes.ts';
import { hash, type Workflow } from './effects.ts';
import { MetadataError } from './errors.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import { type DelegatedPaths, type Delegations, succinctBin, type TargetFile, type Targets } from './model.ts';
import { matchesPattern, patternCoverage, requireTargetPath, targetPathOf } from './paths.ts';
import { type FreshState, targetsRole } from './refresh.ts';
import type { Authority } from './threshold.ts';
import type { Instant } from './time.ts';
import { requireFresh, topLevelAuthority } from './trusted.ts';

/** A target with the roles that vouch for it. */
export interface Found {
  readonly target: TargetFile;
  /** The roles from the top-level targets role to the one that lists the target. */
  readonly trail: readonly string[];
}

/** A role that speaks for a directory, as verified on the way to it. */
export interface ProjectRole {
  readonly role: string;
  readonly trail: readonly string[];
  readonly content: Targets;
}

/** The targets directly inside a directory. */
export interface Listing {
  readonly found: ReadonlyMap<string, Found>;
  /**
   * Roles that were delegated to for exactly this directory (`<directory>/*`),
   * in order of trust, with their trails: the project's own roles.
   */
  readonly owners: readonly ProjectRole[];
  /** `false` when hash bins were passed by: they can be searched, but not listed. */
  readonly complete: boolean;
}

/**
 * Finds a target. `undefined` means that the whole search ran and no trusted
 * role lists the path.
 *
 * @param now the fixed update start time
 * @throws MetadataError DELEGATIONS_EXCEEDED, EXPIRED, and whatever loading a role gives
 * @throws UsageError USAGE_INVALID when it is not a target path
 */
export function* find(
  state: FreshState,
  path: string,
  now: Instant,
  limits: Limits = DEFAULT_LIMITS,
): Workflow<Found | undefined> {
  const digest = yield* hash('sha256', utf8(requireTargetPath(path)));
  const hexDigest = hex(digest);
  const reachOf = (paths: DelegatedPaths): Reach => (covers(paths, path, hexDigest) ? 'all' : 'none');
  const walk = yield* descend(state, now, limits, digest, reachOf, (visit) => {
    const target = visit.content.targets.get(path);
    return target && { target, trail: visit.trail };
  });
  return walk.result;
}

/**
 * Lists the targets directly inside a directory, as {@link find} would find
 * each of them. Hash bins are passed by.
 *
 * @throws MetadataError as {@link find}
 * @example yield* list(state, 'npm/3f01/left-pad', now)
 */
export function* list(
  state: FreshState,
  directory: string,
  now: Instant,
  limits: Limits = DEFAULT_LIMITS,
): Workflow<Listing> {
  const found = new Map<string, Found>();
  const owners: ProjectRole[] = [];
  const prefix = `${requireTargetPath(directory)}/`;
  let partly = false;
  let complete = true;
  const reachOf = (paths: DelegatedPaths): Reach => {
    const reach = coverage(paths, directory);
    if (reach === 'some') partly = true;
    if (paths.by === 'hash-prefix') complete = false;
    return reach;
  };
  const walk = yield* descend(state, now, limits, undefined, reachOf, (visit) => {
    if (visit.whole && visit.paths !== undefined && names(visit.paths, `${directory}/*`)) {
      owners.push({ role: visit.name, trail: visit.trail, content: visit.content });
    }
    for (const [path, target] of visit.content.targets) {
      const inside = path.startsWith(prefix) && !path.slice(prefix.length).includes('/');
      if (inside && !found.has(path) && targetPathOf(path) !== undefined)
        found.set(path, { target, trail: visit.trail });
    }
    return undefined;
  });
  if (walk.passedBins) complete = false;
  // Where bins were passed by, or a delegation speaks for a part of the
  // directory, only a search per file tells who counts.
  if (complete && !partly) return { found, owners, complete };
  const exact = new Map<string, Found>();
  for (const path of found.keys()) {
    const hit = yield* find(state, path, now, limits);
    if (hit !== undefined) exact.set(path, hit);
  }
  return { found: exact, owners, complete };
}

/** How far a delegation reaches into what is searched. `some` is followed, but does not terminate. */
type Reach = 'all' | 'some' | 'none';

interface Visit {
  readonly name: string;
  readonly trail: readonly string[];
  readonly content: Targets;
  /** What it was delegated; `undefined` for the top-level role and succinct bins. */
  readonly paths: DelegatedPaths | undefined;
  readonly whole: boolean;
}

interface Step {
  readonly authority: Authority;
  readonly trail: readonly string[];
  readonly paths: DelegatedPaths | undefined;
  /** Every delegation on the way is for all of what is searched. */
  readonly whole: boolean;
}

function* descend<T>(
  state: FreshState,
  now: Instant,
  limits: Limits,
  pathDigest: Uint8Array | undefined,
  reachOf: (paths: DelegatedPaths) => Reach,
  visit: (visit: Visit) => T | undefined,
): Workflow<{ result: T | undefined; passedBins: boolean }> {
  // What vouches for the delegations may have expired since it was fetched.
  requireFresh('root', state.root.content, now);
  requireFresh('timestamp', state.timestamp.content, now);
  requireFresh('snapshot', state.snapshot.content, now);
  const visited = new Set<string>();
  let passedBins = false;
  let pending: Step[] = [
    { authority: topLevelAuthority(state.root.content, 'targets'), trail: ['targets'], paths: undefined, whole: true },
  ];
  for (let step = pending.pop(); step !== undefined; step = pending.pop()) {
    const { authority, trail, paths, whole } = step;
    const { name } = authority;
    if (visited.has(name)) continue; // §5.6.7.1 cycles
    if (visited.size >= limits.delegations) {
      throw new MetadataError('DELEGATIONS_EXCEEDED', `Searching: more than ${limits.delegations} roles to visit`, {
        detail: { limit: limits.delegations },
      });
    }
    visited.add(name);
    const { content } = yield* targetsRole(state, authority, now, limits);
    const result = visit({ name, trail, content, paths, whole });
    if (result !== undefined) return { result, passedBins };
    const { delegations } = content;
    if (delegations === undefined) continue;
    if (delegations.succinct !== undefined && pathDigest === undefined) passedBins = true;
    const { steps, terminated } = childrenOf(delegations, pathDigest, reachOf, step);
    // §5.6.7.2.1 terminating: nothing outside this subtree is asked any more.
    if (terminated) pending = [];
    pending.push(...steps.reverse());
  }
  return { result: undefined, passedBins };
}

function childrenOf(
  delegations: Delegations,
  pathDigest: Uint8Array | undefined,
  reachOf: (paths: DelegatedPaths) => Reach,
  { trail, whole }: Step,
): { steps: Step[]; terminated: boolean } {
  const { keys, succinct } = delegations;
  if (succinct !== undefined) {
    if (pathDigest === undefined) return { steps: [], terminated: false };
    const name = succinctBin(succinct, pathDigest);
    // TAP 15: succinct bins are terminating.
    return {
      steps: [{ authority: { keys, role: succinct, name }, trail: [...trail, name], paths: undefined, whole }],
      terminated: true,
    };
  }
  const steps: Step[] = [];
  // §4.5/3: in order of appearance.
  for (const role of delegations.roles) {
    const reach = reachOf(role.paths);
    if (reach === 'none') continue; // §4.5/2: who is reached was covered by every delegation on the way
    const all = whole && reach === 'all';
    const authority = { keys, role, name: role.name };
    steps.push({ authority, trail: [...trail, role.name], paths: role.paths, whole: all });
    // What was delegated for a part ends the search for that part only.
    if (role.terminating && all) return { steps, terminated: true };
  }
  return { steps, terminated: false };
}

function covers(paths: DelegatedPaths, path: string, hexDigest: string): boolean {
  // §4.5/4: path_hash_prefixes are prefixes of the hexadecimal SHA-256 of the path.
  if (paths.by === 'hash-prefix') return paths.prefixes.some((prefix) => hexDigest.startsWith(prefix));
  return paths.patterns.some((pattern) => matchesPattern(pattern, path));
}

function coverage(paths: DelegatedPaths, directory: string): Reach {
  if (paths.by === 'hash-prefix') return 'none';
  const reaches = paths.patterns.map((pattern) => patternCoverage(pattern, directory));
  if (reaches.includes('all')) return 'all';
  return reaches.includes('some') ? 'some' : 'none';
}

function names(paths: DelegatedPaths, pattern: string): boolean {
  return paths.by === 'pattern' && paths.patterns.includes(pattern);
}
