// Private keys in memory as signers: which kinds of key there are, how the
// public half is written for metadata, and how each scheme signs (§4.2.2).
// Private bytes never leave their KeyObject here, and never enter an error.

import { constants, createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { driveCrypto, hex, type Key, keyIdOf, makeKey, type Scheme, type Signer, SignerError } from '@countersign/core';

/** The kinds of key that can be made. RSA keys have 3072 bits. */
export type KeyType = 'ed25519' | 'ecdsa-p256' | 'ecdsa-p384' | 'rsa-pss';

/**
 * Makes a new key that lives only as long as this process.
 *
 * @example const signer = generateSigner(); // ed25519
 */
export function generateSigner(type: KeyType = 'ed25519'): Signer {
  return signerFromPrivateKey(generatePrivateKey(type));
}

/** Makes a private key. */
export function generatePrivateKey(type: KeyType): KeyObject {
  switch (type) {
    case 'ed25519':
      return generateKeyPairSync('ed25519').privateKey;
    case 'ecdsa-p256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    case 'ecdsa-p384':
      return generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
    case 'rsa-pss':
      return generateKeyPairSync('rsa', { modulusLength: 3072 }).privateKey;
  }
}

/**
 * A signer that uses the given private key: ed25519, ecdsa on P-256 or P-384,
 * or RSA of at least 2048 bits, which signs as `rsassa-pss-sha256`.
 *
 * @throws SignerError KEY_UNSUPPORTED for any other key; `sign` throws SIGNING_FAILED
 * @example const signer = signerFromPrivateKey(createPrivateKey(pem));
 */
export function signerFromPrivateKey(privateKey: KeyObject): Signer {
  const kind = kindOf(privateKey);
  const key = publicHalf(privateKey, kind);
  return {
    keyId: driveCrypto(keyIdOf(key), hashing),
    key,
    sign(message) {
      try {
        return kind.sign(message, privateKey);
      } catch (cause) {
        throw new SignerError('SIGNING_FAILED', 'Signing: the key could not sign', {
          detail: { scheme: kind.scheme },
          cause,
        });
      }
    },
  };
}

interface Kind {
  readonly keytype: string;
  readonly scheme: Scheme;
  sign(message: Uint8Array, key: KeyObject): Uint8Array;
}

function kindOf(key: KeyObject): Kind {
  if (key.type === 'private') {
    if (key.asymmetricKeyType === 'ed25519') return ED25519;
    if (key.asymmetricKeyType === 'rsa') return RSA;
    const curve = key.asymmetricKeyType === 'ec' ? key.asymmetricKeyDetails?.namedCurve : undefined;
    if (curve === 'prime256v1') return P256;
    if (curve === 'secp384r1') return P384;
  }
  throw unsupported(`${key.type} ${key.asymmetricKeyType ?? ''} ${key.asymmetricKeyDetails?.namedCurve ?? ''}`.trim());
}

function publicHalf(privateKey: KeyObject, kind: Kind): Key {
  const publicKey = createPublicKey(privateKey);
  try {
    return makeKey(kind.keytype, kind.scheme, publicText(publicKey));
  } catch {
    // core refuses what no client would count, such as RSA below 2048 bits.
    throw unsupported(`${kind.keytype} of ${publicKey.asymmetricKeyDetails?.modulusLength ?? 'unknown'} bits`);
  }
}

/** 64 hexadecimal digits for ed25519, PEM for the others (§4.2.2). */
function publicText(publicKey: KeyObject): string {
  if (publicKey.asymmetricKeyType !== 'ed25519') return publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return hex(spki.subarray(spki.length - 32)); // RFC 8410 §4: the raw key ends the structure
}

function unsupported(got: string): SignerError {
  return new SignerError('KEY_UNSUPPORTED', `Using a private key: a ${got} key cannot sign metadata`, {
    detail: { got },
  });
}

const ED25519: Kind = {
  keytype: 'ed25519',
  scheme: 'ed25519',
  sign: (message, key) => sign(null, message, key),
};
const P256: Kind = {
  keytype: 'ecdsa',
  scheme: 'ecdsa-sha2-nistp256',
  sign: (message, key) => sign('sha256', message, { key, dsaEncoding: 'der' }),
};
const P384: Kind = {
  keytype: 'ecdsa',
  scheme: 'ecdsa-sha2-nistp384',
  sign: (message, key) => sign('sha384', message, { key, dsaEncoding: 'der' }),
};
const RSA: Kind = {
  keytype: 'rsa',
  scheme: 'rsassa-pss-sha256',
  sign: (message, key) =>
    sign('sha256', message, {
      key,
      padding: constants.RSA_PKCS1_PSS_PADDING,
      saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
    }),
};

// A key id needs a hash and nothing else.
const hashing = {
  hash: (algorithm: 'sha256' | 'sha512', bytes: Uint8Array): Uint8Array => createHash(algorithm).update(bytes).digest(),
  check: (): boolean => false,
};
