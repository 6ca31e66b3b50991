// Every root of a collection, verified: who the offline quorum was when. A
// chain is believed when each root is signed by the one before it and by
// itself, and it leads to the very root that the user's client trusts.

import type { Transport } from '@countersign/client';
import { nodeCrypto, sha256 } from '@countersign/client/node';
import {
  driveCrypto,
  hex,
  MetadataError,
  metadataUrl,
  openEnvelope,
  type Root,
  readRoot,
  topLevelAuthority,
  verify,
} from '@countersign/core';
import { type Quorum, quorumOf } from '@countersign/decisions';

/**
 * The quorums of all roots up to the trusted one, by root version.
 *
 * @param base URL of the collection's metadata, with a slash at its end
 * @throws MetadataError METADATA_MISSING, THRESHOLD_NOT_MET; TransportError
 */
export async function quorumsOf(
  base: string,
  transport: Transport,
  trusted: { readonly content: Root; readonly bytes: Uint8Array },
): Promise<ReadonlyMap<number, Quorum>> {
  const quorums = new Map<number, Quorum>();
  let before: Root | undefined;
  for (let version = 1; version <= trusted.content.version; version++) {
    const bytes =
      version === trusted.content.version
        ? trusted.bytes
        : await fetched(base + metadataUrl('root', version), transport);
    const envelope = openEnvelope(bytes, 'root');
    const self = readRoot(envelope.signed);
    const authority = topLevelAuthority(self, 'root');
    const authorities =
      before === undefined ? ([authority] as const) : ([topLevelAuthority(before, 'root'), authority] as const);
    const { content } = driveCrypto(
      verify(envelope, authorities, () => self),
      nodeCrypto,
    );
    if (content.version !== version) {
      throw new MetadataError('VERSION_MISMATCH', `Reading root ${version}: it is version ${content.version}`);
    }
    quorums.set(version, quorumOf(content, hex(sha256(bytes))));
    before = content;
  }
  return quorums;
}

async function fetched(url: string, transport: Transport): Promise<Uint8Array> {
  const { status, body } = await transport.get(url, { maxBytes: MAX_ROOT });
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > MAX_ROOT) throw new MetadataError('LENGTH_EXCEEDED', 'Reading an earlier root: it is too large');
    chunks.push(chunk);
  }
  if (status === 200) return Buffer.concat(chunks);
  throw new MetadataError('METADATA_MISSING', 'Reading an earlier root: it is not served', { detail: { url, status } });
}

const MAX_ROOT = 512_000;
