// What an attack is, and how it is carried out: a victim who trusts an honest
// world comes back after each of the attacker's moves. Every step says with
// which code it ends and what of the kept trust may change; everything else
// must stay byte for byte. At the end the repository heals, and so must the
// victim (§5: an error must not leave a client unable to recover).

import { strict as assert } from 'node:assert';
import { type Code, cacheNameOf, integerAt, objectAt, readDocument } from '@countersign/core';
import type { Door, Outcome, Session } from './doors.ts';
import { DEBUG, MS, registryWorld } from './registry-world.ts';
import type { Request } from './served.ts';
import type { World } from './world.ts';

/** What a victim does. */
export type Action = 'refresh' | 'restart' | { readonly fetch: string };

/** A move of the attacker, then an action of the victim, and what must come of it. */
export interface Step {
  readonly move?: () => void;
  readonly action: Action;
  /** Default: `OK`. */
  readonly code?: Code | 'OK';
  /**
   * Which kept roles change, with the version kept afterwards; `undefined` for
   * one that is dropped. Default: none when the step is refused, any when it is not.
   */
  readonly kept?: Readonly<Record<string, number | undefined>>;
  /** What else must hold, by node's `assert`. */
  readonly check?: (after: After) => void;
}

/** What a step's own check may look at. */
export interface After {
  readonly outcome: Outcome;
  readonly session: Session;
  /** What was asked for in this step, in order. */
  readonly requests: readonly Request[];
}

/** One entry of the catalogue. */
export interface Attack {
  /** `<kind>/<what>`, unique. */
  readonly id: string;
  readonly title: string;
  /** Sections of the specification that forbid it. */
  readonly spec: readonly string[];
  /** The world as the victim first meets it, published. Default: {@link registryWorld}. */
  readonly world?: () => World;
  /** What the victim has done before. Default: fetched a file of `debug` and one of `ms`. */
  readonly before?: readonly Action[];
  /** Called when the victim has done so. */
  readonly steps: (world: World) => readonly Step[];
  /**
   * What the victim can do once the repository has healed. Default: fetch the
   * file of `ms`. `undefined` where the world has changed for good.
   */
  readonly afterwards?: Action | undefined;
}

/**
 * Carries an attack out through a door.
 *
 * @throws AssertionError when it does not end as the catalogue says
 * @example for (const attack of ATTACKS) it(titleOf(attack), () => runAttack(attack, door));
 */
export async function runAttack(attack: Attack, door: Door): Promise<void> {
  const world = (attack.world ?? registryWorld)();
  const session = await door.open(world);
  const run = (step: Step, where: string): Promise<void> => runStep(step, { door, world, session, where });
  for (const action of attack.before ?? [{ fetch: DEBUG.path }, { fetch: MS.path }]) await run({ action }, 'before');
  let number = 0;
  for (const step of attack.steps(world)) await run(step, `step ${++number}`);
  const action = 'afterwards' in attack ? attack.afterwards : { fetch: MS.path };
  if (action !== undefined) await run({ move: () => world.heal(), action }, 'afterwards');
}

/** The name of a test of an attack. */
export function titleOf({ id, title, spec }: Attack): string {
  return `${spec.map((section) => `§${section}`).join(', ')} ${id}: ${title}`;
}

interface Scene {
  readonly door: Door;
  readonly world: World;
  readonly session: Session;
  /** Which step it is, for messages. */
  readonly where: string;
}

async function runStep(step: Step, { door, world, session, where }: Scene): Promise<void> {
  step.move?.();
  const { action, code = 'OK' } = step;
  if (typeof action === 'object' && door.reaches?.(action.fetch) === false) return;
  const kept = new Map(session.kept);
  const downloads = new Map(session.downloads);
  world.takeRequests();
  const outcome = await act(session, action);
  const expected: readonly Outcome['code'][] = code === 'OK' ? [code] : [code, ...(door.instead?.[code] ?? [])];
  assert.ok(expected.includes(outcome.code), `${where}: ${outcome.code} instead of ${code} (${String(outcome.error)})`);
  if (step.kept !== undefined || code !== 'OK') checkKept(kept, session.kept, step.kept ?? {}, where);
  if (typeof action === 'object' && outcome.bytes !== undefined) downloads.set(action.fetch, outcome.bytes);
  assert.deepEqual(new Map(session.downloads), downloads, `${where}: downloads`);
  const left = world.requests.filter((request) => request.open).map((request) => request.url);
  assert.deepEqual(left, [], `${where}: bodies that nobody reads to the end or lets go of`);
  step.check?.({ outcome, session, requests: world.requests });
}

async function act(session: Session, action: Action): Promise<Outcome> {
  if (action === 'refresh') return await session.refresh();
  if (action !== 'restart') return await session.fetch(action.fetch);
  await session.restart();
  return { code: 'OK' };
}

function checkKept(
  before: ReadonlyMap<string, Uint8Array>,
  after: ReadonlyMap<string, Uint8Array>,
  expected: Readonly<Record<string, number | undefined>>,
  where: string,
): void {
  const changed: Record<string, number | undefined> = {};
  for (const name of new Set([...before.keys(), ...after.keys()])) {
    const [old, now] = [before.get(name), after.get(name)];
    if (old !== undefined && now !== undefined && Buffer.compare(old, now) === 0) continue;
    // Every root is kept twice: as the present one, and in the chain.
    if (!name.startsWith('root_history/')) changed[name] = now === undefined ? undefined : versionIn(now);
    else assert.ok('root' in expected, `${where}: ${name} was kept`);
  }
  const names = Object.entries(expected).map(([role, version]) => [cacheNameOf(role), version] as const);
  assert.deepEqual(changed, Object.fromEntries(names), `${where}: what is kept`);
}

function versionIn(bytes: Uint8Array): number {
  return integerAt(objectAt(readDocument(bytes).root, 'signed', 'kept'), 'version', 0, 'kept');
}
