// Trusted state and its transitions: each takes a `Verified<T>` and gives the
// next state or refuses (§5.3 to §5.6). Pure and synchronous: what was checked
// by signatures comes in verified, what is decided here is version order,
// agreement between files, and expiry. The sequence is refresh.ts's business.

import { MetadataError } from './errors.ts';
import { type JsonObject, membersChanged } from './json.ts';
import type { FileMeta, RoleKeys, Root, Signed, Snapshot, Targets, Timestamp } from './model.ts';
import type { TopLevelRole } from './paths.ts';
import { objectAt } from './shape.ts';
import type { Authority, Verified } from './threshold.ts';
import { type Instant, writeInstant } from './time.ts';

/** What a client believes: a root, and what follows from it as far as it was fetched. */
export interface TrustedState {
  readonly root: Verified<Root>;
  readonly timestamp: Verified<Timestamp> | undefined;
  readonly snapshot: Verified<Snapshot> | undefined;
  /** The timestamp's entry that the bytes of the snapshot were checked against. */
  readonly snapshotListed?: FileMeta;
  readonly targets: Verified<Targets> | undefined;
  /**
   * Delegated roles verified so far. A memo, not trust: every use checks again
   * that the same delegation and the same snapshot entry vouch for the file.
   */
  readonly memo: RoleMemo;
}

/** Verified targets roles by name, each with the delegation it was verified under. */
export type RoleMemo = Map<string, RememberedRole>;

/** A verified targets role with the delegation it was verified under. */
export interface RememberedRole {
  readonly under: RoleKeys;
  readonly role: Verified<Targets>;
  /** The snapshot's entry that its bytes were checked against. */
  readonly listed: FileMeta;
}

/** Whose keys count for a top-level role. */
export function topLevelAuthority(root: Root, name: TopLevelRole): Authority {
  const role = root.roles.get(name) ?? { keyIds: [], threshold: 1 };
  return { keys: root.keys, role, name };
}

/** Begins with a root that was verified by its own keys: the anchor (§5.2). */
export function trustRoot(root: Verified<Root>): TrustedState {
  return { root, timestamp: undefined, snapshot: undefined, targets: undefined, memo: new Map() };
}

/**
 * The next root (§5.3.5 to 5.3.7). What was verified under the old root is
 * kept only as bytes to be verified again by refresh.ts.
 *
 * @throws MetadataError VERSION_MISMATCH unless the version is exactly one higher
 */
export function advanceRoot(state: TrustedState, next: Verified<Root>): TrustedState {
  const want = state.root.content.version + 1;
  // §5.3.5 rollback: exactly N+1.
  requireVersion('root', want, next.content.version);
  // §5.3.11: floors under keys that were taken away are none.
  if (!rotatedAway(state.root.content, next.content)) return { ...state, root: next };
  return { ...state, root: next, timestamp: undefined, snapshot: undefined };
}

/** Puts a verified role into the memo; the one that was put there longest ago makes room. */
export function remember(memo: RoleMemo, name: string, entry: RememberedRole): void {
  memo.delete(name);
  memo.set(name, entry);
  const [oldest] = memo.keys();
  if (memo.size > MAX_REMEMBERED && oldest !== undefined) memo.delete(oldest);
}

/** Tells whether keys of the timestamp or snapshot role were taken away (§5.3.11). */
export function rotatedAway(before: Root, after: Root): boolean {
  return (['timestamp', 'snapshot'] as const).some((role) => {
    const kept = identitiesOf(after, role);
    return [...identitiesOf(before, role)].some((identity) => !kept.has(identity));
  });
}

/**
 * The next timestamp (§5.4.3, 5.4.4), or the same state when the version is equal.
 *
 * @throws MetadataError ROLLBACK, EXPIRED
 */
export function advanceTimestamp(
  state: TrustedState,
  next: Verified<Timestamp>,
  now: Instant,
): TrustedState & { readonly timestamp: Verified<Timestamp> } {
  const trusted = state.timestamp;
  if (trusted !== undefined) {
    // §5.4.3.1 equal: no change, and no error.
    if (next.content.version === trusted.content.version) return { ...state, timestamp: trusted };
    // §5.4.3.1 rollback: the timestamp itself.
    requireNoRollback('timestamp', trusted.content.version, next, next.content.version, trusted.bytes);
    // §5.4.3.2 rollback: the snapshot that it names.
    const named = next.content.snapshot.version;
    requireNoRollback('snapshot', trusted.content.snapshot.version, next, named, trusted.bytes);
  }
  requireFresh('timestamp', next.content, now); // §5.4.4
  return { ...state, timestamp: next };
}

