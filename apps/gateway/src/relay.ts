// Names that no role covers, passed through from the registry that the user's
// own npm would have asked: unverified, and labelled so. Reached only after
// fresh metadata proved the absence; what is relayed is never stored, never
// remembered as the collection's, and files come from the registry's own
// origin only, whatever address its index names (so that an index cannot aim
// the gateway at other services of this machine or network).

import { Readable } from 'node:stream';
import { MetadataError, type Project, TransportError } from '@countersign/core';
import { tarballPath, unscopedName } from '@countersign/ecosystems';
import { type Answer, documentAnswer, jsonAnswer } from './answer.ts';
import { ASSURANCE_HEADER } from './assurance.ts';
import type { Log } from './log.ts';

/** Which registry answers for names that the collection does not cover. */
export interface RelayOptions {
  /** Base URL of the registry, `http:` or `https:`. */
  readonly registry: string;
  /** Base URLs for scopes that have their own, by scope with its `@`. */
  readonly scopes?: ReadonlyMap<string, string>;
  /** Headers for these registries, such as an authorization; never sent to another origin. */
  readonly headers?: Readonly<Record<string, string>>;
  /** How requests are made. Default: the runtime's `fetch`. */
  readonly fetch?: typeof fetch;
}

/** Relays packages of one kind of registry: npm's. */
export class Relay {
  readonly #options: RelayOptions;
  readonly #log: Log;

  constructor(options: RelayOptions, log: Log) {
    this.#options = options;
    this.#log = log;
  }

  /**
   * A package's index, with the addresses of its files moved to the gateway.
   *
   * @param base the gateway's own registry address, without a slash at its end
   * @throws TransportError when the registry cannot answer
   */
  async index(project: Project, base: string): Promise<Answer> {
    const { name } = project;
    const packument = await this.#packument(name);
    if (packument === undefined) return absent(name);
    this.#log({ event: 'relayed', name, version: undefined });
    for (const [version, manifest] of Object.entries(versionsOf(packument))) {
      const dist = memberOf(manifest, 'dist');
      if (isRecord(dist)) dist['tarball'] = `${base}/${tarballPath(project, fileName(name, version))}`;
    }
    // npm prints the notice once for each index, and only of answers that it does
    // not cache: no-store. For each file it would be noise.
    return documentAnswer(packument, {
      ...UNVERIFIED,
      'cache-control': 'no-store',
      'npm-notice': `Countersign: ${printable(name)} is unverified: the collection does not cover it`,
    });
  }

  /** The file of one version. @throws TransportError when the registry cannot answer */
  async file(project: Project, version: string): Promise<Answer> {
    const { name } = project;
    const packument = await this.#packument(name);
    if (packument === undefined) return absent(name);
    const named = memberOf(memberOf(memberOf(packument['versions'], version), 'dist'), 'tarball');
    if (typeof named !== 'string') return absent(`${name} ${version}`);
    const registry = this.#registryOf(name);
    const response = await this.#get(ownUrl(named, registry), '*/*');
    if (ABSENT.has(response.status)) {
      await response.body?.cancel();
      return absent(`${name} ${version}`);
    }
    await requireOk(response, name);
    this.#log({ event: 'relayed', name, version });
    const length = response.headers.get('content-encoding') === null ? response.headers.get('content-length') : null;
    return {
      status: 200,
      headers: { 'content-type': 'application/octet-stream', 'cache-control': 'no-cache', ...UNVERIFIED },
      body: {
        kind: 'stream',
        stream: Readable.from(chunksOf(response), { objectMode: false }),
        length: length !== null && /^\d{1,15}$/.test(length) ? Number(length) : undefined,
      },
    };
  }

  async #packument(name: string): Promise<Record<string, unknown> | undefined> {
    const url = new URL(name.replace('/', '%2f'), this.#registryOf(name));
    const response = await this.#get(url, 'application/json');
    if (ABSENT.has(response.status)) {
      await response.body?.cancel();
      return undefined;
    }
    await requireOk(response, name);
    const parsed: unknown = parse(await textOf(response, name), name);
    if (isRecord(parsed)) return parsed;
    throw new TransportError('STATUS_UNEXPECTED', `Relaying ${name}: the registry's index is not an object`);
  }

  #registryOf(name: string): URL {
    const scope = name.startsWith('@') ? name.slice(0, name.indexOf('/')) : '';
    return registryUrl(this.#options.scopes?.get(scope) ?? this.#options.registry);
  }

