// `countersign rebuild`: the database made anew from what was published, in
// place from the collection's own site and blobs, or elsewhere from any copy of
// a site. What was never published is lost, and that is said.

import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { compareCodePoints, UsageError } from '@countersign/core';
import { folderBlobs, folderSite, openSqliteLedger } from '@countersign/repository/embedded';
import {
  FINDINGS,
  type Finding,
  goesBack,
  type Rebuilt,
  rebuildLedger,
  requireSound,
  showAll,
} from '@countersign/repository/operations';
import {
  type CollectionStore,
  keepPlace,
  openOfflineKey,
  placeOf,
  requireCollectionName,
  requirePlace,
  type SharedPlace,
} from '@countersign/server';
import { exists } from '../author-key.ts';
import type { Context } from '../context.ts';
import { seenBy, type Witness, witnessAt, witnessOn } from '../last-seen.ts';
import { collectionFolder, hasCollection, storesOf } from '../local-collections.ts';
import { anchorOf, closing, optionsOver, rootFile } from '../local-store.ts';
import { columns } from '../output.ts';
import { collectionPassphrases } from '../passphrases.ts';
import { copyKeys, hold, keysFolder, type Replacement, replacing, stampOf, withNewKeys } from '../replacement.ts';
import { shownPath } from '../shell.ts';

/** What `rebuild` may be told. */
export interface RebuildOptions {
  /** A folder with `metadata/` and `targets/`. */
  readonly from?: string;
  readonly lastSeen?: string;
  readonly newKeys?: boolean;
  readonly keys?: string;
  readonly replace?: boolean;
}

interface Made {
  readonly rebuilt: Rebuilt;
  readonly findings: readonly Finding[];
  readonly newRoot: number | undefined;
}

/**
 * Rebuilds a collection.
 *
 * @throws UsageError ANCHOR_MISSING, COLLECTION_MISSING, COLLECTION_EXISTS, COLLECTION_BUSY, USAGE_INVALID; MetadataError; StoreError; SignerError
 */
export async function rebuild(context: Context, name: string, options: RebuildOptions): Promise<void> {
  requireCollectionName(name);
  const { config, shell } = context;
  const anchor = await anchorOf(config, name);
  if (anchor === undefined) {
    const root = rootFile(config, name);
    throw new UsageError('ANCHOR_MISSING', `Rebuilding ${name}: the root that its users trust is needed`, {
      detail: { root },
    });
  }
  if (options.from === undefined) {
    await inPlace(context, name, anchor, options);
    return;
  }
  const from = resolve(shell.cwd, options.from);
  await replacing(context, name, options, async (replacement) => {
    const made = await elsewhere(context, name, anchor, from, replacement, options);
    return (before) => tell(context, name, made, before);
  });
}

/** From the collection's own site and blobs. */
async function inPlace(context: Context, name: string, anchor: Uint8Array, options: RebuildOptions): Promise<void> {
  const { config, shell } = context;
  const folder = collectionFolder(config, name);
  if (options.newKeys) {
    throw new UsageError('USAGE_INVALID', `Rebuilding ${name} in place: for --new-keys give its site with --from`);
  }
  const place = await placeOf(folder);
  if (place !== undefined) return await inSharedPlace(context, name, anchor, { ...place, ...config.shared }, options);
  if (!(await exists(join(folder, 'site', 'metadata', 'timestamp.json')))) {
    const problem = 'its site is not there; give a copy of it with --from';
    throw new UsageError('COLLECTION_MISSING', `Rebuilding ${name}: ${problem}`, { detail: { folder } });
  }
  const stores = storesOf({ shell, config });
  const release = (await hasCollection(config, name)) ? await hold(stores, folder, name) : async () => undefined;
  const aside = join(folder, '.rebuilding');
  try {
    await rm(aside, { recursive: true, force: true });
    for (const needed of [aside, join(folder, 'blobs')]) await mkdir(needed, { recursive: true });
    const ledger = await openSqliteLedger(join(aside, 'ledger.sqlite'));
    const blobs = folderBlobs(join(folder, 'blobs'));
    const site = folderSite(join(folder, 'site'), join(folder, 'blobs'));
    const store = { ledger, blobs, site, siteFolder: undefined };
    const made = await closing(ledger, async () => await fromItself(context, name, anchor, store, options));
    await release();
    const before = await moveLedger(folder, stampOf(shell));
    // What belongs to it first: without it the database may be older.
    for (const file of (await readdir(aside)).sort(compareCodePoints).reverse()) {
      await rename(join(aside, file), join(folder, file));
    }
    await rm(aside, { recursive: true, force: true });
    tell(context, name, made, before);
  } finally {
    await release();
    await stores.close();
  }
}

/** From the object store, into a database that holds nothing of it. */
async function inSharedPlace(
  context: Context,
  name: string,
  anchor: Uint8Array,
  place: SharedPlace,
  options: RebuildOptions,
): Promise<void> {
  const { config, shell } = context;
  const folder = collectionFolder(config, name);
  const stores = storesOf({ shell, config });
  try {
    const store = await stores.openShared(requirePlace(place), folder, name);
    const made = await closing(store.ledger, async () => {
      if ((await store.ledger.head()) === undefined) return await fromItself(context, name, anchor, store, options);
      const problem = 'its database holds it; name an empty one with --database and --store';
      throw new UsageError('COLLECTION_EXISTS', `Rebuilding ${name}: ${problem}`);
    });
    await keepPlace(folder, place);
    tell(context, name, made, undefined);
  } finally {
    await stores.close();
  }
}

