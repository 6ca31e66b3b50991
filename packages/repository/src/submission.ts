// What an author sends: signed role files and claim statements, as text that
// is kept and served exactly as it came. This file reads the wrapping only;
// admit.ts judges what is inside.

import {
  AdmissionError,
  arrayAt,
  asObject,
  type Envelope,
  isTufError,
  openEnvelope,
  readDocument,
  readTargets,
  stringAt,
  stringsAt,
  type Targets,
  utf8,
} from '@countersign/core';

/** A submission to send. */
export interface SubmissionParts {
  readonly roles: readonly SubmittedRole[];
  /** Claim statements, each the exact text of a DSSE envelope. */
  readonly claims: readonly string[];
}

/** A role file as sent. */
export interface SubmittedRole {
  readonly role: string;
  /** The exact text of the signed file. */
  readonly file: string;
}

/** A submission as it came. */
export interface Submission extends SubmissionParts {
  readonly roles: readonly ReceivedRole[];
}

/** A role file as it came, not to be believed yet. */
export interface ReceivedRole extends SubmittedRole {
  readonly bytes: Uint8Array;
  /** What it says. Opened once, however often it is asked for. @throws MetadataError */
  open(): { readonly envelope: Envelope; readonly content: Targets };
}

/**
 * Reads the JSON body of a submission.
 *
 * @throws AdmissionError SUBMISSION_INVALID
 * @example readSubmission('{"claims":[],"roles":[{"role":"npm.1.ms","file":"{…}"}]}')
 */
export function readSubmission(text: string): Submission {
  try {
    const { root } = readDocument(utf8(text));
    const roles = arrayAt(root, 'roles', 'the submission').map((item) => {
      const role = asObject(item, 'the submission roles');
      return receivedRole(stringAt(role, 'role', 'a role'), stringAt(role, 'file', 'a role'));
    });
    const claims = root.has('claims') ? stringsAt(root, 'claims', 'the submission') : [];
    if (roles.length === 0) throw new AdmissionError('SUBMISSION_INVALID', 'Reading the submission: it holds no role');
    return { roles, claims };
  } catch (error) {
    if (!isTufError(error) || error instanceof AdmissionError) throw error;
    throw new AdmissionError('SUBMISSION_INVALID', error.message, { detail: error.detail, cause: error });
  }
}

/** The JSON body of a submission, for those who send one. */
export function submissionText(submission: SubmissionParts): string {
  return JSON.stringify(submission);
}

function receivedRole(role: string, file: string): ReceivedRole {
  const bytes = utf8(file);
  let opened: ReturnType<ReceivedRole['open']> | undefined;
  return {
    role,
    file,
    bytes,
    open() {
      if (opened !== undefined) return opened;
      const envelope = openEnvelope(bytes, role);
      opened = { envelope, content: readTargets(envelope.signed, role) };
      return opened;
    },
  };
}
