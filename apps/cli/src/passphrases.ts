// Where passphrases come from: the environment, a 0600 file, or a person at a
// terminal, in this order. A random one is only ever made where the caller
// says so, and the user is told where it lies. Never printed, never logged.

import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { isTufError, SignerError, StoreError, UsageError } from '@countersign/core';
import { type Passphrases, passphrasesOf } from '@countersign/server';
import type { Shell } from './shell.ts';

/** How the passphrases of a collection's keys are got. */
export type PassphraseMode = 'open' | 'choose' | 'development';

/**
 * The passphrases of a collection's keys.
 *
 * @param mode `open` for keys that exist, `choose` for new ones, `development`
 *   to make random ones kept in the collection's folder
 * @throws SignerError KEY_LOCKED when there is none and nobody to ask
 */
export function collectionPassphrases(folder: string, shell: Shell, mode: PassphraseMode): Passphrases {
  if (mode === 'development') return passphrasesOf(folder, shell.env, 'create');
  const given = passphrasesOf(folder, shell.env, 'require');
  const answers = new Map<string, Promise<string>>();
  return async (key) => {
    try {
      return await given(key);
    } catch (error) {
      if (!isTufError(error) || error.code !== 'KEY_LOCKED') throw error;
      if (shell.ask === undefined) throw locked(`the ${key} key`, `COUNTERSIGN_PASSPHRASE_${key.toUpperCase()}`, mode);
    }
    // The four online keys are opened together by the service: one answer for all.
    const whose = basename(folder).replace(/^\.making-/, '');
    const which = `${key === 'offline' ? 'the offline key' : 'the online keys'} of ${whose}`;
    const answer = answers.get(which) ?? askFor(shell, which, mode);
    answers.set(which, answer);
    return await answer;
  };
}

/**
 * The passphrase of a key file of one's own.
 *
 * @throws SignerError KEY_LOCKED when there is none and nobody to ask
 */
export async function authorPassphrase(keyFile: string, shell: Shell): Promise<string> {
  const given = fromEnvironment(shell) ?? (await fromFile(passphraseFile(keyFile)));
  if (given !== undefined) return given;
  if (shell.ask === undefined) throw locked("the author's key", 'COUNTERSIGN_PASSPHRASE_AUTHOR', 'open');
  return await shell.ask("Passphrase of the author's key");
}

/** A passphrase for a new key of one's own, and the file that holds it if it was made here. */
export async function newAuthorPassphrase(
  keyFile: string,
  shell: Shell,
  ask: 'ask' | 'make',
): Promise<{ readonly passphrase: string; readonly file: string | undefined }> {
  const given = fromEnvironment(shell);
  if (given !== undefined) return { passphrase: given, file: undefined };
  if (ask === 'ask' && shell.ask !== undefined) {
    return { passphrase: await askFor(shell, "the author's key", 'choose'), file: undefined };
  }
  const file = passphraseFile(keyFile);
  const passphrase = randomBytes(24).toString('base64url');
  await writePrivately(file, `${passphrase}\n`);
  return { passphrase, file };
}

/** Writes a file that only its owner can read. @throws StoreError STORE_WRITE */
export async function writePrivately(file: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(file, text, { mode: 0o600 });
    await chmod(file, 0o600); // it may have been there, with another mode
  } catch (cause) {
    throw new StoreError('STORE_WRITE', 'Writing a private file: it cannot be written', { detail: { file }, cause });
  }
}

function passphraseFile(keyFile: string): string {
  return `${keyFile.replace(/\.pem$/, '')}.passphrase`;
}

function fromEnvironment({ env }: Shell): string | undefined {
  const given = env['COUNTERSIGN_PASSPHRASE_AUTHOR'] ?? env['COUNTERSIGN_PASSPHRASE'];
  return given === '' ? undefined : given;
}

async function fromFile(file: string): Promise<string | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined); // absent: the next source is tried
  return text?.trim();
}

async function askFor(shell: Shell, which: string, mode: PassphraseMode): Promise<string> {
  if (shell.ask === undefined) throw new TypeError('There is nobody to ask');
  if (mode !== 'choose') return await shell.ask(`Passphrase of ${which}`);
  const first = await shell.ask(`Choose a passphrase for ${which}`);
  if (first === '') throw new UsageError('USAGE_INVALID', `Choosing a passphrase for ${which}: it is empty`);
  if ((await shell.ask('The same again')) === first) return first;
  throw new UsageError('USAGE_INVALID', `Choosing a passphrase for ${which}: the two are not the same`);
}

function locked(which: string, variable: string, mode: PassphraseMode): SignerError {
  const ways = `Set ${variable} or COUNTERSIGN_PASSPHRASE, or run this in a terminal`;
  const next = mode === 'choose' ? `${ways}, or use --dev for random ones in files` : ways;
  const what = mode === 'choose' ? 'Making' : 'Opening';
  return new SignerError('KEY_LOCKED', `${what} ${which}: no passphrase was given`, { detail: { variable, next } });
}
