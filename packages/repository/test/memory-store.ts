// The three storage ports in memory, for fast tests: passes the same suite as
// the real adapters, and can die. Every durable step asks `step` first, which
// may throw: before a step nothing of it has happened, after it all of it has.
// Whatever is in the maps when the process "dies" is what the next one finds.

import { createHash } from 'node:crypto';
import { AdmissionError, metadataUrl, requireTargetPath, StoreError, targetUrl, UsageError } from '@countersign/core';
import type {
  BlobFacts,
  BlobStore,
  Commit,
  DecisionRow,
  Head,
  Journaled,
  KeptDocument,
  LedgerRows,
  RoleFile,
  Site,
  StoredFile,
  WholeLedger,
} from '../src/ports.ts';
import { siteName } from '../src/site-url.ts';

/** What survives the process. */
export interface Disk {
  readonly publications: Head[];
  readonly made: Map<number, Pick<Commit, 'files' | 'targets'>>;
  readonly files: Map<string, Uint8Array>;
  readonly roles: Map<string, RoleFile>;
  readonly journal: Map<string, Journaled>;
  readonly known: Map<string, BlobFacts>;
  readonly shown: Map<string, string>;
  readonly decisions: DecisionRow[];
  /** By kind and id; a removed one stays as its last revision. */
  readonly documents: Map<string, Omit<KeptDocument, 'text'> & { readonly text: string | undefined }>;
  readonly tokens: Map<string, string>;
  readonly blobs: Map<string, Uint8Array>;
  /** The site by URL, such as `metadata/timestamp.json`. */
  readonly site: Map<string, Uint8Array>;
  /** When each name in `blobs` and `site` was written last, by `clock`. */
  readonly written: Map<string, number>;
  readonly clock: { now: number };
  /** What does not survive its process: who leads, and who watches. */
  readonly processes: { leader: object | undefined; readonly watches: Set<() => void> };
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
    decisions: [],
    documents: new Map(),
    tokens: new Map(),
    blobs: new Map(),
    site: new Map(),
    written: new Map(),
    clock: { now: Date.UTC(2030, 0, 1) },
    processes: { leader: undefined, watches: new Set() },
  };
}

/** What the operating system does when processes end, however they end. */
export function endProcesses(disk: Disk): void {
  disk.processes.leader = undefined;
  disk.processes.watches.clear();
}

/** The ports over a disk. */
export function memoryStore(
  disk: Disk,
  step: Step = () => undefined,
): { readonly ledger: WholeLedger; readonly blobs: BlobStore; readonly site: Site } {
  const durably = (name: string, act: () => void): void => {
    step(`before ${name}`);
    act();
    step(`after ${name}`);
  };
  return { ledger: memoryLedger(disk, durably), blobs: memoryBlobs(disk, durably), site: memorySite(disk, durably) };
}

type Durably = (name: string, act: () => void) => void;

