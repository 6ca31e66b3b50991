import { describe, expect, test } from 'vitest';
import { codeOf, crypto, emptyWorld, signer } from '../test/world.ts';
import { utf8 } from './bytes.ts';
import { drive, driveCrypto, driveSync, type Ports } from './drive.ts';
import { check, drop, type Effect, fetch, hash, load, save, type Workflow } from './effects.ts';
import { TransportError } from './errors.ts';
import { cacheNameOf, metadataUrl } from './paths.ts';

const NAME = cacheNameOf('root');
const FETCH = { role: 'root', url: metadataUrl('root', 1), maxBytes: 5 };

/** Uses each effect once. */
function* everything(): Workflow<readonly unknown[]> {
  const { key, sign } = signer('a');
  const { verification } = key;
  if (verification === undefined) throw new Error('no key');
  const message = utf8('m');
  yield* save(NAME, message);
  const loaded = yield* load(NAME);
  yield* drop(NAME);
  return [
    loaded,
    yield* load(NAME),
    yield* fetch(FETCH),
    yield* check({ ...verification, message, signature: sign(message) }),
    yield* check({ ...verification, message, signature: message }),
    (yield* hash('sha256', message)).length,
    (yield* hash('sha512', message)).length,
  ];
}

const asynchronous = ({ ports }: ReturnType<typeof emptyWorld>): Ports => ({
  crypto: { check: async (effect) => crypto.check(effect), hash: async (...of) => crypto.hash(...of) },
  state: {
    load: async (name) => ports.state.load(name),
    save: async (name, bytes) => ports.state.save(name, bytes),
    drop: async (name) => ports.state.drop(name),
  },
  source: { fetch: async (effect) => ports.source.fetch(effect) },
});

describe('every effect is answered by its port', () => {
  const want = [utf8('m'), undefined, utf8('12345'), true, false, 32, 64];

  test('driveSync', () => {
    const world = emptyWorld();
    world.served.set('1.root.json', utf8('12345'));
    expect(driveSync(everything(), world.ports)).toEqual(want);
    expect(world.requests).toEqual(['1.root.json']);
    expect(world.disk.size).toBe(0);
  });

  test('drive, with ports that answer later and with ports that answer at once', async () => {
    const world = emptyWorld();
    world.served.set('1.root.json', utf8('12345'));
    expect(await drive(everything(), asynchronous(world))).toEqual(want);
    expect(await drive(everything(), world.ports)).toEqual(want);
  });
});

describe('an error of a port is thrown into the workflow', () => {
  const broken = new TransportError('UNREACHABLE', 'x');
  const fail = (): never => {
    throw broken;
  };
  function* catching(): Workflow<string> {
    try {
      yield* fetch(FETCH);
    } catch (error) {
      return error === broken ? 'handled' : 'other';
    }
    return 'none';
  }
  function* passing(): Workflow<unknown> {
    return yield* fetch(FETCH);
  }

  test('where it can be handled', async () => {
    const ports = { ...emptyWorld().ports, source: { fetch: fail } };
    expect(driveSync(catching(), ports)).toBe('handled');
    expect(await drive(catching(), ports)).toBe('handled');
    expect(await drive(catching(), { ...ports, source: { fetch: () => Promise.reject(broken) } })).toBe('handled');
  });

  test('or passes through', async () => {
    const ports = { ...emptyWorld().ports, source: { fetch: fail } };
    expect(() => driveSync(passing(), ports)).toThrow(broken);
    await expect(drive(passing(), ports)).rejects.toBe(broken);
  });
});

describe('driveCrypto', () => {
  test('runs what needs cryptography only', () => {
    expect(driveCrypto(hash('sha256', utf8('')), crypto)).toEqual(crypto.hash('sha256', utf8('')));
  });

  test.each<[string, () => Workflow<unknown>]>([
    ['load', () => load(NAME)],
    ['save', () => save(NAME, utf8(''))],
    ['drop', () => drop(NAME)],
    ['fetch', () => fetch(FETCH)],
  ])('refuses %s', (_, workflow) => {
    expect(() => driveCrypto(workflow(), crypto)).toThrow(TypeError);
  });
});

describe('a driver’s answers of the wrong type', () => {
  const answered = (workflow: Workflow<unknown>, answer: Uint8Array | boolean | undefined): unknown => {
    const asked: IteratorResult<Effect, unknown> = workflow.next();
    expect(asked.done).toBe(false);
    return workflow.next(answer).value;
  };
  const { verification } = signer('a').key;

  test('only `true` is a valid signature', () => {
    if (verification === undefined) return expect.unreachable();
    const effect = { ...verification, message: utf8(''), signature: utf8('') };
    expect(answered(check(effect), undefined)).toBe(false);
    expect(answered(check(effect), utf8('x'))).toBe(false);
    expect(answered(check(effect), true)).toBe(true);
    return undefined;
  });

  test('A2 more bytes than were asked for: refused, should a driver let them through', () => {
    expect(answered(fetch(FETCH), utf8('12345'))).toEqual(utf8('12345'));
    expect(codeOf(() => answered(fetch(FETCH), utf8('123456')))).toBe('LENGTH_EXCEEDED');
  });

  test('only bytes are bytes', () => {
    expect(answered(load(NAME), true)).toBeUndefined();
    expect(answered(fetch(FETCH), false)).toBeUndefined();
    expect(() => answered(hash('sha256', utf8('')), undefined)).toThrow(TypeError);
  });
});
