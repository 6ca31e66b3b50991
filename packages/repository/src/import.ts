// Bulk: listing many files of a plain collection at once, whose content lies
// elsewhere or was stored before. Every touched bin is written once for each
// publication, however many files fall into it; nothing of it is journaled,
// because whoever imports can send the same again and nothing changes.

import {
  editTargets,
  type Instant,
  type JsonObject,
  type Sha256,
  type TargetFile,
  type Targets,
} from '@countersign/core';
import { requireFreePath } from './admit-files.ts';
import { isUnchanged } from './admit-role.ts';
import { refuse } from './admit-rules.ts';
import { type Bins, binFor } from './bins.ts';

/** Files by the bin that they fall into, in the order of the bins: importing in this order touches each bin once. */
export function sortIntoBins(
  files: readonly TargetFile[],
  bins: Bins,
  sha256: Sha256,
): ReadonlyMap<string, readonly TargetFile[]> {
  const sorted = files
    .map((target) => ({ target, bin: binFor(bins, target.path, sha256) }))
    .sort((a, b) => (a.bin < b.bin ? -1 : a.bin > b.bin ? 1 : 0));
  const byBin = new Map<string, TargetFile[]>();
  for (const { target, bin } of sorted) {
    const files = byBin.get(bin);
    if (files === undefined) byBin.set(bin, [target]);
    else files.push(target);
  }
  return byBin;
}

/** One bin with more files; `undefined` when it lists them all already. */
export function extendBin(
  present: Targets | undefined,
  files: readonly TargetFile[],
  expires: Instant,
): { readonly draft: JsonObject; readonly added: readonly TargetFile[] } | undefined {
  const added = files.filter((target) => !isUnchanged(present?.targets.get(target.path), target));
  if (added.length === 0) return undefined;
  return { draft: editTargets(present, { expires, set: added }), added };
}

/** Refuses a file that no client would take, or that an author's role stands for. @throws AdmissionError */
export function requireImportable(targets: Targets, { path, hashes }: TargetFile): void {
  requireFreePath(targets, path);
  if (!/^[0-9a-f]{64}$/.test(hashes.get('sha256') ?? '')) {
    throw refuse('SUBMISSION_INVALID', `${path} has no SHA-256 in lower-case hexadecimal`, { path });
  }
}
