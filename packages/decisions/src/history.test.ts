import { canonicalBytes, days, editTargets, hex, objectOf, utf8, utf8Text } from '@countersign/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Offer, offers } from '../test/model.ts';
import {
  BEGIN,
  cheap,
  cheapCrypto,
  dump,
  EVIDENCE,
  projectOf,
  QUORUM,
  refusal,
  signed,
  type World,
  world,
} from '../test/world.ts';
import {
  decisionId,
  nameKey,
  ownersOf,
  publishersOf,
  Register,
  readEntry,
  readHead,
  readTile,
  replayList,
  shardCustom,
  shardDelegations,
  TILE,
  tilePath,
  writeEntry,
  writeHead,
  writeTile,
} from './index.ts';

const fresh = (): World => world({ crypto: cheapCrypto });
const [a, b, t] = [cheap('o1'), cheap('o2'), cheap('t')];
const seats = QUORUM.slice(1).map(cheap);

/** The bytes of a shard that says what a register says. */
function shardBytes(register: Register, side: 'recent' | 'claimed', prefix = ''): string {
  const delegations = shardDelegations(register, side, prefix, projectOf);
  const custom = shardCustom(register, side, prefix);
  const members = new Map(custom === undefined ? [] : [['custom', custom]]);
  return utf8Text(canonicalBytes(editTargets(undefined, { expires: BEGIN, delegations, members }))) ?? '';
}

const everything = (register: Register): readonly string[] => [
  dump(register),
  ...(['recent', 'claimed'] as const).map((side) => shardBytes(register, side)),
];

describe('random histories', () => {
  const NAMES = ['ms', 'debug', 'is'];
  const move = fc.record({
    name: fc.constantFrom(...NAMES),
    pick: fc.nat(1000),
    pass: fc.constantFrom(0, 0, 0, 7, 14, 42),
    session: fc.nat(9),
    back: fc.nat(3),
    except: fc.subarray(NAMES),
  });

  it('replay to the same records and the same bytes; an overlay is as good as a fresh register', () => {
    fc.assert(
      fc.property(fc.array(move, { maxLength: 60 }), (moves) => {
        const w = fresh();
        for (const name of NAMES.slice(0, 2)) {
          w.put({ decision: 'claim', owners: ownersOf([a, b], 1), name }, [a, b]);
        }
        for (const { name, pick, pass, session, back, except } of moves) {
          w.pass(pass);
          attempt(() => {
            if (session !== 0) return w.send(textOf(w, name, pick));
            const upto = Math.max(1, w.register.tip.sequence - back);
            return w.countersign(
              except.map((name) => `pkg/${name}`),
              upto,
              seats,
            );
          });
        }
        const before = everything(w.register);
        expect(everything(replayList(w.register.rules, w.lines))).toEqual(before);
        const base = new Register(w.register.rules);
        const half = Math.floor(w.lines.length / 2);
        for (const line of w.lines.slice(0, half)) base.replay(line);
        const untouched = everything(base);
        const trial = base.overlay().overlay();
        for (const line of w.lines.slice(half)) trial.replay(line);
        expect(everything(trial)).toEqual(before);
        expect(everything(base)).toEqual(untouched);
      }),
      { numRuns: 60, seed: 7 },
    );
  });

  /** Some statement about a name, right or wrong. */
  function textOf(w: World, name: string, pick: number): string {
    const record = w.record(name);
    const claim: Offer = { body: { decision: 'claim', owners: ownersOf([a], 1) }, side: 'owners', by: ['o1'] };
    const all = record === undefined ? [claim] : offers(record, ['o1', 'o2', 't', 'n'], true);
    const { body, side, by } = all[pick % all.length] ?? claim;
    return signed(w.decision({ ...body, name }, side), by.map(cheap));
  }
});

/** Does what may be refused. */
function attempt(act: () => unknown): boolean {
  try {
    act();
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error) return false;
    throw error;
  }
}

