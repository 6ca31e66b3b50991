// Every attack of the catalogue, against a user who has only the gateway.

import { ATTACKS, type Attack, MS, runAttack, titleOf } from '@countersign/testkit';
import { describe, it } from 'vitest';
import { gatewayDoor } from '../test/gateway-door.ts';

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
