// The ledger for more than one machine: PostgreSQL. Subpath
// `@countersign/repository/postgres`. Connections must reach the server itself,
// not a pooler that shares them between clients: the right to publish is held
// by a connection.

import type { WholeLedger } from '../ports.ts';
import { Connections } from './connections.ts';
import { PostgresLedger } from './postgres-ledger.ts';
import { Session } from './session.ts';

/** Where the ledgers are. */
export interface PostgresOptions {
  /** Such as `postgres://user:password@host:5432/database`. Never logged. */
  readonly url: string;
  /** How many connections at most, beside the one that lasts. */
  readonly maxConnections?: number;
}

/** A database with the ledgers of many collections, which share its connections. */
export interface PostgresDatabase {
  /** The ledger of a collection; makes an empty one on first use. @throws StoreError */
  ledger(collection: string): Promise<WholeLedger>;
  /** To be called after the ledgers are closed. */
  close(): Promise<void>;
}

/**
 * Opens a database, and makes its tables or brings them up to date.
 *
 * @throws StoreError STORE_READ, STORE_WRITE when the server does not answer or refuses; STORE_UNSAFE when it is not durable
 * @example
 * const database = await openPostgres({ url: 'postgres://countersign@localhost/countersign' });
 * const ledger = await database.ledger('main');
 */
export async function openPostgres({ url, maxConnections = 8 }: PostgresOptions): Promise<PostgresDatabase> {
  const connections = new Connections(url, maxConnections);
  const session = new Session(url);
  try {
    await connections.prepare();
  } catch (error) {
    await connections.close();
    throw error;
  }
  return {
    async ledger(collection) {
      await connections.write(
        'INSERT INTO countersign.collections (name) SELECT $1::text WHERE NOT EXISTS (SELECT FROM countersign.collections WHERE name = $1) ON CONFLICT DO NOTHING',
        collection,
      );
      const [row] = await connections.read('SELECT id FROM countersign.collections WHERE name = $1', collection);
      return new PostgresLedger(connections, session, Number(row?.['id']));
    },
    async close() {
      await session.close();
      await connections.close();
    },
  };
}
