// `countersign upload`: puts files into a plain collection, or under a name
// that nobody has claimed, and takes files out. What an author's role stands
// for is signed with the author's key, everything else by the service. What is
// there already is not sent again, so a run that was cut off can be repeated.

import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { Client } from '@countersign/client';
import { sha256 } from '@countersign/client/node';
import {
  AdmissionError,
  editTargets,
  type JsonObject,
  MetadataError,
  type Project,
  projectDirectory,
  type TargetFile,
  targetPathOf,
  UsageError,
} from '@countersign/core';
import { projectOf } from '@countersign/ecosystems';
import { submissionText } from '@countersign/repository';
import { withArtifacts } from '../artifact.ts';
import { AUTHOR_LIFETIME, confirm, holdsKey, openService } from '../author.ts';
import type { Context } from '../context.ts';
import type { Upload } from '../http-api.ts';
import { filesBelow, hashed } from '../local-files.ts';
import { bytesText, columns, short } from '../output.ts';
import { filesOf, type PlainCollection, plainOf, roleForPath } from '../plain-collection.ts';
import { openKeys, publishRoles } from '../publish-roles.ts';
import { shownPath } from '../shell.ts';
import { isRegistry, openTrust, ownerOf } from '../trusted-collection.ts';

/** What `upload` may be told. */
export interface UploadOptions {
  /** Where the files belong: a folder of the collection, or a project such as files/handbook. */
  readonly to?: string;
  /** Files to take out, below `to`; with a slash at the end, all below. */
  readonly remove?: readonly string[];
  readonly dryRun?: boolean;
  /** Further keys of one's own to sign with. */
  readonly with?: readonly string[];
}

/**
 * Uploads files and takes files out.
 *
 * @throws AdmissionError NAME_TAKEN, SUBMISSION_*; UsageError; MetadataError TARGET_UNKNOWN; whatever client and service give
 */
export async function upload(context: Context, paths: readonly string[], options: UploadOptions): Promise<void> {
  const { shell, config, output } = context;
  if (paths.length === 0 && options.remove === undefined) {
    throw new UsageError('USAGE_INVALID', 'Uploading: name files or folders, or files to --remove');
  }
  const client = await openTrust(config, shell);
  const progress = output.progress(`Verifying ${config.url}`);
  await client.refresh();
  const plain = await plainOf(client);
  progress.end();
  if (plain !== undefined) {
    const files = await plainFiles(context, paths, options.to ?? '');
    const gone = await plainRemovals(client, plain, options);
    await change(context, client, { plain, files, gone }, options);
    return;
  }
  if (!isRegistry(client.trusted.targets?.content)) {
    throw new UsageError(
      'USAGE_INVALID',
      `Uploading to ${config.collection}: it is no collection of this kind of service`,
    );
  }
  const project = options.to === undefined ? undefined : projectOf(options.to);
  await withArtifacts(paths, project, context, async (artifacts) => {
    const files = artifacts.map(({ inspected, ...artifact }) => ({
      ...artifact,
      path: `${projectDirectory(inspected.project, sha256)}/${inspected.file}`,
      custom: inspected.custom,
    }));
    for (const { inspected } of artifacts) await requireUnclaimed(client, inspected.project);
    if (project !== undefined) await requireUnclaimed(client, project);
    await change(context, client, { plain, files, gone: unclaimedRemovals(project, options) }, options);
  });
}

/** A file to list. */
interface Item extends Upload {
  /** As the user named it. */
  readonly source: string;
  readonly path: string;
  readonly sha512: string;
  readonly custom?: JsonObject;
}

interface Wish {
  readonly plain: PlainCollection | undefined;
  readonly files: readonly Item[];
  /** Paths to take out. */
  readonly gone: readonly string[];
}

async function plainFiles({ shell, output }: Context, paths: readonly string[], to: string): Promise<readonly Item[]> {
  const prefix = to === '' || to.endsWith('/') ? to : `${to}/`;
  const items = new Map<string, Item>();
  const skipped = (file: string): void =>
    output.note(`Passed by: ${shownPath(file, shell)} is neither file nor folder`);
  for (const named of paths) {
    const progress = output.progress(`Reading ${named}`);
    const folder = await folderName(named, shell.cwd);
    for await (const local of filesBelow(named, shell.cwd, { skipped })) {
      const path = requirePath(prefix + folder + local.path);
      if (items.has(path)) throw new UsageError('USAGE_INVALID', `Uploading ${local.file}: ${path} is given twice`);
      items.set(path, { ...(await hashed(local)), source: local.file, path });
    }
    progress.end();
  }
  return [...items.values()];
}

/** A folder comes with its name, unless it is written with a slash at its end: as with `cp` and `rsync`. */
async function folderName(named: string, cwd: string): Promise<string> {
  const content = named.endsWith('/') || named === '.' || named === '..';
  const facts = content ? undefined : await stat(resolve(cwd, named)).catch(() => undefined); // absent: refused when read
  return facts?.isDirectory() === true ? `${basename(named)}/` : '';
}

