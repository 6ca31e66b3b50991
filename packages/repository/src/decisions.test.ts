import {
  binOf,
  days,
  editTargets,
  hex,
  objectOf,
  ownerRoleName,
  type Signer,
  SignerError,
  shardName,
  signFile,
  utf8,
} from '@countersign/core';
import {
  type NameBody,
  type NameRecord,
  openDecision,
  ownersOf,
  previousOf,
  Register,
  signDecision,
} from '@countersign/decisions';
import { seededKey } from '@countersign/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  type Author,
  author,
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
  replayed,
  roleText,
  sessionOf,
  sha256,
  submissionOf,
  targetOf,
  upload,
  type World,
  watcher,
} from '../test/world.ts';
import { openReceipt, type Repository, signClaim, submissionText } from './index.ts';
import { listFiles } from './list-files.ts';
import { shardDraft } from './shards.ts';

let world: World;
let repository: Repository;
const ms = author('ms');
const debug = author('debug');
const second = seededKey('second key of ms');
const finder = seededKey('new owner of ms');

beforeEach(async () => {
  world = await newWorld();
  repository = await world.open();
  await publish(repository, await claimOf(ms));
});

const refusal = (text: string): Promise<string | undefined> => refusalOf(world, repository, text);
const evidence = hex(sha256(utf8('a private document')));

function recordOf(by: Author = ms): NameRecord {
  const record = replayed(world).record(by.project.ecosystem, by.project.name);
  if (record === undefined) throw new Error('nobody speaks for it');
  return record;
}

/** A decision about a name as it stands. */
async function decide(
  body: NameBody,
  signers: readonly Signer[],
  side: 'owners' | 'quorum',
  by: Author = ms,
): Promise<string> {
  const record = recordOf(by);
  const { ecosystem, name } = by.project;
  const subject = { collection: 'main', ecosystem, name, epoch: record.epoch };
  return await signDecision({ ...subject, previous: previousOf(record, body.decision, side), ...body }, signers);
}

/** The next version of the owner role of an epoch. */
async function next(signers: readonly Signer[], epoch = 1, edit: Parameters<typeof roleText>[1] = {}) {
  const role = ownerRoleName(ms.project, epoch);
  return { role, file: await roleText(presentOf(world, role), edit, signers) };
}

/** The files that a publication wrote. */
function written(publication: number): readonly string[] {
  return (world.disk.made.get(publication)?.files ?? []).map(({ role }) => role).sort();
}

const head = (): number => world.disk.publications.length;
const trail = (): readonly string[] | undefined => watcher(world).list(ms.directory).owners[0]?.trail;
const countersign = async (): Promise<void> => publish(repository, submissionText(await sessionOf(world)));

describe("one name's change rewrites no more than", () => {
  const recent = shardName('recent', ms.directory.charAt(4));
  const claimed = shardName('claimed', ms.directory.charAt(4));

  it('its shard, owner role, snapshot and timestamp, and the list of decisions', async () => {
    for (const i of [1, 2, 3, 4, 5]) await publish(repository, await claimOf(author(`other-${i}`)));
    const body = { decision: 'owners', owners: ownersOf([...ms.keys, second], 1) } as const;
    await publish(repository, submissionText({ decisions: [await decide(body, [...ms.keys, second], 'owners')] }));
    // A single owner's request waits: nothing that clients see changes but the list.
    expect(written(head())).toEqual(['decisions', 'snapshot', 'timestamp']);
    world.clock.now += days(8);
    await repository.renew();
    expect(written(head())).toEqual(['decisions', recent, 'snapshot', 'timestamp'].sort());
    await publish(repository, submissionText({ roles: [await next([second])] }));
    expect(written(head())).toEqual([ms.role, 'snapshot', 'timestamp']);
    world.clock.now += days(1);
    await publish(repository, submissionText(await sessionOf(world, { except: except([ms]) })));
    expect(written(head())).toEqual([claimed, 'decisions', recent, 'snapshot', 'timestamp'].sort());
  });

  function except(but: readonly Author[]): readonly string[] {
    const names = but.map(({ project }) => `pkg/${project.name}`);
    const all = replayed(world).unsettled();
    return all.map(({ ecosystem, name }) => `${ecosystem}/${name}`).filter((name) => !names.includes(name));
  }

  it('a new version: owner role, snapshot and timestamp', async () => {
    await upload(repository, 'x');
    await publish(repository, submissionText({ roles: [await next(ms.keys, 1, { set: [targetOf(ms, 'f', 'x')] })] }));
    expect(written(head())).toEqual([ms.role, 'snapshot', 'timestamp']);
  });

  it('a freeze: the list of decisions', async () => {
    await publish(
      repository,
      submissionText({ decisions: [await decide({ decision: 'freeze', reason: 'panic' }, ms.keys, 'owners')] }),
    );
    expect(written(head())).toEqual(['decisions', 'snapshot', 'timestamp']);
  });
});

