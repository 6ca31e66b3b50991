// Demands of the specification that no attack is about: what is asked for and
// under which name, what is kept, and how signatures are counted for each of
// the top-level roles (docs/spec-map.md). Each through core and the client.

import { constants, generateKeyPairSync, sign } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileSink } from '@countersign/client/node';
import { type JsonLiteral, objectOf, readKey, TOP_LEVEL_ROLES, type TopLevelRole } from '@countersign/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  aliasOf,
  clientDoor,
  coreDoor,
  type KeysDraft,
  MemoryFiles,
  type Outcome,
  openClient,
  type SignatureText,
  World,
  type WorldKey,
  withMember,
} from '../src/index.ts';

const HELLO = 'docs/hello.txt';
const RSA_KEYS = { 2040: rsaKey(2040), 2048: rsaKey(2048) } as const;

describe.each([coreDoor, clientDoor])('through the $name', (door) => {
  const fetched = async (world: World): Promise<Outcome> => (await door.open(world)).fetch(HELLO);

  it('§5.3.2, §5.3.9, §5.3.1/2, §5.3.3/2 roots are asked for one by one from the version of the anchor, up to the latest', async () => {
    const world = helloWorld();
    for (const name of ['a', 'b', 'c']) {
      world.authorise('root', [world.key(`root-${name}`)]);
      world.publish();
      if (name === 'a') world.anchor = world.bytes('root');
    }
    world.takeRequests();
    const session = await door.open(world);
    expect((await session.refresh()).code).toBe('OK');
    expect(world.takeRequests().slice(0, 4)).toEqual([
      'metadata/3.root.json',
      'metadata/4.root.json',
      'metadata/5.root.json',
      'metadata/timestamp.json',
    ]);
    expect(session.kept.get('root.json')).toEqual(world.bytes('root'));
  });

  it('§5.3.12, §5.4.1/2, §5.5.1/2, §5.6.1/2, §5.7.3/4 names are by version and hash with consistent snapshots, plain without', async () => {
    for (const consistentSnapshot of [true, false]) {
      const world = helloWorld({ consistentSnapshot });
      world.snapshot.version = 41;
      world.targets.version = 7;
      world.publish();
      world.takeRequests();
      const outcome = await fetched(world);
      expect(outcome.bytes).toEqual(world.content(HELLO));
      const sha256 = world.targets.targets.get(HELLO)?.hashes['sha256'];
      expect(world.takeRequests()).toEqual(
        consistentSnapshot
          ? ['2.root.json', 'timestamp.json', '41.snapshot.json', '7.targets.json']
              .map((name) => `metadata/${name}`)
              .concat(`targets/docs/${sha256}.hello.txt`)
          : ['2.root.json', 'timestamp.json', 'snapshot.json', 'targets.json']
              .map((name) => `metadata/${name}`)
              .concat('targets/docs/hello.txt'),
      );
    }
  });

  it('§5.3.12 the root after a rotation says how files are named from then on', async () => {
    const world = helloWorld();
    const session = await door.open(world);
    expect((await session.fetch(HELLO)).code).toBe('OK');
    world.root.consistentSnapshot = false;
    world.targets.expires += 1000;
    world.addTarget('targets', HELLO, 'hello again');
    world.publish();
    world.takeRequests();
    expect((await session.fetch(HELLO)).bytes).toEqual(world.content(HELLO));
    expect(world.takeRequests().slice(-3)).toEqual([
      'metadata/snapshot.json',
      'metadata/targets.json',
      'targets/docs/hello.txt',
    ]);
  });

  it('§4/1 members that nobody knows are part of what is signed, at any depth of every role', async () => {
    for (const role of TOP_LEVEL_ROLES) {
      const honest = helloWorld();
      draftOf(honest, role).members.set('x-unknown', { '\u{1f984}': [1, null, { deep: true }], '': '' });
      await expectRefreshed(door, honest, role);
      const stripped = helloWorld();
      draftOf(stripped, role).members.set('x-unknown', 'signed for');
      draftOf(stripped, role).tamper = { file: (text) => text.replace(',"x-unknown":"signed for"', '') };
      expect((await refreshed(door, stripped, role)).code).toBe('THRESHOLD_NOT_MET');
    }
  });

  it('§4.3/1 each file of specification 1.x is read, and none of another', async () => {
    for (const role of TOP_LEVEL_ROLES) {
      for (const version of ['1.0.0', '1.0.34', '1.7.2', '1.0']) {
        await expectRefreshed(door, tampered(role, ['spec_version'], version), role);
      }
      for (const version of ['0.9.0', '2.0.0', '10.0.0', '1', '', '1.0.0-rc1', '11.0']) {
        const outcome = await refreshed(door, tampered(role, ['spec_version'], version), role);
        expect([version, outcome.code]).toEqual([version, 'SPEC_VERSION_UNSUPPORTED']);
      }
    }
  });

  it('§4.3/4 a root without one of the four roles is refused; one with a fifth is not', async () => {
    for (const missing of TOP_LEVEL_ROLES) {
      expect((await refreshed(door, tampered('root', ['roles', missing], undefined), 'root')).code).toBe(
        'FORMAT_INVALID',
      );
    }
    await expectRefreshed(door, tampered('root', ['roles', 'mirrors'], { keyids: [], threshold: 1 }), 'root');
  });

  it('§4.3/7 one key id for two keys in one file is a member twice, and refused', async () => {
    const world = helloWorld();
    const { keyId } = world.key('timestamp');
    world.root.tamper = { text: (text) => text.replace(`"${keyId}":{`, `"${keyId}":{"keytype":"rsa"},"${keyId}":{`) };
    expect((await refreshed(door, world, 'root')).code).toBe('JSON_INVALID');
  });

  it('§4.2.2/1 an RSA key of less than 2,048 bits signs for nothing', async () => {
    for (const [bits, code] of [
      [2040, 'THRESHOLD_NOT_MET'],
      [2048, 'OK'],
    ] as const) {
      expect([bits, (await withKeys('targets', () => [RSA_KEYS[bits]], 1)(door)).code]).toEqual([bits, code]);
    }
  });

  it('§5.3.4/2, §5.4.2/2, §5.5.3/2, §5.6.3/2 one key under two ids contributes one signature', async () => {
    for (const role of TOP_LEVEL_ROLES) {
      const twice = (world: World): readonly WorldKey[] => [world.key('one'), aliasOf(world.key('one'), 'another id')];
      expect((await withKeys(role, twice, 2)(door)).code).toBe('THRESHOLD_NOT_MET');
      // Not because two keys were too many:
      const two = (world: World): readonly WorldKey[] => [world.key('one'), world.key('two')];
      expect((await withKeys(role, two, 2)(door)).code).toBe('OK');
      expect((await withKeys(role, twice, 1)(door)).code).toBe('OK');
    }
  });

  it('§5.3.4/3, §5.4.2/3, §5.5.3/3, §5.6.3/3 signatures of distinct key ids count, and only those', async () => {
    for (const role of TOP_LEVEL_ROLES) {
      const three = (world: World): readonly WorldKey[] => ['one', 'two', 'three'].map((name) => world.key(name));
      const without = (keep: number) => (list: readonly SignatureText[], own: readonly string[]) =>
        list.filter(({ keyid }) => !own.slice(keep).includes(keyid));
      expect((await withKeys(role, three, 2, without(2))(door)).code).toBe('OK');
      expect((await withKeys(role, three, 2, without(1))(door)).code).toBe('THRESHOLD_NOT_MET');
      // The signature of the first under the id of the second is none.
      const moved = (list: readonly SignatureText[], own: readonly string[]): readonly SignatureText[] => {
        const sig = list.find(({ keyid }) => keyid === own[0])?.sig ?? '';
        return without(2)(list, own).map((item) => (item.keyid === own[1] ? { ...item, sig } : item));
      };
      expect((await withKeys(role, three, 2, moved)(door)).code).toBe('THRESHOLD_NOT_MET');
    }
  });

  it('§5.3.4/4, §5.4.2/4, §5.5.3/4, §5.6.3/4 a key id that is repeated counts once at most: the file is refused', async () => {
    for (const role of TOP_LEVEL_ROLES) {
      const two = (world: World): readonly WorldKey[] => [world.key('one'), world.key('two')];
      const repeated = (list: readonly SignatureText[], own: readonly string[]): readonly SignatureText[] => [
        ...list.filter(({ keyid }) => keyid !== own[1]),
        ...list.filter(({ keyid }) => keyid === own[0]),
      ];
      expect((await withKeys(role, two, 2, repeated)(door)).code).toBe('SIGNATURE_DUPLICATE');
    }
  });

  it('§4.5/4 a delegation by hash prefixes is for paths whose SHA-256 begins with one of them', async () => {
    // sha256('docs/hello.txt') = e43b…, as `sha256sum` says.
    for (const [prefixes, code] of [
      [['e4'], 'OK'],
      [['00', 'E43B'], 'OK'],
      [[''], 'OK'],
      [['4'], 'TARGET_UNKNOWN'],
      [['e5', '3b'], 'TARGET_UNKNOWN'],
      [[], 'TARGET_UNKNOWN'],
    ] as const) {
      const world = new World();
      world.delegate('targets', 'bin', { prefixes });
      world.addTarget('bin', HELLO, 'hello');
      world.publish();
      expect([prefixes, (await fetched(world)).code]).toEqual([prefixes, code]);
    }
  });

  it('§5.6.7.1/3, §5.7.2 a role that lists the target ends the search; where none does, that is what is reported', async () => {
    const world = helloWorld();
    world.delegate('targets', 'never-asked', { paths: ['docs/*'] });
    world.publish();
    world.takeRequests();
    expect((await fetched(world)).code).toBe('OK');
    expect(world.takeRequests().filter((url) => url.includes('never-asked'))).toEqual([]);
    const session = await door.open(world);
    expect(await session.fetch('docs/nothing.txt')).toEqual({ code: 'TARGET_UNKNOWN' });
    expect(session.downloads).toEqual(new Map());
    expect(world.takeRequests().at(-1)).toBe('metadata/1.never-asked.json');
  });
});

