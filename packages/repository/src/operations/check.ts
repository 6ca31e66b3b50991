// fsck: walks a whole collection and says what is wrong with it. Metadata is
// judged by core, from the anchor on; everything else follows from what core
// believes. Reads only, and runs beside a publisher: it judges one head, and
// what a publication changes meanwhile is no finding.

import {
  type FreshState,
  hex,
  MetadataError,
  metadataUrl,
  type Signed,
  type TargetFile,
  targetPathOf,
  targetUrl,
  UsageError,
  writeInstant,
} from '@countersign/core';
import type { Head, HeldFile, Ledger, RoleRow } from '../ports.ts';
import { checkBlobs } from './check-blobs.ts';
import { checkDecisions } from './check-decisions.ts';
import { checkSite, SiteView } from './check-site.ts';
import type { Finding } from './findings.ts';
import { NameIndex } from './name-index.ts';
import { type RoleFiles, trustWhole, type Visit, walkRoles } from './role-walk.ts';
import { batchesOf, type OperationOptions } from './store.ts';

/** What fsck is told. */
export interface CheckOptions extends OperationOptions {
  /** The root that users pin; without it the ledger's own first root, which proves less. */
  readonly anchor?: Uint8Array;
  /** Reads every byte of every blob and shown file, instead of their sizes. */
  readonly deep?: boolean;
}

/** What fsck looked at. */
export interface CheckSummary {
  readonly publication: number;
  readonly roles: number;
  readonly targets: number;
  readonly blobs: number;
  /** Files on the site. */
  readonly files: number;
  readonly decisions: number;
}

/** What the parts of a check share. */
export interface Checking {
  readonly options: CheckOptions;
  readonly head: Head;
  readonly tell: (finding: Finding) => void;
  readonly site: SiteView;
  /** By SHA-256: the length of what the blob store holds. */
  readonly stored: NameIndex;
  /** By SHA-256: the length that the ledger says. */
  readonly recorded: NameIndex;
  /** By SHA-256: what current roles list. */
  readonly listed: NameIndex;
  /** Paths that the ledger knows to have been shown. */
  readonly shown: NameIndex;
}

/**
 * Checks a collection.
 *
 * @param tell called with each finding as it is made
 * @throws UsageError COLLECTION_MISSING when there is no head; StoreError when the storage cannot be read
 * @example const findings: Finding[] = []; await checkCollection(options, (one) => findings.push(one));
 */
export async function checkCollection(options: CheckOptions, tell: (finding: Finding) => void): Promise<CheckSummary> {
  const { ledger, crypto } = options;
  const present = await presentOf(options);
  const checking: Checking = {
    options,
    head: present.head,
    tell,
    site: await SiteView.of(options),
    stored: new NameIndex(crypto),
    recorded: new NameIndex(crypto),
    listed: new NameIndex(crypto),
    shown: new NameIndex(crypto),
  };
  for await (const { name, length, partial } of options.blobs.list()) if (!partial) checking.stored.set(name, length);
  for await (const { sha256, length } of ledger.blobs()) checking.recorded.set(sha256, length);
  for await (const { path } of ledger.everShown()) checking.shown.set(path, 1);
  const walked = await checkMetadata(checking, present);
  await checkBlobs(checking);
  await checkSite(checking, present);
  const decisions = await checkDecisions(checking, walked.state);
  await checkJournal(checking);
  return {
    publication: present.head.publication,
    roles: walked.roles,
    targets: walked.targets,
    blobs: checking.stored.size,
    files: checking.site.files,
    decisions,
  };
}

/** The head with the files that it was committed with. */
export interface Present {
  readonly head: Head;
  /** Current roles as the ledger's rows say. */
  readonly rows: ReadonlyMap<string, RoleRow>;
  /** The newest held file of each role. */
  readonly newest: ReadonlyMap<string, HeldFile>;
  readonly timestamp: Uint8Array | undefined;
}

async function presentOf({ name, ledger }: CheckOptions): Promise<Present> {
  const newest = new Map<string, HeldFile>();
  for await (const file of ledger.held()) newest.set(file.role, file);
  for (;;) {
    const head = await ledger.head();
    if (head === undefined) {
      throw new UsageError('COLLECTION_MISSING', `Checking ${name}: its ledger has no head`, { detail: { name } });
    }
    const rows = new Map((await ledger.roles()).map((row) => [row.role, row]));
    const timestamp =
      (await ledger.file('timestamp')) ?? (await ledger.file('timestamp', newest.get('timestamp')?.version));
    // Read while somebody publishes they may be of two publications.
    if ((await ledger.head())?.publication === head.publication) return { head, rows, newest, timestamp };
  }
}

