import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { codeOf, crypto, pemPair, signer, signerOf } from '../test/world.ts';
import { concat, hex, hexBytes, utf8 } from './bytes.ts';
import { objectOf } from './canonical.ts';
import { driveCrypto } from './drive.ts';
import { check } from './effects.ts';
import { type Key, keyIdOf, makeKey, readKey, type Scheme } from './keys.ts';

const read = (keytype: string, scheme: string, text: string): Key =>
  readKey(objectOf({ keytype, scheme, keyval: { public: text } }), 'test');
const identity = (keytype: string, scheme: string, text: string): string | undefined =>
  read(keytype, scheme, text).verification?.key.identity;

const p256 = pemPair('P-256');
const p384 = pemPair('P-384');
const rsa = pemPair(2048);

const DER = (tag: number, ...parts: readonly Uint8Array[]): Uint8Array => {
  const content = concat(...parts);
  const { length } = content;
  const octets = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return concat(new Uint8Array([tag, ...octets]), content);
};
const bytes = (text: string): Uint8Array => hexBytes(text) ?? new Uint8Array();
const pemOf = (der: Uint8Array): string =>
  `-----BEGIN PUBLIC KEY-----\n${Buffer.from(der).toString('base64')}\n-----END PUBLIC KEY-----`;
const derOf = (pem: string): Uint8Array => new Uint8Array(Buffer.from(pem.replace(/-----[A-Z ]+-----/g, ''), 'base64'));
const RSA_ALGORITHM = bytes('300d06092a864886f70d0101010500');
const MODULUS = new Uint8Array(257).fill(0xc1).fill(0, 0, 1);
const EXPONENT = bytes('010001');
/** An RSA SPKI from its parts, each of which a test may replace. */
const rsaDer = (
  part: {
    modulus?: Uint8Array;
    exponent?: Uint8Array;
    algorithm?: Uint8Array;
    unused?: Uint8Array;
    after?: Uint8Array;
  } = {},
): Uint8Array => {
  const { modulus = MODULUS, exponent = EXPONENT, algorithm = RSA_ALGORITHM, unused = bytes('00') } = part;
  const numbers = DER(0x30, DER(0x02, modulus), DER(0x02, exponent), part.after ?? new Uint8Array());
  return DER(0x30, algorithm, DER(0x03, unused, numbers));
};

describe('§4.2.2 each scheme: a key of it checks its own signatures and no others', () => {
  const cases: readonly (readonly [string, Scheme, { pem: string; privateKey: Parameters<typeof signerOf>[0] }])[] = [
    ['ecdsa', 'ecdsa-sha2-nistp256', p256],
    ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp256', p256],
    ['ecdsa', 'ecdsa-sha2-nistp384', p384],
    ['ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp384', p384],
    ['rsa', 'rsassa-pss-sha256', rsa],
    ['rsa', 'rsassa-pss-sha384', rsa],
    ['rsa', 'rsassa-pss-sha512', rsa],
  ];
  const message = utf8('{"a":1}');

  test.each(cases)('%s with %s', (keytype, scheme, { pem, privateKey }) => {
    const key = makeKey(keytype, scheme, pem);
    const signature = signerOf(privateKey, key).sign(message);
    const { verification } = key;
    if (verification === undefined) return expect.unreachable();
    expect(verification.scheme).toBe(scheme);
    const checks = (m: Uint8Array, s: Uint8Array): boolean =>
      driveCrypto(check({ ...verification, message: m, signature: s }), crypto);
    expect(checks(message, signature)).toBe(true);
    expect(checks(utf8('{"a":2}'), signature)).toBe(false);
    expect(
      checks(
        message,
        signature.map((byte, i) => (i === 20 ? byte ^ 1 : byte)),
      ),
    ).toBe(false);
    expect(checks(message, new Uint8Array())).toBe(false);
    return undefined;
  });

  test('ed25519 with ed25519', () => {
    const { key, sign } = signer('somebody');
    const { verification } = key;
    if (verification === undefined) return expect.unreachable();
    expect(verification.key.algorithm).toBe('ed25519');
    expect(verification.key.identity).toBe(`ed25519:${key.public}`);
    expect(driveCrypto(check({ ...verification, message, signature: sign(message) }), crypto)).toBe(true);
    expect(driveCrypto(check({ ...verification, message, signature: sign(utf8('x')) }), crypto)).toBe(false);
    return undefined;
  });
});

