// The log of the running service and gateway: one line an event, for a person
// or (--json) as the event itself. Written once, at the door where it happens.

import { writeInstant } from '@countersign/core';
import type { GatewayEvent } from '@countersign/gateway';
import type { RepositoryEvent } from '@countersign/repository';
import type { ServerEvent } from '@countersign/server';
import { visible } from './output.ts';
import type { ProcessEvent } from './processes.ts';
import type { Shell } from './shell.ts';

/** Something that a long-running command tells. */
export type RunningEvent =
  | ServerEvent
  | GatewayEvent
  | ProcessEvent
  | (RepositoryEvent & { readonly collection: string });

/** Writes events to stdout as they come, with the number of the process where there are several. */
export function eventLog(
  { stdout, clock, fellow }: Pick<Shell, 'stdout' | 'clock' | 'fellow'>,
  json: boolean,
): (event: RunningEvent) => void {
  const number = fellow?.task.number;
  const from = number === undefined ? '' : `[${number}] `;
  return (event) => {
    const at = writeInstant(clock());
    const text = json ? JSON.stringify({ at, ...(fellow && { process: number }), ...event }) : eventLine(event);
    if (text !== undefined) stdout.write(json ? `${text}\n` : `${at.slice(11, 19)}  ${from}${visible(text)}\n`);
  };
}

/** An event in words; `undefined` where it says nothing that a person would miss. */
export function eventLine(event: RunningEvent): string | undefined {
  switch (event.event) {
    case 'listening':
      return `listening on ${event.url}`;
    case 'started':
      return `process ${event.process} serves (pid ${event.pid})`;
    case 'ended':
      return `process ${event.process} (pid ${event.pid}) ended by ${event.by}; another one starts in ${event.again / 1000} s`;
    case 'expiring': {
      const who = event.keeper === 'quorum' ? 'sign it with the offline keys' : 'the service should have renewed it';
      return `EXPIRING: ${event.role} of ${event.collection} at ${event.expires}: ${who}`;
    }
    case 'published': {
      const refused = event.refused === 0 ? '' : `, ${event.refused} refused`;
      return `published ${event.collection} #${event.publication}: ${counted(event.submissions, 'submission')}${refused}`;
    }
    case 'recovered':
      return event.publication === 1 ? undefined : `${event.collection} is as publication ${event.publication} left it`;
    case 'elected':
      return `this process publishes ${event.collection} now, from publication ${event.publication} on`;
    case 'deposed':
      return `another process publishes ${event.collection} now, after publication ${event.publication}`;
    case 'failed':
      return `publishing ${event.collection} failed: ${event.message} (${event.code})`;
    case 'trouble':
      return `TROUBLE: ${event.collection} takes nothing in: ${event.message} (${event.code}); it is tried again by itself`;
    case 'unserved':
      return `NOT SERVED: ${event.collection}: ${event.message} (${event.code}); put it right, then start the service again`;
    case 'well':
      return `${event.collection} is well again after ${Math.round(event.after / 1000)} s`;
    case 'refused':
      // Every client asks for the next root, which is almost never there.
      if (event.code === 'NOT_FOUND') return undefined;
      return `refused ${'path' in event ? `${event.path}: ` : ''}${event.message} (${event.code})`;
    case 'fault':
      return `fault: ${event.message}`;
    case 'outage':
      return `the collection cannot be reached: ${event.message} (${event.code})`;
    case 'broken':
      return `broken: ${event.message} (${event.code})`;
    case 'fresh':
      return `the collection verifies: timestamp ${event.timestamp}, snapshot ${event.snapshot}`;
    case 'owners':
      return `new owners of ${event.directory}: ${event.message}`;
    case 'stored':
      return `checked and kept ${event.path} (${event.assurance})`;
    case 'relayed':
      return `relayed, unverified: ${event.name}${event.version === undefined ? '' : ` ${event.version}`}`;
    case 'answered':
      return `${event.status} ${event.method} ${event.path}${event.code === undefined ? '' : ` (${event.code})`}`;
  }
}

function counted(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? '' : 's'}`;
}
