// Where a collection lives: the three storage ports and what each promises.
// An adapter is done when it passes the same acceptance suite as the others
// (test/port-suite.ts). State is the ledger and the blobs; the site
// is a view of them that can be written again at any time.

import type { Code, Detail } from '@countersign/core';

/** A role file of a publication. */
export interface RoleFile {
  readonly role: string;
  readonly version: number;
  readonly bytes: Uint8Array;
  /** Lower-case hexadecimal SHA-256 of the bytes. */
  readonly sha256: string;
}

/** A role as the committed head has it. */
export interface RoleRow {
  readonly role: string;
  readonly version: number;
  readonly length: number;
  readonly sha256: string;
}

/** What is known of an uploaded blob. Digests are lower-case hexadecimal. */
export interface BlobFacts {
  readonly sha256: string;
  readonly sha512: string;
  readonly length: number;
}

/** Why a journaled submission was not published. */
export interface Refusal {
  readonly code: Code;
  readonly message: string;
  readonly detail: Detail;
}

/** A submission in the journal, and what became of it. */
export interface Journaled {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly received: number;
  /** Exactly what was sent. Kept once published: the claims in it are evidence. */
  readonly text: string;
  /** The publication that made it visible; `undefined` while it waits. */
  readonly publication: number | undefined;
  readonly refusal: Refusal | undefined;
}

/** The committed head: the one fact that says what is published. */
export interface Head {
  /** Counts publications from 1. */
  readonly publication: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** One step of the head, with all that becomes true by it. */
export interface Commit {
  /** The head this was planned on; 0 for the first. */
  readonly expected: number;
  readonly at: number;
  readonly files: readonly RoleFile[];
  /** Targets that become visible: where, and which blob. */
  readonly targets: readonly { readonly path: string; readonly blob: BlobFacts }[];
  readonly published: readonly string[];
  readonly refused: readonly { readonly id: string; readonly refusal: Refusal }[];
}

/** The ledger of one collection: journal, role files, head, accounts. */
export interface Ledger {
  head(): Promise<Head | undefined>;
  /** The current version of every role. */
  roles(): Promise<readonly RoleRow[]>;
  /** The bytes of a role file; without `version` the current one. */
  file(role: string, version?: number): Promise<Uint8Array | undefined>;
  /** Appends submissions. Durable when it resolves. Ids are unique; repeating one changes nothing. */
  journal(
    submissions: readonly { readonly id: string; readonly received: number; readonly text: string }[],
  ): Promise<void>;
  /** Submissions that are neither published nor refused, in the order of the journal. */
  pending(): Promise<readonly Journaled[]>;
  submission(id: string): Promise<Journaled | undefined>;
  /**
   * Moves the head from `expected` to `expected + 1`, with everything in the
   * commit, or not at all. Durable when it resolves `true`; `false` when the
   * head had moved. MUST be one atomic step: this is the commit.
   */
  commit(commit: Commit): Promise<boolean>;
  /** The SHA-256 of the content that a target path shows, or showed last. */
  shown(path: string): Promise<string | undefined>;
  /** What a publication made visible, to write the site again. */
  made(publication: number): Promise<Pick<Commit, 'files' | 'targets'>>;
  /** Records a blob that the blob store holds durably. Idempotent. */
  recordBlob(facts: BlobFacts): Promise<void>;
  blob(sha256: string): Promise<BlobFacts | undefined>;
  /** Stores the hash of a token. */
  addToken(tokenSha256: string, account: string): Promise<void>;
  /** The account that a token's hash belongs to. */
  account(tokenSha256: string): Promise<string | undefined>;
  close(): Promise<void>;
}

/** Content-addressed bytes. Nothing in it ever changes. */
export interface BlobStore {
  /**
   * Stores a stream under its SHA-256. Durable when it resolves.
   *
   * @throws AdmissionError BLOB_MISMATCH when the content has another digest,
   *   SUBMISSION_TOO_LARGE beyond `maxBytes`; StoreError STORE_WRITE
   */
  put(sha256: string, body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<BlobFacts>;
  /** @throws StoreError STORE_READ when it is not there */
  read(sha256: string): AsyncIterable<Uint8Array>;
}

/** The visible copies that clients fetch. */
export interface Site {
  /** Makes a target visible under each digest prefix. Idempotent. */
  showTargets(targets: Commit['targets']): Promise<void>;
  /** Makes role files visible under versioned names; the timestamp under its plain name too, last, by atomic replace. Idempotent. */
  showFiles(files: readonly RoleFile[]): Promise<void>;
  /** What the site now shows as timestamp. */
  shownTimestamp(): Promise<Uint8Array | undefined>;
}
