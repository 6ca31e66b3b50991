// A client that verifies what a collection on this machine shows, straight from
// where it lies: for commands that work while no service runs.

import { Client, memoryState, type Transport } from '@countersign/client';
import { nodeCrypto } from '@countersign/client/node';
import type { Instant } from '@countersign/core';
import type { Site } from '@countersign/repository';

/** Opens a client on a site and its users' root, which keeps nothing. @throws MetadataError */
export async function openSiteClient(
  site: Pick<Site, 'read'>,
  anchor: Uint8Array,
  clock: () => Instant,
): Promise<Client> {
  return await Client.open({
    metadataUrl: 'metadata/',
    targetsUrl: 'targets/',
    transport: transportOver(site),
    state: memoryState(),
    crypto: nodeCrypto,
    clock,
    anchor,
  });
}

function transportOver(site: Pick<Site, 'read'>): Transport {
  return {
    async get(url) {
      const chunks = site.read(url)[Symbol.asyncIterator]();
      const first = await chunks.next().catch(() => undefined); // it is not there
      const body = async function* (): AsyncGenerator<Uint8Array, void> {
        for (let next = first; next !== undefined && next.done !== true; next = await chunks.next()) yield next.value;
      };
      return { status: first === undefined ? 404 : 200, body: body() };
    },
  };
}
