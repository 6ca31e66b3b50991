import { beforeEach, describe, expect, test } from 'vitest';
import { counter, crypto, fileBytes, pemPair, signer, signerOf, type TestSigner } from '../test/world.ts';
import { utf8 } from './bytes.ts';
import { type JsonLiteral, objectOf } from './canonical.ts';
import { driveCrypto } from './drive.ts';
import { type Envelope, openEnvelope } from './envelope.ts';
import { MetadataError } from './errors.ts';
import { makeKey, readKey } from './keys.ts';
import { type Authority, tallySignatures, verify } from './threshold.ts';

const [a, b, c, stranger] = [signer('a'), signer('b'), signer('c'), signer('stranger')];
const SIGNED = { x: 'é', unknown: [1, { y: null }] };

const authorityOf = (threshold: number, by: readonly TestSigner[], name = 'the role'): Authority => ({
  keys: new Map(by.map(({ keyId, key }) => [keyId, key])),
  role: { keyIds: by.map(({ keyId }) => keyId), threshold },
  name,
});
const signedBy = (by: readonly TestSigner[], signed: JsonLiteral = SIGNED): Envelope =>
  openEnvelope(fileBytes(signed, by), 'the role');
const run = (envelope: Envelope, ...authorities: readonly [Authority, ...Authority[]]): unknown => {
  try {
    return driveCrypto(
      verify(envelope, authorities, (signed) => signed.get('x')),
      crypto,
    ).content;
  } catch (error) {
    if (!(error instanceof MetadataError)) throw error;
    return [error.code, error.detail['got'], error.detail['want']];
  }
};

beforeEach(() => {
  counter.checks = 0;
});

describe('verify', () => {
  test('the threshold is met: the content as read, the bytes as received', () => {
    const envelope = signedBy([a, c]);
    const verified = driveCrypto(
      verify(envelope, [authorityOf(2, [a, b, c])], (signed) => signed.size),
      crypto,
    );
    expect(verified.content).toBe(2);
    expect(verified.bytes).toBe(envelope.bytes);
  });

  test('A9 below threshold: refused, with the file as evidence, and the content is not read', () => {
    const envelope = signedBy([a]);
    const read = (): never => expect.unreachable('unverified content was read');
    try {
      driveCrypto(verify(envelope, [authorityOf(2, [a, b])], read), crypto);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({
        code: 'THRESHOLD_NOT_MET',
        detail: { role: 'the role', want: 2, got: 1 },
        evidence: { file: envelope.bytes },
      });
    }
  });

  test('§5.3.4 every authority must be met, each by its own threshold', () => {
    const old = authorityOf(1, [a], 'old');
    const next = authorityOf(2, [b, c], 'next');
    expect(run(signedBy([a, b, c]), old, next)).toBe('é');
    expect(run(signedBy([b, c]), old, next)).toEqual(['THRESHOLD_NOT_MET', 0, 1]);
    expect(run(signedBy([a, b]), old, next)).toEqual(['THRESHOLD_NOT_MET', 1, 2]);
  });

  test('A1 one byte of the content changed', () => {
    const bytes = fileBytes(SIGNED, [a]);
    const at = Buffer.from(bytes).lastIndexOf('y');
    bytes[at] = 0x7a;
    expect(run(openEnvelope(bytes, 'the role'), authorityOf(1, [a]))).toEqual(['THRESHOLD_NOT_MET', 0, 1]);
  });

  test('what `read` throws passes through', () => {
    const refuse = (): never => {
      throw new MetadataError('EXPIRED', 'too late');
    };
    expect(() => driveCrypto(verify(signedBy([a]), [authorityOf(1, [a])], refuse), crypto)).toThrow('too late');
  });
});

