// The first publication of a collection: root, top-level targets and claimed
// shards signed offline, everything else by its own online key (DESIGN §5).

import {
  type DelegatedRole,
  type Delegations,
  editRoot,
  editSnapshot,
  editTargets,
  editTimestamp,
  hex,
  type Instant,
  type Key,
  type KeyId,
  openEnvelope,
  type RoleKeys,
  readTargets,
  type Sha256,
  type ShardKind,
  type Signer,
  shardName,
  shardPattern,
  shardPrefixes,
  type TopLevelRole,
  UsageError,
} from '@countersign/core';
import { LIST_PATTERN } from '@countersign/decisions';
import { ALL_PATHS, BINS_ROLE, type BinsForm, binNames, binsDelegations } from './bins.ts';
import { DECISIONS_ROLE } from './list-files.ts';
import { type OnlineSigners, pinned, signedFile } from './online.ts';
import { DEFAULT_LIFETIMES, type Lifetimes, listingOf } from './plan.ts';
import type { Ledger, RoleFile } from './ports.ts';
import { NO_DELEGATIONS } from './standing.ts';

/** What a new collection is made of. */
export interface Genesis {
  /** The offline quorum: signs root, top-level targets and claimed shards. */
  readonly offline: readonly Signer[];
  /** How many of the quorum must sign. */
  readonly threshold: number;
  readonly online: OnlineSigners;
  /** Shards are split by this many hex digits of the bin: 0 to 4. */
  readonly shardDigits: number;
  /** Makes a plain collection of files instead, which has no names and no shards. */
  readonly bins?: BinsGenesis;
  readonly lifetimes?: Lifetimes;
}

/** The layout of a plain collection of files. */
export interface BinsGenesis {
  readonly bitLength: number;
  readonly form: BinsForm;
  /** Author-signed roles by pattern, in front of the bins, each with its first file. */
  readonly custom?: readonly {
    readonly delegation: DelegatedRole;
    readonly keys: ReadonlyMap<KeyId, Key>;
    readonly file: Uint8Array;
  }[];
}

/**
 * Makes and commits the first publication.
 *
 * @returns the root file: what users pin as anchor
 * @throws UsageError COLLECTION_EXISTS, USAGE_INVALID; SignerError
 */
export async function createCollection(
  ledger: Ledger,
  genesis: Genesis,
  now: Instant,
  sha256: Sha256,
): Promise<Uint8Array> {
  const files = await genesisFiles(genesis, now, sha256);
  const made = await ledger.commit({ expected: 0, at: now, files, targets: [], published: [], refused: [] });
  if (!made) throw new UsageError('COLLECTION_EXISTS', 'Creating the collection: its ledger is not empty');
  return files.find((file) => file.role === 'root')?.bytes ?? new Uint8Array();
}

async function genesisFiles(genesis: Genesis, now: Instant, sha256: Sha256): Promise<readonly RoleFile[]> {
  const { offline, online, shardDigits: digits, threshold } = genesis;
  const keys = new Set(offline.map(({ keyId }) => keyId));
  const inRange = threshold >= 1 && threshold <= keys.size && [0, 1, 2, 3, 4].includes(digits);
  if (!inRange || keys.size < offline.length) {
    throw new UsageError(
      'USAGE_INVALID',
      'Creating the collection: the threshold or the shard digits are out of range',
    );
  }
  const lifetimes = genesis.lifetimes ?? DEFAULT_LIFETIMES;
  const quorum: RoleKeys = { keyIds: offline.map((signer) => signer.keyId), threshold };
  const files: RoleFile[] = [
    await signedFile('root', rootDraft(genesis, quorum, now + lifetimes.offline), offline, sha256),
  ];
  const delegations = genesis.bins
    ? await binFiles(genesis, genesis.bins, files, now, sha256)
    : await shardFiles(genesis, files, now, sha256);
  const targets = editTargets(undefined, { expires: now + lifetimes.offline, delegations });
  files.push(await signedFile('targets', targets, offline, sha256));
  const listed = files.filter((file) => file.role !== 'root');
  const set = new Map(
    listed.map((file) => [file.role, listingOf(file.role, file.version, file.bytes.length, file.sha256)]),
  );
  const snapshot = await signedFile(
    'snapshot',
    editSnapshot(undefined, { expires: now + lifetimes.snapshot, set }),
    [online.snapshot],
    sha256,
  );
  const timestamp = editTimestamp(undefined, { expires: now + lifetimes.timestamp, snapshot: pinned(snapshot) });
  return [...files, snapshot, await signedFile('timestamp', timestamp, [online.timestamp], sha256)];
}

