// Every role of a collection, verified from the anchor on as a client would,
// whatever has expired by now. The one way in which fsck, restore and rebuild
// read metadata: all judging is core's, none of it is done here.

import {
  type Authority,
  DEFAULT_LIMITS,
  drive,
  type FileMeta,
  type FreshState,
  MetadataError,
  metadataUrl,
  type Ports,
  type RoleKeys,
  refresh,
  type SyncCryptoPort,
  start,
  type Targets,
  targetsRole,
  topLevelAuthority,
} from '@countersign/core';

/** Where role files are read from. */
export interface RoleFiles {
  /** The bytes of a role's file; without `version` the one under the plain name. */
  file(role: string, version: number | undefined): Promise<Uint8Array | undefined>;
}

/** A role as one delegation leads to it. */
export interface Visit {
  readonly role: string;
  /** What the snapshot says of it; `undefined` when it does not list it. */
  readonly listed: FileMeta | undefined;
  /** Whether no delegation before led there: what it lists counts once. */
  readonly first: boolean;
  /** What was verified, or why it was refused. */
  readonly verified: { readonly content: Targets; readonly bytes: Uint8Array } | undefined;
  readonly refusal: MetadataError | undefined;
}

/**
 * What a client that trusts the anchor believes of the four top-level roles.
 *
 * @throws MetadataError, and what reading throws
 */
export async function trustWhole(anchor: Uint8Array, files: RoleFiles, crypto: SyncCryptoPort): Promise<FreshState> {
  const ports = portsOver(files, crypto);
  // However many roots there are: this is no client that a mirror could keep busy.
  const limits = { ...DEFAULT_LIMITS, rootRotations: Number.POSITIVE_INFINITY };
  return await drive(refresh(await drive(start(anchor), ports), ANY_TIME, limits), ports);
}

/** The targets roles that delegations lead to, in the order in which clients search. A refused role does not end the walk. */
export async function* walkRoles(
  state: FreshState,
  files: RoleFiles,
  crypto: SyncCryptoPort,
): AsyncGenerator<Visit, void> {
  const ports = portsOver(files, crypto);
  const { meta } = state.snapshot.content;
  const seen = new Set<string>();
  const pending: Authority[] = [topLevelAuthority(state.root.content, 'targets')];
  for (let authority = pending.pop(); authority !== undefined; authority = pending.pop()) {
    const { name: role } = authority;
    const visit = { role, listed: meta.get(role), first: !seen.has(role) };
    seen.add(role);
    const workflow = targetsRole({ ...state, memo: new Map() }, authority, ANY_TIME, DEFAULT_LIMITS);
    const result = await drive(workflow, ports).catch((error: unknown) => {
      if (error instanceof MetadataError) return error;
      throw error;
    });
    if (result instanceof MetadataError) {
      yield { ...visit, verified: undefined, refusal: result };
      continue;
    }
    yield { ...visit, verified: result, refusal: undefined };
    // Delegations of a role are the same whoever leads to it.
    if (visit.first) pending.push(...delegatedBy(result.content, meta).reverse());
  }
}

function delegatedBy({ delegations }: Targets, meta: ReadonlyMap<string, FileMeta>): Authority[] {
  if (delegations === undefined) return [];
  const { keys, roles, succinct } = delegations;
  if (succinct === undefined) return roles.map((role) => ({ keys, role, name: role.name }));
  // There may be four thousand million bins: the ones that exist are listed.
  const under: RoleKeys = succinct;
  const digits = Math.ceil(succinct.bitLength / 4);
  const bin = /^[0-9a-f]+$/;
  return [...meta.keys()]
    .filter((name) => name.startsWith(`${succinct.namePrefix}-`))
    .filter((name) => bin.test(name.slice(-digits)) && name.length === succinct.namePrefix.length + 1 + digits)
    .map((name) => ({ keys, role: under, name }));
}

function portsOver(files: RoleFiles, crypto: SyncCryptoPort): Ports {
  return {
    crypto,
    state: { load: () => undefined, save: () => undefined, drop: () => undefined },
    source: {
      fetch: ({ role, url }) => {
        const plain = url === metadataUrl(role, undefined);
        return files.file(role, plain ? undefined : Number(url.slice(0, url.indexOf('.'))));
      },
    },
  };
}

/** Before everything: nothing has expired then. What has expired by now is a finding, not a refusal. */
export const ANY_TIME = Number.NEGATIVE_INFINITY;
