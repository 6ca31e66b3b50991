// `countersign root`: which keys speak for the collection, how many must sign,
// who holds them, and until when what they signed is valid.

import { type Root, writeInstant } from '@countersign/core';
import { type KeySet, keysOfKind, keysOfTop, type OnlineKind, onlineKeySets } from '@countersign/repository';
import type { Context } from '../context.ts';
import { columns, short } from '../output.ts';
import { quorumText } from '../quorum-lines.ts';
import { type InForce, inForce } from '../quorum-meeting.ts';

interface Row {
  readonly role: string;
  readonly holder: 'the offline quorum' | 'the service';
  readonly set: KeySet;
  readonly expires: string | undefined;
}

/** Shows the keys. @throws whatever client and mirror give */
export async function showRoot(context: Context): Promise<void> {
  const { output, config } = context;
  const present = await inForce(context);
  const rows = rowsOf(present);
  const { version } = present.root;
  output.result(
    {
      collection: config.collection,
      version,
      roles: rows.map(({ role, holder, set, expires }) => ({
        role,
        holder,
        threshold: set.threshold,
        keys: set.keyIds.map((keyId) => ({ keyId, scheme: set.keys.get(keyId)?.scheme ?? '' })),
        expires: expires ?? null,
      })),
    },
    [
      `Root ${version} of ${config.collection}:`,
      ...columns([
        ['signs', 'held by', 'how many', 'keys', 'expires'],
        ...rows.map(({ role, holder, set, expires }) => [
          role,
          holder,
          quorumText(set),
          set.keyIds.map((id) => `${short(id)}…`).join(' '),
          expires ?? '',
        ]),
      ]),
    ],
  );
}

function rowsOf({ root, targets, bins, known }: InForce): readonly Row[] {
  const { snapshot, timestamp } = known.client.trusted;
  const dates = new Map<string, number | undefined>([
    ['timestamp', timestamp?.content.expires],
    ['snapshot', snapshot?.content.expires],
  ]);
  const offline = (role: string, set: KeySet | undefined, expires: number | undefined): readonly Row[] =>
    set === undefined ? [] : [{ role, holder: 'the offline quorum', set, expires: written(expires) }];
  return [
    ...offline('root', keysOfTop(root, 'root'), root.expires),
    ...offline('targets', keysOfTop(root, 'targets'), targets.expires),
    ...offline('claimed shards', keysOfKind(targets, 'claimed'), undefined),
    ...offline('bins', keysOfKind(targets, 'bins'), bins?.expires),
    ...[...onlineKeySets(root, targets, bins)].map(([kind, set]): Row => {
      return { role: nameOf(kind), holder: 'the service', set, expires: written(dates.get(kind)) };
    }),
  ];
}

function nameOf(kind: OnlineKind): string {
  return kind === 'bins' ? 'each bin' : kind;
}

function written(expires: Root['expires'] | undefined): string | undefined {
  return expires === undefined ? undefined : writeInstant(expires);
}
