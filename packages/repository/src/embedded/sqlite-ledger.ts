// The ledger on SQLite: one file per collection, write-ahead log, every commit
// fsynced. A publication is one transaction: role files, targets, outcomes of
// submissions and the head move together or not at all.

import { type Code, isCode, isTufError, StoreError, UsageError } from '@countersign/core';
import type { BlobFacts, Commit, Head, Journaled, Ledger, RoleRow } from '../ports.ts';
import { type Database, openDatabase, type Row } from './database.ts';

/**
 * Opens (and on first use sets up) a ledger file.
 *
 * @param use to publish, which only one process can at a time, or for anything else beside it
 * @throws UsageError COLLECTION_BUSY when another process publishes; StoreError
 */
export async function openSqliteLedger(file: string, use: 'publish' | 'assist' = 'assist'): Promise<Ledger> {
  const lock = use === 'publish' ? await lockPublisher(`${file}.publisher`) : undefined;
  try {
    const database = await openDatabase(file);
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;');
    database.exec(SCHEMA);
    return new SqliteLedger(database, lock);
  } catch (error) {
    lock?.close();
    throw new StoreError('STORE_READ', 'Opening the ledger: the database cannot be opened', { cause: error });
  }
}

/**
 * Two publishers would not harm the ledger, but the site could show the older
 * one's timestamp last. The lock is the operating system's: it ends with the process.
 */
async function lockPublisher(file: string): Promise<Database> {
  const lock = await openDatabase(file);
  try {
    lock.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    throw new UsageError('COLLECTION_BUSY', 'Opening the ledger: another process publishes from it', { cause: error });
  }
}

class SqliteLedger implements Ledger {
  private readonly database: Database;
  private readonly prepared = new Map<string, ReturnType<Database['prepare']>>();

  private readonly lock: Database | undefined;

  constructor(database: Database, lock: Database | undefined) {
    this.database = database;
    this.lock = lock;
  }

  async head(): Promise<Head | undefined> {
    const row = this.get('SELECT publication, at FROM publications ORDER BY publication DESC LIMIT 1');
    return row && { publication: numberIn(row, 'publication'), at: numberIn(row, 'at') };
  }

