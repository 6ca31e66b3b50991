// A name that clients are led to must be found there: whenever a decision
// changes who is shown, or who speaks beside them, the owner role's file must
// verify under all of them already. A delegation that its role does not fit
// ends every search of the project with an error (ADR 0008).

import {
  AdmissionError,
  driveCrypto,
  type Envelope,
  isTufError,
  ownerRoleName,
  type SyncCryptoPort,
  verify,
} from '@countersign/core';
import { type NameRecord, type OwnerSet, sameOwners, shownOf, shownRole } from '@countersign/decisions';
import type { Lookup } from './overlay.ts';

/** A role whose present file must verify under an owner set. */
interface Demand {
  readonly role: string;
  readonly owners: OwnerSet;
}

/**
 * Requires that a record's owner roles fit their files.
 *
 * @param before as it was, when its roles fitted
 * @param files the files as they will be
 * @throws AdmissionError SUBMISSION_INVALID with `role`
 */
export function requireOwnerFiles(
  before: NameRecord | undefined,
  after: NameRecord,
  files: Lookup<string, Envelope>,
  crypto: SyncCryptoPort,
): void {
  const met = before === undefined ? [] : demandsOf(before);
  for (const { role, owners } of demandsOf(after)) {
    if (met.some((other) => other.role === role && sameOwners(other.owners, owners))) continue;
    const file = files.get(role);
    if (file === undefined) throw refuse(`the first version of ${role} is missing`, role);
    const { keys, keyIds, threshold } = owners;
    try {
      driveCrypto(
        verify(file, [{ keys, role: { keyIds, threshold }, name: role }], () => true),
        crypto,
      );
    } catch (error) {
      if (!isTufError(error)) throw error;
      throw refuse(`${role} must be signed by its new owners and sent with it`, role);
    }
  }
}

/** The owner roles that a record leads to, now or with the next session. */
export function ownerRolesOf(record: NameRecord): readonly string[] {
  return [...new Set(demandsOf(record).map(({ role }) => role))];
}

function demandsOf(record: NameRecord): readonly Demand[] {
  const { ecosystem, name, epoch, authority } = record;
  const shown = { role: shownRole(record), owners: shownOf(record).authority };
  const next = { role: ownerRoleName({ ecosystem, name, segment: name }, epoch), owners: authority };
  return next.role === shown.role && sameOwners(next.owners, shown.owners) ? [shown] : [shown, next];
}

function refuse(problem: string, role: string): AdmissionError {
  return new AdmissionError('SUBMISSION_INVALID', `Admitting the submission: ${problem}`, { detail: { role } });
}
