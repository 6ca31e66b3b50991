import {
  days,
  type Instant,
  isTopLevelRole,
  objectOf,
  releaseRoleName,
  type Signer,
  signFile,
  utf8,
} from '@countersign/core';
import { aliasOf, seededKey } from '@countersign/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  type Author,
  author,
  BEGIN,
  claimOf,
  delegationsTo,
  newWorld,
  OFFLINE,
  ONLINE,
  presentOf,
  publish,
  refusalOf,
  roleText,
  submissionOf,
  TEN_YEARS,
  targetOf,
  textOf,
  upload,
  type World,
  watcher,
} from '../test/world.ts';
import { type Repository, signClaim, submissionText } from './index.ts';

let world: World;
let repository: Repository;
const ms = author('ms');
const debug = author('debug');
const CI = releaseRoleName(ms.role, 'ci');
const ciKey = seededKey('release key of ms');

beforeEach(async () => {
  world = await newWorld();
  repository = await world.open();
  await publish(repository, await claimOf(ms));
});

const refusal = (text: string): Promise<string | undefined> => refusalOf(world, repository, text);

/** The next version of an author's owner role. */
async function next(edit: Parameters<typeof roleText>[1] = {}, by: Author = ms): Promise<string> {
  return await roleText(presentOf(world, by.role), edit, by.keys);
}

describe('a submission that is not well formed', () => {
  it.each([
    ['nothing', ''],
    ['no JSON', 'hello'],
    ['an array', '[]'],
    ['no roles', '{"claims":[]}'],
    ['roles that are no list', '{"roles":{},"claims":[]}'],
    ['an empty list of roles', '{"roles":[],"claims":[]}'],
    ['a role that is no object', '{"roles":[null]}'],
    ['a role without file', '{"roles":[{"role":"pkg.1.ms"}]}'],
    ['a file that is no text', '{"roles":[{"role":"pkg.1.ms","file":{}}]}'],
    ['duplicate JSON keys', '{"roles":[],"roles":[{"role":"pkg.1.ms","file":"{}"}]}'],
    ['a claim that is no text', '{"roles":[{"role":"pkg.1.ms","file":"{}"}],"claims":[{}]}'],
    ['a claim that is no JSON', '{"roles":[{"role":"pkg.1.ms","file":"{}"}],"claims":["x"]}'],
    ['a file that is no JSON', submissionOf([ms.role, 'x'])],
    ['a file that is null', submissionOf([ms.role, 'null'])],
    ['a file with duplicate keys', submissionOf([ms.role, '{"signatures":[],"signed":{"a":1,"a":1}}'])],
    [
      'a file with a lone surrogate',
      '{"roles":[{"role":"pkg.1.ms","file":"{\\"signatures\\":[],\\"signed\\":{\\"\\\\ud800\\":1}}"}]}',
    ],
    ['a file nested without end', submissionOf([ms.role, `{"signed":${'['.repeat(100_000)}`])],
  ])('is refused: %s', async (_what, text) => {
    expect(await refusal(text)).toBe('SUBMISSION_INVALID');
  });

  it('is refused when it holds a role twice', async () => {
    const file = await next();
    expect(await refusal(submissionOf([ms.role, file], [ms.role, file]))).toBe('SUBMISSION_INVALID');
  });

  it('is refused when the file is of another role type', async () => {
    const signed = objectOf({
      _type: 'snapshot',
      spec_version: '1.0.34',
      version: 2,
      expires: '2039-01-01T00:00:00Z',
      meta: { 'targets.json': { version: 1 } },
    });
    expect(await refusal(submissionOf([ms.role, textOf(await signFile(signed, ms.keys))]))).toBe('SUBMISSION_INVALID');
  });

  it('is refused when a signature is listed twice under one key id', async () => {
    const file = (await next()).replace(/"signatures":\[(.*?)\]/, '"signatures":[$1,$1]');
    expect(await refusal(submissionOf([ms.role, file]))).toBe('SUBMISSION_INVALID');
  });
});

it('a submission of more roles than can be judged in one go is refused', async () => {
  const roles = Array.from({ length: 1001 }, (_, i) => [`pkg.1.p${i}`, '{}'] as const);
  expect(await refusal(submissionOf(...roles))).toBe('SUBMISSION_TOO_LARGE');
});

