import { emptyDisk, memoryStore } from './memory-store.ts';
import { blobStoreSuite, ledgerSuite, siteSuite } from './port-suite.ts';
import { wholeLedgerSuite } from './whole-ledger-suite.ts';

// The double of the other tests keeps the contract of the real adapters.
ledgerSuite('memory', async () => {
  const disk = emptyDisk();
  return async () => memoryStore(disk).ledger;
});
wholeLedgerSuite('memory', async () => {
  const disk = emptyDisk();
  return async () => memoryStore(disk).ledger;
});
blobStoreSuite('memory', async () => {
  const disk = emptyDisk();
  return { open: async () => memoryStore(disk).blobs, stored: async () => [...disk.blobs.keys()] };
});
siteSuite('memory', async () => {
  const disk = emptyDisk();
  return {
    open: async () => memoryStore(disk),
    get: async (url) => disk.site.get(url),
    urls: async () => [...disk.site.keys()],
  };
});
