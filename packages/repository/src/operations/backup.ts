// A backup: everything that a collection is, but for its keys, as it stands at
// one head. Made through the ports while others publish: what they add is left
// for the next one. Nothing in it is secret, and nothing in it is believed when
// it is restored: metadata proves itself, every blob and part is hashed.

import {
  arrayAt,
  asObject,
  documentBytes,
  hex,
  integerAt,
  isTufError,
  type JsonObject,
  objectAt,
  objectOf,
  openEnvelope,
  readDocument,
  readTimestamp,
  StoreError,
  stringAt,
  UsageError,
  writeInstant,
} from '@countersign/core';
import { readEntry } from '@countersign/decisions';
import type { BlobFacts, BlobStore, Head } from '../ports.ts';
import { type ArchiveReader, type ArchiveWriter, MANIFEST, streamOf } from './archive.ts';
import { type BackupRow, corrupt, writeRow } from './backup-rows.ts';
import { batchesOf, bytesOf, type OperationCrypto, type OperationOptions } from './store.ts';

/** What a backup says of itself. */
export interface Manifest {
  readonly collection: string;
  readonly head: Head;
  /** Versions at the head. */
  readonly timestamp: number;
  readonly snapshot: number;
  /** When it was made, in milliseconds since 1970. */
  readonly made: number;
  readonly parts: readonly { readonly name: string; readonly sha256: string; readonly length: number }[];
  readonly blobs: { readonly count: number; readonly bytes: number };
  /** Blobs that the store could not give, or gave damaged. */
  readonly lost: readonly string[];
}

/** A backup that was just made. */
export interface MadeBackup {
  readonly manifest: Manifest;
  /** Of the manifest's bytes: vouches for the whole backup. */
  readonly sha256: string;
  /** Bytes of blobs that were not there before. */
  readonly copied: number;
}

/**
 * Makes a backup.
 *
 * @throws UsageError COLLECTION_MISSING; StoreError. The archive then stays what it was
 * @example await backUp(options, await folderArchive('/backups/main'))
 */
export async function backUp(options: OperationOptions, archive: ArchiveWriter): Promise<MadeBackup> {
  try {
    return await write(options, archive);
  } catch (error) {
    await archive.abandon();
    throw error;
  }
}

async function write(options: OperationOptions, archive: ArchiveWriter): Promise<MadeBackup> {
  const { ledger, name, clock, crypto } = options;
  const head = await ledger.head();
  const timestamp = await ledger.file('timestamp');
  if (head === undefined || timestamp === undefined) {
    throw new UsageError('COLLECTION_MISSING', `Backing up ${name}: its ledger has no head`);
  }
  const folder = `ledger/${head.publication}-${clock()}`;
  const parts = new Parts(archive, folder, crypto);
  for await (const row of rowsOf(options, head)) await parts.add(row);
  // Last: what a submission lists was uploaded before it was acknowledged.
  const copies = await copyBlobs(options, archive, parts);
  await parts.flush();
  const present = await timestampAt(options, head);
  const manifest: Manifest = {
    collection: name,
    head,
    timestamp: present.version,
    snapshot: present.snapshot.version,
    made: clock(),
    parts: parts.written,
    blobs: { count: copies.count, bytes: copies.bytes },
    lost: copies.lost,
  };
  const bytes = writeManifest(manifest);
  await archive.finish(
    bytes,
    'ledger',
    parts.written.map((part) => part.name),
  );
  return { manifest, sha256: hex(crypto.hash('sha256', bytes)), copied: copies.copied };
}

