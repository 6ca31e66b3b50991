// The online roles' signatures: turns a plan into the files of a publication.
// Order follows reference: shards, then the snapshot that lists them, then the
// timestamp that lists the snapshot (§6.3).

import {
  draftSnapshot,
  editTimestamp,
  type FileMeta,
  type FreshState,
  hex,
  type Instant,
  integerAt,
  type JsonObject,
  listRoles,
  readShardName,
  type Sha256,
  type Signer,
  SignerError,
  type SnapshotDraft,
  signFile,
  signSnapshot,
} from '@countersign/core';
import { type Bins, isBin } from './bins.ts';
import { DECISIONS_ROLE } from './list-files.ts';
import { isDue, type Lifetimes, listingOf, type Plan } from './plan.ts';
import type { RoleFile } from './ports.ts';
import type { Standing } from './standing.ts';

/** The online keys. Each signs for its own kind of role only, and a collection has those of its layout. */
export interface OnlineSigners {
  readonly timestamp: Signer;
  readonly snapshot: Signer;
  readonly recent?: Signer;
  readonly unclaimed?: Signer;
  /** Signs the bins of a plain collection of files. */
  readonly bins?: Signer;
  /** Signs the list of decisions, and receipts for what was journaled of it. */
  readonly decisions?: Signer;
}

/**
 * Keys that a root takes away. They sign once more beside the new ones, for
 * clients who are under way and have not seen that root yet.
 */
export type LeavingSigners = Partial<Pick<OnlineSigners, 'timestamp' | 'snapshot'>>;

/** A publication, signed. */
export interface SignedPlan {
  /** A root first, the timestamp last. */
  readonly files: readonly RoleFile[];
  /** The snapshot, ready for the version after; `undefined` until there was one to write. */
  readonly snapshot: SnapshotDraft | undefined;
}

/** The files that a plan needs, signed. @throws SignerError */
export async function signPlan(
  plan: Pick<Plan, 'root' | 'online' | 'authored'>,
  previous: {
    readonly trusted: FreshState;
    readonly snapshot: SnapshotDraft | undefined;
    readonly standing: Pick<Standing, 'bins'>;
  },
  signers: OnlineSigners,
  lifetimes: Lifetimes,
  now: Instant,
  sha256: Sha256,
  leaving: LeavingSigners = {},
): Promise<SignedPlan> {
  const { timestamp, snapshot: present } = previous.trusted;
  const files: RoleFile[] = [];
  for (const [role, draft] of plan.online) {
    files.push(await signedFile(role, draft, [onlineSigner(role, previous.standing.bins, signers)], sha256));
  }
  for (const { role, bytes, content } of plan.authored) {
    files.push({ role, version: content.version, bytes, sha256: hex(sha256(bytes)) });
  }
  const listing = new Map<string, FileMeta>();
  for (const file of files) listing.set(file.role, listingOf(file.role, file.version, file.bytes.length, file.sha256));
  let listed: FileMeta = timestamp.content.snapshot;
  let { snapshot } = previous;
  if (listing.size > 0 || leaving.snapshot !== undefined || isDue(present.content, 'snapshot', lifetimes, now)) {
    const draft = listRoles(snapshot ?? draftSnapshot(present.content), listing);
    const signed = await signSnapshot(draft, now + lifetimes.snapshot, both(signers.snapshot, leaving.snapshot));
    snapshot = signed.draft;
    const { bytes } = signed;
    const file = { role: 'snapshot', version: snapshot.version, bytes, sha256: hex(sha256(bytes)) };
    files.push(file);
    listed = pinned(file);
  }
  const draft = editTimestamp(timestamp.content, { expires: now + lifetimes.timestamp, snapshot: listed });
  files.push(await signedFile('timestamp', draft, both(signers.timestamp, leaving.timestamp), sha256));
  return { files: plan.root === undefined ? files : [plan.root, ...files], snapshot };
}

function both(signer: Signer, leaving: Signer | undefined): readonly Signer[] {
  return leaving === undefined ? [signer] : [signer, leaving];
}

/** Signs a draft and describes the file. @throws SignerError */
export async function signedFile(
  role: string,
  draft: JsonObject,
  signers: readonly Signer[],
  sha256: Sha256,
): Promise<RoleFile> {
  const bytes = await signFile(draft, signers);
  return { role, version: integerAt(draft, 'version', 1, role), bytes, sha256: hex(sha256(bytes)) };
}

/** How the timestamp lists a snapshot: version, length and hash. */
export function pinned(file: RoleFile): FileMeta {
  return { version: file.version, length: file.bytes.length, hashes: new Map([['sha256', file.sha256]]) };
}

/** Which online key signs a role below the top-level ones; `undefined` if none may. */
export function onlineKindOf(role: string, bins: Bins | undefined): keyof OnlineSigners | undefined {
  const kind = readShardName(role)?.kind;
  if (kind === 'recent' || kind === 'unclaimed') return kind;
  if (role === DECISIONS_ROLE) return 'decisions';
  return isBin(bins, role) ? 'bins' : undefined;
}

function onlineSigner(role: string, bins: Bins | undefined, signers: OnlineSigners): Signer {
  const kind = onlineKindOf(role, bins);
  const signer = kind && signers[kind];
  if (signer !== undefined) return signer;
  throw new SignerError('KEY_MISSING', `Signing ${role}: no online key may sign it`, { detail: { role } });
}
