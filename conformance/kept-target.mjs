// Whether a file downloaded before is still the target that is trusted now:
// always by its length and hashes, never by its name.

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { nodeCrypto } from '@countersign/client/node';
import { isTufError, openGate } from '@countersign/core';

/** Tells whether the file at `path` is exactly this target. */
export async function keptTarget(path, target) {
  if (!(await stat(path).catch(() => undefined))) return false;
  const gate = openGate(target, (algorithm) => nodeCrypto.hasher(algorithm));
  try {
    for await (const chunk of createReadStream(path)) gate.push(chunk);
    gate.close();
    return true;
  } catch (error) {
    if (isTufError(error)) return false;
    throw error;
  }
}
