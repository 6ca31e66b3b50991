// The list of decisions as a verifying client finds it: every tile is a target
// that was verified under the user's own root, and the whole list is replayed.
// Who speaks for which name follows from it; the service is not asked.

import { type Client, type Sink } from '@countersign/client';
import { nodeCrypto, sha256 } from '@countersign/client/node';
import { concat, hex, MetadataError, openEnvelope, readRoot, type TargetFile, utf8Text } from '@countersign/core';
import { HEAD_PATH, quorumOf, Register, readHead, readTile, replayList, tilePath } from '@countersign/decisions';
import type { Config } from './config.ts';
import { readAnchor } from './trusted-collection.ts';

/**
 * Replays the collection's list of decisions. An empty register while there is none.
 *
 * @throws MetadataError DECISIONS_INVALID, and whatever the client throws
 */
export async function replayDecisions(client: Client, config: Config): Promise<Register> {
  const { root } = client.trusted;
  const anchor = await readAnchor(config.root);
  const first = readRoot(openEnvelope(anchor, 'root').signed);
  const quorums = new Map(
    [[first, anchor] as const, [root.content, root.bytes] as const].map(([content, bytes]) => [
      content.version,
      quorumOf(content, hex(sha256(bytes))),
    ]),
  );
  const rules = {
    collection: config.collection,
    crypto: nodeCrypto,
    quorum: (version: number) => quorums.get(version),
  };
  const listed = await client.find(HEAD_PATH);
  if (listed === undefined) return new Register(rules);
  const head = readHead(await textOf(client, listed.target));
  const lines: string[] = [];
  while (lines.length < head.sequence) {
    const path = tilePath(lines.length + 1);
    const tile = await client.find(path);
    if (tile === undefined) throw new MetadataError('DECISIONS_INVALID', `Reading the decisions: ${path} is missing`);
    lines.push(...readTile(await textOf(client, tile.target)));
  }
  return replayList(rules, lines);
}

async function textOf(client: Client, target: TargetFile): Promise<string> {
  const chunks: Uint8Array[] = [];
  const sink: Sink = {
    write: async (chunk) => void chunks.push(chunk.slice()),
    commit: async () => {},
    abort: async () => {},
  };
  await client.download(target, sink);
  return utf8Text(concat(...chunks)) ?? '';
}
