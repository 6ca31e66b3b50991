// `countersign yank`: the author's word that nobody should choose a version any
// more. The file stays signed, so that lock files go on working; index pages
// leave it out. `--undo` takes it back.

import { AdmissionError, editTargets, UsageError } from '@countersign/core';
import { readYanks, writeYanks } from '@countersign/ecosystems';
import { AUTHOR_LIFETIME, confirm, contentOf, openService, requireOwn, send, signRole } from '../author.ts';
import { openAuthorKey } from '../author-key.ts';
import type { Context } from '../context.ts';
import { draftLines } from '../draft-lines.ts';
import { short } from '../output.ts';
import { openTrust, ownerOf } from '../trusted-collection.ts';
import { pointersOf, readWanted, versionOf } from '../verified-file.ts';

/** Yanks a version, or takes that back. @throws AdmissionError NAME_UNCLAIMED; UsageError; whatever client and service give */
export async function yank(
  { shell, config, output }: Context,
  wanted: string,
  options: { readonly reason?: string; readonly undo?: boolean },
): Promise<void> {
  const { project, choice } = readWanted(wanted);
  const name = `${project.ecosystem}/${project.name}`;
  if (choice === undefined) {
    throw new UsageError('USAGE_INVALID', `Yanking ${name}: say which version, such as ${name}@1.2.3`);
  }
  const signer = await openAuthorKey(config.key, shell);
  const client = await openTrust(config, shell);
  const progress = output.progress(`Verifying ${config.url}`);
  await client.refresh();
  const owner = await ownerOf(client, project);
  progress.end();
  if (owner === undefined) throw new AdmissionError('NAME_UNCLAIMED', `Yanking ${name}: nobody has claimed it`);
  requireOwn(owner, signer);
  const known = [...owner.files.values()].some(
    (found) => choice === (versionOf(found, project) ?? found.target.path.slice(owner.directory.length + 1)),
  );
  if (!known) throw new AdmissionError('NOT_FOUND', `Yanking ${wanted}: there is no such version`);
  const previous = owner.role;
  const yanks = new Map(readYanks(pointersOf(previous), project.ecosystem));
  const before = yanks.get(choice);
  if (options.undo) yanks.delete(choice);
  else yanks.set(choice, options.reason ?? '');
  const done = options.undo ? `${wanted} can be chosen again.` : `${wanted} is yanked: index pages leave it out.`;
  let publication: number | undefined;
  if (before !== yanks.get(choice)) {
    const custom = writeYanks(pointersOf(previous), project.ecosystem, yanks);
    const signed = editTargets(previous, {
      expires: shell.clock() + AUTHOR_LIFETIME,
      members: new Map([['custom', custom]]),
    });
    const draft = { role: owner.authority.name, authority: owner.authority, previous, signed };
    output.note(`Signing with your key ${short(signer.keyId)}…:`);
    for (const line of draftLines(draft.role, previous, contentOf(draft))) output.note(`  ${line}`);
    const roles = [await signRole(draft, [signer])];
    ({ publication } = await send(openService(config, shell), { roles }, output));
    await confirm(client, roles, async () => (await ownerOf(client, project))?.role);
  }
  output.result({ project: name, yanked: [...yanks.keys()], publication: publication ?? null }, [
    publication === undefined ? `Nothing to do: ${done}` : done,
    ...(options.undo ? [] : ['Lock files that name it go on working; publish a better version next.']),
  ]);
}
