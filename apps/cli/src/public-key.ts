// Public keys as people hand them to each other: a small JSON file with the key
// as TUF writes it and its id. Reading trusts nothing but the key itself.

import { readFile } from 'node:fs/promises';
import { nodeCrypto } from '@countersign/client/node';
import {
  driveCrypto,
  isTufError,
  type Key,
  type KeyId,
  keyIdOf,
  objectAt,
  objectOf,
  plainOf,
  readDocument,
  readKey,
  type Signer,
  UsageError,
} from '@countersign/core';

/** A public key and its id. */
export interface PublicKey {
  readonly keyId: KeyId;
  readonly key: Key;
}

/** The text of a public key file. */
export function publicKeyText({ keyId, key }: Pick<Signer, 'keyId' | 'key'>): string {
  return `${JSON.stringify(plainOf(objectOf({ keyid: keyId, key: key.json })), undefined, 2)}\n`;
}

/**
 * Reads a public key file. Its id is computed, never taken from the file.
 *
 * @throws UsageError USAGE_INVALID
 */
export async function readPublicKey(file: string): Promise<PublicKey> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new UsageError('USAGE_INVALID', `Reading the public key ${file}: it cannot be read`, {
      detail: { next: PUBLIC_KEY_FILE },
      cause,
    });
  });
  try {
    const key = readKey(objectAt(readDocument(bytes).root, 'key', 'the public key'), 'the public key');
    if (key.verification !== undefined) return { keyId: driveCrypto(keyIdOf(key), nodeCrypto), key };
  } catch (cause) {
    if (!isTufError(cause)) throw cause;
    throw invalid(file, cause);
  }
  throw invalid(file);
}

function invalid(file: string, cause?: unknown): UsageError {
  const message = `Reading the public key ${file}: it is none`;
  return new UsageError('USAGE_INVALID', message, { detail: { file, next: PUBLIC_KEY_FILE }, cause });
}

const PUBLIC_KEY_FILE = 'Have its holder write one: `countersign key show <key file> > <name>.json`';
