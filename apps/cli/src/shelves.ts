// Shelves as a verifying client sees them, and what a draft of the quorum would
// change about them, in words: made by drafting it again from what this user's
// own client verified, so that nobody signs what a service merely says.

import type { Client } from '@countersign/client';
import { sha256 } from '@countersign/client/node';
import {
  MetadataError,
  openEnvelope,
  projectDirectory,
  readShelfName,
  readTargets,
  type Targets,
  utf8,
} from '@countersign/core';
import { projectOf } from '@countersign/ecosystems';
import {
  directoriesOn,
  filesIn,
  judgeShelving,
  rolesNeeded,
  type ShelvingBase,
  type ShelvingWish,
  shelfHolding,
  shelvesOf,
  unclaimedFor,
} from '@countersign/repository';
import type { KnownCollection } from './decide.ts';
import { columns, counted } from './output.ts';
import { shardNamed } from './trusted-collection.ts';

/** The directory of a name, such as `npm/left-pad`. @throws AdmissionError NAME_INVALID */
export function directoryOf(name: string): string {
  return projectDirectory(projectOf(name), sha256);
}

/** A directory as the name that people know: `npm/left-pad`. */
export function nameOf(directory: string): string {
  const [ecosystem = '', , segment = ''] = directory.split('/');
  return `${ecosystem}/${segment.replace(/(?<=.)@/, '/')}`;
}

/** The shelves that there are, verified. @throws MetadataError and whatever the client throws */
export async function shelvesIn(
  client: Client,
): Promise<readonly { readonly role: string; readonly content: Targets }[]> {
  const { targets } = client.trusted;
  const shelves: { role: string; content: Targets }[] = [];
  for (const { name: role } of targets === undefined ? [] : shelvesOf(targets.content)) {
    const content = await shelfRole(client, role);
    if (content !== undefined) shelves.push({ role, content });
  }
  return shelves;
}

/** Every directory that is on a shelf. @throws MetadataError and whatever the client throws */
export async function shelvedDirectories(client: Client): Promise<readonly string[]> {
  return (await shelvesIn(client)).flatMap(({ content }) => directoriesOn(content));
}

/**
 * What a shelving is drafted from, as verified.
 *
 * @param wish what is to change; its shelves' files and unclaimed shards are verified too
 * @throws MetadataError and whatever the client throws
 */
export async function shelvingBase(client: Client, wish: Omit<ShelvingWish, 'expires'>): Promise<ShelvingBase> {
  const { root, targets, snapshot } = client.trusted;
  if (targets === undefined)
    throw new MetadataError('METADATA_MISSING', 'Reading the collection: it was not refreshed');
  const contents = new Map<string, Targets>();
  const wanted = [...shelvesOf(targets.content).map(({ name }) => name), ...rolesNeeded(targets.content, wish)];
  for (const role of new Set(wanted)) {
    const content = readShelfName(role) ? await shelfRole(client, role) : (await shardNamed(client, role))?.content;
    if (content !== undefined) contents.set(role, content);
  }
  return {
    root: root.content,
    targets: targets.content,
    contentOf: (role) => contents.get(role),
    versionOf: (role) => snapshot?.content.meta.get(role)?.version ?? 0,
  };
}

/** What a wish changes, name by name. */
export function wishLines(base: ShelvingBase, { take, release }: Omit<ShelvingWish, 'expires'>): readonly string[] {
  const row = (sign: string, directory: string, role: string): string[] => {
    const files = filesIn(base.contentOf(role), directory);
    return [sign, nameOf(directory), counted(files.length, 'file')];
  };
  const rows = [
    ...take.map((directory) => row('+', directory, unclaimedFor(base.targets, directory))),
    ...release.map((directory) => row('-', directory, `${shelfHolding(base, directory) ?? ''}-files`)),
  ];
  return [
    `${take.length} names go on the shelf of the quorum, ${release.length} come off it`,
    ...columns(rows.slice(0, SHOWN)),
    ...(rows.length > SHOWN ? [`… and ${rows.length - SHOWN} more`] : []),
  ];
}

/**
 * What the roles of a submission change about shelves; none if they hold no shelf.
 *
 * @throws AdmissionError when they say anything else than what follows from what this client verified
 */
export async function shelvingLines(
  { client }: Pick<KnownCollection, 'client'>,
  roles: readonly { readonly role: string; readonly file: string }[],
): Promise<readonly string[] | undefined> {
  if (roles.every(({ role }) => readShelfName(role) === undefined)) return undefined;
  const sent = new Map(
    roles.map(({ role, file }) => [role, readTargets(openEnvelope(utf8(file), role).signed, role)] as const),
  );
  const take = [...sent].flatMap(([role, content]) =>
    readShelfName(role) === undefined ? [] : directoriesOn(content),
  );
  const base = await shelvingBase(client, { take, release: [], renew: [...sent.keys()].filter(isShelf) });
  const wish = judgeShelving(base, sent);
  return [
    ...wishLines(base, wish),
    `roles: ${[...sent.keys()].sort().join(', ')}; every file as your own client finds it now`,
  ];
}

async function shelfRole(client: Client, role: string): Promise<Targets | undefined> {
  const listed = client.trusted.snapshot?.content.meta.get(role)?.version;
  const known = (): Targets | undefined => {
    const content = client.trusted.memo.get(role)?.role.content;
    return content?.version === listed ? content : undefined; // a memo is as old as the search that made it
  };
  const read = readShelfName(role);
  if (listed === undefined || read === undefined) return undefined;
  if (known() === undefined) {
    // A search through any directory that the role speaks for verifies it on its way.
    const shelf = read.holds === 'names' ? undefined : await shelfRole(client, role.slice(0, -'-files'.length));
    const directory = read.holds === 'names' ? `0/${read.prefix.padEnd(4, '0')}/0` : directoriesOn(shelf)[0];
    if (directory !== undefined) await client.list(directory);
  }
  return known();
}

function isShelf(role: string): boolean {
  return readShelfName(role)?.holds === 'names';
}

const SHOWN = 40;