describe('a name that one key has frozen', () => {
  beforeEach(async () => {
    const freeze = await decide({ decision: 'freeze', reason: 'panic' }, ms.keys, 'owners');
    await publish(repository, submissionText({ decisions: [freeze] }));
  });

  it('admits nothing until it is lifted', async () => {
    expect(await refusal(submissionText({ roles: [await next(ms.keys)] }))).toBe('NAME_FROZEN');
    const lift = await decide({ decision: 'lift' }, ms.keys, 'owners');
    await publish(repository, submissionText({ decisions: [lift], roles: [await next(ms.keys)] }));
    expect(presentOf(world, ms.role)?.version).toBe(2);
  });

  it('says the same when the decision comes again after its answer was lost', async () => {
    const lift = submissionText({ decisions: [await decide({ decision: 'lift' }, ms.keys, 'owners')] });
    await publish(repository, lift);
    const before = head();
    expect((await repository.submit(lift)).id).toBeUndefined();
    expect(head()).toBe(before);
  });

  it('is refused to others, with the rule and what to do next', async () => {
    const stranger = await decide({ decision: 'lift' }, [finder], 'owners');
    expect(await refusal(submissionText({ decisions: [stranger] }))).toBe('SUBMISSION_UNSIGNED');
  });
});

describe('a claimed name whose owners change', () => {
  beforeEach(countersign);
  const both = [...ms.keys, second];

  it('is rotating: what is published needs the countersigned owners and the new ones', async () => {
    const body = { decision: 'owners', owners: ownersOf(both, 2) } as const;
    const decision = await decide(body, both, 'owners');
    await publish(repository, submissionText({ decisions: [decision] }));
    world.clock.now += days(8);
    // Clients would be led by the next session to a role that its new owners have not signed.
    const before = head();
    await repository.renew();
    expect(recordOf().pending).toBeDefined();
    expect(head()).toBe(before + 1); // the timestamp
    await repository.renew();
    expect(head()).toBe(before + 1);
    await publish(repository, submissionText({ roles: [await next(both)] }));
    await repository.renew();
    expect(recordOf().pending).toBeUndefined();
    expect(await refusal(submissionText({ roles: [await next(ms.keys)] }))).toBe('SUBMISSION_UNSIGNED');
    expect(await refusal(submissionText({ roles: [await next([second])] }))).toBe('SUBMISSION_UNSIGNED');
    await publish(repository, submissionText({ roles: [await next(both)] }));
    await countersign();
    expect(await refusal(submissionText({ roles: [await next(ms.keys)] }))).toBe('SUBMISSION_UNSIGNED');
    await publish(repository, submissionText({ roles: [await next(both)] }));
    expect(trail()).toEqual(['targets', shardName('claimed', ms.directory.charAt(4)), ms.role]);
  });
});

