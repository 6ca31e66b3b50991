// Planning another layout: every online role of the new one, made from what the
// old one lists. Pure. Costs what the collection is, once.

import {
  editTargets,
  type JsonObject,
  shardName,
  shardPrefixes,
  type TargetFile,
  type Targets,
} from '@countersign/core';
import { type AdmissionRules, projectsBy } from './admit-rules.ts';
import { binFor, binNames } from './bins.ts';
import { emptyPlan, type Lifetimes, type Plan } from './plan.ts';
import type { Restructuring } from './restructure.ts';
import { shardDraft } from './shards.ts';
import { type Standing, shardDigits } from './standing.ts';

/** The roles that list files at present, all of which a new layout is made from. */
export function oldLeaves({ bins, targets }: Standing): readonly string[] {
  if (bins !== undefined) return binNames(bins);
  return shardPrefixes(shardDigits(targets)).map((prefix) => shardName('unclaimed', prefix));
}

/**
 * Plans the publication that switches a collection to another layout.
 *
 * @param leaves the content of every role of {@link oldLeaves}
 */
export function planRestructuring(
  standing: Standing,
  id: string,
  { roles, bins, digits }: Restructuring,
  leaves: Iterable<Targets>,
  rules: AdmissionRules,
  lifetimes: Lifetimes,
): Plan {
  const plan = { ...emptyPlan(standing), authored: roles, published: [id] };
  const expires = rules.now + lifetimes.shard;
  const online = new Map<string, JsonObject>();
  if (bins === undefined && digits === undefined) return plan;
  const names = bins ? binNames(bins) : shardPrefixes(digits ?? 0).map((prefix) => shardName('unclaimed', prefix));
  const listed = new Map(names.map((name): [string, TargetFile[]] => [name, []]));
  for (const leaf of leaves) {
    for (const target of leaf.targets.values()) {
      const place = bins
        ? binFor(bins, target.path, rules.sha256)
        : shardName('unclaimed', binIn(target.path, digits ?? 0));
      listed.get(place)?.push(target);
    }
  }
  for (const [role, set] of listed) online.set(role, next(standing, role, editTargets(undefined, { expires, set })));
  for (const prefix of digits === undefined ? [] : shardPrefixes(digits)) {
    const role = shardName('recent', prefix);
    const version = (standing.versions.get(role) ?? 0) + 1;
    online.set(role, shardDraft(role, version, expires, standing.register, projectsBy(rules)));
  }
  const files = [...listed].flatMap(([role, targets]) =>
    targets.map((target) => ({ role, target, project: undefined })),
  );
  return { ...plan, online, files };
}

/** The first digits of the bin in a path of the layout. */
function binIn(path: string, digits: number): string {
  return (path.split('/')[1] ?? '').slice(0, digits);
}

/** A name that was used before goes on with its versions. */
function next(standing: Standing, role: string, first: JsonObject): JsonObject {
  return new Map([...first, ['version', (standing.versions.get(role) ?? 0) + 1]]);
}