describe('A9 what does not count', () => {
  test('a stranger’s signature', () => {
    expect(run(signedBy([stranger]), authorityOf(1, [a]))).toEqual(['THRESHOLD_NOT_MET', 0, 1]);
  });

  test('a key that is in the file but not in the role', () => {
    const authority = { ...authorityOf(1, [a, b]), role: { keyIds: [a.keyId], threshold: 1 } };
    expect(run(signedBy([b]), authority)).toEqual(['THRESHOLD_NOT_MET', 0, 1]);
  });

  test('a key id of the role that the file has no key for', () => {
    const authority = { ...authorityOf(1, [b]), role: { keyIds: [a.keyId, b.keyId], threshold: 2 } };
    expect(run(signedBy([a, b]), authority)).toEqual(['THRESHOLD_NOT_MET', 1, 2]);
  });

  test('a stranger’s signature under the id of a key of the role', () => {
    expect(run(signedBy([{ ...stranger, keyId: a.keyId }]), authorityOf(1, [a]))).toEqual(['THRESHOLD_NOT_MET', 0, 1]);
  });

  test('one key under two ids: once', () => {
    const alias = { ...a, keyId: 'another id' };
    expect(run(signedBy([a, alias]), authorityOf(2, [a, alias]))).toEqual(['THRESHOLD_NOT_MET', 1, 2]);
    expect(run(signedBy([a, alias, b]), authorityOf(2, [a, alias, b]))).toBe('é');
  });

  test('one key under two ids in two spellings: once', () => {
    const upper = { ...a, keyId: 'upper', key: makeKey('ed25519', 'ed25519', a.key.public.toUpperCase()) };
    expect(run(signedBy([a, upper]), authorityOf(2, [a, upper]))).toEqual(['THRESHOLD_NOT_MET', 1, 2]);
  });

  test('one RSA key under two schemes: once', () => {
    const { pem, privateKey } = pemPair(2048);
    const one = signerOf(privateKey, makeKey('rsa', 'rsassa-pss-sha256', pem));
    const two = signerOf(privateKey, makeKey('rsa', 'rsassa-pss-sha512', pem));
    expect(one.keyId).not.toBe(two.keyId);
    expect(run(signedBy([one, two]), authorityOf(2, [one, two]))).toEqual(['THRESHOLD_NOT_MET', 1, 2]);
    expect(run(signedBy([two]), authorityOf(1, [one, two]))).toBe('é');
  });

  test('one key listed twice, where only the second listing is signed under: still counts once', () => {
    const alias = { ...a, keyId: 'alias' };
    expect(run(signedBy([alias]), authorityOf(1, [a, alias]))).toBe('é');
  });

  test('keys that nobody can check with: they spoil nothing', () => {
    const json = objectOf({ keytype: 'x', scheme: 'y', keyval: { public: 'z' } });
    const odd = { ...stranger, keyId: 'odd', key: readKey(json, 'test') };
    expect(run(signedBy([odd, a]), authorityOf(1, [odd, a]))).toBe('é');
    expect(run(signedBy([odd]), authorityOf(1, [odd, a]))).toEqual(['THRESHOLD_NOT_MET', 0, 1]);
  });

  test('a point that is not on its curve: it spoils nothing', () => {
    const spki = Buffer.from(`3059301306072a8648ce3d020106082a8648ce3d03010703420004${'11'.repeat(64)}`, 'hex');
    const pem = `-----BEGIN PUBLIC KEY-----\n${spki.toString('base64')}\n-----END PUBLIC KEY-----`;
    const odd = { ...stranger, keyId: 'odd', key: makeKey('ecdsa', 'ecdsa-sha2-nistp256', pem) };
    expect(run(signedBy([odd, a]), authorityOf(1, [odd, a]))).toBe('é');
  });

  test('an invalid, an empty and an unreadable signature beside enough good ones', () => {
    const text = Buffer.from(fileBytes(SIGNED, [a])).toString();
    const others = `{"keyid":"${b.keyId}","sig":""},{"keyid":"${c.keyId}","sig":"zz"},{"keyid":"?","sig":"00"}`;
    const envelope = openEnvelope(utf8(text.replace('[{', `[${others},{`)), 'the role');
    expect(run(envelope, authorityOf(1, [a, b, c]))).toBe('é');
    expect(run(envelope, authorityOf(2, [a, b, c]))).toEqual(['THRESHOLD_NOT_MET', 1, 2]);
  });

  test('a threshold without keys is never met', () => {
    expect(run(signedBy([a]), authorityOf(1, []))).toEqual(['THRESHOLD_NOT_MET', 0, 1]);
  });
});

describe('how much is checked', () => {
  test('no more signatures than the threshold asks for', () => {
    run(signedBy([a, b, c]), authorityOf(1, [a, b, c]));
    expect(counter.checks).toBe(1);
  });

  test('only key ids of the role, however many signatures the file has', () => {
    const many = Array.from({ length: 50 }, (_, i) => ({ ...stranger, keyId: `stranger ${i}` }));
    run(signedBy([...many, a]), authorityOf(1, [a]));
    expect(counter.checks).toBe(1);
  });
});

describe('tallySignatures: who has signed and who has not', () => {
  const tally = (by: readonly TestSigner[], authority: Authority): unknown => {
    const { message, signatures } = signedBy(by);
    return driveCrypto(tallySignatures(message, signatures, authority), crypto);
  };

  test('all that signed, beyond the threshold, in the order of the role', () => {
    expect(tally([c, a, stranger], authorityOf(1, [a, b, c]))).toEqual({
      threshold: 1,
      signed: [a.keyId, c.keyId],
      missing: [b.keyId],
      met: true,
    });
    expect(tally([], authorityOf(1, [a]))).toEqual({ threshold: 1, signed: [], missing: [a.keyId], met: false });
  });
});
