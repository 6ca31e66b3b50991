// Queries over a pool of connections. A connection that has gone away, with a
// restarted server for instance, is replaced by the next query; what may be
// repeated is tried once more at once. Errors become StoreErrors that say what
// PostgreSQL said, and nothing of the address or the password.

import { isTufError, StoreError } from '@countersign/core';
import { Pool, type PoolConfig, type QueryConfig } from 'pg';
import type { Row } from '../rows.ts';
import { MIGRATIONS } from './schema.ts';

/** What can be bound to a query. */
export type PgValue = string | number | null | Uint8Array | readonly (string | number | null | Uint8Array)[];

/** Runs one query of a transaction. */
export type Query = (sql: string, ...values: readonly PgValue[]) => Promise<readonly Row[]>;

/** What every connection is opened with. */
export function configOf(url: string): PoolConfig {
  return {
    connectionString: url,
    application_name: 'countersign',
    keepAlive: true,
    keepAliveInitialDelayMillis: 1_000,
    connectionTimeoutMillis: 5_000,
    query_timeout: 60_000,
    // A client whose machine is gone holds no lock for longer than a few seconds.
    options:
      '-c tcp_keepalives_idle=1 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=2 -c lock_timeout=10s -c idle_in_transaction_session_timeout=30s',
  };
}

/** A pool of connections to one database. */
export class Connections {
  private readonly pool: Pool;
  private readonly names = new Map<string, string>();

  constructor(url: string, max: number) {
    this.pool = new Pool({ ...configOf(url), max });
    this.pool.on('error', () => undefined); // an idle connection has gone away: the pool has dropped it
  }

  /**
   * Makes the tables, or brings them up to date; several processes may do so at once.
   *
   * @throws StoreError STORE_UNSAFE when the server does not wait for its disk; STORE_READ when the tables are of a newer version
   */
  async prepare(): Promise<void> {
    for (const setting of ['fsync', 'synchronous_commit', 'full_page_writes']) {
      const [row] = await this.read(`SHOW ${setting}`);
      if (row?.[setting] !== 'off') continue;
      throw new StoreError('STORE_UNSAFE', `Opening the ledger: PostgreSQL runs with ${setting} off`, {
        detail: { setting },
      });
    }
    if ((await this.version()) === MIGRATIONS.length) return;
    await this.transaction(async (query) => {
      await query('SELECT pg_advisory_xact_lock($1, 0)', LOCK_CLASS);
      await query('CREATE SCHEMA IF NOT EXISTS countersign');
      await query('CREATE TABLE IF NOT EXISTS countersign.migrations (version integer PRIMARY KEY)');
      const [row] = await query('SELECT coalesce(max(version), 0) AS version FROM countersign.migrations');
      const from = Number(row?.['version']);
      if (from > MIGRATIONS.length) {
        throw new StoreError('STORE_READ', 'Opening the ledger: its tables are of a newer version of this program', {
          detail: { want: MIGRATIONS.length, got: from },
        });
      }
      for (let version = from; version < MIGRATIONS.length; version++) {
        await query(MIGRATIONS[version] ?? '');
        await query('INSERT INTO countersign.migrations VALUES ($1)', version + 1);
      }
    });
  }

  /** Rows of a query that changes nothing. @throws StoreError STORE_READ */
  async read(sql: string, ...values: readonly PgValue[]): Promise<readonly Row[]> {
    return await this.repeatable('STORE_READ', sql, values);
  }

  /** Rows of a statement that may be carried out twice. @throws StoreError STORE_WRITE */
  async write(sql: string, ...values: readonly PgValue[]): Promise<readonly Row[]> {
    return await this.repeatable('STORE_WRITE', sql, values);
  }

