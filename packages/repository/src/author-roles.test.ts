import {
  type DelegatedRole,
  days,
  editTargets,
  type JsonObject,
  type JsonValue,
  type Signer,
  signFile,
  type TargetFile,
} from '@countersign/core';
import { seededKey } from '@countersign/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { factsOf } from '../test/memory-store.ts';
import {
  BEGIN,
  codeOf,
  newWorld,
  nodeCrypto,
  OFFLINE,
  ONLINE,
  presentOf,
  publish,
  refusalOf,
  roleText,
  submissionOf,
  textOf,
  upload,
  type World,
  watcher,
} from '../test/world.ts';
import { type AuthorRole, draftAuthorRole, keySetOf, type Repository, SigningEvents, submissionText } from './index.ts';

const ada = seededKey('ada');
const ben = seededKey('ben');
const expires = BEGIN + days(365);
const docs: AuthorRole = { name: 'docs', patterns: ['docs/*', 'docs/*/*'], keys: keySetOf([ada], 1) };

const listed = (path: string, content: string): TargetFile => {
  const { sha256, sha512, length } = factsOf(Buffer.from(content));
  const hashes = new Map([
    ['sha256', sha256],
    ['sha512', sha512],
  ]);
  return { path, length, hashes, custom: undefined };
};

let world: World;
let repository: Repository;
beforeEach(async () => {
  world = await newWorld(0, { bitLength: 4, form: 'classic' });
  repository = await world.open();
  await upload(repository, 'one', 'two');
  const files = ['docs/a', 'docs/deep/b', 'else/c'].map((path) => ({
    path,
    sha256: factsOf(Buffer.from('one')).sha256,
  }));
  await publish(repository, submissionText({ files }));
});

const refusal = (text: string): Promise<string | undefined> => refusalOf(world, repository, text);

function targetsDraft(change: Omit<Parameters<typeof draftAuthorRole>[1], 'expires'>): JsonObject {
  const present = presentOf(world, 'targets');
  if (present === undefined) throw new Error('no targets');
  return draftAuthorRole(present, { expires, ...change });
}

/** What delegates a role, signed by the quorum, with the author's first file. */
async function delegating(
  role: AuthorRole = docs,
  file?: string,
  draft: JsonObject = targetsDraft({ set: role }),
  quorum: readonly Signer[] = OFFLINE,
): Promise<string> {
  const own = file ?? (await roleText(presentOf(world, role.name), { set: [listed('docs/a', 'one')] }, [ada]));
  return submissionOf(['targets', textOf(await signFile(draft, quorum))], [role.name, own]);
}

