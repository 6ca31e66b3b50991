// `countersign history`: every decision about a name, or about all, as the
// replayed list has it.

import { nodeCrypto } from '@countersign/client/node';
import { writeInstant } from '@countersign/core';
import { isNameDecision, openDecision, readEntry } from '@countersign/decisions';
import { projectOf } from '@countersign/ecosystems';
import type { Context } from '../context.ts';
import { knownCollection, requireRecord } from '../decide.ts';
import { decisionTitle, recordLines } from '../decision-lines.ts';

/** Shows the decisions about a name, or all. @throws AdmissionError NAME_UNCLAIMED; whatever the client gives */
export async function history(context: Context, name: string | undefined): Promise<void> {
  const known = await knownCollection(context);
  const project = name === undefined ? undefined : projectOf(name);
  const record = project && requireRecord(known, project);
  const entries = known.list.lines.map(readEntry).flatMap((entry) => {
    const { decision, envelope } = openDecision(entry.statement, nodeCrypto);
    if (project !== undefined) {
      if (!isNameDecision(decision)) return [];
      if (decision.ecosystem !== project.ecosystem || decision.name !== project.name) return [];
    }
    return [{ entry, decision, signed: envelope.signatures.map(({ keyId }) => keyId) }];
  });
  context.output.result(
    {
      decisions: entries.map(({ entry, decision, signed }) => ({
        sequence: entry.sequence,
        at: writeInstant(entry.at),
        publication: entry.publication,
        decision: decision.decision,
        name: isNameDecision(decision) ? `${decision.ecosystem}/${decision.name}` : null,
        signed,
      })),
    },
    [
      ...entries.map(({ entry, decision }) => {
        return `${String(entry.sequence).padStart(6)}  ${writeInstant(entry.at)}  ${decision.decision.padEnd(11)}  ${decisionTitle(decision)}`;
      }),
      ...(record === undefined ? [] : ['', ...recordLines(record, context.shell.clock())]),
    ],
  );
}
