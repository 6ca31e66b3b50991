// A collection folder for somebody else's repository: our keys are made first,
// so that its holders can sign the root that names them; the storage is filled
// when they have. Until then there is a folder with keys and nothing else.

import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { nodeCrypto } from '@countersign/client/node';
import type { Instant } from '@countersign/core';
import type { BinsForm } from '@countersign/repository';
import { openEmbeddedStore } from '@countersign/repository/embedded';
import {
  type Foreign,
  type ForeignSource,
  type OnProgress,
  type TakenOver,
  type TakeoverKeys,
  takeOver,
} from '@countersign/repository/operations';
import { issueToken, openOrMakeKey, type Passphrases } from './collection-folder.ts';

/** What fills a folder with a repository that was somebody else's. */
export interface TakeoverFolder {
  readonly folder: string;
  readonly name: string;
  readonly source: ForeignSource;
  readonly foreign: Foreign;
  /** The root that both sides signed. */
  readonly root: Uint8Array;
  readonly keys: TakeoverKeys;
  readonly layout: { readonly bitLength: number; readonly form: BinsForm };
  readonly clock: () => Instant;
  readonly onProgress?: OnProgress;
}

/** The keys to take over with: made the first time, opened from then on. @throws SignerError; StoreError */
export async function takeoverKeys(folder: string, passphrases: Passphrases): Promise<TakeoverKeys> {
  await mkdir(join(folder, 'keys'), { recursive: true, mode: 0o700 });
  return {
    offline: [await openOrMakeKey(folder, 'offline', passphrases)],
    threshold: 1,
    timestamp: await openOrMakeKey(folder, 'timestamp', passphrases),
    snapshot: await openOrMakeKey(folder, 'snapshot', passphrases),
    bins: await openOrMakeKey(folder, 'bins', passphrases),
  };
}

/**
 * Fills the folder. What an interrupted run left in it, keys excepted, goes first.
 *
 * @returns what was taken over, and a token that may submit
 * @throws as `takeOver`
 */
export async function fillTakeoverFolder({
  folder,
  onProgress,
  ...takeover
}: TakeoverFolder): Promise<{ readonly taken: TakenOver; readonly token: string }> {
  for (const left of await readdir(folder)) {
    if (left !== 'keys' && left !== 'passphrases') await rm(join(folder, left), { recursive: true, force: true });
  }
  const store = await openEmbeddedStore(folder);
  try {
    const { ledger, blobs, site } = store;
    const options = { ledger, blobs, site, crypto: nodeCrypto, ...takeover, ...(onProgress && { onProgress }) };
    const taken = await takeOver(options);
    return { taken, token: await issueToken(store, 'operator') };
  } finally {
    await store.ledger.close();
  }
}
