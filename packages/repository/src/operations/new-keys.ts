// Going on below what was once served. Clients keep the versions that they have
// seen as floors (§5.4.3, §5.5.5) and refuse less; only taking the timestamp's
// and the snapshot's keys away makes them forget (§5.3.11). So what is restored
// from before gets a new root, signed offline, with new keys for both, and
// versions above all that were seen, because caches keep files by version.

import {
  draftSnapshot,
  drive,
  editRoot,
  editTimestamp,
  hex,
  type Instant,
  isTufError,
  type Key,
  type KeyId,
  MetadataError,
  metadataUrl,
  openEnvelope,
  type Root,
  readTimestamp,
  refresh,
  rootHistoryName,
  type Signer,
  SignerError,
  StoreError,
  signSnapshot,
  start,
  type TopLevelRole,
} from '@countersign/core';
import { pinned, signedFile } from '../online.ts';
import { DEFAULT_LIFETIMES, type Lifetimes } from '../plan.ts';
import type { RoleFile } from '../ports.ts';
import { ANY_TIME, type RoleFiles, trustWhole } from './role-walk.ts';
import type { OperationOptions } from './store.ts';

/** The highest versions that clients are known to have seen. */
export interface LastSeen {
  readonly timestamp: number;
  readonly snapshot: number;
}

/**
 * What somebody saw, from a timestamp file. Its signatures are not looked at: a
 * forged one can only make us more careful.
 *
 * @throws MetadataError when it is no timestamp
 */
export function lastSeenIn(timestamp: Uint8Array): LastSeen {
  const { version, snapshot } = readTimestamp(openEnvelope(timestamp, 'timestamp').signed);
  return { timestamp: version, snapshot: snapshot.version };
}

/** The higher of two, version by version. */
export function higherOf(a: LastSeen, b: LastSeen): LastSeen {
  return { timestamp: Math.max(a.timestamp, b.timestamp), snapshot: Math.max(a.snapshot, b.snapshot) };
}

/** Whether a client that saw `seen` would be taken back. */
export function goesBack(present: LastSeen, seen: LastSeen): boolean {
  return present.timestamp < seen.timestamp || present.snapshot < seen.snapshot;
}

/**
 * The roots that were made after the ledger's last one, as far as somebody has
 * them and each is signed as it must be.
 *
 * @param root gives the root file of a version; `undefined` where there is none
 * @throws MetadataError when one is there that clients would refuse
 */
export async function laterRoots(
  { ledger, crypto }: OperationOptions,
  root: (version: number) => Promise<Uint8Array | undefined>,
): Promise<readonly RoleFile[]> {
  const found: RoleFile[] = [];
  const present = await ledger.file('root');
  if (present === undefined) return found;
  const ports = {
    crypto,
    state: {
      load: () => undefined,
      drop: () => undefined,
      save: (name: string, bytes: Uint8Array) => {
        // What core keeps, it has verified.
        const version = Number(/^root_history\/(\d+)\./.exec(name)?.[1] ?? 0);
        if (name !== rootHistoryName(version)) return;
        found.push({ role: 'root', version, bytes, sha256: hex(crypto.hash('sha256', bytes)) });
      },
    },
    source: {
      fetch: async ({ role, url }: { readonly role: string; readonly url: string }) =>
        role === 'root' ? await root(Number(url.slice(0, url.indexOf('.')))) : undefined,
    },
  };
  try {
    await drive(refresh(await drive(start(present), ports), ANY_TIME), ports);
  } catch (error) {
    // The roots are all that was asked for.
    const ended = isTufError(error) && error.code === 'METADATA_MISSING' && error.detail['role'] === 'timestamp';
    if (!ended) throw error;
  }
  return found;
}

/** Who signs when keys are renewed. */
export interface RenewalKeys {
  /** Of the offline quorum; as many as the root's threshold asks for. */
  readonly offline: readonly Signer[];
  /** The new keys. */
  readonly timestamp: Signer;
  readonly snapshot: Signer;
}

/**
 * Publishes the restored state under new timestamp and snapshot keys. Only the
 * ledger is changed.
 *
 * @param seen what clients have seen, if it is known
 * @returns the version of the new root
 * @throws SignerError KEY_MISSING when the offline keys do not suffice; StoreError, MetadataError
 */
