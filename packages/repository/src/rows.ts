// Rows of a database by column name, what both ledgers read out of them, and
// how they read a whole table without holding it.

import { type Code, isCode } from '@countersign/core';
import type {
  Account,
  BlobFacts,
  DecisionRow,
  Head,
  HeldFile,
  Journaled,
  KeptDocument,
  RoleRow,
  ShownTarget,
} from './ports.ts';

/** A row by column name. */
export type Row = Readonly<Record<string, unknown>>;

/** The text of a column. */
export function textIn(row: Row, column: string): string {
  const value = row[column];
  return typeof value === 'string' ? value : '';
}

/** The whole number of a column; databases give large ones as text. */
export function numberIn(row: Row, column: string): number {
  return Number(row[column]);
}

/** The bytes of a column, as a copy of their own. */
export function bytesIn(row: Row, column: string): Uint8Array {
  const value = row[column];
  return value instanceof Uint8Array ? new Uint8Array(value) : new Uint8Array();
}

/** A row of the journal. */
export function journaledIn(row: Row): Journaled {
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

/** A row with the facts of a blob. */
export function blobIn(row: Row): BlobFacts {
  return { sha256: textIn(row, 'sha256'), sha512: textIn(row, 'sha512'), length: numberIn(row, 'length') };
}

/** A row with the facts of a role file. */
export function roleIn(row: Row): RoleRow {
  return {
    role: textIn(row, 'role'),
    version: numberIn(row, 'version'),
    length: numberIn(row, 'length'),
    sha256: textIn(row, 'sha256'),
  };
}

/** A row of a role file with its publication. */
export function heldIn(row: Row): HeldFile {
  return { ...roleIn(row), publication: numberIn(row, 'publication') };
}

/** A row of a path that was shown. */
export function shownIn(row: Row): ShownTarget {
  return { path: textIn(row, 'path'), sha256: textIn(row, 'sha256'), publication: numberIn(row, 'publication') };
}

/** A row of the decision list. */
export function decisionIn(row: Row): DecisionRow {
  return { sequence: numberIn(row, 'sequence'), text: textIn(row, 'text') };
}

/** A row of a publication. */
export function headIn(row: Row): Head {
  return { publication: numberIn(row, 'publication'), at: numberIn(row, 'at') };
}

/** A row of a token. */
export function accountIn(row: Row): Account {
  return { tokenSha256: textIn(row, 'sha256'), account: textIn(row, 'account') };
}

/** A row of a document that is there. */
export function documentIn(row: Row): KeptDocument {
  return {
    kind: textIn(row, 'kind'),
    id: textIn(row, 'id'),
    revision: numberIn(row, 'revision'),
    text: textIn(row, 'text'),
  };
}

/**
 * All rows of a query in the order of their key, a page at a time: the key of
 * the last row is where the next page begins.
 *
 * @param page reads at most `limit` rows after a key
 */
export async function* pages<K, T>(
  before: K,
  page: (after: K, limit: number) => readonly Row[] | Promise<readonly Row[]>,
  keyOf: (value: T) => K,
  read: (row: Row) => T,
): AsyncGenerator<T, void> {
  for (let after: K | undefined = before; after !== undefined; ) {
    const values: readonly T[] = (await page(after, PAGE_ROWS)).map(read);
    yield* values;
    const last = values.at(-1);
    after = last !== undefined && values.length === PAGE_ROWS ? keyOf(last) : undefined;
  }
}

const PAGE_ROWS = 1_000;
