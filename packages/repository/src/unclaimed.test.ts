import { jsonOf, objectOf, shardName } from '@countersign/core';
import { beforeEach, describe, expect, it } from 'vitest';
import { factsOf } from '../test/memory-store.ts';
import {
  author,
  claimOf,
  codeOf,
  newWorld,
  ONLINE,
  presentOf,
  publish,
  refusalOf,
  roleText,
  sessionOf,
  submissionOf,
  targetOf,
  upload,
  type World,
  watcher,
} from '../test/world.ts';
import { type NewTarget, type Repository, type SubmittedFile, submissionText } from './index.ts';

let world: World;
let repository: Repository;
const ms = author('ms');
const loose = author('loose', { ecosystem: 'any' });
const shard = shardName('unclaimed', ms.directory.charAt(4));

beforeEach(async () => {
  world = await newWorld();
  repository = await world.open();
  await upload(repository, 'one', 'two');
});

const fileOf = (name: string, content: string, by = ms): SubmittedFile => ({
  path: `${by.directory}/${name}`,
  sha256: factsOf(Buffer.from(content)).sha256,
});
const refusal = (text: string): Promise<string | undefined> => refusalOf(world, repository, text);
const refused = (...files: readonly SubmittedFile[]): Promise<string | undefined> => refusal(submissionText({ files }));

describe('a file for a name that nobody claims', () => {
  it('is listed by the online key, with its index entry, and found by clients', async () => {
    const before = world.disk.publications.length;
    const custom = objectOf({ pkg: { version: '1.0.0' } });
    await publish(repository, submissionText({ files: [{ ...fileOf('a', 'one'), custom }] }));
    const client = watcher(world);
    expect(client.fetch(`${ms.directory}/a`)).toBe('one');
    expect(client.find(`${ms.directory}/a`)?.trail).toEqual(['targets', shard]);
    expect(client.find(`${ms.directory}/a`)?.target.custom).toEqual(jsonOf(custom));
    const made = world.disk.made.get(before + 1)?.files.map(({ role }) => role);
    expect(made).toEqual([shard, 'snapshot', 'timestamp']);
    expect(repository.owner(ms.project)).toBeUndefined();
  });

  it('joins others of many names in one publication, each shard written once', async () => {
    const authors = Array.from({ length: 30 }, (_, i) => author(`p${i}`));
    const before = world.disk.publications.length;
    await Promise.all(
      authors.map(async (by) =>
        publish(repository, submissionText({ files: [fileOf('a', 'one', by), fileOf('b', 'two', by)] })),
      ),
    );
    expect(world.disk.publications.length).toBe(before + 1);
    const client = watcher(world);
    for (const by of authors)
      expect([client.fetch(`${by.directory}/a`), client.fetch(`${by.directory}/b`)]).toEqual(['one', 'two']);
  });

  it('is inspected like any other', async () => {
    const seen: NewTarget[] = [];
    const watching = await world.open({ inspect: async (target) => void seen.push(target) });
    await publish(watching, submissionText({ files: [fileOf('a', 'one')] }));
    expect(seen).toMatchObject([
      { ownerRole: ms.role, directory: ms.directory, target: { path: `${ms.directory}/a` } },
    ]);
  });

  it('is taken out again, and only if it is there', async () => {
    await publish(repository, submissionText({ files: [fileOf('a', 'one'), fileOf('b', 'two')] }));
    await publish(repository, submissionText({ remove: [`${ms.directory}/a`] }));
    const client = watcher(world);
    expect(client.find(`${ms.directory}/a`)).toBeUndefined();
    expect(client.fetch(`${ms.directory}/b`)).toBe('two');
    expect(await refusal(submissionText({ remove: [`${ms.directory}/a`] }))).toBe('SUBMISSION_STALE');
  });

  it('cannot change where the ecosystem says so, and can elsewhere', async () => {
    await publish(repository, submissionText({ files: [fileOf('a', 'one'), fileOf('a', 'one', loose)] }));
    expect(await refused(fileOf('a', 'two'))).toBe('SUBMISSION_WITHDRAWS');
    await publish(repository, submissionText({ remove: [`${ms.directory}/a`] }));
    expect(await refused(fileOf('a', 'two'))).toBe('SUBMISSION_WITHDRAWS');
    await publish(repository, submissionText({ files: [fileOf('a', 'two', loose)] }));
    expect(watcher(world).fetch(`${loose.directory}/a`)).toBe('two');
  });

  it.each([
    ['outside the layout', { path: 'pkg/ms/a' }, 'SUBMISSION_FOREIGN'],
    ['in a wrong bin', { path: 'pkg/0000/ms/a' }, 'SUBMISSION_FOREIGN'],
    ['below a folder', { path: `${ms.directory}/a/b` }, 'SUBMISSION_FOREIGN'],
    ['without a file name', { path: `${ms.directory}/` }, 'SUBMISSION_FOREIGN'],
    ['of no ecosystem', { path: `nope/${ms.directory.slice(4)}/a` }, 'NAME_INVALID'],
    ['in place of the list of decisions', { path: 'decisions/head.json' }, 'NAME_INVALID'],
    ['of a forbidden name', { path: `${ms.directory}/a b` }, 'ENTRY_INVALID'],
    ['of a long name', { path: `${ms.directory}/${'a'.repeat(121)}` }, 'ENTRY_INVALID'],
    ['that was not uploaded', { sha256: '0'.repeat(64) }, 'BLOB_MISSING'],
  ])('is refused %s', async (_what, change, code) => {
    expect(await refused({ ...fileOf('a', 'one'), ...change })).toBe(code);
  });

  it('is refused twice in one submission', async () => {
    expect(await refused(fileOf('a', 'one'), fileOf('a', 'two'))).toBe('SUBMISSION_INVALID');
  });

  it('is nobody’s own role: nobody submits the shard itself', async () => {
    const file = await roleText(presentOf(world, shard), { set: [targetOf(ms, 'a', 'one')] }, [ONLINE.unclaimed]);
    expect(await refusal(submissionOf([shard, file]))).toBe('NAME_UNCLAIMED');
  });
});

