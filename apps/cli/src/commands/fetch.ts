// `countersign fetch`: one file, verified to its last byte before it appears.

import { basename, dirname, resolve } from 'node:path';
import type { Client } from '@countersign/client';
import { fileSink } from '@countersign/client/node';
import { type Found, MetadataError, readOwnerRoleName, targetPathOf, UsageError } from '@countersign/core';
import { readDistTags } from '@countersign/ecosystems';
import { KnownOwners, type OwnerChange, sentenceOf, speakerOf } from '@countersign/gateway';
import type { Context } from '../context.ts';
import { bytesText, columns, short } from '../output.ts';
import { shownPath } from '../shell.ts';
import { knownOwnersFile, type OwnedProject, openTrust, ownerOf } from '../trusted-collection.ts';
import { assuranceOf, pointersOf, readWanted, versionOf } from '../verified-file.ts';

/** Downloads a target. @throws MetadataError TARGET_UNKNOWN and every refusal; TransportError; UsageError; StoreError */
export async function fetchTarget(
  { shell, config, output, suggest }: Context,
  wanted: string,
  options: { readonly output?: string },
): Promise<void> {
  const client = await openTrust(config, shell);
  const progress = output.progress(`Verifying ${config.url}`);
  await client.refresh();
  const { target, trail } = await findWanted(client, wanted, suggest(`ls ${wanted}`));
  const change = await meetOwners(client, dirname(target.path), trail, { shell, config });
  if (change !== undefined) {
    const name = nameOf(trail) ?? wanted;
    output.note(`Note: ${name} has new owners: ${sentenceOf(change)}.`);
    output.note(`  If you expected this: ${suggest(`trust ${name}`)}`);
  }
  const name = basename(target.path);
  const file = resolve(shell.cwd, options.output ?? name);
  await client.download(target, fileSink(file), { onProgress: progress.update });
  progress.end();
  const sha256 = target.hashes.get('sha256') ?? '';
  output.result({ path: target.path, file, length: target.length, sha256, trail, assurance: assuranceOf(trail) }, [
    `Verified and saved ${shownPath(file, shell)}`,
    ...columns([
      ['target', target.path],
      ['size', bytesText(target.length)],
      ['sha256', `${short(sha256)}…`],
      ['vouched for by', trail.join(' → ')],
    ]),
  ]);
}

/**
 * Judges those who speak for the file against those who did before.
 *
 * @throws MetadataError ROLLBACK, OWNER_CHANGED; StoreError
 */
async function meetOwners(
  client: Client,
  directory: string,
  trail: readonly string[],
  { shell, config }: Pick<Context, 'shell' | 'config'>,
): Promise<OwnerChange | undefined> {
  const known = await KnownOwners.open(knownOwnersFile(config));
  try {
    return await known.meet(directory, speakerOf(trail, client.trusted), config.newOwners, shell.clock());
  } finally {
    await known.close();
  }
}

/** The project that the roles speak for, as people write it. */
function nameOf(trail: readonly string[]): string | undefined {
  const owner = trail.map(readOwnerRoleName).find((name) => name !== undefined);
  return owner && `${owner.ecosystem}/${owner.name}`;
}

/** The file that a path, or `<ecosystem>/<name>[@<version, tag or file>]`, stands for. */
async function findWanted(client: Client, wanted: string, listing: string): Promise<Found> {
  const path = targetPathOf(wanted);
  if (path !== undefined && /^[a-z]+\/[0-9a-f]{4}\/[^/]+\/[^/]+$/.test(path)) {
    const found = await client.find(path);
    if (found !== undefined) return found;
    throw unknown(wanted);
  }
  const { project, choice } = readWanted(wanted);
  const owner = await ownerOf(client, project);
  if (owner === undefined) throw unknown(wanted);
  const chosen = choose(owner, choice);
  if (chosen !== undefined) return chosen;
  if (choice !== undefined || owner.files.size === 0) throw unknown(wanted);
  throw new UsageError(
    'USAGE_INVALID',
    `Fetching ${wanted}: it has several files; name one, as \`${listing}\` lists them`,
  );
}

function choose({ role, files, project }: OwnedProject, choice: string | undefined): Found | undefined {
  const all = [...files.values()];
  if (choice === undefined && all.length === 1) return all[0];
  const tag = project.ecosystem === 'npm' ? readDistTags(pointersOf(role)).get(choice ?? 'latest') : undefined;
  const version = tag ?? choice;
  return all.find(
    (found) => version !== undefined && [versionOf(found, project), basename(found.target.path)].includes(version),
  );
}

function unknown(wanted: string): MetadataError {
  return new MetadataError('TARGET_UNKNOWN', `Looking for ${wanted.slice(0, 300)}: no trusted role lists it`);
}
