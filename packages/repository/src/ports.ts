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
  /** Decisions that this publication adds to the list, in order. */
  readonly decisions?: readonly DecisionRow[];
  readonly published: readonly string[];
  readonly refused: readonly { readonly id: string; readonly refusal: Refusal }[];
}

/** An entry of the decision list as the ledger keeps it. */
export interface DecisionRow {
  /** Counts from 1, without gaps. */
  readonly sequence: number;
  /** The exact text of the entry. */
  readonly text: string;
}

/** A role file that the ledger still holds, current or not. */
export interface HeldFile extends RoleRow {
  /** The publication that brought it. */
  readonly publication: number;
}

/** A target path that was ever shown, with the content that it shows or showed last. */
export interface ShownTarget {
  readonly path: string;
  readonly sha256: string;
  /** The publication that showed it. */
  readonly publication: number;
}

/** Something that a store holds. */
export interface StoredFile {
  readonly length: number;
  /** When it was last written, in milliseconds since 1970. */
  readonly modified: number;
  /** Left by an interrupted write, or of one that is under way. */
  readonly partial: boolean;
}

/** A small document that changes under compare-and-swap: drafts that collect signatures, marks of long jobs. */
export interface KeptDocument {
  readonly kind: string;
  readonly id: string;
  /** Counts writes from 1, and goes on where it was when a document is removed and made again. */
  readonly revision: number;
  readonly text: string;
}

/** The right to publish, held by one process at a time. */
export interface Leadership {
  /** Resolves when the right is lost (never when it is given up by `release`). What is under way then fails at the head. */
  readonly lost: Promise<void>;
  release(): Promise<void>;
}

/**
 * The ledger of one collection: journal, role files, head, accounts.
 * What is given as `AsyncIterable` is read in pages: flat in memory at any
 * size, and no snapshot of one moment while others write.
 */
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
  /** Submissions that are neither published nor refused, in the order of the journal; at most `limit`. */
  pending(limit?: number): Promise<readonly Journaled[]>;
  submission(id: string): Promise<Journaled | undefined>;
  /**
   * Moves the head from `expected` to `expected + 1`, with everything in the
   * commit, or not at all. Durable when it resolves `true`; `false` when the
   * head had moved. MUST be one atomic step: this is the commit.
   */
  commit(commit: Commit): Promise<boolean>;
  /** The SHA-256 of the content that a target path shows, or showed last. */
  shown(path: string): Promise<string | undefined>;
  /** What a publication made visible and is still held, in the order of the commit, to write the site again. */
  made(publication: number): Promise<Pick<Commit, 'files' | 'targets'>>;
  /** Records a blob that the blob store holds durably. Idempotent. Many at once cost little more than one. */
  recordBlob(facts: BlobFacts): Promise<void>;
  blob(sha256: string): Promise<BlobFacts | undefined>;
  /** The decision list from a sequence number on, in order. */
  decisions(from: number): AsyncIterable<DecisionRow>;
  /** Every role file held, current or not, by role and version. */
  held(): AsyncIterable<HeldFile>;
  /** Every target path that was ever shown, by path, with the SHA-256 it shows or showed last. */
  everShown(): AsyncIterable<ShownTarget>;
  /** Every recorded blob, by SHA-256. */
  blobs(): AsyncIterable<BlobFacts>;
  /** When a publication was committed, in milliseconds since 1970. */
  committedAt(publication: number): Promise<number | undefined>;
  /** Drops role files that are not current. Root files and current ones stay, whatever is asked. */
  forgetFiles(files: readonly { readonly role: string; readonly version: number }[]): Promise<void>;
  /** Drops the records of blobs, so that they can be uploaded again. */
  forgetBlobs(sha256s: readonly string[]): Promise<void>;
  document(kind: string, id: string): Promise<KeptDocument | undefined>;
  /** Every document of a kind, by id. */
  documents(kind: string): Promise<readonly KeptDocument[]>;
  /**
   * Writes a document if its present revision is `revision` (0: there is none);
   * `text` `undefined` removes it. Durable when it resolves `true`; `false`
   * when someone else wrote it first.
   */
  putDocument(kind: string, id: string, revision: number, text: string | undefined): Promise<boolean>;
  /** Asks for the right to publish; `undefined` while anybody holds it. It ends with the process that holds it, and with `close`. */
  lead(): Promise<Leadership | undefined>;
  /** Calls back when another process may have journaled something or moved the head. Gives the function that stops it. */
  watch(changed: () => void): () => void;
  /** Stores the hash of a token. */
  addToken(tokenSha256: string, account: string): Promise<void>;
  /** The account that a token's hash belongs to. */
  account(tokenSha256: string): Promise<string | undefined>;
  close(): Promise<void>;
}

