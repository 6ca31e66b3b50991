// A collection with some life behind it, for the tests of operations: two
// projects, a file that was replaced, a renewal, one name that is claimed.

import { submissionText } from '../src/index.ts';
import type { OperationOptions } from '../src/operations/index.ts';
import { type Disk, memoryStore, type Step } from './memory-store.ts';
import {
  type Author,
  author,
  claimOf,
  HOUR,
  newWorld,
  nodeCrypto,
  presentOf,
  publish,
  roleText,
  sessionOf,
  submissionOf,
  targetOf,
  upload,
  type World,
} from './world.ts';

export const MS = author('ms');
export const TOOL = author('tool', { ecosystem: 'any' });

/** What operations work with, over a disk. */
export function optionsOver(
  { disk, clock }: Pick<World, 'disk' | 'clock'>,
  step?: Step,
): OperationOptions & { readonly name: string } {
  return { name: 'main', ...memoryStore(disk, step), crypto: nodeCrypto, clock: () => clock.now };
}

/** Publishes a version of an author's role that lists these contents by file name, and nothing else. */
export async function release(world: World, by: Author, files: Readonly<Record<string, string>>): Promise<void> {
  const repository = await world.open();
  await upload(repository, ...Object.values(files));
  const present = presentOf(world, by.role);
  const set = Object.entries(files).map(([file, content]) => targetOf(by, file, content));
  const remove = [...(present?.targets.keys() ?? [])].filter((path) => !set.some((target) => target.path === path));
  if (present === undefined) await publish(repository, await claimOf(by, { set }));
  else await publish(repository, submissionOf([by.role, await roleText(present, { set, remove }, by.keys)]));
  await repository.close();
}

/** Lets time pass as a service does that renews in time. */
export async function pass(world: World, hours: number): Promise<void> {
  const repository = await world.open();
  for (let passed = 0; passed < hours; passed += 6) {
    world.clock.now += 6 * HOUR;
    world.disk.clock.now = world.clock.now;
    await repository.renew();
  }
  await repository.close();
}

/** The quorum countersigns every name. */
export async function promote(world: World): Promise<void> {
  const session = submissionText(await sessionOf(world));
  const repository = await world.open();
  await publish(repository, session);
  await repository.close();
}

/** The collection that most tests begin with. */
export async function livedWorld(): Promise<World> {
  const world = await newWorld();
  await release(world, MS, { 'ms-1': 'one' });
  await release(world, TOOL, { latest: 'old' });
  await release(world, MS, { 'ms-1': 'one', 'ms-2': 'two' });
  await release(world, TOOL, { latest: 'new' });
  await promote(world);
  await pass(world, 24);
  return world;
}

/** A disk that nothing else writes to. */
export function copyOf(disk: Disk): Disk {
  return {
    publications: [...disk.publications],
    made: new Map(disk.made),
    files: new Map(disk.files),
    roles: new Map(disk.roles),
    journal: new Map(disk.journal),
    known: new Map(disk.known),
    shown: new Map(disk.shown),
    decisions: [...disk.decisions],
    documents: new Map(disk.documents),
    tokens: new Map(disk.tokens),
    blobs: new Map(disk.blobs),
    site: new Map(disk.site),
    written: new Map(disk.written),
    clock: { ...disk.clock },
    processes: { leader: undefined, watches: new Set() },
  };
}