describe('a recovery', () => {
  const body = { decision: 'recover', owners: ownersOf([finder]), reason: 'lost', evidence } as const;
  const role = ownerRoleName(ms.project, 2);

  it.each(['recent', 'claimed'] as const)('of a %s name begins a new epoch that clients find', async (kind) => {
    if (kind === 'claimed') await countersign();
    const recover = await decide(body, [...OFFLINE, finder], 'quorum');
    await publish(repository, submissionText({ decisions: [recover], roles: [await next([finder], 2)] }));
    expect(trail()?.at(-1)).toBe(ms.role);
    world.clock.now += days(15);
    await repository.renew();
    expect(recordOf().epoch).toBe(2);
    if (kind === 'claimed') {
      expect(trail()?.at(-1)).toBe(ms.role);
      // Between two epochs: the new owners get ready, the old ones are over.
      expect(await refusal(submissionText({ roles: [await next(ms.keys)] }))).toBe('SUBMISSION_FOREIGN');
      await publish(repository, submissionText({ roles: [await next([finder], 2)] }));
      await countersign();
    }
    expect(trail()).toEqual(['targets', shardName(kind, ms.directory.charAt(4)), role]);
    await upload(repository, 'x');
    const file = await next([finder], 2, { set: [targetOf(ms, 'f', 'x')] });
    await publish(repository, submissionText({ roles: [file] }));
    expect(watcher(world).fetch(`${ms.directory}/f`)).toBe('x');
    expect(presentOf(world, shardName(kind, ms.directory.charAt(4)))?.json.get('custom')).toEqual(
      objectOf({ epochs: { [role]: { by: 'recover', sequence: recordOf().cameBy.sequence } } }),
    );
    // A new process reads the same from the ledger.
    expect((await world.open()).owner(ms.project)?.record.epoch).toBe(2);
  });

  it('waits for the first version of the new role, which may come with its completion', async () => {
    await publish(repository, submissionText({ decisions: [await decide(body, [...OFFLINE, finder], 'quorum')] }));
    world.clock.now += days(15);
    await repository.renew();
    const before = head();
    await repository.renew();
    expect([head(), recordOf().epoch, trail()?.at(-1)]).toEqual([before, 1, ms.role]);
    const complete = await decide({ decision: 'complete' }, [], 'owners');
    expect(await refusal(submissionText({ decisions: [complete] }))).toBe('SUBMISSION_INVALID');
    expect(await refusal(submissionText({ decisions: [complete], roles: [await next(ms.keys, 2)] }))).toBe(
      'SUBMISSION_UNSIGNED',
    );
    await publish(repository, submissionText({ decisions: [complete], roles: [await next([finder], 2)] }));
    expect(trail()?.at(-1)).toBe(role);
  });

  it('waits on when a process takes over, and is completed by it', async () => {
    const recover = await decide(body, [...OFFLINE, finder], 'quorum');
    await publish(repository, submissionText({ decisions: [recover], roles: [await next([finder], 2)] }));
    await repository.close();
    world.clock.now += days(15);
    repository = await world.open();
    await repository.renew();
    expect(recordOf().epoch).toBe(2);
  });

  it('is ended by any owner, with nothing changed', async () => {
    await publish(repository, submissionText({ decisions: [await decide(body, [...OFFLINE, finder], 'quorum')] }));
    await publish(repository, submissionText({ decisions: [await decide({ decision: 'veto' }, ms.keys, 'owners')] }));
    world.clock.now += days(15);
    await repository.renew();
    expect([recordOf().epoch, trail()?.at(-1)]).toEqual([1, ms.role]);
    expect(await refusal(submissionText({ roles: [await next([finder], 2)] }))).toBe('SUBMISSION_FOREIGN');
  });
});

describe('a session', () => {
  it('takes many names at once, with one file for each shard that it touches', async () => {
    const others = Array.from({ length: 60 }, (_, i) => author(`p${i}`));
    await Promise.all(others.map(async (by) => publish(repository, await claimOf(by))));
    const session = await sessionOf(world);
    expect(session.roles.length).toBeLessThanOrEqual(16);
    await publish(repository, submissionText(session));
    expect(repository.status().projects).toEqual({ claimed: 61, recent: 0 });
    expect((await world.open()).status().projects).toEqual({ claimed: 61, recent: 0 });
  });

  it('is not spoilt by what is listed after it was signed', async () => {
    const session = await sessionOf(world);
    await publish(repository, await claimOf(debug));
    await publish(repository, submissionText(session));
    expect(repository.owner(ms.project)?.kind).toBe('claimed');
    expect(repository.owner(debug.project)?.kind).toBe('recent');
  });

  it('that came before another one is stale', async () => {
    const session = await sessionOf(world);
    await publish(repository, await claimOf(debug));
    await countersign();
    expect(await refusal(submissionText(session))).toBe('DECISION_STALE');
  });

  it('cannot be held by online keys', async () => {
    const online = await sessionOf(world, { by: [seededKey('recent'), seededKey('decisions')] });
    expect(await refusal(submissionText(online))).toBe('SUBMISSION_UNSIGNED');
  });
});

