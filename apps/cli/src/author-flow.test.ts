import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { days } from '@countersign/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CliWorld, hashesOf, npmTarball, startCliWorld } from '../test/cli-world.ts';

let world: CliWorld;
beforeAll(async () => {
  world = await startCliWorld();
});
afterAll(async () => {
  await world.close();
});

describe('claim', () => {
  it('makes a key where there is none, claims the name, and says what is now true', async () => {
    const { exit, out, err } = await world.as('ada', 'claim', 'npm/left');
    expect(err).toContain('Made your key');
    expect(out).toContain('Claimed npm/left');
    expect(out).toContain('role   npm.1.left');
    expect(out).toContain('countersign publish');
    expect(exit).toBe(0);
    const key = await stat(join(world.folder, 'ada', 'author', 'key.pem'));
    expect(key.mode & 0o777).toBe(0o600);
  });

  it('of what is one’s own already changes nothing', async () => {
    const before = await world.timestamp();
    const { exit, out } = await world.as('ada', 'claim', 'npm/left');
    expect([exit, await world.timestamp()]).toEqual([0, before]);
    expect(out).toContain('npm/left is yours already');
  });

  it('of another’s name is refused by what the author’s own client verified', async () => {
    const before = await world.timestamp();
    const { exit, err } = await world.as('eve', 'claim', 'npm/left');
    expect(exit).toBe(8);
    expect(err).toContain('NAME_TAKEN');
    expect(await world.timestamp()).toBe(before);
  });

  it('of several names is one publication', async () => {
    const { claimed } = await world.json('ben', 'claim', 'npm/@ben/one', 'npm/@ben/two', 'files/handbook');
    expect(claimed).toEqual([
      { project: 'npm/@ben/one', role: 'npm.1..40ben.2fone', state: 'recent', new: true },
      { project: 'npm/@ben/two', role: 'npm.1..40ben.2ftwo', state: 'recent', new: true },
      { project: 'files/handbook', role: 'files.1.handbook', state: 'recent', new: true },
    ]);
  });

  it.each(['left', 'npm/../left', 'npm/', 'rubygems/rails'])('refuses %s as a name', async (name) => {
    const { exit, err } = await world.as('ada', 'claim', name);
    expect([exit, err.includes('NAME_INVALID')]).toEqual([8, true]);
  });
});

