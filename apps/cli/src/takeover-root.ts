// The root by which a repository changes hands, as a file that people hand to
// each other: who has signed it, who is missing, and one more signature, from a
// key file or from whatever tool holds the key.

import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { nodeCrypto } from '@countersign/client/node';
import {
  type Authority,
  cosign,
  driveCrypto,
  hexBytes,
  openEnvelope,
  type Signer,
  SignerError,
  type Tally,
  tallySignatures,
  UsageError,
  withSignatures,
} from '@countersign/core';
import { signerFromPrivateKey } from '@countersign/signers';
import { openAuthorKey } from './author-key.ts';
import { short } from './output.ts';
import type { Shell } from './shell.ts';

/** Who has signed a root for each side. */
export function talliesOf(
  root: Uint8Array,
  authorities: readonly Authority[],
): readonly (Tally & { readonly name: string })[] {
  const { message, signatures } = openEnvelope(root, 'root');
  return authorities.map((authority) => ({
    ...driveCrypto(tallySignatures(message, signatures, authority), nodeCrypto),
    name: authority.name,
  }));
}

/** The same in words. */
export function tallyLines(tallies: readonly (Tally & { readonly name: string })[]): readonly string[] {
  return tallies.map(({ name, threshold, signed, missing, met }) => {
    const who = missing.map((id) => `${short(id)}…`).join(', ');
    return met
      ? `  ${name}: enough have signed`
      : `  ${name}: ${signed.length} of ${threshold} have signed; missing: ${who}`;
  });
}

/** Signs a root with key files, under the ids that the other side knows the keys by. @throws SignerError KEY_MISSING */
export async function signedWith(
  root: Uint8Array,
  files: readonly string[],
  authorities: readonly Authority[],
  shell: Shell,
): Promise<Uint8Array> {
  let signed = root;
  for (const file of files) {
    const signer = await openAnyKey(resolve(shell.cwd, file), shell);
    const named = namedAs(signer, authorities);
    if (named.length === 0) {
      throw new SignerError('KEY_MISSING', `Signing the root: the key in ${file} does not count for it`, {
        detail: { want: authorities.flatMap(({ role }) => role.keyIds), got: signer.keyId },
      });
    }
    const signers = named.map((keyId): Signer => ({ ...signer, keyId, sign: (message) => signer.sign(message) }));
    signed = withSignatures(signed, 'root', await cosign(openEnvelope(signed, 'root').message, signers));
  }
  return signed;
}

/** Adds signatures that were made elsewhere: `<key id>=<file>`, raw or in hexadecimal. @throws UsageError USAGE_INVALID */
export async function withGiven(root: Uint8Array, given: readonly string[], shell: Shell): Promise<Uint8Array> {
  let signed = root;
  for (const one of given) {
    const [, keyId, file] = /^([^=]+)=(.+)$/.exec(one) ?? [];
    if (keyId === undefined || file === undefined) {
      throw new UsageError('USAGE_INVALID', 'Reading --signature: <key id>=<file> is required');
    }
    const content = await readFile(resolve(shell.cwd, file)).catch((cause: unknown) => {
      throw new UsageError('USAGE_INVALID', `Reading the signature in ${file}: it cannot be read`, { cause });
    });
    const bytes = hexBytes(content.toString('latin1').trim()) ?? content;
    signed = withSignatures(signed, 'root', [{ keyId, bytes }]);
  }
  return signed;
}

/** Takes over the signatures of another copy of the same root. @throws UsageError USAGE_INVALID when it is another root */
export async function withCopies(root: Uint8Array, files: readonly string[], shell: Shell): Promise<Uint8Array> {
  let signed = root;
  for (const file of files) {
    const bytes = await readRootFile(file, shell);
    const [mine, theirs] = [openEnvelope(signed, 'root'), openEnvelope(bytes, 'root')];
    if (!Buffer.from(mine.message).equals(Buffer.from(theirs.message))) {
      throw new UsageError('USAGE_INVALID', `Reading ${file}: it is another root than the one to be signed`);
    }
    const added = theirs.signatures.flatMap(({ keyId, bytes: value }) =>
      value === undefined ? [] : [{ keyId, bytes: value }],
    );
    signed = withSignatures(signed, 'root', added);
  }
  return signed;
}

/** @throws UsageError USAGE_INVALID */
export async function readRootFile(file: string, { cwd }: Pick<Shell, 'cwd'>): Promise<Uint8Array> {
  return await readFile(resolve(cwd, file)).catch((cause: unknown) => {
    throw new UsageError('USAGE_INVALID', `Reading ${file}: it cannot be read`, { cause });
  });
}

/** A key of ours, or one that another tool keeps unencrypted in PEM. */
async function openAnyKey(file: string, shell: Shell): Promise<Signer> {
  const pem = await readFile(file, 'utf8').catch(() => '');
  if (!/^-----BEGIN (EC |RSA )?PRIVATE KEY-----/.test(pem)) return await openAuthorKey(file, shell);
  try {
    return signerFromPrivateKey(createPrivateKey(pem));
  } catch (cause) {
    throw new SignerError('KEY_UNSUPPORTED', `Opening the key in ${file}: it cannot sign metadata`, { cause });
  }
}

function namedAs(signer: Signer, authorities: readonly Authority[]): readonly string[] {
  const mine = signer.key.verification?.key.identity;
  const ids = authorities.flatMap(({ keys, role }) =>
    role.keyIds.filter((id) => mine !== undefined && keys.get(id)?.verification?.key.identity === mine),
  );
  return [...new Set(ids)];
}
