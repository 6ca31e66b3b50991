// Garbage collection: finds what nobody can ask for any more (keep.ts says what
// that is), and removes it: first from the site, then from the ledger, last from
// the blob store, so that a crash anywhere leaves less garbage and nothing that
// points to what is gone. Idempotent. The journal is evidence, and stays.

import {
  type Instant,
  metadataUrl,
  openEnvelope,
  readSnapshot,
  readTargets,
  readTimestamp,
  targetPathOf,
  targetUrl,
  UsageError,
} from '@countersign/core';
import type { RoleRow } from '../ports.ts';
import { DEFAULT_GRACE, type KeptFiles, keptFiles, type ServedTimestamp } from './keep.ts';
import { NameIndex } from './name-index.ts';
import { FINISHED_BY, type OperationOptions } from './store.ts';

/** What garbage collection is told. */
export interface GarbageOptions extends OperationOptions {
  /** How long after its expiry a timestamp still counts, in milliseconds; 7 days, and never less than its own lifetime. */
  readonly grace?: number;
}

/** What can go. Lengths in bytes. */
export interface Garbage {
  /** Role files that no client can ask for any more. */
  readonly files: readonly RoleRow[];
  /** Files of the site, those of `files` among them. */
  readonly urls: readonly { readonly url: string; readonly length: number }[];
  readonly blobs: readonly { readonly name: string; readonly length: number }[];
  /** Nothing may go before: the ledger was made anew, and does not know what was served until shortly before it. */
  readonly notBefore: Instant | undefined;
}

/**
 * Finds what can go. Reads only.
 *
 * @param scope `metadata` beside a publisher: earlier versions of roles only.
 *   `everything` while nobody publishes, or to see what could go: a publication
 *   might list a blob again that is about to go.
 * @throws UsageError COLLECTION_MISSING; StoreError; MetadataError when a role file cannot be read: then nothing may go
 */
export async function findGarbage(options: GarbageOptions, scope: 'metadata' | 'everything'): Promise<Garbage> {
  const notBefore = await waitUntil(options);
  if (notBefore !== undefined) return { files: [], urls: [], blobs: [], notBefore };
  const kept = await keptOf(options);
  const files: RoleRow[] = [];
  const wanted = new Wanted(options);
  for await (const { role, version, length, sha256 } of options.ledger.held()) {
    if (!kept.has(role, version)) files.push({ role, version, length, sha256 });
    else {
      wanted.file(role, version);
      if (scope === 'everything' && isTargetsRole(role)) await wanted.targetsOf(role, version);
    }
  }
  const shown = files.filter(({ role }) => role !== 'timestamp');
  const urls = shown.map(({ role, version, length }) => ({ url: urlOf(role, version), length }));
  if (scope === 'metadata') return { files, urls, blobs: [], notBefore };
  await wanted.mentioned();
  return { files, urls: await unwantedUrls(options, wanted), blobs: await unwantedBlobs(options, wanted), notBefore };
}

/**
 * Removes garbage. May be interrupted anywhere and run again.
 *
 * @param garbage as just found: with `blobs`, while nobody else publishes
 * @throws StoreError
 */
export async function removeGarbage(options: OperationOptions, garbage: Garbage): Promise<void> {
  const { ledger, blobs, site, onProgress } = options;
  const total = garbage.urls.length + garbage.files.length + 2 * garbage.blobs.length;
  let done = 0;
  const inParts = async <T>(all: readonly T[], remove: (part: readonly T[]) => Promise<void>): Promise<void> => {
    for (let at = 0; at < all.length; at += AT_ONCE) {
      const part = all.slice(at, at + AT_ONCE);
      await remove(part);
      done += part.length;
      onProgress?.('Removing', done, total);
    }
  };
  await inParts(garbage.urls, async (part) => await site.remove(part.map(({ url }) => url)));
  await inParts(garbage.files, async (part) => await ledger.forgetFiles(part));
  // A record without its blob would make the next upload of it a lie.
  await inParts(garbage.blobs, async (part) => await ledger.forgetBlobs(part.map(({ name }) => name)));
  await inParts(garbage.blobs, async (part) => await blobs.remove(part.map(({ name }) => name)));
}