  /**
   * Carries out one statement that must not be repeated.
   *
   * @throws StoreError STORE_WRITE, also when it may have been carried out but the answer was lost
   */
  async writeOnce(sql: string, ...values: readonly PgValue[]): Promise<readonly Row[]> {
    try {
      return (await this.pool.query(this.query(sql, values))).rows;
    } catch (error) {
      throw storeError('STORE_WRITE', error);
    }
  }

  /**
   * Carries out a transaction; it is undone when the body throws.
   *
   * @throws LostAnswer when it may or may not have been carried out; StoreError STORE_WRITE; what the body throws
   */
  async transaction<T>(body: (query: Query) => Promise<T>): Promise<T> {
    const client = await this.pool.connect().catch((error: unknown) => {
      throw storeError('STORE_WRITE', error);
    });
    client.on('error', ignore); // the query under way fails by itself
    let done: { readonly value: T } | undefined;
    let failure: unknown;
    try {
      await client.query('BEGIN');
      done = { value: await body(async (sql, ...values) => (await client.query(this.query(sql, values))).rows) };
      await client.query('COMMIT');
      return done.value;
    } catch (error) {
      failure = error;
      if (done !== undefined && isLost(error)) throw new LostAnswer(storeError('STORE_WRITE', error));
      await client.query('ROLLBACK').catch(ignore); // a closed connection has undone it
      throw storeError('STORE_WRITE', error);
    } finally {
      client.off('error', ignore);
      client.release(failure !== undefined && isLost(failure));
    }
  }

  async close(): Promise<void> {
    await this.pool.end();
  }

  private async repeatable(
    code: 'STORE_READ' | 'STORE_WRITE',
    sql: string,
    values: readonly PgValue[],
  ): Promise<readonly Row[]> {
    const query = async (): Promise<readonly Row[]> => (await this.pool.query(this.query(sql, values))).rows;
    try {
      return await query().catch(async (error: unknown) => {
        if (!isLost(error)) throw error;
        return await query(); // the server may have been restarted since the connection was used last
      });
    } catch (error) {
      throw storeError(code, error);
    }
  }

  /** The version of the tables; 0 when there are none. */
  private async version(): Promise<number> {
    const [made] = await this.read("SELECT to_regclass('countersign.migrations') IS NOT NULL AS made");
    if (made?.['made'] !== true) return 0;
    const [row] = await this.read('SELECT coalesce(max(version), 0) AS version FROM countersign.migrations');
    return Number(row?.['version']);
  }

  // Each text is parsed once on each connection.
  private query(sql: string, values: readonly PgValue[]): QueryConfig {
    if (values.length === 0) return { text: sql };
    const name = this.names.get(sql) ?? `q${this.names.size}`;
    this.names.set(sql, name);
    return { name, text: sql, values: [...values] };
  }
}

/** The connection ended before the answer came: whether it was carried out has to be looked up. Never leaves the ledger. */
export class LostAnswer extends Error {
  readonly failure: unknown;

  constructor(failure: unknown) {
    super('the answer was lost');
    this.failure = failure;
  }
}

/** The StoreError of a failed query; errors with a code of ours pass through. */
export function storeError(code: 'STORE_READ' | 'STORE_WRITE', error: unknown): unknown {
  if (isTufError(error) || error instanceof LostAnswer) return error;
  const doing = code === 'STORE_READ' ? 'Reading' : 'Writing';
  const reason = codeOf(error);
  const what = isLost(error) ? 'PostgreSQL does not answer' : 'PostgreSQL refused';
  return new StoreError(code, `${doing} the ledger: ${what} (${reason})`, { detail: { reason }, cause: error });
}

// The server has answered if there is an SQLSTATE, unless that says that it is going.
function isLost(error: unknown): boolean {
  const code = codeOf(error);
  return !/^[0-9A-Z]{5}$/.test(code) || code === 'EPIPE' || /^(?:08...|57P0.)$/.test(code);
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'no connection';
}

function ignore(): void {}

/** What tells our advisory locks from those of other programs. */
export const LOCK_CLASS = 0x7475_6643;
