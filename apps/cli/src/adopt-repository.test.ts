import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  days,
  editRoot,
  editSnapshot,
  editTargets,
  editTimestamp,
  type RoleKeys,
  type Signer,
  signFile,
  type TopLevelRole,
} from '@countersign/core';
import { openCollectionFolder, passphrasesOf, type Server, startServer } from '@countersign/server';
import { signerFromPrivateKey } from '@countersign/signers';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { hashesOf, type Ran, runCommand } from '../test/cli-world.ts';

const NOW = Date.parse('2030-01-01T00:00:00Z');
let folder: string;
let server: Server | undefined;
/** Two people hold their root, each with a key in PEM. */
let holders: readonly { readonly signer: Signer; readonly pem: string }[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-adopt-'));
  holders = ['alex', 'blair'].map((name) => {
    const pem = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' });
    const made = signerFromPrivateKey(createPrivateKey(pem));
    // Under an id of their own making.
    const signer: Signer = { ...made, keyId: `key-of-${name}`, sign: (message) => made.sign(message) };
    return { signer, pem: pem.toString() };
  });
  await makeTheirs();
  for (const [i, { pem }] of holders.entries()) await writeFile(join(folder, `holder-${i}.pem`), pem);
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  await rm(folder, { recursive: true, force: true });
});

async function put(name: string, content: Uint8Array | string): Promise<void> {
  const file = join(folder, 'theirs', name);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
}

/** A small repository that another tool made: 2 of 2 for root and targets, one online key. */
async function makeTheirs(): Promise<void> {
  const expires = NOW + days(100);
  const online = signerFromPrivateKey(generateKeyPairSync('ed25519').privateKey);
  const offline: RoleKeys = { keyIds: holders.map(({ signer }) => signer.keyId), threshold: 2 };
  const served: RoleKeys = { keyIds: [online.keyId], threshold: 1 };
  const keys = new Map([...holders.map(({ signer }) => signer), online].map(({ keyId, key }) => [keyId, key]));
  const roles = new Map<TopLevelRole, RoleKeys>([
    ['root', offline],
    ['targets', offline],
    ['snapshot', served],
    ['timestamp', served],
  ]);
  const people = holders.map(({ signer }) => signer);
  const root = await signFile(editRoot(undefined, { expires, keys, roles }), people);
  await put('metadata/1.root.json', root);
  await writeFile(join(folder, 'their-root.json'), root);
  const content = Buffer.from('theirs');
  const target = { path: 'docs/a.txt', length: content.length, hashes: hashesOf(content), custom: undefined };
  await put(`targets/docs/${target.hashes.get('sha256')}.a.txt`, content);
  await put('metadata/1.targets.json', await signFile(editTargets(undefined, { expires, set: [target] }), people));
  const listed = { version: 1, length: undefined, hashes: undefined };
  const snapshot = editSnapshot(undefined, { expires, set: new Map([['targets', listed]]) });
  await put('metadata/1.snapshot.json', await signFile(snapshot, [online]));
  await put(
    'metadata/timestamp.json',
    await signFile(editTimestamp(undefined, { expires, snapshot: listed }), [online]),
  );
}

async function run(person: string, ...args: readonly string[]): Promise<Ran> {
  const env = {
    COUNTERSIGN_STATE: join(folder, person),
    COUNTERSIGN_ROOT: join(folder, 'their-root.json'),
    ...(server && { COUNTERSIGN_URL: `${server.url}/main` }),
    COUNTERSIGN_PASSPHRASE: 'correct horse',
  };
  return await runCommand({ cwd: folder, env, clock: () => NOW }, ...args);
}

async function ok(person: string, ...args: readonly string[]): Promise<string> {
  const { exit, out, err } = await run(person, ...args);
  expect([args.join(' '), exit, exit === 0 ? '' : err]).toEqual([args.join(' '), 0, '']);
  return out + err;
}

