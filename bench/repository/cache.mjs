// The user's cache folder, for what is dear to make and the same in every run:
// unpacked peers and built collections. All of it may be deleted at any time.

import { homedir } from 'node:os';
import { join } from 'node:path';

/** The folder; not made yet. */
export function cacheFolder() {
  const { XDG_CACHE_HOME: xdg, LOCALAPPDATA: local } = process.env;
  const home = process.platform === 'darwin' ? join(homedir(), 'Library', 'Caches') : join(homedir(), '.cache');
  return join(xdg ?? local ?? home, 'countersign', 'bench');
}
