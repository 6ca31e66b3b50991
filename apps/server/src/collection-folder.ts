// A collection as one machine has it: its folder, its keys, its passphrases, and
// the engine opened over them. The offline key is only ever opened by `init` and
// by the operator's own commands, never by the running service.
//   <folder>/ledger.sqlite, blobs/, site/{metadata,targets}/   state and its view, or
//   <folder>/storage.json                                      where they are instead
//   <folder>/keys/<role>.pem                                   encrypted PKCS#8
//   <folder>/keys/<role>-<key id>.pem                          one that came later
//   <folder>/passphrases/<role>                                development only, 0600

import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nodeCrypto, sha256 } from '@countersign/client/node';
import {
  AdmissionError,
  hex,
  type Instant,
  type KeyId,
  openEnvelope,
  type Project,
  readOwnerRoleName,
  readRoot,
  type Signer,
  SignerError,
  UsageError,
} from '@countersign/core';
import { ecosystemOf } from '@countersign/ecosystems';
import {
  type BinsGenesis,
  createCollection,
  type EcosystemRules,
  type FindOnlineKey,
  type Lifetimes,
  type NewTarget,
  type OnlineKind,
  type OnlineSigners,
  Repository,
  type RepositoryEvent,
  type RepositoryLimits,
} from '@countersign/repository';
import { openEmbeddedStore } from '@countersign/repository/embedded';
import { createKeyFile, openKeyFile } from '@countersign/signers/file';
import {
  type CollectionStore,
  isCollectionFolder,
  keepPlace,
  requirePlace,
  type SharedPlace,
  Stores,
} from './collection-store.ts';
import { Health } from './health.ts';

/** The keys of a collection of names, by the name of their file. `offline` signs root, targets and claimed shards. */
export const KEY_NAMES = ['offline', 'timestamp', 'snapshot', 'recent', 'unclaimed', 'decisions'] as const;
/** The keys of a plain collection of files. `offline` signs root, targets and the role that delegates to the bins. */
export const PLAIN_KEY_NAMES = ['offline', 'timestamp', 'snapshot', 'bins'] as const;
/** One of a collection's keys. */
export type KeyName = (typeof KEY_NAMES)[number] | (typeof PLAIN_KEY_NAMES)[number];

/** Gives the passphrase of one key file. */
export type Passphrases = (key: KeyName) => Promise<string>;

/** What `init` needs to know. */
export interface NewCollection {
  readonly folder: string;
  readonly name: string;
  readonly passphrases: Passphrases;
  readonly shardDigits?: number;
  /** Makes a plain collection of files, without names. */
  readonly bins?: BinsGenesis;
  readonly clock: () => Instant;
  readonly lifetimes?: Lifetimes;
  /** Where to keep it, for several machines to serve. Default: in its folder. */
  readonly shared?: { readonly place: SharedPlace; readonly stores: Stores };
}

/** What `init` made. */
export interface CreatedCollection {
  /** The first root: the anchor that users pin. */
  readonly anchor: Uint8Array;
  /** A token that may submit. Shown once; only its hash is kept. */
  readonly token: string;
}

/**
 * Creates a collection: its keys, its first publication, and a token to write
 * with. In a shared place, what was interrupted is finished when it is called
 * again with the same folder.
 *
 * @throws UsageError COLLECTION_EXISTS, USAGE_INVALID, CONFIG_INVALID; StoreError; SignerError
 */
export async function createCollectionFolder(options: NewCollection): Promise<CreatedCollection> {
  const { folder, name, passphrases, clock, lifetimes, shared, shardDigits = 1, bins } = options;
  requireCollectionName(name);
  if (await isCollectionFolder(folder)) {
    throw new UsageError('COLLECTION_EXISTS', `Creating ${name}: its folder holds one already`, { detail: { folder } });
  }
  if (shared !== undefined) requirePlace(shared.place);
  await mkdir(join(folder, 'keys'), { recursive: true, mode: 0o700 });
  const store = await (shared === undefined
    ? openEmbeddedStore(folder)
    : shared.stores.openShared(shared.place, folder, name));
  try {
    // Before any key is made: an empty place is the first thing to need.
    const first = await store.ledger.file('root', 1);
    if (first !== undefined && !(await exists(keyFile(folder, 'offline')))) throw taken(name);
    const make = async (key: KeyName): Promise<Signer> => await openOrMakeKey(folder, key, passphrases);
    const offline = [await make('offline')];
    const online = await onlineSigners(bins !== undefined, make);
    const genesis = {
      offline,
      threshold: 1,
      online,
      shardDigits,
      ...(bins && { bins }),
      ...(lifetimes && { lifetimes }),
    };
    const anchor = first ?? (await createCollection(store.ledger, genesis, clock(), sha256));
    if (!offline.every(({ keyId }) => readRoot(openEnvelope(anchor, 'root').signed).keys.has(keyId))) throw taken(name);
    const token = await issueToken(store, 'operator');
    const { files, targets } = await store.ledger.made(1);
    await store.site.showTargets(targets);
    await store.site.showFiles(files);
    if (shared !== undefined) await keepPlace(folder, shared.place);
    return { anchor, token };
  } finally {
    await store.ledger.close();
  }
}

