// The HTTP service: static metadata and targets for everybody, submissions for
// holders of a token. It judges nothing itself: the repository does, and the
// table of codes says which status a refusal becomes. What it serves needs no
// service at all: any static web server over the site folders would do.

import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { nodeCrypto } from '@countersign/client/node';
import {
  AdmissionError,
  days,
  type Instant,
  isCode,
  isTufError,
  nextStepOf,
  type Project,
  rowOf,
  TransportError,
  type TufError,
  targetPathOf,
  targetUrl,
  UsageError,
  writeInstant,
} from '@countersign/core';
import { DECISION_TYPE, stateOf } from '@countersign/decisions';
import { ecosystemOf } from '@countersign/ecosystems';
import { type Publication, SigningEvents } from '@countersign/repository';
import fastifyStatic from '@fastify/static';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { type OpenCollection, tokenHash } from './collection-folder.ts';
import { ExpiryAlarm, type ExpiryEvent, expiryReport } from './expiry.ts';
import type { Health, HealthEvent } from './health.ts';
import { MetadataFiles, metadataServer, routeMetadata } from './metadata-files.ts';
import { addSigningRoutes } from './signing-routes.ts';
import { StoredMetadata, siteFailure } from './stored-site.ts';

/** A collection that the service could not open. The others are served. */
export interface UnservedEvent {
  readonly event: 'unserved';
  readonly collection: string;
  readonly code: string;
  readonly message: string;
}

/** What happened, for the operator's log. Never carries a token or a body. */
export type ServerEvent =
  | { readonly event: 'listening'; readonly url: string }
  | ExpiryEvent
  | HealthEvent
  | UnservedEvent
  | {
      readonly event: 'refused';
      readonly status: number;
      readonly code: string;
      readonly message: string;
      readonly path: string;
    }
  | { readonly event: 'fault'; readonly message: string; readonly path: string };

/** What {@link startServer} is given. */
export interface ServerOptions {
  readonly collections: readonly OpenCollection[];
  /** Collections that could not be opened: whoever asks for them is told that they cannot be reached. */
  readonly unserved?: readonly UnservedEvent[];
  readonly host?: string;
  /** 0 picks a free one. */
  readonly port?: number;
  readonly log?: (event: ServerEvent) => void;
  /** Default: the system's clock. */
  readonly clock?: () => Instant;
  /** How often renewals are looked for, in milliseconds; 0 never. */
  readonly renewEvery?: number;
  /** How often what is wrong is tried again, in milliseconds. */
  readonly retryEvery?: number;
}

/** A running service. */
export interface Server {
  readonly url: string;
  readonly port: number;
  /** Stops taking requests, finishes publications under way, closes the ledgers. */
  close(): Promise<void>;
}

