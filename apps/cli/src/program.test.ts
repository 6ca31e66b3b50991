import { mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CODES } from '@countersign/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Ran, runCommand } from '../test/cli-world.ts';

const COMMANDS = [
  'init',
  'serve',
  'promote',
  'shelve',
  'unshelve',
  'token create',
  'status',
  'key create',
  'claim',
  'publish',
  'gateway',
  'fetch',
  'ls',
  'dev',
  'upload',
  'import',
  'layout',
  'delegate',
  'fsck',
  'gc',
  'backup',
  'restore',
  'rebuild',
];

let cwd: string;
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'countersign-program-'));
});
afterAll(async () => {
  await rm(cwd, { recursive: true, force: true });
});

function run(env: Record<string, string>, ...args: readonly string[]): Promise<Ran> {
  return runCommand({ cwd, env }, ...args);
}

describe('help and usage', () => {
  it('lists every command', async () => {
    const { exit, out } = await run({}, '--help');
    expect(exit).toBe(0);
    for (const command of COMMANDS) expect(out).toMatch(new RegExp(`^ {2}${command.split(' ')[0]}\\b`, 'm'));
  });

  it.each(COMMANDS)('%s --help has an example of itself', async (command) => {
    const { exit, out } = await run({}, ...command.split(' '), '--help');
    expect(exit).toBe(0);
    expect(out).toMatch(new RegExp(`Examples?:\\n {2}(COUNTERSIGN_PASSPHRASE=… )?countersign ${command}\\b`));
    expect(out).toContain('--json');
  });

  it.each([[['publsh']], [['claim']], [['ls', '--colour']], [['fetch']], [['serve', '--port']]])(
    '%j is not understood: exit 2, and what to do',
    async (args) => {
      const { exit, err, out } = await run({}, ...args);
      expect([exit, out]).toEqual([2, '']);
      expect(err).toMatch(/^error: .+\n/);
      expect(err).toContain('--help');
      const json = await run({}, ...args, '--json');
      expect(JSON.parse(json.err)).toMatchObject({ code: 'USAGE_INVALID', error: expect.any(String) });
    },
  );

  it('exit codes are those of the table', async () => {
    expect((await run({ COUNTERSIGN_NONSENSE: '1' }, 'ls')).exit).toBe(CODES.CONFIG_INVALID.exit);
    expect((await run({}, 'ls')).exit).toBe(CODES.ANCHOR_MISSING.exit);
    expect((await run({}, 'claim', 'npm/.x')).exit).toBe(CODES.NAME_INVALID.exit);
    expect((await run({}, 'serve')).exit).toBe(CODES.COLLECTION_MISSING.exit);
    expect((await run({}, 'publish', 'x.tgz')).exit).toBe(CODES.KEY_MISSING.exit);
  });
});

describe('init', () => {
  it('without passphrase says what to do and leaves nothing behind', async () => {
    const { exit, err } = await run({}, 'init', 'strict');
    expect(exit).toBe(CODES.KEY_LOCKED.exit);
    expect(err).toContain('COUNTERSIGN_PASSPHRASE');
    expect(err).toContain('--dev');
    expect(await readdir(join(cwd, '.countersign'))).toEqual([]);
  });

  it('with passphrases from the environment writes none', async () => {
    const { exit, out } = await run({ COUNTERSIGN_PASSPHRASE: 'secret' }, 'init', 'strict');
    expect([exit, out.includes('development')]).toEqual([0, false]);
    const folder = join(cwd, '.countersign', 'collections', 'strict');
    expect(await readdir(folder)).not.toContain('passphrases');
    expect((await stat(join(cwd, '.countersign', 'strict.token'))).mode & 0o777).toBe(0o600);
    const first = await readFile(join(folder, 'site', 'metadata', '1.root.json'));
    expect(first.equals(await readFile(join(cwd, '.countersign', 'strict.root.json')))).toBe(true);
  });

  it('asks a person, twice for each, and once for all online keys', async () => {
    const asked: string[] = [];
    const ask = (question: string): Promise<string> => {
      asked.push(question);
      return Promise.resolve(/offline|same/.test(question) && asked.length <= 2 ? 'one' : 'two');
    };
    expect(await runCommand({ cwd, env: {}, ask }, 'init', 'asked')).toMatchObject({ exit: 0 });
    expect(asked).toEqual([
      'Choose a passphrase for the offline key of asked',
      'The same again',
      'Choose a passphrase for the online keys of asked',
      'The same again',
    ]);
  });

  it('--dev makes random passphrases that only the user can read, and says so', async () => {
    const { exit, out } = await run({}, 'init', 'easy', '--dev', '--shard-digits', '0');
    expect(exit).toBe(0);
    expect(out).toContain('development mode');
    const folder = join(cwd, '.countersign', 'collections', 'easy', 'passphrases');
    for (const file of await readdir(folder)) expect((await stat(join(folder, file))).mode & 0o777).toBe(0o600);
  });

  it('never replaces a collection, nor the root of another one of its name', async () => {
    expect(await run({}, 'init', 'easy', '--dev')).toMatchObject({ exit: CODES.COLLECTION_EXISTS.exit });
    const root = join(cwd, '.countersign', 'remote.root.json');
    await writeFile(root, 'somebody else’s');
    expect(await run({}, 'init', 'remote', '--dev')).toMatchObject({ exit: CODES.COLLECTION_EXISTS.exit });
    expect(await readFile(root, 'utf8')).toBe('somebody else’s');
  });

  it('begins again where an earlier run was cut off', async () => {
    await run({}, 'init', 'cut', '--dev');
    const state = join(cwd, '.countersign');
    // As a crash leaves it: the folder aside, nothing in place.
    await rename(join(state, 'collections', 'cut'), join(state, 'collections', '.making-cut'));
    await rm(join(state, 'cut.root.json'));
    expect(await run({}, 'init', 'cut', '--dev')).toMatchObject({ exit: 0 });
  });

  it.each(['Main', 'a/b', '..', 'api', ''])('refuses the name %j', async (name) => {
    expect(await run({}, 'init', name, '--dev')).toMatchObject({ exit: 2 });
  });
});