function taken(name: string): UsageError {
  return new UsageError('COLLECTION_EXISTS', `Creating ${name}: there is a collection of this name in that place`);
}

/** A collection that is open for business. */
export interface OpenCollection {
  readonly name: string;
  readonly repository: Repository;
  readonly store: CollectionStore;
  readonly health: Health;
}

/** What {@link openCollectionFolder} is given. */
export interface CollectionFolder {
  readonly folder: string;
  readonly name: string;
  readonly passphrases: Passphrases;
  readonly clock: () => Instant;
  readonly log?: (event: RepositoryEvent) => void;
  readonly lifetimes?: Lifetimes;
  readonly limits?: Partial<RepositoryLimits>;
  /** Opens shared places. To be closed after the collection. */
  readonly stores?: Stores;
  /**
   * For one of several processes that serve from this folder and elect who publishes: `first` where nobody may
   * publish yet, `others` beside it. Default: alone. In shared places every process is one of several.
   */
  readonly among?: 'first' | 'others' | undefined;
}

/**
 * Opens a collection with its online keys. Whoever publishes finishes what a crash left undone.
 *
 * @throws UsageError COLLECTION_MISSING, COLLECTION_BUSY, CONFIG_INVALID; SignerError KEY_MISSING, KEY_LOCKED; StoreError
 */
export async function openCollectionFolder(options: CollectionFolder): Promise<OpenCollection> {
  const { folder, name, passphrases, clock, log, lifetimes, limits, stores = new Stores({}), among } = options;
  if (!(await isCollectionFolder(folder))) {
    throw new UsageError('COLLECTION_MISSING', `Opening ${name}: there is no collection in its folder`, {
      detail: { folder },
    });
  }
  const store = await stores.open(folder, name, among === 'others' ? 'assist' : 'publish');
  try {
    const health = new Health(store, clock);
    const repository = await Repository.open({
      name,
      ledger: store.ledger,
      blobs: store.blobs,
      site: store.site,
      publishes: store.siteFolder === undefined || among !== undefined ? 'when-elected' : 'always',
      signers: keysIn(folder, passphrases),
      ecosystems: ECOSYSTEM_RULES,
      inspect: inspectTarget,
      crypto: nodeCrypto,
      sha256,
      clock,
      newId: randomUUID,
      random: Math.random,
      log: (event) => {
        health.hear(event);
        log?.(event);
      },
      ...(lifetimes && { lifetimes }),
      ...(limits && { limits }),
    });
    return { name, repository, store, health };
  } catch (error) {
    await store.ledger.close();
    throw error;
  }
}

/** The online keys of a layout, one after the other. */
async function onlineSigners(plain: boolean, get: (key: KeyName) => Promise<Signer>): Promise<OnlineSigners> {
  const both = { timestamp: await get('timestamp'), snapshot: await get('snapshot') };
  if (plain) return { ...both, bins: await get('bins') };
  return {
    ...both,
    recent: await get('recent'),
    unclaimed: await get('unclaimed'),
    decisions: await get('decisions'),
  };
}

/**
 * Looks for online keys in a collection's folder: a rotated one lies beside the
 * first one, under its id.
 *   keys/<kind>-<first 16 digits of the key id>.pem, else keys/<kind>.pem
 */
export function keysIn(folder: string, passphrases: Passphrases): FindOnlineKey {
  return async (kind, keyIds) => {
    for (const keyId of keyIds) {
      const file = keyFile(folder, kind, keyId);
      if (await exists(file)) return await openKeyFile(file, await passphrases(kind));
    }
    if (!(await exists(keyFile(folder, kind)))) return undefined;
    const first = await openKeyFile(keyFile(folder, kind), await passphrases(kind));
    return keyIds.includes(first.keyId) ? first : undefined;
  };
}

/**
 * Makes another online key in a collection's folder. It counts for nothing
 * until the quorum names it; the service finds it then.
 *
 * @throws SignerError KEY_LOCKED; StoreError
 */
export async function createOnlineKey(folder: string, kind: OnlineKind, passphrases: Passphrases): Promise<Signer> {
  const aside = join(folder, 'keys', `.${kind}-${randomUUID()}.pem`);
  const signer = await createKeyFile(aside, await passphrases(kind));
  await rename(aside, keyFile(folder, kind, signer.keyId));
  return signer;
}

