// Trusted state that lives only as long as this process: for tests, and for
// clients that begin from their anchor every time.

import type { StatePort } from '@countersign/core';

/** Keeps trusted metadata in memory. Bytes are not copied: like the client itself, nobody may change what was received. */
export function memoryState(): StatePort {
  const files = new Map<string, Uint8Array>();
  return {
    load: (name) => files.get(name),
    save: (name, bytes) => {
      files.set(name, bytes);
    },
    drop: (name) => {
      files.delete(name);
    },
  };
}
