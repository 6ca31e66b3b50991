// A collection in one hand for the repository's tests: seeded keys, a clock
// that only moves when told, authors who sign what a test wants (also what no
// author tool would), and a client that has seen everything published so far.

import { nodeCrypto, sha256 } from '@countersign/client/node';
import {
  AdmissionError,
  canonicalBytes,
  type Delegations,
  days,
  driveCrypto,
  driveSync,
  editTargets,
  type Found,
  type FreshState,
  find,
  type Instant,
  type JsonObject,
  keyIdOf,
  type Listing,
  list,
  openEnvelope,
  ownerRoleName,
  type Project,
  projectDirectory,
  readRoot,
  readTargets,
  refresh,
  requireTargetPath,
  type Signer,
  type SyncPorts,
  signFile,
  start,
  type TargetFile,
  type Targets,
  targetUrl,
  utf8Text,
} from '@countersign/core';
import { quorumOf, type Register, readTile, replayList } from '@countersign/decisions';
import { seededKey } from '@countersign/testkit';
import {
  type BinsGenesis,
  createCollection,
  DEFAULT_LIFETIMES,
  draftSession,
  type EcosystemRules,
  type OnlineSigners,
  Repository,
  type RepositoryEvent,
  type RepositoryOptions,
  type SubmissionParts,
  signClaim,
  signSession,
  submissionText,
} from '../src/index.ts';
import { type Disk, emptyDisk, factsOf, memoryStore, type Step } from './memory-store.ts';

export { nodeCrypto, sha256 };

/** Where every test's clock begins. */
export const BEGIN: Instant = Date.UTC(2030, 0, 1);
export const HOUR = 3_600_000;
export const TEN_YEARS = days(3650);

export const OFFLINE = [seededKey('offline 1'), seededKey('offline 2')];
export const ONLINE: Required<OnlineSigners> = {
  timestamp: seededKey('timestamp'),
  snapshot: seededKey('snapshot'),
  recent: seededKey('recent'),
  unclaimed: seededKey('unclaimed'),
  decisions: seededKey('decisions'),
  bins: seededKey('bins'),
};

/** Two made-up ecosystems: in `pkg` published content is for ever, in `any` it may change. */
export const ECOSYSTEMS: EcosystemRules = {
  project(ecosystem, name) {
    const normal = name.toLowerCase();
    if (!['pkg', 'any'].includes(ecosystem) || !/^[a-z0-9@][a-z0-9@._-]{0,250}$/.test(normal)) {
      throw new AdmissionError('NAME_INVALID', 'Reading a name: it is none');
    }
    return { ecosystem, name: normal, segment: normal };
  },
  projectOfSegment: (ecosystem, segment) => ECOSYSTEMS.project(ecosystem, segment),
  checkFileName(_project, file) {
    if (!/^[\w.-]+$/.test(file)) throw new AdmissionError('ENTRY_INVALID', 'Checking a file name: it is none');
  },
  immutable: (ecosystem) => ecosystem === 'pkg',
};

export interface Clock {
  now: Instant;
}

export interface World {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly anchor: Uint8Array;
  readonly events: RepositoryEvent[];
  /** A repository over the disk, as a process that starts now would open it. */
  open(more?: Partial<RepositoryOptions>, step?: Step): Promise<Repository>;
}

/** A new collection in memory, shown on its site. */
export async function newWorld(shardDigits = 1, bins?: BinsGenesis, lifetimes = DEFAULT_LIFETIMES): Promise<World> {
  const disk = emptyDisk();
  const clock = { now: BEGIN };
  const events: RepositoryEvent[] = [];
  const { ledger, site } = memoryStore(disk);
  const genesis = { offline: OFFLINE, threshold: 2, online: ONLINE, shardDigits, lifetimes, ...(bins && { bins }) };
  const anchor = await createCollection(ledger, genesis, clock.now, sha256);
  await site.showFiles((await ledger.made(1)).files);
  let ids = 0;
  return {
    disk,
    clock,
    anchor,
    events,
    open: (more, step) =>
      Repository.open({
        name: 'main',
        ...memoryStore(disk, step),
        signers: ONLINE,
        ecosystems: ECOSYSTEMS,
        inspect: async () => undefined,
        crypto: nodeCrypto,
        sha256,
        clock: () => clock.now,
        newId: () => `submission-${++ids}`,
        log: (event) => void events.push(event),
        ...more,
      }),
  };
}

