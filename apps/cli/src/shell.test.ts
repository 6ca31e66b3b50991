import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commandName, foreignEnvironment, shownPath } from './shell.ts';

describe('shell', () => {
  it('programs of others get none of our secrets', () => {
    const env = { PATH: '/bin', COUNTERSIGN_PASSPHRASE: 'secret', Countersign_Token: 'secret', npm_config_cache: 'x' };
    expect(foreignEnvironment({ env })).toEqual({ PATH: '/bin', npm_config_cache: 'x' });
  });

  it('commands are spelt as the user spells them', () => {
    expect(commandName({ env: {} })).toBe('countersign');
    expect(commandName({ env: { npm_command: 'exec' } })).toBe('npx countersign');
  });

  it('paths are shown from where the user is', () => {
    const cwd = join('/', 'home', 'ada');
    expect(shownPath(join(cwd, 'a', 'b'), { cwd })).toBe(join('a', 'b'));
    expect(shownPath(cwd, { cwd })).toBe('.');
    expect(shownPath(join('/', 'home', 'ben'), { cwd })).toBe(join('/', 'home', 'ben'));
  });
});
