// Sending role files that one person may not be able to sign alone: signed with
// the keys at hand they go straight to the service, or, where others must sign
// as well, into a signing event.

import { resolve } from 'node:path';
import type { Client } from '@countersign/client';
import { AdmissionError, type Signer, signFile, utf8Text } from '@countersign/core';
import { contentOf, holdsKey, openService, type RoleDraft, type SignedRole, send, signRole } from './author.ts';
import { openAuthorKey } from './author-key.ts';
import type { Context } from './context.ts';
import { isUnsigned, missingLines } from './decide.ts';
import type { Upload } from './http-api.ts';
import type { OwnedProject } from './trusted-collection.ts';

/** What became of role files. */
export type Sent =
  | { readonly publication: number; readonly event: undefined; readonly roles: readonly SignedRole[] }
  | { readonly publication: undefined; readonly event: string; readonly roles: readonly SignedRole[] };

/** The keys at hand: one's own key, and further ones that were named. @throws SignerError */
export async function openKeys(
  { config, shell }: Pick<Context, 'config' | 'shell'>,
  more: readonly string[] = [],
): Promise<readonly Signer[]> {
  const signers: Signer[] = [];
  for (const file of [config.key, ...more]) {
    const signer = await openAuthorKey(resolve(shell.cwd, file), shell);
    if (!signers.some(({ keyId }) => keyId === signer.keyId)) signers.push(signer);
  }
  return signers;
}

/** The role of a project that the keys at hand may sign: the owners', or a release role. @throws AdmissionError SUBMISSION_UNSIGNED */
export function roleFor(client: Client, owner: OwnedProject, signers: readonly Signer[]): Omit<RoleDraft, 'signed'> {
  const { authority, role: previous, project } = owner;
  const holds = (one: RoleDraft['authority']): boolean => signers.some((signer) => holdsKey(one, signer));
  if (holds(authority)) return { role: authority.name, authority, previous };
  const { roles = [], keys = authority.keys } = previous.delegations ?? {};
  const release = roles.map((role) => ({ keys, role, name: role.name })).find(holds);
  if (release !== undefined) {
    const known = client.trusted.memo.get(release.name)?.role.content;
    return { role: release.name, authority: release, previous: known };
  }
  const name = `${project.ecosystem}/${project.name}`;
  throw new AdmissionError('SUBMISSION_UNSIGNED', `Publishing ${name}: it belongs to another key than yours`, {
    detail: { owners: authority.role.keyIds, yours: signers.map(({ keyId }) => keyId) },
  });
}

/**
 * Signs drafts with every key that counts for them, and sends them, or opens a
 * signing event where others must sign as well.
 *
 * @param title what it is for, in one line for those who must sign as well
 * @throws SignerError; AdmissionError; whatever the service gives
 */
export async function publishRoles(
  { config, shell, output, suggest }: Context,
  drafts: readonly RoleDraft[],
  signers: readonly Signer[],
  title: string,
  uploads: readonly (Upload & { readonly name: string })[] = [],
): Promise<Sent> {
  const roles: SignedRole[] = [];
  for (const draft of drafts) {
    const counting = signers.filter((signer) => holdsKey(draft.authority, signer));
    roles.push(await signedAsFar(draft, counting));
  }
  const service = openService(config, shell);
  try {
    const { publication } = await send(service, { roles, uploads }, output);
    return { publication, event: undefined, roles };
  } catch (error) {
    if (!isUnsigned(error)) throw error;
    const plain = roles.map(({ role, file }) => ({ role, file }));
    const { id, parts } = await service.openEvent({ roles: plain, decisions: [] }, title);
    output.note(`More people must sign. Signing event ${id} waits for them:`);
    for (const line of missingLines(parts)) output.note(line);
    output.note(`Each of them runs: ${suggest(`sign ${id}`)}`);
    return { publication: undefined, event: id, roles };
  }
}

/** Signs and checks as every client will, where the keys at hand are enough; else signs for the others to go on. */
async function signedAsFar(draft: RoleDraft, signers: readonly Signer[]): Promise<SignedRole> {
  if (signers.length >= draft.authority.role.threshold) return await signRole(draft, signers);
  const file = utf8Text(await signFile(draft.signed, signers)) ?? '';
  return { role: draft.role, file, content: contentOf(draft) };
}
