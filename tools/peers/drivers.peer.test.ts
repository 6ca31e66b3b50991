import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { World } from '@countersign/testkit';
import { describe, expect, onTestFinished, test } from 'vitest';
import { fetchWithPeer, PEER_NAMES, type PeerRequest } from './peers.mjs';
import { requirePeer } from './require-peer.ts';

const CONTENT = 'written by its author';
const FAR = Date.UTC(2100, 0, 1); // peers read the machine's clock

/** A world with one target of a delegated role. */
function makeWorld(): World {
  const world = new World();
  for (const role of [world.root, world.timestamp, world.snapshot, world.targets]) role.expires = FAR;
  world.delegate('targets', 'author', { paths: ['files/*/*'], terminating: true, expires: FAR });
  world.addTarget('author', 'files/a/hello.txt', CONTENT);
  world.publish();
  return world;
}

/** Serves a world on loopback and gives what a peer is asked with. */
async function serve(world: World): Promise<PeerRequest> {
  const server = createServer((request, response) => {
    const served = world.files.get((request.url ?? '').slice(1));
    response.writeHead(served instanceof Uint8Array ? 200 : 404).end(served instanceof Uint8Array ? served : undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const folder = mkdtempSync(join(tmpdir(), 'countersign-peer-'));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  writeFileSync(join(folder, 'root.json'), world.anchor ?? '');
  const { port } = server.address() as AddressInfo;
  const base = `http://127.0.0.1:${port}`;
  return {
    metadataUrl: `${base}/metadata/`,
    targetsUrl: `${base}/targets/`,
    rootFile: join(folder, 'root.json'),
    targetPath: 'files/a/hello.txt',
    outFolder: join(folder, 'out'),
  };
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
    world.addTarget('author', 'files/a/hello.txt', 'its next version');
    world.publish();
    expect(await fetchWithPeer(peer, request)).toMatchObject({ ok: true, length: 'its next version'.length });
  });

  test('says that there is no such target', async (context) => {
    const peer = requirePeer(name, context);
    const request = await serve(makeWorld());
    expect(await fetchWithPeer(peer, { ...request, targetPath: 'files/a/none.txt' })).toMatchObject({
      ok: false,
      error: 'TargetNotFound',
    });
  });

  test('says which error of its own it ended with', async (context) => {
    const peer = requirePeer(name, context);
    const world = makeWorld();
    const request = await serve(world);
    world.serve('timestamp', world.seal('timestamp', { signers: [world.key('stranger')] }));
    const answer = await fetchWithPeer(peer, request);
    expect(answer).toMatchObject({
      ok: false,
      error: expect.stringMatching(
        /^(?:UnsignedMetadataError|RepositoryError|ErrUnsignedMetadata|VerifyMetadata|ThresholdNotMet)$/,
      ),
    });
  });
});
