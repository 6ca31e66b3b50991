// What an author is about to sign, in lines a person can read: made from the
// very content that will be signed, against what was signed before.

import { type JsonValue, type TargetFile, type Targets, writeInstant } from '@countersign/core';
import { bytesText, columns, short } from './output.ts';

/**
 * Describes the change from one version of a role to the next.
 *
 * @example
 * // npm.1.ms: version 2 → 3
 * //   + ms-2.1.3.tgz             3.0 kB  sha256 1f3c…
 * //   ~ npm dist-tags latest  2.1.2 → 2.1.3
 */
export function draftLines(role: string, before: Targets | undefined, after: Targets): readonly string[] {
  const versions =
    before === undefined ? `version ${after.version}, the first` : `version ${before.version} → ${after.version}`;
  const rows: string[][] = [];
  for (const [path, target] of after.targets) {
    const known = before?.targets.get(path);
    if (known === undefined) rows.push(['+', ...fileCells(path, target)]);
    else if (!sameHashes(known, target)) rows.push(['~', ...fileCells(path, target), 'new content']);
    else if (textOf(known.custom) !== textOf(target.custom))
      rows.push(['~', ...fileCells(path, target), 'new index entry']);
  }
  for (const [path, target] of before?.targets ?? []) {
    if (!after.targets.has(path)) rows.push(['-', ...fileCells(path, target)]);
  }
  return [
    `${role}: ${versions}`,
    ...capped(columns(rows), 'file'),
    ...columns(pointerRows(before?.json.get('custom'), after.json.get('custom'))),
    ...columns(delegationRows(before, after)),
    ...(before === undefined ? [`  expires ${writeInstant(after.expires)}`] : []),
  ];
}

/** Nobody reads thousands of lines. */
function capped(lines: readonly string[], thing: string): readonly string[] {
  if (lines.length <= MOST) return lines;
  return [...lines.slice(0, MOST), `  … and ${lines.length - MOST} more ${thing}s`];
}

function fileCells(path: string, { length, hashes }: TargetFile): string[] {
  return [path.slice(path.lastIndexOf('/') + 1), bytesText(length), `sha256 ${short(hashes.get('sha256') ?? '')}…`];
}

function pointerRows(before: JsonValue | undefined, after: JsonValue | undefined): string[][] {
  const old = leavesOf(before);
  const now = leavesOf(after);
  const rows: string[][] = [];
  for (const [name, value] of now) {
    const was = old.get(name);
    if (was === undefined) rows.push(['+', name, value]);
    else if (was !== value) rows.push(['~', name, `${was} → ${value}`]);
  }
  for (const [name, value] of old) if (!now.has(name)) rows.push(['-', name, value]);
  return rows;
}

function delegationRows(before: Targets | undefined, after: Targets): string[][] {
  const names = (targets: Targets | undefined): Set<string> =>
    new Set(targets?.delegations?.roles.map((role) => role.name) ?? []);
  const [old, now] = [names(before), names(after)];
  return [
    ...[...now].filter((name) => !old.has(name)).map((name) => ['+', `delegates to ${name}`]),
    ...[...old].filter((name) => !now.has(name)).map((name) => ['-', `delegates to ${name}`]),
  ];
}

/** Every value of a tree by the names that lead to it. */
function leavesOf(value: JsonValue | undefined, name = ''): Map<string, string> {
  if (value === undefined) return new Map();
  if (!(value instanceof Map)) return new Map([[name, textOf(value)]]);
  const leaves = new Map<string, string>();
  for (const [member, inner] of value) {
    for (const [path, leaf] of leavesOf(inner, name === '' ? member : `${name} ${member}`)) leaves.set(path, leaf);
  }
  return leaves;
}

function textOf(value: JsonValue | undefined): string {
  if (typeof value === 'string') return value;
  return (
    JSON.stringify(value, (_name, inner: unknown) => (inner instanceof Map ? Object.fromEntries(inner) : inner)) ?? ''
  );
}

function sameHashes(a: TargetFile, b: TargetFile): boolean {
  return a.length === b.length && ['sha256', 'sha512'].every((name) => a.hashes.get(name) === b.hashes.get(name));
}

const MOST = 100;
