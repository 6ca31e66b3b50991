// `countersign promote`: the offline quorum's act. A session that moves names
// from the recent shards, which an online key signs, into the claimed shards,
// which it cannot touch. What is signed follows from the replayed list of
// decisions; the service's word for it is not taken.

import { AdmissionError, days, type Project, type Signer, SignerError, UsageError } from '@countersign/core';
import { type NameRecord, nameKey, type Register } from '@countersign/decisions';
import { ecosystemOf, projectOf } from '@countersign/ecosystems';
import { draftSession, type SessionDraft, signSession } from '@countersign/repository';
import { openOfflineKey } from '@countersign/server';
import { confirm, contentOf, holdsKey, openService, send } from '../author.ts';
import type { Context } from '../context.ts';
import { replayDecisions } from '../decision-list.ts';
import { draftLines } from '../draft-lines.ts';
import { collectionFolder } from '../local-collections.ts';
import { collectionPassphrases } from '../passphrases.ts';
import { openTrust, shardNamed } from '../trusted-collection.ts';

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
  const register = await replayDecisions(client, config);
  const wanted = options.all ? undefined : new Set(names.map((name) => claimedName(register, projectOf(name))));
  const draft = await draftSession({
    register,
    digits: shardDigits(client),
    versionOf: (shard) => client.trusted.snapshot?.content.meta.get(shard)?.version ?? 0,
    projectOf: (ecosystem, name) => ecosystemOf(ecosystem).project(name),
    expires: shell.clock() + OFFLINE_LIFETIME,
    except: register
      .unsettled()
      .map(nameKey)
      .filter((name) => wanted !== undefined && !wanted.has(name)),
  });
  progress.end();
  if (draft !== undefined) await hold(context, client, draft, signer);
  const promoted = draft?.names ?? [];
  output.result({ promoted }, [
    ...promoted.map((name) => `Claimed: ${name}. No online key can touch it any more.`),
    ...(promoted.length === 0 ? ['Nothing to promote: every name asked for is claimed already.'] : []),
  ]);
}

/** Shows what the session changes, signs it and sends it. */
async function hold(
  { shell, config, output }: Context,
  client: TrustClient,
  draft: SessionDraft,
  signer: Signer,
): Promise<void> {
  output.note('Signing with the offline key:');
  for (const [role, signed] of draft.shards) {
    const shard = await shardNamed(client, role);
    if (shard === undefined) throw new UsageError('USAGE_INVALID', `Promoting: the collection has no shard ${role}`);
    const { authority, content: previous } = shard;
    if (!holdsKey(authority, signer)) {
      throw new SignerError('KEY_MISSING', `Promoting: the offline key here may not sign ${role}`, {
        detail: { want: authority.role.keyIds, got: signer.keyId },
      });
    }
    const content = contentOf({ role, signed });
    for (const line of draftLines(role, previous, content)) output.note(`  ${line}`);
  }
  const { roles = [], decisions = [] } = await signSession(draft, [signer]);
  const sent = roles.map(({ role, file }) => {
    const signed = draft.shards.get(role) ?? new Map();
    return { role, file, content: contentOf({ role, signed }) };
  });
  await send(openService(config, shell), { roles: sent, decisions }, output);
  await confirm(client, sent, async (role) => (await shardNamed(client, role))?.content);
}

/** The key of a name that somebody has claimed. @throws AdmissionError NAME_UNCLAIMED */
function claimedName(register: Register, { ecosystem, name }: Project): string {
  const record: NameRecord | undefined = register.record(ecosystem, name);
  if (record !== undefined) return nameKey(record);
  throw new AdmissionError('NAME_UNCLAIMED', `Promoting ${ecosystem}/${name}: nobody has claimed it`);
}

/** How many hex digits of the bin the collection's claimed shards go by. */
function shardDigits(client: TrustClient): number {
  const roles = client.trusted.targets?.content.delegations?.roles ?? [];
  const claimed = roles.find(({ name }) => /^claimed(-|$)/.test(name));
  return claimed === undefined ? 0 : Math.max(0, claimed.name.length - 'claimed-'.length);
}

// As long as the repository's other offline roles.
const OFFLINE_LIFETIME = days(365);
