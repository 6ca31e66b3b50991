// A collection made aside that takes the place of what is there as the last
// step: what is there is moved away, never removed, and nobody publishes from it
// meanwhile. An interrupted run leaves everything where it was.

import { chmod, copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isTufError, StoreError, UsageError } from '@countersign/core';
import { openEmbeddedStore } from '@countersign/repository/embedded';
import { exists } from './author-key.ts';
import type { Context } from './context.ts';
import { collectionFolder, hasCollection } from './local-collections.ts';
import { rootFile } from './local-store.ts';

/** Where a collection is being made. */
export interface Replacement {
  /** A folder that is empty at first. */
  readonly aside: string;
}

/**
 * Makes a collection aside and puts it in place.
 *
 * @param make gives what is to be told once it is in place, with where the one before is now
 * @throws UsageError COLLECTION_EXISTS unless `replace` is set, COLLECTION_BUSY; StoreError STORE_WRITE
 */
export async function replacing(
  { config, shell }: Pick<Context, 'config' | 'shell'>,
  name: string,
  { replace = false }: { readonly replace?: boolean },
  make: (replacement: Replacement) => Promise<(before: string | undefined) => Promise<void>>,
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
  const release = there && (await hasCollection(config, name)) ? await hold(folder, name) : async () => undefined;
  try {
    await rm(aside, { recursive: true, force: true });
    await mkdir(aside, { recursive: true, mode: 0o700 });
    const tell = await make({ aside });
    const stamp = new Date(shell.clock()).toISOString().replace(/[-:]|\.\d+/g, '');
    const before = there ? await unused(join(config.state, 'collections', `.${name}.before-${stamp}`)) : undefined;
    await putInPlace(aside, folder, before, name);
    await keepRoot(folder, rootFile(config, name));
    await tell(before);
  } finally {
    await release();
  }
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

/**
 * Holds the right to publish of what is there, if it can be opened at all.
 *
 * @returns the function that gives it up, which may be called again
 * @throws UsageError COLLECTION_BUSY
 */
export async function hold(folder: string, name: string): Promise<() => Promise<void>> {
  const store = await openEmbeddedStore(folder).catch((error: unknown) => {
    if (isTufError(error)) return undefined; // damaged: that may be why it is replaced
    throw error;
  });
  const leadership = await store?.ledger.lead();
  if (store !== undefined && leadership === undefined) {
    await store.ledger.close();
    throw new UsageError('COLLECTION_BUSY', `Restoring ${name}: a service publishes it; stop it first`);
  }
  let held = store;
  return async () => {
    const { ledger } = held ?? {};
    held = undefined;
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

/** The root that users pin, where it is not kept yet. */
async function keepRoot(folder: string, file: string): Promise<void> {
  if (await exists(file)) return;
  await writeFile(file, await readFile(join(folder, 'site', 'metadata', '1.root.json')));
}

async function unused(path: string): Promise<string> {
  for (let n = 1; ; n++) {
    const name = n === 1 ? path : `${path}-${n}`;
    if (!(await exists(name))) return name;
  }
}
