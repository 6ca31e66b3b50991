import { canonicalBytes } from '@countersign/core';
import { aliasOf } from '@countersign/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { EVIDENCE, hashOf, key, quorum, refusal, signed, statement, type World, world } from '../test/world.ts';
import { ownersOf, publishersOf } from './index.ts';

const [a, b, c] = [key('ann'), key('bob'), key('cyd')];
const [t1, t2] = [key('thief'), key('thief 2')];
const [qa, qb, qc] = [key('quorum a'), key('quorum b'), key('quorum c')];

let w: World;
beforeEach(() => {
  w = world();
});

/** A claimed name of some owners, long in force. */
function owned(
  owners: Parameters<typeof ownersOf>[0],
  threshold: number,
  by = [a, b, c].slice(0, owners.length),
): void {
  w.put({ decision: 'claim', owners: ownersOf(owners, threshold) }, by);
  w.countersign();
  w.pass(30);
}

describe('a thief of one key', () => {
  it('three-step takeover: add two keys, raise the threshold, remove the owner', () => {
    owned([a], 1);
    // One key signs alone, so nothing happens at once, and the owner hears of it.
    w.put({ decision: 'owners', owners: ownersOf([a, t1, t2], 1) }, [a, t1, t2]);
    expect(w.state()).toBe('transfer-pending');
    expect(w.record()?.authority).toEqual(ownersOf([a], 1));
    const raise = { decision: 'owners', owners: ownersOf([a, t1, t2], 2) } as const;
    expect(refusal(w, () => w.put(raise, [a, t1, t2]))).toEqual({ code: 'DECISION_REFUSED', rule: 'settled' });
    w.put({ decision: 'veto' }, [a]);
    // Should nobody have looked for a week, the owner still cannot be removed at once.
    w.put({ decision: 'owners', owners: ownersOf([a, t1, t2], 1) }, [a, t1, t2]);
    w.pass(7);
    w.put({ decision: 'complete' });
    w.put({ decision: 'owners', owners: ownersOf([a, t1, t2], 2) }, [t1, t2]);
    expect(w.record()?.authority.threshold).toBe(2);
    w.put({ decision: 'owners', owners: ownersOf([t1, t2], 2) }, [t1, t2]);
    expect(w.state()).toBe('transfer-pending');
    w.put({ decision: 'veto' }, [a]);
    expect(w.record()?.authority.keyIds).toContain(a.keyId);
  });

  it('survival: a key that a thief adds at once would outlive the revocation of the stolen one', () => {
    owned([a], 1);
    w.put({ decision: 'owners', owners: ownersOf([a, t1], 1) }, [a, t1]);
    w.put({ decision: 'revoke', keyId: a.keyId }, [a]);
    expect(w.record()).toMatchObject({ pending: undefined, authority: ownersOf([a], 1) });
    w.pass(30);
    for (const thief of [a, t1]) {
      expect(refusal(w, () => w.put({ decision: 'lift' }, [thief]))).toMatchObject({ rule: 'signers' });
    }
  });

  it('one key against another: a freeze is not lifted by the other key', () => {
    owned([a, b], 1);
    w.put({ decision: 'freeze', reason: 'panic' }, [b]);
    expect(refusal(w, () => w.put({ decision: 'lift' }, [a]))).toEqual({
      code: 'DECISION_REFUSED',
      rule: 'unopposed',
    });
    expect(refusal(w, () => w.put({ decision: 'owners', owners: ownersOf([a], 1) }, [a]))).toMatchObject({
      rule: 'moving',
    });
    w.put({ decision: 'lift' }, [b]);
    expect(w.state()).toBe('claimed');
  });

  it('outrunning: a thief who decides without end cannot make veto, freeze or revocation late', () => {
    owned([a], 1);
    const freeze = signed(w.decision({ decision: 'freeze', reason: 'panic' }), [a]);
    const revoke = signed(w.decision({ decision: 'revoke', keyId: a.keyId }), [a]);
    const recover = w.decision({ ...RECOVER, owners: ownersOf([b], 1) }, 'quorum');
    for (let i = 0; i < 3; i++) {
      w.put({ decision: 'abandon' }, [a]);
      w.put({ decision: 'keep' }, [a]);
    }
    w.put({ decision: 'owners', owners: ownersOf([t1], 1) }, [a, t1]);
    const veto = signed(w.decision({ decision: 'veto' }), [a]);
    w.send(veto);
    w.put({ decision: 'owners', owners: ownersOf([t1], 1) }, [a, t1]);
    w.send(freeze);
    w.send(revoke);
    w.send(signed(recover, [qa, qb, b]));
    expect(w.record()?.pending).toMatchObject({ kind: 'recover' });
  });

  it('replays of what once was right are refused', () => {
    owned([a], 1);
    const freeze = signed(w.decision({ decision: 'freeze', reason: 'panic' }), [a]);
    w.send(freeze);
    const lift = signed(w.decision({ decision: 'lift' }), [a]);
    w.send(lift);
    expect(refusal(w, () => w.send(freeze))).toEqual({ code: 'DECISION_STALE', rule: 'previous' });
    w.put({ decision: 'freeze', reason: 'panic' }, [a]);
    expect(refusal(w, () => w.send(lift))).toEqual({ code: 'DECISION_STALE', rule: 'previous' });
    w.put({ decision: 'lift' }, [a]);
    const request = signed(w.decision({ decision: 'owners', owners: ownersOf([a, b], 1) }), [a, b]);
    // Both present keys do not exist yet: one key asks, and waits.
    expect(w.send(request).edge).toBe('owners-alone');
    const veto = signed(w.decision({ decision: 'veto' }), [a]);
    w.send(veto);
    expect(refusal(w, () => w.send(request))).toEqual({ code: 'DECISION_STALE', rule: 'previous' });
    w.put({ decision: 'owners', owners: ownersOf([a, b], 1) }, [a, b]);
    // A veto is for one request, and not for a later one that asks the same.
    expect(refusal(w, () => w.send(veto))).toEqual({ code: 'DECISION_STALE', rule: 'previous' });
    expect(
      refusal(w, () => w.put({ decision: 'claim', owners: ownersOf([a], 1), epoch: 1, previous: '' }, [a])),
    ).toEqual({ code: 'NAME_TAKEN', rule: 'free' });
  });

  it('a veto by a revoked key counts for nothing', () => {
    owned([a, b], 1);
    w.put({ decision: 'revoke', keyId: a.keyId }, [a]);
    w.rule({ ...RECOVER, owners: ownersOf([c], 1) }, [qa, qb, c]);
    expect(refusal(w, () => w.put({ decision: 'veto' }, [a]))).toEqual({
      code: 'SUBMISSION_UNSIGNED',
      rule: 'signers',
    });
    expect(refusal(w, () => w.put({ decision: 'revoke', keyId: b.keyId }, [a]))).toMatchObject({ rule: 'signers' });
    expect(refusal(w, () => w.put({ decision: 'lift' }, [a]))).toMatchObject({ rule: 'signers' });
    w.put({ decision: 'veto' }, [b]);
    expect(w.record()?.pending).toBe(undefined);
  });

  it('a revoked key never comes back, not even with the owners or the quorum', () => {
    owned([a, b, c], 2);
    w.put({ decision: 'revoke', keyId: c.keyId }, [c]);
    w.put({ decision: 'lift' }, [a, b]);
    expect(w.record()?.authority).toEqual({ ...ownersOf([a, b], 2) });
    const again = { decision: 'owners', owners: ownersOf([a, b, c], 2) } as const;
    expect(refusal(w, () => w.put(again, [a, b, c]))).toMatchObject({ rule: 'unspent' });
    const recovery = { ...RECOVER, owners: ownersOf([c], 1) };
    expect(refusal(w, () => w.rule(recovery, [qa, qb, c]))).toMatchObject({ rule: 'unspent' });
  });

  it('a freeze ends what was asked for before it: nothing completes behind a frozen door', () => {
    owned([a], 1);
    w.put({ decision: 'owners', owners: ownersOf([t1], 1) }, [a, t1]);
    const complete = signed(w.decision({ decision: 'complete' }), []);
    w.put({ decision: 'freeze', reason: 'panic' }, [a]);
    w.pass(8);
    expect(refusal(w, () => w.send(complete))).toMatchObject({ rule: 'waiting' });
    w.put({ decision: 'lift' }, [a]);
    expect(refusal(w, () => w.send(complete))).toMatchObject({ rule: 'waiting' });
    expect(w.record()?.authority).toEqual(ownersOf([a], 1));
  });

  it("somebody else's key is not made an owner without its signature", () => {
    owned([a, b, c], 2);
    const owners = ownersOf([a, b, c, t1, t2], 2);
    expect(refusal(w, () => w.put({ decision: 'owners', owners }, [a, b, t1]))).toEqual({
      code: 'SUBMISSION_UNSIGNED',
      rule: 'signers',
    });
    w.put({ decision: 'owners', owners }, [a, b, t1, t2]);
    expect(w.record()?.authority).toEqual(owners);
  });

  it('one key of two in three changes nothing, and stops everything', () => {
    owned([a, b, c], 2);
    for (const said of [
      { decision: 'owners', owners: ownersOf([a, t1], 1) },
      { decision: 'owners', owners: ownersOf([a, b, c, t1], 2) },
      { decision: 'abandon' },
      { decision: 'retire', reason: 'ended', evidence: '' },
    ] as const) {
      expect(refusal(w, () => w.put(said, [a, t1].slice(0, 'owners' in said ? 2 : 1)))).toEqual({
        code: 'SUBMISSION_UNSIGNED',
        rule: 'signers',
      });
    }
    w.put({ decision: 'freeze', reason: 'panic' }, [a]);
    expect(refusal(w, () => w.put({ decision: 'lift' }, [a]))).toMatchObject({ rule: 'signers' });
    // The other two put the thief out at once, frozen or not, and lift it.
    expect(w.put({ decision: 'owners', owners: ownersOf([b, c], 2) }, [b, c]).edge).toBe('owners-together');
    w.put({ decision: 'lift' }, [b, c]);
    expect(w.state()).toBe('rotating');
  });
});

