// The visible copies in a folder that any static web server can serve:
// `metadata/<version>.<role>.json`, `metadata/timestamp.json`, and
// `targets/<directory>/<digest>.<file>` as hard links to the blobs.
// The timestamp is replaced last, atomically: it is the switch.

import { createReadStream } from 'node:fs';
import { link, mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Site } from '../ports.ts';
import { roleFileName, siteName, siteUrl, targetNames } from '../site-url.ts';
import { filesBelow, placeFile, readFrom, removeFile, replaceFile, writeError } from './files.ts';
import { blobPath } from './folder-blobs.ts';

/** Opens the site of a collection over its folder of blobs. Readers see each file whole; only the keeper makes it last. */
export function folderSite(folder: string, blobs: string): Site {
  const timestampFile = join(folder, roleFileName('timestamp', undefined));
  return {
    async showTargets(targets) {
      const folders = new Set<string>();
      for (const { path, blob } of targets) {
        for (const name of targetNames(path, blob)) {
          const copy = join(folder, name);
          await makeOnce(folders, dirname(copy));
          await showBlob(blobPath(blobs, blob.sha256), copy);
        }
      }
    },
    async showFiles(files) {
      const timestamp = files.filter(({ role }) => role === 'timestamp').at(-1);
      const others = files
        .filter(({ role }) => role !== 'timestamp')
        .map(({ role, version, bytes }) => ({ path: join(folder, roleFileName(role, version)), bytes }));
      const folders = new Set<string>();
      for (const path of [timestampFile, ...others.map((other) => other.path)]) await makeOnce(folders, dirname(path));
      // A few at a time: a process may have only so many files open.
      for (let at = 0; at < others.length; at += AT_ONCE) {
        await Promise.all(others.slice(at, at + AT_ONCE).map(({ path, bytes }) => replaceFile(path, bytes)));
      }
      if (timestamp !== undefined) await replaceFile(timestampFile, timestamp.bytes);
    },
    async shownTimestamp() {
      return await readFile(timestampFile).catch(() => undefined); // not there yet
    },
    async *list() {
      for await (const { path, ...stored } of filesBelow(folder)) yield { ...stored, url: siteUrl(path) };
    },
    async *read(url) {
      yield* readFrom(join(folder, siteName(url)));
    },
    async remove(urls) {
      for (const url of urls) await removeFile(join(folder, siteName(url)));
    },
  };
}

async function showBlob(blob: string, copy: string): Promise<void> {
  try {
    await link(blob, copy);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EEXIST') return; // shown before a crash, or listed by two roles
    // File systems without hard links, or with a limit on them, get a copy.
    if (code !== 'EXDEV' && code !== 'EPERM' && code !== 'EMLINK' && code !== 'ENOTSUP') throw writeError(copy, error);
    await placeFile(copy, async (handle) => {
      for await (const chunk of createReadStream(blob)) await handle.writeFile(chunk);
    });
  }
}

async function makeOnce(made: Set<string>, folder: string): Promise<void> {
  if (made.has(folder)) return;
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw writeError(folder, error);
  });
  made.add(folder);
}

const AT_ONCE = 16;
