// The author's journey: trusted state → draft → signature → self-check on the
// trunk → blobs, then the role, sent verbatim → seen by one's own verifying
// client. What is signed is decided from verified metadata only; the service's
// word counts for nothing until the client has seen it.

import { readFile } from 'node:fs/promises';
import type { Client } from '@countersign/client';
import { nodeCrypto } from '@countersign/client/node';
import {
  type Authority,
  days,
  driveCrypto,
  type JsonObject,
  MetadataError,
  openEnvelope,
  readTargets,
  type Signer,
  signFile,
  type Targets,
  UsageError,
  utf8Text,
  verify,
} from '@countersign/core';
import { submissionText } from '@countersign/repository';
import type { Config } from './config.ts';
import { type Receipt, type ServiceApi, serviceApi, type Upload } from './http-api.ts';
import type { Output } from './output.ts';
import type { Shell } from './shell.ts';

/** What is about to be signed. */
export interface RoleDraft {
  readonly role: string;
  /** Whose keys will count for it, by verified metadata or the claim under way. */
  readonly authority: Authority;
  readonly previous: Targets | undefined;
  /** The `signed` object of the next version. */
  readonly signed: JsonObject;
}

/** A role file that passed the self-check. */
export interface SignedRole {
  readonly role: string;
  /** The exact text to send. */
  readonly file: string;
  readonly content: Targets;
}

/**
 * Signs a draft, and reads it back the way every client will.
 *
 * @throws SignerError; MetadataError THRESHOLD_NOT_MET when these keys do not suffice
 */
export async function signRole(draft: RoleDraft, signers: readonly Signer[]): Promise<SignedRole> {
  const { role, authority, previous, signed } = draft;
  const bytes = await signFile(signed, signers);
  const read = (json: JsonObject): Targets => readTargets(json, role);
  const { content } = driveCrypto(verify(openEnvelope(bytes, role), [authority], read), nodeCrypto);
  const want = (previous?.version ?? 0) + 1;
  const file = utf8Text(bytes);
  if (content.version !== want || file === undefined) {
    throw new MetadataError('VERSION_MISMATCH', `Checking what was signed for ${role}: it is not version ${want}`);
  }
  return { role, file, content };
}

/** What a draft says, before anybody signs it. */
export function contentOf({ role, signed }: Pick<RoleDraft, 'role' | 'signed'>): Targets {
  return readTargets(signed, role);
}

/**
 * Sends blobs, then the submission, and waits until the service calls it published.
 *
 * @throws the service's refusal; TransportError
 */
export async function send(
  api: ServiceApi,
  submission: {
    readonly roles: readonly SignedRole[];
    readonly decisions?: readonly string[];
    readonly uploads?: readonly (Upload & { readonly name: string })[];
  },
  output: Output,
): Promise<Receipt> {
  for (const upload of submission.uploads ?? []) {
    const progress = output.progress(`Sending ${upload.name}`);
    await api.putBlob(upload, (sent) => progress.update(sent, upload.length));
    progress.end();
  }
  const progress = output.progress('Waiting for the publication');
  const roles = submission.roles.map(({ role, file }) => ({ role, file }));
  const receipt = await api.submit(submissionText({ roles, decisions: submission.decisions ?? [] }));
  progress.end();
  return receipt;
}

/**
 * Refreshes one's own client and checks that it now has exactly what was sent.
 *
 * @param present looks the content of a role up as verified now
 * @throws MetadataError METADATA_MISSING when the service said "published" and it is not there
 */
export async function confirm(
  client: Client,
  roles: readonly SignedRole[],
  present: (role: string) => Promise<Targets | undefined>,
): Promise<void> {
  await client.refresh();
  for (const { role, content } of roles) {
    const seen = await present(role);
    if (seen !== undefined && seen.version >= content.version) continue;
    throw new MetadataError(
      'METADATA_MISSING',
      `Looking for version ${content.version} of ${role}: the service called it published, but does not serve it`,
      { detail: { role, want: content.version, got: seen?.version ?? 0 } },
    );
  }
}

/** Tells whether a signer's public key is among those that count. */
export function holdsKey({ keys, role }: Authority, signer: Signer): boolean {
  const mine = signer.key.verification?.key.identity;
  return mine !== undefined && role.keyIds.some((id) => keys.get(id)?.verification?.key.identity === mine);
}

/** The service of the configured collection, with the user's token. */
export function openService(
  { url, tokenFile }: Pick<Config, 'url' | 'tokenFile'>,
  { env }: Pick<Shell, 'env'>,
): ServiceApi {
  return serviceApi(url, async () => {
    const given = env['COUNTERSIGN_TOKEN'];
    if (given !== undefined && given !== '') return given;
    const kept = await readFile(tokenFile, 'utf8').catch(() => ''); // absent: refused below
    if (kept.trim() !== '') return kept.trim();
    throw new UsageError('CONFIG_INVALID', 'Reading the token to submit with: there is none', {
      detail: { file: tokenFile, variable: 'COUNTERSIGN_TOKEN' },
    });
  });
}

/** How long what an author signs stays valid: ten years, because an idle project must not die. */
export const AUTHOR_LIFETIME = days(3652);
