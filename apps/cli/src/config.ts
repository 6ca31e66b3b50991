// Settings: flags, then COUNTERSIGN_* variables, then countersign.json, then
// defaults. One table says what exists; anything else is refused, because a
// misspelt setting that is silently ignored leaves its author believing in a
// protection that is not there. Secrets come from the environment or from
// files of their own, never from flags or countersign.json.

import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { UsageError } from '@countersign/core';
import type { Shell } from './shell.ts';

/** Every setting, resolved. Paths are absolute. */
export interface Config {
  /** Folder for everything this command keeps. */
  readonly state: string;
  /** Base URL of the collection, without a slash at its end. */
  readonly url: string;
  /** The collection's name: the last segment of its URL. */
  readonly collection: string;
  /** File of the trusted root. */
  readonly root: string;
  /** File of the token to submit with. */
  readonly tokenFile: string;
  /** File of the author's key. */
  readonly key: string;
  /** Whether the user named that file. */
  readonly keyGiven: boolean;
  readonly host: string;
  readonly port: number;
  /** How many processes serve; `auto` for one a core. */
  readonly processes: number | 'auto';
  readonly gatewayPort: number;
  readonly refreshSeconds: number;
  readonly relayUnlisted: boolean;
  /** What to do about owners whom the ones before them did not appoint. */
  readonly newOwners: 'show' | 'stop';
  /** Collections to serve; `undefined` for all there are. */
  readonly collections: readonly string[] | undefined;
  /** Where shared collections are; empty to go by what their folders say. */
  readonly shared: { readonly database?: string; readonly store?: string };
}

/** Settings as given, before each is read as what it must be. */
export type Settings = { readonly [S in SettingName]?: string | number | boolean };

/** The name of a setting. */
export type SettingName = keyof typeof SETTINGS;

/**
 * Resolves the settings of a command.
 *
 * @param flags what the command line gave, with paths relative to the current folder
 * @throws UsageError CONFIG_INVALID naming the setting and where it came from
 * @example const { url } = await loadConfig(shell, { url: 'http://127.0.0.1:7410/main' });
 */
export async function loadConfig(
  shell: Pick<Shell, 'cwd' | 'env'>,
  flags: Settings & { readonly config?: string },
): Promise<Config> {
  const { cwd, env } = shell;
  refuseUnknownVariables(env);
  const { config, ...given } = flags;
  const named = config ?? nonEmpty(env['COUNTERSIGN_CONFIG']);
  const file = resolve(cwd, named ?? 'countersign.json');
  const sources: readonly Source[] = [
    { name: 'the command line', folder: cwd, values: given },
    { name: 'the environment', folder: cwd, values: fromEnvironment(env) },
    { name: file, folder: dirname(file), values: await fromFile(file, named !== undefined) },
  ];
  return complete(sources, cwd);
}

/** The variables that this command reads, with what each is for. */
export function knownVariables(): ReadonlyMap<string, string> {
  const known = new Map<string, string>(OTHER_VARIABLES);
  for (const [name, about] of Object.entries(SETTINGS)) known.set(variableOf(name), about);
  return known;
}

interface Source {
  readonly name: string;
  readonly folder: string;
  readonly values: Readonly<Record<string, unknown>>;
}

