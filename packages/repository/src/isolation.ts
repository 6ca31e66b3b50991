// A submission that cannot be published must not hold up the others: where a
// publication fails for what may be in it, halves are tried until the one is
// found, and that one is refused only if the repository's own keys are right.

import { editTargets, errorOf, isTufError, type JsonObject, readShardName, type Targets } from '@countersign/core';
import type { Collection } from './collection.ts';
import type { Incoming } from './incoming.ts';
import { DECISIONS_ROLE } from './list-files.ts';
import { signPlan } from './online.ts';
import type { RepositoryOptions } from './options.ts';
import type { Plan } from './plan.ts';
import type { Refusal } from './ports.ts';
import { selfCheck } from './self-check.ts';

/** Publishes a batch, in parts if need be. */
export interface Isolation {
  readonly collection: Collection;
  readonly options: RepositoryOptions;
  /** Tells senders what a publication decided. */
  readonly answer: (batch: readonly Incoming[], refusals: Plan['refused']) => void;
  /** Takes a refused one out, and tells its sender. */
  readonly refuse: (one: Incoming, error: unknown) => void;
  readonly report: (error: unknown) => void;
}

/**
 * Publishes a batch; what cannot be published by its own fault is refused.
 *
 * @throws what is nobody's fault who sends: what is not decided is to be tried again
 */
export async function publishApart(batch: readonly Incoming[], by: Isolation): Promise<void> {
  try {
    by.answer(batch, await by.collection.publish(batch));
  } catch (error) {
    const [one, ...others] = batch;
    if (one === undefined || one.decided || !mayBeTheirFault(error)) throw error;
    by.report(error);
    if (others.length === 0) return await refuse(one, error, by);
    const half = batch.length >> 1;
    const faults: unknown[] = [];
    for (const part of [batch.slice(0, half), batch.slice(half)]) {
      await publishApart(part, by).catch((fault: unknown) => {
        if (!mayBeTheirFault(fault)) throw fault;
        faults.push(fault);
      });
    }
    if (faults.length > 0) throw faults[0];
  }
}

/** Refuses a submission that cannot be published, if it is its own fault. @throws the error, if it is not */
async function refuse(one: Incoming, error: unknown, by: Isolation): Promise<void> {
  await requireOnlineKeys(one, by);
  const refusal = refusalOf(error);
  await by.collection.publish([], [{ id: one.id, refusal }]);
  one.decided = true;
  by.refuse(one, errorOf(refusal.code, refusal.message, { detail: refusal.detail, cause: error }));
}

/** Signs again, without a submission, what its publication needs signed, and checks that. Keeps nothing of it. */
async function requireOnlineKeys(one: Incoming, { collection, options }: Isolation): Promise<void> {
  const { sha256, crypto, clock } = options;
  const now = clock();
  const { lifetimes, signers, state } = collection;
  const online = new Map<string, JsonObject>();
  // Whose name it is about is not worth finding out: any shard shows whether the key is right.
  const kinds = one.submission.decisions.length > 0 ? new Set(['recent', DECISIONS_ROLE]) : new Set<string>();
  for (const [role, content] of state.contents) {
    if (!kinds.delete(readShardName(role)?.kind ?? role)) continue;
    online.set(role, editTargets(content, { expires: now + lifetimes.shard }));
  }
  // What breaks even the reading of a submission needs no key.
  const leaves = await collection.leavesOf(one.submission).catch(() => new Map<string, Targets>());
  for (const [role, content] of leaves) {
    online.set(role, editTargets(content, { expires: now + lifetimes.shard }));
  }
  const searches = one.submission.files.map(({ path }) => path);
  // Whatever its age, the snapshot is to be signed too.
  const all = { ...lifetimes, snapshot: ALWAYS };
  const { files } = await signPlan({ online, authored: [] }, state, signers, all, now, sha256);
  selfCheck(state.trusted, files, state.files, { projects: [], files: [], searches }, now, crypto);
}

// A store or a key that fails is nobody's fault who sends; what does not verify, or breaks the plan, may be.
function mayBeTheirFault(error: unknown): boolean {
  return !isTufError(error) || error.code === 'SELF_CHECK_FAILED';
}

function refusalOf(error: unknown): Refusal {
  if (isTufError(error)) return { code: 'SUBMISSION_INVALID', message: error.message, detail: error.detail };
  // A bug of ours, which only this submission meets.
  return { code: 'SELF_CHECK_FAILED', message: 'Publishing the submission: it cannot be planned', detail: {} };
}

// Longer than twice what is left of any snapshot, in milliseconds.
const ALWAYS = 1e12;
