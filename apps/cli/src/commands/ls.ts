// `countersign ls`: the names of a collection, the files of one, or the files
// of a plain collection, as a verifying client sees them.

import { basename } from 'node:path';
import type { Client } from '@countersign/client';
import { sha256 } from '@countersign/client/node';
import { AdmissionError, compareCodePoints, type Found, projectDirectory, writeInstant } from '@countersign/core';
import { compareVersions, projectOf, readDistTags, readYanks } from '@countersign/ecosystems';
import type { Context } from '../context.ts';
import { bytesText, columns, short } from '../output.ts';
import { filesOf, type PlainCollection, plainOf } from '../plain-collection.ts';
import { namesIn, openTrust, ownerOf, shardsOf } from '../trusted-collection.ts';
import { assuranceOf, pointersOf, versionOf } from '../verified-file.ts';

/** Lists. @throws AdmissionError NAME_UNCLAIMED, NAME_INVALID; whatever the client gives */
export async function ls(context: Context, name: string | undefined): Promise<void> {
  const client = await openTrust(context.config, context.shell);
  const progress = context.output.progress(`Verifying ${context.config.url}`);
  await client.refresh();
  const plain = await plainOf(client);
  if (plain !== undefined) await listPlain(context, client, plain, name ?? '');
  else await (name === undefined ? listNames(context, client) : listFiles(context, client, name));
  progress.end();
}

/** The files of a plain collection below a folder, or one file. */
async function listPlain(
  { config, output, suggest }: Context,
  client: Client,
  plain: PlainCollection,
  below: string,
): Promise<void> {
  const progress = output.progress(`Reading ${config.collection}`);
  const folder = below === '' || below.endsWith('/') ? below : `${below}/`;
  const files: { path: string; length: number; sha256: string; role: string | null }[] = [];
  for await (const { target, role } of filesOf(client, plain, progress.update)) {
    const { path, length, hashes } = target;
    if (!path.startsWith(folder) && path !== below) continue;
    files.push({ path, length, sha256: hashes.get('sha256') ?? '', role: role ?? null });
  }
  progress.end();
  files.sort((a, b) => compareCodePoints(a.path, b.path));
  const signed = files.some(({ role }) => role !== null);
  const size = files.reduce((sum, { length }) => sum + length, 0);
  output.result({ collection: config.collection, files }, [
    ...(files.length === 0
      ? [
          `${below === '' ? config.collection : below} has no files${below === '' ? ` yet. Upload some: ${suggest('upload <files>')}` : ''}`,
        ]
      : columns(
          files.map(({ path, length, sha256, role }) => [
            path,
            bytesText(length),
            `sha256 ${short(sha256)}…`,
            ...(signed ? [role === null ? '' : `signed as ${role}`] : []),
          ]),
          '',
        )),
  ]);
  if (files.length > 0) output.note(`${files.length} ${files.length === 1 ? 'file' : 'files'}, ${bytesText(size)}`);
}

/** Files of a name that nobody speaks for: the repository alone vouches for them. */
function listUnclaimed(output: Context['output'], name: string, found: readonly Found[]): void {
  const files = found.map(({ target, trail }) => ({
    file: basename(target.path),
    length: target.length,
    sha256: target.hashes.get('sha256') ?? '',
    assurance: assuranceOf(trail),
    path: target.path,
    trail,
  }));
  files.sort((a, b) => compareCodePoints(a.file, b.file));
  output.result({ project: name, assurance: 'unclaimed', files }, [
    `${name}: unclaimed; the repository alone vouches for it`,
    ...columns(files.map(({ file, length, sha256 }) => [file, bytesText(length), `sha256 ${short(sha256)}…`])),
  ]);
}

async function listNames({ config, output, suggest }: Context, client: Client): Promise<void> {
  const seen = new Set<string>();
  const names = [];
  for (const shard of await shardsOf(client, ['claimed', 'recent'])) {
    for (const { project, delegation } of namesIn(shard)) {
      if (seen.has(delegation.name)) continue; // claimed shards come first, and count
      seen.add(delegation.name);
      const version = client.trusted.snapshot?.content.meta.get(delegation.name)?.version;
      names.push({
        project: `${project.ecosystem}/${project.name}`,
        assurance: shard.kind,
        owners: delegation.keyIds,
        version,
      });
    }
  }
  names.sort((a, b) => (a.project < b.project ? -1 : 1));
  output.result({ collection: config.collection, names }, [
    ...(names.length === 0
      ? [`${config.collection} has no names yet. Claim one: ${suggest('claim npm/<name>')}`]
      : columns(
          [
            ['name', 'assurance', 'role version', 'owner key'],
            ...names.map((row) => [
              row.project,
              row.assurance,
              String(row.version ?? ''),
              row.owners.map(short).join(', '),
            ]),
          ],
          '',
        )),
  ]);
}

async function listFiles({ output }: Context, client: Client, name: string): Promise<void> {
  const project = projectOf(name);
  const owner = await ownerOf(client, project);
  const unclaimed = owner === undefined ? (await client.list(projectDirectory(project, sha256))).found : undefined;
  if (owner === undefined && unclaimed !== undefined && unclaimed.size > 0) {
    listUnclaimed(output, name, [...unclaimed.values()]);
    return;
  }
  if (owner === undefined) {
    throw new AdmissionError('NAME_UNCLAIMED', `Listing ${name}: nobody has claimed it`, { detail: { project: name } });
  }
  const tags = project.ecosystem === 'npm' ? readDistTags(pointersOf(owner.role)) : new Map<string, string>();
  const yanks = readYanks(pointersOf(owner.role), project.ecosystem);
  const files = [...owner.files.values()].map((found) => {
    const version = versionOf(found, project);
    const { target, trail } = found;
    return {
      file: basename(target.path),
      version: version ?? null,
      tags: [...tags].filter(([, tagged]) => tagged === version).map(([tag]) => tag),
      yanked: yanks.get(version ?? basename(target.path)) ?? null,
      length: target.length,
      sha256: target.hashes.get('sha256') ?? '',
      assurance: assuranceOf(trail),
      path: target.path,
      trail,
    };
  });
  files.sort((a, b) =>
    a.version !== null && b.version !== null ? compareVersions(b.version, a.version) : a.file < b.file ? -1 : 1,
  );
  const { delegation, kind, role } = owner;
  output.result(
    {
      project: name,
      assurance: kind,
      role: delegation.name,
      version: role.version,
      owners: delegation.keyIds,
      tags: Object.fromEntries(tags),
      files,
    },
    [
      `${name}: ${kind}, owned by ${delegation.keyIds.map((id) => `${short(id)}…`).join(', ')}`,
      `  role ${delegation.name}, version ${role.version}, expires ${writeInstant(role.expires)}`,
      ...(files.length === 0 ? ['  no files yet'] : []),
      ...columns(
        files.map((row) => [
          row.file,
          bytesText(row.length),
          `sha256 ${short(row.sha256)}…`,
          row.assurance,
          row.yanked === null ? row.tags.join(', ') : `yanked: ${row.yanked || 'no reason given'}`,
        ]),
      ),
    ],
  );
}
