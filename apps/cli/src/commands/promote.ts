// `countersign promote`: a session of the offline quorum. Replays the decision
// list, derives what the claimed shards must say, shows in words what changes,
// and signs: one statement, and one signature for each shard that is touched,
// however many names the week brought. Nothing the service says is believed.

import { days, readShardName } from '@countersign/core';
import { type NameRecord, nameKey, type Register, stateOf } from '@countersign/decisions';
import { ecosystemOf, projectOf } from '@countersign/ecosystems';
import { draftSession, signSession, submissionText } from '@countersign/repository';
import { openService } from '../author.ts';
import type { Context } from '../context.ts';
import { isUnsigned, knownCollection, missingLines, requireRecord } from '../decide.ts';
import { columns, counted, short } from '../output.ts';
import { openQuorumKey, requireMember } from '../quorum-key.ts';

/** What `promote` may be told. */
export interface PromoteOptions {
  /** Names to leave out. */
  readonly except?: readonly string[];
  readonly dryRun?: boolean;
}

/**
 * Holds a session over the given names, or over all that wait.
 *
 * @throws AdmissionError NAME_UNCLAIMED; SignerError KEY_MISSING, KEY_LOCKED; UsageError; whatever client and service give
 */
export async function promote(
  context: Context,
  names: readonly string[],
  { except = [], dryRun }: PromoteOptions,
): Promise<void> {
  const { shell, config, output, suggest } = context;
  const known = await knownCollection(context);
  const { register } = known.list;
  const wanted = new Set(names.map((name) => nameKey(requireRecord(known, projectOf(name)))));
  const others =
    wanted.size === 0
      ? []
      : register
          .unsettled()
          .map(nameKey)
          .filter((name) => !wanted.has(name));
  const { snapshot, targets } = known.client.trusted;
  const claimed = (targets?.content.delegations?.roles ?? []).flatMap(({ name }) => {
    const shard = readShardName(name);
    return shard?.kind === 'claimed' ? [shard] : [];
  });
  const draft = await draftSession({
    register,
    digits: claimed[0]?.prefix.length ?? 0,
    versionOf: (shard) => snapshot?.content.meta.get(shard)?.version ?? 0,
    projectOf: (ecosystem, name) => ecosystemOf(ecosystem).project(name),
    expires: shell.clock() + OFFLINE_LIFETIME,
    except: [...new Set([...except.map(keyOf), ...others])],
  });
  if (draft === undefined) {
    output.result({ promoted: [], publication: null, event: null }, [
      'Nothing to countersign: the claimed shards say what was decided.',
    ]);
    return;
  }
  const promoted = draft.names;
  output.note(`A session of the quorum, up to decision ${draft.statement.upto} of ${config.collection}:`);
  for (const line of changeLines(register, promoted)) output.note(`  ${line}`);
  if (dryRun === true) {
    output.result({ promoted, publication: null, event: null }, ['Nothing was signed (--dry-run).']);
    return;
  }
  const signer = await openQuorumKey(context);
  requireMember(known.client, signer);
  output.note(`Signing the session and ${counted(draft.shards.size, 'shard')} with ${short(signer.keyId)}….`);
  const { roles = [], decisions = [] } = await signSession(draft, [signer]);
  const service = openService(config, shell);
  try {
    const { publication } = await service.submit(submissionText({ roles, decisions }));
    await known.client.refresh();
    output.result({ promoted, publication, event: null }, [
      ...promoted.slice(0, SHOWN).map((name) => `Claimed: ${name}. No online key can touch it any more.`),
      ...(promoted.length > SHOWN ? [`… and ${promoted.length - SHOWN} more.`] : []),
    ]);
  } catch (error) {
    if (!isUnsigned(error)) throw error;
    const title = `session up to decision ${draft.statement.upto}: ${counted(promoted.length, 'name')}`;
    const event = await service.openEvent({ roles, decisions }, title);
    output.result({ promoted, publication: null, event: event.id }, [
      `More members of the quorum must sign. Signing event ${event.id} waits for them:`,
      ...missingLines(event.parts.slice(0, 1)),
      '',
      'Each of them runs:',
      `  ${suggest(`sign ${event.id}`)} --key <file of their key>`,
    ]);
  }
}

/** What the session changes, in words: changes of claimed names first, they matter most. */
function changeLines(register: Register, names: readonly string[]): readonly string[] {
  const records = names.flatMap((key) => {
    const { ecosystem, name } = projectOf(key);
    return register.record(ecosystem, name) ?? [];
  });
  const isNew = ({ countersigned }: NameRecord): boolean => countersigned === undefined;
  const ordered = [...records.filter((record) => !isNew(record)), ...records.filter(isNew)];
  return [
    `${counted(records.filter(isNew).length, 'new name')}, ${counted(records.length - records.filter(isNew).length, 'change')} of claimed ones`,
    ...columns(
      ordered
        .slice(0, SHOWN)
        .map((record) => [
          isNew(record) ? '+' : '~',
          `${record.ecosystem}/${record.name}`,
          `epoch ${record.epoch}`,
          `${record.authority.threshold} of ${record.authority.keyIds.map(short).join(', ')}`,
          isNew(record) ? '' : stateOf(record),
        ]),
    ),
    ...(ordered.length > SHOWN
      ? [`… and ${ordered.length - SHOWN} more; \`countersign exposure --json\` lists them`]
      : []),
  ];
}

function keyOf(name: string): string {
  const project = projectOf(name);
  return `${project.ecosystem}/${project.name}`;
}

// As long as the repository's other offline roles.
const OFFLINE_LIFETIME = days(365);
const SHOWN = 40;
