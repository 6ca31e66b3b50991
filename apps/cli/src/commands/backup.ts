// `countersign backup`: everything a collection is but its keys, in a folder or
// a tar file, while the service runs.

import { resolve } from 'node:path';
import { StoreError, writeInstant } from '@countersign/core';
import { backUp, folderArchive, tarArchive } from '@countersign/repository/operations';
import type { Context } from '../context.ts';
import { withStore } from '../local-store.ts';
import { bytesText, columns } from '../output.ts';
import { shownPath } from '../shell.ts';

/** Makes a backup. @throws UsageError COLLECTION_MISSING, USAGE_INVALID; StoreError STORE_WRITE, CHECK_FAILED when blobs are lost */
export async function backup(context: Context, name: string, place: string): Promise<void> {
  const { output, shell, suggest } = context;
  const path = resolve(shell.cwd, place);
  const { manifest, sha256, copied } = await withStore(
    context,
    name,
    `Backing up ${name}`,
    async (options) =>
      await backUp(options, path.endsWith('.tar') ? await tarArchive(path) : await folderArchive(path)),
  );
  const { head, parts, blobs, lost } = manifest;
  const ledger = parts.reduce((sum, { length }) => sum + length, 0);
  output.result({ collection: name, place: path, publication: head.publication, sha256, ledger, blobs, copied, lost }, [
    `Backed up publication ${head.publication} of ${name} (${writeInstant(head.at)}) to ${shownPath(path, shell)}:`,
    ...columns([
      ['ledger', bytesText(ledger)],
      ['blobs', `${blobs.count}, ${bytesText(blobs.bytes)}, of which new: ${bytesText(copied)}`],
      ['manifest', `sha256 ${sha256}`],
    ]),
    'It holds no keys: keep the offline key and the online keys apart from it. Whoever can change it can change',
    'accounts and what waits to be published; note the digest of its manifest to notice. To put it back:',
    `  ${suggest(`restore ${name} ${shownPath(path, shell)} --manifest ${sha256}`)}`,
  ]);
  if (lost.length > 0) {
    throw new StoreError('CHECK_FAILED', `Backing up ${name}: ${lost.length} blobs are missing or damaged`, {
      detail: { lost: lost.slice(0, 20) },
    });
  }
}
