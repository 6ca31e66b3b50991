// What was sent again after its answer was lost, or twice at once: it is
// published, not stale. Looks at what is committed and changes nothing.

import { utf8Text } from '@countersign/core';
import { openDecision } from '@countersign/decisions';
import type { Incoming } from './incoming.ts';
import type { RepositoryOptions } from './options.ts';
import type { Plan } from './plan.ts';
import type { Standing } from './standing.ts';
import type { State } from './state.ts';
import type { ReceivedRole, Submission } from './submission.ts';

/** What is looked into. */
export type Sources = Pick<RepositoryOptions, 'ledger' | 'crypto'>;

/** Whether a submission is what the collection has already. @throws StoreError */
export async function isPublished(
  submission: Submission,
  { standing, listed }: State,
  { ledger, crypto }: Sources,
): Promise<boolean> {
  if (submission.files.length + submission.remove.length > 0) return false; // asked anew each time
  for (const received of submission.roles) {
    if (!isPresentVersion(received, standing)) return false;
    const present = await ledger.file(received.role);
    if (present === undefined || textOf(present) !== received.file) return false;
  }
  return submission.decisions.every((text) => listed.has(openDecision(text, crypto).id));
}

/** A submission that came twice into the same publication, or just after the first, is published, not stale. */
export async function withRepeats(
  planned: Plan,
  batch: readonly Incoming[],
  state: State,
  sources: Sources,
): Promise<Plan> {
  if (planned.refused.length === 0) return planned;
  const made = new Set([
    ...planned.authored.map(({ role, bytes }) => `${role} ${textOf(bytes)}`),
    ...planned.decisions.map(({ opened }) => opened.id),
  ]);
  const repeated = new Set<string>();
  for (const { id, refusal } of planned.refused) {
    const submission = batch.find((one) => one.id === id)?.submission;
    if (submission === undefined || !REPEATED.has(refusal.code)) continue;
    const parts = [
      ...submission.roles.map(({ role, file }) => `${role} ${file}`),
      ...submission.decisions.map((text) => openDecision(text, sources.crypto).id),
    ];
    const again = parts.length > 0 && parts.every((part) => made.has(part));
    if (again || (await isPublished(submission, state, sources))) repeated.add(id);
  }
  return {
    ...planned,
    published: [...planned.published, ...repeated],
    refused: planned.refused.filter(({ id }) => !repeated.has(id)),
  };
}

/** Spares a look at the ledger for what cannot be the present file. */
function isPresentVersion(received: ReceivedRole, { root, versions }: Standing): boolean {
  try {
    if (received.role === 'root') return received.openRoot().content.version === root.version;
    return received.open().content.version === versions.get(received.role);
  } catch {
    return false; // what cannot be read was never published
  }
}

function textOf(bytes: Uint8Array): string {
  return utf8Text(bytes) ?? '';
}

// What a submission that came before itself is refused with.
const REPEATED: ReadonlySet<string> = new Set(['SUBMISSION_STALE', 'NAME_TAKEN', 'DECISION_STALE', 'DECISION_REFUSED']);
