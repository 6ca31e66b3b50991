// Somebody else's repository in the shape that tuf-on-ci makes: root and targets
// by several signers, delegated roles by others, online snapshot and timestamp
// under one key, roots before the present one, and members of its own. Made
// with core alone: nothing of our layout is in it.

import {
  type Delegations,
  editRoot,
  editSnapshot,
  editTargets,
  editTimestamp,
  type FileMeta,
  jsonOf,
  type Key,
  type KeyId,
  openEnvelope,
  type RoleKeys,
  readKey,
  readRoot,
  readTargets,
  requireTargetPath,
  type Signer,
  StoreError,
  signFile,
  type TargetFile,
  type TopLevelRole,
  targetUrl,
} from '@countersign/core';
import { seededKey } from '@countersign/testkit';
import type { ForeignSource } from '../src/operations/index.ts';
import { factsOf } from './memory-store.ts';
import { BEGIN, once } from './world.ts';

/** The people and machines of it. Key ids are of their own making. */
export const THEIRS = {
  alex: named('alex-of-theirs'),
  blair: named('blair-of-theirs'),
  casey: named('casey-of-theirs'),
  online: named('online-of-theirs'),
  npm: named('npm-of-theirs'),
} as const;

/** A repository by URL. */
export interface ForeignWorld {
  readonly site: Map<string, Uint8Array>;
  /** The first root: what its users pin. */
  readonly anchor: Uint8Array;
  readonly source: ForeignSource;
  readonly paths: readonly string[];
}

/** Makes one at its third root. @param consistent whether file names carry versions and digests */
export async function foreignWorld(
  consistent = true,
  { bins = false }: { readonly bins?: boolean } = {},
): Promise<ForeignWorld> {
  const site = new Map<string, Uint8Array>();
  const put = (role: string, version: number, bytes: Uint8Array): void => {
    const always = role === 'root' || (consistent && role !== 'timestamp');
    site.set(`metadata/${always ? `${version}.` : ''}${role}.json`, bytes);
  };
  const expires = BEGIN + 200 * 86_400_000;
  const { alex, blair, casey, online, npm } = THEIRS;
  const signing = jsonOf({ 'x-tuf-on-ci-expiry-period': 182, 'x-tuf-on-ci-signing-period': 60 });
  const offline: RoleKeys = { keyIds: [alex, blair, casey].map(({ keyId }) => keyId), threshold: 2 };
  const served: RoleKeys = {
    keyIds: [online.keyId],
    threshold: 1,
    ...(signing instanceof Map && { json: signing }),
  };
  const keys = keysOf([alex, blair, casey, online]);
  const roles = new Map<TopLevelRole, RoleKeys>([
    ['root', offline],
    ['targets', offline],
    ['snapshot', served],
    ['timestamp', served],
  ]);
  let anchor: Uint8Array | undefined;
  let present: ReturnType<typeof readRoot> | undefined;
  for (let version = 1; version <= 3; version++) {
    const draft = new Map(editRoot(present, { expires, keys, roles, consistentSnapshot: consistent }));
    draft.set('x-tuf-on-ci-expiry-period', 365);
    draft.set('x-tuf-on-ci-signing-period', 60);
    const bytes = await signFile(draft, [alex, casey]);
    present = readRoot(openEnvelope(bytes, 'root').signed);
    anchor ??= bytes;
    put('root', version, bytes);
  }
  const listed = (path: string, content: string): TargetFile => {
    const facts = factsOf(Buffer.from(content));
    const digest = facts.sha256;
    const url = consistent ? targetUrl(requireTargetPath(path), digest) : path;
    site.set(`targets/${url}`, Buffer.from(content));
    return { path, length: facts.length, hashes: new Map([['sha256', digest]]), custom: undefined };
  };
  const set = new Map<string, FileMeta>();
  const role = async (
    name: string,
    version: number,
    draft: ReturnType<typeof editTargets>,
    by: readonly Signer[],
  ): Promise<void> => {
    const bytes = await signFile(new Map([...draft, ['version', version]]), by);
    readTargets(openEnvelope(bytes, name).signed, name);
    put(name, version, bytes);
    set.set(name, { version, length: undefined, hashes: undefined });
  };
  const paths = ['trusted_root.json', 'packages.example.test/keys.json'];
  const delegations: Delegations = bins
    ? {
        keys: keysOf([online]),
        roles: [],
        succinct: { keyIds: [online.keyId], threshold: 1, bitLength: 2, namePrefix: 'bins' },
      }
    : {
        keys: keysOf([npm]),
        roles: [
          {
            name: 'packages.example.test',
            keyIds: [npm.keyId],
            threshold: 1,
            terminating: true,
            paths: { by: 'pattern', patterns: ['packages.example.test/*'] },
          },
        ],
        succinct: undefined,
      };
  if (bins) {
    const inBins = ['files/a', 'files/b', 'files/c', 'files/d', 'files/e'];
    paths.splice(1, 1, ...inBins);
    for (let bin = 0; bin < 4; bin++) {
      const mine = inBins.filter(
        (path) => Number.parseInt(factsOf(Buffer.from(path)).sha256.charAt(0), 16) >> 2 === bin,
      );
      const draft = editTargets(undefined, { expires, set: mine.map((path) => listed(path, `of ${path}`)) });
      await role(`bins-${bin}`, 7 + bin, draft, [online]);
    }
  } else {
    const draft = editTargets(undefined, { expires, set: [listed('packages.example.test/keys.json', 'keys of npm')] });
    await role('packages.example.test', 4, draft, [npm]);
  }
  await role(
    'targets',
    12,
    editTargets(undefined, { expires, delegations, set: [listed('trusted_root.json', 'the root of trust')] }),
    [blair, casey],
  );
  const snapshot = new Map([...editSnapshot(undefined, { expires, set }), ['version', 163]]);
  put('snapshot', 163, await signFile(snapshot, [online]));
  const timestamp = editTimestamp(undefined, {
    expires,
    snapshot: { version: 163, length: undefined, hashes: undefined },
  });
  put('timestamp', 408, await signFile(new Map([...timestamp, ['version', 408]]), [online]));
  return { site, anchor: anchor ?? new Uint8Array(), source: sourceOver(site), paths };
}

/** A site as it is read by whoever takes it over. */
export function sourceOver(site: ReadonlyMap<string, Uint8Array>): ForeignSource {
  return {
    file: async (role, version) => site.get(`metadata/${version === undefined ? '' : `${version}.`}${role}.json`),
    async *target(path, digest) {
      const name = digest === undefined ? path : targetUrl(requireTargetPath(path), digest);
      const bytes = site.get(`targets/${name}`);
      if (bytes === undefined) throw new StoreError('STORE_READ', 'Reading theirs: it is not there');
      yield* once(bytes);
    },
  };
}

/** A key under an id that we would never give it, with a member that we do not know. */
function named(name: string): Signer {
  const seeded = seededKey(name);
  const { key } = seeded;
  const json = new Map([...key.json, ['x-tuf-on-ci-keyowner', `@${name}`]]);
  const signer: Signer = { keyId: `${name}-0123`, key: readKey(json, name), sign: (message) => seeded.sign(message) };
  return signer;
}

function keysOf(signers: readonly Signer[]): ReadonlyMap<KeyId, Key> {
  return new Map(signers.map(({ keyId, key }) => [keyId, key]));
}