/** Shards of names, and the list of decisions. */
async function shardFiles(genesis: Genesis, files: RoleFile[], now: Instant, sha256: Sha256): Promise<Delegations> {
  const { offline, online, shardDigits: digits, threshold, lifetimes = DEFAULT_LIFETIMES } = genesis;
  const quorum: RoleKeys = { keyIds: offline.map((signer) => signer.keyId), threshold };
  const { recent, unclaimed, decisions } = online;
  if (recent === undefined || unclaimed === undefined || decisions === undefined) {
    throw new UsageError('USAGE_INVALID', 'Creating the collection: names need a key for each kind of shard');
  }
  const keyed = { recent, unclaimed };
  const shards: DelegatedRole[] = [];
  for (const kind of ['claimed', 'recent', 'unclaimed'] as const) {
    const signers = kind === 'claimed' ? offline : [keyed[kind]];
    const keys = kind === 'claimed' ? quorum : only(keyed[kind]);
    const expires = now + (kind === 'claimed' ? lifetimes.offline : lifetimes.shard);
    for (const prefix of shardPrefixes(digits)) {
      shards.push(shardDelegation(kind, prefix, keys));
      const draft = editTargets(undefined, { expires, delegations: NO_DELEGATIONS });
      files.push(await signedFile(shardName(kind, prefix), draft, signers, sha256));
    }
  }
  // Listed from the beginning: a role that the snapshot does not list ends searches.
  const list = editTargets(undefined, { expires: now + lifetimes.shard });
  files.push(await signedFile(DECISIONS_ROLE, list, [decisions], sha256));
  const paths = { by: 'pattern', patterns: [LIST_PATTERN] } as const;
  return {
    keys: keysOf([...offline, recent, unclaimed, decisions]),
    roles: [{ name: DECISIONS_ROLE, ...only(decisions), terminating: true, paths }, ...shards],
    succinct: undefined,
  };
}

/** The offline role of the bins, every bin, and the custom roles in front of them. */
async function binFiles(
  genesis: Genesis,
  { bitLength, form, custom = [] }: BinsGenesis,
  files: RoleFile[],
  now: Instant,
  sha256: Sha256,
): Promise<Delegations> {
  const { offline, online, threshold, lifetimes = DEFAULT_LIFETIMES } = genesis;
  if (online.bins === undefined) throw new UsageError('USAGE_INVALID', 'Creating the collection: bins need a key');
  const bins = { bitLength, namePrefix: 'bin' };
  const delegations = binsDelegations(bins, form, online.bins);
  const role = editTargets(undefined, { expires: now + lifetimes.offline, delegations });
  files.push(await signedFile(BINS_ROLE, role, offline, sha256));
  // All bins begin alike, so one file and one signature serve them all.
  const empty = await signedFile(
    'bin',
    editTargets(undefined, { expires: now + lifetimes.shard }),
    [online.bins],
    sha256,
  );
  for (const name of binNames(bins)) files.push({ ...empty, role: name });
  for (const { delegation, file } of custom) {
    const { version } = readTargets(openEnvelope(file, delegation.name).signed, delegation.name);
    files.push({ role: delegation.name, version, bytes: file, sha256: hex(sha256(file)) });
  }
  const quorum: RoleKeys = { keyIds: offline.map((signer) => signer.keyId), threshold };
  return {
    keys: new Map([...keysOf(offline), ...custom.flatMap(({ keys }) => [...keys])]),
    roles: [
      ...custom.map(({ delegation }) => delegation),
      { name: BINS_ROLE, ...quorum, terminating: true, paths: ALL_PATHS },
    ],
    succinct: undefined,
  };
}

function rootDraft(genesis: Genesis, quorum: RoleKeys, expires: Instant): ReturnType<typeof editRoot> {
  const { offline, online } = genesis;
  const roles = new Map<TopLevelRole, RoleKeys>([
    ['root', quorum],
    ['targets', quorum],
    ['snapshot', only(online.snapshot)],
    ['timestamp', only(online.timestamp)],
  ]);
  return editRoot(undefined, { expires, keys: keysOf([...offline, online.snapshot, online.timestamp]), roles });
}

function shardDelegation(kind: ShardKind, prefix: string, keys: RoleKeys): DelegatedRole {
  // Not terminating: a name that this kind does not hold is looked for in the next.
  const paths = { by: 'pattern', patterns: [shardPattern(prefix)] } as const;
  return { name: shardName(kind, prefix), ...keys, terminating: false, paths };
}

function only(signer: Signer): RoleKeys {
  return { keyIds: [signer.keyId], threshold: 1 };
}

function keysOf(signers: readonly Signer[]): ReadonlyMap<KeyId, Key> {
  return new Map(signers.map((signer) => [signer.keyId, signer.key]));
}
