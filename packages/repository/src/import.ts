// Bulk: listing many files at once under an online key, whose content lies
// elsewhere or was stored before: in the bins of a plain collection, or for
// names that nobody speaks for. Every touched role is written once for each
// publication, however many files fall into it; nothing of it is journaled,
// because whoever imports can send the same again and nothing changes.

import { editTargets, type JsonObject, type TargetFile, type Targets } from '@countersign/core';
import { type FileChange, type NewFile, requireFreePath, unclaimedLeaf } from './admit-files.ts';
import { isUnchanged } from './admit-role.ts';
import { type AdmissionRules, refuse } from './admit-rules.ts';
import { binFor } from './bins.ts';
import { newTargets } from './expectations.ts';
import type { LoadedRoles } from './loaded-roles.ts';
import type { RepositoryOptions } from './options.ts';
import { emptyPlan, type Lifetimes, type Plan } from './plan.ts';
import type { BlobFacts } from './ports.ts';
import { requireShowable } from './showable.ts';
import type { Standing } from './standing.ts';

/** What an import looks things up in, and is judged by. */
export interface ImportBasis extends Pick<RepositoryOptions, 'ledger' | 'blobs' | 'inspect'> {
  readonly roles: Pick<LoadedRoles, 'load'>;
  readonly rules: AdmissionRules;
  readonly lifetimes: Lifetimes;
}

/**
 * Plans one publication of many files; `undefined` when all are listed already.
 *
 * @param content whether every blob was uploaded, or lies elsewhere
 * @throws AdmissionError BLOB_MISSING, NAME_TAKEN, ENTRY_INVALID, SUBMISSION_*; StoreError
 */
export async function planImport(
  standing: Standing,
  files: readonly TargetFile[],
  content: 'held' | 'elsewhere',
  basis: ImportBasis,
): Promise<Plan | undefined> {
  const { roles, rules, lifetimes } = basis;
  const online = new Map<string, JsonObject>();
  const changes: FileChange[] = [];
  for (const [role, some] of sortByRole(files, standing, rules)) {
    const present = await roles.load(role, standing.versions.get(role) ?? 0);
    const set = some.filter(({ target }) => !isUnchanged(present?.content.targets.get(target.path), target));
    if (set.length === 0) continue;
    for (const file of set) await requireSameContent(file, present?.content, basis);
    const expires = rules.now + lifetimes.shard;
    online.set(role, editTargets(present?.content, { expires, set: set.map(({ target }) => target) }));
    changes.push({ role, set, remove: [] });
  }
  if (changes.length === 0) return undefined;
  const targets = content === 'held' ? await heldTargets(changes, basis) : [];
  const listed = changes.flatMap(({ role, set }) => set.map((file) => ({ ...file, role })));
  return { ...emptyPlan(standing), online, files: listed, targets };
}

/**
 * Files by the role that is to list them, in order of the roles: importing in this order touches each once.
 *
 * @throws AdmissionError for a file that no client would take, that an author's role stands for, or whose name is claimed
 */
function sortByRole(
  files: readonly TargetFile[],
  standing: Standing,
  rules: AdmissionRules,
): ReadonlyMap<string, readonly NewFile[]> {
  const sorted = files
    .map((target) => placed(target, standing, rules))
    .sort((a, b) => (a.role < b.role ? -1 : a.role > b.role ? 1 : 0));
  const byRole = new Map<string, NewFile[]>();
  for (const { role, file } of sorted) {
    const files = byRole.get(role);
    if (files === undefined) byRole.set(role, [file]);
    else files.push(file);
  }
  return byRole;
}

/** Where content is for ever, what is or was shown under a path stays. @throws AdmissionError SUBMISSION_WITHDRAWS */
async function requireSameContent(
  { target: { path, hashes }, project }: NewFile,
  present: Targets | undefined,
  { ledger, rules }: ImportBasis,
): Promise<void> {
  if (project === undefined || !rules.ecosystems.immutable(project.ecosystem)) return;
  const known = present?.targets.get(path)?.hashes.get('sha256') ?? (await ledger.shown(path));
  if (known === undefined || known === hashes.get('sha256')) return;
  throw refuse('SUBMISSION_WITHDRAWS', `${path} would change`, { path });
}

/** What the site is to show of files whose blobs are there. @throws AdmissionError BLOB_MISSING, ENTRY_INVALID */
async function heldTargets(changes: readonly FileChange[], basis: ImportBasis): Promise<Plan['targets']> {
  const { ledger, blobs, inspect, rules } = basis;
  const targets: { path: string; blob: BlobFacts }[] = [];
  for (const { set } of changes) {
    for (const { target } of set) {
      const { path } = target;
      const blob = await ledger.blob(target.hashes.get('sha256') ?? '');
      if (blob === undefined) throw refuse('BLOB_MISSING', `the content of ${path} is missing`, { path });
      targets.push({ path, blob });
    }
  }
  for (const one of newTargets({ roles: [], files: changes }, rules)) {
    await inspect(one, blobs.read(one.target.hashes.get('sha256') ?? ''));
  }
  return targets;
}

function placed(target: TargetFile, standing: Standing, rules: AdmissionRules): { role: string; file: NewFile } {
  const { path, hashes } = target;
  if (!/^[0-9a-f]{64}$/.test(hashes.get('sha256') ?? '')) {
    throw refuse('SUBMISSION_INVALID', `${path} has no SHA-256 in lower-case hexadecimal`, { path });
  }
  if (standing.bins === undefined) {
    const { role, project } = unclaimedLeaf(standing, path, rules);
    return { role, file: { target, project } };
  }
  requireFreePath(standing.targets, path);
  requireShowable(path);
  return { role: binFor(standing.bins, path, rules.sha256), file: { target, project: undefined } };
}
