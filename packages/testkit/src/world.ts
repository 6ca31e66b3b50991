// A TUF repository in memory, wholly in the hands of a test: its keys, its
// drafts, what it publishes, what it serves and what time it is. Honest unless
// told otherwise: `publish` gives every changed role its next version, signed by
// those who should. To cheat, set a version or signers by hand, tamper with a
// draft, or change `files`. Deterministic: no clock, no randomness, no network.

import { createHash } from 'node:crypto';
import type { Transport } from '@countersign/client';
import {
  type FetchPort,
  type FileMeta,
  hex,
  type Instant,
  isTopLevelRole,
  type JsonLiteral,
  type JsonObject,
  MetadataError,
  metadataUrl,
  requireTargetPath,
  type TopLevelRole,
  TransportError,
  targetUrl,
  utf8,
} from '@countersign/core';
import {
  type DelegationDraft,
  emptyDraft,
  type KeysDraft,
  type ListedAs,
  type RoleDraft,
  type RootDraft,
  rootJson,
  type SnapshotDraft,
  sealed,
  snapshotJson,
  spell,
  type Tamper,
  type TargetsDraft,
  type TimestampDraft,
  targetsJson,
  timestampJson,
} from './drafts.ts';
import { type SeededKeyType, seededKey, type WorldKey } from './keys.ts';
import { answer, type Reply, type Request, type Served, type ServedBy } from './served.ts';

/** How a world begins. */
export interface WorldOptions {
  /** Default: true. */
  readonly consistentSnapshot?: boolean;
  /** Worlds of different seeds share no key. */
  readonly seed?: string;
}

/** How a role is delegated to; the rest has defaults. */
export interface DelegateOptions {
  /** Default: one key named after the role. */
  readonly keys?: readonly WorldKey[];
  readonly threshold?: number;
  readonly terminating?: boolean;
  /** Default: everything one segment deep, `*`. */
  readonly paths?: readonly string[];
  readonly prefixes?: readonly string[];
  /** Set on the role's draft when it is new. */
  readonly expires?: Instant;
  readonly listing?: ListedAs;
}

/** What `seal` does differently from the draft. */
export interface SealOptions {
  readonly version?: number;
  readonly signers?: readonly WorldKey[];
  readonly tamper?: Tamper;
}

interface Published {
  readonly version: number;
  readonly fingerprint: string;
  readonly bytes: Uint8Array;
}

/**
 * A repository in memory.
 *
 * @example
 * const world = new World();
 * world.addTarget('targets', 'hello.txt', 'hello');
 * world.publish();
 * world.files.set('metadata/timestamp.json', { fault: 'status', status: 500 });
 */
export class World implements ServedBy {
  /** The clock that every door reads. */
  now: Instant = START;
  readonly root: RootDraft;
  readonly timestamp: TimestampDraft;
  readonly snapshot: SnapshotDraft;
  readonly targets: TargetsDraft;
  /** Delegated roles by name. */
  readonly roles = new Map<string, TargetsDraft>();
  /** What is served, by URL relative to {@link baseUrl}. */
  readonly files = new Map<string, Served>();
  /** Every request so far, in order. */
  readonly requests: Request[] = [];
  /** The status for what is not there. */
  absentStatus = 404;
  /** The root that users pin: version 1, unless a test sets another. */
  anchor: Uint8Array | undefined;
  readonly baseUrl = 'https://world.test/';

  readonly #seed: string;
  readonly #published = new Map<string, Published>();
  readonly #blobs = new Map<string, Uint8Array>();
  /** All that was ever published, by URL. */
  readonly #history = new Map<string, Uint8Array>();
  #rootSigners: readonly WorldKey[] = [];

  constructor(options: WorldOptions = {}) {
    this.#seed = options.seed ?? 'world';
    const one = (name: string): KeysDraft => ({ keys: [this.key(name)], threshold: 1 });
    const quorum = { keys: ['root-1', 'root-2', 'root-3'].map((name) => this.key(name)), threshold: 2 };
    this.root = {
      ...emptyDraft(START + 365 * DAY),
      consistentSnapshot: options.consistentSnapshot ?? true,
      roles: new Map<TopLevelRole, KeysDraft>([
        ['root', quorum],
        ['timestamp', one('timestamp')],
        ['snapshot', one('snapshot')],
        ['targets', one('targets')],
      ]),
    };
    this.timestamp = { ...emptyDraft(START + DAY), listing: 'full' };
    this.snapshot = { ...emptyDraft(START + 90 * DAY), meta: new Map() };
    this.targets = newTargets(START + 365 * DAY, 'full');
  }

