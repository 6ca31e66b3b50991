// What the engine of a collection keeps in memory between publications: the
// standing to judge against, what a client that followed trusts, and the bytes
// that every search passes through. Read from the ledger once, then carried on:
// each publication costs what it changes, never what the collection is.
// Refuses a ledger whose list of decisions and whose shards do not agree.

import {
  type FreshState,
  hex,
  type Instant,
  MetadataError,
  openEnvelope,
  readRoot,
  readShardName,
  readShelfName,
  readTargets,
  type Sha256,
  type SnapshotDraft,
  type SyncCryptoPort,
  type Targets,
  utf8,
} from '@countersign/core';
import { HEAD_PATH, type ProjectOf, type Quorum, quorumOf, Register, writeHead } from '@countersign/decisions';
import { recordOf } from './admit-rules.ts';
import { BINS_ROLE, binNames, binsOf } from './bins.ts';
import { DECISIONS_ROLE, lastTileAfter } from './list-files.ts';
import { onlineKindOf, type SignedPlan } from './online.ts';
import type { OnlineKind } from './online-keys.ts';
import type { Readable } from './pinned-ledger.ts';
import { isDue, type Lifetimes, type Plan } from './plan.ts';
import type { Ledger, RoleFile } from './ports.ts';
import { follow, isKept, trustedFrom } from './self-check.ts';
import { isDerived } from './shards.ts';
import { shelvesOf } from './shelf.ts';
import { type Standing, shardsOf, versionsOf } from './standing.ts';

/** What the engine keeps in memory between publications. */
export interface State {
  readonly standing: Standing;
  /** Content of the shards of names, and of the list of decisions. */
  readonly contents: Map<string, Targets>;
  /** When the online roles expire, by name. Those of bins are learnt by and by. */
  readonly expiries: Map<string, Instant>;
  /** Bins whose expiry is not known yet. */
  readonly unread: Set<string>;
  /** What a client that followed every publication trusts. */
  readonly trusted: FreshState;
  /** The snapshot, ready for the next version, once we have written one. */
  readonly snapshot: SnapshotDraft | undefined;
  /** The bytes of the top-level roles and the shards of names, which every search passes through. */
  readonly files: Map<string, Uint8Array>;
  /** The decisions that are listed, by id. */
  readonly listed: Set<string>;
  /** The quorum of each root version. */
  readonly quorums: Map<number, Quorum>;
  /** How many names of each kind there are. */
  readonly projects: { readonly claimed: number; readonly recent: number };
}

/** What reading a collection needs beside its ledger. */
export interface Reading {
  readonly name: string;
  readonly crypto: SyncCryptoPort;
  readonly sha256: Sha256;
  readonly projectOf: ProjectOf;
}

/**
 * Reads the committed state.
 *
 * @param at when the head was committed: what has expired since can still be renewed
 * @throws MetadataError when the ledger's content does not verify, DECISIONS_INVALID when its list and its shards disagree; StoreError
 */
export async function loadState(ledger: Readable, at: Instant, reading: Reading): Promise<State> {
  const { name, crypto, sha256 } = reading;
  const files = new Map<string, Uint8Array>();
  for (const role of ['root', 'timestamp', 'snapshot', 'targets']) {
    const bytes = await ledger.file(role);
    if (bytes !== undefined) files.set(role, bytes);
  }
  const trusted = trustedFrom(files, at, crypto);
  const contents = new Map<string, Targets>();
  const expiries = new Map<string, Instant>();
  const shelves = shelvesOf(trusted.targets.content).map(({ name }) => name);
  for (const role of [DECISIONS_ROLE, BINS_ROLE, ...shardsOf(trusted.targets.content).keys(), ...shelves]) {
    const bytes = await ledger.file(role);
    if (bytes === undefined) continue;
    const content = readTargets(openEnvelope(bytes, role).signed, role);
    if (!isOffline(role)) expiries.set(role, content.expires);
    if (!isKept(role)) continue;
    files.set(role, bytes);
    contents.set(role, content);
  }
  const own = contents.get(BINS_ROLE);
  const bins = own && binsOf(own);
  const unread = new Set(bins === undefined ? [] : binNames(bins));
  const quorums = await readQuorums(ledger, trusted.root.content.version, sha256);
  const register = new Register({ collection: name, crypto, quorum: (version) => quorums.get(version) });
  const listed = new Set<string>();
  const projects = { claimed: 0, recent: 0 };
  let lastTile: readonly string[] = [];
  requireOwnList(trusted, files.get(DECISIONS_ROLE), reading);
  // Each signature was checked when its entry was listed; every other rule holds again.
  const replayed = new Register({ ...register.rules, crypto: { ...hashing(crypto), check: () => true } }, register);
  for await (const { text } of ledger.decisions(1)) {
    const { opened } = replayed.replay(text);
    listed.add(opened.id);
    lastTile = lastTileAfter(lastTile, [text]);
  }
  register.absorb(replayed);
  requireAgreement(register, contents, { ...reading, head: contents.get(DECISIONS_ROLE) });
  for (const kind of ['claimed', 'recent'] as const) for (const _ of register.names(kind, '')) projects[kind]++;
  const standing: Standing = {
    collection: name,
    ...trustedParts(trusted),
    bins,
    register,
    lastTile,
    contents,
    ownerFiles: new Map(),
    blobs: new Map(),
    shown: new Map(),
  };
  return { standing, contents, expiries, unread, trusted, snapshot: undefined, files, listed, quorums, projects };
}

