// Collections on this machine, as the operator's commands find, make and open
// them. A new one is made in a folder aside and renamed into place as its last
// step, so that an interrupted `init` can simply be run again.
//   <state>/collections/<name>/      the collection itself
//   <state>/<name>.root.json         its first root, for users to trust
//   <state>/<name>.token             a token to submit with, 0600

import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compareCodePoints, isTufError, StoreError, sameBytes, UsageError } from '@countersign/core';
import type { BinsGenesis, RepositoryEvent } from '@countersign/repository';
import {
  type CreatedCollection,
  createCollectionFolder,
  isCollectionFolder,
  type NewCollection,
  type OpenCollection,
  openCollectionFolder,
  requireCollectionName,
  type SharedPlace,
  Stores,
  storeSecretsOf,
  type UnservedEvent,
} from '@countersign/server';
import { exists } from './author-key.ts';
import type { Config } from './config.ts';
import type { Context } from './context.ts';
import { collectionPassphrases, type PassphraseMode, writePrivately } from './passphrases.ts';

/** Where a collection that was just made keeps what its operator needs. */
export interface MadeCollection {
  readonly name: string;
  readonly folder: string;
  readonly root: string;
  readonly tokenFile: string;
  /** The folder of random passphrases; `undefined` when the operator gave them. */
  readonly passphraseFolder: string | undefined;
}

/** What a new collection is laid out as. */
export type NewLayout = { readonly shardDigits: number } | { readonly bins: BinsGenesis };

/** The folder of a collection. */
export function collectionFolder({ state }: Pick<Config, 'state'>, name: string): string {
  return join(state, 'collections', name);
}

/** Tells whether there is a collection of this name. */
export async function hasCollection(config: Pick<Config, 'state'>, name: string): Promise<boolean> {
  return await isCollectionFolder(collectionFolder(config, name));
}

/** The names of all collections, in order. */
export async function collectionNames(config: Pick<Config, 'state'>): Promise<readonly string[]> {
  const names = await readdir(join(config.state, 'collections')).catch(() => []); // no folder, no collections
  const found: string[] = [];
  for (const name of names) if (!name.startsWith('.') && (await hasCollection(config, name))) found.push(name);
  return found.sort(compareCodePoints);
}

/**
 * Makes a collection.
 *
 * @throws UsageError COLLECTION_EXISTS, USAGE_INVALID; SignerError KEY_LOCKED; StoreError
 */
export async function makeCollection(
  { shell, config }: Pick<Context, 'shell' | 'config'>,
  name: string,
  mode: Exclude<PassphraseMode, 'open'>,
  layout: NewLayout,
): Promise<MadeCollection> {
  requireCollectionName(name);
  const folder = collectionFolder(config, name);
  const root = join(config.state, `${name}.root.json`);
  const tokenFile = join(config.state, `${name}.token`);
  if (await hasCollection(config, name)) {
    throw new UsageError('COLLECTION_EXISTS', `Creating ${name}: there is a collection of this name`, {
      detail: { folder },
    });
  }
  if (await exists(root)) {
    throw new UsageError(
      'COLLECTION_EXISTS',
      `Creating ${name}: you trust another collection of this name; move its root away to create a new one`,
      { detail: { root } },
    );
  }
  // Asked before anything is made: a missing passphrase must leave nothing behind.
  const aside = join(config.state, 'collections', `.making-${name}`);
  const { database, store } = config.shared;
  if ((database === undefined) !== (store === undefined)) {
    const setting = database === undefined ? 'database' : 'store';
    throw new UsageError('CONFIG_INVALID', `Creating ${name}: --database and --store go together`, {
      detail: { setting },
    });
  }
  const place = database !== undefined && store !== undefined ? { database, store } : undefined;
  // What has begun in a shared place can only be finished with the keys that it began with.
  if (place === undefined) await rm(aside, { recursive: true, force: true });
  const passphrases = collectionPassphrases(aside, shell, mode);
  if (mode === 'choose') await passphrases('offline');
  const made = await createIn(place, { folder: aside, name, passphrases, ...layout, clock: shell.clock }, shell);
  await writePrivately(tokenFile, `${made.token}\n`);
  try {
    await writeFile(root, made.anchor);
    await rename(aside, folder);
  } catch (cause) {
    await rm(root, { force: true });
    throw new StoreError('STORE_WRITE', `Creating ${name}: its folder cannot be put into place`, {
      detail: { folder },
      cause,
    });
  }
  const passphraseFolder = join(folder, 'passphrases');
  return {
    name,
    folder,
    root,
    tokenFile,
    passphraseFolder: (await exists(passphraseFolder)) ? passphraseFolder : undefined,
  };
}

