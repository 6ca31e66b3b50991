// A plain collection of files as a verifying client sees it: which role stands
// for which path, and every file that counts. Hash bins can be searched but not
// listed, so a listing reads and verifies each bin that was ever written.

import type { Client } from '@countersign/client';
import { sha256 } from '@countersign/client/node';
import {
  type Authority,
  type DelegatedRole,
  type Delegations,
  MetadataError,
  matchesPattern,
  type SuccinctRoles,
  type TargetFile,
  type Targets,
} from '@countersign/core';
import { BINS_ROLE, type Bins, type BinsForm, binFor, binNames, binsOf, customRoles } from '@countersign/repository';

/** A plain collection, verified. */
export interface PlainCollection {
  /** The top-level targets role. */
  readonly targets: Targets;
  /** The role that delegates to the bins. */
  readonly role: Targets;
  readonly bins: Bins;
  readonly form: BinsForm;
  /** The roles that authors sign, in the order in which they count. */
  readonly custom: readonly Authority[];
}

/** A file with the role that lists it. */
export interface PlainFile {
  readonly target: TargetFile;
  /** The author's role, or `undefined` for the online key of the bins. */
  readonly role: string | undefined;
}

/** What the client has verified, if it is a plain collection. It must have refreshed. @throws MetadataError and whatever the client throws */
export async function plainOf(client: Client): Promise<PlainCollection | undefined> {
  const targets = client.trusted.targets?.content;
  const own = targets && authorityOf(targets.delegations, BINS_ROLE);
  if (targets === undefined || own === undefined) return undefined;
  const role = await client.role(own);
  const bins = binsOf(role);
  if (bins === undefined) throw new MetadataError('FORMAT_INVALID', `Reading ${BINS_ROLE}: it delegates to no bins`);
  const form = role.delegations?.succinct === undefined ? 'classic' : 'succinct';
  const custom = customRoles(targets).flatMap(({ name }) => authorityOf(targets.delegations, name) ?? []);
  return { targets, role, bins, form, custom };
}

/** The author's role that stands for a path; `undefined` where the bins do. */
export function roleForPath({ custom }: Pick<PlainCollection, 'custom'>, path: string): Authority | undefined {
  return custom.find(({ role }) => patternsOf(role).some((pattern) => matchesPattern(pattern, path)));
}

/** The patterns of a delegation by patterns. */
export function patternsOf(role: Authority['role']): readonly string[] {
  return isDelegated(role) && role.paths.by === 'pattern' ? role.paths.patterns : [];
}

/**
 * Every file that counts, in no order.
 *
 * @param onProgress told how many roles were read, and of how many
 * @throws MetadataError and whatever the client throws
 */
export async function* filesOf(
  client: Client,
  plain: PlainCollection,
  onProgress?: (done: number, total: number) => void,
): AsyncGenerator<PlainFile, void> {
  const written = binAuthorities(client, plain);
  const total = written.length + plain.custom.length;
  let done = 0;
  for (const authority of plain.custom) {
    const { targets } = await client.role(authority);
    onProgress?.(++done, total);
    for (const target of targets.values()) {
      if (roleForPath(plain, target.path)?.name === authority.name) yield { target, role: authority.name };
    }
  }
  // Some at a time: they come from afar, and memory holds no more than these.
  for (let at = 0; at < written.length; at += TOGETHER) {
    const some = written.slice(at, at + TOGETHER);
    const contents = await Promise.all(some.map(async (authority) => await client.role(authority)));
    onProgress?.((done += some.length), total);
    for (const [i, { targets }] of contents.entries()) {
      for (const target of targets.values()) {
        const counts = binFor(plain.bins, target.path, sha256) === some[i]?.name;
        if (counts && roleForPath(plain, target.path) === undefined) yield { target, role: undefined };
      }
    }
  }
}

/** The bins that may hold anything: version 1 is the empty one that a bin begins with, unless bins were laid out anew. */
function binAuthorities(client: Client, { role, bins }: PlainCollection): readonly Authority[] {
  const meta = client.trusted.snapshot?.content.meta;
  const first = bins.namePrefix === 'bin';
  const delegations = new Map(role.delegations?.roles.map((one) => [one.name, one]));
  const keys = role.delegations?.keys ?? new Map();
  return binNames(bins).flatMap((name) => {
    const delegation: DelegatedRole | SuccinctRoles | undefined = role.delegations?.succinct ?? delegations.get(name);
    if (delegation === undefined || (first && (meta?.get(name)?.version ?? 0) < 2)) return [];
    return [{ keys, role: delegation, name }];
  });
}

function authorityOf(delegations: Delegations | undefined, name: string): Authority | undefined {
  const role = delegations?.roles.find((one) => one.name === name);
  return role && delegations && { keys: delegations.keys, role, name };
}

function isDelegated(role: Authority['role']): role is DelegatedRole {
  return 'paths' in role;
}

const TOGETHER = 16;
