// The repositories that clients are measured on: made by core's own writing
// side with keys that follow from seeds, so that every run signs the same
// bytes. Each is a folder of `metadata/`, `targets/` and the anchor `root.json`.
// Consistent snapshots, ed25519, one key a role, sha256 only: what every peer reads.

import { createCipheriv, createHash } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import {
  editRoot,
  editSnapshot,
  editTargets,
  editTimestamp,
  openEnvelope,
  readRoot,
  readSnapshot,
  readTimestamp,
  signFile,
} from '@countersign/core';
import { seededKey } from '@countersign/testkit';

/** When everything expires: far enough for every peer, which read the clock themselves. */
const EXPIRES = Date.UTC(2099, 0, 1);
const CONTENT = Buffer.from('one target that is really there\n');
const ROOT = seededKey('bench root');
const ONLINE = {
  timestamp: seededKey('bench timestamp'),
  snapshot: seededKey('bench snapshot'),
  targets: seededKey('bench targets'),
};
/** Signs every delegated role. */
const DELEGATED = seededKey('bench delegated');

/**
 * The path of target number `i`.
 * @param {number} i
 */
export function targetPathOf(i) {
  return `packages/${String(i).padStart(6, '0')}-some-package.tar.gz`;
}

/** @typedef {{ name: string, folder: string, target: string, length: number, metadataBytes: number }} Repository */

/**
 * A repository whose top-level role lists `count` targets.
 * @param {string} folder @param {number} count @returns {Promise<Repository>}
 */
export async function flatRepository(folder, count) {
  const targets = Array.from({ length: count }, (_, i) => listed(targetPathOf(i), CONTENT.length, sha256(String(i))));
  const there = listed('there.txt', CONTENT.length, sha256(CONTENT));
  return await write(folder, {
    files: new Map([['targets', editTargets(undefined, { expires: EXPIRES, set: [...targets, there] })]]),
    target: there,
    content: CONTENT,
  });
}

/**
 * A repository of `bins` succinct hash bins (TAP 15), all listed in the
 * snapshot; only the one bin that a lookup needs is really there.
 * @param {string} folder @param {number} bins a power of two @returns {Promise<Repository>}
 */
export async function binRepository(folder, bins) {
  const bitLength = Math.log2(bins);
  const there = listed('there.txt', CONTENT.length, sha256(CONTENT));
  const digits = Math.ceil(bitLength / 4);
  const nameOf = (/** @type {number} */ bin) => `bin-${bin.toString(16).padStart(digits, '0')}`;
  const bin = createHash('sha256').update(there.path).digest().readUInt32BE() >>> (32 - bitLength);
  const succinct = { bitLength, namePrefix: 'bin', keyIds: [DELEGATED.keyId], threshold: 1 };
  const delegations = { keys: new Map([[DELEGATED.keyId, DELEGATED.key]]), roles: [], succinct };
  return await write(folder, {
    files: new Map([
      ['targets', editTargets(undefined, { expires: EXPIRES, delegations })],
      [nameOf(bin), editTargets(undefined, { expires: EXPIRES, set: [there] })],
    ]),
    alsoListed: Array.from({ length: bins }, (_, i) => nameOf(i)),
    target: there,
    content: CONTENT,
  });
}

/**
 * A chain of delegations, `depth` roles below the top, with `breadth` siblings
 * at each level of which the last one matches.
 * @param {string} folder @param {{ depth: number, breadth: number }} shape @returns {Promise<Repository>}
 */
