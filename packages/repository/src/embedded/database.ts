// The SQLite driver: the runtime's own `node:sqlite` where it has one (Node
// 22.13 and newer), else a drop-in with the same interface. Only what the
// ledger needs of it is named here.

/** A prepared statement. */
export interface Statement {
  run(...values: SqlValue[]): { readonly changes: number | bigint };
  get(...values: SqlValue[]): Row | undefined;
  all(...values: SqlValue[]): Row[];
}

/** What can be bound and read. */
export type SqlValue = string | number | null | Uint8Array;

/** A row by column name. */
export type Row = Readonly<Record<string, SqlValue>>;

/** An open database. */
export interface Database {
  exec(sql: string): void;
  prepare(sql: string): Statement;
  close(): void;
}

/** Opens a database file. The driver is loaded on first use. */
export async function openDatabase(file: string): Promise<Database> {
  const { DatabaseSync } = await driver();
  return new DatabaseSync(file);
}

interface Driver {
  readonly DatabaseSync: new (file: string) => Database;
}

async function driver(): Promise<Driver> {
  // Asked for by name, because loading it where it is missing would throw.
  const builtin = process.getBuiltinModule?.('node:sqlite');
  return (builtin ?? (await import('@photostructure/sqlite'))) as unknown as Driver;
}