describe('opening a ledger', () => {
  it('is refused when its shards do not say what its list says', async () => {
    await publish(repository, await claimOf(debug));
    const { ledger } = await import('../test/memory-store.ts').then(({ memoryStore }) => memoryStore(world.disk));
    const lost = {
      ...ledger,
      async *decisions() {
        for await (const row of ledger.decisions(1)) if (row.sequence < 3) yield row;
      },
    };
    expect(await codeOf(world.open({ ledger: lost }))).toBe('DECISIONS_INVALID');
    expect(await codeOf(world.open())).toBeUndefined();
  });

  it('is refused when somebody without our keys has made list, shards and head agree on what nobody signed', async () => {
    const { ledger } = await import('../test/memory-store.ts').then(({ memoryStore }) => memoryStore(world.disk));
    const thief = seededKey('thief');
    const expires = world.clock.now + days(9);
    const register = replayed(world);
    const trusting = { hash: nodeCrypto.hash.bind(nodeCrypto), check: () => true };
    const forged = new Register({ ...register.rules, crypto: trusting }, register);
    const unsigned = { ...finder, sign: () => new Uint8Array(64) };
    const claim = await signClaim('main', debug.project, [unsigned]);
    const listed = forged.append(claim, { at: world.clock.now, publication: 2 });
    const shard = shardName('recent', binOf(debug.project, sha256).slice(0, 1));
    const draft = shardDraft(shard, 2, expires, forged, (...name) => ECOSYSTEMS.project(...name));
    const set = listFiles([], [listed], forged, nodeCrypto).map(({ target }) => target);
    const files = new Map([
      [shard, await signFile(draft, [thief])],
      ['decisions', await signFile(editTargets(presentOf(world, 'decisions'), { expires, set }), [thief])],
    ]);
    const lying = {
      ...ledger,
      file: async (role: string, version?: number) => files.get(role) ?? (await ledger.file(role, version)),
      async *decisions() {
        yield* ledger.decisions(1);
        yield { sequence: listed.entry.sequence, text: listed.line };
      },
    };
    expect(await codeOf(world.open({ ledger: lying }))).toBe('DECISIONS_INVALID');
  });
});

it('only the repository notes a root', async () => {
  const note = { decision: 'root', collection: 'main', previous: '', version: 2, sha256: evidence } as const;
  expect(await refusal(submissionText({ decisions: [await signDecision(note, [])] }))).toBe('DECISION_STALE');
  expect(await refusal(submissionOf([ms.role, 'x']))).toBe('SUBMISSION_INVALID');
});

describe('a receipt', () => {
  const authority = () => {
    const { delegations } = watcher(world).state.targets.content;
    const role = delegations?.roles.find(({ name }) => name === 'decisions');
    if (delegations === undefined || role === undefined) throw new Error('there is no list');
    return { keys: delegations.keys, role, name: 'decisions' };
  };

  it('for each journaled decision is signed by the key of the list', async () => {
    const veto = await decide({ decision: 'freeze', reason: 'panic' }, ms.keys, 'owners');
    const { id, receipts, published } = await repository.submit(submissionText({ decisions: [veto] }));
    const [receipt = ''] = receipts;
    const { id: decision } = openDecision(veto, nodeCrypto);
    expect(openReceipt(receipt, authority(), nodeCrypto)).toEqual({
      collection: 'main',
      decision,
      received: world.clock.now,
      submission: id,
    });
    await published;
    expect(await codeOf(() => openReceipt(receipt.replace('"sig":"', '"sig":"AAAA'), authority(), nodeCrypto))).toBe(
      'SUBMISSION_UNSIGNED',
    );
    expect(await codeOf(() => openReceipt(veto, authority(), nodeCrypto))).toBe('SUBMISSION_INVALID');
  });

  it('is missing while its key is out of reach, and the decision is held up, not lost', async () => {
    const sign = (): never => {
      throw new SignerError('KEY_MISSING', 'the token is gone');
    };
    const broken = await world.open({ signers: { ...ONLINE, decisions: { ...ONLINE.decisions, sign } } });
    const freeze = await decide({ decision: 'freeze', reason: 'panic' }, ms.keys, 'owners');
    const { receipts, published } = await broken.submit(submissionText({ decisions: [freeze] }));
    expect(receipts).toEqual([]);
    expect(await codeOf(published)).toBe('KEY_MISSING');
    await (await world.open()).renew();
    expect(recordOf().frozen).toBeDefined();
  });
});
