// The offline key of a member of the quorum: by default the one that `init`
// made, else the key file that --key names.

import type { Signer } from '@countersign/core';
import { openOfflineKey } from '@countersign/server';
import { openAuthorKey } from './author-key.ts';
import type { Context } from './context.ts';
import { collectionFolder } from './local-collections.ts';
import { collectionPassphrases } from './passphrases.ts';

/** Opens the offline key at hand. @throws SignerError KEY_MISSING, KEY_LOCKED */
export async function openQuorumKey({ config, shell }: Pick<Context, 'config' | 'shell'>): Promise<Signer> {
  if (config.keyGiven) return await openAuthorKey(config.key, shell);
  const folder = collectionFolder(config, config.collection);
  return await openOfflineKey(folder, collectionPassphrases(folder, shell, 'open'));
}
