import { createPublicKey, createSecretKey, generateKeyPairSync, type KeyObject, verify } from 'node:crypto';
import { driveCrypto, keyIdOf, SignerError, utf8 } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { generateSigner, type KeyType, signerFromPrivateKey } from './index.ts';

const MESSAGE = utf8('signed');

describe('generateSigner', () => {
  it.each<[KeyType, string, string]>([
    ['ed25519', 'ed25519', 'ed25519'],
    ['ecdsa-p256', 'ecdsa', 'ecdsa-sha2-nistp256'],
    ['ecdsa-p384', 'ecdsa', 'ecdsa-sha2-nistp384'],
    ['rsa-pss', 'rsa', 'rsassa-pss-sha256'],
  ])('§4.2.2 %s: key type %s, scheme %s', async (type, keytype, scheme) => {
    const { key, keyId, ...signer } = generateSigner(type);
    expect(key).toMatchObject({ keytype, scheme, verification: { scheme } });
    expect(keyId).toMatch(/^[0-9a-f]{64}$/);
    expect((await signer.sign(MESSAGE)).length).toBeGreaterThan(60);
  });

  it('makes ed25519 by default, written as 64 hexadecimal digits, and a new one each time', () => {
    const [a, b] = [generateSigner(), generateSigner()];
    expect(a.key.public).toMatch(/^[0-9a-f]{64}$/);
    expect(a.keyId).not.toBe(b.keyId);
  });
});

describe('signerFromPrivateKey', () => {
  it('signs ecdsa as DER and RSA with a salt as long as the digest', async () => {
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const der = await signerFromPrivateKey(ec.privateKey).sign(MESSAGE);
    expect(der[0]).toBe(0x30);
    expect(verify('sha256', MESSAGE, { key: ec.publicKey, dsaEncoding: 'der' }, der)).toBe(true);
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pss = await signerFromPrivateKey(rsa.privateKey).sign(MESSAGE);
    expect(verify('sha256', MESSAGE, { key: rsa.publicKey, padding: 6, saltLength: 32 }, pss)).toBe(true);
  });

  it('gives the same key id for the same key, by the rule of the specification', () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const signer = signerFromPrivateKey(privateKey);
    expect(signerFromPrivateKey(privateKey).keyId).toBe(signer.keyId);
    const hashing = { check: () => false, hash: (_: string, bytes: Uint8Array) => bytes.slice(0, 4) };
    expect(driveCrypto(keyIdOf(signer.key), hashing)).toBe('7b226b65'); // over {"ke…
  });

  it.each<[string, () => KeyObject]>([
    ['ed448', () => generateKeyPairSync('ed448').privateKey],
    ['x25519', () => generateKeyPairSync('x25519').privateKey],
    ['secp256k1', () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey],
    ['P-521', () => generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey],
    ['RSA of 1024 bits', () => generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey],
    ['RSA bound to PSS', () => generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey],
    ['public', () => createPublicKey(generateKeyPairSync('ed25519').privateKey)],
    ['secret', () => createSecretKey(Buffer.alloc(32))],
  ])('refuses a key that no client would count: %s', (_, make) => {
    const key = make();
    expect(() => signerFromPrivateKey(key)).toThrow(SignerError);
    expect(() => signerFromPrivateKey(key)).toThrow(expect.objectContaining({ code: 'KEY_UNSUPPORTED' }));
  });
});
