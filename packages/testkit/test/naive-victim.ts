// A client that believes everything: what it is told to read it reads, to the
// end, and what it has read it keeps and hands out. The opposite of the real
// one in every point, to see that the judge of mutants notices each.

import { nodeCrypto } from '@countersign/client/node';
import { cacheNameOf, metadataUrl, type StatePort } from '@countersign/core';
import { Destination, type Fetched, globOf, metered, type Victim } from '../src/index.ts';

/** Checks nothing: no signature, version, expiry, length, hash or delegation; cleans nothing up. */
export const naiveVictim: Victim = async ({ world, files, paths }) => {
  const { transport, state } = metered(world, files, nodeCrypto);
  const trusted = new Map<string, Uint8Array>();
  const read = async (url: string): Promise<Uint8Array | undefined> => {
    const { status, body } = await transport.get(world.baseUrl + url, { maxBytes: Number.POSITIVE_INFINITY });
    const pieces: Uint8Array[] = [];
    for await (const piece of body) pieces.push(piece);
    return status === 404 ? undefined : new Uint8Array(Buffer.concat(pieces));
  };
  const believe = async (role: string, version: number | undefined): Promise<Signed | undefined> => {
    const bytes = await read(`metadata/${metadataUrl(role, version)}`);
    if (bytes === undefined) return undefined;
    const file: { signed: Signed } = JSON.parse(Buffer.from(bytes).toString('utf8'));
    await state.save(cacheNameOf(role), bytes);
    trusted.set(role, bytes);
    return file.signed;
  };
  let refused: unknown;
  const fetched: Fetched[] = [];
  try {
    const root = await walkRoots(state, believe);
    const named = (version: number | undefined): number | undefined => (root.consistent_snapshot ? version : undefined);
    const timestamp = await believe('timestamp', undefined);
    const snapshot = await believe('snapshot', named(timestamp?.meta['snapshot.json']?.version));
    const roleOf = (role: string): Promise<Signed | undefined> =>
      believe(role, named(snapshot?.meta[`${role}.json`]?.version));
    const targets = await roleOf('targets');
    for (const path of paths) fetched.push(await fetchNaively(path, targets, roleOf, read, root, trusted));
  } catch (error) {
    refused = error;
  }
  return { refused, fetched, trusted };
};

interface Signed {
  readonly version: number;
  readonly consistent_snapshot?: boolean;
  readonly meta: Readonly<Record<string, { readonly version: number }>>;
  readonly targets: Readonly<Record<string, { readonly hashes: { readonly sha256: string } }>>;
  readonly delegations?: { readonly roles: readonly { readonly name: string; readonly paths?: readonly string[] }[] };
}

/** The next root, whoever signed it and whatever version it says it has. */
async function walkRoots(
  state: StatePort,
  believe: (role: string, version: number) => Promise<Signed | undefined>,
): Promise<Signed> {
  const file: { signed: Signed } = JSON.parse(Buffer.from((await state.load(cacheNameOf('root'))) ?? '').toString());
  let root = file.signed;
  for (let next: Signed | undefined = root; next !== undefined; next = await believe('root', root.version + 1))
    root = next;
  return root;
}

/** The first role that lists the path, whether or not it may; the bytes as they come, straight to their destination. */
async function fetchNaively(
  path: string,
  top: Signed | undefined,
  roleOf: (role: string) => Promise<Signed | undefined>,
  read: (url: string) => Promise<Uint8Array | undefined>,
  root: Signed,
  trusted: ReadonlyMap<string, Uint8Array>,
): Promise<Fetched> {
  const destination = new Destination();
  const snapshot = trusted.get('snapshot');
  try {
    const search = async (
      role: Signed | undefined,
      trail: readonly string[],
    ): Promise<[Signed, readonly string[]] | undefined> => {
      if (role?.targets[path] !== undefined) return [role, trail];
      for (const { name, paths } of role?.delegations?.roles ?? []) {
        if (paths?.some((pattern) => globOf(pattern).test(path)) === false) continue;
        const found = await search(await roleOf(name), [...trail, name]);
        if (found !== undefined) return found;
      }
      return undefined;
    };
    const found = await search(top, ['targets']);
    if (found === undefined) return { path, destination, snapshot };
    const prefix = root.consistent_snapshot ? `${found[0].targets[path]?.hashes.sha256}.` : '';
    await destination.write(new Uint8Array()); // the destination is open before anything has come
    await destination.write(
      (await read(`targets/${path.replace(/[^/]*$/, (name) => prefix + name)}`)) ?? new Uint8Array(),
    );
    await destination.commit();
    return { path, trail: found[1], destination, snapshot };
  } catch (error) {
    return { path, error, destination };
  }
}
