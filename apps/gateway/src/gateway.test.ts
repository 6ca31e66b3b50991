// A whole gateway over a registry world: what unmodified clients ask, and what
// they are told, for each policy the gateway has.

import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DEBUG, type ExampleProject, IS_ODD, MS, type World } from '@countersign/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { House, honestWorld } from '../test/house.ts';

let world: World;
let house: House;
beforeEach(async () => {
  world = await honestWorld();
  house = await House.build(world);
});
afterEach(() => house.tearDown());

const index = ({ project }: ExampleProject): string => `/npm/${project.name}`;
const tarball = ({ facts }: ExampleProject): string => `/npm/${facts.name}/-/${facts.name}-${facts.version}.tgz`;

describe('npm', () => {
  it('derives the index from what the author signed, with files on the gateway itself', async () => {
    const heard = await house.ask(index(MS), { headers: { host: 'localhost:7' } });
    expect(heard.status).toBe(200);
    const sha512 = Buffer.from(world.role(MS.release).targets.get(MS.path)?.hashes?.['sha512'] ?? '', 'hex');
    expect(heard.json).toEqual({
      name: 'ms',
      'dist-tags': { latest: '2.1.3' },
      versions: {
        '2.1.3': {
          name: 'ms',
          version: '2.1.3',
          dist: {
            tarball: 'http://localhost:7/npm/ms/-/ms-2.1.3.tgz',
            integrity: `sha512-${sha512.toString('base64')}`,
          },
        },
      },
    });
    expect(heard.headers).toMatchObject({ 'cache-control': 'no-cache', 'x-tuf-assurance': 'author-signed claimed' });
    expect(heard.headers['npm-notice']).toBeUndefined();
  });

  it.each([
    [MS, 'author-signed claimed'],
    [DEBUG, 'author-signed recent'],
    [IS_ODD, 'repository-signed'],
  ])('serves the file of %# byte for byte and says who vouches for it', async (project, assurance) => {
    const heard = await house.ask(tarball(project));
    expect(heard.status).toBe(200);
    expect(heard.bytes).toEqual(Buffer.from(world.content(project.path)));
    expect(heard.headers['x-tuf-assurance']).toBe(assurance);
    // Served once more, it comes from the store.
    world.takeRequests();
    expect((await house.ask(tarball(project))).bytes).toEqual(heard.bytes);
    expect(world.takeRequests().filter((url) => url.startsWith('targets/'))).toEqual([]);
  });

  it('revalidates an index by its content: 304 across a publication that does not touch it', async () => {
    const first = await house.ask(index(MS));
    const etag = first.headers.etag ?? '';
    world.publish();
    const same = await house.ask(index(MS), { headers: { 'if-none-match': etag } });
    expect([same.status, same.bytes.length]).toEqual([304, 0]);
    const other = await house.ask(index(DEBUG), { headers: { 'if-none-match': etag } });
    expect(other.status).toBe(200);
  });

  it('answers single versions, tags, ping; has no advisories; refuses what it does not know', async () => {
    expect((await house.ask('/npm/ms/latest')).json).toMatchObject({ version: '2.1.3' });
    expect((await house.ask('/npm/ms/2.1.3')).json).toMatchObject({ version: '2.1.3' });
    expect(await house.ask('/npm/ms/9.9.9')).toMatchObject({ status: 404, code: 'TARGET_UNKNOWN' });
    expect((await house.ask('/npm/-/package/ms/dist-tags')).json).toEqual({ latest: '2.1.3' });
    expect((await house.ask('/npm/-/ping')).json).toEqual({});
    const audit = await house.ask('/npm/-/npm/v1/security/advisories/bulk', { method: 'POST' });
    expect([audit.status, audit.code]).toEqual([404, undefined]);
    for (const [method, path] of [
      ['PUT', '/npm/ms'],
      ['POST', '/npm/ms'],
      ['GET', '/npm/-/v1/search?text=ms'],
      ['GET', '/npm/ms/-/other-2.1.3.tgz'],
      ['GET', '/npm/%2e%2e%2fms'],
      ['GET', '/elsewhere'],
      ['GET', '/'],
      ['GET', '/targets/a//b'],
      ['GET', '/targets/npm%2fx'],
      ['GET', '/targets/%zz'],
      ['GET', 'http://127.0.0.1/npm/ms'],
    ] as const) {
      expect(await house.ask(path, { method }), `${method} ${path}`).toMatchObject({
        status: 403,
        code: 'ROUTE_REFUSED',
      });
    }
  });

  it('a version published a moment ago is found at once, whatever is recent', async () => {
    await house.tearDown();
    house = await House.build(world, { refreshSeconds: 3600 });
    expect(await house.ask('/npm/ms/-/ms-2.2.0.tgz')).toMatchObject({ status: 404, code: 'TARGET_UNKNOWN' });
    world.addTarget(IS_ODD.kind, `${IS_ODD.directory}/is-odd-4.0.0.tgz`, world.content(IS_ODD.path));
    world.publish();
    expect((await house.ask('/npm/is-odd/-/is-odd-4.0.0.tgz')).code).toBe('INDEX_MISMATCH'); // found, and read
  });

  it('HEAD, and ranges of verified files', async () => {
    const whole = world.content(MS.path);
    const head = await house.ask(tarball(MS), { method: 'HEAD' });
    expect([head.status, head.bytes.length, head.headers['content-length']]).toEqual([200, 0, String(whole.length)]);
    const ask = (range: string, more = {}): ReturnType<House['ask']> =>
      house.ask(tarball(MS), { headers: { range, ...more } });
    const part = await ask('bytes=10-19');
    expect([part.status, part.headers['content-range']]).toEqual([206, `bytes 10-19/${whole.length}`]);
    expect(part.bytes).toEqual(Buffer.from(whole.subarray(10, 20)));
    expect((await ask('bytes=10-')).bytes).toEqual(Buffer.from(whole.subarray(10)));
    expect((await ask('bytes=-10')).bytes).toEqual(Buffer.from(whole.subarray(-10)));
    expect((await ask(`bytes=${whole.length}-`)).status).toBe(416);
    expect((await ask('bytes=0-1,3-4')).bytes).toEqual(Buffer.from(whole));
    expect((await ask('bytes=0-1', { 'if-range': '"other"' })).status).toBe(200);
    const { etag = '' } = head.headers;
    expect((await ask('bytes=0-1', { 'if-range': etag })).status).toBe(206);
    expect((await house.ask(tarball(MS), { headers: { 'if-none-match': etag } })).status).toBe(304);
  });

  it('many at once ask the mirror for a file once', async () => {
    await house.gateway();
    world.takeRequests();
    const all = await Promise.all(Array.from({ length: 20 }, () => house.ask(tarball(DEBUG))));
    expect(all.every(({ status }) => status === 200)).toBe(true);
    expect(world.takeRequests().filter((url) => url.startsWith('targets/'))).toHaveLength(1);
  });
});