const RECOVER = { decision: 'recover', reason: 'lost', evidence: EVIDENCE } as const;

describe('claims', () => {
  const claim = (
    owners: Parameters<typeof ownersOf>[0],
    by: readonly (typeof a)[],
    threshold = 1,
  ): { code: string; rule: unknown } =>
    refusal(w, () => w.put({ decision: 'claim', owners: ownersOf(owners, threshold) }, by));

  it("with somebody else's key need that key's signature", () => {
    expect(claim([t1, a], [t1])).toEqual({ code: 'SUBMISSION_UNSIGNED', rule: 'signers' });
    expect(claim([a], [t1])).toEqual({ code: 'SUBMISSION_UNSIGNED', rule: 'signers' });
    expect(claim([a], [])).toEqual({ code: 'SUBMISSION_UNSIGNED', rule: 'signers' });
    expect(claim([a], [a, t1])).toEqual({ code: 'SUBMISSION_UNSIGNED', rule: 'strays' });
  });

  it('of another collection, a later epoch or a taken name are refused', () => {
    const said = { decision: 'claim', owners: ownersOf([t1], 1) } as const;
    expect(refusal(w, () => w.put({ ...said, collection: 'other' }, [t1]))).toEqual({
      code: 'SUBMISSION_INVALID',
      rule: 'collection',
    });
    expect(refusal(w, () => w.put({ ...said, epoch: 2 }, [t1]))).toEqual({ code: 'DECISION_STALE', rule: 'epoch' });
    expect(refusal(w, () => w.put({ ...said, previous: '1'.repeat(64) }, [t1]))).toMatchObject({ rule: 'previous' });
    owned([a], 1);
    expect(claim([t1], [t1])).toEqual({ code: 'NAME_TAKEN', rule: 'free' });
  });

  it('duplicate keys under two ids are refused, as are made-up ids', () => {
    const json = new Map([...a.key.json, ['x-note', 'again']]);
    const twin = { ...aliasOf(a, hashOf(Buffer.from(canonicalBytes(json)).toString())), key: { ...a.key, json } };
    expect(claim([a, twin], [a, twin], 2)).toMatchObject({ code: 'SUBMISSION_INVALID' });
    expect(claim([aliasOf(t1, a.keyId)], [t1])).toMatchObject({ code: 'SUBMISSION_INVALID' });
  });

  it('a statement has one spelling', () => {
    const text = signed(w.decision({ decision: 'claim', owners: ownersOf([a], 1) }), [a]);
    const payload = Buffer.from(String(JSON.parse(text).payload), 'base64').toString();
    const more = statement(Buffer.from(payload.replace('{', '{"also":1,')), [a]);
    const spaced = statement(Buffer.from(payload.replace('{', '{ ')), [a]);
    const other = statement(Buffer.from(payload), [a], 'application/vnd.countersign.claim+json');
    for (const bad of [more, spaced, other, 'null', '{}', text.slice(1), `${text} `.repeat(2)]) {
      expect(refusal(w, () => w.send(bad))).toMatchObject({ code: 'SUBMISSION_INVALID' });
    }
    expect(refusal(w, () => w.send(' '.repeat(1_100_000)))).toMatchObject({ code: 'SUBMISSION_TOO_LARGE' });
    expect(refusal(w, () => w.send(text.padEnd(70_000, ' ')))).toMatchObject({ code: 'SUBMISSION_TOO_LARGE' });
    // White space around the statement is nobody's business: what is signed is the payload.
    expect(w.send(`${text}\n`).entry.statement).toBe(`${text}\n`);
  });

  it.each([
    ['null', 'null'],
    ['{}', '{}'],
    ['a string for a number', JSON.stringify({ _type: 'decision', epoch: '1' })],
    [
      'an unknown decision',
      JSON.stringify({ _type: 'decision', collection: 'main', decision: '__proto__', previous: '' }),
    ],
    [
      'no reason',
      JSON.stringify({
        _type: 'decision',
        collection: 'main',
        decision: 'freeze',
        ecosystem: 'pkg',
        epoch: 1,
        name: 'ms',
        previous: '',
        reason: 'constructor',
      }),
    ],
  ])('payloads with %s are refused', (_what, payload) => {
    expect(refusal(w, () => w.send(statement(Buffer.from(payload), [a])))).toMatchObject({
      code: 'SUBMISSION_INVALID',
    });
  });
});

