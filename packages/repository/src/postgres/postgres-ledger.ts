// The ledger on PostgreSQL: many collections in one database, each by its own
// number. A publication is one transaction that begins by moving the head, so
// that of two publishers the second waits for the first and then changes
// nothing. When the answer to a commit is lost, the ledger is asked whether it
// happened.

import { randomUUID } from 'node:crypto';
import { StoreError } from '@countersign/core';
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
  RoleFile,
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
  roleIn,
  shownIn,
  textIn,
} from '../rows.ts';
import { type Connections, LostAnswer, type Query } from './connections.ts';
import { putRows } from './postgres-rows.ts';
import { CHANNEL, type Session } from './session.ts';

/** The ledger of one collection. */
export class PostgresLedger implements WholeLedger {
  private readonly connections: Connections;
  private readonly session: Session;
  private readonly collection: number;
  private leadership: Leadership | undefined;
  private readonly watches = new Set<() => void>();
  private readonly recorded = new Batch<BlobFacts>(async (blobs) => {
    await this.connections.write(
      'INSERT INTO countersign.blobs SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bigint[]) ON CONFLICT DO NOTHING',
      this.collection,
      blobs.map(({ sha256 }) => sha256),
      blobs.map(({ sha512 }) => sha512),
      blobs.map(({ length }) => length),
    );
  });

  /** @param collection the collection's number */
  constructor(connections: Connections, session: Session, collection: number) {
    this.connections = connections;
    this.session = session;
    this.collection = collection;
  }

  async head(): Promise<Head | undefined> {
    const [row] = await this.connections.read(
      'SELECT publication, at FROM countersign.publications WHERE collection = $1 ORDER BY publication DESC LIMIT 1',
      this.collection,
    );
    return row && headIn(row);
  }

  async roles(): Promise<readonly RoleRow[]> {
    const sql = 'SELECT role, version, length, sha256 FROM countersign.roles WHERE collection = $1';
    return (await this.connections.read(sql, this.collection)).map(roleIn);
  }

  async file(role: string, version?: number): Promise<Uint8Array | undefined> {
    const { connections, collection } = this;
    const [row] =
      version === undefined
        ? await connections.read(
            'SELECT bytes FROM countersign.roles JOIN countersign.files USING (collection, role, version) WHERE collection = $1 AND role = $2',
            collection,
            role,
          )
        : await connections.read(
            'SELECT bytes FROM countersign.files WHERE collection = $1 AND role = $2 AND version = $3',
            collection,
            role,
            version,
          );
    return row && bytesIn(row, 'bytes');
  }

  async journal(submissions: Parameters<Ledger['journal']>[0]): Promise<void> {
    if (submissions.length === 0) return;
    await this.connections.write(
      `WITH added AS (
         INSERT INTO countersign.submissions (collection, id, received, text)
         SELECT $1, id, received, text FROM unnest($2::text[], $3::bigint[], $4::text[])
           WITH ORDINALITY AS given (id, received, text, place) ORDER BY place
         ON CONFLICT DO NOTHING)
       SELECT pg_notify('${CHANNEL}', $1::integer::text)`,
      this.collection,
      submissions.map(({ id }) => id),
      submissions.map(({ received }) => received),
      submissions.map(({ text }) => text),
    );
  }

  async pending(limit?: number): Promise<readonly Journaled[]> {
    const rows = await this.connections.read(
      'SELECT * FROM countersign.submissions WHERE collection = $1 AND publication IS NULL AND refusal IS NULL ORDER BY sequence LIMIT $2',
      this.collection,
      limit ?? null,
    );
    return rows.map(journaledIn);
  }

  async submission(id: string): Promise<Journaled | undefined> {
    const sql = 'SELECT * FROM countersign.submissions WHERE collection = $1 AND id = $2';
    const [row] = await this.connections.read(sql, this.collection, id);
    return row && journaledIn(row);
  }

  async commit(commit: Commit): Promise<boolean> {
    // Only has to differ from other attempts at the same publication.
    const attempt = randomUUID();
    try {
      return await this.connections.transaction(async (query) => {
        const moved = await query(
          'UPDATE countersign.collections SET publication = $2 WHERE id = $1 AND publication = $3 RETURNING id',
          this.collection,
          commit.expected + 1,
          commit.expected,
        );
        if (moved.length === 0) return false;
        await this.add(commit, attempt, query);
        return true;
      });
    } catch (error) {
      if (error instanceof LostAnswer) return await this.happened(commit.expected + 1, attempt, error.failure);
      throw error;
    }
  }

