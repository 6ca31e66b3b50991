// Two processes that update one folder of trusted state at the same time, in
// every order that a seed can think of, while the repository goes on
// publishing: neither may fail for it, and what is kept must be whole.

import { nodeCrypto } from '@countersign/client/node';
import {
  type Answer,
  type Effect,
  type Found,
  find,
  integerAt,
  objectAt,
  readDocument,
  refresh,
  sameBytes,
  start,
  type Workflow,
} from '@countersign/core';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { codeOf, MemoryFiles, MS, registryWorld, START, type World } from '../src/index.ts';

describe('two processes with one folder', () => {
  it.each([false, true])('§5 leave a folder from which the next one gets the newest (keys rotated: %s)', (rotating) => {
    checkSchedules(rotating, ({ world, files, outcomes, stepsBack }) => {
      // A timestamp that the root of a moment ago does not vouch for is refused: try again.
      const refusals = rotating ? ['OK', 'THRESHOLD_NOT_MET'] : ['OK'];
      for (const outcome of outcomes) expect(refusals).toContain(outcome);
      // Files of targets roles are no floors: an older one is only fetched again.
      expect(stepsBack.filter((step) => /^(?:timestamp|snapshot)/.test(step))).toEqual([]);
      expect(lastOne(world, files)).toBe('OK');
      for (const role of ['root', 'timestamp', 'snapshot', 'targets', MS.release]) {
        expect(files.files.get(`${role}.json`)).toEqual(world.bytes(role));
      }
    });
  });

  it('§5.4.3 a slow process does not replace what a quick one has kept by something older', () => {
    expect(overtaken().stepsBack).toEqual([]);
  });

  it('§5.5.5 a slow process does not take the work of a quick one for a rollback', () => {
    expect(overtaken().outcomes).toEqual(['OK', 'OK']);
  });
});

/** One process has its timestamp on the way while the repository publishes and another process updates. */
function overtaken(): Pick<Result, 'outcomes' | 'stepsBack'> {
  const { world, files } = scene(false);
  const stepsBack: string[] = [];
  const [slow, quick] = [running(world, files, stepsBack), running(world, files, stepsBack)];
  slow.toAnswer(); // there is no newer root
  slow.toAnswer(); // the timestamp of this moment
  renew(world, false);
  for (let i = 0; i < ENOUGH; i++) quick.next();
  for (let i = 0; i < ENOUGH; i++) slow.next();
  return { outcomes: [slow.outcome(), quick.outcome()], stepsBack };
}

interface Result {
  readonly world: World;
  readonly files: MemoryFiles;
  readonly outcomes: readonly string[];
  /** Kept files that were replaced by older ones. */
  readonly stepsBack: readonly string[];
}

/** Runs two processes in many orders of their effects, with publications in between. */
function checkSchedules(rotating: boolean, check: (result: Result) => void): void {
  const schedule = fc.array(fc.nat(11), { minLength: 60, maxLength: 60 });
  const property = fc.property(schedule, (drawn) => {
    const { world, files } = scene(rotating);
    const stepsBack: string[] = [];
    const processes = [running(world, files, stepsBack), running(world, files, stepsBack)];
    let published = 0;
    for (const number of drawn) {
      if (number < 11) processes[number % 2]?.next();
      else if (published++ < 3) renew(world, rotating && published === 1);
    }
    for (const process of processes) for (let i = 0; i < ENOUGH; i++) process.next();
    check({ world, files, outcomes: processes.map((process) => process.outcome()), stepsBack });
  });
  fc.assert(property, { seed: 20300104, numRuns: 50, endOnFailure: true });
}

function lastOne(world: World, files: MemoryFiles): string {
  const last = running(world, files, []);
  for (let i = 0; i < ENOUGH; i++) last.next();
  return last.outcome();
}

function scene(rotating: boolean): { world: World; files: MemoryFiles } {
  const world = registryWorld();
  const files = new MemoryFiles();
  lastOne(world, files);
  renew(world, rotating);
  return { world, files };
}

function renew(world: World, rotating: boolean): void {
  if (rotating) world.authorise('timestamp', [world.key(`timestamp-${world.root.version + 1}`)]);
  world.role(MS.release).expires += 1000;
  world.publish();
}

interface Running {
  /** Carries out one effect. */
  next(): void;
  /** Carries out effects until a request was answered, or to the end. */
  toAnswer(): void;
  outcome(): string;
}

/** @param stepsBack told when a kept file is replaced by an older one */
function running(world: World, files: MemoryFiles, stepsBack: string[]): Running {
  const workflow = journey(world);
  let step: IteratorResult<Effect, Found | undefined> | undefined;
  let answer: Answer;
  let outcome = 'still running';
  const running: Running = {
    next() {
      if (outcome !== 'still running') return;
      try {
        step = workflow.next(answer);
        if (step.done === true) outcome = step.value === undefined ? 'not found' : 'OK';
        else answer = perform(step.value, world, files, stepsBack);
      } catch (error) {
        outcome = codeOf(error);
      }
    },
    toAnswer() {
      for (let i = 0; i < ENOUGH; i++) {
        running.next();
        if (step?.done === false && step.value.do === 'fetch') return;
      }
    },
    outcome: () => outcome,
  };
  return running;
}

function* journey(world: World): Workflow<Found | undefined> {
  const state = yield* start(world.anchor);
  const fresh = yield* refresh(state, START);
  return yield* find(fresh, MS.path, START);
}

function perform(effect: Effect, world: World, files: MemoryFiles, stepsBack: string[]): Answer {
  switch (effect.do) {
    case 'fetch':
      return world.source.fetch(effect);
    case 'load':
      return files.load(effect.name);
    case 'save': {
      const kept = files.load(effect.name);
      if (effect.over !== undefined && !same(kept, effect.over.bytes)) return false;
      const [old, now] = [kept, effect.bytes].map(versionIn);
      if ((old ?? 0) > (now ?? 0)) stepsBack.push(`${effect.name} from ${old} to ${now}`);
      files.save(effect.name, effect.bytes);
      return true;
    }
    case 'drop':
      files.drop(effect.name);
      return undefined;
    case 'check':
      return nodeCrypto.check(effect);
    case 'hash':
      return nodeCrypto.hash(effect.algorithm, effect.bytes);
  }
}

function same(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : sameBytes(a, b);
}

// More effects than a journey has.
const ENOUGH = 200;

function versionIn(bytes: Uint8Array | undefined): number {
  return bytes === undefined
    ? 0
    : integerAt(objectAt(readDocument(bytes).root, 'signed', 'kept'), 'version', 1, 'kept');
}
