// The subpath @countersign/signers/file: a private key kept in one file, as
// encrypted PKCS#8 in PEM, readable by its owner only. A key file is never
// overwritten, and no error carries the passphrase or anything derived from it.

import { createPrivateKey, type KeyObject } from 'node:crypto';
import { type FileHandle, mkdir, open, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Signer, SignerError, StoreError, UsageError } from '@countersign/core';
import { generatePrivateKey, type KeyType, signerFromPrivateKey } from './private-key.ts';

/**
 * Makes a key, writes it to a new file with mode 0600 (encrypted, AES-256 under
 * the passphrase) and opens it. When this returns the file is on disk for good.
 *
 * @throws UsageError USAGE_INVALID when the passphrase is empty or there is a file already
 * @throws StoreError STORE_WRITE
 * @example const signer = await createKeyFile('keys/author.pem', passphrase);
 */
export async function createKeyFile(path: string, passphrase: string, type: KeyType = 'ed25519'): Promise<Signer> {
  if (passphrase === '') throw new UsageError('USAGE_INVALID', 'Creating a key file: the passphrase is empty');
  const key = generatePrivateKey(type);
  const pem = key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase });
  await writeNew(path, pem.toString());
  return signerFromPrivateKey(key);
}

/**
 * Opens a key file.
 *
 * @throws SignerError KEY_MISSING, KEY_LOCKED (the passphrase does not open it),
 *   KEY_UNSUPPORTED (not an encrypted key file, or a kind of key that cannot sign metadata)
 * @throws StoreError STORE_READ
 * @example const signer = await openKeyFile('keys/author.pem', passphrase);
 */
export async function openKeyFile(path: string, passphrase: string): Promise<Signer> {
  const pem = await readPem(path);
  if (!ENCRYPTED.test(pem)) {
    throw new SignerError('KEY_UNSUPPORTED', 'Opening a key file: it is not an encrypted PKCS#8 key', {
      detail: { path },
    });
  }
  return signerFromPrivateKey(decrypt(pem, passphrase, path));
}

function decrypt(pem: string, passphrase: string, path: string): KeyObject {
  try {
    return createPrivateKey({ key: pem, format: 'pem', passphrase });
  } catch {
    // No cause: which step failed would tell about the passphrase, and with a
    // wrong one it can be any of them.
    throw new SignerError('KEY_LOCKED', 'Opening a key file: the passphrase does not open it', { detail: { path } });
  }
}

async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') {
      throw new SignerError('KEY_MISSING', 'Opening a key file: there is none', { detail: { path } });
    }
    throw new StoreError('STORE_READ', 'Opening a key file: it cannot be read', { detail: { path }, cause });
  }
}

async function writeNew(path: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await openNew(path);
    try {
      await file.writeFile(text);
      await file.sync();
      await syncFolder(dirname(path));
    } catch (error) {
      await rm(path, { force: true }); // half a key is worth nothing and would block the next attempt
      throw error;
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (cause instanceof UsageError) throw cause;
    throw new StoreError('STORE_WRITE', 'Creating a key file: it cannot be written', { detail: { path }, cause });
  }
}

async function openNew(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600);
  } catch (cause) {
    if (codeOf(cause) !== 'EEXIST') throw cause;
    throw new UsageError('USAGE_INVALID', 'Creating a key file: there is a file already', { detail: { path } });
  }
}

async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return; // folders cannot be opened there
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

const ENCRYPTED = /^-----BEGIN ENCRYPTED PRIVATE KEY-----$/m;
