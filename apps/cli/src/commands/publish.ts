// `countersign publish`: puts files into the author's own role and the role
// into the collection. Publishing what is already there changes nothing, so a
// run that was cut off can simply be repeated.

import type { Client } from '@countersign/client';
import {
  AdmissionError,
  canonicalBytes,
  editTargets,
  isObject,
  type JsonObject,
  type JsonValue,
  MetadataError,
  type Project,
  type Signer,
  sameBytes,
  type TargetFile,
} from '@countersign/core';
import { ecosystemOf, projectOf } from '@countersign/ecosystems';
import { type Artifact, withArtifacts } from '../artifact.ts';
import { AUTHOR_LIFETIME, confirm, contentOf, type RoleDraft } from '../author.ts';
import { urlHost } from '../config.ts';
import type { Context } from '../context.ts';
import { draftLines } from '../draft-lines.ts';
import { short } from '../output.ts';
import { openKeys, publishRoles, roleFor } from '../publish-roles.ts';
import { openTrust, ownerOf } from '../trusted-collection.ts';

/** What `publish` may be told. */
export interface PublishOptions {
  /** The project that plain files belong to. */
  readonly project?: string;
  /** The pointer to move; without it the ecosystem's habit decides. */
  readonly tag?: string;
  /** Shows what would be signed, and stops. */
  readonly dryRun?: boolean;
  /** Further keys of one's own to sign with. */
  readonly with?: readonly string[];
}

/**
 * Publishes packages or files.
 *
 * @throws AdmissionError NAME_UNCLAIMED, SUBMISSION_UNSIGNED, SUBMISSION_WITHDRAWS, ENTRY_INVALID;
 *   UsageError; whatever client and service give
 */
export async function publish(context: Context, paths: readonly string[], options: PublishOptions): Promise<void> {
  const project = options.project === undefined ? undefined : projectOf(options.project);
  const signers = await openKeys(context, options.with);
  await withArtifacts(paths, project, context, (artifacts) => publishArtifacts(context, artifacts, signers, options));
}

async function publishArtifacts(
  context: Context,
  artifacts: readonly Artifact[],
  signers: readonly Signer[],
  { tag, dryRun }: PublishOptions,
): Promise<void> {
  const { shell, config, output } = context;
  const client = await openTrust(config, shell);
  const progress = output.progress(`Verifying ${config.url}`);
  await client.refresh();
  const drafts: ProjectDraft[] = [];
  for (const group of byProject(artifacts)) drafts.push(await draftOf(client, group, signers, tag, shell.clock()));
  progress.end();
  const changed = drafts.filter((draft) => draft.changed);
  if (changed.length > 0)
    output.note(
      `${dryRun ? 'Would sign' : 'Signing'} with your key ${signers.map(({ keyId }) => `${short(keyId)}…`).join(', ')}:`,
    );
  for (const draft of changed) {
    for (const line of draftLines(draft.role, draft.previous, contentOf(draft))) output.note(`  ${line}`);
  }
  let publication: number | undefined;
  if (changed.length > 0 && !dryRun) {
    const uploads = changed
      .flatMap(({ uploads }) => uploads)
      .map((upload) => ({ ...upload, name: upload.inspected.file }));
    const title = `publish ${uploads.map(({ name }) => name).join(', ')}`.slice(0, 200);
    const sent = await publishRoles(context, changed, signers, title, uploads);
    if (sent.event !== undefined) {
      output.result({ publication: null, event: sent.event }, ['It is published as soon as everybody has signed.']);
      return;
    }
    ({ publication } = sent);
    await confirm(client, sent.roles, async (role) => {
      const project = changed.find((draft) => draft.role === role)?.project;
      if (project === undefined) return undefined;
      const owner = await ownerOf(client, project);
      return owner?.authority.name === role ? owner.role : client.trusted.memo.get(role)?.role.content;
    });
    await confirmTargets(client, changed);
  }
  report(context, drafts, publication, dryRun === true);
}

interface ProjectDraft extends RoleDraft {
  readonly project: Project;
  /** Whether anything is to be signed at all. */
  readonly changed: boolean;
  /** New or replaced files. */
  readonly uploads: readonly Artifact[];
  readonly targets: readonly TargetFile[];
  readonly artifacts: readonly Artifact[];
}