interface Walked {
  readonly state: FreshState | undefined;
  readonly roles: number;
  readonly targets: number;
}

async function checkMetadata(checking: Checking, present: Present): Promise<Walked> {
  const { options, tell } = checking;
  const files = filesOf(checking, present);
  const anchor = options.anchor ?? (await options.ledger.file('root', 1));
  let state: FreshState;
  try {
    state = await trustWhole(anchor ?? new Uint8Array(), files, options.crypto);
  } catch (error) {
    if (!(error instanceof MetadataError)) throw error;
    const role = String(error.detail['role'] ?? 'root');
    const version = present.rows.get(role)?.version ?? present.newest.get(role)?.version;
    tell(await refusalOf(checking, role, version, error, 'METADATA_REFUSED'));
    return { state: undefined, roles: 0, targets: 0 };
  }
  checkRows(checking, present, state);
  for (const [role, { content }] of topLevel(state)) checkExpiry(checking, role, content);
  await checkRoots(checking, state);
  const { meta } = state.snapshot.content;
  const total = meta.size;
  const reached = new Set<string>();
  let targets = 0;
  for await (const visits of batchesOf(walkRoles(state, files, options.crypto))) {
    await Promise.all(visits.map(async (visit) => await checkVisit(checking, present, visit)));
    for (const { role, first, verified } of visits) {
      if (!first) continue;
      reached.add(role);
      targets += verified?.content.targets.size ?? 0;
      for await (const some of batchesOf(verified?.content.targets.values() ?? [])) {
        await Promise.all(some.map(async (target) => await checkTarget(checking, target)));
      }
    }
    options.onProgress?.('Verifying roles', reached.size, total);
  }
  for (const role of meta.keys()) {
    if (!reached.has(role)) tell({ kind: 'ROLE_UNREACHABLE', subject: role, facts: { role } });
  }
  return { state, roles: reached.size, targets };
}

/** The ledger's files as they were at the head that is judged. */
function filesOf({ options }: Checking, { timestamp }: Present): RoleFiles {
  return {
    async file(role, version) {
      if (role === 'timestamp') return timestamp;
      return await options.ledger.file(role, version);
    },
  };
}

function topLevel(state: FreshState): readonly (readonly [string, { readonly content: Signed }])[] {
  return [
    ['root', state.root],
    ['timestamp', state.timestamp],
    ['snapshot', state.snapshot],
    ['targets', state.targets],
  ];
}

function checkExpiry({ options, tell }: Checking, role: string, { expires, version }: Signed): void {
  if (expires > options.clock()) return;
  tell({ kind: 'ROLE_EXPIRED', subject: role, facts: { role, version, about: `expired ${writeInstant(expires)}` } });
}

/** Every root since the first, and each on the site: clients walk them all. */
async function checkRoots(checking: Checking, state: FreshState): Promise<void> {
  for (let version = 1; version <= state.root.content.version; version++) {
    const bytes = await checking.options.ledger.file('root', version);
    if (bytes !== undefined) await checking.site.compare('root', version, bytes, checking.tell);
    else checking.tell(missingRoot(checking.site, version));
  }
  await checking.site.compare('snapshot', state.snapshot.content.version, state.snapshot.bytes, checking.tell);
}

function missingRoot(site: SiteView, version: number): Finding {
  const subject = metadataUrl('root', version);
  site.want(`metadata/${subject}`);
  return { kind: 'ROLE_MISSING', subject, facts: { role: 'root', version } };
}

/** The ledger's own idea of what is current. */
function checkRows({ tell }: Checking, { rows }: Present, state: FreshState): void {
  const { meta } = state.snapshot.content;
  const wanted = new Map([...meta].map(([role, { version }]) => [role, version]));
  for (const [role, { content }] of topLevel(state)) if (role !== 'targets') wanted.set(role, content.version);
  for (const [role, version] of wanted) {
    const got = rows.get(role)?.version;
    if (got === version) continue;
    const about = `current is ${got ?? 'none'}, the snapshot says ${version}`;
    tell({ kind: 'ROLE_ROW', subject: role, facts: { role, version, about } });
  }
  for (const role of rows.keys()) {
    if (!wanted.has(role))
      tell({ kind: 'ROLE_ROW', subject: role, facts: { role, about: 'the snapshot has no such role' } });
  }
}

