// Names that the collection does not cover, relayed from a registry on
// loopback that is honest or not; and names that must never be.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { DEBUG, MS, type World } from '@countersign/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { House, honestWorld } from '../test/house.ts';
import { registriesIn } from './npm-registry.ts';

interface Asked {
  readonly url: string;
  readonly authorization: string | undefined;
}
type Page = (request: IncomingMessage, response: ServerResponse) => void;

/** A registry that answers what a test puts into `pages`. */
class Registry {
  readonly pages = new Map<string, Page>();
  readonly asked: Asked[] = [];
  readonly #server: Server;
  readonly url: string;

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/base/`;
  }

  static async start(): Promise<Registry> {
    const server = createServer((request, response) => {
      registry.asked.push({ url: request.url ?? '', authorization: request.headers.authorization });
      const page = registry.pages.get(request.url ?? '');
      if (page === undefined) response.writeHead(404).end('{}');
      else page(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const registry = new Registry(server);
    return registry;
  }

  /** Publishes a package whose index names its file by `tarball`. */
  publish(name: string, tarball: string): void {
    const index = { name, 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': { name, dist: { tarball } } } };
    this.pages.set(`/base/${name.replace('/', '%2f')}`, (_request, response) => response.end(JSON.stringify(index)));
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

let world: World;
let registry: Registry;
let house: House;
beforeEach(async () => {
  world = await honestWorld();
  registry = await Registry.start();
  const relayUnlisted = { registry: registry.url, headers: { authorization: 'Bearer secret' } };
  house = await House.build(world, { relayUnlisted });
  registry.publish('left-pad', `${registry.url}left-pad/-/left-pad-1.0.0.tgz`);
  registry.pages.set('/base/left-pad/-/left-pad-1.0.0.tgz', (_request, response) => response.end('the bytes'));
});
afterEach(async () => {
  await house.tearDown();
  await registry.stop();
});

const INDEX = '/npm/left-pad';
const FILE = '/npm/left-pad/-/left-pad-1.0.0.tgz';

describe('a name that nothing covers', () => {
  it('is relayed, its files addressed to the gateway, and labelled unverified', async () => {
    const index = await house.ask(INDEX, { headers: { host: 'localhost' } });
    expect(index.status).toBe(200);
    expect(index.json).toMatchObject({
      versions: { '1.0.0': { dist: { tarball: `http://localhost${FILE}` } } },
    });
    expect(index.headers).toMatchObject({
      'x-tuf-assurance': 'unverified',
      'npm-notice': 'Countersign: left-pad is unverified: the collection does not cover it',
    });
    const file = await house.ask(FILE);
    expect(file.bytes.toString()).toBe('the bytes');
    expect(file.headers).toMatchObject({ 'x-tuf-assurance': 'unverified' });
    expect(registry.asked.every(({ authorization }) => authorization === 'Bearer secret')).toBe(true);
    expect((await house.ask(FILE, { method: 'HEAD' })).status).toBe(200);
  });

  it("comes from the scope's own registry where it has one", async () => {
    await house.tearDown();
    const scopes = new Map([['@corp', registry.url]]);
    house = await House.build(world, { relayUnlisted: { registry: 'http://127.0.0.1:9/', scopes } });
    registry.publish('@corp/thing', 'https://cdn.example/x/@corp/thing/-/thing-1.0.0.tgz');
    const index = await house.ask('/npm/@corp%2fthing');
    expect(index.json).toMatchObject({
      versions: {
        '1.0.0': { dist: { tarball: expect.stringMatching(/\/npm\/@corp\/thing\/-\/thing-1\.0\.0\.tgz$/) } },
      },
    });
    expect(await house.ask(INDEX)).toMatchObject({ status: 502, code: 'UNREACHABLE' });
  });

  it('is 404 where the registry has none either', async () => {
    expect(await house.ask('/npm/nowhere')).toMatchObject({ status: 404, code: 'NAME_UNLISTED' });
    expect(await house.ask('/npm/left-pad/-/left-pad-9.0.0.tgz')).toMatchObject({ status: 404 });
  });

  it.each([
    ['answers 500', (response: ServerResponse) => response.writeHead(500).end(), 'STATUS_UNEXPECTED'],
    ['wants a login', (response: ServerResponse) => response.writeHead(401).end(), 'STATUS_UNEXPECTED'],
    ['is no JSON', (response: ServerResponse) => response.end('<html>'), 'STATUS_UNEXPECTED'],
    ['is a list', (response: ServerResponse) => response.end('[]'), 'STATUS_UNEXPECTED'],
    ['hangs up', (response: ServerResponse) => response.destroy(), 'UNREACHABLE'],
    [
      'goes round',
      (response: ServerResponse) => response.writeHead(302, { location: 'left-pad' }).end(),
      'STATUS_UNEXPECTED',
    ],
    [
      'leads to a file',
      (response: ServerResponse) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
      'STATUS_UNEXPECTED',
    ],
  ])('is 502 when the registry %s', async (_what, page, code) => {
    registry.pages.set('/base/left-pad', (_request, response) => page(response));
    expect(await house.ask(INDEX)).toMatchObject({ status: 502, code });
    expect((await house.ask('/npm/ms')).status).toBe(200);
  });

  it('an index cannot aim the gateway at another address, nor a redirect carry the credentials there', async () => {
    const other = await Registry.start();
    try {
      other.pages.set('/secret', (_request, response) => response.end('internal'));
      other.pages.set('/cdn', (_request, response) => response.end('from the cdn'));
      registry.publish('left-pad', new URL('/secret', other.url).href);
      expect(await house.ask(FILE)).toMatchObject({ status: 404 });
      expect(other.asked).toEqual([]);
      registry.pages.set('/base/secret', (_request, response) => {
        response.writeHead(302, { location: new URL('/cdn', other.url).href }).end();
      });
      expect((await house.ask(FILE)).bytes.toString()).toBe('from the cdn');
      expect(other.asked).toEqual([{ url: '/cdn', authorization: undefined }]);
    } finally {
      await other.stop();
    }
  });

  it('a compressed index is read, a file cut short ends the connection', async () => {
    const index = gzipSync(JSON.stringify({ name: 'zipped', versions: {} }));
    registry.pages.set('/base/zipped', (_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(index);
    });
    expect((await house.ask('/npm/zipped')).json).toEqual({ name: 'zipped', versions: {} });
    registry.pages.set('/base/left-pad/-/left-pad-1.0.0.tgz', (_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half', () => response.destroy());
    });
    await expect(house.ask(FILE)).rejects.toThrow('aborted');
  });
});