  get metadataUrl(): string {
    return `${this.baseUrl}metadata/`;
  }

  get targetsUrl(): string {
    return `${this.baseUrl}targets/`;
  }

  /** The key of a name in this world; the same name is the same key. */
  key(name: string, type?: SeededKeyType): WorldKey {
    return seededKey(`${this.#seed} ${name}`, type);
  }

  /** The draft of a targets role. */
  role(name: string): TargetsDraft {
    const draft = name === 'targets' ? this.targets : this.roles.get(name);
    if (draft === undefined) throw new TypeError(`The world has no role ${name}`);
    return draft;
  }

  /** Sets the keys of a top-level role: a rotation, once published. */
  authorise(role: TopLevelRole, keys: readonly WorldKey[], threshold = 1): void {
    this.root.roles.set(role, { keys, threshold });
  }

  /** Delegates from one targets role to another, whose draft is made unless it is there. */
  delegate(parent: string, name: string, options: DelegateOptions = {}): TargetsDraft {
    const { keys = [this.key(name)], threshold = 1, terminating = false, prefixes } = options;
    const scope = prefixes === undefined ? { paths: options.paths ?? ['*'] } : { prefixes };
    this.role(parent).delegations.push({ name, keys, threshold, terminating, ...scope });
    const known = this.roles.get(name);
    if (known !== undefined) return known;
    const draft = newTargets(options.expires ?? START + 3650 * DAY, options.listing ?? 'full');
    this.roles.set(name, draft);
    return draft;
  }

  /** The draft of a delegation. */
  delegation(parent: string, name: string): DelegationDraft {
    const draft = this.role(parent).delegations.find((delegation) => delegation.name === name);
    if (draft === undefined) throw new TypeError(`${parent} does not delegate to ${name}`);
    return draft;
  }

  /** Lists a target in a role, with both hashes, and serves its bytes from the next publication on. */
  addTarget(role: string, path: string, content: Uint8Array | string, custom?: JsonLiteral): void {
    const bytes = typeof content === 'string' ? utf8(content) : content;
    const hashes = { sha256: digest('sha256', bytes), sha512: digest('sha512', bytes) };
    this.role(role).targets.set(path, { length: bytes.length, hashes, ...(custom !== undefined && { custom }) });
    this.#blobs.set(path, bytes);
    for (const url of this.targetUrls(path, bytes)) this.#show(url, bytes);
  }

  /** The bytes last added for a target. */
  content(path: string): Uint8Array {
    return this.#blobs.get(path) ?? new Uint8Array();
  }

