// A site in an object store, served by a node of the service. Metadata with a
// version never changes and is kept in memory; the timestamp is asked for each
// time. When the store does not answer, the ledger does, with a timestamp only
// if it is the one that was seen last: an older one would take clients back, a
// newer one leads to files that may not be there yet.

import { AdmissionError, isTufError, StoreError, sameBytes, type TufError } from '@countersign/core';
import type { CollectionStore } from './collection-store.ts';
import { HeldFiles, isPlainName, MetadataFile, type MetadataSource, missingMetadata } from './metadata-files.ts';

/** The metadata of a site in an object store. */
export class StoredMetadata implements MetadataSource {
  private readonly store: Pick<CollectionStore, 'ledger' | 'site'>;
  private readonly files = new HeldFiles<MetadataFile>();
  /** The timestamp that the store showed last. */
  private seen: Uint8Array | undefined;
  private readonly patience: number;

  /** @param patience how long the store may take before the ledger is asked, in milliseconds */
  constructor(store: Pick<CollectionStore, 'ledger' | 'site'>, patience = PATIENCE_MILLIS) {
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
    const bytes = await this.soon(this.stored(file)).catch(() => undefined); // missing or out of reach: the ledger knows
    const found = bytes ?? (await this.store.ledger.file(role, Number(version)));
    if (found === undefined) throw missingMetadata(file);
    const read = new MetadataFile(file, Buffer.from(found));
    this.files.set(file, read);
    return read;
  }

  private async timestamp(): Promise<Uint8Array> {
    try {
      const shown = await this.soon(this.store.site.shownTimestamp());
      if (shown === undefined) throw missingMetadata(TIMESTAMP);
      this.seen = shown;
      return shown;
    } catch (error) {
      if (error instanceof AdmissionError) throw error;
      const committed = await this.store.ledger.file('timestamp');
      if (committed !== undefined && this.seen !== undefined && sameBytes(committed, this.seen)) return committed;
      throw error;
    }
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
        this.patience,
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

const VERSIONED = /^(\d+)\.(.+)\.json$/;
const TIMESTAMP = 'timestamp.json';
const PATIENCE_MILLIS = 2_000;
