// `countersign restore`: a backup becomes a collection again, in a folder aside
// that takes its place as the last step. Refused where clients would refuse it:
// below what they have seen, unless timestamp and snapshot get new keys.

import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { nodeCrypto } from '@countersign/client/node';
import { hex, StoreError, UsageError, writeInstant } from '@countersign/core';
import {
  type ArchiveReader,
  FINDINGS,
  type Finding,
  goesBack,
  type LastSeen,
  laterRoots,
  type Manifest,
  type OperationOptions,
  openFolderArchive,
  openTarArchive,
  readBackup,
  readManifest,
  requireSound,
  showAll,
} from '@countersign/repository/operations';
import { KEY_NAMES, openOfflineKey, requireCollectionName } from '@countersign/server';
import type { Context } from '../context.ts';
import { seenBy, type Witness, witnessAt, witnessIn, witnessOn } from '../last-seen.ts';
import { collectionFolder } from '../local-collections.ts';
import { anchorOf, optionsOver, rootFile } from '../local-store.ts';
import { bytesText, columns } from '../output.ts';
import { collectionPassphrases } from '../passphrases.ts';
import { copyKeys, FIRST_ROOT, keysFolder, type Replacement, replacing, withNewKeys } from '../replacement.ts';
import { shownPath } from '../shell.ts';

/** What `restore` may be told. */
export interface RestoreOptions {
  readonly newKeys?: boolean;
  /** A file or folder, or `none`. */
  readonly lastSeen?: string;
  readonly replace?: boolean;
  readonly keys?: string;
  readonly manifest?: string;
}

/**
 * Restores a collection.
 *
 * @throws UsageError COLLECTION_EXISTS, COLLECTION_BUSY, USAGE_INVALID; StoreError STORE_CORRUPT, CHECK_FAILED; SignerError
 */
export async function restore(context: Context, name: string, place: string, options: RestoreOptions): Promise<void> {
  requireCollectionName(name);
  const path = resolve(context.shell.cwd, place);
  const archive = path.endsWith('.tar') ? await openTarArchive(path) : openFolderArchive(path);
  const { manifest, sha256 } = await readManifest(archive, nodeCrypto);
  requireManifest(manifest, sha256, name, options);
  const witnesses = await witnessesOf(context, name, options);
  const seen = seenBy(witnesses);
  requireWay(manifest, seen, name, options);
  await replacing(context, name, options, async (replacement) => {
    const outcome = await restoreAside(context, name, archive, { replacement, witnesses, seen, options });
    return (before) => tell(context, name, manifest, outcome, before);
  });
}

interface Outcome {
  readonly findings: readonly Finding[];
  /** The version of the new root; `undefined` when there was no need of one. */
  readonly newRoot: number | undefined;
  readonly keys: readonly string[];
  /** SHA-256 of the first root. */
  readonly anchor: string;
}

async function restoreAside(
  context: Context,
  name: string,
  archive: ArchiveReader,
  {
    replacement,
    witnesses,
    seen,
    options,
  }: {
    readonly replacement: Replacement;
    readonly witnesses: readonly Witness[];
    readonly seen: LastSeen | undefined;
    readonly options: RestoreOptions;
  },
): Promise<Outcome> {
  const { config, shell, output } = context;
  const { aside, store } = replacement;
  const without = options.newKeys ? ['timestamp', 'snapshot'] : [];
  const keys = await copyKeys(keysFolder(context, name, options), aside, without);
  // Asked for before the long work.
  const offline = options.newKeys ? [await openOfflineKey(aside, collectionPassphrases(aside, shell, 'open'))] : [];
  const progress = output.progress(`Restoring ${name}`);
  try {
    const told = optionsOver(store, name, shell, progress);
    await readBackup(told, archive);
    const roots = await takeLaterRoots(told, witnesses);
    if (roots > 0 && !options.newKeys) {
      throw new UsageError(
        'USAGE_INVALID',
        `Restoring ${name}: ${roots} new roots were made since this backup, and its timestamp is not theirs; add --new-keys`,
      );
    }
    const newRoot = options.newKeys ? await withNewKeys(told, offline, aside, shell, seen) : undefined;
    await showAll(told);
    const first = (await store.ledger.file('root', 1)) ?? new Uint8Array();
    await writeFile(join(aside, FIRST_ROOT), first);
    const findings = await requireSound(told, (await anchorOf(config, name)) ?? first);
    return { findings, newRoot, keys, anchor: hex(nodeCrypto.hash('sha256', first)) };
  } finally {
    progress.end();
  }
}

