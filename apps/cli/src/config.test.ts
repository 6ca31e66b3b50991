import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from './config.ts';

let cwd: string;
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'countersign-config-'));
});
afterAll(async () => {
  await rm(cwd, { recursive: true, force: true });
});

async function settings(text: string): Promise<string> {
  const file = join(cwd, `${Math.abs(text.length)}-${text.replace(/\W/g, '').slice(0, 40)}.json`);
  await writeFile(file, text);
  return file;
}

describe('loadConfig', () => {
  it('takes a number of processes, or as many as there are cores', async () => {
    const { processes } = await loadConfig({ cwd, env: { COUNTERSIGN_PROCESSES: '3' } }, {});
    expect([processes, (await loadConfig({ cwd, env: {} }, { processes: 'auto' })).processes]).toEqual([3, 'auto']);
    for (const none of ['0', '1.5', 'all', '']) {
      const loading = loadConfig({ cwd, env: {} }, { processes: none });
      await expect(loading).rejects.toMatchObject({ code: 'CONFIG_INVALID', detail: { setting: 'processes' } });
    }
  });

  it('has defaults for everything', async () => {
    expect(await loadConfig({ cwd, env: {} }, {})).toEqual({
      state: join(cwd, '.countersign'),
      url: 'http://127.0.0.1:7410/main',
      collection: 'main',
      root: join(cwd, '.countersign', 'main.root.json'),
      tokenFile: join(cwd, '.countersign', 'main.token'),
      key: join(cwd, '.countersign', 'author', 'key.pem'),
      host: '127.0.0.1',
      port: 7410,
      processes: 1,
      gatewayPort: 7411,
      refreshSeconds: 5,
      relayUnlisted: false,
      newOwners: 'show',
      keyGiven: false,
      collections: undefined,
      shared: {},
    });
  });

  it('takes flags before the environment before the file before defaults', async () => {
    const config = await settings('{"port":1,"gatewayPort":2,"refreshSeconds":3}');
    const env = { COUNTERSIGN_PORT: '10', COUNTERSIGN_GATEWAY_PORT: '20' };
    const { port, gatewayPort, refreshSeconds, host } = await loadConfig({ cwd, env }, { config, port: '100' });
    expect([port, gatewayPort, refreshSeconds, host]).toEqual([100, 20, 3, '127.0.0.1']);
  });

  it('derives the collection, its root and its token from the URL', async () => {
    const config = await loadConfig({ cwd, env: { COUNTERSIGN_URL: 'https://example.org/pkgs/team-a/' } }, {});
    expect(config).toMatchObject({ url: 'https://example.org/pkgs/team-a', collection: 'team-a' });
    expect(config.root).toBe(join(cwd, '.countersign', 'team-a.root.json'));
    const named = await loadConfig({ cwd, env: { COUNTERSIGN_COLLECTION: 'team-b', COUNTERSIGN_PORT: '81' } }, {});
    expect(named.url).toBe('http://127.0.0.1:81/team-b');
  });

  it('reads paths of the file relative to the file, other paths relative to the current folder', async () => {
    const config = await settings('{"state":"kept","key":"my.pem"}');
    const elsewhere = join(cwd, 'elsewhere');
    const loaded = await loadConfig({ cwd: elsewhere, env: { COUNTERSIGN_KEY: 'your.pem' } }, { config });
    expect([loaded.state, loaded.key]).toEqual([join(cwd, 'kept'), join(elsewhere, 'your.pem')]);
  });

  it('reads a list from the file or with commas from the environment', async () => {
    const config = await settings('{"collections":["main","team-b"]}');
    expect((await loadConfig({ cwd, env: {} }, { config })).collections).toEqual(['main', 'team-b']);
    expect((await loadConfig({ cwd, env: { COUNTERSIGN_COLLECTIONS: 'a,b' } }, {})).collections).toEqual(['a', 'b']);
  });

  it('an empty variable is no setting', async () => {
    expect((await loadConfig({ cwd, env: { COUNTERSIGN_PORT: '' } }, {})).port).toBe(7410);
  });

  it.each<[string, Record<string, string>]>([
    ['a misspelt variable', { COUNTERSIGN_RELAY_UNLISTD: 'false' }],
    ['a variable of nothing', { COUNTERSIGN_: '1' }],
    ['a port that is no number', { COUNTERSIGN_PORT: 'http' }],
    ['a port too high', { COUNTERSIGN_PORT: '65536' }],
    ['a flag that is neither', { COUNTERSIGN_RELAY_UNLISTED: 'yes' }],
    ['a URL that is none', { COUNTERSIGN_URL: 'main' }],
    ['a URL of another kind', { COUNTERSIGN_URL: 'ftp://example.org/main' }],
    ['a URL with a password', { COUNTERSIGN_URL: 'https://a:b@example.org/main' }],
    ['a URL without collection', { COUNTERSIGN_URL: 'http://127.0.0.1:7410/' }],
    ['a file of settings that is not there', { COUNTERSIGN_CONFIG: 'missing.json' }],
  ])('refuses %s', async (_, env) => {
    await expect(loadConfig({ cwd, env }, {})).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it.each([
    '',
    'null',
    '[]',
    '{"prot":1}',
    '{"port":"x"}',
    '{"port":1.5}',
    '{"host":1}',
    '{"collections":[1]}',
    '{"__proto__":1}',
    '{"token":"x"}',
  ])('refuses the file %s', async (text) => {
    const config = await settings(text);
    await expect(loadConfig({ cwd, env: {} }, { config })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('never repeats the value of a variable it refuses', async () => {
    const error: unknown = await loadConfig({ cwd, env: { COUNTERSIGN_PASSPHRAZE: 'secret' } }, {}).catch((e) => e);
    expect(String(error) + JSON.stringify(error)).not.toContain('secret');
  });
});

describe('shared storage', () => {
  const database = 'postgres://me:secret@db.example.org/packages';
  const store = 'https://s3.example.org/packages/tuf';

  it('is where the settings say', async () => {
    const { shared } = await loadConfig({ cwd, env: { COUNTERSIGN_DATABASE: database } }, { store });
    expect(shared).toEqual({ database, store });
  });

  it.each([database, 'postgres://me@db.example.org/packages?password=secret'])(
    'takes no password from a flag or a file: %s',
    async (url) => {
      const error: unknown = await loadConfig({ cwd, env: {} }, { database: url }).catch((one) => one);
      expect(error).toMatchObject({ code: 'CONFIG_INVALID', detail: { setting: 'database' } });
      expect(JSON.stringify([error, String(error)])).not.toContain('secret');
      const config = join(cwd, 'with-password.json');
      await writeFile(config, JSON.stringify({ database: url }));
      await expect(loadConfig({ cwd, env: {} }, { config })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    },
  );
});