describe('whose signature counts', () => {
  it('refuses the wrong key', async () => {
    const file = await roleText(presentOf(world, ms.role), {}, debug.keys);
    expect(await refusal(submissionOf([ms.role, file]))).toBe('SUBMISSION_UNSIGNED');
  });

  it('refuses a wrong key that calls itself by the right id', async () => {
    const file = await roleText(presentOf(world, ms.role), {}, [aliasOf(seededKey('thief'), ms.keys[0]?.keyId ?? '')]);
    expect(await refusal(submissionOf([ms.role, file]))).toBe('SUBMISSION_UNSIGNED');
  });

  it('refuses no signature at all', async () => {
    expect(await refusal(submissionOf([ms.role, await roleText(presentOf(world, ms.role), {}, [])]))).toBe(
      'SUBMISSION_UNSIGNED',
    );
  });

  it('refuses content that was changed after signing', async () => {
    const file = (await next()).replace('"targets":{}', '"targets": {},"x":1');
    expect(await refusal(submissionOf([ms.role, file]))).toBe('SUBMISSION_UNSIGNED');
  });

  it('refuses every online key of the repository for a project, and the offline ones', async () => {
    for (const key of [...Object.values(ONLINE), ...OFFLINE]) {
      const file = await roleText(presentOf(world, ms.role), {}, [key]);
      expect(await refusal(submissionOf([ms.role, file]))).toBe('SUBMISSION_UNSIGNED');
    }
  });

  it('counts to the threshold of distinct keys', async () => {
    const keys = [seededKey('one'), seededKey('two'), seededKey('three')];
    const team = author('team', { keys });
    await publish(repository, await claimOf(team, {}, 2));
    const [one, two] = keys as [Signer, Signer];
    const present = presentOf(world, team.role);
    expect(await refusal(submissionOf([team.role, await roleText(present, {}, [one])]))).toBe('SUBMISSION_UNSIGNED');
    expect(await refusal(submissionOf([team.role, await roleText(present, {}, [one, ciKey])]))).toBe(
      'SUBMISSION_UNSIGNED',
    );
    await publish(repository, submissionOf([team.role, await roleText(present, {}, [one, two])]));
    expect(world.disk.roles.get(team.role)?.version).toBe(2);
  });
});

describe('which version is due', () => {
  it.each([1, 3, 1000])('§4.4/3 refuses version %i where 2 is due', async (version) => {
    expect(await refusal(submissionOf([ms.role, await next({ version, expires: BEGIN + TEN_YEARS - 1000 })]))).toBe(
      'SUBMISSION_STALE',
    );
  });

  it.each(['0', '-1', '2.0', '1e1', '9007199254740993', '"2"', 'null'])('refuses %s as a version', async (version) => {
    const file = (await next()).replace('"version":2', `"version":${version}`);
    expect(['SUBMISSION_INVALID', 'SUBMISSION_UNSIGNED']).toContain(await refusal(submissionOf([ms.role, file])));
  });

  it('refuses a first version other than 1', async () => {
    const file = await roleText(undefined, { version: 2 }, debug.keys);
    const claim = await signClaim('main', debug.project, debug.keys);
    expect(await refusal(submissionText({ roles: [{ role: debug.role, file }], decisions: [claim] }))).toBe(
      'SUBMISSION_STALE',
    );
  });

  it.each([0, -days(365), days(7) - 1000])('refuses a role that expires %i ms from now', async (life: Instant) => {
    expect(await refusal(submissionOf([ms.role, await next({ expires: BEGIN + life })]))).toBe('SUBMISSION_EXPIRED');
  });
});

