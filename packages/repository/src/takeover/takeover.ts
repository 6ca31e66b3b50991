// Taking over somebody else's repository with no break for its clients: its
// roots stay, and the next one, signed by its own keys and by ours, names our
// keys. Its delegated roles are carried as they are; versions go on from where
// they were; behind its own roles come bins for what is added from now on.

import {
  type Authority,
  canonicalBytes,
  type DelegatedRole,
  type Delegations,
  draftSnapshot,
  drive,
  driveCrypto,
  editRoot,
  editTargets,
  editTimestamp,
  type FileMeta,
  type FreshState,
  find,
  hex,
  type Instant,
  type JsonObject,
  type Key,
  type KeyId,
  listRoles,
  MetadataError,
  metadataUrl,
  openEnvelope,
  type Ports,
  type RoleKeys,
  readRoot,
  refresh,
  type Signer,
  SignerError,
  StoreError,
  sameBytes,
  signSnapshot,
  type TargetFile,
  type TopLevelRole,
  topLevelAuthority,
  UsageError,
  verify,
} from '@countersign/core';
import { ALL_PATHS, BINS_ROLE, type Bins, type BinsForm, binNames, binsDelegations } from '../bins.ts';
import { pinned, signedFile } from '../online.ts';
import { showAll } from '../operations/restore.ts';
import { ANY_TIME } from '../operations/role-walk.ts';
import { RowBuffer } from '../operations/row-buffer.ts';
import { factsOf, type OperationOptions } from '../operations/store.ts';
import { DEFAULT_LIFETIMES, type Lifetimes, listingOf } from '../plan.ts';
import type { BlobFacts, RoleFile } from '../ports.ts';
import { type KeySet, keySetOf, keysOfTop, sameKeySet } from '../quorum-drafts.ts';
import { type Foreign, type ForeignSource, foreignTargets, freeBinPrefix } from './foreign.ts';

/** The keys that a repository is taken over with. */
export interface TakeoverKeys {
  readonly offline: readonly Signer[];
  readonly threshold: number;
  readonly timestamp: Signer;
  readonly snapshot: Signer;
  readonly bins: Signer;
}

/** What a takeover is told. */
export interface TakeoverOptions extends OperationOptions {
  readonly source: ForeignSource;
  readonly foreign: Foreign;
  /** The next root, signed by their keys and by ours. */
  readonly root: Uint8Array;
  readonly keys: TakeoverKeys;
  /** Bins for what is added; where theirs are by TAP 15, those go on. */
  readonly layout: { readonly bitLength: number; readonly form: BinsForm };
  readonly lifetimes?: Lifetimes;
}

/** What was taken over. */
export interface TakenOver {
  readonly root: number;
  readonly roles: readonly string[];
  readonly targets: number;
  /** Listed paths whose content could not be fetched. */
  readonly lost: readonly string[];
}

type PublicHalf = Pick<Signer, 'keyId' | 'key'>;

/**
 * Drafts the root by which a repository changes hands: ours in every role,
 * everything else as it was. It is to be signed by both sides (§5.3.4).
 */
export function draftTakeover(
  { state }: Pick<Foreign, 'state'>,
  keys: {
    readonly offline: readonly PublicHalf[];
    readonly threshold: number;
    readonly timestamp: PublicHalf;
    readonly snapshot: PublicHalf;
  },
  expires: Instant,
): JsonObject {
  const quorum = keySetOf(keys.offline, keys.threshold);
  const [timestamp, snapshot] = [keySetOf([keys.timestamp], 1), keySetOf([keys.snapshot], 1)];
  const roles = new Map<TopLevelRole, RoleKeys>(
    (
      [
        ['root', quorum],
        ['targets', quorum],
        ['snapshot', snapshot],
        ['timestamp', timestamp],
      ] as const
    ).map(([role, { keyIds, threshold }]) => [role, { keyIds, threshold }]),
  );
  const all = new Map<KeyId, Key>([...quorum.keys, ...timestamp.keys, ...snapshot.keys]);
  // Every publication must be whole for every client: clients go by the newest root's word (§5.3.12).
  return editRoot(state.root.content, { expires, keys: all, roles, consistentSnapshot: true });
}

/** The thresholds that the root of a takeover must meet: theirs, and ours. */
export function takeoverAuthorities(
  { state }: Pick<Foreign, 'state'>,
  root: Uint8Array,
): readonly [Authority, Authority] {
  const own = readRoot(openEnvelope(root, 'root').signed);
  return [
    { ...topLevelAuthority(state.root.content, 'root'), name: 'root (theirs)' },
    { ...topLevelAuthority(own, 'root'), name: 'root (ours)' },
  ];
}

/**
 * Fills an empty ledger with a repository that is ours from then on.
 *
 * @throws MetadataError THRESHOLD_NOT_MET when the root lacks signatures; UsageError USAGE_INVALID when it is not
 *   the root that was drafted for it; StoreError
 */
