// A submission on its way through the engine, and what its sender holds
// meanwhile: a receipt once it is in the journal, the publication once clients
// can see it. Decides nothing.

import type { Waiting } from './plan.ts';

/** What made a submission visible. */
export interface Publication {
  readonly number: number;
  readonly snapshot: number;
  readonly timestamp: number;
}

/** What a submission's sender gets at once. */
export interface Receipt {
  /** `undefined` when nothing was to be done: what was sent is what clients see already. */
  readonly id: string | undefined;
  /** Resolves once clients can see it; rejects with the refusal or the fault. */
  readonly published: Promise<Publication>;
  /** A signed receipt for each decision that it holds, in order. Empty while the key for them is out of reach. */
  readonly receipts: readonly string[];
}

/** A submission between its sender and its outcome. */
export interface Incoming extends Waiting {
  readonly received: number;
  /** Resolves when it is in the journal. */
  readonly receipt: Promise<Receipt>;
  /** It is in the journal now. */
  accept(receipts: readonly string[]): void;
  readonly resolve: (publication: Publication) => void;
  readonly reject: (error: unknown) => void;
  journaled: boolean;
  /** Whether the ledger holds an outcome. */
  decided: boolean;
}

/** Takes a submission in that comes now, or that is in the journal already. */
export function incomingOf(
  { id, text, submission, received }: Waiting & { readonly received: number },
  since: 'new' | 'journaled',
): Incoming {
  const published = promised<Publication>();
  const receipt = promised<Receipt>();
  const incoming: Incoming = {
    id,
    text,
    submission,
    received,
    receipt: receipt.promise,
    journaled: false,
    decided: false,
    accept(receipts) {
      incoming.journaled = true;
      receipt.resolve({ id, published: published.promise, receipts });
    },
    resolve: published.resolve,
    reject(error) {
      receipt.reject(error);
      published.reject(error);
    },
  };
  if (since === 'journaled') incoming.accept([]);
  return incoming;
}

interface Promised<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

function promised<T>(): Promised<T> {
  let resolve!: Promised<T>['resolve'];
  let reject!: Promised<T>['reject'];
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  promise.catch(() => undefined); // its holder may not wait for it
  return { promise, resolve, reject };
}
