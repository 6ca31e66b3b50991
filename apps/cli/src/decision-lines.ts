// Decisions in words: what a person is about to sign, what was decided, and
// how a name stands. Everything shown comes from the statement or the replayed
// list itself, so that nobody signs what a service merely says.

import { type Instant, writeInstant } from '@countersign/core';
import {
  type Decision,
  isNameDecision,
  liveOwnersOf,
  type NameRecord,
  type OwnerSet,
  type State,
  shownOf,
  stateOf,
} from '@countersign/decisions';
import { columns, short } from './output.ts';

/** What a decision would change about a name, against how it stands. */
export function decisionLines(decision: Decision, record: NameRecord | undefined): readonly string[] {
  if (!isNameDecision(decision)) return collectionLines(decision);
  const name = `${decision.ecosystem}/${decision.name}`;
  switch (decision.decision) {
    case 'claim':
      return [`${name}: claimed by`, ...ownerRows(undefined, decision.owners)];
    case 'owners':
      return [`${name}: its owners change`, ...ownerRows(record?.authority, decision.owners)];
    case 'recover':
      return [
        `${name}: recovered for new owners, without the old ones (reason: ${decision.reason})`,
        ...ownerRows(record?.authority, decision.owners),
      ];
    case 'adopt':
      return [`${name}: adopted (reason: ${decision.reason})`, ...ownerRows(record?.authority, decision.owners)];
    case 'retire':
      return [`${name}: ends for good (reason: ${decision.reason})`];
    case 'freeze':
      return [`${name}: stopped; nothing of it is admitted until that is lifted (reason: ${decision.reason})`];
    case 'revoke':
      return [`${name}: key ${short(decision.keyId)}… is stolen and never counts again; the name is stopped`];
    case 'veto':
      return [`${name}: the waiting request is refused`, ...(record === undefined ? [] : pendingLines(record))];
    case 'complete':
      return [`${name}: the waiting request takes effect`];
    case 'lift':
      return [`${name}: the stop ends`];
    case 'abandon':
      return [`${name}: its owners no longer care for it; the quorum may give it to others after a week`];
    case 'keep':
      return [`${name}: its owners care for it again`];
  }
}

/** A decision in one line. */
export function decisionTitle(decision: Decision): string {
  const [what = ''] = decisionLines(decision, undefined);
  if (!('owners' in decision)) return what;
  const { threshold, keyIds } = decision.owners;
  const text = `${threshold} of ${keyIds.map((id) => `${short(id)}…`).join(', ')}`;
  return decision.decision === 'claim' ? `${what} ${text}` : `${what}: ${text}`;
}

/** How a name stands, for its people. */
export function recordLines(record: NameRecord, now: Instant): readonly string[] {
  const shown = shownOf(record);
  const differs = record.countersigned !== undefined && stateOf(record) === 'rotating';
  return [
    `${record.ecosystem}/${record.name}: ${STATE_TEXTS[stateOf(record)]}`,
    ...columns([
      ['epoch', `${record.epoch}, by ${record.cameBy.by}`],
      [
        'owners',
        `${record.authority.threshold} of ${record.authority.keyIds.length} must sign, since ${writeInstant(record.since)}`,
      ],
      ...ownerKeys(record).map((key) => ['', key]),
      ...(differs
        ? [
            [
              'clients see',
              `${shown.authority.threshold} of ${shown.authority.keyIds.map(short).join(', ')}, until the quorum's next session`,
            ],
          ]
        : []),
      ...(record.adoptable ? [['abandoned', 'its owners gave it up']] : []),
      ...(record.frozen === undefined
        ? []
        : [
            [
              'stopped',
              `by ${record.frozen.by === 'quorum' ? 'the quorum' : 'an owner'} at ${writeInstant(record.frozen.since)} (${record.frozen.reason})`,
            ],
          ]),
    ]),
    ...pendingLines(record, now),
  ];
}

function pendingLines({ pending, authority }: NameRecord, now?: Instant): readonly string[] {
  if (pending === undefined) return [];
  const what = {
    owners: 'a change of owners',
    recover: 'a recovery',
    adopt: 'an adoption',
    retire: 'the end of the name',
  };
  const until =
    now !== undefined && pending.until <= now
      ? 'takes effect with the next publication'
      : `takes effect at ${writeInstant(pending.until)}`;
  return [
    `  waiting: ${what[pending.kind]}, asked for by ${pending.by === 'quorum' ? 'the quorum' : 'its owners'} at ${writeInstant(pending.since)}; ${until}${pending.vetoable ? ' unless an owner objects' : ''}`,
    ...(pending.proposal === undefined ? [] : ownerRows(authority, pending.proposal).map((line) => `  ${line}`)),
  ];
}

function ownerRows(before: OwnerSet | undefined, after: OwnerSet): readonly string[] {
  const old = new Set(before?.keyIds ?? []);
  const rows = after.keyIds.map((id) => [old.has(id) ? ' ' : '+', `key ${short(id)}…`]);
  for (const id of old) if (!after.keyIds.includes(id)) rows.push(['-', `key ${short(id)}…`]);
  const threshold =
    before === undefined || before.threshold === after.threshold
      ? String(after.threshold)
      : `${before.threshold} → ${after.threshold}`;
  return [...columns(rows), `  must sign: ${threshold} of ${after.keyIds.length}`];
}

function ownerKeys(record: NameRecord): readonly string[] {
  const live = new Set(liveOwnersOf(record).keyIds);
  return record.authority.keyIds.map((id) => `${id}${live.has(id) ? '' : ' (declared stolen)'}`);
}

function collectionLines(decision: Exclude<Decision, { readonly name: string }>): readonly string[] {
  if (decision.decision === 'root') return [`root version ${decision.version} is in force`];
  const left = decision.except.length === 0 ? '' : `, without ${decision.except.join(', ')}`;
  return [`the quorum countersigns every decision up to ${decision.upto}${left}`];
}

const STATE_TEXTS = {
  unregistered: 'nobody has claimed it',
  recent: 'recent',
  claimed: 'claimed',
  rotating: 'claimed; its owners have changed',
  'transfer-pending': 'a request of its owners waits',
  'recovery-pending': 'a request of the quorum waits',
  frozen: 'stopped',
  tombstoned: 'ended for good',
} as const satisfies Record<State, string>;