/**
 * Starts the service.
 *
 * @example const server = await startServer({ collections: [await openCollectionFolder(…)], port: 7410 });
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { collections, host = '127.0.0.1', port = 7410, log, clock = Date.now, unserved = [] } = options;
  const { renewEvery = RENEW_EVERY, retryEvery = RETRY_EVERY } = options;
  const metadata = new Map(
    collections.map(({ name, store }) => [
      name,
      store.siteFolder === undefined
        ? new StoredMetadata(store)
        : new MetadataFiles(join(store.siteFolder, 'metadata')),
    ]),
  );
  const app = fastify({
    serverFactory: (route) => metadataServer(metadata, route),
    bodyLimit: MAX_SUBMISSION_BYTES,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 1000 },
    // What cannot even be routed, such as a path that does not decode.
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply, log),
  });
  app.setErrorHandler((error, request, reply) => answerError(error, request, reply, log));
  app.setNotFoundHandler(() => {
    throw new AdmissionError('NOT_FOUND', 'Looking up the address: there is nothing');
  });
  app.get('/health', async () => healthOf(collections, unserved));
  await app.register(fastifyStatic, {
    // Never looked into: each answer names its own folder.
    root: tmpdir(),
    // The routes below decode a path once and check it.
    serve: false,
    index: false,
    // The digest is part of the name: the content under it never changes.
    immutable: true,
    maxAge: '365d',
    dotfiles: 'allow',
  });
  for (const [name, files] of metadata) routeMetadata(app, `/${name}/metadata`, files);
  for (const collection of collections) await addCollection(app, collection, clock);
  for (const event of unserved) {
    refuseAll(app, event.collection);
    log?.(event);
  }
  await app.listen({ host, port });
  const alarm = new ExpiryAlarm();
  const tell = ({ name, health }: OpenCollection): void => {
    for (const event of health.news(name)) log?.(event);
  };
  const renew = (): void => {
    for (const collection of collections) {
      const { repository, health } = collection;
      void health.check(repository).then(() => tell(collection));
      for (const event of alarm.due(repository.status(), clock())) log?.(event);
    }
  };
  const retry = (): void => {
    for (const collection of collections) {
      tell(collection);
      if (collection.health.trouble === undefined) continue;
      void collection.health.check(collection.repository).then(() => tell(collection));
    }
  };
  const timers = renewEvery > 0 ? [setInterval(renew, renewEvery), setInterval(retry, retryEvery)] : [];
  for (const timer of timers) timer.unref();
  renew();
  const address = app.server.address();
  const bound = typeof address === 'object' && address !== null ? address.port : port;
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${bound}`;
  log?.({ event: 'listening', url });
  return {
    url,
    port: bound,
    async close() {
      for (const timer of timers) clearInterval(timer);
      await app.close();
      for (const { repository } of collections) await repository.close();
    },
  };
}

async function addCollection(app: FastifyInstance, collection: OpenCollection, clock: () => Instant): Promise<void> {
  const { name, store } = collection;
  const targets = store.siteFolder === undefined ? undefined : join(store.siteFolder, 'targets');
  app.get<{ Params: { '*': string } }>(`/${name}/targets/*`, async (request, reply) => {
    const path = targetPathOf(request.params['*']);
    if (path === undefined) throw new AdmissionError('NOT_FOUND', 'Looking up a target: that is not a target path');
    if (targets !== undefined) return await reply.sendFile(path, targets);
    return await sendStored(reply, store.site.read(`targets/${targetUrl(path, undefined)}`));
  });
  const prefix = `/api/v1/${name}`;
  await app.register(async (api) => addApi(api, collection, prefix, clock), { prefix });
}

function addApi(
  api: FastifyInstance,
  { repository, store, health }: OpenCollection,
  prefix: string,
  clock: () => Instant,
): void {
  // Blobs are streamed, so bodies of this type are handed on unread.
  api.addContentTypeParser('application/octet-stream', (_request, _payload, done) => done(null));
  api.removeContentTypeParser('application/json');
  api.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => done(null, body));
  const accountOf = async (request: FastifyRequest): Promise<string> => {
    const token = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
    const account = token === undefined ? undefined : await store.ledger.account(tokenHash(token));
    if (account === undefined)
      throw new AdmissionError('UNAUTHENTICATED', 'Checking the token: it is missing or unknown');
    return account;
  };
  const authenticate = async (request: FastifyRequest): Promise<void> => void (await accountOf(request));
  const events = new SigningEvents({
    ledger: store.ledger,
    crypto: nodeCrypto,
    clock,
    newId: () => randomBytes(6).toString('hex'),
    demands: async (submission) => await repository.demands(submission),
    statementType: DECISION_TYPE,
  });
  addSigningRoutes(api, { events, repository, accountOf });

  // Whatever could not be done for somebody is the collection's trouble, and tried again.
  api.addHook('onError', async (_request, _reply, error) => health.notice(error));
  api.addHook('preHandler', async ({ method }) => {
    if (method === 'POST') health.requireClock();
  });
  // Another process of the service may have told more. When the storage does not answer, what is known is told.
  const catchUp = async (): Promise<void> => await repository.catchUp().catch((error: unknown) => health.notice(error));
  api.get('/', { preHandler: catchUp }, async () => ({
    ...repository.status(),
    role: repository.role,
    trouble: shownTrouble(health),
  }));
  api.get<{ Querystring: { days?: string } }>('/expiry', async (request) => {
    const ahead = request.query.days ?? '30';
    if (!/^\d{1,5}$/.test(ahead)) {
      throw new UsageError('USAGE_INVALID', 'Reading the request: `days` must be a whole number');
    }
    return expiryReport(repository.status(), clock(), Number(ahead));
  });

  api.get<{ Querystring: { days?: string } }>('/idle', { onRequest: authenticate }, async (request) => {
    const idle = request.query.days ?? '730';
    if (!/^\d{1,5}$/.test(idle)) {
      throw new UsageError('USAGE_INVALID', 'Reading the request: `days` must be a whole number');
    }
    const names = await repository.idleNames(clock() - days(Number(idle)));
    return {
      names: names.map(({ project: { ecosystem, name }, since }) => ({ ecosystem, name, since: writeInstant(since) })),
    };
  });

  api.put<{ Params: { sha256: string } }>(
    '/blobs/:sha256',
    { onRequest: authenticate, bodyLimit: Number.MAX_SAFE_INTEGER },
    async (request, reply) => {
      const { existed, ...facts } = await repository.putBlob(request.params.sha256, bodyOf(request));
      return await reply.code(existed ? 200 : 201).send(facts);
    },
  );

  api.post('/submissions', { onRequest: authenticate }, async (request, reply) => {
    if (typeof request.body !== 'string')
      throw new AdmissionError('SUBMISSION_INVALID', 'Reading the submission: it is not JSON');
    const { id, published, receipts } = await repository.submit(request.body);
    if (id === undefined) {
      // Sent again after its answer was lost: the same answer, but there is nothing to look up.
      return await reply.code(201).send({ submission: 'unchanged', state: 'published', publication: await published });
    }
    reply.header('location', `${prefix}/submissions/${id}`);
    if (/\brespond-async\b/i.test(String(request.headers['prefer']))) {
      return await reply.code(202).send({ submission: id, state: 'accepted', receipts });
    }
    return await reply.code(201).send({ submission: id, state: 'published', publication: await published, receipts });
  });

  api.get<{ Params: { id: string } }>('/submissions/:id', async (request) => {
    const { id, received, publication, refusal } = await repository.submission(request.params.id);
    const state = refusal !== undefined ? 'refused' : publication !== undefined ? 'published' : 'accepted';
    const made: Pick<Publication, 'number'> | undefined =
      publication === undefined ? undefined : { number: publication };
    return { submission: id, received: new Date(received).toISOString(), state, publication: made, refusal };
  });

  api.get<{ Params: { ecosystem: string; name: string } }>(
    '/projects/:ecosystem/:name',
    { preHandler: catchUp },
    async (request) => {
      const { ecosystem, name } = request.params;
      return describeProject(ecosystemOf(ecosystem).project(name), repository);
    },
  );
}

/** `ok`, or what keeps which collection from publishing. Reading goes on either way, so it is no error. */
/** Not `not found`, which clients would take for the collection's own word. */
function refuseAll(app: FastifyInstance, name: string): void {
  const refuse = async (): Promise<never> => {
    throw new TransportError('UNREACHABLE', `Serving ${name}: the service could not open this collection`);
  };
  for (const path of [`/${name}/*`, `/api/v1/${name}`, `/api/v1/${name}/*`]) app.all(path, refuse);
}

