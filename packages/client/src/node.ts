// The subpath @countersign/client/node: the ports of a client on Node, and a
// client made of them.

import type { Instant, Limits } from '@countersign/core';
import { Client } from './client.ts';
import { collectionUrls } from './mirror.ts';
import { nodeCrypto } from './node/crypto.ts';
import { fileState } from './node/file-state.ts';
import { httpTransport } from './node/http-transport.ts';
import type { Transport } from './ports.ts';

export { nodeCrypto, sha256 } from './node/crypto.ts';
export { fileSink } from './node/file-sink.ts';
export { fileState } from './node/file-state.ts';
export { type HttpOptions, httpTransport } from './node/http-transport.ts';

/** What {@link openNodeClient} is given. */
export interface NodeClientOptions {
  /** Base URL of the collection: `metadata/` and `targets/` are below it. */
  readonly url: string;
  /** Folder for trusted metadata; made when it is not there. */
  readonly folder: string;
  readonly anchor?: Uint8Array;
  readonly clock?: () => Instant;
  readonly transport?: Transport;
  readonly limits?: Partial<Limits>;
}

/**
 * Opens a client that keeps its state in a folder and asks over HTTP.
 *
 * @throws UsageError ANCHOR_MISSING
 * @throws MetadataError when the anchor is not a root signed by its own keys
 * @throws StoreError STORE_READ, STORE_WRITE
 * @example const client = await openNodeClient({ url, folder: '.countersign/client', anchor });
 */
export function openNodeClient(options: NodeClientOptions): Promise<Client> {
  const { url, folder, anchor, limits, clock = Date.now, transport = httpTransport() } = options;
  return Client.open({
    ...collectionUrls(url),
    transport,
    state: fileState(folder),
    crypto: nodeCrypto,
    clock,
    ...(anchor && { anchor }),
    ...(limits && { limits }),
  });
}
