// What the engine of a collection keeps in memory between publications: the
// standing to judge against, what a client that followed trusts, and the bytes
// that every search passes through. Read from the ledger once, then carried on:
// each publication costs what it changes, never what the collection is.

import {
  draftSnapshot,
  type FreshState,
  type Instant,
  openEnvelope,
  readShardName,
  readTargets,
  type SnapshotDraft,
  type SyncCryptoPort,
  type Targets,
} from '@countersign/core';
import type { SignedPlan } from './online.ts';
import { takeOver } from './overlay.ts';
import { isDue, type Plan } from './plan.ts';
import type { Ledger } from './ports.ts';
import { trustedFrom } from './self-check.ts';
import { type Owner, ownersOf, type Standing, shardsOf, versionsOf } from './standing.ts';

/** What the engine keeps in memory between publications. */
export interface State {
  readonly standing: Standing;
  readonly owners: Map<string, Owner>;
  readonly contents: Map<string, Targets>;
  /** What a client that followed every publication trusts. */
  readonly trusted: FreshState;
  /** The snapshot, ready for the next version. */
  readonly snapshot: SnapshotDraft;
  /** The bytes of the top-level roles and the shards, which every search passes through. */
  readonly files: Map<string, Uint8Array>;
  /** How many names of each kind there are. */
  readonly projects: Readonly<Record<Owner['kind'], number>>;
}

/**
 * Reads the committed state.
 *
 * @param name of the collection
 * @param at when the head was committed: what has expired since can still be renewed
 * @throws MetadataError when the ledger's content does not verify; StoreError
 */
export async function loadState(name: string, ledger: Ledger, at: Instant, crypto: SyncCryptoPort): Promise<State> {
  const files = new Map<string, Uint8Array>();
  const load = async (role: string): Promise<void> => {
    const bytes = await ledger.file(role);
    if (bytes !== undefined) files.set(role, bytes);
  };
  for (const role of ['root', 'timestamp', 'snapshot', 'targets']) await load(role);
  const trusted = trustedFrom(files, at, crypto);
  const contents = new Map<string, Targets>();
  for (const role of shardsOf(trusted.targets.content).keys()) {
    await load(role);
    const bytes = files.get(role);
    if (bytes !== undefined) contents.set(role, readTargets(openEnvelope(bytes, role).signed, role));
  }
  const owners = ownersOf(contents);
  const projects = { claimed: 0, recent: 0 };
  for (const { kind } of owners.values()) projects[kind]++;
  return {
    standing: {
      collection: name,
      ...trustedParts(trusted),
      contents,
      owners,
      blobs: new Map(),
      shown: new Map(),
    },
    owners,
    contents,
    trusted,
    snapshot: draftSnapshot(trusted.snapshot.content),
    files,
    projects,
  };
}

/** The state after a publication. Takes over the one before, which is not to be used any more. */
export function stateAfter(before: State, { draft }: Plan, made: SignedPlan, trusted: FreshState): State {
  const { files, contents, owners } = before;
  const projects = { ...before.projects };
  for (const [name, { kind }] of draft.owners.changes) {
    const was = owners.get(name);
    if (was !== undefined) projects[was.kind]--;
    projects[kind]++;
  }
  takeOver(owners, draft.owners);
  for (const { role, bytes } of made.files) {
    if (files.has(role)) files.set(role, bytes);
    if (!contents.has(role)) continue;
    contents.set(role, trusted.memo.get(role)?.role.content ?? readTargets(openEnvelope(bytes, role).signed, role));
  }
  return {
    ...before,
    standing: { ...before.standing, ...trustedParts(trusted) },
    trusted,
    snapshot: made.snapshot,
    projects,
  };
}

/** The shards that an online key signs and that are past half of their life. */
export function dueShards({ contents }: State, lifetime: number, now: Instant): readonly string[] {
  return [...contents].flatMap(([name, content]) => {
    const kind = readShardName(name)?.kind;
    return kind !== undefined && kind !== 'claimed' && isDue(content, lifetime, now) ? [name] : [];
  });
}

function trustedParts({ root, snapshot, targets }: FreshState): Pick<Standing, 'root' | 'targets' | 'versions'> {
  return { root: root.content, targets: targets.content, versions: versionsOf(snapshot.content) };
}