function complete(sources: readonly Source[], cwd: string): Config {
  const text = (name: SettingName): string | undefined => {
    const found = lookUp(sources, name);
    if (found === undefined) return undefined;
    if (typeof found.value === 'string' && found.value !== '') return found.value;
    throw invalid(name, found.source, 'a text is required');
  };
  const path = (name: SettingName): string | undefined => {
    const value = text(name);
    return value === undefined ? undefined : resolve(lookUp(sources, name)?.source.folder ?? cwd, value);
  };
  const number = (name: SettingName, most: number): number | undefined => {
    const found = lookUp(sources, name);
    if (found === undefined) return undefined;
    const value = typeof found.value === 'string' && /^\d{1,6}$/.test(found.value) ? Number(found.value) : found.value;
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most) return value;
    throw invalid(name, found.source, `a whole number from 0 to ${most} is required`);
  };
  const flag = (name: SettingName): boolean | undefined => {
    const found = lookUp(sources, name);
    if (found === undefined) return undefined;
    if (found.value === true || found.value === 'true' || found.value === '1') return true;
    if (found.value === false || found.value === 'false' || found.value === '0') return false;
    throw invalid(name, found.source, 'true or false is required');
  };
  const choice = <T extends string>(name: SettingName, choices: readonly T[]): T | undefined => {
    const found = lookUp(sources, name);
    const chosen = choices.find((one) => one === found?.value);
    if (found === undefined || chosen !== undefined) return chosen;
    throw invalid(name, found.source, `${choices.join(' or ')} is required`);
  };
  const list = (name: SettingName): readonly string[] | undefined => {
    const found = lookUp(sources, name);
    if (found === undefined) return undefined;
    const value: unknown = typeof found.value === 'string' ? found.value.split(',') : found.value;
    if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value;
    throw invalid(name, found.source, 'a list of names is required');
  };
  const processes = (): number | 'auto' => {
    const found = lookUp(sources, 'processes');
    if (found?.value === 'auto') return 'auto';
    const count = number('processes', MOST_PROCESSES);
    if (found === undefined || count === undefined) return 1;
    if (count > 0) return count;
    throw invalid('processes', found.source, 'one at least is required, or `auto`');
  };
  const state = path('state') ?? join(cwd, '.countersign');
  const host = text('host') ?? '127.0.0.1';
  const port = number('port', 65_535) ?? 7410;
  const given = text('url');
  const { url, collection } = collectionOf(
    given ?? `http://${urlHost(host)}:${port}/${text('collection') ?? 'main'}`,
    sources,
  );
  return {
    state,
    url,
    collection,
    root: path('root') ?? join(state, `${collection}.root.json`),
    tokenFile: path('tokenFile') ?? join(state, `${collection}.token`),
    key: path('key') ?? join(state, 'author', 'key.pem'),
    keyGiven: path('key') !== undefined,
    host,
    port,
    processes: processes(),
    gatewayPort: number('gatewayPort', 65_535) ?? 7411,
    refreshSeconds: number('refreshSeconds', 86_400) ?? 5,
    relayUnlisted: flag('relayUnlisted') ?? false,
    newOwners: choice('newOwners', ['show', 'stop']) ?? 'show',
    collections: list('collections'),
    shared: sharedOf(sources, text('database'), text('store')),
  };
}

/** Addresses of shared storage; passwords only from where nobody else can read them. */
function sharedOf(
  sources: readonly Source[],
  database: string | undefined,
  store: string | undefined,
): Config['shared'] {
  const holds = (text: string | undefined): boolean =>
    text !== undefined && URL.canParse(text) && (new URL(text).password !== '' || /[?&]password=/.test(text));
  const from = lookUp(sources, 'database')?.source;
  if (from !== undefined && from !== sources[1] && holds(database)) {
    throw invalid('database', from, 'a password is for COUNTERSIGN_DATABASE_PASSWORD alone');
  }
  return { ...(database !== undefined && { database }), ...(store !== undefined && { store }) };
}

function collectionOf(text: string, sources: readonly Source[]): { url: string; collection: string } {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const source = lookUp(sources, 'url')?.source ?? { name: 'the defaults', folder: '', values: {} };
  if (
    url === undefined ||
    !/^https?:$/.test(url.protocol) ||
    url.search !== '' ||
    url.hash !== '' ||
    url.username !== ''
  ) {
    throw invalid('url', source, 'an http or https address without query is required');
  }
  const path = url.pathname.replace(/\/+$/, '');
  const collection = path.slice(path.lastIndexOf('/') + 1);
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(collection)) {
    throw invalid('url', source, 'its path must end in the name of a collection, such as /main');
  }
  return { url: url.origin + path, collection };
}

/** An address as it stands in a URL: IPv6 in brackets. */
export function urlHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

function lookUp(sources: readonly Source[], name: SettingName): { value: unknown; source: Source } | undefined {
  for (const source of sources) {
    const value = source.values[name];
    if (value !== undefined) return { value, source };
  }
  return undefined;
}

function fromEnvironment(env: Shell['env']): Record<string, unknown> {
  const names = Object.keys(SETTINGS);
  return Object.fromEntries(names.map((name) => [name, nonEmpty(env[variableOf(name)])]));
}