describe('publish', () => {
  it('shows what is signed, publishes, and has seen it through its own client', async () => {
    const bytes = npmTarball({ name: 'left', version: '1.0.0' });
    const { exit, out, err } = await world.as('ada', 'publish', await world.file('left-1.0.0.tgz', bytes));
    expect(err).toContain('npm.1.left: version 1 → 2');
    expect(err).toMatch(/\+ {2}left-1\.0\.0\.tgz {2}\d+ B {2}sha256 /);
    expect(err).toMatch(/\+ {2}npm dist-tags latest {2}1\.0\.0/);
    expect(out).toContain('Published npm/left 1.0.0.');
    expect(out).toContain('npm install left --registry http://127.0.0.1:7411/npm/');
    expect(exit).toBe(0);
  });

  it('again changes nothing', async () => {
    const before = await world.timestamp();
    const { publication, files } = await world.json('ada', 'publish', join(world.folder, 'left-1.0.0.tgz'));
    expect([publication, await world.timestamp()]).toEqual([null, before]);
    expect(files).toMatchObject([{ project: 'npm/left', version: '1.0.0', published: false }]);
  });

  it('of other content under a published version is refused before anything is sent', async () => {
    const before = await world.timestamp();
    const other = npmTarball({ name: 'left', version: '1.0.0' }, 'export const other = 1;\n');
    const { exit, err } = await world.as('ada', 'publish', await world.file('other.tgz', other));
    expect([exit, err.includes('SUBMISSION_WITHDRAWS')]).toEqual([8, true]);
    expect(await world.timestamp()).toBe(before);
  });

  it('moves `latest` forwards only, and a named tag wherever it is told', async () => {
    const next = npmTarball({ name: 'left', version: '2.0.0-beta.1' });
    await world.json('ada', 'publish', await world.file('left-2.tgz', next), '--tag', 'next');
    const patch = npmTarball({ name: 'left', version: '1.0.1' });
    const { err } = await world.as('ada', 'publish', await world.file('left-1.0.1.tgz', patch));
    expect(err).toMatch(/~ {2}npm dist-tags latest {2}1\.0\.0 → 1\.0\.1/);
    const { tags, files } = await world.json('ada', 'ls', 'npm/left');
    expect(tags).toEqual({ latest: '1.0.1', next: '2.0.0-beta.1' });
    expect(files).toMatchObject([{ version: '2.0.0-beta.1' }, { version: '1.0.1' }, { version: '1.0.0' }]);
  });

  it('--dry-run signs and sends nothing', async () => {
    const before = await world.timestamp();
    const path = await world.file('left-3.tgz', npmTarball({ name: 'left', version: '3.0.0' }));
    const { exit, out, err } = await world.as('ada', 'publish', path, '--dry-run');
    expect([exit, await world.timestamp()]).toEqual([0, before]);
    expect(err).toContain('Would sign');
    expect(out).toContain('Not published');
  });

  it('several packages in one go are one publication', async () => {
    const one = await world.file(
      'one.tgz',
      npmTarball({ name: '@ben/one', version: '0.1.0', dependencies: { left: '^1.0.0' } }),
    );
    const two = await world.file('two.tgz', npmTarball({ name: '@ben/two', version: '0.1.0' }));
    const { publication, files } = await world.json('ben', 'publish', one, two);
    expect(publication).toBeGreaterThan(1);
    expect(files).toMatchObject([{ published: true }, { published: true }]);
  });

  it('with another key than the owner’s is refused before anything is sent', async () => {
    await world.as('eve', 'claim', 'npm/evil');
    const before = await world.timestamp();
    const { exit, err } = await world.as('eve', 'publish', join(world.folder, 'left-3.tgz'));
    expect([exit, err.includes('SUBMISSION_UNSIGNED')]).toEqual([8, true]);
    expect(await world.timestamp()).toBe(before);
  });

  it('of an unclaimed name says to claim it', async () => {
    const path = await world.file('free.tgz', npmTarball({ name: 'free', version: '1.0.0' }));
    const { exit, err } = await world.as('ada', 'publish', path);
    expect([exit, err.includes('NAME_UNCLAIMED')]).toEqual([4, true]);
    expect(err).toContain('countersign claim');
  });

  it.each([
    ['nothing.tgz', 'there is no such file'],
    ['.', 'it holds no package.json'],
    ['root.json', 'say what it belongs to'],
  ])('of %s says what is wrong', async (path, problem) => {
    const { exit, err } = await world.as('ada', 'publish', path);
    expect([exit, err.includes('USAGE_INVALID')]).toEqual([2, true]);
    expect(err).toContain(problem);
  });

  it('without a key says how to make one', async () => {
    const { exit, err } = await world.as('nobody', 'publish', join(world.folder, 'left-3.tgz'));
    expect([exit, err.includes('KEY_MISSING')]).toEqual([7, true]);
    expect(err).toContain('countersign key create');
  });

  it('plain files, which may be replaced', async () => {
    const path = await world.file('pages.txt', 'first edition');
    await world.json('ben', 'publish', path, '--project', 'files/handbook');
    await world.file('pages.txt', 'second edition');
    const { err } = await world.as('ben', 'publish', path, '--project', 'files/handbook');
    expect(err).toMatch(/~ {2}pages\.txt .* new content/);
    const to = join(world.folder, 'got.txt');
    await world.json('carl', 'fetch', 'files/handbook', '-o', to);
    expect(await readFile(to, 'utf8')).toBe('second edition');
  });
});