/** The role files that clients may still ask for. @throws as {@link findGarbage} */
export async function keptOf(options: GarbageOptions): Promise<KeptFiles> {
  const { ledger, name, clock, grace = DEFAULT_GRACE } = options;
  const head = await ledger.head();
  const present = await ledger.file('timestamp');
  if (head === undefined || present === undefined) {
    throw new UsageError('COLLECTION_MISSING', `Looking for garbage in ${name}: its ledger has no head`);
  }
  const current = (await ledger.roles()).map(({ role, version }) => [role, version] as const);
  const timestamps: ServedTimestamp[] = [];
  for await (const { role, version, publication } of ledger.held()) {
    if (role !== 'timestamp') continue;
    const bytes = await ledger.file(role, version);
    if (bytes === undefined) continue; // collected beside us
    const { expires, snapshot } = timestampIn(bytes);
    const served = (await ledger.committedAt(publication)) ?? expires;
    timestamps.push({ version, served, expires, snapshot: snapshot.version });
  }
  const listing = async (version: number): Promise<Iterable<readonly [string, number]>> => {
    const bytes = await ledger.file('snapshot', version);
    if (bytes === undefined) return []; // of a backup that was made of a kept part
    const { meta } = readSnapshot(openEnvelope(bytes, 'snapshot').signed);
    return [...meta].map(([role, listed]) => [role, listed.version] as const);
  };
  // A clock that runs ahead must not expire what others still take for valid.
  const now: Instant = Math.min(clock(), timestampIn(present).expires);
  return await keptFiles({ current, timestamps }, listing, now, grace);
}

/** Until when timestamps may be valid that a ledger which was made anew has never seen. */
async function waitUntil({ ledger, clock, grace = DEFAULT_GRACE }: GarbageOptions): Promise<Instant | undefined> {
  for await (const { publication, at } of ledger.publications()) {
    if (publication === 1) return undefined;
    const present = await ledger.file('timestamp');
    const lifetime = present === undefined ? 0 : timestampIn(present).expires - ((await ledger.head())?.at ?? at);
    const until = at + lifetime + Math.max(grace, lifetime);
    return until > clock() ? until : undefined;
  }
  return undefined;
}

/** What is wanted beside role files: targets on the site, and blobs. */
class Wanted {
  private readonly options: OperationOptions;
  private readonly urls: NameIndex;
  private readonly blobs: NameIndex;

  constructor(options: OperationOptions) {
    this.options = options;
    this.urls = new NameIndex(options.crypto);
    this.blobs = new NameIndex(options.crypto);
  }

  hasUrl(url: string): boolean {
    return this.urls.has(url);
  }

  hasBlob(sha256: string): boolean {
    return this.blobs.has(sha256);
  }

  file(role: string, version: number): void {
    this.urls.set(urlOf(role, version), 1);
  }

  /** Everything that a version of a role lists. */
  async targetsOf(role: string, version: number): Promise<void> {
    const bytes = await this.options.ledger.file(role, version);
    if (bytes === undefined) return;
    for (const { path, hashes } of readTargets(openEnvelope(bytes, role).signed, role).targets.values()) {
      const valid = targetPathOf(path);
      for (const [algorithm, digest] of hashes) {
        if (algorithm === 'sha256') this.blobs.set(digest, 1);
        if (valid !== undefined) this.urls.set(`targets/${targetUrl(valid, digest)}`, 1);
      }
    }
  }

  /** Blobs that submissions and documents on their way speak of, whatever form those have. */
  async mentioned(): Promise<void> {
    const { ledger } = this.options;
    for (const { text } of await ledger.pending()) this.mention(text);
    for await (const { text } of ledger.everyDocument()) this.mention(text);
  }

  private mention(text: string): void {
    for (const [digest] of text.matchAll(/(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/g)) this.blobs.set(digest, 1);
  }
}

async function unwantedUrls({ site, clock }: GarbageOptions, wanted: Wanted): Promise<Garbage['urls']> {
  const urls: { url: string; length: number }[] = [];
  for await (const { url, length, modified } of site.list()) {
    // Whatever else lies there is not ours.
    const ours = /^(?:metadata|targets)\//.test(url) && url !== 'metadata/timestamp.json';
    if (ours && !wanted.hasUrl(url) && clock() - modified > FINISHED_BY) urls.push({ url, length });
  }
  return urls;
}

async function unwantedBlobs(
  { blobs, clock, grace = DEFAULT_GRACE }: GarbageOptions,
  wanted: Wanted,
): Promise<Garbage['blobs']> {
  const found: { name: string; length: number }[] = [];
  for await (const { name, length, modified, partial } of blobs.list()) {
    // What was uploaded lately may be listed soon.
    if (!wanted.hasBlob(name) && clock() - modified > (partial ? FINISHED_BY : grace)) found.push({ name, length });
  }
  return found;
}

function timestampIn(bytes: Uint8Array): ReturnType<typeof readTimestamp> {
  return readTimestamp(openEnvelope(bytes, 'timestamp').signed);
}

function isTargetsRole(role: string): boolean {
  return role !== 'root' && role !== 'snapshot' && role !== 'timestamp';
}

function urlOf(role: string, version: number): string {
  return `metadata/${metadataUrl(role, version)}`;
}

const AT_ONCE = 500;
