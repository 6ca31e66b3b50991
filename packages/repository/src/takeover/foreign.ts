// Somebody else's TUF repository, read and verified as a client of it would, to
// be taken over: every root, the four top-level roles, and every role that
// delegations lead to. Nothing of it is believed that its own keys do not
// vouch for; nothing of it is judged by our layout.

import {
  type FreshState,
  type MetadataError,
  type Signed,
  StoreError,
  type SyncCryptoPort,
  sameBytes,
  type TargetFile,
  type Targets,
  UsageError,
} from '@countersign/core';
import { BINS_ROLE, type Bins, isBin } from '../bins.ts';
import { DECISIONS_ROLE } from '../list-files.ts';
import { type RoleFiles, trustWhole, walkRoles } from '../operations/role-walk.ts';

/** Where somebody else's repository is read from. */
export interface ForeignSource extends RoleFiles {
  /** A target's content, under a digest or under its plain path. @throws StoreError STORE_READ when it is not there */
  target(path: string, digest: string | undefined): AsyncIterable<Uint8Array>;
}

/** A role of it as it was served. */
export interface ForeignRole {
  readonly version: number;
  readonly bytes: Uint8Array;
  readonly content: Targets;
}

/** A repository that somebody else made, verified. */
export interface Foreign {
  readonly state: FreshState;
  /** Every root that is still served, by version. */
  readonly roots: ReadonlyMap<number, Uint8Array>;
  /** The delegated roles. */
  readonly roles: ReadonlyMap<string, ForeignRole>;
  /** Bins by TAP 15 below the top-level targets role: we go on with them as our own. */
  readonly bins: Bins | undefined;
  /** What has expired by now, with its name. */
  readonly expiries: ReadonlyMap<string, Signed['expires']>;
}

/**
 * Reads a repository.
 *
 * @param anchor a root that its users trust
 * @throws MetadataError when a client would refuse it; UsageError USAGE_INVALID when a role has a name that ours need
 */
export async function readForeign(source: RoleFiles, anchor: Uint8Array, crypto: SyncCryptoPort): Promise<Foreign> {
  const state = await trustWhole(anchor, source, crypto);
  const roles = new Map<string, ForeignRole>();
  const expiries = new Map<string, number>();
  for (const [role, verified] of Object.entries({ root: state.root, targets: state.targets })) {
    expiries.set(role, verified.content.expires);
  }
  for await (const { role, listed, first, verified, refusal } of walkRoles(state, source, crypto)) {
    if (!first || role === 'targets') continue;
    // A role that the snapshot does not list ends searches today, and will end them tomorrow.
    if (listed === undefined) continue;
    if (verified === undefined) throw refused(role, refusal);
    requireFreeName(role);
    roles.set(role, { version: verified.content.version, bytes: verified.bytes, content: verified.content });
    expiries.set(role, verified.content.expires);
  }
  const succinct = state.targets.content.delegations?.succinct;
  const bins = succinct && { bitLength: succinct.bitLength, namePrefix: succinct.namePrefix };
  return { state, roots: await rootsOf(source, state, anchor, crypto), roles, bins, expiries };
}

/** Every path that it lists, each as the first role on the way lists it. */
export function* foreignTargets({ state, roles }: Foreign): Generator<TargetFile, void> {
  yield* state.targets.content.targets.values();
  for (const { content } of roles.values()) yield* content.targets.values();
}

/** A prefix for bins that no role of theirs begins with. */
export function freeBinPrefix({ roles, state }: Foreign): string {
  const names = [...roles.keys(), ...state.snapshot.content.meta.keys()];
  for (let i = 1; ; i++) {
    const namePrefix = i === 1 ? 'bin' : `bin${i}`;
    if (!names.some((name) => isBin({ bitLength: 1, namePrefix }, name))) return namePrefix;
  }
}

/** Every root that is served, from the first on; at least from the anchor on. */
async function rootsOf(
  source: RoleFiles,
  state: FreshState,
  anchor: Uint8Array,
  crypto: SyncCryptoPort,
): Promise<ReadonlyMap<number, Uint8Array>> {
  const roots = new Map<number, Uint8Array>();
  const last = state.root.content.version;
  for (let version = 1; version <= last; version++) {
    const bytes = version === last ? state.root.bytes : await source.file('root', version);
    if (bytes !== undefined) roots.set(version, bytes);
    else roots.clear(); // a chain with a gap is none
  }
  // A copy that lacks one root and has the next would have us make that one again.
  for (let version = last + 1; version <= last + LOOK_AHEAD; version++) {
    if ((await source.file('root', version)) === undefined) continue;
    throw new StoreError(
      'STORE_READ',
      `Reading the repository: root ${version} is served, and root ${last + 1} is not`,
    );
  }
  const [first] = roots.values();
  const whole = first !== undefined && [...roots.values()].some((bytes) => sameBytes(bytes, anchor));
  if (whole && sameBytes((await trustWhole(first, source, crypto)).root.bytes, state.root.bytes)) return roots;
  throw new StoreError('STORE_READ', 'Reading the repository: its roots are not served without a gap from yours on');
}

function requireFreeName(role: string): void {
  // What our engine would take for its own.
  if (
    role !== BINS_ROLE &&
    role !== DECISIONS_ROLE &&
    !/^(claimed|recent|unclaimed|shelf)(-[0-9a-f]{1,4})?(-files)?$/.test(role)
  )
    return;
  throw new UsageError('USAGE_INVALID', `Reading the repository: its role ${role} has a name that ours needs`, {
    detail: { role },
  });
}

const LOOK_AHEAD = 32;

function refused(role: string, refusal: MetadataError | undefined): unknown {
  return refusal ?? new StoreError('STORE_READ', `Reading the repository: ${role} is missing`, { detail: { role } });
}
