// A download's file: written beside its destination, renamed onto it by
// `commit`. Until then, and after `abort`, the destination is what it was.
// Pieces are gathered into writes of one size; one write, and one sync of what was
// written before, are under way while the next pieces are received and hashed.

import type { Sink } from '../ports.ts';
import { type DurableFile, openDurableFile } from './durable-file.ts';

/**
 * A sink that puts a download into a file. Its methods throw StoreError
 * STORE_WRITE; a write that fails is told by a later call.
 *
 * @example await client.download(found.target, fileSink('ms-2.1.3.tgz'));
 */
export function fileSink(destination: string): Sink {
  let opening: Promise<Pipeline> | undefined;
  const open = (): Promise<Pipeline> => {
    // Permissions as the umask allows.
    opening ??= openDurableFile(destination, { file: 0o666, folder: 0o777 }).then(pipelineInto);
    return opening;
  };
  return {
    write: async (chunk) => await (await open()).write(chunk),
    commit: async () => await (await open()).commit(),
    abort: async () => {
      const pipeline = await opening?.catch(() => undefined); // what never opened needs no removal
      await pipeline?.abort();
    },
  };
}

type Pipeline = Pick<DurableFile, 'write' | 'commit' | 'abort'>;

function pipelineInto(file: DurableFile): Pipeline {
  let gathering = Buffer.allocUnsafeSlow(WRITE_BYTES);
  let gathered = 0;
  let idle = Buffer.allocUnsafeSlow(WRITE_BYTES);
  let unsynced = 0;
  let writing: Promise<void> | undefined;
  let syncing: Promise<void> | undefined;
  // The first failure counts: a sync after one that failed may well succeed.
  let failed: Promise<never> | undefined;

  /** What goes on behind the scenes; ends without a failure. */
  const behind = async (work: Promise<void>): Promise<void> => {
    try {
      await work;
    } catch (error) {
      failed ??= Promise.reject(error);
      failed.catch(() => {}); // told by the next call
    }
  };
  /** Begins to write what was gathered, as soon as the write before has ended. */
  const turn = async (): Promise<void> => {
    await writing;
    await failed;
    const full = gathering.subarray(0, gathered);
    [gathering, idle] = [idle, gathering];
    gathered = 0;
    writing = behind(file.write(full));
    unsynced += full.length;
    if (unsynced < SYNC_BYTES || syncing !== undefined) return;
    unsynced = 0;
    syncing = behind(file.sync()).then(() => {
      syncing = undefined;
    });
  };
  return {
    async write(chunk) {
      for (let at = 0; at < chunk.length; ) {
        const piece = chunk.subarray(at, at + WRITE_BYTES - gathered);
        gathering.set(piece, gathered);
        gathered += piece.length;
        at += piece.length;
        if (gathered === WRITE_BYTES) await turn();
      }
    },
    async commit() {
      if (gathered > 0) await turn();
      await Promise.all([writing, syncing]);
      await failed;
      await file.commit();
    },
    async abort() {
      await Promise.all([writing, syncing]); // before their file is closed
      await file.abort();
    },
  };
}

// Each write passes through another thread and back, which costs as much as writing 64 KiB.
const WRITE_BYTES = 2 ** 20;
const SYNC_BYTES = 2 ** 24;
