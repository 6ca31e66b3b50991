// A repository on loopback, for peers and clients that speak HTTP. It serves
// what it is given and decides nothing; it ends with the test that asked for it.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { World } from '@countersign/testkit';
import { onTestFinished } from 'vitest';
import type { PeerRequests } from './peers.mjs';

/** Gives a file by its URL below the base, or `undefined`. */
export type SiteReader = (name: string) => Promise<Uint8Array | undefined>;

/** Where a repository is, and the root to pin. */
export interface Site {
  readonly metadataUrl: string;
  readonly targetsUrl: string;
  readonly rootFile: string;
  /** Asks a peer that has seen nothing yet. */
  ask(targetPaths: readonly string[]): PeerRequests;
}

/** The files of a world, under whatever spelling of their URL a client prefers. */
export function worldReader(world: World): SiteReader {
  return async (name) => {
    const decoded = decodeURIComponent(name);
    const found = world.files.get(name) ?? [...world.files].find(([url]) => decodeURIComponent(url) === decoded)?.[1];
    return found instanceof Uint8Array ? found : undefined;
  };
}

/** The files in a folder: metadata under its URL, targets under their path. */
export function folderReader(folder: string): SiteReader {
  const read = (name: string): Promise<Uint8Array | undefined> => readFile(join(folder, name)).catch(() => undefined);
  return async (name) => (await read(name)) ?? (await read(decodeURIComponent(name)));
}

/**
 * Serves a repository until the test is over.
 *
 * @example const site = await openSite(worldReader(world), world.anchor); await fetchAllWithPeer(peer, site.ask(paths));
 */
export async function openSite(read: SiteReader, anchor: Uint8Array | undefined): Promise<Site> {
  const server = createServer((request, response) => {
    void read((request.url ?? '').slice(1)).then((found) => response.writeHead(found ? 200 : 404).end(found));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const folder = freshFolder();
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const rootFile = join(folder, 'root.json');
  writeFileSync(rootFile, anchor ?? '');
  const { port } = server.address() as AddressInfo;
  const base = `http://127.0.0.1:${port}`;
  const where = { metadataUrl: `${base}/metadata/`, targetsUrl: `${base}/targets/`, rootFile };
  let asked = 0;
  return {
    ...where,
    ask: (targetPaths) => ({ ...where, targetPaths, outFolder: join(folder, `out-${asked++}`) }),
  };
}

/** A folder that is gone when the test is over. */
export function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-peer-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
