// The year, day by day, with an auditor and users looking on: what must be true
// every evening. Shared by the fast run and the one with python-tuf.

import type { Instant } from '@countersign/core';
import { expect } from 'vitest';
import { DEFAULT_LIFETIMES } from '../../src/index.ts';
import { keyFolder } from '../quorum-world.ts';
import { newWorld, ONLINE } from '../world.ts';
import { Auditor } from './auditor.ts';
import { OFFLINE_LIFETIME, SPARE_KEYS } from './quorum.ts';
import { type Attack, type Counts, type Owned, RegistryYear, VICTIMS, type YearOptions } from './registry-year.ts';
import { type Found, OurUser, PythonUser, Users } from './users.ts';

/** What the year brought. */
export interface YearReport {
  readonly counts: Counts;
  readonly decisions: number;
  /** Lookups that were compared. */
  readonly lookups: number;
  /** Lookups at an attacker's mirror by users who believed its keys. */
  readonly attacked: number;
  /** Days on which everybody who knew the new keys refused that mirror as a whole. */
  readonly shunned: number;
  /** The last root's version. */
  readonly roots: number;
}

/**
 * Lives a year and checks every evening.
 *
 * @param python the interpreter that python-tuf is installed for; without it, only our own client looks
 */
export async function liveYear(options: YearOptions & { readonly days: number }, python?: string): Promise<YearReport> {
  const world = await newWorld(1, undefined, { ...DEFAULT_LIFETIMES, offline: OFFLINE_LIFETIME });
  const keys = keyFolder(...Object.values(ONLINE), ...SPARE_KEYS);
  const repository = await world.open({ signers: keys.find });
  const year = new RegistryYear(world, repository, options);
  const auditor = new Auditor(world);
  const theirs = python === undefined ? undefined : await PythonUser.start(python, world.anchor);
  const everybody = new Users(new OurUser(world.anchor), theirs);
  let caught: Users | undefined;
  let [lookups, attacked, shunned] = [0, 0, 0];
  try {
    for (let number = 1; number <= options.days; number++) {
      const day = await year.live(() => auditor.catchUp());
      auditor.catchUp();
      expect(auditor.differences(), `day ${number}`).toEqual([]);
      const monthly = number % 30 === 0 || number === options.days;
      const looked = monthly ? year.projects : [...day.changed];
      const paths = looked.flatMap((owned) => pathsOf(owned, monthly));
      const now = world.clock.now;
      requireTrue(year, looked, await everybody.look(world.disk.site, paths, now), number);
      lookups += paths.length;
      if (day.attack?.keys === 'named') {
        caught ??= await everybody.twin();
        attacked += await requireUnforged(year, day.attack, everybody, caught, now);
        // Versions far ahead keep whoever saw them from the true mirror, until the keys are replaced.
        await caught.refuse(world.disk.site, 'ROLLBACK', now);
      }
      if (day.attack?.keys === 'replaced') {
        await everybody.refuse(day.attack.site, 'THRESHOLD_NOT_MET', now);
        // Back on the true mirror, and free (§5.3.11): now that root is known here as well.
        if (shunned === 0) requireTrue(year, looked, await caught?.look(world.disk.site, paths, now), number);
        await caught?.refuse(day.attack.site, 'THRESHOLD_NOT_MET', now);
        shunned++;
      }
    }
    await repository.close();
    const decisions = auditor.register.tip.sequence;
    return { counts: year.counts, decisions, lookups, attacked, shunned, roots: auditor.rootVersion };
  } finally {
    await caught?.stop();
    await everybody.stop();
  }
}

/** All paths of a project, or its first and last. */
function pathsOf({ files, author, releases }: Owned, few: boolean): readonly string[] {
  const all = [...files.keys()];
  const some = few ? [...new Set([all[0] ?? '', all.at(-1) ?? ''])] : all;
  return [...some, `${author.directory}/${author.project.name}-1.0.${releases + 1}.tgz`];
}

/** Users find what the owners published, and nothing else. */
function requireTrue(year: RegistryYear, looked: readonly Owned[], found: Found | undefined, number: number): void {
  const truth = new Map(looked.flatMap(({ files }) => [...files]));
  for (const [path, answer] of found ?? []) {
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
  { site }: Attack,
  everybody: Users,
  caught: Users,
  now: Instant,
): Promise<number> {
  const victims = year.projects.slice(0, VICTIMS);
  const paths = victims.flatMap(({ author, files }) => [
    `${author.directory}/${author.project.name}-9.9.9.tgz`,
    [...files.keys()].at(-1) ?? '',
  ]);
  for (const found of [everybody.ours.twin().look(site, paths, now), await caught.look(site, paths, now)]) {
    for (const [path, answer] of found) expect([path, year.forged.has(answer ?? '')]).toEqual([path, false]);
  }
  return paths.length;
}
