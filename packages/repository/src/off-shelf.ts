// While a name is on a shelf, nothing of it is taken from anybody but the quorum:
// no file and no claim, which no client would see. Whoever sends one is told.

import { type Project, projectDirectory } from '@countersign/core';
import type { Listed } from '@countersign/decisions';
import { type AdmissionRules, refuse } from './admit-rules.ts';
import { shelfHolding } from './shelf.ts';
import type { Standing } from './standing.ts';

/** Refuses what is sent for a name that is on a shelf. @throws AdmissionError NAME_SHELVED */
export function requireOffShelf(
  { targets, contents }: Pick<Standing, 'targets' | 'contents'>,
  project: Project,
  { sha256 }: Pick<AdmissionRules, 'sha256'>,
): void {
  const shelf = shelfHolding({ targets, contentOf: (role) => contents.get(role) }, projectDirectory(project, sha256));
  if (shelf === undefined) return;
  const name = `${project.ecosystem}/${project.name}`;
  throw refuse('NAME_SHELVED', `${name} has not changed for long, so the offline quorum keeps it as it is`, {
    rule: 'shelf',
    project: name,
    role: shelf,
  });
}

/** Refuses claims of names that are on a shelf: no client would be led to their owners. @throws AdmissionError NAME_SHELVED */
export function requireClaimsOffShelf(standing: Standing, decisions: readonly Listed[], rules: AdmissionRules): void {
  for (const { opened } of decisions) {
    const { decision } = opened;
    if (decision.decision !== 'claim') continue;
    requireOffShelf(standing, rules.ecosystems.project(decision.ecosystem, decision.name), rules);
  }
}
