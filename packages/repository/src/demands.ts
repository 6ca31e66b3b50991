// Whose signatures a submission needs, for those who gather them: every
// decision's signers, and for every role file the owners that clients will
// check it with, now and after the decisions beside it. A list for people;
// what is admitted is decided by admit.ts.

import { type Authority, ownerRoleOf, readOwnerRoleName, readShardName } from '@countersign/core';
import {
  isNameDecision,
  liveOwnersOf,
  type NameDecision,
  type NameRecord,
  type OwnerSet,
  openDecision,
  sameOwners,
  shownOf,
} from '@countersign/decisions';
import { type AdmissionRules, refuse } from './admit-rules.ts';
import { customRoles } from './bins.ts';
import { type Demand, decisionPart } from './signing-events.ts';
import { type Standing, shardsOf } from './standing.ts';
import type { ReceivedRole, Submission } from './submission.ts';

/**
 * Lists what a submission needs, part by part.
 *
 * @throws AdmissionError SUBMISSION_INVALID, NAME_UNCLAIMED
 */
export function demandsOf(standing: Standing, submission: Submission, rules: AdmissionRules): readonly Demand[] {
  const opened = submission.decisions.map((text) => openDecision(text, rules.crypto));
  const decisions = opened.map(({ decision }) => decision).filter(isNameDecision);
  return [
    ...opened.map((one, index) => ({
      part: decisionPart(index),
      authorities: standing.register.demands(one, rules.now),
    })),
    ...submission.roles.map((received) => ({
      part: received.role,
      authorities: authoritiesOf(standing, submission, received, decisions),
    })),
  ];
}

function authoritiesOf(
  standing: Standing,
  submission: Submission,
  { role }: ReceivedRole,
  decisions: readonly NameDecision[],
): readonly Authority[] {
  if (readShardName(role) !== undefined) {
    const delegation = shardsOf(standing.targets).get(role);
    const keys = standing.targets.delegations?.keys;
    return delegation === undefined || keys === undefined ? [] : [{ keys, role: delegation, name: role }];
  }
  const custom = customRoles(standing.targets).find(({ name }) => name === role);
  if (custom !== undefined) {
    return [{ keys: standing.targets.delegations?.keys ?? new Map(), role: custom, name: role }];
  }
  const ownerRole = ownerRoleOf(role);
  const named = readOwnerRoleName(ownerRole);
  if (named === undefined) throw refuse('NAME_UNCLAIMED', `no project has the role ${role.slice(0, 200)}`, {});
  if (role === ownerRole) {
    const { ecosystem, name, epoch } = named;
    const record = standing.register.record(ecosystem, name);
    const about = decisions.filter((decision) => decision.ecosystem === ecosystem && decision.name === name);
    return ownersFor(record, epoch, about).map(({ keys, keyIds, threshold }) => ({
      keys,
      role: { keyIds, threshold },
      name: role,
    }));
  }
  const sent = submission.roles.find((one) => one.role === ownerRole);
  const delegations = (sent?.open().content ?? standing.contents.get(ownerRole))?.delegations;
  const delegation = delegations?.roles.find((one) => one.name === role);
  if (delegations === undefined || delegation === undefined) {
    throw refuse('SUBMISSION_FOREIGN', `${ownerRole} does not delegate to ${role}`, { role });
  }
  return [{ keys: delegations.keys, role: delegation, name: role }];
}

/** The owner sets that a role's file must verify under: present ones, and those that the decisions bring. */
function ownersFor(
  record: NameRecord | undefined,
  epoch: number,
  decisions: readonly NameDecision[],
): readonly OwnerSet[] {
  const proposals = decisions.flatMap((decision) => ('owners' in decision ? [decision.owners] : []));
  const present =
    record === undefined || record.epoch !== epoch
      ? []
      : shownOf(record).epoch === epoch
        ? [shownOf(record).authority, liveOwnersOf(record)]
        : [liveOwnersOf(record)];
  const waiting =
    record?.pending?.proposal !== undefined && record.epoch + 1 === epoch ? [record.pending.proposal] : [];
  const all: OwnerSet[] = [];
  for (const owners of [...present, ...waiting, ...proposals]) {
    if (!all.some((other) => sameOwners(other, owners))) all.push(owners);
  }
  return all;
}
