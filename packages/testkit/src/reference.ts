// What the specification says, word by word, on a world's drafts: slow, plain,
// and apart from everything that is tested against it. For tests only.

import { createHash } from 'node:crypto';
import type { World } from './world.ts';

/** Which role lists a path, by which way, and which roles were visited for it. */
export interface NaiveSearch {
  readonly lister: string | undefined;
  readonly trail: readonly string[] | undefined;
  readonly visited: readonly string[];
}

/** §5.6.7, recursively: what it says and nothing more. */
export function naiveSearch(world: World, path: string): NaiveSearch {
  const visited: string[] = [];
  const pathHash = createHash('sha256').update(path).digest('hex');
  const search = (role: string, trail: readonly string[]): readonly string[] | 'end' | undefined => {
    if (visited.includes(role)) return undefined; // §5.6.7.1
    visited.push(role);
    if (world.role(role).targets.has(path)) return trail;
    for (const { name, terminating, paths, prefixes } of world.role(role).delegations) {
      const covered =
        prefixes?.some((prefix) => pathHash.startsWith(prefix)) ?? paths?.some((pattern) => globOf(pattern).test(path));
      if (covered !== true) continue;
      const result = search(name, [...trail, name]);
      if (result !== undefined) return result;
      if (terminating) return 'end'; // §5.6.7.2.1
    }
    return undefined;
  };
  const result = search('targets', ['targets']);
  const trail = result === 'end' ? undefined : result;
  return { lister: trail?.at(-1), trail, visited };
}

/** A pattern of literals, `*` and `?` as a regular expression: slow on hostile input, plain to read. */
export function globOf(pattern: string): RegExp {
  const literal = pattern.replaceAll(/[\\^$.|+()[\]{}]/g, '\\$&');
  return new RegExp(`^${literal.replaceAll('?', '[^/]').replaceAll('*', '[^/]*')}$`, 'u');
}
