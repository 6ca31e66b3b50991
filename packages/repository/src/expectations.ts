// What a plan must lead to, told in the terms of those who look at it: the
// self-check that searches as a client does, and the inspection of new files.

import { ownerRoleName, ownerRoleOf, projectDirectory, readOwnerRoleName, readShardName } from '@countersign/core';
import { shownRole } from '@countersign/decisions';
import type { Admitted } from './admit.ts';
import type { AdmittedRole } from './admit-role.ts';
import { type AdmissionRules, recordOf } from './admit-rules.ts';
import { DECISIONS_ROLE } from './list-files.ts';
import type { NewTarget } from './options.ts';
import type { Plan } from './plan.ts';
import type { Expectations } from './self-check.ts';

/** What clients must find after a publication. */
export function expectedOf(planned: Plan): Expectations {
  // Of several versions in one publication clients only ever see the last.
  const last = new Map(planned.authored.map((authored) => [authored.role, authored]));
  const projects = [...last.values()].flatMap(({ role, content, directory }) => {
    const record = recordOf(planned.draft.register, nameOfRole(role));
    // What gets ready for a later epoch is not shown yet.
    if (directory === undefined || record === undefined || shownRole(record) !== ownerRoleOf(role)) return [];
    return [{ role, directory, content }];
  });
  const files = [
    ...planned.files.map(({ role, target }) => ({ role, target })),
    // Roles by pattern in front of bins: what they newly list must be found there.
    ...[...last.values()].filter(isCustom).flatMap(({ role, added }) => added.map((target) => ({ role, target }))),
    ...planned.listFiles.map(({ target }) => ({ role: DECISIONS_ROLE, target })),
  ];
  return { projects, files };
}

function isCustom({ role, directory }: AdmittedRole): boolean {
  return directory === undefined && readShardName(role) === undefined;
}

/** What inspection is asked about. */
export function newTargets(
  { roles, files }: Pick<Admitted, 'roles' | 'files'>,
  { sha256 }: AdmissionRules,
): readonly NewTarget[] {
  const signed = roles.flatMap(({ role, directory, added }) =>
    directory === undefined ? [] : added.map((target) => ({ ownerRole: ownerRoleOf(role), directory, target })),
  );
  const unsigned = files.flatMap(({ set }) =>
    set.flatMap(({ target, project }) => {
      if (project === undefined) return []; // nothing is known of what a plain file must be
      return [{ ownerRole: ownerRoleName(project, 1), directory: projectDirectory(project, sha256), target }];
    }),
  );
  return [...signed, ...unsigned];
}

/** The name that a role is about, as `ecosystem/name`. */
export function nameOfRole(role: string): string {
  const named = readOwnerRoleName(ownerRoleOf(role));
  return named === undefined ? '' : `${named.ecosystem}/${named.name}`;
}
