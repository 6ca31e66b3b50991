// `countersign delegate`: the quorum gives paths of a plain collection to an
// author, whose signature alone counts for them from then on, or takes them
// back. The author's first file lists what is there already, so that nothing
// disappears; it waits for the author's own key, like everything an author signs.

import { resolve } from 'node:path';
import {
  days,
  editTargets,
  type JsonObject,
  MetadataError,
  matchesPattern,
  readTargets,
  type Signer,
  signFile,
  type TargetFile,
  type Targets,
  UsageError,
  utf8Text,
} from '@countersign/core';
import { type AuthorRole, customRoles, draftAuthorRole, keySetOf, submissionText } from '@countersign/repository';
import { AUTHOR_LIFETIME, holdsKey, openService } from '../author.ts';
import { openAuthorKey } from '../author-key.ts';
import type { Context } from '../context.ts';
import { isUnsigned, missingLines } from '../decide.ts';
import { draftLines } from '../draft-lines.ts';
import { authorText } from '../layout-lines.ts';
import { short } from '../output.ts';
import { filesOf, type PlainCollection, patternsOf, plainOf, roleForPath } from '../plain-collection.ts';
import { readPublicKey } from '../public-key.ts';
import { openQuorumKey } from '../quorum-key.ts';
import { draftedLines, type InForce, inForce, presentSigners, requireMember } from '../quorum-meeting.ts';

/** What `delegate` may be told. */
export interface DelegateOptions {
  readonly paths?: readonly string[];
  /** Public key files of those who sign for the paths. */
  readonly author?: readonly string[];
  readonly threshold?: string;
  /** Takes the paths back. */
  readonly remove?: boolean;
  /** Keys of authors that are at hand. */
  readonly with?: readonly string[];
  readonly dryRun?: boolean;
}

/** Shows whom paths are delegated to. @throws whatever client and service give */
async function show({ output }: Context, { targets }: InForce): Promise<void> {
  const roles = customRoles(targets);
  output.result(
    {
      roles: roles.map((role) => ({
        role: role.name,
        paths: role.paths.by === 'pattern' ? role.paths.patterns : [],
        keys: role.keyIds,
        threshold: role.threshold,
      })),
    },
    roles.length === 0 ? ['All paths are signed by the service itself.'] : roles.map(authorText),
  );
}

/**
 * Delegates paths, or takes them back.
 *
 * @throws UsageError USAGE_INVALID; SignerError; AdmissionError BLOB_MISSING; whatever client and service give
 */
export async function delegate(context: Context, role: string | undefined, options: DelegateOptions): Promise<void> {
  const { output, shell } = context;
  const present = await inForce(context);
  if (role === undefined) return await show(context, present);
  const { client } = present.known;
  const plain = await plainOf(client);
  if (plain === undefined) throw invalid(role, 'the collection has names; their owners delegate with `release-key`');
  const expires = shell.clock() + days(OFFLINE_DAYS);
  const change =
    options.remove === true ? { remove: role } : { set: await authorRoleOf(context, plain, role, options) };
  const targets = draftAuthorRole(present.targets, { expires, ...change });
  const drafts = new Map<string, JsonObject>([['targets', targets]]);
  const file = change.set === undefined ? undefined : await firstFile(context, present, plain, change.set);
  if (file !== undefined) drafts.set(role, file.draft);
  output.note(`${options.remove === true ? 'Taking back' : 'Delegating'}:`);
  for (const line of draftedLines(present, new Map([['targets', targets]]))) output.note(`  ${line}`);
  if (file !== undefined) for (const line of draftLines(role, file.previous, file.content)) output.note(`  ${line}`);
  if (options.remove === true) {
    output.note(`  What ${role} lists is listed no more; upload it again where the service is to sign for it.`);
  }
  if (options.dryRun === true) {
    output.result({ role, publication: null, event: null }, ['Nothing was signed (--dry-run).']);
    return;
  }
  await send(context, present, drafts, change.set, options.with ?? []);
}

/** The role as it is to be: what is not said stays as it is. @throws UsageError USAGE_INVALID */
async function authorRoleOf(
  { shell }: Context,
  plain: PlainCollection,
  name: string,
  { paths, author, threshold }: DelegateOptions,
): Promise<AuthorRole> {
  const known = plain.custom.find((one) => one.name === name);
  const patterns = paths ?? (known && patternsOf(known.role));
  if (patterns === undefined) throw invalid(name, 'say which paths with --paths, such as --paths "docs/*" "docs/*/*"');
  if (threshold !== undefined && !/^\d{1,2}$/.test(threshold))
    throw invalid(name, '--threshold must be a whole number');
  const keys = [];
  for (const file of author ?? []) keys.push(await readPublicKey(resolve(shell.cwd, file)));
  if (author === undefined) {
    for (const keyId of known?.role.keyIds ?? []) {
      const key = known?.keys.get(keyId);
      if (key !== undefined) keys.push({ keyId, key });
    }
  }
  if (keys.length === 0) throw invalid(name, 'say who signs with --author, a public key file from `key show`');
  const most = author === undefined ? known?.role.threshold : undefined;
  return { name, patterns, keys: keySetOf(keys, Number(threshold ?? most ?? 1)) };
}

