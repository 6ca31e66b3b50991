import { beforeAll, describe, expect, it } from 'vitest';
import { claimed, explore, OWNERS } from '../test/explore.ts';
import { fillUp, fingerprint, type Moment, namesOf, type Offer, session, set, take } from '../test/model.ts';
import { circumstances, type Setting, turn } from '../test/story.ts';
import { BEGIN, QUORUM } from '../test/world.ts';
import {
  ACTORS,
  EDGES,
  identitiesOf,
  liveOwnersOf,
  type NameRecord,
  nextStep,
  SITUATIONS,
  type Situation,
  stateOf,
} from './index.ts';

/** The situations by what they ask for: those that ask for the same have the same steps. */
const GOALS = [...new Set(Object.values(SITUATIONS).map(({ goal }) => goal))].map((goal) => {
  const letters = (Object.keys(SITUATIONS) as Situation[]).filter((letter) => SITUATIONS[letter].goal === goal);
  return [letters.join(), goal, letters[0] ?? 'a'] as const;
});
let states: readonly Moment[] = [];
const taken = new Map<string, number>();
const wrong: string[] = [];

beforeAll(() => {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  states = explore(({ record, at }, { by }, next, edge) => {
    taken.set(edge, (taken.get(edge) ?? 0) + 1);
    if (record === undefined) return;
    const live = namesOf(liveOwnersOf(record)).filter((name) => by.includes(name));
    const before = identitiesOf(record.authority);
    const added = [...identitiesOf(next.authority)].filter((key) => !before.has(key));
    const removed = [...before].filter((key) => !identitiesOf(next.authority).has(key));
    const waited = edge === 'complete' && record.pending !== undefined && at >= record.pending.until;
    const complain = (what: string): void => void wrong.push(`${edge} by ${by.join()}: ${what}`);
    if (!waited && live.length < 2 && added.length > 0) complain('one key adds owners at once');
    if (!waited && live.length < 2 && removed.some((key) => !record.dead.has(key))) complain('one key removes at once');
    if (!waited && next.epoch !== record.epoch) complain('a new epoch at once');
    if ([...record.dead].some((key) => !next.dead.has(key))) complain('a dead key lives again');
    if ([...next.dead].some((key) => added.includes(key))) complain('a dead key comes in');
    if (next.pending?.by === 'owners' && next.frozen !== undefined) complain('owners ask behind a frozen door');
    if (record.frozen?.by === 'quorum' && next.frozen === undefined && edge !== 'release' && !waited)
      complain('thawed');
    const asked = record.pending;
    const answers = ['veto', 'withdraw', 'complete'];
    if (asked?.by === 'quorum' && next.pending !== asked && !answers.includes(edge)) complain('displaces the quorum');
    if (asked !== undefined && before.size > 0 && edge.startsWith('owners')) complain('owners change while one waits');
    if (record.frozen !== undefined && edge === 'freeze') complain('a freeze over a freeze');
    if (record.frozen?.by === 'quorum' && edge === 'quarantine') complain('a freeze that begins again');
    if (record.tombstoned !== undefined && ![...answers, 'adopt'].includes(edge)) complain('life after the end');
    if (next.frozen === undefined && next.tombstoned === undefined) {
      const live = liveOwnersOf(next);
      if (live.keyIds.length < live.threshold) complain('it moves, and nobody can sign for it');
    }
  });
  Error.stackTraceLimit = stackTraceLimit;
}, 120_000);

describe('every reachable state', () => {
  it('is reached, and every edge is taken', () => {
    expect(states.length).toBeGreaterThan(5000);
    const edges = EDGES.map(({ id }) => String(id)).filter((id) => id !== 'claim');
    expect([...taken.keys()].sort()).toEqual(edges.sort());
    expect(new Set(states.map(({ record }) => stateOf(record)))).toEqual(
      new Set(['claimed', 'rotating', 'transfer-pending', 'recovery-pending', 'frozen', 'tombstoned']),
    );
  });

  it('is left by two keys, by time or by the quorum: never by one key at once', () => {
    expect(wrong).toEqual([]);
  });

  it.each(GOALS)(
    'has one permitted step for every actor in %s (%s), and following the steps ends',
    (_letters, _goal, situation) => {
      const { stackTraceLimit } = Error;
      Error.stackTraceLimit = 0;
      const ends = new Set<string>();
      // Also where a thief has used up what one key may begin in a day.
      for (const moment of states.flatMap((state) => [state, fillUp(state)]))
        for (const setting of settings(moment.record, situation)) follow(moment, setting, ends);
      Error.stackTraceLimit = stackTraceLimit;
      expect(ends.size).toBeGreaterThan(100);
    },
    120_000,
  );
});

