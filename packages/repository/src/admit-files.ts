// Admission of files that nobody's key signs but the repository's own: for names
// that nobody speaks for. Never for a name that somebody has claimed: an online
// key must not be able to say anything about it. A claim takes a name's files
// out of the unclaimed shard, where no client would find them any more.

import {
  binOf,
  isTufError,
  type Project,
  projectDirectory,
  shardName,
  type TargetFile,
  type Targets,
  targetPathOf,
} from '@countersign/core';
import { isNameDecision, type Listed, openDecision } from '@countersign/decisions';
import { type AdmissionRules, type Proposal, refuse } from './admit-rules.ts';
import { type Bins, binFor, customRoleFor } from './bins.ts';
import { requireOffShelf } from './off-shelf.ts';
import type { BlobFacts } from './ports.ts';
import { requireShowable } from './showable.ts';
import { type Standing, shardDigits } from './standing.ts';
import type { Submission, SubmittedFile } from './submission.ts';

/** What a submission changes in one role that lists files under an online key. */
export interface FileChange {
  readonly role: string;
  readonly set: readonly NewFile[];
  readonly remove: readonly string[];
}

/** A file to list, and the project whose it would be; none in a plain collection. */
export interface NewFile {
  readonly target: TargetFile;
  readonly project: Project | undefined;
}

/** The roles that a submission's files are or were listed in. */
export function leavesOf(
  submission: Submission,
  { targets, bins }: Standing,
  rules: AdmissionRules,
): readonly string[] {
  if (bins !== undefined) {
    return [...submission.files.map(({ path }) => path), ...submission.remove].map((path) =>
      binFor(bins, path, rules.sha256),
    );
  }
  const digits = shardDigits(targets);
  const paths = [...submission.files.map(({ path }) => path), ...submission.remove];
  const projects = paths.flatMap((path) => optional(() => placeOf(path, rules).project));
  const claimed = submission.decisions.flatMap((text) => optional(() => claimedBy(text, rules)));
  return [...projects, ...claimed].map((project) =>
    shardName('unclaimed', binOf(project, rules.sha256).slice(0, digits)),
  );
}

/** Judges the files of a submission, and takes out those of names that it claims. @throws AdmissionError */
export function admitFiles(
  proposal: Proposal,
  submission: Submission,
  decisions: readonly Listed[],
  rules: AdmissionRules,
): readonly FileChange[] {
  const count = submission.files.length + submission.remove.length;
  if (count > MAX_FILES)
    throw refuse('SUBMISSION_TOO_LARGE', 'it lists too many files', { limit: MAX_FILES, got: count });
  if (proposal.standing.bins !== undefined) return admitBinned(proposal, submission, proposal.standing.bins, rules);
  const changes = new Map<string, { readonly role: string; readonly set: NewFile[]; readonly remove: string[] }>();
  const changeOf = (project: Project): { set: NewFile[]; remove: string[] } => {
    const role = leafOf(proposal, project, rules);
    const change = changes.get(role) ?? { role, set: [], remove: [] };
    changes.set(role, change);
    return change;
  };
  for (const file of submission.files) {
    const place = requireUnclaimed(proposal, file.path, rules);
    changeOf(place.project).set.push({ target: admitFile(proposal, file, place, rules), project: place.project });
  }
  for (const path of submission.remove) {
    const { project } = requireUnclaimed(proposal, path, rules);
    if (!proposal.standing.contents.get(leafOf(proposal, project, rules))?.targets.has(path)) {
      throw refuse('SUBMISSION_STALE', `${path.slice(0, 200)} is not listed`, { path });
    }
    changeOf(project).remove.push(path);
  }
  for (const { opened } of decisions) {
    if (opened.decision.decision !== 'claim') continue;
    const project = rules.ecosystems.project(opened.decision.ecosystem, opened.decision.name);
    const directory = `${projectDirectory(project, rules.sha256)}/`;
    const listed = proposal.standing.contents.get(leafOf(proposal, project, rules))?.targets.keys() ?? [];
    const gone = [...listed].filter((path) => path.startsWith(directory));
    if (gone.length > 0) changeOf(project).remove.push(...gone);
  }
  return requireOnce([...changes.values()]);
}

/** Files of a plain collection: any path that no author's role stands for. */
function admitBinned(
  { standing }: Proposal,
  { files, remove }: Submission,
  bins: Bins,
  rules: AdmissionRules,
): readonly FileChange[] {
  const changes = new Map<string, { readonly role: string; readonly set: NewFile[]; readonly remove: string[] }>();
  const changeOf = (path: string): { set: NewFile[]; remove: string[] } => {
    requireFreePath(standing.targets, path);
    const role = binFor(bins, path, rules.sha256);
    const change = changes.get(role) ?? { role, set: [], remove: [] };
    changes.set(role, change);
    return change;
  };
  for (const { path, sha256, custom } of files) {
    const change = changeOf(path);
    requireShowable(path);
    const blob = standing.blobs.get(sha256);
    if (blob === undefined) throw refuse('BLOB_MISSING', `the content of ${path} is missing`, { path, sha256 });
    change.set.push({ target: fileTarget(path, blob, custom), project: undefined });
  }
  for (const path of remove) {
    if (!standing.contents.get(binFor(bins, path, rules.sha256))?.targets.has(path)) {
      throw refuse('SUBMISSION_STALE', `${path.slice(0, 200)} is not listed`, { path });
    }
    changeOf(path).remove.push(path);
  }
  return requireOnce([...changes.values()]);
}

