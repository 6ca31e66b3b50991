// What reaches the folder of verified artifacts, what is believed of it later,
// and what is never served: through the whole gateway, with real files.

import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DEBUG, MS, npmTarball, type World } from '@countersign/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { House, honestWorld } from '../test/house.ts';

let world: World;
let house: House;
beforeEach(async () => {
  world = await honestWorld();
  house = await House.build(world);
});
afterEach(() => house.tearDown());

const MS_FILE = '/npm/ms/-/ms-2.1.3.tgz';

function keptAt(path: string): string {
  const hashes =
    [...world.roles.values()].map(({ targets }) => targets.get(path)?.hashes['sha256']).find(Boolean) ?? '';
  return join(house.folder, 'artifacts', hashes.slice(0, 2), hashes);
}

function serveTarget(path: string, bytes: Uint8Array): void {
  for (const url of world.targetUrls(path)) world.files.set(url, bytes);
}

describe('arbitrary installation', () => {
  it('a file tampered with on the server: 403 before its first byte, and nothing is kept', async () => {
    const forged = Uint8Array.from(world.content(MS.path));
    forged[20] = (forged[20] ?? 0) ^ 1;
    serveTarget(MS.path, forged);
    const heard = await house.ask(MS_FILE);
    expect(heard).toMatchObject({ status: 403, code: 'HASH_MISMATCH' });
    expect(heard.bytes.includes(Buffer.from(forged.subarray(0, 16)))).toBe(false);
    await expect(readFile(keptAt(MS.path))).rejects.toThrow('ENOENT');
    serveTarget(MS.path, world.content(MS.path));
    expect((await house.ask(MS_FILE)).status).toBe(200);
  });

  it.each([
    ['too short', (bytes: Uint8Array) => bytes.subarray(0, -1), 'LENGTH_MISMATCH'],
    ['too long', (bytes: Uint8Array) => Buffer.concat([bytes, Buffer.from('x')]), 'LENGTH_EXCEEDED'],
  ])('a file %s is refused', async (_how, change, code) => {
    serveTarget(MS.path, change(world.content(MS.path)));
    expect(await house.ask(MS_FILE)).toMatchObject({ status: 403, code });
  });

  it('endless data is cut off', async () => {
    for (const url of world.targetUrls(MS.path)) {
      world.files.set(url, { fault: 'endless', start: world.content(MS.path) });
    }
    expect(await house.ask(MS_FILE)).toMatchObject({ status: 403, code: 'LENGTH_EXCEEDED' });
    expect(world.requests.some((request) => request.open)).toBe(false);
  });
});

describe('index entries', () => {
  it('an entry that lies about a signed file is refused, withheld from then on, and does not hide other versions', async () => {
    const path = `${DEBUG.directory}/debug-4.4.2.tgz`;
    const bytes = npmTarball({ name: 'debug', version: '4.4.2', dependencies: { evil: '*' } });
    world.addTarget(DEBUG.owner, path, bytes, { npm: { name: 'debug', version: '4.4.2' } });
    world.publish();
    const file = '/npm/debug/-/debug-4.4.2.tgz';
    expect(await house.ask(file)).toMatchObject({ status: 403, code: 'INDEX_MISMATCH' });
    expect(await house.ask(file)).toMatchObject({ status: 403, code: 'INDEX_MISMATCH' });
    expect((await house.ask('/npm/debug')).json).toMatchObject({
      'dist-tags': { latest: '4.4.1' },
      versions: { '4.4.1': {} },
      policyRestrictions: { versions: { '4.4.2': {} }, message: expect.stringContaining('TUF INDEX_MISMATCH: 4.4.2') },
    });
    expect((await house.ask('/npm/debug/-/debug-4.4.1.tgz')).status).toBe(200);
  });

  it("another package's file under this project's name is refused", async () => {
    const path = `${DEBUG.directory}/debug-9.0.0.tgz`;
    const facts = { name: 'other', version: '9.0.0' };
    world.addTarget(DEBUG.owner, path, npmTarball(facts), { npm: facts });
    world.publish();
    expect(await house.ask('/npm/debug/-/debug-9.0.0.tgz')).toMatchObject({ status: 403, code: 'INDEX_MISMATCH' });
  });

  it('what is no package at all is refused', async () => {
    const path = `${DEBUG.directory}/debug-9.0.1.tgz`;
    world.addTarget(DEBUG.owner, path, 'no tarball', { npm: { name: 'debug', version: '9.0.1' } });
    world.publish();
    expect(await house.ask(`/targets/${path}`)).toMatchObject({ status: 403, code: 'INDEX_MISMATCH' });
  });
});

