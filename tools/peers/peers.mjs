// @ts-check
// Other people's programs that tests are run against: which there are, how each
// is installed, and how a test finds and asks it. Each lives in tools/peers/<name>/,
// which git ignores, outside the workspaces; what goes there comes from
// tools/peers-manifests/. A stamp in the folder makes later runs free, and what
// was compiled is kept in the user's cache folder, for the next clone.
// A peer that cannot be had is data, `available: false` and why, never a throw.
// Install by hand: node tools/peers/peers.mjs [name…]. To add one: its folder of
// pinned manifests and a driver (docs/adr/0013), its name in PeerName, its row in RECIPES.

import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** @typedef {'python-tuf' | 'tuf-js' | 'go-tuf' | 'tough' | 'sigstore-tuf'} PeerName */

/**
 * A peer that can be run: `command` with `args`, and then its own arguments.
 * @typedef {{ readonly available: true, readonly name: PeerName, readonly folder: string, readonly command: string, readonly args: readonly string[] }} ReadyPeer
 */
/** @typedef {{ readonly available: false, readonly name: PeerName, readonly why: string }} MissingPeer */
/** @typedef {ReadyPeer | MissingPeer} Peer */

/**
 * What a peer is asked to fetch.
 * @typedef {object} PeerRequest
 * @property {string} metadataUrl base URL, with a trailing slash
 * @property {string} targetsUrl base URL, with a trailing slash
 * @property {string} rootFile the trusted root, as a file
 * @property {string} targetPath
 * @property {string} outFolder keeps the peer's state from one fetch to the next
 * @property {string} [now] the time to go by, where the peer can be told (`CLOCKED`); RFC 3339
 */

/**
 * The same for several targets of one refresh.
 * @typedef {Omit<PeerRequest, 'targetPath'> & { readonly targetPaths: readonly string[] }} PeerRequests
 */

/**
 * What came of it: the file, or the peer's own error by class (`TargetNotFound` where no role lists it).
 * @typedef {{ readonly ok: true, readonly path: string, readonly length: number, readonly sha256: string } | { readonly ok: false, readonly error: string, readonly message: string }} PeerAnswer
 */

/**
 * What a driver prints: one line of JSON.
 * @typedef {{ readonly error?: string, readonly message?: string, readonly files?: PeerAnswer[], readonly nanos?: number[] }} DriverAnswer
 */

/**
 * A repository for a peer to make. Kinds of key: `ed25519`, `ecdsa` (P-256), `rsa` (PSS); each role needs all of its own.
 * @typedef {object} RepositoryPlan
 * @property {boolean} consistentSnapshot
 * @property {string} expires RFC 3339, of every role
 * @property {'full' | 'version'} listing how much snapshot and timestamp say of a file
 * @property {Readonly<Record<string, unknown>>} fields unknown ones, for every role and target
 * @property {Readonly<Record<'root' | 'timestamp' | 'snapshot' | 'targets', readonly string[]>>} keys
 * @property {readonly PlannedRole[]} roles the first is `targets`
 * @property {boolean} [keepKeys] leaves the private keys in `keys/<role>-<n>.pem` (python-tuf only)
 */

/**
 * @typedef {object} PlannedRole
 * @property {string} name
 * @property {Readonly<Record<string, string>>} targets contents by path
 * @property {readonly { name: string, keys: readonly string[], terminating: boolean, paths?: readonly string[], prefixes?: readonly string[] }[]} [delegations]
 * @property {{ keys: readonly string[], bitLength: number, namePrefix: string, targets: Readonly<Record<string, string>> }} [succinct] the peer puts each target into its bin
 */

/**
 * How a peer is installed. `toolchain` names what it is built on, or throws what is missing.
 * @typedef {object} Recipe
 * @property {string} manifests its folder below tools/peers-manifests
 * @property {() => Promise<string>} toolchain its answer is part of the stamp
 * @property {(folder: string, fingerprint: string) => Promise<void>} install into a folder that has the manifest's files
 * @property {(folder: string) => { command: string, args: string[] }} run
 */

const HERE = fileURLToPath(new URL('.', import.meta.url));
const MANIFESTS = fileURLToPath(new URL('../peers-manifests/', import.meta.url));
const STAMP = 'stamp.json';
const INSTALL_MILLIS = 280_000;
const BUILD_MILLIS = 900_000; // compiles a client and all that it needs, on a busy machine
const RUN_MILLIS = 60_000;
const WINDOWS = process.platform === 'win32';

