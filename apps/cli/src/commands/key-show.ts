// `countersign key show`: one's public key, to hand to others.

import { resolve } from 'node:path';
import { openAuthorKey } from '../author-key.ts';
import type { Context } from '../context.ts';
import { publicKeyText } from '../public-key.ts';

/** Prints the public half of a key file. @throws SignerError KEY_MISSING, KEY_LOCKED */
export async function showKey({ shell, config, output }: Context, file: string | undefined): Promise<void> {
  const signer = await openAuthorKey(file === undefined ? config.key : resolve(shell.cwd, file), shell);
  const text = publicKeyText(signer);
  output.result(JSON.parse(text), text.trimEnd().split('\n'));
}
