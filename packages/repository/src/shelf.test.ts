import { days, type JsonObject, readShelfName, type Signer, signFile, type Targets } from '@countersign/core';
import { seededKey } from '@countersign/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { meetingText } from '../test/quorum-world.ts';
import { shelvedWorld } from '../test/shelves.ts';
import {
  author,
  BEGIN,
  claimOf,
  codeOf,
  contentOf,
  delegationsTo,
  OFFLINE,
  ONLINE,
  presentOf,
  publish,
  refusalOf,
  roleText,
  sessionOf,
  submissionOf,
  targetOf,
  textOf,
  watcher,
} from '../test/world.ts';
import { dueShelves, faultOfShelf, keySetOf, type RepositoryOptions, shelvesOf, submissionText } from './index.ts';

type Shelves = Awaited<ReturnType<typeof shelvedWorld>>;
let shelves: Shelves;
const [old, other, lively] = [author('old'), author('other'), author('lively')];
const shelf = `shelf-${old.directory.charAt(4)}`;
const path = `${old.directory}/a`;

beforeEach(async () => {
  shelves = await shelvedWorld();
  for (const by of [old, other, lively]) await publish(shelves.repository, shelves.filesOf(by, { a: 'one', b: 'two' }));
});

const refusal = (text: string): Promise<string | undefined> => refusalOf(shelves.world, shelves.repository, text);

