// `countersign recover` and `countersign adopt`: the offline quorum gives a
// name to new owners, as a new epoch, after a delay in which any present owner
// may object. The new owners sign as well: nobody is made an owner unasked.

import { resolve } from 'node:path';
import { UsageError, writeInstant } from '@countersign/core';
import { ownersOf } from '@countersign/decisions';
import { projectOf } from '@countersign/ecosystems';
import type { Context } from '../context.ts';
import { decide, knownCollection, requireRecord } from '../decide.ts';
import { evidenceOf } from '../evidence.ts';
import { readPublicKey } from '../public-key.ts';
import { openQuorumKey } from '../quorum-key.ts';
import { chosen } from './name-decision.ts';

/** What both may be told. */
export interface RecoverOptions {
  readonly owner: readonly string[];
  readonly threshold?: string;
  readonly reason?: string;
  readonly evidence?: string;
  /** For adoptions: days on which the owners were written to, as dates. */
  readonly contacted?: readonly string[];
}

/** Asks for new owners. @throws AdmissionError with the rule and the next step; UsageError; whatever client and service give */
export async function recover(
  context: Context,
  decision: 'recover' | 'adopt',
  name: string,
  options: RecoverOptions,
): Promise<void> {
  const project = projectOf(name);
  const known = await knownCollection(context);
  requireRecord(known, project);
  const keys = await Promise.all(options.owner.map((file) => readPublicKey(resolve(context.shell.cwd, file))));
  const threshold = options.threshold === undefined ? 1 : Number(options.threshold);
  if (!Number.isInteger(threshold) || threshold < 1 || threshold > keys.length) {
    throw new UsageError(
      'USAGE_INVALID',
      `Naming new owners: ${options.threshold ?? 1} of ${keys.length} keys cannot be required`,
    );
  }
  const owners = ownersOf(keys, threshold);
  const evidence = await evidenceOf(options.evidence, context);
  const signer = await openQuorumKey(context);
  const body =
    decision === 'recover'
      ? ({
          decision,
          owners,
          evidence,
          reason: chosen(options.reason, ['lost', 'stolen', 'dispute', 'error', 'legal']),
        } as const)
      : ({
          decision,
          owners,
          evidence,
          reason: chosen(options.reason, ['abandoned', 'deceased', 'reissue']),
          contacts: (options.contacted ?? []).map(contactOf),
        } as const);
  await decide(context, known, { project, body, side: 'quorum' }, [signer]);
}

function contactOf(date: string): string {
  const at = Date.parse(`${date}T00:00:00Z`);
  if (/^\d{4}-\d{2}-\d{2}$/.test(date) && !Number.isNaN(at)) return writeInstant(at);
  throw new UsageError('USAGE_INVALID', `Reading --contacted: ${date.slice(0, 40)} is no date such as 2030-01-31`);
}