/** Who might have which keys of a record, in a situation. */
function settings(record: NameRecord | undefined, situation: Situation): readonly Setting[] {
  if (record === undefined) return [];
  const { goal } = SITUATIONS[situation];
  const present = namesOf(record.authority);
  const [first = 'o1', ...others] = present;
  const fresh = present.includes('n') ? 'm' : 'n';
  const base = { situation, wanted: set([fresh], 1), held: [...present, fresh], stolen: [], decided: false };
  const lost = { ...base, held: [fresh] };
  switch (goal) {
    case 'own':
    case 'stand':
      return [base];
    case 'change':
      return [base, { ...base, held: [...others, fresh] }, lost];
    case 'defend':
      return [
        { ...base, stolen: [first] },
        { ...base, stolen: [first], held: [...others, fresh] },
        { ...lost, stolen: present },
      ];
    case 'undo':
    case 'judge':
      return [base, { ...lost, stolen: present }];
    case 'replace':
    case 'adopt':
    case 'end':
      return [base, lost];
  }
}

/** Nobody has anything left to do: the owners have their name, or it has ended. */
function requireRest(moment: Moment, setting: Setting): void {
  const told = ACTORS.map((actor) => nextStep(moment.record, actor, circumstances(moment.at, setting)).do);
  const rest = ['publish', 'install', 'confirm', 'nothing'];
  if (!told.every((step) => rest.includes(step))) throw new Error(`No rest in ${setting.situation}: ${told.join()}`);
}

/** Follows the advice to its end. What was followed before need not be again. */
function follow(from: Moment, setting: Setting, ends: Set<string>): readonly string[] {
  const deeds: string[] = [];
  const passed: string[] = [];
  let now: { moment: Moment; setting: Setting } = { moment: from, setting };
  for (let turns = 0; ; turns++) {
    const place = `${fingerprint(now.moment)} ${now.setting.held.join()} ${now.setting.stolen.join()} ${now.setting.decided}`;
    if (ends.has(place) && deeds.length > 0) break;
    passed.push(place);
    const next = turn(now.moment, now.setting);
    if (next === undefined) {
      requireRest(now.moment, now.setting);
      break;
    }
    deeds.push(next.deed);
    if (turns > 40) throw new Error(`It never ends: ${deeds.join(', ')} in ${setting.situation}`);
    now = next;
  }
  for (const place of passed) ends.add(place);
  return deeds;
}