describe('names under the offline key', () => {
  it('are found before, while and after they are on a shelf, by those who refreshed and those who did not', async () => {
    const { world, repository } = shelves;
    const steady = watcher(world);
    const late = watcher(world);
    const looks = (client: ReturnType<typeof watcher>): void => {
      for (const by of [old, other, lively]) {
        expect([client.fetch(`${by.directory}/a`), client.fetch(`${by.directory}/b`)]).toEqual(['one', 'two']);
        expect(client.find(`${by.directory}/c`)).toBeUndefined();
      }
    };
    const steps: readonly Parameters<Shelves['shelving']>[0][] = [
      { take: [old] },
      { take: [other] },
      { renew: [shelf] },
      { release: [old] },
      { take: [old] },
      { release: [old, other] },
    ];
    for (const step of steps) {
      late.refresh();
      const before = world.disk.publications.length;
      await publish(repository, await shelves.shelving(step));
      expect(world.disk.publications.length).toBe(before + 1);
      looks(late);
      for (const client of [steady, late, watcher(world)]) {
        client.refresh();
        looks(client);
      }
    }
    expect(watcher(world).find(path)?.trail).toEqual(['targets', `unclaimed-${shelf.slice(-1)}`]);
  });

  it('are listed by roles of the quorum alone, in front of what online keys sign, and nowhere else', async () => {
    await publish(shelves.repository, await shelves.shelving({ take: [old] }));
    expect(watcher(shelves.world).find(path)?.trail).toEqual(['targets', shelf, `${shelf}-files`]);
    const names = presentOf(shelves.world, 'targets')?.delegations?.roles.map(({ name }) => name) ?? [];
    expect(names.slice(names.indexOf(shelf) - 1, names.indexOf(shelf) + 2)).toEqual(['claimed-f', shelf, 'recent-0']);
    const listed = presentOf(shelves.world, `unclaimed-${shelf.slice(-1)}`)?.targets.keys() ?? [];
    expect([...listed].filter((one) => one.startsWith(`${old.directory}/`))).toEqual([]);
  });

  it('cannot be changed or added to with every online key: forged entries are never reached', async () => {
    const { world, repository } = shelves;
    await publish(repository, await shelves.shelving({ take: [old, other] }));
    const forged = await shelves.forgery(old, { a: 'evil', c: 'evil' });
    const client = watcher({ ...world, disk: forged });
    expect(client.find(path)?.target.hashes.get('sha256')).toBe(targetOf(old, 'a', 'one').hashes.get('sha256'));
    expect(client.find(`${old.directory}/c`)).toBeUndefined();
    expect([...client.list(old.directory).found.keys()].sort()).toEqual([path, `${old.directory}/b`]);
    // The same forgery does reach a name that is on no shelf: it is the shelf that stops it.
    const open = watcher({ ...world, disk: await shelves.forgery(lively, { a: 'evil' }) });
    expect(open.find(`${lively.directory}/a`)?.target.hashes.get('sha256')).toBe(
      targetOf(lively, 'a', 'evil').hashes.get('sha256'),
    );
  });

  it('take no file and no claim from anybody until they are off, with the rule and the next step', async () => {
    const { repository } = shelves;
    await publish(repository, await shelves.shelving({ take: [old] }));
    for (const text of [shelves.filesOf(old, { c: 'one' }), submissionText({ remove: [path] }), await claimOf(old)]) {
      expect(await refusal(text)).toBe('NAME_SHELVED');
    }
    const error = await repository.submit(await claimOf(old)).catch((failure: unknown) => failure);
    expect(error).toMatchObject({ detail: { rule: 'shelf', project: 'pkg/old', role: shelf } });
    await publish(repository, shelves.filesOf(lively, { c: 'one' }));
    await publish(repository, await shelves.shelving({ release: [old] }));
    await publish(repository, await claimOf(old, { set: [targetOf(old, 'a', 'one')] }));
    expect(watcher(shelves.world).find(path)?.trail.at(-1)).toBe(old.role);
  });

  it('stay as they are in other processes, over renewals, and beside the life of other names', async () => {
    const { world } = shelves;
    await shelves.repository.close();
    const pause = (millis: number): Promise<void> =>
      new Promise((resolve) => (millis < 1_000 ? setImmediate(resolve) : undefined));
    const elected: Partial<RepositoryOptions> = { publishes: 'when-elected', pause };
    const publisher = await world.open(elected);
    const follower = await world.open(elected);
    await publish(follower, await shelves.shelving({ take: [old] }));
    await publish(follower, await shelves.shelving({ take: [other] }));
    await publish(follower, await claimOf(author('later')));
    await publish(follower, submissionText(await sessionOf(world)));
    expect(follower.status().roles).toEqual(publisher.status().roles);
    expect(await codeOf(follower.submit(shelves.filesOf(old, { c: 'one' })))).toBe('NAME_SHELVED');
    world.clock.now += days(60);
    const again = await world.open();
    await again.renew();
    expect(presentOf(world, shelf)?.version).toBeLessThan(3);
    expect(watcher(world).fetch(path)).toBe('one');
    expect(await codeOf(again.submit(await claimOf(old)))).toBe('NAME_SHELVED');
  });

  it('are told by when they last changed', async () => {
    const { world, repository } = shelves;
    const idle = async (before: number): Promise<readonly string[]> =>
      (await repository.idleNames(before)).map(({ project }) => project.name).sort();
    world.clock.now += days(300);
    await repository.renew();
    expect(await idle(BEGIN)).toEqual([]);
    expect(await idle(BEGIN + 1)).toEqual(['lively', 'old', 'other']);
    await publish(repository, shelves.filesOf(lively, { c: 'one' }));
    await publish(repository, await claimOf(author('mine'), { set: [targetOf(author('mine'), 'a', 'one')] }));
    expect(await idle(world.clock.now)).toEqual(['old', 'other']);
    expect(await repository.idleNames(world.clock.now, 1)).toHaveLength(1);
  }, 20_000);

  it('are on the list no more once they are on a shelf', async () => {
    const { repository } = shelves;
    await publish(repository, await shelves.shelving({ take: [old] }));
    const idle = await repository.idleNames(BEGIN + 1);
    expect(idle.map(({ project }) => project.name).sort()).toEqual(['lively', 'other']);
  });
});

