// Whether those who speak for a name now are those who spoke for it before, or
// were appointed by them. Pure judgement over verified metadata: the epoch in
// the owner role's name, the keys in its delegation, and how the epoch came as
// the shard says it. What a person is told or stopped by is decided elsewhere.

import { isObject, readOwnerRoleName, readShardName, type Targets, type TrustedState } from '@countersign/core';

/** Those who speak for a name. */
export interface Speaker {
  /** Counts from 1; a new one began without the old owners' signatures. */
  readonly epoch: number;
  /** Whether the offline quorum vouches for them. */
  readonly claimed: boolean;
  /** The owners' public keys, each by core's identity of it, in order. */
  readonly keys: readonly string[];
  /** How the epoch came, where it is not the first. */
  readonly came: 'recover' | 'adopt' | undefined;
}

/** What became of those who spoke for a name. */
export type Change = 'same' | 'appointed' | 'replaced' | 'new-epoch' | 'older-epoch';

/**
 * Those who speak for what a search has found, from the roles that it passed;
 * `undefined` where the repository signs the files itself.
 *
 * @param trail from the top-level targets role on, verified a moment ago
 */
export function speakerOf(trail: readonly string[], trusted: TrustedState): Speaker | undefined {
  const at = trail.findIndex((role) => readShardName(role) !== undefined);
  const [shard = '', ownerRole = ''] = trail.slice(at);
  const epoch = readOwnerRoleName(ownerRole)?.epoch;
  const content = trusted.memo.get(shard)?.role.content;
  const delegation = content?.delegations?.roles.find(({ name }) => name === ownerRole);
  if (epoch === undefined || content === undefined || delegation === undefined) return undefined;
  const keys = delegation.keyIds.flatMap((id) => content.delegations?.keys.get(id)?.verification?.key.identity ?? []);
  return {
    epoch,
    claimed: readShardName(shard)?.kind === 'claimed',
    keys: keys.sort(),
    came: cameBy(content, ownerRole),
  };
}

/**
 * Judges a change of owners. `appointed` was signed by the old owners, by the
 * offline quorum's word or because one of them is still there; `replaced` has
 * only the online key's word for it.
 *
 * @example changeOf({ epoch: 1, … }, { epoch: 2, … }) // 'new-epoch'
 */
export function changeOf(before: Speaker, now: Speaker): Change {
  if (now.epoch !== before.epoch) return now.epoch > before.epoch ? 'new-epoch' : 'older-epoch';
  if (now.keys.length === before.keys.length && now.keys.every((key) => before.keys.includes(key))) return 'same';
  return now.claimed || now.keys.some((key) => before.keys.includes(key)) ? 'appointed' : 'replaced';
}

function cameBy({ json }: Targets, ownerRole: string): Speaker['came'] {
  const custom = json.get('custom');
  const epochs = isObject(custom) ? custom.get('epochs') : undefined;
  const entry = isObject(epochs) ? epochs.get(ownerRole) : undefined;
  const by = isObject(entry) ? entry.get('by') : undefined;
  return by === 'recover' || by === 'adopt' ? by : undefined;
}