describe('delegating paths of a plain collection to an author', () => {
  it('takes them out of the reach of the online key, in one step that no client notices', async () => {
    const steady = watcher(world);
    steady.refresh();
    expect(steady.find('docs/a')?.trail[1]).toBe('bins');
    await publish(repository, await delegating());
    for (const client of [steady, watcher(world)]) {
      client.refresh();
      expect(client.find('docs/a')?.trail).toEqual(['targets', 'docs']);
      expect(client.fetch('docs/a')).toBe('one');
      expect(client.find('else/c')?.trail[1]).toBe('bins');
      // The author did not list it: then it is not there any more.
      expect(client.find('docs/deep/b')).toBeUndefined();
    }
    const sha256 = factsOf(Buffer.from('two')).sha256;
    expect(await refusal(submissionText({ files: [{ path: 'docs/a', sha256 }] }))).toBe('SUBMISSION_FOREIGN');
    const next = await roleText(presentOf(world, 'docs'), { set: [listed('docs/new', 'two')] }, [ada]);
    await publish(repository, submissionOf(['docs', next]));
    repository = await world.open();
    expect(watcher(world).fetch('docs/new')).toBe('two');
  });

  it('goes on for another process', async () => {
    await publish(repository, await delegating());
    repository = await world.open();
    await publish(repository, submissionText({ remove: ['else/c'] }));
    expect(watcher(world).find('docs/a')?.trail).toEqual(['targets', 'docs']);
  });

  it('other keys count at once; the former ones do not', async () => {
    await publish(repository, await delegating());
    const two = { ...docs, keys: keySetOf([ada, ben], 2) };
    const alone = await roleText(presentOf(world, 'docs'), {}, [ada]);
    expect(await refusal(await delegating(two, alone))).toBe('SUBMISSION_UNSIGNED');
    expect(await refusal(submissionOf(['targets', textOf(await signFile(targetsDraft({ set: two }), OFFLINE))]))).toBe(
      'SUBMISSION_UNSIGNED',
    );
    await publish(repository, await delegating(two, await roleText(presentOf(world, 'docs'), {}, [ada, ben])));
    expect(watcher(world).fetch('docs/a')).toBe('one');
    expect(await refusal(submissionOf(['docs', await roleText(presentOf(world, 'docs'), {}, [ada])]))).toBe(
      'SUBMISSION_UNSIGNED',
    );
  });

  it('other paths need no new file', async () => {
    await publish(repository, await delegating());
    const narrower = targetsDraft({ set: { ...docs, patterns: ['docs/*'] } });
    await publish(repository, submissionOf(['targets', textOf(await signFile(narrower, OFFLINE))]));
    expect(watcher(world).find('docs/a')?.trail).toEqual(['targets', 'docs']);
    const sha256 = factsOf(Buffer.from('two')).sha256;
    await publish(repository, submissionText({ files: [{ path: 'docs/deep/b', sha256 }] }));
    expect(watcher(world).find('docs/deep/b')?.trail[1]).toBe('bins');
    const wider = targetsDraft({ set: docs });
    await publish(repository, submissionOf(['targets', textOf(await signFile(wider, OFFLINE))]));
    expect(watcher(world).find('docs/deep/b')).toBeUndefined();
  });

  it('ends, and nothing that the online key once listed comes back', async () => {
    await publish(repository, await delegating());
    const draft = targetsDraft({ remove: 'docs' });
    await publish(repository, submissionOf(['targets', textOf(await signFile(draft, OFFLINE))]));
    const client = watcher(world);
    expect([client.find('docs/a'), client.find('docs/deep/b')]).toEqual([undefined, undefined]);
    // The name goes on with its versions.
    await publish(repository, await delegating());
    expect(presentOf(world, 'docs')?.version).toBe(2);
    expect(watcher(world).fetch('docs/a')).toBe('one');
  });

  it('waits in a signing event for quorum and author', async () => {
    let ids = 0;
    const events = new SigningEvents({
      ledger: (await import('../test/memory-store.ts')).memoryStore(world.disk).ledger,
      crypto: nodeCrypto,
      clock: () => world.clock.now,
      newId: () => `event-${++ids}`,
      demands: (submission) => repository.demands(submission),
      statementType: 'x',
    });
    const unsigned = await roleText(undefined, { set: [listed('docs/a', 'one')] }, []);
    const targets = textOf(await signFile(targetsDraft({ set: docs }), OFFLINE.slice(0, 1)));
    const roles = [
      { role: 'targets', file: targets },
      { role: 'docs', file: unsigned },
    ];
    const event = await events.open({ roles, decisions: [] }, 'docs for ada', 'operator');
    const missing = event.parts.map(({ part, thresholds }) => [part, thresholds[0]?.missing]);
    expect(missing).toEqual([
      ['targets', [OFFLINE[1]?.keyId]],
      ['docs', [ada.keyId]],
    ]);
  });
});

