// The visible copies in a folder that any static web server can serve:
// `metadata/<version>.<role>.json`, `metadata/timestamp.json`, and
// `targets/<directory>/<digest>.<file>` as hard links to the blobs.
// The timestamp is replaced last, atomically: it is the switch. Nothing is
// written where a later one is shown: one process publishes, so its ledger is old.

import { createReadStream } from 'node:fs';
import { link, mkdir, readFile, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { requireNothingLater } from '../later-site.ts';
import type { Site } from '../ports.ts';
import { roleFileName, siteName, siteUrl, targetNames } from '../site-url.ts';
import { filesBelow, partialIn, placeFile, readFrom, removeFile, replaceFile, writeError } from './files.ts';
import { blobPath } from './folder-blobs.ts';

/** Opens the site of a collection over its folder of blobs. Readers see each file whole; only the keeper makes it last. */
export function folderSite(folder: string, blobs: string): Site {
  const timestampFile = join(folder, roleFileName('timestamp', undefined));
  const shownTimestamp = async (): Promise<Uint8Array | undefined> =>
    await readFile(timestampFile).catch(() => undefined); // not there yet
  return {
    async showTargets(targets) {
      const copies = targets.flatMap(({ path, blob }) =>
        targetNames(path, blob).map((name) => ({ copy: join(folder, name), blob: blobPath(blobs, blob.sha256) })),
      );
      await atOnce([...new Set(copies.map(({ copy }) => dirname(copy)))], makeShown);
      await atOnce(copies, async ({ copy, blob }) => await showBlob(blob, copy));
    },
    async showFiles(files) {
      const timestamp = files.filter(({ role }) => role === 'timestamp').at(-1);
      if (timestamp !== undefined) requireNothingLater(timestamp.version, await shownTimestamp());
      const others = files
        .filter(({ role }) => role !== 'timestamp')
        .map(({ role, version, bytes }) => ({ path: join(folder, roleFileName(role, version)), bytes }));
      const folders = new Set([timestampFile, ...others.map(({ path }) => path)].map((path) => dirname(path)));
      await atOnce([...folders], makeShown);
      await atOnce(others, async ({ path, bytes }) => await replaceFile(path, bytes));
      if (timestamp !== undefined) await replaceFile(timestampFile, timestamp.bytes);
    },
    shownTimestamp,
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
    if (code === 'EEXIST') return await relink(blob, copy); // shown before a crash, or listed by two roles
    // File systems without hard links, or with a limit on them, get a copy.
    if (code !== 'EXDEV' && code !== 'EPERM' && code !== 'EMLINK' && code !== 'ENOTSUP') throw writeError(copy, error);
    await placeFile(copy, async (handle) => {
      for await (const chunk of createReadStream(blob)) await handle.writeFile(chunk);
    });
  }
}

/** Where a power cut took the blob's own name, and it was written again, the copy is still what was lost. */
async function relink(blob: string, copy: string): Promise<void> {
  const [one, other] = await Promise.all([stat(blob), stat(copy)]);
  if (one.ino === other.ino || one.dev !== other.dev) return;
  const temporary = partialIn(dirname(copy));
  await link(blob, temporary);
  await rename(temporary, copy);
}

async function makeShown(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw writeError(folder, error);
  });
}

/** A few at a time: a process may have only so many files open. */
async function atOnce<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += AT_ONCE) await Promise.all(items.slice(at, at + AT_ONCE).map(act));
}

const AT_ONCE = 16;