/** @type {Readonly<Record<PeerName, Recipe>>} */
const RECIPES = {
  'python-tuf': {
    manifests: 'python-tuf',
    toolchain: async () => (await findPython()).version,
    install: async (folder) => {
      const { command } = await findPython();
      await run(command, ['-m', 'venv', join(folder, 'venv')], folder);
      const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--retries=2', '--timeout=30'];
      await run(pythonOf(folder), [...pip, '-r', 'requirements.txt'], folder);
    },
    run: (folder) => ({ command: pythonOf(folder), args: [join(folder, 'driver.py')] }),
  },
  'tuf-js': {
    manifests: 'tuf-js',
    toolchain: () => Promise.resolve(`node ${process.versions.node.split('.')[0]}`),
    install: async (folder) => {
      await npm(['ci', '--omit=dev', '--fetch-retries=2', '--fetch-timeout=60000'], folder);
    },
    run: (folder) => ({ command: process.execPath, args: [join(folder, 'driver.mjs')] }),
  },
  'go-tuf': {
    manifests: 'go-tuf',
    toolchain: () => versionOf('go', 'version', 'Go'),
    install: (folder, fingerprint) =>
      keepBuilt(folder, fingerprint, async (built) => {
        await run('go', ['build', '-trimpath', '-o', join(built, executable('go-tuf')), '.'], folder, BUILD_MILLIS);
      }),
    run: (folder) => ({ command: join(folder, executable('go-tuf')), args: [] }),
  },
  tough: rustRecipe('tough'),
  'sigstore-tuf': rustRecipe('sigstore-tuf'),
};

/** Both Rust clients are programs of one crate: what they share is compiled once. @param {PeerName} name @returns {Recipe} */
function rustRecipe(name) {
  return {
    manifests: 'rust',
    toolchain: () => versionOf('cargo', '--version', 'Rust'),
    install: (folder, fingerprint) =>
      keepBuilt(folder, fingerprint, async (built) => {
        // Cargo's own folder is kept too: one run at a time builds, and a changed driver costs seconds.
        const target = join(cacheFolder(), 'cargo');
        await run('cargo', ['build', '--release', '--locked', '--target-dir', target], folder, BUILD_MILLIS);
        for (const program of ['tough', 'sigstore-tuf']) {
          cpSync(join(target, 'release', executable(program)), join(built, executable(program)));
        }
      }),
    run: (folder) => ({ command: join(folder, executable(name)), args: [] }),
  };
}

/** The names of all peers. */
export const PEER_NAMES = /** @type {PeerName[]} */ (Object.keys(RECIPES));

/** Those that can be told the time; the others read the machine's clock. @type {readonly PeerName[]} */
export const CLOCKED = ['python-tuf', 'go-tuf', 'sigstore-tuf'];

/** Those that can make a repository. @type {readonly PeerName[]} */
export const MAKERS = ['python-tuf', 'tuf-js', 'go-tuf', 'tough'];

/** Where the pinned manifests of all peers are, each folder once. */
export const MANIFEST_FOLDERS = [...new Set(Object.values(RECIPES).map(({ manifests }) => manifests))];

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
 * Lets a peer refresh, and fetch one target.
 * @param {ReadyPeer} ready @param {PeerRequest} request @returns {Promise<PeerAnswer>}
 */
export async function fetchWithPeer(ready, { targetPath, ...request }) {
  const [answer] = await fetchAllWithPeer(ready, { ...request, targetPaths: [targetPath] });
  if (answer === undefined) throw new Error(`Running ${ready.name}: it gave no answer`);
  return answer;
}

/**
 * Lets a peer refresh once, and fetch several targets. Where it does not refresh, that is the answer for each.
 * @param {ReadyPeer} ready @param {PeerRequests} request @returns {Promise<readonly PeerAnswer[]>} in the order asked for
 */
export async function fetchAllWithPeer(ready, request) {
  const { error, message = '', files } = await ask(ready, { do: 'fetch', ...request });
  if (files !== undefined) return files;
  return request.targetPaths.map(() => ({ ok: false, error: String(error), message }));
}

