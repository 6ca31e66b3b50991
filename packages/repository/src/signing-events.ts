// Signing events: a submission on its way to enough signatures. Whoever wants
// something opens one, every person whose key counts adds a signature, and all
// see who has signed and who is missing. Kept as documents in the ledger, so
// that it outlives everybody's laptop. An event decides nothing: when it is
// complete it is submitted like any other, and judged then.

import {
  AdmissionError,
  type Authority,
  type Cosignature,
  days,
  driveCrypto,
  type Instant,
  isTufError,
  type KeyId,
  openEnvelope,
  openStatement,
  type Signature,
  StoreError,
  type SyncCryptoPort,
  type Tally,
  tallySignatures,
  utf8,
  utf8Text,
  withSignatures,
  withStatementSignatures,
} from '@countersign/core';
import type { KeptDocument, Ledger } from './ports.ts';

/** What one part of a submission needs before it can be admitted. */
export interface Demand {
  /** A role's name, or `decision <n>` counted from 1. */
  readonly part: string;
  /** All of these thresholds must be met. */
  readonly authorities: readonly Authority[];
}

/** A submission's text with what an event may sign in it. */
export interface SignableSubmission {
  readonly roles: readonly { readonly role: string; readonly file: string }[];
  readonly decisions: readonly string[];
}

/** How one part stands. */
export interface PartStanding {
  readonly part: string;
  readonly met: boolean;
  /** One for each threshold. */
  readonly thresholds: readonly Tally[];
}

/** A submission that gathers signatures. */
export interface SigningEvent {
  readonly id: string;
  readonly title: string;
  /** The account that opened it. */
  readonly account: string;
  readonly opened: Instant;
  readonly expires: Instant;
  readonly submission: SignableSubmission;
  /** The publication that made it true; `undefined` while it is open. */
  readonly publication: number | undefined;
  readonly parts: readonly PartStanding[];
  /** Whether nothing is missing. */
  readonly complete: boolean;
}

/** A signature for one part of an event. */
export interface PartSignature extends Cosignature {
  readonly part: string;
}

/** What events are made with. */
export interface SigningEventOptions {
  readonly ledger: Pick<Ledger, 'document' | 'documents' | 'putDocument'>;
  readonly crypto: SyncCryptoPort;
  readonly clock: () => Instant;
  readonly newId: () => string;
  /** Whose signatures a submission needs, as the collection stands now. @throws AdmissionError when it could never be admitted */
  readonly demands: (submission: SignableSubmission) => Promise<readonly Demand[]>;
  /** Media type of the statements. */
  readonly statementType: string;
}

/** The signing events of one collection. */
export class SigningEvents {
  readonly #options: SigningEventOptions;

  constructor(options: SigningEventOptions) {
    this.#options = options;
  }

  /**
   * Opens an event. Signatures that the submission brings count already.
   *
   * @param title what it is for, in one line for people
   * @throws AdmissionError SUBMISSION_INVALID, SUBMISSION_TOO_LARGE, and what `demands` throws
   */
  async open(submission: SignableSubmission, title: string, account: string): Promise<SigningEvent> {
    const { ledger, clock, newId } = this.#options;
    if (title === '' || title.length > MAX_TITLE || /\p{Cc}/u.test(title)) {
      throw new AdmissionError(
        'SUBMISSION_INVALID',
        `Opening a signing event: its title must be one line of at most ${MAX_TITLE} characters`,
      );
    }
    const open = (await ledger.documents(KIND)).map(readKept).filter((kept) => kept.account === account);
    if (open.filter((kept) => kept.publication === undefined && kept.expires > clock()).length >= MAX_OPEN) {
      throw new AdmissionError('SUBMISSION_TOO_LARGE', `Opening a signing event: ${account} has ${MAX_OPEN} open`, {
        detail: { limit: MAX_OPEN },
      });
    }
    const kept: Kept = {
      id: newId(),
      title,
      account,
      opened: clock(),
      expires: clock() + LIFE,
      submission,
      publication: undefined,
    };
    const event = await this.#standing(kept);
    const text = JSON.stringify(kept);
    if (text.length > MAX_EVENT) {
      throw new AdmissionError('SUBMISSION_TOO_LARGE', 'Opening a signing event: it is too large', {
        detail: { limit: MAX_EVENT, got: text.length },
      });
    }
    await ledger.putDocument(KIND, kept.id, 0, text);
    return event;
  }