function memoryLedger(disk: Disk, durably: Durably): WholeLedger {
  const ours = new Set<() => void>(); // ends with the process
  const tell = (): void => {
    for (const changed of disk.processes.watches) if (!ours.has(changed)) changed();
  };
  const me = {};
  const unlead = (): void => {
    if (disk.processes.leader === me) disk.processes.leader = undefined;
  };
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
      tell();
    },
    pending: async (limit) =>
      [...disk.journal.values()]
        .filter(({ publication, refusal }) => publication === undefined && refusal === undefined)
        .slice(0, limit),
    submission: async (id) => disk.journal.get(id),
    async commit(commit) {
      if ((disk.publications.at(-1)?.publication ?? 0) !== commit.expected) return false;
      durably('commit', () => commitTo(disk, commit));
      tell();
      return true;
    },
    shown: async (path) => disk.shown.get(path),
    async made(publication) {
      const { files, targets } = disk.made.get(publication) ?? { files: [], targets: [] };
      const known = targets.flatMap(({ path, blob }) => {
        const facts = disk.known.get(blob.sha256);
        return facts === undefined ? [] : [{ path, blob: facts }];
      });
      return { files: files.filter((file) => disk.files.has(keyOf(file))), targets: known };
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
    async *decisions(from) {
      for (const row of disk.decisions) if (row.sequence >= from) yield row;
    },
    async *held() {
      const rows = [...disk.made].flatMap(([publication, { files }]) =>
        files.map(({ role, version, bytes, sha256 }) => ({ role, version, length: bytes.length, sha256, publication })),
      );
      rows.sort((a, b) => (a.role === b.role ? a.version - b.version : a.role < b.role ? -1 : 1));
      for (const row of rows) if (disk.files.has(keyOf(row))) yield row;
    },
    async *everShown() {
      const rows = new Map<string, { path: string; sha256: string; publication: number }>();
      for (const [publication, { targets }] of disk.made) {
        for (const { path, blob } of targets) rows.set(path, { path, sha256: blob.sha256, publication });
      }
      for (const path of [...disk.shown.keys()].sort()) {
        const row = rows.get(path);
        if (row !== undefined) yield row;
      }
    },
    async *blobs() {
      yield* [...disk.known.values()].sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1));
    },
    committedAt: async (publication) => disk.publications.find((one) => one.publication === publication)?.at,
    async forgetFiles(files) {
      durably('forgetFiles', () => {
        for (const file of files) {
          const current = disk.roles.get(file.role)?.version === file.version;
          if (file.role !== 'root' && !current) disk.files.delete(keyOf(file));
        }
      });
    },
    async forgetBlobs(sha256s) {
      durably('forgetBlobs', () => {
        for (const sha256 of sha256s) disk.known.delete(sha256);
      });
    },
    async document(kind, id) {
      return documentOf(disk.documents.get(JSON.stringify([kind, id])));
    },
    documents: async (kind) =>
      [...disk.documents.values()]
        .filter((one) => one.kind === kind)
        .sort((a, b) => (a.id < b.id ? -1 : 1))
        .flatMap((one) => documentOf(one) ?? []),
    async putDocument(kind, id, revision, text) {
      const key = JSON.stringify([kind, id]);
      const before = disk.documents.get(key);
      if ((before?.text === undefined ? 0 : before.revision) !== revision) return false;
      if (before?.text === undefined && text === undefined) return true;
      durably('putDocument', () => disk.documents.set(key, { kind, id, revision: (before?.revision ?? 0) + 1, text }));
      return true;
    },
    async lead() {
      if (disk.processes.leader !== undefined) return undefined;
      disk.processes.leader = me;
      return { lost: new Promise(() => undefined), release: async () => unlead() };
    },
    watch(changed) {
      disk.processes.watches.add(changed);
      ours.add(changed);
      return () => {
        disk.processes.watches.delete(changed);
        ours.delete(changed);
      };
    },
    async *publications() {
      yield* disk.publications;
    },
    async *submissions() {
      yield* disk.journal.values();
    },
    async *everyDocument() {
      const all = [...disk.documents.values()].flatMap((one) => documentOf(one) ?? []);
      yield* all.sort((a, b) => (a.kind === b.kind ? (a.id < b.id ? -1 : 1) : a.kind < b.kind ? -1 : 1));
    },
    async *accounts() {
      for (const tokenSha256 of [...disk.tokens.keys()].sort()) {
        yield { tokenSha256, account: disk.tokens.get(tokenSha256) ?? '' };
      }
    },
    async put(rows) {
      durably('put', () => putInto(disk, rows));
    },
    async close() {
      for (const changed of ours) disk.processes.watches.delete(changed);
      unlead();
    },
  };
}

function documentOf(
  kept: Disk['documents'] extends Map<string, infer T> ? T | undefined : never,
): KeptDocument | undefined {
  return kept?.text === undefined ? undefined : { ...kept, text: kept.text };
}

function keyOf({ role, version }: { readonly role: string; readonly version: number }): string {
  return `${role} ${version}`;
}

function commitTo(disk: Disk, { expected, at, files, targets, decisions, published, refused }: Commit): void {
  const publication = expected + 1;
  disk.publications.push({ publication, at });
  for (const file of files) {
    disk.files.set(keyOf(file), file.bytes);
    disk.roles.set(file.role, file);
  }
  for (const { path, blob } of targets) disk.shown.set(path, blob.sha256);
  disk.made.set(publication, { files, targets });
  disk.decisions.push(...(decisions ?? []));
  for (const id of published) {
    const one = disk.journal.get(id);
    if (one !== undefined) disk.journal.set(id, { ...one, publication });
  }
  for (const { id, refusal } of refused) {
    const one = disk.journal.get(id);
    if (one !== undefined) disk.journal.set(id, { ...one, refusal });
  }
}

