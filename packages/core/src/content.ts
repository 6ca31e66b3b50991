// Bytes against what a trusted file says of them: length and hashes, for
// metadata in one piece (`checkContent`) and for targets in a stream
// (`openGate`). Nothing that failed here may reach its destination.

import { hex } from './bytes.ts';
import { type HashAlgorithm, hash, type Workflow } from './effects.ts';
import { MetadataError } from './errors.ts';
import { strongHashes, type TargetFile } from './model.ts';

/** A hash in progress, as runtimes offer it. */
export interface Hasher {
  update(chunk: Uint8Array): void;
  digest(): Uint8Array;
}

/** The length-and-hash gate around one target file (§5.7.3). */
export interface Gate {
  /** Takes the next bytes. @throws MetadataError LENGTH_EXCEEDED as soon as there are too many */
  push(chunk: Uint8Array): void;
  /** Ends. Only a normal return means that the bytes are the target. @throws MetadataError LENGTH_MISMATCH, HASH_MISMATCH */
  close(): void;
}

/**
 * Checks whole bytes against a length and hashes, each if listed (§5.5.2, §5.6.2).
 *
 * @throws MetadataError LENGTH_MISMATCH, HASH_MISMATCH, HASH_UNSUPPORTED
 */
export function* checkContent(
  bytes: Uint8Array,
  listed: { readonly length: number | undefined; readonly hashes: ReadonlyMap<string, string> | undefined },
  what: string,
): Workflow<void> {
  if (listed.length !== undefined) requireLength(what, listed.length, bytes.length);
  if (listed.hashes === undefined) return;
  for (const [algorithm, want] of strongHashes(listed.hashes, what)) {
    requireDigest(what, algorithm, want, hex(yield* hash(algorithm, bytes)));
  }
}

/**
 * Opens the gate for a target: every listed strong hash is checked, in one pass.
 *
 * @param hasher makes a hash in progress
 * @throws MetadataError HASH_UNSUPPORTED
 * @example
 * const gate = openGate(target, (algorithm) => createHash(algorithm));
 * for await (const chunk of body) { gate.push(chunk); await file.write(chunk); }
 * gate.close(); // only now rename the file to its destination
 */
export function openGate(target: TargetFile, hasher: (algorithm: HashAlgorithm) => Hasher): Gate {
  const checks = [...strongHashes(target.hashes, target.path)].map(([algorithm, want]) => ({
    algorithm,
    want,
    running: hasher(algorithm),
  }));
  let length = 0;
  return {
    push(chunk) {
      length += chunk.length;
      if (length > target.length) {
        throw new MetadataError('LENGTH_EXCEEDED', `Reading ${target.path}: more than ${target.length} bytes came`, {
          detail: { path: target.path, limit: target.length },
        });
      }
      for (const { running } of checks) running.update(chunk);
    },
    close() {
      requireLength(target.path, target.length, length);
      for (const { algorithm, want, running } of checks) {
        requireDigest(target.path, algorithm, want, hex(running.digest()));
      }
    },
  };
}

function requireLength(what: string, want: number, got: number): void {
  if (want === got) return;
  throw new MetadataError('LENGTH_MISMATCH', `Checking ${what}: ${want} bytes are signed for, ${got} came`, {
    detail: { what, want, got },
  });
}

function requireDigest(what: string, algorithm: HashAlgorithm, want: string, got: string): void {
  if (want === got) return;
  throw new MetadataError('HASH_MISMATCH', `Checking ${what}: its ${algorithm} is not the signed one`, {
    detail: { what, algorithm, want, got },
  });
}
