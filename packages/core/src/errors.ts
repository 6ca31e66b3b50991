// Errors are data: one class per party who must act, a code from the closed
// union, facts in `detail`, the origin in `cause`, proof of cheating in
// `evidence`. Messages are for people; no program may match on them.
// Never put secrets or tokens into `detail`.

import { CODES, type Code, type CodeRow, type Party } from './codes.ts';

type CodeOf<P extends Party> = {
  [C in Code]: (typeof CODES)[C]['party'] extends P ? C : never;
}[Code];

/** Facts about a failure: what was wanted, what came, which role, which limit. */
export type Detail = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** Bytes that prove to a third party what somebody served. */
export type Evidence = Readonly<Record<string, Uint8Array>>;

/** What every error of the project carries besides its message. */
export interface ErrorFacts {
  readonly detail?: Detail;
  readonly cause?: unknown;
  readonly evidence?: Evidence;
}

/**
 * The root of every error this project throws on purpose.
 *
 * @example
 * try { … } catch (error) { if (isTufError(error) && error.code === 'ROLLBACK') … }
 */
export abstract class TufError<C extends Code = Code> extends Error {
  readonly code: C;
  readonly detail: Detail;
  readonly evidence: Evidence;

  constructor(code: C, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = code;
    this.detail = facts.detail ?? {};
    this.evidence = facts.evidence ?? {};
    this.name = new.target.name;
  }
}

/** The bytes that a repository or mirror served must not be trusted. */
export class MetadataError extends TufError<CodeOf<'metadata'>> {}
/** The bytes did not arrive. */
export class TransportError extends TufError<CodeOf<'transport'>> {}
/** Local or repository state could not be read, written or moved. */
export class StoreError extends TufError<CodeOf<'store'>> {}
/** The transparency log does not hold. */
export class LogError extends TufError<CodeOf<'log'>> {}
/** A private key could not be used. */
export class SignerError extends TufError<CodeOf<'signer'>> {}
/** The repository refuses what was sent to it. */
export class AdmissionError extends TufError<CodeOf<'admission'>> {}
/** The caller asked for something that makes no sense. */
export class UsageError extends TufError<CodeOf<'usage'>> {}

/**
 * Makes the error of a code, for failures that were stored or came over the
 * wire. Of the class that the code's party has.
 */
export function errorOf(code: Code, message: string, facts: ErrorFacts = {}): TufError {
  return new CLASSES[CODES[code].party](code as never, message, facts);
}

/** Tells whether a text is a failure code. */
export function isCode(text: string): text is Code {
  return Object.hasOwn(CODES, text);
}

/** Tells whether a caught value is one of this project's errors. */
export function isTufError(value: unknown): value is TufError {
  return value instanceof TufError;
}

/** The one table row of an error's code: party, HTTP status, exit code, sentences. */
export function rowOf(code: Code): CodeRow {
  return CODES[code];
}

/** What to do about an error: what it says itself in `detail.next`, else what its code says. */
export function nextStepOf({ code, detail }: TufError): string {
  const own = detail['next'];
  return typeof own === 'string' && own !== '' ? own : rowOf(code).next;
}

const CLASSES = {
  metadata: MetadataError,
  transport: TransportError,
  store: StoreError,
  log: LogError,
  signer: SignerError,
  admission: AdmissionError,
  usage: UsageError,
} as const;
