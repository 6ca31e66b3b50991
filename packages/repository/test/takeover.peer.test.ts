// python-tuf's side of a takeover: a repository that python-tuf made changes
// hands, and clients of python-tuf that trusted it before go on without a
// failure. The same for a repository in tuf-on-ci's shape.

import { createPrivateKey } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { days, type Signer, signFile, writeInstant } from '@countersign/core';
import { signerFromPrivateKey } from '@countersign/signers';
import { expect, test } from 'vitest';
import { makeWithPeer, type RepositoryPlan } from '../../../tools/peers/peers.mjs';
import { requirePeer } from '../../../tools/peers/require-peer.ts';
import { freshFolder } from '../../../tools/peers/site.ts';
import { Repository, submissionText } from '../src/index.ts';
import { draftTakeover, readForeign, type TakeoverKeys, takeOver } from '../src/operations/index.ts';
import { foreignWorld, sourceOver, THEIRS } from './foreign-world.ts';
import { emptyDisk, factsOf, memoryStore } from './memory-store.ts';
import { BEGIN, ECOSYSTEMS, nodeCrypto, OFFLINE, ONLINE, publish, sha256, upload } from './world.ts';
import { OurUser, PythonUser } from './year/users.ts';

const { timestamp, snapshot, bins } = ONLINE;
if (bins === undefined) throw new Error('no key for bins');
const KEYS: TakeoverKeys = { offline: OFFLINE, threshold: 2, timestamp, snapshot, bins };

const PLAN: RepositoryPlan = {
  consistentSnapshot: true,
  expires: writeInstant(BEGIN + days(100)),
  listing: 'full',
  fields: { 'x-own': 'kept' },
  keys: { root: ['ed25519', 'ecdsa'], timestamp: ['ecdsa'], snapshot: ['ecdsa'], targets: ['rsa'] },
  keepKeys: true,
  roles: [
    {
      name: 'targets',
      targets: { 'top.txt': 'of targets' },
      delegations: [
        { name: 'docs', keys: ['ed25519'], terminating: true, paths: ['docs/*'] },
        { name: 'lib', keys: ['ecdsa'], terminating: false, paths: ['lib/*'] },
      ],
    },
    { name: 'docs', targets: { 'docs/a': 'of docs' } },
    { name: 'lib', targets: { 'lib/b': 'of lib' } },
  ],
};
const PATHS = ['top.txt', 'docs/a', 'lib/b', 'docs/none', 'none'];

/** A repository changes hands while a client of python-tuf and one of ours look on. */
async function changesHands(
  python: { readonly command: string },
  site: ReadonlyMap<string, Uint8Array>,
  anchor: Uint8Array,
  paths: readonly string[],
  holders: readonly Signer[],
): Promise<void> {
  const [theirs, ours] = [await PythonUser.start(python.command, anchor), new OurUser(anchor)];
  const look = async (
    from: ReadonlyMap<string, Uint8Array>,
  ): Promise<ReadonlyMap<string, string | null> | undefined> => {
    const found = await theirs.look(from, paths, BEGIN);
    expect(found).toEqual(ours.look(from, paths, BEGIN));
    return found;
  };
  const before = await look(site);
  expect(before?.get(paths[0] ?? '')).toEqual(expect.any(String));
  const disk = emptyDisk();
  const options = { name: 'main', ...memoryStore(disk), crypto: nodeCrypto, clock: () => BEGIN };
  const source = sourceOver(site);
  const foreign = await readForeign(source, anchor, nodeCrypto);
  const root = await signFile(draftTakeover(foreign, KEYS, BEGIN + days(365)), [...OFFLINE, ...holders]);
  const { lost } = await takeOver({
    ...options,
    source,
    foreign,
    root,
    keys: KEYS,
    layout: { bitLength: 4, form: 'classic' },
  });
  expect(lost).toEqual([]);
  expect(await look(disk.site)).toEqual(before);
  let ids = 0;
  const repository = await Repository.open({
    ...options,
    signers: { timestamp, snapshot, ...(bins && { bins }) },
    ecosystems: ECOSYSTEMS,
    inspect: async () => undefined,
    sha256,
    newId: () => `submission-${++ids}`,
  });
  await upload(repository, 'new');
  const added = factsOf(Buffer.from('new')).sha256;
  await publish(repository, submissionText({ files: [{ path: 'none', sha256: added }] }));
  expect(await look(disk.site)).toEqual(new Map([...(before ?? []), ['none', added]]));
  // And one who comes for the first time, with the root of long ago.
  const late = await PythonUser.start(python.command, anchor);
  expect(await late.look(disk.site, paths, BEGIN)).toEqual(new Map([...(before ?? []), ['none', added]]));
  await late.stop();
  await theirs.stop();
}

test('a repository that python-tuf made changes hands without a break', async (context) => {
  const python = requirePeer('python-tuf', context);
  const folder = freshFolder();
  await makeWithPeer(python, PLAN, folder);
  const keys = readdirSync(join(folder, 'keys')).filter((name) => name.startsWith('root-'));
  const holders = keys.map((name) => signerFromPrivateKey(createPrivateKey(readFileSync(join(folder, 'keys', name)))));
  const anchor = readFileSync(join(folder, 'root.json'));
  await changesHands(python, filesOf(folder), anchor, PATHS, holders);
}, 120_000);

test("a repository in tuf-on-ci's shape changes hands without a break for python-tuf", async (context) => {
  const python = requirePeer('python-tuf', context);
  for (const consistent of [true, false]) {
    const { site, anchor, paths } = await foreignWorld(consistent);
    await changesHands(python, site, anchor, [...paths, 'none'], [THEIRS.alex, THEIRS.casey]);
  }
}, 120_000);

/** The files that a peer made, by URL. */
function filesOf(folder: string): ReadonlyMap<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  for (const part of ['metadata', 'targets']) {
    const names = existsSync(join(folder, part)) ? readdirSync(join(folder, part), { recursive: true }) : [];
    for (const name of names.map(String)) {
      const path = join(folder, part, name);
      if (statSync(path).isFile()) files.set(`${part}/${name}`, readFileSync(path));
    }
  }
  return files;
}
