// One process at a time in a few lines of code about one folder: comparing a
// file and replacing it. The lines run without waiting, so the lock is held for
// a fraction of a millisecond, and never while something is fetched or synced.
// A lock does not outlive its process: whoever finds it asks the system whether
// that process is still there. Nothing is trusted because of a lock: should one
// be broken wrongly, an update is refused and tried again, no more.

import { readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { threadId } from 'node:worker_threads';
import { hasCode } from './system-error.ts';

/**
 * Runs `work` while no other process does so for the same folder.
 *
 * @param patienceMs how long one living holder is waited for before its lock is taken for a left-over
 * @throws what the system refuses, such as EACCES and EROFS in a folder that cannot be written to
 */
export async function withFolderLock<T>(folder: string, work: () => T, patienceMs = PATIENCE_MS): Promise<T> {
  const lock = join(folder, '.lock');
  let holder: string | undefined;
  let waited = 0;
  while (!taken(lock)) {
    const seen = holderOf(lock);
    if (seen !== holder) waited = 0;
    holder = seen;
    if (seen !== undefined && (isGone(seen) || waited >= patienceMs)) {
      // Another one may do the same: then both go on, to the next attempt.
      release(lock);
      continue;
    }
    await sleep(PAUSE_MS);
    waited += PAUSE_MS;
  }
  try {
    return work();
  } finally {
    release(lock);
  }
}

function taken(lock: string): boolean {
  try {
    writeFileSync(lock, ME, { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

function release(lock: string): void {
  try {
    unlinkSync(lock);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error; // broken by an impatient one
  }
}

/** Who holds a lock; `undefined` when nobody does any more. */
function holderOf(lock: string): string | undefined {
  try {
    return readFileSync(lock, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Tells whether the process of a holder has ended. Of one that is just writing its name that is not known. */
function isGone(holder: string): boolean {
  const [pid, thread] = holder.split(' ').map(Number);
  // This thread does nothing else while it holds a lock: it is a left-over under the same number.
  if (holder === ME) return true;
  if (pid === undefined || thread === undefined || !(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return hasCode(error, 'ESRCH');
  }
}

const ME = `${process.pid} ${threadId}`;
const PAUSE_MS = 2;
const PATIENCE_MS = 1000; // a thousand times what holding it takes
