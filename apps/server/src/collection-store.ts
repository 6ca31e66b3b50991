// Where a collection's state lives: in its folder, or in a PostgreSQL database
// and an object store that several machines share. Which of the two is a fact
// of the collection, kept in `<folder>/storage.json`. Secrets come from the
// environment alone: they are never written, and no error holds one.

import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StoreError, UsageError } from '@countersign/core';
import type { BlobStore, Site } from '@countersign/repository';
import { openEmbeddedStore } from '@countersign/repository/embedded';
import type { WholeLedger } from '@countersign/repository/operations';
import type { PostgresDatabase } from '@countersign/repository/postgres';

/** The three ports of a collection. */
export interface CollectionStore {
  readonly ledger: WholeLedger;
  readonly blobs: BlobStore;
  readonly site: Site;
  /** The folder that a web server may serve; `undefined` when the site lies in an object store. */
  readonly siteFolder: string | undefined;
}

/** What the machines that serve a collection together share. */
export interface SharedPlace {
  /** Such as `postgres://countersign@db.example.org/countersign`. */
  readonly database: string;
  /** Endpoint, bucket and folder, such as `https://s3.example.org/packages/tuf?region=eu-central-1`. */
  readonly store: string;
}

/** What opens the shared places. */
export interface StoreSecrets {
  readonly databasePassword?: string | undefined;
  readonly accessKeyId?: string | undefined;
  readonly secretAccessKey?: string | undefined;
  readonly sessionToken?: string | undefined;
}

/** Secrets of shared storage, by the variables that hold them. */
export const STORE_VARIABLES = {
  databasePassword: 'COUNTERSIGN_DATABASE_PASSWORD',
  accessKeyId: 'COUNTERSIGN_STORE_ACCESS_KEY_ID',
  secretAccessKey: 'COUNTERSIGN_STORE_SECRET_ACCESS_KEY',
  sessionToken: 'COUNTERSIGN_STORE_SESSION_TOKEN',
} as const;

/** The secrets of shared storage in an environment. */
export function storeSecretsOf(env: Readonly<Record<string, string | undefined>>): StoreSecrets {
  const given = (name: keyof typeof STORE_VARIABLES): string | undefined => env[STORE_VARIABLES[name]] || undefined;
  return {
    databasePassword: given('databasePassword'),
    accessKeyId: given('accessKeyId'),
    secretAccessKey: given('secretAccessKey'),
    sessionToken: given('sessionToken'),
  };
}

/** The stores that one process has open. Collections in one database share its connections. */
export class Stores {
  private readonly secrets: StoreSecrets;
  private readonly instead: Partial<SharedPlace>;
  private readonly databases = new Map<string, Promise<PostgresDatabase>>();

  /** @param instead where shared collections are for this process, if not where their folders say */
  constructor(secrets: StoreSecrets, instead: Partial<SharedPlace> = {}) {
    this.secrets = secrets;
    this.instead = instead;
  }

  /**
   * Opens the store of a collection.
   *
   * @param use as of `openEmbeddedStore`; who publishes to a shared place is elected
   * @throws UsageError COLLECTION_MISSING, COLLECTION_BUSY, CONFIG_INVALID; StoreError, STORE_UNSAFE when the store would not keep what it is given
   */
  async open(folder: string, name: string, use: 'publish' | 'assist' = 'assist'): Promise<CollectionStore> {
    const place = await placeOf(folder);
    if (place !== undefined) return await this.openShared({ ...place, ...this.instead }, folder, name);
    if (!(await exists(join(folder, 'ledger.sqlite')))) {
      throw new UsageError('COLLECTION_MISSING', `Opening ${name}: there is no collection in its folder`, {
        detail: { folder },
      });
    }
    if (Object.keys(this.instead).length > 0) {
      throw new UsageError('CONFIG_INVALID', `Opening ${name}: it lives in its folder, and not where you say`, {
        detail: { folder },
      });
    }
    return await openEmbeddedStore(folder, use);
  }

  /** Opens a shared place for a collection, which need not be there yet. @throws as {@link Stores.open} */
  async openShared(place: SharedPlace, folder: string, name: string): Promise<CollectionStore> {
    const { openS3Store } = await import('@countersign/repository/s3');
    const spoolFolder = join(folder, 'uploads');
    const options = { ...bucketOf(place.store, name), ...this.storeKeys(), spoolFolder };
    const database = await this.database(place.database);
    await clearSpool(spoolFolder);
    const { blobs, site } = await openS3Store(options);
    return { ledger: await database.ledger(name), blobs, site, siteFolder: undefined };
  }

  /** To be called after all ledgers are closed. */
  async close(): Promise<void> {
    const open = [...this.databases.values()];
    this.databases.clear();
    for (const database of open)
      await database.then(
        (one) => one.close(),
        () => undefined,
      ); // it never opened
  }

