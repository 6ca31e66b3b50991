import {
  days,
  editSnapshot,
  editTargets,
  editTimestamp,
  type FreshState,
  openEnvelope,
  readSnapshot,
  readTimestamp,
  type Signer,
  signFile,
  utf8,
} from '@countersign/core';
import { seededKey } from '@countersign/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { factsOf, memoryStore } from '../test/memory-store.ts';
import {
  draftsOf,
  freshKey,
  keyFolder,
  type Meeting,
  meetingText,
  pictures,
  refreshAcross,
  replayedFrom,
  rootOf,
} from '../test/quorum-world.ts';
import {
  author,
  BEGIN,
  claimOf,
  codeOf,
  ECOSYSTEMS,
  newWorld,
  nodeCrypto,
  OFFLINE,
  ONLINE,
  presentOf,
  publish,
  refusalOf,
  roleText,
  submissionOf,
  targetOf,
  textOf,
  upload,
  type World,
  watcher,
} from '../test/world.ts';
import {
  draftSession,
  keySetOf,
  ONLINE_KINDS,
  type OnlineKind,
  Repository,
  type RepositoryOptions,
  SigningEvents,
  signSession,
  submissionText,
} from './index.ts';

const [ada, ben] = OFFLINE as [Signer, Signer];
const cyd = seededKey('cyd');
const dan = seededKey('dan');
const YEAR = days(365);
const ms = author('ms');
const debug = author('debug');
const loose = author('loose');

let world: World;
let keys: ReturnType<typeof keyFolder>;
let repository: Repository;
const open = (more: Partial<RepositoryOptions> = {}): Promise<Repository> =>
  world.open({ signers: keys.find, ...more });
const refusal = (text: string): Promise<string | undefined> => refusalOf(world, repository, text);
const meet = async (meeting: Omit<Meeting, 'expires'>, by: readonly Signer[] = OFFLINE): Promise<void> => {
  await publish(repository, await meetingText(world, { expires: world.clock.now + YEAR, ...meeting }, by));
};

/** A session of the quorum over all that is listed. */
async function sessionText(by: readonly Signer[]): Promise<string> {
  const draft = await draftSession({
    register: replayedFrom(world),
    digits: 1,
    versionOf: (shard) => presentOf(world, shard)?.version ?? 0,
    projectOf: (ecosystem, name) => ECOSYSTEMS.project(ecosystem, name),
    expires: world.clock.now + YEAR,
  });
  if (draft === undefined) throw new Error('nothing to countersign');
  return submissionText(await signSession(draft, by));
}

const looks = (client: ReturnType<typeof watcher>): void => {
  for (const { directory } of [ms, debug, loose]) expect(client.fetch(`${directory}/a`)).toBe('one');
  expect(client.find(`${ms.directory}/b`)).toBeUndefined();
};

beforeEach(async () => {
  world = await newWorld();
  keys = keyFolder(...Object.values(ONLINE));
  repository = await open();
  await upload(repository, 'one', 'two');
  await publish(repository, await claimOf(ms, { set: [targetOf(ms, 'a', 'one')] }));
  await publish(repository, await sessionText(OFFLINE));
  await publish(repository, await claimOf(debug, { set: [targetOf(debug, 'a', 'one')] }));
  const files = [{ path: `${loose.directory}/a`, sha256: factsOf(Buffer.from('one')).sha256 }];
  await publish(repository, submissionText({ files }));
});

