// The three storage ports in memory, for fast tests: passes the same suite as
// the real adapters, and can die. Every durable step asks `step` first, which
// may throw: before a step nothing of it has happened, after it all of it has.
// Whatever is in the maps when the process "dies" is what the next one finds.

import { createHash } from 'node:crypto';
import { AdmissionError, metadataUrl, requireTargetPath, StoreError, targetUrl } from '@countersign/core';
import type { BlobFacts, BlobStore, Commit, Head, Journaled, Ledger, RoleFile, Site } from '../src/index.ts';

/** What survives the process. */
export interface Disk {
  readonly publications: Head[];
  readonly made: Map<number, Pick<Commit, 'files' | 'targets'>>;
  readonly files: Map<string, Uint8Array>;
  readonly roles: Map<string, RoleFile>;
  readonly journal: Map<string, Journaled>;
  readonly known: Map<string, BlobFacts>;
  readonly shown: Map<string, string>;
  readonly tokens: Map<string, string>;
  readonly blobs: Map<string, Uint8Array>;
  /** The site by URL, such as `metadata/timestamp.json`. */
  readonly site: Map<string, Uint8Array>;
}

/** Called before and after each durable step; throws to stop the process there. */
export type Step = (name: string) => void;

export function emptyDisk(): Disk {
  return {
    publications: [],
    made: new Map(),
    files: new Map(),
    roles: new Map(),
    journal: new Map(),
    known: new Map(),
    shown: new Map(),
    tokens: new Map(),
    blobs: new Map(),
    site: new Map(),
  };
}

/** The ports over a disk. */
export function memoryStore(
  disk: Disk,
  step: Step = () => undefined,
): { readonly ledger: Ledger; readonly blobs: BlobStore; readonly site: Site } {
  const durably = (name: string, act: () => void): void => {
    step(`before ${name}`);
    act();
    step(`after ${name}`);
  };
  return { ledger: memoryLedger(disk, durably), blobs: memoryBlobs(disk, durably), site: memorySite(disk, durably) };
}

type Durably = (name: string, act: () => void) => void;

function memoryLedger(disk: Disk, durably: Durably): Ledger {
  return {
    head: async () => disk.publications.at(-1),
    roles: async () =>
      [...disk.roles.values()].map(({ role, version, bytes, sha256 }) => ({
        role,
        version,
        length: bytes.length,
        sha256,
      })),
    async file(role, version) {
      const wanted = version ?? disk.roles.get(role)?.version;
      return disk.files.get(`${role} ${wanted}`);
    },
    async journal(submissions) {
      if (submissions.length === 0) return;
      durably('journal', () => {
        for (const one of submissions) {
          if (disk.journal.has(one.id)) continue;
          disk.journal.set(one.id, { ...one, publication: undefined, refusal: undefined });
        }
      });
    },
    pending: async () =>
      [...disk.journal.values()].filter(
        ({ publication, refusal }) => publication === undefined && refusal === undefined,
      ),
    submission: async (id) => disk.journal.get(id),
    async commit(commit) {
      if ((disk.publications.at(-1)?.publication ?? 0) !== commit.expected) return false;
      durably('commit', () => commitTo(disk, commit));
      return true;
    },
    shown: async (path) => disk.shown.get(path),
    async made(publication) {
      return disk.made.get(publication) ?? { files: [], targets: [] };
    },
    async recordBlob(facts) {
      durably('recordBlob', () => {
        if (!disk.known.has(facts.sha256)) disk.known.set(facts.sha256, facts);
      });
    },
    blob: async (sha256) => disk.known.get(sha256),
    async addToken(sha256, account) {
      durably('addToken', () => disk.tokens.set(sha256, account));
    },
    account: async (sha256) => disk.tokens.get(sha256),
    async close() {},
  };
}

function commitTo(disk: Disk, { expected, at, files, targets, published, refused }: Commit): void {
  const publication = expected + 1;
  disk.publications.push({ publication, at });
  for (const file of files) {
    disk.files.set(`${file.role} ${file.version}`, file.bytes);
    disk.roles.set(file.role, file);
  }
  for (const { path, blob } of targets) disk.shown.set(path, blob.sha256);
  const current = files.filter((file) => disk.roles.get(file.role) === file);
  disk.made.set(publication, { files: current, targets });
  for (const id of published) {
    const one = disk.journal.get(id);
    if (one !== undefined) disk.journal.set(id, { ...one, publication });
  }
  for (const { id, refusal } of refused) {
    const one = disk.journal.get(id);
    if (one !== undefined) disk.journal.set(id, { ...one, refusal });
  }
}

function memoryBlobs(disk: Disk, durably: Durably): BlobStore {
  return {
    async put(sha256, body, maxBytes) {
      if (!/^[0-9a-f]{64}$/.test(sha256))
        throw new AdmissionError('SUBMISSION_INVALID', 'Addressing a blob: no digest');
      const chunks: Uint8Array[] = [];
      let length = 0;
      for await (const chunk of body) {
        length += chunk.length;
        if (length > maxBytes) throw new AdmissionError('SUBMISSION_TOO_LARGE', 'Storing a blob: too large');
        chunks.push(Uint8Array.from(chunk));
      }
      const bytes = Buffer.concat(chunks);
      const facts = factsOf(bytes);
      if (facts.sha256 !== sha256) throw new AdmissionError('BLOB_MISMATCH', 'Storing a blob: another digest');
      durably('put blob', () => disk.blobs.set(sha256, bytes));
      return facts;
    },
    async *read(sha256) {
      const bytes = disk.blobs.get(sha256);
      if (bytes === undefined) throw new StoreError('STORE_READ', 'Reading a blob: it is not there');
      yield bytes;
    },
  };
}

function memorySite(disk: Disk, durably: Durably): Site {
  return {
    async showTargets(targets) {
      for (const { path, blob } of targets) {
        for (const digest of [blob.sha256, blob.sha512]) {
          const url = `targets/${targetUrl(requireTargetPath(path), digest)}`;
          durably(`show ${url}`, () => disk.site.set(url, disk.blobs.get(blob.sha256) ?? new Uint8Array()));
        }
      }
    },
    async showFiles(files) {
      const timestamps = files.filter(({ role }) => role === 'timestamp');
      for (const { role, version, bytes } of files) {
        if (role === 'timestamp') continue;
        const url = `metadata/${metadataUrl(role, version)}`;
        durably(`show ${url}`, () => disk.site.set(url, bytes));
      }
      for (const { bytes } of timestamps) {
        durably('show timestamp', () => disk.site.set('metadata/timestamp.json', bytes));
      }
    },
    shownTimestamp: async () => disk.site.get('metadata/timestamp.json'),
  };
}

/** What a blob store says of bytes. */
export function factsOf(bytes: Uint8Array): BlobFacts {
  const digest = (name: string): string => createHash(name).update(bytes).digest('hex');
  return { sha256: digest('sha256'), sha512: digest('sha512'), length: bytes.length };
}
