// The whole story with the machine's own npm: two authors publish real
// packages with their own keys, and an unmodified npm installs them through
// the gateway byte for byte. Then each attack makes npm fail, with the reason in
// its output, and the gateway stays up.

import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openNodeClient, sha256 } from '@countersign/client/node';
import {
  days,
  editSnapshot,
  editTargets,
  editTimestamp,
  hex,
  openEnvelope,
  projectDirectory,
  readSnapshot,
  readTargets,
  readTimestamp,
  signFile,
} from '@countersign/core';
import { projectOf } from '@countersign/ecosystems';
import { type Gateway, startGateway } from '@countersign/gateway';
import {
  createCollectionFolder,
  type KeyName,
  openCollectionFolder,
  passphrasesOf,
  type Server,
  startServer,
} from '@countersign/server';
import { openKeyFile } from '@countersign/signers/file';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fetchWithPeer, PEER_NAMES, type PeerRequest } from '../../../tools/peers/peers.mjs';
import { requirePeer } from '../../../tools/peers/require-peer.ts';
import { filesIn, install, npm, pack } from '../test/npm-client.ts';

// Real processes run on the real clock; what is "later" is an offset to it.
let offset = 0;
const clock = (): number => Date.now() + offset;
const COMMAND = fileURLToPath(new URL('../bin/countersign.js', import.meta.url));

let scratch: string;
let folder: string;
let anchor: Uint8Array;
let token: string;
let server: Server;
const gateways: Gateway[] = [];
const tarballs = new Map<string, string>();

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'countersign-story-'));
  folder = join(scratch, 'collection');
  const passphrases = passphrasesOf(folder, {}, 'create');
  ({ anchor, token } = await createCollectionFolder({ folder, name: 'main', passphrases, clock }));
  await serve(0);
  for (const name of ['ms', 'debug', 'is-odd', 'is-number', '@types/ms']) {
    tarballs.set(name, await pack(installedFolder(name), join(scratch, 'packed', name)));
  }
  await author('ada', 'claim', 'npm/ms', 'npm/debug', 'npm/@types/ms');
  await author('ben', 'claim', 'npm/is-odd', 'npm/is-number');
  await author('ada', 'publish', ...['ms', 'debug', '@types/ms'].map((name) => tarballs.get(name) ?? ''));
  await author('ben', 'publish', ...['is-odd', 'is-number'].map((name) => tarballs.get(name) ?? ''));
});

afterAll(async () => {
  for (const gateway of gateways) await gateway.close();
  await server.close();
  await rm(scratch, { recursive: true, force: true });
});

