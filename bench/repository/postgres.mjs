// A PostgreSQL server of the bench's own, for peers that keep their state in
// one, from what is installed on this machine. Default settings, so that every
// commit is on disk when it is acknowledged.

import { execFile, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from './notary.mjs';

const run = promisify(execFile);
/** It refuses to run as root: then it runs as this user and group. */
const NOBODY = 65534;

/**
 * Starts a server with an empty database.
 *
 * @returns `{ name, url, query, stop }`, or `{ missing }` with the reason
 */
export async function startPostgres() {
  const bin = programs();
  if (bin.missing !== undefined) return bin;
  const folder = mkdtempSync(join(tmpdir(), 'countersign-bench-pg-'));
  const user = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  if (user.uid !== undefined) chownSync(folder, NOBODY, NOBODY);
  const data = join(folder, 'data');
  const port = await freePort();
  let child;
  const stop = async () => {
    if (child !== undefined && child.exitCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGINT'); // fast shutdown
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const options = { ...user, cwd: folder, env: { PATH: process.env['PATH'], LC_ALL: 'C' } };
    await run(join(bin.folder, 'initdb'), ['-D', data, '-U', 'bench', '-A', 'trust'], options);
    const args = ['-D', data, '-p', String(port), '-c', 'listen_addresses=127.0.0.1', '-k', folder];
    child = spawn(join(bin.folder, 'postgres'), args, { ...options, stdio: 'ignore' });
    const url = `postgres://bench@127.0.0.1:${port}/postgres?sslmode=disable`;
    const query = (sql) => run(join(bin.folder, 'psql'), [url, '-v', 'ON_ERROR_STOP=1', '-c', sql], options);
    await answering(query);
    const { stdout } = await run(join(bin.folder, 'postgres'), ['--version'], options);
    return { name: /\d[\d.]*/.exec(stdout)?.[0] ?? '', url, query, stop };
  } catch (error) {
    await stop();
    return { missing: `PostgreSQL does not run here: ${String(error).split('\n')[0]}` };
  }
}

function programs() {
  const installed = '/usr/lib/postgresql';
  const versions = existsSync(installed) ? readdirSync(installed).sort((a, b) => Number(b) - Number(a)) : [];
  const folder = versions
    .map((version) => join(installed, version, 'bin'))
    .find((bin) => existsSync(join(bin, 'initdb')));
  return folder === undefined ? { missing: "PostgreSQL is not installed (Debian's package: postgresql)" } : { folder };
}

async function answering(query) {
  for (let tries = 0; ; tries++) {
    const error = await query('select 1').then(
      () => undefined,
      (fault) => fault,
    );
    if (error === undefined) return;
    if (tries === 100) throw error;
    await sleep(50);
  }
}
