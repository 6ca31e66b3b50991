// What clients have seen of a collection last, before an earlier state of it is
// put back: from whatever still knows it. Nothing here is verified, because a
// lie can only make the operator more careful; roots are, by whoever uses them.

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { httpTransport } from '@countersign/client/node';
import { isTufError, UsageError } from '@countersign/core';
import { higherOf, type LastSeen, lastSeenIn } from '@countersign/repository/operations';

/** Somebody who knows what was served. */
export interface Witness {
  /** What it is, for people. */
  readonly name: string;
  readonly seen: LastSeen;
  /** A root file that it has. */
  readonly root: (version: number) => Promise<Uint8Array | undefined>;
}

/** What all witnesses together have seen; `undefined` without any. */
export function seenBy(witnesses: readonly Witness[]): LastSeen | undefined {
  return witnesses.map(({ seen }) => seen).reduce<LastSeen | undefined>((a, b) => (a ? higherOf(a, b) : b), undefined);
}

/** A timestamp file, or a folder with one: a site, a mirror, a client's state. @throws UsageError USAGE_INVALID when it holds none */
export async function witnessAt(path: string): Promise<Witness> {
  const found = await witnessIn(path);
  if (found !== undefined) return found;
  throw new UsageError('USAGE_INVALID', 'Reading what was last seen: no timestamp.json is there', { detail: { path } });
}

/** As {@link witnessAt}; `undefined` when it holds none. */
export async function witnessIn(path: string): Promise<Witness | undefined> {
  for (const folder of [join(path, 'metadata'), path]) {
    const timestamp = await readFile(join(folder, 'timestamp.json')).catch(() => undefined); // absent
    const seen = timestamp && read(timestamp);
    if (seen === undefined) continue;
    const names = new Set(await readdir(folder).catch(() => []));
    const root = async (version: number): Promise<Uint8Array | undefined> => {
      const file = names.has(`${version}.root.json`)
        ? `${version}.root.json`
        : join('root_history', `${version}.root.json`);
      return await readFile(join(folder, file)).catch(() => undefined); // it has no such root
    };
    return { name: folder, seen, root };
  }
  const alone = await readFile(path).catch(() => undefined); // absent, or a folder
  const seen = alone && read(alone);
  return seen && { name: path, seen, root: async () => undefined };
}

/** A site that is still up; `undefined` when it cannot be reached or does not know the collection. */
export async function witnessOn(url: string): Promise<Witness | undefined> {
  const transport = httpTransport();
  const get = async (name: string): Promise<Uint8Array | undefined> => {
    try {
      const { status, body } = await transport.get(`${url}/metadata/${name}`, { maxBytes: MAX_BYTES });
      const chunks: Uint8Array[] = [];
      let length = 0;
      for await (const chunk of body) {
        chunks.push(chunk);
        length += chunk.length;
        if (length > MAX_BYTES) return undefined;
      }
      return status === 200 ? Buffer.concat(chunks) : undefined;
    } catch (error) {
      if (isTufError(error)) return undefined; // not there: others may know
      throw error;
    }
  };
  const timestamp = await get('timestamp.json');
  const seen = timestamp && read(timestamp);
  return seen && { name: url, seen, root: async (version) => await get(`${version}.root.json`) };
}

function read(timestamp: Uint8Array): LastSeen | undefined {
  try {
    return lastSeenIn(timestamp);
  } catch (error) {
    if (isTufError(error)) return undefined;
    throw error;
  }
}

// More than a client takes of a root.
const MAX_BYTES = 1_000_000;
