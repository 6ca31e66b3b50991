import { type DelegatedRole, days, editTargets, signFile, type TargetFile } from '@countersign/core';
import { seededKey } from '@countersign/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { factsOf } from '../test/memory-store.ts';
import {
  author,
  BEGIN,
  claimOf,
  codeOf,
  newWorld,
  ONLINE,
  presentOf,
  publish,
  refusalOf,
  roleText,
  sha256,
  submissionOf,
  TEN_YEARS,
  upload,
  type World,
  watcher,
} from '../test/world.ts';
import { type BinsForm, binFor, type Repository, type SubmittedFile, submissionText } from './index.ts';

const BINS = { bitLength: 5, namePrefix: 'bin' };
const key = seededKey('author of docs');
const docs: DelegatedRole = {
  name: 'docs',
  keyIds: [key.keyId],
  threshold: 1,
  terminating: true,
  paths: { by: 'pattern', patterns: ['docs/*', 'docs/*/*'] },
};

const fileOf = (path: string, content: string): SubmittedFile => ({
  path,
  sha256: factsOf(Buffer.from(content)).sha256,
});
const listed = (path: string, content: string): TargetFile => {
  const facts = factsOf(Buffer.from(content));
  const hashes = new Map([
    ['sha256', facts.sha256],
    ['sha512', facts.sha512],
  ]);
  return { path, length: facts.length, hashes, custom: undefined };
};
const binOf = (path: string): string => binFor(BINS, path, sha256);

