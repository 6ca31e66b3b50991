// The tables of the SQLite ledger, and how a file of an earlier version becomes
// one of this version. Nothing here reads or writes what they mean.

import { createHash } from 'node:crypto';
import type { Database } from './database.ts';

/** Brings a file that an earlier version made up to date, in one transaction. */
export function upgrade(database: Database): void {
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
  const made = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'files'").get() !== undefined;
  if (version >= VERSION) return;
  database.exec('BEGIN IMMEDIATE');
  try {
    // Another process may have done it since.
    const still = Number(database.prepare('PRAGMA user_version').get()?.['user_version']) < VERSION;
    if (still && made) addDigests(database);
    database.exec(`PRAGMA user_version = ${VERSION}; COMMIT`);
  } catch (error) {
    database.exec('ROLLBACK');
    throw error;
  }
}

/** Version 0 kept no digest beside a role file that is no longer current. */
function addDigests(database: Database): void {
  database.exec('DROP INDEX files_by_publication; ALTER TABLE files RENAME TO files_before');
  database.exec(FILES);
  const copy = database.prepare(
    'INSERT INTO files (rowid, role, version, publication, sha256, bytes) SELECT rowid, role, version, publication, ?, bytes FROM files_before WHERE rowid = ?',
  );
  const next = database.prepare('SELECT min(rowid) AS id, bytes FROM files_before WHERE rowid > ?');
  for (let row = next.get(0); row?.['id'] != null; row = next.get(row['id'])) {
    copy.run(
      createHash('sha256')
        .update(row['bytes'] as Uint8Array)
        .digest('hex'),
      row['id'],
    );
  }
  database.exec('DROP TABLE files_before');
}

// Before the bytes, so that it is read without them.
const FILES = `
CREATE TABLE IF NOT EXISTS files (
  role TEXT NOT NULL, version INTEGER NOT NULL, publication INTEGER NOT NULL, sha256 TEXT NOT NULL, bytes BLOB NOT NULL,
  PRIMARY KEY (role, version)
) STRICT;
CREATE INDEX IF NOT EXISTS files_by_publication ON files (publication);
`;

/** The tables, where they are missing. */
export const SCHEMA = `
CREATE TABLE IF NOT EXISTS publications (publication INTEGER PRIMARY KEY, at INTEGER NOT NULL) STRICT;
${FILES}
CREATE TABLE IF NOT EXISTS roles (
  role TEXT PRIMARY KEY, version INTEGER NOT NULL, length INTEGER NOT NULL, sha256 TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shown (path TEXT PRIMARY KEY, sha256 TEXT NOT NULL, publication INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS shown_by_publication ON shown (publication);
CREATE TABLE IF NOT EXISTS blobs (sha256 TEXT PRIMARY KEY, sha512 TEXT NOT NULL, length INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fresh_blobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT, sha256 TEXT NOT NULL UNIQUE, bytes BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS decisions (sequence INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS submissions (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, received INTEGER NOT NULL, text TEXT NOT NULL,
  publication INTEGER, refusal TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS submissions_pending ON submissions (sequence) WHERE publication IS NULL AND refusal IS NULL;
CREATE TABLE IF NOT EXISTS documents (
  kind TEXT NOT NULL, id TEXT NOT NULL, revision INTEGER NOT NULL, text TEXT, PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tokens (sha256 TEXT PRIMARY KEY, account TEXT NOT NULL) STRICT, WITHOUT ROWID;
`;

/** Of the file, in its `user_version`. */
const VERSION = 1;
