// `countersign claim`: "this key speaks for this name". Sends the signed claim
// together with the first, empty version of the owner role, so that the name is
// never delegated to a role that does not exist.

import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Client } from '@countersign/client';
import { sha256 } from '@countersign/client/node';
import {
  AdmissionError,
  editTargets,
  ownerDelegation,
  ownerRoleName,
  type Project,
  type Signer,
  UsageError,
} from '@countersign/core';
import { projectOf } from '@countersign/ecosystems';
import { signClaim } from '@countersign/repository';
import { AUTHOR_LIFETIME, confirm, holdsKey, openService, type SignedRole, send, signRole } from '../author.ts';
import { exists, makeAuthorKey, newKeyLines, openAuthorKey } from '../author-key.ts';
import type { Context } from '../context.ts';
import { short } from '../output.ts';
import { openTrust, ownerOf } from '../trusted-collection.ts';

/**
 * Claims names for the author's key, which is made where there is none.
 * Claiming what is already one's own changes nothing.
 *
 * @throws AdmissionError NAME_INVALID, NAME_TAKEN; whatever client and service give
 */
export async function claim(
  context: Context,
  names: readonly string[],
  options: { readonly with?: readonly string[]; readonly threshold?: string } = {},
): Promise<void> {
  const { shell, config, output } = context;
  const projects = names.map(projectOf);
  // Nothing is made before the collection is known to be there and to be true.
  const client = await openTrust(config, shell);
  const progress = output.progress(`Verifying ${config.url}`);
  await client.refresh();
  progress.end();
  const signer = await openOrMakeKey(context);
  const others = await Promise.all((options.with ?? []).map((file) => openAuthorKey(resolve(shell.cwd, file), shell)));
  const signers = [signer, ...others];
  const threshold = Number(options.threshold ?? 1);
  if (!Number.isInteger(threshold) || threshold < 1 || threshold > signers.length) {
    throw new UsageError(
      'USAGE_INVALID',
      `Claiming: ${options.threshold ?? 1} of ${signers.length} keys cannot be required`,
    );
  }
  const wanted = await unclaimed(client, projects, signer);
  if (wanted.length > 0) await claimAll(context, client, wanted, signers, threshold);
  const owned = await Promise.all(
    projects.map(async (project) => ({ project, owner: await ownerOf(client, project) })),
  );
  const now = new Set(wanted);
  output.result(
    {
      keyId: signer.keyId,
      claimed: owned.map(({ project, owner }) => ({
        project: nameOf(project),
        role: owner?.authority.name,
        state: owner?.kind,
        new: now.has(project),
      })),
    },
    [
      ...owned.flatMap(({ project, owner }) =>
        claimedLines(project, owner?.authority.name ?? '', owner?.kind ?? 'recent', now.has(project), signer),
      ),
      '',
      'Next:',
      ...(await nextCommands(context, projects)),
    ],
  );
}

async function openOrMakeKey({ shell, config, output }: Context): Promise<Signer> {
  if (await exists(config.key)) return await openAuthorKey(config.key, shell);
  // Never asks: claiming a first name must work without a question.
  const made = await makeAuthorKey(config.key, shell, 'make');
  for (const line of newKeyLines(made, shell)) output.note(line);
  output.note('');
  return made.signer;
}

/** The projects that nobody holds; one's own are left out. */
async function unclaimed(client: Client, projects: readonly Project[], signer: Signer): Promise<readonly Project[]> {
  const free: Project[] = [];
  for (const project of projects) {
    const owner = await ownerOf(client, project);
    if (owner === undefined) free.push(project);
    else if (!holdsKey(owner.authority, signer)) {
      throw new AdmissionError('NAME_TAKEN', `Claiming ${nameOf(project)}: it belongs to another key than yours`, {
        detail: { owners: owner.delegation.keyIds, yours: signer.keyId },
      });
    }
  }
  return free;
}

async function claimAll(
  { shell, config, output }: Context,
  client: Client,
  projects: readonly Project[],
  signers: readonly Signer[],
  threshold: number,
): Promise<void> {
  const claims: string[] = [];
  const roles: SignedRole[] = [];
  const keyIds = signers.map(({ keyId }) => keyId);
  const keys = new Map(signers.map(({ keyId, key }) => [keyId, key]));
  for (const project of projects) {
    const delegation = ownerDelegation(project, { epoch: 1, keyIds, threshold }, sha256);
    const authority = { keys, role: delegation, name: delegation.name };
    const signed = editTargets(undefined, { expires: shell.clock() + AUTHOR_LIFETIME });
    claims.push(await signClaim(config.collection, project, signers, threshold));
    roles.push(await signRole({ role: delegation.name, authority, previous: undefined, signed }, signers));
  }
  await send(openService(config, shell), { roles, decisions: claims }, output);
  await confirm(client, roles, async (role) => {
    const project = projects.find((candidate) => ownerRoleName(candidate, 1) === role);
    return project && (await ownerOf(client, project))?.role;
  });
}

function claimedLines(
  project: Project,
  role: string,
  state: string,
  isNew: boolean,
  signer: Signer,
): readonly string[] {
  const name = nameOf(project);
  const standing =
    state === 'claimed'
      ? 'claimed: signed by the offline quorum; no online key can touch it'
      : 'recent: vouched for by an online key, until the operator runs `countersign promote`';
  return [
    isNew
      ? `Claimed ${name}: from now on only your key ${short(signer.keyId)}… can publish there.`
      : `${name} is yours already: your key ${short(signer.keyId)}… holds it.`,
    `  role   ${role}`,
    `  state  ${standing}`,
  ];
}

async function nextCommands({ shell, suggest }: Context, projects: readonly Project[]): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const { ecosystem, name } of projects) {
    if (ecosystem !== 'npm') lines.push(`  ${suggest(`publish <file> --project ${ecosystem}/${name}`)}`);
    else lines.push(`  ${suggest(`publish ${await folderOf(shell.cwd, name)}`)}`);
  }
  return [...new Set(lines)];
}

/** Where the package lies, if it is where one would look first. */
async function folderOf(cwd: string, name: string): Promise<string> {
  for (const folder of ['.', join('examples', name)]) {
    const text = await readFile(join(cwd, folder, 'package.json'), 'utf8').catch(() => ''); // absent: look on
    if (text.includes(JSON.stringify(name))) return folder;
  }
  return '<folder of your package>';
}

function nameOf(project: Project): string {
  return `${project.ecosystem}/${project.name}`;
}
