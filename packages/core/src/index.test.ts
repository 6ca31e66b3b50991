import { expect, test } from 'vitest';
import * as surface from './index.ts';

test('every name of the public surface is there', () => {
  const names = Object.entries(surface);
  expect(names.length).toBeGreaterThan(70);
  for (const [name, value] of names) expect([name, value]).not.toEqual([name, undefined]);
});

test('nothing that moves trusted state, or reads a part of a file, is handed out by itself', () => {
  const inner = ['trustRoot', 'advanceRoot', 'advanceTimestamp', 'advanceSnapshot', 'requireListed', 'remember'];
  for (const name of [...inner, 'rotatedAway', 'readSignatures', 'malformed']) {
    expect([name, name in surface]).toEqual([name, false]);
  }
});