describe('a claimed name', () => {
  beforeEach(async () => {
    await publish(repository, submissionText({ files: [fileOf('a', 'one'), fileOf('b', 'two')] }));
  });

  it.each(['recent', 'claimed'] as const)('takes no file from an account any more, %s', async (kind) => {
    await publish(repository, await claimOf(ms));
    if (kind === 'claimed') await publish(repository, submissionText(await sessionOf(world)));
    const text = submissionText({ files: [fileOf('c', 'one')] });
    const error = await repository.submit(text).catch((failure: unknown) => failure);
    expect(error).toMatchObject({ code: 'NAME_TAKEN', detail: { rule: 'unclaimed' } });
    expect(await refusal(submissionText({ remove: [`${ms.directory}/a`] }))).toBe('NAME_TAKEN');
  });

  it('takes its files out of the unclaimed shard; what the owner signs carries on', async () => {
    const other = author('other');
    await publish(repository, submissionText({ files: [fileOf('a', 'one', other)] }));
    const client = watcher(world);
    await publish(repository, await claimOf(ms, { set: [targetOf(ms, 'a', 'one')] }));
    client.refresh();
    expect(client.find(`${ms.directory}/a`)?.trail.at(-1)).toBe(ms.role);
    expect(client.find(`${ms.directory}/b`)).toBeUndefined();
    expect(
      [...(presentOf(world, shard)?.targets.keys() ?? [])].filter((path) => path.startsWith(ms.directory)),
    ).toEqual([]);
    expect(client.fetch(`${other.directory}/a`)).toBe('one');
    // What was published under the name stays what it is.
    const changed = await roleText(presentOf(world, ms.role), { set: [targetOf(ms, 'b', 'one')] }, ms.keys);
    expect(await refusal(submissionOf([ms.role, changed]))).toBe('SUBMISSION_WITHDRAWS');
  });

  it('wins against a file that comes at the same moment, whichever is first', async () => {
    const sent = [await claimOf(ms), submissionText({ files: [fileOf('c', 'one')] })];
    const receipts = await Promise.all(sent.map((text) => repository.submit(text)));
    const [claim, file] = await Promise.all(receipts.map(({ published }) => codeOf(published)));
    expect(claim).toBeUndefined();
    expect([undefined, 'NAME_TAKEN']).toContain(file);
    expect(presentOf(world, shard)?.targets.size).toBe(0);
    expect(watcher(world).find(`${ms.directory}/c`)).toBeUndefined();
  });

  it('cannot be spoken for by the online key of unclaimed shards', async () => {
    await publish(repository, await claimOf(ms));
    const forged = await roleText(presentOf(world, ms.role), {}, [ONLINE.unclaimed]);
    expect(await refusal(submissionOf([ms.role, forged]))).toBe('SUBMISSION_UNSIGNED');
  });
});

it('a new process renews what it lists without having kept it in memory', async () => {
  await publish(repository, submissionText({ files: [fileOf('a', 'one')] }));
  const version = presentOf(world, shard)?.version ?? 0;
  repository = await world.open();
  world.clock.now += 46 * 86_400_000;
  await repository.renew();
  expect(presentOf(world, shard)?.version).toBe(version + 1);
  expect(watcher(world).fetch(`${ms.directory}/a`)).toBe('one');
});
