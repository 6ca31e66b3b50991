// How rows are put into the SQLite ledger as they are, for restore, rebuild and
// repair: one statement each. What they mean is sqlite-ledger.ts's business.

import type { LedgerRows } from '../ports.ts';
import type { SqlValue } from './database.ts';

/** The statements that put rows in place. */
export function* putting(rows: LedgerRows): Generator<readonly [sql: string, ...values: SqlValue[]], void> {
  for (const { role, version, publication, sha256, bytes } of rows.files ?? [])
    yield [
      `${PUT} files (role, version, publication, sha256, bytes) VALUES (?, ?, ?, ?, ?)`,
      role,
      version,
      publication,
      sha256,
      bytes,
    ];
  for (const { role, version, length, sha256 } of rows.roles ?? [])
    yield [`${PUT} roles (role, version, length, sha256) VALUES (?, ?, ?, ?)`, role, version, length, sha256];
  for (const { path, sha256, publication } of rows.shown ?? [])
    yield [`${PUT} shown (path, sha256, publication) VALUES (?, ?, ?)`, path, sha256, publication];
  for (const { sha256, sha512, length } of rows.blobs ?? [])
    yield [`${PUT} blobs (sha256, sha512, length) VALUES (?, ?, ?)`, sha256, sha512, length];
  for (const { sequence, text } of rows.decisions ?? [])
    yield [`${PUT} decisions (sequence, text) VALUES (?, ?)`, sequence, text];
  for (const { id, received, text, publication = null, refusal } of rows.submissions ?? [])
    yield [PUT_SUBMISSION, id, received, text, publication, refusal === undefined ? null : JSON.stringify(refusal)];
  for (const { kind, id, revision, text } of rows.documents ?? [])
    yield [`${PUT} documents (kind, id, revision, text) VALUES (?, ?, ?, ?)`, kind, id, revision, text];
  for (const { tokenSha256, account } of rows.accounts ?? [])
    yield [`${PUT} tokens (sha256, account) VALUES (?, ?)`, tokenSha256, account];
  for (const { publication, at } of rows.publications ?? [])
    yield [`${PUT} publications (publication, at) VALUES (?, ?)`, publication, at];
}

const PUT = 'INSERT OR REPLACE INTO';
// Keeps its place in the journal.
const PUT_SUBMISSION =
  'INSERT INTO submissions (id, received, text, publication, refusal) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET received = excluded.received, text = excluded.text, publication = excluded.publication, refusal = excluded.refusal';
