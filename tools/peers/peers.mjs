// @ts-check
// Other people's programs that tests are run against: which there are, how each
// is installed, and how a test finds it. Each lives in tools/peers/<name>/, which
// git ignores, outside the workspaces; what goes there comes from
// tools/peers-manifests/<name>/. A stamp in the folder makes later runs free.
// A peer that cannot be had is data, `available: false` and why, never a throw.
// Install by hand: node tools/peers/peers.mjs [name…]. To add one: its folder of
// pinned manifests and drivers, its name in PeerName, its row in RECIPES.

import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** @typedef {'python-tuf' | 'tuf-js'} PeerName */

/**
 * A peer that can be run: `command` with `args`, and then its own arguments.
 * @typedef {{ readonly available: true, readonly name: PeerName, readonly folder: string, readonly command: string, readonly args: readonly string[] }} ReadyPeer
 */
/** @typedef {{ readonly available: false, readonly name: PeerName, readonly why: string }} MissingPeer */
/** @typedef {ReadyPeer | MissingPeer} Peer */

/**
 * What a fetching peer is asked for.
 * @typedef {object} PeerRequest
 * @property {string} metadataUrl base URL, with a trailing slash
 * @property {string} targetsUrl base URL, with a trailing slash
 * @property {string} rootFile the trusted root, as a file
 * @property {string} targetPath
 * @property {string} outFolder keeps the peer's state from one fetch to the next
 */

/**
 * What came of it: the file, or the peer's own error by class.
 * @typedef {{ readonly ok: true, readonly path: string, readonly length: number, readonly sha256: string } | { readonly ok: false, readonly error: string, readonly message: string }} PeerAnswer
 */

/**
 * How a peer is installed. `toolchain` names what it is built on, or throws what is missing.
 * @typedef {object} Recipe
 * @property {() => Promise<string>} toolchain its answer is part of the stamp
 * @property {(folder: string) => Promise<void>} install into a folder that has the manifest's files
 * @property {(folder: string) => { command: string, args: string[] }} run
 */

const HERE = fileURLToPath(new URL('.', import.meta.url));
const MANIFESTS = fileURLToPath(new URL('../peers-manifests/', import.meta.url));
const STAMP = 'stamp.json';
const INSTALL_MILLIS = 280_000; // less than the time that the runner gives a set-up
const RUN_MILLIS = 60_000;
const WINDOWS = process.platform === 'win32';

/** @type {Readonly<Record<PeerName, Recipe>>} */
const RECIPES = {
  'python-tuf': {
    toolchain: async () => (await findPython()).version,
    install: async (folder) => {
      const { command } = await findPython();
      await run(command, ['-m', 'venv', join(folder, 'venv')], folder);
      const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--retries=2', '--timeout=30'];
      await run(pythonOf(folder), [...pip, '-r', 'requirements.txt'], folder);
    },
    run: (folder) => ({ command: pythonOf(folder), args: [join(folder, 'python-tuf-fetch.py')] }),
  },
  'tuf-js': {
    toolchain: () => Promise.resolve(`node ${process.versions.node.split('.')[0]}`),
    install: async (folder) => {
      await npm(['ci', '--omit=dev', '--fetch-retries=2', '--fetch-timeout=60000'], folder);
    },
    run: (folder) => ({ command: process.execPath, args: [join(folder, 'tuf-js-fetch.mjs')] }),
  },
};

/** The names of all peers. */
export const PEER_NAMES = /** @type {PeerName[]} */ (Object.keys(RECIPES));

/** A peer as the last set-up left it. Reads one small file, installs nothing. @param {PeerName} name @returns {Peer} */
export function peer(name) {
  const folder = join(HERE, name);
  const stamp = readStamp(folder);
  if (stamp === undefined) return missing(name, 'it is not installed: node tools/peers/peers.mjs');
  if (stamp.why !== undefined) return missing(name, stamp.why);
  return { available: true, name, folder, ...RECIPES[name].run(folder) };
}

/**
 * Makes sure that a peer is there in the version that its manifest pins.
 * Costs nothing when it is. Two may run at once: the first to finish wins.
 * @param {PeerName} name @param {(line: string) => void} say @returns {Promise<Peer>}
 */
export async function ensurePeer(name, say) {
  const folder = join(HERE, name);
  try {
    const fingerprint = fingerprintOf(name, await RECIPES[name].toolchain());
    const stamp = readStamp(folder);
    if (stamp?.fingerprint === fingerprint && stamp.why === undefined) return peer(name);
    say(`peer ${name}: installing into tools/peers/${name}/`);
    await install(name, folder, fingerprint);
  } catch (error) {
    const why = reasonOf(error);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    writeStamp(folder, { why });
  }
  return peer(name);
}

/**
 * Lets a fetching peer fetch one target.
 * @param {ReadyPeer} ready @param {PeerRequest} request @returns {Promise<PeerAnswer>}
 */