export async function delegatingRepository(folder, { depth, breadth }) {
  const there = listed('there/file.txt', CONTENT.length, sha256(CONTENT));
  const keys = new Map([[DELEGATED.keyId, DELEGATED.key]]);
  const role = (/** @type {string} */ name, /** @type {string} */ pattern) => ({
    name,
    keyIds: [DELEGATED.keyId],
    threshold: 1,
    terminating: false,
    paths: { by: /** @type {const} */ ('pattern'), patterns: [pattern] },
  });
  const files = new Map();
  for (let level = 0; level <= depth; level++) {
    const siblings = Array.from({ length: breadth - 1 }, (_, i) => role(`aside-${level}-${i}`, `aside-${i}/*`));
    const roles = [...siblings, role(`level-${level + 1}`, 'there/*')];
    const delegations = { keys, roles, succinct: undefined };
    const edit = level === depth ? { set: [there] } : { delegations };
    files.set(level === 0 ? 'targets' : `level-${level}`, editTargets(undefined, { expires: EXPIRES, ...edit }));
  }
  return await write(folder, { files, target: there, content: CONTENT });
}

/**
 * A repository after `rotations` rotations of its root, three of five keys.
 * @param {string} folder @param {number} rotations @returns {Promise<Repository>}
 */
export async function rotatedRepository(folder, rotations) {
  const there = listed('there.txt', CONTENT.length, sha256(CONTENT));
  return await write(folder, {
    files: new Map([['targets', editTargets(undefined, { expires: EXPIRES, set: [there] })]]),
    target: there,
    content: CONTENT,
    rotations,
    rootSigners: Array.from({ length: 5 }, (_, i) => seededKey(`bench root ${i}`)),
  });
}

/**
 * A repository with one target of `length` bytes; `algorithms` are listed.
 * @param {string} folder @param {number} length @param {readonly ('sha256' | 'sha512')[]} algorithms
 * @returns {Promise<Repository>}
 */
export async function blobRepository(folder, length, algorithms) {
  const blob = `${folder}.blob`;
  const there = { path: 'blob.bin', length, hashes: writeBlob(blob, length, algorithms), custom: undefined };
  return await write(folder, {
    files: new Map([['targets', editTargets(undefined, { expires: EXPIRES, set: [there] })]]),
    target: there,
    content: blob,
  });
}

/** Publishes the next version of snapshot and timestamp, with nothing new in them. @param {string} folder */
export async function publishAgain(folder) {
  const signedIn = (/** @type {string} */ name) =>
    openEnvelope(readFileSync(join(folder, 'metadata', name)), name).signed;
  const timestamp = readTimestamp(signedIn('timestamp.json'));
  const previous = readSnapshot(signedIn(`${timestamp.snapshot.version}.snapshot.json`));
  const snapshot = await signFile(editSnapshot(previous, { expires: EXPIRES, set: new Map() }), [ONLINE.snapshot]);
  put(folder, `metadata/${previous.version + 1}.snapshot.json`, snapshot);
  const described = { ...describe(snapshot), version: previous.version + 1 };
  const next = await signFile(editTimestamp(timestamp, { expires: EXPIRES, snapshot: described }), [ONLINE.timestamp]);
  put(folder, 'metadata/timestamp.next', next);
  renameSync(join(folder, 'metadata', 'timestamp.next'), join(folder, 'metadata', 'timestamp.json'));
}

/**
 * Signs and writes everything, as version 1 of each role (a rotated root goes further).
 * @param {string} folder
 * @param {{
 *   files: Map<string, import('@countersign/core').JsonObject>,
 *   alsoListed?: readonly string[],
 *   target: import('@countersign/core').TargetFile,
 *   content: Uint8Array | string,
 *   rotations?: number,
 *   rootSigners?: readonly import('@countersign/testkit').WorldKey[],
 * }} parts `content` is bytes, or the file that holds them
 * @returns {Promise<Repository>}
 */