async function fromItself(
  context: Context,
  name: string,
  anchor: Uint8Array,
  store: CollectionStore,
  options: RebuildOptions,
): Promise<Made> {
  const progress = context.output.progress(`Rebuilding ${name}`);
  try {
    const told = optionsOver(store, name, context.shell, progress);
    const rebuilt = await rebuildLedger({ ...told, source: store.site, anchor });
    await requireNothingNewer(context, name, rebuilt, options);
    return { rebuilt, findings: await requireSound(told, anchor), newRoot: undefined };
  } finally {
    progress.end();
  }
}

/** From a copy of a site, into storage that is empty. */
async function elsewhere(
  context: Context,
  name: string,
  anchor: Uint8Array,
  from: string,
  { aside, store }: Replacement,
  options: RebuildOptions,
): Promise<Made> {
  const { shell, output } = context;
  const without = options.newKeys ? ['timestamp', 'snapshot'] : [];
  await copyKeys(keysFolder(context, name, options), aside, without);
  const offline = options.newKeys ? [await openOfflineKey(aside, collectionPassphrases(aside, shell, 'open'))] : [];
  const progress = output.progress(`Rebuilding ${name}`);
  try {
    const told = optionsOver(store, name, shell, progress);
    const rebuilt = await rebuildLedger({ ...told, source: folderSite(from, join(aside, 'blobs')), anchor });
    const seen = await requireNothingNewer(context, name, rebuilt, options);
    const newRoot = options.newKeys ? await withNewKeys(told, offline, aside, shell, seen) : undefined;
    await showAll(told);
    return { rebuilt, findings: await requireSound(told, anchor), newRoot };
  } finally {
    progress.end();
  }
}

/** Refuses an old copy where somebody has seen a newer one. */
async function requireNothingNewer(
  { config, shell }: Context,
  name: string,
  { timestamp, snapshot }: Rebuilt,
  { lastSeen, newKeys }: RebuildOptions,
): Promise<ReturnType<typeof seenBy>> {
  const told: readonly Witness[] =
    lastSeen === undefined || lastSeen === 'none' ? [] : [await witnessAt(resolve(shell.cwd, lastSeen))];
  const there = config.collection === name ? await witnessOn(config.url) : undefined;
  const seen = seenBy([...told, ...(there ? [there] : [])]);
  if (newKeys || seen === undefined || !goesBack({ timestamp, snapshot }, seen)) return seen;
  throw new UsageError(
    'USAGE_INVALID',
    `Rebuilding ${name}: clients have seen newer metadata than this copy holds and would refuse it (ROLLBACK); find a newer copy, or add --from and --new-keys, which needs the offline key`,
    {
      detail: {
        'timestamp in the copy': timestamp,
        'timestamp last seen': seen.timestamp,
        'snapshot in the copy': snapshot,
        'snapshot last seen': seen.snapshot,
      },
    },
  );
}

/** Moves a ledger and what belongs to it into a folder beside it. @returns that folder, if there was a ledger */
async function moveLedger(folder: string, stamp: string): Promise<string | undefined> {
  const files = (await readdir(folder)).filter((name) => name.startsWith('ledger.sqlite'));
  if (files.length === 0) return undefined;
  const before = join(folder, `.ledger.before-${stamp}`);
  await mkdir(before, { recursive: true });
  for (const name of files) await rename(join(folder, name), join(before, name));
  return before;
}

function tell(context: Context, name: string, { rebuilt, findings, newRoot }: Made, before: string | undefined): void {
  const { shell, output, suggest } = context;
  const { publication, roles, targets, decisions, lostRoles, lostTargets } = rebuilt;
  output.result({ collection: name, ...rebuilt, newRoot: newRoot ?? null, before: before ?? null, findings }, [
    `Rebuilt ${name} at publication ${publication}: ${roles} roles, ${targets} listed files, ${decisions} decisions, all verified from the root that you trust.`,
    ...columns([
      ...(newRoot === undefined ? [] : [['root', `version ${newRoot}, with new keys for timestamp and snapshot`]]),
      ...(before === undefined ? [] : [['before', `what was here is in ${shownPath(before, shell)}`]]),
    ]),
    ...lostRoles.map((role) => `lost  ${role}`),
    ...lostTargets.map(
      (path) => `lost  the content of ${path}: its author can upload it again, then run fsck --repair`,
    ),
    ...findings
      .filter(({ kind }) => kind !== 'BLOB_MISSING' && kind !== 'SITE_MISSING')
      .map(({ kind, subject }) => `${FINDINGS[kind].severity}  ${subject}: ${FINDINGS[kind].problem}`),
    'Not in what was published, so lost: submissions that waited, open signing events, and every token. Next:',
    `  ${suggest('token create <account>')}`,
    `  ${suggest(`serve ${name}`)}`,
  ]);
}