it('is due for the quorum at half of its life, with its files', async () => {
  const { world, repository } = shelves;
  await publish(repository, await shelves.shelving({ take: [old] }));
  const base = shelves.base();
  expect(dueShelves(base, days(365), BEGIN + days(180))).toEqual([]);
  expect(dueShelves(base, days(365), BEGIN + days(185))).toEqual([shelf]);
  world.clock.now += days(185);
  await publish(repository, await shelves.shelving({ renew: [shelf] }));
  expect([presentOf(world, shelf)?.version, presentOf(world, `${shelf}-files`)?.version]).toEqual([2, 2]);
  expect(presentOf(world, 'targets')?.version).toBe(2);
  expect(dueShelves(shelves.base(), days(365), world.clock.now)).toEqual([]);
});

describe('what the quorum signs is refused', () => {
  type Change = (role: string, draft: JsonObject) => JsonObject | undefined | Promise<JsonObject>;

  async function changed(change: Change, by: readonly Signer[] = OFFLINE): Promise<string> {
    const roles: { role: string; file: string }[] = [];
    for (const [role, draft] of shelves.drafts({ take: [old] })) {
      const one = await change(role, draft);
      if (one !== undefined) roles.push({ role, file: textOf(await signFile(one, by)) });
    }
    return submissionText({ roles });
  }
  const read = async (role: string, draft: JsonObject): Promise<Targets> =>
    contentOf(textOf(await signFile(draft, [])), role);

  it('without enough of its keys, or with online keys', async () => {
    const same: Change = (_role, draft) => draft;
    for (const by of [[seededKey('thief')], OFFLINE.slice(1), Object.values<Signer>(ONLINE)]) {
      expect(await refusal(await changed(same, by))).toBe('SUBMISSION_UNSIGNED');
    }
  });

  it('without one of its parts, or with more than follows from them', async () => {
    const all = [...shelves.drafts({ take: [old] }).keys()];
    expect(all.sort()).toEqual([shelf, `${shelf}-files`, 'targets']);
    expect(await refusal(await changed((role, draft) => (role === 'targets' ? undefined : draft)))).toBe(
      'SUBMISSION_INVALID',
    );
    expect(await refusal(await changed((role, draft) => (role.endsWith('-files') ? undefined : draft)))).toBe(
      'SUBMISSION_INVALID',
    );
    for (const role of all) {
      const more: Change = (one, draft) => (one === role ? new Map(draft).set('custom', new Map()) : draft);
      expect(await refusal(await changed(more))).toBe('SUBMISSION_FOREIGN');
    }
    const { roles } = JSON.parse(await changed((_role, draft) => draft)) as { roles: { role: string; file: string }[] };
    const file = JSON.parse(shelves.filesOf(lively, { c: 'one' })) as { files: [] };
    expect(await refusal(submissionText({ roles, ...file }))).toBe('SUBMISSION_INVALID');
  });

  it('when it lists a file otherwise than the repository did, one more or one less', async () => {
    const drafts = shelves.drafts({ take: [old] });
    const files = await read(`${shelf}-files`, drafts.get(`${shelf}-files`) ?? new Map());
    const with_ = async (edit: Parameters<typeof roleText>[1]): Promise<string> => {
      const text = await changed((role, draft) => (role.endsWith('-files') ? undefined : draft));
      const { roles } = JSON.parse(text) as { roles: { role: string; file: string }[] };
      const file = await roleText(files, { version: 1, ...edit }, OFFLINE);
      return submissionText({ roles: [...roles, { role: `${shelf}-files`, file }] });
    };
    for (const edit of [
      { set: [targetOf(old, 'a', 'evil')] },
      { set: [targetOf(old, 'c', 'one')] },
      { remove: [path] },
      { delegations: delegationsTo([{ name: 'x', keys: [seededKey('thief')], patterns: ['*/*/*/*'] }]) },
    ]) {
      expect(await refusal(await with_(edit))).toBe('SUBMISSION_FOREIGN');
    }
    expect(await refusal(await with_({ expires: BEGIN + days(1) }))).toBe('SUBMISSION_INVALID');
    expect(await refusal(await with_({ version: 2 }))).toBe('SUBMISSION_STALE');
    await publish(shelves.repository, await with_({}));
  });

  it('when the name has changed since, is claimed, or is not there', async () => {
    const { repository } = shelves;
    const drafted = await shelves.shelving({ take: [old] });
    await publish(repository, shelves.filesOf(old, { c: 'one' }));
    expect(await refusal(drafted)).toBe('SUBMISSION_FOREIGN');
    // A change of another name does not matter.
    const again = await shelves.shelving({ take: [old] });
    await publish(repository, shelves.filesOf(lively, { c: 'one' }));
    await publish(repository, await claimOf(other));
    await publish(repository, again);
    expect(() => shelves.drafts({ take: [other] })).toThrow(/no unclaimed file/);
    expect(() => shelves.drafts({ take: [author('nobody')] })).toThrow(/no unclaimed file/);
    expect(() => shelves.drafts({ release: [lively] })).toThrow(/on no shelf/);
  });

  it('when its patterns reach further than one project', async () => {
    const wide: Change = async (role, draft) => {
      if (readShelfName(role)?.holds !== 'names') return draft;
      const text = textOf(await signFile(draft, []));
      return contentOf(text.replaceAll(`${old.directory}/*`, '*/*/*/*'), role).json;
    };
    expect(await refusal(await changed(wide))).toBe('SUBMISSION_STALE');
  });

  it('a second time only if something else came', async () => {
    const { repository } = shelves;
    const text = await shelves.shelving({ take: [old] });
    await publish(repository, text);
    const before = shelves.world.disk.publications.length;
    await publish(repository, text);
    expect(shelves.world.disk.publications.length).toBe(before);
    await publish(repository, await shelves.shelving({ release: [old] }));
    expect(await refusal(text)).toBe('SUBMISSION_STALE');
  });

  it('as a role of its own by nobody else: the shelf cannot be submitted among other things', async () => {
    await publish(shelves.repository, await shelves.shelving({ take: [old] }));
    const forged = await roleText(presentOf(shelves.world, shelf), {}, [ONLINE.unclaimed]);
    expect(await refusal(submissionOf([shelf, forged]))).toBe('SUBMISSION_UNSIGNED');
  });
});

