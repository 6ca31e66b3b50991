// `countersign online-key`: another key for what the service signs by itself.
// The key is made beside the ones before it, and counts for nothing until the
// quorum names it; the service finds it then, without a restart.

import { resolve as resolvePath } from 'node:path';
import { type JsonObject, UsageError } from '@countersign/core';
import {
  type DelegatedKind,
  draftBins,
  draftRoot,
  draftTargets,
  type KeySet,
  keySetOf,
  ONLINE_KINDS,
  type OnlineKind,
  onlineKeySets,
} from '@countersign/repository';
import { createOnlineKey } from '@countersign/server';
import type { Context } from '../context.ts';
import { collectionFolder, hasCollection } from '../local-collections.ts';
import { columns, short } from '../output.ts';
import { collectionPassphrases } from '../passphrases.ts';
import { type PublicKey, publicKeyText, readPublicKey } from '../public-key.ts';
import { type InForce, inForce, presentSigners, resolve } from '../quorum-meeting.ts';
import { shownPath } from '../shell.ts';
import { expiryOf } from './root-change.ts';

/** What `online-key rotate` may be told. */
export interface RotateOnlineOptions {
  /** Public key files, in the order of the kinds, when the keys were made on the service's machine. */
  readonly to?: readonly string[];
  readonly days: string;
}

/** Makes a key on the service's machine, for a quorum that meets elsewhere. @throws UsageError; SignerError; StoreError */
export async function createServiceKey(context: Context, kind: string): Promise<void> {
  const [known] = kindsOf([kind], ONLINE_KINDS);
  if (known === undefined) return;
  const signer = await newKey(context, known);
  const text = publicKeyText(signer);
  context.output.result(JSON.parse(text), text.trimEnd().split('\n'));
}

/** Replaces online keys. @throws UsageError USAGE_INVALID; SignerError; whatever client and service give */
export async function rotateOnlineKeys(
  context: Context,
  names: readonly string[],
  options: RotateOnlineOptions,
): Promise<void> {
  const expires = expiryOf(context, options);
  const present = await inForce(context);
  const named = onlineKeySets(present.root, present.targets, present.bins);
  const kinds = kindsOf(names, [...named.keys()]);
  const keys = await keysFor(context, kinds, options.to);
  const drafts = draftsFor(present, keys, expires);
  const title = `other keys for ${kinds.join(', ')}`;
  const outcome = await resolve(context, present, { title, drafts, signers: presentSigners(present) });
  const { publication, event } = outcome;
  const old = kinds.map((kind) => ({ kind, was: named.get(kind)?.keyIds ?? [], is: keys.get(kind)?.keyId ?? '' }));
  context.output.result({ keys: old, publication, event }, [
    ...outcome.lines,
    ...columns(old.map(({ kind, was, is }) => [kind, `${was.map((id) => `${short(id)}…`).join(' ')} → ${short(is)}…`])),
    ...(publication === null ? [] : ['The key files of the old ones can be destroyed now.']),
  ]);
}

function draftsFor(
  { root, targets, bins }: InForce,
  keys: ReadonlyMap<OnlineKind, PublicKey>,
  expires: number,
): ReadonlyMap<string, JsonObject> {
  const setOf = (kind: OnlineKind): KeySet | undefined => {
    const key = keys.get(kind);
    return key && keySetOf([key], 1);
  };
  const drafts = new Map<string, JsonObject>();
  const [timestamp, snapshot, bin] = [setOf('timestamp'), setOf('snapshot'), keys.get('bins')];
  if (timestamp !== undefined || snapshot !== undefined) {
    const roles = { ...(timestamp && { timestamp }), ...(snapshot && { snapshot }) };
    drafts.set('root', draftRoot(root, { expires, roles }));
  }
  const delegated: Partial<Record<DelegatedKind, KeySet>> = {};
  for (const kind of ['recent', 'unclaimed', 'decisions'] as const) {
    const set = setOf(kind);
    if (set !== undefined) delegated[kind] = set;
  }
  if (Object.keys(delegated).length > 0) drafts.set('targets', draftTargets(targets, { expires, keys: delegated }));
  if (bins !== undefined && bin !== undefined) drafts.set('bins', draftBins(bins, expires, bin));
  return drafts;
}

async function keysFor(
  context: Context,
  kinds: readonly OnlineKind[],
  files: readonly string[] | undefined,
): Promise<ReadonlyMap<OnlineKind, PublicKey>> {
  const keys = new Map<OnlineKind, PublicKey>();
  if (files !== undefined && files.length !== kinds.length) {
    throw new UsageError(
      'USAGE_INVALID',
      `Reading --to: ${kinds.length} public key files are required, in this order`,
      {
        detail: { kinds },
      },
    );
  }
  for (const [i, kind] of kinds.entries()) {
    const file = files?.[i];
    keys.set(
      kind,
      file === undefined ? await newKey(context, kind) : await readPublicKey(resolvePath(context.shell.cwd, file)),
    );
  }
  return keys;
}

async function newKey({ config, shell, output }: Context, kind: OnlineKind): Promise<PublicKey> {
  const folder = collectionFolder(config, config.collection);
  if (!(await hasCollection(config, config.collection))) {
    throw new UsageError(
      'COLLECTION_MISSING',
      `Making a ${kind} key: the collection is not on this machine; run \`countersign online-key create ${kind}\` where it is, and hand the result over with --to`,
      { detail: { folder } },
    );
  }
  const { keyId, key } = await createOnlineKey(folder, kind, collectionPassphrases(folder, shell, 'open'));
  output.note(`Made a ${kind} key ${short(keyId)}… in ${shownPath(folder, shell)}/keys.`);
  return { keyId, key };
}

function kindsOf(names: readonly string[], known: readonly OnlineKind[]): readonly OnlineKind[] {
  if (names.includes('all')) return known;
  const unknown = names.find((name) => !known.some((kind) => kind === name));
  if (unknown === undefined) return known.filter((kind) => names.includes(kind));
  throw new UsageError('USAGE_INVALID', `Choosing online keys: there is no ${unknown.slice(0, 40)} key here`, {
    detail: { known: [...known, 'all'] },
  });
}