describe('the quorum', () => {
  it('one member changes nothing about anyone', () => {
    owned([a], 1);
    for (const said of [
      { ...RECOVER, owners: ownersOf([t1], 1) },
      { decision: 'adopt', reason: 'deceased', evidence: EVIDENCE, contacts: [], owners: ownersOf([t1], 1) },
      { decision: 'freeze', reason: 'legal' },
      { decision: 'retire', reason: 'malware', evidence: EVIDENCE },
    ] as const) {
      const by = 'owners' in said ? [qa, t1] : [qa];
      expect(refusal(w, () => w.rule(said, by))).toEqual({ code: 'SUBMISSION_UNSIGNED', rule: 'signers' });
    }
    expect(refusal(w, () => w.countersign([], undefined, [qa]))).toEqual({
      code: 'SUBMISSION_UNSIGNED',
      rule: 'quorum',
    });
    expect(refusal(w, () => w.countersign([], undefined, [qa, a]))).toMatchObject({ rule: 'quorum' });
    expect(refusal(w, () => w.countersign([], undefined, [qa, qb, a]))).toMatchObject({ rule: 'quorum' });
  });

  it('recovers after its delay, unless one owner key objects; the new keys must exist', () => {
    owned([a, b], 2);
    expect(refusal(w, () => w.rule({ ...RECOVER, owners: ownersOf([c, t1], 1) }, [qa, qb, c]))).toMatchObject({
      rule: 'signers',
    });
    w.rule({ ...RECOVER, owners: ownersOf([c], 1) }, [qa, qb, c]);
    w.pass(13.99);
    expect(refusal(w, () => w.put({ decision: 'complete' }))).toEqual({ code: 'DECISION_EARLY', rule: 'due' });
    w.put({ decision: 'veto' }, [b]);
    expect(w.state()).toBe('claimed');
    w.rule({ ...RECOVER, owners: ownersOf([c], 1) }, [qb, qc, c]);
    w.pass(14);
    w.put({ decision: 'complete' });
    expect(w.record()).toMatchObject({ epoch: 2, cameBy: { by: 'recover' }, authority: ownersOf([c], 1) });
    // Clients see the first epoch until the next session, and nobody can publish in between.
    expect(w.state()).toBe('rotating');
    const record = w.record();
    expect(record && publishersOf(record)).toBe(undefined);
    expect(refusal(w, () => w.put({ decision: 'freeze', reason: 'panic', epoch: 1 }, [a]))).toEqual({
      code: 'DECISION_STALE',
      rule: 'epoch',
    });
    expect(refusal(w, () => w.put({ decision: 'freeze', reason: 'panic' }, [a]))).toMatchObject({ rule: 'signers' });
    w.countersign();
    expect(w.record()?.countersigned).toMatchObject({ epoch: 2, authority: ownersOf([c], 1) });
  });

  it('a vetoed recovery cannot be replayed', () => {
    owned([a], 1);
    const text = signed(w.decision({ ...RECOVER, owners: ownersOf([t1], 1) }, 'quorum'), [qa, qb, t1]);
    w.send(text);
    w.put({ decision: 'veto' }, [a]);
    expect(refusal(w, () => w.send(text))).toEqual({ code: 'DECISION_STALE', rule: 'previous' });
  });

  it('standstill: a sole thief who vetoes without end is outlasted by a public freeze', () => {
    owned([a], 1);
    const recovery = { ...RECOVER, reason: 'stolen', owners: ownersOf([b], 1) } as const;
    w.rule(recovery, [qa, qb, b]);
    w.put({ decision: 'veto' }, [a]);
    w.rule({ decision: 'freeze', reason: 'dispute' }, [qa, qb]);
    w.pass(41);
    w.rule(recovery, [qa, qb, b]);
    w.put({ decision: 'veto' }, [a]);
    w.pass(1);
    w.rule(recovery, [qa, qb, b]);
    expect(refusal(w, () => w.put({ decision: 'veto' }, [a]))).toEqual({ code: 'DECISION_REFUSED', rule: 'vetoable' });
    w.pass(14);
    w.put({ decision: 'complete' });
    expect(w.record()).toMatchObject({ epoch: 2, authority: ownersOf([b], 1), frozen: undefined });
  });

  it("lifts no owner's fate: its freeze is lifted by itself only, its requests withdrawn by itself or vetoed", () => {
    owned([a, b], 2);
    w.rule({ decision: 'freeze', reason: 'malware' }, [qa, qb]);
    expect(refusal(w, () => w.put({ decision: 'lift' }, [a, b]))).toMatchObject({ rule: 'open' });
    expect(refusal(w, () => w.put({ decision: 'owners', owners: ownersOf([a, b, c], 2) }, [a, b, c]))).toMatchObject({
      rule: 'open',
    });
    w.rule({ decision: 'lift' }, [qa, qb]);
    w.put({ decision: 'owners', owners: ownersOf([t1], 1) }, [a, b, t1]);
    expect(refusal(w, () => w.rule({ decision: 'veto' }, [qa, qb]))).toMatchObject({ rule: 'own' });
    w.rule({ ...RECOVER, owners: ownersOf([c], 1) }, [qa, qb, c]);
    w.rule({ decision: 'veto' }, [qa, qb]);
    expect(w.state()).toBe('claimed');
  });

  it('adopts abandoned names with contacts only, ended ones as reissue only', () => {
    owned([a], 1);
    const adopt =
      (reason: 'abandoned' | 'reissue' | 'deceased', contacts: string[] = []) =>
      () =>
        w.rule({ decision: 'adopt', reason, evidence: EVIDENCE, contacts, owners: ownersOf([c], 1) }, [qa, qb, c]);
    expect(refusal(w, adopt('abandoned'))).toMatchObject({ rule: 'contacts' });
    const sameDay = ['2030-01-02T00:00:00Z', '2030-01-02T01:00:00Z', '2030-01-02T02:00:00Z'];
    expect(refusal(w, adopt('abandoned', sameDay))).toMatchObject({ rule: 'contacts' });
    const future = ['2030-01-02T00:00:00Z', '2030-01-05T00:00:00Z', '2040-01-02T02:00:00Z'];
    expect(refusal(w, adopt('abandoned', future))).toMatchObject({ rule: 'contacts' });
    expect(refusal(w, adopt('reissue'))).toMatchObject({ rule: 'reason' });
    adopt('abandoned', ['2030-01-02T00:00:00Z', '2030-01-05T00:00:00Z', '2030-01-20T00:00:00Z'])();
    expect(w.record()?.pending?.until).toBe(w.now + 42 * 86_400_000);
    w.put({ decision: 'veto' }, [a]);
    w.put({ decision: 'abandon' }, [a]);
    adopt('deceased')();
    expect(w.record()?.pending?.until).toBe(w.now + 7 * 86_400_000);
    w.put({ decision: 'veto' }, [a]);
    w.put({ decision: 'retire', reason: 'ended', evidence: '' }, [a]);
    w.pass(7);
    w.put({ decision: 'complete' });
    expect(w.state()).toBe('tombstoned');
    expect(refusal(w, () => w.put({ decision: 'claim', owners: ownersOf([t1], 1) }, [t1]))).toMatchObject({
      rule: 'free',
    });
    expect(refusal(w, () => w.rule({ ...RECOVER, owners: ownersOf([c], 1) }, [qa, qb, c]))).toMatchObject({
      rule: 'alive',
    });
    expect(refusal(w, adopt('deceased'))).toMatchObject({ rule: 'reason' });
    adopt('reissue')();
    expect(w.record()?.pending?.until).toBe(w.now + 42 * 86_400_000);
    expect(refusal(w, () => w.put({ decision: 'veto' }, [a]))).toMatchObject({ rule: 'vetoable' });
    w.pass(42);
    w.put({ decision: 'complete' });
    expect(w.record()).toMatchObject({ epoch: 2, tombstoned: undefined, cameBy: { by: 'adopt' } });
  });

  it('each side ends a name for its own reasons only', () => {
    owned([a], 1);
    expect(refusal(w, () => w.put({ decision: 'retire', reason: 'malware', evidence: EVIDENCE }, [a]))).toMatchObject({
      rule: 'reason',
    });
    expect(refusal(w, () => w.rule({ decision: 'retire', reason: 'ended', evidence: '' }, [qa, qb]))).toMatchObject({
      rule: 'reason',
    });
    w.rule({ decision: 'retire', reason: 'legal', evidence: EVIDENCE }, [qa, qb]);
    expect(w.record()?.pending).toMatchObject({ kind: 'retire', until: w.now + 14 * 86_400_000 });
    expect(w.state()).toBe('recovery-pending');
  });
});

