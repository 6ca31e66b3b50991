// How a collection is laid out, and what would change about it, in lines a person
// can read: made from verified metadata alone, before anything is signed.

import { type DelegatedRole, readShardName, type Targets } from '@countersign/core';
import { BINS_ROLE, binsOf, customRoles } from '@countersign/repository';
import { columns, short } from './output.ts';

/**
 * What another version of targets or bins changes about the layout.
 *
 * @example
 * // 256 bins → 4,096 bins (succinct)
 * // + docs: docs/*, signed by 1 of 3fa4…
 */
export function layoutLines(role: string, before: Targets, after: Targets): readonly string[] {
  if (role === BINS_ROLE) return changed(binsText(before), binsText(after));
  return [...changed(shardsText(before), shardsText(after)), ...authorLines(before, after)];
}

/** Such as `256 bins (classic)`. */
export function binsText(role: Targets): string | undefined {
  const bins = binsOf(role);
  const form = role.delegations?.succinct === undefined ? 'classic' : 'succinct';
  return bins && `${(2 ** bins.bitLength).toLocaleString('en')} bins (${form})`;
}

/** Such as `16 shards of each kind`. */
export function shardsText({ delegations }: Targets): string | undefined {
  const shards = (delegations?.roles ?? []).filter(({ name }) => readShardName(name)?.kind === 'recent');
  return shards.length === 0 ? undefined : `${shards.length.toLocaleString('en')} shards of each kind`;
}

/** A role that an author signs, in words. */
export function authorText({ name, paths, keyIds, threshold }: DelegatedRole): string {
  const patterns = paths.by === 'pattern' ? paths.patterns.join(', ') : '';
  return `${name}: ${patterns}, signed by ${threshold} of ${keyIds.map((id) => `${short(id)}…`).join(', ')}`;
}

function authorLines(before: Targets, after: Targets): readonly string[] {
  const [old, now] = [before, after].map((targets) => new Map(customRoles(targets).map((role) => [role.name, role])));
  const rows: string[][] = [];
  for (const [name, role] of now ?? []) {
    const was = old?.get(name);
    if (was === undefined) rows.push(['+', authorText(role)]);
    else if (authorText(was) !== authorText(role)) rows.push(['~', `${authorText(was)} → ${authorText(role)}`]);
  }
  for (const [name, role] of old ?? []) if (now?.has(name) !== true) rows.push(['-', authorText(role)]);
  return columns(rows);
}

function changed(before: string | undefined, after: string | undefined): readonly string[] {
  return before === after || after === undefined ? [] : [`  ${before ?? 'nothing'} → ${after}`];
}