/**
 * The next snapshot (§5.5.4 to 5.5.6). Its bytes were checked against the
 * timestamp's length and hashes by refresh.ts (§5.5.2).
 *
 * @param floor the snapshot trusted before, which may have expired
 * @throws MetadataError VERSION_MISMATCH, ROLLBACK, EXPIRED
 */
export function advanceSnapshot(
  state: TrustedState & { readonly timestamp: Verified<Timestamp> },
  next: Verified<Snapshot>,
  floor: Verified<Snapshot> | undefined,
  now: Instant,
): TrustedState {
  // §5.5.4
  requireVersion('snapshot', state.timestamp.content.snapshot.version, next.content.version);
  if (floor !== undefined) requireNoneBehind(floor, next);
  requireFresh('snapshot', next.content, now); // §5.5.6
  return { ...state, snapshot: next };
}

/**
 * A targets role against the snapshot (§5.6.4, 5.6.5); for delegated roles the same rules hold (§5.6.7).
 *
 * @throws MetadataError VERSION_MISMATCH, EXPIRED
 */
export function requireListed(name: string, role: Targets, listed: FileMeta, now: Instant): void {
  requireVersion(name, listed.version, role.version); // §5.6.4
  requireFresh(name, role, now); // §5.6.5
}

/** Refuses content that expired at or before `now` (§4.3/3; §5.3.10, §5.4.4, §5.5.6, §5.6.5 freeze). */
export function requireFresh(role: string, signed: Signed, now: Instant): void {
  if (signed.expires > now) return;
  const expired = writeInstant(signed.expires);
  throw new MetadataError('EXPIRED', `Checking the expiry of ${role}: it expired at ${expired}`, {
    detail: { role, version: signed.version, expired, now: writeInstant(now) },
  });
}

function requireVersion(role: string, want: number, got: number): void {
  if (want === got) return;
  throw new MetadataError('VERSION_MISMATCH', `Checking the version of ${role}: ${want} was announced, ${got} came`, {
    detail: { role, want, got },
  });
}

/** §4.3/2: nothing is replaced by something older. */
function requireNoRollback(
  role: string,
  trusted: number,
  offered: Verified<Signed>,
  got: number,
  trustedBytes: Uint8Array,
): void {
  if (got >= trusted) return;
  const what = got === 0 ? 'it is no longer listed' : `version ${got} is offered`;
  throw new MetadataError('ROLLBACK', `Checking ${role}: version ${trusted} was trusted before, now ${what}`, {
    detail: { role, trusted, got },
    evidence: { trusted: trustedBytes, offered: offered.bytes },
  });
}

/** §5.5.5 rollback: no listed role may disappear or go back. */
function requireNoneBehind(floor: Verified<Snapshot>, next: Verified<Snapshot>): void {
  const [before, after] = [listedIn(floor.content), listedIn(next.content)];
  for (const file of membersChanged(before, after)) {
    const role = file.slice(0, -'.json'.length);
    const version = listedVersion(floor.content, role);
    const got = listedVersion(next.content, role);
    if (got < version) requireNoRollback(role, version, next, got, floor.bytes);
  }
}

/** 0 for a role that is not listed: less than any version. */
function listedVersion({ meta }: Snapshot, role: string): number {
  return meta.get(role)?.version ?? 0;
}

/** What a snapshot lists, as received. */
export function listedIn({ json }: Snapshot): JsonObject {
  return objectAt(json, 'meta', 'snapshot');
}

function identitiesOf(root: Root, role: TopLevelRole): ReadonlySet<string> {
  const keyIds = root.roles.get(role)?.keyIds ?? [];
  return new Set(keyIds.map((keyId) => root.keys.get(keyId)?.verification?.key.identity ?? keyId));
}

// Roles held in memory; more are read again from local state.
const MAX_REMEMBERED = 10_000;