async function plainRemovals(
  client: Client,
  plain: PlainCollection,
  { remove = [], to = '' }: UploadOptions,
): Promise<readonly string[]> {
  const prefix = to === '' || to.endsWith('/') ? to : `${to}/`;
  const folders = remove.filter((path) => path.endsWith('/')).map((path) => prefix + path);
  const gone = new Set(remove.filter((path) => !path.endsWith('/')).map((path) => requirePath(prefix + path)));
  if (folders.length === 0) return [...gone];
  const before = gone.size;
  for await (const { target } of filesOf(client, plain)) {
    if (folders.some((folder) => target.path.startsWith(folder))) gone.add(requirePath(target.path));
  }
  if (gone.size === before) throw unknown(folders.join(', '));
  return [...gone];
}

function unclaimedRemovals(project: Project | undefined, { remove = [] }: UploadOptions): readonly string[] {
  if (remove.length > 0 && project === undefined) {
    throw new UsageError('USAGE_INVALID', 'Removing files of a name: say of which with --to, such as files/handbook');
  }
  return remove.map((file) =>
    requirePath(project === undefined ? file : `${projectDirectory(project, sha256)}/${file}`),
  );
}

async function requireUnclaimed(client: Client, project: Project): Promise<void> {
  if ((await ownerOf(client, project)) === undefined) return;
  const name = `${project.ecosystem}/${project.name}`;
  throw new AdmissionError('NAME_TAKEN', `Uploading to ${name}: its owner publishes with \`publish\``, {
    detail: { project: name },
  });
}

/** Shows what would change, changes it, and looks whether clients see it. */
async function change(
  context: Context,
  client: Client,
  { plain, files, gone }: Wish,
  { dryRun, with: more }: UploadOptions,
): Promise<void> {
  const { output } = context;
  const rows: Row[] = [];
  for (const item of files) {
    if (gone.includes(item.path)) throw new UsageError('USAGE_INVALID', `Uploading ${item.path}: it is to be removed`);
    const known = (await client.find(item.path))?.target;
    const what = known === undefined ? 'added' : sameContent(known, item) ? 'unchanged' : 'changed';
    rows.push({ what, path: item.path, item, role: plain && roleForPath(plain, item.path)?.name });
  }
  for (const path of gone) {
    if ((await client.find(path)) === undefined) throw unknown(path);
    rows.push({ what: 'removed', path, item: undefined, role: plain && roleForPath(plain, path)?.name });
  }
  const changed = rows.filter(({ what }) => what !== 'unchanged');
  for (const line of rowLines(rows)) output.note(line);
  if (dryRun === true || changed.length === 0) {
    const why =
      changed.length === 0 ? 'Nothing is to be done: it is all there already.' : 'Nothing was sent (--dry-run).';
    output.result(documentOf(rows, null, null), [why]);
    return;
  }
  const publication = await sendUnsigned(
    context,
    changed.filter(({ role }) => role === undefined),
  );
  const signed = await sendSigned(
    context,
    client,
    plain,
    changed.filter(({ role }) => role !== undefined),
    more,
  );
  await client.refresh();
  await requireSeen(
    client,
    changed.filter(({ role }) => role === undefined || signed.event === undefined),
  );
  const seen = signed.publication ?? publication;
  output.result(documentOf(rows, seen ?? null, signed.event ?? null), [
    ...(seen === undefined
      ? []
      : [
          `Published: it is publication ${seen} of ${context.config.collection}; your own verifying client has seen it.`,
        ]),
    ...(signed.event === undefined ? [] : ['What an author signs is published as soon as everybody has signed.']),
    ...nextLines(context, changed),
  ]);
}

interface Row {
  readonly what: 'added' | 'changed' | 'unchanged' | 'removed';
  readonly path: string;
  /** What is to be listed; `undefined` for what is removed. */
  readonly item: Item | undefined;
  /** The author's role that stands for the path. */
  readonly role: string | undefined;
}

function rowLines(rows: readonly Row[]): readonly string[] {
  const changed = rows.filter(({ what }) => what !== 'unchanged');
  const still = rows.length - changed.length;
  const shown = changed
    .slice(0, SHOWN)
    .map(({ what, path, item, role }) => [
      SIGNS[what],
      path,
      item === undefined ? '' : bytesText(item.length),
      item === undefined ? '' : `sha256 ${short(item.sha256)}…`,
      what === 'changed' ? 'new content' : '',
      role === undefined ? '' : `signed by you, as ${role}`,
    ]);
  return [
    ...columns(shown),
    ...(changed.length > SHOWN ? [`  … and ${changed.length - SHOWN} more`] : []),
    ...(still > 0 ? [`  ${still} ${still === 1 ? 'file is' : 'files are'} there already, with this very content`] : []),
  ];
}

