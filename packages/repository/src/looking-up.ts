// What is read from the ledger before a judgement or a check, which are pure:
// the roles, blobs and paths that submissions touch, and nothing else.

import { type Envelope, ownerRoleOf, type Targets } from '@countersign/core';
import { neededFor, targetsNeeded } from './admit.ts';
import type { AdmissionRules } from './admit-rules.ts';
import type { LoadedRoles } from './loaded-roles.ts';
import { type Lookup, overlay } from './overlay.ts';
import type { OwnBusiness, Plan } from './plan.ts';
import type { BlobFacts, Ledger } from './ports.ts';
import type { Standing } from './standing.ts';
import type { State } from './state.ts';
import type { Submission } from './submission.ts';

/** Where to look. */
export interface Sources {
  readonly ledger: Pick<Ledger, 'file' | 'blob' | 'shown'>;
  readonly roles: LoadedRoles;
}

/** The standing with the roles and blobs loaded that the submissions touch. @throws StoreError; MetadataError */
export async function standingFor(
  { standing }: State,
  submissions: readonly Submission[],
  own: Pick<OwnBusiness, 'completions' | 'due'> | undefined,
  { ledger, roles }: Sources,
  rules: AdmissionRules,
): Promise<Standing> {
  const contents = new Map<string, Targets>();
  const ownerFiles = new Map<string, Envelope>();
  const blobs = new Map<string, BlobFacts>();
  const shown = new Map<string, string>();
  const load = async (role: string): Promise<void> => {
    const version = standing.versions.get(role);
    if (contents.has(role) || standing.contents.has(role) || version === undefined) return;
    const loaded = await roles.load(role, version);
    if (loaded === undefined) return;
    contents.set(role, loaded.content);
    ownerFiles.set(role, loaded.envelope);
  };
  const completions = own?.completions.map((text) => ({ roles: [], decisions: [text], files: [], remove: [] })) ?? [];
  const sent = new Set<string>();
  for (const submission of [...submissions, ...completions]) {
    const needed = neededFor(submission, standing, rules);
    for (const role of [...needed.roles, ...needed.leaves, ...needed.ownerFiles]) await load(role);
    // Of a second version in the same batch, everything is looked up: the first may have taken a file out.
    const present: Lookup<string, Targets> = submission.roles.some(({ role }) => sent.has(role)) ? NONE : contents;
    for (const { role } of submission.roles) sent.add(role);
    for (const { path, sha256 } of targetsNeeded(submission, present)) {
      const facts = await ledger.blob(sha256);
      if (facts !== undefined) blobs.set(facts.sha256, facts);
      const content = await ledger.shown(path);
      if (content !== undefined) shown.set(path, content);
    }
  }
  for (const role of own?.due ?? []) await load(role);
  return { ...standing, contents: overlay(standing.contents, contents), ownerFiles, blobs, shown };
}

/** Bytes of unchanged roles that the self-check's search passes through. @throws StoreError */
export async function knownFiles(
  { files }: State,
  planned: Plan,
  ledger: Pick<Ledger, 'file'>,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const known = new Map(files);
  const wanted = new Set<string>();
  for (const { role } of planned.authored) {
    const ownerRole = ownerRoleOf(role);
    wanted.add(ownerRole);
    for (const sub of planned.draft.contents.get(ownerRole)?.delegations?.roles ?? []) wanted.add(sub.name);
  }
  // What this publication brings is checked as it is brought.
  for (const { role } of planned.authored) wanted.delete(role);
  for (const role of wanted) {
    const bytes = await ledger.file(role);
    if (bytes !== undefined) known.set(role, bytes);
  }
  return known;
}

const NONE: Lookup<string, Targets> = { get: () => undefined, has: () => false };
