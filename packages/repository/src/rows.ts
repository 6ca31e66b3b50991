// Rows of a database by column name, and what both ledgers read out of them.

import { type Code, isCode } from '@countersign/core';
import type { Journaled } from './ports.ts';

/** A row by column name. */
export type Row = Readonly<Record<string, unknown>>;

/** The text of a column. */
export function textIn(row: Row, column: string): string {
  return String(row[column] ?? '');
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
export function journaledOf(row: Row): Journaled {
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
