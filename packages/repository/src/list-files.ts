// The list of decisions as clients and auditors fetch it: tiles and head as
// targets of a role of their own, signed by an online key. Full tiles never
// change; the last grows; the head says where the list ends.

import { hex, type SyncCryptoPort, type TargetFile, utf8 } from '@countersign/core';
import { HEAD_PATH, type Listed, type Register, TILE, tilePath, writeHead, writeTile } from '@countersign/decisions';
import type { BlobFacts } from './ports.ts';

/** The role that lists the files of the list of decisions. */
export const DECISIONS_ROLE = 'decisions';

/** A file of the list, with its content. */
export interface ListFile {
  readonly target: TargetFile;
  readonly bytes: Uint8Array;
  readonly blob: BlobFacts;
}

/**
 * The files that change when entries are added.
 *
 * @param lastTile the lines of the last tile before, as {@link lastTileAfter} gives them
 * @param register with the entries added
 */
export function listFiles(
  lastTile: readonly string[],
  added: readonly Listed[],
  register: Register,
  crypto: SyncCryptoPort,
): readonly ListFile[] {
  const { head } = register;
  const [first] = added;
  if (head === undefined || first === undefined) return [];
  const lines = [...lastTile, ...added.map(({ line }) => line)];
  const from = first.entry.sequence - lastTile.length;
  const files: ListFile[] = [];
  for (let at = 0; at < lines.length; at += TILE) {
    files.push(fileOf(tilePath(from + at), writeTile(lines.slice(at, at + TILE)), crypto));
  }
  return [...files, fileOf(HEAD_PATH, writeHead(head), crypto)];
}

/** The lines of the last tile that is not full, after entries were added. */
export function lastTileAfter(lastTile: readonly string[], added: readonly string[]): readonly string[] {
  const lines = [...lastTile, ...added];
  return lines.slice(lines.length - (lines.length % TILE));
}

function fileOf(path: string, text: string, crypto: SyncCryptoPort): ListFile {
  const bytes = utf8(text);
  const sha256 = hex(crypto.hash('sha256', bytes));
  const sha512 = hex(crypto.hash('sha512', bytes));
  const hashes = new Map([
    ['sha256', sha256],
    ['sha512', sha512],
  ]);
  const length = bytes.length;
  return { target: { path, length, hashes, custom: undefined }, bytes, blob: { sha256, sha512, length } };
}