describe('key create', () => {
  it('makes a key and its passphrase where nobody can be asked, and says where', async () => {
    const { exit, out } = await run({}, 'key', 'create');
    expect(exit).toBe(0);
    expect(out).toContain('author/key.passphrase');
    expect((await stat(join(cwd, '.countersign', 'author', 'key.passphrase'))).mode & 0o777).toBe(0o600);
  });

  it('never replaces a key, nor its passphrase', async () => {
    const file = join(cwd, '.countersign', 'author', 'key.passphrase');
    const before = await readFile(file, 'utf8');
    expect(await run({}, 'key', 'create')).toMatchObject({ exit: 2 });
    expect(await readFile(file, 'utf8')).toBe(before);
  });

  it.each(['ed25519', 'ecdsa-p256', 'ecdsa-p384', 'rsa-pss'])('of type %s', async (type) => {
    const { exit, out } = await run(
      { COUNTERSIGN_PASSPHRASE_AUTHOR: 'mine' },
      'key',
      'create',
      `${type}.pem`,
      '--type',
      type,
      '--json',
    );
    expect(exit).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ file: join(cwd, `${type}.pem`), passphraseFile: null });
  });

  it('of no known type is refused', async () => {
    expect(await run({}, 'key', 'create', 'x.pem', '--type', 'dsa')).toMatchObject({ exit: 2 });
  });
});

describe('serve and gateway', () => {
  it('serve tells where it listens, and stops when asked', async () => {
    const { exit, out } = await run({}, 'serve', 'easy', '--port', '0');
    expect([exit, out]).toEqual([0, expect.stringMatching(/^00:00:00 {2}listening on http:\/\/127\.0\.0\.1:\d+\n$/)]);
    const json = await run({}, 'serve', 'easy', '--port', '0', '--json');
    expect(json.out).toMatch(
      /^\{"at":"2030-01-01T00:00:00Z","event":"recovered","publication":1,"collection":"easy"\}\n/,
    );
  });

  it('serve with the wrong passphrase does not start', async () => {
    const { exit, err } = await run({ COUNTERSIGN_PASSPHRASE: 'wrong' }, 'serve', 'strict', '--port', '0');
    expect([exit, err.includes('KEY_LOCKED')]).toEqual([CODES.KEY_LOCKED.exit, true]);
    const without = await run({}, 'serve', 'strict', '--port', '0');
    expect(without.err).toContain('COUNTERSIGN_PASSPHRASE_TIMESTAMP');
  });

  it('serve of what is not there', async () => {
    expect(await run({}, 'serve', 'nothing')).toMatchObject({ exit: CODES.COLLECTION_MISSING.exit });
  });

  it('gateway tells npm’s line, also while the collection is down', async () => {
    const url = 'http://127.0.0.1:1/easy';
    const { exit, out } = await run({}, 'gateway', '--url', url, '--listen', '127.0.0.1:0');
    expect(exit).toBe(0);
    expect(out).toMatch(/registry=http:\/\/127\.0\.0\.1:\d+\/npm\//);
  });

  it.each(['x', 'localhost:port', ':99999', 'a:b:c'])('gateway refuses to listen on %s', async (address) => {
    const { exit, err } = await run({}, 'gateway', '--url', 'http://127.0.0.1:1/easy', '--listen', address);
    expect([exit, err.includes('--listen')]).toEqual([2, true]);
  });
});

describe('dev', () => {
  it('is ready with its real addresses, and stops when asked', async () => {
    const { exit, out, err } = await run({}, 'dev', '--port', '0', '--gateway-port', '0', '--state', 'dev');
    expect(exit).toBe(0);
    expect(err).toContain('development mode');
    expect(out).toMatch(/service {2}http:\/\/127\.0\.0\.1:\d+\/main/);
    expect(out).toMatch(/countersign claim npm\/hello-countersign --url http:\/\/127\.0\.0\.1:\d+\/main/);
    expect(out).toMatch(/npm install hello-countersign --registry http:\/\/127\.0\.0\.1:\d+\/npm\//);
    const again = await run({}, 'dev', '--port', '0', '--gateway-port', '0', '--state', 'dev', '--json');
    expect(again.err).toBe('');
    expect(again.out.split('\n').map((line) => (line === '' ? '' : JSON.parse(line).event))).toContain('ready');
  });

  it('refuses to go on with the root of another collection', async () => {
    await writeFile(join(cwd, 'dev', 'main.root.json'), '{}');
    const { exit, err } = await run({}, 'dev', '--port', '0', '--gateway-port', '0', '--state', 'dev');
    expect([exit, err.includes('ANCHOR_MISSING')]).toEqual([CODES.ANCHOR_MISSING.exit, true]);
  });

  it('says what to do when a port is in use', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const address = other.address();
    const port = String(typeof address === 'object' ? address?.port : 0);
    for (const taken of [
      ['--port', port, '--gateway-port', '0'],
      ['--port', '0', '--gateway-port', port],
    ]) {
      const { exit, err } = await run({}, 'dev', ...taken, '--state', 'taken');
      expect([exit, err.includes('CONFIG_INVALID')]).toEqual([2, true]);
      expect(err).toContain(`port ${port} is in use`);
      expect(err).toMatch(/choose another with --(gateway-)?port or COUNTERSIGN_(GATEWAY_)?PORT/);
    }
    await new Promise((resolve) => other.close(resolve));
  });
});
