// Thresholds: fewer distinct public keys than required have signed, however
// many signatures, key ids or spellings there are (§4.2.1, §5.3.4, §5.4.2,
// §5.5.3, §5.6.3); and what must not spoil a threshold that is met.

import { strict as assert } from 'node:assert';
import { type Code, makeKey, utf8 } from '@countersign/core';
import type { Attack } from '../attack.ts';
import type { SignatureText, Tamper } from '../drafts.ts';
import { aliasOf, type WorldKey } from '../keys.ts';
import { MS, registryWorld } from '../registry-world.ts';
import type { World } from '../world.ts';
import { ANNOUNCED, keptUpTo, member, publishSignedBy, stranger } from './moves.ts';

export const THRESHOLD: readonly Attack[] = [
  ...(['root', 'targets', 'claimed'] as const).map((role) => tooFew(role, 'root-1')),
  tooFew(MS.owner, 'ms-owner-1'),
  tooFew(MS.owner, 'ms-owner-2'),
  ...(['targets', MS.owner] as const).map(
    (role): Attack => ({
      id: `threshold/${role}-and-a-stranger`,
      title: `${role} is signed by one of two keys and by a stranger`,
      spec: ['5.6.3/1'],
      steps: (world) => [
        {
          move: () => publishSignedBy(world, role, [...world.signersOf(role).slice(0, 1), stranger(world)]),
          action: { fetch: MS.path },
          code: 'THRESHOLD_NOT_MET',
          kept: ANNOUNCED,
        },
      ],
    }),
  ),
  ...['old', 'new'].map(
    (which): Attack => ({
      id: `threshold/root-by-${which}-keys-only`,
      title: `a root that rotates the root keys is signed by the ${which} keys only`,
      spec: ['5.3.1/1', '5.3.4/1'],
      steps: (world) => [
        {
          move: () => {
            const old = world.signersOf('root');
            const next = [world.key('root-4'), world.key('root-5')];
            world.authorise('root', next, 2);
            world.serve('root', world.seal('root', { version: 2, signers: which === 'old' ? old : next }), 2);
          },
          action: 'refresh',
          code: 'THRESHOLD_NOT_MET',
        },
      ],
    }),
  ),
  signature('over-other-content', 'is a signature over something else', (key) => ({
    ...key,
    sign: () => key.sign(utf8('something else')),
  })),
  signature('with-a-flipped-bit', 'has one bit flipped', (key) => ({
    ...key,
    sign: (message) => key.sign(message).map((byte, i) => (i === 3 ? byte ^ 1 : byte)),
  })),
  signature('with-zeros-behind', 'is too long', (key) => ({
    ...key,
    sign: (message) => Uint8Array.of(...key.sign(message), 0),
  })),
  signature('under-unknown-keyid', 'is under a key id that the root does not know', (key) =>
    aliasOf(key, 'f'.repeat(64)),
  ),
  signature('under-upper-case-keyid', 'is under the key id in capitals', (key) =>
    aliasOf(key, key.keyId.toUpperCase()),
  ),
  spoiled('none', 'there is no signature', () => []),
  spoiled('empty', 'the signature is empty', (list) => list.map((item) => ({ ...item, sig: '' }))),
  spoiled('not-hexadecimal', 'the signature is not hexadecimal', (list) =>
    list.map((item) => ({ ...item, sig: 'zz' })),
  ),
  spoiled('twice', 'the same signature stands there twice', (list) => [...list, ...list], 'SIGNATURE_DUPLICATE'),
  spoiled(
    'twice-one-invalid',
    'the key id stands there twice, once with rubbish',
    (list) => [...list, ...list.map((item) => ({ ...item, sig: '00' }))],
    'SIGNATURE_DUPLICATE',
  ),
  {
    id: 'threshold/duplicate-towards-two',
    title: 'one owner signs twice, where two owners must sign',
    spec: ['4.2.1/1', '5.6.3/3', '5.6.3/4'],
    steps: (world) => [
      {
        move: () => publishSignedBy(world, MS.owner, [world.key('ms-owner-1'), world.key('ms-owner-1')]),
        action: { fetch: MS.path },
        code: 'SIGNATURE_DUPLICATE',
        kept: ANNOUNCED,
      },
    ],
  },
  {
    id: 'threshold/extra-signatures',
    title: 'rubbish beside enough good signatures, which spoils nothing',
    spec: ['5.4.2/1'],
    steps: (world) => [
      {
        move: () => {
          world.timestamp.tamper = {
            signatures: (list) => [
              { keyid: 'stranger', sig: '' },
              { keyid: world.key('snapshot').keyId, sig: 'not hexadecimal' },
              ...list,
              { keyid: '', sig: '00' },
            ],
          };
          world.publish();
        },
        action: { fetch: MS.path },
        kept: { timestamp: 2 },
      },
    ],
  },
  ...spellings().map(
    ([what, title, first, second]): Attack => ({
      id: `threshold/one-key-${what}`,
      title: `an owner key is listed twice, ${title}`,
      spec: ['5.6.3/2'],
      steps: (world) => [
        {
          move: () => {
            world.delegation('claimed', MS.owner).keys = [first(world), second(world)];
            world.publish();
          },
          action: { fetch: MS.path },
          code: 'THRESHOLD_NOT_MET',
          kept: { ...ANNOUNCED, claimed: 2 },
        },
      ],
      afterwards: 'refresh',
    }),
  ),
  {
    id: 'threshold/one-root-key-under-two-ids',
    title: 'a new root lists one key under two ids, and is signed with both',
    spec: ['5.3.4/2'],
    steps: (world) => [
      {
        move: () => {
          const [key] = world.signersOf('root');
          if (key === undefined) return;
          const keys = [key, aliasOf(key, 'another id')];
          world.authorise('root', keys, 2);
          const signers = [...keys, world.key('root-2')];
          world.serve('root', world.seal('root', { version: 2, signers }), 2);
        },
        action: 'refresh',
        code: 'THRESHOLD_NOT_MET',
      },
    ],
    afterwards: undefined,
  },
  delegated('threshold-zero', 'requires no signature', 'threshold', 0),
  delegated('threshold-negative', 'requires -1 signatures', 'threshold', -1),
  delegated('threshold-missing', 'does not say how many must sign', 'threshold', undefined),
  delegated('keyid-listed-twice', 'lists a key id twice', 'keyids', ['a', 'a']),
  unmeetable('no-keys', 'lists no key', (world) => {
    world.delegation('claimed', MS.owner).keys = [];
  }),
  unmeetable('too-high', 'requires more signatures than it lists keys', (world) => {
    world.delegation('claimed', MS.owner).threshold = 3;
  }),
  unmeetable('key-not-described', 'lists key ids that it does not describe', (world) => {
    world.role('claimed').tamper = member(['delegations', 'keys'], {});
  }),
  unmeetable('key-of-another-type', 'lists an ed25519 key as an rsa key', (world) => {
    const { keyId } = world.key('ms-owner-1');
    world.role('claimed').tamper = member(['delegations', 'keys', keyId, 'keytype'], 'rsa');
  }),
  unmeetable('key-of-unknown-scheme', 'lists keys of an unknown scheme', (world) => {
    const { keyId } = world.key('ms-owner-1');
    world.role('claimed').tamper = member(['delegations', 'keys', keyId, 'scheme'], 'ed25519ph');
  }),
  anchor('signed-by-too-few', 'is signed by too few', 'THRESHOLD_NOT_MET', (world) =>
    world.seal('root', { version: 1, signers: [world.key('root-1')] }),
  ),
  anchor('unsigned', 'is not signed', 'THRESHOLD_NOT_MET', (world) => world.seal('root', { signers: [] })),
  anchor('not-json', 'is not JSON', 'JSON_INVALID', () => utf8('<html></html>')),
  anchor('not-a-root', 'is a timestamp', 'ROLE_TYPE_WRONG', (world) => world.bytes('timestamp')),
];

