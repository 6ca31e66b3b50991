// Restoring: a backup becomes a collection only if a client that begins at the
// anchor accepts all of it. The storage it goes into must be empty, and nobody's
// yet: the caller puts it in its place when everything is done.

import { hex, metadataUrl, openEnvelope, readTargets, StoreError } from '@countersign/core';
import type { Head, LedgerRows, RoleFile, RoleRow } from '../ports.ts';
import type { ArchiveReader } from './archive.ts';
import { blobName, checkedBlob, type Manifest, readManifest } from './backup.ts';
import { type BackupRow, corrupt, readRows } from './backup-rows.ts';
import { checkCollection } from './check.ts';
import { FINDINGS, type Finding } from './findings.ts';
import { NameIndex } from './name-index.ts';
import { repairCollection } from './repair.ts';
import { RowBuffer } from './row-buffer.ts';
import { batchesOf, bytesOf, type OperationOptions } from './store.ts';

/**
 * Fills empty storage from a backup.
 *
 * @throws StoreError STORE_READ, STORE_CORRUPT when the backup is damaged; STORE_WRITE
 */
export async function readBackup(options: OperationOptions, archive: ArchiveReader): Promise<Manifest> {
  const { crypto, ledger, onProgress } = options;
  const { manifest } = await readManifest(archive, crypto);
  const current = new Map<string, RoleRow>();
  const rows = new RowBuffer(ledger);
  const heads: Head[] = [];
  let done = 0;
  for (const part of manifest.parts) {
    const bytes = await bytesOf(archive.read(part.name));
    if (bytes === undefined || hex(crypto.hash('sha256', bytes)) !== part.sha256) {
      throw corrupt(`${part.name} is ${bytes === undefined ? 'missing' : 'damaged'}`);
    }
    for await (const some of batchesOf(readRows(bytes))) {
      // The bytes of a blob come before the row that says they are there.
      await Promise.all(
        some.map(async (row) => (row.row === 'blob' ? await storeBlob(options, archive, row) : undefined)),
      );
      for (const row of some) {
        if (row.row === 'file') noteCurrent(options, current, row.file);
        if (row.row === 'publication') heads.push(row.head);
        else await rows.add(rowsOf(row));
      }
      done += some.length;
      onProgress?.('Rows', done, 0);
    }
  }
  await rows.add({ roles: [...current.values()] });
  await rows.flush();
  // Without a head it is no collection yet, whatever is there.
  await ledger.put({ publications: heads });
  return manifest;
}

/**
 * Shows everything that a ledger holds, the timestamp last.
 *
 * @throws StoreError
 */
export async function showAll({ ledger, site, crypto, onProgress }: OperationOptions): Promise<void> {
  const shown = new NameIndex(crypto);
  let files: RoleFile[] = [];
  let done = 0;
  for await (const { role, version, sha256 } of ledger.held()) {
    const bytes = role === 'timestamp' ? undefined : await ledger.file(role, version);
    if (bytes === undefined) continue;
    files.push({ role, version, bytes, sha256 });
    if (role !== 'root' && role !== 'snapshot') await showTargetsOf(role, bytes);
    onProgress?.('Showing', ++done, 0);
    if (files.length < FILES_AT_ONCE) continue;
    await site.showFiles(files);
    files = [];
  }
  await site.showFiles(files);
  const timestamp = (await ledger.roles()).find(({ role }) => role === 'timestamp');
  const bytes = await ledger.file('timestamp');
  if (timestamp !== undefined && bytes !== undefined) await site.showFiles([{ ...timestamp, bytes }]);

  async function showTargetsOf(role: string, file: Uint8Array): Promise<void> {
    for (const { path, hashes } of readTargets(openEnvelope(file, role).signed, role).targets.values()) {
      const sha256 = hashes.get('sha256') ?? '';
      const blob = shown.has(`${sha256} ${path}`) ? undefined : await ledger.blob(sha256);
      if (blob === undefined) continue;
      await site.showTargets([{ path, blob }]);
      shown.set(`${sha256} ${path}`, 1);
    }
  }
}

/**
 * Requires that clients can go on from what storage holds now, and puts right
 * what they would not notice.
 *
 * @returns what is left that is not as it should be
 * @throws StoreError CHECK_FAILED naming what a client would refuse
 */
export async function requireSound(options: OperationOptions, anchor: Uint8Array): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  await checkCollection({ ...options, anchor }, (finding) => findings.push(finding));
  const fatal = findings.filter(({ kind }) => FINDINGS[kind].severity === 'error' && !BEARABLE.has(kind));
  const [first] = fatal;
  if (first !== undefined) {
    throw new StoreError(
      'CHECK_FAILED',
      `Checking ${options.name}: ${first.subject}: ${FINDINGS[first.kind].problem}`,
      {
        detail: {
          findings: fatal.slice(0, 20).map(({ kind, subject, facts }) => `${kind} ${subject} ${facts.about ?? ''}`),
        },
      },
    );
  }
  const repaired = await repairCollection(options, findings);
  const done = new Set(
    repaired.filter((one) => one.done !== undefined && !LOST.has(one.finding.kind)).map((one) => one.finding),
  );
  return findings.filter((finding) => FINDINGS[finding.kind].severity !== 'note' && !done.has(finding));
}

// Renewed by the service, or lost before the backup was made: told, not refused.
const BEARABLE: ReadonlySet<string> = new Set([
  'ROLE_EXPIRED',
  'BLOB_MISSING',
  'BLOB_UNRECORDED',
  'SITE_MISSING',
  'SHOWN_UNKNOWN',
]);

// Repair forgets these, so that they can be uploaded again; they stay lost until then.
const LOST: ReadonlySet<string> = new Set(['BLOB_MISSING', 'BLOB_DAMAGED']);

function rowsOf(row: Exclude<BackupRow, { readonly row: 'publication' }>): LedgerRows {
  switch (row.row) {
    case 'file':
      return { files: [row.file] };
    case 'shown':
      return { shown: [row.shown] };
    case 'blob':
      return { blobs: [row.blob] };
    case 'decision':
      return { decisions: [row.decision] };
    case 'submission':
      return { submissions: [row.submission] };
    case 'document':
      return { documents: [row.document] };
    case 'account':
      return { accounts: [row.account] };
  }
}

async function storeBlob(
  { blobs, crypto }: OperationOptions,
  archive: ArchiveReader,
  { blob }: Extract<BackupRow, { row: 'blob' }>,
): Promise<void> {
  if ((await blobs.size(blob.sha256)) === blob.length) return; // an earlier run brought it
  const name = blobName(blob.sha256);
  if ((await archive.size(name)) !== blob.length) throw corrupt(`${name} is missing or cut short`);
  await blobs.put(blob.sha256, checkedBlob(blob, archive.read(name), crypto), blob.length);
}

/** Versions only grow, so the highest is the current one. */
function noteCurrent({ crypto }: OperationOptions, current: Map<string, RoleRow>, file: RoleFile): void {
  const { role, version, bytes, sha256 } = file;
  if (hex(crypto.hash('sha256', bytes)) !== sha256) throw corrupt(`${metadataUrl(role, version)} is damaged`);
  if ((current.get(role)?.version ?? 0) < version) current.set(role, { role, version, length: bytes.length, sha256 });
}

const FILES_AT_ONCE = 200;
