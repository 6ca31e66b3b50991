// Disk full at every write in turn: a real file system of a few megabytes, in a
// name space of its own, which a ballast file fills so that one page is left,
// then two, and so on, until a submission goes through whole. Linux only, by
// root or where users may make name spaces.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Whether such a file system can be made here. @returns {Promise<string | undefined>} why not */
export async function noSmallDisk() {
  if (process.platform !== 'linux') return 'it needs Linux';
  const { code, words } = await unshared(['mount', '-t', 'tmpfs', 'none', '/mnt']);
  return code === 0 ? undefined : words;
}

/**
 * Runs the proof.
 *
 * @param {{ step: number, sweeps: number, seed?: number, say?: (line: string) => void }} options every so many pages, so many times
 * @returns {Promise<Readonly<Record<string, number>>>} what happened, in counts
 */
export async function diskFull({ step, sweeps, seed = 1, say = () => undefined }) {
  const main = fileURLToPath(new URL('disk-full-main.mjs', import.meta.url));
  let counts;
  const { code, words } = await unshared(
    [process.execPath, main, String(step), String(sweeps), String(seed)],
    (line) => {
      if (line.startsWith('{')) counts = JSON.parse(line);
      else say(`  ${line}`);
    },
  );
  if (code !== 0 || counts === undefined) throw new Error(`Disk full, seed ${seed}: ${words}`);
  return counts;
}

/** Runs a program in a name space where it may mount. */
async function unshared(command, hear = () => undefined) {
  const asRoot = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const child = spawn('unshare', [...asRoot, '--mount', '--', ...command], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [words, rest] = ['', ''];
  child.stderr.on('data', (chunk) => (words = `${words}${chunk}`.slice(-4_000)));
  child.stdout.on('data', (chunk) => {
    const lines = `${rest}${chunk}`.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) hear(line);
  });
  return await new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: 1, words: error.message }));
    child.once('close', (code) => resolve({ code, words: words.trim() }));
  });
}
