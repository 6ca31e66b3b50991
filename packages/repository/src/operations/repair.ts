// What fsck can put right: everything that is written twice. Role files and
// blobs are taken back from the site, the site from ledger and blobs, rows of
// the ledger from signed metadata. Only bytes with the right digest are taken.
// What is nowhere any more is forgotten, so that it can be uploaded again.
// Needs the right to publish: its caller holds it.

import { hex, openEnvelope, readSnapshot, type Snapshot, targetPathOf, targetUrl } from '@countersign/core';
import type { BlobFacts, RoleFile } from '../ports.ts';
import { FINDINGS, type Finding, type FindingKind } from './findings.ts';
import { bytesOf, factsOf, type OperationOptions } from './store.ts';

/** What became of a finding. */
export interface Repaired {
  readonly finding: Finding;
  /** What was done, for people; `undefined` when nothing could be. */
  readonly done: string | undefined;
}

/**
 * Repairs what can be. A repair may uncover more: check again afterwards.
 *
 * @throws StoreError
 */
export async function repairCollection(
  options: OperationOptions,
  findings: readonly Finding[],
): Promise<readonly Repaired[]> {
  const ordered = findings
    .filter(({ kind }) => FINDINGS[kind].repairs)
    .sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
  const repaired: Repaired[] = [];
  for (const finding of ordered) {
    repaired.push({ finding, done: await repair(options, finding) });
    options.onProgress?.('Repairing', repaired.length, ordered.length);
  }
  return repaired;
}

// What others are made from comes first; the timestamp, which switches, last.
const ORDER: readonly FindingKind[] = [
  'ROLE_MISSING',
  'ROLE_DAMAGED',
  'ROLE_ROW',
  'BLOB_DAMAGED',
  'BLOB_MISSING',
  'BLOB_UNRECORDED',
  'BLOB_LOST',
  'SHOWN_UNKNOWN',
  'SITE_MISSING',
  'SITE_DIFFERS',
  'SITE_BEHIND',
  'PARTIAL',
];

async function repair(options: OperationOptions, finding: Finding): Promise<string | undefined> {
  const { ledger, site, blobs } = options;
  const { role = '', version = 0, sha256 = '', path = '', url = '' } = finding.facts;
  switch (finding.kind) {
    case 'ROLE_MISSING':
    case 'ROLE_DAMAGED':
      return await roleFromSite(options, role, version, finding.subject);
    case 'ROLE_ROW':
      return await rowFromSnapshot(options, role);
    case 'BLOB_MISSING':
    case 'BLOB_DAMAGED':
      return await blobFromSite(options, sha256, path);
    case 'BLOB_UNRECORDED':
      return await recordAgain(options, sha256);
    case 'BLOB_LOST':
      await ledger.forgetBlobs([sha256]);
      return 'forgotten: it can be uploaded again';
    case 'SHOWN_UNKNOWN': {
      const publication = (await ledger.head())?.publication ?? 0;
      await ledger.put({ shown: [{ path, sha256, publication }] });
      return 'noted as shown';
    }
    case 'SITE_MISSING':
    case 'SITE_DIFFERS':
      return path === '' ? await showRole(options, role, version) : await showTarget(options, path, sha256, url);
    case 'SITE_BEHIND': {
      const { files } = await ledger.made((await ledger.head())?.publication ?? 0);
      await site.showFiles(files);
      return 'shown again';
    }
    case 'PARTIAL':
      await (url === '' ? blobs.remove([finding.subject]) : site.remove([url]));
      return 'removed';
    // What is only noted, or what nothing here can make right.
    case 'METADATA_REFUSED':
    case 'ROLE_REFUSED':
    case 'ROLE_EXPIRED':
    case 'ROLE_UNREACHABLE':
    case 'BLOBS_UNLISTED':
    case 'SITE_AHEAD':
    case 'SITE_UNLISTED':
    case 'SITE_EARLIER':
    case 'SUBMISSION_WAITS':
    case 'SUBMISSION_AHEAD':
    case 'DECISIONS_REFUSED':
    case 'DECISIONS_UNSHOWN':
      return undefined;
  }
}

/** Takes a role file back, if what the site shows is what was committed. */
async function roleFromSite(
  options: OperationOptions,
  role: string,
  version: number,
  name: string,
): Promise<string | undefined> {
  const { ledger, site, crypto } = options;
  const bytes = await bytesOf(site.read(role === 'timestamp' ? 'metadata/timestamp.json' : `metadata/${name}`));
  if (bytes === undefined) return undefined;
  const sha256 = hex(crypto.hash('sha256', bytes));
  const publication = await committed(options, role, version, sha256);
  if (publication === undefined) return undefined;
  await ledger.put({ files: [{ role, version, bytes, sha256, publication }] });
  return 'taken back from the site';
}