function tooFew(role: string, key: string): Attack {
  return {
    id: `threshold/${role}-by-${key}-alone`,
    title: `${role} is signed by one key where two must sign`,
    spec: [role === 'root' ? '5.3.4/1' : '5.6.3/1'],
    steps: (world) => [
      {
        move: () => publishSignedBy(world, role, [world.key(key)]),
        action: { fetch: MS.path },
        code: 'THRESHOLD_NOT_MET',
        kept: keptUpTo(role),
      },
    ],
  };
}

/** The only signature of a new timestamp is not one. */
function signature(what: string, title: string, forge: (key: WorldKey) => WorldKey): Attack {
  return {
    id: `threshold/signature-${what}`,
    title: `the signature of a timestamp ${title}`,
    spec: ['5.4.2/1'],
    steps: (world) => [
      {
        move: () => publishSignedBy(world, 'timestamp', [forge(world.key('timestamp'))]),
        action: 'refresh',
        code: 'THRESHOLD_NOT_MET',
      },
    ],
  };
}

function spoiled(
  what: string,
  title: string,
  signatures: (list: readonly SignatureText[]) => readonly SignatureText[],
  code: Code = 'THRESHOLD_NOT_MET',
): Attack {
  const tamper: Tamper = { signatures };
  return {
    id: `threshold/signature-${what}`,
    title: `of a timestamp: ${title}`,
    spec: code === 'SIGNATURE_DUPLICATE' ? ['4.2.1/1', '5.4.2/4'] : ['5.4.2/1'],
    steps: (world) => [
      {
        move: () => {
          world.timestamp.tamper = tamper;
          world.publish();
        },
        action: 'refresh',
        code,
      },
    ],
  };
}

