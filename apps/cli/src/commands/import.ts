// `countersign import`: a folder, or a list of files that lie elsewhere, into a
// plain collection or as names that nobody has claimed. Works on the collection's
// own storage while no service publishes it: first everything is read and
// sorted on disk, then each bin or shard is written once. Cut off at any moment,
// the same command goes on where it was.

import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Client, Sink } from '@countersign/client';
import { sha256 } from '@countersign/client/node';
import {
  binOf,
  hex,
  MetadataError,
  openEnvelope,
  type Project,
  projectDirectory,
  readTargets,
  type TargetFile,
  type Targets,
  targetPathOf,
  UsageError,
  utf8,
} from '@countersign/core';
import { ecosystemOf, projectOf } from '@countersign/ecosystems';
import { customRoleFor } from '@countersign/repository';
import type { OpenCollection } from '@countersign/server';
import type { Context } from '../context.ts';
import { ImportRoom, unfinished } from '../import-room.ts';
import { factsOf, listEntries } from '../import-source.ts';
import { inOrder } from '../in-order.ts';
import { collectionFolder, hasCollection, openCollections, storesOf } from '../local-collections.ts';
import { bytesOf, filesBelow, hashed, type LocalFile } from '../local-files.ts';
import { durationText, startPace } from '../pace.ts';
import { shownPath } from '../shell.ts';
import { openSiteClient } from '../site-client.ts';
import { isRegistry, readAnchor } from '../trusted-collection.ts';

/** What `import` may be told. */
export interface ImportOptions {
  /** Where the files belong: a folder of the collection, or a project such as files/handbook. */
  readonly to?: string;
  /** Gives up an unfinished import of something else. */
  readonly restart?: boolean;
}

/**
 * Imports.
 *
 * @throws UsageError COLLECTION_MISSING, COLLECTION_BUSY, USAGE_INVALID; AdmissionError; SignerError; StoreError
 */
export async function importFiles(context: Context, source: string, options: ImportOptions): Promise<void> {
  const { config, shell, output } = context;
  const name = config.collection;
  const folder = collectionFolder(config, name);
  if (!(await hasCollection(config, name))) {
    throw new UsageError('COLLECTION_MISSING', `Importing into ${name}: it must be on this machine`, {
      detail: { folder },
    });
  }
  const wanted = await sourceOf(source, options, shell.cwd);
  const room = join(folder, 'import');
  await requireFree(context, room, wanted, options);
  const stores = storesOf(context);
  const progress = output.progress(`Opening ${name}`);
  try {
    const { collections } = await openCollections(context, [name], stores, () => () => undefined);
    const [collection] = collections;
    if (collection === undefined) throw new TypeError('A collection was opened and is not there');
    progress.end();
    try {
      await run(context, collection, await ImportRoom.open(room, wanted.id), wanted);
    } finally {
      await collection.repository.close();
    }
  } finally {
    await stores.close();
  }
}

/** What is to be imported. */
interface Source {
  readonly kind: 'folder' | 'list';
  /** As an absolute path. */
  readonly file: string;
  /** The first line says what it is, the rest whether it is as it was. */
  readonly id: string;
  /** In front of every path. */
  readonly prefix: string;
}

async function sourceOf(named: string, { to = '' }: ImportOptions, cwd: string): Promise<Source> {
  const file = resolve(cwd, named);
  const facts = await stat(file).catch(() => undefined); // absent: refused next
  if (facts === undefined) throw new UsageError('USAGE_INVALID', `Reading ${named}: there is no such file or folder`);
  const prefix = to === '' || to.endsWith('/') ? to : `${to}/`;
  const what = `${file}${prefix === '' ? '' : ` to ${prefix}`}`;
  if (facts.isDirectory()) return { kind: 'folder', file, id: `folder ${what}`, prefix };
  const { size, modified } = await factsOf(file);
  return { kind: 'list', file, id: `list ${what}\n${size} bytes, ${modified}`, prefix };
}

/** Two imports would take each other's place. @throws UsageError USAGE_INVALID */
async function requireFree(
  { output }: Context,
  room: string,
  { id }: Source,
  { restart }: ImportOptions,
): Promise<void> {
  const before = await unfinished(room);
  if (before === undefined || before === id || restart === true) return;
  const [what] = before.split('\n');
  if (what === id.split('\n')[0]) {
    output.note('The list has changed since the import of it began: it begins again.');
    return;
  }
  throw new UsageError('USAGE_INVALID', `Importing: the import of ${what ?? ''} is not finished`, {
    detail: { next: 'run it again to finish it, or say --restart to give it up' },
  });
}

