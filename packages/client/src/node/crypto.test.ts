import { constants, generateKeyPairSync, sign } from 'node:crypto';
import { hex, makeKey, type Signer, utf8 } from '@countersign/core';
import { generateSigner, type KeyType } from '@countersign/signers';
import { describe, expect, it } from 'vitest';
import { nodeCrypto, sha256 } from './crypto.ts';

const MESSAGE = utf8('to whom it may concern');

function verificationOf({ key }: Pick<Signer, 'key'>) {
  if (key.verification === undefined) throw new Error('not a verification key');
  return key.verification;
}

describe('nodeCrypto', () => {
  it.each<KeyType>(['ed25519', 'ecdsa-p256', 'ecdsa-p384', 'rsa-pss'])(
    '%s: counts valid signatures only',
    async (type) => {
      const signer = generateSigner(type);
      const signature = await signer.sign(MESSAGE);
      const check = (change: { message?: Uint8Array; signature?: Uint8Array; by?: Signer } = {}): boolean =>
        nodeCrypto.check({
          do: 'check',
          message: change.message ?? MESSAGE,
          signature: change.signature ?? signature,
          ...verificationOf(change.by ?? signer),
        });
      expect(check()).toBe(true);
      expect(check()).toBe(true); // by the remembered key
      expect(check({ message: utf8('to someone else') })).toBe(false);
      expect(check({ by: generateSigner(type) })).toBe(false);
      const flipped = signature.slice();
      flipped[flipped.length - 1] = (flipped.at(-1) ?? 0) ^ 1;
      for (const bad of [flipped, new Uint8Array(), signature.subarray(1), Uint8Array.of(...signature, 0)]) {
        expect(check({ signature: bad })).toBe(false);
      }
    },
  );

  it('a point that is not on the curve is a key that nothing is signed with', () => {
    const { spki } = verificationOf(generateSigner('ecdsa-p256')).key;
    const bytes = spki.slice();
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    const pem = `-----BEGIN PUBLIC KEY-----\n${Buffer.from(bytes).toString('base64')}\n-----END PUBLIC KEY-----\n`;
    const key = makeKey('ecdsa', 'ecdsa-sha2-nistp256', pem);
    const signature = new Uint8Array(70);
    expect(nodeCrypto.check({ do: 'check', message: MESSAGE, signature, ...verificationOf({ key }) })).toBe(false);
  });

  it.each([
    ['rsassa-pss-sha256', 'sha256'],
    ['rsassa-pss-sha384', 'sha384'],
    ['rsassa-pss-sha512', 'sha512'],
  ] as const)('%s: with a salt of any length, and with no other padding', (scheme, digest) => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const key = makeKey('rsa', scheme, publicKey.export({ type: 'spki', format: 'pem' }).toString());
    const check = (padding: number, saltLength?: number): boolean => {
      const signature = sign(digest, MESSAGE, {
        key: privateKey,
        padding,
        ...(saltLength !== undefined && { saltLength }),
      });
      return nodeCrypto.check({ do: 'check', message: MESSAGE, signature, ...verificationOf({ key }) });
    };
    expect(check(constants.RSA_PKCS1_PSS_PADDING, constants.RSA_PSS_SALTLEN_DIGEST)).toBe(true);
    expect(check(constants.RSA_PKCS1_PSS_PADDING, constants.RSA_PSS_SALTLEN_MAX_SIGN)).toBe(true);
    expect(check(constants.RSA_PKCS1_PADDING)).toBe(false);
  });

  it('hashes at once and in pieces', () => {
    const want = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'; // FIPS 180-4, "abc"
    expect(hex(sha256(utf8('abc')))).toBe(want);
    expect(hex(nodeCrypto.hash('sha256', utf8('abc')))).toBe(want);
    const hasher = nodeCrypto.hasher('sha256');
    for (const piece of ['a', '', 'bc']) hasher.update(utf8(piece));
    expect(hex(hasher.digest())).toBe(want);
    expect(nodeCrypto.hash('sha512', utf8('abc'))).toHaveLength(64);
  });

  it('remembers a bounded number of keys', () => {
    const raw = (n: number): string => n.toString(16).padStart(64, '0');
    const signature = new Uint8Array(64);
    for (let n = 1; n < 1200; n++) {
      const key = makeKey('ed25519', 'ed25519', raw(n));
      expect(nodeCrypto.check({ do: 'check', message: MESSAGE, signature, ...verificationOf({ key }) })).toBe(false);
    }
  });
});
