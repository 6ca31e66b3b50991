// A client on Node: state in a folder, HTTP, node's cryptography and clock.

import type { Instant, Limits } from '@countersign/core';
import { Client } from '../client.ts';
import { collectionUrls } from '../mirror.ts';
import type { Transport } from '../ports.ts';
import { nodeCrypto } from './crypto.ts';
import { fileState } from './file-state.ts';
import { httpTransport } from './http-transport.ts';

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
