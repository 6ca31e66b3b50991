import { describe, expect, it } from 'vitest';
import { ATTACKS, coreDoor, runAttack, titleOf } from '../src/index.ts';

describe('the catalogue, through core', () => {
  it.each(ATTACKS.map((attack) => ({ title: titleOf(attack), attack })))('$title', ({ attack }) =>
    runAttack(attack, coreDoor),
  );

  it('has no two entries of one id', () => {
    const ids = ATTACKS.map((attack) => attack.id);
    expect(ids.filter((id, at) => ids.indexOf(id) !== at)).toEqual([]);
  });
});
