// A real process, killed at each of its changes to a real file system during an
// update with everything in it, and a download after it. What stands at the
// destination is the older file or the whole new one; what is kept has not
// gone back; and the next process gets to the end.

import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { integerAt, objectAt, readDocument } from '@countersign/core';
import { MS, registryWorld, type World } from '@countersign/testkit';
import { expect, onTestFinished, test } from 'vitest';

const NEXT = `${MS.directory}/ms-2.1.4.tgz`;
const CONTENT = 'next version '.repeat(100_000); // more than one write

test('§5, §5.7.3/3 a process killed at any change to its files leaves what the next one can go on from', {
  timeout: 600_000,
}, () => {
  const home = mkdtempSync(join(tmpdir(), 'countersign-kill-'));
  onTestFinished(() => rmSync(home, { recursive: true }));
  const world = registryWorld();
  const before = join(home, 'before');
  expect(run(home, world, before, MS.path, -1).status).toBe(0);
  writeFileSync(join(before, 'download'), 'the older file');
  const old = versionsIn(before);
  publishEverything(world);

  for (let at = 0, killed = true; killed; at++) {
    const place = join(home, String(at));
    cpSync(before, place, { recursive: true });
    const { status, signal, stdout, stderr } = run(home, world, place, NEXT, at);
    killed = signal === 'SIGKILL';
    if (!killed) {
      expect([status, stderr]).toEqual([0, '']);
      const steps: readonly string[] = JSON.parse(stdout);
      // All that a client changes: folders, files, writes, syncs, renames, removals.
      expect(steps.length).toBe(at);
      for (const kind of [/^open/, /^write/, /sync/, /^rename/, /^rm/])
        expect(steps.some((step) => kind.test(step))).toBe(true);
    }
    const shown = readFileSync(join(place, 'download'), 'utf8');
    expect([at, shown === CONTENT || shown === 'the older file']).toEqual([at, true]);
    const now = versionsIn(place);
    for (const [name, version] of old) {
      // Keys were rotated: floors may be dropped, never lowered (§5.3.11).
      const gone = ['timestamp.json', 'snapshot.json'].includes(name) ? version : 0;
      expect([at, name, (now.get(name) ?? gone) >= version]).toEqual([at, name, true]);
    }
    expect(run(home, world, place, NEXT, -1).status).toBe(0);
    expect(readFileSync(join(place, 'download'), 'utf8') === CONTENT).toBe(true);
    for (const role of ['root', 'timestamp', 'snapshot', 'targets', MS.release]) {
      expect(readFileSync(join(place, 'state', `${role}.json`))).toEqual(Buffer.from(world.bytes(role)));
    }
    // What a killed process leaves beside is never taken for metadata.
    const left = readdirSync(join(place, 'state')).filter((name) => !name.endsWith('.json'));
    expect(left.filter((name) => name !== 'root_history' && !/^\.\w+(?:\.tmp)?$/.test(name))).toEqual([]);
    rmSync(place, { recursive: true });
  }
});

/** New roots with rotated keys, and a new version of every role on the way. */
function publishEverything(world: World): void {
  world.authorise('timestamp', [world.key('timestamp-2')]);
  world.publish();
  world.authorise('root', [world.key('root-4'), world.key('root-5')], 2);
  for (const role of ['targets', 'claimed', MS.owner]) world.role(role).expires += 1000;
  world.addTarget(MS.release, NEXT, CONTENT);
  world.publish();
}

/** Runs one process; `at` is the step at which it is killed, -1 for none. */
function run(home: string, world: World, place: string, path: string, at: number): SpawnSyncReturns<string> {
  mkdirSync(place, { recursive: true });
  const files = Object.fromEntries(
    [...world.files].flatMap(([url, served]) =>
      served instanceof Uint8Array ? [[url, Buffer.from(served).toString('base64')]] : [],
    ),
  );
  const anchor = Buffer.from(world.anchor ?? []).toString('base64');
  const task = { folder: join(place, 'state'), destination: join(place, 'download'), path, at, files, anchor };
  writeFileSync(join(home, 'task.json'), JSON.stringify(task));
  const child = fileURLToPath(new URL('kill-child.mjs', import.meta.url));
  return spawnSync(process.execPath, [child, join(home, 'task.json')], { encoding: 'utf8' });
}

function versionsIn(place: string): ReadonlyMap<string, number> {
  const names = readdirSync(join(place, 'state')).filter((name) => name.endsWith('.json'));
  return new Map(
    names.map((name) => {
      const signed = objectAt(readDocument(readFileSync(join(place, 'state', name))).root, 'signed', name);
      return [name, integerAt(signed, 'version', 1, name)];
    }),
  );
}
