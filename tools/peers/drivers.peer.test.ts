import { createHash } from 'node:crypto';
import { World } from '@countersign/testkit';
import { describe, expect, test } from 'vitest';
import {
  CLOCKED,
  fetchAllWithPeer,
  fetchWithPeer,
  PEER_NAMES,
  type PeerName,
  type PeerRequest,
  timePeer,
} from './peers.mjs';
import { requirePeer } from './require-peer.ts';
import { openSite, worldReader } from './site.ts';

const CONTENT = 'written by its author';
const FAR = Date.UTC(2100, 0, 1); // some peers read the machine's clock
const PATH = 'hello.txt';

/** A world with one target of a delegated role. */
function makeWorld(): World {
  const world = new World();
  for (const role of [world.root, world.timestamp, world.snapshot, world.targets]) role.expires = FAR;
  world.delegate('targets', 'author', { paths: ['*.txt'], terminating: true, expires: FAR });
  world.addTarget('author', PATH, CONTENT);
  world.publish();
  return world;
}

/** Serves a world on loopback and gives what a peer is asked with. */
async function serve(world: World): Promise<PeerRequest> {
  const { targetPaths: _, ...request } = (await openSite(worldReader(world), world.anchor)).ask([]);
  return { ...request, targetPath: PATH };
}

describe.each(PEER_NAMES)('%s', (name) => {
  test('fetches a delegated target, and again after the next publication', async (context) => {
    const peer = requirePeer(name, context);
    const world = makeWorld();
    const request = await serve(world);
    expect(await fetchWithPeer(peer, request)).toMatchObject({
      ok: true,
      length: CONTENT.length,
      sha256: createHash('sha256').update(CONTENT).digest('hex'),
    });
    world.addTarget('author', PATH, 'its next version');
    world.publish();
    expect(await fetchWithPeer(peer, request)).toMatchObject({ ok: true, length: 'its next version'.length });
  });

  test('says that there is no such target, and goes on with the next', async (context) => {
    const peer = requirePeer(name, context);
    const { targetPath: _, ...request } = await serve(makeWorld());
    const answers = await fetchAllWithPeer(peer, { ...request, targetPaths: ['none.txt', PATH] });
    expect(answers).toMatchObject([{ ok: false, error: 'TargetNotFound' }, { ok: true }]);
  });

  test('says which error of its own it ended with', async (context) => {
    const peer = requirePeer(name, context);
    const world = makeWorld();
    const request = await serve(world);
    world.serve('timestamp', world.seal('timestamp', { signers: [world.key('stranger')] }));
    expect(await fetchWithPeer(peer, request)).toMatchObject({ ok: false, error: UNSIGNED[name] });
  });

  test('tells how long each refresh took', async (context) => {
    const peer = requirePeer(name, context);
    const { targetPath, ...request } = await serve(makeWorld());
    const nanos = await timePeer(peer, { ...request, targetPaths: [targetPath], rounds: 2 });
    expect(nanos).toHaveLength(2);
    expect(Math.min(...nanos)).toBeGreaterThan(0);
  });
});

test.for(CLOCKED)('%s goes by the time that it is told', async (name, context) => {
  const peer = requirePeer(name, context);
  const request = await serve(makeWorld());
  expect(await fetchWithPeer(peer, { ...request, now: '2099-12-31T23:59:59Z' })).toMatchObject({ ok: true });
  const late = { ...request, outFolder: `${request.outFolder}-late`, now: '2100-01-01T00:00:01Z' };
  expect(await fetchWithPeer(peer, late)).toMatchObject({ ok: false, error: EXPIRED[name] });
});

const UNSIGNED: Readonly<Record<PeerName, string>> = {
  'python-tuf': 'UnsignedMetadataError',
  'tuf-js': 'UnsignedMetadataError',
  'go-tuf': 'ErrUnsignedMetadata',
  tough: 'VerifyMetadata',
  'sigstore-tuf': 'ThresholdNotMet',
};
const EXPIRED: Partial<Readonly<Record<PeerName, string>>> = {
  'python-tuf': 'ExpiredMetadataError',
  'go-tuf': 'ErrExpiredMetadata',
  'sigstore-tuf': 'Expired',
};
