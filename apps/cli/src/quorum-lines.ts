// What changes about keys, in lines a person can read before signing: made from
// the very content that will be signed, against what is in force.

import { type Root, type Targets, TOP_LEVEL_ROLES, writeInstant } from '@countersign/core';
import { type KeySet, keysOfKind, keysOfTop, onlineKeySets } from '@countersign/repository';
import { columns, short } from './output.ts';

/** Who may sign what, by the name that people know it by. */
export function keySetsOf(role: string, content: Root | Targets): ReadonlyMap<string, KeySet> {
  if (content.type === 'root') return new Map(TOP_LEVEL_ROLES.map((name) => [name, keysOfTop(content, name)]));
  const sets = new Map<string, KeySet>();
  for (const kind of ['claimed', 'recent', 'unclaimed', 'decisions', 'bins'] as const) {
    const set = keysOfKind(content, kind);
    if (set !== undefined) sets.set(kind === 'claimed' ? 'claimed shards' : kind, set);
  }
  if (role !== 'bins') return sets;
  const each = onlineKeySets(NO_ROOT, content, content).get('bins');
  return each === undefined ? sets : new Map([['each bin', each]]);
}

/**
 * Describes another version of root, targets or bins.
 *
 * @example
 * // root: version 2 → 3, until 2031-01-01T00:00:00Z (was 2030-06-01T00:00:00Z)
 * //   root      1 of 1 → 2 of 3   + 3fa4…, 77b1…
 */
export function keyLines(role: string, before: Root | Targets, after: Root | Targets): readonly string[] {
  const old = keySetsOf(role, before);
  const rows: string[][] = [];
  for (const [name, set] of keySetsOf(role, after)) {
    const was = old.get(name);
    const changes = [
      ...added(set, was).map((id) => `+ ${short(id)}…`),
      ...(was === undefined ? [] : added(was, set).map((id) => `- ${short(id)}…`)),
    ];
    const count = quorumText(set);
    const counts = was === undefined || quorumText(was) === count ? count : `${quorumText(was)} → ${count}`;
    if (changes.length > 0 || counts !== count) rows.push([name, counts, changes.join(', ')]);
  }
  const until = writeInstant(after.expires);
  return [
    `${role}: version ${before.version} → ${after.version}, until ${until} (was ${writeInstant(before.expires)})`,
    ...(rows.length === 0 ? ['  keys and thresholds stay'] : columns(rows)),
  ];
}

/** Such as `2 of 3`. */
export function quorumText({ threshold, keyIds }: KeySet): string {
  return `${threshold} of ${keyIds.length}`;
}

function added(now: KeySet, before: KeySet | undefined): readonly string[] {
  return now.keyIds.filter((id) => !before?.keyIds.includes(id));
}

const NO_ROOT: Root = {
  type: 'root',
  version: 0,
  expires: 0,
  json: new Map(),
  consistentSnapshot: true,
  keys: new Map(),
  roles: new Map(),
};
