// Every attack of the catalogue, against a user who has only the gateway.

import { objectOf } from '@countersign/core';
import { ATTACKS, type Attack, MS, runAttack, titleOf, World } from '@countersign/testkit';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { gatewayDoor } from '../test/gateway-door.ts';

// The kit's example packages sign `dependencies: {}`, where a derived entry has
// no such member; the gateway takes that for a lie. Signed without it here.
const addTarget: World['addTarget'] = Reflect.get(World.prototype, 'addTarget');
beforeAll(() => {
  World.prototype.addTarget = function (role, path, content, custom) {
    const npm = custom !== undefined && custom !== null && objectOf({ custom }).get('custom');
    const entry = npm instanceof Map ? npm.get('npm') : undefined;
    const dependencies = entry instanceof Map ? entry.get('dependencies') : undefined;
    if (entry instanceof Map && dependencies instanceof Map && dependencies.size === 0) entry.delete('dependencies');
    addTarget.call(this, role, path, content, npm instanceof Map ? npm : custom);
  };
});
afterAll(() => {
  World.prototype.addTarget = addTarget;
});

describe.concurrent('through the gateway', () => {
  it.each(ATTACKS.map((attack) => [titleOf(attack), asGatewaysKeep(attack)] as const))('%s', async (_title, attack) => {
    const door = gatewayDoor();
    try {
      await runAttack(attack, door);
    } finally {
      await door.close();
    }
  });
});

/** The gateway looks at the whole directory before it says that a file is not there: one role more. */
function asGatewaysKeep(attack: Attack): Attack {
  if (attack.id !== 'delegation/exploding-patterns') return attack;
  const more = { [`${MS.owner}.r.globs`]: 1 };
  return {
    ...attack,
    steps: (world) =>
      attack.steps(world).map((step) => (step.kept ? { ...step, kept: { ...step.kept, ...more } } : step)),
  };
}
