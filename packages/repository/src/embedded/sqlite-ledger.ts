// The ledger on SQLite: one file per collection, write-ahead log, every commit
// fsynced. A publication is one transaction: role files, targets, outcomes of
// submissions and the head move together or not at all.

import { isTufError, StoreError, UsageError } from '@countersign/core';
import { Batch } from '../batch.ts';
import type {
  Account,
  BlobFacts,
  Commit,
  DecisionRow,
  Head,
  HeldFile,
  Journaled,
  KeptDocument,
  Leadership,
  Ledger,
  LedgerRows,
  RoleRow,
  ShownTarget,
  WholeLedger,
} from '../ports.ts';
import {
  accountIn,
  blobIn,
  bytesIn,
  decisionIn,
  documentIn,
  headIn,
  heldIn,
  journaledIn,
  numberIn,
  pages,
  type Row,
  roleIn,
  shownIn,
  textIn,
} from '../rows.ts';
import { type Database, openDatabase, type SqlValue, type Statement } from './database.ts';
import { putting } from './sqlite-rows.ts';
import { SCHEMA, upgrade } from './sqlite-schema.ts';

/** What a ledger file is opened with. */
export interface SqliteOptions {
  /** Called before the ledger publishes for the first time, by `use` or by `lead`. */
  readonly beforePublishing?: (ledger: SqliteLedger) => Promise<void>;
  readonly beforeClosing?: () => Promise<void>;
  /** Calls back again and again; gives the function that stops it. */
  readonly every?: (millis: number, act: () => void) => () => void;
}

/**
 * Opens (and on first use sets up) a ledger file.
 *
 * @param use to publish, which only one process can at a time, or for anything else beside it
 * @throws UsageError COLLECTION_BUSY when another process publishes; StoreError
 */