/** Refuses a path that no client would take, or that an author's role stands for. @throws AdmissionError */
export function requireFreePath(targets: Targets, path: string): void {
  if (targetPathOf(path) === undefined) {
    throw refuse('SUBMISSION_FOREIGN', 'it lists a path that no client would take', { rule: 'path' });
  }
  if (targets.targets.has(path)) {
    throw refuse('SUBMISSION_FOREIGN', `${path} is listed by the quorum itself`, { rule: 'custom', role: 'targets' });
  }
  const custom = customRoleFor(targets, path);
  if (custom === undefined) return;
  throw refuse('SUBMISSION_FOREIGN', `${path} belongs to ${custom.name}`, { rule: 'custom', role: custom.name });
}

function requireOnce(changes: readonly FileChange[]): readonly FileChange[] {
  const paths = changes.flatMap(({ set, remove }) => [...set.map(({ target }) => target.path), ...remove]);
  if (new Set(paths).size !== paths.length) throw refuse('SUBMISSION_INVALID', 'it lists a path twice', {});
  return changes;
}

/** How a stored file is listed. */
export function fileTarget(
  path: string,
  { sha256, sha512, length }: BlobFacts,
  custom?: TargetFile['custom'],
): TargetFile {
  const hashes = new Map([
    ['sha256', sha256],
    ['sha512', sha512],
  ]);
  return { path, length, hashes, custom };
}

interface FilePlace {
  readonly project: Project;
  readonly file: string;
}

/** Where a path of the layout leads. @throws AdmissionError NAME_INVALID, SUBMISSION_FOREIGN */
function placeOf(path: string, { ecosystems, sha256 }: AdmissionRules): FilePlace {
  const [ecosystem = '', , segment = '', file = '', ...more] = path.split('/');
  const project = ecosystems.projectOfSegment(ecosystem, segment);
  const own = more.length === 0 && path === `${projectDirectory(project, sha256)}/${file}`;
  if (!own || targetPathOf(path) === undefined) {
    throw refuse('SUBMISSION_FOREIGN', `${path.slice(0, 200)} is no path of the layout`, { rule: 'layout' });
  }
  return { project, file };
}

function requireUnclaimed(
  { register, standing }: Pick<Proposal, 'register' | 'standing'>,
  path: string,
  rules: AdmissionRules,
): FilePlace {
  const place = placeOf(path, rules);
  requireOffShelf(standing, place.project, rules);
  const { ecosystem, name } = place.project;
  if (register.record(ecosystem, name) === undefined) return place;
  throw refuse('NAME_TAKEN', `${ecosystem}/${name} is claimed: only its owner's signature counts`, {
    rule: 'unclaimed',
    path,
  });
}

/**
 * The role that lists a file of a name that nobody has claimed, and the name.
 *
 * @throws AdmissionError NAME_INVALID, NAME_TAKEN, SUBMISSION_FOREIGN, ENTRY_INVALID
 */
export function unclaimedLeaf(
  standing: Standing,
  path: string,
  rules: AdmissionRules,
): { readonly role: string; readonly project: Project } {
  const place = requireUnclaimed({ standing, register: standing.register }, path, rules);
  requireFileName(place, path, rules);
  return { role: leafOf({ standing }, place.project, rules), project: place.project };
}

function requireFileName({ project, file }: FilePlace, path: string, { ecosystems }: AdmissionRules): void {
  ecosystems.checkFileName(project, file);
  requireShowable(path);
}

function leafOf({ standing }: Pick<Proposal, 'standing'>, project: Project, { sha256 }: AdmissionRules): string {
  return shardName('unclaimed', binOf(project, sha256).slice(0, shardDigits(standing.targets)));
}

function admitFile(
  { standing }: Proposal,
  { path, sha256, custom }: SubmittedFile,
  place: FilePlace,
  rules: AdmissionRules,
): TargetFile {
  const blob = standing.blobs.get(sha256);
  if (blob === undefined) throw refuse('BLOB_MISSING', `the content of ${path} is missing`, { path, sha256 });
  const shown = standing.shown.get(path);
  if (shown !== undefined && shown !== sha256 && rules.ecosystems.immutable(place.project.ecosystem)) {
    throw refuse('SUBMISSION_WITHDRAWS', `${path} would change`, { path });
  }
  requireFileName(place, path, rules);
  return fileTarget(path, blob, custom);
}

function claimedBy(text: string, { crypto, ecosystems }: AdmissionRules): Project {
  const { decision } = openDecision(text, crypto);
  if (isNameDecision(decision) && decision.decision === 'claim')
    return ecosystems.project(decision.ecosystem, decision.name);
  throw refuse('SUBMISSION_INVALID', 'it claims no name', {});
}

/** What is refused leads nowhere: admission will say why. */
function optional<T>(read: () => T): readonly T[] {
  try {
    return [read()];
  } catch (error) {
    if (isTufError(error)) return [];
    throw error;
  }
}

// Each is looked up, and read again by inspection.
const MAX_FILES = 1_000;
