// The year, day by day, with an auditor and users looking on: what must be true
// every evening. Shared by the fast run and the one with python-tuf.

import { days } from '@countersign/core';
import { expect } from 'vitest';
import { DEFAULT_LIFETIMES } from '../../src/index.ts';
import { newWorld } from '../world.ts';
import { Auditor } from './auditor.ts';
import { type Counts, type Owned, RegistryYear, VICTIMS, type YearOptions } from './registry-year.ts';
import { type Found, OurUser, PythonUser } from './users.ts';

/** What the year brought. */
export interface YearReport {
  readonly counts: Counts;
  readonly decisions: number;
  /** Lookups that were compared. */
  readonly lookups: number;
  /** Lookups that an attacker's mirror answered. */
  readonly attacked: number;
}

/**
 * Lives a year and checks every evening.
 *
 * @param python the interpreter that python-tuf is installed for; without it, only our own client looks
 */
export async function liveYear(options: YearOptions & { readonly days: number }, python?: string): Promise<YearReport> {
  // The offline roles outlive the year: renewing them has tests of its own.
  const world = await newWorld(1, undefined, { ...DEFAULT_LIFETIMES, offline: days(400) });
  const repository = await world.open();
  const year = new RegistryYear(world, repository, options);
  const auditor = new Auditor(world);
  const ours = new OurUser(world.anchor);
  const theirs = python === undefined ? undefined : await PythonUser.start(python, world.anchor);
  let lookups = 0;
  let attacked = 0;
  try {
    for (let number = 1; number <= options.days; number++) {
      const day = await year.live(() => auditor.catchUp());
      auditor.catchUp();
      expect(auditor.differences(), `day ${number}`).toEqual([]);
      const monthly = number % 30 === 0 || number === options.days;
      const looked = monthly ? year.projects : [...day.changed];
      const paths = looked.flatMap((owned) => pathsOf(owned, monthly));
      const found = ours.look(world.disk.site, paths, world.clock.now);
      requireTrue(year, looked, found, number);
      lookups += paths.length;
      if (theirs !== undefined) {
        const other = await theirs.look(world.disk.site, paths, world.clock.now);
        expect(accepted(other), `day ${number}`).toEqual(accepted(found));
      }
      if (day.forgedSite !== undefined) {
        attacked += await requireUnforged(year, day.forgedSite, ours, theirs, world.clock.now);
      }
    }
    await repository.close();
    return { counts: year.counts, decisions: auditor.register.tip.sequence, lookups, attacked };
  } finally {
    await theirs?.stop();
  }
}

/** All paths of a project, or its first and last. */
function pathsOf({ files, author, releases }: Owned, few: boolean): readonly string[] {
  const all = [...files.keys()];
  const some = few ? [...new Set([all[0] ?? '', all.at(-1) ?? ''])] : all;
  return [...some, `${author.directory}/${author.project.name}-1.0.${releases + 1}.tgz`];
}

/** Users find what the owners published, and nothing else. */
function requireTrue(year: RegistryYear, looked: readonly Owned[], found: Found, number: number): void {
  const truth = new Map(looked.flatMap(({ files }) => [...files]));
  for (const [path, answer] of found) {
    expect([number, path, answer]).toEqual([number, path, truth.get(path) ?? null]);
    expect(year.forged.has(answer ?? '')).toBe(false);
  }
}

/**
 * What an attacker with every online key serves: of a claimed project no user
 * gets anything that its owners did not sign.
 */
async function requireUnforged(
  year: RegistryYear,
  site: ReadonlyMap<string, Uint8Array>,
  ours: OurUser,
  theirs: PythonUser | undefined,
  now: number,
): Promise<number> {
  const victims = year.projects.slice(0, VICTIMS);
  const paths = victims.flatMap(({ author, files }) => [
    `${author.directory}/${author.project.name}-9.9.9.tgz`,
    [...files.keys()].at(-1) ?? '',
  ]);
  const found = ours.twin().look(site, paths, now);
  const twin = await theirs?.twin();
  const other = await twin?.look(site, paths, now);
  await twin?.stop();
  for (const answers of [found, other ?? new Map<string, string | null>()]) {
    for (const [path, answer] of answers) expect([path, year.forged.has(answer ?? '')]).toEqual([path, false]);
  }
  if (twin !== undefined) expect(accepted(other)).toEqual(accepted(found));
  return paths.length;
}

/** What was accepted: errors and absence are the same to a user. */
function accepted(found: Found | undefined): readonly (readonly [string, string])[] {
  return [...(found ?? [])].flatMap(([path, answer]) =>
    answer !== null && /^[0-9a-f]{64}$/.test(answer) ? [[path, answer] as const] : [],
  );
}
