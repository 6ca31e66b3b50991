// A world in one hand for core's own tests: keys from seeds, metadata from
// literals (so that it can be as wrong as a test wants), and ports over Maps
// that write down what was asked. Never used outside packages/core.

import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { canonicalBytes, documentBytes, type JsonLiteral, objectOf } from '../src/canonical.ts';
import type { SyncCryptoPort, SyncPorts } from '../src/drive.ts';
import type { CheckEffect } from '../src/effects.ts';
import { MetadataError } from '../src/errors.ts';
import { type Key, makeKey, type Scheme } from '../src/keys.ts';
import type { TopLevelRole } from '../src/paths.ts';

export const NOW = Date.UTC(2030, 0, 1);
export const LATER = '2031-01-01T00:00:00Z';
export const EARLIER = '2029-01-01T00:00:00Z';

/** A private-key holder that signs at once. */
export interface TestSigner {
  readonly keyId: string;
  readonly key: Key;
  readonly sign: (message: Uint8Array) => Uint8Array;
}

const DIGESTS = { sha256: 'sha256', sha384: 'sha384', sha512: 'sha512' } as const;

function digestOfScheme(scheme: Scheme): keyof typeof DIGESTS | null {
  if (scheme === 'ed25519') return null;
  if (scheme === 'ecdsa-sha2-nistp256' || scheme === 'rsassa-pss-sha256') return 'sha256';
  return scheme === 'rsassa-pss-sha512' ? 'sha512' : 'sha384';
}

/** How many signatures were checked since the last reset. */
export const counter = { checks: 0, hashes: 0 };

/** Cryptography for tests: a key or signature that node refuses is not valid. */
export const crypto: SyncCryptoPort = {
  check({ key, scheme, message, signature }: CheckEffect) {
    counter.checks++;
    try {
      const publicKey = createPublicKey({ key: Buffer.from(key.spki), format: 'der', type: 'spki' });
      const padding = scheme.startsWith('rsa') ? { padding: 6 } : {};
      return verify(digestOfScheme(scheme), message, { key: publicKey, ...padding }, signature);
    } catch {
      return false;
    }
  },
  hash(algorithm, bytes) {
    counter.hashes++;
    return createHash(algorithm).update(bytes).digest();
  },
};

export function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}

export function hexOf(algorithm: 'sha256' | 'sha512', bytes: Uint8Array): string {
  return createHash(algorithm).update(bytes).digest('hex');
}

/** An ed25519 signer whose key is derived from its name: the same in each run. */
export function signer(name: string): TestSigner {
  const known = signers.get(name);
  if (known !== undefined) return known;
  const seed = createHash('sha256').update(`seed of ${name}`).digest();
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const raw = createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(12);
  const made = signerOf(privateKey, makeKey('ed25519', 'ed25519', raw.toString('hex')));
  signers.set(name, made);
  return made;
}
const signers = new Map<string, TestSigner>();

/** A signer over any private key, under any id. */
export function signerOf(privateKey: KeyObject, key: Key, keyId?: string): TestSigner {
  const scheme = key.scheme as Scheme;
  const padding = scheme.startsWith('rsa') ? { padding: 6, saltLength: -1 } : {};
  return {
    key,
    keyId: keyId ?? hexOf('sha256', canonicalBytes(key.json)),
    sign: (message) => sign(digestOfScheme(scheme), message, { key: privateKey, ...padding }),
  };
}

/** The SPKI PEM text of a fresh key pair, and its private half. */
export function pemPair(kind: 'P-256' | 'P-384' | 'P-521' | 2048 | 1024 | 2047): {
  pem: string;
  privateKey: KeyObject;
} {
  const { publicKey, privateKey } =
    typeof kind === 'number'
      ? generateKeyPairSync('rsa', { modulusLength: kind })
      : generateKeyPairSync('ec', { namedCurve: kind });
  return { pem: publicKey.export({ format: 'pem', type: 'spki' }).toString(), privateKey };
}

/** A metadata file: `signed` as any literal, signatures by the given signers over its canonical bytes. */
export function fileBytes(signed: JsonLiteral, by: readonly TestSigner[]): Uint8Array {
  const tree = objectOf({ signed });
  const message = canonicalBytes(tree.get('signed') ?? null);
  const signatures = by.map(({ keyId, sign }) => ({ keyid: keyId, sig: Buffer.from(sign(message)).toString('hex') }));
  return documentBytes(objectOf({ signatures, signed }));
}

export type Members = Record<string, JsonLiteral | undefined>;

export function roleKeys(by: readonly TestSigner[], threshold = 1): Members {
  return { keyids: by.map(({ keyId }) => keyId), threshold };
}

export function keysOf(by: readonly TestSigner[]): Members {
  return Object.fromEntries(by.map(({ keyId, key }) => [keyId, key.json]));
}

export type Holders = Record<TopLevelRole, readonly TestSigner[]>;

export const HOLDERS: Holders = {
  root: [signer('root')],
  timestamp: [signer('timestamp')],
  snapshot: [signer('snapshot')],
  targets: [signer('targets')],
};

