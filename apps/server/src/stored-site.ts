// A site in an object store, served by a node of the service. Metadata with a
// version never changes and is kept in memory; the timestamp is asked for each
// time. When the store does not answer, the ledger does: at once with a
// timestamp that was seen before, and after a while with one that only the
// ledger has. That is noted in the ledger first, so that no node takes clients
// back when the store shows the one before for a while.

import {
  AdmissionError,
  isTufError,
  openEnvelope,
  readTimestamp,
  StoreError,
  sameBytes,
  type TufError,
} from '@countersign/core';
import type { CollectionStore } from './collection-store.ts';
import { HeldFiles, isPlainName, MetadataFile, type MetadataSource, missingMetadata } from './metadata-files.ts';

/** How long to wait for an object store, in milliseconds. */
export interface Patience {
  /** For one answer, before the ledger is asked. */
  readonly answer: number;
  /** For any answer, before clients are shown what the ledger alone knows. */
  readonly outage: number;
  /** Only goes on. */
  readonly now: () => number;
}

/** The last timestamp that was shown from the ledger, by its version; without `revision` it could not be asked for. */
interface Ahead {
  readonly version: number;
  readonly revision?: number;
}

/** The metadata of a site in an object store. */
export class StoredMetadata implements MetadataSource {
  private readonly store: Pick<CollectionStore, 'ledger' | 'site'>;
  private readonly files = new HeldFiles<MetadataFile>();
  /** The timestamp that the store showed last. */
  private seen: Uint8Array | undefined;
  /** Since when the store has not answered, by a clock that only goes on. */
  private silentSince: number | undefined;
  private readonly patience: Patience;

  constructor(store: Pick<CollectionStore, 'ledger' | 'site'>, patience = PATIENCE) {
    this.store = store;
    this.patience = patience;
  }

  known(file: string): MetadataFile | undefined {
    return this.files.get(file);
  }

  async read(file: string): Promise<MetadataFile> {
    const [, version, role] = VERSIONED.exec(file) ?? [];
    if (file === TIMESTAMP) return new MetadataFile(file, Buffer.from(await this.timestamp()));
    if (version === undefined || role === undefined || !isPlainName(file)) throw missingMetadata(file);
    const stored = await this.soon(this.stored(file)).catch((error: unknown) => ({ error }));
    const found = 'error' in stored ? await this.fromLedger(role, Number(version), stored.error) : stored;
    if (found === undefined) throw missingMetadata(file);
    const read = new MetadataFile(file, Buffer.from(found));
    this.files.set(file, read);
    return read;
  }

  private async timestamp(): Promise<Uint8Array> {
    const [shown, ahead] = await Promise.all([
      this.soon(this.store.site.shownTimestamp()).catch((error: unknown) => ({ error })),
      this.ahead().catch(() => ({ version: 0 })), // without the ledger the store is believed
    ]);
    if (shown === undefined) throw missingMetadata(TIMESTAMP);
    if ('error' in shown) return await this.committed(shown.error, ahead);
    this.silentSince = undefined;
    this.seen = shown;
    // What is shown from the ledger is the last that is committed, until the store shows it too.
    return versionOf(shown) < ahead.version ? ((await this.store.ledger.file('timestamp')) ?? shown) : shown;
  }

  /** What is committed, if that cannot take anybody back. @throws the store's failure otherwise */
  private async committed(failure: unknown, ahead: Ahead): Promise<Uint8Array> {
    this.silentSince ??= this.patience.now();
    const committed = await this.store.ledger.file('timestamp');
    if (committed === undefined) throw failure;
    if (this.seen !== undefined && sameBytes(committed, this.seen)) return committed;
    const version = versionOf(committed);
    if (version <= ahead.version) return committed;
    if (this.patience.now() - this.silentSince < this.patience.outage) throw failure;
    if (!(await this.store.ledger.putDocument(KIND, AHEAD, ahead.revision ?? 0, String(version)))) throw failure;
    return committed;
  }

  /** The last timestamp that any node has shown from the ledger. */
  private async ahead(): Promise<Ahead> {
    const document = await this.store.ledger.document(KIND, AHEAD);
    return { version: Number(document?.text ?? 0), revision: document?.revision ?? 0 };
  }

  private async fromLedger(role: string, version: number, failure: unknown): Promise<Uint8Array | undefined> {
    return await this.store.ledger.file(role, version).catch((error: unknown) => {
      // What the store does not have is only ever missing where the ledger is ahead of it.
      if (isTufError(failure) && isMissing(failure)) return undefined;
      throw error;
    });
  }

  private async stored(file: string): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of this.store.site.read(`metadata/${file}`)) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  private async soon<T>(asked: Promise<T>): Promise<T> {
    asked.catch(() => undefined); // told to whoever still waits
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new StoreError('STORE_READ', 'Reading from the object store: it is too slow')),
        this.patience.answer,
      );
    });
    return await Promise.race([asked, late]).finally(() => clearTimeout(timer));
  }
}

/** The failure to read a file of a site, as whoever asked for it is told. */
export function siteFailure(error: unknown): unknown {
  return isTufError(error) && isMissing(error)
    ? new AdmissionError('NOT_FOUND', 'Looking up a target: there is no such file', { cause: error })
    : error;
}

function isMissing({ code, detail }: TufError): boolean {
  const reason = detail['reason'];
  return code === 'USAGE_INVALID' || (code === 'STORE_READ' && (reason === 'NoSuchKey' || reason === 'status 404'));
}

function versionOf(timestamp: Uint8Array): number {
  return readTimestamp(openEnvelope(timestamp, 'timestamp').signed).version;
}

const VERSIONED = /^(\d+)\.(.+)\.json$/;
const TIMESTAMP = 'timestamp.json';
const KIND = 'site';
const AHEAD = 'ahead';
const PATIENCE: Patience = { answer: 2_000, outage: 5_000, now: () => performance.now() };
