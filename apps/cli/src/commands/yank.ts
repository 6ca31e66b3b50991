// `countersign yank`: the author's word that nobody should choose a version any
// more. The file stays signed, so that lock files go on working; index pages
// leave it out. `--undo` takes it back.

import { AdmissionError, editTargets, UsageError } from '@countersign/core';
import { readYanks, writeYanks } from '@countersign/ecosystems';
import { AUTHOR_LIFETIME, contentOf } from '../author.ts';
import type { Context } from '../context.ts';
import { draftLines } from '../draft-lines.ts';
import { openKeys, publishRoles, roleFor } from '../publish-roles.ts';
import { openTrust, ownerOf } from '../trusted-collection.ts';
import { pointersOf, readWanted, versionOf } from '../verified-file.ts';

/** What `yank` may be told. */
export interface YankOptions {
  readonly reason?: string;
  readonly undo?: boolean;
  /** Further keys of one's own to sign with. */
  readonly with?: readonly string[];
}

/** Yanks a version, or takes that back. @throws AdmissionError NAME_UNCLAIMED; UsageError; whatever client and service give */
export async function yank(context: Context, wanted: string, options: YankOptions): Promise<void> {
  const { shell, config, output } = context;
  const { project, choice } = readWanted(wanted);
  const name = `${project.ecosystem}/${project.name}`;
  if (choice === undefined) {
    throw new UsageError('USAGE_INVALID', `Yanking ${name}: say which version, such as ${name}@1.2.3`);
  }
  const signers = await openKeys(context, options.with);
  const client = await openTrust(config, shell);
  const progress = output.progress(`Verifying ${config.url}`);
  await client.refresh();
  const owner = await ownerOf(client, project);
  progress.end();
  if (owner === undefined) throw new AdmissionError('NAME_UNCLAIMED', `Yanking ${name}: nobody has claimed it`);
  const { role, authority, previous } = roleFor(client, owner, signers);
  const known = [...owner.files.values()].some(
    (found) => choice === (versionOf(found, project) ?? found.target.path.slice(owner.directory.length + 1)),
  );
  if (!known)
    throw new AdmissionError('NOT_FOUND', `Yanking ${wanted}: there is no such version`, {
      detail: { next: `Look at its versions with \`countersign ls ${project.ecosystem}/${project.name}\`` },
    });
  const pointers = previous && pointersOf(previous);
  const yanks = new Map(readYanks(pointers, project.ecosystem));
  const before = yanks.get(choice);
  if (options.undo) yanks.delete(choice);
  else yanks.set(choice, options.reason ?? '');
  const done = options.undo ? `${wanted} can be chosen again.` : `${wanted} is yanked: index pages leave it out.`;
  let publication: number | undefined;
  if (before !== yanks.get(choice)) {
    const custom = writeYanks(pointers, project.ecosystem, yanks);
    const expires = shell.clock() + AUTHOR_LIFETIME;
    const signed = editTargets(previous, { expires, members: new Map([['custom', custom]]) });
    const draft = { role, authority, previous, signed };
    output.note('Signing:');
    for (const line of draftLines(role, previous, contentOf(draft))) output.note(`  ${line}`);
    const sent = await publishRoles(context, [draft], signers, `yank ${wanted}`);
    if (sent.event !== undefined) {
      output.result({ project: name, publication: null, event: sent.event }, [
        'It is yanked as soon as everybody has signed.',
      ]);
      return;
    }
    ({ publication } = sent);
    await client.refresh();
  }
  output.result({ project: name, yanked: [...yanks.keys()], publication: publication ?? null }, [
    publication === undefined ? `Nothing to do: ${done}` : done,
    ...(options.undo ? [] : ['Lock files that name it go on working; publish a better version next.']),
  ]);
}
