// Peers from Debian's packages, without installing them: fetched and unpacked
// into the user's cache folder, used from there. A peer that cannot be had is
// said with the reason, never hidden.

import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from './cache.mjs';

const run = promisify(execFile);

/**
 * A Debian package, unpacked.
 *
 * @returns `{ name, version, folder }`, or `{ name, missing }` with the reason
 */
export async function debianPackage(name) {
  try {
    const version = await candidate(name);
    const folder = join(cacheFolder(), 'debian', `${name}_${version.replace(/[^\w.+~-]/g, '-')}`);
    if (!existsSync(folder)) await unpack(name, version, folder);
    return { name, version, folder };
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n').slice(0, 2).join(' ') : String(error);
    return { name, missing: `Debian's package ${name} cannot be had here: ${why}` };
  }
}

async function candidate(name) {
  const { stdout } = await run('apt-cache', ['policy', name], { env: { ...process.env, LC_ALL: 'C' } });
  const version = /Candidate: (\S+)/.exec(stdout)?.[1];
  if (version === undefined || version === '(none)') throw new Error('apt knows no version of it');
  return version;
}

async function unpack(name, version, folder) {
  mkdirSync(join(cacheFolder(), 'debian'), { recursive: true });
  const aside = mkdtempSync(join(cacheFolder(), 'debian', '.unpacking-'));
  try {
    await run('apt-get', ['download', `${name}=${version}`], { cwd: aside });
    const archive = readdirSync(aside).find((file) => file.endsWith('.deb'));
    if (archive === undefined) throw new Error('apt-get brought no package');
    await run('dpkg', ['-x', archive, 'root'], { cwd: aside });
    renameSync(join(aside, 'root'), folder);
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}