describe('sessions', () => {
  it('with a head that is not the list’s are refused', () => {
    owned([a], 1);
    w.put({ decision: 'abandon' }, [a]);
    const session = (change: object): unknown =>
      w.send(
        signed(
          {
            decision: 'countersign',
            collection: 'main',
            previous: w.register.session.id,
            upto: w.register.tip.sequence,
            head: w.register.tip.entry,
            except: [],
            ...change,
          },
          [qa, qb],
        ),
      );
    expect(refusal(w, () => session({ head: '1'.repeat(64) }))).toEqual({ code: 'DECISION_STALE', rule: 'head' });
    expect(refusal(w, () => session({ upto: w.register.tip.sequence + 1 }))).toMatchObject({ rule: 'head' });
    expect(refusal(w, () => session({ upto: 1 }))).toMatchObject({ rule: 'session' });
    expect(refusal(w, () => session({ previous: '' }))).toMatchObject({ rule: 'session' });
    expect(refusal(w, () => session({ collection: 'other' }))).toMatchObject({ rule: 'collection' });
    session({});
  });

  it('replayed would roll owners back, and are refused', () => {
    owned([a], 1);
    w.put({ decision: 'owners', owners: ownersOf([a, b], 1) }, [a, b]);
    const first = signed(
      {
        decision: 'countersign',
        collection: 'main',
        previous: w.register.session.id,
        upto: w.register.tip.sequence,
        head: w.register.tip.entry,
        except: [],
      },
      [qa, qb],
    );
    w.send(first);
    w.pass(7);
    w.put({ decision: 'complete' });
    w.countersign();
    expect(w.record()?.countersigned?.authority).toEqual(ownersOf([a, b], 1));
    expect(refusal(w, () => w.send(first))).toEqual({ code: 'DECISION_STALE', rule: 'session' });
  });

  it('say what the list said at their entry, whatever came after it', () => {
    w.put({ decision: 'claim', owners: ownersOf([a], 1) }, [a]);
    const upto = w.register.tip.sequence;
    w.put({ decision: 'freeze', reason: 'panic' }, [a]);
    w.put({ decision: 'claim', owners: ownersOf([b], 1), name: 'debug' }, [b]);
    expect(w.countersign([], upto).touched).toEqual(['pkg/ms']);
    expect(w.record()).toMatchObject({ countersigned: { epoch: 1 }, frozen: { by: 'owner' } });
    expect(w.state('debug')).toBe('recent');
    expect(w.register.unsettled().map(({ name }) => name)).toEqual(['debug', 'ms']);
    expect(w.countersign().touched).toEqual(['pkg/debug']);
    expect(w.register.unsettled().map(({ name }) => name)).toEqual(['ms']);
    w.put({ decision: 'lift' }, [a]);
    w.countersign();
    expect(w.register.unsettled()).toEqual([]);
  });

  it('may reach to an entry before the last change of a name that the one before left out', () => {
    w.put({ decision: 'claim', owners: ownersOf([a], 1) }, [a]);
    w.put({ decision: 'claim', owners: ownersOf([a], 1), name: 'debug' }, [a]);
    const upto = w.register.tip.sequence;
    w.put({ decision: 'freeze', reason: 'panic' }, [a]);
    w.countersign(['pkg/ms'], upto - 1);
    expect(w.countersign([], upto).touched).toEqual(['pkg/ms', 'pkg/debug']);
  });

  it('leave out what is frozen, contested or excepted, and take it up later', () => {
    for (const name of ['ms', 'debug', 'is', 'left']) {
      w.put({ decision: 'claim', owners: ownersOf([a], 1), name }, [a]);
    }
    w.put({ decision: 'freeze', reason: 'panic', name: 'debug' }, [a]);
    w.rule({ ...RECOVER, owners: ownersOf([c], 1), name: 'is' }, [qa, qb, c]);
    expect(w.countersign(['pkg/left']).touched).toEqual(['pkg/ms']);
    w.put({ decision: 'veto', name: 'is' }, [a]);
    w.put({ decision: 'lift', name: 'debug' }, [a]);
    expect([...w.countersign().touched].sort()).toEqual(['pkg/debug', 'pkg/is', 'pkg/left']);
  });
});

