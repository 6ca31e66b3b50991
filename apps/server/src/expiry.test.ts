import { days, writeInstant } from '@countersign/core';
import { expect, it } from 'vitest';
import { NOW, startService } from '../test/service.ts';
import { ExpiryAlarm, expiryReport } from './expiry.ts';

const status = {
  collection: 'main',
  publication: 4,
  projects: { claimed: 0, recent: 0 },
  roles: [
    { role: 'root', version: 1, expires: writeInstant(NOW + days(44)) },
    { role: 'timestamp', version: 4, expires: writeInstant(NOW + days(2)) },
  ],
};

it('an offline role that is due to be signed is told at once, and then once a day', () => {
  const alarm = new ExpiryAlarm();
  const told = {
    event: 'expiring',
    collection: 'main',
    role: 'root',
    expires: '2030-02-14T00:00:00Z',
    keeper: 'quorum',
  };
  expect(alarm.due(status, NOW)).toEqual([told]);
  expect(alarm.due(status, NOW + days(1) - 1)).toEqual([]);
  expect(alarm.due(status, NOW + days(1) + 1)).toMatchObject([{ role: 'timestamp' }, told]);
  // A clock that steps back must not silence it.
  expect(alarm.due(status, NOW - 3_600_000)).toMatchObject([told]);
});

it('the report says what a client sees then', () => {
  expect(expiryReport(status, NOW, 3)).toMatchObject({
    roles: [
      { role: 'timestamp', keeper: 'service' },
      { role: 'root', keeper: 'quorum', state: 'soon' },
    ],
    in: { running: null, stopped: { role: 'timestamp', reach: 'everything' } },
  });
});

it('a service tells it to whoever asks', async () => {
  const service = await startService({});
  const ask = async (query: string): Promise<Response> =>
    await fetch(`${service.server.url}/api/v1/main/expiry${query}`);
  const answer = await ask('?days=400');
  expect([answer.status, await answer.json()]).toMatchObject([200, { in: { days: 400, running: { role: 'root' } } }]);
  expect((await ask('?days=soon')).status).toBe(400);
  await service.stop();
});
