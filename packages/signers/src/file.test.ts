import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createKeyFile, openKeyFile } from './file.ts';
import type { KeyType } from './index.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-'));
  path = join(folder, 'key.pem');
});
afterEach(() => rm(folder, { recursive: true }));

const PASSPHRASE = 'correct horse battery staple';

it.each<KeyType>(['ed25519', 'ecdsa-p256', 'ecdsa-p384', 'rsa-pss'])(
  '%s: a key file opens to the same key',
  async (type) => {
    const created = await createKeyFile(path, PASSPHRASE, type);
    const opened = await openKeyFile(path, PASSPHRASE);
    expect(opened.keyId).toBe(created.keyId);
    expect(opened.key).toEqual(created.key);
  },
);

it('is encrypted PKCS#8 that other tools open, for its owner only, alone in its folder', async () => {
  const inner = join(folder, 'keys', 'author.pem');
  await createKeyFile(inner, PASSPHRASE);
  const pem = await readFile(inner, 'utf8');
  expect(pem).toMatch(/^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/);
  expect(createPrivateKey({ key: pem, passphrase: PASSPHRASE }).asymmetricKeyType).toBe('ed25519');
  expect((await stat(inner)).mode & 0o777).toBe(0o600);
  expect((await stat(join(folder, 'keys'))).mode & 0o777).toBe(0o700);
  expect(await readdir(join(folder, 'keys'))).toEqual(['author.pem']);
});

it('a wrong passphrase is KEY_LOCKED and tells nothing', async () => {
  await createKeyFile(path, PASSPHRASE);
  for (const wrong of ['', 'hunter2', `${PASSPHRASE} `, ...Array.from({ length: 40 }, (_, i) => `guess ${i}`)]) {
    const error: unknown = await openKeyFile(path, wrong).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'KEY_LOCKED', detail: { path } });
    expect(error).not.toHaveProperty('cause');
    const shown = inspect(error, { depth: 9, showHidden: true });
    expect(shown).not.toContain('hunter2');
    expect(shown).not.toContain('BEGIN');
  }
});

it('never overwrites: an older key stays as it was', async () => {
  await createKeyFile(path, PASSPHRASE);
  const before = await readFile(path);
  await expect(createKeyFile(path, 'another')).rejects.toMatchObject({ code: 'USAGE_INVALID', detail: { path } });
  expect(await readFile(path)).toEqual(before);
});

it('asks for a passphrase, and makes no file without one', async () => {
  await expect(createKeyFile(path, '')).rejects.toMatchObject({ code: 'USAGE_INVALID' });
  expect(await readdir(folder)).toEqual([]);
});

it('tells a missing key from one that cannot be read or written', async () => {
  await expect(openKeyFile(path, PASSPHRASE)).rejects.toMatchObject({ code: 'KEY_MISSING', detail: { path } });
  await mkdir(path);
  await expect(openKeyFile(path, PASSPHRASE)).rejects.toMatchObject({ code: 'STORE_READ', cause: { code: 'EISDIR' } });
  const file = join(folder, 'file');
  await writeFile(file, '');
  await expect(createKeyFile(join(file, 'key.pem'), PASSPHRASE)).rejects.toMatchObject({ code: 'STORE_WRITE' });
  expect(await readFile(file, 'utf8')).toBe('');
});

it('refuses what is not an encrypted key, an unencrypted key too, and a kind that cannot sign', async () => {
  const { privateKey } = generateKeyPairSync('ed25519');
  const other = generateKeyPairSync('ed448').privateKey;
  const encrypted = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: PASSPHRASE } as const;
  const contents = ['', 'hello', privateKey.export({ type: 'pkcs8', format: 'pem' }), other.export(encrypted)];
  for (const content of contents) {
    await writeFile(path, content);
    await expect(openKeyFile(path, PASSPHRASE)).rejects.toMatchObject({ code: 'KEY_UNSUPPORTED' });
  }
});
