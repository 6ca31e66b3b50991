// What garbage collection must keep: pure. A client that holds a timestamp goes
// on from it for as long as it is valid, and asks for the snapshot that it
// names, the roles that this lists, the targets that those list. Whoever serves
// must have all of it, so that nobody who did nothing wrong gets a 404.

import type { Instant } from '@countersign/core';

/** A timestamp that was served. */
export interface ServedTimestamp {
  readonly version: number;
  /** When it was committed. */
  readonly served: Instant;
  readonly expires: Instant;
  /** The version of the snapshot that it names. */
  readonly snapshot: number;
}

/**
 * The timestamps that a client may still go on from: those that are valid, and
 * those that expired less than `grace` ago, or less than their own lifetime ago
 * where that is longer. Clocks differ, and a download may have begun long ago.
 *
 * @param grace in milliseconds
 */
export function heldTimestamps(
  timestamps: readonly ServedTimestamp[],
  now: Instant,
  grace: number,
): readonly ServedTimestamp[] {
  return timestamps.filter(({ served, expires }) => expires + Math.max(grace, expires - served) > now);
}

/** Role files to keep, by role and version. Every root is kept, whatever is said. */
export class KeptFiles {
  private readonly versions = new Map<string, Set<number>>();

  /** Keeps one version of a role. */
  keep(role: string, version: number): void {
    const known = this.versions.get(role);
    if (known === undefined) this.versions.set(role, new Set([version]));
    else known.add(version);
  }

  has(role: string, version: number): boolean {
    return role === 'root' || this.versions.get(role)?.has(version) === true;
  }
}

/** What a collection's role files are, as far as keeping them goes. */
export interface Inventory {
  /** The current version of every role. */
  readonly current: Iterable<readonly [role: string, version: number]>;
  readonly timestamps: readonly ServedTimestamp[];
}

/**
 * The role files that somebody may still ask for.
 *
 * @param listing what a version of the snapshot lists
 * @param grace in milliseconds
 */
export async function keptFiles(
  { current, timestamps }: Inventory,
  listing: (snapshot: number) => Promise<Iterable<readonly [role: string, version: number]>>,
  now: Instant,
  grace: number,
): Promise<KeptFiles> {
  const kept = new KeptFiles();
  for (const [role, version] of current) kept.keep(role, version);
  const held = heldTimestamps(timestamps, now, grace);
  for (const { version } of held) kept.keep('timestamp', version);
  for (const snapshot of new Set(held.map((one) => one.snapshot))) {
    kept.keep('snapshot', snapshot);
    for (const [role, version] of await listing(snapshot)) kept.keep(role, version);
  }
  return kept;
}

/** How long after its expiry a timestamp is taken to be held by somebody, unless told otherwise. Milliseconds. */
export const DEFAULT_GRACE = 7 * 86_400_000;
