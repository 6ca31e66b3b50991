// Storage for one machine: SQLite and a folder. Subpath
// `@countersign/repository/embedded`.

import { join } from 'node:path';
import type { BlobStore, Ledger, Site } from '../ports.ts';
import { makeFolder } from './files.ts';
import { folderBlobs } from './folder-blobs.ts';
import { folderSite } from './folder-site.ts';
import { openSqliteLedger } from './sqlite-ledger.ts';

export { writeDurably } from './files.ts';
export { folderBlobs } from './folder-blobs.ts';
export { folderSite } from './folder-site.ts';
export { openSqliteLedger } from './sqlite-ledger.ts';

/** The three ports of a collection on one machine. */
export interface EmbeddedStore {
  readonly ledger: Ledger;
  readonly blobs: BlobStore;
  readonly site: Site;
  /** The folder that a web server may serve: `metadata/` and `targets/`. */
  readonly siteFolder: string;
}

/**
 * Opens (and on first use makes) the storage of a collection in a folder.
 *
 * @param use to publish, which only one process can at a time, or for anything else beside it
 * @throws UsageError COLLECTION_BUSY when another process publishes; StoreError
 */
export async function openEmbeddedStore(folder: string, use: 'publish' | 'assist' = 'assist'): Promise<EmbeddedStore> {
  const blobFolder = join(folder, 'blobs');
  const siteFolder = join(folder, 'site');
  await makeFolder(blobFolder);
  await makeFolder(join(siteFolder, 'metadata'));
  await makeFolder(join(siteFolder, 'targets'));
  return {
    ledger: await openSqliteLedger(join(folder, 'ledger.sqlite'), use),
    blobs: folderBlobs(blobFolder),
    site: folderSite(siteFolder, blobFolder),
    siteFolder,
  };
}