describe('plain files and targets', () => {
  it('serves any target by its path', async () => {
    expect((await house.ask(`/targets/${MS.path}`)).bytes).toEqual(Buffer.from(world.content(MS.path)));
  });

  it('serves files of a project of the files ecosystem', async () => {
    const directory = `files/${binOf('tools')}/tools`;
    world.addTarget('unclaimed', `${directory}/a b.txt`, 'some text', { files: {} });
    world.publish();
    expect((await house.ask('/files/tools/a%20b.txt')).bytes.toString()).toBe('some text');
    expect(await house.ask('/files/tools/b.txt')).toMatchObject({ status: 404, code: 'TARGET_UNKNOWN' });
    expect(await house.ask('/files/other/b.txt')).toMatchObject({ status: 403, code: 'NAME_UNLISTED' });
    expect(await house.ask('/files/UPPER/b.txt')).toMatchObject({ status: 403, code: 'NAME_INVALID' });
  });
});

describe('the error contract', () => {
  it('403, a reason phrase that fits a status line, no-store, and one body for every client', async () => {
    await house.ask(index(MS));
    world.timestamp.version = 1;
    world.serve('timestamp', world.seal('timestamp', { version: 1 }));
    world.publish();
    world.publish();
    await house.ask(index(MS));
    world.serve('timestamp', world.seal('timestamp', { version: 1 }));
    const heard = await house.ask(index(MS));
    expect([heard.status, heard.code]).toEqual([403, 'ROLLBACK']);
    expect(heard.reason).toBe('TUF ROLLBACK: The repository offers older metadata than was already seen');
    expect(heard.headers).toMatchObject({
      'cache-control': 'no-store',
      'npm-notice': 'Countersign ROLLBACK: The repository offers older metadata than was already seen',
    });
    const error = expect.stringMatching(
      /^ROLLBACK: The repository offers older metadata.*Checking timestamp: version \d was trusted before, now version 1 is offered\. Do not install/,
    );
    expect(heard.json).toMatchObject({
      error,
      errors: [{ code: 'DENIED', message: error, detail: expect.stringContaining('"role":"timestamp"') }],
      code: 'ROLLBACK',
      next: expect.any(String),
    });
  });

  it('an unexpected fault is 500 and logged, and the gateway goes on', async () => {
    const broken = await House.build(world, {
      clock: () => {
        if (world.now === 0) throw new TypeError('the clock fell off');
        return world.now;
      },
    });
    try {
      await broken.gateway();
      const then = world.now;
      world.now = 0;
      const heard = await broken.ask(index(MS));
      expect([heard.status, heard.code]).toEqual([500, undefined]);
      expect(broken.events).toContainEqual(expect.objectContaining({ event: 'fault', code: 'INTERNAL' }));
      world.now = then;
      expect((await broken.ask(index(MS))).status).toBe(200);
    } finally {
      await broken.tearDown();
    }
  });
});