/** An author's project, with the keys that own it. */
export interface Author {
  readonly project: Project;
  readonly keys: readonly Signer[];
  readonly role: string;
  readonly directory: string;
}

export function author(
  name: string,
  { ecosystem = 'pkg', keys = [seededKey(`author of ${name}`)] }: { ecosystem?: string; keys?: readonly Signer[] } = {},
): Author {
  const project = ECOSYSTEMS.project(ecosystem, name);
  return {
    project,
    keys,
    role: ownerRoleName(project, 1),
    directory: projectDirectory(project, sha256),
  };
}

/** A role file: the next version after `previous` with the edit, signed. */
export async function roleText(
  previous: Targets | undefined,
  edit: Partial<Parameters<typeof editTargets>[1]> & { readonly version?: number },
  signers: readonly Signer[],
): Promise<string> {
  const { version, ...rest } = edit;
  const draft = new Map(editTargets(previous, { expires: BEGIN + TEN_YEARS, ...rest }));
  if (version !== undefined) draft.set('version', version);
  return textOf(await signFile(draft, signers));
}

/** The content of a role file's text, whoever signed it. */
export function contentOf(text: string, role = 'a role'): Targets {
  return readTargets(openEnvelope(new TextEncoder().encode(text), role).signed, role);
}

/** A claim with the empty first version of the owner role. */
export async function claimOf(
  { project, keys, role }: Author,
  edit: Parameters<typeof roleText>[1] = {},
  threshold = keys.length,
): Promise<string> {
  const file = await roleText(undefined, edit, keys);
  return submissionText({ roles: [{ role, file }], decisions: [await signClaim('main', project, keys, threshold)] });
}

/** The list of decisions, replayed from what the site serves. */
export function replayed(world: Pick<World, 'disk' | 'anchor'>): Register {
  const root = readRoot(openEnvelope(world.anchor, 'root').signed);
  const quorum = quorumOf(root, sha256Hex(world.anchor));
  const rules = {
    collection: 'main',
    crypto: nodeCrypto,
    quorum: (version: number) => (version === 1 ? quorum : undefined),
  };
  const role = presentOf(world, 'decisions');
  const lines: string[] = [];
  for (let tile = 0; role?.targets.has(`decisions/${tile}.jsonl`); tile++) {
    const digest = role.targets.get(`decisions/${tile}.jsonl`)?.hashes.get('sha256') ?? '';
    lines.push(
      ...readTile(textOf(world.disk.site.get(`targets/decisions/${digest}.${tile}.jsonl`) ?? new Uint8Array())),
    );
  }
  return replayList(rules, lines);
}

/** A session that countersigns all that is listed, but for some names. */
export async function sessionOf(
  world: World,
  { except = [], by = OFFLINE }: { except?: readonly string[]; by?: readonly Signer[] } = {},
): Promise<SubmissionParts & { readonly roles: readonly { readonly role: string; readonly file: string }[] }> {
  const draft = await draftSession({
    register: replayed(world),
    digits: 1,
    versionOf: (shard) => presentOf(world, shard)?.version ?? 0,
    projectOf: (ecosystem, name) => ECOSYSTEMS.project(ecosystem, name),
    expires: BEGIN + days(365),
    except,
  });
  if (draft === undefined) throw new Error('The session would change nothing');
  const { roles = [], ...parts } = await signSession(draft, by);
  return { ...parts, roles };
}

/** A submission of role files only. */
export function submissionOf(...roles: readonly (readonly [role: string, file: string])[]): string {
  return submissionText({ roles: roles.map(([role, file]) => ({ role, file })) });
}

/** A target in an author's directory with this content. */
export function targetOf(
  by: Pick<Author, 'directory'>,
  file: string,
  content: string,
  custom?: JsonObject,
): TargetFile {
  const facts = factsOf(Buffer.from(content));
  const hashes = new Map([
    ['sha256', facts.sha256],
    ['sha512', facts.sha512],
  ]);
  return { path: `${by.directory}/${file}`, length: facts.length, hashes, custom };
}

/** Uploads the content of targets. */
export async function upload(repository: Repository, ...contents: readonly string[]): Promise<void> {
  for (const content of contents) {
    const bytes = Buffer.from(content);
    await repository.putBlob(factsOf(bytes).sha256, once(bytes));
  }
}

export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}

