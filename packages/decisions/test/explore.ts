// Every state that one to three owners, a thief and the quorum can bring a name
// into, found by trying everything that can be sent from each of them.

import { days } from '@countersign/core';
import { DELAYS, type NameRecord } from '../src/index.ts';
import { fingerprint, type Moment, type Offer, offers, session, set, take, tick } from './model.ts';
import { BEGIN } from './world.ts';

export const OWNERS = ['o1', 'o2', 'o3'];

const CLAIMS: readonly (readonly [readonly string[], number])[] = [
  [['o1'], 1],
  [['o1', 'o2'], 1],
  [['o1', 'o2'], 2],
  [['o1', 'o2', 'o3'], 1],
  [['o1', 'o2', 'o3'], 2],
];

/** A claimed name of some owners. */
export function claimed(names: readonly string[], threshold: number, age: number = DELAYS.seasoned): Moment {
  const owners = set(names, threshold);
  const taken = take(
    { record: undefined, at: BEGIN },
    { body: { decision: 'claim', owners }, side: 'owners', by: names },
  );
  if (taken === undefined) throw new Error('A claim was refused');
  const { record } = session(taken.moment);
  return { record, at: BEGIN + days(age) };
}

/** Every state that anybody can bring a name into, with all that was taken on the way. */
export function explore(visit: (from: Moment, offer: Offer, to: NameRecord, edge: string) => void): readonly Moment[] {
  const seen = new Set<string>();
  const queue: Moment[] = [];
  const add = (moment: Moment | undefined): void => {
    if (moment === undefined || seen.has(fingerprint(moment))) return;
    seen.add(fingerprint(moment));
    queue.push(moment);
  };
  for (const [names, threshold] of CLAIMS) {
    add(claimed(names, threshold, 0));
  }
  for (const moment of queue) {
    add(tick(moment));
    // A second epoch is like a first one: what leads to it is what matters.
    if ((moment.record?.epoch ?? 1) > 1) continue;
    for (const offer of offers(moment.record, [...OWNERS, 't', 'n'], true)) {
      const taken = take(moment, offer);
      if (taken?.moment.record === undefined) continue;
      visit(moment, offer, taken.moment.record, taken.edge);
      add(taken.moment);
    }
  }
  return queue;
}
