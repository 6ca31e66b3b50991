import { describe, it } from 'vitest';
import { ATTACKS, clientDoor, restarting, runAttack, titleOf } from '../src/index.ts';

describe.each([clientDoor, restarting(clientDoor)])('the catalogue, through the $name', (door) => {
  it.each(ATTACKS.map((attack) => ({ title: titleOf(attack), attack })))('$title', ({ attack }) =>
    runAttack(attack, door),
  );
});