  async roles(): Promise<readonly RoleRow[]> {
    return this.all('SELECT role, version, length, sha256 FROM roles').map((row) => ({
      role: textIn(row, 'role'),
      version: numberIn(row, 'version'),
      length: numberIn(row, 'length'),
      sha256: textIn(row, 'sha256'),
    }));
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

  async pending(): Promise<readonly Journaled[]> {
    return this.all('SELECT * FROM submissions WHERE publication IS NULL AND refusal IS NULL ORDER BY sequence').map(
      journaledOf,
    );
  }

  async submission(id: string): Promise<Journaled | undefined> {
    const row = this.get('SELECT * FROM submissions WHERE id = ?', id);
    return row && journaledOf(row);
  }

  async commit(commit: Commit): Promise<boolean> {
    const publication = commit.expected + 1;
    return this.transaction(() => {
      const top = this.get('SELECT MAX(publication) AS publication FROM publications');
      if (Number(top?.['publication'] ?? 0) !== commit.expected) return false;
      this.run('INSERT INTO publications (publication, at) VALUES (?, ?)', publication, commit.at);
      for (const { role, version, bytes, sha256 } of commit.files) {
        this.run(
          'INSERT INTO files (role, version, publication, bytes) VALUES (?, ?, ?, ?)',
          role,
          version,
          publication,
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
      'SELECT f.role, f.version, f.bytes, r.sha256 FROM files f JOIN roles r USING (role, version) WHERE f.publication = ?',
      publication,
    ).map((row) => ({
      role: textIn(row, 'role'),
      version: numberIn(row, 'version'),
      bytes: bytesIn(row, 'bytes'),
      sha256: textIn(row, 'sha256'),
    }));
    const targets = this.all(
      'SELECT s.path, b.* FROM shown s JOIN blobs b USING (sha256) WHERE s.publication = ?',
      publication,
    ).map((row) => ({ path: textIn(row, 'path'), blob: blobOf(row) }));
    return { files, targets };
  }

  async recordBlob({ sha256, sha512, length }: BlobFacts): Promise<void> {
    this.run('INSERT OR IGNORE INTO blobs (sha256, sha512, length) VALUES (?, ?, ?)', sha256, sha512, length);
  }

  async blob(sha256: string): Promise<BlobFacts | undefined> {
    const row = this.get('SELECT * FROM blobs WHERE sha256 = ?', sha256);
    return row && blobOf(row);
  }

  async addToken(tokenSha256: string, account: string): Promise<void> {
    this.run('INSERT OR REPLACE INTO tokens (sha256, account) VALUES (?, ?)', tokenSha256, account);
  }

  async account(tokenSha256: string): Promise<string | undefined> {
    const row = this.get('SELECT account FROM tokens WHERE sha256 = ?', tokenSha256);
    return row && textIn(row, 'account');
  }

  async close(): Promise<void> {
    this.database.close();
    this.lock?.close();
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

  private run(sql: string, ...values: Parameters<ReturnType<Database['prepare']>['run']>): void {
    this.guard('STORE_WRITE', () => this.statement(sql).run(...values));
  }

  private get(sql: string, ...values: Parameters<ReturnType<Database['prepare']>['get']>): Row | undefined {
    return this.guard('STORE_READ', () => this.statement(sql).get(...values));
  }

  private all(sql: string, ...values: Parameters<ReturnType<Database['prepare']>['all']>): Row[] {
    return this.guard('STORE_READ', () => this.statement(sql).all(...values));
  }

  private statement(sql: string): ReturnType<Database['prepare']> {
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

function journaledOf(row: Row): Journaled {
  const refusal = row['refusal'];
  const publication = row['publication'];
  return {
    id: textIn(row, 'id'),
    received: numberIn(row, 'received'),
    text: textIn(row, 'text'),
    publication: publication === null ? undefined : Number(publication),
    refusal: typeof refusal === 'string' ? refusalOf(refusal) : undefined,
  };
}

function refusalOf(text: string): NonNullable<Journaled['refusal']> {
  const { code, message, detail } = JSON.parse(text) as {
    code: string;
    message: string;
    detail: Record<string, string>;
  };
  const known: Code = isCode(code) ? code : 'SUBMISSION_INVALID';
  return { code: known, message, detail };
}

function blobOf(row: Row): BlobFacts {
  return { sha256: textIn(row, 'sha256'), sha512: textIn(row, 'sha512'), length: numberIn(row, 'length') };
}

function textIn(row: Row, column: string): string {
  return String(row[column] ?? '');
}

function numberIn(row: Row, column: string): number {
  return Number(row[column]);
}

function bytesIn(row: Row, column: string): Uint8Array {
  const value = row[column];
  return value instanceof Uint8Array ? new Uint8Array(value) : new Uint8Array();
}

const SCHEMA = `
CREATE TABLE IF NOT EXISTS publications (publication INTEGER PRIMARY KEY, at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS files (
  role TEXT NOT NULL, version INTEGER NOT NULL, publication INTEGER NOT NULL, bytes BLOB NOT NULL,
  PRIMARY KEY (role, version)
) STRICT;
CREATE INDEX IF NOT EXISTS files_by_publication ON files (publication);
CREATE TABLE IF NOT EXISTS roles (
  role TEXT PRIMARY KEY, version INTEGER NOT NULL, length INTEGER NOT NULL, sha256 TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shown (path TEXT PRIMARY KEY, sha256 TEXT NOT NULL, publication INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS shown_by_publication ON shown (publication);
CREATE TABLE IF NOT EXISTS blobs (sha256 TEXT PRIMARY KEY, sha512 TEXT NOT NULL, length INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS submissions (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, received INTEGER NOT NULL, text TEXT NOT NULL,
  publication INTEGER, refusal TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS submissions_pending ON submissions (sequence) WHERE publication IS NULL AND refusal IS NULL;
CREATE TABLE IF NOT EXISTS tokens (sha256 TEXT PRIMARY KEY, account TEXT NOT NULL) STRICT, WITHOUT ROWID;
`;