function putInto(disk: Disk, rows: LedgerRows): void {
  const madeBy = (publication: number): { files: RoleFile[]; targets: Commit['targets'][number][] } => {
    const { files, targets } = disk.made.get(publication) ?? { files: [], targets: [] };
    const made = { files: [...files], targets: [...targets] };
    disk.made.set(publication, made);
    return made;
  };
  for (const { publication, ...file } of rows.files ?? []) {
    const { files } = madeBy(publication);
    const at = files.findIndex((one) => keyOf(one) === keyOf(file));
    files.splice(at < 0 ? files.length : at, at < 0 ? 0 : 1, file);
    disk.files.set(keyOf(file), file.bytes);
  }
  for (const { role, version, sha256 } of rows.roles ?? []) {
    disk.roles.set(role, { role, version, sha256, bytes: disk.files.get(`${role} ${version}`) ?? new Uint8Array() });
  }
  for (const blob of rows.blobs ?? []) disk.known.set(blob.sha256, blob);
  for (const { path, sha256, publication } of rows.shown ?? []) {
    disk.shown.set(path, sha256);
    const { targets } = madeBy(publication);
    targets.push({ path, blob: disk.known.get(sha256) ?? { sha256, sha512: '', length: 0 } });
  }
  for (const row of rows.decisions ?? []) {
    const at = disk.decisions.findIndex(({ sequence }) => sequence === row.sequence);
    disk.decisions.splice(at < 0 ? disk.decisions.length : at, at < 0 ? 0 : 1, row);
  }
  for (const one of rows.submissions ?? []) disk.journal.set(one.id, one);
  for (const one of rows.documents ?? []) disk.documents.set(JSON.stringify([one.kind, one.id]), one);
  for (const { tokenSha256, account } of rows.accounts ?? []) disk.tokens.set(tokenSha256, account);
  for (const head of rows.publications ?? []) {
    const at = disk.publications.findIndex(({ publication }) => publication >= head.publication);
    const same = disk.publications[at]?.publication === head.publication;
    disk.publications.splice(at < 0 ? disk.publications.length : at, same ? 1 : 0, head);
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
      durably('put blob', () => {
        disk.blobs.set(sha256, bytes);
        disk.written.set(sha256, disk.clock.now);
      });
      return facts;
    },
    async *read(sha256) {
      const bytes = disk.blobs.get(sha256);
      if (bytes === undefined) throw new StoreError('STORE_READ', 'Reading a blob: it is not there');
      yield bytes;
    },
    size: async (sha256) => disk.blobs.get(sha256)?.length,
    async *list() {
      for (const [name, bytes] of disk.blobs) yield { name, ...storedOf(disk, name, bytes) };
    },
    async remove(names) {
      for (const name of names) {
        if (!/^[0-9a-f]{64}$/.test(name)) throw new UsageError('USAGE_INVALID', 'Removing a blob: no digest');
        durably(`remove ${name}`, () => disk.blobs.delete(name));
      }
    },
  };
}

function storedOf(disk: Disk, name: string, bytes: Uint8Array): StoredFile {
  return { length: bytes.length, modified: disk.written.get(name) ?? disk.clock.now, partial: false };
}

function memorySite(disk: Disk, durably: Durably): Site {
  const show = (url: string, bytes: Uint8Array): void => {
    siteName(url);
    disk.site.set(url, bytes);
    disk.written.set(url, disk.clock.now);
  };
  return {
    async showTargets(targets) {
      for (const { path, blob } of targets) {
        for (const digest of [blob.sha256, blob.sha512]) {
          const url = `targets/${targetUrl(requireTargetPath(path), digest)}`;
          durably(`show ${url}`, () => show(url, disk.blobs.get(blob.sha256) ?? new Uint8Array()));
        }
      }
    },
    async showFiles(files) {
      const timestamps = files.filter(({ role }) => role === 'timestamp');
      for (const { role, version, bytes } of files) {
        if (role === 'timestamp') continue;
        const url = `metadata/${metadataUrl(role, version)}`;
        durably(`show ${url}`, () => show(url, bytes));
      }
      for (const { bytes } of timestamps) {
        durably('show timestamp', () => show('metadata/timestamp.json', bytes));
      }
    },
    shownTimestamp: async () => disk.site.get('metadata/timestamp.json'),
    async *list() {
      for (const [url, bytes] of disk.site) yield { url, ...storedOf(disk, url, bytes) };
    },
    async *read(url) {
      siteName(url);
      const bytes = disk.site.get(url);
      if (bytes === undefined) throw new StoreError('STORE_READ', 'Reading a shown file: it is not there');
      yield bytes;
    },
    async remove(urls) {
      for (const url of urls) {
        siteName(url);
        durably(`remove ${url}`, () => disk.site.delete(url));
      }
    },
  };
}

/** What a blob store says of bytes. */
export function factsOf(bytes: Uint8Array): BlobFacts {
  const digest = (name: string): string => createHash(name).update(bytes).digest('hex');
  return { sha256: digest('sha256'), sha512: digest('sha512'), length: bytes.length };
}
