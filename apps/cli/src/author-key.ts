// The author's own key file: opened where it is, made where a command may make
// it. A key is never replaced.

import { stat } from 'node:fs/promises';
import type { Signer } from '@countersign/core';
import type { KeyType } from '@countersign/signers';
import { createKeyFile, openKeyFile } from '@countersign/signers/file';
import { authorPassphrase, newAuthorPassphrase } from './passphrases.ts';
import { type Shell, shownPath } from './shell.ts';

/** A key that was just made. */
export interface NewKey {
  readonly signer: Signer;
  readonly file: string;
  /** The file of its random passphrase; `undefined` when the user gave one. */
  readonly passphraseFile: string | undefined;
}

/** Opens the author's key. @throws SignerError KEY_MISSING, KEY_LOCKED, KEY_UNSUPPORTED */
export async function openAuthorKey(file: string, shell: Shell): Promise<Signer> {
  // Asked for before the passphrase: nobody should type one for nothing.
  if (!(await exists(file))) return await openKeyFile(file, '');
  return await openKeyFile(file, await authorPassphrase(file, shell));
}

/**
 * Makes the author's key.
 *
 * @param ask whether a person may be asked for a passphrase, or a random one is made
 * @throws UsageError USAGE_INVALID when there is one already; StoreError
 */
export async function makeAuthorKey(file: string, shell: Shell, ask: 'ask' | 'make', type?: KeyType): Promise<NewKey> {
  if (await exists(file)) await createKeyFile(file, 'refused: there is a file'); // before a passphrase is made for nothing
  const { passphrase, file: passphraseFile } = await newAuthorPassphrase(file, shell, ask);
  return { signer: await createKeyFile(file, passphrase, type), file, passphraseFile };
}

/** What to tell about a key that was just made. */
export function newKeyLines({ signer, file, passphraseFile }: NewKey, shell: Pick<Shell, 'cwd'>): readonly string[] {
  const made = `Made your key ${signer.keyId.slice(0, 12)}… in ${shownPath(file, shell)}.`;
  if (passphraseFile === undefined)
    return [made, 'Keep a copy of it, and its passphrase: without them you cannot publish.'];
  return [
    made,
    `Its passphrase is random and lies beside it, in ${shownPath(passphraseFile, shell)}: whoever reads both files can sign as you.`,
    'Keep a copy of both: without them you cannot publish. Where a person types `countersign key create` at a terminal, the passphrase is theirs to choose.',
  ];
}

/** Tells whether a file is there. */
export async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}