  private async database(url: string): Promise<PostgresDatabase> {
    const known = this.databases.get(url);
    if (known !== undefined) return await known;
    const { openPostgres } = await import('@countersign/repository/postgres');
    const opening = openPostgres({ url: withPassword(url, this.secrets.databasePassword) });
    this.databases.set(url, opening);
    return await opening.catch((error: unknown) => {
      this.databases.delete(url);
      throw error;
    });
  }

  private storeKeys(): { accessKeyId: string; secretAccessKey: string; sessionToken?: string } {
    const { accessKeyId, secretAccessKey, sessionToken } = this.secrets;
    if (accessKeyId === undefined || secretAccessKey === undefined) {
      const missing = accessKeyId === undefined ? STORE_VARIABLES.accessKeyId : STORE_VARIABLES.secretAccessKey;
      throw new UsageError('CONFIG_INVALID', 'Opening the object store: its keys are not in the environment', {
        detail: { variable: missing },
      });
    }
    return { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) };
  }
}

/** Where a collection says that it lives; `undefined` when that is in its folder. @throws UsageError CONFIG_INVALID */
export async function placeOf(folder: string): Promise<SharedPlace | undefined> {
  const file = join(folder, PLACE_FILE);
  const text = await readFile(file, 'utf8').catch(() => undefined); // absent
  if (text === undefined) return undefined;
  const { database, store } = objectOf(text);
  if (typeof database === 'string' && typeof store === 'string') return requirePlace({ database, store });
  throw new UsageError('CONFIG_INVALID', `Reading ${file}: it does not say where the collection is`, {
    detail: { file },
  });
}

/** Keeps where a collection lives, without any password. */
export async function keepPlace(folder: string, place: SharedPlace): Promise<void> {
  const file = join(folder, PLACE_FILE);
  const database = new URL(place.database);
  database.password = '';
  database.searchParams.delete('password');
  try {
    await writeFile(`${file}.partial`, `${JSON.stringify({ ...place, database: database.href }, null, 2)}\n`);
    await rename(`${file}.partial`, file);
  } catch (cause) {
    throw new StoreError('STORE_WRITE', 'Keeping where the collection lives: the file cannot be written', {
      detail: { file },
      cause,
    });
  }
}

/** Whether a folder holds a collection, or says where it is. */
export async function isCollectionFolder(folder: string): Promise<boolean> {
  return (await exists(join(folder, 'ledger.sqlite'))) || (await exists(join(folder, PLACE_FILE)));
}

/** Refuses a place that cannot be one. @throws UsageError CONFIG_INVALID */
export function requirePlace(place: SharedPlace): SharedPlace {
  if (!URL.canParse(place.database) || !/^postgres(?:ql)?:$/.test(new URL(place.database).protocol)) {
    // Not shown, because it may hold a password.
    throw new UsageError('CONFIG_INVALID', 'Reading where the database is: a postgres:// address is required');
  }
  bucketOf(place.store, '');
  return place;
}

function bucketOf(store: string, name: string): { endpoint: string; bucket: string; prefix: string; region?: string } {
  const url = URL.canParse(store) ? new URL(store) : undefined;
  const [bucket, ...folders] = (url?.pathname ?? '').split('/').filter((part) => part !== '');
  if (url === undefined || !/^https?:$/.test(url.protocol) || bucket === undefined || url.username !== '') {
    throw new UsageError(
      'CONFIG_INVALID',
      'Reading where the object store is: an address such as https://s3.example.org/bucket/folder is required, without keys',
    );
  }
  const region = url.searchParams.get('region');
  const prefix = [...folders, name, ''].join('/');
  return { endpoint: url.origin, bucket, prefix, ...(region !== null && { region }) };
}

function withPassword(url: string, password: string | undefined): string {
  if (password === undefined) return url;
  const full = new URL(url);
  full.searchParams.set('password', password);
  return full.href;
}

/** What a killed process left of uploads. Others may be under way: another process may serve from this folder. */
async function clearSpool(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const name of await readdir(folder)) {
      const file = join(folder, name);
      if (name.startsWith('.')) continue;
      const { mtimeMs } = await stat(file);
      if (mtimeMs < Date.now() - ABANDONED_MILLIS) await rm(file, { force: true });
    }
  } catch (cause) {
    throw new StoreError('STORE_WRITE', 'Making a folder for uploads: the file system refused', {
      detail: { folder },
      cause,
    });
  }
}

function objectOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {}; // the caller says what is missing
  }
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

const PLACE_FILE = 'storage.json';
const ABANDONED_MILLIS = 24 * 60 * 60 * 1000;