describe('real packages of two authors, through an unmodified npm', () => {
  it('are installed byte for byte, with their dependencies', async () => {
    const gateway = await openGateway();
    const wanted = ['debug', 'is-odd', '@types/ms'];
    const through = await install(scratch, registryOf(gateway), ...wanted);
    expect(through.output, through.output).toContain('added 5 packages');
    expect(through.code).toBe(0);
    const plain = await install(scratch, undefined, ...tarballs.values());
    expect(plain.code, plain.output).toBe(0);
    for (const name of tarballs.keys()) {
      const [got, want] = [await filesIn(place(through, name)), await filesIn(place(plain, name))];
      expect(want.size).toBeGreaterThan(1);
      expect(got).toEqual(want);
    }
  });

  it('stay standard in the lock file: integrity is the SHA-512 that the author signed', async () => {
    const gateway = await openGateway();
    const { project, code } = await install(scratch, registryOf(gateway), 'ms@2.1.3');
    expect(code).toBe(0);
    const lock: unknown = JSON.parse(await readFile(join(project, 'package-lock.json'), 'utf8'));
    expect(JSON.stringify(lock)).toMatch(/"integrity":"sha512-/);
  });

  it('a dist-tag comes from the author, an unknown version is a clean "no such version"', async () => {
    const gateway = await openGateway();
    const view = await npm(scratch, [
      'view',
      'ms',
      'dist-tags',
      '--json',
      '--registry',
      registryOf(gateway),
      '--fetch-retries=0',
    ]);
    expect(JSON.parse(view.output.slice(0, view.output.lastIndexOf('}') + 1))).toEqual({ latest: '2.1.3' });
    const missing = await install(scratch, registryOf(gateway), 'ms@9.9.9');
    expect(missing.code).not.toBe(0);
    expect(missing.output).toContain('ETARGET');
  });

  it('a name that nobody claimed is refused, with what to do', async () => {
    const gateway = await openGateway();
    await expectRefused(gateway, 'left-pad', 'NAME_UNLISTED');
  });
});

describe.each(PEER_NAMES)('%s, which knows nothing of us', (name) => {
  it("fetches an author's file from the running collection, scoped names too", async (context) => {
    const peer = requirePeer(name, context);
    for (const project of ['npm/is-odd', 'npm/@types/ms']) {
      const answer = await fetchWithPeer(peer, await peerRequest(project));
      const tarball = await readFile(tarballs.get(project.slice('npm/'.length)) ?? '');
      expect(answer).toMatchObject({ ok: true, length: tarball.length, sha256: hex(sha256(tarball)) });
    }
  });
});

describe('an attacker who holds the disk of the server', () => {
  it('arbitrary installation: a changed byte of a tarball', async () => {
    const gateway = await openGateway();
    await withChangedSite(['targets/npm'], async (site) => {
      for (const file of await filesNamed(join(site, 'targets'), /\.ms-2\.1\.3\.tgz$/)) await flipByte(file, 99);
      await expectRefused(gateway, 'ms@2.1.3', 'HASH_MISMATCH');
    });
    expect((await install(scratch, registryOf(gateway), 'ms@2.1.3')).code).toBe(0);
  });

  it("arbitrary installation: a changed byte of the author's role", async () => {
    await withChangedSite(['metadata'], async (site) => {
      const [file = ''] = (await filesNamed(join(site, 'metadata'), /^\d+\.npm\.1\.ms\.json$/)).sort().reverse();
      const text = await readFile(file, 'utf8');
      await writeFile(file, text.replace('"latest":"2.1.3"', '"latest":"2.1.2"'));
      await expectRefused(await openGateway(), 'ms', 'THRESHOLD_NOT_MET');
    });
  });

  it('rollback: an old timestamp replayed', async () => {
    const gateway = await openGateway();
    expect((await install(scratch, registryOf(gateway), 'ms')).code).toBe(0);
    await withChangedSite(['metadata'], async (site) => {
      const old = await remakeTimestamp(site, -1);
      await writeFile(join(site, 'metadata', 'timestamp.json'), old);
      await expectRefused(gateway, 'is-number', 'ROLLBACK');
    });
    expect((await install(scratch, registryOf(gateway), 'is-number')).code).toBe(0);
  });

  it('freeze: an expired timestamp', async () => {
    const gateway = await openGateway();
    offset = days(2);
    try {
      await expectRefused(gateway, 'ms', 'EXPIRED');
    } finally {
      offset = 0;
    }
    expect((await install(scratch, registryOf(gateway), 'ms')).code).toBe(0);
  });

  it('a project hidden by the repository with its online keys', async () => {
    const gateway = await openGateway();
    expect((await install(scratch, registryOf(gateway), 'ms')).code).toBe(0);
    await withChangedSite(['metadata'], async (site) => {
      await hideWithOnlineKeys(site, 'npm.1.ms');
      await expectRefused(gateway, 'ms', 'NAME_HIDDEN');
    });
  });
});

describe('the service stopped', () => {
  it('verified content keeps installing; the rest is an outage, not a refusal', async () => {
    const gateway = await openGateway();
    expect((await install(scratch, registryOf(gateway), 'debug')).code).toBe(0);
    const { port } = server;
    await server.close();
    try {
      expect((await install(scratch, registryOf(gateway), 'debug')).code).toBe(0);
      const unknown = await install(scratch, registryOf(gateway), 'is-odd');
      expect(unknown.code).not.toBe(0);
      expect(unknown.output).toMatch(/\b502\b/);
      offset = days(2);
      const late = await install(scratch, registryOf(gateway), 'debug');
      expect(late.output).toMatch(/\b502\b/);
      expect((await fetch(`${gateway.url}/-/health`)).status).toBeLessThan(500);
    } finally {
      offset = 0;
      await serve(port);
    }
    expect((await install(scratch, registryOf(gateway), 'is-odd')).code).toBe(0);
  });
});

describe('a claimed project', () => {
  it('cannot be forged with any online key, and installs as before', async () => {
    await operator('promote', 'npm/ms');
    const gateway = await openGateway();
    expect((await install(scratch, registryOf(gateway), 'ms@2.1.3')).code).toBe(0);
    await withChangedSite(['metadata', 'targets/npm'], async (site) => {
      await forgeWithOnlineKeys(site, '9.9.9');
      const forged = await install(scratch, registryOf(await openGateway()), 'ms@9.9.9');
      expect(forged.code).not.toBe(0);
      expect(forged.output).toMatch(/ETARGET|E403/);
    });
  });

  it.for(PEER_NAMES)('%s does not take the forgery either', async (name, context) => {
    const peer = requirePeer(name, context);
    await withChangedSite(['metadata', 'targets/npm'], async (site) => {
      await forgeWithOnlineKeys(site, '9.9.9');
      const request = await peerRequest('npm/ms');
      expect(await fetchWithPeer(peer, request)).toMatchObject({ ok: true });
      const forged = { ...request, targetPath: request.targetPath.replace('2.1.3', '9.9.9') };
      expect(await fetchWithPeer(peer, forged)).toMatchObject({ ok: false, error: 'TargetNotFound' });
    });
  });
});

async function serve(port: number): Promise<void> {
  const passphrases = passphrasesOf(folder, {}, 'require');
  const collection = await openCollectionFolder({ folder, name: 'main', passphrases, clock: Date.now });
  server = await startServer({ collections: [collection], port, renewEvery: 0 });
}

/** A gateway with an empty memory, as on another user's machine. */
async function openGateway(): Promise<Gateway> {
  const state = await mkdtemp(join(scratch, 'gateway-'));
  const client = await openNodeClient({ url: `${server.url}/main`, folder: join(state, 'client'), anchor, clock });
  const gateway = await startGateway({ client, stateFolder: join(state, 'state'), port: 0, refreshSeconds: 0, clock });
  gateways.push(gateway);
  return gateway;
}

function registryOf(gateway: Gateway): string {
  return `${gateway.url}/npm/`;
}

/** What a peer is asked: the one tarball of a project, from the running server. */
async function peerRequest(project: string): Promise<PeerRequest> {
  const room = await mkdtemp(join(scratch, 'peer-'));
  const rootFile = join(room, 'root.json');
  await writeFile(rootFile, anchor);
  const file = /[^/]+$/.exec(tarballs.get(project.slice('npm/'.length)) ?? '')?.[0] ?? '';
  const directory = projectDirectory(projectOf(project), sha256);
  // npm pack puts the scope into the name of the file; the registry does not.
  const targetPath = `${directory}/${file.replace('types-ms', 'ms')}`;
  const base = `${server.url}/main`;
  return {
    metadataUrl: `${base}/metadata/`,
    targetsUrl: `${base}/targets/`,
    rootFile,
    targetPath,
    outFolder: join(room, 'out'),
  };
}

async function expectRefused(gateway: Gateway, wanted: string, code: string): Promise<void> {
  const result = await install(scratch, registryOf(gateway), wanted);
  expect(result.code, result.output).not.toBe(0);
  expect(result.output).toContain('E403');
  expect(result.output).toContain(code);
  const health = await fetch(`${gateway.url}/-/health`);
  expect(health.status).toBeLessThan(500);
}

function author(name: string, ...args: readonly string[]): Promise<void> {
  return countersign(join(scratch, name), ...args);
}

function operator(...args: readonly string[]): Promise<void> {
  return countersign(scratch, ...args);
}

/** Runs the command as a user would, without a terminal. */
async function countersign(home: string, ...args: readonly string[]): Promise<void> {
  const state = join(home, '.countersign');
  await cp(folder, join(state, 'collections', 'main'), {
    recursive: true,
    filter: (path) => !/site|blobs|sqlite/.test(path),
  });
  await writeFile(join(state, 'main.root.json'), anchor);
  await writeFile(join(state, 'main.token'), token, { mode: 0o600 });
  const env = { ...process.env, COUNTERSIGN_URL: `${server.url}/main`, COUNTERSIGN_STATE: state };
  await new Promise<void>((resolve, reject) => {
    execFile(process.execPath, [COMMAND, ...args], { cwd: home, env }, (error, stdout, stderr) => {
      if (error === null) resolve();
      else reject(new Error(`countersign ${args.join(' ')} failed:\n${stdout}\n${stderr}`));
    });
  });
}

function installedFolder(name: string): string {
  return dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
}

function place({ project }: { readonly project: string }, name: string): string {
  return join(project, 'node_modules', ...name.split('/'));
}

/** Lets an attacker change the site, and puts it back. */
async function withChangedSite(parts: readonly string[], body: (site: string) => Promise<void>): Promise<void> {
  const site = join(folder, 'site');
  const saved = await mkdtemp(join(scratch, 'saved-'));
  for (const part of parts) await cp(join(site, part), join(saved, part), { recursive: true });
  try {
    await body(site);
  } finally {
    for (const part of parts) {
      await rm(join(site, part), { recursive: true });
      await cp(join(saved, part), join(site, part), { recursive: true });
    }
  }
}

async function filesNamed(base: string, name: RegExp): Promise<string[]> {
  const entries = await readdir(base, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && name.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}

async function flipByte(file: string, at: number): Promise<void> {
  const bytes = await readFile(file);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await rm(file);
  await writeFile(file, bytes);
}

/** The online keys, as somebody finds them who broke into the service. */
async function stolenKey(key: KeyName): ReturnType<typeof openKeyFile> {
  return await openKeyFile(join(folder, 'keys', `${key}.pem`), await passphrasesOf(folder, {}, 'require')(key));
}

async function presentTimestamp(site: string): Promise<ReturnType<typeof readTimestamp>> {
  return readTimestamp(openEnvelope(await readFile(join(site, 'metadata', 'timestamp.json')), 'timestamp').signed);
}

/** A validly signed timestamp whose version is off by `by`. */
async function remakeTimestamp(site: string, by: number): Promise<Uint8Array> {
  const present = await presentTimestamp(site);
  const before = { ...present, version: present.version - 1 + by };
  return await signFile(editTimestamp(before, { expires: present.expires, snapshot: present.snapshot }), [
    await stolenKey('timestamp'),
  ]);
}

async function presentRole(site: string, role: string): Promise<ReturnType<typeof readTargets>> {
  const timestamp = await presentTimestamp(site);
  const snapshot = readSnapshot(
    openEnvelope(await readFile(join(site, 'metadata', `${timestamp.snapshot.version}.snapshot.json`)), 'snapshot')
      .signed,
  );
  const version = snapshot.meta.get(role)?.version;
  return readTargets(
    openEnvelope(await readFile(join(site, 'metadata', `${version}.${role}.json`)), role).signed,
    role,
  );
}

/** Publishes changed shards with a new snapshot and timestamp, all validly signed by the stolen online keys. */
async function publishShards(site: string, shards: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const timestamp = await presentTimestamp(site);
  const metadata = join(site, 'metadata');
  const snapshot = readSnapshot(
    openEnvelope(await readFile(join(metadata, `${timestamp.snapshot.version}.snapshot.json`)), 'snapshot').signed,
  );
  const set = new Map<string, NonNullable<ReturnType<typeof snapshot.meta.get>>>();
  for (const [role, bytes] of shards) {
    const { version } = readTargets(openEnvelope(bytes, role).signed, role);
    await writeFile(join(metadata, `${version}.${role}.json`), bytes);
    set.set(role, { version, length: bytes.length, hashes: new Map([['sha256', hex(sha256(bytes))]]) });
  }
  const next = await signFile(editSnapshot(snapshot, { expires: snapshot.expires, set }), [
    await stolenKey('snapshot'),
  ]);
  await writeFile(join(metadata, `${snapshot.version + 1}.snapshot.json`), next);
  const listed = {
    version: snapshot.version + 1,
    length: next.length,
    hashes: new Map([['sha256', hex(sha256(next))]]),
  };
  const stamp = editTimestamp(timestamp, { expires: timestamp.expires, snapshot: listed });
  await writeFile(join(metadata, 'timestamp.json'), await signFile(stamp, [await stolenKey('timestamp')]));
}

async function hideWithOnlineKeys(site: string, ownerRole: string): Promise<void> {
  const shards = new Map<string, Uint8Array>();
  for (let digit = 0; digit < 16; digit++) {
    const name = `recent-${digit.toString(16)}`;
    const present = await presentRole(site, name);
    const { delegations } = present;
    if (!delegations?.roles.some((role) => role.name === ownerRole)) continue;
    const left = { ...delegations, roles: delegations.roles.filter((role) => role.name !== ownerRole) };
    const draft = editTargets(present, { expires: present.expires, delegations: left });
    shards.set(name, await signFile(draft, [await stolenKey('recent')]));
  }
  expect(shards.size).toBe(1);
  await publishShards(site, shards);
}

/** Lists a forged version of `ms` in the unclaimed and the recent shard of its bin, with content to match. */
async function forgeWithOnlineKeys(site: string, version: string): Promise<void> {
  const owner = await presentRole(site, 'npm.1.ms');
  const [genuine] = owner.targets.values();
  if (genuine === undefined) throw new Error('There is nothing to forge');
  const path = genuine.path.replace('2.1.3', version);
  const forged = { ...genuine, path };
  const digit = path.split('/')[1]?.charAt(0) ?? '';
  const shards = new Map<string, Uint8Array>();
  for (const kind of ['recent', 'unclaimed'] as const) {
    const present = await presentRole(site, `${kind}-${digit}`);
    const draft = editTargets(present, { expires: present.expires, set: [forged] });
    shards.set(`${kind}-${digit}`, await signFile(draft, [await stolenKey(kind)]));
  }
  for (const digest of genuine.hashes.values()) {
    const copy = (file: string): string => join(site, 'targets', file.replace('ms-', `${digest}.ms-`));
    await cp(copy(genuine.path), copy(path));
  }
  await publishShards(site, shards);
}
