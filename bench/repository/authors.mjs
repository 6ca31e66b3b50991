// Authors and what they send, made beforehand: each owns one project of plain
// files and signs version after version with one artifact more. Only the
// newest ten stay listed, so that every submission costs the same.

import { createHash, randomBytes } from 'node:crypto';
import { sha256 } from '@countersign/client/node';
import {
  days,
  editTargets,
  openEnvelope,
  ownerRoleName,
  projectDirectory,
  readTargets,
  signFile,
  utf8Text,
} from '@countersign/core';
import { projectOf } from '@countersign/ecosystems';
import { signClaim, submissionText } from '@countersign/repository';
import { generateSigner } from '@countersign/signers';

/** Artifacts that stay listed. */
const LISTED = 10;

/** One project and its only key. */
export class Author {
  #previous;
  #number = 0;

  constructor(name, signer = generateSigner()) {
    this.project = projectOf(`files/${name}`);
    this.role = ownerRoleName(this.project, 1);
    this.directory = projectDirectory(this.project, sha256);
    this.signer = signer;
  }

  /** The submission that claims the name. */
  async claim() {
    return await claimTogether([this]);
  }

  /** What claims the name: the statement, and the first version of the role. */
  async claimParts() {
    const file = await this.#sign({});
    return {
      claim: await signClaim('main', this.project, [this.signer]),
      role: { role: this.role, file: utf8Text(file) },
    };
  }

  /** The next artifact with the submission that lists it: `{ path, sha256, bytes, body }`. */
  async next(length) {
    const bytes = randomBytes(length);
    const digest = (algorithm) => createHash(algorithm).update(bytes).digest('hex');
    const hashes = new Map([
      ['sha256', digest('sha256')],
      ['sha512', digest('sha512')],
    ]);
    const path = `${this.directory}/file-${this.#number++}.bin`;
    const listed = [...this.#previous.targets.keys()];
    const file = await this.#sign({
      set: [{ path, length, hashes, custom: undefined }],
      remove: listed.slice(0, Math.max(0, listed.length - LISTED + 1)),
    });
    const body = submissionText({ decisions: [], roles: [{ role: this.role, file: utf8Text(file) }] });
    return { path, sha256: hashes.get('sha256'), bytes, body };
  }

  async #sign(edit) {
    const file = await signFile(editTargets(this.#previous, { expires: Date.now() + days(3650), ...edit }), [
      this.signer,
    ]);
    this.#previous = readTargets(openEnvelope(file, this.role).signed, this.role);
    return file;
  }
}

/** One submission in which authors claim their names. */
export async function claimTogether(authors) {
  const parts = await Promise.all(authors.map((author) => author.claimParts()));
  return submissionText({ decisions: parts.map(({ claim }) => claim), roles: parts.map(({ role }) => role) });
}

/** A name as people choose them, so that what lists many of them compresses as it would: the same one for a number always. */
export function likelyName(number) {
  const digest = createHash('sha256').update(String(number)).digest();
  const words = [0, 1, 2].map((i) => WORDS[digest[i] % WORDS.length]);
  return `${words.slice(0, 1 + (digest[3] % 3)).join('-')}-${number.toString(36)}`;
}

const WORDS =
  'async auth base bench block bot build cache chart class cli client cloud code color config core crypto css data date db debug design dev diff django docs dom edge embed engine event express fast fetch file flask flow font form format frame git graph grid hash hook html http icon image index input json key kit lang layer lazy lib link list loader lock log map mark math menu merge micro mini mock mod model module mongo native net next node note number object open option pack page parse path pdf pipe plug point pool port proxy py query queue react redis render request rest route rust safe schema scope scroll sdk search server session shell sign simple slack slug socket sort spark sql stack state store stream string style svg swift sync table tag task template test text theme time tiny token tool tree ts type ui unit url use utils valid vector view vue web widget word worker xml yaml zip zod'.split(
    ' ',
  );