export async function openSqliteLedger(
  file: string,
  use: 'publish' | 'assist' = 'assist',
  options: SqliteOptions = {},
): Promise<SqliteLedger> {
  const lock = use === 'publish' ? await lockPublisher(file) : undefined;
  if (use === 'publish' && lock === undefined) {
    throw new UsageError('COLLECTION_BUSY', 'Opening the ledger: another process publishes from it');
  }
  let database: Database | undefined;
  try {
    database = await openDatabase(file);
    // Other processes may be opening it as well: first of all, to wait for them.
    database.exec('PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
    upgrade(database);
    database.exec(SCHEMA);
    const ledger = new SqliteLedger(file, database, lock, options);
    if (lock !== undefined) await options.beforePublishing?.(ledger);
    return ledger;
  } catch (error) {
    database?.close();
    lock?.close();
    if (isTufError(error)) throw error;
    throw new StoreError('STORE_READ', 'Opening the ledger: the database cannot be opened', { cause: error });
  }
}

/**
 * Two publishers would not harm the ledger, but the site could show the older
 * one's timestamp last. The lock is the operating system's: it ends with the process.
 */
async function lockPublisher(ledgerFile: string): Promise<Database | undefined> {
  const lock = await openDatabase(`${ledgerFile}.publisher`);
  try {
    lock.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
    return lock;
  } catch {
    lock.close();
    return undefined; // someone else holds it
  }
}

/** The ledger, and what only the embedded site asks of it. */
export class SqliteLedger implements WholeLedger {
  private readonly path: string;
  private readonly database: Database;
  private readonly options: SqliteOptions;
  private readonly prepared = new Map<string, Statement>();
  /** The right to publish, once we have it. */
  private lock: Database | undefined;
  private leading = false;
  private readonly recorded = new Batch<BlobFacts>((blobs) => {
    this.transaction(() => {
      for (const facts of blobs) this.insertBlob(facts);
    });
  });
  private readonly watches = new Set<() => void>();

  constructor(file: string, database: Database, lock: Database | undefined, options: SqliteOptions) {
    this.path = file;
    this.database = database;
    this.lock = lock;
    this.options = options;
  }

  async head(): Promise<Head | undefined> {
    const row = this.get('SELECT publication, at FROM publications ORDER BY publication DESC LIMIT 1');
    return row && headIn(row);
  }

  async roles(): Promise<readonly RoleRow[]> {
    return this.all('SELECT role, version, length, sha256 FROM roles').map(roleIn);
  }

  async file(role: string, version?: number): Promise<Uint8Array | undefined> {
    const row =
      version === undefined
        ? this.get('SELECT f.bytes FROM roles r JOIN files f USING (role, version) WHERE r.role = ?', role)
        : this.get('SELECT bytes FROM files WHERE role = ? AND version = ?', role, version);
    return row && bytesIn(row, 'bytes');
  }

  async journal(submissions: Parameters<Ledger['journal']>[0]): Promise<void> {
    if (submissions.length === 0) return;
    this.transaction(() => {
      for (const { id, received, text } of submissions) {
        this.run('INSERT OR IGNORE INTO submissions (id, received, text) VALUES (?, ?, ?)', id, received, text);
      }
    });
  }

  async pending(limit = -1): Promise<readonly Journaled[]> {
    return this.all(
      'SELECT * FROM submissions WHERE publication IS NULL AND refusal IS NULL ORDER BY sequence LIMIT ?',
      limit,
    ).map(journaledIn);
  }

  async submission(id: string): Promise<Journaled | undefined> {
    const row = this.get('SELECT * FROM submissions WHERE id = ?', id);
    return row && journaledIn(row);
  }

  async commit(commit: Commit): Promise<boolean> {
    const publication = commit.expected + 1;
    return this.transaction(() => {
      const top = this.get('SELECT MAX(publication) AS publication FROM publications');
      if (Number(top?.['publication'] ?? 0) !== commit.expected) return false;
      this.run('INSERT INTO publications (publication, at) VALUES (?, ?)', publication, commit.at);
      for (const { role, version, bytes, sha256 } of commit.files) {
        this.run(
          'INSERT INTO files (role, version, publication, sha256, bytes) VALUES (?, ?, ?, ?, ?)',
          role,
          version,
          publication,
          sha256,
          bytes,
        );
        this.run(
          'INSERT INTO roles (role, version, length, sha256) VALUES (?, ?, ?, ?) ON CONFLICT (role) DO UPDATE SET version = excluded.version, length = excluded.length, sha256 = excluded.sha256',
          role,
          version,
          bytes.length,
          sha256,
        );
      }
      for (const { path, blob } of commit.targets) {
        this.run(
          'INSERT OR REPLACE INTO shown (path, sha256, publication) VALUES (?, ?, ?)',
          path,
          blob.sha256,
          publication,
        );
      }
      for (const { sequence, text } of commit.decisions ?? []) {
        this.run('INSERT INTO decisions (sequence, text) VALUES (?, ?)', sequence, text);
      }
      for (const id of commit.published) {
        this.run('UPDATE submissions SET publication = ? WHERE id = ?', publication, id);
      }
      for (const { id, refusal } of commit.refused) {
        this.run('UPDATE submissions SET refusal = ? WHERE id = ?', JSON.stringify(refusal), id);
      }
      return true;
    });
  }

  async shown(path: string): Promise<string | undefined> {
    const row = this.get('SELECT sha256 FROM shown WHERE path = ?', path);
    return row && textIn(row, 'sha256');
  }

  async made(publication: number): Promise<Pick<Commit, 'files' | 'targets'>> {
    const files = this.all(
      'SELECT role, version, bytes, sha256 FROM files WHERE publication = ? ORDER BY rowid',
      publication,
    ).map((row) => ({
      role: textIn(row, 'role'),
      version: numberIn(row, 'version'),
      bytes: bytesIn(row, 'bytes'),
      sha256: textIn(row, 'sha256'),
    }));
    return { files, targets: this.targetsMade(publication) };
  }

  /** As {@link SqliteLedger.made}, without the bytes. */
  namesMade(publication: number): {
    readonly files: readonly { readonly role: string; readonly version: number }[];
    readonly targets: Commit['targets'];
  } {
    const files = this.all('SELECT role, version FROM files WHERE publication = ?', publication).map((row) => ({
      role: textIn(row, 'role'),
      version: numberIn(row, 'version'),
    }));
    return { files, targets: this.targetsMade(publication) };
  }

  async recordBlob(facts: BlobFacts): Promise<void> {
    if ((await this.blob(facts.sha256)) === undefined) await this.recorded.add(facts);
  }

  /** Holds the bytes of blobs until their files are durable, with the record of those for which that is wanted. */
  keepFresh(
    blobs: readonly { readonly facts: BlobFacts; readonly bytes: Uint8Array; readonly record: boolean }[],
  ): void {
    this.transaction(() => {
      for (const { facts, bytes, record } of blobs) {
        this.run('INSERT OR REPLACE INTO fresh_blobs (sha256, bytes) VALUES (?, ?)', facts.sha256, bytes);
        if (record) this.insertBlob(facts);
      }
    });
  }

  /** Blobs whose files may not be durable, those that came first. */
  fresh(limit: number): readonly { readonly id: number; readonly sha256: string; readonly bytes: Uint8Array }[] {
    return this.all('SELECT id, sha256, bytes FROM fresh_blobs ORDER BY id LIMIT ?', limit).map((row) => ({
      id: numberIn(row, 'id'),
      sha256: textIn(row, 'sha256'),
      bytes: bytesIn(row, 'bytes'),
    }));
  }

  /** As {@link SqliteLedger.fresh}, without the bytes. */
  freshNames(limit: number): readonly { readonly id: number; readonly sha256: string }[] {
    return this.all('SELECT id, sha256 FROM fresh_blobs ORDER BY id LIMIT ?', limit).map((row) => ({
      id: numberIn(row, 'id'),
      sha256: textIn(row, 'sha256'),
    }));
  }

  /** The files of these are durable. One that was put again since has another id, and stays. */
  settled(ids: readonly number[]): void {
    this.transaction(() => {
      for (const id of ids) this.run('DELETE FROM fresh_blobs WHERE id = ?', id);
    });
  }

  /** Lets go of the bytes of blobs that are to be removed. */
  async forgetFresh(sha256s: readonly string[]): Promise<void> {
    this.transaction(() => {
      for (const sha256 of sha256s) this.run('DELETE FROM fresh_blobs WHERE sha256 = ?', sha256);
    });
  }

  async blob(sha256: string): Promise<BlobFacts | undefined> {
    const row = this.get('SELECT * FROM blobs WHERE sha256 = ?', sha256);
    return row && blobIn(row);
  }

  async addToken(tokenSha256: string, account: string): Promise<void> {
    this.run('INSERT OR REPLACE INTO tokens (sha256, account) VALUES (?, ?)', tokenSha256, account);
  }

  async account(tokenSha256: string): Promise<string | undefined> {
    const row = this.get('SELECT account FROM tokens WHERE sha256 = ?', tokenSha256);
    return row && textIn(row, 'account');
  }

  decisions(from: number): AsyncIterable<DecisionRow> {
    const sql = 'SELECT sequence, text FROM decisions WHERE sequence > ? ORDER BY sequence LIMIT ?';
    return pages(
      from - 1,
      (after, limit) => this.all(sql, after, limit),
      ({ sequence }) => sequence,
      decisionIn,
    );
  }

  held(): AsyncIterable<HeldFile> {
    const sql =
      'SELECT role, version, publication, sha256, length(bytes) AS length FROM files WHERE (role, version) > (?, ?) ORDER BY role, version LIMIT ?';
    return pages(
      { role: '', version: -1 },
      ({ role, version }, limit) => this.all(sql, role, version, limit),
      (file) => file,
      heldIn,
    );
  }

  everShown(): AsyncIterable<ShownTarget> {
    const sql = 'SELECT path, sha256, publication FROM shown WHERE path > ? ORDER BY path LIMIT ?';
    return pages(
      '',
      (after, limit) => this.all(sql, after, limit),
      ({ path }) => path,
      shownIn,
    );
  }

  blobs(): AsyncIterable<BlobFacts> {
    const sql = 'SELECT * FROM blobs WHERE sha256 > ? ORDER BY sha256 LIMIT ?';
    return pages(
      '',
      (after, limit) => this.all(sql, after, limit),
      ({ sha256 }) => sha256,
      blobIn,
    );
  }

  async committedAt(publication: number): Promise<number | undefined> {
    const row = this.get('SELECT at FROM publications WHERE publication = ?', publication);
    return row && numberIn(row, 'at');
  }

  async forgetFiles(files: Parameters<Ledger['forgetFiles']>[0]): Promise<void> {
    this.transaction(() => {
      for (const { role, version } of files) {
        this.run(
          "DELETE FROM files WHERE role = ? AND version = ? AND role <> 'root' AND NOT EXISTS (SELECT 1 FROM roles r WHERE r.role = files.role AND r.version = files.version)",
          role,
          version,
        );
      }
    });
  }

  async forgetBlobs(sha256s: readonly string[]): Promise<void> {
    this.transaction(() => {
      for (const sha256 of sha256s) this.run('DELETE FROM blobs WHERE sha256 = ?', sha256);
    });
  }

  async document(kind: string, id: string): Promise<KeptDocument | undefined> {
    const row = this.get('SELECT * FROM documents WHERE kind = ? AND id = ? AND text IS NOT NULL', kind, id);
    return row && documentIn(row);
  }

  async documents(kind: string): Promise<readonly KeptDocument[]> {
    return this.all('SELECT * FROM documents WHERE kind = ? AND text IS NOT NULL ORDER BY id', kind).map(documentIn);
  }

  async putDocument(kind: string, id: string, revision: number, text: string | undefined): Promise<boolean> {
    if (revision === 0 && text === undefined) return (await this.document(kind, id)) === undefined;
    // A removed document leaves its revision, so that an old one never fits again.
    const changes =
      revision === 0
        ? this.run(
            'INSERT INTO documents (kind, id, revision, text) VALUES (?, ?, 1, ?) ON CONFLICT (kind, id) DO UPDATE SET revision = revision + 1, text = excluded.text WHERE text IS NULL',
            kind,
            id,
            text ?? null,
          )
        : this.run(
            'UPDATE documents SET revision = revision + 1, text = ? WHERE kind = ? AND id = ? AND revision = ? AND text IS NOT NULL',
            text ?? null,
            kind,
            id,
            revision,
          );
    return changes === 1;
  }

  async lead(): Promise<Leadership | undefined> {
    if (this.leading) return undefined;
    this.leading = true;
    try {
      if (this.lock === undefined) {
        this.lock = await lockPublisher(this.path);
        if (this.lock !== undefined) await this.options.beforePublishing?.(this);
      }
    } catch (error) {
      this.unlock();
      throw error;
    }
    if (this.lock === undefined) {
      this.leading = false;
      return undefined;
    }
    return {
      lost: new Promise(() => undefined), // the lock lasts as long as the process
      release: async () => this.unlock(),
    };
  }

  watch(changed: () => void): () => void {
    const every = this.options.every ?? everyMillis;
    // Counts the commits of other connections.
    const version = (): number => numberIn(this.get('PRAGMA data_version') ?? {}, 'data_version');
    let seen = version();
    const stop = every(WATCH_MILLIS, () => {
      const now = version();
      if (now === seen) return;
      seen = now;
      changed();
    });
    this.watches.add(stop);
    return () => {
      stop();
      this.watches.delete(stop);
    };
  }

  publications(): AsyncIterable<Head> {
    const sql = 'SELECT publication, at FROM publications WHERE publication > ? ORDER BY publication LIMIT ?';
    return pages(
      0,
      (after, limit) => this.all(sql, after, limit),
      ({ publication }) => publication,
      headIn,
    );
  }

  submissions(): AsyncIterable<Journaled> {
    const sql = `SELECT * FROM submissions WHERE sequence > (SELECT coalesce(max(sequence), 0) FROM submissions WHERE id = ?)
      ORDER BY sequence LIMIT ?`;
    return pages(
      '',
      (after, limit) => this.all(sql, after, limit),
      ({ id }) => id,
      journaledIn,
    );
  }

  everyDocument(): AsyncIterable<KeptDocument> {
    const sql = 'SELECT * FROM documents WHERE (kind, id) > (?, ?) AND text IS NOT NULL ORDER BY kind, id LIMIT ?';
    return pages(
      { kind: '', id: '' },
      ({ kind, id }, limit) => this.all(sql, kind, id, limit),
      (document) => document,
      documentIn,
    );
  }

  accounts(): AsyncIterable<Account> {
    const sql = 'SELECT sha256, account FROM tokens WHERE sha256 > ? ORDER BY sha256 LIMIT ?';
    return pages(
      '',
      (after, limit) => this.all(sql, after, limit),
      ({ tokenSha256 }) => tokenSha256,
      accountIn,
    );
  }

  async put(rows: LedgerRows): Promise<void> {
    this.transaction(() => {
      for (const [sql, ...values] of putting(rows)) this.run(sql, ...values);
    });
  }

  async close(): Promise<void> {
    for (const stop of this.watches) stop();
    await this.options.beforeClosing?.();
    await this.recorded.settled();
    this.database.close();
    this.unlock();
  }

  private insertBlob({ sha256, sha512, length }: BlobFacts): void {
    this.run('INSERT OR IGNORE INTO blobs (sha256, sha512, length) VALUES (?, ?, ?)', sha256, sha512, length);
  }

  private targetsMade(publication: number): Commit['targets'] {
    return this.all(
      'SELECT s.path, b.* FROM shown s JOIN blobs b USING (sha256) WHERE s.publication = ?',
      publication,
    ).map((row) => ({ path: textIn(row, 'path'), blob: blobIn(row) }));
  }

  private unlock(): void {
    this.lock?.close();
    this.lock = undefined;
    this.leading = false;
  }

  private transaction<T>(body: () => T): T {
    return this.guard('STORE_WRITE', () => {
      this.database.exec('BEGIN IMMEDIATE');
      try {
        const result = body();
        this.database.exec('COMMIT');
        return result;
      } catch (error) {
        try {
          this.database.exec('ROLLBACK');
        } catch {
          // A full disk has rolled it back already; the first failure is the one to tell.
        }
        throw error;
      }
    });
  }

  private run(sql: string, ...values: readonly SqlValue[]): number {
    return this.guard('STORE_WRITE', () => Number(this.statement(sql).run(...values).changes));
  }

  private get(sql: string, ...values: readonly SqlValue[]): Row | undefined {
    return this.guard('STORE_READ', () => this.statement(sql).get(...values));
  }

  private all(sql: string, ...values: readonly SqlValue[]): Row[] {
    return this.guard('STORE_READ', () => this.statement(sql).all(...values));
  }

  private statement(sql: string): Statement {
    const known = this.prepared.get(sql) ?? this.database.prepare(sql);
    this.prepared.set(sql, known);
    return known;
  }

  private guard<T>(code: 'STORE_READ' | 'STORE_WRITE', body: () => T): T {
    try {
      return body();
    } catch (error) {
      if (isTufError(error)) throw error;
      const doing = code === 'STORE_READ' ? 'Reading' : 'Writing';
      throw new StoreError(code, `${doing} the ledger: the database refused`, { cause: error });
    }
  }
}

function everyMillis(millis: number, act: () => void): () => void {
  const timer = setInterval(act, millis).unref();
  return () => clearInterval(timer);
}

const WATCH_MILLIS = 20; // a look at a counter in shared memory