  /**
   * Publishes: each changed role gets its next version (a version set by hand
   * is kept), the snapshot lists them, and there is a new timestamp.
   */
  publish(): void {
    if (this.#advance('root')) {
      this.anchor ??= this.bytes('root');
      this.#rootSigners = this.root.roles.get('root')?.keys ?? [];
    }
    for (const name of ['targets', ...this.roles.keys()]) {
      if (this.#advance(name)) this.snapshot.meta.set(name, this.listingOf(name, this.role(name).listing));
    }
    this.#advance('snapshot');
    if (this.timestamp.version === this.#versionOf('timestamp')) this.timestamp.version++;
    this.#publishAs('timestamp', '');
  }

  /** The file of a role as last published. */
  bytes(role: string): Uint8Array {
    const published = this.#published.get(role);
    if (published === undefined) throw new TypeError(`The world has not published ${role}`);
    return published.bytes;
  }

  /** How a published role is listed. */
  listingOf(role: string, listing: ListedAs): FileMeta {
    const { version, bytes } = this.#published.get(role) ?? { version: 1, bytes: new Uint8Array() };
    return {
      version,
      length: listing === 'version' ? undefined : bytes.length,
      hashes: listing === 'full' ? new Map([['sha256', digest('sha256', bytes)]]) : undefined,
    };
  }

  /** Signs a draft as it stands, and shows it to nobody. */
  seal(role: string, options: SealOptions = {}): Uint8Array {
    const draft = this.#draft(role);
    const kept = draft.version;
    if (options.version !== undefined) draft.version = options.version;
    const tamper = options.tamper ?? draft.tamper;
    const file = sealed(spell(this.#json(role), tamper), options.signers ?? this.signersOf(role), tamper);
    draft.version = kept;
    return file;
  }

  /** Who signs a role: those set by hand, or those who should. */
  signersOf(role: string): readonly WorldKey[] {
    const { signers } = this.#draft(role);
    if (signers !== undefined) return signers;
    const authorised = isTopLevelRole(role) ? (this.root.roles.get(role)?.keys ?? []) : this.#delegatedKeys(role);
    return role === 'root' ? distinct([...this.#rootSigners, ...authorised]) : distinct(authorised);
  }

  /** Serves bytes, or a fault, where clients look for a role. */
  serve(role: string, served: Served, version?: number): void {
    this.files.set(this.urlOf(role, version), served);
  }

  /** Where clients look for a role's metadata. */
  urlOf(role: string, version = this.#versionOf(role)): string {
    const prefixed = role === 'root' || (role !== 'timestamp' && this.root.consistentSnapshot);
    return `metadata/${metadataUrl(role, prefixed ? version : undefined)}`;
  }

  /** Where clients look for a target: once for each of its digests. */
  targetUrls(path: string, bytes = this.content(path)): readonly string[] {
    const safe = requireTargetPath(path);
    const prefixes = this.root.consistentSnapshot ? [digest('sha256', bytes), digest('sha512', bytes)] : [undefined];
    return prefixes.map((prefix) => `targets/${targetUrl(safe, prefix)}`);
  }

  /** Moves the clock on. */
  pass(millis: number): void {
    this.now += millis;
  }

  /** Everything served now, to be replayed later. */
  capture(): ReadonlyMap<string, Served> {
    return new Map(this.files);
  }

  /** Serves exactly what was captured. */
  replay(captured: ReadonlyMap<string, Served>): void {
    this.files.clear();
    for (const [url, served] of captured) this.files.set(url, served);
  }

  /**
   * The repository is itself again: everything that was published is served,
   * nothing is tampered with, those who should sign do, nothing is about to
   * expire, and a new publication says so.
   */
  heal(): void {
    this.replay(this.#history);
    this.absentStatus = 404;
    for (const draft of [this.root, this.timestamp, this.snapshot, this.targets, ...this.roles.values()]) {
      draft.tamper = {};
      draft.signers = undefined;
      draft.expires = Math.max(draft.expires, this.now + 30 * DAY);
    }
    this.publish();
  }

  /** What was asked for since the last call, such as `metadata/timestamp.json`. */
  takeRequests(): readonly string[] {
    return this.requests.splice(0).map((request) => request.url);
  }

  /** The world as core's source of metadata, without waiting. */
  readonly source = {
    fetch: ({ role, url, maxBytes }) => {
      const reply = answer(this, `metadata/${url}`);
      try {
        if ([403, 404, 410].includes(reply.status)) return undefined;
        if (reply.status !== 200) throw unexpected(role, reply.status);
        return readAll(reply, role, maxBytes);
      } finally {
        reply.close();
      }
    },
  } satisfies FetchPort;

  /** What is at a URL relative to {@link baseUrl}, in pieces, without waiting. */
  *pull(url: string): Generator<Uint8Array, void, void> {
    const reply = answer(this, url);
    try {
      if (reply.status !== 200) throw unexpected(url, reply.status);
      for (let piece = reply.pull(); piece !== undefined; piece = reply.pull()) yield piece;
    } finally {
      reply.close();
    }
  }

  /** The world as a client's transport. */
  readonly transport: Transport = {
    get: async (url, { headers }) => {
      if (!url.startsWith(this.baseUrl)) throw new TypeError(`The world is not at ${url}`);
      const from = Number(/^bytes=(\d+)-$/.exec(headers?.['range'] ?? '')?.[1] ?? 0);
      const reply = answer(this, url.slice(this.baseUrl.length), from);
      return { status: reply.status, body: bodyOf(reply) };
    },
  };

  #draft(role: string): RoleDraft {
    if (role === 'root' || role === 'timestamp' || role === 'snapshot') return this[role];
    return this.role(role);
  }

  #json(role: string): JsonObject {
    if (role === 'root') return rootJson(this.root);
    if (role === 'snapshot') return snapshotJson(this.snapshot);
    if (role === 'timestamp') return timestampJson(this.timestamp, this.listingOf('snapshot', this.timestamp.listing));
    return targetsJson(this.role(role));
  }

  /** Publishes a role if its draft has changed; tells whether it has. */
  #advance(role: string): boolean {
    const draft = this.#draft(role);
    const byHand = draft.version !== this.#versionOf(role);
    const fingerprint = this.#fingerprint(role);
    if (!byHand && this.#published.get(role)?.fingerprint === fingerprint) return false;
    if (!byHand) draft.version++;
    this.#publishAs(role, fingerprint);
    return true;
  }

  #publishAs(role: string, fingerprint: string): void {
    const { version } = this.#draft(role);
    const bytes = this.seal(role);
    this.#published.set(role, { version, fingerprint, bytes });
    this.#show(this.urlOf(role, version), bytes);
  }

  #show(url: string, bytes: Uint8Array): void {
    this.files.set(url, bytes);
    this.#history.set(url, bytes);
  }

  /** Everything about a file but its version. */
  #fingerprint(role: string): string {
    const draft = this.#draft(role);
    const kept = draft.version;
    draft.version = NO_VERSION;
    const spelling = spell(this.#json(role), draft.tamper);
    draft.version = kept;
    // Without real signatures: those of some schemes are never the same twice.
    const signers = this.signersOf(role).map((key) => ({ ...key, sign: () => new Uint8Array() }));
    return JSON.stringify([hex(sealed(spelling, signers, draft.tamper)), signers.map(({ key }) => key.public)]);
  }

  #versionOf(role: string): number {
    return this.#published.get(role)?.version ?? 0;
  }

  #delegatedKeys(role: string): readonly WorldKey[] {
    const delegators = [this.targets, ...this.roles.values()];
    return delegators.flatMap(({ delegations }) =>
      delegations.filter((delegation) => delegation.name === role).flatMap((delegation) => delegation.keys),
    );
  }
}

function newTargets(expires: Instant, listing: ListedAs): TargetsDraft {
  return { ...emptyDraft(expires), targets: new Map(), delegations: [], listing };
}

function distinct(keys: readonly WorldKey[]): readonly WorldKey[] {
  return [...new Map(keys.map((key) => [key.keyId, key])).values()];
}

function readAll(reply: Reply, role: string, maxBytes: number): Uint8Array {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for (let piece = reply.pull(); piece !== undefined; piece = reply.pull()) {
    length += piece.length;
    if (length > maxBytes) {
      throw new MetadataError('LENGTH_EXCEEDED', `Fetching ${role}: more than ${maxBytes} bytes came`, {
        detail: { role, limit: maxBytes },
      });
    }
    pieces.push(piece);
  }
  return new Uint8Array(Buffer.concat(pieces));
}

function unexpected(what: string, status: number): TransportError {
  return new TransportError('STATUS_UNEXPECTED', `Fetching ${what}: the world answered with status ${status}`, {
    detail: { status },
  });
}

function bodyOf(reply: Reply): AsyncIterable<Uint8Array> {
  // Not a generator: letting go before the first piece must close, too.
  const iterator: AsyncIterator<Uint8Array, undefined> = {
    async next() {
      try {
        const piece = reply.pull();
        return piece === undefined ? { done: true, value: undefined } : { done: false, value: piece };
      } catch (error) {
        reply.close();
        throw error;
      }
    },
    async return() {
      reply.close();
      return { done: true, value: undefined };
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}

function digest(algorithm: 'sha256' | 'sha512', bytes: Uint8Array): string {
  return hex(createHash(algorithm).update(bytes).digest());
}

const DAY = 86_400_000;
// Stands for any version where two drafts are compared.
const NO_VERSION = Number.MIN_SAFE_INTEGER;
/** When every world begins. */
export const START: Instant = Date.UTC(2030, 0, 1);