/** The state after a publication. Takes over the one before, which is not to be used any more. */
export function stateAfter(
  before: State,
  { draft, decisions, root }: Plan,
  made: SignedPlan,
  trusted: FreshState,
): State {
  const { files, contents, expiries, listed, unread, quorums } = before;
  if (root !== undefined) quorums.set(root.version, quorumOf(trusted.root.content, root.sha256));
  const projects = { ...before.projects };
  count(projects, new Set(decisions.flatMap(({ touched }) => touched)), before.standing.register, draft.register);
  // Without decisions there may still be notes of roots in it, which were not listed.
  if (decisions.length > 0) before.standing.register.absorb(draft.register);
  for (const { opened } of decisions) listed.add(opened.id);
  for (const { role, bytes } of made.files) {
    const isShelf = readShelfName(role)?.holds === 'names'; // which may be a new one
    if (isShelf || files.has(role)) files.set(role, bytes);
    if (unread.delete(role)) expiries.set(role, 0);
    if (!isShelf && !contents.has(role) && !expiries.has(role)) continue;
    const content = trusted.memo.get(role)?.role.content ?? readTargets(openEnvelope(bytes, role).signed, role);
    if (isShelf || contents.has(role)) contents.set(role, content);
    if (expiries.has(role)) expiries.set(role, content.expires);
  }
  const lines = decisions.map(({ line }) => line);
  const lastTile = lastTileAfter(before.standing.lastTile, lines);
  return {
    ...before,
    standing: { ...before.standing, ...trustedParts(trusted), lastTile },
    trusted,
    snapshot: made.snapshot,
    projects,
  };
}

/**
 * The state that somebody else's publications lead to, told as a client is: the
 * new files are verified from what was trusted before. Takes over the one before.
 *
 * @param made the files that are new
 * @param lines the entries that the list of decisions has grown by
 * @param at when the head was committed
 * @throws MetadataError when they do not verify, or list and shards disagree
 */
export function stateFollowing(
  before: State,
  made: readonly RoleFile[],
  lines: readonly string[],
  at: Instant,
  reading: Reading,
): State {
  const { files, contents, expiries, listed } = before;
  const trusted = follow(before.trusted, made, files, at, reading.crypto);
  const register = before.standing.register.overlay();
  const projects = { ...before.projects };
  const touched = new Set<string>();
  const ids: string[] = [];
  for (const line of lines) {
    const entry = register.replay(line);
    ids.push(entry.opened.id);
    for (const key of entry.touched) touched.add(key);
  }
  count(projects, touched, before.standing.register, register);
  const changed = new Map<string, Targets>();
  for (const { role, bytes } of made) {
    if (before.unread.delete(role)) expiries.set(role, 0);
    if (!expiries.has(role) && !contents.has(role)) continue;
    const content = readTargets(openEnvelope(bytes, role).signed, role);
    changed.set(role, content);
  }
  requireAgreement(register, new Map([...changed].filter(([role]) => contents.has(role) && role !== DECISIONS_ROLE)), {
    ...reading,
    head: changed.get(DECISIONS_ROLE) ?? contents.get(DECISIONS_ROLE),
  });
  before.standing.register.absorb(register);
  for (const id of ids) listed.add(id);
  for (const { role, bytes } of made) if (files.has(role)) files.set(role, bytes);
  for (const [role, content] of changed) {
    if (contents.has(role)) contents.set(role, content);
    if (expiries.has(role)) expiries.set(role, content.expires);
  }
  const lastTile = lastTileAfter(before.standing.lastTile, lines);
  const standing = { ...before.standing, ...trustedParts(trusted), lastTile };
  return { ...before, standing, trusted, snapshot: undefined, projects };
}

