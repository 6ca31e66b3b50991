// Many mutants, one after the other: scene by scene, kind by kind. Counts what
// came of each kind, and keeps what must not be, with the number that draws it
// again. The same numbers give the same mutants everywhere.

import { createHash } from 'node:crypto';
import { isTufError } from '@countersign/core';
import { drawFrom } from './draw.ts';
import { type Finding, judge, ofHonesty } from './judge.ts';
import { KINDS, type Mutation } from './mutants.ts';
import { type Scene, sceneOf } from './scene.ts';
import { type Report, realClient, type Victim, visit } from './victim.ts';

/** What is to be run. */
export interface Campaign {
  /** The first mutant's number; the others follow. */
  readonly first: number;
  readonly count: number;
  /** Whose visits are judged. Default: the real client's. */
  readonly victim?: Victim;
  /** Default: every kind in turn. */
  readonly kinds?: readonly string[];
  /** Told before each scene, so that somebody can see that it goes on. */
  readonly onScene?: (mutant: number) => void;
}

/** What came of it. */
export interface Tally {
  readonly mutants: number;
  /** How often each outcome came of each kind. An outcome is what the refresh ended with, then what the fetches did. */
  readonly outcomes: ReadonlyMap<string, ReadonlyMap<string, number>>;
  readonly findings: readonly (Finding & { readonly mutant: number; readonly kind: string })[];
}

/** Runs a campaign. */
export async function runMutants({ first, count, victim = realClient, kinds, onScene }: Campaign): Promise<Tally> {
  const names = kinds ?? [...KINDS.keys()];
  const outcomes = new Map<string, Map<string, number>>();
  const findings: (Finding & { mutant: number; kind: string })[] = [];
  let scene: Scene | undefined;
  let healthy = new Set<string>();
  for (let mutant = first; mutant < first + count; mutant++) {
    if (scene === undefined || mutant % PER_SCENE === 0) {
      onScene?.(mutant);
      scene = await sceneOf(Math.floor(mutant / PER_SCENE), realClient);
      healthy = new Set();
    }
    const { kind, mutation } = mutationOf(scene, mutant, names);
    const { report, found } = await run(scene, mutation, victim, healthy);
    const row = outcomes.get(kind) ?? new Map<string, number>();
    for (const outcome of outcomesOf(report)) row.set(outcome, (row.get(outcome) ?? 0) + 1);
    outcomes.set(kind, row);
    findings.push(...found.map((finding) => ({ ...finding, mutant, kind })));
  }
  return { mutants: count, outcomes, findings };
}

/** The mutation of a number: of the next kind in turn that this scene has something for. */
function mutationOf(scene: Scene, mutant: number, names: readonly string[]): { kind: string; mutation: Mutation } {
  const draw = drawFrom(mutant);
  for (let turn = 0; turn < names.length; turn++) {
    const kind = names[(mutant + turn) % names.length] ?? '';
    const mutation = KINDS.get(kind)?.(scene, draw);
    if (mutation !== undefined) return { kind, mutation };
  }
  throw new TypeError('No kind has anything for this scene');
}

/**
 * The visit to what is mutated, then one to what is honest again: no refusal
 * may last. From what was kept before, that is tried once for each state.
 */
async function run(
  scene: Scene,
  mutation: Mutation,
  victim: Victim,
  healthy: Set<string>,
): Promise<{ report: Report; found: readonly Finding[] }> {
  const { world, kept: before, paths } = scene;
  world.replay(scene.served);
  for (const [url, served] of mutation.files) {
    if (served === undefined) world.files.delete(url);
    else world.files.set(url, served);
  }
  world.takeRequests();
  const mutated = await visit(victim, { world, files: before, paths });
  const visited = { scene, mutation, report: mutated.report, before, after: mutated.kept.files };
  const found = judge(visited);
  // Stolen keys have really signed: only their rotation could heal that.
  if (mutation.stolen !== undefined && mutation.stolen.length > 0) return { report: mutated.report, found };
  const state = fingerprintOf(mutated.kept.files);
  if (healthy.has(state)) return { report: mutated.report, found };
  healthy.add(state);
  world.replay(scene.served);
  world.takeRequests();
  const healed = await visit(victim, { world, files: mutated.kept.files, paths });
  const after = { scene, mutation, report: healed.report, before: mutated.kept.files, after: healed.kept.files };
  return { report: mutated.report, found: [...found, ...judge(after), ...ofHonesty(after)] };
}

function fingerprintOf(files: ReadonlyMap<string, Uint8Array>): string {
  const hash = createHash('sha256');
  for (const [name, bytes] of [...files].sort(([a], [b]) => (a < b ? -1 : 1)))
    hash.update(`${name} ${bytes.length} `).update(bytes);
  return hash.digest('hex');
}

function outcomesOf({ refused, fetched }: Report): readonly string[] {
  const told = (error: unknown): string => (isTufError(error) ? error.code : 'untyped');
  const refresh = refused === undefined ? 'refreshed' : `refused ${told(refused)}`;
  const files = fetched.map(({ error, trail }) => {
    if (error !== undefined) return `file ${told(error)}`;
    return trail === undefined ? 'file absent' : 'file fetched';
  });
  return [refresh, ...files];
}

// Mutants of one scene: making it costs as much as a few visits.
const PER_SCENE = 40;