/** The publication that brought a file with this digest, as far as the ledger can tell. */
async function committed(
  { ledger }: OperationOptions,
  role: string,
  version: number,
  sha256: string,
): Promise<number | undefined> {
  for await (const held of ledger.held()) {
    if (held.role === role && held.version === version) return held.sha256 === sha256 ? held.publication : undefined;
  }
  const row = (await ledger.roles()).find((one) => one.role === role && one.version === version);
  if (row?.sha256 === sha256) return (await ledger.head())?.publication;
  // An earlier root leaves no row; it proves itself when it is walked.
  return role === 'root' ? 1 : undefined;
}

/** Makes the ledger's row of a role what the current snapshot says. */
async function rowFromSnapshot(options: OperationOptions, role: string): Promise<string | undefined> {
  const { ledger } = options;
  let newest: { role: string; version: number; length: number; sha256: string } | undefined;
  const listed = (await snapshotOf(options))?.meta.get(role)?.version;
  for await (const held of ledger.held()) {
    if (held.role !== role || (listed !== undefined && held.version !== listed)) continue;
    newest = { role, version: held.version, length: held.length, sha256: held.sha256 };
  }
  const top = role === 'root' || role === 'snapshot' || role === 'timestamp';
  if (newest === undefined || (listed === undefined && !top)) return undefined;
  const bytes = await ledger.file(role, newest.version);
  if (bytes === undefined) return undefined;
  const sha256 = hex(options.crypto.hash('sha256', bytes));
  await ledger.put({ roles: [{ role, version: newest.version, length: bytes.length, sha256 }] });
  return `version ${newest.version} is current again`;
}

async function snapshotOf({ ledger }: OperationOptions): Promise<Snapshot | undefined> {
  let version: number | undefined;
  for await (const held of ledger.held()) if (held.role === 'snapshot') version = held.version;
  const bytes = version === undefined ? undefined : await ledger.file('snapshot', version);
  return bytes && readSnapshot(openEnvelope(bytes, 'snapshot').signed);
}

/** Takes a blob back from any of its visible copies, else forgets it. */
async function blobFromSite(options: OperationOptions, sha256: string, path: string): Promise<string> {
  const { ledger, blobs, site, crypto } = options;
  for (const url of await copiesOf(options, sha256, path)) {
    const facts = await factsOf(site.read(url), crypto);
    if (facts?.sha256 !== sha256) continue;
    await ledger.recordBlob(await blobs.put(sha256, site.read(url), Number.MAX_SAFE_INTEGER));
    return 'taken back from the site';
  }
  await ledger.forgetBlobs([sha256]);
  await blobs.remove([sha256]);
  return 'lost: forgotten, so that it can be uploaded again; check again then';
}

/** Where the site may show a blob. */
async function copiesOf({ ledger }: OperationOptions, sha256: string, path: string): Promise<readonly string[]> {
  const paths = path === '' ? [] : [path];
  if (path === '') for await (const shown of ledger.everShown()) if (shown.sha256 === sha256) paths.push(shown.path);
  const sha512 = (await ledger.blob(sha256))?.sha512;
  return paths.flatMap((one) => {
    const valid = targetPathOf(one);
    if (valid === undefined) return [];
    return [sha256, sha512].flatMap((digest) => (digest ? [`targets/${targetUrl(valid, digest)}`] : []));
  });
}

async function recordAgain({ ledger, blobs, crypto }: OperationOptions, sha256: string): Promise<string | undefined> {
  const facts = await factsOf(blobs.read(sha256), crypto);
  if (facts?.sha256 !== sha256) return undefined;
  await ledger.recordBlob(facts);
  return 'recorded again';
}

async function showRole(
  { ledger, site, crypto }: OperationOptions,
  role: string,
  version: number,
): Promise<string | undefined> {
  const bytes = await ledger.file(role, version);
  if (bytes === undefined) return undefined;
  const file: RoleFile = { role, version, bytes, sha256: hex(crypto.hash('sha256', bytes)) };
  await site.showFiles([file]);
  return 'written again';
}

/** Shows a target again: what is there is taken away first, because it is wrong. */
async function showTarget(
  { ledger, blobs, site, crypto }: OperationOptions,
  path: string,
  sha256: string,
  url: string,
): Promise<string | undefined> {
  const blob: BlobFacts | undefined = (await ledger.blob(sha256)) ?? (await factsOf(blobs.read(sha256), crypto));
  if (blob?.sha256 !== sha256 || (await blobs.size(sha256)) === undefined) return undefined;
  await site.remove([url]);
  await site.showTargets([{ path, blob }]);
  return 'shown again';
}
