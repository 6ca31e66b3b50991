import { days } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { keeperOf, outlookAt, outlooks } from './forecast.ts';

const NOW = Date.UTC(2030, 0, 1);
const LIVES = [
  { role: 'root', version: 1, expires: NOW + days(365) },
  { role: 'targets', version: 3, expires: NOW + days(40) },
  { role: 'claimed-3', version: 2, expires: NOW + days(30) },
  { role: 'recent-3', version: 9, expires: NOW + days(90) },
  { role: 'snapshot', version: 70, expires: NOW + days(60) },
  { role: 'timestamp', version: 99, expires: NOW + days(1) / 2 },
];

describe('what expires when', () => {
  it('is told in the order of time, with who must act and whether it is time to', () => {
    expect(outlooks(LIVES, NOW).map(({ role, keeper, state }) => `${role} ${keeper} ${state}`)).toEqual([
      'timestamp service soon',
      'claimed-3 quorum soon',
      'targets quorum soon',
      'snapshot service fine',
      'recent-3 service fine',
      'root quorum fine',
    ]);
    expect(outlooks(LIVES, NOW + days(41)).filter(({ state }) => state === 'expired')).toHaveLength(3);
    expect(outlooks(LIVES, NOW, days(10)).filter(({ state }) => state === 'soon')).toMatchObject([
      { role: 'timestamp' },
    ]);
  });

  it('knows whose keys keep a role', () => {
    expect(['root', 'targets', 'claimed', 'recent-0', 'unclaimed', 'decisions', 'timestamp'].map(keeperOf)).toEqual([
      'quorum',
      'quorum',
      'quorum',
      'service',
      'service',
      'service',
      'service',
    ]);
  });
});

describe('what a client will see', () => {
  it.each([
    [0, undefined, undefined],
    [1, undefined, { role: 'timestamp', reach: 'everything' }],
    [30, { role: 'claimed-3', reach: 'the names of this shard' }, { role: 'timestamp', reach: 'everything' }],
    [45, { role: 'targets', reach: 'everything' }, { role: 'timestamp', reach: 'everything' }],
  ])('in %i days', (later, running, stopped) => {
    const outlook = outlookAt(LIVES, NOW + days(later));
    if (running === undefined) expect(outlook.running).toBeUndefined();
    else expect(outlook.running).toMatchObject(running);
    if (stopped === undefined) expect(outlook.stopped).toBeUndefined();
    else expect(outlook.stopped).toMatchObject(stopped);
  });
});