/** The author's next file, where one must come along: with every file that is under the paths now. */
async function firstFile(
  { shell, output }: Context,
  { known: { client } }: InForce,
  plain: PlainCollection,
  { name, patterns, keys }: AuthorRole,
): Promise<
  { readonly draft: JsonObject; readonly previous: Targets | undefined; readonly content: Targets } | undefined
> {
  const present = plain.custom.find((one) => one.name === name);
  const previous = present && (await client.role(present));
  const before = plain.custom.slice(0, present === undefined ? undefined : plain.custom.indexOf(present));
  const covers = (path: string): boolean =>
    patterns.some((pattern) => matchesPattern(pattern, path)) && roleForPath({ custom: before }, path) === undefined;
  const set: TargetFile[] = [];
  const progress = output.progress('Reading what is under these paths');
  for await (const { target, role } of filesOf(client, plain, progress.update)) {
    if (role === undefined && covers(target.path)) set.push(target);
  }
  progress.end();
  const sameKeys =
    present !== undefined && sameIds(present.role.keyIds, keys.keyIds) && present.role.threshold === keys.threshold;
  if (sameKeys && set.length === 0) return undefined;
  const remove = [...(previous?.targets.keys() ?? [])].filter((path) => !covers(path));
  const edited = editTargets(previous, { expires: shell.clock() + AUTHOR_LIFETIME, set, remove });
  // A role that was there once goes on with its versions.
  const version = (client.trusted.snapshot?.content.meta.get(name)?.version ?? 0) + 1;
  const draft = new Map([...edited, ['version', version] as const]);
  return { draft, previous, content: readTargets(draft, name) };
}

/** Signs with the keys at hand, and publishes it or opens a signing event. */
async function send(
  context: Context,
  present: InForce,
  drafts: ReadonlyMap<string, JsonObject>,
  author: AuthorRole | undefined,
  more: readonly string[],
): Promise<void> {
  const { config, shell, output, suggest } = context;
  const quorum = await openQuorumKey(context);
  requireMember(quorum, presentSigners(present));
  const others = await Promise.all(more.map((file) => openAuthorKey(resolve(shell.cwd, file), shell)));
  const roles: { role: string; file: string }[] = [];
  for (const [role, draft] of drafts) {
    const signers =
      role === 'targets' ? [quorum] : others.filter((signer) => author !== undefined && isOne(author, signer));
    roles.push({ role, file: utf8Text(await signFile(draft, signers)) ?? '' });
  }
  const service = openService(config, shell);
  const name = author?.name ?? '';
  try {
    const { publication } = await service.submit(submissionText({ roles }));
    await present.known.client.refresh();
    const now = present.known.client.trusted.targets?.content;
    const seen = now !== undefined && now.version >= Number(drafts.get('targets')?.get('version'));
    if (!seen) throw new MetadataError('METADATA_MISSING', 'Looking for the delegation: it is not served');
    output.result({ role: name, publication, event: null }, [
      `Published, in publication ${publication}; your own verifying client has seen it.`,
      ...(author === undefined
        ? []
        : [`From now on nobody but ${name} speaks for ${author.patterns.join(', ')}, not even this service.`]),
    ]);
  } catch (error) {
    if (!isUnsigned(error)) throw error;
    const event = await service.openEvent({ roles, decisions: [] }, titleOf(author));
    output.result({ role: name, publication: null, event: event.id }, [
      `More people must sign. Signing event ${event.id} waits for them:`,
      ...missingLines(event.parts),
      '',
      'Each of them runs:',
      `  ${suggest(`sign ${event.id}`)} --key <file of their key>`,
    ]);
  }
}

function titleOf(author: AuthorRole | undefined): string {
  if (author === undefined) return 'paths are taken back from an author';
  const { name, patterns, keys } = author;
  const who = keys.keyIds.map((id) => `${short(id)}…`).join(', ');
  return `paths ${patterns.join(', ')} to ${name}, signed by ${keys.threshold} of ${who}`.slice(0, 200);
}

function isOne({ name, keys }: AuthorRole, signer: Signer): boolean {
  return holdsKey({ keys: keys.keys, role: keys, name }, signer);
}

function sameIds(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((id) => b.includes(id));
}

function invalid(role: string, problem: string): UsageError {
  return new UsageError('USAGE_INVALID', `Delegating to ${role.slice(0, 100)}: ${problem}`);
}

const OFFLINE_DAYS = 365;
