// The real npm says which registries its user has configured.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { npmRegistryOf } from './index.ts';

it("npm's own configuration, scopes included and credentials left out", async () => {
  const cwd = await mkdtemp(join(tmpdir(), 'countersign-npmrc-'));
  try {
    await writeFile(join(cwd, 'package.json'), '{}');
    await writeFile(
      join(cwd, '.npmrc'),
      [
        'registry=https://packages.example/npm/',
        '@corp:registry=https://corp.example/',
        '//packages.example/npm/:_authToken=secret',
      ].join('\n'),
    );
    // What runs these tests may itself have been started by an npm with settings of its own.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_config_/i.test(name)));
    const registries = await npmRegistryOf({ cwd, env });
    expect(registries.registry).toBe('https://packages.example/npm/');
    expect(registries.scopes.get('@corp')).toBe('https://corp.example/');
    expect(JSON.stringify([...registries.scopes, registries.registry])).not.toContain('secret');
  } finally {
    await rm(cwd, { recursive: true });
  }
});

it('without an npm there is no answer', async () => {
  await expect(npmRegistryOf({ env: { PATH: '/nowhere' } })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});