async function createIn(
  place: SharedPlace | undefined,
  options: NewCollection,
  { env }: Pick<Context['shell'], 'env'>,
): Promise<CreatedCollection> {
  const stores = new Stores(storeSecretsOf(env));
  try {
    return await createCollectionFolder({ ...options, ...(place && { shared: { place, stores } }) });
  } finally {
    await stores.close();
  }
}

/** The stores of local collections, as this command is set. To be closed last. */
export function storesOf({ shell, config }: Pick<Context, 'shell' | 'config'>): Stores {
  return new Stores(storeSecretsOf(shell.env), config.shared);
}

/** Collections that opened, and those that did not. */
export interface Opened {
  readonly collections: readonly OpenCollection[];
  readonly unserved: readonly UnservedEvent[];
}

/**
 * Opens collections for service. One that cannot be opened does not stop the others.
 *
 * @param stores to be closed after them
 * @param among for one of several processes; beside `others` every collection must open, as it is served already
 * @throws UsageError COLLECTION_MISSING for a name that there is none of; what the first one fails with where none can be opened
 */
export async function openCollections(
  { shell, config }: Pick<Context, 'shell' | 'config'>,
  names: readonly string[],
  stores: Stores,
  log: (name: string) => (event: RepositoryEvent) => void,
  among?: 'first' | 'others',
): Promise<Opened> {
  const collections: OpenCollection[] = [];
  const faults: { readonly name: string; readonly error: unknown }[] = [];
  for (const name of names) {
    try {
      requireCollectionName(name);
      const folder = collectionFolder(config, name);
      const passphrases = collectionPassphrases(folder, shell, 'open');
      const { clock } = shell;
      const options = { folder, name, passphrases, clock, stores, log: log(name), among };
      collections.push(await openCollectionFolder(options));
    } catch (error) {
      faults.push({ name, error });
    }
  }
  // A name that is nobody's is a slip of whoever typed it.
  const slip = faults.find(({ error }) => isTufError(error) && MISTAKES.has(error.code));
  const fatal = slip ?? (collections.length === 0 || among === 'others' ? faults[0] : undefined);
  if (fatal === undefined) return { collections, unserved: faults.map(unservedEvent) };
  for (const { repository } of collections) await repository.close();
  throw fatal.error;
}

function unservedEvent({ name, error }: { readonly name: string; readonly error: unknown }): UnservedEvent {
  const code = isTufError(error) ? error.code : 'INTERNAL';
  return { event: 'unserved', collection: name, code, message: error instanceof Error ? error.message : String(error) };
}

/** The root that a local collection began with is the one its users' file holds. @throws UsageError ANCHOR_MISSING */
export async function requireAnchor(config: Pick<Config, 'state' | 'root'>, name: string): Promise<void> {
  const first = join(collectionFolder(config, name), 'site', 'metadata', '1.root.json');
  const [here, trusted] = await Promise.all([first, config.root].map((file) => readFile(file).catch(() => undefined))); // absent
  if (here !== undefined && trusted !== undefined && sameBytes(here, trusted)) return;
  const problem = trusted === undefined ? 'is missing' : 'is of another collection';
  throw new UsageError('ANCHOR_MISSING', `Opening ${name}: its trusted root ${problem}`, {
    detail: { root: config.root, first },
  });
}

/** Makes the state folder, which holds secrets. */
export async function makeState({ state }: Pick<Config, 'state'>): Promise<void> {
  await mkdir(state, { recursive: true, mode: 0o700 });
}

const MISTAKES: ReadonlySet<string> = new Set(['COLLECTION_MISSING', 'USAGE_INVALID', 'CONFIG_INVALID']);
