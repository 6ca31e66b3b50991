// What the workflows ask of the world: six effects, yielded by generators and
// answered by a driver (drive.ts). core itself has no clock, network, disk or
// cryptography; this page is the whole list of what it may ask for.

import { MetadataError } from './errors.ts';
import type { Scheme, VerificationKey } from './keys.ts';
import type { CacheName, RelativeUrl } from './paths.ts';

/** Hash algorithms that count. Others in a file are ignored beside one of these. */
export type HashAlgorithm = 'sha256' | 'sha512';

/** Ask a mirror for a metadata file. Answer: its bytes, or `undefined` when there is none (403, 404, 410). */
export interface FetchEffect {
  readonly do: 'fetch';
  readonly role: string;
  readonly url: RelativeUrl;
  /** The driver MUST stop reading beyond this and throw LENGTH_EXCEEDED. */
  readonly maxBytes: number;
}
/** Read a file of local trusted state. Answer: its bytes, or `undefined`. */
export interface LoadEffect {
  readonly do: 'load';
  readonly name: CacheName;
}
/** Write a file of local trusted state, atomically and durably. Answer: `false` when `over` forbade it. */
export interface SaveEffect {
  readonly do: 'save';
  readonly name: CacheName;
  readonly bytes: Uint8Array;
  /** Write only if this is what is kept now. Left out: over whatever is kept. */
  readonly over?: Kept;
}
/** What is kept under a name: bytes, or nothing. */
export interface Kept {
  readonly bytes: Uint8Array | undefined;
}
/** Forget a file of local trusted state; absence is no error. */
export interface DropEffect {
  readonly do: 'drop';
  readonly name: CacheName;
}
/** Check one signature. Answer: whether it is valid. A malformed signature is `false`, not an error. */
export interface CheckEffect {
  readonly do: 'check';
  readonly key: VerificationKey;
  readonly scheme: Scheme;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}
/** Hash bytes. Answer: the digest. */
export interface HashEffect {
  readonly do: 'hash';
  readonly algorithm: HashAlgorithm;
  readonly bytes: Uint8Array;
}

/** Everything a workflow may yield. */
export type Effect = FetchEffect | LoadEffect | SaveEffect | DropEffect | CheckEffect | HashEffect;

/** What a driver sends back into the generator. */
export type Answer = Uint8Array | boolean | undefined;

/** A workflow: yields effects, is sent their answers, returns `T`. */
export type Workflow<T> = Generator<Effect, T, Answer>;

/** Yields a signature check. */
export function* check(effect: Omit<CheckEffect, 'do'>): Workflow<boolean> {
  return (yield { do: 'check', ...effect }) === true;
}

/** Yields a hash. */
export function* hash(algorithm: HashAlgorithm, bytes: Uint8Array): Workflow<Uint8Array> {
  const digest = yield { do: 'hash', algorithm, bytes };
  if (!(digest instanceof Uint8Array)) throw new TypeError('The driver answered a hash effect with no digest');
  return digest;
}

/** Yields a fetch. @throws MetadataError LENGTH_EXCEEDED, should the driver have let too much through */
export function* fetch(effect: Omit<FetchEffect, 'do'>): Workflow<Uint8Array | undefined> {
  const bytes = bytesOf(yield { do: 'fetch', ...effect });
  if (bytes !== undefined && bytes.length > effect.maxBytes) {
    throw new MetadataError('LENGTH_EXCEEDED', `Fetching ${effect.role}: more than ${effect.maxBytes} bytes came`, {
      detail: { role: effect.role, limit: effect.maxBytes },
    });
  }
  return bytes;
}

/** Yields a load. */
export function* load(name: CacheName): Workflow<Uint8Array | undefined> {
  return bytesOf(yield { do: 'load', name });
}

/** Yields a save over whatever is kept. */
export function* save(name: CacheName, bytes: Uint8Array): Workflow<void> {
  yield { do: 'save', name, bytes };
}

/** Yields a save over what was loaded before; `false` when another process has replaced it since. */
export function* replace(name: CacheName, loaded: Uint8Array | undefined, bytes: Uint8Array): Workflow<boolean> {
  return (yield { do: 'save', name, bytes, over: { bytes: loaded } }) !== false;
}

/** Yields a drop. */
export function* drop(name: CacheName): Workflow<void> {
  yield { do: 'drop', name };
}

function bytesOf(answer: Answer): Uint8Array | undefined {
  return answer instanceof Uint8Array ? answer : undefined;
}