describe('fetch, ls and status', () => {
  it.each(['npm/left', 'npm/left@latest', 'npm/left@1.0.1', 'npm/left@left-1.0.1.tgz'])(
    '%s is the verified file',
    async (wanted) => {
      const to = join(world.folder, 'fetched.tgz');
      const { assurance, trail, sha256 } = await world.json('carl', 'fetch', wanted, '--output', to);
      const bytes = await readFile(to);
      expect(sha256).toBe(hashesOf(bytes).get('sha256'));
      expect(bytes.equals(npmTarball({ name: 'left', version: '1.0.1' }))).toBe(true);
      expect([assurance, Array.isArray(trail) && trail.at(-1)]).toEqual(['recent', 'npm.1.left']);
    },
  );

  it('a scoped name and a target path work too', async () => {
    const to = join(world.folder, 'scoped.tgz');
    const { path } = await world.json('carl', 'fetch', 'npm/@ben/one@0.1.0', '-o', to);
    await world.json('carl', 'fetch', String(path), '-o', to);
    expect(await stat(to)).toBeDefined();
  });

  it.each(['npm/left@9.9.9', 'npm/none', 'npm/0000/none/none-1.0.0.tgz'])(
    '%s is not there: exit 4, no file',
    async (wanted) => {
      const to = join(world.folder, 'absent.tgz');
      const { exit, err } = await world.as('carl', 'fetch', wanted, '-o', to);
      expect([exit, err.includes('TARGET_UNKNOWN')]).toEqual([4, true]);
      await expect(stat(to)).rejects.toThrow('ENOENT');
    },
  );

  it('ls lists names, each with its assurance', async () => {
    const { names } = await world.json('carl', 'ls');
    expect(names).toMatchObject([
      { project: 'files/handbook', assurance: 'recent' },
      { project: 'npm/@ben/one' },
      { project: 'npm/@ben/two' },
      { project: 'npm/evil' },
      { project: 'npm/left' },
    ]);
    const { out } = await world.as('carl', 'ls', 'npm/left');
    expect(out).toContain('left-1.0.1.tgz');
    expect(out).toMatch(/recent {2}latest/);
  });

  it('status shows service and verification apart', async () => {
    const { service, client, names } = await world.json('carl', 'status');
    expect(service).toMatchObject({ answers: true });
    expect(client).toMatchObject({ verifies: true, fresh: true });
    expect(names).toEqual({ claimed: 0, recent: 5 });
  });

  it('without a trusted root nothing is believed', async () => {
    const { exit, err } = await world.as('carl', 'ls', '--root', join(world.folder, 'no.root.json'));
    expect([exit, err.includes('ANCHOR_MISSING')]).toEqual([2, true]);
  });

  it('with another collection’s root nothing is believed', async () => {
    const foreign = await startCliWorld();
    try {
      const root = await world.file('foreign.root.json', foreign.anchor);
      const { exit } = await world.as('dora', 'ls', '--root', root);
      expect(exit).toBe(3);
      const claimed = await world.as('dora', 'claim', 'npm/dora', '--root', root);
      expect(claimed.exit).toBe(3);
      expect(claimed.err).not.toContain('Made your key');
    } finally {
      await foreign.close();
    }
  });

  it('an expired timestamp: everything stops with exit 3, status says why', async () => {
    world.move(days(2));
    const { exit, err } = await world.as('carl', 'fetch', 'npm/left', '-o', join(world.folder, 'late.tgz'));
    expect([exit, err.includes('EXPIRED')]).toEqual([3, true]);
    const status = await world.as('carl', 'status');
    expect([status.exit, status.out.includes('EXPIRED')]).toEqual([3, true]);
    world.move(-days(2));
  });
});

