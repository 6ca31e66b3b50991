// `countersign rebuild`: the database made anew from what was published, in
// place from the collection's own site and blobs, or elsewhere from any copy of
// a site. What was never published is lost, and that is said.

import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { nodeCrypto } from '@countersign/client/node';
import { compareCodePoints, UsageError } from '@countersign/core';
import { folderBlobs, folderSite, openEmbeddedStore, openSqliteLedger } from '@countersign/repository/embedded';
import {
  FINDINGS,
  type Finding,
  goesBack,
  type OperationOptions,
  type Rebuilt,
  rebuildLedger,
  renewKeys,
  requireSound,
  showAll,
} from '@countersign/repository/operations';
import { openOfflineKey, requireCollectionName } from '@countersign/server';
import { createKeyFile } from '@countersign/signers/file';
import { exists } from '../author-key.ts';
import type { Context } from '../context.ts';
import { seenBy, type Witness, witnessAt, witnessOn } from '../last-seen.ts';
import { collectionFolder, hasCollection } from '../local-collections.ts';
import { anchorOf, rootFile } from '../local-store.ts';
import { columns } from '../output.ts';
import { collectionPassphrases } from '../passphrases.ts';
import { copyKeys, hold, replacing } from '../replacement.ts';
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
  await replacing(context, name, options, async ({ aside }) => {
    const made = await elsewhere(context, name, anchor, from, aside, options);
    return async (before) => tell(context, name, made, before);
  });
}

/** From the collection's own site and blobs; the damaged ledger is moved away. */
async function inPlace(context: Context, name: string, anchor: Uint8Array, options: RebuildOptions): Promise<void> {
  const { config, shell, output } = context;
  const folder = collectionFolder(config, name);
  if (!(await exists(join(folder, 'site', 'metadata', 'timestamp.json')))) {
    throw new UsageError(
      'COLLECTION_MISSING',
      `Rebuilding ${name}: its site is not there; give a copy of it with --from`,
      {
        detail: { folder },
      },
    );
  }
  if (options.newKeys) {
    throw new UsageError('USAGE_INVALID', `Rebuilding ${name} in place: for --new-keys give its site with --from`);
  }
  const release = (await hasCollection(config, name)) ? await hold(folder, name) : async () => undefined;
  const aside = join(folder, '.rebuilding');
  const blobs = folderBlobs(join(folder, 'blobs'));
  const site = folderSite(join(folder, 'site'), join(folder, 'blobs'));
  const progress = output.progress(`Rebuilding ${name}`);
  try {
    await rm(aside, { recursive: true, force: true });
    await mkdir(aside, { recursive: true });
    await mkdir(join(folder, 'blobs'), { recursive: true });
    const ledger = await openSqliteLedger(join(aside, 'ledger.sqlite'));
    let made: Made;
    try {
      const told = { name, ledger, blobs, site, crypto: nodeCrypto, clock: shell.clock, onProgress: progress.step };
      const rebuilt = await rebuildLedger({ ...told, source: site, anchor });
      await requireNothingNewer(context, name, rebuilt, options);
      made = { rebuilt, findings: await requireSound(told, anchor), newRoot: undefined };
    } finally {
      await ledger.close();
    }
    await release();
    const before = await moveLedger(folder, shell.clock());
    // What belongs to it first: without it the database may be older.
    for (const file of (await readdir(aside)).sort(compareCodePoints).reverse()) {
      await rename(join(aside, file), join(folder, file));
    }
    await rm(aside, { recursive: true, force: true });
    progress.end();
    tell(context, name, made, before);
  } finally {
    progress.end();
    await release();
  }
}

/** From a copy of a site, into a folder aside. */
async function elsewhere(
  context: Context,
  name: string,
  anchor: Uint8Array,
  from: string,
  aside: string,
  options: RebuildOptions,
): Promise<Made> {
  const { config, shell, output } = context;
  const without = options.newKeys ? ['timestamp', 'snapshot'] : [];
  await copyKeys(options.keys ?? join(collectionFolder(config, name), 'keys'), aside, without);
  const offline = options.newKeys ? [await openOfflineKey(aside, collectionPassphrases(aside, shell, 'open'))] : [];
  const store = await openEmbeddedStore(aside);
  const progress = output.progress(`Rebuilding ${name}`);
  try {
    const { ledger, blobs, site } = store;
    const told: OperationOptions = {
      name,
      ledger,
      blobs,
      site,
      crypto: nodeCrypto,
      clock: shell.clock,
      onProgress: progress.step,
    };
    const rebuilt = await rebuildLedger({ ...told, source: folderSite(from, join(aside, 'blobs')), anchor });
    const seen = await requireNothingNewer(context, name, rebuilt, options);
    let newRoot: number | undefined;
    if (options.newKeys) {
      const passphrases = collectionPassphrases(aside, shell, 'choose');
      const make = async (key: 'timestamp' | 'snapshot'): ReturnType<typeof createKeyFile> =>
        await createKeyFile(join(aside, 'keys', `${key}.pem`), await passphrases(key));
      const renewal = { offline, timestamp: await make('timestamp'), snapshot: await make('snapshot') };
      newRoot = await renewKeys(told, renewal, seen);
    }
    await showAll(told);
    return { rebuilt, findings: await requireSound(told, anchor), newRoot };
  } finally {
    progress.end();
    await store.ledger.close();
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
async function moveLedger(folder: string, now: number): Promise<string | undefined> {
  const files = (await readdir(folder)).filter((name) => name.startsWith('ledger.sqlite'));
  if (files.length === 0) return undefined;
  const before = join(folder, `.ledger.before-${new Date(now).toISOString().replace(/[-:]|\.\d+/g, '')}`);
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