/** Takes over the roots that were made since. @returns how many */
async function takeLaterRoots(options: OperationOptions, witnesses: readonly Witness[]): Promise<number> {
  const { ledger } = options;
  let taken = 0;
  for (const { root } of witnesses) {
    const files = await laterRoots(options, root);
    const publication = (await ledger.head())?.publication ?? 1;
    await ledger.put({
      files: files.map((file) => ({ ...file, publication })),
      roles: files.map(({ role, version, sha256, bytes }) => ({ role, version, sha256, length: bytes.length })),
    });
    taken += files.length;
  }
  return taken;
}

function requireManifest(manifest: Manifest, sha256: string, name: string, options: RestoreOptions): void {
  if (manifest.collection !== name) {
    throw new UsageError('USAGE_INVALID', `Restoring ${name}: this is a backup of ${manifest.collection}`, {
      detail: { collection: manifest.collection },
    });
  }
  if (options.manifest === undefined || options.manifest === sha256) return;
  throw new StoreError('STORE_CORRUPT', `Restoring ${name}: the backup's manifest has another digest than was noted`, {
    detail: { want: options.manifest, got: sha256 },
  });
}

/** Everybody who may know what was served last. */
async function witnessesOf(
  { config, shell }: Context,
  name: string,
  options: RestoreOptions,
): Promise<readonly Witness[]> {
  const { lastSeen } = options;
  const told = lastSeen === undefined || lastSeen === 'none' ? [] : [await witnessAt(resolve(shell.cwd, lastSeen))];
  const here = await witnessIn(join(collectionFolder(config, name), 'site'));
  const there = config.collection === name ? await witnessOn(config.url) : undefined;
  return [...told, ...(here ? [here] : []), ...(there ? [there] : [])];
}

/** Refuses what clients would refuse, and what nobody can tell of. */
function requireWay(manifest: Manifest, seen: LastSeen | undefined, name: string, options: RestoreOptions): void {
  if (options.newKeys) return;
  const { timestamp, snapshot } = manifest;
  if (seen === undefined && options.lastSeen !== 'none') {
    throw new UsageError(
      'USAGE_INVALID',
      `Restoring ${name}: what clients have seen last is not known, and they refuse anything older; say where to look with --last-seen <timestamp.json or folder> or --url, or restore with --new-keys, which is always accepted; --last-seen none says that nothing newer was ever served`,
      { detail: { timestamp, snapshot } },
    );
  }
  if (seen === undefined || !goesBack({ timestamp, snapshot }, seen)) return;
  throw new UsageError(
    'USAGE_INVALID',
    `Restoring ${name}: clients have seen newer metadata than this backup holds and would refuse it (ROLLBACK); add --new-keys to give timestamp and snapshot new keys in a new root, which needs the offline key`,
    {
      detail: {
        'timestamp in the backup': timestamp,
        'timestamp last seen': seen.timestamp,
        'snapshot in the backup': snapshot,
        'snapshot last seen': seen.snapshot,
      },
    },
  );
}

function tell(
  { config, shell, output, suggest }: Context,
  name: string,
  { head, blobs, made }: Manifest,
  { findings, newRoot, keys, anchor }: Outcome,
  before: string | undefined,
): void {
  const folder = collectionFolder(config, name);
  const missing = KEY_NAMES.filter((key) => key !== 'offline').filter(
    (key) => !keys.includes(key) && !(newRoot !== undefined && (key === 'timestamp' || key === 'snapshot')),
  );
  output.result(
    {
      collection: name,
      publication: head.publication,
      newRoot: newRoot ?? null,
      before: before ?? null,
      missingKeys: missing,
      findings,
    },
    [
      `Restored ${name} as it was at publication ${head.publication} (${writeInstant(head.at)}; the backup is of ${writeInstant(made)}).`,
      ...columns([
        ['verified', `all of it, from the root with sha256 ${anchor}`],
        ['blobs', `${blobs.count}, ${bytesText(blobs.bytes)}`],
        ...(newRoot === undefined ? [] : [['root', `version ${newRoot}, with new keys for timestamp and snapshot`]]),
        ...(before === undefined ? [] : [['before', `what was here is in ${shownPath(before, shell)}`]]),
      ]),
      ...findings.map(({ kind, subject }) => `${FINDINGS[kind].severity}  ${subject}: ${FINDINGS[kind].problem}`),
      ...(newRoot === undefined
        ? []
        : ['Clients follow the new root at their next update. If a cache is in front of the site, empty it.']),
      ...(missing.length === 0
        ? []
        : [
            `A backup holds no keys. Put ${missing.map((key) => `${key}.pem`).join(', ')} into ${shownPath(join(folder, 'keys'), shell)}.`,
          ]),
      `The root that users trust is in ${shownPath(rootFile(config, name), shell)}. Next:`,
      `  ${suggest(`serve ${name}`)}`,
    ],
  );
}
