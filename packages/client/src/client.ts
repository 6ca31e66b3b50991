// Start reading here. A Client holds what is trusted and keeps it fresh:
//   client.ts        drives the workflow `refresh` with a real mirror, store and crypto
//   core/refresh.ts  decides what is fetched, checked and kept, in the order of §5.3 to §5.6
//   core/threshold.ts  turns bytes into `Verified<T>`: the signature check
// Nothing here decides what to believe; it must never hand out a byte that core
// has not judged, nor replace a trusted state by one that was refused.

import {
  type Authority,
  DEFAULT_LIMITS,
  drive,
  type FetchPort,
  type Found,
  type FreshState,
  find,
  type Instant,
  isTufError,
  type Limits,
  type Listing,
  list,
  openGate,
  type Ports,
  refresh,
  requireTargetPath,
  type StatePort,
  start,
  strongHashes,
  type TargetFile,
  type Targets,
  type TrustedState,
  targetsRole,
  targetUrl,
  type Workflow,
} from '@countersign/core';
import { bytesAt, mirrorOf, mirrorOfState, withSlash } from './mirror.ts';
import type { ClientCrypto, Sink, Transport } from './ports.ts';

/** What a client works with. */
export interface ClientOptions {
  /** Base URL of the metadata, with or without a slash at its end. */
  readonly metadataUrl: string;
  /** Base URL of the targets, with or without a slash at its end. */
  readonly targetsUrl: string;
  readonly transport: Transport;
  readonly state: StatePort;
  readonly crypto: ClientCrypto;
  readonly clock: () => Instant;
  /** The root that the user pins. Without it, the kept root is the anchor. */
  readonly anchor?: Uint8Array;
  readonly limits?: Partial<Limits>;
  /** Whether targets are served with their digest in front of their name (§6.2.1); only with consistent snapshots. Default: true. */
  readonly targetHashPrefix?: boolean;
}

