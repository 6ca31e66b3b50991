// A download's file: written beside its destination, renamed onto it by
// `commit`. Until then, and after `abort`, the destination is what it was.

import type { Sink } from '../ports.ts';
import { type DurableFile, openDurableFile } from './durable-file.ts';

/**
 * A sink that puts a download into a file. Its methods throw StoreError STORE_WRITE.
 *
 * @example await client.download(found.target, fileSink('ms-2.1.3.tgz'));
 */
export function fileSink(destination: string): Sink {
  let opening: Promise<DurableFile> | undefined;
  const open = (): Promise<DurableFile> => {
    opening ??= openDurableFile(destination, { file: 0o666, folder: 0o777 }); // as the umask allows
    return opening;
  };
  return {
    write: async (chunk) => await (await open()).write(chunk),
    commit: async () => await (await open()).commit(),
    abort: async () => {
      const file = await opening?.catch(() => undefined); // what never opened needs no removal
      await file?.abort();
    },
  };
}