  /** Every event that is open, the latest last. Those that could not be admitted any more are left out. */
  async list(): Promise<readonly SigningEvent[]> {
    const now = this.#options.clock();
    const open = (await this.#options.ledger.documents(KIND))
      .map(readKept)
      .filter((kept) => kept.publication === undefined && kept.expires > now)
      .sort((a, b) => a.opened - b.opened);
    const events: SigningEvent[] = [];
    for (const kept of open) {
      try {
        events.push(await this.#standing(kept));
      } catch (error) {
        if (!(error instanceof AdmissionError)) throw error; // overtaken: its opener is told when looking at it
      }
    }
    return events;
  }

  /** One event as it stands. @throws AdmissionError NOT_FOUND, and what `demands` throws */
  async get(id: string): Promise<SigningEvent> {
    return await this.#standing(readKept(await this.#document(id)));
  }

  /**
   * Adds signatures. Each must be valid and of a key that counts for its part.
   *
   * @throws AdmissionError NOT_FOUND, SUBMISSION_UNSIGNED, SUBMISSION_STALE when the event is over
   * @throws StoreError STORE_CONFLICT when many sign at the same moment: try again
   */
  async sign(id: string, signatures: readonly PartSignature[]): Promise<SigningEvent> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const document = await this.#document(id);
      const kept = readKept(document);
      if (kept.publication !== undefined || kept.expires <= this.#options.clock()) {
        throw new AdmissionError('SUBMISSION_STALE', 'Signing: the event is over', { detail: { event: id } });
      }
      const demands = await this.#options.demands(kept.submission);
      for (const signature of signatures) this.#requireCounting(kept.submission, demands, signature);
      const signed = { ...kept, submission: withAll(kept.submission, signatures) };
      if (await this.#put(document, signed)) return await this.#standing(signed);
    }
    throw new StoreError('STORE_CONFLICT', 'Signing: others sign at the same moment');
  }

  /** Notes that the event was published. */
  async conclude(id: string, publication: number): Promise<void> {
    const document = await this.#document(id);
    await this.#put(document, { ...readKept(document), publication });
  }

  /** Takes an open event away. @throws AdmissionError NOT_FOUND, FORBIDDEN for another account's */
  async withdraw(id: string, account: string): Promise<void> {
    const document = await this.#document(id);
    if (readKept(document).account !== account) {
      throw new AdmissionError('FORBIDDEN', 'Withdrawing a signing event: another account opened it');
    }
    await this.#options.ledger.putDocument(KIND, id, document.revision, undefined);
  }

  async #document(id: string): Promise<KeptDocument> {
    const found = await this.#options.ledger.document(KIND, id);
    if (found !== undefined) return found;
    throw new AdmissionError('NOT_FOUND', 'Looking up the signing event: there is none of this id', {
      detail: { event: id.slice(0, 80), next: 'Look at what waits for signatures: `countersign sign`' },
    });
  }

  async #put(document: KeptDocument, kept: Kept): Promise<boolean> {
    return await this.#options.ledger.putDocument(KIND, document.id, document.revision, JSON.stringify(kept));
  }

  async #standing(kept: Kept): Promise<SigningEvent> {
    const demands = kept.publication === undefined ? await this.#options.demands(kept.submission) : [];
    const parts = demands.map(({ part, authorities }) => {
      const { message, signatures } = this.#opened(kept.submission, part);
      const thresholds = authorities.map((authority) =>
        driveCrypto(tallySignatures(message, signatures, authority), this.#options.crypto),
      );
      return { part, thresholds, met: thresholds.every(({ met }) => met) };
    });
    return { ...kept, parts, complete: kept.publication !== undefined || parts.every(({ met }) => met) };
  }

  #opened(submission: SignableSubmission, part: string): { message: Uint8Array; signatures: readonly Signature[] } {
    try {
      const role = submission.roles.find((one) => one.role === part);
      if (role !== undefined) return openEnvelope(utf8(role.file), part);
      const statement = submission.decisions[decisionAt(part)];
      if (statement !== undefined) return openStatement(utf8(statement), this.#options.statementType, part);
    } catch (error) {
      if (!isTufError(error)) throw error;
      throw new AdmissionError('SUBMISSION_INVALID', error.message, { detail: error.detail, cause: error });
    }
    throw new AdmissionError('SUBMISSION_INVALID', 'Reading a signing event: it has no such part', {
      detail: { part: part.slice(0, 200) },
    });
  }

  #requireCounting(submission: SignableSubmission, demands: readonly Demand[], signature: PartSignature): void {
    const { part, keyId } = signature;
    const authorities = demands.find((demand) => demand.part === part)?.authorities ?? [];
    const { message } = this.#opened(submission, part);
    const counts = authorities.some(
      (authority) =>
        driveCrypto(tallySignatures(message, [signature], authority), this.#options.crypto).signed.length > 0,
    );
    if (counts) return;
    throw new AdmissionError(
      'SUBMISSION_UNSIGNED',
      `Signing ${part.slice(0, 200)}: this key or signature does not count for it`,
      {
        detail: { part: part.slice(0, 200), keyId: keyId.slice(0, 80), owners: owners(authorities) },
      },
    );
  }
}

interface Kept {
  readonly id: string;
  readonly title: string;
  readonly account: string;
  readonly opened: Instant;
  readonly expires: Instant;
  readonly submission: SignableSubmission;
  readonly publication: number | undefined;
}

/** The name of the n-th decision, counted from 0, as a part. */
export function decisionPart(index: number): string {
  return `decision ${index + 1}`;
}

function decisionAt(part: string): number {
  return Number(/^decision (\d{1,4})$/.exec(part)?.[1] ?? 0) - 1;
}

function withAll(submission: SignableSubmission, signatures: readonly PartSignature[]): SignableSubmission {
  const of = (part: string): readonly PartSignature[] => signatures.filter((signature) => signature.part === part);
  const roles = submission.roles.map(({ role, file }) => ({
    role,
    file: textOf(withSignatures(utf8(file), role, of(role))),
  }));
  const decisions = submission.decisions.map((text, index) => {
    const part = decisionPart(index);
    return of(part).length === 0 ? text : textOf(withStatementSignatures(utf8(text), part, of(part)));
  });
  return { ...submission, roles, decisions };
}

function owners(authorities: readonly Authority[]): readonly KeyId[] {
  return [...new Set(authorities.flatMap(({ role }) => role.keyIds))];
}

function textOf(bytes: Uint8Array): string {
  return utf8Text(bytes) ?? '';
}

/** Reads a document of our own. @throws StoreError STORE_CORRUPT */
function readKept({ id, text }: KeptDocument): Kept {
  try {
    return JSON.parse(text) as Kept;
  } catch (cause) {
    throw new StoreError('STORE_CORRUPT', `Reading signing event ${id}: it is damaged`, { cause });
  }
}

const KIND = 'signing-event';
const LIFE = days(30);
const MAX_TITLE = 200;
// In characters, like the largest role that admission takes.
const MAX_EVENT = 8_000_000;
const MAX_OPEN = 100;
const MAX_ATTEMPTS = 20;