describe('which files a role may list', () => {
  const list = async (path: string, content = 'x', by: Author = ms): Promise<string> => {
    const target = { ...targetOf(by, 'f', content), path };
    await upload(repository, content);
    return submissionOf([by.role, await next({ set: [target] }, by)]);
  };

  it.each([
    ['another project', `${debug.directory}/debug-1.tgz`],
    ['another ecosystem', `any${ms.directory.slice(3)}/x`],
    ['the folder above', `${ms.directory.slice(0, ms.directory.lastIndexOf('/'))}/x`],
    ['a folder below', `${ms.directory}/sub/x`],
    ['a folder that begins alike', `${ms.directory}x/x`],
    ['a wildcard that the pattern would match', `${ms.directory}/..`],
    ['nothing', ''],
    ['the folder itself', `${ms.directory}/`],
    ['an absolute path', `/${ms.directory}/x`],
    ['dots on the way', `${ms.directory}/../${ms.directory.split('/').at(-1)}/x`],
    ['a backslash', `${ms.directory}/a\\b`],
    ['a control character', `${ms.directory}/a\nb`],
    ['a prototype name', '__proto__'],
    ['another prototype name', 'constructor'],
  ])('refuses a foreign path: %s', async (_what, path) => {
    expect(await refusal(await list(path))).toBe('SUBMISSION_FOREIGN');
  });

  it('takes prototype names as file names of the project', async () => {
    for (const file of ['__proto__', 'constructor']) {
      const path = `${ms.directory}/${file}`;
      await publish(repository, await list(path, `content of ${file}`));
      const client = watcher(world);
      expect(client.fetch(path)).toBe(`content of ${file}`);
    }
  });

  it('refuses a file name that the ecosystem does not know', async () => {
    expect(await refusal(await list(`${ms.directory}/a b`))).toBe('ENTRY_INVALID');
  });

  it('refuses a file name that no file system could hold behind a digest', async () => {
    await publish(repository, await list(`${ms.directory}/${'f'.repeat(120)}`));
    expect(watcher(world).fetch(`${ms.directory}/${'f'.repeat(120)}`)).toBe('x');
    expect(await refusal(await list(`${ms.directory}/${'f'.repeat(121)}`))).toBe('ENTRY_INVALID');
    expect(await refusal(await list(`${ms.directory}/${'f'.repeat(250)}`))).toBe('ENTRY_INVALID');
  });

  it('refuses a blob that was not uploaded', async () => {
    const file = await next({ set: [targetOf(ms, 'ms-1.tgz', 'never sent')] });
    expect(await refusal(submissionOf([ms.role, file]))).toBe('BLOB_MISSING');
  });

  it.each([
    ['length', (target: ReturnType<typeof targetOf>) => ({ ...target, length: target.length + 1 })],
    [
      'sha512',
      (target: ReturnType<typeof targetOf>) => ({
        ...target,
        hashes: new Map([...target.hashes, ['sha512', 'ab'.repeat(64)]]),
      }),
    ],
  ])('refuses a blob with another %s', async (_what, change) => {
    await upload(repository, 'content');
    const file = await next({ set: [change(targetOf(ms, 'ms-1.tgz', 'content'))] });
    expect(await refusal(submissionOf([ms.role, file]))).toBe('BLOB_MISMATCH');
  });

  it.each(['sha256', 'sha512'])('refuses a file without %s', async (name) => {
    await upload(repository, 'content');
    const target = targetOf(ms, 'ms-1.tgz', 'content');
    const hashes = new Map([...target.hashes].filter(([algorithm]) => algorithm !== name));
    expect(await refusal(submissionOf([ms.role, await next({ set: [{ ...target, hashes }] })]))).toBe(
      'SUBMISSION_INVALID',
    );
  });

  it('refuses a file with weak hashes only', async () => {
    const target = { ...targetOf(ms, 'ms-1.tgz', 'content'), hashes: new Map([['md5', 'ab'.repeat(16)]]) };
    expect(await refusal(submissionOf([ms.role, await next({ set: [target] })]))).toBe('SUBMISSION_INVALID');
  });

  it('refuses too large a role and too many files', async () => {
    repository = await world.open({ limits: { maxRoleBytes: 2000, maxTargets: 3 } });
    const members = new Map([['custom', 'x'.repeat(2000)]]);
    expect(await refusal(submissionOf([ms.role, await next({ members })]))).toBe('SUBMISSION_TOO_LARGE');
    await upload(repository, 'x');
    const set = ['a', 'b', 'c', 'd'].map((file) => targetOf(ms, file, 'x'));
    expect(await refusal(submissionOf([ms.role, await next({ set })]))).toBe('SUBMISSION_TOO_LARGE');
    await publish(repository, submissionOf([ms.role, await next({ set: set.slice(1) })]));
  });
});

