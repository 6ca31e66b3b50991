// Requests to an S3-compatible object store, signed, one key at a time, the
// bucket addressed by path. What fails on the way, by time, by the network or
// by the store's own fault, is tried again; so every request made here may be
// carried out twice, and callers only make such that may.

import { createHash } from 'node:crypto';
import { isTufError, StoreError } from '@countersign/core';
import { AwsClient } from 'aws4fetch';

/** Where objects are kept and who may write them. */
export interface S3Options {
  /** Such as `https://s3.example.org`. */
  readonly endpoint: string;
  readonly bucket: string;
  /** In front of every key, such as `main/`; a collection has one of its own. */
  readonly prefix?: string;
  readonly region?: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** How long a small request may take. */
  readonly timeoutMillis?: number;
  /** Waits between two tries. */
  readonly delay?: (millis: number) => Promise<void>;
  readonly fetch?: (request: Request, init: { readonly signal: AbortSignal }) => Promise<Response>;
}

/** What to ask of the store. */
export interface S3Request {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'DELETE';
  /** Without the prefix; of the bucket itself when `undefined`. */
  readonly key: string | undefined;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: { readonly content: Uint8Array | Blob; readonly length: number; readonly sha256: string };
  /** Statuses that are answers; any other is a failure. */
  readonly accept: readonly number[];
}

/** An answer with its whole body. */
export interface S3Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/** A bucket, or a part of one. */
export class S3Client {
  readonly prefix: string;
  private readonly aws: AwsClient;
  private readonly bucket: string;
  private readonly timeoutMillis: number;
  private readonly delay: (millis: number) => Promise<void>;
  private readonly fetch: NonNullable<S3Options['fetch']>;

  constructor(options: S3Options) {
    const { endpoint, bucket, prefix = '', region = 'us-east-1', accessKeyId, secretAccessKey, sessionToken } = options;
    this.prefix = prefix;
    this.bucket = `${endpoint.replace(/\/+$/, '')}/${bucket}`;
    this.timeoutMillis = options.timeoutMillis ?? 15_000;
    this.delay = options.delay ?? wait;
    this.fetch = options.fetch ?? ((request, init) => fetch(request, init));
    const keys = { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) };
    this.aws = new AwsClient({ ...keys, region, service: 's3', retries: 0 });
  }

  /** Asks, and reads the whole answer. @throws StoreError STORE_READ, STORE_WRITE */
  async ask(request: S3Request): Promise<S3Answer> {
    return await this.persist(request, async () => {
      // A hundred kilobytes a second are slow, but not dead.
      const time = this.timeoutMillis + Math.ceil((request.body?.length ?? 0) / 100);
      const response = await this.send(request, AbortSignal.timeout(time));
      const body = new Uint8Array(await response.arrayBuffer());
      const answer = { status: response.status, headers: response.headers, body };
      this.check(request, answer);
      return answer;
    });
  }

  /** The content of an object; goes on where it was when the way there breaks. @throws StoreError STORE_READ */
  async *read(key: string): AsyncGenerator<Uint8Array, void> {
    let at = 0;
    let etag: string | undefined;
    let length: number | undefined;
    for (let failures = 0; ; ) {
      const headers = at === 0 ? {} : { range: `bytes=${at}-`, 'if-match': etag ?? '' };
      const request: S3Request = { method: 'GET', key, headers, accept: at === 0 ? [200] : [206] };
      const silence = new AbortController();
      try {
        const response = await this.persist(request, async () => {
          const begun = await this.within(silence, this.send(request, silence.signal));
          if (!request.accept.includes(begun.status)) {
            const body = new Uint8Array(await this.within(silence, begun.arrayBuffer()));
            this.check(request, { status: begun.status, headers: begun.headers, body });
          }
          return begun;
        });
        etag ??= response.headers.get('etag') ?? undefined;
        length ??= Number(response.headers.get('content-length') ?? Number.NaN);
        const chunks = response.body?.getReader();
        for (;;) {
          const next = await this.within(silence, chunks?.read() ?? Promise.resolve(undefined));
          if (next === undefined || next.done) break;
          at += next.value.length;
          yield next.value;
        }
        if (Number.isNaN(length) || at === length) return;
        throw new Trouble('it ended too early');
      } catch (error) {
        if (isTufError(error)) throw error;
        if (at === length) return;
        if (++failures >= TRIES) throw failureOf(request, error);
        await this.delay(delayAfter(failures));
      } finally {
        silence.abort(); // also when the reader has had enough
      }
    }
  }

  /** What a source of a copy is called. */
  sourceOf(key: string): string {
    return `${new URL(this.bucket).pathname}/${encodedKey(this.prefix + key)}`;
  }

  /** Fails what is silent for too long. */
  private async within<T>(silence: AbortController, step: Promise<T>): Promise<T> {
    const timer = setTimeout(() => silence.abort(), this.timeoutMillis);
    try {
      return await step;
    } finally {
      clearTimeout(timer);
    }
  }

  private async persist<T>(request: S3Request, once: () => Promise<T>): Promise<T> {
    for (let failures = 1; ; failures++) {
      try {
        return await once();
      } catch (error) {
        if (isTufError(error)) throw error;
        if (failures >= TRIES) throw failureOf(request, error);
        await this.delay(delayAfter(failures));
      }
    }
  }

  private async send(
    { method, key, query = {}, headers = {}, body }: S3Request,
    signal: AbortSignal,
  ): Promise<Response> {
    const url = new URL(key === undefined ? this.bucket : `${this.bucket}/${encodedKey(this.prefix + key)}`);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const signed = await this.aws.sign(url.href, {
      method,
      headers: { ...headers, 'x-amz-content-sha256': body?.sha256 ?? EMPTY_SHA256 },
      ...(body !== undefined && { body: body.content }),
    });
    return await this.fetch(signed, { signal });
  }

  /** @throws StoreError when asking again would not help, else Trouble */
  private check(request: S3Request, { status, body }: S3Answer): void {
    const code = status >= 300 || body.length < 10_000 ? errorCodeIn(body) : undefined;
    // A copy may begin with 200 and then fail.
    if (request.accept.includes(status) && !(status === 200 && request.method === 'PUT' && code !== undefined)) return;
    const reason = code ?? `status ${status}`;
    const trouble = new Trouble(reason);
    if (status >= 500 || status === 200 || status === 429 || status === 408 || TRY_AGAIN.includes(reason))
      throw trouble;
    throw failureOf(request, trouble);
  }
}

