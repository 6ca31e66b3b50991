// Another process in the same folder, at the worst moment: between what this
// one has read and what it would write there. Nothing is replaced then, and
// the update begins again on what is there now (§5.4.5, §5.5.7).

import { describe, expect, test } from 'vitest';
import { cacheNameOf, driveSync, refresh, type SyncPorts, start, type TopLevelRole } from '../src/index.ts';
import { emptyWorld, fileBytes, HOLDERS, NOW, publish, rootJson, type World } from './world.ts';

describe('a file is replaced by another process after it was read', () => {
  test.each(['timestamp', 'snapshot'] as const)('the %s: the update begins again, and ends with the newest', (role) => {
    const world = emptyWorld();
    publish(world, { version: 1 });
    const ports = overtakenAt(world, role, () => {
      publish(world, { version: 2 });
      for (const name of ['timestamp', 'snapshot'] as const) {
        const url = name === 'timestamp' ? 'timestamp.json' : '2.snapshot.json';
        world.disk.set(cacheNameOf(name), world.served.get(url) ?? new Uint8Array());
      }
    });
    const state = driveSync(refresh(driveSync(start(root()), ports), NOW), ports);
    expect([state.timestamp.content.version, state.snapshot.content.version]).toEqual([2, 2]);
    expect(world.disk.get('timestamp.json')).toEqual(world.served.get('timestamp.json'));
    expect(world.disk.get('snapshot.json')).toEqual(world.served.get('2.snapshot.json'));
    expect(world.requests.filter((url) => url === 'timestamp.json')).toHaveLength(2);
  });
});

function root(): Uint8Array {
  return fileBytes(rootJson(1), HOLDERS.root);
}

/** Ports that compare and swap; another process comes before the first save of a role. */
function overtakenAt(world: World, role: TopLevelRole, other: () => void): SyncPorts {
  let once = true;
  return {
    ...world.ports,
    state: {
      ...world.ports.state,
      save(name, bytes, over) {
        if (once && name === cacheNameOf(role)) {
          once = false;
          other();
        }
        const present = world.disk.get(name);
        const expected = over === undefined || same(present, over.bytes);
        if (expected) world.disk.set(name, bytes);
        return expected;
      },
    },
  };
}

function same(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;
}