describe('content that is published does not change', () => {
  const first = targetOf(ms, 'ms-1.tgz', 'first');
  const second = targetOf(ms, 'ms-1.tgz', 'second');

  beforeEach(async () => {
    await upload(repository, 'first', 'second');
    await publish(repository, submissionOf([ms.role, await next({ set: [first] })]));
  });

  it('refuses other content under a published name', async () => {
    expect(await refusal(submissionOf([ms.role, await next({ set: [second] })]))).toBe('SUBMISSION_WITHDRAWS');
    expect(watcher(world).fetch(first.path)).toBe('first');
  });

  it('lets a file be taken out and put back, but not with other content', async () => {
    await publish(repository, submissionOf([ms.role, await next({ remove: [first.path] })]));
    expect(watcher(world).find(first.path)).toBeUndefined();
    expect(await refusal(submissionOf([ms.role, await next({ set: [second] })]))).toBe('SUBMISSION_WITHDRAWS');
    await publish(repository, submissionOf([ms.role, await next({ set: [first] })]));
    expect(watcher(world).fetch(first.path)).toBe('first');
  });

  it('refuses a stolen release key that lists a published name with other content', async () => {
    const delegations = delegationsTo([{ name: CI, keys: [ciKey], patterns: [`${ms.directory}/*`] }]);
    await publish(
      repository,
      submissionOf(
        [ms.role, await next({ remove: [first.path], delegations })],
        [CI, await roleText(undefined, {}, [ciKey])],
      ),
    );
    const file = await roleText(presentOf(world, CI), { set: [second] }, [ciKey]);
    expect(await refusal(submissionOf([CI, file]))).toBe('SUBMISSION_WITHDRAWS');
  });

  it('refuses two contents for one name in one submission', async () => {
    const delegations = delegationsTo([{ name: CI, keys: [ciKey], patterns: [`${ms.directory}/*`] }]);
    await upload(repository, 'x', 'y');
    const text = submissionOf(
      [ms.role, await next({ delegations, set: [targetOf(ms, 'ms-2.tgz', 'x')] })],
      [CI, await roleText(undefined, { set: [targetOf(ms, 'ms-2.tgz', 'y')] }, [ciKey])],
    );
    expect(await refusal(text)).toBe('SUBMISSION_WITHDRAWS');
  });

  it('lets content change where the ecosystem has it so', async () => {
    const notes = author('notes', { ecosystem: 'any' });
    await publish(repository, await claimOf(notes, { set: [targetOf(notes, 'n', 'first')] }));
    const client = watcher(world);
    await publish(repository, submissionOf([notes.role, await next({ set: [targetOf(notes, 'n', 'second')] }, notes)]));
    client.refresh();
    expect(client.fetch(`${notes.directory}/n`)).toBe('second');
  });

  it('reads a file again when only its index entry changes', async () => {
    const read: string[] = [];
    repository = await world.open({ inspect: async ({ target }) => void read.push(target.path) });
    const custom = objectOf({ pkg: { dependencies: { 'evil-package': '1' } } });
    await publish(repository, submissionOf([ms.role, await next({ set: [{ ...first, custom }] })]));
    expect(read).toEqual([first.path]);
    await publish(
      repository,
      submissionOf([ms.role, await next({ members: new Map([['custom', objectOf({ a: 1 })]]) })]),
    );
    expect(read).toEqual([first.path]);
  });
});

