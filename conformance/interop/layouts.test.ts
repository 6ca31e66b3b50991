import { readFileSync } from 'node:fs';
import { DOORS } from '@countersign/testkit';
import { describe, expect, test } from 'vitest';
import { PEER_NAMES } from '../../tools/peers/peers.mjs';
import { LAYOUTS } from './layouts.ts';
import { EXCEPTIONS, supportTable } from './support.ts';

describe.for(DOORS)('$name', (door) => {
  describe.for([true, false])('consistent snapshots %s', (consistentSnapshot) => {
    test.for(LAYOUTS)('$name', async (layout) => {
      const { world, probes } = layout.open(consistentSnapshot);
      const session = await door.open(world);
      for (const { path, want } of probes) {
        const { code, bytes } = await session.fetch(path);
        expect([path, code]).toEqual([path, want === 'refused' ? 'TARGET_UNKNOWN' : 'OK']);
        if (want !== 'refused') expect(bytes).toEqual(want);
      }
    });
  });
});

test('every exception is about a peer and a layout that there are, once', () => {
  const known = PEER_NAMES.flatMap((peer) => LAYOUTS.map(({ name }) => `${peer}: ${name}`));
  const listed = EXCEPTIONS.map(({ peer, layout }) => `${peer}: ${layout}`);
  expect(new Set(listed).size).toBe(listed.length);
  expect(listed.filter((exception) => !known.includes(exception))).toEqual([]);
});

test('the README shows what is asserted', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const names = LAYOUTS.map(({ name }) => name);
  expect(readme).toContain(supportTable(PEER_NAMES, names));
});