describe('what the quorum renews', () => {
  it.each([
    [{ root: 'renew' }, ['root']],
    [{ targets: 'renew' }, ['targets']],
    [{ root: 'renew', targets: 'renew', claimed: 'renew' }, ['claimed-3', 'root', 'targets']],
  ] as const)('is later expiries only: %j', async (meeting, roles) => {
    const steady = watcher(world);
    const before = new Map(world.disk.roles);
    world.clock.now += days(300);
    await repository.renew();
    await meet(meeting);
    for (const role of roles) {
      const [was, is] = [before.get(role), world.disk.roles.get(role)];
      expect(is?.version).toBe((was?.version ?? 0) + 1);
      expect(textOf(is?.bytes ?? new Uint8Array())).toContain('2031-10-28');
    }
    for (const client of [steady, watcher(world)]) {
      client.refresh();
      looks(client);
    }
    repository = await open();
    await publish(repository, await claimOf(author('later')));
  });

  it('can be renewed after it has expired, by a process that opens then, before all that waits', async () => {
    world.clock.now += YEAR + days(1);
    await repository.close();
    repository = await open();
    expect(await codeOf(() => watcher(world))).toBe('EXPIRED');
    // What comes meanwhile is kept, and published when it can be.
    const waiting = await repository.submit(await claimOf(author('waiting')));
    await expect(waiting.published).rejects.toMatchObject({ code: 'SELF_CHECK_FAILED' });
    expect(
      await codeOf(
        repository.submit(await meetingText(world, { expires: world.clock.now + YEAR, root: 'renew' }, OFFLINE)),
      ),
    ).toBe('SUBMISSION_EXPIRED');
    await meet({ root: 'renew', targets: 'renew', claimed: 'renew' });
    await repository.renew();
    const client = watcher(world);
    looks(client);
    expect(repository.owner(author('waiting').project)?.kind).toBe('recent');
  });

  it('was renewed once, however often it is sent', async () => {
    const text = await meetingText(world, { expires: BEGIN + 2 * YEAR, root: 'renew', targets: 'renew' }, OFFLINE);
    const sent = [repository.submit(text), repository.submit(text)];
    for (const one of sent) await (await one).published;
    await publish(repository, text);
    expect(rootOf(world).version).toBe(2);
  });
});

