// What a verifying client knows about who speaks for which name. Every answer
// comes from roles that the client verified under the user's own root; the
// service's API is never asked.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '@countersign/client';
import { httpTransport, openNodeClient, sha256 } from '@countersign/client/node';
import {
  type Authority,
  type DelegatedRole,
  type Delegations,
  type Found,
  type Key,
  type KeyId,
  ownerRoleOf,
  type Project,
  projectDirectory,
  readOwnerRoleName,
  readShardName,
  type ShardKind,
  type Targets,
  type TrustedState,
  UsageError,
} from '@countersign/core';
import { ecosystemOf } from '@countersign/ecosystems';
import type { Config } from './config.ts';
import { plainOf } from './plain-collection.ts';
import type { Shell } from './shell.ts';

/** Who speaks for a project, and what they last signed. */
export interface OwnedProject {
  readonly project: Project;
  readonly directory: string;
  readonly kind: Exclude<ShardKind, 'unclaimed'>;
  /** The shard that delegates. */
  readonly shard: string;
  readonly delegation: DelegatedRole;
  /** Whose keys count for the owner role. */
  readonly authority: Authority;
  readonly role: Targets;
  readonly files: ReadonlyMap<string, Found>;
}

/** A shard as verified, with the keys that count for it. */
export interface TrustedShard {
  readonly name: string;
  readonly kind: ShardKind;
  readonly prefix: string;
  readonly authority: Authority;
  readonly content: Targets;
}

/**
 * Opens a client on the user's root, in a folder of this collection's own.
 *
 * @throws UsageError ANCHOR_MISSING; MetadataError; StoreError
 */
export async function openTrust(config: Config, { clock }: Pick<Shell, 'clock'>, room = 'client'): Promise<Client> {
  const { url, root, state, collection } = config;
  return await openNodeClient({
    url,
    folder: join(state, room, collection),
    anchor: await readAnchor(root),
    clock,
    transport: httpTransport({ userAgent: 'countersign/0.1' }),
  });
}

/** Where the names this user has met are kept, with their owners: one file for every command and the gateway. */
export function knownOwnersFile({ state, collection }: Pick<Config, 'state' | 'collection'>): string {
  return join(state, 'known-owners', `${collection}.log`);
}

/** The root that the user trusts. @throws UsageError ANCHOR_MISSING */
export async function readAnchor(file: string): Promise<Uint8Array> {
  return await readFile(file).catch((cause: unknown) => {
    throw new UsageError('ANCHOR_MISSING', 'Reading the trusted root: the file cannot be read', {
      detail: { file },
      cause,
    });
  });
}

/** Tells whether the files of a collection belong to names. @param targets its top-level targets role */
export function isRegistry(targets: Targets | undefined): boolean {
  return (targets?.delegations?.roles ?? []).some(({ name }) => readShardName(name) !== undefined);
}

/**
 * The owner of a project as verified now; `undefined` when nobody has claimed it.
 *
 * @throws MetadataError and whatever the client throws
 */
export async function ownerOf(client: Client, project: Project): Promise<OwnedProject | undefined> {
  const directory = projectDirectory(project, sha256);
  const { found, owners } = await client.list(directory);
  for (const { role, trail, content } of owners) {
    const shard = trail.at(-2) ?? '';
    const kind = readShardName(shard)?.kind;
    // Release roles are reached through the owner; only the first speaks for the name.
    if (kind === undefined || kind === 'unclaimed' || ownerRoleOf(role) !== role) continue;
    const delegations = memoOf(client.trusted, shard)?.delegations;
    const delegation = delegations?.roles.find(({ name }) => name === role);
    if (delegations === undefined || delegation === undefined) continue;
    const authority = { keys: delegations.keys, role: delegation, name: role };
    return { project, directory, kind, shard, delegation, authority, role: content, files: found };
  }
  return undefined;
}

/**
 * The shards of the given kinds that may hold anything, verified.
 *
 * @throws MetadataError and whatever the client throws
 */
export async function shardsOf(
  client: Client,
  kinds: readonly ShardKind[],
  which: 'used' | 'all' = 'used',
): Promise<readonly TrustedShard[]> {
  const { targets, snapshot } = client.trusted;
  const delegations = targets?.content.delegations;
  if (delegations === undefined) return [];
  const shards: TrustedShard[] = [];
  for (const delegation of delegations.roles) {
    const shard = readShardName(delegation.name);
    if (shard === undefined || !kinds.includes(shard.kind)) continue;
    // Version 1 is the empty one of the first publication.
    if (which === 'used' && (snapshot?.content.meta.get(delegation.name)?.version ?? 0) < 2) continue;
    const content = await shardContent(client, delegation);
    if (content !== undefined) shards.push({ ...shard, ...trustedShard(delegations, delegation), content });
  }
  return shards;
}

/** One shard, verified, whatever its version. @throws MetadataError and whatever the client throws */
export async function shardNamed(client: Client, name: string): Promise<TrustedShard | undefined> {
  const delegations = client.trusted.targets?.content.delegations;
  const delegation = delegations?.roles.find((role) => role.name === name);
  const shard = readShardName(name);
  if (delegations === undefined || delegation === undefined || shard === undefined) return undefined;
  const content = await shardContent(client, delegation);
  return content && { ...shard, ...trustedShard(delegations, delegation), content };
}

/** A role of any kind as verified last; `undefined` when there is none yet. */
export async function roleNamed(client: Client, role: string): Promise<Targets | undefined> {
  if (readShardName(role) !== undefined) return (await shardNamed(client, role))?.content;
  const plain = await plainOf(client);
  const author = plain?.custom.find(({ name }) => name === role);
  if (author !== undefined) return await client.role(author);
  const named = readOwnerRoleName(ownerRoleOf(role));
  // A search through the project verifies every role of it on its way.
  if (named !== undefined)
    await client.list(projectDirectory(ecosystemOf(named.ecosystem).project(named.name), sha256));
  return memoOf(client.trusted, role);
}

/** The names that a shard delegates to, each with its delegation and keys. */
export function namesIn(shard: TrustedShard): readonly {
  readonly project: Project;
  readonly delegation: DelegatedRole;
  readonly keys: ReadonlyMap<KeyId, Key>;
}[] {
  const { roles, keys } = shard.content.delegations ?? { roles: [], keys: new Map<KeyId, Key>() };
  return roles.flatMap((delegation) => {
    const read = readOwnerRoleName(delegation.name);
    return read === undefined ? [] : [{ project: ecosystemOf(read.ecosystem).project(read.name), delegation, keys }];
  });
}

function trustedShard(delegations: Delegations, delegation: DelegatedRole): { name: string; authority: Authority } {
  const { name } = delegation;
  return { name, authority: { keys: delegations.keys, role: delegation, name } };
}

async function shardContent(client: Client, delegation: DelegatedRole): Promise<Targets | undefined> {
  const known = memoOf(client.trusted, delegation.name);
  // A memo is as old as the search that made it: it counts only at the version listed now.
  const listed = client.trusted.snapshot?.content.meta.get(delegation.name)?.version;
  if (known !== undefined && known.version === listed) return known;
  const [pattern = ''] = delegation.paths.by === 'pattern' ? delegation.paths.patterns : [];
  // A search through any directory that the shard's pattern covers verifies the shard on its way.
  const directory = pattern.slice(0, pattern.lastIndexOf('/')).replace(/[*?]/g, '0');
  await client.list(directory);
  return memoOf(client.trusted, delegation.name);
}

function memoOf(state: TrustedState, role: string): Targets | undefined {
  return state.memo.get(role)?.role.content;
}
