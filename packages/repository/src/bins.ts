// Plain collections of files, which have no names: every path falls into one of
// 2^n bins by its SHA-256. One offline role, `bins`, delegates to all of them,
// as path-hash prefixes that every client knows or as succinct roles (TAP 15);
// author-signed roles by pattern stand in front of it. Both forms name their
// bins alike, so that what is in a bin does not depend on the form.

import {
  type DelegatedRole,
  type Delegations,
  matchesPattern,
  type RoleKeys,
  type Sha256,
  type Signer,
  succinctBin,
  type Targets,
  UsageError,
  utf8,
} from '@countersign/core';

/** The offline role that delegates to the bins. */
export const BINS_ROLE = 'bins';

/** How the bins are written: for every client, or for those that know TAP 15. */
export type BinsForm = 'classic' | 'succinct';

/** The bins of a collection. */
export interface Bins {
  /** How many leading bits of the path's SHA-256 choose the bin: 1 to 20. */
  readonly bitLength: number;
  /** What their names begin with; another one for each re-binning, as no role may change its meaning. */
  readonly namePrefix: string;
}

/** All paths, as `bins` is delegated to: every first digit. */
export const ALL_PATHS: DelegatedRole['paths'] = {
  by: 'hash-prefix',
  prefixes: Array.from({ length: 16 }, (_, digit) => digit.toString(16)),
};

/**
 * The delegations of the `bins` role.
 *
 * @throws UsageError USAGE_INVALID when there would be too many or too few
 */
export function binsDelegations(bins: Bins, form: BinsForm, signer: Pick<Signer, 'keyId' | 'key'>): Delegations {
  const { bitLength, namePrefix } = bins;
  if (!(Number.isInteger(bitLength) && bitLength >= 1 && bitLength <= MAX_BITS)) {
    throw new UsageError('USAGE_INVALID', `Laying out bins: between 2 and 2^${MAX_BITS} of them are possible`);
  }
  const keys = new Map([[signer.keyId, signer.key]]);
  const only: RoleKeys = { keyIds: [signer.keyId], threshold: 1 };
  if (form === 'succinct') return { keys, roles: [], succinct: { ...only, bitLength, namePrefix } };
  const digits = Math.ceil(bitLength / 4);
  const each = 2 ** (4 * digits - bitLength);
  const roles = binNames(bins).map((name, bin): DelegatedRole => {
    const prefixes = Array.from({ length: each }, (_, i) => (bin * each + i).toString(16).padStart(digits, '0'));
    return { name, ...only, terminating: true, paths: { by: 'hash-prefix', prefixes } };
  });
  return { keys, roles, succinct: undefined };
}

/** The bins that a `bins` role delegates to; `undefined` when it is none of ours. */
export function binsOf({ delegations }: Targets): Bins | undefined {
  const { roles = [], succinct } = delegations ?? {};
  if (succinct !== undefined) return { bitLength: succinct.bitLength, namePrefix: succinct.namePrefix };
  const bitLength = Math.log2(roles.length);
  const namePrefix = /^(.+)-[0-9a-f]+$/.exec(roles[0]?.name ?? '')?.[1];
  return namePrefix === undefined || !Number.isInteger(bitLength) ? undefined : { bitLength, namePrefix };
}

/** The names of all bins, in order. */
export function binNames({ bitLength, namePrefix }: Bins): readonly string[] {
  const digits = Math.ceil(bitLength / 4);
  return Array.from({ length: 2 ** bitLength }, (_, i) => `${namePrefix}-${i.toString(16).padStart(digits, '0')}`);
}

/** The bin that a path falls into. */
export function binFor(bins: Bins, path: string, sha256: Sha256): string {
  return succinctBin({ ...bins, keyIds: [], threshold: 1 }, sha256(utf8(path)));
}

/** Tells whether a role is one of the bins. */
export function isBin(bins: Bins | undefined, role: string): boolean {
  return (
    bins !== undefined &&
    role.startsWith(`${bins.namePrefix}-`) &&
    /^[0-9a-f]+$/.test(role.slice(bins.namePrefix.length + 1))
  );
}

/** The roles by pattern that stand in front of the bins. */
export function customRoles({ delegations }: Targets): readonly DelegatedRole[] {
  const roles = delegations?.roles ?? [];
  return roles.some(({ name }) => name === BINS_ROLE) ? roles.filter(({ name }) => name !== BINS_ROLE) : [];
}

/** The custom role that a path belongs to. */
export function customRoleFor(targets: Targets, path: string): DelegatedRole | undefined {
  return customRoles(targets).find(
    ({ paths }) => paths.by === 'pattern' && paths.patterns.some((pattern) => matchesPattern(pattern, path)),
  );
}

// A million bins; a snapshot lists every one.
const MAX_BITS = 20;
