// A collection made aside that takes the place of what is there as the last
// step: what is there is moved away, never removed, and nobody publishes from it
// meanwhile. An interrupted run leaves everything where it was.

import { chmod, copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isTufError, type Signer, StoreError, UsageError } from '@countersign/core';
import { openEmbeddedStore } from '@countersign/repository/embedded';
import { type LastSeen, type OperationOptions, renewKeys } from '@countersign/repository/operations';
import {
  type CollectionStore,
  keepPlace,
  requirePlace,
  type SharedPlace,
  Stores,
  storeSecretsOf,
} from '@countersign/server';
import { createKeyFile } from '@countersign/signers/file';
import { exists } from './author-key.ts';
import type { Context } from './context.ts';
import { collectionFolder, hasCollection } from './local-collections.ts';
import { closing, rootFile } from './local-store.ts';
import { collectionPassphrases } from './passphrases.ts';

/** Where a collection is being made. */
export interface Replacement {
  /** A folder that is empty at first. */
  readonly aside: string;
  /** Storage without a collection: in that folder, or in the shared place that the operator names. */
  readonly store: CollectionStore;
}

/**
 * Makes a collection aside and puts it in place.
 *
 * @param make gives what is to be told once it is in place, with where the one before is now
 * @throws UsageError COLLECTION_EXISTS unless `replace` is set, COLLECTION_BUSY, CONFIG_INVALID; StoreError STORE_WRITE
 */
export async function replacing(
  { config, shell }: Pick<Context, 'config' | 'shell'>,
  name: string,
  { replace = false }: { readonly replace?: boolean },
  make: (replacement: Replacement) => Promise<(before: string | undefined) => void>,
): Promise<void> {
  const folder = collectionFolder(config, name);
  const aside = join(config.state, 'collections', `.restoring-${name}`);
  const there = await exists(folder);
  if (there && !replace) {
    throw new UsageError(
      'COLLECTION_EXISTS',
      `Restoring ${name}: there is a collection of this name; with --replace it is moved away, not removed`,
      { detail: { folder } },
    );
  }
  const place = namedPlace(config, name);
  const stores = new Stores(storeSecretsOf(shell.env));
  const release =
    there && (await hasCollection(config, name)) ? await hold(stores, folder, name) : async () => undefined;
  try {
    await rm(aside, { recursive: true, force: true });
    await mkdir(aside, { recursive: true, mode: 0o700 });
    const store = await emptyStore(stores, place, aside, name);
    const tell = await closing(store.ledger, async () => await make({ aside, store }));
    if (place !== undefined) await keepPlace(aside, place);
    const before = there
      ? await unused(join(config.state, 'collections', `.${name}.before-${stampOf(shell)}`))
      : undefined;
    await release();
    await putInPlace(aside, folder, before, name);
    const root = rootFile(config, name);
    if (!(await exists(root))) await rename(join(folder, FIRST_ROOT), root);
    await rm(join(folder, FIRST_ROOT), { force: true });
    tell(before);
  } finally {
    await release();
    await stores.close();
  }
}

/** A moment as part of a file's name. */
export function stampOf({ clock }: Pick<Context['shell'], 'clock'>): string {
  return new Date(clock()).toISOString().replace(/[-:]|\.\d+/g, '');
}

/** The shared place that the operator names, if any. @throws UsageError CONFIG_INVALID */
function namedPlace({ shared }: Context['config'], name: string): SharedPlace | undefined {
  const { database, store } = shared;
  if (database !== undefined && store !== undefined) return requirePlace({ database, store });
  if (database === undefined && store === undefined) return undefined;
  const setting = database === undefined ? 'database' : 'store';
  throw new UsageError('CONFIG_INVALID', `Restoring ${name}: --database and --store go together`, {
    detail: { setting },
  });
}

