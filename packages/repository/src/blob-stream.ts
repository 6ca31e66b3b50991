// What every blob store does with the bytes that stream in: count them, hash
// them, and refuse what is too large or not what its address says.

import { createHash } from 'node:crypto';
import { AdmissionError } from '@countersign/core';
import type { BlobFacts } from './ports.ts';

/**
 * Copies a stream, chunk by chunk. What was written is only good when it resolves.
 *
 * @throws AdmissionError BLOB_MISMATCH, SUBMISSION_TOO_LARGE; what the stream or `write` throws
 */
export async function copyBlob(
  sha256: string,
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
  write: (chunk: Uint8Array) => Promise<unknown>,
): Promise<BlobFacts> {
  const hashes = { sha256: createHash('sha256'), sha512: createHash('sha512') };
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > maxBytes) {
      throw new AdmissionError('SUBMISSION_TOO_LARGE', `Storing a blob: it is larger than ${maxBytes} bytes`, {
        detail: { limit: maxBytes },
      });
    }
    hashes.sha256.update(chunk);
    hashes.sha512.update(chunk);
    await write(chunk);
  }
  const facts = { sha256: hashes.sha256.digest('hex'), sha512: hashes.sha512.digest('hex'), length };
  if (facts.sha256 === sha256) return facts;
  throw new AdmissionError('BLOB_MISMATCH', 'Storing a blob: its SHA-256 is not the one in its address', {
    detail: { want: sha256, got: facts.sha256 },
  });
}

/** Whether a name is a SHA-256 in lower-case hexadecimal. */
export function isDigest(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name);
}

/** Refuses an address that is no digest. @throws AdmissionError SUBMISSION_INVALID */
export function requireDigest(sha256: string): void {
  if (isDigest(sha256)) return;
  throw new AdmissionError('SUBMISSION_INVALID', 'Addressing a blob: that is not a SHA-256 in lower-case hexadecimal');
}