describe('races between a thief and an owner', () => {
  /** Every order of some statements. */
  function orders<T>(items: readonly T[]): readonly (readonly T[])[] {
    if (items.length === 0) return [[]];
    return items.flatMap((item) => orders(items.filter((other) => other !== item)).map((rest) => [item, ...rest]));
  }

  it.each([
    ['one key that both hold', [a], 1],
    ['one key of two, each enough', [a, b], 1],
  ] as const)('%s: every order ends with the owner, and the same on every replay', (_what, owners, threshold) => {
    const begin = fresh();
    begin.put({ decision: 'claim', owners: ownersOf(owners, threshold) }, owners);
    begin.countersign([], undefined, seats);
    begin.pass(30);
    const grab = begin.decision({ decision: 'owners', owners: ownersOf([t], 1) });
    const request = decisionId(grab, cheapCrypto);
    const mine = owners.length === 1 ? a : b;
    const statements = {
      grab: signed(grab, [a, t]),
      retire: signed(begin.decision({ decision: 'retire', reason: 'ended', evidence: '' }), [a]),
      veto: signed({ ...begin.decision({ decision: 'veto' }), previous: request }, [mine]),
      freeze: signed(begin.decision({ decision: 'freeze', reason: 'panic' }), [mine]),
      revoke: signed(begin.decision({ decision: 'revoke', keyId: a.keyId }), [a]),
    };
    const ends = new Set<string>();
    for (const order of orders(Object.keys(statements) as (keyof typeof statements)[])) {
      const run = (): World => {
        const w = fresh();
        for (const line of begin.lines.slice(1)) {
          w.register.replay(line);
          w.lines.push(line);
        }
        w.now = begin.now;
        for (const name of order) attempt(() => w.send(statements[name]));
        w.pass(60);
        attempt(() => w.put({ decision: 'complete' }));
        return w;
      };
      const w = run();
      expect(dump(run().register)).toBe(dump(w.register));
      expect(dump(replayList(w.register.rules, w.lines))).toBe(dump(w.register));
      const record = w.record();
      expect(record?.authority.keys.has(t.keyId)).toBe(false);
      expect(record?.tombstoned).toBe(undefined);
      ends.add(
        `${record?.frozen?.by} ${record?.pending?.kind} ${record?.dead.size} ${record?.authority.keyIds.length}`,
      );
    }
    // Whatever the order: the stolen key is dead, the name stands still, nothing waits.
    expect([...ends]).toEqual([`owner undefined 1 ${owners.length}`]);
  });
});

