// The ledger made anew from what was published: a site or any copy of one, and
// the blobs. Everything is verified from the anchor on before it is believed,
// so it does not matter who kept the copy. What was never published cannot come
// back: submissions that waited, accounts, documents, and what a path showed
// that no role lists any more.

import {
  type FreshState,
  hex,
  integerAt,
  isTufError,
  metadataUrl,
  openEnvelope,
  StoreError,
  sameBytes,
  type TargetFile,
  targetPathOf,
  targetUrl,
  utf8Text,
} from '@countersign/core';
import { HEAD_PATH, LIST_PATTERN, readEntry, readTile, TILE, tilePath } from '@countersign/decisions';
import { DECISIONS_ROLE } from '../list-files.ts';
import type { BlobFacts, Site } from '../ports.ts';
import { NameIndex } from './name-index.ts';
import { type RoleFiles, trustWhole, type Visit, walkRoles } from './role-walk.ts';
import { RowBuffer } from './row-buffer.ts';
import { batchesOf, bytesOf, factsOf, type OperationOptions } from './store.ts';

/** What rebuilding is told. */
export interface RebuildOptions extends OperationOptions {
  /** A site, or a copy of one: role files under versioned names, `timestamp.json`, targets under their digests. */
  readonly source: Pick<Site, 'read'>;
  /** The root that users pin. */
  readonly anchor: Uint8Array;
}

/** What was made anew. */
export interface Rebuilt {
  readonly publication: number;
  readonly timestamp: number;
  readonly snapshot: number;
  readonly roles: number;
  readonly targets: number;
  readonly decisions: number;
  /** Listed roles that the source does not have, or that a client refuses. */
  readonly lostRoles: readonly string[];
  /** Listed paths whose content is nowhere. */
  readonly lostTargets: readonly string[];
}

/**
 * Fills an empty ledger. The blob store may hold blobs already: each is read.
 *
 * @throws MetadataError when top-level metadata is missing or refused; StoreError
 */
export async function rebuildLedger(options: RebuildOptions): Promise<Rebuilt> {
  const { ledger, crypto, anchor, onProgress } = options;
  const files = filesOf(options);
  const state = await trustWhole(anchor, files, crypto);
  const tiles = await tilesOf(options, state, files);
  const publication = Math.max(state.timestamp.content.version, ...tiles.map((line) => readEntry(line).publication));
  const rows = new RowBuffer(ledger);
  const known = new NameIndex(crypto);
  const put = async (role: string, version: number, bytes: Uint8Array): Promise<void> => {
    const sha256 = hex(crypto.hash('sha256', bytes));
    await rows.add({
      files: [{ role, version, bytes, sha256, publication }],
      roles: [{ role, version, length: bytes.length, sha256 }],
    });
  };
  for (const [version, bytes] of await rootsOf(options, state, files)) await put('root', version, bytes);
  await put('snapshot', state.snapshot.content.version, state.snapshot.bytes);
  const filled = { roles: 0, targets: 0, lostRoles: [] as string[], lostTargets: [] as string[] };
  const seen = new Set<string>();
  const { meta } = state.snapshot.content;
  for await (const visit of walkRoles(state, files, crypto)) {
    if (!visit.first) continue;
    seen.add(visit.role);
    if (visit.verified === undefined) {
      filled.lostRoles.push(refusalText(visit));
      continue;
    }
    await put(visit.role, visit.verified.content.version, visit.verified.bytes);
    for await (const some of batchesOf(visit.verified.content.targets.values())) {
      const blobs = await Promise.all(
        some.map(async (target) => {
          const sha256 = askable(target);
          return sha256 === undefined || known.has(sha256) ? undefined : await keepBlob(options, target, sha256);
        }),
      );
      for (const [i, target] of some.entries()) {
        filled.targets++;
        const sha256 = askable(target);
        if (sha256 === undefined) continue;
        const blob = blobs[i];
        await rows.add({
          shown: [{ path: target.path, sha256, publication }],
          blobs: blob === undefined ? [] : [blob],
        });
        if (blob !== undefined) known.set(sha256, 1);
        else if (!known.has(sha256)) filled.lostTargets.push(target.path);
      }
    }
    filled.roles++;
    onProgress?.('Verifying roles', filled.roles, meta.size);
  }
  // No delegation leads there any more, but the snapshot must go on listing them.
  for (const [role, { version }] of meta) {
    if (seen.has(role)) continue;
    const bytes = await files.file(role, version);
    if (bytes !== undefined && versionIn(bytes, role) === version) await put(role, version, bytes);
    else filled.lostRoles.push(`${metadataUrl(role, version)} (missing)`);
  }
  for (const [i, text] of tiles.entries()) await rows.add({ decisions: [{ sequence: i + 1, text }] });
  await put('timestamp', state.timestamp.content.version, state.timestamp.bytes);
  // Renewed at once by whoever serves it next; until then it is as old as it says.
  const at = Math.min(options.clock(), state.timestamp.content.expires - 1);
  await rows.add({ publications: [{ publication, at }] });
  await rows.flush();
  return {
    publication,
    timestamp: state.timestamp.content.version,
    snapshot: state.snapshot.content.version,
    decisions: tiles.length,
    ...filled,
  };
}

