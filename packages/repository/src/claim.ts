// The decision that begins a name, made for a project's own signers.

import type { Project, Signer } from '@countersign/core';
import { ownersOf, signDecision } from '@countersign/decisions';

/**
 * Makes and signs a claim of a project for the signers' keys.
 *
 * @param threshold how many of the signers must sign from now on
 * @throws SignerError
 * @example submissionText({ decisions: [await signClaim('main', project, [key])], roles: [{ role, file }] })
 */
export async function signClaim(
  collection: string,
  { ecosystem, name }: Project,
  signers: readonly Signer[],
  threshold = signers.length,
): Promise<string> {
  const subject = { collection, ecosystem, name, epoch: 1, previous: '' };
  return await signDecision({ decision: 'claim', ...subject, owners: ownersOf(signers, threshold) }, signers);
}