export async function fetchWithPeer(ready, request) {
  const { metadataUrl, targetsUrl, rootFile, targetPath, outFolder } = request;
  const asked = [metadataUrl, targetsUrl, rootFile, targetPath, outFolder];
  const { stdout, stderr } = await exec(ready.command, [...ready.args, ...asked], ready.folder, RUN_MILLIS);
  const answer = parsed(stdout.trim().split('\n').at(-1) ?? '');
  if (answer === undefined) throw new Error(`Running ${ready.name}: it gave no answer: ${stderr || stdout}`);
  return answer;
}

/** Installs beside the folder and moves it into place whole. @param {PeerName} name @param {string} folder @param {string} fingerprint */
async function install(name, folder, fingerprint) {
  const partial = `${folder}.partial-${randomUUID()}`;
  try {
    cpSync(join(MANIFESTS, name), partial, { recursive: true });
    await RECIPES[name].install(partial);
    writeStamp(partial, { fingerprint });
    rmSync(folder, { recursive: true, force: true });
    renameSync(partial, folder);
  } catch (error) {
    const won = readStamp(folder); // by another run, between our two steps
    if (won?.fingerprint !== fingerprint || won.why !== undefined) throw error;
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}

/** @param {PeerName} name @param {string} toolchain */
function fingerprintOf(name, toolchain) {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch} ${toolchain}`);
  const folder = join(MANIFESTS, name);
  for (const file of readdirSync(folder).sort()) hash.update(`\0${file}\0`).update(readFileSync(join(folder, file)));
  return hash.digest('hex');
}

/** @param {string} folder @returns {{ fingerprint?: string, why?: string } | undefined} */
function readStamp(folder) {
  const file = join(folder, STAMP);
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}

/** @param {string} folder @param {{ fingerprint?: string, why?: string }} stamp */
function writeStamp(folder, stamp) {
  writeFileSync(join(folder, STAMP), `${JSON.stringify(stamp)}\n`);
}

/** @param {PeerName} name @param {string} why @returns {MissingPeer} */
function missing(name, why) {
  return { available: false, name, why };
}

/** The first Python that is new enough and can make environments. */
async function findPython() {
  const probe =
    'import sys, venv, ensurepip; print("%d.%d" % sys.version_info[:2]); sys.exit(sys.version_info < (3, 10))';
  for (const command of ['python3', 'python']) {
    const found = await exec(command, ['-c', probe], HERE, RUN_MILLIS).catch(() => undefined);
    if (found?.code === 0) return { command, version: `python ${found.stdout.trim()}` };
  }
  throw new Error('there is no Python 3.10 or newer with its venv module');
}

/** @param {string} folder */
function pythonOf(folder) {
  return WINDOWS ? join(folder, 'venv', 'Scripts', 'python.exe') : join(folder, 'venv', 'bin', 'python');
}

/** The npm that runs us, or the one on the path. @param {string[]} args @param {string} folder */
async function npm(args, folder) {
  const script = process.env['npm_execpath'];
  if (script?.endsWith('.js') === true) return run(process.execPath, [script, ...args], folder);
  return run(WINDOWS ? 'npm.cmd' : 'npm', args, folder);
}

/** Runs a step of an installation. Throws its last words if it fails. @param {string} command @param {string[]} args @param {string} folder */
async function run(command, args, folder) {
  const { code, stdout, stderr } = await exec(command, args, folder, INSTALL_MILLIS);
  if (code === 0) return;
  const words = `${stderr}\n${stdout}`.split('\n').filter((line) => /error/i.test(line));
  throw new Error(`${[command, ...args].join(' ')} failed: ${words[0] ?? (stderr.trim() || `status ${code}`)}`);
}

/**
 * Runs a program without this run's npm settings for workspaces, and without a proxy to this machine.
 * @param {string} command @param {readonly string[]} args @param {string} cwd @param {number} timeout
 * @returns {Promise<{ code: number, stdout: string, stderr: string }>} @throws when it cannot be started
 */
function exec(command, args, cwd, timeout) {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^npm_(?:config_(?:workspace|include|omit)|package_|lifecycle_)/.test(name),
  );
  const env = { ...Object.fromEntries(inherited), NO_PROXY: '127.0.0.1,localhost', no_proxy: '127.0.0.1,localhost' };
  return new Promise((resolve, reject) => {
    execFile(command, [...args], { cwd, env, timeout, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code === 'string') reject(error);
      else resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
    });
  });
}

/** @param {string} line @returns {PeerAnswer | undefined} */
function parsed(line) {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** @param {unknown} error */
function reasonOf(error) {
  return error instanceof Error ? error.message : String(error);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const asked = process.argv.slice(2);
  const names = PEER_NAMES.filter((name) => asked.length === 0 || asked.includes(name));
  const say = (/** @type {string} */ line) => process.stdout.write(`${line}\n`);
  for (const found of await Promise.all(names.map((name) => ensurePeer(name, say)))) {
    say(found.available ? `peer ${found.name}: ready` : `peer ${found.name}: MISSING: ${found.why}`);
    if (!found.available) process.exitCode = 1;
  }
}