describe('another quorum', () => {
  it('signs from then on, and the one before does not: 2 of 2, 1 of 1, 2 of 3', async () => {
    const steady = watcher(world);
    await meet({ quorum: keySetOf([ada], 1) });
    steady.refresh();
    await meet({ quorum: keySetOf([ada, cyd, dan], 2) }, [ada, dan]);
    for (const client of [steady, watcher(world)]) {
      client.refresh();
      looks(client);
    }
    expect(await refusal(await meetingText(world, { expires: BEGIN + YEAR, root: 'renew' }, [ada, ben]))).toBe(
      'SUBMISSION_UNSIGNED',
    );
    expect(await refusal(await sessionText([ada, ben]))).toBe('SUBMISSION_UNSIGNED');
    await publish(repository, await sessionText([cyd, dan]));
    expect(repository.owner(debug.project)?.kind).toBe('claimed');
    // Every root is noted in the list of decisions, in order.
    expect(replayedFrom(world).rootInForce.version).toBe(3);
    repository = await open();
    await publish(repository, await claimOf(author('after')));
  });

  it('is named by the old one and by itself, in every file that it takes over (§5.3.4)', async () => {
    const next = keySetOf([ada, cyd, dan], 2);
    const meeting = { expires: BEGIN + YEAR, quorum: next };
    for (const by of [[ada], [ada, ben], [cyd, dan], [ben, cyd], [ada, cyd]]) {
      expect(await refusal(await meetingText(world, meeting, by))).toBe('SUBMISSION_UNSIGNED');
    }
    const whole = JSON.parse(await meetingText(world, meeting, [ada, ben, cyd])) as {
      roles: { role: string; file: string }[];
    };
    for (const left of ['targets', 'claimed-3']) {
      const roles = whole.roles.filter(({ role }) => role !== left);
      expect(await refusal(submissionText({ roles }))).toBe('SUBMISSION_INVALID');
    }
    const old = draftsOf(world, meeting).get('targets') ?? new Map();
    const oneSide = async (by: readonly Signer[]): Promise<string> => {
      const file = textOf(await signFile(old, by));
      return submissionText({
        roles: whole.roles.map((one) => (one.role === 'targets' ? { role: 'targets', file } : one)),
      });
    };
    // Who asked for the next root a moment too early must not fail.
    expect(await refusal(await oneSide([ada, cyd]))).toBe('SUBMISSION_UNSIGNED');
    expect(await refusal(await oneSide([ada, ben]))).toBe('SUBMISSION_UNSIGNED');
  });

  it.each<readonly [string, Omit<Meeting, 'expires'>, readonly Signer[]]>([
    ['an online key in it', { quorum: keySetOf([ada, ONLINE.recent], 1) }, [ada, ben]],
    ['a key of it as online key', { online: { timestamp: ben } }, OFFLINE],
    ['an online key that the service does not have', { online: { snapshot: seededKey('elsewhere') } }, OFFLINE],
  ])('is refused with %s', async (_, meeting, by) => {
    expect(await refusal(await meetingText(world, { expires: BEGIN + YEAR, ...meeting }, by))).toBe(
      'SUBMISSION_INVALID',
    );
  });

  it('may change nothing else', async () => {
    const drafts = draftsOf(world, { expires: BEGIN + YEAR, root: 'renew', targets: 'renew' });
    const changed = async (role: string, member: string, value: boolean | number): Promise<string | undefined> => {
      const draft = new Map(drafts.get(role));
      draft.set(member, value);
      return await refusal(submissionOf([role, textOf(await signFile(draft, OFFLINE))]));
    };
    expect(await changed('root', 'consistent_snapshot', false)).toBe('SUBMISSION_FOREIGN');
    expect(await changed('root', 'x-more', true)).toBe('SUBMISSION_FOREIGN');
    expect(await changed('root', 'version', 4)).toBe('SUBMISSION_STALE');
    expect(await changed('targets', 'x-more', true)).toBe('SUBMISSION_FOREIGN');
  });

  it('gathers signatures in an event, and each part tells who is missing', async () => {
    const meeting = { expires: BEGIN + YEAR, quorum: keySetOf([ada, cyd, dan], 2) };
    const { ledger } = memoryStore(world.disk);
    const events = new SigningEvents({
      ledger,
      crypto: nodeCrypto,
      clock: () => world.clock.now,
      newId: () => 'event',
      demands: async (submission) => await repository.demands(submission),
      statementType: '',
    });
    const { roles } = JSON.parse(await meetingText(world, meeting, [ada])) as {
      roles: { role: string; file: string }[];
    };
    let event = await events.open({ roles, decisions: [] }, 'a new quorum', 'ada');
    for (const signer of [ben, cyd]) {
      expect(event.complete).toBe(false);
      const wanted = event.parts.filter(({ thresholds }) =>
        thresholds.some(({ missing, met }) => !met && missing.includes(signer.keyId)),
      );
      const signatures = [];
      for (const { part } of wanted) {
        const file = event.submission.roles.find(({ role }) => role === part)?.file ?? '';
        const bytes = await signer.sign(openEnvelope(utf8(file), part).message);
        signatures.push({ part, keyId: signer.keyId, bytes });
      }
      event = await events.sign('event', signatures);
    }
    expect(event.complete).toBe(true);
    await publish(repository, submissionText(event.submission));
    expect(rootOf(world).roles.get('root')?.threshold).toBe(2);
  });
});

