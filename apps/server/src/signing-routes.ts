// Signing events over HTTP: open one, look at it, add a signature. When nobody
// is missing any more it is submitted, and the answer says what became of it.

import { AdmissionError, hexBytes } from '@countersign/core';
import type { Repository, SignableSubmission, SigningEvent, SigningEvents } from '@countersign/repository';
import { submissionText } from '@countersign/repository';
import type { FastifyInstance, FastifyRequest } from 'fastify';

/** What the routes work with. */
export interface SigningDesk {
  readonly events: SigningEvents;
  readonly repository: Pick<Repository, 'submit'>;
  /** The account behind a request's token. @throws AdmissionError UNAUTHENTICATED */
  readonly accountOf: (request: FastifyRequest) => Promise<string>;
}

/** Adds the routes below a collection's prefix. Bodies arrive as text. */
export function addSigningRoutes(api: FastifyInstance, desk: SigningDesk): void {
  const { events, accountOf } = desk;
  api.post('/signing-events', async (request, reply) => {
    const account = await accountOf(request);
    const { title, submission } = bodyOf(request);
    const opened = await events.open(submissionOf(submission), typeof title === 'string' ? title : '', account);
    return await reply.code(201).send(await settled(desk, opened));
  });
  api.get('/signing-events', async (request) => {
    await accountOf(request);
    return { events: (await events.list()).map(shown) };
  });
  api.get<{ Params: { id: string } }>('/signing-events/:id', async (request) => {
    await accountOf(request);
    return shown(await events.get(request.params.id));
  });
  api.post<{ Params: { id: string } }>('/signing-events/:id/signatures', async (request) => {
    await accountOf(request);
    const { signatures } = bodyOf(request);
    return await settled(desk, await events.sign(request.params.id, signaturesOf(signatures)));
  });
  api.delete<{ Params: { id: string } }>('/signing-events/:id', async (request, reply) => {
    await events.withdraw(request.params.id, await accountOf(request));
    return await reply.code(204).send();
  });
}

/** Submits an event that is complete; waits until clients can see it. */
async function settled({ events, repository }: SigningDesk, event: SigningEvent): Promise<object> {
  if (!event.complete || event.publication !== undefined) return shown(event);
  const { published } = await repository.submit(submissionText(event.submission));
  const { number } = await published;
  await events.conclude(event.id, number);
  return shown({ ...event, publication: number });
}

function shown({ opened, expires, publication, ...event }: SigningEvent): object {
  return {
    ...event,
    opened: new Date(opened).toISOString(),
    expires: new Date(expires).toISOString(),
    publication: publication ?? null,
  };
}

function bodyOf(request: FastifyRequest): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = typeof request.body === 'string' ? JSON.parse(request.body) : undefined;
    if (typeof value === 'object' && value !== null) return { ...value };
  } catch {
    // refused below
  }
  throw invalid('the request is not a JSON object');
}

function submissionOf(value: unknown): SignableSubmission {
  const { roles, decisions } =
    typeof value === 'object' && value !== null ? { roles: [], decisions: [], ...value } : {};
  if (!Array.isArray(roles) || !Array.isArray(decisions)) throw invalid('it holds no submission');
  return {
    roles: roles.map((one: unknown) => {
      const { role, file } =
        typeof one === 'object' && one !== null ? { role: undefined, file: undefined, ...one } : {};
      if (typeof role !== 'string' || typeof file !== 'string') throw invalid('a role is not well formed');
      return { role, file };
    }),
    decisions: decisions.map((one: unknown) => {
      if (typeof one !== 'string') throw invalid('a decision is not a text');
      return one;
    }),
  };
}

function signaturesOf(value: unknown): Parameters<SigningEvents['sign']>[1] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_SIGNATURES)
    throw invalid('it holds no signatures');
  return value.map((one: unknown) => {
    const { part, keyid, sig } =
      typeof one === 'object' && one !== null ? { part: undefined, keyid: undefined, sig: undefined, ...one } : {};
    const bytes = typeof sig === 'string' ? hexBytes(sig) : undefined;
    if (typeof part !== 'string' || typeof keyid !== 'string' || bytes === undefined) {
      throw invalid('a signature is not well formed');
    }
    return { part, keyId: keyid, bytes };
  });
}

function invalid(problem: string): AdmissionError {
  return new AdmissionError('SUBMISSION_INVALID', `Reading a signing event: ${problem}`);
}

const MAX_SIGNATURES = 10_000;