async function write(folder, { files, alsoListed = [], target, content, rotations = 0, rootSigners = [ROOT] }) {
  const save = (/** @type {string} */ name, /** @type {Uint8Array} */ bytes) => put(folder, `metadata/${name}`, bytes);
  await writeRoots(save, rotations, rootSigners);
  put(folder, 'root.json', readFileSync(join(folder, 'metadata', '1.root.json')));
  const meta = new Map(alsoListed.map((name) => [name, { version: 1, length: undefined, hashes: undefined }]));
  let metadataBytes = 0;
  for (const [role, signed] of files) {
    const bytes = await signFile(signed, [role === 'targets' ? ONLINE.targets : DELEGATED]);
    save(`1.${role}.json`, bytes);
    meta.set(role, describe(bytes));
    metadataBytes += bytes.length;
  }
  const snapshot = await signFile(editSnapshot(undefined, { expires: EXPIRES, set: meta }), [ONLINE.snapshot]);
  save('1.snapshot.json', snapshot);
  const timestamp = editTimestamp(undefined, { expires: EXPIRES, snapshot: describe(snapshot) });
  save('timestamp.json', await signFile(timestamp, [ONLINE.timestamp]));
  const [sha256Prefix = ''] = target.hashes.values();
  const name = `targets/${target.path.replace(/[^/]*$/, (last) => `${sha256Prefix}.${last}`)}`;
  if (typeof content === 'string') place(folder, name, content);
  else put(folder, name, content);
  const { path, length } = target;
  return { name: basename(folder), folder, target: path, length, metadataBytes: metadataBytes + snapshot.length };
}

/**
 * @param {(name: string, bytes: Uint8Array) => void} save @param {number} rotations
 * @param {readonly import('@countersign/testkit').WorldKey[]} signers a majority of them signs
 */
async function writeRoots(save, rotations, signers) {
  const threshold = Math.ceil(signers.length / 2);
  /** @type {Map<import('@countersign/core').TopLevelRole, import('@countersign/core').RoleKeys>} */
  const roles = new Map([['root', { keyIds: signers.map(({ keyId }) => keyId), threshold }]]);
  for (const [role, { keyId }] of typedEntries(ONLINE)) roles.set(role, { keyIds: [keyId], threshold: 1 });
  const keys = new Map([...signers, ...Object.values(ONLINE)].map(({ keyId, key }) => [keyId, key]));
  let signed = editRoot(undefined, { expires: EXPIRES, keys, roles });
  for (let version = 1; version <= rotations + 1; version++) {
    save(`${version}.root.json`, await signFile(signed, signers.slice(0, threshold)));
    signed = editRoot(readRoot(signed), { expires: EXPIRES });
  }
}

/** What one file says of another. @param {Uint8Array} bytes */
function describe(bytes) {
  return { version: 1, length: bytes.length, hashes: new Map([['sha256', sha256(bytes)]]) };
}

/** @param {string} path @param {number} length @param {string} digest */
function listed(path, length, digest) {
  return { path, length, hashes: new Map([['sha256', digest]]), custom: undefined };
}

/** @param {string | Uint8Array} bytes */
function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

/** @param {string} folder @param {string} name @param {Uint8Array} bytes */
function put(folder, name, bytes) {
  const file = join(folder, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, bytes);
}

/** @param {string} folder @param {string} name @param {string} from moved there */
function place(folder, name, from) {
  const file = join(folder, name);
  mkdirSync(dirname(file), { recursive: true });
  renameSync(from, file);
}

/**
 * A file of bytes that do not repeat, and its digests.
 * @param {string} file @param {number} length @param {readonly ('sha256' | 'sha512')[]} algorithms
 */
function writeBlob(file, length, algorithms) {
  mkdirSync(dirname(file), { recursive: true });
  const hashes = algorithms.map((algorithm) => /** @type {const} */ ([algorithm, createHash(algorithm)]));
  const stream = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16, 2));
  const zeros = Buffer.alloc(2 ** 20);
  const out = openSync(file, 'w');
  try {
    for (let at = 0; at < length; at += zeros.length) {
      const chunk = stream.update(zeros.subarray(0, Math.min(zeros.length, length - at)));
      for (const [, hash] of hashes) hash.update(chunk);
      writeSync(out, chunk);
    }
    fsyncSync(out); // or the disk would still be busy with it while a client writes
  } finally {
    closeSync(out);
  }
  return new Map(hashes.map(([algorithm, hash]) => [algorithm, hash.digest('hex')]));
}

/** @template {string} K @template V @param {Record<K, V>} record @returns {[K, V][]} */
function typedEntries(record) {
  return /** @type {[K, V][]} */ (Object.entries(record));
}
