// Moves that several attacks share. An attacker who "has stolen" keys signs
// with them whatever is in the drafts and publishes it like the repository.

import type { JsonLiteral } from '@countersign/core';
import { type Tamper, withMember } from '../drafts.ts';
import type { WorldKey } from '../keys.ts';
import { MS } from '../registry-world.ts';
import { START, type World } from '../world.ts';

/** The roles on the way to the file of `ms`, from the top. */
export const CHAIN = ['targets', 'claimed', MS.owner, MS.release] as const;

/** What a victim keeps of a publication whose targets role was refused. */
export const ANNOUNCED = { timestamp: 2, snapshot: 2 } as const;

/** Replaces a member of what is signed; takes it out when the value is `undefined`. */
export function member(path: readonly [string, ...(string | number)[]], value: JsonLiteral | undefined): Tamper {
  return { signed: (tree) => withMember(tree, path, value) };
}

/** A key that nobody delegates to. */
export function stranger(world: World): WorldKey {
  return world.key('stranger');
}

/** A time after the world's beginning. */
export function after(days: number): number {
  return START + days * 86_400_000;
}

/** Publishes a file that another key has signed, announced by stolen online keys. */
export function publishSignedBy(world: World, role: string, signers: readonly WorldKey[]): void {
  if (role === 'root') {
    const version = world.root.version + 1;
    world.serve('root', world.seal('root', { version, signers }), version);
    return;
  }
  const draft = role === 'timestamp' || role === 'snapshot' ? world[role] : world.role(role);
  draft.signers = signers;
  world.publish();
}

/** What a victim keeps when the given role of a second publication is refused. */
export function keptUpTo(role: string): Readonly<Record<string, number>> {
  if (role === 'root' || role === 'timestamp') return {};
  return role === 'snapshot' ? { timestamp: 2 } : ANNOUNCED;
}
