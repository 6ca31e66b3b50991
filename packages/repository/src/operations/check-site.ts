// The site as fsck sees it: what is shown, and what should be. A file that
// seems to be missing is looked for again before anything is said, because
// somebody may have published since the site was listed.

import { isTufError, metadataUrl, sameBytes } from '@countersign/core';
import type { Checking, CheckOptions, Present } from './check.ts';
import type { Finding, FindingFacts } from './findings.ts';
import { keptOf } from './garbage.ts';
import type { KeptFiles } from './keep.ts';
import { NameIndex } from './name-index.ts';
import { lastSeenIn } from './new-keys.ts';
import { bytesOf, FINISHED_BY, factsOf, lengthOf } from './store.ts';

type Tell = (finding: Finding) => void;

/** What the site showed when it was listed. */
export class SiteView {
  private readonly options: CheckOptions;
  private readonly lengths: NameIndex;
  /** What should be there. */
  private readonly wanted: NameIndex;

  private constructor(options: CheckOptions) {
    this.options = options;
    this.lengths = new NameIndex(options.crypto);
    this.wanted = new NameIndex(options.crypto);
  }

  /** Lists the site. @throws StoreError */
  static async of(options: CheckOptions): Promise<SiteView> {
    const view = new SiteView(options);
    for await (const { url, length, partial } of options.site.list()) {
      if (!partial) view.lengths.set(url, length);
      if (view.lengths.size % 1000 === 0) options.onProgress?.('Listing the site', view.lengths.size, 0);
    }
    return view;
  }

  /** How many files it shows. */
  get files(): number {
    return this.lengths.size;
  }

  /** Whether a file should be there. */
  wants(url: string): boolean {
    return this.wanted.has(url);
  }

  /** Notes that a file should be there, whatever it holds. */
  want(url: string): void {
    this.wanted.set(url, 0);
  }

  /** A role file that must be there, with just these bytes. */
  async compare(role: string, version: number, bytes: Uint8Array, tell: Tell): Promise<void> {
    const url = `metadata/${metadataUrl(role, version)}`;
    this.wanted.set(url, bytes.length);
    const shown = await bytesOf(this.options.site.read(url));
    if (shown !== undefined && sameBytes(shown, bytes)) return;
    tell({ kind: shown === undefined ? 'SITE_MISSING' : 'SITE_DIFFERS', subject: url, facts: { url, role, version } });
  }

  /** A file that must be there with this length, and in a deep check with this SHA-256. */
  async require(url: string, length: number, sha256: string, facts: FindingFacts, tell: Tell): Promise<void> {
    this.wanted.set(url, length);
    const { deep, site, crypto } = this.options;
    if (!deep && this.lengths.get(url) === length) return;
    const got = deep ? await factsOf(site.read(url), crypto) : undefined;
    const size = deep ? got?.length : await lengthOf(site.read(url));
    if (size === undefined) tell({ kind: 'SITE_MISSING', subject: url, facts: { ...facts, url } });
    else if (size !== length || (got !== undefined && got.sha256 !== sha256)) {
      const about = size === length ? 'its content is another' : `${size} bytes instead of ${length}`;
      tell({ kind: 'SITE_DIFFERS', subject: url, facts: { ...facts, url, about } });
    }
  }
}

/** The switch, earlier role files, and what nobody wants. */
export async function checkSite(checking: Checking, present: Present): Promise<void> {
  const { options, head, site, tell } = checking;
  const { ledger } = options;
  let kept: KeptFiles | undefined;
  for await (const { role, version, length, sha256, publication } of ledger.held()) {
    if (role === 'timestamp' || publication > head.publication) continue;
    const url = `metadata/${metadataUrl(role, version)}`;
    if (site.wants(url)) continue; // current ones were compared
    const wrong: Finding[] = [];
    await site.require(url, length, sha256, { role, version }, (finding) => wrong.push(finding));
    if (wrong.length === 0) continue;
    // For clients with an earlier timestamp; it may be garbage that was collected in part.
    kept ??= await keptOf(options);
    if (kept.has(role, version)) wrong.forEach(tell);
  }
  await checkSwitch(checking, present);
  const now = options.clock();
  let earlier = 0;
  let bytes = 0;
  for await (const { url, length, modified, partial } of options.site.list()) {
    if (partial) {
      if (now - modified > FINISHED_BY) tell({ kind: 'PARTIAL', subject: url, facts: { url, bytes: length } });
    } else if (url === SWITCH || site.wants(url)) {
      // As it should be, or said to be otherwise.
    } else if (url.startsWith('targets/')) {
      earlier++;
      bytes += length;
    } else if ((await ledger.head())?.publication === head.publication) {
      tell({ kind: 'SITE_UNLISTED', subject: url, facts: { url, bytes: length } });
    }
  }
  if (earlier > 0) tell({ kind: 'SITE_EARLIER', subject: `${earlier} files`, facts: { count: earlier, bytes } });
}

/** The site's timestamp is the head's, now if not before. */
async function checkSwitch({ options, tell }: Checking, present: Present): Promise<void> {
  const { ledger, site } = options;
  const shown = await site.shownTimestamp();
  if (shown !== undefined && present.timestamp !== undefined && sameBytes(shown, present.timestamp)) return;
  // Somebody may have published since, or be about to show it.
  for (let tries = 0; tries < 3; tries++) {
    const before = await ledger.head();
    const [timestamp, again] = [await ledger.file('timestamp'), await site.shownTimestamp()];
    if (timestamp !== undefined && again !== undefined && sameBytes(timestamp, again)) return;
    if ((await ledger.head())?.publication === before?.publication && tries > 0) break;
  }
  const [ours, theirs] = [present.timestamp, await site.shownTimestamp()].map(versionIn);
  const kind = ours !== undefined && theirs !== undefined && theirs > ours ? 'SITE_AHEAD' : 'SITE_BEHIND';
  const about = theirs === undefined ? 'there is none' : `version ${theirs}, the ledger has ${ours ?? 'none'}`;
  tell({ kind, subject: SWITCH, facts: { url: SWITCH, about } });
}

function versionIn(timestamp: Uint8Array | undefined): number | undefined {
  try {
    return timestamp && lastSeenIn(timestamp).timestamp;
  } catch (error) {
    if (isTufError(error)) return undefined; // torn
    throw error;
  }
}

const SWITCH = 'metadata/timestamp.json';