describe('freshness', () => {
  it('a refused update closes the whole gateway until one is accepted', async () => {
    await house.ask(tarball(MS));
    const honest = world.capture();
    world.serve('timestamp', world.seal('timestamp', { version: 9, signers: [world.key('thief')] }));
    for (const path of [index(MS), tarball(MS), tarball(DEBUG), `/targets/${MS.path}`]) {
      expect(await house.ask(path)).toMatchObject({ status: 403, code: 'THRESHOLD_NOT_MET' });
    }
    // An outage does not take the refusal back.
    world.serve('timestamp', { fault: 'unreachable' });
    expect(await house.ask(tarball(MS))).toMatchObject({ status: 403, code: 'THRESHOLD_NOT_MET' });
    world.replay(honest);
    expect((await house.ask(tarball(MS))).status).toBe(200);
  });

  it('the service stopped: verified content keeps installing while the timestamp lasts, then 502', async () => {
    await house.ask(tarball(MS));
    const honest = world.capture();
    for (const url of world.files.keys()) world.files.set(url, { fault: 'unreachable' });
    expect((await house.ask(index(MS))).status).toBe(200);
    expect((await house.ask(tarball(MS))).bytes).toEqual(Buffer.from(world.content(MS.path)));
    expect(await house.ask(tarball(IS_ODD))).toMatchObject({ status: 502, code: 'UNREACHABLE' }); // not in the store
    expect(await house.ask('/npm/left-pad')).toMatchObject({ status: 502, code: 'UNREACHABLE' }); // cannot be told
    world.pass(86_400_000);
    expect(await house.ask(tarball(MS))).toMatchObject({ status: 502, code: 'UNREACHABLE' });
    world.now -= 86_400_000;
    world.replay(honest);
    expect((await house.ask(tarball(IS_ODD))).status).toBe(200);
  });

  it('the service stopped, and the gateway started again: what was kept is enough', async () => {
    await house.ask(tarball(MS));
    await house.stop();
    for (const url of world.files.keys()) world.files.set(url, { fault: 'unreachable' });
    expect((await house.ask(tarball(MS))).bytes).toEqual(Buffer.from(world.content(MS.path)));
    expect(await house.ask('/-/health')).toMatchObject({ json: { status: 'ok', collection: 'outage' } });
  });

  it('freeze: an expired timestamp that is served is refused', async () => {
    await house.ask(tarball(MS));
    world.pass(86_400_000);
    expect(await house.ask(tarball(MS))).toMatchObject({ status: 403, code: 'EXPIRED' });
  });

  it('what is recent is not asked for again, unless the answer would be no', async () => {
    await house.tearDown();
    house = await House.build(world, { refreshSeconds: 5 });
    await house.ask(index(MS));
    world.takeRequests();
    await house.ask(index(MS));
    world.pass(4_999);
    await house.ask(index(MS));
    expect(world.takeRequests()).toEqual([]);
    world.pass(1);
    await house.ask(index(MS));
    expect(world.takeRequests()).toContain('metadata/timestamp.json');
    await house.ask('/npm/left-pad');
    expect(world.takeRequests().filter((url) => url === 'metadata/timestamp.json')).toHaveLength(1);
  });
});

