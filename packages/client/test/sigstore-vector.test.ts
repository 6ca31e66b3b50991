// A real repository, frozen: Sigstore's of 21 August 2026 (vectors/README.md).
// It is followed from every root that keeps to the specification's formats,
// and refused from the instant at which its timestamp expires.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { type Instant, isTufError } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { Client, memoryState, type Sink, type Transport } from '../src/index.ts';
import { nodeCrypto } from '../src/node.ts';

const FILES = untar(gunzipSync(readFileSync(new URL('vectors/sigstore-2026-08-21.tar.gz', import.meta.url))));
const THEN = Date.UTC(2026, 7, 21, 20);
const EXPIRY = Date.UTC(2026, 7, 28, 19, 25, 56);
const TRUSTED_ROOT = '6494e21ea73fa7ee769f85f57d5a3e6a08725eae1e38c755fc3517c9e6bc0b66';

describe('the repository of Sigstore, as it was', () => {
  it.each([5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])(
    'is followed from root %i to its trusted_root.json',
    async (root) => {
      const client = await openAt(THEN, root);
      await client.refresh();
      const { trusted } = client;
      expect(
        [trusted.root, trusted.timestamp, trusted.snapshot, trusted.targets].map((r) => r?.content.version),
      ).toEqual([15, 762, 165, 14]);
      const bytes = await fetched(client, 'trusted_root.json');
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(TRUSTED_ROOT);
      expect(JSON.parse(bytes.toString()).mediaType).toBe('application/vnd.dev.sigstore.trustedroot+json;version=0.1');
    },
  );

  it('§5.6.7 leads through its delegation to the keys of the npm registry', async () => {
    const client = await openAt(THEN, 15);
    await client.refresh();
    const [role] = client.trusted.targets?.content.delegations?.roles ?? [];
    const path = `${role?.name}/keys.json`;
    expect((await client.find(path))?.trail).toEqual(['targets', role?.name]);
    expect(JSON.parse((await fetched(client, path)).toString())).toHaveProperty('keys');
  });

  it('§5.4.4 freeze: is refused from the expiry of its timestamp on, and not before', async () => {
    await (await openAt(EXPIRY - 1, 5)).refresh();
    for (const now of [EXPIRY, EXPIRY + 1, Date.UTC(2026, 10, 1)]) {
      const client = await openAt(now, 5);
      expect(await refusalOf(client.refresh())).toEqual({ code: 'EXPIRED', role: 'timestamp' });
      expect(client.trusted.timestamp).toBeUndefined();
    }
    const later = await openAt(Date.UTC(2026, 10, 21), 5);
    expect(await refusalOf(later.refresh())).toEqual({ code: 'EXPIRED', role: 'root' });
  });

  it('§5.4.4 freeze: a client that has followed it is no wiser later', async () => {
    const clock = { now: THEN };
    const client = await openAt(clock, 15);
    await client.refresh();
    clock.now = EXPIRY;
    expect(await refusalOf(client.refresh())).toEqual({ code: 'EXPIRED', role: 'timestamp' });
    expect(await refusalOf(client.find('trusted_root.json'))).toEqual({ code: 'EXPIRED', role: 'timestamp' });
  });

  // Root 1 has an offset in its expiry, roots 1 to 4 have keys in a form that the specification does not have: ADR 0012.
  it.each([
    [1, 'FORMAT_INVALID'],
    [2, 'THRESHOLD_NOT_MET'],
    [3, 'THRESHOLD_NOT_MET'],
    [4, 'THRESHOLD_NOT_MET'],
  ])('§4.2.2, §4.2.3 does not begin at root %i: %s', async (root, code) => {
    expect(await refusalOf(openAt(THEN, root))).toMatchObject({ code });
  });
});

function openAt(when: Instant | { readonly now: Instant }, root: number): Promise<Client> {
  const transport: Transport = {
    async get(url) {
      const bytes = FILES.get(url.slice('vector://'.length));
      return { status: bytes === undefined ? 404 : 200, body: bodyOf(bytes ?? new Uint8Array()) };
    },
  };
  return Client.open({
    metadataUrl: 'vector://sigstore/metadata',
    targetsUrl: 'vector://sigstore/targets',
    transport,
    state: memoryState(),
    crypto: nodeCrypto,
    clock: () => (typeof when === 'number' ? when : when.now),
    anchor: FILES.get(`sigstore/metadata/${root}.root.json`) ?? new Uint8Array(),
  });
}

async function* bodyOf(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}

async function fetched(client: Client, path: string): Promise<Buffer> {
  const found = await client.find(path);
  const pieces: Uint8Array[] = [];
  const sink: Sink = {
    write: async (chunk) => {
      pieces.push(chunk.slice());
    },
    commit: async () => {},
    abort: async () => {},
  };
  if (found !== undefined) await client.download(found.target, sink);
  return Buffer.concat(pieces);
}

async function refusalOf(work: Promise<unknown>): Promise<{ code: string; role: unknown }> {
  try {
    await work;
    return { code: 'nothing was refused', role: undefined };
  } catch (error) {
    if (!isTufError(error)) throw error;
    return { code: error.code, role: error.detail['role'] };
  }
}

/** The regular files of a tar archive, by their names; a name that is too long for its header stands before it. */
function untar(archive: Buffer): ReadonlyMap<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  let long: string | undefined;
  for (let at = 0; archive[at] !== 0 && at < archive.length; ) {
    const text = (from: number, length: number): string =>
      archive.toString('latin1', at + from, at + from + length).replace(/\0.*$/s, '');
    const size = Number.parseInt(text(124, 12), 8);
    const content = archive.subarray(at + 512, at + 512 + size);
    const type = text(156, 1);
    if (type === 'L') {
      long = text(512, size);
    } else {
      if (type === '0') files.set(long ?? text(0, 100), content);
      long = undefined;
    }
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}