  async shown(path: string): Promise<string | undefined> {
    const sql = 'SELECT sha256 FROM countersign.shown WHERE collection = $1 AND path = $2';
    const [row] = await this.connections.read(sql, this.collection, path);
    return row && textIn(row, 'sha256');
  }

  async made(publication: number): Promise<Pick<Commit, 'files' | 'targets'>> {
    const { connections, collection } = this;
    const files = await connections.read(
      'SELECT role, version, sha256, bytes FROM countersign.files WHERE collection = $1 AND publication = $2 ORDER BY place',
      collection,
      publication,
    );
    const targets = await connections.read(
      'SELECT path, blobs.* FROM countersign.shown JOIN countersign.blobs USING (collection, sha256) WHERE collection = $1 AND publication = $2 ORDER BY path',
      collection,
      publication,
    );
    return {
      files: files.map((row) => ({
        role: textIn(row, 'role'),
        version: numberIn(row, 'version'),
        sha256: textIn(row, 'sha256'),
        bytes: bytesIn(row, 'bytes'),
      })),
      targets: targets.map((row) => ({ path: textIn(row, 'path'), blob: blobIn(row) })),
    };
  }

  async recordBlob(facts: BlobFacts): Promise<void> {
    await this.recorded.add(facts);
  }

  async blob(sha256: string): Promise<BlobFacts | undefined> {
    const sql = 'SELECT * FROM countersign.blobs WHERE collection = $1 AND sha256 = $2';
    const [row] = await this.connections.read(sql, this.collection, sha256);
    return row && blobIn(row);
  }

  decisions(from: number): AsyncIterable<DecisionRow> {
    const sql =
      'SELECT sequence, text FROM countersign.decisions WHERE collection = $1 AND sequence > $2 ORDER BY sequence LIMIT $3';
    return pages(
      from - 1,
      (after, limit) => this.connections.read(sql, this.collection, after, limit),
      ({ sequence }) => sequence,
      decisionIn,
    );
  }

  held(): AsyncIterable<HeldFile> {
    const sql =
      'SELECT role, version, publication, length, sha256 FROM countersign.files WHERE collection = $1 AND (role, version) > ($2, $3) ORDER BY role, version LIMIT $4';
    return pages(
      { role: '', version: -1 },
      ({ role, version }, limit) => this.connections.read(sql, this.collection, role, version, limit),
      (file) => file,
      heldIn,
    );
  }

  everShown(): AsyncIterable<ShownTarget> {
    const sql =
      'SELECT path, sha256, publication FROM countersign.shown WHERE collection = $1 AND path > $2 ORDER BY path LIMIT $3';
    return pages(
      '',
      (after, limit) => this.connections.read(sql, this.collection, after, limit),
      ({ path }) => path,
      shownIn,
    );
  }

  blobs(): AsyncIterable<BlobFacts> {
    const sql = 'SELECT * FROM countersign.blobs WHERE collection = $1 AND sha256 > $2 ORDER BY sha256 LIMIT $3';
    return pages(
      '',
      (after, limit) => this.connections.read(sql, this.collection, after, limit),
      ({ sha256 }) => sha256,
      blobIn,
    );
  }

  async committedAt(publication: number): Promise<number | undefined> {
    const sql = 'SELECT at FROM countersign.publications WHERE collection = $1 AND publication = $2';
    const [row] = await this.connections.read(sql, this.collection, publication);
    return row && numberIn(row, 'at');
  }

  async forgetFiles(files: Parameters<Ledger['forgetFiles']>[0]): Promise<void> {
    await this.connections.write(
      `DELETE FROM countersign.files f USING unnest($2::text[], $3::bigint[]) AS asked (role, version)
       WHERE f.collection = $1 AND f.role = asked.role AND f.version = asked.version AND f.role <> 'root'
         AND NOT EXISTS (SELECT FROM countersign.roles r WHERE (r.collection, r.role, r.version) = (f.collection, f.role, f.version))`,
      this.collection,
      files.map(({ role }) => role),
      files.map(({ version }) => version),
    );
  }

  async forgetBlobs(sha256s: readonly string[]): Promise<void> {
    const sql = 'DELETE FROM countersign.blobs WHERE collection = $1 AND sha256 = ANY ($2::text[])';
    await this.connections.write(sql, this.collection, sha256s);
  }

  async document(kind: string, id: string): Promise<KeptDocument | undefined> {
    const sql =
      'SELECT * FROM countersign.documents WHERE collection = $1 AND kind = $2 AND id = $3 AND text IS NOT NULL';
    const [row] = await this.connections.read(sql, this.collection, kind, id);
    return row && documentIn(row);
  }