describe('§4.2.2 a key of an unknown or malformed kind is kept, and never counts', () => {
  const ed = '72378e5bc588793e58f81c8533da64a2e8f1565c1fcc7f253496394ffc52542c';
  test.each([
    ['an unknown scheme', 'ed25519', 'ed448', ed],
    ['a scheme named like an object member', 'ed25519', 'constructor', ed],
    ['a known scheme under another key type', 'rsa', 'ed25519', ed],
    ['an ed25519 key of 31 bytes', 'ed25519', 'ed25519', ed.slice(2)],
    ['an ed25519 key of 33 bytes', 'ed25519', 'ed25519', `${ed}00`],
    ['an ed25519 key of no bytes', 'ed25519', 'ed25519', ''],
    ['an ed25519 key that is not hexadecimal', 'ed25519', 'ed25519', `zz${ed.slice(2)}`],
    ['an ed25519 key as PEM', 'ed25519', 'ed25519', p256.pem],
    ['a P-384 key for the P-256 scheme', 'ecdsa', 'ecdsa-sha2-nistp256', p384.pem],
    ['a P-256 key for the P-384 scheme', 'ecdsa', 'ecdsa-sha2-nistp384', p256.pem],
    ['a P-521 key', 'ecdsa', 'ecdsa-sha2-nistp384', pemPair('P-521').pem],
    ['an RSA key for an ECDSA scheme', 'ecdsa', 'ecdsa-sha2-nistp256', rsa.pem],
    ['an ECDSA key for an RSA scheme', 'rsa', 'rsassa-pss-sha256', p256.pem],
    ['RSA PKCS#1 v1.5, which TUF does not name', 'rsa', 'rsa-pkcs1v15-sha256', rsa.pem],
    ['RSA of 1024 bits', 'rsa', 'rsassa-pss-sha256', pemPair(1024).pem],
    ['RSA of 2047 bits', 'rsa', 'rsassa-pss-sha256', pemPair(2047).pem],
    ['a certificate', 'rsa', 'rsassa-pss-sha256', rsa.pem.replaceAll('PUBLIC KEY', 'CERTIFICATE')],
    ['a PKCS#1 PEM', 'rsa', 'rsassa-pss-sha256', rsa.pem.replaceAll('PUBLIC KEY', 'RSA PUBLIC KEY')],
    ['no PEM at all', 'rsa', 'rsassa-pss-sha256', 'hello'],
    ['an empty PEM', 'rsa', 'rsassa-pss-sha256', '-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----'],
    ['a PEM with text before it', 'rsa', 'rsassa-pss-sha256', `x\n${rsa.pem}`],
    ['a PEM with a second one after it', 'rsa', 'rsassa-pss-sha256', rsa.pem + rsa.pem],
    ['a PEM with broken base64', 'rsa', 'rsassa-pss-sha256', rsa.pem.replace('MII', 'MI')],
  ])('%s', (_, keytype, scheme, text) => {
    const key = read(keytype, scheme, text);
    expect(key.verification).toBeUndefined();
    expect(key).toMatchObject({ keytype, scheme, public: text });
    expect(codeOf(() => makeKey(keytype, scheme as Scheme, text))).toBe('FORMAT_INVALID');
  });

  test.each([
    ['keytype missing', { scheme: 'ed25519', keyval: { public: ed } }],
    ['scheme missing', { keytype: 'ed25519', keyval: { public: ed } }],
    ['scheme null', { keytype: 'ed25519', scheme: null, keyval: { public: ed } }],
    ['public missing', { keytype: 'ed25519', scheme: 'ed25519', keyval: {} }],
    ['public a number', { keytype: 'odd', scheme: 'odd', keyval: { public: 1 } }],
    ['keyval null', { keytype: 'ed25519', scheme: 'ed25519', keyval: null }],
    ['keyval a string', { keytype: 'ed25519', scheme: 'ed25519', keyval: ed }],
  ])('%s: the file is not of the required shape', (_, json) => {
    expect(codeOf(() => readKey(objectOf(json), 'test'))).toBe('FORMAT_INVALID');
  });
});

