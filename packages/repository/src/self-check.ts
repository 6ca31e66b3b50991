// The repository is its own first client: a publication that core cannot
// refresh to from the previous one, resolving every changed role and target,
// is not published. The check sees exactly the bytes that clients will see.

import {
  DEFAULT_LIMITS,
  driveSync,
  type FreshState,
  find,
  type Instant,
  isTopLevelRole,
  isTufError,
  list,
  metadataUrl,
  readShardName,
  readShelfName,
  refresh,
  StoreError,
  type SyncCryptoPort,
  type SyncPorts,
  start,
  type TargetFile,
  type Targets,
  targetsRole,
} from '@countersign/core';
import { BINS_ROLE } from './bins.ts';
import { DECISIONS_ROLE } from './list-files.ts';
import type { RoleFile } from './ports.ts';

/** A changed project role, with the directory it must be resolved in. */
export interface Expected {
  readonly role: string;
  readonly directory: string;
  readonly content: Targets;
}

/** A file of an online role that must be found, in exactly that role. */
export interface ExpectedFile {
  readonly role: string;
  readonly target: TargetFile;
}

/** What a publication must lead to. */
export interface Expectations {
  readonly projects: readonly Expected[];
  readonly files: readonly ExpectedFile[];
  /** Paths whose search must end well, whatever it finds. */
  readonly searches?: readonly string[];
}

/** Establishes what a client would trust, from role files by name. @throws MetadataError */
export function trustedFrom(files: ReadonlyMap<string, Uint8Array>, now: Instant, crypto: SyncCryptoPort): FreshState {
  const ports = portsOver(files, crypto);
  return driveSync(refresh(driveSync(start(files.get('root') ?? new Uint8Array()), ports), now), ports);
}

/** What a client that trusted the previous publication trusts after the new one. @throws MetadataError */
export function follow(
  previous: FreshState,
  made: readonly RoleFile[],
  known: ReadonlyMap<string, Uint8Array>,
  now: Instant,
  crypto: SyncCryptoPort,
): FreshState {
  const files = new Map(known);
  for (const file of made) if (file.role !== 'root') files.set(file.role, file.bytes);
  return driveSync(refresh({ ...previous, memo: new Map(previous.memo) }, now), portsOver(files, crypto));
}

/**
 * Refreshes from the previous publication to the new one and resolves every
 * changed project and file.
 *
 * @param known bytes of present roles that the search may pass through
 * @param between checks as well for a client who asked for the next root just before it was there
 * @throws StoreError SELF_CHECK_FAILED with the refusal as cause
 */
export function selfCheck(
  previous: FreshState,
  made: readonly RoleFile[],
  known: ReadonlyMap<string, Uint8Array>,
  expected: Expectations,
  now: Instant,
  crypto: SyncCryptoPort,
  between: 'too' | 'no' = 'no',
): FreshState {
  const files = new Map(known);
  for (const file of made) if (file.role !== 'root') files.set(file.role, file.bytes);
  const ports = portsOver(files, crypto, rootsOf(made));
  try {
    const next = driveSync(refresh({ ...previous, memo: new Map(previous.memo) }, now), ports);
    if (between === 'too') driveSync(refresh({ ...previous, memo: new Map() }, now), portsOver(files, crypto));
    for (const { role } of made) loadDelegated(next, role, now, ports);
    for (const want of expected.projects) resolve(next, want, now, ports);
    for (const [role, targets] of byRole(expected.files)) resolveFiles(next, role, targets, now, ports);
    for (const path of expected.searches ?? []) driveSync(find(next, path, now, DEFAULT_LIMITS), ports);
    for (const name of next.memo.keys()) if (!isKept(name)) next.memo.delete(name);
    return next;
  } catch (error) {
    if (!isTufError(error)) throw error;
    throw new StoreError('SELF_CHECK_FAILED', `Checking the publication: ${error.message}`, {
      detail: error.detail,
      cause: error,
    });
  }
}

/** Tells whether a role stays in memory: what every publication passes through, and nothing that lists files. */
export function isKept(role: string): boolean {
  const kind = readShardName(role)?.kind;
  return (
    isTopLevelRole(role) ||
    role === DECISIONS_ROLE ||
    role === BINS_ROLE ||
    kind === 'recent' ||
    kind === 'claimed' ||
    readShelfName(role)?.holds === 'names'
  );
}

/** Verifies a changed role by itself: a renewed one may have no changed project in it. */
function loadDelegated(state: FreshState, role: string, now: Instant, ports: SyncPorts): void {
  const { delegations } = state.targets.content;
  const delegation = delegations?.roles.find(({ name }) => name === role);
  if (delegations === undefined || delegation === undefined) return;
  driveSync(targetsRole(state, { keys: delegations.keys, role: delegation, name: role }, now, DEFAULT_LIMITS), ports);
}

/** A search leads to the role, and the role that it led to lists the files: one search for all files of one place. */
function resolveFiles(
  state: FreshState,
  role: string,
  targets: readonly TargetFile[],
  now: Instant,
  ports: SyncPorts,
): void {
  const [first] = targets;
  const found = first && driveSync(find(state, first.path, now, DEFAULT_LIMITS), ports);
  const listed = state.memo.get(role)?.role.content.targets;
  for (const { path, hashes } of targets) {
    const same = listed?.get(path)?.hashes.get('sha256') === hashes.get('sha256');
    if (same && found?.trail.at(-1) === role) continue;
    throw new StoreError('SELF_CHECK_FAILED', `Checking the publication: ${path} cannot be found`, {
      detail: { role, path },
    });
  }
}

function byRole(files: readonly ExpectedFile[]): ReadonlyMap<string, readonly TargetFile[]> {
  const roles = new Map<string, TargetFile[]>();
  for (const { role, target } of files) {
    const targets = roles.get(role) ?? [];
    targets.push(target);
    roles.set(role, targets);
  }
  return roles;
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

function portsOver(
  files: ReadonlyMap<string, Uint8Array>,
  crypto: SyncCryptoPort,
  roots: ReadonlyMap<string, Uint8Array> = new Map(),
): SyncPorts {
  return {
    crypto,
    state: { load: () => undefined, save: () => undefined, drop: () => undefined },
    // The next root is the only versioned question about root; mostly there is none.
    source: { fetch: ({ role, url }) => (role === 'root' ? roots.get(url) : files.get(role)) },
  };
}

/** New roots by the URL that clients ask for. */
function rootsOf(made: readonly RoleFile[]): ReadonlyMap<string, Uint8Array> {
  const roots = made.filter(({ role }) => role === 'root');
  return new Map(roots.map(({ version, bytes }) => [metadataUrl('root', version), bytes]));
}
