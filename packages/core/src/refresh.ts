// The client workflow of §5.2 to §5.6, step by step: from the anchor to a
// trusted top-level targets role. Effects go out by `yield*`; signatures are
// counted in threshold.ts; version, expiry and agreement are judged in
// trusted.ts. Received bytes are saved unchanged, and only once trusted.

import { sameBytes } from './bytes.ts';
import { checkContent } from './content.ts';
import { drop, fetch, load, replace, save, type Workflow } from './effects.ts';
import { openEnvelope } from './envelope.ts';
import { MetadataError, UsageError } from './errors.ts';
import type { JsonObject } from './json.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import {
  type FileMeta,
  type Root,
  readRoot,
  readSnapshot,
  readTargets,
  readTimestamp,
  type Snapshot,
  type Targets,
  type Timestamp,
} from './model.ts';
import { cacheNameOf, metadataUrl, rootHistoryName } from './paths.ts';
import { type Authority, type Verified, verify } from './threshold.ts';
import type { Instant } from './time.ts';
import {
  advanceRoot,
  advanceSnapshot,
  advanceTimestamp,
  listedIn,
  remember,
  requireFresh,
  requireListed,
  rotatedAway,
  type TrustedState,
  topLevelAuthority,
  trustRoot,
} from './trusted.ts';

/** A state in which all four top-level roles are trusted and fresh. */
export type FreshState = TrustedState & {
  readonly timestamp: Verified<Timestamp>;
  readonly snapshot: Verified<Snapshot>;
  readonly targets: Verified<Targets>;
};

/**
 * Loads the trusted root (§5.2): the anchor, then every root that was verified
 * and kept since. Without an anchor the kept `root.json` is the anchor.
 *
 * @throws UsageError ANCHOR_MISSING
 * @throws MetadataError when the anchor itself is not a root signed by its own keys
 */
export function* start(anchor?: Uint8Array): Workflow<TrustedState> {
  const local = yield* load(cacheNameOf('root'));
  const bytes = anchor ?? local;
  if (bytes === undefined) throw new UsageError('ANCHOR_MISSING', 'Loading the trusted root: there is none');
  const state = yield* walkKeptRoots(trustRoot(yield* verifyRoot(bytes, undefined)));
  yield* keepRoot(state.root);
  return state;
}

/**
 * One update of the four top-level roles (§5.3 to §5.6). May be run any number
 * of times; a refused update leaves the given state as it was.
 *
 * @param now the fixed update start time (§5.1)
 * @throws MetadataError naming the role, and whatever the driver's ports throw
 * @example
 * let state = await drive(start(anchor), ports);
 * state = await drive(refresh(state, Date.now()), ports);
 */
export function* refresh(state: TrustedState, now: Instant, limits: Limits = DEFAULT_LIMITS): Workflow<FreshState> {
  const rooted = yield* updateRoot(state, now, limits);
  const snapped = yield* updateTimestampAndSnapshot(rooted, now, limits);
  const authority = topLevelAuthority(snapped.root.content, 'targets');
  const targets = yield* targetsRole(snapped, authority, now, limits); // §5.6
  return { ...snapped, targets };
}

/** §5.3 Update the root role. */
function* updateRoot(before: TrustedState, now: Instant, limits: Limits): Workflow<TrustedState> {
  // What an earlier update, or another process, verified and kept stays trusted,
  // even if that update failed later on: the root never goes back (§5.3.7).
  let state = yield* walkKeptRoots(before);
  // §5.3.3: after Y new roots the update goes on with the last; the next one walks further.
  for (let rotations = 0; rotations < limits.rootRotations; rotations++) {
    const version = state.root.content.version + 1;
    // §5.3.3: up to W bytes; absence ends the chain.
    const url = metadataUrl('root', version);
    const bytes = yield* fetch({ role: 'root', url, maxBytes: limits.rootBytes });
    if (bytes === undefined) break;
    const next = yield* verifyRoot(bytes, state.root.content);
    const rotated = rotatedAway(state.root.content, next.content);
    state = advanceRoot(state, next);
    if (rotated) {
      // §5.3.11 fast-forward recovery. Dropped before the new root is kept, so that a
      // crash in between cannot leave the floors behind for good (DEVIATES: ADR 0007).
      yield* drop(cacheNameOf('timestamp'));
      yield* drop(cacheNameOf('snapshot'));
    }
    // §5.3.8 persist, and keep the chain, so that it can be walked from the anchor again.
    yield* save(rootHistoryName(version), bytes);
    yield* keepRoot(next);
  }
  requireFresh('root', state.root.content, now); // §5.3.10 freeze
  return state;
}

/** Follows the roots that were verified and kept before. A damaged one ends the walk: the network will tell. */
function* walkKeptRoots(before: TrustedState): Workflow<TrustedState> {
  let state = before;
  for (;;) {
    const bytes = yield* load(rootHistoryName(state.root.content.version + 1));
    if (bytes === undefined) return state;
    try {
      state = advanceRoot(state, yield* verifyRoot(bytes, state.root.content));
    } catch (error) {
      if (error instanceof MetadataError) return state;
      throw error;
    }
  }
}