describe('identity: one public key is one key, however it is written', () => {
  test('ed25519 in either case', () => {
    const { public: text } = signer('somebody').key;
    expect(identity('ed25519', 'ed25519', text.toUpperCase())).toBe(identity('ed25519', 'ed25519', text));
  });

  test('two schemes, two key types', () => {
    const one = identity('rsa', 'rsassa-pss-sha256', rsa.pem);
    expect(one).toMatch(/^rsa:[0-9a-f]{512}:010001$/);
    expect(identity('rsa', 'rsassa-pss-sha512', rsa.pem)).toBe(one);
    const curve = identity('ecdsa', 'ecdsa-sha2-nistp256', p256.pem);
    expect(curve).toMatch(/^p256:[0-9a-f]{128}$/);
    expect(identity('ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp256', p256.pem)).toBe(curve);
    expect(curve).not.toBe(identity('ecdsa', 'ecdsa-sha2-nistp256', pemPair('P-256').pem));
  });

  test.each([
    ['no newline at the end', (pem: string) => pem.trimEnd()],
    ['white space around it', (pem: string) => `\n  ${pem}\n\n`],
    ['CRLF', (pem: string) => pem.replaceAll('\n', '\r\n')],
    ['one long line', (pem: string) => pem.replace(/(?<=[^-])\n(?=[^-])/g, '')],
    ['lines of one character', (pem: string) => pem.replace(/(?<=[A-Za-z0-9+/=])(?=[A-Za-z0-9+/=]{70})/g, '\n')],
  ])('PEM with %s', (_, change) => {
    expect(identity('rsa', 'rsassa-pss-sha256', change(rsa.pem))).toBe(identity('rsa', 'rsassa-pss-sha256', rsa.pem));
    expect(identity('ecdsa', 'ecdsa-sha2-nistp384', change(p384.pem))).toMatch(/^p384:/);
  });

  test.each([
    ['2048 bits', { modulus: concat(bytes('0080'), MODULUS.subarray(2)) }],
    ['16,384 bits', { modulus: new Uint8Array(2048).fill(0xc1) }],
    ['exponent 3', { exponent: bytes('03') }],
    ['an exponent of 64 bits', { exponent: bytes('8000000000000001') }],
  ])('RSA numbers that are just right: %s', (_, part) => {
    expect(identity('rsa', 'rsassa-pss-sha256', pemOf(rsaDer(part)))).toMatch(/^rsa:/);
  });

  test('RSA numbers with more leading zeros than DER wants', () => {
    const one = identity('rsa', 'rsassa-pss-sha256', pemOf(rsaDer()));
    expect(one).toBe(`rsa:${'c1'.repeat(256)}:010001`);
    const padded = rsaDer({ modulus: concat(new Uint8Array(3), MODULUS), exponent: bytes('0000010001') });
    expect(identity('rsa', 'rsassa-pss-sha256', pemOf(padded))).toBe(one);
  });
});