async function run(context: Context, collection: OpenCollection, room: ImportRoom, source: Source): Promise<void> {
  const { config, output, shell } = context;
  const resumed = room.mark.read > 0;
  const began = shell.clock();
  const before = collection.repository.status().publication;
  if (resumed) output.note(`Going on where it stopped, after ${count(room.mark.read, 'file')}.`);
  else output.note('Stop it whenever you like: the same command goes on where it stopped.');
  const place = await placing(collection);
  let claimed = 0;
  if (!room.mark.whole) claimed += await read(context, collection, room, source, place);
  const { sample, skipped } = await publishParts(context, collection, room, source, place);
  claimed += skipped;
  const { published } = room.mark;
  const client = await openSiteClient(collection.store.site, await readAnchor(config.root), shell.clock);
  await requireSeen(context, client, sample, source.kind);
  await room.clear();
  const publications = collection.repository.status().publication - before;
  const seconds = (shell.clock() - began) / 1000;
  output.result(
    { collection: config.collection, files: published, skipped: claimed, publications, resumed, sample: sample.length },
    [
      `Imported ${count(published, 'file')} into ${config.collection}: ${count(publications, 'publication')}, ${durationText(seconds)}.`,
      `Your own verifying client found ${sample.length} of them, picked from all over, as they were signed.`,
      ...(claimed > 0 ? [`Passed by, because their names are claimed: ${count(claimed, 'file')}.`] : []),
      ...(source.kind === 'list'
        ? ['The list says what is true of the files; their content is not here, and must be served from where it lies.']
        : []),
    ],
  );
}

/** Where a file belongs. */
interface Place {
  /** As it will be listed. */
  readonly path: string;
  /** The digits of its place in the hash space. */
  readonly digits: string;
  /** None in a plain collection. */
  readonly project: Project | undefined;
}

/** Places a path. What was placed once stays where it is. @throws UsageError USAGE_INVALID; AdmissionError NAME_INVALID */
type Placing = (path: string) => Place;

async function placing({ store }: OpenCollection): Promise<Placing> {
  const bytes = (await store.ledger.file('targets')) ?? new Uint8Array();
  const targets = readTargets(openEnvelope(bytes, 'targets').signed, 'targets');
  return isRegistry(targets) ? namePlace : (path) => plainPlace(path, targets);
}

function plainPlace(path: string, targets: Targets): Place {
  const role = customRoleFor(targets, path);
  if (role !== undefined) {
    throw new UsageError('USAGE_INVALID', `Importing ${path}: ${role.name} stands for it; its author uploads it`, {
      detail: { path, role: role.name },
    });
  }
  return { path: requirePath(path), digits: hex(sha256(utf8(path))), project: undefined };
}

/** A path of the layout, or `<ecosystem>/<name>/<file>`, which is turned into one. */
function namePlace(path: string): Place {
  const segments = requirePath(path).split('/');
  const [ecosystem = '', ...rest] = segments;
  const file = rest.pop() ?? '';
  const laidOut = rest.length === 2 && /^[0-9a-f]{4}$/.test(rest[0] ?? '');
  const name = laidOut ? (rest[1] ?? '').replace(/(?<=.)@/, '/') : rest.join('/');
  if (name === '') {
    throw new UsageError('USAGE_INVALID', `Importing ${path}: in a registry a path is <ecosystem>/<name>/<file>`);
  }
  const project = projectOf(`${ecosystem}/${name}`);
  return { path: `${projectDirectory(project, sha256)}/${file}`, digits: binOf(project, sha256), project };
}

/** Reads and sorts everything. @returns how many files were passed by */
async function read(
  context: Context,
  collection: OpenCollection,
  room: ImportRoom,
  source: Source,
  place: Placing,
): Promise<number> {
  const { mark } = room;
  const list = source.kind === 'list';
  const total = list ? (await factsOf(source.file)).size : await filesIn(context, source.file);
  const from = list ? Number(mark.after || 0) : mark.read;
  const pace = startPace(context, 'Reading', { from, total, unit: list ? 'bytes' : 'files' });
  let [files, skipped, after, kept] = [mark.read, 0, mark.after, mark.read];
  const entries = list ? fromList(source, from) : fromFolder(context, collection, source, mark.after, place);
  for await (const entry of entries) {
    after = entry.after;
    files++;
    pace.update(list ? Number(after) : files);
    const { path, digits, project } = place(source.prefix + entry.target.path);
    if (isClaimed(collection, project)) skipped++;
    else room.add(digits, { ...entry.target, path });
    if (files - kept < (list ? KEEP_LIST : KEEP_FOLDER)) continue;
    await room.keep(after, files, false);
    kept = files;
  }
  await room.keep(after, files, true);
  pace.end();
  return skipped;
}

/** A file with the path that its source gives it, and from where to go on after it. */
interface Entry {
  readonly target: TargetFile;
  readonly after: string;
}