function healthOf(collections: readonly OpenCollection[], unserved: readonly UnservedEvent[]): object {
  const troubled = collections.filter(({ health }) => health.trouble !== undefined);
  const troubles = [
    ...troubled.map(({ name, health }) => [name, shownTrouble(health)] as const),
    ...unserved.map(({ collection, code }) => [collection, { code, sentence: sentenceOf(code) }] as const),
  ];
  return {
    status: troubles.length === 0 ? 'ok' : 'troubled',
    collections: collections.map(({ name }) => name),
    ...(troubles.length > 0 && { troubles: Object.fromEntries(troubles) }),
  };
}

/** What everybody may know of it: the log says more. */
function shownTrouble({ trouble }: Health): object | null {
  if (trouble === undefined) return null;
  const { code, since } = trouble;
  return { code, sentence: sentenceOf(code), since: writeInstant(since) };
}

function sentenceOf(code: string): string {
  return isCode(code) ? rowOf(code).sentence : 'The service failed';
}

/** An answer that comes from the object store while it is sent. Fails before the first byte, or breaks off. */
async function sendStored(reply: FastifyReply, content: AsyncIterable<Uint8Array>): Promise<FastifyReply> {
  const chunks = content[Symbol.asyncIterator]();
  const first = await chunks.next().catch((error: unknown) => {
    throw siteFailure(error);
  });
  const rest = async function* (): AsyncGenerator<Uint8Array, void> {
    for (let next = first; !next.done; next = await chunks.next()) yield next.value;
  };
  reply.header('cache-control', 'public, max-age=31536000, immutable').type('application/octet-stream');
  return await reply.send(Readable.from(rest(), { objectMode: false }));
}

