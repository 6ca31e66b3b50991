import { describe, expect, it } from 'vitest';
import { explore } from '../test/explore.ts';
import { fillUp, namesOf, offers, take } from '../test/model.ts';
import { key, refusal, world } from '../test/world.ts';
import { EDGES, type Edge, liveOwnersOf, ownersOf, PACE } from './index.ts';

const [a, b] = [key('ann'), key('bob')];

describe('whoever speaks for a name', () => {
  it('makes the list longer without end: by turning back and forth, one key has only so many acts a day', () => {
    const w = world();
    w.put({ decision: 'claim', owners: ownersOf([a, b], 1) }, [a, b]);
    const begun = w.now;
    for (let act = 0; act < PACE.acts; act++) {
      w.put({ decision: 'abandon' }, [a]);
      w.put({ decision: 'keep' }, [a]);
    }
    const { length } = w.lines;
    expect(refusal(w, () => w.put({ decision: 'abandon' }, [a]))).toEqual({ code: 'DECISION_EARLY', rule: 'paced' });
    expect(w.lines.length).toBe(length);
    // Stopping costs nothing, and starting again counts.
    w.put({ decision: 'freeze', reason: 'panic' }, [a]);
    expect(refusal(w, () => w.put({ decision: 'lift' }, [a]))).toMatchObject({ rule: 'paced' });
    w.now = begun + 86_400_000 - 1000;
    expect(refusal(w, () => w.put({ decision: 'lift' }, [a]))).toMatchObject({ rule: 'paced' });
    w.now = begun + 86_400_000;
    w.put({ decision: 'lift' }, [a]);
  });

  it('says until when', () => {
    const w = world();
    w.put({ decision: 'claim', owners: ownersOf([a], 1) }, [a]);
    let refused: unknown;
    for (let act = 0; act <= PACE.acts; act++) {
      try {
        w.put({ decision: 'abandon' }, [a]);
        w.put({ decision: 'keep' }, [a]);
      } catch (error) {
        refused = error;
      }
    }
    expect(refused).toMatchObject({ code: 'DECISION_EARLY', detail: { rule: 'paced', until: '2030-01-02T00:00:00Z' } });
  });

  it('is not held up by one stolen key: what two keys sign is counted apart', () => {
    const w = world();
    const c = key('cyd');
    w.put({ decision: 'claim', owners: ownersOf([a, b, c], 1) }, [a, b, c]);
    w.pass(30);
    for (let act = 0; act < PACE.acts; act++) {
      w.put({ decision: 'abandon' }, [c]);
      w.put({ decision: 'keep' }, [c]);
    }
    w.put({ decision: 'freeze', reason: 'panic' }, [a]);
    w.put({ decision: 'owners', owners: ownersOf([a, b], 1) }, [a, b]);
    w.put({ decision: 'lift' }, [a, b]);
    expect(w.record()).toMatchObject({ frozen: undefined, authority: ownersOf([a, b], 1) });
  });

  it('comes no further with two keys of their own', () => {
    const w = world();
    w.put({ decision: 'claim', owners: ownersOf([a, b], 1) }, [a, b]);
    for (let act = 0; act < PACE.acts; act++) {
      w.put({ decision: 'freeze', reason: 'panic' }, [a]);
      w.put({ decision: 'lift' }, [a, b]);
    }
    w.put({ decision: 'freeze', reason: 'panic' }, [a]);
    expect(refusal(w, () => w.put({ decision: 'lift' }, [a, b]))).toEqual({ code: 'DECISION_EARLY', rule: 'paced' });
  });
});

describe('a thief of one key who has used up the day, in every reachable state', () => {
  it('holds up nothing but what one key alone begins', () => {
    const held = new Set<string>();
    const wrong: string[] = [];
    const trace = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    for (const moment of explore(() => undefined)) {
      if (moment.record === undefined) continue;
      const full = fillUp(moment);
      for (const offer of offers(moment.record, ['o1', 'o2', 'o3', 't', 'n'], true)) {
        const taken = take(moment, offer);
        const then = take(full, offer);
        if (taken === undefined || taken.edge === then?.edge) continue;
        held.add(`${taken.edge}`);
        const live = namesOf(liveOwnersOf(moment.record)).filter((name) => offer.by.includes(name));
        if (live.length !== 1 || offer.side !== 'owners') wrong.push(`${taken.edge} by ${offer.by.join()}`);
      }
    }
    Error.stackTraceLimit = trace;
    expect(wrong).toEqual([]);
    expect([...held].sort()).toEqual(['abandon', 'lift', 'owners-alone', 'retire']);
  }, 120_000);
});

it('never counts what stops something, and nothing of the quorum', () => {
  const counted = (EDGES as readonly Edge[]).filter(({ requires }) => requires.includes('paced'));
  expect(counted.map(({ id }) => id)).toEqual(['owners-together', 'owners-alone', 'lift', 'abandon', 'retire']);
  expect(new Set(counted.map(({ side }) => side))).toEqual(new Set(['owners']));
});