it('§5.7.3/1 a target is written under its plain name, not under that of its hash', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const world = helloWorld();
  const client = await openClient(world, new MemoryFiles());
  await client.refresh();
  const found = await client.find(HELLO);
  expect(found?.target.path).toBe(HELLO);
  if (found !== undefined) await client.download(found.target, fileSink(join(folder, ...found.target.path.split('/'))));
  expect(await readdir(folder, { recursive: true })).toEqual(['docs', HELLO]);
  expect(await readFile(join(folder, HELLO), 'utf8')).toBe('hello');
});

/** A key that signs well, whatever its size. */
function rsaKey(bits: number): WorldKey {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: bits });
  const pem = publicKey.export({ format: 'pem', type: 'spki' }).toString();
  const json = objectOf({ keytype: 'rsa', scheme: 'rsassa-pss-sha256', keyval: { public: pem } });
  const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
  return {
    keyId: `rsa of ${bits} bits`,
    key: readKey(json, 'a key'),
    sign: (message) => sign('sha256', message, { key: privateKey, ...padding }),
  };
}

function helloWorld(options: { consistentSnapshot?: boolean } = {}): World {
  const world = new World(options);
  world.addTarget('targets', HELLO, 'hello');
  world.publish();
  return world;
}

function draftOf(
  world: World,
  role: TopLevelRole,
): World['root'] | World['timestamp'] | World['snapshot'] | World['targets'] {
  return world[role];
}

