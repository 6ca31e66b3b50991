// The two drivers that answer a workflow's effects: one that awaits, for real
// networks and disks, one that does not, for tests and for the repository's
// check of its own publications. An error of a port is thrown into the
// workflow at the yield, so it can be handled there or passes through.

import type { Answer, CheckEffect, Effect, FetchEffect, HashAlgorithm, Kept, Workflow } from './effects.ts';
import type { CacheName } from './paths.ts';

/** A value, now or later. */
export type MaybePromise<T> = T | Promise<T>;

/**
 * The cryptography that core needs. Implementations hold no policy: which
 * keys, schemes and algorithms are acceptable is decided in keys.ts.
 */
export interface CryptoPort {
  /** MUST answer `false` for a malformed signature or key, and never throw for it. */
  check(effect: CheckEffect): MaybePromise<boolean>;
  hash(algorithm: HashAlgorithm, bytes: Uint8Array): MaybePromise<Uint8Array>;
}

/** Where trusted metadata is kept. Each save is atomic: whole or not at all. */
export interface StatePort {
  load(name: CacheName): MaybePromise<Uint8Array | undefined>;
  /**
   * Keeps bytes. With `over`, compares and swaps: only if that is what is kept,
   * else answers `false`. A port that no other process shares may do without.
   */
  save(name: CacheName, bytes: Uint8Array, over?: Kept): MaybePromise<boolean | void>;
  drop(name: CacheName): MaybePromise<void>;
  /** Makes all that was saved before outlive a power failure, where `save` itself does not. */
  settle?(): MaybePromise<void>;
}

/** Where metadata comes from. MUST bound the body by `maxBytes` (LENGTH_EXCEEDED). */
export interface FetchPort {
  fetch(effect: FetchEffect): MaybePromise<Uint8Array | undefined>;
}

/** All that a driver needs. */
export interface Ports {
  readonly crypto: CryptoPort;
  readonly state: StatePort;
  readonly source: FetchPort;
}

/** The same cryptography, without waiting. */
export interface SyncCryptoPort extends CryptoPort {
  check(effect: CheckEffect): boolean;
  hash(algorithm: HashAlgorithm, bytes: Uint8Array): Uint8Array;
}

/** The same ports, without waiting. */
export interface SyncPorts {
  readonly crypto: SyncCryptoPort;
  readonly state: {
    load(name: CacheName): Uint8Array | undefined;
    save(name: CacheName, bytes: Uint8Array, over?: Kept): boolean | void;
    drop(name: CacheName): void;
  };
  readonly source: { fetch(effect: FetchEffect): Uint8Array | undefined };
}

/** Runs a workflow, awaiting each effect. */
export async function drive<T>(workflow: Workflow<T>, ports: Ports): Promise<T> {
  let step = workflow.next();
  while (!step.done) {
    let answer: Answer;
    try {
      answer = await perform(step.value, ports);
    } catch (error) {
      step = workflow.throw(error);
      continue;
    }
    step = workflow.next(answer);
  }
  return step.value;
}

/** Runs a workflow without ever waiting. */
export function driveSync<T>(workflow: Workflow<T>, ports: SyncPorts): T {
  let step = workflow.next();
  while (!step.done) {
    let answer: Answer;
    try {
      answer = performSync(step.value, ports);
    } catch (error) {
      step = workflow.throw(error);
      continue;
    }
    step = workflow.next(answer);
  }
  return step.value;
}

/** Runs a workflow that needs cryptography only, such as computing a key id. */
export function driveCrypto<T>(workflow: Workflow<T>, crypto: SyncCryptoPort): T {
  const refuse = (): never => {
    throw new TypeError('This workflow may not read or write anything');
  };
  return driveSync(workflow, {
    crypto,
    state: { load: refuse, save: refuse, drop: refuse },
    source: { fetch: refuse },
  });
}

async function perform(effect: Effect, ports: Ports): Promise<Answer> {
  switch (effect.do) {
    case 'fetch':
      return await ports.source.fetch(effect);
    case 'load':
      return await ports.state.load(effect.name);
    case 'save':
      return (await ports.state.save(effect.name, effect.bytes, effect.over)) !== false;
    case 'drop':
      await ports.state.drop(effect.name);
      return undefined;
    case 'check':
      return await ports.crypto.check(effect);
    case 'hash':
      return await ports.crypto.hash(effect.algorithm, effect.bytes);
  }
}

function performSync(effect: Effect, ports: SyncPorts): Answer {
  switch (effect.do) {
    case 'fetch':
      return ports.source.fetch(effect);
    case 'load':
      return ports.state.load(effect.name);
    case 'save':
      return ports.state.save(effect.name, effect.bytes, effect.over) !== false;
    case 'drop':
      ports.state.drop(effect.name);
      return undefined;
    case 'check':
      return ports.crypto.check(effect);
    case 'hash':
      return ports.crypto.hash(effect.algorithm, effect.bytes);
  }
}