describe.each(['classic', 'succinct'] as const)('a plain collection with %s bins', (form: BinsForm) => {
  let world: World;
  let repository: Repository;

  beforeEach(async () => {
    const file = await signFile(editTargets(undefined, { expires: BEGIN + TEN_YEARS }), [key]);
    const custom = [{ delegation: docs, keys: new Map([[key.keyId, key.key]]), file }];
    world = await newWorld(0, { bitLength: BINS.bitLength, form, custom });
    repository = await world.open();
    await upload(repository, 'one', 'two');
  });

  const refused = (...files: readonly SubmittedFile[]): Promise<string | undefined> =>
    refusalOf(world, repository, submissionText({ files }));

  it('lists uploaded files under an online key, each in its bin', async () => {
    const paths = Array.from({ length: 40 }, (_, i) => `any/${i}/file ${i}.bin`);
    await publish(repository, submissionText({ files: paths.map((path) => fileOf(path, 'one')) }));
    const client = watcher(world);
    for (const path of paths) {
      expect(client.fetch(path)).toBe('one');
      expect(client.find(path)?.trail).toEqual(['targets', 'bins', binOf(path)]);
    }
    expect(client.find('any/0/nothing')).toBeUndefined();
    expect(client.find('pkg/f785/ms/x')).toBeUndefined();
  });

  it('writes no more than the touched bin, snapshot and timestamp', async () => {
    await publish(repository, submissionText({ files: [fileOf('a', 'one')] }));
    const made = world.disk.made.get(world.disk.publications.length)?.files.map(({ role }) => role);
    expect(made).toEqual([binOf('a'), 'snapshot', 'timestamp']);
  });

  it('changes and removes files', async () => {
    await publish(repository, submissionText({ files: [fileOf('a', 'one'), fileOf('b', 'one')] }));
    await publish(repository, submissionText({ files: [fileOf('a', 'two')], remove: ['b'] }));
    const client = watcher(world);
    expect([client.fetch('a'), client.find('b')]).toEqual(['two', undefined]);
    expect(await refusalOf(world, repository, submissionText({ remove: ['b'] }))).toBe('SUBMISSION_STALE');
  });

  it('keeps what an author signs out of the reach of the online key', async () => {
    const before = presentOf(world, 'docs');
    const file = await roleText(before, { set: [listed('docs/guide', 'one')] }, [key]);
    await publish(repository, submissionOf(['docs', file]));
    const client = watcher(world);
    expect(client.find('docs/guide')?.trail).toEqual(['targets', 'docs']);
    expect(client.fetch('docs/guide')).toBe('one');
    const changed = await roleText(presentOf(world, 'docs'), { set: [listed('docs/guide', 'two')] }, [key]);
    await publish(repository, submissionOf(['docs', changed]));
    client.refresh();
    expect(client.fetch('docs/guide')).toBe('two');
    expect(await refused(fileOf('docs/other', 'one'))).toBe('SUBMISSION_FOREIGN');
    const next = (set: readonly TargetFile[], by = key): Promise<string> =>
      roleText(presentOf(world, 'docs'), { set }, [by]);
    const refusal = async (text: string): Promise<string | undefined> =>
      refusalOf(world, repository, submissionOf(['docs', text]));
    expect(await refusal(await next([], seededKey('bins')))).toBe('SUBMISSION_UNSIGNED');
    expect(await refusal(await next([listed('elsewhere', 'one')]))).toBe('SUBMISSION_FOREIGN');
    expect(await refusal(await next([listed('docs/missing', 'three')]))).toBe('BLOB_MISSING');
  });

  it.each([
    ['a path that climbs', '../a', 'SUBMISSION_FOREIGN'],
    ['a path with an empty segment', 'a//b', 'SUBMISSION_FOREIGN'],
    ['an absolute path', '/a', 'SUBMISSION_FOREIGN'],
    ['a file name that no file system holds beside a digest', `a/${'é'.repeat(61)}`, 'ENTRY_INVALID'],
    ['a folder that no file system holds', `${'é'.repeat(128)}/a`, 'ENTRY_INVALID'],
    ['a path that is no key of an object store', `${`${'é'.repeat(100)}/`.repeat(4)}a`, 'ENTRY_INVALID'],
    ['a folder in the place of a copy (SHA-256)', `a/${'0'.repeat(64)}.b/c`, 'ENTRY_INVALID'],
    ['a folder in the place of a copy (SHA-512)', `${'f'.repeat(128)}.b/c`, 'ENTRY_INVALID'],
  ])('refuses %s', async (_what, path, code) => {
    expect(await refused(fileOf(path, 'one'))).toBe(code);
  });

  it('takes paths up to the bounds, and removes whatever is listed', async () => {
    const longest = `${`${'x'.repeat(195)}/`.repeat(4)}${'é'.repeat(8)}`;
    const paths = [longest, `${'é'.repeat(127)}/a`, `a/${'é'.repeat(60)}`, `${'0'.repeat(63)}.b/c`];
    expect(Buffer.byteLength(longest)).toBe(800);
    await publish(repository, submissionText({ files: paths.map((path) => fileOf(path, 'one')) }));
    const client = watcher(world);
    for (const path of paths) expect(client.fetch(path)).toBe('one');
    await publish(repository, submissionText({ remove: paths }));
    client.refresh();
    for (const path of paths) expect(client.find(path)).toBeUndefined();
  });

  it('bounds what an author signs, and what is imported', async () => {
    const path = `docs/${'é'.repeat(128)}/a`;
    const file = await roleText(presentOf(world, 'docs'), { set: [listed(path, 'one')] }, [key]);
    expect(await refusalOf(world, repository, submissionOf(['docs', file]))).toBe('ENTRY_INVALID');
    expect(await codeOf(repository.importFiles([listed(`${'é'.repeat(128)}/a`, 'one')], 'held'))).toBe('ENTRY_INVALID');
  });

  it('has no names, and no bins for outsiders', async () => {
    expect(await refused({ path: 'a', sha256: '0'.repeat(64) })).toBe('BLOB_MISSING');
    expect(await refusalOf(world, repository, await claimOf(author('ms')))).toBe('SUBMISSION_FOREIGN');
    const file = await roleText(presentOf(world, binOf('a')), { set: [listed('a', 'one')] }, [seededKey('bins')]);
    expect(await refusalOf(world, repository, submissionOf([binOf('a'), file]))).toBe('NAME_UNCLAIMED');
  });

  it('renews its bins in time, though it keeps none of them in memory', async () => {
    await publish(repository, submissionText({ files: [fileOf('a', 'one')] }));
    repository = await world.open();
    const version = presentOf(world, binOf('a'))?.version ?? 0;
    world.clock.now += days(46);
    await repository.renew();
    expect(presentOf(world, binOf('a'))?.version).toBe(version + 1);
    expect(watcher(world).fetch('a')).toBe('one');
    world.clock.now += days(44) + 1;
    await repository.renew();
    for (let i = 0; i < 32; i++) {
      const name = `bin-${i.toString(16).padStart(2, '0')}`;
      expect((presentOf(world, name)?.expires ?? 0) > world.clock.now + days(40)).toBe(true);
    }
  });

  it('imports many files at once, each touched bin once, and nothing twice', async () => {
    const files = Array.from({ length: 500 }, (_, i) => listed(`import/${i}`, `content ${i}`));
    const before = world.disk.publications.length;
    await repository.importFiles(files, 'elsewhere');
    expect(world.disk.publications.length).toBe(before + 1);
    const client = watcher(world);
    for (const { path, hashes } of files) expect(client.find(path)?.target.hashes).toEqual(hashes);
    expect(presentOf(world, binOf('import/0'))?.version).toBe(2);
    await repository.importFiles(files, 'elsewhere');
    expect(world.disk.publications.length).toBe(before + 1);
    // One more afterwards.
    await publish(repository, submissionText({ files: [fileOf('import/one more', 'one')] }));
    expect(watcher(world).fetch('import/one more')).toBe('one');
    expect(watcher(world).find('import/7')?.target.path).toBe('import/7');
  });

  it('imports what was uploaded, and shows it', async () => {
    await repository.importFiles([listed('a', 'one'), listed('b', 'two')], 'held');
    const client = watcher(world);
    expect([client.fetch('a'), client.fetch('b')]).toEqual(['one', 'two']);
    expect(await codeOf(repository.importFiles([listed('c', 'three')], 'held'))).toBe('BLOB_MISSING');
    expect(await codeOf(repository.importFiles([listed('docs/c', 'one')], 'held'))).toBe('SUBMISSION_FOREIGN');
    expect(client.refresh().snapshot.content.meta.get('docs')?.version).toBe(1);
  });

  it('publishes nothing with a wrong key', async () => {
    const broken = await world.open({ signers: { ...ONLINE, bins: seededKey('another') } });
    const receipt = await broken.submit(submissionText({ files: [fileOf('a', 'one')] }));
    expect(await codeOf(receipt.published)).toBe('SELF_CHECK_FAILED');
    expect(watcher(world).find('a')).toBeUndefined();
    await (await world.open()).renew();
    expect(watcher(world).fetch('a')).toBe('one');
  });
});