/** One of a collection's first keys; made where there is none. @throws SignerError; StoreError */
export async function openOrMakeKey(folder: string, key: KeyName, passphrases: Passphrases): Promise<Signer> {
  const [file, passphrase] = [keyFile(folder, key), await passphrases(key)];
  return await ((await exists(file)) ? openKeyFile(file, passphrase) : createKeyFile(file, passphrase));
}

/** Opens the offline key of a collection, for the operator's own commands. @throws SignerError */
export async function openOfflineKey(folder: string, passphrases: Passphrases): Promise<Signer> {
  return await openKeyFile(keyFile(folder, 'offline'), await passphrases('offline'));
}

/** Issues a token for an account and keeps its hash only. @param token one that another collection admits too */
export async function issueToken(
  store: Pick<CollectionStore, 'ledger'>,
  account: string,
  token = newToken(),
): Promise<string> {
  await store.ledger.addToken(tokenHash(token), account);
  return token;
}

/** A new token. Nothing admits it before it is issued. */
export function newToken(): string {
  return `cst_${randomBytes(32).toString('base64url')}`;
}

/** The hash that stands for a token in the ledger. */
export function tokenHash(token: string): string {
  return hex(sha256(Buffer.from(token)));
}

/**
 * Passphrases from the environment (`COUNTERSIGN_PASSPHRASE_OFFLINE` and so
 * on), else from 0600 files in the collection's folder.
 *
 * @param create makes a random one where there is none: development mode
 * @throws SignerError KEY_LOCKED when there is none
 */
export function passphrasesOf(folder: string, env: NodeJS.ProcessEnv, create: 'create' | 'require'): Passphrases {
  return async (key) => {
    const given = env[`COUNTERSIGN_PASSPHRASE_${key.toUpperCase()}`] ?? env['COUNTERSIGN_PASSPHRASE'];
    if (given !== undefined && given !== '') return given;
    const file = join(folder, 'passphrases', key);
    const kept = await readFile(file, 'utf8').catch(() => undefined); // absent: made or refused below
    if (kept !== undefined) return kept.trim();
    if (create === 'require') {
      throw new SignerError('KEY_LOCKED', `Opening the ${key} key: no passphrase was given`, {
        detail: { variable: `COUNTERSIGN_PASSPHRASE_${key.toUpperCase()}`, file },
      });
    }
    await mkdir(join(folder, 'passphrases'), { recursive: true, mode: 0o700 });
    const made = randomBytes(24).toString('base64url');
    await writeFile(file, `${made}\n`, { mode: 0o600, flag: 'wx' });
    return made;
  };
}

/** Refuses a collection name that would not be one plain path segment. @throws UsageError USAGE_INVALID */
export function requireCollectionName(name: string): void {
  // `api` and `health` are the service's own addresses.
  if (/^[a-z0-9][a-z0-9-]{0,62}$/.test(name) && name !== 'api' && name !== 'health') return;
  throw new UsageError('USAGE_INVALID', 'Naming a collection: use lower-case letters, digits and hyphens', {
    detail: { name: name.slice(0, 80) },
  });
}

const ECOSYSTEM_RULES: EcosystemRules = {
  project: (ecosystem, name) => ecosystemOf(ecosystem).project(name),
  projectOfSegment(ecosystem, segment) {
    // A name's one slash is written `@` in a segment; no name begins with a slash.
    const project = ecosystemOf(ecosystem).project(segment.replace(/(?<=.)@/, '/'));
    if (project.segment === segment) return project;
    throw new AdmissionError('NAME_INVALID', 'Reading a path: its third segment stands for no project');
  },
  checkFileName: (project, file) => ecosystemOf(project.ecosystem).checkFileName(project, file),
  immutable: (ecosystem) => ecosystem === 'npm',
};

async function inspectTarget({ ownerRole, target }: NewTarget, content: AsyncIterable<Uint8Array>): Promise<void> {
  const project = projectOfRole(ownerRole);
  const ecosystem = ecosystemOf(project.ecosystem);
  const fileName = target.path.slice(target.path.lastIndexOf('/') + 1);
  const inspected = await ecosystem.inspect(content, { fileName, project });
  if (ecosystem.entryMatches(target, inspected)) return;
  throw new AdmissionError('ENTRY_INVALID', `Reading ${target.path}: its index entry does not say what the file says`, {
    detail: { path: target.path },
  });
}

function projectOfRole(ownerRole: string): Project {
  const read = readOwnerRoleName(ownerRole);
  if (read !== undefined) return ecosystemOf(read.ecosystem).project(read.name);
  throw new AdmissionError('NAME_INVALID', 'Reading an owner role: it names no project');
}

function keyFile(folder: string, key: KeyName, keyId?: KeyId): string {
  return join(folder, 'keys', keyId === undefined ? `${key}.pem` : `${key}-${keyId.slice(0, 16)}.pem`);
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}
