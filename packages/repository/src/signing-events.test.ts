// Several people and one submission: who counts, who is missing, who may not.

import { nodeCrypto } from '@countersign/client/node';
import {
  type Authority,
  cosign,
  days,
  editTargets,
  openEnvelope,
  openStatement,
  type Signer,
  signFile,
  signStatement,
  utf8,
  utf8Text,
} from '@countersign/core';
import { generateSigner } from '@countersign/signers';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Disk, emptyDisk, memoryStore } from '../test/memory-store.ts';
import { decisionPart, type SignableSubmission, SigningEvents } from './signing-events.ts';

const TYPE = 'application/vnd.countersign.decision+json';
const [ada, ben, eve] = [generateSigner(), generateSigner(), generateSigner()];
let now = Date.UTC(2030, 0, 1);
let disk: Disk;
let events: SigningEvents;

function owners(signers: readonly Signer[], threshold: number): Authority {
  const keyIds = signers.map(({ keyId }) => keyId);
  return { keys: new Map(signers.map(({ keyId, key }) => [keyId, key])), role: { keyIds, threshold }, name: 'owners' };
}

beforeEach(() => {
  now = Date.UTC(2030, 0, 1);
  disk = emptyDisk();
  let count = 0;
  events = new SigningEvents({
    ledger: memoryStore(disk).ledger,
    crypto: nodeCrypto,
    clock: () => now,
    newId: () => `event-${++count}`,
    statementType: TYPE,
    demands: async ({ roles, decisions }) => [
      ...roles.map(({ role }) => ({ part: role, authorities: [owners([ada, ben], 2)] })),
      ...decisions.map((_, index) => ({ part: decisionPart(index), authorities: [owners([ada, ben], 2)] })),
    ],
  });
});

async function unsigned(): Promise<SignableSubmission> {
  const file = utf8Text(await signFile(editTargets(undefined, { expires: now + days(365) }), [])) ?? '';
  const statement = utf8Text(await signStatement(TYPE, utf8('{"_type":"decision"}'), [])) ?? '';
  return { roles: [{ role: 'npm.1.ms', file }], decisions: [statement] };
}

async function signaturesOf(
  submission: SignableSubmission,
  signer: Signer,
): Promise<Parameters<SigningEvents['sign']>[1]> {
  const [role] = submission.roles;
  const [statement = ''] = submission.decisions;
  const ofRole = await cosign(openEnvelope(utf8(role?.file ?? ''), 'npm.1.ms').message, [signer]);
  const ofDecision = await cosign(openStatement(utf8(statement), TYPE, 'it').message, [signer]);
  return [
    ...ofRole.map((one) => ({ part: 'npm.1.ms', ...one })),
    ...ofDecision.map((one) => ({ part: 'decision 1', ...one })),
  ];
}

describe('a signing event', () => {
  it('shows who has signed and who is missing until nobody is', async () => {
    const submission = await unsigned();
    const opened = await events.open(submission, 'publish ms 2.0.0', 'ada');
    expect(opened).toMatchObject({
      id: 'event-1',
      complete: false,
      parts: [{ part: 'npm.1.ms', met: false }, { met: false }],
    });
    const one = await events.sign('event-1', await signaturesOf(submission, ada));
    expect(one.parts[0]?.thresholds).toEqual([{ threshold: 2, signed: [ada.keyId], missing: [ben.keyId], met: false }]);
    expect((await events.list()).map(({ id, complete }) => [id, complete])).toEqual([['event-1', false]]);
    const both = await events.sign('event-1', await signaturesOf(submission, ben));
    expect([both.complete, both.parts.every(({ met }) => met)]).toEqual([true, true]);
    // What was gathered is what a submission needs.
    expect(openEnvelope(utf8(both.submission.roles[0]?.file ?? ''), 'npm.1.ms').signatures).toHaveLength(2);
    await events.conclude('event-1', 7);
    expect(await events.get('event-1')).toMatchObject({ publication: 7, complete: true });
    expect(await events.list()).toEqual([]);
  });

  it('attack: a stranger’s signature, and rubbish under an owner’s key id, are refused and change nothing', async () => {
    const submission = await unsigned();
    await events.open(submission, 'publish', 'ada');
    await events.sign('event-1', await signaturesOf(submission, ada));
    const before = disk.documents.get('signing-event event-1') ?? [...disk.documents.values()][0];
    const rubbish = (await signaturesOf(submission, ben)).map((one) => ({ ...one, bytes: new Uint8Array(64) }));
    for (const signatures of [await signaturesOf(submission, eve), rubbish]) {
      await expect(events.sign('event-1', signatures)).rejects.toMatchObject({ code: 'SUBMISSION_UNSIGNED' });
    }
    expect(disk.documents.get('signing-event event-1') ?? [...disk.documents.values()][0]).toEqual(before);
  });

  it('two who sign at the same moment both count', async () => {
    const submission = await unsigned();
    await events.open(submission, 'publish', 'ada');
    await Promise.all([ada, ben].map(async (signer) => events.sign('event-1', await signaturesOf(submission, signer))));
    expect((await events.get('event-1')).complete).toBe(true);
  });

  it('is over after a month, and only its opener withdraws it', async () => {
    const submission = await unsigned();
    await events.open(submission, 'publish', 'ada');
    await expect(events.withdraw('event-1', 'eve')).rejects.toMatchObject({ code: 'FORBIDDEN' });
    now += days(31);
    expect(await events.list()).toEqual([]);
    await expect(events.sign('event-1', await signaturesOf(submission, ada))).rejects.toMatchObject({
      code: 'SUBMISSION_STALE',
    });
    await events.withdraw('event-1', 'ada');
    await expect(events.get('event-1')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('does not fill the ledger: a bound for each account, and one for its size', async () => {
    const submission = await unsigned();
    for (let i = 0; i < 100; i++) await events.open(submission, 'publish', 'ada');
    await expect(events.open(submission, 'publish', 'ada')).rejects.toMatchObject({ code: 'SUBMISSION_TOO_LARGE' });
    await expect(events.open(submission, 'publish', 'ben')).resolves.toMatchObject({ account: 'ben' });
    const large = { ...submission, extra: 'x'.repeat(8_000_000) };
    await expect(events.open(large, 'publish', 'ben')).rejects.toMatchObject({ code: 'SUBMISSION_TOO_LARGE' });
    await expect(events.open(submission, 'two\nlines', 'ben')).rejects.toMatchObject({ code: 'SUBMISSION_INVALID' });
  });
});
