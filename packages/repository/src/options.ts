// What a repository is made of: storage, keys, clock, rules and bounds, all
// from outside, and what it tells of itself.

import type { Instant, Sha256, SyncCryptoPort, TargetFile } from '@countersign/core';
import type { EcosystemRules } from './admit-rules.ts';
import type { OnlineSigners } from './online.ts';
import type { FindOnlineKey } from './online-keys.ts';
import type { Lifetimes } from './plan.ts';
import type { BlobStore, Ledger, Site } from './ports.ts';

/** What happened to a publication, for logs. */
export type RepositoryEvent =
  | {
      readonly event: 'published';
      readonly publication: number;
      readonly submissions: number;
      readonly refused: number;
    }
  | { readonly event: 'failed'; readonly code: string; readonly message: string }
  | { readonly event: 'recovered'; readonly publication: number }
  | { readonly event: 'elected' | 'deposed'; readonly publication: number };

/** What a repository is made of. Storage, keys, clock and rules all come from outside. */
export interface RepositoryOptions {
  readonly name: string;
  readonly ledger: Ledger;
  readonly blobs: BlobStore;
  readonly site: Site;
  /**
   * The online keys: the ones that are in use, or who looks for the ones that
   * the collection names. Only the latter can take up a key that comes later.
   */
  readonly signers: OnlineSigners | FindOnlineKey;
  readonly ecosystems: EcosystemRules;
  /** Reads a newly listed file and compares it with its index entry. @throws AdmissionError ENTRY_INVALID */
  readonly inspect: (target: NewTarget, content: AsyncIterable<Uint8Array>) => Promise<void>;
  readonly crypto: SyncCryptoPort;
  readonly sha256: Sha256;
  readonly clock: () => Instant;
  /** A new, unguessable submission id. */
  readonly newId: () => string;
  /**
   * A number from 0 to 1, drawn once: how much sooner than at half of its life
   * what online keys sign is renewed, up to an eighth of it, so that many
   * collections do not renew at one moment. Default: 0.
   */
  readonly random?: () => number;
  readonly log?: (event: RepositoryEvent) => void;
  /**
   * `when-elected`: several processes serve the collection, and the one that has
   * the ledger's lead publishes for all. Default: `always`, for the only process.
   */
  readonly publishes?: 'always' | 'when-elected';
  /** Resolves after a while, in milliseconds: between looks at what others do. */
  readonly pause?: (millis: number) => Promise<void>;
  readonly lifetimes?: Lifetimes;
  readonly limits?: Partial<RepositoryLimits>;
}

/** A file that a submission newly lists. */
export interface NewTarget {
  readonly ownerRole: string;
  readonly directory: string;
  readonly target: TargetFile;
}

/** Bounds of one repository. */
export interface RepositoryLimits {
  readonly maxRoleBytes: number;
  readonly maxTargets: number;
  readonly maxBlobBytes: number;
  readonly maxBatch: number;
}

/** Defaults, each with its reason. */
export const DEFAULT_REPOSITORY_LIMITS: RepositoryLimits = {
  maxRoleBytes: 4_000_000, // below the 5,000,000 that clients accept of a targets role
  maxTargets: 20_000, // files of one role; several times the largest project's
  maxBlobBytes: 2 * 1024 ** 3,
  maxBatch: 1_000, // submissions in one publication
};
