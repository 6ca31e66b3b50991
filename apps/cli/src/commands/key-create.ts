// `countersign key create`: a key pair in an encrypted file of one's own.

import { resolve } from 'node:path';
import { UsageError } from '@countersign/core';
import type { KeyType } from '@countersign/signers';
import { makeAuthorKey, newKeyLines } from '../author-key.ts';
import type { Context } from '../context.ts';
import { shownPath } from '../shell.ts';

/** Makes a key. @throws UsageError USAGE_INVALID when there is a file already */
export async function createKey(
  { shell, config, output, suggest }: Context,
  file: string | undefined,
  type: string,
): Promise<void> {
  const kind = KEY_TYPES.find((known) => known === type);
  if (kind === undefined) {
    throw new UsageError('USAGE_INVALID', `Creating a key: there is no type \`${type.slice(0, 40)}\``, {
      detail: { known: KEY_TYPES },
    });
  }
  const path = file === undefined ? config.key : resolve(shell.cwd, file);
  const made = await makeAuthorKey(path, shell, 'ask', kind);
  const { keyId, key } = made.signer;
  output.result({ keyId, scheme: key.scheme, file: path, passphraseFile: made.passphraseFile ?? null }, [
    ...newKeyLines(made, shell),
    `Its full id is ${keyId} (${key.scheme}).`,
    '',
    'Next:',
    file === undefined
      ? `  ${suggest('claim npm/<name of your package>')}`
      : `  ${suggest(`key show ${shownPath(path, shell)}`)} > <file>, the public half for others`,
  ]);
}

/** The kinds of key, the default first. */
export const KEY_TYPES: readonly KeyType[] = ['ed25519', 'ecdsa-p256', 'ecdsa-p384', 'rsa-pss'];
