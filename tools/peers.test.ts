import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { MANIFEST_FOLDERS, PEER_NAMES, peer, type ReadyPeer } from './peers/peers.mjs';
import { readyOrNotRun } from './peers/require-peer.ts';

const READY: ReadyPeer = { available: true, name: 'tuf-js', folder: '.', command: 'node', args: [] };
const MISSING = { available: false, name: 'tuf-js', why: 'no network' } as const;

function context(notes: string[]) {
  return {
    skip: (note?: boolean | string): never => {
      notes.push(String(note));
      throw new Error('skipped');
    },
  };
}

test('every peer has its manifests, and all manifests their peer', () => {
  expect(new Set(readdirSync(new URL('peers-manifests', import.meta.url)))).toEqual(new Set(MANIFEST_FOLDERS));
});

test('a peer is ready, or says why it is not', () => {
  for (const name of PEER_NAMES) {
    const found = peer(name);
    expect(found.available ? found.command : found.why).not.toBe('');
  }
});

test('a test whose peer is missing is reported as not run, with the reason; in CI it fails', () => {
  const notes: string[] = [];
  expect(readyOrNotRun(READY, context(notes), true)).toBe(READY);
  expect(() => readyOrNotRun(MISSING, context(notes), false)).toThrow('skipped');
  expect(notes).toEqual(['peer tuf-js is missing: no network']);
  expect(() => readyOrNotRun(MISSING, context(notes), true)).toThrow('peer tuf-js is missing: no network');
  expect(notes).toHaveLength(1);
});
