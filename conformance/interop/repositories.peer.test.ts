// Our client reads the repositories that peers make with their own tools.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, memoryState } from '@countersign/client';
import { httpTransport, nodeCrypto } from '@countersign/client/node';
import { utf8Text } from '@countersign/core';
import { codeOf, memorySink } from '@countersign/testkit';
import { describe, expect, type TestContext, test } from 'vitest';
import { MAKERS, makeWithPeer, type PeerName, type RepositoryPlan } from '../../tools/peers/peers.mjs';
import { requirePeer } from '../../tools/peers/require-peer.ts';
import { folderReader, freshFolder, openSite } from '../../tools/peers/site.ts';

const NOW = Date.UTC(2030, 0, 1);
const SUCCINCT: readonly PeerName[] = MAKERS.filter((name) => name !== 'tough');
const PLAN = {
  consistentSnapshot: true,
  expires: '2040-01-01T00:00:00Z',
  listing: 'full',
  fields: {},
  keys: { root: ['ed25519'], timestamp: ['ed25519'], snapshot: ['ed25519'], targets: ['ed25519'] },
  roles: [{ name: 'targets', targets: { 'top.txt': 'of targets' } }],
} satisfies RepositoryPlan;

/** What our client gets for a path: its content, or why not. */
type Got = Readonly<Record<string, string>>;

/** Lets a peer make a repository and our client fetch from it. */
async function read(
  maker: PeerName,
  context: TestContext,
  plan: RepositoryPlan,
  paths: readonly string[],
): Promise<Got> {
  const folder = freshFolder();
  await makeWithPeer(requirePeer(maker, context), plan, folder);
  const anchor = readFileSync(join(folder, 'root.json'));
  const { metadataUrl, targetsUrl } = await openSite(folderReader(folder), anchor);
  const ports = { transport: httpTransport({ retries: 0 }), state: memoryState(), crypto: nodeCrypto };
  const client = await Client.open({ metadataUrl, targetsUrl, anchor, clock: () => NOW, ...ports });
  await client.refresh();
  const got: Record<string, string> = {};
  for (const path of paths) got[path] = await contentOf(client, path);
  return got;
}

async function contentOf(client: Client, path: string): Promise<string> {
  try {
    const found = await client.find(path);
    if (found === undefined) return 'TARGET_UNKNOWN';
    const downloads = new Map<string, Uint8Array>();
    await client.download(found.target, memorySink(downloads, path));
    return utf8Text(downloads.get(path) ?? new Uint8Array()) ?? '';
  } catch (error) {
    return codeOf(error);
  }
}

describe.for(MAKERS)('a repository made by %s', (maker) => {
  describe.for([true, false])('consistent snapshots %s', (consistentSnapshot) => {
    test.for(['full', 'version'] as const)(
      '§4.4 targets of delegated roles, files listed by %s',
      async (listing, context) => {
        const plan = { ...PLAN, consistentSnapshot, listing, roles: DELEGATED };
        expect(await read(maker, context, plan, Object.keys(WANTED))).toEqual(WANTED);
      },
    );

    test('§4.5 classic bins by path hash prefix', async (context) => {
      const plan = { ...PLAN, consistentSnapshot, roles: BINS };
      expect(await read(maker, context, plan, Object.keys(BINNED))).toEqual(BINNED);
    });
  });

  test('several signature schemes, all of which must sign', async (context) => {
    const all = ['ed25519', 'ecdsa', 'rsa'];
    const keys = { root: all, timestamp: ['rsa', 'ecdsa'], snapshot: ['rsa'], targets: [...all, ...all] };
    expect(await read(maker, context, { ...PLAN, keys }, ['top.txt'])).toEqual({ 'top.txt': 'of targets' });
  });

  test('fields that we do not know, in every role and target', async (context) => {
    const plan = { ...PLAN, fields: FIELDS, roles: DELEGATED };
    expect(await read(maker, context, plan, Object.keys(WANTED))).toEqual(WANTED);
  });
});

describe.for(SUCCINCT)('a repository made by %s', (maker) => {
  describe.for([true, false])('consistent snapshots %s', (consistentSnapshot) => {
    test.for([1, 4, 6])('TAP 15: succinct bins by %i bits', async (bits, context) => {
      const succinct = { keys: ['ed25519', 'ecdsa'], bitLength: bits, namePrefix: 'bin.s', targets: BINNED };
      const plan = { ...PLAN, consistentSnapshot, roles: [{ name: 'targets', targets: {}, succinct }] };
      const absent = { 'not/there': 'TARGET_UNKNOWN' };
      expect(await read(maker, context, plan, [...Object.keys(BINNED), 'not/there'])).toEqual({ ...BINNED, ...absent });
    });
  });
});

const paths = (...list: string[]): { paths: string[] } => ({ paths: list });

/** Order, termination and depth: `first` before `second`, `last` ends the search, `deep` is below `second`. */
const DELEGATED: RepositoryPlan['roles'] = [
  {
    name: 'targets',
    targets: { 'top.txt': 'of targets', 'dir/with space & more.txt': 'spaced' },
    delegations: [
      { name: 'first', keys: ['ecdsa'], terminating: false, ...paths('shared/*') },
      { name: 'npm.1..40types.2fnode', keys: ['ed25519', 'rsa'], terminating: false, ...paths('shared/*', 'deep/?/*') },
      { name: 'last', keys: ['rsa'], terminating: true, ...paths('ended/*') },
      { name: 'later', keys: ['ed25519'], terminating: false, ...paths('ended/*', 'shared/*') },
    ],
  },
  {
    name: 'npm.1..40types.2fnode',
    targets: { 'shared/both.txt': 'of second', 'shared/second.txt': 'of second' },
    delegations: [{ name: 'deep', keys: ['ed25519'], terminating: false, ...paths('deep/a/*') }],
  },
  // Last to be written: without consistent snapshots, a path is one file.
  { name: 'first', targets: { 'shared/both.txt': 'of first' } },
  { name: 'last', targets: {} },
  { name: 'later', targets: { 'ended/file.txt': 'of later', 'shared/later.txt': 'of later' } },
  { name: 'deep', targets: { 'deep/a/file.txt': 'of deep' } },
];

const WANTED: Got = {
  'top.txt': 'of targets',
  'dir/with space & more.txt': 'spaced',
  'shared/both.txt': 'of first',
  'shared/second.txt': 'of second',
  'shared/later.txt': 'of later',
  'shared/none.txt': 'TARGET_UNKNOWN',
  'deep/a/file.txt': 'of deep',
  'ended/file.txt': 'TARGET_UNKNOWN',
};

const BINNED: Got = { 'npm/a.tgz': 'first', 'files/b': 'second', 'c.txt': 'third' };

/** Four bins of four prefixes each. SHA-256 of the paths begins with aa, f6 and 4f. */
const BINS: RepositoryPlan['roles'] = [
  {
    name: 'targets',
    targets: {},
    delegations: ['0123', '4567', '89ab', 'cdef'].map((digits, bin) => {
      return { name: `bin-${bin}`, keys: ['ed25519'], terminating: true, prefixes: digits.split('') };
    }),
  },
  { name: 'bin-0', targets: {} },
  { name: 'bin-1', targets: { 'c.txt': 'third' } },
  { name: 'bin-2', targets: { 'npm/a.tgz': 'first' } },
  { name: 'bin-3', targets: { 'files/b': 'second' } },
];

const FIELDS = { 'x-note': { b: [1, 'é\n"\\\u007f\ud83d\ude00', null, true, []], a: -7 }, Ünbekannt: '', '': {} };
