// `countersign token create`: lets one more account submit. Run by the
// operator on the machine of the service, which may keep running.

import { UsageError } from '@countersign/core';
import { issueToken, newToken } from '@countersign/server';
import type { Context } from '../context.ts';
import { collectionFolder, hasCollection, storesOf } from '../local-collections.ts';

/**
 * Issues a token. It is shown once: only its hash is kept.
 *
 * @param names the collections that it is good for; all must be there
 * @throws UsageError COLLECTION_MISSING, USAGE_INVALID; StoreError
 */
export async function createToken(
  { shell, config, output }: Context,
  account: string,
  names: readonly string[] = [config.collection],
): Promise<void> {
  if (!/^[A-Za-z0-9][A-Za-z0-9@._-]{0,99}$/.test(account)) {
    throw new UsageError('USAGE_INVALID', 'Naming an account: use letters, digits, `.`, `_`, `@` and `-`');
  }
  for (const name of names) {
    if (await hasCollection(config, name)) continue;
    throw new UsageError('COLLECTION_MISSING', `Opening ${name}: there is no collection in its folder`, {
      detail: { folder: collectionFolder(config, name) },
    });
  }
  const token = newToken();
  const stores = storesOf({ shell, config });
  try {
    for (const name of new Set(names)) {
      const store = await stores.open(collectionFolder(config, name), name);
      try {
        await issueToken(store, account, token);
      } finally {
        await store.ledger.close();
      }
    }
  } finally {
    await stores.close();
  }
  // The token alone on stdout, so that it can be piped to where it belongs.
  output.note(`Token of ${account} for ${names.join(', ')}, shown this once. Its holder sets COUNTERSIGN_TOKEN to it:`);
  output.result({ account, collections: names, token }, [token]);
}