describe('the list', () => {
  const w = fresh();
  w.put({ decision: 'claim', owners: ownersOf([a], 1) }, [a]);
  w.pass(1);
  w.put({ decision: 'freeze', reason: 'panic' }, [a]);
  w.countersign([], undefined, seats);
  const { rules } = w.register;
  const code = (lines: readonly string[], more = {}): unknown => {
    try {
      return replayList(rules, lines, more).tip.sequence;
    } catch (error) {
      return error instanceof Error && 'code' in error ? error.code : error;
    }
  };
  /** The list up to an entry that was changed, chained again: nothing after it could give it away. */
  const forged = (at: number, change: (entry: ReturnType<typeof readEntry>) => object): readonly string[] => {
    let previous = '0'.repeat(64);
    return w.lines.slice(0, at + 1).map((line, i) => {
      const entry = { ...readEntry(line), previous };
      const next = writeEntry(i === at ? { ...entry, ...change(entry) } : entry);
      previous = hex(cheapCrypto.hash('sha256', utf8(next)));
      return next;
    });
  };

  /** The same entry, with white space about its statement. */
  const spaced = (line: string): string => {
    const entry = readEntry(line);
    return writeEntry({ ...entry, statement: `${entry.statement} ` });
  };

  it('is written and read in tiles and a head', () => {
    expect(tilePath(1)).toBe('decisions/0.jsonl');
    expect([tilePath(TILE), tilePath(TILE + 1)]).toEqual(['decisions/0.jsonl', 'decisions/1.jsonl']);
    expect(readTile(writeTile(w.lines))).toEqual(w.lines);
    const { head } = w.register;
    expect(head && readHead(writeHead(head))).toEqual(head);
    expect(code(w.lines)).toBe(4);
    expect(code(forged(2, (entry) => entry))).toBe(3);
    expect(code(forged(0, (entry) => readEntry(spaced(writeEntry(entry)))))).toBe(1);
  });

  it.each<readonly [string, readonly string[]]>([
    ['reordered', [w.lines[1] ?? '', w.lines[0] ?? '']],
    ['with a gap', [w.lines[0] ?? '', w.lines[2] ?? '']],
    ['with an entry twice', [w.lines[0] ?? '', w.lines[0] ?? '']],
    ['with an entry that was changed behind its back', w.lines.map((line, i) => (i === 0 ? spaced(line) : line))],
    ['in another spelling', [(w.lines[0] ?? '').replace('{', '{ ')]],
    ['backdated', forged(2, () => ({ at: BEGIN - 1000 }))],
    ['with two times in one publication', forged(2, () => ({ publication: 2 }))],
    ['with a publication that goes back', forged(3, () => ({ publication: 2 }))],
    [
      'with a statement that the machine refuses',
      forged(2, () => ({ statement: readEntry(w.lines[1] ?? '').statement })),
    ],
    ['with a statement that nobody can read', forged(2, () => ({ statement: '{}' }))],
    ['of no JSON', ['null']],
    ['without a time', [(w.lines[0] ?? '').replace('2030-', '2030 ')]],
  ])('%s is refused', (_what, lines) => {
    expect(code(lines)).toBe('DECISIONS_INVALID');
  });

  it('tiles that are not whole are refused, and heads of another kind', () => {
    for (const text of ['x', '\n', 'a\n\nb\n', `${'a\n'.repeat(TILE + 1)}`]) {
      expect(() => readTile(text)).toThrow(expect.objectContaining({ code: 'DECISIONS_INVALID' }));
    }
    for (const text of ['{}', '{"_type":"root"}', '[']) {
      expect(() => readHead(text)).toThrow(expect.objectContaining({ code: 'DECISIONS_INVALID' }));
    }
  });

  it('cannot be rewritten, cut or lengthened backwards since it was seen, nor come from the future', () => {
    const { head } = w.register;
    if (head === undefined) throw new Error('It is empty');
    const seen = { ...head, when: head.at + days(1) };
    expect(code(w.lines, { seen, now: head.at })).toBe(4);
    expect(code(w.lines.slice(0, 3), { seen })).toBe('DECISIONS_INVALID');
    expect(code(w.lines, { seen: { ...seen, entry: '1'.repeat(64) } })).toBe('DECISIONS_INVALID');
    expect(code(w.lines, { now: head.at - 1 })).toBe('DECISIONS_INVALID');
    // Seen a day later without the fourth entry: it cannot be dated before that.
    const third = replayList(rules, w.lines.slice(0, 3)).head;
    expect(code(w.lines, { seen: { ...third, when: head.at + days(1) } })).toBe('DECISIONS_INVALID');
    expect(code(w.lines, { seen: { ...third, when: head.at } })).toBe(4);
  });

  it('a clock that was set back lengthens no list that nobody can replay', () => {
    const back = fresh();
    back.put({ decision: 'claim', owners: ownersOf([a], 1) }, [a]);
    back.now -= days(3);
    back.put({ decision: 'freeze', reason: 'panic' }, [a]);
    expect(replayList(back.register.rules, back.lines).tip).toEqual(back.register.tip);
  });

  it('an overlay of another register is not absorbed', () => {
    expect(() => fresh().register.absorb(fresh().register.overlay())).toThrow(TypeError);
  });
});

