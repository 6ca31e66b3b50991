// What the engine of a collection keeps in memory between publications: the
// standing to judge against, what a client that followed trusts, and the bytes
// that every search passes through. Read from the ledger once, then carried on.

import {
  type FreshState,
  type Instant,
  openEnvelope,
  readShardName,
  readTargets,
  type SyncCryptoPort,
  type Targets,
} from '@countersign/core';
import type { Plan } from './plan.ts';
import type { Ledger, RoleFile } from './ports.ts';
import { trustedFrom } from './self-check.ts';
import { ownersOf, type Standing, shardsOf, versionsOf } from './standing.ts';

/** What the engine keeps in memory between publications. */
export interface State {
  readonly standing: Standing;
  /** What a client that followed every publication trusts. */
  readonly trusted: FreshState;
  /** The bytes of the top-level roles and the shards, which every search passes through. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/**
 * Reads the committed state.
 *
 * @param name of the collection
 * @param at when the head was committed: what has expired since can still be renewed
 * @throws MetadataError when the ledger's content does not verify; StoreError
 */
export async function loadState(name: string, ledger: Ledger, at: Instant, crypto: SyncCryptoPort): Promise<State> {
  const rows = await ledger.roles();
  const files = new Map<string, Uint8Array>();
  const shards = rows.filter(({ role }) => readShardName(role) !== undefined).map(({ role }) => role);
  for (const role of ['root', 'timestamp', 'snapshot', 'targets', ...shards]) {
    const bytes = await ledger.file(role);
    if (bytes !== undefined) files.set(role, bytes);
  }
  const trusted = trustedFrom(files, at, crypto);
  const contents = new Map<string, Targets>();
  for (const role of shardsOf(trusted.targets.content).keys()) {
    const bytes = files.get(role);
    if (bytes !== undefined) contents.set(role, readTargets(openEnvelope(bytes, role).signed, role));
  }
  const standing: Standing = {
    collection: name,
    root: trusted.root.content,
    targets: trusted.targets.content,
    versions: versionsOf(rows),
    contents,
    owners: ownersOf(contents),
    blobs: new Map(),
    shown: new Map(),
  };
  return { standing, trusted, files };
}

/** The state after a publication of these files. */
export function stateAfter(before: State, planned: Plan, made: readonly RoleFile[], trusted: FreshState): State {
  const files = new Map(before.files);
  const contents = new Map(before.standing.contents);
  const versions = new Map(planned.draft.versions);
  for (const { role, version, bytes } of made) {
    versions.set(role, version);
    if (before.files.has(role)) files.set(role, bytes);
    if (readShardName(role) !== undefined) contents.set(role, readTargets(openEnvelope(bytes, role).signed, role));
  }
  const { root, targets } = trusted;
  const standing = {
    ...before.standing,
    root: root.content,
    targets: targets.content,
    versions,
    contents,
    owners: ownersOf(contents),
  };
  return { standing, trusted, files };
}
