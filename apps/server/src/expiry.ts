// What the service tells of expiries: the report that operators and their
// monitors ask for, and the alarm that nobody has to ask for.

import { days, type Instant, readInstant, writeInstant } from '@countersign/core';
import { outlookAt, outlooks, type RepositoryStatus, type RoleLife } from '@countersign/repository';

/** A role whose keepers should act, for the log. */
export interface ExpiryEvent {
  readonly event: 'expiring';
  readonly collection: string;
  readonly role: string;
  readonly expires: string;
  readonly keeper: string;
}

/** The document of `GET …/expiry`: every role, and what clients see `ahead` days from now. */
export function expiryReport(status: RepositoryStatus, now: Instant, ahead: number): object {
  const { at, running, stopped } = outlookAt(livesOf(status), now + days(ahead));
  return {
    roles: outlooks(livesOf(status), now).map((row) => ({ ...row, expires: writeInstant(row.expires) })),
    in: { days: ahead, at: writeInstant(at), running: outageOf(running), stopped: outageOf(stopped) },
  };
}

/** Tells of each role whose keepers should act: at once, then once a day. */
export class ExpiryAlarm {
  readonly #told = new Map<string, Instant>();

  /** What is to be told now. */
  due(status: RepositoryStatus, now: Instant): readonly ExpiryEvent[] {
    return outlooks(livesOf(status), now).flatMap(({ role, version, expires, keeper, state }) => {
      const key = `${status.collection} ${role} ${version}`;
      const told = this.#told.get(key);
      if (state === 'fine' || (told !== undefined && now - told < days(1) && now >= told)) return [];
      this.#told.set(key, now);
      return [{ event: 'expiring', collection: status.collection, role, expires: writeInstant(expires), keeper }];
    });
  }
}

function livesOf({ roles }: RepositoryStatus): readonly RoleLife[] {
  return roles.map(({ role, version, expires }) => ({ role, version, expires: readInstant(expires) ?? 0 }));
}

function outageOf(outage: ReturnType<typeof outlookAt>['running']): object | null {
  return outage === undefined ? null : { ...outage, since: writeInstant(outage.since) };
}