/**
 * Keeps a trusted root as `root.json`, unless a later one is there (§4.3: never
 * replaced by a lower one). Later is what this root's own keys vouch for: a file
 * that only says so, or one of keys that the user's anchor has nothing to do
 * with, must not become what the next start without an anchor begins with.
 */
function* keepRoot(root: Verified<Root>): Workflow<void> {
  const local = yield* load(cacheNameOf('root'));
  if (local !== undefined && (sameBytes(local, root.bytes) || (yield* isLater(local, root.content)))) return;
  yield* save(cacheNameOf('root'), root.bytes);
}

function* isLater(file: Uint8Array, root: Root): Workflow<boolean> {
  try {
    return (yield* verifyRoot(file, root)).content.version > root.version;
  } catch (error) {
    if (error instanceof MetadataError) return false;
    throw error;
  }
}

type Timed = TrustedState & { readonly timestamp: Verified<Timestamp> };
type Snapped = Timed & { readonly snapshot: Verified<Snapshot> };

/**
 * §5.4 and §5.5. Where another process overtakes this one in the same folder,
 * its newer files would look like proof of a rollback, and must not be replaced
 * by older ones: then both begin again. Each round needs another process that
 * has just kept a file, so this ends.
 */
function* updateTimestampAndSnapshot(rooted: TrustedState, now: Instant, limits: Limits): Workflow<Snapped> {
  for (;;) {
    const timed = yield* updateTimestamp(rooted, now, limits);
    const snapped = timed && (yield* updateSnapshot(timed, now, limits));
    if (snapped !== undefined) return snapped;
  }
}

/** §5.4 Update the timestamp role; `undefined` when overtaken. */
function* updateTimestamp(before: TrustedState, now: Instant, limits: Limits): Workflow<Timed | undefined> {
  const authority = topLevelAuthority(before.root.content, 'timestamp');
  const local = yield* load(cacheNameOf('timestamp'));
  const url = metadataUrl('timestamp', undefined);
  const bytes = yield* fetch({ role: 'timestamp', url, maxBytes: limits.timestampBytes }); // §5.4.1
  if (bytes === undefined) throw missing('timestamp');
  const next = yield* verify(openEnvelope(bytes, 'timestamp'), [authority], readTimestamp); // §5.4.2
  const present = yield* load(cacheNameOf('timestamp'));
  const floor = yield* kept(before.timestamp, present, authority, readTimestamp);
  if (floor !== undefined && floor.content.version > next.content.version && !same(local, present)) return undefined;
  const state = advanceTimestamp({ ...before, timestamp: floor }, next, now);
  if (state.timestamp === next && !(yield* replace(cacheNameOf('timestamp'), present, bytes))) return undefined; // §5.4.5
  requireFresh('timestamp', state.timestamp.content, now); // a kept one of equal version may have expired
  return state;
}

/** §5.5 Update the snapshot role; `undefined` when overtaken. */
function* updateSnapshot(before: Timed, now: Instant, limits: Limits): Workflow<Snapped | undefined> {
  const listed = before.timestamp.content.snapshot;
  const authority = topLevelAuthority(before.root.content, 'snapshot');
  const local = yield* load(cacheNameOf('snapshot'));
  let floor = yield* kept(before.snapshot, local, authority, readSnapshot);
  if (floor !== undefined && (yield* stillListed(before, floor, now))) {
    return { ...before, snapshot: floor, snapshotListed: listed };
  }
  const bytes = yield* fetchListed('snapshot', before.root.content, listed, limits.snapshotBytes, limits);
  // §5.5.3. Most of it is what the floor says, too.
  const next = yield* verify(
    openEnvelope(bytes, 'snapshot', floor && listedIn(floor.content)),
    [authority],
    readSnapshot,
  );
  const present = yield* load(cacheNameOf('snapshot'));
  if (!same(local, present)) floor = yield* kept(before.snapshot, present, authority, readSnapshot);
  if (floor !== undefined && floor.content.version > listed.version && (yield* overtaken(before))) return undefined;
  const state = advanceSnapshot(before, next, floor, now);
  if (!(yield* replace(cacheNameOf('snapshot'), present, bytes))) return undefined; // §5.5.7
  return { ...state, timestamp: before.timestamp, snapshot: next, snapshotListed: listed };
}

/** Tells whether another process keeps a newer timestamp by now. */
function* overtaken({ root, timestamp }: Timed): Workflow<boolean> {
  const present = yield* load(cacheNameOf('timestamp'));
  const newest = yield* kept(timestamp, present, topLevelAuthority(root.content, 'timestamp'), readTimestamp);
  return newest !== undefined && newest.content.version > timestamp.content.version;
}

/**
 * Brings a targets role, top-level or delegated, to the version that the
 * snapshot lists (§5.6, and §5.6.7 for delegated ones), from memory, local
 * state or the mirror, verified under exactly the given delegation.
 *
 * @throws MetadataError ROLE_NOT_LISTED, and all that a refused file gives
 */
