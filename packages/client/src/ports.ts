// What a client asks of its runtime: a transport, a place for downloaded
// bytes, and cryptography that can hash a stream. None of them is trusted with
// a decision: bounds, signatures and hashes are checked by client and core.

import type { CryptoPort, HashAlgorithm, Hasher } from '@countersign/core';

/** Gets URLs. */
export interface Transport {
  /**
   * Sends one GET. MUST NOT follow redirects, and MUST give every HTTP status
   * as an answer; only what prevents an answer is an error.
   *
   * @throws TransportError UNREACHABLE, TIMED_OUT
   */
  get(url: string, request: TransportRequest): Promise<TransportResponse>;
}

/** What is asked of a {@link Transport}. */
export interface TransportRequest {
  /** No more of the body than this will be used, in bytes. A hint: the caller stops reading by itself. */
  readonly maxBytes: number;
  /** The caller has done with each piece of the body when it asks for the next one: its memory may be used again. */
  readonly passing?: boolean;
  readonly signal?: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer, whose body may still be on its way. */
export interface TransportResponse {
  readonly status: number;
  /**
   * The body, once. Ending the iteration early (`return()`), even before its
   * first chunk, MUST release the connection. The iteration throws
   * TransportError BODY_CUT when the body ends too early, TIMED_OUT when it is
   * too slow.
   */
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * Where a download goes. Nothing may be visible at the destination before
 * `commit` returns, nor ever after `abort`; `abort` may follow a failed
 * `commit`.
 */
export interface Sink {
  /** The chunk is the sink's only until this resolves: what it keeps longer, it MUST copy. */
  write(chunk: Uint8Array): Promise<void>;
  commit(): Promise<void>;
  abort(): Promise<void>;
}

/** Cryptography for a client: core's, and hashing in pieces. */
export interface ClientCrypto extends CryptoPort {
  hasher(algorithm: HashAlgorithm): Hasher;
}
