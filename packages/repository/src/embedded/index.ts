// Storage for one machine: SQLite and a folder. Subpath
// `@countersign/repository/embedded`.

import { join } from 'node:path';
import type { BlobStore, Site, WholeLedger } from '../ports.ts';
import { makeFolder } from './files.ts';
import { folderSite } from './folder-site.ts';
import { KeptBlobs } from './kept-blobs.ts';
import { type Machine, SiteKeeper, thisMachine } from './site-keeper.ts';
import { openSqliteLedger } from './sqlite-ledger.ts';

export { writeDurably } from './files.ts';
export { folderBlobs } from './folder-blobs.ts';
export { folderSite } from './folder-site.ts';
export type { Machine } from './site-keeper.ts';
export { openSqliteLedger, type SqliteOptions } from './sqlite-ledger.ts';

/** The three ports of a collection on one machine. Closing the ledger closes all. */
export interface EmbeddedStore {
  readonly ledger: WholeLedger;
  readonly blobs: BlobStore;
  readonly site: Site;
  /** The folder that a web server may serve: `metadata/` and `targets/`. */
  readonly siteFolder: string;
  /** Resolves when no part of the site is being made durable in the background. */
  settled(): Promise<void>;
}

/**
 * Opens (and on first use makes) the storage of a collection in a folder. To
 * publish, it first makes the site right if the machine has started anew.
 *
 * @param use to publish, which only one process can at a time, or for anything else beside it
 * @throws UsageError COLLECTION_BUSY when another process publishes; StoreError
 */
export async function openEmbeddedStore(
  folder: string,
  use: 'publish' | 'assist' = 'assist',
  machine: Machine = thisMachine,
): Promise<EmbeddedStore> {
  const blobFolder = join(folder, 'blobs');
  const siteFolder = join(folder, 'site');
  await makeFolder(blobFolder);
  await makeFolder(join(siteFolder, 'metadata'));
  await makeFolder(join(siteFolder, 'targets'));
  const site = folderSite(siteFolder, blobFolder);
  let keeper: SiteKeeper | undefined;
  const ledger = await openSqliteLedger(join(folder, 'ledger.sqlite'), use, {
    async beforePublishing(opened) {
      await keeper?.close(); // of an earlier lead
      const blobs = new KeptBlobs(blobFolder, opened, machine);
      keeper = new SiteKeeper(siteFolder, join(folder, 'site.mark'), { site, blobs, ledger: opened, machine });
      await keeper.begin();
    },
    async beforeClosing() {
      await keeper?.close();
      await kept.idle();
    },
  });
  const kept = new KeptBlobs(blobFolder, ledger, machine);
  return {
    ledger,
    blobs: kept.store,
    site: {
      ...site,
      async showFiles(files) {
        await site.showFiles(files);
        keeper?.wake();
      },
    },
    siteFolder,
    settled: async () => await keeper?.settled(),
  };
}
