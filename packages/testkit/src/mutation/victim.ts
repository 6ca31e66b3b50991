// One visit of a victim: refresh, then find and download each path, on what
// was kept, with everything counted that the visit may cost. The real client is
// one victim; tests bring broken ones, to see that the judge notices.

import type { Client, ClientCrypto, Sink, Transport, TransportResponse } from '@countersign/client';
import { nodeCrypto } from '@countersign/client/node';
import type { CheckEffect, StatePort, SyncCryptoPort } from '@countersign/core';
import { DEFAULT_LIMITS, type Limits } from '@countersign/core';
import { openClient } from '../doors.ts';
import { MemoryFiles } from '../memory-files.ts';
import type { World } from '../world.ts';

/** Who visits, where, and what for. */
export interface Errand {
  readonly world: World;
  /** What was kept; changes with the visit. */
  readonly files: MemoryFiles;
  readonly paths: readonly string[];
}

/** What came of one path. */
export interface Fetched {
  readonly path: string;
  /** `undefined` when no role lists it. */
  readonly trail?: readonly string[] | undefined;
  readonly error?: unknown;
  /** What happened at the destination. */
  readonly destination: Destination;
  /** The snapshot by which it was found. */
  readonly snapshot?: Uint8Array | undefined;
}

/** What came of a visit. */
export interface Report {
  /** Why the refresh was refused; `undefined` when it was not. */
  readonly refused?: unknown;
  readonly fetched: readonly Fetched[];
  /** What is believed in the end, by role. */
  readonly trusted: ReadonlyMap<string, Uint8Array>;
}

/** Someone who carries out an errand. */
export type Victim = (errand: Errand) => Promise<Report>;

/** More than any visit may cost: what is thrown then is nobody's error. */
export class Runaway extends Error {}

/** The limits under which victims live: small, so that endless bodies end soon. */
export const SMALL_LIMITS: Limits = {
  ...DEFAULT_LIMITS,
  rootBytes: 64_000,
  snapshotBytes: 64_000,
  targetsBytes: 64_000,
  listedBytes: 128_000,
  rootRotations: 12,
  delegations: 12,
};

/** Sends a victim on a visit, with a copy of what was kept. */
export async function visit(
  victim: Victim,
  errand: { readonly world: World; readonly files: ReadonlyMap<string, Uint8Array>; readonly paths: readonly string[] },
): Promise<{ report: Report; kept: MemoryFiles }> {
  const kept = new MemoryFiles();
  for (const [name, bytes] of errand.files) kept.files.set(name, bytes);
  return { report: await victim({ ...errand, files: kept }), kept };
}

/** The real client, with cryptography of one's choice. */
export function clientWith(crypto: ClientCrypto): Victim {
  return async ({ world, files, paths }) => {
    const means = metered(world, files, crypto);
    let client: Client | undefined;
    let refused: unknown;
    try {
      const { state, ...others } = means;
      client = await openClient(world, state, { limits: SMALL_LIMITS, ...others });
      await client.refresh();
    } catch (error) {
      refused = error;
    }
    const fetched: Fetched[] = [];
    // After a refusal each search begins with what was kept, then refreshes: once tells enough.
    const asked = client === undefined ? [] : refused === undefined ? paths : paths.slice(0, 1);
    for (const path of asked) fetched.push(await fetchWith(client, path));
    return { refused, fetched, trusted: trustedOf(client) };
  };
}

/** The real client, as it is. */
export const realClient: Victim = clientWith(rememberingCrypto(nodeCrypto));

async function fetchWith(client: Client | undefined, path: string): Promise<Fetched> {
  const destination = new Destination();
  let trail: readonly string[] | undefined;
  try {
    const found = await client?.find(path);
    if (found !== undefined) {
      trail = found.trail;
      await client?.download(found.target, destination);
    }
    return { path, trail, destination, snapshot: client?.trusted.snapshot?.bytes };
  } catch (error) {
    return { path, trail, error, destination };
  }
}

/** A destination that tells what was done to it. */
export class Destination implements Sink {
  readonly #pieces: Uint8Array[] = [];
  /** `untouched`, `open` after the first piece, `committed` or `aborted`. */
  state: 'untouched' | 'open' | 'committed' | 'aborted' = 'untouched';
  /** What stands at the destination. */
  content: Uint8Array | undefined;

