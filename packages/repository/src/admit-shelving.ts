// Admission of what the offline quorum puts on its shelves or takes off them, and
// the plan that publishes it: shelves and files as signed, and out of or into
// the unclaimed shards whatever moves. Published alone.

import {
  type Authority,
  driveCrypto,
  editTargets,
  type JsonObject,
  MetadataError,
  projectDirectory,
  readShelfName,
  shelfFilesName,
  type Targets,
  topLevelAuthority,
  verify,
} from '@countersign/core';
import type { AdmittedRole } from './admit-role.ts';
import { type AdmissionRules, refuse } from './admit-rules.ts';
import type { LoadedRoles } from './loaded-roles.ts';
import { type Lookup, overlay } from './overlay.ts';
import { emptyPlan, type Lifetimes, type Plan } from './plan.ts';
import { filesIn, judgeShelving, rolesNeeded, type ShelvingBase, shelfFor, unclaimedFor, wishOf } from './shelf.ts';
import type { Demand } from './signing-events.ts';
import type { Standing } from './standing.ts';
import type { ReceivedRole, Submission } from './submission.ts';

/** A shelving that passed. */
export interface Shelving {
  readonly roles: readonly AdmittedRole[];
  /** Directories that go on a shelf. */
  readonly taken: readonly string[];
  /** Directories that come off one. */
  readonly released: readonly string[];
}

/** Tells whether a submission changes shelves. It is published alone. */
export function isShelving({ roles }: Submission): boolean {
  return roles.some(({ role }) => readShelfName(role) !== undefined);
}

/** Whose signatures a shelving needs: the quorum's under each part. */
export function shelvingDemands({ root }: Standing, { roles }: Submission): readonly Demand[] {
  return roles.map(({ role }) => ({ part: role, authorities: [quorumFor(root, role)] }));
}

/** Loads what a shelving is judged by. What cannot be read needs nothing: admission will say why. @throws StoreError */
export async function loadShelving(
  standing: Standing,
  { roles }: Submission,
  loaded: LoadedRoles,
): Promise<Lookup<string, Targets>> {
  const { targets, contents, versions } = standing;
  const sent = new Map(roles.flatMap((received) => legible(received)));
  const wish = wishOf({ contentOf: (role) => contents.get(role) }, sent);
  const found = new Map<string, Targets>();
  for (const role of rolesNeeded(targets, wish)) {
    const version = contents.has(role) ? undefined : versions.get(role);
    const present = version === undefined ? undefined : await loaded.load(role, version);
    if (present !== undefined) found.set(role, present.content);
  }
  return overlay(contents, found);
}

/**
 * Judges a shelving.
 *
 * @param contents as {@link loadShelving} gives them
 * @throws AdmissionError
 */
export function admitShelving(
  standing: Standing,
  contents: Lookup<string, Targets>,
  submission: Submission,
  rules: AdmissionRules,
): Shelving {
  const { decisions, files, remove } = submission;
  if (decisions.length + files.length + remove.length > 0) {
    throw refuse('SUBMISSION_INVALID', 'what the quorum shelves comes alone', { rule: 'alone' });
  }
  const roles = submission.roles.map((received) => authentic(standing, received, rules));
  const sent = new Map(roles.map(({ role, content }) => [role, content]));
  if (sent.size < roles.length) throw refuse('SUBMISSION_INVALID', 'it holds a role twice', {});
  const { take, release } = judgeShelving(baseOf(standing, contents), sent);
  for (const directory of take) requireUnclaimedName(standing, directory, rules);
  return { roles, taken: take, released: release };
}

/** Plans the publication of a shelving. @param contents as it was admitted with */
export function planShelving(
  standing: Standing,
  id: string,
  { roles, taken, released }: Shelving,
  contents: Lookup<string, Targets>,
  rules: AdmissionRules,
  lifetimes: Lifetimes,
): Plan {
  const { targets } = standing;
  const files = released.flatMap((directory) =>
    filesIn(contents.get(shelfFilesName(shelfFor(targets, directory))), directory).map((target) => ({
      role: unclaimedFor(targets, directory),
      target,
      project: undefined,
    })),
  );
  const shards = new Set([...taken, ...released].map((directory) => unclaimedFor(targets, directory)));
  const gone = new Set(taken);
  const online = new Map<string, JsonObject>();
  for (const shard of shards) {
    const present = contents.get(shard);
    const remove = [...(present?.targets.keys() ?? [])].filter((path) =>
      gone.has(path.slice(0, path.lastIndexOf('/'))),
    );
    const set = files.filter(({ role }) => role === shard).map(({ target }) => target);
    online.set(shard, editTargets(present, { expires: rules.now + lifetimes.shard, set, remove }));
  }
  return { ...emptyPlan(standing), authored: roles, online, files, published: [id] };
}

function baseOf({ root, targets, versions }: Standing, contents: Lookup<string, Targets>): ShelvingBase {
  return {
    root,
    targets,
    contentOf: (role) => contents.get(role),
    versionOf: (role) => (role === 'targets' ? targets.version : (versions.get(role) ?? 0)),
  };
}

/** Only a name that the ecosystem takes, and that nobody speaks for, is shelved. */
function requireUnclaimedName({ register }: Standing, directory: string, rules: AdmissionRules): void {
  const [ecosystem = '', , segment = ''] = directory.split('/');
  const project = rules.ecosystems.projectOfSegment(ecosystem, segment);
  if (projectDirectory(project, rules.sha256) !== directory) {
    throw refuse('SUBMISSION_FOREIGN', `${directory.slice(0, 200)} is no project's directory`, { rule: 'layout' });
  }
  if (register.record(ecosystem, project.name) === undefined) return;
  throw refuse('NAME_TAKEN', `${ecosystem}/${project.name} is claimed: its owner keeps it`, { rule: 'unclaimed' });
}

function quorumFor(root: Standing['root'], role: string): Authority {
  return { ...topLevelAuthority(root, 'targets'), name: role };
}

function legible(received: ReceivedRole): readonly (readonly [string, Targets])[] {
  try {
    return [[received.role, received.open().content]];
  } catch (error) {
    if (error instanceof MetadataError) return [];
    throw error;
  }
}

function authentic(standing: Standing, received: ReceivedRole, { crypto, now }: AdmissionRules): AdmittedRole {
  const { role, bytes } = received;
  try {
    const { envelope, content } = received.open();
    driveCrypto(
      verify(envelope, [quorumFor(standing.root, role)], () => true),
      crypto,
    );
    const present = role === 'targets' ? standing.targets.version : (standing.versions.get(role) ?? 0);
    if (content.version !== present + 1) {
      throw refuse('SUBMISSION_STALE', `version ${present + 1} of ${role} is due, ${content.version} came`, {
        role,
        want: present + 1,
        got: content.version,
      });
    }
    if (content.expires <= now) throw refuse('SUBMISSION_EXPIRED', `${role} has expired`, { role });
    // The self-check looks every file up again.
    return { role, bytes, envelope, content, directory: undefined, added: [...content.targets.values()] };
  } catch (error) {
    if (!(error instanceof MetadataError)) throw error;
    const code = error.code === 'THRESHOLD_NOT_MET' ? 'SUBMISSION_UNSIGNED' : 'SUBMISSION_INVALID';
    throw refuse(code, error.message, { role: role.slice(0, 200) });
  }
}
