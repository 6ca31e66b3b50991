// Doors: the ways in which a user reaches trust. An attack goes through every
// door in the same steps and must end the same way behind each. Here are core
// itself and the client; the gateway's tests bring their own by implementing
// `Door`. A door decides nothing: it only carries out steps and shows the state.

import { Client, type ClientOptions, type Sink } from '@countersign/client';
import { nodeCrypto } from '@countersign/client/node';
import {
  type Code,
  driveSync,
  type Found,
  type FreshState,
  find,
  isTufError,
  openGate,
  refresh,
  requireTargetPath,
  type StatePort,
  type SyncPorts,
  start,
  strongHashes,
  type TrustedState,
  type TufError,
  targetUrl,
} from '@countersign/core';
import { MemoryFiles } from './memory-files.ts';
import type { World } from './world.ts';

/** What came of a step. */
export interface Outcome {
  /** `OK`, or why not. A file that no trusted role lists is `TARGET_UNKNOWN`. */
  readonly code: Code | 'OK';
  /** What was fetched. */
  readonly bytes?: Uint8Array;
  /** The roles that vouch for what was fetched, where the door can tell. */
  readonly trail?: readonly string[];
  readonly error?: unknown;
}

/** One user behind a door, over time. */
export interface Session {
  /** Updates the top-level roles now, whatever is still fresh. */
  refresh(): Promise<Outcome>;
  /** Refreshes, then finds and downloads a target. */
  fetch(path: string): Promise<Outcome>;
  /** Ends the process and starts it again on what was kept. */
  restart(): Promise<void>;
  /** The trusted metadata that is kept, by cache name such as `timestamp.json`. */
  readonly kept: ReadonlyMap<string, Uint8Array>;
  /** What has reached its destination, by target path. A failed fetch leaves it as it was. */
  readonly downloads: ReadonlyMap<string, Uint8Array>;
}

/** A way to reach trust. */
export interface Door {
  readonly name: string;
  /**
   * Lets a new user in, who pins the world's anchor and has kept nothing. A
   * refused anchor shows at the first step. The clock is `world.now`, read anew
   * at every step.
   */
  open(world: World): Promise<Session>;
  /** Whether `fetch` can be asked for a target path at all. Default: any. */
  reaches?(path: string): boolean;
  /** What this door may answer instead of a code. Default: nothing else. */
  readonly instead?: Partial<Readonly<Record<Code, readonly Outcome['code'][]>>>;
}

/** core, driven without waiting. */
export const coreDoor: Door = {
  name: 'core',
  instead: { HASH_MISMATCH: ['BODY_CUT'] }, // what is cut is not resumed here
  async open(world) {
    const files = new MemoryFiles();
    const downloads = new Map<string, Uint8Array>();
    const ports: SyncPorts = { crypto: nodeCrypto, state: files, source: world.source };
    let state: TrustedState | undefined;
    const update = (): FreshState => {
      state ??= driveSync(start(world.anchor), ports);
      const fresh = driveSync(refresh(state, world.now), ports);
      state = fresh;
      return fresh;
    };
    return {
      refresh: () =>
        attempt(async () => {
          update();
          return {};
        }),
      fetch: (path) =>
        attempt(async () => {
          const fresh = update();
          const found = driveSync(find(fresh, path, world.now), ports);
          if (found === undefined) return undefined;
          const bytes = downloadSync(world, found, fresh);
          downloads.set(path, bytes);
          return { bytes, trail: found.trail };
        }),
      restart: async () => {
        state = undefined;
      },
      kept: files.files,
      downloads,
    };
  },
};

/** The client, with the world as its transport. */
export const clientDoor: Door = {
  name: 'client',
  async open(world) {
    const files = new MemoryFiles();
    const downloads = new Map<string, Uint8Array>();
    let client: Client | undefined;
    const opened = async (): Promise<Client> => (client ??= await openClient(world, files));
    return {
      refresh: () =>
        attempt(async () => {
          await (await opened()).refresh();
          return {};
        }),
      fetch: (path) =>
        attempt(async () => {
          const trusted = await opened();
          await trusted.refresh();
          const found = await trusted.find(path);
          if (found === undefined) return undefined;
          await trusted.download(found.target, memorySink(downloads, path));
          const bytes = downloads.get(path) ?? new Uint8Array();
          return { bytes, trail: found.trail };
        }),
      restart: async () => {
        client = undefined;
      },
      kept: files.files,
      downloads,
    };
  },
};

/** A door whose process ends after every step, so that all trust passes through what was kept. */
export function restarting(door: Door): Door {
  return {
    ...door,
    name: `${door.name}, restarted at every step`,
    async open(world) {
      const session = await door.open(world);
      const after = async (outcome: Promise<Outcome>): Promise<Outcome> => {
        const come = await outcome;
        await session.restart();
        return come;
      };
      return {
        refresh: () => after(session.refresh()),
        fetch: (path) => after(session.fetch(path)),
        restart: () => session.restart(),
        kept: session.kept,
        downloads: session.downloads,
      };
    },
  };
}

/** The doors that the testkit brings. */
export const DOORS: readonly Door[] = [coreDoor, clientDoor, restarting(clientDoor)];

/** What a test may change of a client of a world. */
export type ClientChanges = Partial<Pick<ClientOptions, 'crypto' | 'limits' | 'transport'>>;

/** Opens a client on a world. */
export function openClient(world: World, state: StatePort, changes: ClientChanges = {}): Promise<Client> {
  const { metadataUrl, targetsUrl, transport, anchor } = world;
  const clock = (): number => world.now;
  const pinned = anchor && { anchor };
  return Client.open({ metadataUrl, targetsUrl, transport, state, crypto: nodeCrypto, clock, ...pinned, ...changes });
}

/** A sink that shows its bytes under a name only once committed. */
export function memorySink(into: Map<string, Uint8Array>, name: string): Sink {
  const pieces: Uint8Array[] = [];
  return {
    write: async (chunk) => {
      pieces.push(chunk.slice());
    },
    commit: async () => {
      into.set(name, new Uint8Array(Buffer.concat(pieces)));
    },
    abort: async () => {
      pieces.length = 0;
    },
  };
}

function downloadSync(world: World, { target }: Found, { root }: FreshState): Uint8Array {
  const [digest] = root.content.consistentSnapshot ? strongHashes(target.hashes, target.path).values() : [];
  const url = `targets/${targetUrl(requireTargetPath(target.path), digest)}`;
  const gate = openGate(target, (algorithm) => nodeCrypto.hasher(algorithm));
  const pieces: Uint8Array[] = [];
  for (const piece of world.pull(url)) {
    gate.push(piece);
    pieces.push(piece);
  }
  gate.close();
  return new Uint8Array(Buffer.concat(pieces));
}

async function attempt(step: () => Promise<Omit<Outcome, 'code'> | undefined>): Promise<Outcome> {
  try {
    const done = await step();
    return done === undefined ? { code: 'TARGET_UNKNOWN' } : { ...done, code: 'OK' };
  } catch (error) {
    return { code: codeOf(error), error };
  }
}

/** The code of one of the project's errors. Any other is a fault of ours, and is thrown on. */
export function codeOf(error: unknown): TufError['code'] {
  if (isTufError(error)) return error.code;
  throw error;
}