async function fromFile(file: string, mustExist: boolean): Promise<Record<string, unknown>> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    const absent = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    if (absent && !mustExist) return {};
    throw new UsageError('CONFIG_INVALID', `Reading ${file}: it cannot be read`, { detail: { file }, cause });
  }
  const values = parseObject(text);
  if (values === undefined) {
    throw new UsageError('CONFIG_INVALID', `Reading ${file}: it is not a JSON object`, { detail: { file } });
  }
  for (const name of Object.keys(values)) {
    if (Object.hasOwn(SETTINGS, name)) continue;
    throw new UsageError('CONFIG_INVALID', `Reading ${file}: there is no setting \`${name.slice(0, 80)}\``, {
      detail: { file, known: Object.keys(SETTINGS) },
    });
  }
  return values;
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined; // the caller names the file
  }
}

function refuseUnknownVariables(env: Shell['env']): void {
  const known = knownVariables();
  for (const name of Object.keys(env)) {
    if (!name.startsWith('COUNTERSIGN_') || known.has(name)) continue;
    throw new UsageError('CONFIG_INVALID', `Reading the environment: there is no setting ${name.slice(0, 80)}`, {
      detail: { variable: name.slice(0, 80), known: [...known.keys()] },
    });
  }
}

function invalid(name: SettingName, source: Source, problem: string): UsageError {
  return new UsageError('CONFIG_INVALID', `Reading \`${name}\` from ${source.name}: ${problem}`, {
    detail: { setting: name },
  });
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

function variableOf(name: string): string {
  return `COUNTERSIGN_${name.replace(/[A-Z]/g, '_$&').toUpperCase()}`;
}

// What each is for, with its default.
const SETTINGS = {
  state: 'folder for everything this command keeps (./.countersign)',
  url: 'base URL of the collection (http://127.0.0.1:7410/main)',
  collection: 'name of the collection when `url` is not given (main)',
  root: 'file of the trusted root (<state>/<collection>.root.json)',
  tokenFile: 'file of the token to submit with (<state>/<collection>.token)',
  key: "file of the author's key (<state>/author/key.pem)",
  host: 'address to listen on (127.0.0.1)',
  port: 'port of the service (7410)',
  processes: 'processes that serve on that port, or auto for one a core (1)',
  gatewayPort: 'port of the gateway (7411)',
  refreshSeconds: 'how often the gateway looks for news (5)',
  collections: 'collections to serve, with commas between them (all there are)',
  relayUnlisted: 'relay names that no role covers, labelled unverified (false)',
  database: 'PostgreSQL to keep collections in that several machines serve, such as postgres://user@host/name',
  store: 'bucket and folder beside that database, such as https://s3.example.org/bucket/folder?region=…',
  newOwners: 'owners whom the ones before did not appoint: show them, or stop until they are confirmed (show)',
} as const;

// More than any machine has use for.
const MOST_PROCESSES = 256;

const OTHER_VARIABLES: readonly (readonly [string, string])[] = [
  ['COUNTERSIGN_CONFIG', 'file of settings (./countersign.json)'],
  ['COUNTERSIGN_DATABASE_PASSWORD', 'password of the database'],
  ['COUNTERSIGN_STORE_ACCESS_KEY_ID', 'key id for the bucket'],
  ['COUNTERSIGN_STORE_SECRET_ACCESS_KEY', 'secret key for the bucket'],
  ['COUNTERSIGN_STORE_SESSION_TOKEN', 'session token for the bucket, if it has one'],
  ['COUNTERSIGN_TOKEN', 'the token to submit with, instead of a file'],
  ['COUNTERSIGN_PASSPHRASE', 'passphrase of every key that has none of its own'],
  ['COUNTERSIGN_PASSPHRASE_AUTHOR', "passphrase of the author's key"],
  ['COUNTERSIGN_PASSPHRASE_OFFLINE', 'passphrase of the offline key'],
  ['COUNTERSIGN_PASSPHRASE_TIMESTAMP', 'passphrase of the timestamp key'],
  ['COUNTERSIGN_PASSPHRASE_SNAPSHOT', 'passphrase of the snapshot key'],
  ['COUNTERSIGN_PASSPHRASE_RECENT', 'passphrase of the key of recent shards'],
  ['COUNTERSIGN_PASSPHRASE_UNCLAIMED', 'passphrase of the key of unclaimed shards'],
  ['COUNTERSIGN_PASSPHRASE_DECISIONS', 'passphrase of the key of the list of decisions'],
  ['COUNTERSIGN_PASSPHRASE_BINS', 'passphrase of the key of the bins of a plain collection'],
];
