// Follows the advice of situations.ts: everyone does the one thing they are
// told, in turns; when all wait, time passes. Ends when nobody has anything
// left to do, and fails on a step that the machine refuses or that never ends.

import type { Instant, KeyId } from '@countersign/core';
import {
  ACTORS,
  type Actor,
  type Circumstances,
  liveOwnersOf,
  type NameBody,
  type NameRecord,
  type NextStep,
  nextStep,
  type OwnerSet,
  SITUATIONS,
  type Situation,
} from '../src/index.ts';
import { fingerprint, type Moment, namesOf, type Offer, session, take } from './model.ts';
import { EVIDENCE, key, QUORUM } from './world.ts';

/** Who has which keys, and what should come of it. */
export interface Setting {
  readonly situation: Situation;
  readonly wanted: OwnerSet;
  /** Names of the keys that the rightful owners have. */
  readonly held: readonly string[];
  /** Names of the keys that a thief has. */
  readonly stolen: readonly string[];
  readonly decided: boolean;
}

/** What one actor did, as `actor: step`. */
export type Deed = string;

/** One turn: the first who has something to do does it, or time passes. `undefined` when all is done. */
export function turn(moment: Moment, setting: Setting): { moment: Moment; setting: Setting; deed: Deed } | undefined {
  const waits: Instant[] = [];
  const asks: Actor[] = [];
  for (const actor of ACTORS) {
    const advice = nextStep(moment.record, actor, circumstances(moment.at, setting));
    if (advice.do === 'wait' && advice.until !== undefined) waits.push(advice.until);
    if (advice.do === 'ask' && actor === 'owner') asks.push(actor);
    if (advice.do === 'decide') return { moment, setting: { ...setting, decided: true }, deed: `${actor}: decide` };
    const next = act(moment, actor, advice, setting);
    if (next !== undefined) return { moment: next, setting, deed: `${actor}: ${advice.do}` };
  }
  const until = Math.min(...waits);
  if (Number.isFinite(until)) {
    if (until <= moment.at) throw new Error(`Somebody waits for what has come: ${JSON.stringify(setting)}`);
    return { moment: { ...moment, at: until }, setting, deed: 'time' };
  }
  if (asks.length > 0)
    throw new Error(`Dead end: ${asks.join()} ask in vain, in ${setting.situation}: ${fingerprint(moment)}`);
  return undefined;
}

/** What the advice needs to know. */
export function circumstances(at: Instant, { situation, wanted, held, stolen, decided }: Setting): Circumstances {
  return { situation, at, wanted, held: ids(held), stolen: ids(stolen), decided };
}

/** Does what somebody was told; `undefined` if that changes nothing about the name. */
function act(moment: Moment, actor: Actor, advice: NextStep, setting: Setting): Moment | undefined {
  if (advice.do === 'countersign') return session(moment);
  const offer = offerOf(moment.record, actor, advice, setting);
  if (offer === undefined) return undefined;
  const taken = take(moment, offer);
  if (taken === undefined) {
    throw new Error(`The machine refuses ${actor}: ${advice.do} in ${setting.situation}: ${fingerprint(moment)}`);
  }
  return taken.moment;
}

function offerOf(
  record: NameRecord | undefined,
  actor: Actor,
  { do: step, keyId }: NextStep,
  setting: Setting,
): Offer | undefined {
  const body = bodyOf(record, step, actor, setting, keyId);
  if (body === undefined) return undefined;
  const owners = 'owners' in body ? namesOf(body.owners) : [];
  if (step === 'complete') return { body, side: 'owners', by: [] };
  if (actor === 'quorum') return { body, side: 'quorum', by: [...new Set([...QUORUM.slice(1), ...owners])] };
  if (actor === 'newcomer') return { body, side: 'owners', by: owners };
  const present = record === undefined ? [] : namesOf(liveOwnersOf(record));
  const live = setting.held.filter((name) => present.includes(name));
  if (step === 'revoke') return { body, side: 'owners', by: live.filter((name) => key(name).keyId === keyId) };
  const alone = step === 'veto' || step === 'freeze';
  const by = alone ? live.slice(0, 1) : live;
  return { body, side: 'owners', by: [...new Set([...by, ...owners])] };
}

function bodyOf(
  record: NameRecord | undefined,
  step: NextStep['do'],
  actor: Actor,
  { situation, wanted, stolen, held }: Setting,
  keyId: KeyId | undefined,
): NameBody | undefined {
  switch (step) {
    case 'claim':
      return { decision: step, owners: wanted };
    case 'owners':
      return {
        decision: step,
        owners: SITUATIONS[situation].goal === 'defend' ? without(record, stolen, held) : wanted,
      };
    case 'recover':
      return { decision: step, owners: wanted, reason: 'lost', evidence: EVIDENCE };
    case 'adopt': {
      const reason = record?.tombstoned === undefined ? 'deceased' : 'reissue';
      return { decision: step, owners: wanted, reason, evidence: EVIDENCE, contacts: [] };
    }
    case 'retire':
      return { decision: step, reason: actor === 'quorum' ? 'legal' : 'ended', evidence: EVIDENCE };
    case 'freeze':
      return { decision: step, reason: 'panic' };
    case 'revoke':
      return { decision: step, keyId: keyId ?? '' };
    case 'veto':
    case 'complete':
    case 'lift':
    case 'abandon':
    case 'keep':
      return { decision: step };
    case 'countersign':
    case 'publish':
    case 'install':
    case 'confirm':
    case 'wait':
    case 'ask':
    case 'decide':
    case 'nothing':
      return undefined;
  }
}

/** The present owners without the keys that are in wrong hands. */
function without(record: NameRecord | undefined, stolen: readonly string[], held: readonly string[]): OwnerSet {
  const { keys, keyIds, threshold } = record?.authority ?? { keys: new Map(), keyIds: [], threshold: 1 };
  const gone = ids(stolen.filter((name) => !held.includes(name)));
  const left = keyIds.filter((keyId) => !gone.includes(keyId));
  const kept = new Map([...keys].filter(([keyId]) => left.includes(keyId)));
  return { keys: kept, keyIds: left, threshold: Math.min(threshold, left.length) };
}

function ids(names: readonly string[]): readonly KeyId[] {
  return names.map((name) => key(name).keyId);
}