/** Everything in the ledger that is true at the head. */
async function* rowsOf({ ledger, onProgress }: OperationOptions, head: Head): AsyncGenerator<BackupRow, void> {
  let done = 0;
  for await (const { role, version, publication, sha256 } of ledger.held()) {
    if (publication > head.publication) continue;
    const bytes = await ledger.file(role, version);
    if (bytes === undefined) continue; // collected beside us
    yield { row: 'file', file: { role, version, publication, sha256, bytes } };
    onProgress?.('Role files', ++done, 0);
  }
  for await (const shown of ledger.everShown()) {
    // What was shown later over it is found again in the roles.
    if (shown.publication <= head.publication) yield { row: 'shown', shown };
  }
  for await (const decision of ledger.decisions(1)) {
    if (publicationOf(decision.text) > head.publication) break;
    yield { row: 'decision', decision };
  }
  for await (const one of ledger.submissions()) {
    const later = one.publication !== undefined && one.publication > head.publication;
    // It was acknowledged: a restored collection publishes it again.
    yield { row: 'submission', submission: later ? { ...one, publication: undefined } : one };
  }
  for await (const document of ledger.everyDocument()) yield { row: 'document', document };
  for await (const account of ledger.accounts()) yield { row: 'account', account };
  for await (const one of ledger.publications()) {
    if (one.publication <= head.publication) yield { row: 'publication', head: one };
  }
}

interface Copies {
  readonly count: number;
  readonly bytes: number;
  readonly copied: number;
  readonly lost: readonly string[];
}

/** Copies the blobs that the ledger knows, and notes each. */
async function copyBlobs(
  { ledger, blobs, crypto, onProgress }: OperationOptions,
  archive: ArchiveWriter,
  parts: Parts,
): Promise<Copies> {
  let [count, bytes, copied] = [0, 0, 0];
  const lost: string[] = [];
  for await (const some of batchesOf(ledger.blobs(), archive.atOnce)) {
    const outcomes = await Promise.all(some.map(async (blob) => await copyBlob(blob, blobs, archive, crypto)));
    for (const [i, blob] of some.entries()) {
      if (outcomes[i] === 'lost') {
        lost.push(blob.sha256);
        continue;
      }
      count++;
      bytes += blob.length;
      if (outcomes[i] === 'copied') copied += blob.length;
      await parts.add({ row: 'blob', blob });
    }
    onProgress?.('Blobs', count, 0);
  }
  return { count, bytes, copied, lost };
}

async function copyBlob(
  blob: BlobFacts,
  blobs: BlobStore,
  archive: ArchiveWriter,
  crypto: OperationCrypto,
): Promise<'there' | 'copied' | 'lost'> {
  const name = blobName(blob.sha256);
  if ((await archive.existing(name)) === blob.length) return 'there';
  try {
    if ((await blobs.size(blob.sha256)) !== blob.length) return 'lost';
    await archive.write(name, blob.length, checkedBlob(blob, blobs.read(blob.sha256), crypto));
    return 'copied';
  } catch (error) {
    if (isTufError(error) && (error.code === 'STORE_CORRUPT' || error.code === 'STORE_READ')) return 'lost';
    throw error;
  }
}

/** A blob's bytes as they are read, if they are what they should be. @throws StoreError STORE_CORRUPT at the end, if not */
export async function* checkedBlob(
  { sha256, sha512 }: BlobFacts,
  body: AsyncIterable<Uint8Array>,
  crypto: OperationCrypto,
): AsyncGenerator<Uint8Array, void> {
  const [short, long] = [crypto.hasher('sha256'), crypto.hasher('sha512')];
  for await (const chunk of body) {
    short.update(chunk);
    long.update(chunk);
    yield chunk;
  }
  if (hex(short.digest()) === sha256 && hex(long.digest()) === sha512) return;
  throw corrupt(`the blob ${sha256} has other content than its name says`);
}

/** Rows, gathered into parts of some size. */
class Parts {
  readonly written: { readonly name: string; readonly sha256: string; readonly length: number }[] = [];
  private readonly archive: ArchiveWriter;
  private readonly folder: string;
  private readonly crypto: OperationCrypto;
  private lines: Uint8Array[] = [];
  private length = 0;

  constructor(archive: ArchiveWriter, folder: string, crypto: OperationCrypto) {
    this.archive = archive;
    this.folder = folder;
    this.crypto = crypto;
  }

  async add(row: BackupRow): Promise<void> {
    const line = writeRow(row);
    this.lines.push(line);
    this.length += line.length;
    if (this.length >= PART_BYTES) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.length === 0) return;
    const name = `${this.folder}/${String(this.written.length + 1).padStart(6, '0')}.jsonl`;
    const hasher = this.crypto.hasher('sha256');
    for (const line of this.lines) hasher.update(line);
    const { length } = this;
    await this.archive.write(name, length, streamOf(...this.lines));
    this.written.push({ name, sha256: hex(hasher.digest()), length });
    this.lines = [];
    this.length = 0;
  }
}

