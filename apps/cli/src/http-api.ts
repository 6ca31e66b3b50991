// Talking to the service: blobs and submissions go up, answers come back. The
// service's word decides nothing here: what is true is learnt by a verifying
// client. A refusal comes back as the error it was, by its code.

import * as http from 'node:http';
import * as https from 'node:https';
import { errorOf, isCode, TransportError } from '@countersign/core';
import type { SignableSubmission, SigningEvent } from '@countersign/repository';

/** The service of one collection, as author tools and operators use it. */
export interface ServiceApi {
  /** What the service says of the collection. For people, not for decisions. */
  status(): Promise<Readonly<Record<string, unknown>>>;
  /**
   * Uploads a blob. Tells whether it was there already.
   *
   * @param onProgress told the bytes sent so far
   */
  putBlob(blob: Upload, onProgress?: (sent: number) => void): Promise<{ readonly existed: boolean }>;
  /** Submits and waits until clients can see it. @throws the refusal */
  submit(text: string): Promise<Receipt>;
  /** Unclaimed names that nothing was published for in so many days, by the service's word. */
  idleNames(days: number): Promise<readonly string[]>;
  /** Opens a signing event for a submission that more people must sign. @throws the refusal */
  openEvent(submission: SignableSubmission, title: string): Promise<EventAnswer>;
  /** The signing events that are open. */
  events(): Promise<readonly EventAnswer[]>;
  event(id: string): Promise<EventAnswer>;
  /** Adds signatures; where they are the last ones, publishes. @throws the refusal */
  signEvent(
    id: string,
    signatures: readonly { readonly part: string; readonly keyid: string; readonly sig: string }[],
  ): Promise<EventAnswer>;
}

/** A signing event as the service tells of it. */
export interface EventAnswer {
  readonly id: string;
  readonly title: string;
  readonly account: string;
  readonly expires: string;
  readonly submission: SignableSubmission;
  readonly parts: SigningEvent['parts'];
  readonly complete: boolean;
  readonly publication: number | null;
}

/** Bytes to upload, and their SHA-256 in hexadecimal. */
export interface Upload {
  readonly sha256: string;
  readonly length: number;
  read(): AsyncIterable<Uint8Array>;
}

/** The answer to a submission that is published. */
export interface Receipt {
  readonly submission: string;
  readonly publication: number;
  /** The repository's signed word that it has the decisions: each the text of a statement. */
  readonly receipts: readonly string[];
}

/**
 * The service behind a collection's base URL.
 *
 * @param url such as `http://127.0.0.1:7410/main`
 * @param token asked for when it is needed
 * @example await serviceApi('http://127.0.0.1:7410/main', async () => token).submit(text);
 */
export function serviceApi(url: string, token: () => Promise<string>): ServiceApi {
  const slash = url.lastIndexOf('/');
  const base = `${url.slice(0, slash)}/api/v1/${url.slice(slash + 1)}`;
  const authorization = async (): Promise<string> => `Bearer ${await token()}`;
  const post = async (path: string, text: string): Promise<Answer['body']> => {
    const bytes = Buffer.from(text);
    const headers = {
      authorization: await authorization(),
      'content-type': 'application/json',
      'content-length': String(bytes.length),
    };
    return (await request('POST', base + path, headers, [bytes])).body;
  };
  return {
    async status() {
      const { body } = await request('GET', base, {});
      return body;
    },
    async putBlob(blob, onProgress) {
      const headers = {
        authorization: await authorization(),
        'content-type': 'application/octet-stream',
        'content-length': String(blob.length),
      };
      const { status } = await request(
        'PUT',
        `${base}/blobs/${blob.sha256}`,
        headers,
        counted(blob.read(), onProgress),
      );
      return { existed: status === 200 };
    },
    async idleNames(days) {
      const { body } = await request('GET', `${base}/idle?days=${days}`, { authorization: await authorization() });
      return listIn(body, 'names').map((one) => `${String(one['ecosystem'])}/${String(one['name'])}`);
    },
    async openEvent(submission, title) {
      return eventOf(await post('/signing-events', JSON.stringify({ title, submission })));
    },
    async events() {
      const { body } = await request('GET', `${base}/signing-events`, { authorization: await authorization() });
      return listIn(body, 'events').map(eventOf);
    },
    async event(id) {
      const url = `${base}/signing-events/${encodeURIComponent(id)}`;
      return eventOf((await request('GET', url, { authorization: await authorization() })).body);
    },
    async signEvent(id, signatures) {
      return eventOf(
        await post(`/signing-events/${encodeURIComponent(id)}/signatures`, JSON.stringify({ signatures })),
      );
    },
    async submit(text) {
      const body = await post('/submissions', text);
      const publication = objectIn(body, 'publication')['number'];
      const { receipts } = body;
      return {
        submission: String(body['submission']),
        publication: typeof publication === 'number' ? publication : 0,
        receipts: Array.isArray(receipts) ? receipts.map(String) : [],
      };
    },
  };
}