function tampered(role: TopLevelRole, path: readonly [string, ...string[]], value: JsonLiteral | undefined): World {
  const world = helloWorld();
  draftOf(world, role).tamper = { signed: (tree) => withMember(tree, path, value) };
  return world;
}

/** Publishes the next version of a role, and has a new user refresh to it. */
async function refreshed(door: typeof coreDoor, world: World, role: TopLevelRole): Promise<Outcome> {
  draftOf(world, role).expires += 1000;
  world.publish();
  return await (await door.open(world)).refresh();
}

async function expectRefreshed(door: typeof coreDoor, world: World, role: TopLevelRole): Promise<void> {
  draftOf(world, role).expires += 1000;
  world.publish();
  const session = await door.open(world);
  expect(await session.refresh()).toEqual({ code: 'OK' });
  expect(session.kept.get(`${role}.json`)).toEqual(world.bytes(role));
}

/** Gives a role keys of its own, and the next version signatures as told; a new user refreshes. */
function withKeys(
  role: TopLevelRole,
  keysOf: (world: World) => readonly WorldKey[],
  threshold: number,
  change: (list: readonly SignatureText[], own: readonly string[]) => readonly SignatureText[] = (list) => list,
): (door: typeof coreDoor) => Promise<Outcome> {
  return async (door) => {
    const world = helloWorld();
    const holders: KeysDraft = { keys: keysOf(world), threshold };
    world.root.roles.set(role, holders);
    const own = holders.keys.map((key) => key.keyId);
    draftOf(world, role).tamper = { signatures: (list) => change(list, own) };
    return await refreshed(door, world, role);
  };
}