  async write(chunk: Uint8Array): Promise<void> {
    this.state = 'open';
    this.#pieces.push(chunk.slice());
  }

  async commit(): Promise<void> {
    this.state = 'committed';
    this.content = new Uint8Array(Buffer.concat(this.#pieces));
  }

  async abort(): Promise<void> {
    this.state = 'aborted';
  }
}

/** What a victim works with, each use of which is counted. @throws Runaway when it was too much for one visit */
export function metered(
  world: World,
  files: MemoryFiles,
  crypto: ClientCrypto,
): { readonly transport: Transport; readonly state: StatePort; readonly crypto: ClientCrypto } {
  const meter = meterOf();
  return {
    transport: meteredTransport(world.transport, meter),
    state: meteredState(files, meter),
    crypto: meteredCrypto(crypto, meter),
  };
}

interface Meter {
  spend(what: 'effects' | 'bytes', amount: number): void;
}

function meterOf(): Meter {
  const left = { effects: MOST_EFFECTS, bytes: MOST_BYTES };
  return {
    spend(what, amount) {
      left[what] -= amount;
      if (left[what] < 0) throw new Runaway(`a visit took more ${what} than it may`);
    },
  };
}

function meteredTransport(transport: Transport, meter: Meter): Transport {
  return {
    async get(url, request): Promise<TransportResponse> {
      meter.spend('effects', 1);
      const { status, body } = await transport.get(url, request);
      return { status, body: meteredBody(body, meter) };
    },
  };
}

function meteredBody(body: AsyncIterable<Uint8Array>, meter: Meter): AsyncIterable<Uint8Array> {
  const source = body[Symbol.asyncIterator]();
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        const piece = await source.next();
        if (piece.done !== true) meter.spend('bytes', piece.value.length);
        return piece;
      },
      async return() {
        return (await source.return?.()) ?? { done: true, value: undefined };
      },
    }),
  };
}

function meteredState(files: MemoryFiles, meter: Meter): StatePort {
  return {
    load: (name) => {
      meter.spend('effects', 1);
      return files.load(name);
    },
    save: (name, bytes, over) => {
      meter.spend('effects', 1);
      return files.save(name, bytes, over);
    },
    drop: (name) => {
      meter.spend('effects', 1);
      files.drop(name);
    },
  };
}

function meteredCrypto(crypto: ClientCrypto, meter: Meter): ClientCrypto {
  return {
    check: (effect) => {
      meter.spend('effects', 1);
      return crypto.check(effect);
    },
    hash: (algorithm, bytes) => {
      meter.spend('effects', 1);
      return crypto.hash(algorithm, bytes);
    },
    hasher: (algorithm) => crypto.hasher(algorithm),
  };
}

/** The same answers, remembered: most mutants differ from each other in one file. */
export function rememberingCrypto(crypto: SyncCryptoPort & ClientCrypto): ClientCrypto {
  const known = new Map<string, { message: Uint8Array; valid: boolean }>();
  return {
    ...crypto,
    check(effect: CheckEffect) {
      const { key, scheme, message, signature } = effect;
      const name = `${key.identity} ${scheme} ${Buffer.from(signature).toString('latin1')}`;
      const before = known.get(name);
      if (before !== undefined && Buffer.compare(before.message, message) === 0) return before.valid;
      if (known.size >= REMEMBERED) known.clear();
      const valid = crypto.check(effect);
      known.set(name, { message: message.slice(), valid });
      return valid;
    },
  };
}

function trustedOf(client: Client | undefined): ReadonlyMap<string, Uint8Array> {
  const { root, timestamp, snapshot, targets } = client?.trusted ?? {};
  const roles = Object.entries({ root, timestamp, snapshot, targets });
  return new Map(roles.flatMap(([role, held]) => (held === undefined ? [] : [[role, held.bytes] as const])));
}

// A visit of a dozen roots, a dozen roles and three searches, several times over.
const MOST_EFFECTS = 3000;
const MOST_BYTES = 4_000_000;
const REMEMBERED = 4096;