describe('the root', () => {
  it('is noted in order, as it was published, by nobody in particular', () => {
    expect(refusal(w, () => w.note(1))).toMatchObject({ rule: 'root' });
    expect(refusal(w, () => w.note(2))).toMatchObject({ code: 'SUBMISSION_INVALID' });
    w.quorums.set(2, quorum(2, ['new quorum'], 1));
    const note = { decision: 'root', collection: 'main', version: 2, sha256: '7'.repeat(64) } as const;
    const previous = w.register.rootInForce.id;
    expect(refusal(w, () => w.send(signed({ ...note, previous }, [])))).toEqual({
      code: 'DECISION_STALE',
      rule: 'root',
    });
    w.note(2);
    expect(refusal(w, () => w.countersign())).toMatchObject({ rule: 'quorum' });
    w.countersign([], undefined, [key('new quorum')]);
  });

  it('comes before everything else', () => {
    w.quorums.delete(1);
    expect(refusal(w, () => w.put({ decision: 'claim', owners: ownersOf([a], 1) }, [a]))).toEqual({
      code: 'DECISION_REFUSED',
      rule: 'rooted',
    });
  });
});

it('completion with signatures, or by a statement of another name, is refused', () => {
  owned([a], 1);
  w.put({ decision: 'owners', owners: ownersOf([b], 1) }, [a, b]);
  w.pass(7);
  expect(refusal(w, () => w.put({ decision: 'complete' }, [a]))).toMatchObject({ rule: 'signers' });
  expect(refusal(w, () => w.put({ decision: 'complete', name: 'other' }))).toEqual({
    code: 'NAME_UNCLAIMED',
    rule: 'held',
  });
  expect(w.register.due(w.now).map(({ name }) => name)).toEqual(['ms']);
  w.put({ decision: 'complete' });
  expect(w.register.due(w.now)).toEqual([]);
});
