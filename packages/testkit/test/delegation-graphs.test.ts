// Random delegation graphs, with cycles, diamonds, terminating delegations and
// hash prefixes: core's search against a naive one that follows §5.6.7 word by
// word, and a listing against the searches for its files.

import { nodeCrypto } from '@countersign/client/node';
import {
  driveSync,
  type Found,
  type FreshState,
  find,
  type Listing,
  list,
  refresh,
  type SyncPorts,
  start,
} from '@countersign/core';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MemoryFiles, naiveSearch, START, World } from '../src/index.ts';

const ROLES = ['r0', 'r1', 'r2', 'r3', 'r4', 'r5', 'r6'] as const;
const DIRECTORIES = ['a', 'b', 'a/c', 'b/c'] as const;
const PATHS = ['top', ...DIRECTORIES.flatMap((directory) => ['f1', 'f2', 'g1'].map((file) => `${directory}/${file}`))];
const PATTERNS = ['*', 'a/*', 'b/*', '*/*', '*/c/*', 'a/c/*', '*/f?', 'a/f1', '?/c/g*', '*/*1', 'x/*', 'top'];

interface Edge {
  readonly from: number;
  readonly to: number;
  readonly terminating: boolean;
  readonly patterns: readonly string[];
  /** If not empty, instead of the patterns. */
  readonly prefixes: readonly string[];
}

interface Graph {
  readonly edges: readonly Edge[];
  /** Who lists what: role index (0 is the top-level role) and path index. */
  readonly listed: readonly (readonly [role: number, path: number])[];
}

const node = fc.nat(ROLES.length);
const patterns = fc.uniqueArray(fc.constantFrom(...PATTERNS), { minLength: 1, maxLength: 3 });
const prefix = fc.stringMatching(/^[0-9a-f]{1,2}$/);
const edge = (hashed: boolean): fc.Arbitrary<Edge> =>
  fc.record({
    from: node,
    to: fc.integer({ min: 1, max: ROLES.length }),
    terminating: fc.boolean(),
    patterns,
    prefixes: hashed ? fc.oneof(fc.constant([]), fc.array(prefix, { minLength: 1, maxLength: 12 })) : fc.constant([]),
  });
const graph = (hashed: boolean): fc.Arbitrary<Graph> =>
  fc.record({
    // A role is delegated to once by the same role (§4.5).
    edges: fc.uniqueArray(edge(hashed), { maxLength: 16, selector: ({ from, to }) => `${from} ${to}` }),
    listed: fc.array(fc.tuple(node, fc.nat(PATHS.length - 1)), { maxLength: 24 }),
  });

describe('§5.6.7 random delegation graphs', () => {
  it('are searched as a naive reading of the specification does, in the same order', () => {
    fc.assert(
      fc.property(graph(true), (drawn) => {
        const { world, state, ports } = published(drawn);
        for (const path of PATHS) {
          world.takeRequests();
          state.memo.clear(); // every role is asked for again, so that the order shows
          const found = driveSync(find(state, path, START), { ...ports, state: NOTHING_KEPT });
          const visited = world.takeRequests().map((url) => /^metadata\/1\.(.*)\.json$/.exec(url)?.[1]);
          const expected = naiveSearch(world, path);
          expect(visited).toEqual(expected.visited);
          expect(found?.trail.at(-1)).toBe(expected.lister);
          expect(found?.trail).toEqual(expected.trail);
        }
      }),
      { seed: 20300101, numRuns: 80 },
    );
  });

  it('are listed as each of the files would be found', () => {
    fc.assert(
      fc.property(graph(false), (drawn) => {
        const { state, ports } = published(drawn);
        for (const directory of DIRECTORIES) {
          const listing = driveSync(list(state, directory, START), ports);
          expect(listing.complete).toBe(true);
          expect(summary(listing)).toEqual(searches(state, ports, directory));
        }
      }),
      { seed: 20300102, numRuns: 80 },
    );
  });

  it('with hash prefixes are listed as incomplete, and never wrongly', () => {
    fc.assert(
      fc.property(graph(true), (drawn) => {
        const { state, ports } = published(drawn);
        for (const directory of DIRECTORIES) {
          const listing = driveSync(list(state, directory, START), ports);
          const exact = searches(state, ports, directory);
          if (listing.complete) expect(summary(listing)).toEqual(exact);
          else expect(exact).toMatchObject(summary(listing));
        }
      }),
      { seed: 20300103, numRuns: 80 },
    );
  });
});

function published({ edges, listed }: Graph): { world: World; state: FreshState; ports: SyncPorts } {
  const world = new World({ seed: 'graphs' });
  for (const { from, to, terminating, patterns, prefixes } of edges) {
    const scope = prefixes.length > 0 ? { prefixes } : { paths: patterns };
    const keys = [world.key('every role')];
    // Parents may appear before anything delegates to them; they are in the snapshot all the same.
    ensure(world, roleAt(from));
    world.delegate(roleAt(from), roleAt(to), { keys, terminating, ...scope });
  }
  for (const [role, path] of listed) {
    ensure(world, roleAt(role));
    world.addTarget(roleAt(role), PATHS[path] ?? '', `${role} ${path}`);
  }
  for (const role of world.roles.values()) role.signers = [world.key('every role')];
  world.publish();
  const ports = { crypto: nodeCrypto, state: new MemoryFiles(), source: world.source };
  const state = driveSync(refresh(driveSync(start(world.anchor), ports), START), ports);
  return { world, state, ports };
}

function ensure(world: World, role: string): void {
  if (role === 'targets' || world.roles.has(role)) return;
  world.delegate('targets', role);
  world.targets.delegations.pop();
}

function roleAt(index: number): string {
  return ['targets', ...ROLES][index] ?? 'targets';
}

function summary(listing: Listing): Record<string, unknown> {
  return Object.fromEntries([...listing.found].map(([path, found]) => [path, saying(found)]));
}

function searches(state: FreshState, ports: SyncPorts, directory: string): Record<string, unknown> {
  const found = PATHS.filter((path) => path.slice(0, path.lastIndexOf('/')) === directory).flatMap((path) => {
    const hit = driveSync(find(state, path, START), ports);
    return hit === undefined ? [] : [[path, saying(hit)] as const];
  });
  return Object.fromEntries(found);
}

function saying({ target, trail }: Found): unknown {
  return { trail, sha256: target.hashes.get('sha256') };
}

const NOTHING_KEPT = { load: () => undefined, save: () => {}, drop: () => {} };
