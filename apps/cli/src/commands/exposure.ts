// `countersign exposure`: what the online keys could still do today. Names
// that the quorum has not countersigned are the window; the longer since the
// last session, the wider it is.

import { type Instant, writeInstant } from '@countersign/core';
import { nameKey, readEntry, stateOf } from '@countersign/decisions';
import type { Context } from '../context.ts';
import { knownCollection } from '../decide.ts';
import { columns } from '../output.ts';
import { nameOf, shelvedDirectories } from '../shelves.ts';

/** Shows the exposure window. @throws whatever the client gives */
export async function exposure(context: Context): Promise<void> {
  const { config, shell, output, suggest } = context;
  const { list, client } = await knownCollection(context);
  const shelved = await shelvedDirectories(client);
  const { register } = list;
  const now = shell.clock();
  const unsettled = register.unsettled();
  const recent = unsettled.filter((record) => record.countersigned === undefined);
  const rotating = unsettled.filter((record) => stateOf(record) === 'rotating');
  const waiting = register.pending();
  const line = list.lines[register.session.upto - 1];
  const session = line === undefined ? undefined : readEntry(line).at;
  const oldest = recent.reduce<Instant | undefined>((least, { since }) => Math.min(least ?? since, since), undefined);
  output.result(
    {
      collection: config.collection,
      lastSession: session === undefined ? null : writeInstant(session),
      recent: recent.map(nameKey),
      rotating: rotating.map(nameKey),
      waiting: waiting.map(nameKey),
      shelved: shelved.map(nameOf),
      oldestDays: oldest === undefined ? 0 : daysSince(oldest, now),
    },
    [
      session === undefined
        ? 'The quorum has not countersigned anything yet.'
        : `The quorum countersigned everything up to ${writeInstant(session)} (${daysSince(session, now)} days ago).`,
      ...columns([
        ['recent', String(recent.length), 'names that whoever holds the online keys could hand to others'],
        ['rotating', String(rotating.length), 'claimed names whose new owners clients do not see yet'],
        ['waiting', String(waiting.length), 'requests that somebody may still object to'],
        ['shelved', String(shelved.length), 'unclaimed names that no online key can touch'],
      ]),
      ...(oldest === undefined ? [] : [`The oldest recent name has waited for ${daysSince(oldest, now)} days.`]),
      ...(unsettled.length === 0 ? [] : ['', 'Next:', `  ${suggest('promote --all')}`]),
    ],
  );
}

function daysSince(at: Instant, now: Instant): number {
  return Math.max(0, Math.floor((now - at) / 86_400_000));
}
