// What to do in each of the sixteen situations that a registry must settle:
// for every actor exactly one step at every moment. Advice only: what is
// permitted, step.ts decides. The model check follows this advice from every
// state and must always arrive.

import { days, type Instant, type KeyId } from '@countersign/core';
import { DELAYS, type Delays } from './edges.ts';
import { identityOf, type OwnerSet, sameOwners } from './owners.ts';
import { isRotating, liveOwnersOf, type NameRecord, pacedUntil, shownOf } from './record.ts';
import { isSettled } from './session.ts';
import type { NameKind } from './statement.ts';

/** What a situation asks for in the end. */
export type Goal = 'own' | 'change' | 'defend' | 'undo' | 'replace' | 'adopt' | 'judge' | 'end' | 'stand';

/** The sixteen situations, by letter: what happened, what it asks for, what clients see meanwhile. */
export const SITUATIONS = {
  a: { title: 'A name is claimed for the first time', goal: 'own', clients: 'the name as recent, then as claimed' },
  b: {
    title: 'Owners add or remove an owner, or change the threshold',
    goal: 'change',
    clients: 'the old owners until the next session',
  },
  c: {
    title: 'An owner lost a key and has others',
    goal: 'change',
    clients: 'the old owners until the next session',
  },
  d: {
    title: 'Owners lost every key, and the account',
    goal: 'replace',
    clients: 'that a recovery waits; then a new epoch to confirm',
  },
  e: { title: 'A key was stolen', goal: 'defend', clients: 'no new version while the name is frozen' },
  f: {
    title: 'A transfer is hostile or a mistake',
    goal: 'undo',
    clients: 'nothing, if it is vetoed in time; else a new epoch to confirm',
  },
  g: {
    title: 'A project is abandoned',
    goal: 'adopt',
    clients: 'that an adoption waits; then a new epoch to confirm',
  },
  h: {
    title: 'The only author has died',
    goal: 'adopt',
    clients: 'that an adoption waits; then a new epoch to confirm',
  },
  i: {
    title: 'Co-maintainers dispute',
    goal: 'judge',
    clients: 'no new version; then, if owners change, a new epoch to confirm',
  },
  j: { title: 'A court or a trademark', goal: 'end', clients: 'no new version; then that the name has ended' },
  k: { title: 'Malware', goal: 'end', clients: 'no new version; then that the name has ended' },
  l: {
    title: 'An identity provider is compromised',
    goal: 'stand',
    clients: 'nothing: keys own names, accounts do not',
  },
  m: {
    title: 'Administrators are compromised or coerced',
    goal: 'stand',
    clients: 'nothing, or that a recovery waits until it is vetoed',
  },
  n: {
    title: "A build's identity changes",
    goal: 'stand',
    clients: "the owners' next role file, with the new release key",
  },
  o: {
    title: 'A deleted name is to be used again',
    goal: 'adopt',
    clients: 'that the name has ended; then a new epoch to confirm',
  },
  p: {
    title: 'Two registries have the same name',
    goal: 'own',
    clients: 'what their own collection says: a claim names its collection',
  },
} as const satisfies Record<string, { readonly title: string; readonly goal: Goal; readonly clients: string }>;
/** The letter of a situation. */
export type Situation = keyof typeof SITUATIONS;

/** Who asks what to do. */
export const ACTORS = ['newcomer', 'owner', 'quorum', 'repository', 'adjudicator', 'user'] as const;
/** One of them. */
export type Actor = (typeof ACTORS)[number];

/** What is the case besides what the list says. */
export interface Circumstances {
  readonly situation: Situation;
  readonly at: Instant;
  /** The owners that there should be in the end, where that is known. */
  readonly wanted?: OwnerSet;
  /** Present keys that the rightful owners can sign with. */
  readonly held?: readonly KeyId[];
  /** Present keys in wrong hands, whether or not the owners have them too. */
  readonly stolen?: readonly KeyId[];
  /** The adjudicators have decided, and the quorum agrees. */
  readonly decided?: boolean;
  readonly delays?: Delays;
}