/** A token, known by its hash only, and the account that it is for. */
export interface Account {
  readonly tokenSha256: string;
  readonly account: string;
}

/** Rows to put into a ledger. Each is in place of the one of the same key. */
export interface LedgerRows {
  readonly files?: readonly (RoleFile & { readonly publication: number })[];
  readonly roles?: readonly RoleRow[];
  readonly shown?: readonly ShownTarget[];
  readonly blobs?: readonly BlobFacts[];
  readonly decisions?: readonly DecisionRow[];
  /** Appended to the journal in this order. */
  readonly submissions?: readonly Journaled[];
  readonly documents?: readonly KeptDocument[];
  readonly accounts?: readonly Account[];
  /** The last of them is the head from then on. */
  readonly publications?: readonly Head[];
}

/**
 * A ledger that can be copied whole: for backup, restore, rebuild and repair.
 * Read in pages, as {@link Ledger} says.
 */
export interface WholeLedger extends Ledger {
  /** Every publication that the ledger knows of, in order. */
  publications(): AsyncIterable<Head>;
  /** The whole journal, in its order. */
  submissions(): AsyncIterable<Journaled>;
  /** The documents of every kind, by kind and id. */
  everyDocument(): AsyncIterable<KeptDocument>;
  /** Every token's hash with its account, by hash. */
  accounts(): AsyncIterable<Account>;
  /**
   * Puts rows in, all or none, without judging them. Durable when it resolves.
   * Idempotent. Only for a ledger that nobody publishes from.
   */
  put(rows: LedgerRows): Promise<void>;
}

/** Content-addressed bytes. Nothing in it ever changes. */
export interface BlobStore {
  /**
   * Stores a stream under its SHA-256. Durable when it resolves.
   *
   * @param hint `record` says that the ledger is told of it next: a store that is part of the same ledger may do so at once
   * @throws AdmissionError BLOB_MISMATCH when the content has another digest,
   *   SUBMISSION_TOO_LARGE beyond `maxBytes`; StoreError STORE_WRITE
   */
  put(
    sha256: string,
    body: AsyncIterable<Uint8Array>,
    maxBytes: number,
    hint?: { readonly record: boolean },
  ): Promise<BlobFacts>;
  /** @throws StoreError STORE_READ when it is not there */
  read(sha256: string): AsyncIterable<Uint8Array>;
  /** The length of a stored blob; `undefined` when it is not there. */
  size(sha256: string): Promise<number | undefined>;
  /** Every stored blob, with what an interrupted upload left as `partial`. */
  list(): AsyncIterable<StoredFile & { readonly name: string }>;
  /** Removes what `list` named. Idempotent. @throws UsageError USAGE_INVALID for any other name */
  remove(names: readonly string[]): Promise<void>;
}

/** The visible copies that clients fetch. */
export interface Site {
  /** Makes a target visible under each digest prefix. Idempotent. */
  showTargets(targets: Commit['targets']): Promise<void>;
  /** Makes role files visible under versioned names; the timestamp under its plain name too, last, by atomic replace. Idempotent. Never replaces a later timestamp: leaves it, where other processes may have shown it. @throws StoreError STORE_BEHIND where none can */
  showFiles(files: readonly RoleFile[]): Promise<void>;
  /** What the site now shows as timestamp. */
  shownTimestamp(): Promise<Uint8Array | undefined>;
  /** Everything the site shows, by its URL below the site such as `metadata/3.root.json`, with what an interrupted write left as `partial`. */
  list(): AsyncIterable<StoredFile & { readonly url: string }>;
  /** One shown file. @throws StoreError STORE_READ when it is not there */
  read(url: string): AsyncIterable<Uint8Array>;
  /** Removes what `list` named. Idempotent. @throws UsageError USAGE_INVALID for what cannot be one of its URLs */
  remove(urls: readonly string[]): Promise<void>;
}
