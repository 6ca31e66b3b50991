import {
  canonicalBytes,
  days,
  documentBytes,
  type JsonObject,
  objectOf,
  type Signer,
  shardName,
  signStatement,
} from '@countersign/core';
import { DECISION_TYPE } from '@countersign/decisions';
import { aliasOf, seededKey } from '@countersign/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  type Author,
  author,
  BEGIN,
  claimOf,
  contentOf,
  delegationsTo,
  newWorld,
  OFFLINE,
  ONLINE,
  presentOf,
  properKeyId,
  publish,
  refusalOf,
  roleText,
  sessionOf,
  submissionOf,
  targetOf,
  textOf,
  type World,
  watcher,
} from '../test/world.ts';
import { type Repository, signClaim, submissionText } from './index.ts';

let world: World;
let repository: Repository;
const ms = author('ms');
const debug = author('debug');

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

describe('claims', () => {
  /** A claim payload as a test wants it, signed by whom it wants, with the first version of the role. */
  async function claim(
    change: (payload: Record<string, unknown>) => void,
    by: Author = debug,
    signers = by.keys,
  ): Promise<string> {
    const payload: Record<string, unknown> = {
      _type: 'decision',
      collection: 'main',
      decision: 'claim',
      previous: '',
      ecosystem: by.project.ecosystem,
      name: by.project.name,
      epoch: 1,
      keys: Object.fromEntries(by.keys.map(({ keyId, key }) => [keyId, key.json])),
      keyids: by.keys.map(({ keyId }) => keyId),
      threshold: 1,
    };
    change(payload);
    const bytes = canonicalBytes(objectOf(payload as Parameters<typeof objectOf>[0]));
    const statement = textOf(await signStatement(DECISION_TYPE, bytes, signers));
    const file = await roleText(undefined, {}, by.keys);
    return submissionText({ roles: [{ role: by.role, file }], decisions: [statement] });
  }

  it('begin a project: recent, found by clients, and its owner known', async () => {
    await publish(repository, await claim(() => undefined));
    const [prefix] = debug.directory.slice(4);
    expect(repository.owner(debug.project)).toMatchObject({
      kind: 'recent',
      shard: shardName('recent', prefix ?? ''),
      version: 1,
    });
    expect(
      watcher(world)
        .list(debug.directory)
        .owners.map(({ role }) => role),
    ).toEqual([debug.role]);
  });

  it.each([
    [
      'for another collection',
      (payload: Record<string, unknown>) => void (payload['collection'] = 'other'),
      'SUBMISSION_INVALID',
    ],
    [
      'of a name that is not normalised',
      (payload: Record<string, unknown>) => void (payload['name'] = 'DEBUG'),
      'NAME_INVALID',
    ],
    [
      'of a name that the ecosystem refuses',
      (payload: Record<string, unknown>) => void (payload['name'] = '../debug'),
      'NAME_INVALID',
    ],
    ['of a name with a wildcard', (payload: Record<string, unknown>) => void (payload['name'] = '*'), 'NAME_INVALID'],
    [
      'in an unknown ecosystem',
      (payload: Record<string, unknown>) => void (payload['ecosystem'] = 'constructor'),
      'NAME_INVALID',
    ],
    ['of a later epoch', (payload: Record<string, unknown>) => void (payload['epoch'] = 2), 'DECISION_STALE'],
    ['of epoch 0', (payload: Record<string, unknown>) => void (payload['epoch'] = 0), 'SUBMISSION_INVALID'],
    [
      'of another type',
      (payload: Record<string, unknown>) => void (payload['_type'] = 'transfer'),
      'SUBMISSION_INVALID',
    ],
    [
      'without keys',
      (payload: Record<string, unknown>) => void Object.assign(payload, { keys: {}, keyids: [] }),
      'SUBMISSION_INVALID',
    ],
    ['with threshold 0', (payload: Record<string, unknown>) => void (payload['threshold'] = 0), 'SUBMISSION_INVALID'],
    [
      'with a threshold above its keys',
      (payload: Record<string, unknown>) => void (payload['threshold'] = 2),
      'SUBMISSION_INVALID',
    ],
    [
      'with a key id that has no key',
      (payload: Record<string, unknown>) => void (payload['keyids'] = ['x']),
      'SUBMISSION_INVALID',
    ],
    [
      'with a key that is not listed',
      (payload: Record<string, unknown>) => void (payload['keyids'] = []),
      'SUBMISSION_INVALID',
    ],
    ['with null for keys', (payload: Record<string, unknown>) => void (payload['keys'] = null), 'SUBMISSION_INVALID'],
  ])('are refused %s', async (_what, change, code) => {
    expect(await refusal(await claim(change))).toBe(code);
  });

  it('key-id squatting: refused when a key id is not the digest of its key', async () => {
    const thief = seededKey('thief');
    const victim = ms.keys[0]?.keyId ?? '';
    const by = { ...debug, keys: [aliasOf(thief, victim)] };
    expect(await refusal(await claim(() => undefined, by))).toBe('SUBMISSION_INVALID');
    // The victim still verifies: the shard's table of keys is as it was.
    await publish(repository, submissionOf([ms.role, await next()]));
  });

  it('one key under two ids does not make two', async () => {
    const [key] = debug.keys as [Signer];
    const json: JsonObject = new Map([...key.key.json, ['x-note', 'again']]);
    const twin = aliasOf(seededKey('author of debug'), properKeyId(json));
    const text = await claim(
      (payload) => {
        Object.assign(payload, {
          keys: { [key.keyId]: key.key.json, [twin.keyId]: json },
          keyids: [key.keyId, twin.keyId],
          threshold: 2,
        });
      },
      debug,
      [key, twin],
    );
    expect(await refusal(text)).toBe('SUBMISSION_INVALID');
  });

  it('are refused with a key that nobody can check with', async () => {
    const json = objectOf({ keytype: 'ed25519', scheme: 'ed25519', keyval: { public: 'ab' } });
    const keyId = properKeyId(json);
    expect(
      await refusal(await claim((payload) => Object.assign(payload, { keys: { [keyId]: json }, keyids: [keyId] }))),
    ).toBe('SUBMISSION_INVALID');
  });

  it('are refused unless the keys themselves sign, to their threshold', async () => {
    expect(await refusal(await claim(() => undefined, debug, ms.keys))).toBe('SUBMISSION_UNSIGNED');
    expect(await refusal(await claim(() => undefined, debug, []))).toBe('SUBMISSION_UNSIGNED');
    const team = author('team', { keys: [seededKey('one'), seededKey('two')] });
    const text = await claim((payload) => void (payload['threshold'] = 2), team, team.keys.slice(1));
    expect(await refusal(text)).toBe('SUBMISSION_UNSIGNED');
  });

  it('are refused when the statement was changed, or is of another type', async () => {
    const good = await signClaim('main', debug.project, debug.keys);
    const bytes = canonicalBytes(objectOf({}));
    const role = { role: debug.role, file: await roleText(undefined, {}, debug.keys) };
    const cases = [
      good.replace(DECISION_TYPE, 'application/vnd.in-toto+json'),
      good.replace(/"payload":"[^"]*"/, `"payload":"${Buffer.from('{}').toString('base64')}"`),
      good.replace(/"payload":"[^"]*"/, '"payload":"!"'),
      textOf(await signStatement('text/plain', bytes, debug.keys)),
      textOf(documentBytes(objectOf({ payload: '', payloadType: DECISION_TYPE, signatures: [] }))),
    ];
    for (const claimText of cases) {
      expect(await refusal(submissionText({ roles: [role], decisions: [claimText] }))).toBe('SUBMISSION_INVALID');
    }
  });

  it('are refused when the name is taken, recent or claimed', async () => {
    const thief = author('ms', { keys: [seededKey('thief')] });
    expect(await refusal(await claimOf(thief))).toBe('NAME_TAKEN');
    expect(await refusal(await claimOf(ms, { expires: BEGIN + days(400) }))).toBe('NAME_TAKEN');
  });

  it('are refused twice in one submission', async () => {
    const statement = await signClaim('main', debug.project, debug.keys);
    const role = { role: debug.role, file: await roleText(undefined, {}, debug.keys) };
    expect(await refusal(submissionText({ roles: [role], decisions: [statement, statement] }))).toBe('NAME_TAKEN');
  });

  it('are refused without the first version of the owner role', async () => {
    const statement = await signClaim('main', debug.project, debug.keys);
    const role = { role: ms.role, file: await next() };
    expect(await refusal(submissionText({ roles: [role], decisions: [statement] }))).toBe('SUBMISSION_INVALID');
  });

  it('are refused when they are so large that their shard would suffer', async () => {
    const [key] = debug.keys as [Signer];
    const json: JsonObject = new Map([...key.key.json, ['x-note', 'x'.repeat(70_000)]]);
    const bloated = { ...debug, keys: [{ ...key, keyId: properKeyId(json), key: { ...key.key, json } }] };
    expect(await refusal(await claim(() => undefined, bloated))).toBe('SUBMISSION_TOO_LARGE');
  });

  it('are refused for a name whose role would not fit into a file name', async () => {
    const long = author(`a${'.'.repeat(70)}`);
    expect(await refusal(await claim(() => undefined, long))).toBe('NAME_INVALID');
  });
});

