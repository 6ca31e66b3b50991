// `countersign fetch`: one file, verified to its last byte before it appears.

import { basename, dirname, resolve } from 'node:path';
import type { Client } from '@countersign/client';
import { fileSink, sha256 } from '@countersign/client/node';
import {
  type Found,
  MetadataError,
  projectDirectory,
  readOwnerRoleName,
  targetPathOf,
  UsageError,
} from '@countersign/core';
import { readDistTags } from '@countersign/ecosystems';
import { KnownOwners, type OwnerChange, sentenceOf, speakerOf } from '@countersign/gateway';
import type { Context } from '../context.ts';
import { bytesText, columns, short } from '../output.ts';
import { shownPath } from '../shell.ts';
import { isRegistry, knownOwnersFile, type OwnedProject, openTrust, ownerOf } from '../trusted-collection.ts';
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
  const change = isRegistry(client.trusted.targets?.content)
    ? await meetOwners(client, dirname(target.path), trail, { shell, config })
    : undefined;
  if (change !== undefined) {
    const name = nameOf(trail) ?? wanted;
    output.note(`Note: ${name} has new owners: ${sentenceOf(change)}.`);
    output.note(`  If you expected this: ${suggest(`trust ${name}`)}`);
  }
  const name = basename(target.path);
  const file = resolve(shell.cwd, options.output ?? name);
  await client.download(target, fileSink(file), { onProgress: progress.update });
  progress.end();
  const digest = target.hashes.get('sha256') ?? '';
  const facts = { path: target.path, file, length: target.length, sha256: digest };
  output.result({ ...facts, trail, assurance: assuranceOf(trail) }, [
    `Verified and saved ${shownPath(file, shell)}`,
    ...columns([
      ['target', target.path],
      ['size', bytesText(target.length)],
      ['sha256', `${short(digest)}…`],
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
  // Without names a path is all that a file has.
  if (
    !isRegistry(client.trusted.targets?.content) ||
    (path !== undefined && /^[a-z]+\/[0-9a-f]{4}\/[^/]+\/[^/]+$/.test(path))
  ) {
    const found = path && (await client.find(path));
    if (found) return found;
    throw unknown(wanted);
  }
  const { project, choice } = readWanted(wanted);
  const owner = await ownerOf(client, project);
  const files = owner?.files ?? (await client.list(projectDirectory(project, sha256))).found;
  const chosen = choose({ project, files, role: owner?.role }, choice);
  if (chosen !== undefined) return chosen;
  if (choice !== undefined || files.size === 0) throw unknown(wanted);
  throw new UsageError(
    'USAGE_INVALID',
    `Fetching ${wanted}: it has several files; name one, as \`${listing}\` lists them`,
  );
}

interface Choices extends Pick<OwnedProject, 'project' | 'files'> {
  /** `undefined` where nobody has claimed the project. */
  readonly role: OwnedProject['role'] | undefined;
}

function choose({ role, files, project }: Choices, choice: string | undefined): Found | undefined {
  const all = [...files.values()];
  if (choice === undefined && all.length === 1) return all[0];
  const tag =
    role !== undefined && project.ecosystem === 'npm'
      ? readDistTags(pointersOf(role)).get(choice ?? 'latest')
      : undefined;
  const version = tag ?? choice;
  return all.find(
    (found) => version !== undefined && [versionOf(found, project), basename(found.target.path)].includes(version),
  );
}

function unknown(wanted: string): MetadataError {
  return new MetadataError('TARGET_UNKNOWN', `Looking for ${wanted.slice(0, 300)}: no trusted role lists it`);
}
