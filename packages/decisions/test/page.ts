// Prints docs/decisions.md from the tables that the machine runs on, so that
// the page cannot go stale: page.test.ts compares it, and writes it on request.

import {
  CASES,
  COLLECTION_RULES,
  DELAYS,
  EDGES,
  type Edge,
  PACE,
  RULES,
  type RuleRow,
  SIGNERS,
  SITUATIONS,
} from '../src/index.ts';

/** The whole page. */
export function page(): string {
  return `# Decisions: who speaks for a name

<!-- Printed from packages/decisions by its tests: \`npx vitest run --project fast packages/decisions -u\` writes it again. -->

A decision is a signed statement about one name, or about the whole collection. Decisions are listed in public, each entry chained to the one before it; every delay counts from the publication that first holds the entry. What clients are told about owners follows from the list and from nothing else. Why it is so: [ADR 0014](adr/0014-decisions.md).

Three sentences carry the machine:

- **One key stops, two keys act.** A single owner key freezes, vetoes and revokes itself at once; what it asks for waits a week.
- **A request waits in public.** Until its time is over, one owner key ends it.
- **The quorum never acts at once on owners.** It waits longer, any owner key objects, and what it does begins a new epoch that clients are asked to confirm.

## What can be decided

For one decision the first row whose signers and case fit is taken.

${table(
  ['decision', 'who signs', 'in this case', 'what must hold', 'waits', 'who may object', 'what clients see', 'why'],
  (EDGES as readonly Edge[]).map((edge) => [
    `\`${edge.decision}\``,
    SIGNERS[edge.signers],
    edge.when === undefined ? '' : CASES[edge.when],
    edge.requires.map((rule) => RULES[rule].demands).join('; '),
    edge.delay === undefined ? 'no' : `${DELAYS[edge.delay]} days`,
    objection(edge),
    edge.clients,
    edge.why,
  ]),
)}
Two more are about the collection: \`countersign\`, signed by the offline quorum, makes the claimed shards say what the list says up to an entry that it names (not for names that are frozen, or that the quorum has asked for); \`root\`, signed by nobody, notes that a root version is in force.

## Waiting times

In days; a collection may set its own.

${table(
  ['waiting time', 'days'],
  Object.entries(DELAYS).map(([name, days]) => [`\`${name}\``, String(days)]),
)}
## How often

About one name no more than ${PACE.acts} things are begun in ${PACE.days} day by one owner key, and no more than that by several together: rows of the table that demand it. So nobody makes the list longer without end by turning back and forth, and a thief of one key uses up nothing that two keys need. What stops or ends something (\`veto\`, \`freeze\`, \`revoke\`, \`keep\`, \`complete\`) is never counted, nor what the quorum does.

## Refusals

A refused decision changes nothing. The refusal names the rule in \`detail.rule\` and what to do in \`detail.next\`.

${table(
  ['rule', 'code', 'what is required', 'what to do'],
  Object.entries<RuleRow>({ ...RULES, ...COLLECTION_RULES }).map(([name, { code, demands, next }]) => [
    `\`${name}\``,
    `\`${code}\``,
    demands,
    next,
  ]),
)}
## The sixteen situations

In each of them every actor has exactly one step at every moment, and following the steps ends: \`packages/decisions/src/model.test.ts\` tries it from every state that the machine can reach.

${table(
  ['', 'situation', 'what clients see'],
  Object.entries(SITUATIONS).map(([letter, { title, clients }]) => [letter, title, clients]),
)}
`;
}

function objection({ effect, side }: Edge): string {
  if (effect !== 'ask') return 'nobody';
  return side === 'owners'
    ? 'any one owner key'
    : `any one owner key, unless the name has ended or the quorum has frozen it for ${DELAYS.standstill} days`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  return line(head) + line(head.map(() => '---')) + rows.map(line).join('');
}
