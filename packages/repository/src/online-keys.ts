// Which online keys the collection names, and who holds them. The metadata
// says which key counts; the process looks for the one that it needs when a
// publication of the quorum begins to name it, so no restart is needed to
// rotate a key. Where a key is missing, that is said when something must be
// signed, and the service goes on: the quorum may be about to name another.

import { type KeyId, type RoleKeys, type Root, type Signer, SignerError, type Targets } from '@countersign/core';
import type { LeavingSigners, OnlineSigners } from './online.ts';
import { identitiesOf, type KeySet, keysOfKind, keysOfRole, keysOfTop } from './quorum-drafts.ts';

/** What an online key signs. */
export type OnlineKind = keyof OnlineSigners;

/** Every kind, in the order in which operators read them. */
export const ONLINE_KINDS = ['timestamp', 'snapshot', 'recent', 'unclaimed', 'decisions', 'bins'] as const;

/**
 * Looks for the private half of one of the named keys, for this kind of role.
 *
 * @returns `undefined` where it is not held here
 * @throws SignerError, StoreError when it is there and cannot be opened
 */
export type FindOnlineKey = (kind: OnlineKind, keyIds: readonly KeyId[]) => Promise<Signer | undefined>;

/** The keys that a collection's online roles are to be signed with, by kind. */
export type OnlineKeySets = ReadonlyMap<OnlineKind, KeySet>;

/** Reads them from what is in force. @param bins the role that delegates to the bins of a plain collection */
export function onlineKeySets(root: Root, targets: Targets, bins: Targets | undefined): OnlineKeySets {
  const sets = new Map<OnlineKind, KeySet>([
    ['timestamp', keysOfTop(root, 'timestamp')],
    ['snapshot', keysOfTop(root, 'snapshot')],
  ]);
  for (const kind of ['recent', 'unclaimed', 'decisions'] as const) {
    const set = keysOfKind(targets, kind);
    if (set !== undefined) sets.set(kind, set);
  }
  const { keys, roles = [], succinct } = bins?.delegations ?? {};
  const role: RoleKeys | undefined = succinct ?? roles[0];
  if (keys !== undefined && role !== undefined) sets.set('bins', keysOfRole(keys, role));
  return sets;
}

/** Tells whether a signer's signature is enough. */
export function counts(set: KeySet, signer: Signer | undefined): boolean {
  const identity = signer?.key.verification?.key.identity;
  return identity !== undefined && set.threshold === 1 && identitiesOf(set).has(identity);
}

/** Looks for a key among given signers. */
export function findAmong(signers: Partial<OnlineSigners>): FindOnlineKey {
  return async (kind, keyIds) => {
    const signer = signers[kind];
    return signer !== undefined && keyIds.includes(signer.keyId) ? signer : undefined;
  };
}

/**
 * The signers for what is named. One that counts already is kept; one that is
 * nowhere fails when it is asked to sign.
 *
 * @throws SignerError, StoreError
 */
export async function signersFor(
  sets: OnlineKeySets,
  find: FindOnlineKey,
  present: Partial<OnlineSigners> = {},
): Promise<OnlineSigners> {
  const signerOf = async (kind: OnlineKind, set: KeySet): Promise<Signer> => {
    const known = present[kind];
    if (known !== undefined && counts(set, known)) return known;
    return (await find(kind, set.keyIds)) ?? absent(kind, set.keyIds, find);
  };
  const signers: Partial<Record<OnlineKind, Signer>> = { ...present };
  for (const [kind, set] of sets) signers[kind] = await signerOf(kind, set);
  const { timestamp = absent('timestamp', [], find), snapshot = absent('snapshot', [], find) } = signers;
  return { ...signers, timestamp, snapshot };
}

/**
 * The timestamp and snapshot keys that are replaced; `undefined` when one of
 * them is not at hand, so that clients under way cannot be helped.
 */
export function leavingFrom(
  named: OnlineKeySets,
  before: OnlineSigners,
  after: OnlineSigners,
): LeavingSigners | undefined {
  const leaving: { timestamp?: Signer; snapshot?: Signer } = {};
  for (const kind of ['timestamp', 'snapshot'] as const) {
    const set = named.get(kind);
    const old = before[kind];
    if (old.keyId === after[kind].keyId) continue;
    if (set === undefined || !counts(set, old)) return undefined;
    leaving[kind] = old;
  }
  return leaving;
}

/** The kinds that no signer at hand can sign. */
export function missingKeys(sets: OnlineKeySets, signers: OnlineSigners): readonly OnlineKind[] {
  return ONLINE_KINDS.filter((kind) => {
    const set = sets.get(kind);
    return set !== undefined && !counts(set, signers[kind]);
  });
}

/** Stands for a key that is not here: looks again each time, because somebody may have brought it. */
function absent(kind: OnlineKind, keyIds: readonly KeyId[], find: FindOnlineKey): Signer {
  const [keyId = ''] = keyIds;
  return {
    keyId,
    key: { keytype: '', scheme: '', public: '', verification: undefined, json: new Map() },
    async sign(message) {
      const found = await find(kind, [keyId]);
      if (found !== undefined) return await found.sign(message);
      throw missingKey(kind, keyIds);
    },
  };
}

/** Says which key is missing. */
export function missingKey(kind: OnlineKind, keyIds: readonly KeyId[]): SignerError {
  return new SignerError('KEY_MISSING', `Signing with the ${kind} key: the one that the collection names is not here`, {
    detail: { kind, want: keyIds },
  });
}
