import { describe, expect, test } from 'vitest';
import { npmProject, registryRoute } from '../index.ts';

const node = npmProject('@types/node');
const ms = npmProject('ms');

describe('registry requests', () => {
  test.each([
    ['/ms', { kind: 'packument', project: ms }],
    ['/ms?write=true', { kind: 'packument', project: ms }],
    ['/@types%2fnode', { kind: 'packument', project: node }],
    ['/@types%2Fnode', { kind: 'packument', project: node }],
    ['/%40types%2fnode', { kind: 'packument', project: node }],
    ['/@types/node', { kind: 'packument', project: node }],
    ['/ms/2.1.3', { kind: 'version', project: ms, selector: '2.1.3' }],
    ['/ms/latest', { kind: 'version', project: ms, selector: 'latest' }],
    ['/@types%2fnode/latest', { kind: 'version', project: node, selector: 'latest' }],
    ['/@types/node/20.1.0', { kind: 'version', project: node, selector: '20.1.0' }],
    ['/ms/-/ms-2.1.3.tgz', { kind: 'tarball', project: ms, file: 'ms-2.1.3.tgz', version: '2.1.3' }],
    [
      '/@types/node/-/node-20.1.0-rc.1.tgz',
      { kind: 'tarball', project: node, file: 'node-20.1.0-rc.1.tgz', version: '20.1.0-rc.1' },
    ],
    [
      '/@types%2fnode/-/node-20.1.0.tgz',
      { kind: 'tarball', project: node, file: 'node-20.1.0.tgz', version: '20.1.0' },
    ],
    ['/-/ping', { kind: 'ping' }],
    ['/-/ping?write=true', { kind: 'ping' }],
    ['/-/npm/v1/security/advisories/bulk', { kind: 'advisories' }],
    ['/-/npm/v1/security/audits/quick', { kind: 'advisories' }],
    ['/-/package/@types%2fnode/dist-tags', { kind: 'dist-tags', project: node }],
    ['/-/package/ms/dist-tags', { kind: 'dist-tags', project: ms }],
  ])('%s', (path, route) => {
    expect(registryRoute(path)).toEqual(route);
  });

  test.each([
    '',
    'ms',
    '/',
    '//',
    '//ms',
    '/ms/',
    '/ms//',
    '/../ms',
    '/./ms',
    '/%6ds',
    '/ms%00',
    '/@types%252fnode',
    '/%2540types%2fnode',
    '/@types',
    '/@types/',
    '/@types%2f',
    '/@types%5cnode',
    '/types%2fnode',
    '/@a%2fb%2fc',
    '/@types%2fnode/node/-/x',
    '/ms/-',
    '/ms/-/',
    '/ms/-/is-odd-3.0.1.tgz',
    '/ms/-/ms-2.1.3.tgz/x',
    '/ms/-/ms-2.1.3.tar.gz',
    '/ms/-/ms-2.1.tgz',
    '/ms/-/..%2fms-2.1.3.tgz',
    '/ms/-rev/1',
    '/ms/^1.0.0',
    '/ms/%5e1.0.0',
    '/ms/1.x',
    '/-',
    '/-/',
    '/-/v1/search?text=x',
    '/-/user/org.couchdb.user:x',
    '/-/whoami',
    '/-/all',
    '/-/package/ms',
    '/-/package/ms/collaborators',
    '/-/npm/v1/tokens',
    '/favicon.ico',
    '/node_modules',
    '/ms;a=b',
    '/ms#x',
    'http://evil.example/ms',
    `/${'a'.repeat(1100)}`,
  ])('%s is refused', (path) => {
    expect(() => registryRoute(path)).toThrow(expect.objectContaining({ code: 'ROUTE_REFUSED' }));
  });
});
