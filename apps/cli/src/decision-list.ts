// The decision list as a verifying client gets it: head and tiles are targets,
// checked like every other file; then replayed from the first entry under the
// roots that the user's own root leads to. Whole tiles never change, so they
// are kept and only hashed again.

import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Client, collectionUrls, type Sink } from '@countersign/client';
import { httpTransport, nodeCrypto, sha256 } from '@countersign/client/node';
import { hex, type Instant, MetadataError, type TargetFile, utf8Text } from '@countersign/core';
import {
  HEAD_PATH,
  type ListHead,
  Register,
  readHead,
  readTile,
  replayList,
  TILE,
  tilePath,
  writeHead,
} from '@countersign/decisions';
import type { Config } from './config.ts';
import { quorumsOf } from './root-chain.ts';
import type { Shell } from './shell.ts';

/** What the list says, and its lines. */
export interface DecisionList {
  readonly register: Register;
  readonly lines: readonly string[];
}

/**
 * Reads and replays the decision list of a collection. The client must have refreshed.
 *
 * @throws MetadataError DECISIONS_INVALID, METADATA_MISSING, and whatever client and mirror give
 */
export async function openDecisionList(
  client: Client,
  config: Pick<Config, 'url' | 'state' | 'collection'>,
  { clock }: Pick<Shell, 'clock'>,
): Promise<DecisionList> {
  const { metadataUrl } = collectionUrls(config.url);
  const transport = httpTransport({ userAgent: 'countersign/0.1' });
  const quorums = await quorumsOf(metadataUrl, transport, client.trusted.root);
  const rules = {
    collection: config.collection,
    crypto: nodeCrypto,
    quorum: (version: number) => quorums.get(version),
  };
  const head = await readTarget(client, HEAD_PATH);
  if (head === undefined) return { register: new Register(rules), lines: [] };
  const { sequence, entry } = readHead(textOf(head));
  const folder = join(config.state, 'decisions', config.collection);
  const lines: string[] = [];
  for (let first = 1; first <= sequence; first += TILE) lines.push(...(await tileLines(client, first, folder)));
  const seen = await readSeen(join(folder, 'seen'));
  const now = clock();
  const register = replayList(rules, lines, { now: now + SKEW, ...(seen && { seen }) });
  if (register.tip.sequence !== sequence || register.tip.entry !== entry) {
    throw new MetadataError('DECISIONS_INVALID', 'Replaying the decision list: its head is of another list');
  }
  await keepSeen(join(folder, 'seen'), register.head, now);
  return { register, lines };
}

/** A small target, whole and verified; `undefined` where no role lists it. */
export async function readTarget(client: Client, path: string): Promise<Uint8Array | undefined> {
  const found = await client.find(path);
  return found && (await bytesOf(client, found.target));
}

async function tileLines(client: Client, first: number, folder: string): Promise<readonly string[]> {
  const path = tilePath(first);
  const found = await client.find(path);
  if (found === undefined) {
    throw new MetadataError('METADATA_MISSING', `Reading the decision list: ${path} is not listed`, {
      detail: { path },
    });
  }
  const kept = join(folder, basename(path));
  const want = found.target.hashes.get('sha256');
  const known = await readFile(kept).catch(() => undefined); // absent: fetched
  if (known !== undefined && hex(sha256(known)) === want) return readTile(textOf(known));
  const bytes = await bytesOf(client, found.target);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // Only a cache: hashed again before every use.
  await writeFile(`${kept}.part`, bytes);
  await rename(`${kept}.part`, kept);
  return readTile(textOf(bytes));
}

async function bytesOf(client: Client, target: TargetFile): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const sink: Sink = {
    write: async (chunk) => void chunks.push(new Uint8Array(chunk)),
    commit: async () => undefined,
    abort: async () => undefined,
  };
  await client.download(target, sink);
  return Buffer.concat(chunks);
}

/** The head that was served when one last looked, so that a rewritten list is noticed. */
async function readSeen(file: string): Promise<(ListHead & { readonly when: Instant }) | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined); // the first look
  const end = text?.indexOf('\n') ?? -1;
  if (text === undefined || end < 0) return undefined;
  return { ...readHead(text.slice(end + 1)), when: Number(text.slice(0, end)) - SKEW };
}

async function keepSeen(file: string, head: ListHead | undefined, now: Instant): Promise<void> {
  if (head === undefined) return;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(`${file}.part`, `${now}\n${writeHead(head)}`, { mode: 0o600 });
  await rename(`${file}.part`, file);
}

function textOf(bytes: Uint8Array): string {
  return utf8Text(bytes) ?? '';
}

// What a clock here may be behind the service's.
const SKEW = 5 * 60_000;
