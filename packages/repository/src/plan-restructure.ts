// Planning what the quorum brings: every online role of a new layout, made from
// what the old one lists, and every role whose online key is another one now.
// Pure. A new layout costs what the collection is, once; a renewal nothing.

import {
  editTargets,
  hex,
  type JsonObject,
  shardName,
  shardPrefixes,
  type TargetFile,
  type Targets,
} from '@countersign/core';
import type { NewFile } from './admit-files.ts';
import { type AdmissionRules, projectsBy } from './admit-rules.ts';
import { binFor, binNames } from './bins.ts';
import { DECISIONS_ROLE } from './list-files.ts';
import { emptyPlan, type Lifetimes, type Plan } from './plan.ts';
import type { AdmittedRoot, Restructuring } from './restructure.ts';
import { shardDraft } from './shards.ts';
import { type Standing, shardDigits } from './standing.ts';

/** The roles that list files at present and must be written again; none where they stay as they are. */
export function oldLeaves(
  { bins, targets }: Standing,
  { bins: to, digits, rekeyed }: Restructuring,
): readonly string[] {
  if (bins !== undefined) return to !== undefined || rekeyed.has('bins') ? binNames(bins) : [];
  if (digits === undefined && !rekeyed.has('unclaimed')) return [];
  return shardPrefixes(shardDigits(targets)).map((prefix) => shardName('unclaimed', prefix));
}

/**
 * Plans the publication that switches a collection over.
 *
 * @param leaves the content of every role of {@link oldLeaves}
 */
export function planRestructuring(
  standing: Standing,
  id: string,
  restructuring: Restructuring,
  leaves: ReadonlyMap<string, Targets>,
  rules: AdmissionRules,
  lifetimes: Lifetimes,
): Plan {
  const { root, roles, bins, digits = shardDigits(standing.targets), rekeyed } = restructuring;
  const plan = {
    ...emptyPlan(standing),
    authored: roles,
    published: [id],
    ...(root && { root: rootFile(root, rules) }),
  };
  const expires = rules.now + lifetimes.shard;
  const moved = bins !== undefined || restructuring.digits !== undefined;
  const online = new Map<string, JsonObject>();
  const listed = moved ? inNewPlaces(restructuring, leaves, digits, rules) : leavesAsTheyAre(leaves);
  for (const [role, files] of listed) {
    const set = files.map(({ target }) => target);
    const present = leaves.get(role);
    const draft = moved ? editTargets(undefined, { expires, set }) : editTargets(present, { expires });
    online.set(role, next(standing, role, draft));
  }
  if (standing.bins === undefined && (moved || rekeyed.has('recent'))) {
    // As the decisions say, whatever somebody else who had the key may have signed.
    for (const prefix of shardPrefixes(digits)) {
      const role = shardName('recent', prefix);
      const version = (standing.versions.get(role) ?? 0) + 1;
      online.set(role, shardDraft(role, version, expires, standing.register, projectsBy(rules)));
    }
  }
  const list = standing.contents.get(DECISIONS_ROLE);
  if (rekeyed.has('decisions') && list !== undefined) online.set(DECISIONS_ROLE, editTargets(list, { expires }));
  const files = [...listed].flatMap(([role, some]) => some.map((file) => ({ ...file, role })));
  return { ...plan, online, files };
}

/** Whether what comes makes other roles than there were. */
export function changesPlaces({ bins, digits }: Restructuring): boolean {
  return bins !== undefined || digits !== undefined;
}

function inNewPlaces(
  { bins }: Restructuring,
  leaves: ReadonlyMap<string, Targets>,
  digits: number,
  { sha256 }: AdmissionRules,
): ReadonlyMap<string, NewFile[]> {
  const names = bins ? binNames(bins) : shardPrefixes(digits).map((prefix) => shardName('unclaimed', prefix));
  const listed = new Map(names.map((name): [string, NewFile[]] => [name, []]));
  const placeOf = ({ path }: TargetFile): string =>
    bins ? binFor(bins, path, sha256) : shardName('unclaimed', binIn(path, digits));
  for (const leaf of leaves.values()) {
    for (const target of leaf.targets.values()) listed.get(placeOf(target))?.push({ target, project: undefined });
  }
  return listed;
}

function leavesAsTheyAre(leaves: ReadonlyMap<string, Targets>): ReadonlyMap<string, NewFile[]> {
  const filesOf = ({ targets }: Targets): NewFile[] =>
    [...targets.values()].map((target) => ({ target, project: undefined }));
  return new Map([...leaves].map(([role, content]) => [role, filesOf(content)]));
}

function rootFile({ bytes, content }: AdmittedRoot, { sha256 }: AdmissionRules): NonNullable<Plan['root']> {
  return { role: 'root', version: content.version, bytes, sha256: hex(sha256(bytes)) };
}

/** The first digits of the bin in a path of the layout. */
function binIn(path: string, digits: number): string {
  return (path.split('/')[1] ?? '').slice(0, digits);
}

/** A name that was used before goes on with its versions. */
function next(standing: Standing, role: string, first: JsonObject): JsonObject {
  return new Map([...first, ['version', (standing.versions.get(role) ?? 0) + 1]]);
}
