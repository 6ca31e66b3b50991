// An object store in memory that can be made to fail, for tests only: whether
// requests are right is for a real server to say (s3.peer.test.ts).

import { createHash } from 'node:crypto';
import type { S3Options } from '../src/s3/index.ts';

/** An object of the fake. */
interface Stored {
  readonly bytes: Uint8Array;
  readonly etag: string;
  readonly headers: Headers;
}

/**
 * What goes wrong with one request: the store breaks before or after it did
 * its part, does it twice, answers too late, or cuts its answer off.
 */
export type Mishap = 'none' | 'unavailable' | 'slow down' | 'lost request' | 'lost answer' | 'twice' | 'silent' | 'cut';

/** A store without a network. */
export class FakeS3 {
  readonly objects = new Map<string, Stored>();
  readonly requests: string[] = [];
  readonly delays: number[] = [];
  /** Stores that ignore conditions exist. */
  keepsConditions: 'all' | 'none' | 'create only' = 'all';
  /** Stores that show what was there before exist. */
  stale = false;
  mishap: (method: string, key: string) => Mishap = () => 'none';

  /** Options for a client of this store. */
  options(prefix = 'main/'): S3Options {
    return {
      endpoint: 'http://objects.test',
      bucket: 'bucket',
      prefix,
      accessKeyId: 'a',
      secretAccessKey: 'b',
      timeoutMillis: 50,
      delay: async (millis) => void this.delays.push(millis),
      fetch: async (request, { signal }) => await this.answer(request, signal),
    };
  }

  private async answer(request: Request, signal: AbortSignal): Promise<Response> {
    const url = new URL(request.url);
    const key = decodeURIComponent(url.pathname.slice('/bucket/'.length));
    this.requests.push(`${request.method} ${key}`);
    const mishap = this.mishap(request.method, key);
    if (mishap === 'unavailable') return failure(503, 'ServiceUnavailable');
    if (mishap === 'slow down') return failure(429, 'SlowDown');
    if (mishap === 'lost request') throw new TypeError('fetch failed');
    const body = new Uint8Array(await request.arrayBuffer());
    const answer = this.perform(request, url, key, body);
    if (mishap === 'twice') return this.perform(request, url, key, body);
    if (mishap === 'lost answer') throw new TypeError('fetch failed');
    if (mishap === 'silent') {
      return await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    }
    return mishap === 'cut' ? await cutOff(answer) : answer;
  }

  private perform(request: Request, url: URL, key: string, body: Uint8Array): Response {
    const { method, headers } = request;
    const present = this.objects.get(key);
    if (method === 'GET' && url.searchParams.has('list-type')) return this.list(url.searchParams);
    if (method === 'PUT') return this.put(key, headers, body);
    if (method === 'DELETE') {
      this.objects.delete(key);
      return new Response(null, { status: 204 });
    }
    if (present === undefined) return failure(404, 'NoSuchKey');
    const wanted = headers.get('if-match');
    if (wanted !== null && wanted !== present.etag) return failure(412, 'PreconditionFailed');
    const from = Number(/^bytes=(\d+)-$/.exec(headers.get('range') ?? '')?.[1] ?? 0);
    const given = new Headers(present.headers);
    given.set('etag', present.etag);
    given.set('content-length', String(present.bytes.length - from));
    const shown = method === 'HEAD' ? null : Buffer.from(present.bytes.subarray(from));
    return new Response(shown, { status: from === 0 ? 200 : 206, headers: given });
  }

  private put(key: string, headers: Headers, body: Uint8Array): Response {
    const present = this.objects.get(key);
    const [create, replace] = [headers.get('if-none-match'), headers.get('if-match')];
    if (this.keepsConditions !== 'none') {
      if (create === '*' && present !== undefined) return failure(412, 'PreconditionFailed');
    }
    if (this.keepsConditions === 'all' && replace !== null) {
      if (present === undefined) return failure(404, 'NoSuchKey');
      if (present.etag !== replace) return failure(412, 'PreconditionFailed');
    }
    const source = headers.get('x-amz-copy-source');
    const copied = source === null ? undefined : this.objects.get(decodeURIComponent(source.slice('/bucket/'.length)));
    if (source !== null && copied === undefined) return failure(404, 'NoSuchKey');
    const bytes = copied?.bytes ?? body;
    const etag = `"${createHash('md5').update(bytes).digest('hex')}"`;
    const kept = new Headers([...headers].filter(([name]) => /^(?:content-type|cache-control|x-amz-meta-)/.test(name)));
    if (!this.stale || present === undefined) this.objects.set(key, { bytes, etag, headers: kept });
    return new Response(copied === undefined ? '' : '<CopyObjectResult/>', { headers: { etag } });
  }

  private list(query: URLSearchParams): Response {
    const after = query.get('continuation-token') ?? '';
    const keys = [...this.objects.keys()]
      .filter((key) => key.startsWith(query.get('prefix') ?? '') && key > after)
      .sort();
    const page = keys.slice(0, LIST_PAGE);
    const more = keys.length > page.length;
    const contents = page.map(
      (key) =>
        `<Contents><Key>${key.replaceAll('&', '&amp;')}</Key><Size>${this.objects.get(key)?.bytes.length}</Size><LastModified>2030-01-01T00:00:00.000Z</LastModified></Contents>`,
    );
    const next = more ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : '';
    return new Response(
      `<ListBucketResult><IsTruncated>${more}</IsTruncated>${next}${contents.join('')}</ListBucketResult>`,
    );
  }
}

function failure(status: number, code: string): Response {
  return new Response(`<Error><Code>${code}</Code></Error>`, { status });
}

/** An answer whose body breaks in the middle. */
async function cutOff(answer: Response): Promise<Response> {
  const bytes = new Uint8Array(await answer.arrayBuffer());
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      if (bytes.length > 1) controller.enqueue(bytes.subarray(0, bytes.length >> 1));
    },
    pull(controller) {
      controller.error(new TypeError('terminated'));
    },
  });
  return new Response(bytes.length > 0 ? body : null, { status: answer.status, headers: answer.headers });
}

const LIST_PAGE = 100;
