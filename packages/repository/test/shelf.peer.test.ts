// Shelves as python-tuf sees them: it finds and refuses exactly what our own
// client does, at each step and on a mirror forged with every online key.

import { expect, test } from 'vitest';
import { requirePeer } from '../../../tools/peers/require-peer.ts';
import { shelvedWorld } from './shelves.ts';
import { author, publish } from './world.ts';
import { OurUser, PythonUser } from './year/users.ts';

test('python-tuf follows names on and off a shelf, and takes no forged file of one that is on it', async (context) => {
  const python = requirePeer('python-tuf', context);
  const shelves = await shelvedWorld();
  const { world, repository } = shelves;
  const names = [author('old'), author('other'), author('lively')] as const;
  const [old, , lively] = names;
  for (const by of names) await publish(repository, shelves.filesOf(by, { a: 'one', b: 'two' }));
  const paths = names.flatMap(({ directory }) => ['a', 'b', 'c'].map((file) => `${directory}/${file}`));
  const theirs = await PythonUser.start(python.command, world.anchor);
  const ours = new OurUser(world.anchor);
  const look = async (
    site = world.disk.site,
    us = ours,
    them = theirs,
  ): Promise<ReadonlyMap<string, string | null>> => {
    const found = us.look(site, paths, world.clock.now);
    expect(await them.look(site, paths, world.clock.now)).toEqual(found);
    return found;
  };
  const begin = await look();
  for (const step of [{ take: [old] }, { take: [names[1]] }, { release: [names[1]] }]) {
    await publish(repository, await shelves.shelving(step));
    expect(await look()).toEqual(begin);
  }
  for (const victim of [old, lively]) {
    const { site } = await shelves.forgery(victim, { a: 'evil', c: 'evil' });
    const twin = await theirs.twin();
    const found = await look(site, ours.twin(), twin);
    await twin.stop();
    if (victim === old) expect(found).toEqual(begin);
    else expect(found.get(`${lively.directory}/c`)).toEqual(expect.any(String));
  }
  await theirs.stop();
}, 60_000);