it('a collection of names imports what nobody has claimed, each touched shard once', async () => {
  const world = await newWorld();
  const repository = await world.open();
  const loose = Array.from({ length: 40 }, (_, i) => author(`loose-${i}`));
  const files = loose.flatMap(({ directory }) => ['a', 'b'].map((name) => listed(`${directory}/${name}`, name)));
  const before = world.disk.publications.length;
  await repository.importFiles(files, 'elsewhere');
  await repository.importFiles(files, 'elsewhere');
  expect(world.disk.publications.length).toBe(before + 1);
  const client = watcher(world);
  for (const { path, hashes } of files) expect(client.find(path)?.target.hashes).toEqual(hashes);
  const refusal = (path: string, content = 'a'): Promise<string | undefined> =>
    codeOf(repository.importFiles([listed(path, content)], 'elsewhere'));
  expect(await refusal('a')).toBe('NAME_INVALID');
  expect(await refusal('pkg/0000/loose-1/a')).toBe('SUBMISSION_FOREIGN');
  expect(await refusal(`${loose[0]?.directory}/a`, 'changed')).toBe('SUBMISSION_WITHDRAWS');
  const claimed = author('loose-0');
  await publish(repository, await claimOf(claimed));
  expect(await refusal(`${claimed.directory}/a`)).toBe('NAME_TAKEN');
  expect(watcher(world).find(`${claimed.directory}/a`)).toBeUndefined();
  const inspected: string[] = [];
  const careful = await world.open({ inspect: async ({ target }) => void inspected.push(target.path) });
  await upload(careful, 'one');
  await careful.importFiles([listed(`${loose[1]?.directory}/c`, 'one')], 'held');
  expect(inspected).toEqual([`${loose[1]?.directory}/c`]);
  expect(watcher(world).fetch(`${loose[1]?.directory}/c`)).toBe('one');
});