export function rootJson(version: number, holders: Holders = HOLDERS, more: Members = {}): Members {
  return {
    _type: 'root',
    spec_version: '1.0.34',
    consistent_snapshot: true,
    version,
    expires: LATER,
    keys: keysOf(Object.values(holders).flat()),
    roles: Object.fromEntries(Object.entries(holders).map(([role, by]) => [role, roleKeys(by)])),
    ...more,
  };
}

export function timestampJson(version: number, snapshot: Members, more: Members = {}): Members {
  const meta = { 'snapshot.json': snapshot };
  return { _type: 'timestamp', spec_version: '1.0.34', version, expires: LATER, meta, ...more };
}

export function snapshotJson(version: number, meta: Members, more: Members = {}): Members {
  return { _type: 'snapshot', spec_version: '1.0.34', version, expires: LATER, meta, ...more };
}

export function targetsJson(version: number, targets: Members = {}, more: Members = {}): Members {
  return { _type: 'targets', spec_version: '1.0.34', version, expires: LATER, targets, ...more };
}

/** What a file lists of another: version, length and sha256. */
export function metaOf(version: number, bytes: Uint8Array): Members {
  return { version, length: bytes.length, hashes: { sha256: hexOf('sha256', bytes) } };
}

/** What a targets role lists of a file with this content. */
export function targetOf(content: string, custom?: Members): Members {
  const bytes = new TextEncoder().encode(content);
  return {
    length: bytes.length,
    hashes: { sha256: hexOf('sha256', bytes), sha512: hexOf('sha512', bytes) },
    custom,
  };
}

/** A delegation to one role. */
export function delegation(
  name: string,
  by: readonly TestSigner[],
  paths: readonly string[],
  more: Members = {},
): Members {
  return { name, ...roleKeys(by), paths, terminating: false, ...more };
}

export interface World {
  /** What the mirror has, by URL. */
  readonly served: Map<string, Uint8Array>;
  /** Local trusted state, by cache name. */
  readonly disk: Map<string, Uint8Array>;
  /** The URLs asked for, in order. */
  readonly requests: string[];
  readonly ports: SyncPorts;
}

/** A mirror and a disk with nothing on them. */
export function emptyWorld(): World {
  const served = new Map<string, Uint8Array>();
  const disk = new Map<string, Uint8Array>();
  const requests: string[] = [];
  return {
    served,
    disk,
    requests,
    ports: {
      crypto,
      state: {
        load: (name) => disk.get(name),
        save: (name, bytes) => void disk.set(name, bytes),
        drop: (name) => void disk.delete(name),
      },
      source: {
        fetch({ url, maxBytes, role }) {
          requests.push(url);
          const bytes = served.get(url);
          if (bytes !== undefined && bytes.length > maxBytes) {
            throw new MetadataError('LENGTH_EXCEEDED', `Fetching ${role}: too long`, { detail: { role, maxBytes } });
          }
          return bytes;
        },
      },
    },
  };
}

/** A targets role to publish: its `signed` object and who signs it. */
export interface Role {
  readonly json: Members;
  readonly by: readonly TestSigner[];
}

export interface Edition {
  readonly version?: number;
  readonly snapshotVersion?: number;
  readonly holders?: Holders;
  readonly targets?: Role;
  readonly roles?: Readonly<Record<string, Role>>;
  readonly timestampMore?: Members;
  readonly snapshotMore?: Members;
  readonly consistent?: boolean;
  /** Whether the snapshot lists lengths and hashes of roles. */
  readonly hashes?: boolean;
}

/** Puts one edition of timestamp, snapshot and targets roles on the mirror (not the root). */
export function publish(world: World, edition: Edition = {}): void {
  const { version = 1, holders = HOLDERS, consistent = true, hashes = true } = edition;
  const { snapshotVersion = version } = edition;
  const roles = { ...edition.roles, targets: edition.targets ?? { json: targetsJson(1), by: holders.targets } };
  const place = (role: string, v: number): string =>
    consistent ? `${v}.${encodeURIComponent(role)}.json` : `${encodeURIComponent(role)}.json`;
  const meta: Members = {};
  for (const [name, { json, by }] of Object.entries(roles)) {
    const bytes = fileBytes(json, by);
    const v = Number(json['version']);
    world.served.set(place(name, v), bytes);
    meta[`${name}.json`] = hashes ? metaOf(v, bytes) : { version: v };
  }
  const snapshot = fileBytes(snapshotJson(snapshotVersion, meta, edition.snapshotMore), holders.snapshot);
  world.served.set(place('snapshot', snapshotVersion), snapshot);
  const timestamp = timestampJson(version, metaOf(snapshotVersion, snapshot), edition.timestampMore);
  world.served.set('timestamp.json', fileBytes(timestamp, holders.timestamp));
}

/** The code of what a function throws; `undefined` when it returns. Anything untyped is thrown on. */
export function codeOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof Error && 'code' in error && 'detail' in error) return String(error.code);
    throw error;
  }
}