it('keeps its shelves when the collection gets other shards', async () => {
  const { world, repository } = shelves;
  await publish(repository, await shelves.shelving({ take: [old] }));
  await publish(repository, await shelves.resharding(2));
  const client = watcher(world);
  expect(client.find(path)?.trail).toEqual(['targets', shelf, `${shelf}-files`]);
  await publish(repository, await shelves.shelving({ take: [lively], release: [old] }));
  client.refresh();
  for (const by of [old, other, lively]) expect(client.fetch(`${by.directory}/a`)).toBe('one');
  expect(client.find(path)?.trail).toEqual(['targets', `unclaimed-${old.directory.slice(4, 6)}`]);
});

it('follows the quorum to other keys with the next act, and is found in between', async () => {
  const { world, repository } = shelves;
  await publish(repository, await shelves.shelving({ take: [old] }));
  const client = watcher(world);
  const [ada, ben] = OFFLINE as [Signer, Signer];
  const cyd = seededKey('cyd');
  const meeting = { expires: BEGIN + days(365), quorum: keySetOf([ada, cyd], 2) };
  await publish(repository, await meetingText(world, meeting, [ada, ben, cyd]));
  for (const one of [client, watcher(world)]) {
    one.refresh();
    expect(one.fetch(path)).toBe('one');
  }
  expect(dueShelves(shelves.base(), days(365), BEGIN)).toEqual([shelf]);
  expect(faults()).toEqual([]);
  expect(await refusal(await shelves.shelving({ renew: [shelf] }))).toBe('SUBMISSION_UNSIGNED');
  await publish(repository, await shelves.shelving({ take: [other] }, [ada, cyd]));
  const { delegations } = presentOf(world, 'targets') ?? {};
  const shelfKeys = delegations?.roles.filter(({ name }) => readShelfName(name)).map(({ keyIds }) => [...keyIds]);
  for (const keyIds of shelfKeys ?? []) expect(keyIds).toEqual([ada.keyId, cyd.keyId]);
  expect(presentOf(world, shelf)?.delegations?.roles[0]?.keyIds).toEqual([ada.keyId, cyd.keyId]);
  expect([...(delegations?.keys.keys() ?? [])]).not.toContain(ben.keyId);
  client.refresh();
  for (const by of [old, other]) expect(client.fetch(`${by.directory}/a`)).toBe('one');
  expect(faults()).toEqual([]);
});

