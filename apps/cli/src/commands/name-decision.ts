// The short decisions about a name, each a command of its own: freeze, lift,
// veto, revoke, abandon, keep, retire. Signed by an owner's key, or with
// --quorum by the offline key.

import { type Signer, UsageError } from '@countersign/core';
import { liveOwnersOf, type NameBody } from '@countersign/decisions';
import { projectOf } from '@countersign/ecosystems';
import { holdsKey } from '../author.ts';
import { openAuthorKey } from '../author-key.ts';
import type { Context } from '../context.ts';
import { decide, type KnownCollection, knownCollection, requireRecord } from '../decide.ts';
import { evidenceOf } from '../evidence.ts';
import { short } from '../output.ts';
import { openQuorumKey } from '../quorum-key.ts';
import { signersFor } from './owners.ts';

/** What the short decisions may be told. */
export interface NameDecisionOptions {
  readonly quorum?: boolean;
  readonly reason?: string;
  readonly evidence?: string;
  readonly with?: readonly string[];
}

/** The decisions of this file. */
export type ShortDecision = 'freeze' | 'lift' | 'veto' | 'revoke' | 'abandon' | 'keep' | 'retire';

/** Decides. @throws AdmissionError with the rule and the next step; UsageError; whatever client and service give */
export async function decideName(
  context: Context,
  decision: ShortDecision,
  name: string,
  options: NameDecisionOptions,
): Promise<void> {
  const project = projectOf(name);
  const known = await knownCollection(context);
  requireRecord(known, project);
  const side = options.quorum === true ? 'quorum' : 'owners';
  const signers =
    side === 'quorum' ? [await openQuorumKey(context)] : await ownSigners(context, known, name, decision, options);
  const body = await bodyOf(context, decision, options, signers);
  await decide(context, known, { project, body, side }, signers);
}

/** `revoke` is signed by the very key, and by no other. */
async function ownSigners(
  context: Context,
  known: KnownCollection,
  name: string,
  decision: ShortDecision,
  options: NameDecisionOptions,
): Promise<readonly Signer[]> {
  if (decision === 'revoke') return [await ownKey(context, known, name)];
  return await signersFor(context, known, projectOf(name), options.with ?? []);
}

/** The key to revoke. Of any other than an owner's a signing event would wait for nobody. @throws UsageError */
async function ownKey({ config, shell }: Context, known: KnownCollection, name: string): Promise<Signer> {
  const signer = await openAuthorKey(config.key, shell);
  const live = liveOwnersOf(requireRecord(known, projectOf(name)));
  if (holdsKey({ keys: live.keys, role: live, name }, signer)) return signer;
  throw new UsageError('USAGE_INVALID', `Revoking ${short(signer.keyId)}…: it is no key that speaks for ${name}`, {
    detail: { owners: live.keyIds, next: "Name the stolen owner's key: --key <file>" },
  });
}

async function bodyOf(
  context: Context,
  decision: ShortDecision,
  { reason, evidence, quorum }: NameDecisionOptions,
  signers: readonly Signer[],
): Promise<NameBody> {
  switch (decision) {
    case 'revoke':
      return { decision, keyId: signers[0]?.keyId ?? '' };
    case 'freeze':
      return { decision, reason: chosen(reason, ['panic', 'dispute', 'legal', 'malware']) };
    case 'retire':
      return quorum === true
        ? { decision, reason: chosen(reason, ['malware', 'legal']), evidence: await evidenceOf(evidence, context) }
        : { decision, reason: 'ended', evidence: '' };
    case 'abandon':
    case 'keep':
    case 'lift':
    case 'veto':
      return { decision };
  }
}

/** One of the reasons that there are, the first by default. @throws UsageError */
export function chosen<R extends string>(given: string | undefined, reasons: readonly [R, ...R[]]): R {
  const reason = given === undefined ? reasons[0] : reasons.find((one) => one === given);
  if (reason !== undefined) return reason;
  throw new UsageError('USAGE_INVALID', `Reading --reason: it is none of ${reasons.join(', ')}`);
}