/** Learns when some more bins expire. @throws StoreError; MetadataError */
export async function learnExpiries({ unread, expiries }: State, ledger: Ledger, most: number): Promise<void> {
  for (const role of [...unread].slice(0, most)) {
    const bytes = await ledger.file(role);
    // Somebody may have published it meanwhile, and know better.
    if (bytes === undefined || !unread.delete(role)) continue;
    expiries.set(role, readTargets(openEnvelope(bytes, role).signed, role).expires);
  }
}

/** The online roles below the top-level ones that are past half of their life: all, or those of one key. */
export function dueRoles(
  { expiries, standing }: State,
  lifetimes: Lifetimes,
  now: Instant,
  only?: OnlineKind,
): readonly string[] {
  const due: string[] = [];
  for (const [role, expires] of expiries) {
    if (!isDue({ expires }, 'shard', lifetimes, now)) continue;
    if (only !== undefined && onlineKindOf(role, standing.bins) !== only) continue;
    if (due.push(role) >= MAX_DUE) break;
  }
  return due;
}

function isOffline(role: string): boolean {
  return role === BINS_ROLE || readShardName(role)?.kind === 'claimed' || readShelfName(role) !== undefined;
}

function count(
  projects: { claimed: number; recent: number },
  touched: ReadonlySet<string>,
  before: Register,
  after: Register,
): void {
  for (const key of touched) {
    const [was, is] = [kindOf(before, key), kindOf(after, key)];
    if (was !== undefined) projects[was]--;
    if (is !== undefined) projects[is]++;
  }
}

function kindOf(register: Register, key: string): 'claimed' | 'recent' | undefined {
  const record = recordOf(register, key);
  return record && (record.countersigned === undefined ? 'recent' : 'claimed');
}

async function readQuorums(ledger: Readable, last: number, sha256: Sha256): Promise<Map<number, Quorum>> {
  const quorums = new Map<number, Quorum>();
  for (let version = 1; version <= last; version++) {
    const bytes = await ledger.file('root', version);
    if (bytes === undefined) continue;
    quorums.set(version, quorumOf(readRoot(openEnvelope(bytes, 'root').signed), hex(sha256(bytes))));
  }
  return quorums;
}

/** What is served must be what the list of decisions says. @throws MetadataError DECISIONS_INVALID */
function requireAgreement(
  register: Register,
  contents: ReadonlyMap<string, Targets>,
  reading: Reading & { readonly head: Targets | undefined },
): void {
  const disagree = (role: string): MetadataError =>
    new MetadataError('DECISIONS_INVALID', `Opening ${reading.name}: ${role} does not say what its decisions say`, {
      detail: { role },
    });
  for (const [role, content] of contents) {
    if (readShardName(role) !== undefined && !isDerived(role, content, register, reading.projectOf))
      throw disagree(role);
  }
  const { head } = register;
  const want = head && hex(reading.sha256(utf8(writeHead(head))));
  const served = reading.head?.targets.get(HEAD_PATH)?.hashes.get('sha256');
  if (served !== want) throw disagree(DECISIONS_ROLE);
}

/**
 * The role that pins the end of the list must be the one that our keys have
 * published: through it and the chain of hashes, every entry of the list is.
 *
 * @throws MetadataError DECISIONS_INVALID
 */
function requireOwnList({ snapshot }: FreshState, bytes: Uint8Array | undefined, { name, sha256 }: Reading): void {
  const listed = snapshot.content.meta.get(DECISIONS_ROLE)?.hashes?.get('sha256');
  if (listed === (bytes && hex(sha256(bytes)))) return;
  throw new MetadataError(
    'DECISIONS_INVALID',
    `Opening ${name}: ${DECISIONS_ROLE} is not the role that was published`,
    {
      detail: { role: DECISIONS_ROLE },
    },
  );
}

function hashing(crypto: SyncCryptoPort): Pick<SyncCryptoPort, 'hash'> {
  return { hash: (algorithm, bytes) => crypto.hash(algorithm, bytes) };
}

function trustedParts({ root, snapshot, targets }: FreshState): Pick<Standing, 'root' | 'targets' | 'versions'> {
  return { root: root.content, targets: targets.content, versions: versionsOf(snapshot.content) };
}

// In one publication; the next ones take the rest.
const MAX_DUE = 512;
