// The offline key of a member of the quorum: by default the one that `init`
// made, else the key file that --key names.

import type { Client } from '@countersign/client';
import { type Signer, SignerError } from '@countersign/core';
import { openOfflineKey } from '@countersign/server';
import { holdsKey } from './author.ts';
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

/** Checks that a key is one of the quorum's, as verified. @throws SignerError KEY_MISSING */
export function requireMember(client: Client, signer: Signer): void {
  const root = client.trusted.root.content;
  const role = root.roles.get('targets');
  if (role !== undefined && holdsKey({ keys: root.keys, role, name: 'the quorum' }, signer)) return;
  throw new SignerError('KEY_MISSING', 'Signing for the quorum: the key at hand is not one of its', {
    detail: { want: role?.keyIds ?? [], got: signer.keyId, next: "Sign with a member's key: --key <file>" },
  });
}
