// Which unclaimed names have not changed for long, by what the ledger knows:
// when each path was last shown with new content. Advice for the quorum, who
// decides; nothing is believed of it that a client could not see.

import { type Instant, isTufError, type Project, projectDirectory } from '@countersign/core';
import type { AdmissionRules } from './admit-rules.ts';
import type { Ledger } from './ports.ts';
import { shelfHolding } from './shelf.ts';
import type { Standing } from './standing.ts';

/** A name that nobody has claimed, and since when nothing of it has changed. */
export interface IdleName {
  readonly project: Project;
  readonly since: Instant;
}

/**
 * Names without an owner, on no shelf, that were last changed before an instant.
 * Reads every path that was ever shown: for a person who asks now and then.
 *
 * @param limit how many names at most, in the order of their directories
 * @throws StoreError
 */
export async function idleNames(
  ledger: Pick<Ledger, 'everShown' | 'committedAt'>,
  standing: Pick<Standing, 'register' | 'targets' | 'contents'>,
  { ecosystems, sha256 }: Pick<AdmissionRules, 'ecosystems' | 'sha256'>,
  before: Instant,
  limit: number,
): Promise<readonly IdleName[]> {
  const times = new Map<number, Instant>();
  const changedAt = async (publication: number): Promise<Instant> => {
    // What nobody remembers may have been a moment ago.
    const at = times.get(publication) ?? (await ledger.committedAt(publication)) ?? Number.POSITIVE_INFINITY;
    times.set(publication, at);
    return at;
  };
  const idle: IdleName[] = [];
  const settle = async (directory: string, publication: number): Promise<void> => {
    const project = projectAt(directory, { ecosystems, sha256 });
    if (project === undefined || standing.register.record(project.ecosystem, project.name) !== undefined) return;
    const { targets, contents } = standing;
    if (shelfHolding({ targets, contentOf: (role) => contents.get(role) }, directory) !== undefined) return;
    const since = await changedAt(publication);
    if (since < before) idle.push({ project, since });
  };
  let [present, latest] = ['', 0];
  // In the order of paths, so the files of one directory come one after another.
  for await (const { path, publication } of ledger.everShown()) {
    const directory = path.slice(0, path.lastIndexOf('/'));
    if (directory !== present) {
      if (present !== '') await settle(present, latest);
      if (idle.length >= limit) return idle;
      [present, latest] = [directory, 0];
    }
    latest = Math.max(latest, publication);
  }
  if (present !== '') await settle(present, latest);
  return idle;
}

/** The project whose directory it is; `undefined` where it is none's. */
function projectAt(
  directory: string,
  { ecosystems, sha256 }: Pick<AdmissionRules, 'ecosystems' | 'sha256'>,
): Project | undefined {
  const [ecosystem = '', , segment = ''] = directory.split('/');
  try {
    const project = ecosystems.projectOfSegment(ecosystem, segment);
    return projectDirectory(project, sha256) === directory ? project : undefined;
  } catch (error) {
    if (isTufError(error)) return undefined;
    throw error;
  }
}
