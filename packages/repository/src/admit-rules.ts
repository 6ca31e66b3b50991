// What all parts of admission share: the rules from outside, the proposal under
// judgement, and how a refusal is made.

import {
  AdmissionError,
  binOf,
  type Envelope,
  type Instant,
  type Project,
  type Sha256,
  type SyncCryptoPort,
  type Targets,
} from '@countersign/core';
import type { NameRecord, ProjectOf, Register } from '@countersign/decisions';
import type { Standing } from './standing.ts';

/** What one ecosystem demands, as the service passes it in. */
export interface EcosystemRules {
  /** @throws AdmissionError NAME_INVALID */
  project(ecosystem: string, name: string): Project;
  /** The project that a path segment stands for. @throws AdmissionError NAME_INVALID */
  projectOfSegment(ecosystem: string, segment: string): Project;
  /** @throws AdmissionError ENTRY_INVALID */
  checkFileName(project: Project, file: string): void;
  /** Whether a published file's content may never change under its name. */
  immutable(ecosystem: string): boolean;
}

/** Bounds and means of admission. */
export interface AdmissionRules {
  readonly crypto: SyncCryptoPort;
  readonly sha256: Sha256;
  readonly ecosystems: EcosystemRules;
  readonly now: Instant;
  /** The number of the publication that would hold it. */
  readonly publication: number;
  readonly maxRoleBytes: number;
  readonly maxTargets: number;
}

/** A submission under judgement: the collection as it stands, and what the parts judged so far would make true. */
export interface Proposal {
  readonly standing: Standing;
  readonly register: Register;
  /** Every role of the submission. */
  readonly names: ReadonlySet<string>;
  readonly contents: Map<string, Targets>;
  readonly envelopes: Map<string, Envelope>;
  /** What newly listed paths would show, by SHA-256. */
  readonly shown: Map<string, string>;
}

/** The ecosystems' rule for names. */
export function projectsBy({ ecosystems }: Pick<AdmissionRules, 'ecosystems'>): ProjectOf {
  return (ecosystem, name) => ecosystems.project(ecosystem, name);
}

/** The record that a key stands for. */
export function recordOf(register: Register, key: string): NameRecord | undefined {
  const slash = key.indexOf('/');
  return register.record(key.slice(0, slash), key.slice(slash + 1));
}

/** The bin of the name that a key stands for. */
export function binOfKey(key: string, sha256: Sha256): string {
  const name = key.slice(key.indexOf('/') + 1);
  return binOf({ ecosystem: '', name, segment: name }, sha256);
}

/** Makes the error of a rule of admission. */
export function refuse(
  code: ConstructorParameters<typeof AdmissionError>[0],
  problem: string,
  detail: Readonly<Record<string, string | number>>,
): AdmissionError {
  return new AdmissionError(code, `Admitting the submission: ${problem}`, { detail });
}