/** The delegation to the owners of `ms` is malformed, though well signed. */
function delegated(what: string, title: string, name: string, value: number | readonly string[] | undefined): Attack {
  return {
    id: `threshold/${what}`,
    title: `a delegation ${title}`,
    spec: what.startsWith('threshold') ? ['4.3/8', '4.5'] : ['4.5'],
    steps: (world) => [
      {
        move: () => {
          world.role('claimed').tamper = member(['delegations', 'roles', 0, name], value);
          world.publish();
        },
        action: { fetch: MS.path },
        code: 'FORMAT_INVALID',
        kept: ANNOUNCED,
      },
    ],
  };
}

/** A delegation that nobody can satisfy: shown to the victim, who refuses what is below it. */
function unmeetable(what: string, title: string, move: (world: World) => void): Attack {
  return {
    id: `threshold/${what}`,
    title: `a delegation ${title}`,
    spec: ['5.6.3/1'],
    steps: (world) => [
      {
        move: () => {
          const signers = [world.key('ms-owner-1'), world.key('ms-owner-2')];
          move(world);
          publishSignedBy(world, MS.owner, signers);
        },
        action: { fetch: MS.path },
        code: 'THRESHOLD_NOT_MET',
        kept: { ...ANNOUNCED, claimed: 2 },
      },
    ],
    afterwards: 'refresh',
  };
}

/** What a user pins is no root that its own keys have signed: refused before anything is asked for. */
function anchor(what: string, title: string, code: Code, make: (world: World) => Uint8Array): Attack {
  return {
    id: `anchor/${what}`,
    title: `what the user pins ${title}`,
    spec: ['5.2'],
    world: () => {
      const world = registryWorld();
      world.anchor = make(world);
      return world;
    },
    before: [],
    steps: () => [{ action: 'refresh', code, kept: {}, check: ({ requests }) => assert.deepEqual(requests, []) }],
    afterwards: undefined,
  };
}

type Spelling = readonly [
  what: string,
  title: string,
  first: (world: World) => WorldKey,
  second: (world: World) => WorldKey,
];

function spellings(): readonly Spelling[] {
  const ed25519 = (world: World): WorldKey => world.key('ms-owner-1');
  const ecdsa = (world: World): WorldKey => world.key('ms-owner-ecdsa', 'ecdsa-p256');
  const rsa = (world: World): WorldKey => world.key('ms-owner-rsa', 'rsa-pss');
  return [
    ['under-two-ids', 'under two ids', ed25519, (world) => aliasOf(ed25519(world), 'another id')],
    ['in-capitals', 'once in capitals', ed25519, (world) => respelled(ed25519(world), (text) => text.toUpperCase())],
    ['in-wrapped-pem', 'once with other line breaks in its PEM', ecdsa, (world) => respelled(ecdsa(world), rewrapped)],
    [
      'in-padded-pem',
      'once with white space around its PEM',
      ecdsa,
      (world) => respelled(ecdsa(world), (t) => `\n ${t}\n\n`),
    ],
    ['of-rsa', 'as RSA with other line breaks', rsa, (world) => respelled(rsa(world), rewrapped)],
  ];
}

function respelled(key: WorldKey, respell: (text: string) => string): WorldKey {
  const { scheme } = key.key.verification ?? { scheme: 'ed25519' };
  return { ...key, keyId: 'another id', key: makeKey(key.key.keytype, scheme, respell(key.key.public)) };
}

function rewrapped(pem: string): string {
  const [head = '', ...lines] = pem.trim().split('\n');
  const foot = lines.pop() ?? '';
  return [head, ...(lines.join('').match(/.{1,40}/g) ?? []), foot].join('\n');
}