  async documents(kind: string): Promise<readonly KeptDocument[]> {
    const sql =
      'SELECT * FROM countersign.documents WHERE collection = $1 AND kind = $2 AND text IS NOT NULL ORDER BY id';
    return (await this.connections.read(sql, this.collection, kind)).map(documentIn);
  }

  async putDocument(kind: string, id: string, revision: number, text: string | undefined): Promise<boolean> {
    if (revision === 0 && text === undefined) return (await this.document(kind, id)) === undefined;
    // A removed document leaves its revision, so that an old one never fits again.
    const sql =
      revision === 0
        ? `INSERT INTO countersign.documents AS d VALUES ($1, $2, $3, $4::bigint + 1, $5)
           ON CONFLICT (collection, kind, id) DO UPDATE SET revision = d.revision + 1, text = excluded.text
           WHERE d.text IS NULL RETURNING revision`
        : `UPDATE countersign.documents SET revision = revision + 1, text = $5
           WHERE collection = $1 AND kind = $2 AND id = $3 AND revision = $4 AND text IS NOT NULL RETURNING revision`;
    const written = await this.connections.writeOnce(sql, this.collection, kind, id, revision, text ?? null);
    return written.length === 1;
  }

  async lead(): Promise<Leadership | undefined> {
    const leadership = await this.session.lead(this.collection);
    this.leadership = leadership ?? this.leadership;
    return leadership;
  }

  watch(changed: () => void): () => void {
    const stop = this.session.watch(this.collection, changed);
    this.watches.add(stop);
    return () => {
      stop();
      this.watches.delete(stop);
    };
  }

  async addToken(tokenSha256: string, account: string): Promise<void> {
    await this.connections.write(
      'INSERT INTO countersign.tokens VALUES ($1, $2, $3) ON CONFLICT (collection, sha256) DO UPDATE SET account = excluded.account',
      this.collection,
      tokenSha256,
      account,
    );
  }

  async account(tokenSha256: string): Promise<string | undefined> {
    const sql = 'SELECT account FROM countersign.tokens WHERE collection = $1 AND sha256 = $2';
    const [row] = await this.connections.read(sql, this.collection, tokenSha256);
    return row && textIn(row, 'account');
  }

  publications(): AsyncIterable<Head> {
    const sql =
      'SELECT publication, at FROM countersign.publications WHERE collection = $1 AND publication > $2 ORDER BY publication LIMIT $3';
    return pages(
      0,
      (after, limit) => this.connections.read(sql, this.collection, after, limit),
      ({ publication }) => publication,
      headIn,
    );
  }

  submissions(): AsyncIterable<Journaled> {
    const sql = `SELECT * FROM countersign.submissions WHERE collection = $1 AND sequence >
        (SELECT coalesce(max(sequence), 0) FROM countersign.submissions WHERE collection = $1 AND id = $2)
      ORDER BY sequence LIMIT $3`;
    return pages(
      '',
      (after, limit) => this.connections.read(sql, this.collection, after, limit),
      ({ id }) => id,
      journaledIn,
    );
  }

  everyDocument(): AsyncIterable<KeptDocument> {
    const sql =
      'SELECT * FROM countersign.documents WHERE collection = $1 AND (kind, id) > ($2, $3) AND text IS NOT NULL ORDER BY kind, id LIMIT $4';
    return pages(
      { kind: '', id: '' },
      ({ kind, id }, limit) => this.connections.read(sql, this.collection, kind, id, limit),
      (document) => document,
      documentIn,
    );
  }

  accounts(): AsyncIterable<Account> {
    const sql =
      'SELECT sha256, account FROM countersign.tokens WHERE collection = $1 AND sha256 > $2 ORDER BY sha256 LIMIT $3';
    return pages(
      '',
      (after, limit) => this.connections.read(sql, this.collection, after, limit),
      ({ tokenSha256 }) => tokenSha256,
      accountIn,
    );
  }

  async put(rows: LedgerRows): Promise<void> {
    await this.connections
      .transaction(async (query) => await putRows(rows, this.collection, randomUUID(), query))
      .catch((error: unknown) => {
        throw error instanceof LostAnswer ? error.failure : error; // it may be put again
      });
  }

  async close(): Promise<void> {
    for (const stop of this.watches) stop();
    await this.leadership?.release();
    await this.recorded.settled();
  }