/** Reads an event. Members that are missing read as nothing: what is signed is looked at by itself. */
function eventOf(body: Readonly<Record<string, unknown>>): EventAnswer {
  const submission = objectIn(body, 'submission');
  const publication = body['publication'];
  return {
    id: String(body['id']),
    title: String(body['title']),
    account: String(body['account']),
    expires: String(body['expires']),
    submission: {
      roles: listIn(submission, 'roles').map((one) => ({ role: String(one['role']), file: String(one['file']) })),
      decisions: Array.isArray(submission['decisions']) ? submission['decisions'].map(String) : [],
    },
    parts: listIn(body, 'parts').map((part) => ({
      part: String(part['part']),
      met: part['met'] === true,
      thresholds: listIn(part, 'thresholds').map((one) => ({
        threshold: Number(one['threshold']),
        signed: Array.isArray(one['signed']) ? one['signed'].map(String) : [],
        missing: Array.isArray(one['missing']) ? one['missing'].map(String) : [],
        met: one['met'] === true,
      })),
    })),
    complete: body['complete'] === true,
    publication: typeof publication === 'number' ? publication : null,
  };
}

function listIn(body: Readonly<Record<string, unknown>>, name: string): readonly Readonly<Record<string, unknown>>[] {
  const value = body[name];
  if (!Array.isArray(value)) return [];
  return value.flatMap((one) => (typeof one === 'object' && one !== null ? [{ ...one }] : []));
}

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

async function request(
  method: string,
  url: string,
  headers: Readonly<Record<string, string>>,
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array> = [],
): Promise<Answer> {
  const { status, text } = await exchange(method, url, headers, content);
  const body = parse(text);
  if (status >= 200 && status < 300 && body !== undefined) return { status, body };
  const { code, error, detail } = body ?? {};
  if (typeof code === 'string' && isCode(code)) {
    throw errorOf(code, typeof error === 'string' ? error : `Asking ${url}`, { detail: factsOf(detail) });
  }
  throw new TransportError('STATUS_UNEXPECTED', `Asking ${url}: it answered with status ${status}`, {
    detail: { url, status },
  });
}

/** One request. An answer that comes while the body is still on its way up counts: it says why. */
async function exchange(
  method: string,
  url: string,
  headers: Readonly<Record<string, string>>,
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<{ status: number; text: string }> {
  const { request: open } = url.startsWith('https:') ? https : http;
  const sending = open(url, { method, headers: { accept: 'application/json', ...headers }, timeout: IDLE_MS });
  const answer = new Promise<{ status: number; text: string }>((resolve, reject) => {
    sending.on('timeout', () => sending.destroy(new Error('no answer in time')));
    sending.on('error', (cause) => reject(unreachable(url, cause)));
    sending.on('response', (response) => {
      readText(response).then(
        (text) => resolve({ status: response.statusCode ?? 0, text }),
        (cause: unknown) => reject(unreachable(url, cause)),
      );
    });
  });
  answer.catch(() => {}); // awaited below; it may fail while the body is being sent
  for await (const chunk of content) {
    if (sending.destroyed || sending.closed) break;
    if (!sending.write(chunk))
      await new Promise<void>((resolve) => {
        sending.once('drain', resolve);
        sending.once('close', resolve);
      });
  }
  sending.end();
  return await answer;
}

async function readText(response: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response) {
    length += chunk.length;
    if (length > MAX_ANSWER) throw new Error('the answer is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function unreachable(url: string, cause: unknown): TransportError {
  const { origin } = new URL(url);
  const reason =
    cause instanceof Error && 'code' in cause ? String(cause.code) : cause instanceof Error ? cause.message : '';
  const problem = reason === 'ECONNREFUSED' ? 'nothing listens there' : `the connection failed (${reason})`;
  return new TransportError('UNREACHABLE', `Asking the service at ${origin}: ${problem}`, {
    detail: { url: origin },
    cause,
  });
}

async function* counted(
  content: AsyncIterable<Uint8Array>,
  onProgress: ((sent: number) => void) | undefined,
): AsyncGenerator<Uint8Array> {
  let sent = 0;
  for await (const chunk of content) {
    yield chunk;
    sent += chunk.length;
    onProgress?.(sent);
  }
}

function parse(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined; // judged by status
  }
}

function objectIn(body: Readonly<Record<string, unknown>>, name: string): Readonly<Record<string, unknown>> {
  const value = body[name];
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function factsOf(detail: unknown): Readonly<Record<string, string | number | boolean | readonly string[]>> {
  const facts: Record<string, string | number | boolean | readonly string[]> = {};
  if (typeof detail !== 'object' || detail === null) return facts;
  for (const [name, value] of Object.entries(detail)) {
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') facts[name] = value;
    else if (Array.isArray(value)) facts[name] = value.map(String);
  }
  return facts;
}

const IDLE_MS = 60_000;
// A signing event brings what is to be signed.
const MAX_ANSWER = 16 * 1024 * 1024;
