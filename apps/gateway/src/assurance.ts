// How far up the ladder a file stands, read from the roles that vouch for it.
// A label for people and logs: what is refused is decided elsewhere.

import { readShardName } from '@countersign/core';

/** Who speaks for what is served, weakest last. */
export type Assurance = (typeof LADDER)[number];

/** The header that carries an {@link Assurance}. */
export const ASSURANCE_HEADER = 'x-tuf-assurance';

/**
 * Reads a trail of roles, from the top-level targets role to the one that
 * lists the file.
 *
 * @example assuranceOf(['targets', 'claimed-3', 'npm.1.ms']) // 'author-signed claimed'
 */
export function assuranceOf(trail: readonly string[]): Assurance {
  const at = trail.findIndex((role) => readShardName(role) !== undefined);
  const kind = readShardName(trail[at] ?? '')?.kind;
  // A file that the shard lists itself was signed by the repository, whichever shard it is.
  const delegated = at + 1 < trail.length;
  if (kind === 'claimed' && delegated) return 'author-signed claimed';
  if (kind === 'recent' && delegated) return 'author-signed recent';
  return 'repository-signed';
}

/** The weakest of several, `author-signed claimed` for none. */
export function weakest(labels: Iterable<Assurance>): Assurance {
  let at = 0;
  for (const label of labels) at = Math.max(at, LADDER.indexOf(label));
  return LADDER[at] ?? 'unverified';
}

const LADDER = ['author-signed claimed', 'author-signed recent', 'repository-signed', 'unverified'] as const;
