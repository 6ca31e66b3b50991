// Which target paths a site can show, in a folder and in a bucket alike. What
// it cannot show must never be committed: the site would stay behind for ever,
// and everybody's files with it. A copy is called `<digest>.<file>`, in the
// path's folders (§6.2.1).

import { utf8 } from '@countersign/core';
import { refuse } from './admit-rules.ts';

/** Requires that a target can be shown under its path. @throws AdmissionError ENTRY_INVALID */
export function requireShowable(path: string): void {
  const folders = path.split('/');
  const file = folders.pop() ?? '';
  const shown = path.slice(0, 200);
  const within = (text: string, limit: number, problem: string): void => {
    const got = utf8(text).length;
    if (got > limit) throw refuse('ENTRY_INVALID', problem, { rule: 'path', path: shown, limit, got });
  };
  within(path, MAX_PATH, `a path is longer than ${MAX_PATH} bytes`);
  within(file, MAX_FILE_NAME, 'a file name is too long');
  for (const folder of folders) {
    within(folder, MAX_FOLDER_NAME, 'the name of a folder is too long');
    if (!COPY.test(folder)) continue;
    throw refuse('ENTRY_INVALID', 'a folder is called like a copy of a file', { rule: 'path', path: shown });
  }
}

/** How long a collection's part of a bucket may be called, in bytes: with the longest path, a key has 1,024. */
export const MAX_PREFIX = 80;

// In bytes of UTF-8. A key has 1,024: less a prefix, `site/targets/` and 129 of a digest.
const MAX_PATH = 800;
// File systems end at 255 bytes: less a SHA-512 in hexadecimal and a dot.
const MAX_FILE_NAME = 120;
const MAX_FOLDER_NAME = 255;
// A folder where a copy is to be shown, or a copy where a folder is, would stop the site.
const COPY = /^(?:[0-9a-f]{64}|[0-9a-f]{128})\./;
