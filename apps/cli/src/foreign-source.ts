// Where somebody else's repository is read from: a folder or a web server, with
// metadata and targets below it or in places of their own.

import { createReadStream } from 'node:fs';
import { join, resolve } from 'node:path';
import { httpTransport } from '@countersign/client/node';
import { metadataUrl, StoreError, TransportError, targetPathOf, targetUrl } from '@countersign/core';
import type { ForeignSource } from '@countersign/repository/operations';
import { exists } from './author-key.ts';
import type { Shell } from './shell.ts';

/** Where the parts are, if not below the source. */
export interface ForeignPlaces {
  readonly metadata?: string;
  readonly targets?: string;
}

/**
 * Opens somebody else's repository for reading.
 *
 * @param place a URL, or a folder; metadata is expected in `metadata/` of it, targets in `targets/`
 * @example openForeign('https://tuf.example.org', {}, shell)
 */
export function openForeign(place: string, places: ForeignPlaces, { cwd }: Pick<Shell, 'cwd'>): ForeignSource {
  const below = (part: 'metadata' | 'targets'): Reader =>
    readerOf(places[part] ?? `${place.replace(/\/+$/, '')}/${part}`, cwd);
  const [metadata, targets] = [below('metadata'), below('targets')];
  return {
    async file(role, version) {
      const chunks: Uint8Array[] = [];
      let length = 0;
      try {
        for await (const chunk of metadata(metadataUrl(role, version))) {
          chunks.push(chunk);
          length += chunk.length;
          if (length > MAX_METADATA) throw new StoreError('STORE_READ', `Reading ${role}: it is too large`);
        }
      } catch (error) {
        if (error instanceof StoreError && error.detail['missing'] === true) return undefined;
        throw error;
      }
      return Buffer.concat(chunks);
    },
    target(path, digest) {
      const valid = targetPathOf(path);
      if (valid === undefined) return nothing(path);
      return targets(targetUrl(valid, digest));
    },
  };
}

type Reader = (name: string) => AsyncIterable<Uint8Array>;

function readerOf(place: string, cwd: string): Reader {
  if (!/^https?:\/\//.test(place)) {
    const folder = resolve(cwd, place);
    return (name) => fromFolder(folder, name);
  }
  const transport = httpTransport({ userAgent: 'countersign/0.1' });
  return async function* (name) {
    const url = `${place.replace(/\/+$/, '')}/${name}`;
    const { status, body } = await transport.get(url, { maxBytes: Number.MAX_SAFE_INTEGER });
    if (status === 200) yield* body;
    // Some stores answer so for what is not there.
    else if (status === 404 || status === 403 || status === 410) throw absent(url);
    else {
      throw new TransportError('STATUS_UNEXPECTED', `Reading ${url}: it answered with status ${status}`, {
        detail: { url, status },
      });
    }
  };
}

async function* fromFolder(folder: string, name: string): AsyncGenerator<Uint8Array> {
  const paths = [join(folder, name), join(folder, decodeURIComponent(name))];
  for (const path of new Set(paths)) {
    if (!(await exists(path))) continue;
    yield* createReadStream(path);
    return;
  }
  throw absent(name);
}

async function* nothing(path: string): AsyncGenerator<Uint8Array> {
  yield* [];
  throw absent(path);
}

function absent(what: string): StoreError {
  return new StoreError('STORE_READ', `Reading ${what}: it is not there`, { detail: { missing: true } });
}

// A snapshot of a million roles is smaller.
const MAX_METADATA = 256 * 1024 * 1024;
