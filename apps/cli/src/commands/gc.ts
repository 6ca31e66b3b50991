// `countersign gc`: what nobody can ask for any more, and how much it is; with
// --yes it is removed. Beside a running service only earlier metadata goes;
// files and blobs go while nobody publishes.

import { UsageError, writeInstant } from '@countersign/core';
import { findGarbage, type Garbage, removeGarbage } from '@countersign/repository/operations';
import type { Context } from '../context.ts';
import { withStore } from '../local-store.ts';
import { bytesText, columns } from '../output.ts';

/** What `gc` may be told. */
export interface GcOptions {
  readonly yes?: boolean;
  readonly graceDays: string;
}

/** Finds garbage, and removes it if told to. @throws UsageError COLLECTION_MISSING, USAGE_INVALID; StoreError */
export async function gc(context: Context, name: string, { yes = false, graceDays }: GcOptions): Promise<void> {
  if (!/^\d{1,4}$/.test(graceDays)) {
    throw new UsageError('USAGE_INVALID', 'Collecting garbage: --grace-days must be a whole number of days');
  }
  const grace = Number(graceDays) * 86_400_000;
  const { garbage, scope } = await withStore(context, name, `Collecting garbage of ${name}`, async (options) => {
    const told = { ...options, grace };
    if (!yes) return { garbage: await findGarbage(told, 'everything'), scope: 'everything' as const };
    const leadership = await options.ledger.lead();
    const scope = leadership === undefined ? ('metadata' as const) : ('everything' as const);
    try {
      const garbage = await findGarbage(told, scope);
      await removeGarbage(options, garbage);
      return { garbage, scope };
    } finally {
      await leadership?.release();
    }
  });
  context.output.result(
    {
      collection: name,
      removed: yes,
      scope,
      roleFiles: sumOf(garbage.files),
      siteFiles: sumOf(garbage.urls),
      blobs: sumOf(garbage.blobs),
      notBefore: garbage.notBefore === undefined ? null : writeInstant(garbage.notBefore),
    },
    linesOf(context, name, garbage, { yes, scope, graceDays }),
  );
}

function linesOf(
  { suggest }: Context,
  name: string,
  garbage: Garbage,
  { yes, scope, graceDays }: { readonly yes: boolean; readonly scope: string; readonly graceDays: string },
): readonly string[] {
  const { files, urls, blobs, notBefore } = garbage;
  if (notBefore !== undefined) {
    return [
      `Nothing may go before ${writeInstant(notBefore)}: the ledger of ${name} was made anew, and what was served before that may still be asked for.`,
    ];
  }
  const left =
    scope === 'metadata' ? ['The service publishes, so files and blobs were left: stop it to free those too.'] : [];
  if (files.length + urls.length + blobs.length === 0) return [`There is nothing to remove in ${name}.`, ...left];
  return [
    yes ? `Removed from ${name}:` : `From ${name} could go, because no client can ask for it any more:`,
    ...columns([
      ['role files in the ledger', ...cells(files)],
      ['files on the site', ...cells(urls)],
      ['blobs', ...cells(blobs)],
    ]),
    ...left,
    ...(yes
      ? []
      : [
          `Kept: every root, what is current, and what a timestamp reaches that expired less than ${graceDays} days ago.`,
          'Nothing was removed. Next:',
          `  ${suggest(`gc ${name} --yes`)}`,
        ]),
  ];
}

function cells(all: readonly { readonly length: number }[]): readonly string[] {
  const { count, bytes } = sumOf(all);
  return [String(count), bytesText(bytes)];
}

function sumOf(all: readonly { readonly length: number }[]): { readonly count: number; readonly bytes: number } {
  return { count: all.length, bytes: all.reduce((sum, { length }) => sum + length, 0) };
}
