// What whoever holds every first online key can serve for a day: its own mirror
// of the registry, freshly signed, far ahead in versions, and without any root
// that names other keys. Nothing in it may reach users of claimed names.

import {
  days,
  editSnapshot,
  editTargets,
  editTimestamp,
  type Instant,
  type JsonObject,
  openEnvelope,
  readRoot,
  readSnapshot,
  readTimestamp,
  type Signer,
  signFile,
  type Targets,
} from '@countersign/core';
import { seededKey } from '@countersign/testkit';
import { factsOf } from '../memory-store.ts';
import { contentOf, ONLINE, presentOf, targetOf, textOf, type World } from '../world.ts';
import type { Owned } from './registry-year.ts';

/**
 * What whoever holds every online key can serve: its own recent shards that
 * hand every name to itself, its own files in the unclaimed shards, a fresh
 * snapshot and timestamp. Served to some from a mirror of its own.
 *
 * @param forged is told the SHA-256 of everything that is not the owners'
 */
export async function forgedSite(
  world: World,
  victims: readonly Owned[],
  day: number,
  forged: Set<string>,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const site = new Map(world.disk.site);
  const thief = seededKey(`attacker ${day}`);
  const listing = new Map<string, { readonly version: number; readonly bytes: Uint8Array }>();
  const put = async (role: string, draft: Parameters<typeof signFile>[0], key: Signer): Promise<void> => {
    const bytes = await signFile(draft, [key]);
    const version = contentOf(textOf(bytes), role).version;
    site.set(`metadata/${version}.${role}.json`, bytes);
    listing.set(role, { version, bytes });
  };
  const expires = world.clock.now + days(90);
  for (const owned of victims) {
    const { author: by } = owned;
    const content = `forged with the online keys on day ${day}: ${by.project.name}`;
    const target = targetOf(by, `${by.project.name}-9.9.9.tgz`, content);
    const digest = target.hashes.get('sha256') ?? '';
    forged.add(digest);
    for (const hash of target.hashes.values())
      site.set(`targets/${by.directory}/${hash}.${by.project.name}-9.9.9.tgz`, Buffer.from(content));
    const bin = by.directory.split('/')[1]?.slice(0, 1) ?? '';
    for (const kind of ['recent', 'unclaimed'] as const) {
      const role = `${kind}-${bin}`;
      const present: Targets | undefined = listing.has(role)
        ? contentOf(textOf(listing.get(role)?.bytes ?? new Uint8Array()), role)
        : presentOf(world, role);
      const delegations = {
        keys: new Map([[thief.keyId, thief.key]]),
        roles: [
          {
            name: `evil-${bin}`,
            keyIds: [thief.keyId],
            threshold: 1,
            terminating: true,
            paths: { by: 'pattern', patterns: [`${by.directory}/*`] } as const,
          },
        ],
        succinct: undefined,
      };
      await put(role, editTargets(present, { expires, set: [target], delegations }), ONLINE[kind]);
    }
  }
  await forgeTop(world, site, listing, expires, day);
  for (let version = 1; site.has(`metadata/${version}.root.json`); version++) {
    const { roles } = readRoot(openEnvelope(bytesAt(site, `metadata/${version}.root.json`), 'root').signed);
    if (!roles.get('timestamp')?.keyIds.includes(ONLINE.timestamp.keyId)) {
      site.delete(`metadata/${version}.root.json`);
      break;
    }
  }
  return site;
}

function bytesAt(site: ReadonlyMap<string, Uint8Array>, url: string): Uint8Array {
  return site.get(url) ?? new Uint8Array();
}

/** Snapshot and timestamp over forged roles, of versions that the repository will never reach (fast-forward). */
async function forgeTop(
  world: World,
  site: Map<string, Uint8Array>,
  listing: ReadonlyMap<string, { readonly version: number; readonly bytes: Uint8Array }>,
  expires: Instant,
  day: number,
): Promise<void> {
  const read = (role: string): Uint8Array => world.disk.roles.get(role)?.bytes ?? new Uint8Array();
  const set = new Map(
    [...listing].map(([role, { version, bytes }]) => [
      role,
      { version, length: bytes.length, hashes: new Map([['sha256', factsOf(bytes).sha256]]) },
    ]),
  );
  const before = readSnapshot(openEnvelope(read('snapshot'), 'snapshot').signed);
  const version = FAR_AHEAD + day;
  const ahead = (draft: JsonObject): JsonObject => new Map([...draft, ['version', version]]);
  const snapshot = await signFile(ahead(editSnapshot(before, { expires, set })), [ONLINE.snapshot]);
  site.set(`metadata/${version}.snapshot.json`, snapshot);
  const last = readTimestamp(openEnvelope(read('timestamp'), 'timestamp').signed);
  const meta = { version, length: snapshot.length, hashes: new Map([['sha256', factsOf(snapshot).sha256]]) };
  const timestamp = editTimestamp(last, { expires: world.clock.now + days(1), snapshot: meta });
  site.set('metadata/timestamp.json', await signFile(ahead(timestamp), [ONLINE.timestamp]));
}

const FAR_AHEAD = 1_000_000;
