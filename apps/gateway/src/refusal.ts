// Errors become answers that every package client shows to its user: status,
// reason phrase, headers and a JSON body that npm, cargo and OCI clients each
// find their own member in. A failed check is 403 and never 5xx, because
// clients retry 5xx for a minute and then hide the reason.
// Facts reach the user from `detail` and message; nothing from outside may
// break a header line.

import { type Code, isTufError, rowOf, type TufError } from '@countersign/core';
import { type Answer, jsonAnswer } from './answer.ts';

/**
 * The answer to a request that failed.
 *
 * @example refusalOf(new MetadataError('ROLLBACK', …)) // 403 `TUF ROLLBACK: The repository offers older …`
 */
export function refusalOf(error: TufError): Answer {
  const { sentence, next } = rowOf(error.code);
  const notice = `${error.code}: ${sentence}`;
  const explained = `${notice}. ${error.message}. ${next}.`;
  const status = statusOf(error.code);
  const body = {
    error: explained,
    errors: [{ code: 'DENIED', message: explained, detail: printable(JSON.stringify(error.detail), 2000) }],
    code: error.code,
    next,
    detail: error.detail,
  };
  return {
    ...jsonAnswer(status, body, {
      'npm-notice': printable(`Countersign ${notice}`, 200),
      'x-tuf-error': error.code,
    }),
    reason: reasonOf(error.code),
  };
}

/** The answer to a fault of our own. Says nothing about its inside; the log has it. */
export function faultAnswer(): Answer {
  const text = 'The gateway met an internal error; its log names it';
  return jsonAnswer(500, { error: text, errors: [{ code: 'UNKNOWN', message: text, detail: '' }], code: 'INTERNAL' });
}

/** The HTTP status of a code at the gateway. */
export function statusOf(code: Code): number {
  const row = rowOf(code);
  // The table is the server's as well; a client of the gateway must see every
  // refusal as 403, whoever is to blame, and only outages as 5xx.
  if (row.party === 'transport' || row.party === 'store') return row.http;
  return code === 'TARGET_UNKNOWN' ? 404 : 403;
}

/** The reason phrase: `TUF CODE: sentence`, ASCII, at most 120 characters. */
export function reasonOf(code: Code): string {
  return printable(`TUF ${code}: ${rowOf(code).sentence}`, 120);
}

/** What a log line may hold about an error: its code and message, or the stack of an unexpected one. */
export function logged(error: unknown): { readonly code: string; readonly message: string } {
  if (isTufError(error)) return { code: error.code, message: error.message };
  return { code: 'INTERNAL', message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

function printable(text: string, most: number): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, most);
}