function filesOf({ source }: RebuildOptions): RoleFiles {
  return { file: async (role, version) => await bytesOf(source.read(`metadata/${metadataUrl(role, version)}`)) };
}

/** Every root from the first on. The anchor must be one of them. */
async function rootsOf(
  { crypto, anchor, name }: RebuildOptions,
  state: FreshState,
  files: RoleFiles,
): Promise<readonly (readonly [version: number, bytes: Uint8Array])[]> {
  const roots: (readonly [number, Uint8Array])[] = [];
  for (let version = 1; version <= state.root.content.version; version++) {
    const bytes = await files.file('root', version);
    if (bytes === undefined) {
      throw new StoreError('STORE_READ', `Rebuilding ${name}: ${version}.root.json is missing`, {
        detail: { version },
      });
    }
    roots.push([version, bytes]);
  }
  const [first] = roots;
  const fromFirst = await trustWhole(first?.[1] ?? anchor, files, crypto);
  const known = roots.some(([, bytes]) => sameBytes(bytes, anchor));
  if (known && sameBytes(fromFirst.root.bytes, state.root.bytes)) return roots;
  throw new StoreError('STORE_CORRUPT', `Rebuilding ${name}: its first roots do not lead to the one that you trust`);
}

/** The lines of the decision list, if one is published. @throws StoreError when a part of it is missing */
async function tilesOf(options: RebuildOptions, state: FreshState, files: RoleFiles): Promise<readonly string[]> {
  const lines: string[] = [];
  if (state.snapshot.content.meta.get(DECISIONS_ROLE) === undefined) return lines;
  for await (const { role, first, verified } of walkRoles(state, files, options.crypto)) {
    if (role !== DECISIONS_ROLE || !first || verified === undefined) continue;
    const { targets } = verified.content;
    // Full tiles, then one that is not.
    while (lines.length % TILE === 0) {
      const tile = targets.get(tilePath(lines.length + 1));
      if (tile === undefined) break;
      const content = await contentOf(options, tile);
      if (content === undefined) throw lostList(options, tile.path);
      const more = readTile(utf8Text(content) ?? '');
      if (more.length === 0) break;
      lines.push(...more);
    }
    break;
  }
  return lines;
}

function lostList({ name }: RebuildOptions, path: string): StoreError {
  return new StoreError('STORE_READ', `Rebuilding ${name}: a part of its decision list is missing`, {
    detail: { path, list: LIST_PATTERN, head: HEAD_PATH },
  });
}

/** The content of a small target, checked. */
async function contentOf(options: RebuildOptions, target: TargetFile): Promise<Uint8Array | undefined> {
  const sha256 = target.hashes.get('sha256') ?? '';
  for (const read of copiesOf(options, target)) {
    const bytes = await bytesOf(read());
    if (bytes !== undefined && hex(options.crypto.hash('sha256', bytes)) === sha256) return bytes;
  }
  return undefined;
}

/** The SHA-256 of a target that a client can ask for here. */
function askable({ path, hashes }: TargetFile): string | undefined {
  return targetPathOf(path) === undefined ? undefined : hashes.get('sha256');
}

/** Makes sure that a blob is stored. @returns `undefined` when its content is nowhere */
async function keepBlob(options: RebuildOptions, target: TargetFile, sha256: string): Promise<BlobFacts | undefined> {
  const { blobs, crypto } = options;
  for (const [i, read] of copiesOf(options, target).entries()) {
    const facts = await factsOf(read(), crypto);
    if (facts?.sha256 !== sha256 || facts.length !== target.length) continue;
    return i === 0 ? facts : await blobs.put(sha256, read(), target.length);
  }
  return undefined;
}

/** Where a target's content may be: the blob store first. */
function copiesOf(
  { blobs, source }: RebuildOptions,
  { path, hashes }: TargetFile,
): readonly (() => AsyncIterable<Uint8Array>)[] {
  const valid = targetPathOf(path);
  const digests = [...hashes.values()];
  return [
    () => blobs.read(hashes.get('sha256') ?? ''),
    ...digests.flatMap((digest) =>
      valid === undefined ? [] : [() => source.read(`targets/${targetUrl(valid, digest)}`)],
    ),
  ];
}

function refusalText({ role, listed, refusal }: Visit): string {
  return `${metadataUrl(role, listed?.version)} (${refusal?.code ?? 'missing'})`;
}

function versionIn(bytes: Uint8Array, role: string): number | undefined {
  try {
    return integerAt(openEnvelope(bytes, role).signed, 'version', 1, role);
  } catch (error) {
    if (isTufError(error)) return undefined;
    throw error;
  }
}
