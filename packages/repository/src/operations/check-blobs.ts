// The blob store as fsck sees it: what nothing lists, what was never finished,
// what the ledger believes to be stored and is not; in a deep check also
// whether every blob is what its name says.

import type { StoredFile } from '../ports.ts';
import type { Checking } from './check.ts';
import { batchesOf, FINISHED_BY, factsOf } from './store.ts';

/** Checks the blob store, after the walk has said what is listed. */
export async function checkBlobs({ options, stored, listed, tell }: Checking): Promise<void> {
  const { blobs, ledger, crypto, clock, deep, onProgress } = options;
  const now = clock();
  let count = 0;
  let bytes = 0;
  let done = 0;
  const check = async ({ name, length, modified, partial }: StoredBlob): Promise<void> => {
    if (partial) {
      if (now - modified > FINISHED_BY)
        tell({ kind: 'PARTIAL', subject: name, facts: { sha256: name, bytes: length } });
      return;
    }
    if (!listed.has(name) && now - modified > FINISHED_BY) {
      count++;
      bytes += length;
    }
    if (!deep) return;
    const facts = await factsOf(blobs.read(name), crypto);
    const want = await ledger.blob(name);
    const wrong = facts?.sha256 !== name || (want !== undefined && want.sha512 !== facts.sha512);
    // What cannot be read was removed since.
    if (facts !== undefined && wrong) {
      tell({ kind: 'BLOB_DAMAGED', subject: name, facts: { sha256: name, about: 'its content is another' } });
    }
  };
  for await (const some of batchesOf(blobs.list())) {
    await Promise.all(some.map(check));
    done += some.length;
    onProgress?.(deep ? 'Reading blobs' : 'Checking blobs', done, stored.size);
  }
  if (count > 0) tell({ kind: 'BLOBS_UNLISTED', subject: `${count} blobs`, facts: { count, bytes } });
  for await (const { sha256 } of ledger.blobs()) {
    if (stored.has(sha256) || listed.has(sha256)) continue;
    // Uploaded since the store was listed?
    if ((await blobs.size(sha256)) === undefined) tell({ kind: 'BLOB_LOST', subject: sha256, facts: { sha256 } });
  }
}

type StoredBlob = StoredFile & { readonly name: string };
