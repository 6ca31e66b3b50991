// `countersign owners`: who owns a project, and every change of that: invite,
// remove, replace, raise and lower the threshold, hand over. One command, one
// statement: the complete new set of owners.

import { resolve } from 'node:path';
import { type Project, type Signer, UsageError } from '@countersign/core';
import { liveOwnersOf, type OwnerSet, ownersOf, stateOf } from '@countersign/decisions';
import { projectOf } from '@countersign/ecosystems';
import { holdsKey } from '../author.ts';
import { exists, openAuthorKey } from '../author-key.ts';
import type { Context } from '../context.ts';
import { decide, type KnownCollection, knownCollection, requireRecord } from '../decide.ts';
import { recordLines } from '../decision-lines.ts';
import { type PublicKey, readPublicKey } from '../public-key.ts';

/** What `owners` may be told. Keys to remove by public key file or by the beginning of their id. */
export interface OwnersOptions {
  readonly add?: readonly string[];
  readonly remove?: readonly string[];
  readonly threshold?: string;
  /** Hand over to the added keys only. */
  readonly only?: boolean;
  /** Further keys of one's own to sign with. */
  readonly with?: readonly string[];
}

/** Shows or changes the owners of a project. @throws AdmissionError; UsageError; whatever client and service give */
export async function owners(context: Context, name: string, options: OwnersOptions): Promise<void> {
  const project = projectOf(name);
  const known = await knownCollection(context);
  const record = requireRecord(known, project);
  const changes = options.add ?? options.remove ?? options.threshold;
  if (changes === undefined) {
    context.output.result(
      {
        project: name,
        state: stateOf(record),
        epoch: record.epoch,
        owners: record.authority.keyIds,
        threshold: record.authority.threshold,
      },
      recordLines(record, context.shell.clock()),
    );
    return;
  }
  const fileOf = (file: string): string => resolve(context.shell.cwd, file);
  const added = await Promise.all((options.add ?? []).map((file) => readPublicKey(fileOf(file))));
  const removed = await Promise.all((options.remove ?? []).map((given) => keyIdGiven(given, fileOf(given))));
  const next = changed(liveOwnersOf(record), added, { ...options, remove: removed });
  const signers = await signersFor(context, known, project, options.with ?? [], next);
  await decide(context, known, { project, body: { decision: 'owners', owners: next }, side: 'owners' }, signers);
}

/** The keys at hand that count among the present or the next owners. */
export async function signersFor(
  { shell, config }: Pick<Context, 'shell' | 'config'>,
  known: KnownCollection,
  project: Project,
  more: readonly string[],
  next?: OwnerSet,
): Promise<readonly Signer[]> {
  const { authority } = requireRecord(known, project);
  const sets = [authority, ...(next === undefined ? [] : [next])];
  const counts = (signer: Signer): boolean =>
    sets.some(({ keys, keyIds, threshold }) => holdsKey({ keys, role: { keyIds, threshold }, name: '' }, signer));
  const signers: Signer[] = [];
  for (const file of [config.key, ...more]) {
    const signer = await openAuthorKey(resolve(shell.cwd, file), shell);
    if (counts(signer) && !signers.some(({ keyId }) => keyId === signer.keyId)) signers.push(signer);
  }
  if (signers.length > 0) return signers;
  throw new UsageError(
    'USAGE_INVALID',
    `Signing for ${project.ecosystem}/${project.name}: none of your keys is an owner's`,
    {
      detail: { owners: authority.keyIds, next: "Sign with an owner's key: --key <file>" },
    },
  );
}

/** A key id, or the beginning of one, or what the public key file of that name holds. */
async function keyIdGiven(given: string, file: string): Promise<string> {
  return (await exists(file)) ? (await readPublicKey(file)).keyId : given;
}

function changed(present: OwnerSet, added: readonly PublicKey[], options: OwnersOptions): OwnerSet {
  const kept = options.only ? [] : keptOf(present, options.remove ?? []);
  const all = [...kept, ...added.filter(({ keyId }) => !kept.some((one) => one.keyId === keyId))];
  const threshold =
    options.threshold === undefined ? Math.min(present.threshold, all.length) : Number(options.threshold);
  if (all.length === 0 || !Number.isInteger(threshold) || threshold < 1 || threshold > all.length) {
    const next =
      all.length === 0
        ? 'Hand it over with --only --add, or let it end with `countersign abandon` or `retire`'
        : `Choose a threshold from 1 to ${all.length}`;
    const problem =
      all.length === 0
        ? 'nobody would own it any more'
        : `${options.threshold ?? 0} of ${all.length} keys cannot be required`;
    throw new UsageError('USAGE_INVALID', `Changing owners: ${problem}`, { detail: { next } });
  }
  return ownersOf(all, threshold);
}

function keptOf(present: OwnerSet, removed: readonly string[]): readonly PublicKey[] {
  for (const id of removed) {
    const hits = present.keyIds.filter((keyId) => keyId.startsWith(id));
    if (hits.length === 1 && id.length >= 4) continue;
    throw new UsageError(
      'USAGE_INVALID',
      `Removing an owner: ${id} is the beginning of ${hits.length} of the owners' keys`,
      {
        detail: { owners: present.keyIds, next: 'Give four or more characters that only one of these begins with' },
      },
    );
  }
  return present.keyIds
    .filter((keyId) => !removed.some((id) => keyId.startsWith(id)))
    .flatMap((keyId) => {
      const key = present.keys.get(keyId);
      return key === undefined ? [] : [{ keyId, key }];
    });
}