describe('claimed shards', () => {
  const prefix = ms.directory.charAt(4);
  const shard = shardName('claimed', prefix);

  /** The shard that the next session would bring, or the present one, changed and signed. */
  async function shardText(
    change: (delegations: ReturnType<typeof delegationsTo>) => ReturnType<typeof delegationsTo> = (same) => same,
    by: readonly Signer[] = OFFLINE,
  ): Promise<string> {
    const { roles } = await sessionOf(world).catch(() => ({ roles: [] }));
    const drafted = roles.find(({ role }) => role === shard);
    const content = drafted === undefined ? presentOf(world, shard) : contentOf(drafted.file);
    const before = content && (drafted === undefined ? content : { ...content, version: content.version - 1 });
    const merged = content?.delegations ?? delegationsTo([]);
    return await roleText(before, { expires: BEGIN + days(365), delegations: change(merged) }, by);
  }

  /** A session that was signed as it should be, with another file for its shard. */
  async function sessionWith(file: string, role = shard): Promise<string> {
    const session = await sessionOf(world).catch(() => ({}));
    return submissionText({ ...session, roles: [{ role, file }] });
  }

  it('take over recent names as they stand, signed offline', async () => {
    await publish(repository, submissionText(await sessionOf(world)));
    expect(repository.owner(ms.project)).toMatchObject({ kind: 'claimed', shard });
    expect(presentOf(world, shardName('recent', prefix))?.delegations?.roles).toEqual([]);
    expect(watcher(world).list(ms.directory).owners[0]?.trail).toEqual(['targets', shard, ms.role]);
    expect(await refusal(await claimOf(author('ms', { keys: [seededKey('thief')] })))).toBe('NAME_TAKEN');
    await publish(repository, submissionOf([ms.role, await next()]));
  });

  it('are refused when signed by online keys, or by too few offline ones', async () => {
    for (const signers of [Object.values(ONLINE), OFFLINE.slice(1), ms.keys, []]) {
      expect(await refusal(await sessionWith(await shardText(undefined, signers)))).toBe('SUBMISSION_UNSIGNED');
    }
  });

  it('are refused when a claim is dropped', async () => {
    await publish(repository, submissionText(await sessionOf(world)));
    const dropped = await shardText((all) => ({ ...all, roles: [] }));
    expect(await refusal(await sessionWith(dropped))).toBe('SUBMISSION_FOREIGN');
  });

  const thief = seededKey('thief');
  it.each([
    [
      'other keys',
      (all: ReturnType<typeof delegationsTo>) => ({
        ...all,
        keys: new Map([...all.keys, [thief.keyId, thief.key]]),
        roles: all.roles.map((role) => ({ ...role, keyIds: [thief.keyId] })),
      }),
    ],
    [
      'another key under the same id',
      (all: ReturnType<typeof delegationsTo>) => ({
        ...all,
        keys: new Map([...all.keys].map(([id]) => [id, thief.key])),
      }),
    ],
    [
      'one more key',
      (all: ReturnType<typeof delegationsTo>) => ({
        ...all,
        keys: new Map([...all.keys, [thief.keyId, thief.key]]),
        roles: all.roles.map((role) => ({ ...role, keyIds: [...role.keyIds, thief.keyId] })),
      }),
    ],
    [
      'another threshold',
      (all: ReturnType<typeof delegationsTo>) => ({
        ...all,
        roles: all.roles.map((role) => ({ ...role, threshold: 2 })),
      }),
    ],
    [
      'not terminating',
      (all: ReturnType<typeof delegationsTo>) => ({
        ...all,
        roles: all.roles.map((role) => ({ ...role, terminating: false })),
      }),
    ],
    [
      'other paths',
      (all: ReturnType<typeof delegationsTo>) => ({
        ...all,
        roles: all.roles.map((role) => ({ ...role, paths: { by: 'pattern' as const, patterns: ['*/*/*/*'] } })),
      }),
    ],
    [
      'a name that nobody claimed',
      (all: ReturnType<typeof delegationsTo>) => ({
        ...all,
        roles: all.roles.map((role) => ({ ...role, name: debug.role })),
      }),
    ],
    [
      'a new epoch',
      (all: ReturnType<typeof delegationsTo>) => ({
        ...all,
        roles: all.roles.map((role) => ({ ...role, name: 'pkg.2.ms' })),
      }),
    ],
    [
      'a role that is no owner',
      (all: ReturnType<typeof delegationsTo>) => ({
        ...all,
        roles: all.roles.map((role) => ({ ...role, name: 'constructor' })),
      }),
    ],
    [
      'succinct bins',
      (all: ReturnType<typeof delegationsTo>) => ({
        keys: all.keys,
        roles: [],
        succinct: { keyIds: [...all.keys.keys()], threshold: 1, bitLength: 4, namePrefix: 'x' },
      }),
    ],
  ])('are refused with %s', async (_what, change) => {
    expect(await refusal(await sessionWith(await shardText(change as never)))).toBe('SUBMISSION_FOREIGN');
  });

  it('are refused without a statement of the quorum, and a session without all that it changes', async () => {
    expect(await refusal(submissionOf([shard, await shardText()]))).toBe('SUBMISSION_FOREIGN');
    const { decisions = [] } = await sessionOf(world);
    expect(await refusal(submissionText({ decisions }))).toBe('SUBMISSION_INVALID');
    const unsigned = await sessionOf(world, { by: OFFLINE.slice(1) });
    expect(await refusal(submissionText({ ...unsigned, roles: [{ role: shard, file: await shardText() }] }))).toBe(
      'SUBMISSION_UNSIGNED',
    );
  });

  it('are signed again without a session when only their time is over', async () => {
    await publish(repository, submissionText(await sessionOf(world)));
    const version = presentOf(world, shard)?.version ?? 0;
    await publish(repository, submissionOf([shard, await shardText()]));
    expect(presentOf(world, shard)?.version).toBe(version + 1);
  });

  it('are refused when they list files', async () => {
    const file = await roleText(
      presentOf(world, shard),
      { set: [targetOf(ms, 'x', 'x')], expires: BEGIN + days(365) },
      OFFLINE,
    );
    expect(await refusal(submissionOf([shard, file]))).toBe('SUBMISSION_FOREIGN');
  });

  it('are refused with a name of another shard', async () => {
    const other = shardName('claimed', prefix === '0' ? '1' : '0');
    const delegations = contentOf(await shardText()).delegations;
    const file = await roleText(
      presentOf(world, other),
      { expires: BEGIN + days(365), ...(delegations && { delegations }) },
      OFFLINE,
    );
    expect(await refusal(submissionOf([other, file]))).toBe('SUBMISSION_FOREIGN');
  });

  it('are refused at another version than the next', async () => {
    const file = await roleText(presentOf(world, shard), { version: 3, expires: BEGIN + days(365) }, OFFLINE);
    expect(await refusal(submissionOf([shard, file]))).toBe('SUBMISSION_STALE');
  });

  it('unclaimed and recent shards are not for outsiders, even with the right key', async () => {
    for (const kind of ['recent', 'unclaimed'] as const) {
      const role = shardName(kind, prefix);
      const file = await roleText(presentOf(world, role), {}, [ONLINE[kind], ...OFFLINE]);
      expect(await refusal(submissionOf([role, file]))).toBe('NAME_UNCLAIMED');
    }
  });
});