/** @throws UsageError COLLECTION_EXISTS when the place has a collection of this name */
async function emptyStore(
  stores: Stores,
  place: SharedPlace | undefined,
  aside: string,
  name: string,
): Promise<CollectionStore> {
  if (place === undefined) return await openEmbeddedStore(aside);
  const store = await stores.openShared(place, aside, name);
  if ((await store.ledger.head()) === undefined) return store;
  await store.ledger.close();
  throw new UsageError(
    'COLLECTION_EXISTS',
    `Restoring ${name}: there is a collection of this name in that place; name an empty database or folder of the bucket`,
  );
}

/** Copies the keys that are there, encrypted as they are, and a development mode's passphrases. @returns their names */
export async function copyKeys(from: string, into: string, without: readonly string[]): Promise<readonly string[]> {
  const names: string[] = [];
  const copy = async (source: string, target: string, wanted: (file: string) => boolean): Promise<void> => {
    for (const file of await readdir(source).catch(() => [])) {
      if (!wanted(file)) continue;
      await mkdir(target, { recursive: true, mode: 0o700 });
      await copyFile(join(source, file), join(target, file));
      await chmod(join(target, file), 0o600);
      if (file.endsWith('.pem')) names.push(file.slice(0, -'.pem'.length));
    }
  };
  await copy(from, join(into, 'keys'), (file) => file.endsWith('.pem') && !without.includes(file.slice(0, -4)));
  await copy(join(from, '..', 'passphrases'), join(into, 'passphrases'), () => true);
  return names;
}

/** Where the keys are to be taken from. */
export function keysFolder({ config, shell }: Context, name: string, { keys }: { readonly keys?: string }): string {
  return keys === undefined ? join(collectionFolder(config, name), 'keys') : resolve(shell.cwd, keys);
}

/** Makes new timestamp and snapshot keys and publishes under them. @returns the version of the new root */
export async function withNewKeys(
  options: OperationOptions,
  offline: readonly Signer[],
  aside: string,
  shell: Context['shell'],
  seen: LastSeen | undefined,
): Promise<number> {
  const passphrases = collectionPassphrases(aside, shell, 'choose');
  const make = async (key: 'timestamp' | 'snapshot'): Promise<Signer> =>
    await createKeyFile(join(aside, 'keys', `${key}.pem`), await passphrases(key));
  const keys = { offline, timestamp: await make('timestamp'), snapshot: await make('snapshot') };
  return await renewKeys(options, keys, seen);
}

/**
 * Holds the right to publish of what is there, if it can be opened at all.
 *
 * @returns the function that gives it up, which may be called again
 * @throws UsageError COLLECTION_BUSY
 */
export async function hold(stores: Stores, folder: string, name: string): Promise<() => Promise<void>> {
  let store = await stores.open(folder, name).catch((error: unknown) => {
    if (isTufError(error)) return undefined; // damaged: that may be why it is replaced
    throw error;
  });
  const leadership = await store?.ledger.lead();
  if (store !== undefined && leadership === undefined) {
    await store.ledger.close();
    throw new UsageError('COLLECTION_BUSY', `Restoring ${name}: a service publishes it; stop it first`);
  }
  return async () => {
    const { ledger } = store ?? {};
    store = undefined;
    await ledger?.close();
  };
}

async function putInPlace(aside: string, folder: string, before: string | undefined, name: string): Promise<void> {
  try {
    if (before !== undefined) await rename(folder, before);
    await rename(aside, folder);
  } catch (cause) {
    throw new StoreError('STORE_WRITE', `Restoring ${name}: its folder cannot be put into place`, {
      detail: { folder },
      cause,
    });
  }
}

async function unused(path: string): Promise<string> {
  for (let n = 1; ; n++) {
    const name = n === 1 ? path : `${path}-${n}`;
    if (!(await exists(name))) return name;
  }
}

/** Where `make` leaves the first root, for users to pin. */
export const FIRST_ROOT = '.first-root.json';
