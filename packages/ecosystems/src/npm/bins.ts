// The commands a package brings, in the one form that registries hand out: a
// map from command to file, neither of which can leave its folder.

import { posix } from 'node:path';
import type { JsonObject, JsonValue } from '@countersign/core';
import { unscopedName } from './names.ts';

/**
 * Normalises `bin` as npm does when it publishes: a text names the command
 * after the package, a list names each after its file.
 *
 * @example normalBins('@x/tool', './cli.js') // { tool: 'cli.js' }
 */
export function normalBins(packageName: string, bin: unknown): JsonObject | undefined {
  const result = new Map<string, JsonValue>();
  for (const [command, file] of pairsOf(packageName, bin)) {
    const name = posix.basename(insidePath(command));
    const target = typeof file === 'string' ? insidePath(file) : '';
    if (name !== '' && target !== '') result.set(name, target);
  }
  return result.size === 0 ? undefined : result;
}

/** The commands that `directories.bin` names: every file below it that is not hidden. */
export function binsIn(manifest: Readonly<Record<string, unknown>>, files: readonly string[]): JsonObject | undefined {
  const directories = manifest['directories'];
  if (manifest['bin'] || typeof directories !== 'object' || directories === null || !('bin' in directories)) {
    return undefined;
  }
  if (typeof directories.bin !== 'string') return undefined;
  const folder = insidePath(directories.bin).replace(/\/+$/, '');
  const result = new Map<string, JsonValue>();
  // Sorted, so that which of two equal names wins does not depend on the archive.
  for (const file of [...files].sort()) {
    const below = folder === '' ? file : file.startsWith(`${folder}/`) ? file.slice(folder.length + 1) : '';
    if (below === '' || below.split('/').some((segment) => segment.startsWith('.'))) continue;
    result.set(posix.basename(file), file);
  }
  return result.size === 0 ? undefined : result;
}

function pairsOf(packageName: string, bin: unknown): readonly (readonly [string, unknown])[] {
  if (typeof bin === 'string') return [[unscopedName(packageName), bin]];
  if (Array.isArray(bin)) {
    return bin.filter((file): file is string => typeof file === 'string').map((file) => [posix.basename(file), file]);
  }
  return typeof bin === 'object' && bin !== null ? Object.entries(bin) : [];
}

// `join('/', …)` resolves every `..` against the root, so none is left.
function insidePath(text: string): string {
  const unix = text.replace(/[\\:]/g, '/');
  return posix.join('/', unix).slice(1);
}