/** The one thing to do now. */
export interface NextStep {
  readonly do: NameKind | 'countersign' | 'publish' | 'install' | 'confirm' | 'wait' | 'ask' | 'decide' | 'nothing';
  /** When what one waits for has come. */
  readonly until?: Instant;
  /** The key to revoke. */
  readonly keyId?: KeyId;
  /** For a person; no full stop. */
  readonly why: string;
}

/**
 * The one step that is right for somebody now.
 *
 * @param record how the name stands; `undefined` if nobody speaks for it
 * @example nextStep(undefined, 'newcomer', { situation: 'a', at: now }).do // 'claim'
 */
export function nextStep(record: NameRecord | undefined, actor: Actor, circumstances: Circumstances): NextStep {
  const view: View = { ...circumstances, goal: SITUATIONS[circumstances.situation].goal };
  if (record === undefined) return unowned(actor);
  return POLICIES[actor](record, view);
}

interface View extends Circumstances {
  readonly goal: Goal;
}

const POLICIES: Readonly<Record<Actor, (record: NameRecord, view: View) => NextStep>> = {
  newcomer: newcomerStep,
  owner: ownerStep,
  quorum: quorumStep,
  repository: repositoryStep,
  adjudicator: adjudicatorStep,
  user: userStep,
};

function unowned(actor: Actor): NextStep {
  return actor === 'newcomer'
    ? { do: 'claim', why: 'Nobody speaks for the name: claim it with every key that shall own it' }
    : { do: 'nothing', why: 'Nobody speaks for the name yet' };
}

function newcomerStep(record: NameRecord, view: View): NextStep {
  if (view.goal === 'adopt' && !isResolved(record, view)) {
    if (record.pending?.by === 'quorum') return waitFor(record.pending.until);
    return { do: 'ask', why: 'Ask the adjudicators for the name, and show why' };
  }
  return { do: 'nothing', why: 'Somebody speaks for the name: choose another, or ask its owner' };
}

function repositoryStep({ pending }: NameRecord, { at }: View): NextStep {
  if (pending === undefined) return { do: 'nothing', why: 'List what owners and quorum send' };
  if (at < pending.until) return waitFor(pending.until);
  return { do: 'complete', why: 'The waiting time is over and nobody has objected' };
}

function adjudicatorStep(record: NameRecord, view: View): NextStep {
  const theirs = view.goal === 'adopt' || view.goal === 'judge' || view.goal === 'end';
  if (!theirs || view.decided === true || isResolved(record, view)) {
    return { do: 'nothing', why: 'Nothing is left for you to decide' };
  }
  return { do: 'decide', why: 'Hear both sides and tell the quorum; you sign nothing' };
}

function userStep(record: NameRecord): NextStep {
  const shown = shownOf(record);
  if (shown.retired !== undefined) return { do: 'nothing', why: 'The name has ended: use another package' };
  if (shown.epoch > 1) return { do: 'confirm', why: 'Others speak for the name now: read how that came, then confirm' };
  return { do: 'install', why: 'The owners are the ones you know' };
}

function ownerStep(record: NameRecord, view: View): NextStep {
  const step = ownersGoalStep(record, view);
  if (step.do !== 'owners' && step.do !== 'lift') return step;
  const until = pacedUntil(record, heldOf(record, view).length, view.at);
  return until === undefined ? step : waitFor(until);
}