export async function renewKeys(
  options: OperationOptions,
  keys: RenewalKeys,
  seen: LastSeen | undefined,
  lifetimes: Lifetimes = DEFAULT_LIFETIMES,
): Promise<number> {
  const { ledger, crypto, clock, name } = options;
  const now = clock();
  const head = await ledger.head();
  const anchor = await ledger.file('root', 1);
  if (head === undefined || anchor === undefined)
    throw new StoreError('STORE_CORRUPT', `Renewing ${name}: it has no root`);
  const before = await trustBelow(options, anchor);
  const sha256 = (bytes: Uint8Array): Uint8Array => crypto.hash('sha256', bytes);
  const { root, snapshot, timestamp } = before;
  requireQuorum(root, keys.offline);
  const rootFile = await signedFile('root', nextRoot(root, keys, now + lifetimes.offline), keys.offline, sha256);
  const draft = draftSnapshot(snapshot);
  const above = { ...draft, version: Math.max(draft.version, seen?.snapshot ?? 0) };
  const signed = await signSnapshot(above, now + lifetimes.snapshot, [keys.snapshot]);
  const snapshotFile = {
    role: 'snapshot',
    version: signed.draft.version,
    bytes: signed.bytes,
    sha256: hex(sha256(signed.bytes)),
  };
  const floor = { ...timestamp, version: Math.max(timestamp.version, seen?.timestamp ?? 0) };
  const edit = editTimestamp(floor, { expires: now + lifetimes.timestamp, snapshot: pinned(snapshotFile) });
  const files = [rootFile, snapshotFile, await signedFile('timestamp', edit, [keys.timestamp], sha256)];
  await trustWhole(anchor, over(files, ledgerFiles(options)), crypto);
  const commit = { expected: head.publication, at: now, files, targets: [], published: [], refused: [] };
  if (!(await ledger.commit(commit))) {
    throw new StoreError('STORE_CONFLICT', `Renewing ${name}: somebody publishes it already`);
  }
  return rootFile.version;
}

/**
 * What is to be signed again. Where later roots took the old keys away already,
 * what they signed proves nothing any more; it is then read under the root that
 * was in force with it, as it was when it was served.
 */
async function trustBelow(
  options: OperationOptions,
  anchor: Uint8Array,
): Promise<{
  readonly root: Root;
  readonly snapshot: Parameters<typeof draftSnapshot>[0];
  readonly timestamp: ReturnType<typeof readTimestamp>;
}> {
  const files = ledgerFiles(options);
  const newest = (await options.ledger.roles()).find(({ role }) => role === 'root')?.version ?? 1;
  let root: Root | undefined;
  for (let last = newest; last >= 1; last--) {
    const upTo: RoleFiles = {
      file: async (role, version) =>
        role === 'root' && (version ?? 0) > last ? undefined : await files.file(role, version),
    };
    try {
      const state = await trustWhole(anchor, upTo, options.crypto);
      const { content: snapshot } = state.snapshot;
      return { root: root ?? state.root.content, snapshot, timestamp: state.timestamp.content };
    } catch (error) {
      if (!(error instanceof MetadataError) || last === 1) throw error;
      root ??= await newestRoot(options, anchor);
    }
  }
  throw new StoreError('STORE_CORRUPT', `Renewing ${options.name}: nothing of it verifies`);
}

/** The newest root of the ledger, verified from the anchor on. */
async function newestRoot({ ledger, crypto }: OperationOptions, anchor: Uint8Array): Promise<Root> {
  const ports = {
    crypto,
    state: { load: (name: string) => kept.get(name), save: () => undefined, drop: () => undefined },
    source: { fetch: () => undefined },
  };
  const kept = new Map<string, Uint8Array>();
  for (let version = 2; ; version++) {
    const bytes = await ledger.file('root', version);
    if (bytes === undefined) break;
    kept.set(rootHistoryName(version), bytes);
  }
  return (await drive(start(anchor), ports)).root.content;
}

function nextRoot(root: Root, { timestamp, snapshot }: RenewalKeys, expires: Instant): ReturnType<typeof editRoot> {
  const roles = new Map(root.roles);
  const only = (signer: Signer): { keyIds: KeyId[]; threshold: number } => ({ keyIds: [signer.keyId], threshold: 1 });
  roles.set('timestamp', only(timestamp));
  roles.set('snapshot', only(snapshot));
  const wanted = new Set([...roles].flatMap(([, { keyIds }]) => keyIds));
  const known = new Map<KeyId, Key>([...root.keys, [timestamp.keyId, timestamp.key], [snapshot.keyId, snapshot.key]]);
  const keys = new Map([...known].filter(([keyId]) => wanted.has(keyId)));
  return editRoot(root, { expires, keys, roles: roles satisfies ReadonlyMap<TopLevelRole, unknown> });
}

function requireQuorum(root: Root, offline: readonly Signer[]): void {
  const { keyIds, threshold } = root.roles.get('root') ?? { keyIds: [], threshold: 1 };
  const ours = offline.filter(({ keyId }) => keyIds.includes(keyId));
  if (ours.length >= threshold && ours.length === offline.length) return;
  throw new SignerError(
    'KEY_MISSING',
    `Signing the new root: ${threshold} of its offline keys must sign, ${ours.length} of them are here`,
    { detail: { want: keyIds, got: offline.map(({ keyId }) => keyId) } },
  );
}

function ledgerFiles({ ledger }: OperationOptions): RoleFiles {
  return { file: (role, version) => ledger.file(role, version) };
}

function over(files: readonly RoleFile[], below: RoleFiles): RoleFiles {
  const made = new Map(files.map((file) => [metadataUrl(file.role, file.version), file.bytes]));
  return {
    file: async (role, version) => {
      const plain = version === undefined ? files.find((file) => file.role === role)?.bytes : undefined;
      return plain ?? made.get(metadataUrl(role, version)) ?? (await below.file(role, version));
    },
  };
}
