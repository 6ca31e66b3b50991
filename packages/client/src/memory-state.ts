// Trusted state that lives only as long as this process: for tests, and for
// clients that begin from their anchor every time.

import type { StatePort } from '@countersign/core';

/** Keeps trusted metadata in memory. Bytes are copied on both ways. */
export function memoryState(): StatePort {
  const files = new Map<string, Uint8Array>();
  return {
    load: (name) => files.get(name)?.slice(),
    save: (name, bytes) => {
      files.set(name, bytes.slice());
    },
    drop: (name) => {
      files.delete(name);
    },
  };
}