async function checkVisit(checking: Checking, present: Present, visit: Visit): Promise<void> {
  const { role, verified, refusal } = visit;
  if (refusal !== undefined) {
    checking.tell(await refusalOf(checking, role, visit.listed?.version, refusal, 'ROLE_REFUSED'));
    return;
  }
  if (verified === undefined || !visit.first) return;
  const { content, bytes } = verified;
  if (role !== 'targets') checkExpiry(checking, role, content);
  const row = present.rows.get(role);
  const sha256 = hex(checking.options.crypto.hash('sha256', bytes));
  if (row?.version === content.version && (row.sha256 !== sha256 || row.length !== bytes.length)) {
    checking.tell({
      kind: 'ROLE_ROW',
      subject: role,
      facts: { role, version: content.version, about: 'its digest or length is another' },
    });
  }
  await checking.site.compare(role, content.version, bytes, checking.tell);
}

/** Why core refused a role: it is not there, it was damaged here, or it was never right. */
async function refusalOf(
  { options, site }: Checking,
  role: string,
  version: number | undefined,
  { code, message: about }: MetadataError,
  otherwise: 'ROLE_REFUSED' | 'METADATA_REFUSED',
): Promise<Finding> {
  const { ledger, crypto } = options;
  if (version === undefined) return { kind: otherwise, subject: role, facts: { role, code, about } };
  const subject = metadataUrl(role, version);
  site.want(`metadata/${subject}`);
  const facts = { role, version };
  const bytes = await ledger.file(role, version);
  if (bytes === undefined) return { kind: 'ROLE_MISSING', subject, facts };
  const sha256 = await digestHeld(ledger, role, version);
  if (sha256 !== undefined && hex(crypto.hash('sha256', bytes)) !== sha256) {
    return { kind: 'ROLE_DAMAGED', subject, facts: { ...facts, sha256 } };
  }
  return { kind: otherwise, subject, facts: { ...facts, code, about } };
}

/** The digest that a role file was committed with. */
async function digestHeld(ledger: Ledger, role: string, version: number): Promise<string | undefined> {
  for await (const held of ledger.held()) if (held.role === role && held.version === version) return held.sha256;
  return undefined;
}

async function checkTarget(checking: Checking, { path, length, hashes }: TargetFile): Promise<void> {
  const { stored, recorded, listed, shown, site, tell } = checking;
  const sha256 = hashes.get('sha256');
  const valid = targetPathOf(path);
  if (sha256 === undefined || valid === undefined) return; // no client can ask for it here
  const known = listed.has(sha256);
  listed.set(sha256, length);
  const facts = { path, sha256 };
  const got = stored.get(sha256);
  if (got === undefined) tell({ kind: 'BLOB_MISSING', subject: path, facts });
  else if (got !== length) {
    tell({ kind: 'BLOB_DAMAGED', subject: path, facts: { ...facts, about: `${got} bytes instead of ${length}` } });
  } else if (!known && !recorded.has(sha256)) tell({ kind: 'BLOB_UNRECORDED', subject: path, facts });
  if (!shown.has(path)) tell({ kind: 'SHOWN_UNKNOWN', subject: path, facts });
  for (const algorithm of ['sha256', 'sha512']) {
    const digest = hashes.get(algorithm);
    if (digest !== undefined) await site.require(`targets/${targetUrl(valid, digest)}`, length, sha256, facts, tell);
  }
}

/** What waits, and outcomes that cannot be. */
async function checkJournal({ options, head, tell }: Checking): Promise<void> {
  const { ledger, clock } = options;
  for await (const { id, received, publication, refusal } of ledger.submissions()) {
    if (publication !== undefined && publication > head.publication) {
      const now = (await ledger.head())?.publication ?? 0;
      if (publication > now) {
        tell({
          kind: 'SUBMISSION_AHEAD',
          subject: id,
          facts: { about: `in publication ${publication}, the head is ${now}` },
        });
      }
    }
    if (publication !== undefined || refusal !== undefined || clock() - received < LONG) continue;
    tell({ kind: 'SUBMISSION_WAITS', subject: id, facts: { about: `since ${writeInstant(received)}` } });
  }
}

// A publisher that runs takes seconds.
const LONG = 3_600_000;
