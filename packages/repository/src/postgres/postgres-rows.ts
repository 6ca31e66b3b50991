// How rows are put into the PostgreSQL ledger as they are, for restore, rebuild
// and repair, many with each statement. What they mean is postgres-ledger.ts's
// business.

import type { LedgerRows } from '../ports.ts';
import type { PgValue, Query } from './connections.ts';

/** Puts rows in place, in a transaction that is under way. @param attempt marks the publications as of nobody's making */
export async function putRows(rows: LedgerRows, collection: number, attempt: string, query: Query): Promise<void> {
  const put = async <T>(
    given: readonly T[] | undefined,
    sql: string,
    ...columns: readonly ((row: T) => string | number | null | Uint8Array)[]
  ): Promise<void> => {
    if (given === undefined || given.length === 0) return;
    const values: readonly PgValue[] = columns.map((column) => given.map(column));
    await query(sql, collection, ...values);
  };
  await put(
    rows.files,
    `INSERT INTO countersign.files SELECT $1, role, version, publication, place, length(bytes), sha256, bytes
     FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::bytea[])
       WITH ORDINALITY AS given (role, version, publication, sha256, bytes, place)
     ON CONFLICT (collection, role, version) DO UPDATE
       SET publication = excluded.publication, length = excluded.length, sha256 = excluded.sha256, bytes = excluded.bytes`,
    ({ role }) => role,
    ({ version }) => version,
    ({ publication }) => publication,
    ({ sha256 }) => sha256,
    ({ bytes }) => bytes,
  );
  await put(
    rows.roles,
    `INSERT INTO countersign.roles SELECT $1, * FROM unnest($2::text[], $3::bigint[], $4::integer[], $5::text[])
     ON CONFLICT (collection, role) DO UPDATE SET version = excluded.version, length = excluded.length, sha256 = excluded.sha256`,
    ({ role }) => role,
    ({ version }) => version,
    ({ length }) => length,
    ({ sha256 }) => sha256,
  );
  await put(
    lastOf(rows.shown, ({ path }) => path),
    `INSERT INTO countersign.shown SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bigint[])
     ON CONFLICT (collection, path) DO UPDATE SET sha256 = excluded.sha256, publication = excluded.publication`,
    ({ path }) => path,
    ({ sha256 }) => sha256,
    ({ publication }) => publication,
  );
  await put(
    lastOf(rows.blobs, ({ sha256 }) => sha256),
    `INSERT INTO countersign.blobs SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bigint[])
     ON CONFLICT (collection, sha256) DO UPDATE SET sha512 = excluded.sha512, length = excluded.length`,
    ({ sha256 }) => sha256,
    ({ sha512 }) => sha512,
    ({ length }) => length,
  );
  await put(
    rows.decisions,
    `INSERT INTO countersign.decisions SELECT $1, * FROM unnest($2::bigint[], $3::text[])
     ON CONFLICT (collection, sequence) DO UPDATE SET text = excluded.text`,
    ({ sequence }) => sequence,
    ({ text }) => text,
  );
  await put(
    rows.submissions,
    `INSERT INTO countersign.submissions (collection, id, received, text, publication, refusal)
     SELECT $1, id, received, text, publication, refusal
     FROM unnest($2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::text[])
       WITH ORDINALITY AS given (id, received, text, publication, refusal, place) ORDER BY place
     ON CONFLICT (collection, id) DO UPDATE SET received = excluded.received, text = excluded.text,
       publication = excluded.publication, refusal = excluded.refusal`,
    ({ id }) => id,
    ({ received }) => received,
    ({ text }) => text,
    ({ publication }) => publication ?? null,
    ({ refusal }) => (refusal === undefined ? null : JSON.stringify(refusal)),
  );
  await put(
    rows.documents,
    `INSERT INTO countersign.documents SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bigint[], $5::text[])
     ON CONFLICT (collection, kind, id) DO UPDATE SET revision = excluded.revision, text = excluded.text`,
    ({ kind }) => kind,
    ({ id }) => id,
    ({ revision }) => revision,
    ({ text }) => text,
  );
  await put(
    rows.accounts,
    `INSERT INTO countersign.tokens SELECT $1, * FROM unnest($2::text[], $3::text[])
     ON CONFLICT (collection, sha256) DO UPDATE SET account = excluded.account`,
    ({ tokenSha256 }) => tokenSha256,
    ({ account }) => account,
  );
  await put(
    rows.publications,
    `INSERT INTO countersign.publications SELECT $1, publication, at, attempt::uuid
     FROM unnest($2::bigint[], $3::bigint[], $4::text[]) AS given (publication, at, attempt)
     ON CONFLICT (collection, publication) DO UPDATE SET at = excluded.at`,
    ({ publication }) => publication,
    ({ at }) => at,
    () => attempt,
  );
  await query(
    `UPDATE countersign.collections SET publication =
       (SELECT coalesce(max(publication), 0) FROM countersign.publications WHERE collection = $1) WHERE id = $1`,
    collection,
  );
}

/** The last of those with the same key: one statement may touch a row only once. */
function lastOf<T>(rows: readonly T[] | undefined, keyOf: (row: T) => string): readonly T[] {
  return [...new Map((rows ?? []).map((row) => [keyOf(row), row])).values()];
}
