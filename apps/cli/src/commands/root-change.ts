// `countersign root renew` and `root rotate`: the quorum signs its own files
// again, with a later expiry, or for another quorum.

import { resolve as resolvePath } from 'node:path';
import { days, readShelfName, UsageError } from '@countersign/core';
import { draftBins, draftRoot, draftTargets, type KeySet, keySetOf, keysOfTop } from '@countersign/repository';
import type { Context } from '../context.ts';
import { readPublicKey } from '../public-key.ts';
import { quorumText } from '../quorum-lines.ts';
import { claimedDrafts, type InForce, inForce, presentSigners, resolve } from '../quorum-meeting.ts';

/** What `root renew` may be told. */
export interface RenewOptions {
  readonly days: string;
}

/** What `root rotate` is told. */
export interface RotateOptions extends RenewOptions {
  /** Public key files of new members. */
  readonly add?: readonly string[];
  /** Members who leave, by the beginning of their key ids or by public key file. */
  readonly remove?: readonly string[];
  readonly threshold?: string;
}

/** Renews everything that the quorum has signed, at one date. @throws SignerError; whatever client and service give */
export async function renewRoot(context: Context, options: RenewOptions): Promise<void> {
  const expires = expiryOf(context, options);
  const present = await inForce(context);
  const { root, targets, bins } = present;
  const drafts = new Map([
    ['root', draftRoot(root, { expires })],
    ['targets', draftTargets(targets, { expires })],
    ...(bins === undefined ? [] : [['bins', draftBins(bins, expires)] as const]),
    ...claimedDrafts(present, targets, expires),
  ]);
  const title = `renewal of root, targets and all that the quorum keeps`;
  const outcome = await resolve(context, present, { title, drafts, signers: presentSigners(present) });
  const { publication, event } = outcome;
  context.output.result({ renewed: [...drafts.keys()], publication, event }, outcome.lines);
}

/** Changes who is the quorum. @throws UsageError USAGE_INVALID; SignerError; whatever client and service give */
export async function rotateRoot(context: Context, options: RotateOptions): Promise<void> {
  const expires = expiryOf(context, options);
  const present = await inForce(context);
  const { root, targets, bins } = present;
  const quorum = await nextQuorum(context, present, options);
  const drafts = new Map([
    ['root', draftRoot(root, { expires, roles: { root: quorum, targets: quorum } })],
    ['targets', draftTargets(targets, { expires, keys: { claimed: quorum, bins: quorum } })],
    ...(bins === undefined ? [] : [['bins', draftBins(bins, expires)] as const]),
    ...claimedDrafts(present, targets, expires),
  ]);
  const title = `another quorum: ${quorumText(keysOfTop(root, 'root'))} → ${quorumText(quorum)}`;
  const signers = [...presentSigners(present), quorum];
  const outcome = await resolve(context, present, { title, drafts, signers, together: true });
  const { publication, event } = outcome;
  const after = { threshold: quorum.threshold, keyIds: quorum.keyIds };
  context.output.result({ quorum: after, publication, event }, [
    ...outcome.lines,
    ...(publication === null ? [] : [`The quorum is ${quorumText(quorum)} from now on.`]),
    ...(hasShelves(targets)
      ? [`Shelves are signed by the former quorum: \`${context.suggest('shelve --renew')}\` once this is published.`]
      : []),
  ]);
}

function hasShelves({ delegations }: InForce['targets']): boolean {
  return delegations?.roles.some(({ name }) => readShelfName(name)?.holds === 'names') ?? false;
}

async function nextQuorum({ shell }: Context, { root }: InForce, options: RotateOptions): Promise<KeySet> {
  const present = keysOfTop(root, 'root');
  const leaving = new Set<string>();
  for (const wanted of options.remove ?? []) {
    const named = /^[0-9a-f]{4,64}$/.test(wanted)
      ? wanted
      : (await readPublicKey(resolvePath(shell.cwd, wanted))).keyId;
    const found = present.keyIds.filter((id) => id.startsWith(named));
    if (found.length !== 1) {
      throw new UsageError('USAGE_INVALID', `Removing ${wanted}: ${found.length} keys of the quorum begin so`, {
        detail: { keys: present.keyIds },
      });
    }
    for (const id of found) leaving.add(id);
  }
  const staying = present.keyIds.flatMap((keyId) => {
    const key = present.keys.get(keyId);
    return key === undefined || leaving.has(keyId) ? [] : [{ keyId, key }];
  });
  const coming = [];
  for (const file of options.add ?? []) coming.push(await readPublicKey(resolvePath(shell.cwd, file)));
  if (options.threshold !== undefined && !/^\d{1,3}$/.test(options.threshold)) {
    throw new UsageError('USAGE_INVALID', 'Reading --threshold: a whole number is required');
  }
  if (coming.length + leaving.size === 0 && options.threshold === undefined) {
    throw new UsageError('USAGE_INVALID', 'Changing the quorum: say what changes, with --add, --remove or --threshold');
  }
  return keySetOf([...staying, ...coming], Number(options.threshold ?? present.threshold));
}

/** The end of what is signed now. @throws UsageError USAGE_INVALID */
export function expiryOf({ shell }: Pick<Context, 'shell'>, { days: life }: RenewOptions): number {
  if (/^\d{1,4}$/.test(life) && Number(life) > 0) return shell.clock() + days(Number(life));
  throw new UsageError('USAGE_INVALID', 'Reading --days: a whole number of days is required');
}