function ownersGoalStep(record: NameRecord, view: View): NextStep {
  const { pending, tombstoned } = record;
  if (tombstoned !== undefined) return { do: 'nothing', why: 'The name has ended' };
  if (view.goal === 'defend') return defence(record, view);
  const held = heldOf(record, view);
  if (pending !== undefined) {
    const answered = pending.kind === 'adopt' && held.length > 0;
    if (isWelcome(record, view) && !answered) return waitFor(pending.until);
    if (held.length > 0 && pending.vetoable) return { do: 'veto', why: 'This request is not yours: one key ends it' };
    return { do: 'ask', why: 'You cannot veto this request: bring your evidence before the quorum' };
  }
  if (view.goal === 'judge' && !isResolved(record, view)) {
    if (record.frozen === undefined && held.length > 0) {
      return { do: 'freeze', why: 'Stop the name until the dispute is decided' };
    }
    return { do: 'wait', why: 'The adjudicators hear both sides' };
  }
  if (view.goal === 'end') return { do: 'wait', why: 'The adjudicators hear you' };
  if (record.frozen !== undefined) return thaw(record, view);
  if (isResolved(record, view)) return { do: 'publish', why: 'The name is yours' };
  if (view.goal === 'adopt')
    return { do: 'publish', why: 'Publish or keep the name: whoever answers is not passed over' };
  if (view.goal === 'change' && held.length >= record.authority.threshold) {
    return { do: 'owners', why: 'Sign the new owners with your threshold and every new key' };
  }
  return { do: 'ask', why: 'Ask the quorum to recover the name, and show who you are' };
}

/** What owners do against a thief. */
function defence(record: NameRecord, view: View): NextStep {
  const live = liveOwnersOf(record);
  const held = heldOf(record, view);
  const stolen = stolenOf(record, view);
  const [own] = stolen.filter((keyId) => held.includes(keyId));
  if (own !== undefined) {
    return { do: 'revoke', keyId: own, why: 'You hold the stolen key too: end it, and nobody can use it' };
  }
  if (stolen.length === 0 || held.length === 0) {
    if (record.pending !== undefined) {
      if (isWelcome(record, view)) return waitFor(record.pending.until);
      if (held.length > 0 && record.pending.vetoable)
        return { do: 'veto', why: 'One key ends what the thief asked for' };
    }
    if (held.length === 0) return { do: 'ask', why: 'Ask the quorum to recover the name, and show who you are' };
    return record.frozen === undefined ? { do: 'publish', why: 'The name is yours' } : thaw(record, view);
  }
  if (record.pending?.by === 'quorum') return waitFor(record.pending.until);
  if (record.frozen === undefined) return { do: 'freeze', why: 'Stop the name: one key is enough' };
  if (record.frozen.by === 'owner' && held.length >= Math.max(2, live.threshold)) {
    const ripe = record.since + days((view.delays ?? DELAYS).seasoned);
    if (view.at < ripe) return waitFor(ripe);
    return { do: 'owners', why: 'Two keys or more put the stolen one out at once' };
  }
  return { do: 'ask', why: 'Your keys cannot put the stolen one out: ask the quorum to recover the name' };
}

/** What owners do about a freeze that nobody needs any more. */
function thaw(record: NameRecord, view: View): NextStep {
  const { frozen } = record;
  const live = liveOwnersOf(record);
  const held = heldOf(record, view);
  const two = held.length >= 2 || held.length === live.keyIds.length;
  const unopposed = two || held.some((keyId) => identityOf(live, keyId) === frozen?.key);
  if (frozen?.by === 'owner' && held.length >= live.threshold && held.length > 0 && unopposed) {
    return { do: 'lift', why: 'Nothing threatens the name: lift the freeze' };
  }
  return { do: 'ask', why: 'Your keys cannot lift this freeze: ask the quorum' };
}

