// What is sent: role files that authors signed, decisions, and files for names
// that nobody has claimed, as text that is kept exactly as it came. This file
// reads the wrapping only; admit.ts judges what is inside.

import {
  AdmissionError,
  arrayAt,
  asObject,
  type Envelope,
  isTufError,
  type JsonObject,
  type JsonValue,
  objectAt,
  openEnvelope,
  plainOf,
  type Root,
  readDocument,
  readRoot,
  readTargets,
  stringAt,
  stringsAt,
  type Targets,
  utf8,
} from '@countersign/core';

/** A submission to send. It holds something of at least one kind. */
export interface SubmissionParts {
  readonly roles?: readonly SubmittedRole[];
  /** Each the exact text of a DSSE envelope, in the order in which they are to be listed. */
  readonly decisions?: readonly string[];
  /** Uploaded files to list under an online key. */
  readonly files?: readonly SubmittedFile[];
  /** Paths of such files to take out. */
  readonly remove?: readonly string[];
}

/** A role file as sent. */
export interface SubmittedRole {
  readonly role: string;
  /** The exact text of the signed file. */
  readonly file: string;
}

/** A file that the repository itself is asked to list. */
export interface SubmittedFile {
  readonly path: string;
  /** Lower-case hexadecimal; the blob was uploaded before. */
  readonly sha256: string;
  readonly custom?: JsonObject;
}

/** A submission as it came. */
export interface Submission extends Required<SubmissionParts> {
  readonly roles: readonly ReceivedRole[];
}

/** A role file as it came, not to be believed yet. */
export interface ReceivedRole extends SubmittedRole {
  readonly bytes: Uint8Array;
  /** What it says. Opened once, however often it is asked for. @throws MetadataError */
  open(): { readonly envelope: Envelope; readonly content: Targets };
  /** What it says as a root. @throws MetadataError */
  openRoot(): { readonly envelope: Envelope; readonly content: Root };
}

/**
 * Reads the JSON body of a submission.
 *
 * @throws AdmissionError SUBMISSION_INVALID
 * @example readSubmission('{"roles":[{"role":"npm.1.ms","file":"{…}"}]}')
 */
export function readSubmission(text: string): Submission {
  try {
    const { root } = readDocument(utf8(text));
    const roles = list(root, 'roles').map((item) => {
      const role = asObject(item, 'the submission roles');
      return receivedRole(stringAt(role, 'role', 'a role'), stringAt(role, 'file', 'a role'));
    });
    const files = list(root, 'files').map((item) => receivedFile(asObject(item, 'the submission files')));
    const decisions = root.has('decisions') ? stringsAt(root, 'decisions', WHERE) : [];
    const remove = root.has('remove') ? stringsAt(root, 'remove', WHERE) : [];
    if (roles.length + decisions.length + files.length + remove.length === 0) {
      throw new AdmissionError('SUBMISSION_INVALID', 'Reading the submission: it holds nothing');
    }
    return { roles, decisions, files, remove };
  } catch (error) {
    if (!isTufError(error) || error instanceof AdmissionError) throw error;
    throw new AdmissionError('SUBMISSION_INVALID', error.message, { detail: error.detail, cause: error });
  }
}

/** The JSON body of a submission, for those who send one. */
export function submissionText({ files, ...parts }: SubmissionParts): string {
  const plain = files?.map(({ custom, ...file }) => ({ ...file, ...(custom && { custom: plainOf(custom) }) }));
  return JSON.stringify({ ...parts, files: plain });
}

function list(root: JsonObject, member: string): readonly JsonValue[] {
  return root.has(member) ? arrayAt(root, member, WHERE) : [];
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
    openRoot() {
      const envelope = openEnvelope(bytes, role);
      return { envelope, content: readRoot(envelope.signed) };
    },
  };
}

function receivedFile(file: JsonObject): SubmittedFile {
  const where = 'a file';
  const path = stringAt(file, 'path', where);
  const sha256 = stringAt(file, 'sha256', where);
  return { path, sha256, ...(file.has('custom') && { custom: objectAt(file, 'custom', where) }) };
}

const WHERE = 'the submission';