describe('DER that is not exactly a public key never counts', () => {
  const bad: readonly (readonly [string, Uint8Array])[] = [
    ['nothing but a tag', bytes('30')],
    ['a byte after the end', concat(rsaDer(), bytes('00'))],
    ['the last byte cut', rsaDer().subarray(0, -1)],
    ['another outermost tag', concat(bytes('31'), rsaDer().subarray(1))],
    ['an indefinite length', concat(bytes('3080'), rsaDer().subarray(4))],
    ['a length of three octets', concat(bytes('3083000122'), rsaDer().subarray(4))],
    ['a length that is not minimal', concat(bytes('30820022'), new Uint8Array(0x22))],
    ['a length of one octet that needs none', concat(bytes('308122'), new Uint8Array(0x22))],
    ['a length cut off', bytes('3082')],
    ['another algorithm', rsaDer({ algorithm: bytes('300d06092a864886f70d01010a0500') })],
    ['the algorithm without NULL', rsaDer({ algorithm: bytes('300b06092a864886f70d010101') })],
    ['unused bits', rsaDer({ unused: bytes('01') })],
    ['no bit string', DER(0x30, RSA_ALGORITHM, DER(0x04, bytes('00')))],
    ['a bit string that ends early', DER(0x30, RSA_ALGORITHM, DER(0x03, bytes('00')), bytes('0500'))],
    ['an empty bit string', DER(0x30, RSA_ALGORITHM, DER(0x03, bytes('00')))],
    ['something after the sequence', DER(0x30, RSA_ALGORITHM, DER(0x03, bytes('003000'), bytes('0500')))],
    ['no modulus', DER(0x30, RSA_ALGORITHM, DER(0x03, bytes('00'), DER(0x30)))],
    ['no exponent', DER(0x30, RSA_ALGORITHM, DER(0x03, bytes('00'), DER(0x30, DER(0x02, MODULUS))))],
    ['a third number', rsaDer({ after: DER(0x02, bytes('01')) })],
    ['a modulus of zeros', rsaDer({ modulus: new Uint8Array(300) })],
    ['an empty modulus', rsaDer({ modulus: new Uint8Array() })],
    ['an even modulus', rsaDer({ modulus: concat(MODULUS.subarray(0, -1), bytes('c0')) })],
    ['a modulus of 2041 bits', rsaDer({ modulus: concat(bytes('01'), MODULUS.subarray(2)) })],
    ['a modulus of 2047 bits', rsaDer({ modulus: concat(bytes('7f'), MODULUS.subarray(2)) })],
    ['a modulus of 16,392 bits', rsaDer({ modulus: new Uint8Array(2049).fill(0xc1) })],
    ['an exponent of 1: anyone can sign', rsaDer({ exponent: bytes('01') })],
    ['an exponent of 0', rsaDer({ exponent: bytes('00') })],
    ['an empty exponent', rsaDer({ exponent: new Uint8Array() })],
    ['an even exponent', rsaDer({ exponent: bytes('010002') })],
    ['an exponent of 72 bits', rsaDer({ exponent: bytes('010000000000000001') })],
    ['a compressed point', bytes(`3039301306072a8648ce3d020106082a8648ce3d030107032200${'02'.repeat(33)}`)],
    ['a hybrid point', bytes(`3059301306072a8648ce3d020106082a8648ce3d03010703420006${'11'.repeat(64)}`)],
    ['a point cut short', bytes(`3059301306072a8648ce3d020106082a8648ce3d03010703420004${'11'.repeat(63)}`)],
    ['a point that goes on', bytes(`3059301306072a8648ce3d020106082a8648ce3d03010703420004${'11'.repeat(65)}`)],
  ];
  test.each(bad)('%s', (_, der) => {
    expect(identity('rsa', 'rsassa-pss-sha256', pemOf(der))).toBeUndefined();
    expect(identity('ecdsa', 'ecdsa-sha2-nistp256', pemOf(der))).toBeUndefined();
  });

  test('every prefix of a good key, and every key with one byte changed, is refused or is another key', () => {
    const good = derOf(rsa.pem);
    const one = identity('rsa', 'rsassa-pss-sha256', rsa.pem);
    for (let end = 0; end < good.length; end++) {
      expect(identity('rsa', 'rsassa-pss-sha256', pemOf(good.subarray(0, end)))).toBeUndefined();
    }
    for (let at = 0; at < good.length; at++) {
      const changed = good.slice();
      changed[at] = (changed[at] ?? 0) ^ 0x81;
      expect(identity('rsa', 'rsassa-pss-sha256', pemOf(changed))).not.toBe(one);
    }
  });
});

test('a kind of key that is described otherwise (TAP 18 identities) leaves the file readable', () => {
  const keyval = { identity: 'someone@example.com', issuer: 'https://issuer.example.com' };
  const key = readKey(objectOf({ keytype: 'sigstore-oidc', scheme: 'Fulcio', keyval }), 'test');
  expect(key).toMatchObject({ keytype: 'sigstore-oidc', scheme: 'Fulcio', public: '', verification: undefined });
});

test('§4.2.2 keyIdOf: SHA-256 of the canonical key object, with members we do not know', () => {
  const json = objectOf({
    scheme: 'ed25519',
    keytype: 'ed25519',
    'x-note': 'ü',
    keyval: { public: '72378e5bc588793e58f81c8533da64a2e8f1565c1fcc7f253496394ffc52542c' },
  });
  const canonical =
    '{"keytype":"ed25519","keyval":{"public":"72378e5bc588793e58f81c8533da64a2e8f1565c1fcc7f253496394ffc52542c"},' +
    '"scheme":"ed25519","x-note":"ü"}';
  expect(driveCrypto(keyIdOf(readKey(json, 'test')), crypto)).toBe(
    createHash('sha256').update(canonical).digest('hex'),
  );
});

test('§4.3 the key ids of the spec’s own example root are those that we compute', () => {
  const example = {
    '1bf1c6e3cdd3d3a8420b19199e27511999850f4b376c4547b2f32fba7e80fca3':
      '72378e5bc588793e58f81c8533da64a2e8f1565c1fcc7f253496394ffc52542c',
    cb3fbd83df4ba2471a736b065650878280964a98843ec13b457a99b2a21cc3b4:
      '66dd78c5c2a78abc6fc6b267ff1a8017ba0e8bfc853dd97af351949bba021275',
  };
  for (const [want, text] of Object.entries(example)) {
    const id = driveCrypto(keyIdOf(makeKey('ed25519', 'ed25519', text)), crypto);
    expect([text, id]).toEqual([text, want]);
  }
  expect(hex(utf8('x'))).toBe('78');
});
