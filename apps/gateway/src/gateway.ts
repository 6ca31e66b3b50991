// The gateway as a process: a loopback HTTP/1.1 server in front of a verifying
// client. Start reading here: request -> host check (host.ts) -> route
// (routes.ts) -> what the collection says (collection.ts, freshness.ts) ->
// verified bytes (artifact-store.ts) -> answer (serve.ts, answer.ts); whatever
// is thrown on the way is worded by refusal.ts.
// node:http and not the house's Fastify: the reason phrase is the channel that
// package clients print, and paths must be split before they are decoded; a
// router that decodes and owns the head would leave only `listen` of itself.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Client } from '@countersign/client';
import { type Instant, isTufError, UsageError } from '@countersign/core';
import { type Answer, send } from './answer.ts';
import { ArtifactStore } from './artifact-store.ts';
import { Collection } from './collection.ts';
import { Freshness } from './freshness.ts';
import { isLoopback, originOf } from './host.ts';
import { KnownOwners, type OwnerPolicy, sentenceOf } from './known-owners.ts';
import type { Log } from './log.ts';
import { faultAnswer, logged, refusalOf } from './refusal.ts';
import { Relay, type RelayOptions, registryUrl } from './relay.ts';
import { routeOf } from './routes.ts';
import { answerTo, type Sources } from './serve.ts';

/** What a gateway is made of. */
export interface GatewayOptions {
  /** The collection's client, opened by the caller. */
  readonly client: Client;
  /** Folder for verified artifacts and for the names seen; made when it is not there. One per collection. */
  readonly stateFolder: string;
  /** Where to listen. Default: 127.0.0.1, and any free port. */
  readonly host?: string;
  readonly port?: number;
  /** Further names under which the gateway may be addressed, without port. Loopback names always may. */
  readonly allowedHosts?: readonly string[];
  /** Seconds for which an accepted update counts as recent. Default: 5. */
  readonly refreshSeconds?: number;
  /** Where the names met and their owners are kept. Default: in the state folder. */
  readonly knownOwners?: string;
  /** What to do about owners whom the ones before them did not appoint. Default: show. */
  readonly newOwners?: OwnerPolicy;
  /** Where names come from that the collection does not cover. Default: nowhere, they are refused. */
  readonly relayUnlisted?: RelayOptions;
  /** Default: the system's clock. */
  readonly clock?: () => Instant;
  readonly log?: Log;
}

/** A running gateway. */
export interface Gateway {
  /** Such as `http://127.0.0.1:7411`, without a slash at its end. npm's registry is `/npm/` below it. */
  readonly url: string;
  readonly port: number;
  /** Stops answering; resolves when the last request is done. */
  close(): Promise<void>;
}

/**
 * Starts a gateway. The collection is asked when the first request comes: that
 * it is down, or lies, does not keep the gateway from starting.
 *
 * @throws StoreError STORE_READ, STORE_WRITE when the state folder does not serve
 * @throws UsageError CONFIG_INVALID when it would relay to itself, or cannot listen
 * @example
 * const gateway = await startGateway({ client, stateFolder: '.countersign/gateway', port: 7411 });
 * // npm install ms --registry http://127.0.0.1:7411/npm/
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { client, stateFolder, relayUnlisted, clock = Date.now, log = () => {} } = options;
  const { host = '127.0.0.1', port = 0, refreshSeconds = 5 } = options;
  const known = await KnownOwners.open(options.knownOwners ?? join(stateFolder, 'known-owners.log'));
  const store = await ArtifactStore.open(join(stateFolder, 'artifacts'), client, log);
  const freshness = new Freshness({ client, clock, log, recent: refreshSeconds * 1000 });
  const relay = relayUnlisted && new Relay(relayUnlisted, log);
  const collection = new Collection({
    client,
    freshness,
    known,
    owners: options.newOwners ?? 'show',
    clock,
    onChange: (change) => log({ event: 'owners', directory: change.directory, message: sentenceOf(change) }),
  });
  const sources: Sources = { collection, store, relay };
  const allowed = new Set([...(options.allowedHosts ?? []), host].map((name) => name.toLowerCase()));
  const server = createServer({ requireHostHeader: false }, (request, response) => {
    void handle(request, response, { sources, allowed, log });
  });
  // Longer than clients keep a connection, so that none is closed under a request.
  server.keepAliveTimeout = 65_000;
  try {
    const address = await listen(server, host, port);
    for (const registry of relayUnlisted ? [relayUnlisted.registry, ...(relayUnlisted.scopes?.values() ?? [])] : []) {
      requireElsewhere(registry, address, host);
    }
    const shown = host.includes(':') ? `[${host}]` : host;
    return {
      url: `http://${shown}:${address.port}`,
      port: address.port,
      close: async () => {
        await closed(server);
        await known.close();
      },
    };
  } catch (error) {
    await closed(server);
    await known.close();
    throw error;
  }
}

interface Door {
  readonly sources: Sources;
  readonly allowed: ReadonlySet<string>;
  readonly log: Log;
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  { sources, allowed, log }: Door,
): Promise<void> {
  const began = performance.now();
  const method = request.method ?? '';
  const path = (request.url ?? '').split('?')[0] ?? '';
  let code: string | undefined;
  try {
    let answer: Answer;
    try {
      const origin = originOf(request.headers.host, allowed);
      answer = await answerTo(routeOf(method, path), origin, sources);
    } catch (error) {
      const facts = logged(error);
      code = facts.code;
      if (!isTufError(error)) log({ event: 'fault', ...facts });
      answer = isTufError(error) ? refusalOf(error) : faultAnswer();
    }
    await send(request, response, answer);
  } catch (error) {
    log({ event: 'fault', ...logged(error) });
    response.destroy();
  }
  const milliseconds = Math.round(performance.now() - began);
  log({ event: 'answered', method, path: path.slice(0, 500), status: response.statusCode, code, milliseconds });
}

function listen(server: Server, host: string, port: number): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const problem = 'code' in cause ? String(cause.code) : cause.message;
      reject(
        new UsageError('CONFIG_INVALID', `Listening on ${host}:${port}: ${problem}`, { detail: { host, port }, cause }),
      );
    });
    server.listen(port, host, () => {
      const address = server.address();
      if (address !== null && typeof address === 'object') resolve(address);
    });
  });
}

/** A user's npm may already be set up for this gateway: then there is nothing to relay to. */
function requireElsewhere(registry: string, own: AddressInfo, host: string): void {
  const url = registryUrl(registry);
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
  if (port !== own.port || !(isLoopback(url.hostname) || url.hostname === host)) return;
  throw new UsageError('CONFIG_INVALID', 'Relaying unlisted names: the registry named for them is this gateway', {
    detail: { port },
  });
}

async function closed(server: Server): Promise<void> {
  if (!server.listening) return;
  const done = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const late = setTimeout(() => server.closeAllConnections(), GRACE_MS);
  await done;
  clearTimeout(late);
}

const GRACE_MS = 5_000; // for answers under way when the gateway is told to stop