export function* targetsRole(
  state: TrustedState & { readonly snapshot: Verified<Snapshot> },
  authority: Authority,
  now: Instant,
  limits: Limits,
): Workflow<Verified<Targets>> {
  const { name } = authority;
  const listed = state.snapshot.content.meta.get(name);
  if (listed === undefined) {
    throw new MetadataError('ROLE_NOT_LISTED', `Loading ${name}: the snapshot does not list it`, {
      detail: { role: name },
    });
  }
  const known = state.memo.get(name);
  const bytes = known?.role.bytes ?? (yield* load(cacheNameOf(name)));
  if (bytes !== undefined) {
    try {
      // A memo checked against this very entry, under this very delegation, needs no second look.
      if (known?.listed !== listed) yield* checkContent(bytes, listed, name); // §5.6.2
      const proven = known?.under === authority.role ? known.role : undefined;
      const role = proven ?? (yield* verifyTargets(authority, bytes));
      requireListed(name, role.content, listed, now); // §5.6.4, 5.6.5
      remember(state.memo, name, { under: authority.role, role, listed });
      return role;
    } catch (error) {
      if (!(error instanceof MetadataError)) throw error; // stale or foreign: ask the mirror
    }
  }
  const fetched = yield* fetchListed(name, state.root.content, listed, limits.targetsBytes, limits); // §5.6.1, 5.6.2
  const role = yield* verifyTargets(authority, fetched);
  requireListed(name, role.content, listed, now); // §5.6.4, 5.6.5
  yield* save(cacheNameOf(name), fetched); // §5.6.6
  remember(state.memo, name, { under: authority.role, role, listed });
  return role;
}

/** A targets role signed as its delegation demands (§5.6.3). */
function* verifyTargets(authority: Authority, bytes: Uint8Array): Workflow<Verified<Targets>> {
  const { name } = authority;
  return yield* verify(openEnvelope(bytes, name), [authority], (json) => readTargets(json, name));
}

/** A root signed by its own threshold, and by its predecessor's where there is one (§5.3.4). */
function* verifyRoot(bytes: Uint8Array, predecessor: Root | undefined): Workflow<Verified<Root>> {
  const envelope = openEnvelope(bytes, 'root');
  // Its own keys must be read to be checked against; `verify` reads it again once proven.
  const own = topLevelAuthority(readRoot(envelope.signed), 'root');
  if (predecessor === undefined) return yield* verify(envelope, [own], readRoot);
  return yield* verify(envelope, [topLevelAuthority(predecessor, 'root'), own], readRoot);
}

/**
 * What was trusted before, from memory or local state, as floor for rollback
 * checks: authentic under the present root, perhaps expired. A file that does
 * not verify any more simply stops being a floor.
 */
function* kept<T extends Timestamp | Snapshot>(
  inMemory: Verified<T> | undefined,
  local: Uint8Array | undefined,
  authority: Authority,
  read: (json: JsonObject) => T,
): Workflow<Verified<T> | undefined> {
  let best: Verified<T> | undefined;
  const known = inMemory?.bytes;
  for (const bytes of same(known, local) ? [known] : [known, local]) {
    if (bytes === undefined) continue;
    try {
      const proven = bytes === known && inMemory?.under.includes(authority.role) ? inMemory : undefined;
      const floor = proven ?? (yield* verify(openEnvelope(bytes, authority.name), [authority], read));
      // Another process may have gone further in the same folder: the higher counts.
      if (best === undefined || floor.content.version > best.content.version) best = floor;
    } catch (error) {
      if (!(error instanceof MetadataError)) throw error;
    }
  }
  return best;
}

function same(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : sameBytes(a, b);
}

/** Tells whether a kept snapshot is the one that the timestamp lists, and fresh. */
function* stillListed(before: Timed, floor: Verified<Snapshot>, now: Instant): Workflow<boolean> {
  const listed = before.timestamp.content.snapshot;
  if (floor.content.version !== listed.version || floor.content.expires <= now) return false;
  // What was checked against this very entry needs no second look.
  if (floor === before.snapshot && listed === before.snapshotListed) return true;
  try {
    yield* checkContent(floor.bytes, listed, 'snapshot');
    return true;
  } catch (error) {
    if (error instanceof MetadataError) return false;
    throw error;
  }
}

function* fetchListed(
  role: string,
  root: Root,
  listed: FileMeta,
  unlistedBytes: number,
  limits: Limits,
): Workflow<Uint8Array> {
  // §5.5.1, §5.6.1: by version only where the root says so (§5.3.12).
  const url = metadataUrl(role, root.consistentSnapshot ? listed.version : undefined);
  const maxBytes = Math.min(listed.length ?? unlistedBytes, limits.listedBytes);
  const bytes = yield* fetch({ role, url, maxBytes });
  if (bytes === undefined) throw missing(role);
  yield* checkContent(bytes, listed, role); // §5.5.2, §5.6.2
  return bytes;
}

function missing(role: string): MetadataError {
  return new MetadataError('METADATA_MISSING', `Fetching ${role}: the repository does not have it`, {
    detail: { role },
  });
}