describe('the sixteen situations one by one', () => {
  const one = claimed(['o1'], 1);
  const pair = claimed(['o1', 'o2'], 1);
  const team = claimed(['o1', 'o2', 'o3'], 2);
  const sold = done(one, { decision: 'owners', owners: set(['t'], 1) }, ['o1', 't']);
  const ended = done(one, { decision: 'retire', reason: 'ended', evidence: '' }, ['o1']);
  const pressed = rule(
    one,
    { decision: 'recover', reason: 'legal', evidence: '5'.repeat(64), owners: set(['t'], 1) },
    't',
  );
  const n = set(['n'], 1);
  const none: readonly string[] = [];

  it.each<readonly [Situation, string, Moment, Partial<Setting>, readonly string[], string]>([
    [
      'a',
      'a first claim',
      { record: undefined, at: BEGIN },
      { wanted: set(['o1'], 1), held: ['o1'] },
      ['newcomer: claim', 'quorum: countersign'],
      'claimed',
    ],
    [
      'b',
      'a third owner',
      team,
      { wanted: set(['o1', 'o2', 'o3', 'n'], 2), held: [...OWNERS, 'n'] },
      ['owner: owners', 'quorum: countersign'],
      'claimed',
    ],
    [
      'b',
      'a second device of one owner',
      one,
      { wanted: set(['o1', 'n'], 1), held: ['o1', 'n'] },
      ['owner: owners', 'time', 'repository: complete', 'quorum: countersign'],
      'claimed',
    ],
    [
      'c',
      'one of three keys lost',
      team,
      { wanted: set(['o1', 'o2'], 2), held: ['o1', 'o2'] },
      ['owner: owners', 'quorum: countersign'],
      'claimed',
    ],
    [
      'c',
      'one of two keys lost, both needed',
      claimed(['o1', 'o2'], 2),
      { wanted: set(['o1', 'n'], 1), held: ['o1', 'n'] },
      ['quorum: recover', 'time', 'repository: complete', 'quorum: countersign'],
      'claimed',
    ],
    [
      'd',
      'key and account lost',
      one,
      { wanted: n, held: none },
      ['quorum: recover', 'time', 'repository: complete', 'quorum: countersign'],
      'claimed',
    ],
    [
      'e',
      'a copy of the only key stolen',
      one,
      { wanted: n, held: ['o1', 'n'], stolen: ['o1'] },
      ['owner: revoke', 'quorum: recover', 'time', 'repository: complete', 'quorum: countersign'],
      'claimed',
    ],
    [
      'e',
      'one of two devices stolen',
      pair,
      { wanted: n, held: ['o2', 'n'], stolen: ['o1'] },
      [
        'owner: freeze',
        'quorum: freeze',
        'time',
        'quorum: recover',
        'time',
        'repository: complete',
        'quorum: countersign',
      ],
      'claimed',
    ],
    [
      'e',
      'one of three keys stolen',
      team,
      { wanted: n, held: ['o2', 'o3', 'n'], stolen: ['o1'] },
      ['owner: freeze', 'owner: owners', 'owner: lift', 'quorum: countersign'],
      'claimed',
    ],
    [
      'e',
      'the only device stolen',
      one,
      { wanted: n, held: ['n'], stolen: ['o1'] },
      ['quorum: freeze', 'time', 'quorum: recover', 'time', 'repository: complete', 'quorum: countersign'],
      'claimed',
    ],
    ['f', 'a transfer that waits', sold.asked, { wanted: set(['o1'], 1), held: ['o1'] }, ['owner: veto'], 'claimed'],
    [
      'f',
      'a transfer that is done',
      sold.complete,
      { wanted: set(['o1'], 1), held: ['o1'], stolen: ['t'] },
      ['quorum: freeze', 'time', 'quorum: recover', 'time', 'repository: complete', 'quorum: countersign'],
      'claimed',
    ],
    [
      'g',
      'an abandoned project',
      one,
      { wanted: n, held: none },
      ['adjudicator: decide', 'quorum: adopt', 'time', 'repository: complete', 'quorum: countersign'],
      'claimed',
    ],
    [
      'h',
      'an author who died',
      one,
      { wanted: n, held: none },
      ['adjudicator: decide', 'quorum: adopt', 'time', 'repository: complete', 'quorum: countersign'],
      'claimed',
    ],
    [
      'i',
      'two who dispute',
      pair,
      { wanted: set(['o1'], 1), held: ['o1'], stolen: ['o2'] },
      [
        'owner: freeze',
        'quorum: freeze',
        'adjudicator: decide',
        'time',
        'quorum: recover',
        'time',
        'repository: complete',
        'quorum: countersign',
      ],
      'claimed',
    ],
    [
      'j',
      'a court',
      one,
      { wanted: n, held: ['o1'] },
      [
        'quorum: freeze',
        'adjudicator: decide',
        'time',
        'quorum: retire',
        'time',
        'repository: complete',
        'quorum: countersign',
      ],
      'tombstoned',
    ],
    [
      'k',
      'malware',
      one,
      { wanted: n, held: none },
      [
        'quorum: freeze',
        'adjudicator: decide',
        'time',
        'quorum: retire',
        'time',
        'repository: complete',
        'quorum: countersign',
      ],
      'tombstoned',
    ],
    ['l', 'an identity provider', one, { wanted: set(['o1'], 1), held: ['o1'] }, none, 'claimed'],
    [
      'm',
      'an administrator under pressure',
      pressed,
      { wanted: set(['o1'], 1), held: ['o1'] },
      ['owner: veto'],
      'claimed',
    ],
    ['n', 'a build that moved', one, { wanted: set(['o1'], 1), held: ['o1'] }, none, 'claimed'],
    [
      'o',
      'a name that had ended',
      ended.complete,
      { wanted: n, held: none },
      ['adjudicator: decide', 'quorum: adopt', 'time', 'repository: complete', 'quorum: countersign'],
      'claimed',
    ],
    [
      'p',
      'the same name elsewhere',
      { record: undefined, at: BEGIN },
      { wanted: set(['o1'], 1), held: ['o1'] },
      ['newcomer: claim', 'quorum: countersign'],
      'claimed',
    ],
  ])('(%s) %s', (situation, _what, start, given, deeds, state) => {
    const setting: Setting = { situation, wanted: n, held: [], stolen: [], decided: false, ...given };
    let now: { moment: Moment; setting: Setting } = { moment: start, setting };
    const followed: string[] = [];
    for (let next = turn(now.moment, now.setting); next !== undefined; next = turn(now.moment, now.setting)) {
      followed.push(next.deed);
      now = next;
    }
    expect(followed).toEqual(deeds);
    expect(stateOf(now.moment.record)).toBe(state);
    // Who is not told to act is told something all the same, and one thing only.
    for (const actor of ACTORS) {
      expect(nextStep(now.moment.record, actor, circumstances(now.moment.at, now.setting)).why).toMatch(
        /^[A-Z].*[^.]$/,
      );
    }
  });

  /** A request of one owner, and the same once its time is over. */
  function done(from: Moment, body: Offer['body'], by: readonly string[]): { asked: Moment; complete: Moment } {
    const asked = take(from, { body, side: 'owners', by })?.moment ?? from;
    const late = { ...asked, at: asked.record?.pending?.until ?? 0 };
    const complete = take(late, { body: { decision: 'complete' }, side: 'owners', by: [] })?.moment ?? from;
    return { asked, complete: session(complete) };
  }

  function rule(from: Moment, body: Offer['body'], incoming: string): Moment {
    return take(from, { body, side: 'quorum', by: [...QUORUM.slice(1), incoming] })?.moment ?? from;
  }
});