/**
 * Lets a peer refresh and find the targets in one process, `rounds` times, each from an empty cache.
 * @param {ReadyPeer} ready @param {PeerRequests & { readonly rounds: number }} request
 * @returns {Promise<readonly number[]>} nanoseconds of each round
 */
export async function timePeer(ready, request) {
  const { error, message, nanos } = await ask(ready, { do: 'time', ...request });
  if (nanos === undefined) throw new Error(`Timing ${ready.name}: ${error}: ${message}`);
  return nanos;
}

/**
 * Lets a peer make a repository: `metadata/`, `targets/` and `root.json`, the root to pin, in a folder.
 * @param {ReadyPeer} ready @param {RepositoryPlan} plan @param {string} outFolder
 */
export async function makeWithPeer(ready, plan, outFolder) {
  const { error, message } = await ask(ready, { do: 'make', plan, outFolder });
  if (error !== undefined) throw new Error(`Making a repository with ${ready.name}: ${error}: ${message}`);
}

/** Runs a driver: one JSON object in, one line of JSON out. @param {ReadyPeer} ready @param {object} request @returns {Promise<DriverAnswer>} */
async function ask(ready, request) {
  const { stdout, stderr } = await exec(
    ready.command,
    [...ready.args, JSON.stringify(request)],
    ready.folder,
    RUN_MILLIS,
  );
  const answer = parsed(stdout.trim().split('\n').at(-1) ?? '');
  if (answer === undefined) throw new Error(`Running ${ready.name}: it gave no answer: ${stderr || stdout}`);
  return answer;
}

/** Installs beside the folder and moves it into place whole. @param {PeerName} name @param {string} folder @param {string} fingerprint */
async function install(name, folder, fingerprint) {
  const partial = `${folder}.partial-${randomUUID()}`;
  try {
    cpSync(join(MANIFESTS, RECIPES[name].manifests), partial, { recursive: true });
    await RECIPES[name].install(partial, fingerprint);
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
  const folder = join(MANIFESTS, RECIPES[name].manifests);
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((file) => join(file.parentPath, file.name)).sort();
  for (const path of paths) hash.update(`\0${path.slice(folder.length)}\0`).update(readFileSync(path));
  return hash.digest('hex');
}

/**
 * Copies what `build` makes into a folder, from the user's cache where another clone, or another peer, built it before.
 * @param {string} folder @param {string} fingerprint @param {(built: string) => Promise<void>} build
 */
async function keepBuilt(folder, fingerprint, build) {
  const kept = join(cacheFolder(), fingerprint);
  let making = BUILDING.get(fingerprint);
  if (making === undefined) {
    making = existsSync(kept) ? Promise.resolve() : buildInto(kept, build);
    BUILDING.set(fingerprint, making);
  }
  await making;
  cpSync(kept, folder, { recursive: true });
}

/** @param {string} kept @param {(built: string) => Promise<void>} build */
async function buildInto(kept, build) {
  const partial = `${kept}.partial-${randomUUID()}`;
  mkdirSync(partial, { recursive: true });
  try {
    await build(partial);
    if (!existsSync(kept)) renameSync(partial, kept);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}

/** What is being built now, by fingerprint. @type {Map<string, Promise<void>>} */
const BUILDING = new Map();

/** The user's own cache of compiled peers. */
export function cacheFolder() {
  const { XDG_CACHE_HOME: xdg, LOCALAPPDATA: local } = process.env;
  const home = process.platform === 'darwin' ? join(homedir(), 'Library', 'Caches') : join(homedir(), '.cache');
  return join(xdg || (WINDOWS && local) || home, 'countersign', 'peers');
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

/** What a compiler says of itself. @param {string} command @param {string} flag @param {string} language */
async function versionOf(command, flag, language) {
  const found = await exec(command, [flag], HERE, RUN_MILLIS).catch(() => undefined);
  if (found?.code !== 0) throw new Error(`there is no ${language} compiler: ${command} ${flag} does not run`);
  return found.stdout.trim();
}

/** @param {string} name */
function executable(name) {
  return WINDOWS ? `${name}.exe` : name;
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

/** Runs a step of an installation. Throws its last words if it fails. @param {string} command @param {string[]} args @param {string} folder @param {number} [millis] */
async function run(command, args, folder, millis = INSTALL_MILLIS) {
  const { code, stdout, stderr } = await exec(command, args, folder, millis);
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

/** @param {string} line @returns {DriverAnswer | undefined} */
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
