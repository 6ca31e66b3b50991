// The online roles' signatures: turns a plan into the files of a publication.
// Order follows reference: shards, then the snapshot that lists them, then the
// timestamp that lists the snapshot (§6.3).

import {
  editSnapshot,
  editTimestamp,
  type FileMeta,
  hex,
  type Instant,
  integerAt,
  type JsonObject,
  readShardName,
  type Sha256,
  type Signer,
  SignerError,
  type Snapshot,
  signFile,
  type Timestamp,
} from '@countersign/core';
import { isDue, type Lifetimes, listingOf, type Plan } from './plan.ts';
import type { RoleFile } from './ports.ts';

/** The four online keys. Each signs for its own role only. */
export interface OnlineSigners {
  readonly timestamp: Signer;
  readonly snapshot: Signer;
  readonly recent: Signer;
  readonly unclaimed: Signer;
}

/** The files that a plan needs, signed: timestamp last. @throws SignerError */
export async function signPlan(
  plan: Pick<Plan, 'shards' | 'authored'>,
  previous: { readonly snapshot: Snapshot; readonly timestamp: Timestamp },
  signers: OnlineSigners,
  lifetimes: Lifetimes,
  now: Instant,
  sha256: Sha256,
): Promise<readonly RoleFile[]> {
  const files: RoleFile[] = [];
  for (const [role, draft] of plan.shards) {
    files.push(await signedFile(role, draft, [shardSigner(role, signers)], sha256));
  }
  for (const { role, bytes, content } of plan.authored) {
    files.push({ role, version: content.version, bytes, sha256: hex(sha256(bytes)) });
  }
  const listing = new Map<string, FileMeta>();
  for (const file of files) listing.set(file.role, listingOf(file.role, file.version, file.bytes.length, file.sha256));
  let snapshot: FileMeta = previous.timestamp.snapshot;
  if (listing.size > 0 || isDue(previous.snapshot, lifetimes.snapshot, now)) {
    const draft = editSnapshot(previous.snapshot, { expires: now + lifetimes.snapshot, set: listing });
    const file = await signedFile('snapshot', draft, [signers.snapshot], sha256);
    files.push(file);
    snapshot = pinned(file);
  }
  const draft = editTimestamp(previous.timestamp, { expires: now + lifetimes.timestamp, snapshot });
  files.push(await signedFile('timestamp', draft, [signers.timestamp], sha256));
  return files;
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

function shardSigner(role: string, signers: OnlineSigners): Signer {
  const kind = readShardName(role)?.kind;
  if (kind === 'recent' || kind === 'unclaimed') return signers[kind];
  throw new SignerError('KEY_MISSING', `Signing ${role}: no online key may sign it`, { detail: { role } });
}
