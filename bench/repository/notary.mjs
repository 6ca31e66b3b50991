// Notary 0.7 from Debian's package as a peer: its server with local keys, no TLS,
// on the loopback, keeping its state in memory or in PostgreSQL. The collection is made by its
// own command; publishing is measured twice: through its HTTP interface with a
// targets file signed here (what its client does, without starting a process),
// and by its command, less what starting a process costs.

import { execFile, spawn } from 'node:child_process';
import { createHash, createPrivateKey, randomBytes, sign } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { debianPackage } from './debian.mjs';

const PASSPHRASE = 'only for this benchmark';
const TENSE = 20_000;
/** Targets that stay listed, as with ours. */
const LISTED = 10;

/**
 * Starts Notary's server with one collection whose snapshot the server signs.
 *
 * @param scratch a folder for its configuration and its author's keys
 * @param store 'memory', or a PostgreSQL server (postgres.mjs)
 * @returns the running peer, or `{ missing }` with the reason
 */
export async function startNotary(scratch, store) {
  if (store.missing !== undefined) return { missing: `Notary with PostgreSQL: ${store.missing}` };
  const debian = await debianPackage('notary');
  if (debian.missing !== undefined) return debian;
  mkdirSync(scratch, { recursive: true });
  const port = await freePort();
  const config = join(scratch, 'server.json');
  const storage = store === 'memory' ? { backend: 'memory' } : { backend: 'postgres', db_url: store.url };
  const server = { http_addr: `127.0.0.1:${port}` };
  writeFileSync(
    config,
    JSON.stringify({ server, trust_service: { type: 'local' }, storage, logging: { level: 'error' } }),
  );
  if (store !== 'memory') await store.query(TABLES);
  const bin = join(debian.folder, 'usr', 'bin');
  const child = spawn(join(bin, 'notary-server'), ['-config', config], { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.once('error', () => undefined); // its absence shows below
  const peer = {
    name: `Notary ${debian.version}, ${store === 'memory' ? 'in memory' : `PostgreSQL ${store.name}`}`,
    url: `http://127.0.0.1:${port}`,
    gun: 'bench/one',
    async stop() {
      child.kill('SIGKILL'); // what it holds is in no file of its own
      await ended;
    },
  };
  try {
    await listening(peer.url);
    return { ...peer, ...(await makeTrust(peer, bin, scratch)) };
  } catch (error) {
    await peer.stop();
    return { missing: `${peer.name} does not run here: ${String(error)}` };
  }
}

/**
 * The next version of the collection's targets with one more, signed, as
 * the multipart body that its client would post: `{ target, type, body }`.
 */
export function notarySubmission(peer) {
  const { signed, key, keyId } = peer.author;
  const target = `file-${signed.version}.bin`;
  const bytes = randomBytes(4096);
  const digest = (algorithm) => createHash(algorithm).update(bytes).digest('base64');
  signed.targets[target] = { hashes: { sha256: digest('sha256'), sha512: digest('sha512') }, length: bytes.length };
  for (const old of Object.keys(signed.targets).slice(0, -LISTED)) delete signed.targets[old];
  signed.version++;
  const text = canonical(signed);
  const sig = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64');
  const file = `{"signed":${text},"signatures":[{"keyid":"${keyId}","method":"ecdsa","sig":"${sig}"}]}`;
  const part = 'Content-Disposition: form-data; name="files"; filename="targets"\r\nContent-Type: application/json';
  return {
    target,
    headers: { 'content-type': 'multipart/form-data; boundary=bench' },
    body: `--bench\r\n${part}\r\n\r\n${file}\r\n--bench--\r\n`,
  };
}

/** Whether a client that follows timestamp, snapshot and targets by their hashes would find a target now. */
export async function notaryShows(peer, { send }, target) {
  const base = `${peer.url}/v2/${peer.gun}/_trust/tuf`;
  const read = async (name) => JSON.parse((await send('GET', `${base}/${name}.json`, {})).body).signed;
  const hashOf = (meta) => Buffer.from(meta.hashes.sha256, 'base64').toString('hex');
  const timestamp = await read('timestamp');
  const snapshot = await read(`snapshot.${hashOf(timestamp.meta.snapshot)}`);
  const targets = await read(`targets.${hashOf(snapshot.meta.targets)}`);
  return target in targets.targets;
}

/** Makes the collection with Notary's own command, and opens its targets key. */
async function makeTrust({ url, gun }, bin, scratch) {
  const trust = join(scratch, 'trust');
  const roles = ['ROOT', 'TARGETS', 'SNAPSHOT', 'DELEGATION'];
  const env = { ...process.env, ...Object.fromEntries(roles.map((role) => [`NOTARY_${role}_PASSPHRASE`, PASSPHRASE])) };
  const command = async (...args) =>
    (await promisify(execFile)(join(bin, 'notary'), ['-d', trust, '-s', url, ...args], { env, timeout: TENSE })).stdout;
  await command('init', '-p', gun);
  await command('key', 'rotate', gun, 'snapshot', '-r');
  const read = JSON.parse(await (await fetch(`${url}/v2/${gun}/_trust/tuf/targets.json`)).text());
  const folder = join(trust, 'private');
  const pem = readdirSync(folder)
    .map((file) => readFileSync(join(folder, file), 'utf8'))
    .find((text) => /^role: targets$/m.test(text));
  const key = createPrivateKey({
    key: pem.replace(/^\w+: .*\n/gm, '').replace(/KEY-----\n\n/, 'KEY-----\n'),
    passphrase: PASSPHRASE,
  });
  return { command, author: { signed: read.signed, key, keyId: read.signatures[0].keyid } };
}

/** The canonical JSON that its signatures cover: here only ASCII strings, integers and booleans occur. */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const members = Object.keys(value).sort();
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(',')}}`;
}

async function listening(url) {
  for (let tries = 0; ; tries++) {
    const answer = await fetch(`${url}/_notary_server/health`).catch((error) => error);
    if (answer instanceof Response) return;
    if (tries === 100) throw answer;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A port that is free now. */
export async function freePort() {
  const probe = createServer();
  await new Promise((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

// What its server expects to find in a database.
const TABLES = `
create table tuf_files (
  id serial primary key, created_at timestamp, updated_at timestamp, deleted_at timestamp,
  gun varchar(255) not null, role varchar(255) not null, version integer not null,
  data bytea not null, sha256 char(64), unique (gun, role, version));
create index tuf_files_sha256 on tuf_files (sha256);
create table changefeed (
  id serial primary key, created_at timestamp default current_timestamp,
  gun varchar(255) not null, version integer not null, sha256 char(64), category varchar(20) not null default 'update');`;