/** Files that the service itself signs for. */
async function sendUnsigned({ config, shell, output }: Context, rows: readonly Row[]): Promise<number | undefined> {
  const service = openService(config, shell);
  const items = rows.flatMap(({ item }) => item ?? []);
  const total = items.reduce((sum, { length }) => sum + length, 0);
  const progress = output.progress('Sending');
  let sent = 0;
  const waiting = items[Symbol.iterator]();
  const sender = async (): Promise<void> => {
    for (const item of waiting) {
      let before = 0;
      await service.putBlob(item, (now) => {
        sent += now - before;
        before = now;
        progress.update(sent, total);
      });
    }
  };
  await Promise.all(Array.from({ length: SENDERS }, sender));
  progress.end();
  let publication: number | undefined;
  for (let at = 0; at < rows.length; at += TOGETHER) {
    const some = rows.slice(at, at + TOGETHER);
    const waits = output.progress('Waiting for the publication');
    const files = some.flatMap(({ item }) =>
      item === undefined ? [] : [{ path: item.path, sha256: item.sha256, ...(item.custom && { custom: item.custom }) }],
    );
    const remove = some.flatMap(({ item, path }) => (item === undefined ? path : []));
    ({ publication } = await service.submit(submissionText({ files, remove })));
    waits.end();
  }
  return publication;
}

/** Files that authors' roles stand for: one new version of each role. */
async function sendSigned(
  context: Context,
  client: Client,
  plain: PlainCollection | undefined,
  rows: readonly Row[],
  more: readonly string[] | undefined,
): Promise<{ readonly publication: number | undefined; readonly event: string | undefined }> {
  const authorities = (plain?.custom ?? []).filter(({ name }) => rows.some(({ role }) => role === name));
  if (authorities.length === 0) return { publication: undefined, event: undefined };
  const signers = await openKeys(context, more);
  const expires = context.shell.clock() + AUTHOR_LIFETIME;
  const drafts = [];
  for (const authority of authorities) {
    if (!signers.some((signer) => holdsKey(authority, signer))) {
      throw new AdmissionError(
        'SUBMISSION_UNSIGNED',
        `Uploading as ${authority.name}: it belongs to another key than yours`,
        {
          detail: { want: authority.role.keyIds, yours: signers.map(({ keyId }) => keyId) },
        },
      );
    }
    const mine = rows.filter(({ role }) => role === authority.name);
    const previous = await client.role(authority);
    const set = mine.flatMap(({ item }) => (item === undefined ? [] : [targetOf(item)]));
    const remove = mine.flatMap(({ item, path }) => (item === undefined ? path : []));
    drafts.push({ role: authority.name, authority, previous, signed: editTargets(previous, { expires, set, remove }) });
  }
  context.output.note(`Signing with your key ${signers.map(({ keyId }) => `${short(keyId)}…`).join(', ')}.`);
  const uploads = rows.flatMap(({ item }) => (item === undefined ? [] : [{ ...item, name: item.path }]));
  const title = `upload ${rows.map(({ path }) => path).join(', ')}`.slice(0, 200);
  const sent = await publishRoles(context, drafts, signers, title, uploads);
  if (sent.event === undefined) {
    await confirm(client, sent.roles, async (role) => {
      const authority = authorities.find(({ name }) => name === role);
      return authority && (await client.role(authority));
    });
  }
  return sent;
}

/** Looks for every change as any client would. @throws MetadataError METADATA_MISSING */
async function requireSeen(client: Client, rows: readonly Row[]): Promise<void> {
  for (const { path, item } of rows) {
    const found = (await client.find(path))?.target;
    if (item === undefined ? found === undefined : found !== undefined && sameContent(found, item)) continue;
    throw new MetadataError(
      'METADATA_MISSING',
      `Looking for ${path}: the service called the change published, but does not serve it`,
      { detail: { path } },
    );
  }
}

function documentOf(rows: readonly Row[], publication: number | null, event: string | null): object {
  const files = rows.map(({ what, path, item, role }) => ({
    path,
    change: what,
    length: item?.length ?? null,
    sha256: item?.sha256 ?? null,
    role: role ?? null,
  }));
  return { publication, event, files };
}

function nextLines({ suggest }: Context, rows: readonly Row[]): readonly string[] {
  const first = rows.find(({ item }) => item !== undefined);
  return first === undefined
    ? []
    : ['', 'Whoever trusts this collection can now have it:', `  ${suggest(`fetch ${first.path}`)}`];
}

function targetOf({ path, length, sha256, sha512, custom }: Item): TargetFile {
  const hashes = new Map([
    ['sha256', sha256],
    ['sha512', sha512],
  ]);
  return { path, length, hashes, custom };
}

function sameContent({ length, hashes }: TargetFile, item: Item): boolean {
  return length === item.length && hashes.get('sha256') === item.sha256;
}

function requirePath(path: string): string {
  if (targetPathOf(path) !== undefined) return path;
  throw new UsageError('USAGE_INVALID', `Uploading ${path.slice(0, 200)}: a target cannot have this path`, {
    detail: { path: path.slice(0, 200) },
  });
}

function unknown(path: string): MetadataError {
  return new MetadataError('TARGET_UNKNOWN', `Removing ${path.slice(0, 300)}: no trusted role lists it`);
}

const SIGNS = { added: '+', changed: '~', unchanged: '=', removed: '-' } as const;
const SHOWN = 40;
// Blobs under way at the same time.
const SENDERS = 4;
// Files of one submission: half of what the service takes.
const TOGETHER = 500;
