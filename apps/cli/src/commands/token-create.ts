// `countersign token create`: lets one more account submit. Run by the
// operator on the machine of the service, which may keep running.

import { UsageError } from '@countersign/core';
import { issueToken } from '@countersign/server';
import type { Context } from '../context.ts';
import { collectionFolder, hasCollection, storesOf } from '../local-collections.ts';

/** Issues a token. It is shown once: only its hash is kept. @throws UsageError COLLECTION_MISSING, USAGE_INVALID; StoreError */
export async function createToken({ shell, config, output }: Context, account: string): Promise<void> {
  const { collection } = config;
  const folder = collectionFolder(config, collection);
  if (!/^[A-Za-z0-9][A-Za-z0-9@._-]{0,99}$/.test(account)) {
    throw new UsageError('USAGE_INVALID', 'Naming an account: use letters, digits, `.`, `_`, `@` and `-`');
  }
  if (!(await hasCollection(config, collection))) {
    throw new UsageError('COLLECTION_MISSING', `Opening ${collection}: there is no collection in its folder`, {
      detail: { folder },
    });
  }
  const stores = storesOf({ shell, config });
  try {
    const store = await stores.open(folder, collection);
    const token = await issueToken(store, account);
    await store.ledger.close();
    // The token alone on stdout, so that it can be piped to where it belongs.
    output.note(`Token of ${account} for ${collection}, shown this once. Its holder sets COUNTERSIGN_TOKEN to it:`);
    output.result({ account, collection, token }, [token]);
  } finally {
    await stores.close();
  }
}
