// `countersign trust`: the user's own word for owners whom the ones before them
// did not appoint. Shows who they are, and remembers that they were confirmed.

import { sha256 } from '@countersign/client/node';
import { AdmissionError, projectDirectory } from '@countersign/core';
import { projectOf } from '@countersign/ecosystems';
import { KnownOwners, sentenceOf, speakerOf } from '@countersign/gateway';
import type { Context } from '../context.ts';
import { short } from '../output.ts';
import { knownOwnersFile, openTrust, ownerOf } from '../trusted-collection.ts';

/** Confirms the present owners of a project. @throws AdmissionError NAME_UNCLAIMED; MetadataError ROLLBACK; StoreError */
export async function trust({ shell, config, output }: Context, name: string): Promise<void> {
  const project = projectOf(name);
  const client = await openTrust(config, shell);
  const progress = output.progress(`Verifying ${config.url}`);
  await client.refresh();
  const owner = await ownerOf(client, project);
  progress.end();
  if (owner === undefined) throw new AdmissionError('NAME_UNCLAIMED', `Confirming ${name}: nobody has claimed it`);
  const directory = projectDirectory(project, sha256);
  const known = await KnownOwners.open(knownOwnersFile(config));
  try {
    const speaker = speakerOf(['targets', owner.shard, owner.delegation.name], client.trusted);
    await known.meet(directory, speaker, 'show', shell.clock());
    const change = await known.confirm(directory);
    const { keyIds, threshold } = owner.delegation;
    const owners = keyIds.map((id) => `  ${short(id)}…`);
    const speaks = `${name} is spoken for by ${threshold} of these keys:`;
    output.result(
      { project: name, epoch: speaker?.epoch, owners: keyIds, threshold, confirmed: change !== undefined },
      change === undefined
        ? [`Nothing waits to be confirmed: ${speaks}`, ...owners]
        : [`Confirmed. ${name}: ${sentenceOf(change)}.`, `Now ${speaks}`, ...owners],
    );
  } finally {
    await known.close();
  }
}