describe('the folder', () => {
  it('is not believed: a kept file that was changed is downloaded again', async () => {
    await house.ask(MS_FILE);
    const content = Buffer.from(world.content(MS.path));
    expect(await readFile(keptAt(MS.path))).toEqual(content);
    await writeFile(keptAt(MS.path), Buffer.from(content).fill(0, 30, 40));
    expect((await house.ask(MS_FILE)).bytes).toEqual(content);
    expect(await readFile(keptAt(MS.path))).toEqual(content);
    // After a restart nothing is remembered, so it is hashed.
    await house.stop();
    await writeFile(keptAt(MS.path), 'short');
    expect((await house.ask(MS_FILE)).bytes).toEqual(content);
    await rm(keptAt(MS.path));
    expect((await house.ask(MS_FILE)).bytes).toEqual(content);
  });

  it('with the service stopped, a changed file is an outage and is never served', async () => {
    await house.ask(MS_FILE);
    for (const url of world.files.keys()) world.files.set(url, { fault: 'unreachable' });
    await writeFile(keptAt(MS.path), Buffer.from(world.content(MS.path)).fill(0));
    expect(await house.ask(MS_FILE)).toMatchObject({ status: 502, code: 'UNREACHABLE' });
  });

  it('that cannot be read is a fault of this machine, not of the repository', async () => {
    await mkdir(keptAt(MS.path), { recursive: true });
    expect(await house.ask(MS_FILE)).toMatchObject({ status: 500, code: 'STORE_READ' });
  });

  it('holds nothing but whole files under their hash', async () => {
    await house.ask(MS_FILE);
    await house.ask('/npm/debug/-/debug-4.4.1.tgz');
    const entries = await readdir(join(house.folder, 'artifacts'), { recursive: true, withFileTypes: true });
    const names = entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
    expect(names.sort()).toEqual([keptAt(MS.path), keptAt(DEBUG.path)].map((path) => path.slice(-64)).sort());
  });
});

describe('signed hashes that mislead', () => {
  it.each([
    ['a path', { sha256: '../../../../etc/passwd' }, 'FORMAT_INVALID'],
    ['none that is strong', { md5: 'd41d8cd98f00b204e9800998ecf8427e' }, 'HASH_UNSUPPORTED'],
    ['another sha512 than the content has', { sha512: '00'.repeat(64) }, 'HASH_MISMATCH'],
  ])('%s', async (_what, hashes, code) => {
    await house.ask(MS_FILE);
    const target = world.role(MS.release).targets.get(MS.path);
    const path = `files/aaaa/x/file`;
    const sha256 = target?.hashes['sha256'] ?? '';
    world
      .role('unclaimed')
      .targets.set(path, { length: target?.length ?? 0, hashes: { ...('sha512' in hashes && { sha256 }), ...hashes } });
    world.publish();
    expect(await house.ask(`/targets/${path}`)).toMatchObject({ status: 403, code });
    // The other target of the same content is not harmed.
    world.takeRequests();
    expect((await house.ask(MS_FILE)).status).toBe(200);
    expect(world.takeRequests().filter((url) => url.startsWith('targets/'))).toEqual([]);
  });

  it('only sha512: served all the same', async () => {
    const target = world.role(DEBUG.owner).targets.get(DEBUG.path);
    if (target === undefined) throw new TypeError('no such target');
    target.hashes = { sha512: target.hashes['sha512'] ?? '' };
    world.publish();
    expect((await house.ask('/npm/debug/-/debug-4.4.1.tgz')).bytes).toEqual(Buffer.from(world.content(DEBUG.path)));
  });
});