  /** Everything of a commit but the move of the head. */
  private async add(commit: Commit, attempt: string, query: Query): Promise<void> {
    const { collection } = this;
    const publication = commit.expected + 1;
    await query(
      'INSERT INTO countersign.publications VALUES ($1, $2, $3, $4)',
      collection,
      publication,
      commit.at,
      attempt,
    );
    await this.addFiles(commit.files, publication, query);
    // Of several with one name the last counts.
    const targets = [...new Map(commit.targets.map((target) => [target.path, target])).values()];
    if (targets.length > 0) {
      await query(
        `INSERT INTO countersign.shown SELECT $1, path, sha256, $2 FROM unnest($3::text[], $4::text[]) AS given (path, sha256)
         ON CONFLICT (collection, path) DO UPDATE SET sha256 = excluded.sha256, publication = excluded.publication`,
        collection,
        publication,
        targets.map(({ path }) => path),
        targets.map(({ blob }) => blob.sha256),
      );
    }
    const { decisions = [], published, refused } = commit;
    if (decisions.length > 0) {
      await query(
        'INSERT INTO countersign.decisions SELECT $1, * FROM unnest($2::bigint[], $3::text[])',
        collection,
        decisions.map(({ sequence }) => sequence),
        decisions.map(({ text }) => text),
      );
    }
    if (published.length > 0) {
      await query(
        'UPDATE countersign.submissions SET publication = $2 WHERE collection = $1 AND id = ANY ($3::text[])',
        collection,
        publication,
        published,
      );
    }
    if (refused.length > 0) {
      await query(
        'UPDATE countersign.submissions s SET refusal = given.refusal FROM unnest($2::text[], $3::text[]) AS given (id, refusal) WHERE s.collection = $1 AND s.id = given.id',
        collection,
        refused.map(({ id }) => id),
        refused.map(({ refusal }) => JSON.stringify(refusal)),
      );
    }
    await query(`SELECT pg_notify('${CHANNEL}', $1::integer::text)`, collection);
  }

  private async addFiles(files: readonly RoleFile[], publication: number, query: Query): Promise<void> {
    let place = 0;
    for (const some of bySize(files)) {
      await query(
        `INSERT INTO countersign.files SELECT $1, role, version, $2, place, length(bytes), sha256, bytes
         FROM unnest($3::text[], $4::bigint[], $5::integer[], $6::text[], $7::bytea[]) AS given (role, version, place, sha256, bytes)`,
        this.collection,
        publication,
        some.map(({ role }) => role),
        some.map(({ version }) => version),
        some.map(() => place++),
        some.map(({ sha256 }) => sha256),
        some.map(({ bytes }) => bytes),
      );
    }
    const current = [...new Map(files.map((file) => [file.role, file])).values()];
    if (current.length === 0) return;
    await query(
      `INSERT INTO countersign.roles SELECT $1, * FROM unnest($2::text[], $3::bigint[], $4::integer[], $5::text[])
       ON CONFLICT (collection, role) DO UPDATE SET version = excluded.version, length = excluded.length, sha256 = excluded.sha256`,
      this.collection,
      current.map(({ role }) => role),
      current.map(({ version }) => version),
      current.map(({ bytes }) => bytes.length),
      current.map(({ sha256 }) => sha256),
    );
  }

  /** Whether a commit happened whose answer was lost. @throws the failure when it did not, or cannot be found out */
  private async happened(publication: number, attempt: string, failure: unknown): Promise<boolean> {
    // Waits until the server is done with what we have sent, one way or the other.
    const [row] = await this.connections
      .write(
        `WITH settled AS MATERIALIZED (SELECT id FROM countersign.collections WHERE id = $1 FOR UPDATE)
         SELECT id FROM settled`,
        this.collection,
      )
      .then(() =>
        this.connections.read(
          'SELECT attempt FROM countersign.publications WHERE collection = $1 AND publication = $2',
          this.collection,
          publication,
        ),
      )
      .catch((cause: unknown) => {
        throw new StoreError('STORE_WRITE', 'Writing the ledger: PostgreSQL went away before it said whether it had', {
          detail: { publication },
          cause,
        });
      });
    if (row === undefined) throw failure;
    return textIn(row, 'attempt') === attempt;
  }
}

/** Cuts files into parts that one query can carry. */
function* bySize(files: readonly RoleFile[]): Generator<readonly RoleFile[], void> {
  let part: RoleFile[] = [];
  let size = 0;
  for (const file of files) {
    part.push(file);
    size += file.bytes.length;
    if (size < QUERY_BYTES) continue;
    yield part;
    part = [];
    size = 0;
  }
  if (part.length > 0) yield part;
}

const QUERY_BYTES = 4_000_000;