export async function takeOver(options: TakeoverOptions): Promise<TakenOver> {
  const { ledger, foreign, keys, crypto, clock, name, lifetimes = DEFAULT_LIFETIMES } = options;
  if ((await ledger.head()) !== undefined) {
    throw new UsageError('COLLECTION_EXISTS', `Taking over ${name}: its ledger is not empty`);
  }
  const now = clock();
  const root = requireRoot(options, now);
  const made = await madeFiles(options, root, now, lifetimes);
  await requireNoBreak(options, made, now);
  const carried = await carry(options);
  await carryRoles(options);
  const commit = { expected: 1, at: now, files: made, targets: [], published: [], refused: [] };
  if (!(await ledger.commit(commit))) {
    throw new StoreError('STORE_CONFLICT', `Taking over ${name}: somebody publishes it already`);
  }
  await showAll(options);
  return { root: root.version, roles: [...foreign.roles.keys()], ...carried };

  function requireRoot({ root: bytes }: TakeoverOptions, at: Instant): RoleFile {
    const envelope = openEnvelope(bytes, 'root');
    const { content } = driveCrypto(verify(envelope, takeoverAuthorities(foreign, bytes), readRoot), crypto);
    const drafted = draftTakeover(foreign, keys, content.expires);
    const ours = sameKeySet(keysOfTop(content, 'root'), keySetOf(keys.offline, keys.threshold));
    if (!ours || !sameBytes(canonicalBytes(drafted), envelope.message) || content.expires <= at) {
      throw new UsageError(
        'USAGE_INVALID',
        `Taking over ${name}: that root was drafted for another state or other keys`,
        {
          detail: { want: foreign.state.root.content.version + 1, got: content.version },
        },
      );
    }
    return { role: 'root', version: content.version, bytes, sha256: hex(crypto.hash('sha256', bytes)) };
  }
}

/** Our side: the top-level roles and the bins, after their root. */
async function madeFiles(
  options: TakeoverOptions,
  root: RoleFile,
  now: Instant,
  lifetimes: Lifetimes,
): Promise<readonly RoleFile[]> {
  const { foreign, keys, layout, crypto } = options;
  const sha256 = (bytes: Uint8Array): Uint8Array => crypto.hash('sha256', bytes);
  const { targets, snapshot, timestamp } = foreign.state;
  const quorum = keySetOf(keys.offline, keys.threshold);
  const bins: Bins = foreign.bins ?? { bitLength: layout.bitLength, namePrefix: freeBinPrefix(foreign) };
  const form = foreign.bins === undefined ? layout.form : 'succinct';
  const offline = now + lifetimes.offline;
  const delegations = binsDelegations(bins, form, keys.bins);
  const files: RoleFile[] = [
    await signedFile(
      'targets',
      editTargets(targets.content, { expires: offline, delegations: delegationsOf(foreign, quorum) }),
      keys.offline,
      sha256,
    ),
    await signedFile(BINS_ROLE, editTargets(undefined, { expires: offline, delegations }), keys.offline, sha256),
  ];
  const expires = now + lifetimes.shard;
  const empty = await signedFile('bin', editTargets(undefined, { expires }), [keys.bins], sha256);
  for (const bin of binNames(bins)) {
    const theirs = foreign.roles.get(bin)?.content;
    if (theirs === undefined) files.push({ ...empty, role: bin });
    else files.push(await signedFile(bin, editTargets(theirs, { expires }), [keys.bins], sha256));
  }
  const listing = new Map<string, FileMeta>();
  for (const file of files) listing.set(file.role, listingOf(file.role, file.version, file.bytes.length, file.sha256));
  const draft = listRoles(draftSnapshot(snapshot.content), listing);
  const signed = await signSnapshot(draft, now + lifetimes.snapshot, [keys.snapshot]);
  const { bytes } = signed;
  const list = { role: 'snapshot', version: signed.draft.version, bytes, sha256: hex(sha256(bytes)) };
  const edit = editTimestamp(timestamp.content, { expires: now + lifetimes.timestamp, snapshot: pinned(list) });
  return [root, ...files, list, await signedFile('timestamp', edit, [keys.timestamp], sha256)];
}

/** Their delegations as they are, and the bins behind them. */
function delegationsOf({ state, bins }: Foreign, quorum: KeySet): Delegations {
  const theirs = bins === undefined ? state.targets.content.delegations : undefined;
  const { keyIds, threshold } = quorum;
  const own: DelegatedRole = { name: BINS_ROLE, keyIds, threshold, terminating: true, paths: ALL_PATHS };
  const keys = new Map<KeyId, Key>([...(theirs?.keys ?? []), ...quorum.keys]);
  for (const [keyId, key] of theirs?.keys ?? []) {
    if (sameBytes(canonicalBytes(key.json), canonicalBytes(keys.get(keyId)?.json ?? new Map()))) continue;
    throw new SignerError('KEY_UNSUPPORTED', 'Taking over: a key of theirs has the id of one of ours');
  }
  return { ...theirs, keys, roles: [...(theirs?.roles ?? []), own], succinct: undefined };
}

