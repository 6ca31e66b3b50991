import { describe, expect, it } from 'vitest';
import {
  fingerprint,
  type Moment,
  namesOf,
  type Offer,
  offers,
  quorumOffers,
  session,
  set,
  take,
  tick,
} from '../test/model.ts';
import { type Setting, turn } from '../test/story.ts';
import { BEGIN, QUORUM } from '../test/world.ts';
import { DELAYS, type Situation } from './index.ts';

/** Somebody who is not, or no longer, on the owners' side. */
interface Party {
  readonly owners: readonly string[];
  readonly threshold: number;
  /** Owner keys that the party can sign with; its own key `t` besides. */
  readonly keys: readonly string[];
  /** Keys of the owners that the owners do not have any more. */
  readonly gone?: readonly string[];
  readonly members?: readonly string[];
  readonly situation: Situation;
}

/** A claimed name after a month. */
function claimed({ owners, threshold }: Party): Moment {
  const claim = { body: { decision: 'claim', owners: set(owners, threshold) }, side: 'owners', by: owners } as const;
  const taken = take({ record: undefined, at: BEGIN }, claim);
  return { ...session(taken?.moment ?? { record: undefined, at: BEGIN }), at: BEGIN + 30 * 86_400_000 };
}

/** Where a party may find a name: at rest, or while its owners are about something. */
function starts(party: Party): readonly Moment[] {
  const calm = claimed(party);
  const by = party.owners;
  const own = (body: Offer['body'], ...more: string[]): Offer => ({ body, side: 'owners', by: [...by, ...more] });
  const begun = [
    own({ decision: 'owners', owners: set(['n'], 1) }, 'n'),
    own({ decision: 'owners', owners: set([...by, 'n'], party.threshold) }, 'n'),
    own({ decision: 'freeze', reason: 'panic' }),
    own({ decision: 'abandon' }),
    own({ decision: 'retire', reason: 'ended', evidence: '' }),
  ].map((offer) => take(calm, offer)?.moment ?? calm);
  return [calm, { ...calm, at: BEGIN }, ...begun];
}

/** Everything that a party can send. */
function sends({ record }: Moment, { keys, members = [] }: Party): readonly Offer[] {
  if (record === undefined) return [];
  const by = members.length === 0 ? [] : quorumOffers(record, set(['t'], 1), members);
  // Without owner keys one can still sign with one's own, and complete.
  const strange = proposalsOfStranger();
  return [...offers(record, [...keys, 't'], false), ...by, ...strange];
}

function proposalsOfStranger(): readonly Offer[] {
  const owners = set(['t'], 1);
  return [
    { body: { decision: 'owners', owners }, side: 'owners', by: ['t'] },
    { body: { decision: 'claim', owners }, side: 'owners', by: ['t'] },
    { body: { decision: 'veto' }, side: 'owners', by: ['t'] },
    { body: { decision: 'lift' }, side: 'owners', by: ['t'] },
  ];
}

/** The owners and an honest quorum do what they are told, until they have to wait. */
function react(from: Moment, party: Party): Moment {
  const stolen = party.keys;
  const gone = party.gone ?? [];
  const held = [...party.owners.filter((name) => !gone.includes(name)), 'n'];
  let now: { moment: Moment; setting: Setting } = {
    moment: from,
    setting: { situation: party.situation, wanted: set(['n'], 1), held, stolen, decided: false },
  };
  for (;;) {
    const next = turn(now.moment, now.setting);
    if (next === undefined || next.deed === 'time') return now.moment;
    now = next;
  }
}

/** All that a party can bring about in some moves, with the moves that did it. */
function outcomes(
  party: Party,
  depth: number,
  watched: boolean,
): { readonly changed: readonly string[]; readonly visited: number } {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  const seen = new Map<string, number>();
  const changed = new Set<string>();
  const visit = (moment: Moment, left: number, moves: readonly string[]): void => {
    const { record } = moment;
    if (record === undefined) return;
    const foreign = [...namesOf(record.authority), ...namesOf(record.countersigned?.authority ?? record.authority)];
    if (foreign.includes('t')) changed.add(moves.join(', '));
    const place = fingerprint(moment);
    if (left === 0 || foreign.includes('t') || (seen.get(place) ?? 0) >= left) return;
    seen.set(place, left);
    for (const offer of sends(moment, party)) {
      const taken = take(moment, offer);
      if (taken === undefined) continue;
      visit(session(taken.moment), left - 1, [...moves, taken.edge]);
    }
    // However much the party sends: before a waiting time is over, the owners look.
    const later = tick(watched ? react(moment, party) : moment);
    if (later !== undefined) visit(session(later), left - 1, [...moves, 'time']);
  };
  for (const start of starts(party)) visit(start, depth, []);
  Error.stackTraceLimit = stackTraceLimit;
  return { changed: [...changed], visited: seen.size };
}

describe('a single compromised party, while the owners look once in every waiting time', () => {
  const trio = { owners: ['o1', 'o2', 'o3'], threshold: 2 };
  const pair = { owners: ['o1', 'o2'], threshold: 2 };
  const either = { owners: ['o1', 'o2'], threshold: 1 };
  const sole = { owners: ['o1'], threshold: 1 };

  it.each<readonly [string, Party]>([
    ['one owner key of two in three', { ...trio, keys: ['o1'], gone: ['o1'], situation: 'e' }],
    ['a copy of one owner key of two in three', { ...trio, keys: ['o1'], situation: 'e' }],
    ['one owner key of two in two', { ...pair, keys: ['o1'], gone: ['o1'], situation: 'e' }],
    ['a copy of one owner key of two in two', { ...pair, keys: ['o1'], situation: 'e' }],
    ['one device of two, each enough', { ...either, keys: ['o1'], gone: ['o1'], situation: 'e' }],
    ['a copy of one device of two', { ...either, keys: ['o1'], situation: 'e' }],
    ['a copy of the only owner key', { ...sole, keys: ['o1'], situation: 'e' }],
    ["the repository's online keys", { ...sole, keys: [], situation: 'm' }],
    ['one member of the quorum', { ...sole, keys: [], members: [QUORUM[0] ?? ''], situation: 'm' }],
    ['one member of the quorum, against a team', { ...trio, keys: [], members: [QUORUM[0] ?? ''], situation: 'm' }],
    ['an adjudicator', { ...trio, keys: [], situation: 'm' }],
    ['an identity provider, or an account', { ...sole, keys: [], situation: 'l' }],
  ])('%s: the set of names whose owner can change is empty', (_who, party) => {
    const { changed, visited } = outcomes(party, 6, true);
    expect(changed).toEqual([]);
    expect(visited).toBeGreaterThan(6);
  });

  it('one owner key of two in three cannot, even when nobody looks', () => {
    expect(outcomes({ ...trio, keys: ['o1'], situation: 'e' }, 6, false).changed).toEqual([]);
  });

  it('the only owner key can when nobody looks: the search has teeth, and the wait is a week', () => {
    expect(outcomes({ ...sole, keys: ['o1'], situation: 'e' }, 3, false).changed).toContain(
      'owners-alone, time, complete',
    );
    expect(DELAYS.owners).toBe(7);
  });

  it('a whole quorum can, after its delay, unless one owner key objects; never at once', () => {
    const quorum: Party = { ...sole, keys: [], members: QUORUM.slice(1), situation: 'm' };
    const { changed } = outcomes(quorum, 3, false);
    expect(changed.slice().sort()).toEqual([
      'adopt, time, complete',
      'adopt-declared, time, complete',
      'recover, time, complete',
    ]);
    expect(outcomes(quorum, 5, true).changed).toEqual([]);
  });
});