/** Serves what was taken over. */
async function serve(): Promise<void> {
  const collection = join(folder, 'operator', 'collections', 'main');
  const passphrases = passphrasesOf(collection, { COUNTERSIGN_PASSPHRASE: 'correct horse' }, 'require');
  const open = await openCollectionFolder({ folder: collection, name: 'main', passphrases, clock: () => NOW });
  server = await startServer({ collections: [open], port: 0, renewEvery: 0, clock: () => NOW });
}

it('asks those who hold their keys to sign, one after the other, and then takes over', async () => {
  expect(await ok('operator', 'adopt-repository', 'theirs')).toMatch(/root \(theirs\): 0 of 2 have signed/);
  // The draft goes from hand to hand; it is the same at every run.
  const draft = 'operator/main.takeover.root.json';
  const before = await readFile(join(folder, draft));
  await ok('operator', 'adopt-repository', 'theirs');
  expect(await readFile(join(folder, draft))).toEqual(before);
  await writeFile(join(folder, 'copy.json'), before);
  const shown = await ok('alex', 'sign-root', 'copy.json', '--sign-with', 'holder-0.pem');
  expect(shown).toMatch(/root: version 1 → 2/);
  expect(shown).toMatch(/root \(present\): 1 of 2 have signed/);
  // Blair's key is in a device with a tool of its own.
  await ok('blair', 'sign-root', 'copy.json', '--bytes', 'to-sign');
  const bytes = await readFile(join(folder, 'to-sign'));
  const blair = createPrivateKey(holders[1]?.pem ?? '');
  await writeFile(join(folder, 'made.sig'), sign('sha256', bytes, blair).toString('hex'));
  expect(await ok('blair', 'sign-root', 'copy.json', '--signature', 'key-of-blair=made.sig')).toContain(
    'enough have signed',
  );
  const taken = await ok('operator', 'adopt-repository', 'theirs', '--signed', 'copy.json');
  expect(taken).toMatch(/Took over theirs as main: root 2 names your keys/);

  await serve();
  await ok('reader', 'fetch', 'docs/a.txt');
  await writeFile(join(folder, 'b.txt'), 'ours');
  await ok('operator', 'upload', 'b.txt', '--to', 'docs');
  await ok('reader', 'fetch', 'docs/b.txt');
  // The rest of the ceremony: it is a quorum of its own from now on.
  await ok('ben', 'key', 'create');
  await writeFile(join(folder, 'ben.json'), (await run('ben', 'key', 'show')).out);
  await ok('operator', 'root', 'rotate', '--add', 'ben.json', '--threshold', '1');
  await ok('operator', 'online-key', 'rotate', 'all');
  await ok('reader', 'fetch', 'docs/a.txt');
});

it('takes over at once where their keys are at hand, and never twice', async () => {
  const keys = ['--sign-with', 'holder-0.pem', 'holder-1.pem'];
  await ok('operator', 'adopt-repository', 'theirs', ...keys);
  const again = await run('operator', 'adopt-repository', 'theirs', ...keys);
  expect([again.exit, again.err]).toEqual([2, expect.stringContaining('COLLECTION_EXISTS')]);
  await serve();
  expect((await run('reader', 'fetch', 'docs/a.txt')).exit).toBe(0);
  // Read over HTTP: a plain collection of ours has the name that ours needs, and its backup is the way to move it.
  const ours = await run('second', 'adopt-repository', `${server?.url}/main`);
  expect([ours.exit, ours.err]).toEqual([2, expect.stringContaining('bins has a name that ours needs')]);
});

it('refuses foreign keys, other roots and what no client would take', async () => {
  await ok('operator', 'adopt-repository', 'theirs');
  await ok('stranger', 'key', 'create', 'stranger.pem');
  const foreign = await run('operator', 'adopt-repository', 'theirs', '--sign-with', 'stranger.pem');
  expect(foreign.err).toContain('KEY_MISSING');
  const other = await run('operator', 'adopt-repository', 'theirs', '--signed', 'their-root.json');
  expect(other.err).toContain('another root');
  await rm(join(folder, 'theirs/metadata/1.targets.json'));
  expect((await run('operator', 'adopt-repository', 'theirs')).err).toContain('METADATA_MISSING');
});
