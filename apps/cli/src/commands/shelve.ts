// `countersign shelve` and `unshelve`: the quorum takes names that nobody has
// claimed, and that have not changed for long, under its own offline key, or
// gives them back. Everything is drafted from what one's own client verified;
// only since when a name is idle is the service's word, and only advice.

import { AdmissionError, days, signFile, UsageError, utf8Text, writeInstant } from '@countersign/core';
import { projectOf } from '@countersign/ecosystems';
import { draftShelving, dueShelves, type ShelvingWish, shelfHolding, submissionText } from '@countersign/repository';
import { openService } from '../author.ts';
import type { Context } from '../context.ts';
import { isUnsigned, type KnownCollection, knownCollection, missingLines } from '../decide.ts';
import { counted, short } from '../output.ts';
import { openQuorumKey, requireMember } from '../quorum-key.ts';
import { directoryOf, nameOf, shelvedDirectories, shelvingBase, wishLines } from '../shelves.ts';

/** What `shelve` may be told. */
export interface ShelveOptions {
  readonly idleDays?: string;
  readonly renew?: boolean;
  readonly dryRun?: boolean;
}

type Wish = Omit<ShelvingWish, 'expires'>;

/**
 * Takes names under the offline key: those given, or all that have been idle for long.
 *
 * @throws AdmissionError NAME_TAKEN; SignerError KEY_MISSING, KEY_LOCKED; UsageError; whatever client and service give
 */
export async function shelve(
  context: Context,
  names: readonly string[],
  { idleDays = '730', renew = false, dryRun = false }: ShelveOptions,
): Promise<void> {
  const { config, shell } = context;
  if (!/^\d{1,5}$/.test(idleDays)) {
    throw new UsageError('USAGE_INVALID', 'Shelving: --idle-days must be a whole number of days');
  }
  const known = await knownCollection(context);
  for (const name of names) requireUnclaimed(known, name);
  const wanted = names.length > 0 || renew ? names : await openService(config, shell).idleNames(Number(idleDays));
  const present = new Set(await shelvedDirectories(known.client));
  const take = [...new Set(wanted.map(directoryOf))].filter((directory) => !present.has(directory));
  const nothing =
    names.length > 0
      ? 'Nothing to shelve: what you named is on a shelf already.'
      : renew
        ? 'Nothing to sign again: no shelf is past half of its life, or under former keys.'
        : `Nothing to shelve: every name that nobody claimed changed within the last ${idleDays} days, or is on a shelf.`;
  await settle(context, known, { take, release: [], renew: [] }, dryRun, nothing);
}

/** Gives names back to the repository's online key. @throws AdmissionError SUBMISSION_STALE; as {@link shelve} */
export async function unshelve(
  context: Context,
  names: readonly string[],
  { dryRun = false }: Pick<ShelveOptions, 'dryRun'>,
): Promise<void> {
  const known = await knownCollection(context);
  await settle(
    context,
    known,
    { take: [], release: names.map(directoryOf), renew: [] },
    dryRun,
    'Nothing to unshelve.',
  );
}

async function settle(
  context: Context,
  known: KnownCollection,
  wished: Wish,
  dryRun: boolean,
  nothing: string,
): Promise<void> {
  const { config, shell, output, suggest } = context;
  const expires = shell.clock() + OFFLINE_LIFETIME;
  const before = await shelvingBase(known.client, wished);
  // Whatever must be signed again soon is signed with the rest.
  const wish = { ...wished, renew: dueShelves(before, OFFLINE_LIFETIME, shell.clock()) };
  const base = await shelvingBase(known.client, wish);
  for (const directory of wish.release) requireShelved(shelfHolding(base, directory), directory);
  const drafts = draftShelving(base, { ...wish, expires });
  const told = { shelved: wish.take.map(nameOf), unshelved: wish.release.map(nameOf) };
  if (drafts.size === 0) {
    output.result({ ...told, publication: null, event: null }, [nothing]);
    return;
  }
  const lines = wishLines(base, wish);
  for (const line of lines) output.note(line);
  if (dryRun) {
    output.result({ ...told, publication: null, event: null }, ['Nothing was signed (--dry-run).']);
    return;
  }
  const signer = await openQuorumKey(context);
  requireMember(known.client, signer);
  output.note(`Signing ${counted(drafts.size, 'role')} with ${short(signer.keyId)}….`);
  const roles: { role: string; file: string }[] = [];
  for (const [role, draft] of drafts) roles.push({ role, file: utf8Text(await signFile(draft, [signer])) ?? '' });
  const service = openService(config, shell);
  try {
    const { publication } = await service.submit(submissionText({ roles }));
    await known.client.refresh();
    output.result({ ...told, publication, event: null }, [
      `${lines[0]}, in publication ${publication}.`,
      ...(told.shelved.length === 0
        ? []
        : [`No online key can touch them until ${writeInstant(expires)}; sign again before.`]),
      ...(told.unshelved.length === 0 ? [] : ['Their files can change and they can be claimed again.']),
    ]);
  } catch (error) {
    if (!isUnsigned(error)) throw error;
    const event = await service.openEvent({ roles, decisions: [] }, lines[0] ?? 'shelves');
    output.result({ ...told, publication: null, event: event.id }, [
      `More members of the quorum must sign. Signing event ${event.id} waits for them:`,
      ...missingLines(event.parts.slice(0, 1)),
      '',
      'Each of them runs:',
      `  ${suggest(`sign ${event.id}`)} --key <file of their key>`,
    ]);
  }
}

function requireUnclaimed({ list }: KnownCollection, name: string): void {
  const project = projectOf(name);
  if (list.register.record(project.ecosystem, project.name) === undefined) return;
  throw new AdmissionError('NAME_TAKEN', `Shelving ${name}: its owner keeps it; \`promote\` takes online keys off it`, {
    detail: { project: name },
  });
}

function requireShelved(shelf: string | undefined, directory: string): void {
  if (shelf !== undefined) return;
  throw new AdmissionError('SUBMISSION_STALE', `Taking ${nameOf(directory)} off its shelf: it is on none`, {
    detail: { project: nameOf(directory) },
  });
}

// As long as the repository's other offline roles.
const OFFLINE_LIFETIME = days(365);