/** A client that trusts theirs comes to trust ours, and finds every file where it was. @throws StoreError SELF_CHECK_FAILED */
async function requireNoBreak(options: TakeoverOptions, made: readonly RoleFile[], now: Instant): Promise<void> {
  const { foreign, source, crypto, name, onProgress } = options;
  const ours = new Map(made.map((file) => [metadataUrl(file.role, file.version), file.bytes]));
  const timestamp = made.at(-1)?.bytes;
  const portsOver = (side: 'ours' | 'theirs'): Ports => ({
    crypto,
    state: { load: () => undefined, save: () => undefined, drop: () => undefined },
    source: {
      fetch: async ({ role, url }) => {
        if (side === 'theirs' && role === 'root') return undefined;
        const own = side === 'ours' ? (role === 'timestamp' ? timestamp : ours.get(url)) : undefined;
        const plain = url === metadataUrl(role, undefined);
        const carried = foreign.roles.get(role);
        if (own !== undefined || (side === 'ours' && carried === undefined)) return own;
        return carried?.bytes ?? (await source.file(role, plain ? undefined : Number(url.slice(0, url.indexOf('.')))));
      },
    },
  });
  const after = await drive(refresh({ ...foreign.state, memo: new Map() }, now), portsOver('ours'));
  const found = async (state: FreshState, path: string, side: 'ours' | 'theirs'): Promise<string> => {
    try {
      const hit = await drive(find(state, path, ANY_TIME), portsOver(side));
      return hit === undefined ? 'nothing' : [...hit.target.hashes].map(([, digest]) => digest).join();
    } catch (error) {
      if (error instanceof MetadataError) return error.code;
      throw error;
    }
  };
  let done = 0;
  for (const { path } of foreignTargets(foreign)) {
    done++;
    onProgress?.('Comparing', done, 0);
    const before = await found(foreign.state, path, 'theirs');
    if (before === (await found(after, path, 'ours'))) continue;
    throw new StoreError('SELF_CHECK_FAILED', `Taking over ${name}: clients would not find ${path} as before`, {
      detail: { path },
    });
  }
}

/** Stores the content of everything that they list, as far as it can be had. */
async function carry(options: TakeoverOptions): Promise<Pick<TakenOver, 'targets' | 'lost'>> {
  const { foreign, ledger, onProgress } = options;
  const rows = new RowBuffer(ledger);
  const lost: string[] = [];
  const kept = new Map<string, BlobFacts>();
  let targets = 0;
  for (const target of foreignTargets(foreign)) {
    targets++;
    onProgress?.('Fetching', targets, 0);
    const known = kept.get([...target.hashes.values()].join());
    const blob = known ?? (await carryBlob(options, target));
    if (blob === undefined) {
      lost.push(target.path);
      continue;
    }
    kept.set([...target.hashes.values()].join(), blob);
    await rows.add({
      blobs: known === undefined ? [blob] : [],
      shown: [{ path: target.path, sha256: blob.sha256, publication: 1 }],
    });
  }
  await rows.flush();
  return { targets, lost };
}

async function carryBlob(
  { source, blobs, crypto }: TakeoverOptions,
  target: TargetFile,
): Promise<BlobFacts | undefined> {
  for (const digest of [...target.hashes.values(), undefined]) {
    const facts = await factsOf(source.target(target.path, digest), crypto);
    if (facts === undefined || facts.length !== target.length || !agrees(facts, target)) continue;
    return await blobs.put(facts.sha256, source.target(target.path, digest), target.length);
  }
  return undefined;
}

function agrees(facts: BlobFacts, { hashes }: TargetFile): boolean {
  const strong = (['sha256', 'sha512'] as const).filter((name) => hashes.has(name));
  return strong.length > 0 && strong.every((name) => hashes.get(name) === facts[name]);
}

/** Puts their files in as the first publication. */
async function carryRoles({ foreign, ledger, crypto, clock }: TakeoverOptions): Promise<void> {
  const { state, roots, roles } = foreign;
  const files: RoleFile[] = [];
  const add = (role: string, version: number, bytes: Uint8Array): void => {
    files.push({ role, version, bytes, sha256: hex(crypto.hash('sha256', bytes)) });
  };
  for (const [version, bytes] of roots) add('root', version, bytes);
  for (const [role, { version, bytes }] of roles) add(role, version, bytes);
  for (const [role, verified] of Object.entries({
    targets: state.targets,
    snapshot: state.snapshot,
    timestamp: state.timestamp,
  })) {
    add(role, verified.content.version, verified.bytes);
  }
  const rows = new RowBuffer(ledger);
  for (const file of files) await rows.add({ files: [{ ...file, publication: 1 }] });
  const current = new Map(files.map((file) => [file.role, file]));
  await rows.add({
    roles: [...current.values()].map(({ role, version, sha256, bytes }) => ({
      role,
      version,
      sha256,
      length: bytes.length,
    })),
  });
  await rows.flush();
  await ledger.put({ publications: [{ publication: 1, at: clock() }] });
}
