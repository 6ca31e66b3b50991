// What expires when, and what a client will see at a later time. Pure. An
// expiry that nobody saw coming stops every user at once, so the question must
// be answerable before it happens: for the case that the service goes on
// renewing what its online keys may, and for the case that it stops today.

import { days, type Instant, readShardName, readShelfName } from '@countersign/core';

/** A role and how long it lasts. */
export interface RoleLife {
  readonly role: string;
  readonly version: number;
  readonly expires: Instant;
}

/** Who signs a role's next version: the service by itself, or people with offline keys. */
export type Keeper = 'service' | 'quorum';

/** How a role stands. */
export interface RoleOutlook extends RoleLife {
  readonly keeper: Keeper;
  /** `soon`: the keeper should have signed the next version by now. */
  readonly state: 'fine' | 'soon' | 'expired';
}

/** What a client is refused over. */
export interface Outage {
  readonly role: string;
  readonly since: Instant;
  /** Every user, or only those of the names in one shard. */
  readonly reach: 'everything' | 'the names of this shard';
}

/** What a client sees at a time to come; `undefined` where it sees everything. */
export interface Outlook {
  readonly at: Instant;
  /** If the service goes on renewing, and no offline key signs. */
  readonly running: Outage | undefined;
  /** If the service stops now. */
  readonly stopped: Outage | undefined;
}

/** Who keeps a role alive. @example keeperOf('claimed-3') // 'quorum' */
export function keeperOf(role: string): Keeper {
  const shelved = readShelfName(role) !== undefined;
  const offline = role === 'root' || role === 'targets' || readShardName(role)?.kind === 'claimed' || shelved;
  return offline ? 'quorum' : 'service';
}

/**
 * How each role stands, the one that expires first in front.
 *
 * @param notice how long before its expiry an offline role is to be signed again, in milliseconds
 */
export function outlooks(lives: readonly RoleLife[], now: Instant, notice = NOTICE): readonly RoleOutlook[] {
  return lives
    .map((life) => {
      const keeper = keeperOf(life.role);
      // The service renews before half of a life is over; a day before the end it is late in any case.
      const early = keeper === 'quorum' ? notice : Math.min(days(1), notice);
      const state = life.expires <= now ? 'expired' : life.expires - now < early ? 'soon' : 'fine';
      return { ...life, keeper, state } as const;
    })
    .sort((a, b) => a.expires - b.expires);
}

/**
 * What a client will see at a time.
 *
 * @example outlookAt(lives, now + days(400)).running // { role: 'targets', since: …, reach: 'everything' }
 */
export function outlookAt(lives: readonly RoleLife[], at: Instant): Outlook {
  return {
    at,
    running: outageOf(
      lives.filter(({ role }) => keeperOf(role) === 'quorum'),
      at,
    ),
    stopped: outageOf(lives, at),
  };
}

/** The worst that has expired by then: what stops everybody first, and of several the one that stopped first. */
function outageOf(lives: readonly RoleLife[], at: Instant): Outage | undefined {
  const outages = lives
    .filter(({ expires }) => expires <= at)
    .map(({ role, expires }): Outage => {
      const some = readShardName(role) !== undefined || readShelfName(role) !== undefined;
      const reach = some ? 'the names of this shard' : 'everything';
      return { role, since: expires, reach };
    })
    .sort((a, b) => Number(b.reach === 'everything') - Number(a.reach === 'everything') || a.since - b.since);
  return outages[0];
}

// Twice as long as the slowest of the signing events that are known from public repositories takes.
const NOTICE = days(45);
