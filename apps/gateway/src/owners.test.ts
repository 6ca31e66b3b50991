// Owners whom the earlier ones did not appoint: what a user is told, what stops
// them where they asked for that, and what nobody can bring back (DESIGN §6).

import { join } from 'node:path';
import { days, ownerRoleName } from '@countersign/core';
import { addPackage, DEBUG, type ExampleProject, MS, type World } from '@countersign/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Heard, House, honestWorld } from '../test/house.ts';
import { KnownOwners } from './known-owners.ts';

let world: World;
let house: House;
beforeEach(async () => {
  world = await honestWorld();
  house = await House.build(world);
});
afterEach(() => house.tearDown());

const index = ({ project }: ExampleProject): string => `/npm/${project.name}`;
const tarball = ({ facts }: ExampleProject): string => `/npm/${facts.name}/-/${facts.name}-${facts.version}.tgz`;

/** The shard hands a project to another key, under the owner role of an epoch. */
function handOver(project: ExampleProject, epoch: number, by?: 'recover' | 'adopt'): void {
  const shard = world.role(project.kind);
  const at = shard.delegations.findIndex(({ name }) => name === project.owner);
  shard.delegations.splice(at, 1);
  const role = ownerRoleName(project.project, epoch);
  world.delegate(project.kind, role, {
    keys: [world.key(`${project.facts.name}-epoch-${epoch}`)],
    terminating: true,
    paths: [`${project.directory}/*`],
  });
  addPackage(world, role, project.directory, project.facts);
  if (by !== undefined) shard.members.set('custom', { epochs: { [role]: { by, sequence: 7 } } });
  world.publish();
}

function toldIn({ status, headers }: Heard): readonly unknown[] {
  return [status, headers['x-tuf-owners'], headers['npm-notice']];
}

describe('by default a user is shown', () => {
  it('a new epoch that came by recovery, on index and file, until it is confirmed', async () => {
    await house.ask(index(MS));
    handOver(MS, 2, 'recover');
    const notice =
      'Countersign: npm/ms has new owners: it was recovered (epoch 2 after 1); its earlier owners did not sign this. ' +
      'If you expected this: countersign trust npm/ms';
    expect(toldIn(await house.ask(index(MS)))).toEqual([200, 'new-epoch', notice]);
    expect(toldIn(await house.ask(tarball(MS)))).toMatchObject([
      200,
      'new-epoch',
      expect.stringContaining(MS.directory),
    ]);
    expect(house.events.filter(({ event }) => event === 'owners')).toHaveLength(1);
    await house.stop();
    expect(toldIn(await house.ask(index(MS)))).toMatchObject([200, 'new-epoch', notice]);
    await house.stop();
    const known = await KnownOwners.open(join(house.folder, 'known-owners.log'));
    expect(await known.confirm(MS.directory)).toMatchObject({ change: 'new-epoch' });
    expect(await known.confirm(MS.directory)).toBeUndefined();
    await known.close();
    expect(toldIn(await house.ask(index(MS)))).toEqual([200, undefined, undefined]);
  });

  it('for a month, and then no more', async () => {
    await house.tearDown();
    let later = 0;
    house = await House.build(world, { clock: () => world.now + later });
    await house.ask(index(MS));
    handOver(MS, 2, 'adopt');
    expect(toldIn(await house.ask(index(MS)))).toMatchObject([200, 'new-epoch', expect.stringContaining('adopted')]);
    later = days(31);
    expect(toldIn(await house.ask(index(MS)))).toEqual([200, undefined, undefined]);
  });

  it('all keys of a recent name replaced at once, for which only an online key vouches', async () => {
    await house.ask(index(DEBUG));
    handOver(DEBUG, 1);
    expect(toldIn(await house.ask(index(DEBUG)))).toMatchObject([
      200,
      'replaced',
      expect.stringContaining('other keys'),
    ]);
  });

  it('nothing of a claimed name whose owners changed within their epoch: the quorum countersigned it', async () => {
    await house.ask(index(MS));
    handOver(MS, 1);
    expect(toldIn(await house.ask(index(MS)))).toEqual([200, undefined, undefined]);
  });

  it('nothing of owners met for the first time', async () => {
    handOver(MS, 3, 'recover');
    expect(toldIn(await house.ask(index(MS)))).toEqual([200, undefined, undefined]);
  });
});

it('attack: an epoch that is over is refused, whoever signs for it', async () => {
  await house.ask(index(DEBUG));
  const before = world.role('recent').delegations.find(({ name }) => name === DEBUG.owner);
  handOver(DEBUG, 2, 'recover');
  expect((await house.ask(index(DEBUG))).status).toBe(200);
  const shard = world.role('recent');
  shard.delegations.length = 0;
  if (before !== undefined) shard.delegations.push(before);
  world.publish();
  expect(await house.ask(index(DEBUG))).toMatchObject({ status: 403, code: 'ROLLBACK' });
  await house.stop();
  expect(await house.ask(tarball(DEBUG))).toMatchObject({ status: 403, code: 'ROLLBACK' });
});

describe('where the user asked for it', () => {
  beforeEach(async () => {
    await house.tearDown();
    house = await House.build(world, { newOwners: 'stop' });
  });

  it('a new epoch stops index and file until it is confirmed, also by another process', async () => {
    await house.ask(index(MS));
    handOver(MS, 2, 'recover');
    for (const path of [index(MS), tarball(MS), `/targets/${MS.path}`]) {
      expect(await house.ask(path), path).toMatchObject({ status: 403, code: 'OWNER_CHANGED' });
    }
    const other = await KnownOwners.open(join(house.folder, 'known-owners.log'));
    await other.confirm(MS.directory);
    await other.close();
    expect((await house.ask(index(MS))).status).toBe(200);
    expect((await house.ask(tarball(MS))).status).toBe(200);
  });

  it('time alone does not confirm it', async () => {
    await house.tearDown();
    let later = 0;
    house = await House.build(world, { newOwners: 'stop', clock: () => world.now + later });
    await house.ask(index(MS));
    handOver(MS, 2, 'recover');
    await house.ask(index(MS));
    later = days(60);
    expect(await house.ask(index(MS))).toMatchObject({ status: 403, code: 'OWNER_CHANGED' });
  });

  it('a confirmed epoch stops again at the next one', async () => {
    await house.ask(index(MS));
    handOver(MS, 2, 'recover');
    await house.ask(index(MS));
    const other = await KnownOwners.open(join(house.folder, 'known-owners.log'));
    await other.confirm(MS.directory);
    await other.close();
    expect((await house.ask(index(MS))).status).toBe(200);
    world.role('claimed').delegations.splice(-1, 1);
    world.delegate('claimed', ownerRoleName(MS.project, 3), {
      keys: [world.key('ms-epoch-3')],
      terminating: true,
      paths: [`${MS.directory}/*`],
    });
    addPackage(world, ownerRoleName(MS.project, 3), MS.directory, MS.facts);
    world.publish();
    expect(await house.ask(index(MS))).toMatchObject({ status: 403, code: 'OWNER_CHANGED' });
  });
});