describe('release roles', () => {
  const patterns = [`${ms.directory}/*`];
  const first = async (edit: Parameters<typeof roleText>[1] = {}, keys: readonly Signer[] = [ciKey]): Promise<string> =>
    await roleText(undefined, edit, keys);

  it('may list files of their project, once the owner delegates to them', async () => {
    await upload(repository, 'x');
    const delegations = delegationsTo([{ name: CI, keys: [ciKey], patterns }]);
    const release = await first({ set: [targetOf(ms, 'ms-1.tgz', 'x')] });
    expect(await refusal(submissionOf([CI, release]))).toBe('SUBMISSION_FOREIGN');
    // In either order: owners are judged first.
    await publish(repository, submissionOf([CI, release], [ms.role, await next({ delegations })]));
    expect(watcher(world).find(`${ms.directory}/ms-1.tgz`)?.trail.at(-1)).toBe(CI);
  });

  it.each([
    ['no release role of the project', releaseRoleName(debug.role, 'ci'), patterns],
    ['a name without label', `${ms.role}.r.`, patterns],
    ['a shard', 'claimed-0', patterns],
    ['itself', ms.role, patterns],
    ['a role of a role', `${CI}.r.x`, patterns],
    ['another project', CI, [`${debug.directory}/*`]],
    ['more than its project', CI, [`${ms.directory.slice(0, 8)}/*/*`]],
    ['a folder below', CI, [`${ms.directory}/*/*`]],
    ['everything', CI, ['*']],
    ['nothing', CI, []],
  ])('delegations beyond the project are refused: %s', async (_what, name, paths) => {
    const delegations = delegationsTo([{ name, keys: [ciKey], patterns: paths }]);
    expect(await refusal(submissionOf([ms.role, await next({ delegations })]))).toBe('SUBMISSION_FOREIGN');
  });

  it('refuses hash prefixes and succinct bins below a project', async () => {
    const [role] = delegationsTo([{ name: CI, keys: [ciKey], patterns }]).roles;
    const keys = new Map([[ciKey.keyId, ciKey.key]]);
    const byHash = {
      keys,
      roles: [
        {
          ...role,
          name: CI,
          keyIds: [ciKey.keyId],
          threshold: 1,
          terminating: false,
          paths: { by: 'hash-prefix' as const, prefixes: [''] },
        },
      ],
      succinct: undefined,
    };
    const succinct = {
      keys,
      roles: [],
      succinct: { keyIds: [ciKey.keyId], threshold: 1, bitLength: 4, namePrefix: CI },
    };
    for (const delegations of [byHash, succinct]) {
      expect(await refusal(submissionOf([ms.role, await next({ delegations })]))).toBe('SUBMISSION_FOREIGN');
    }
  });

  it('refuses a threshold that can never be met', async () => {
    const { keys, roles } = delegationsTo([{ name: CI, keys: [ciKey], patterns }]);
    const alias = aliasOf(ciKey, 'another id');
    const cases = [
      { keys, roles: roles.map((role) => ({ ...role, threshold: 2 })), succinct: undefined },
      { keys: new Map(), roles, succinct: undefined },
      {
        keys: new Map([...keys, [alias.keyId, alias.key]]),
        roles: roles.map((role) => ({ ...role, keyIds: [ciKey.keyId, alias.keyId], threshold: 2 })),
        succinct: undefined,
      },
    ];
    for (const delegations of cases) {
      const text = submissionOf([ms.role, await next({ delegations })], [CI, await first()]);
      expect(await refusal(text)).toBe('SUBMISSION_INVALID');
    }
  });

  it('refuses a delegation to a role that has no file: it would end every search', async () => {
    const delegations = delegationsTo([{ name: CI, keys: [ciKey], patterns }]);
    expect(await refusal(submissionOf([ms.role, await next({ delegations })]))).toBe('SUBMISSION_INVALID');
  });

  it('refuses more release roles than clients would visit', async () => {
    const names = Array.from({ length: 17 }, (_, i) => releaseRoleName(ms.role, `r${i}`));
    const text = async (count: number): Promise<string> => {
      const some = names.slice(0, count);
      const delegations = delegationsTo(some.map((name) => ({ name, keys: [ciKey], patterns })));
      const files = await Promise.all(some.map(async (name) => [name, await first()] as const));
      return submissionOf([ms.role, await next({ delegations })], ...files);
    };
    expect(await refusal(await text(17))).toBe('SUBMISSION_TOO_LARGE');
    await publish(repository, await text(16));
    expect(watcher(world).list(ms.directory).complete).toBe(true);
  });

  describe('when there is one', () => {
    const otherKey = seededKey('another release key');
    const delegateTo = (...keys: readonly Signer[]): ReturnType<typeof delegationsTo> =>
      delegationsTo([{ name: CI, keys, patterns: [`${ms.directory}/ms-*`] }]);

    beforeEach(async () => {
      const delegations = delegateTo(ciKey);
      await publish(repository, submissionOf([ms.role, await next({ delegations })], [CI, await first()]));
      await upload(repository, 'x');
    });

    it('refuses its key for the owner role, and the owner key for it', async () => {
      expect(await refusal(submissionOf([ms.role, await roleText(presentOf(world, ms.role), {}, [ciKey])]))).toBe(
        'SUBMISSION_UNSIGNED',
      );
      expect(await refusal(submissionOf([CI, await roleText(presentOf(world, CI), {}, ms.keys)]))).toBe(
        'SUBMISSION_UNSIGNED',
      );
    });

    it('refuses files that it was not delegated', async () => {
      const file = await roleText(presentOf(world, CI), { set: [targetOf(ms, 'other-1.tgz', 'x')] }, [ciKey]);
      expect(await refusal(submissionOf([CI, file]))).toBe('SUBMISSION_FOREIGN');
    });

    it('refuses delegations of its own', async () => {
      const delegations = delegationsTo([{ name: releaseRoleName(ms.role, 'x'), keys: [ciKey], patterns }]);
      expect(await refusal(submissionOf([CI, await roleText(presentOf(world, CI), { delegations }, [ciKey])]))).toBe(
        'SUBMISSION_FOREIGN',
      );
    });

    it("another project's release role with the same key is foreign", async () => {
      await publish(repository, await claimOf(debug));
      const file = await roleText(undefined, {}, [ciKey]);
      expect(await refusal(submissionOf([releaseRoleName(debug.role, 'ci'), file]))).toBe('SUBMISSION_FOREIGN');
    });

    it('a key is added without signing the release role again', async () => {
      const { keys, roles } = delegateTo(ciKey, otherKey);
      const delegations = { keys, roles: roles.map((role) => ({ ...role, threshold: 1 })), succinct: undefined };
      await publish(repository, submissionOf([ms.role, await next({ delegations })]));
      await publish(repository, submissionOf([CI, await roleText(presentOf(world, CI), {}, [otherKey])]));
    });

    it('keys are replaced only together with a file that the new ones signed', async () => {
      const owner = await next({ delegations: delegateTo(otherKey) });
      expect(await refusal(submissionOf([ms.role, owner]))).toBe('SUBMISSION_INVALID');
      const [byOld, byNew] = [[ciKey], [otherKey]].map((keys) => roleText(presentOf(world, CI), {}, keys));
      expect(await refusal(submissionOf([CI, (await byOld) ?? ''], [ms.role, owner]))).toBe('SUBMISSION_UNSIGNED');
      await publish(repository, submissionOf([CI, (await byNew) ?? ''], [ms.role, owner]));
      expect(await refusal(submissionOf([CI, await roleText(presentOf(world, CI), {}, [ciKey])]))).toBe(
        'SUBMISSION_UNSIGNED',
      );
    });

    it('a removed release key is without power, and the role can come back', async () => {
      await publish(repository, submissionOf([ms.role, await next({ delegations: delegationsTo([]) })]));
      expect(await refusal(submissionOf([CI, await roleText(presentOf(world, CI), {}, [ciKey])]))).toBe(
        'SUBMISSION_FOREIGN',
      );
      const owner = await next({ delegations: delegateTo(otherKey) });
      expect(await refusal(submissionOf([ms.role, owner]))).toBe('SUBMISSION_INVALID');
      const release = await roleText(presentOf(world, CI), {}, [otherKey]);
      await publish(repository, submissionOf([ms.role, owner], [CI, release]));
      expect(watcher(world).list(ms.directory).complete).toBe(true);
    });
  });
});