describe('what follows from the list', () => {
  it('recent shards say what the record says, claimed ones what was countersigned', () => {
    const w = fresh();
    w.put({ decision: 'claim', owners: ownersOf([b, a], 1) }, [b, a]);
    w.put({ decision: 'claim', owners: ownersOf([a], 1), name: 'debug' }, [a]);
    const names = (side: 'recent' | 'claimed'): readonly string[] =>
      shardDelegations(w.register, side, '', projectOf).roles.map(({ name }) => name);
    expect(names('recent')).toEqual(['pkg.1.debug', 'pkg.1.ms']);
    w.countersign(['pkg/debug'], undefined, seats);
    expect([names('recent'), names('claimed')]).toEqual([['pkg.1.debug'], ['pkg.1.ms']]);
    w.pass(10);
    w.put({ decision: 'owners', owners: ownersOf([b, t], 1) }, [a, b, t]);
    const claimed = (): unknown =>
      shardDelegations(w.register, 'claimed', '', projectOf).roles.find(({ name }) => name === 'pkg.1.ms');
    expect(claimed()).toMatchObject({ keyIds: [b.keyId, a.keyId], threshold: 1, terminating: true });
    // In between, what is published satisfies the old owners and the new ones.
    const record = w.record();
    expect(record && publishersOf(record)?.map(({ keyIds }) => keyIds)).toEqual([
      [b.keyId, a.keyId],
      [b.keyId, t.keyId],
    ]);
    w.countersign([], undefined, seats);
    expect(claimed()).toMatchObject({ keyIds: [b.keyId, t.keyId] });
    expect(shardDelegations(w.register, 'claimed', '', projectOf).keys.size).toBe(3);
  });

  it('tell how an epoch came, and what has ended', () => {
    const w = fresh();
    for (const name of ['ms', 'debug', 'is']) w.put({ decision: 'claim', owners: ownersOf([a], 1), name }, [a]);
    w.countersign(['pkg/is'], undefined, seats);
    const recover = { decision: 'recover', reason: 'lost', evidence: EVIDENCE, owners: ownersOf([b], 1) } as const;
    w.rule({ ...recover, name: 'ms' }, [...seats, b]);
    w.rule({ ...recover, name: 'is' }, [...seats, b]);
    w.put({ decision: 'retire', reason: 'ended', evidence: '', name: 'debug' }, [a]);
    w.pass(14);
    for (const { name } of w.register.due(w.now)) w.put({ decision: 'complete', name });
    expect(w.register.due(w.now).map(nameKey)).toEqual([]);
    const sequence = (name: string): number => w.record(name)?.cameBy.sequence ?? 0;
    expect(shardCustom(w.register, 'claimed', '')).toBe(undefined);
    expect(shardCustom(w.register, 'recent', '')).toEqual(
      objectOf({ epochs: { 'pkg.2.is': { by: 'recover', sequence: sequence('is') } } }),
    );
    w.countersign([], undefined, seats);
    expect(shardCustom(w.register, 'claimed', '')).toEqual(
      objectOf({
        epochs: {
          'pkg.2.is': { by: 'recover', sequence: sequence('is') },
          'pkg.2.ms': { by: 'recover', sequence: sequence('ms') },
        },
        retired: { 'pkg.1.debug': { sequence: w.record('debug')?.tombstoned ?? 0 } },
      }),
    );
  });

  it('10,000 names are countersigned by one statement, and derived, in less than a second', () => {
    const w = fresh();
    const signers = [a];
    const owners = ownersOf(signers, 1);
    const claims = Array.from({ length: 10_000 }, (_, i) =>
      signed(w.decision({ decision: 'claim', owners, name: `name-${i}` }), signers),
    );
    const trial = w.register.overlay();
    for (const text of claims) trial.append(text, { at: w.now, publication: 2 });
    w.register.absorb(trial);
    const { tip, session } = w.register;
    const statement = signed(
      {
        decision: 'countersign',
        collection: 'main',
        previous: session.id,
        upto: tip.sequence,
        head: tip.entry,
        except: [],
      },
      seats,
    );
    const start = performance.now();
    const overlay = w.register.overlay();
    const { touched } = overlay.append(statement, { at: w.now, publication: 3 });
    const took = performance.now() - start;
    expect(touched.length).toBe(10_000);
    expect([...overlay.names('recent', '')].length).toBe(0);
    expect([...w.register.names('claimed', '')].length).toBe(0);
    w.register.absorb(overlay);
    const prefixes = Array.from({ length: 16 }, (_, i) => i.toString(16));
    const sizes = prefixes.map((prefix) => shardDelegations(w.register, 'claimed', prefix, projectOf).roles.length);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(10_000);
    expect(took).toBeLessThan(1000);
    expect(refusal(w, () => w.send(statement))).toMatchObject({ rule: 'session' });
  });
});