/** A failure that may pass. */
class Trouble extends Error {}

/** The SHA-256 of bytes, as the store wants it. */
export function bodyOf(content: Uint8Array): NonNullable<S3Request['body']> {
  return { content, length: content.length, sha256: createHash('sha256').update(content).digest('hex') };
}

/** Does something for each item, a few at a time. */
export async function forEachOf<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const left = items.values();
  const worker = async (): Promise<void> => {
    for (const item of left) await act(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

function failureOf({ method, key }: S3Request, error: unknown): StoreError {
  const reading = method === 'GET' || method === 'HEAD';
  const reason = error instanceof Trouble ? error.message : reasonOf(error);
  const doing = reading ? 'Reading from' : 'Writing to';
  return new StoreError(reading ? 'STORE_READ' : 'STORE_WRITE', `${doing} the object store: ${reason}`, {
    detail: { key: key ?? '', reason },
    cause: error,
  });
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'no answer';
  if (error.name === 'TimeoutError' || error.name === 'AbortError') return 'no answer in time';
  const { cause } = error;
  return cause instanceof Error && 'code' in cause ? String(cause.code) : 'no answer';
}

function errorCodeIn(body: Uint8Array): string | undefined {
  return /<Error>.*?<Code>(\w+)<\/Code>/s.exec(new TextDecoder().decode(body.subarray(0, 10_000)))?.[1];
}

// As the signature wants it: everything but unreserved characters and `/`.
function encodedKey(key: string): string {
  return key
    .split('/')
    .map((segment) =>
      encodeURIComponent(segment).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`),
    )
    .join('/');
}

function delayAfter(failures: number): number {
  return FIRST_DELAY_MILLIS * 2 ** (failures - 1);
}

async function wait(millis: number): Promise<void> {
  // Not all at the same moment, when many fail together.
  await new Promise((resolve) => setTimeout(resolve, millis * (0.5 + Math.random())));
}

const TRIES = 6;
const FIRST_DELAY_MILLIS = 100;
const AT_ONCE = 16;
const EMPTY_SHA256 = createHash('sha256').digest('hex');
/** What stores answer with another status than 5xx, and mean that one should ask again. */
const TRY_AGAIN: readonly string[] = ['RequestTimeout', 'ConditionalRequestConflict', 'OperationAborted', 'SlowDown'];