describe('is refused', () => {
  it('unless the quorum signed it, and nothing else changes', async () => {
    const draft = targetsDraft({ set: docs });
    expect(await refusal(await delegating(docs, undefined, draft, OFFLINE.slice(1)))).toBe('SUBMISSION_UNSIGNED');
    expect(await refusal(await delegating(docs, undefined, draft, Object.values(ONLINE)))).toBe('SUBMISSION_UNSIGNED');
    const more = new Map<string, JsonValue>([...draft, ['custom', new Map()]]);
    expect(await refusal(await delegating(docs, undefined, more))).toBe('SUBMISSION_FOREIGN');
    const alone = JSON.parse(await delegating());
    const sha256 = factsOf(Buffer.from('one')).sha256;
    expect(await refusal(JSON.stringify({ ...alone, files: [{ path: 'x', sha256 }] }))).toBe('SUBMISSION_INVALID');
  });

  it('unless the author signed the file that comes with it, about delegated paths only', async () => {
    const file = (set: readonly TargetFile[], by: readonly Signer[] = [ada]): Promise<string> =>
      roleText(undefined, { set }, by);
    expect(await refusal(await delegating(docs, await file([], [ben])))).toBe('SUBMISSION_UNSIGNED');
    expect(await refusal(await delegating(docs, await file([listed('else/c', 'one')])))).toBe('SUBMISSION_FOREIGN');
    expect(await refusal(await delegating(docs, await file([listed('docs/a', 'missing')])))).toBe('BLOB_MISSING');
    const long = await file([listed(`docs/${'x'.repeat(121)}`, 'one')]);
    expect(await refusal(await delegating(docs, long))).toBe('ENTRY_INVALID');
    const soon = await roleText(undefined, { expires: BEGIN + days(1) }, [ada]);
    expect(await refusal(await delegating(docs, soon))).toBe('SUBMISSION_EXPIRED');
    const stale = await roleText(undefined, { version: 2 }, [ada]);
    expect(await refusal(await delegating(docs, stale))).toBe('SUBMISSION_STALE');
    const quorumOnly = submissionOf(['targets', textOf(await signFile(targetsDraft({ set: docs }), OFFLINE))]);
    expect(await refusal(quorumOnly)).toBe('SUBMISSION_UNSIGNED');
  });

  it.each([
    ['bins', 'one of ours'],
    ['bin', 'what bins begin with'],
    ['bin2-0a', 'a bin to come'],
    ['snapshot', 'a top-level role'],
    ['decisions', 'the list'],
    ['unclaimed', 'a shard'],
    ['../x', 'no name'],
    ['Docs', 'not lower-case'],
  ])('a role named %s: %s', async (name) => {
    await expect(async () => targetsDraft({ set: { ...docs, name } })).rejects.toMatchObject({ code: 'USAGE_INVALID' });
    const good = targetsDraft({ set: docs });
    const renamed = JSON.parse(JSON.stringify(plain(good)).replaceAll('"docs"', JSON.stringify(name)));
    const draft = jsonMap(renamed) as JsonObject;
    const own = await roleText(undefined, {}, [ada]);
    const text = submissionOf(['targets', textOf(await signFile(draft, OFFLINE))], [name, own]);
    expect(['SUBMISSION_INVALID', 'SUBMISSION_FOREIGN', 'SUBMISSION_UNSIGNED']).toContain(await refusal(text));
  });

  it.each([[[]], [['/docs/*']], [['docs//*']], [['../*']], [['docs/\n']]])('patterns such as %j', (patterns) => {
    expect(() => targetsDraft({ set: { ...docs, patterns } })).toThrow(/pattern/);
  });

  it('a role that does not end searches, or whose threshold cannot be met', async () => {
    const open = withRole({ terminating: false });
    expect(await refusal(await delegating(docs, undefined, open))).toBe('SUBMISSION_INVALID');
    const never = withRole({ threshold: 2 });
    expect(await refusal(await delegating(docs, undefined, never))).toBe('SUBMISSION_INVALID');
  });

  it('in a collection of names', async () => {
    const names = await newWorld();
    const present = presentOf(names, 'targets');
    expect(() => present && draftAuthorRole(present, { expires, set: docs })).toThrow(/no plain collection/);
    expect(() => targetsDraft({ remove: 'nobody' })).toThrow(/no author/);
  });
});

it('an author lists nothing that another role stands for first', async () => {
  await publish(repository, await delegating());
  const all: AuthorRole = { name: 'all', patterns: ['docs/*', 'all/*'], keys: keySetOf([ben], 1) };
  const own = await roleText(undefined, { set: [listed('all/a', 'one')] }, [ben]);
  await publish(repository, await delegating(all, own));
  const stolen = await roleText(presentOf(world, 'all'), { set: [listed('docs/a', 'two')] }, [ben]);
  expect(await codeOf(repository.submit(submissionOf(['all', stolen])))).toBe('SUBMISSION_FOREIGN');
  expect(watcher(world).fetch('docs/a')).toBe('one');
});

function withRole(change: Partial<DelegatedRole>): JsonObject {
  const present = presentOf(world, 'targets');
  if (present?.delegations === undefined) throw new Error('no targets');
  const { keys, roles } = present.delegations;
  const role: DelegatedRole = {
    name: 'docs',
    keyIds: [ada.keyId],
    threshold: 1,
    terminating: true,
    paths: { by: 'pattern', patterns: docs.patterns },
    ...change,
  };
  const delegations = { keys: new Map([[ada.keyId, ada.key], ...keys]), roles: [role, ...roles], succinct: undefined };
  return editTargets(present, { expires, delegations });
}

function plain(value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries([...value].map(([name, inner]) => [name, plain(inner)]));
  return Array.isArray(value) ? value.map(plain) : value;
}

function jsonMap(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(jsonMap);
  if (typeof value !== 'object' || value === null) return value;
  return new Map(Object.entries(value).map(([name, inner]) => [name, jsonMap(inner)]));
}
