// The quorum of the year, at its own files: signs again in time what would
// expire, and names other online keys once the present ones are known to be in
// wrong hands. Drafts from what the site serves, like everybody else.

import { days } from '@countersign/core';
import { type OnlineKind, type Repository } from '../../src/index.ts';
import { freshKey, meetingText } from '../quorum-world.ts';
import { OFFLINE, publish, type World } from '../world.ts';

/** How long what the quorum signs is valid: it signs again three times before the year is over. */
export const OFFLINE_LIFETIME = days(200);

/** The online keys of a collection of names. */
const REPLACED = ['timestamp', 'snapshot', 'recent', 'unclaimed', 'decisions'] as const satisfies readonly OnlineKind[];

/** The keys that stand by, in the folder of the service, for the day when the first ones are stolen. */
export const SPARE_KEYS = REPLACED.map((kind) => freshKey(kind, 2));

/** Signs root, targets and every claimed shard again: later expiries, nothing else. */
export async function renewOffline(world: World, repository: Repository): Promise<void> {
  const expires = world.clock.now + OFFLINE_LIFETIME;
  const renewal = { expires, root: 'renew', targets: 'renew', claimed: 'renew' } as const;
  await publish(repository, await meetingText(world, renewal, OFFLINE));
}

/** Names other online keys: one root, one targets role, one publication. */
export async function replaceOnlineKeys(world: World, repository: Repository): Promise<void> {
  const expires = world.clock.now + OFFLINE_LIFETIME;
  const online = Object.fromEntries(REPLACED.map((kind) => [kind, freshKey(kind, 2)]));
  await publish(repository, await meetingText(world, { expires, online }, OFFLINE));
}
