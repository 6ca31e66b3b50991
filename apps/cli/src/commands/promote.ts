// `countersign promote`: the offline quorum's act. Moves names from the recent
// shards, which an online key signs, into the claimed shards, which it cannot
// touch. Delegations are taken over exactly as they stand in verified metadata.

import { sha256 } from '@countersign/client/node';
import {
  AdmissionError,
  binOf,
  type DelegatedRole,
  days,
  editTargets,
  type Key,
  type KeyId,
  type Project,
  type Signer,
  SignerError,
  shardName,
  UsageError,
} from '@countersign/core';
import { projectOf } from '@countersign/ecosystems';
import { openOfflineKey } from '@countersign/server';
import { confirm, contentOf, holdsKey, openService, type RoleDraft, send, signRole } from '../author.ts';
import type { Context } from '../context.ts';
import { draftLines } from '../draft-lines.ts';
import { collectionFolder } from '../local-collections.ts';
import { collectionPassphrases } from '../passphrases.ts';
import { namesIn, openTrust, ownerOf, shardNamed, shardsOf } from '../trusted-collection.ts';

type TrustClient = Awaited<ReturnType<typeof openTrust>>;

/**
 * Promotes the given names, or all recent ones.
 *
 * @throws AdmissionError NAME_UNCLAIMED; SignerError KEY_MISSING, KEY_LOCKED; whatever client and service give
 */
export async function promote(
  context: Context,
  names: readonly string[],
  options: { readonly all?: boolean },
): Promise<void> {
  const { shell, config, output } = context;
  if (names.length > 0 === (options.all === true)) {
    throw new UsageError('USAGE_INVALID', 'Promoting: name the projects, or say --all');
  }
  const folder = collectionFolder(config, config.collection);
  const signer = await openOfflineKey(folder, collectionPassphrases(folder, shell, 'open'));
  const client = await openTrust(config, shell);
  const progress = output.progress(`Verifying ${config.url}`);
  await client.refresh();
  const recent = options.all ? await allRecent(client) : await recentAmong(client, names.map(projectOf));
  const drafts = await draftsFor(client, recent, signer, shell.clock());
  progress.end();
  if (drafts.length > 0) {
    output.note('Signing with the offline key:');
    for (const draft of drafts) {
      for (const line of draftLines(draft.role, draft.previous, contentOf(draft))) output.note(`  ${line}`);
    }
    const roles = await Promise.all(drafts.map((draft) => signRole(draft, [signer])));
    await send(openService(config, shell), { roles }, output);
    await confirm(client, roles, async (role) => (await shardNamed(client, role))?.content);
  }
  const promoted = recent.map(({ project }) => `${project.ecosystem}/${project.name}`);
  output.result({ promoted }, [
    ...promoted.map((name) => `Claimed: ${name}. No online key can touch it any more.`),
    ...(promoted.length === 0 ? ['Nothing to promote: every name asked for is claimed already.'] : []),
  ]);
}

interface RecentName {
  readonly project: Project;
  readonly delegation: DelegatedRole;
  readonly keys: ReadonlyMap<KeyId, Key>;
}

async function allRecent(client: TrustClient): Promise<readonly RecentName[]> {
  const [recent, claimed] = [await shardsOf(client, ['recent']), await shardsOf(client, ['claimed'])];
  const done = new Set(claimed.flatMap(namesIn).map(({ delegation }) => delegation.name));
  return recent.flatMap(namesIn).filter(({ delegation }) => !done.has(delegation.name));
}

async function recentAmong(client: TrustClient, projects: readonly Project[]): Promise<readonly RecentName[]> {
  const recent: RecentName[] = [];
  for (const project of projects) {
    const owner = await ownerOf(client, project);
    if (owner === undefined) {
      throw new AdmissionError(
        'NAME_UNCLAIMED',
        `Promoting ${project.ecosystem}/${project.name}: nobody has claimed it`,
      );
    }
    const { kind, delegation, authority } = owner;
    if (kind === 'recent') recent.push({ project, delegation, keys: authority.keys });
  }
  return recent;
}

async function draftsFor(
  client: TrustClient,
  names: readonly RecentName[],
  signer: Signer,
  now: number,
): Promise<readonly RoleDraft[]> {
  const byShard = new Map<string, RecentName[]>();
  const digits = shardDigits(client);
  for (const name of names) {
    const shard = shardName('claimed', binOf(name.project, sha256).slice(0, digits));
    byShard.set(shard, [...(byShard.get(shard) ?? []), name]);
  }
  const drafts: RoleDraft[] = [];
  for (const [role, added] of byShard) {
    const shard = await shardNamed(client, role);
    if (shard === undefined) throw new UsageError('USAGE_INVALID', `Promoting: the collection has no shard ${role}`);
    const { authority, content: previous } = shard;
    if (!holdsKey(authority, signer)) {
      throw new SignerError('KEY_MISSING', `Promoting: the offline key here may not sign ${role}`, {
        detail: { want: authority.role.keyIds, got: signer.keyId },
      });
    }
    const keys = new Map(previous.delegations?.keys ?? []);
    for (const { delegation, keys: known } of added) {
      for (const id of delegation.keyIds) {
        const key = known.get(id);
        if (key !== undefined) keys.set(id, key);
      }
    }
    const roles = [...(previous.delegations?.roles ?? []), ...added.map(({ delegation }) => delegation)];
    const signed = editTargets(previous, {
      expires: now + OFFLINE_LIFETIME,
      delegations: { keys, roles, succinct: undefined },
    });
    drafts.push({ role, authority, previous, signed });
  }
  return drafts;
}

/** How many hex digits of the bin the collection's claimed shards go by. */
function shardDigits(client: TrustClient): number {
  const roles = client.trusted.targets?.content.delegations?.roles ?? [];
  const claimed = roles.find(({ name }) => /^claimed(-|$)/.test(name));
  return claimed === undefined ? 0 : Math.max(0, claimed.name.length - 'claimed-'.length);
}

// As long as the repository's other offline roles.
const OFFLINE_LIFETIME = days(365);
