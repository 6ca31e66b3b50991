// The visible copies in a folder that any static web server can serve:
// `metadata/<version>.<role>.json`, `metadata/timestamp.json`, and
// `targets/<directory>/<digest>.<file>` as hard links to the blobs.
// The timestamp is replaced last, atomically: it is the switch.

import { createReadStream } from 'node:fs';
import { link, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { metadataUrl, requireTargetPath, targetUrl } from '@countersign/core';
import type { Site } from '../ports.ts';
import { siteName, siteUrl } from '../site-url.ts';
import {
  filesBelow,
  makeFolder,
  placeFile,
  readFrom,
  removeFile,
  syncFolder,
  writeDurably,
  writeError,
} from './files.ts';
import { blobPath } from './folder-blobs.ts';

/** Opens the site of a collection over its folder of blobs. */
export function folderSite(folder: string, blobs: string): Site {
  const metadata = join(folder, 'metadata');
  const place = (role: string, version: number | undefined): string =>
    join(folder, siteName(`metadata/${metadataUrl(role, version)}`));
  return {
    async showTargets(targets) {
      const folders = new Set<string>();
      for (const { path, blob } of targets) {
        for (const digest of [blob.sha256, blob.sha512]) {
          const copy = join(folder, siteName(`targets/${targetUrl(requireTargetPath(path), digest)}`));
          await showBlob(blobPath(blobs, blob.sha256), copy);
          folders.add(dirname(copy));
        }
      }
      for (const one of folders) await syncFolder(one);
    },
    async showFiles(files) {
      const timestamp = files.find((file) => file.role === 'timestamp');
      const others = files
        .filter((file) => file !== timestamp)
        .map(({ role, version, bytes }) => ({ path: place(role, version), bytes }));
      const folders = new Set([metadata, ...others.map(({ path }) => dirname(path))]);
      for (const one of folders) await makeFolder(one);
      // A few at a time: a process may have only so many files open.
      for (let at = 0; at < others.length; at += AT_ONCE) {
        const some = others.slice(at, at + AT_ONCE);
        await Promise.all(some.map(({ path, bytes }) => placeFile(path, (handle) => handle.writeFile(bytes))));
      }
      // Durable before the timestamp that leads to them.
      for (const one of folders) await syncFolder(one);
      if (timestamp !== undefined) await writeDurably(place('timestamp', undefined), timestamp.bytes);
    },
    async shownTimestamp() {
      return await readFile(place('timestamp', undefined)).catch(() => undefined); // not there yet
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
  await makeFolder(dirname(copy));
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

const AT_ONCE = 16;