describe('roles that nobody may submit', () => {
  it.each([
    'root',
    'timestamp',
    'snapshot',
    'targets',
    'recent-0',
    'unclaimed-0',
    'recent',
    'claimed',
    'claimed-00',
    'claimed-g',
    'constructor',
    '__proto__',
    'toString',
    '10',
    '../x',
    '',
    '?',
    '#',
    'pkg.1.',
    'pkg.0.ms',
    'pkg.01.ms',
    'pkg.2.ms',
    'pkg.1.MS',
    'pkg.1.%6ds',
    'nope.1.ms',
    'pkg.1.nobody',
    'pkg.1.m.73',
  ])('%s', async (role) => {
    const present = isTopLevelRole(role) ? undefined : presentOf(world, role);
    for (const key of [...ms.keys, ...OFFLINE, ...Object.values(ONLINE)]) {
      const file = await roleText(present, {}, [key, ...OFFLINE.filter((other) => other !== key)]);
      const codes = new Map([
        ['pkg.2.ms', 'SUBMISSION_FOREIGN'],
        ['root', 'SUBMISSION_INVALID'], // a role of another type
        ['targets', 'SUBMISSION_STALE'],
      ]);
      expect(await refusal(submissionOf([role, file]))).toBe(codes.get(role) ?? 'NAME_UNCLAIMED');
    }
  });
});

it('takes what an author signed byte for byte, white space and unknown members included', async () => {
  const members = new Map([['x-own', objectOf({ ü: '\u{1f511}', n: [1, null, true] })]]);
  const file = ` ${await next({ members })}\n`;
  await publish(repository, submissionOf([ms.role, file]));
  expect(textOf(world.disk.site.get(`metadata/2.${ms.role}.json`) ?? utf8(''))).toBe(file);
  watcher(world).list(ms.directory);
});