async function draftOf(
  client: Client,
  artifacts: readonly [Artifact, ...Artifact[]],
  signers: readonly Signer[],
  tag: string | undefined,
  now: number,
): Promise<ProjectDraft> {
  const { project } = artifacts[0].inspected;
  const name = `${project.ecosystem}/${project.name}`;
  const owner = await ownerOf(client, project);
  if (owner === undefined) {
    throw new AdmissionError('NAME_UNCLAIMED', `Publishing ${name}: nobody has claimed it`, {
      detail: { project: name },
    });
  }
  const { role, authority, previous } = roleFor(client, owner, signers);
  const before = previous?.json.get('custom');
  let custom: JsonObject | undefined = isObject(before) ? before : undefined;
  const targets: TargetFile[] = [];
  const uploads: Artifact[] = [];
  for (const artifact of artifacts) {
    const target = targetOf(artifact, owner.directory);
    const known = owner.files.get(target.path)?.target;
    custom = ecosystemOf(project.ecosystem).withPublished(custom, artifact.inspected, tag);
    if (known !== undefined && sameContent(known, target)) continue;
    if (known !== undefined && artifact.inspected.version !== undefined) {
      throw new AdmissionError(
        'SUBMISSION_WITHDRAWS',
        `Publishing ${artifact.source}: version ${artifact.inspected.version} of ${name} is published with other content`,
        { detail: { file: artifact.inspected.file } },
      );
    }
    targets.push(target);
    uploads.push(artifact);
  }
  const pointersMoved = custom !== undefined && !sameJson(custom, before ?? new Map());
  const signed = editTargets(previous, {
    expires: now + AUTHOR_LIFETIME,
    set: targets,
    ...(custom !== undefined && pointersMoved && { members: new Map([['custom', custom]]) }),
  });
  const changed = targets.length > 0 || pointersMoved;
  return { role, authority, previous, signed, project, changed, uploads, targets, artifacts };
}

function targetOf({ inspected, length, sha256, sha512 }: Artifact, directory: string): TargetFile {
  const hashes = new Map([
    ['sha256', sha256],
    ['sha512', sha512],
  ]);
  return { path: `${directory}/${inspected.file}`, length, hashes, custom: inspected.custom };
}

async function confirmTargets(client: Client, drafts: readonly ProjectDraft[]): Promise<void> {
  for (const { targets, role } of drafts) {
    for (const target of targets) {
      const found = await client.find(target.path);
      if (found !== undefined && sameContent(found.target, target) && found.trail.at(-1) === role) continue;
      throw new MetadataError(
        'METADATA_MISSING',
        `Looking for ${target.path}: the service called it published, but does not serve it`,
        { detail: { path: target.path } },
      );
    }
  }
}

function report(
  { config, output, suggest }: Context,
  drafts: readonly ProjectDraft[],
  publication: number | undefined,
  dryRun: boolean,
): void {
  const files = drafts.flatMap((draft) =>
    draft.artifacts.map((artifact) => ({
      project: `${draft.project.ecosystem}/${draft.project.name}`,
      version: artifact.inspected.version ?? null,
      file: artifact.inspected.file,
      length: artifact.length,
      sha256: artifact.sha256,
      published: !dryRun && draft.uploads.includes(artifact),
    })),
  );
  const lines = files.map(({ project, version, file, published }) => {
    const what = `${project} ${version ?? file}`;
    if (dryRun) return `Not published: ${what} (--dry-run)`;
    return published ? `Published ${what}.` : `${what} is published already, with this very content.`;
  });
  if (publication !== undefined) {
    lines.push(`It is publication ${publication} of ${config.collection}; your own verifying client has seen it.`);
  }
  if (!dryRun)
    lines.push('', 'Whoever trusts this collection can now have it:', ...nextCommands({ config, suggest }, drafts));
  output.result({ publication: publication ?? null, files }, lines);
}

function nextCommands(
  { config, suggest }: Pick<Context, 'config' | 'suggest'>,
  drafts: readonly ProjectDraft[],
): readonly string[] {
  const gateway = `http://${urlHost(config.host)}:${config.gatewayPort}`;
  return drafts.map(({ project: { ecosystem, name } }) =>
    ecosystem === 'npm'
      ? `  npm install ${name} --registry ${gateway}/npm/`
      : `  ${suggest(`fetch ${ecosystem}/${name}`)}`,
  );
}

/** The artifacts of each project together: one role, one version. @throws AdmissionError ENTRY_INVALID for two of one name */
function byProject(artifacts: readonly Artifact[]): readonly (readonly [Artifact, ...Artifact[]])[] {
  const groups = new Map<string, [Artifact, ...Artifact[]]>();
  const files = new Set<string>();
  for (const artifact of artifacts) {
    const { project, file } = artifact.inspected;
    const name = `${project.ecosystem}/${project.name}`;
    if (files.has(`${name}/${file}`)) {
      throw new AdmissionError('ENTRY_INVALID', `Publishing ${artifact.source}: ${file} is given twice`, {
        detail: { file },
      });
    }
    files.add(`${name}/${file}`);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [artifact]);
    else group.push(artifact);
  }
  return [...groups.values()];
}

function sameContent(a: TargetFile, b: TargetFile): boolean {
  return a.length === b.length && ['sha256', 'sha512'].every((name) => a.hashes.get(name) === b.hashes.get(name));
}

function sameJson(a: JsonValue, b: JsonValue): boolean {
  return sameBytes(canonicalBytes(a), canonicalBytes(b));
}
