// The storage of a collection of this machine, as the maintenance commands open
// it: beside a running service for reading, or with the right to publish, which
// a running service holds.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nodeCrypto } from '@countersign/client/node';
import { UsageError } from '@countersign/core';
import type { OperationOptions } from '@countersign/repository/operations';
import { type CollectionStore, requireCollectionName } from '@countersign/server';
import type { Config } from './config.ts';
import type { Context } from './context.ts';
import { collectionFolder, hasCollection, storesOf } from './local-collections.ts';
import type { Progress } from './output.ts';
import type { Shell } from './shell.ts';

/** Runs something on a collection's storage, wherever that is. @throws UsageError COLLECTION_MISSING; StoreError */
export async function withStore<T>(
  { config, shell, output }: Context,
  name: string,
  label: string,
  act: (options: OperationOptions) => Promise<T>,
): Promise<T> {
  requireCollectionName(name);
  const folder = collectionFolder(config, name);
  if (!(await hasCollection(config, name))) {
    throw new UsageError('COLLECTION_MISSING', `Opening ${name}: there is no collection in its folder`, {
      detail: { folder },
    });
  }
  const stores = storesOf({ shell, config });
  const progress = output.progress(label);
  try {
    const store = await stores.open(folder, name);
    return await closing(store.ledger, async () => await act(optionsOver(store, name, shell, progress)));
  } finally {
    progress.end();
    await stores.close();
  }
}

/** Runs something, and closes the ledger after it, however it ends. */
export async function closing<T>(ledger: { readonly close: () => Promise<void> }, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } finally {
    await ledger.close();
  }
}

/** What the operations are told of a store that is open. */
export function optionsOver(
  { ledger, blobs, site }: CollectionStore,
  name: string,
  { clock }: Pick<Shell, 'clock'>,
  { step }: Progress,
): OperationOptions {
  return { name, ledger, blobs, site, crypto: nodeCrypto, clock, onProgress: step };
}

/** Runs something while nobody else can publish. @throws UsageError COLLECTION_BUSY */
export async function alone<T>({ name, ledger }: OperationOptions, act: () => Promise<T>): Promise<T> {
  const leadership = await ledger.lead();
  if (leadership === undefined) {
    throw new UsageError('COLLECTION_BUSY', `Changing ${name}: a service publishes it; stop it first`);
  }
  try {
    return await act();
  } finally {
    await leadership.release();
  }
}

/** The file with the root that users of a collection pin. */
export function rootFile(config: Config, name: string): string {
  return name === config.collection ? config.root : join(config.state, `${name}.root.json`);
}

/** The root that users of a collection pin, if it is kept here. */
export async function anchorOf(config: Config, name: string): Promise<Uint8Array | undefined> {
  return await readFile(rootFile(config, name)).catch(() => undefined); // the command says what that means
}