describe('other online keys', () => {
  const KINDS = ONLINE_KINDS.filter((kind) => kind !== 'bins');
  const generation = (kinds: readonly OnlineKind[], number: number): Partial<Record<OnlineKind, Signer>> =>
    Object.fromEntries(kinds.map((kind) => [kind, freshKey(kind, number)]));

  it.each([...KINDS.map((kind) => [kind]), KINDS])(
    'are taken up in one publication, and no client fails at any moment of it: %s',
    async (...kinds) => {
      const clients: (FreshState | Uint8Array)[] = [watcher(world).state, world.anchor];
      await repository.close();
      const { step, taken } = pictures(world.disk);
      repository = await open();
      repository = await world.open({ signers: keys.find }, step);
      const online = generation(kinds, 1);
      for (const key of Object.values(online)) keys.add(key);
      const before = world.disk.publications.length;
      await meet({ online });
      expect(world.disk.publications.length).toBe(before + 1);
      expect(taken.length).toBeGreaterThanOrEqual(2);
      const shown = taken.findIndex((picture) => picture.has('metadata/2.root.json'));
      for (const i of shown < 0 ? [0] : [0, shown - 1, shown]) {
        const atRoot = taken[i] ?? new Map();
        for (const atRest of taken.slice(i)) {
          for (const client of clients) refreshAcross(client, atRoot, atRest, world.clock.now);
        }
      }
      looks(watcher(world));
      // The old ones sign no more.
      world.clock.now += days(80);
      await repository.renew();
      await publish(repository, await claimOf(author('after')));
      const names = new Map([
        ['timestamp', 'timestamp'],
        ['snapshot', 'snapshot'],
        ['recent', 'recent-0'],
        ['unclaimed', 'unclaimed-0'],
        ['decisions', 'decisions'],
      ]);
      for (const kind of kinds) {
        const { signatures } = openEnvelope(
          world.disk.roles.get(names.get(kind) ?? '')?.bytes ?? new Uint8Array(),
          kind,
        );
        expect(signatures.map(({ keyId }) => keyId)).toEqual([freshKey(kind, 1).keyId]);
      }
      expect(await refusal('{"files":[]}')).toBe('SUBMISSION_INVALID');
      repository = await open();
      looks(watcher(world));
    },
  );

  it('are found by the other processes, and after a restart', async () => {
    await repository.close();
    const pause = (millis: number): Promise<void> =>
      new Promise((resolve) => (millis < 1_000 ? setImmediate(resolve) : undefined));
    const elected: Partial<RepositoryOptions> = { publishes: 'when-elected', pause };
    const publisher = await open(elected);
    const follower = await open(elected);
    for (const kind of KINDS) keys.add(freshKey(kind, 1));
    repository = follower;
    await meet({ online: generation(KINDS, 1) });
    await publish(follower, await claimOf(author('later')));
    await publisher.close();
    await follower.renew();
    await publish(follower, await claimOf(author('latest')));
    looks(watcher(world));
  });

  it('replace one that is lost: the service opens without it, and says so when it must sign', async () => {
    await repository.close();
    keys = keyFolder(...Object.values(ONLINE).filter((key) => key !== ONLINE.snapshot && key !== ONLINE.recent));
    repository = await open();
    const sent = await repository.submit(await claimOf(author('waiting')));
    await expect(sent.published).rejects.toMatchObject({ code: 'KEY_MISSING' });
    for (const kind of ['snapshot', 'recent'] as const) keys.add(freshKey(kind, 1));
    await meet({ online: generation(['snapshot', 'recent'], 1) });
    await repository.renew();
    expect(repository.owner(author('waiting').project)?.kind).toBe('recent');
    looks(watcher(world));
  });

  it('of bins: every bin is written again', async () => {
    world = await newWorld(0, { bitLength: 4, form: 'classic' });
    repository = await open();
    await upload(repository, 'one');
    const paths = Array.from({ length: 40 }, (_, i) => `files/${i}`);
    const files = paths.map((path) => ({ path, sha256: factsOf(Buffer.from('one')).sha256 }));
    await publish(repository, submissionText({ files }));
    const steady = watcher(world);
    const online = { bins: freshKey('bins', 1), timestamp: freshKey('timestamp', 1) };
    for (const key of Object.values(online)) keys.add(key);
    await meet({ online });
    await meet({ bins: 'renew' });
    await meet({ quorum: keySetOf([ada, cyd], 2) }, [ada, ben, cyd]);
    for (const client of [steady, watcher(world)]) {
      client.refresh();
      for (const path of paths) expect(client.fetch(path)).toBe('one');
    }
    repository = await open();
    await publish(repository, submissionText({ remove: ['files/0'] }));
    expect(watcher(world).find('files/0')).toBeUndefined();
  });

  it('end what a thief of the old ones did: fast-forward and forged names (§5.3.11)', async () => {
    // The thief signs a snapshot and a timestamp of far versions, and gives a recent name away.
    const victim = watcher(world);
    const truth = new Map(world.disk.site);
    const thief = seededKey('thief');
    const theirs = (bytes: Uint8Array | undefined, role: string) =>
      openEnvelope(bytes ?? new Uint8Array(), role).signed;
    const shard = `recent-${debug.directory.charAt(4)}`;
    const present = presentOf(world, shard);
    const delegations = present?.delegations;
    if (present === undefined || delegations === undefined) throw new Error('no shard');
    const stolen = editTargets(
      { ...present, version: 998 },
      {
        expires: world.clock.now + YEAR,
        delegations: {
          ...delegations,
          keys: new Map([[thief.keyId, thief.key]]),
          roles: delegations.roles.map((role) => ({ ...role, keyIds: [thief.keyId] })),
        },
      },
    );
    const shardFile = await signFile(stolen, [ONLINE.recent]);
    const forged = await roleText(
      { ...(presentOf(world, debug.role) ?? present), version: 998 },
      { set: [targetOf(debug, 'a', 'two')] },
      [thief],
    );
    const snapshot = readSnapshot(theirs(world.disk.roles.get('snapshot')?.bytes, 'snapshot'));
    const listed = editSnapshot(
      { ...snapshot, version: 998 },
      {
        expires: world.clock.now + YEAR,
        set: new Map([
          [shard, { version: 999, length: undefined, hashes: undefined }],
          [debug.role, { version: 999, length: undefined, hashes: undefined }],
        ]),
      },
    );
    const timestamp = readTimestamp(theirs(world.disk.roles.get('timestamp')?.bytes, 'timestamp'));
    const latest = editTimestamp(
      { ...timestamp, version: 998 },
      {
        expires: world.clock.now + YEAR,
        snapshot: { version: 999, length: undefined, hashes: undefined },
      },
    );
    world.disk.site.set(`metadata/999.${shard}.json`, shardFile);
    world.disk.site.set(`metadata/999.${debug.role}.json`, utf8(forged));
    world.disk.site.set('metadata/999.snapshot.json', await signFile(listed, [ONLINE.snapshot]));
    world.disk.site.set('metadata/timestamp.json', await signFile(latest, [ONLINE.timestamp]));
    victim.refresh();
    expect(victim.find(`${debug.directory}/a`)?.target.hashes.get('sha256')).toBe(factsOf(Buffer.from('two')).sha256);
    // Even so: no claimed name.
    expect(victim.fetch(`${ms.directory}/a`)).toBe('one');

    // The operator takes the site back: the victim refuses it.
    for (const url of world.disk.site.keys()) world.disk.site.delete(url);
    for (const [url, bytes] of truth) world.disk.site.set(url, bytes);
    expect(await codeOf(() => victim.refresh())).toBe('ROLLBACK');
    for (const kind of KINDS) keys.add(freshKey(kind, 1));
    await meet({ online: generation(KINDS, 1) });
    victim.refresh();
    looks(victim);
    expect(victim.state.snapshot.content.version).toBeLessThan(100);
    // What the thief still signs counts for nothing.
    world.disk.site.set('metadata/timestamp.json', await signFile(latest, [ONLINE.timestamp]));
    expect(await codeOf(() => victim.refresh())).toBe('THRESHOLD_NOT_MET');
  });

  it('at every step that a crash can come between, the next process goes on', async () => {
    for (const kind of KINDS) keys.add(freshKey(kind, 1));
    const text = await meetingText(
      world,
      { expires: BEGIN + YEAR, online: generation(['timestamp', 'snapshot'], 1), quorum: keySetOf([ada, cyd], 2) },
      [ada, ben, cyd],
    );
    await repository.close();
    const steady = watcher(world);
    let died = 0;
    for (let last = 0; last < 1_000; last++) {
      let steps = 0;
      const dying = await world
        .open({ signers: keys.find }, () => {
          if (steps++ >= last) throw new Error('killed');
        })
        .catch(() => undefined);
      const receipt = await dying?.submit(text).catch(() => undefined);
      const done = await receipt?.published.catch(() => undefined);
      steady.refresh();
      looks(watcher(world));
      if (done !== undefined) break;
      died++;
    }
    repository = await open();
    await repository.renew();
    steady.refresh();
    looks(steady);
    expect(died).toBeGreaterThan(10);
    expect(rootOf(world).version).toBe(2);
  });
});