describe('names', () => {
  it('unlisted names are refused, and nothing is remembered of them', async () => {
    expect(await house.ask('/npm/left-pad')).toMatchObject({ status: 403, code: 'NAME_UNLISTED' });
    expect(await house.ask('/npm/left-pad/-/left-pad-1.0.0.tgz')).toMatchObject({ code: 'NAME_UNLISTED' });
    expect(await readFile(join(house.folder, 'known-owners.log'), 'utf8')).toBe('');
  });

  it('a name once seen and now hidden by the repository is refused as hidden, after a restart too', async () => {
    await house.ask(index(DEBUG));
    world.role('recent').delegations.length = 0;
    world.publish();
    expect(await house.ask(index(DEBUG))).toMatchObject({ status: 403, code: 'NAME_HIDDEN' });
    await house.stop();
    expect(await house.ask(tarball(DEBUG))).toMatchObject({ status: 403, code: 'NAME_HIDDEN' });
    expect(await house.ask(`/targets/${DEBUG.path}`)).toMatchObject({ code: 'NAME_HIDDEN' });
  });

  it('a line that a crash has cut is dropped, the rest is kept', async () => {
    await house.ask(index(DEBUG));
    await house.stop();
    const file = join(house.folder, 'known-owners.log');
    const kept = await readFile(file, 'utf8');
    const names = (text: string): unknown[] =>
      text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line).directory]));
    expect(names(kept)).toEqual([DEBUG.directory]);
    await writeFile(file, `${kept}{"directory":"npm/00`);
    await house.ask(index(MS));
    expect(names(await readFile(file, 'utf8'))).toEqual([DEBUG.directory, MS.directory]);
  });
});

describe('loopback', () => {
  it.each(['evil.example', 'evil.example:7411', '127.0.0.1.evil.example', 'localhost.evil', '128.0.0.1', '[::2]'])(
    'DNS rebinding: the host %j is refused',
    async (host) => {
      expect(await house.ask(index(MS), { headers: { host } })).toMatchObject({ status: 403, code: 'ROUTE_REFUSED' });
    },
  );

  it.each(['localhost', 'LOCALHOST:1', '127.0.0.1:7411', '127.1.2.3', '[::1]:7411'])(
    'the host %j is this machine, and no page may read its answers',
    async (host) => {
      const heard = await house.ask('/npm/-/ping', { headers: { host, origin: 'http://evil.example' } });
      expect(heard.status).toBe(200);
      expect(Object.keys(heard.headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
    },
  );
});

describe('why and health', () => {
  it('shows the roles that vouch for a file', async () => {
    const { json } = await house.ask(`/-/why/${MS.path}`);
    expect(json).toMatchObject({
      verdict: 'trusted',
      assurance: 'author-signed claimed',
      trail: ['targets', 'claimed', MS.owner, MS.release],
      roles: expect.arrayContaining([expect.objectContaining({ role: MS.owner, version: 1, threshold: 2 })]),
    });
  });

  it('shows a refusal with its code', async () => {
    await house.ask(index(MS));
    world.serve('timestamp', { fault: 'status', status: 404 });
    const { json } = await house.ask(`/-/why/${MS.path}`);
    expect(json).toMatchObject({ verdict: 'refused', code: 'METADATA_MISSING', path: MS.path });
    expect((await house.ask('/-/health')).json).toMatchObject({ status: 'blocked', code: 'METADATA_MISSING' });
    world.heal();
    expect((await house.ask('/-/why/npm/0000/nothing/nothing.tgz')).json).toMatchObject({ code: 'NAME_UNLISTED' });
  });
});

function binOf(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 4);
}
