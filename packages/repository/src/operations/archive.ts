// A backup as a set of named parts: what one is written to and read from. What
// the parts mean is backup.ts's business. Names are `/`-separated, of our own
// making, and never longer than a tar header takes.

/** Where a backup is written. */
export interface ArchiveWriter {
  /** How many parts may be written at the same time. */
  readonly atOnce: number;
  /** The length of a blob that an earlier backup left here; `undefined` when it must be written. */
  existing(name: string): Promise<number | undefined>;
  /** Writes a part of known length. @throws StoreError STORE_WRITE, also when another length comes */
  write(name: string, length: number, body: AsyncIterable<Uint8Array>): Promise<void>;
  /** Writes the manifest: from here on this is the backup. Then drops the parts under `folder` that are not in `keep`. */
  finish(manifest: Uint8Array, folder: string, keep: readonly string[]): Promise<void>;
  /** Gives up: what is there stays what it was. */
  abandon(): Promise<void>;
}

/** Where a backup is read from. */
export interface ArchiveReader {
  /** The length of a part; `undefined` when it is not there. */
  size(name: string): Promise<number | undefined>;
  /** @throws StoreError STORE_READ when it is not there */
  read(name: string): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/** The name of the manifest. */
export const MANIFEST = 'manifest.json';

/** Bytes as a stream. */
export async function* streamOf(...chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void> {
  yield* chunks;
}
