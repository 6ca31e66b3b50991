// `countersign expiry`: what expires when, who must act, and what a client will
// see in N days. Everything comes from metadata that this client verified, so
// that it is true also where the service is not.

import { days, type Instant, readShardName, readShelfName, UsageError, writeInstant } from '@countersign/core';
import { type Outage, outlookAt, outlooks, type RoleLife } from '@countersign/repository';
import type { Context } from '../context.ts';
import { columns } from '../output.ts';
import { shelvesIn } from '../shelves.ts';
import { openTrust, shardsOf } from '../trusted-collection.ts';

/** Tells of expiries. @throws UsageError; whatever the client gives */
export async function expiry({ shell, config, output }: Context, options: { readonly days: string }): Promise<void> {
  const ahead = Number(options.days);
  if (!/^\d{1,5}$/.test(options.days)) {
    throw new UsageError('USAGE_INVALID', 'Reading --days: a whole number of days is required');
  }
  const client = await openTrust(config, shell);
  const progress = output.progress(`Verifying ${config.url}`);
  await client.refresh();
  const { root, timestamp, snapshot, targets } = client.trusted;
  const shards = await shardsOf(client, ['claimed', 'recent', 'unclaimed']);
  const shelves = await shelvesIn(client);
  progress.end();
  const lives: RoleLife[] = Object.entries({ root, timestamp, snapshot, targets }).flatMap(([role, verified]) =>
    verified === undefined ? [] : [{ role, version: verified.content.version, expires: verified.content.expires }],
  );
  for (const { role, content } of [...shards.map(({ name, content }) => ({ role: name, content })), ...shelves])
    lives.push({ role, version: content.version, expires: content.expires });
  const now = shell.clock();
  const rows = outlooks(lives, now);
  const { at, running, stopped } = outlookAt(lives, now + days(ahead));
  const due = rows.filter(({ keeper, state }) => keeper === 'quorum' && state !== 'fine');
  output.result(
    {
      roles: rows.map((row) => ({ ...row, expires: writeInstant(row.expires) })),
      in: { days: ahead, at: writeInstant(at), running: told(running), stopped: told(stopped) },
    },
    [
      ...columns(
        [
          ['role', 'expires', '', 'signed next by', ''],
          ...rows.map(({ role, expires, keeper, state }) => [
            role,
            writeInstant(expires),
            left(expires, now),
            keeper === 'quorum' ? 'the offline quorum' : 'the service, by itself',
            state === 'fine' ? '' : state === 'soon' ? 'SOON' : 'EXPIRED',
          ]),
        ],
        '',
      ),
      '',
      `In ${ahead} days (${writeInstant(at)}) a client`,
      `  sees ${sentence(running)} if the service goes on and no offline key signs,`,
      `  sees ${sentence(stopped)} if the service stops now.`,
      ...(due.length === 0
        ? []
        : ['', `Time to sign with the offline keys: ${due.map(({ role }) => role).join(', ')}.`]),
    ],
  );
}

function sentence(outage: Outage | undefined): string {
  if (outage === undefined) return 'everything';
  const what = outage.reach === 'everything' ? 'nothing' : `no names of shard ${prefixOf(outage.role)}`;
  return `${what} (${outage.role} expires ${writeInstant(outage.since)})`;
}

function prefixOf(role: string): string {
  return readShardName(role)?.prefix ?? readShelfName(role)?.prefix ?? role;
}

function told(outage: Outage | undefined): object | null {
  return outage === undefined ? null : { ...outage, since: writeInstant(outage.since) };
}

function left(expires: Instant, now: Instant): string {
  const hours = Math.floor((expires - now) / 3_600_000);
  if (hours < 0) return 'expired';
  return hours < 72 ? `in ${hours} hours` : `in ${Math.floor(hours / 24)} days`;
}