async function* fromList({ file }: Source, from: number): AsyncGenerator<Entry, void> {
  for await (const { path, length, sha256, sha512, custom, end } of listEntries(file, from)) {
    const hashes = new Map([['sha256', sha256], ...(sha512 === undefined ? [] : [['sha512', sha512] as const])]);
    yield { target: { path, length, hashes, custom }, after: String(end) };
  }
}

/** Files on disk: hashed and stored, several at a time. */
async function* fromFolder(
  { shell, output }: Context,
  { repository }: OpenCollection,
  source: Source,
  after: string,
  place: Placing,
): AsyncGenerator<Entry, void> {
  const skipped = (file: string): void =>
    output.note(`Passed by: ${shownPath(file, shell)} is neither file nor folder`);
  const store = async (local: LocalFile): Promise<Entry> => {
    const { project } = place(source.prefix + local.path);
    const { length, ...digests } = await hashed(local);
    await repository.putBlob(digests.sha256, bytesOf(local.file));
    const custom = project && (await entryOf(local, project));
    const hashes = new Map([
      ['sha256', digests.sha256],
      ['sha512', digests.sha512],
    ]);
    return { target: { path: local.path, length, hashes, custom }, after: local.path };
  };
  yield* inOrder(filesBelow(source.file, shell.cwd, { after, skipped }), TOGETHER, store);
}

async function entryOf({ file, path }: LocalFile, project: Project): Promise<TargetFile['custom']> {
  const fileName = path.slice(path.lastIndexOf('/') + 1);
  return (await ecosystemOf(project.ecosystem).inspect(bytesOf(file), { fileName, project })).custom;
}

async function filesIn({ shell, output }: Context, folder: string): Promise<number> {
  const progress = output.progress('Counting');
  let files = 0;
  for await (const _ of filesBelow(folder, shell.cwd)) files++;
  progress.end();
  return files;
}

/** Publishes what is not yet, part by part, and picks some of it to look at afterwards. */
async function publishParts(
  context: Context,
  collection: OpenCollection,
  room: ImportRoom,
  { kind }: Source,
  place: Placing,
): Promise<{ readonly sample: readonly TargetFile[]; readonly skipped: number }> {
  const pace = startPace(context, 'Publishing', { from: room.mark.published, total: room.mark.read, unit: 'files' });
  const sample: TargetFile[] = [];
  let skipped = 0;
  while (!room.isDone()) {
    const to = room.next();
    const all = await room.entries(room.mark.done, to);
    const files = all.filter(({ path }) => !isClaimed(collection, place(path).project));
    skipped += all.length - files.length;
    if (files.length > 0) await collection.repository.importFiles(files, kind === 'list' ? 'elsewhere' : 'held');
    const step = Math.max(1, Math.floor(files.length / SAMPLE));
    for (let i = 0; i < files.length; i += step) sample.push(...files.slice(i, i + 1));
    await room.publishedUpTo(to, files.length);
    pace.update(room.mark.published);
  }
  pace.end();
  const every = Math.max(1, Math.ceil(sample.length / (4 * SAMPLE)));
  return { sample: sample.filter((_, i) => i % every === 0), skipped };
}

function isClaimed({ repository }: OpenCollection, project: Project | undefined): boolean {
  return project !== undefined && repository.owner(project) !== undefined;
}

/** Looks for files as any client would, and reads some to their last byte. @throws MetadataError METADATA_MISSING */
async function requireSeen(
  { output }: Context,
  client: Client,
  sample: readonly TargetFile[],
  kind: Source['kind'],
): Promise<void> {
  const progress = output.progress('Looking at it with a client that verifies');
  await client.refresh();
  for (const [i, { path, hashes }] of sample.entries()) {
    const found = await client.find(path);
    if (found?.target.hashes.get('sha256') !== hashes.get('sha256')) {
      throw new MetadataError('METADATA_MISSING', `Looking for ${path}: it was published, but is not served`, {
        detail: { path },
      });
    }
    if (found !== undefined && kind === 'folder' && i % 10 === 0) await client.download(found.target, NOWHERE);
  }
  progress.end();
}

function requirePath(path: string): string {
  if (targetPathOf(path) !== undefined) return path;
  throw new UsageError('USAGE_INVALID', `Importing ${path.slice(0, 200)}: a target cannot have this path`, {
    detail: { path: path.slice(0, 200) },
  });
}

function count(number: number, thing: string): string {
  return `${number.toLocaleString('en')} ${thing}${number === 1 ? '' : 's'}`;
}

const NOWHERE: Sink = {
  write: async () => undefined,
  commit: async () => undefined,
  abort: async () => undefined,
};
// Files that are read and stored at the same time.
const TOGETHER = 16;
// Entries between two marks: what a kill may cost.
const KEEP_LIST = 20_000;
const KEEP_FOLDER = 500;
// Files of each publication that are looked for afterwards.
const SAMPLE = 50;