/** The timestamp of the head that is backed up. */
async function timestampAt({ ledger }: OperationOptions, head: Head): Promise<ReturnType<typeof readTimestamp>> {
  let newest: number | undefined;
  for await (const { role, version, publication } of ledger.held()) {
    if (role === 'timestamp' && publication <= head.publication) newest = version;
  }
  const bytes = newest === undefined ? undefined : await ledger.file('timestamp', newest);
  if (bytes === undefined)
    throw new StoreError('STORE_CORRUPT', 'Backing up: the ledger lacks the timestamp of its head');
  return readTimestamp(openEnvelope(bytes, 'timestamp').signed);
}

function publicationOf(entry: string): number {
  try {
    return readEntry(entry).publication;
  } catch (error) {
    if (!isTufError(error)) throw error;
    return 0; // damaged: backed up as it is, for whoever looks into it
  }
}

/** Where a backup keeps a blob. */
export function blobName(sha256: string): string {
  return `blobs/${sha256.slice(0, 2)}/${sha256}`;
}

function writeManifest({ collection, head, timestamp, snapshot, made, parts, blobs, lost }: Manifest): Uint8Array {
  return documentBytes(
    objectOf({
      _type: MANIFEST_TYPE,
      format: FORMAT,
      about: ABOUT,
      collection,
      publication: head.publication,
      committed: head.at,
      at: writeInstant(head.at),
      timestamp,
      snapshot,
      made,
      parts: parts.map((part) => objectOf({ ...part })),
      blobs: objectOf({ ...blobs }),
      lost,
    }),
  );
}

/** Reads the manifest of a backup. @throws StoreError STORE_READ when there is none, STORE_CORRUPT */
export async function readManifest(
  archive: ArchiveReader,
  crypto: OperationCrypto,
): Promise<{ readonly manifest: Manifest; readonly sha256: string }> {
  const bytes = await bytesOf(archive.read(MANIFEST));
  if (bytes === undefined) throw new StoreError('STORE_READ', 'Reading the backup: it has no manifest, so it is none');
  try {
    return { manifest: manifestIn(readDocument(bytes).root), sha256: hex(crypto.hash('sha256', bytes)) };
  } catch (error) {
    if (!isTufError(error) || error instanceof StoreError) throw error;
    throw corrupt(error.message, error);
  }
}

function manifestIn(json: JsonObject): Manifest {
  const where = 'the manifest';
  if (stringAt(json, '_type', where) !== MANIFEST_TYPE) throw corrupt('its manifest is of something else');
  const format = integerAt(json, 'format', 1, where);
  if (format !== FORMAT) throw corrupt(`it has format ${format}, and this version reads ${FORMAT}`);
  const blobs = objectAt(json, 'blobs', where);
  return {
    collection: stringAt(json, 'collection', where),
    head: { publication: integerAt(json, 'publication', 1, where), at: integerAt(json, 'committed', 0, where) },
    timestamp: integerAt(json, 'timestamp', 1, where),
    snapshot: integerAt(json, 'snapshot', 1, where),
    made: integerAt(json, 'made', 0, where),
    parts: arrayAt(json, 'parts', where).map((item) => {
      const part = asObject(item, where);
      const name = stringAt(part, 'name', where);
      if (!/^ledger\/[\d-]+\/\d{6,9}\.jsonl$/.test(name)) throw corrupt('a part of it has no name of ours');
      return { name, sha256: stringAt(part, 'sha256', where), length: integerAt(part, 'length', 0, where) };
    }),
    blobs: { count: integerAt(blobs, 'count', 0, where), bytes: integerAt(blobs, 'bytes', 0, where) },
    lost: arrayAt(json, 'lost', where).map(String),
  };
}

const MANIFEST_TYPE = 'countersign-backup';
const FORMAT = 1;
const ABOUT =
  'A backup of a Countersign collection: `countersign restore` puts it back. It holds no keys; keep those elsewhere.';
const PART_BYTES = 8 * 1024 * 1024;
