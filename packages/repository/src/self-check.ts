// The repository is its own first client: a publication that core cannot
// refresh to from the previous one, resolving every changed role and target,
// is not published. The check sees exactly the bytes that clients will see.

import {
  DEFAULT_LIMITS,
  driveSync,
  type FreshState,
  type Instant,
  isTopLevelRole,
  isTufError,
  list,
  readShardName,
  refresh,
  StoreError,
  type SyncCryptoPort,
  type SyncPorts,
  start,
  type Targets,
  targetsRole,
} from '@countersign/core';
import type { RoleFile } from './ports.ts';

/** A changed project role, with the directory it must be resolved in. */
export interface Expected {
  readonly role: string;
  readonly directory: string;
  readonly content: Targets;
}

/** Establishes what a client would trust, from role files by name. @throws MetadataError */
export function trustedFrom(files: ReadonlyMap<string, Uint8Array>, now: Instant, crypto: SyncCryptoPort): FreshState {
  const ports = portsOver(files, crypto);
  return driveSync(refresh(driveSync(start(files.get('root') ?? new Uint8Array()), ports), now), ports);
}

/**
 * Refreshes from the previous publication to the new one and resolves every
 * changed project.
 *
 * @param known bytes of present roles that the search may pass through
 * @throws StoreError SELF_CHECK_FAILED with the refusal as cause
 */
export function selfCheck(
  previous: FreshState,
  made: readonly RoleFile[],
  known: ReadonlyMap<string, Uint8Array>,
  expected: readonly Expected[],
  now: Instant,
  crypto: SyncCryptoPort,
): FreshState {
  const files = new Map(known);
  for (const file of made) if (file.role !== 'root') files.set(file.role, file.bytes);
  const ports = portsOver(files, crypto);
  try {
    const next = driveSync(refresh({ ...previous, memo: new Map(previous.memo) }, now), ports);
    for (const { role } of made) loadShard(next, role, now, ports);
    for (const want of expected) resolve(next, want, now, ports);
    for (const name of next.memo.keys()) {
      // Only what every publication passes through stays in memory.
      if (!isTopLevelRole(name) && readShardName(name) === undefined) next.memo.delete(name);
    }
    return next;
  } catch (error) {
    if (!isTufError(error)) throw error;
    throw new StoreError('SELF_CHECK_FAILED', `Checking the publication: ${error.message}`, {
      detail: error.detail,
      cause: error,
    });
  }
}

/** Verifies a changed shard by itself: a renewed one may have no changed project in it. */
function loadShard(state: FreshState, role: string, now: Instant, ports: SyncPorts): void {
  const { delegations } = state.targets.content;
  const delegation = readShardName(role) && delegations?.roles.find(({ name }) => name === role);
  if (delegations === undefined || delegation === undefined) return;
  driveSync(targetsRole(state, { keys: delegations.keys, role: delegation, name: role }, now, DEFAULT_LIMITS), ports);
}

function resolve(state: FreshState, want: Expected, now: Instant, ports: SyncPorts): void {
  const { found } = driveSync(list(state, want.directory, now, DEFAULT_LIMITS), ports);
  for (const [path, target] of want.content.targets) {
    const hit = found.get(path);
    const same =
      hit?.target.length === target.length && hit.target.hashes.get('sha256') === target.hashes.get('sha256');
    // An owner's own entry hides the same path in a release role: then the owner's counts.
    const hidden = hit !== undefined && hit.trail.at(-1) !== want.role;
    if (same || hidden) continue;
    throw new StoreError('SELF_CHECK_FAILED', `Checking the publication: ${path} cannot be found`, {
      detail: { role: want.role, path },
    });
  }
}

function portsOver(files: ReadonlyMap<string, Uint8Array>, crypto: SyncCryptoPort): SyncPorts {
  return {
    crypto,
    state: { load: () => undefined, save: () => undefined, drop: () => undefined },
    // The next root is the only versioned question about root; there is none.
    source: { fetch: (effect) => (effect.role === 'root' ? undefined : files.get(effect.role)) },
  };
}