describe('a name that is covered', () => {
  it('never falls through: neither whole, nor for a version that does not exist', async () => {
    registry.publish('ms', `${registry.url}ms/-/ms-1.0.0.tgz`);
    registry.pages.set('/base/ms/-/ms-1.0.0.tgz', (_request, response) => response.end('evil'));
    expect((await house.ask('/npm/ms')).json).toMatchObject({ 'dist-tags': { latest: '2.1.3' } });
    expect(await house.ask('/npm/ms/-/ms-1.0.0.tgz')).toMatchObject({ status: 404, code: 'TARGET_UNKNOWN' });
    expect(registry.asked).toEqual([]);
  });

  it('not when its metadata is refused or missing', async () => {
    registry.publish('ms', 'x');
    world.serve(MS.owner, { fault: 'status', status: 404 });
    expect(await house.ask('/npm/ms')).toMatchObject({ status: 403, code: 'METADATA_MISSING' });
    world.serve(MS.owner, { fault: 'unreachable' });
    expect(await house.ask('/npm/ms')).toMatchObject({ status: 502, code: 'UNREACHABLE' });
    expect(registry.asked).toEqual([]);
  });

  it('not after it was hidden, even by a gateway started anew', async () => {
    registry.publish('debug', 'x');
    await house.ask('/npm/debug');
    world.role('recent').delegations.length = 0;
    world.publish();
    await house.stop();
    expect(await house.ask('/npm/debug')).toMatchObject({ status: 403, code: 'NAME_HIDDEN' });
    expect(registry.asked).toEqual([]);
    expect(DEBUG.kind).toBe('recent');
  });

  it('nothing is relayed while the collection cannot be asked, or lies', async () => {
    await house.ask('/npm/ms');
    world.serve('timestamp', { fault: 'unreachable' });
    expect(await house.ask(INDEX)).toMatchObject({ status: 502, code: 'UNREACHABLE' });
    world.serve('timestamp', world.seal('timestamp', { signers: [] }));
    expect(await house.ask(INDEX)).toMatchObject({ status: 403, code: 'THRESHOLD_NOT_MET' });
    expect(registry.asked).toEqual([]);
  });

  it('nor where hash bins keep its absence from being proven', async () => {
    world.delegate('targets', 'bins', { prefixes: ['00'] });
    world.publish();
    expect((await house.ask(INDEX)).code).toBe('NAME_UNLISTED');
    expect(registry.asked).toEqual([]);
  });
});

describe('which registry', () => {
  it('a gateway that would relay to itself does not start', async () => {
    const { port } = await house.gateway();
    const again = await House.build(world, { port: 0, relayUnlisted: { registry: `http://localhost:${port}/npm/` } });
    await again.gateway(); // another gateway is another registry
    const own = (await again.gateway()).port;
    await again.stop();
    const looped = await House.build(world, { port: own, relayUnlisted: { registry: `http://localhost:${own}/npm/` } });
    await expect(looped.gateway()).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await again.tearDown();
    await looped.tearDown();
  });

  it("is read from npm's own configuration", () => {
    expect(
      registriesIn({ registry: 'https://one.example/', '@corp:registry': 'https://two.example/npm/', '@x': 'y' }),
    ).toEqual({ registry: 'https://one.example/', scopes: new Map([['@corp', 'https://two.example/npm/']]) });
    expect(() => registriesIn({ registry: 'nowhere' })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    expect(() => registriesIn(undefined)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });
});