function quorumStep(record: NameRecord, view: View): NextStep {
  const { pending, frozen, tombstoned } = record;
  if (pending?.by === 'quorum') {
    if (isWelcome(record, view)) return waitFor(pending.until);
    return { do: 'veto', why: 'Withdraw what was asked for in error or under pressure' };
  }
  if (isResolved(record, view) && (frozen === undefined || tombstoned !== undefined)) return promotion(record);
  if (view.goal === 'end' || view.goal === 'judge') {
    if (frozen?.by !== 'quorum') return { do: 'freeze', why: 'Stop the name first, decide later' };
    if (view.decided !== true) return { do: 'wait', why: 'The adjudicators have not decided' };
    if (isResolved(record, view)) return { do: 'lift', why: 'It is decided: lift the freeze' };
    return request(record, view, view.goal === 'end' ? 'retire' : 'recover');
  }
  if (view.goal === 'adopt' && !isResolved(record, view)) {
    if (view.decided !== true) return { do: 'wait', why: 'The adjudicators have not decided' };
    return { do: 'adopt', why: 'Nobody else answers for the name: six weeks for objections' };
  }
  if (ownerStep(record, view).do !== 'ask') return promotion(record);
  const held = heldOf(record, view);
  const calm = stolenOf(record, view).length === 0 && held.length > 0 && view.goal !== 'undo';
  if (frozen !== undefined && calm && held.length >= record.authority.threshold) {
    return { do: 'lift', why: 'The owners are known and agree: lift the freeze' };
  }
  return request(record, view, 'recover');
}

/** A request that somebody with a key may object to for ever: stop the name in public first. */
function request(record: NameRecord, view: View, kind: 'recover' | 'retire'): NextStep {
  const { frozen } = record;
  const opposed = kind === 'retire' || view.goal === 'judge' || stolenOf(record, view).length > 0;
  if (opposed) {
    if (frozen?.by !== 'quorum') return { do: 'freeze', why: 'Stop the name in public: that ends vetoes in time' };
    const ripe = frozen.since + days((view.delays ?? DELAYS).standstill);
    if (view.at < ripe) return waitFor(ripe);
  }
  return { do: kind, why: 'It is decided, and the name has stood still long enough' };
}

/** What the quorum does when nobody needs it. */
function promotion(record: NameRecord): NextStep {
  const news = record.countersigned === undefined || isRotating(record) || isEndUnsaid(record);
  if (news && isSettled(record)) return { do: 'countersign', why: 'Say in the claimed shard what the list says' };
  return { do: 'nothing', why: 'The claimed shard says what the list says' };
}

function isEndUnsaid({ countersigned, tombstoned }: NameRecord): boolean {
  return countersigned?.retired !== tombstoned;
}

/** Whether a situation is over. */
function isResolved(record: NameRecord, view: View): boolean {
  const { goal, wanted } = view;
  if (goal === 'end') return record.tombstoned !== undefined;
  if (goal === 'own') return true;
  // Whoever answers with a key has not abandoned the name.
  if (goal === 'adopt' && record.tombstoned === undefined && heldOf(record, view).length > 0)
    return record.pending === undefined;
  if (record.pending !== undefined) return false;
  // What has ended is another situation: (o).
  if (goal === 'stand' || (goal !== 'adopt' && record.tombstoned !== undefined)) return true;
  if (goal === 'defend') return stolenOf(record, view).length === 0 && heldOf(record, view).length > 0;
  return record.tombstoned === undefined && (wanted === undefined || sameOwners(record.authority, wanted));
}

/** Whether the request that waits leads to where the situation should end. */
function isWelcome({ pending }: NameRecord, { goal, wanted }: View): boolean {
  if (pending === undefined) return false;
  if (goal === 'end') return pending.kind === 'retire' && pending.by === 'quorum';
  if (pending.proposal === undefined || wanted === undefined) return false;
  return sameOwners(pending.proposal, wanted);
}

/** Live keys that the rightful owners can sign with. */
function heldOf(record: NameRecord, { held = [] }: View): readonly KeyId[] {
  return liveOwnersOf(record).keyIds.filter((keyId) => held.includes(keyId));
}

/** Live keys in wrong hands. */
function stolenOf(record: NameRecord, { stolen = [] }: View): readonly KeyId[] {
  return liveOwnersOf(record).keyIds.filter((keyId) => stolen.includes(keyId));
}

function waitFor(until: Instant): NextStep {
  return { do: 'wait', until, why: 'The waiting time is not over' };
}