  /** One GET, redirects followed by hand so that nobody else is sent our headers. */
  async #get(url: URL, accept: string): Promise<Response> {
    const { headers = {}, fetch = globalThis.fetch } = this.#options;
    let at = url;
    for (let hops = 0; hops <= REDIRECTS; hops++) {
      const own = at.origin === url.origin ? headers : {};
      const response = await answered(at, () =>
        fetch(at, { headers: { accept, ...own }, redirect: 'manual', signal: AbortSignal.timeout(DEADLINE_MS) }),
      );
      const location = REDIRECTED.has(response.status) ? response.headers.get('location') : null;
      if (location === null) return response;
      await response.body?.cancel();
      at = redirected(at, location);
    }
    throw new TransportError('STATUS_UNEXPECTED', `Relaying: the registry redirects more than ${REDIRECTS} times`);
  }
}

/**
 * Reads a registry's base URL.
 *
 * @throws TransportError STATUS_UNEXPECTED when it is not an http or https URL
 */
export function registryUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new TransportError('STATUS_UNEXPECTED', 'Relaying: the registry is not an http or https URL');
  }
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

/** The named address moved to the registry's own origin, as npm does with `replace-registry-host`. */
function ownUrl(named: string, registry: URL): URL {
  const url = new URL(registry);
  const { pathname, search } = URL.canParse(named, registry.href) ? new URL(named, registry) : registry;
  // A registry below a path, reached under another name, keeps that path in front.
  url.pathname = pathname.startsWith(registry.pathname) ? pathname : registry.pathname + pathname.slice(1);
  url.search = search;
  return url;
}

function redirected(from: URL, location: string): URL {
  const to = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  // Only what was as open before may go on unencrypted.
  const allowed = to?.protocol === 'https:' || (to?.protocol === 'http:' && from.protocol === 'http:');
  if (to !== undefined && allowed) return to;
  throw new TransportError('STATUS_UNEXPECTED', 'Relaying: the registry redirects to an address that is not allowed');
}

function absent(what: string): Answer {
  // A plain 404 as the registry gave it: what is absent there was proven absent here before.
  const text = `NAME_UNLISTED: neither the collection nor the relayed registry has ${what}`;
  const body = { error: text, errors: [{ code: 'NAME_UNKNOWN', message: text, detail: '' }], code: 'NAME_UNLISTED' };
  return jsonAnswer(404, body, { ...UNVERIFIED, 'x-tuf-error': 'NAME_UNLISTED' });
}

async function requireOk(response: Response, name: string): Promise<void> {
  if (response.status === 200) return;
  await response.body?.cancel();
  throw new TransportError('STATUS_UNEXPECTED', `Relaying ${name}: the registry answered with ${response.status}`, {
    detail: { name, status: response.status },
  });
}

async function answered<T>(url: URL, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (cause) {
    const late = cause instanceof Error && cause.name === 'TimeoutError';
    const facts = { detail: { registry: url.origin }, cause };
    throw new TransportError(late ? 'TIMED_OUT' : 'UNREACHABLE', 'Relaying: the registry cannot be asked', facts);
  }
}

async function textOf(response: Response, name: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  await answered(new URL(response.url || 'http://registry.invalid'), async () => {
    for await (const chunk of chunksOf(response)) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > INDEX_BYTES) break;
    }
  });
  if (length <= INDEX_BYTES) return Buffer.concat(chunks).toString('utf8');
  throw new MetadataError('LENGTH_EXCEEDED', `Relaying ${name}: its index is longer than ${INDEX_BYTES} bytes`, {
    detail: { name, limit: INDEX_BYTES },
  });
}

async function* chunksOf(response: Response): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  for await (const chunk of response.body) if (chunk instanceof Uint8Array) yield chunk;
}

function parse(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TransportError('STATUS_UNEXPECTED', `Relaying ${name}: the registry's index is not JSON`, { cause });
  }
}

function versionsOf(packument: Record<string, unknown>): Record<string, unknown> {
  const versions = packument['versions'];
  return isRecord(versions) ? versions : {};
}

function memberOf(value: unknown, name: string): unknown {
  return isRecord(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fileName(name: string, version: string): string {
  return `${unscopedName(name)}-${encodeURIComponent(version)}.tgz`; // odd versions find no route: refused
}

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 100);
}

const UNVERIFIED = { [ASSURANCE_HEADER]: 'unverified' };
const ABSENT: ReadonlySet<number> = new Set([404, 410]);
const REDIRECTED: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const REDIRECTS = 5;
const INDEX_BYTES = 128 * 1024 * 1024; // the largest in use are above 20 MB
const DEADLINE_MS = 300_000; // npm's own fetch-timeout