describe('an auditor finds what a quorum by itself could slip in:', () => {
  beforeEach(async () => {
    await publish(shelves.repository, await shelves.shelving({ take: [old] }));
    expect(faults()).toEqual([]);
  });

  it.each<readonly [string, string, (text: string) => string]>([
    ['a file of another name', `${shelf}-files`, (text) => text.replace(path, `${other.directory}/a`)],
    ['a name without files', `${shelf}-files`, (text) => text.replaceAll(old.directory, other.directory)],
    ['a name of another shelf', shelf, (text) => text.replaceAll(old.directory, 'pkg/0123/old')],
    ['a pattern that reaches further', shelf, (text) => text.replace(`${old.directory}/*`, `${old.directory}/*/*`)],
    ['a search that goes on behind it', shelf, (text) => text.replace('"terminating":true', '"terminating":false')],
    ['something beside names', shelf, (text) => text.replace('"signed":{', '"signed":{"also":1,')],
    [
      'a shelf that hides what is behind it',
      'targets',
      (text) => text.replace(new RegExp(`("name":"${shelf}"[^}]*"terminating":)false`), '$1true'),
    ],
  ])('%s', (_, role, change) => {
    const text = textOf(shelves.world.disk.roles.get(role)?.bytes ?? new Uint8Array());
    expect(change(text)).not.toBe(text);
    const content = contentOf(change(text), role);
    const base = shelves.base();
    const found = faults({
      targets: role === 'targets' ? content : base.targets,
      contentOf: (name) => (name === role ? content : base.contentOf(name)),
    });
    expect(found).toHaveLength(1);
  });

  it('a shelf behind what online keys sign', () => {
    const { targets, contentOf: present } = shelves.base();
    const { delegations } = targets;
    if (delegations === undefined) throw new Error('no delegations');
    const isShelf = ({ name }: { name: string }): boolean => name === shelf;
    const last = [...delegations.roles.filter((role) => !isShelf(role)), ...delegations.roles.filter(isShelf)];
    expect(
      faults({ targets: { ...targets, delegations: { ...delegations, roles: last } }, contentOf: present }),
    ).toEqual([{ role: 'targets', what: `${shelf} is not in front of what online keys sign` }]);
  });
});

function faults(base: Parameters<typeof faultOfShelf>[0] = shelves.base()): readonly object[] {
  return shelvesOf(base.targets).flatMap((one) => faultOfShelf(base, one) ?? []);
}

it('says whose signatures are missing', async () => {
  const { roles } = JSON.parse(await shelves.shelving({ take: [old] }, [])) as {
    roles: { role: string; file: string }[];
  };
  const demands = await shelves.repository.demands({ roles, decisions: [] });
  expect(demands.map(({ part }) => part).sort()).toEqual([shelf, `${shelf}-files`, 'targets']);
  for (const { authorities } of demands) {
    expect(authorities.map(({ role }) => [role.keyIds, role.threshold])).toEqual([
      [OFFLINE.map(({ keyId }) => keyId), 2],
    ]);
  }
});
