// `countersign status`: what the service says, and what a verifying client
// finds. The two are shown apart: only the second is to be believed.

import { type Instant, isTufError, rowOf, writeInstant } from '@countersign/core';
import { openService } from '../author.ts';
import type { Context } from '../context.ts';
import { columns } from '../output.ts';
import { isRegistry, namesIn, openTrust, shardsOf } from '../trusted-collection.ts';

/** Shows how the collection stands. @throws what the client refuses, after the service's part was shown */
export async function status(context: Context): Promise<void> {
  const { shell, config, output } = context;
  const progress = output.progress(`Asking ${config.url}`);
  const service = await openService(config, shell)
    .status()
    .catch((error: unknown) => {
      if (isTufError(error)) return error;
      throw error;
    });
  const client = await openTrust(config, shell);
  let problem: unknown;
  await client.refresh().catch(async (error: unknown) => {
    problem = error;
    // Down is not untrue: what was kept may still verify.
    await client.resume().catch(() => undefined);
  });
  const now = shell.clock();
  const { root, timestamp, snapshot, targets } = client.trusted;
  const roles = Object.entries({ root, timestamp, snapshot, targets }).flatMap(([role, verified]) => {
    if (verified === undefined) return [];
    const { version, expires } = verified.content;
    return [{ role, version, expires: writeInstant(expires), left: left(expires, now) }];
  });
  const shards = problem === undefined ? await shardsOf(client, ['claimed', 'recent']) : [];
  const claimed = new Set(
    shards
      .filter(({ kind }) => kind === 'claimed')
      .flatMap(namesIn)
      .map(({ delegation }) => delegation.name),
  );
  const all = new Set(shards.flatMap(namesIn).map(({ delegation }) => delegation.name));
  progress.end();
  const verifies = problem === undefined;
  const answers = !isTufError(service);
  output.result(
    {
      url: config.url,
      service: answers
        ? { answers, publication: service['publication'] }
        : { answers, code: service.code, error: service.message },
      client: {
        verifies,
        fresh: client.isFresh(now),
        roles: roles.map(({ role, version, expires }) => ({ role, version, expires })),
      },
      names: verifies ? { claimed: claimed.size, recent: all.size - claimed.size } : null,
    },
    [
      `${config.collection} at ${config.url}`,
      ...columns([
        [
          'service',
          answers
            ? `answers; publication ${String(service['publication'])}`
            : `${rowOf(service.code).sentence} (${service.code})`,
        ],
        ['metadata', verifying(problem, client.isFresh(now))],
        ...(verifies && isRegistry(targets?.content)
          ? [['names', `${claimed.size} claimed, ${all.size - claimed.size} recent`]]
          : []),
      ]),
      '',
      ...columns([
        ['role', 'version', 'expires', ''],
        ...roles.map((row) => [row.role, String(row.version), row.expires, row.left]),
      ]),
    ],
  );
  if (problem !== undefined) throw problem;
}

function verifying(problem: unknown, fresh: boolean): string {
  if (problem === undefined) return 'verifies, from the root you trust';
  const code = isTufError(problem) ? problem.code : 'INTERNAL';
  return fresh
    ? `cannot be refreshed (${code}); what was kept is verified and still fresh`
    : `does not verify (${code})`;
}

function left(expires: Instant, now: Instant): string {
  const hours = Math.floor((expires - now) / 3_600_000);
  if (hours < 0) return 'expired';
  return hours < 72 ? `in ${hours} hours` : `in ${Math.floor(hours / 24)} days`;
}