describe('promote', () => {
  it('moves names into the claimed shards with the offline key', async () => {
    const { promoted } = await world.json('operator', 'promote', 'npm/left');
    expect(promoted).toEqual(['npm/left']);
    const { assurance, files } = await world.json('carl', 'ls', 'npm/left');
    expect(assurance).toBe('claimed');
    expect(files).toMatchObject([{ assurance: 'claimed' }, { assurance: 'claimed' }, { assurance: 'claimed' }]);
  });

  it('--all takes the rest, and then there is nothing left', async () => {
    const { promoted } = await world.json('operator', 'promote', '--all');
    expect(promoted).toHaveLength(4);
    const again = await world.as('operator', 'promote', '--all');
    expect(again.out).toContain('Nothing to countersign');
    const { names } = await world.json('carl', 'status');
    expect(names).toEqual({ claimed: 5, recent: 0 });
  });

  it('a claimed project goes on publishing', async () => {
    const { publication } = await world.json('ada', 'publish', join(world.folder, 'left-3.tgz'));
    expect(publication).toBeGreaterThan(1);
    const { assurance } = await world.json('carl', 'fetch', 'npm/left@3.0.0', '-o', join(world.folder, 'three.tgz'));
    expect(assurance).toBe('claimed');
  });

  it('needs claimed names and the offline key, and shows first what it would sign', async () => {
    expect((await world.as('operator', 'promote', 'npm/nobodys')).exit).toBe(4);
    await world.json('ada', 'claim', 'npm/later');
    expect((await world.as('ada', 'promote')).err).toContain('KEY_MISSING');
    const { exit, out, err } = await world.as('operator', 'promote', '--dry-run');
    expect([exit, out.includes('Nothing was signed'), err.includes('npm/later')]).toEqual([0, true, true]);
    expect(await world.json('operator', 'exposure')).toMatchObject({ recent: ['npm/later'], rotating: [] });
  });
});

describe('token create', () => {
  it('gives a token that submits; its text is the only thing on stdout', async () => {
    const { exit, out } = await world.as('operator', 'token', 'create', 'fred');
    expect([exit, /^cst_[\w-]{43}\n$/.test(out)]).toEqual([0, true]);
    const answer = await fetch(`${world.api}/submissions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${out.trim()}`, 'content-type': 'application/json' },
      body: '{}',
    });
    expect(answer.status).toBe(400); // let in, and refused for what it sent
  });
});

describe('yank', () => {
  it('leaves the file where it is, says why, and can be taken back', async () => {
    const bytes = npmTarball({ name: 'yanked', version: '1.0.0' });
    await world.json('ada', 'claim', 'npm/yanked');
    await world.json('ada', 'publish', await world.file('yanked-1.0.0.tgz', bytes));
    const { exit, out, err } = await world.as('ada', 'yank', 'npm/yanked@1.0.0', '--reason', 'leaks memory');
    expect([exit, err.includes('npm yanked 1.0.0')]).toEqual([0, true]);
    expect(out).toContain('npm/yanked@1.0.0 is yanked');
    expect((await world.as('ada', 'ls', 'npm/yanked')).out).toContain('yanked: leaks memory');
    const again = await world.as('ada', 'yank', 'npm/yanked@1.0.0', '--reason', 'leaks memory');
    expect([again.exit, again.out.includes('Nothing to do')]).toEqual([0, true]);
    expect(await world.json('ada', 'yank', 'npm/yanked@1.0.0', '--undo')).toMatchObject({ yanked: [] });
    expect((await world.as('ada', 'ls', 'npm/yanked')).out).not.toContain('leaks memory');
  });

  it('is refused for what there is not, for another’s, and without a version', async () => {
    const before = await world.timestamp();
    expect((await world.as('ada', 'yank', 'npm/yanked@9.9.9')).exit).toBe(4);
    expect((await world.as('ben', 'yank', 'npm/yanked@1.0.0')).err).toContain('SUBMISSION_UNSIGNED');
    expect((await world.as('ada', 'yank', 'npm/yanked')).exit).toBe(2);
    expect(await world.timestamp()).toBe(before);
  });
});
