// Which Host headers name this machine. The rest of the door is gateway.test.ts.

import { describe, expect, it } from 'vitest';
import { originOf } from './host.ts';

const NONE: ReadonlySet<string> = new Set();

describe('originOf', () => {
  it.each([
    ['127.0.0.1:7411', 'http://127.0.0.1:7411'],
    ['LocalHost', 'http://localhost'],
    ['[::1]:80', 'http://[::1]:80'],
    ['127.255.255.254', 'http://127.255.255.254'],
  ])('%s', (host, origin) => expect(originOf(host, NONE)).toBe(origin));

  it.each([
    undefined,
    '',
    'localhost.',
    'localhost:80:80',
    'localhost/x',
    'user@localhost',
    '127.0.0.256',
    '127.0.0.1.nip.example',
    '0127.0.0.1',
    '0x7f.0.0.1',
    '2130706433',
    '0.0.0.0',
    '[::ffff:127.0.0.1]',
    'localhost\u00e4',
  ])('DNS rebinding: %j is refused', (host) => {
    expect(() => originOf(host, NONE)).toThrow(expect.objectContaining({ code: 'ROUTE_REFUSED' }));
  });

  it('a name that the operator allows', () => {
    expect(originOf('Gateway.corp:1', new Set(['gateway.corp']))).toBe('http://gateway.corp:1');
    expect(() => originOf('x.gateway.corp', new Set(['gateway.corp']))).toThrow();
  });
});
