// The rows of a ledger as lines of JSON, for backups: one object a line, with
// `row` saying of which kind. Read strictly, because a backup may have lain
// anywhere; a line that is not as it must be is refused, never guessed at.

import {
  documentBytes,
  integerAt,
  isCode,
  isTufError,
  type JsonLiteral,
  type JsonObject,
  objectAt,
  objectOf,
  plainOf,
  readDocument,
  StoreError,
  stringAt,
  utf8,
  utf8Text,
} from '@countersign/core';
import type {
  Account,
  BlobFacts,
  DecisionRow,
  Head,
  Journaled,
  KeptDocument,
  Refusal,
  RoleFile,
  ShownTarget,
} from '../ports.ts';

/** A row of a backup. */
export type BackupRow =
  | { readonly row: 'file'; readonly file: RoleFile & { readonly publication: number } }
  | { readonly row: 'shown'; readonly shown: ShownTarget }
  | { readonly row: 'blob'; readonly blob: BlobFacts }
  | { readonly row: 'decision'; readonly decision: DecisionRow }
  | { readonly row: 'submission'; readonly submission: Journaled }
  | { readonly row: 'document'; readonly document: KeptDocument }
  | { readonly row: 'account'; readonly account: Account }
  | { readonly row: 'publication'; readonly head: Head };

/** The line of a row, with its line end. @throws StoreError STORE_CORRUPT when a role file is no text */
export function writeRow(row: BackupRow): Uint8Array {
  return utf8(`${utf8Text(documentBytes(objectOf({ row: row.row, ...membersOf(row) }))) ?? ''}\n`);
}

function membersOf(row: BackupRow): { readonly [name: string]: JsonLiteral | undefined } {
  switch (row.row) {
    case 'file': {
      const { role, version, publication, sha256, bytes } = row.file;
      const text = utf8Text(bytes);
      if (text === undefined) throw corrupt(`${version}.${role} is no text`);
      return { role, version, publication, sha256, text };
    }
    case 'shown':
      return { path: row.shown.path, sha256: row.shown.sha256, publication: row.shown.publication };
    case 'blob':
      return { sha256: row.blob.sha256, sha512: row.blob.sha512, length: row.blob.length };
    case 'decision':
      return { sequence: row.decision.sequence, text: row.decision.text };
    case 'submission': {
      const { id, received, text, publication, refusal } = row.submission;
      const kept = refusal && { code: refusal.code, message: refusal.message, detail: JSON.stringify(refusal.detail) };
      return { id, received, text, publication, refusal: kept };
    }
    case 'document':
      return { kind: row.document.kind, id: row.document.id, revision: row.document.revision, text: row.document.text };
    case 'account':
      return { tokenSha256: row.account.tokenSha256, account: row.account.account };
    case 'publication':
      return { publication: row.head.publication, at: row.head.at };
  }
}

/** Reads the lines of a part. @throws StoreError STORE_CORRUPT */
export function* readRows(part: Uint8Array): Generator<BackupRow, void> {
  const text = utf8Text(part);
  if (text === undefined || !(text === '' || text.endsWith('\n'))) throw corrupt('a part is no lines of text');
  for (const line of text.split('\n')) {
    if (line === '') continue;
    try {
      yield readRow(readDocument(utf8(line)).root);
    } catch (error) {
      if (!isTufError(error)) throw error;
      throw corrupt(error.message, error);
    }
  }
}

function readRow(json: JsonObject): BackupRow {
  const text = (name: string): string => stringAt(json, name, 'a row of the backup');
  const number = (name: string, least = 0): number => integerAt(json, name, least, 'a row of the backup');
  const row = text('row');
  switch (row) {
    case 'file':
      return {
        row,
        file: {
          role: text('role'),
          version: number('version', 1),
          publication: number('publication', 1),
          sha256: text('sha256'),
          bytes: utf8(text('text')),
        },
      };
    case 'shown':
      return { row, shown: { path: text('path'), sha256: text('sha256'), publication: number('publication', 1) } };
    case 'blob':
      return { row, blob: { sha256: text('sha256'), sha512: text('sha512'), length: number('length') } };
    case 'decision':
      return { row, decision: { sequence: number('sequence', 1), text: text('text') } };
    case 'submission':
      return {
        row,
        submission: {
          id: text('id'),
          received: number('received'),
          text: text('text'),
          publication: json.has('publication') ? number('publication', 1) : undefined,
          refusal: json.has('refusal') ? readRefusal(objectAt(json, 'refusal', 'a submission')) : undefined,
        },
      };
    case 'document':
      return {
        row,
        document: { kind: text('kind'), id: text('id'), revision: number('revision', 1), text: text('text') },
      };
    case 'account':
      return { row, account: { tokenSha256: text('tokenSha256'), account: text('account') } };
    case 'publication':
      return { row, head: { publication: number('publication', 1), at: number('at') } };
    default:
      throw corrupt(`there is no kind of row \`${row.slice(0, 40)}\``);
  }
}

function readRefusal(json: JsonObject): Refusal {
  const code = stringAt(json, 'code', 'a refusal');
  const detail = plainOf(readDocument(utf8(stringAt(json, 'detail', 'a refusal'))).root) as Refusal['detail'];
  return {
    code: isCode(code) ? code : 'SUBMISSION_INVALID',
    message: stringAt(json, 'message', 'a refusal'),
    detail,
  };
}

/** The error of a backup that is not as it must be. */
export function corrupt(problem: string, cause?: unknown): StoreError {
  return new StoreError('STORE_CORRUPT', `Reading the backup: ${problem}`, { cause });
}