/** Submits, and waits until it is published. */
export async function publish(repository: Repository, text: string): Promise<void> {
  await (await repository.submit(text)).published;
}

/** The present content of a role, from the disk. */
export function presentOf(world: Pick<World, 'disk'>, role: string): Targets | undefined {
  const bytes = world.disk.roles.get(role)?.bytes;
  return bytes && contentOf(textOf(bytes), role);
}

/** Delegations to one release role of an owner. */
export function delegationsTo(
  roles: readonly { readonly name: string; readonly keys: readonly Signer[]; readonly patterns: readonly string[] }[],
): Delegations {
  return {
    keys: new Map(roles.flatMap(({ keys }) => keys.map(({ keyId, key }) => [keyId, key] as const))),
    roles: roles.map(({ name, keys, patterns }) => ({
      name,
      keyIds: keys.map(({ keyId }) => keyId),
      threshold: keys.length,
      terminating: false,
      paths: { by: 'pattern', patterns },
    })),
    succinct: undefined,
  };
}

/** A client of the site that keeps what it trusts between refreshes. */
export interface Watcher {
  readonly state: FreshState;
  refresh(now?: Instant): FreshState;
  find(path: string): Found | undefined;
  list(directory: string): Listing;
  /** Finds a target and checks that its content is served under both digests. */
  fetch(path: string): string | undefined;
}

export function watcher(world: Pick<World, 'disk' | 'anchor' | 'clock'>): Watcher {
  const kept = new Map<string, Uint8Array>();
  const ports: SyncPorts = {
    crypto: nodeCrypto,
    state: {
      load: (name) => kept.get(name),
      save: (name, bytes) => void kept.set(name, bytes),
      drop: (name) => void kept.delete(name),
    },
    source: { fetch: ({ url }) => world.disk.site.get(`metadata/${url}`) },
  };
  let state = driveSync(refresh(driveSync(start(world.anchor), ports), world.clock.now), ports);
  const found = (path: string): Found | undefined => driveSync(find(state, path, world.clock.now), ports);
  return {
    get state() {
      return state;
    },
    refresh(now = world.clock.now) {
      state = driveSync(refresh(state, now), ports);
      return state;
    },
    find: found,
    list: (directory) => driveSync(list(state, directory, world.clock.now), ports),
    fetch(path) {
      const target = found(path)?.target;
      if (target === undefined) return undefined;
      const texts = [...target.hashes.values()].map((digest) => {
        const bytes = world.disk.site.get(`targets/${targetUrl(requireTargetPath(path), digest)}`);
        if (
          bytes === undefined ||
          !target.hashes.has('sha256') ||
          factsOf(bytes).sha256 !== target.hashes.get('sha256')
        )
          throw new Error(`${path} is not served under ${digest}`);
        return textOf(bytes);
      });
      return texts[0];
    },
  };
}

/** The code of what a promise or function fails with; `undefined` when it does not. Anything untyped is thrown on. */
export async function codeOf(run: Promise<unknown> | (() => unknown)): Promise<string | undefined> {
  try {
    await (typeof run === 'function' ? run() : run);
    return undefined;
  } catch (error) {
    if (error instanceof Error && 'code' in error && 'detail' in error) return String(error.code);
    throw error;
  }
}

/** What a submission is refused with; requires that nothing changed by it. */
export async function refusalOf(world: World, repository: Repository, text: string): Promise<string | undefined> {
  const facts = (): string =>
    JSON.stringify([
      world.disk.publications.length,
      [...world.disk.roles].map(([role, { version, sha256 }]) => [role, version, sha256]),
      [...world.disk.journal.keys()],
      [...world.disk.site.keys()].sort(),
      [...world.disk.shown],
      repository.status(),
    ]);
  const before = facts();
  const code = await codeOf(repository.submit(text));
  await repository.renew();
  if (facts() !== before) throw new Error(`${code ?? 'Acceptance'} changed the collection`);
  return code;
}

/** The key id that the key must have. */
export function properKeyId(json: JsonObject): string {
  return sha256Hex(canonicalBytes(json));
}

export function textOf(bytes: Uint8Array): string {
  const text = utf8Text(bytes);
  if (text === undefined) throw new Error('not UTF-8');
  return text;
}

function sha256Hex(bytes: Uint8Array): string {
  return Buffer.from(sha256(bytes)).toString('hex');
}

export { driveCrypto, keyIdOf };