/** What a download may be given besides target and sink. */
export interface DownloadOptions {
  /** Told after each piece: bytes so far, bytes in all. */
  readonly onProgress?: (bytes: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * A client of one TUF repository.
 *
 * @example
 * const client = await Client.open(options);
 * await client.refresh();
 * const found = await client.find('npm/9e8f/ms/ms-2.1.3.tgz');
 * if (found) await client.download(found.target, fileSink('ms-2.1.3.tgz'));
 */
export class Client {
  readonly #options: ClientOptions;
  readonly #limits: Limits;
  readonly #online: Ports;
  #trusted: TrustedState;
  #refreshing: Promise<FreshState> | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(options: ClientOptions, trusted: TrustedState) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#online = portsOf(options, mirrorOf(options.metadataUrl, options.transport));
    this.#trusted = trusted;
  }

  /**
   * Opens a client on its anchor and what was kept since. Asks no mirror.
   *
   * @throws UsageError ANCHOR_MISSING
   * @throws MetadataError when the anchor is not a root signed by its own keys
   * @throws StoreError STORE_READ, STORE_WRITE
   */
  static async open(options: ClientOptions): Promise<Client> {
    // The root that is kept is settled with what the first update keeps: until then there is the anchor.
    const trusted = await drive(start(options.anchor), portsOf(options, NO_MIRROR));
    return new Client(options, trusted);
  }

  /** What is believed now. */
  get trusted(): TrustedState {
    return this.#trusted;
  }

  /** Tells whether all four top-level roles are trusted and have not expired. */
  isFresh(now: Instant = this.#options.clock()): boolean {
    return isFreshAt(this.#trusted, now);
  }

  /**
   * Updates the four top-level roles (§5.3 to §5.6). Calls at the same time
   * share one update. When it is refused, what was trusted before stays.
   *
   * @throws MetadataError naming the role
   * @throws TransportError when the mirror cannot be asked
   * @throws StoreError STORE_READ, STORE_WRITE
   */
  refresh(): Promise<FreshState> {
    this.#refreshing ??= this.#inTurn(() => this.#update(this.#online)).finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /**
   * Updates from what was kept before, without any mirror: after a restart
   * while the service is down. Every check runs as in {@link refresh}.
   *
   * @throws MetadataError METADATA_MISSING when too little was kept, EXPIRED when it is too old
   * @throws StoreError STORE_READ
   */
  resume(): Promise<FreshState> {
    return this.#inTurn(() => {
      const { state } = this.#options;
      // Nothing new can come from what was kept, so nothing is written either.
      const readOnly: StatePort = { load: (name) => state.load(name), save: () => {}, drop: () => {} };
      const mirror = mirrorOfState(state);
      return this.#update({ ...portsOf(this.#options, mirror), state: readOnly });
    });
  }

  /**
   * Finds a target in what is trusted now. Refreshes first only if that is not
   * fresh: then what was kept is tried, and after it the mirror.
   *
   * @returns `undefined` when no trusted role lists the path
   * @throws MetadataError and whatever {@link refresh} throws
   */
  async find(path: string): Promise<Found | undefined> {
    const state = await this.#usable();
    return await settled(find(state, path, this.#options.clock(), this.#limits), this.#online);
  }

  /**
   * Lists the targets directly inside a directory, as {@link find} would find each.
   *
   * @throws MetadataError and whatever {@link refresh} throws
   */
  async list(directory: string): Promise<Listing> {
    const state = await this.#usable();
    return await settled(list(state, directory, this.#options.clock(), this.#limits), this.#online);
  }

  /**
   * A delegated role as it is now, verified under exactly one delegation: for
   * what a search passes by, such as hash bins. Not kept in memory.
   *
   * @param authority a delegation of a role that this client has verified, with its delegator's keys
   * @throws MetadataError and whatever {@link refresh} throws
   */
  async role(authority: Authority): Promise<Targets> {
    const state = await this.#usable();
    const known = state.memo.get(authority.name);
    const aside = { ...state, memo: new Map(known && [[authority.name, known]]) };
    const role = targetsRole(aside, authority, this.#options.clock(), this.#limits);
    return (await settled(role, this.#online)).content;
  }

  /**
   * Downloads a target in one pass (§5.7.3). The sink is committed only once
   * length and hashes are those that were signed; whatever goes wrong, it is aborted.
   *
   * @throws MetadataError LENGTH_EXCEEDED, LENGTH_MISMATCH, HASH_MISMATCH, HASH_UNSUPPORTED
   * @throws TransportError, and whatever the sink throws
   */
  async download(target: TargetFile, sink: Sink, options: DownloadOptions = {}): Promise<void> {
    try {
      const gate = openGate(target, (algorithm) => this.#options.crypto.hasher(algorithm));
      const chunks = bytesAt(this.#urlOf(target), target.length, this.#options.transport, options.signal);
      let bytes = 0;
      for await (const chunk of chunks) {
        gate.push(chunk);
        await sink.write(chunk);
        bytes += chunk.length;
        options.onProgress?.(bytes, target.length);
      }
      gate.close();
      await sink.commit();
    } catch (error) {
      await abandon(sink);
      throw error;
    }
  }

  async #update(ports: Ports): Promise<FreshState> {
    const fresh = await settled(refresh(this.#trusted, this.#options.clock(), this.#limits), ports);
    this.#trusted = fresh;
    return fresh;
  }

  /** One update at a time: an older one must not end after a newer one. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#turn.then(work);
    this.#turn = run.catch(() => {}); // told to whoever asked for it
    return run;
  }

  async #usable(): Promise<FreshState> {
    const trusted = this.#trusted;
    if (isFreshAt(trusted, this.#options.clock())) return trusted;
    if (this.#refreshing !== undefined) return await this.#refreshing;
    try {
      return await this.resume();
    } catch (error) {
      if (!isTufError(error)) throw error;
      return await this.refresh(); // what was kept does not do: only the mirror can tell
    }
  }

  #urlOf(target: TargetFile): string {
    const { targetsUrl, targetHashPrefix = true } = this.#options;
    const prefixed = targetHashPrefix && this.#trusted.root.content.consistentSnapshot;
    const digest = prefixed ? digestOf(target) : undefined;
    return withSlash(targetsUrl) + targetUrl(requireTargetPath(target.path), digest);
  }
}

/** Runs a workflow; what it kept, even if it was refused in the end, is kept for good. */
async function settled<T>(workflow: Workflow<T>, ports: Ports): Promise<T> {
  try {
    return await drive(workflow, ports);
  } finally {
    await ports.state.settle?.();
  }
}

async function abandon(sink: Sink): Promise<void> {
  try {
    await sink.abort();
  } catch {
    // What made the download fail is what the caller must hear.
  }
}

function portsOf({ crypto, state }: ClientOptions, source: FetchPort): Ports {
  return { crypto, state, source };
}

function isFreshAt(state: TrustedState, now: Instant): state is FreshState {
  const { root, timestamp, snapshot, targets } = state;
  return [root, timestamp, snapshot, targets].every((role) => role !== undefined && role.content.expires > now);
}

/** A strong digest of a target, as it stands in front of its file name. */
function digestOf(target: TargetFile): string | undefined {
  const [digest] = strongHashes(target.hashes, target.path).values();
  return digest;
}

// `start` reads local state only.
const NO_MIRROR: FetchPort = {
  fetch() {
    throw new TypeError('Opening a client must not ask a mirror');
  },
};