/** A body that is streamed. What breaks it off is the sender's doing, not the store's. @throws TransportError BODY_CUT */
async function* bodyOf(request: FastifyRequest): AsyncGenerator<Uint8Array, void> {
  try {
    for await (const chunk of request.raw) yield chunk;
  } catch (error) {
    throw new TransportError('BODY_CUT', 'Reading the request: it broke off', { cause: error });
  }
}

function describeProject(project: Project, repository: OpenCollection['repository']): Record<string, unknown> {
  const owner = repository.owner(project);
  if (owner === undefined) {
    throw new AdmissionError('NAME_UNCLAIMED', `Looking up ${project.ecosystem}/${project.name}: it has no owner`);
  }
  const { record, role, owners, directory, version, shard } = owner;
  return {
    ecosystem: project.ecosystem,
    name: project.name,
    state: stateOf(record),
    epoch: record.epoch,
    ownerRole: role,
    shard,
    directory,
    owners: owners.keyIds,
    threshold: owners.threshold,
    version,
  };
}

async function answerError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  log: ServerOptions['log'],
): Promise<void> {
  const path = request.url.slice(0, 200);
  if (error instanceof Error && 'statusCode' in error && error.statusCode === 416) {
    await reply.code(416).send(''); // nothing is wrong but the range
    return;
  }
  const known = isTufError(error) ? error : ofFramework(error);
  if (known === undefined) {
    log?.({ event: 'fault', message: error instanceof Error ? (error.stack ?? error.message) : String(error), path });
    await reply
      .code(500)
      .send({ code: 'INTERNAL', error: 'The service failed', next: 'Try again; tell the operator', detail: {} });
    return;
  }
  const { http } = rowOf(known.code);
  log?.({ event: 'refused', status: http, code: known.code, message: known.message, path });
  // What fails in the store may pass; nobody else's doing is needed to try again.
  if (http >= 500 && rowOf(known.code).party === 'store') reply.header('retry-after', '2');
  if (http === 401) reply.header('www-authenticate', 'Bearer');
  await reply
    .code(http)
    .send({ code: known.code, error: known.message, next: nextStepOf(known), detail: known.detail });
}

/** The framework's own refusals of a request, as ours. */
function ofFramework(error: unknown): TufError | undefined {
  if (!(error instanceof Error) || !('statusCode' in error) || typeof error.statusCode !== 'number') return undefined;
  if (error.statusCode === 413) {
    return new AdmissionError(
      'SUBMISSION_TOO_LARGE',
      `Reading the request: it is larger than ${MAX_SUBMISSION_BYTES} bytes`,
      {
        detail: { limit: MAX_SUBMISSION_BYTES },
        cause: error,
      },
    );
  }
  if (error.statusCode === 404)
    return new AdmissionError('NOT_FOUND', 'Looking up the address: there is nothing', { cause: error });
  if (error.statusCode >= 400 && error.statusCode < 500) {
    return new UsageError('USAGE_INVALID', 'Reading the request: it is not well formed', { cause: error });
  }
  return undefined;
}

// Several roles of the largest size that admission takes.
const MAX_SUBMISSION_BYTES = 16 * 1024 * 1024;
const RENEW_EVERY = 60_000;
const RETRY_EVERY = 2_000;
