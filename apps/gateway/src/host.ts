// Who a request was meant for. A web page can make a browser talk to loopback
// under the page's own name (DNS rebinding), so only requests that name this
// machine, or a name the operator allowed, are answered. Links into the
// gateway are built from that checked name and from nothing else.

import { MetadataError } from '@countersign/core';

/**
 * The origin that the caller addressed, such as `http://localhost:7411`.
 *
 * @param host the Host header
 * @param allowed further host names, without port, in lower case
 * @throws MetadataError ROUTE_REFUSED
 */
export function originOf(host: string | undefined, allowed: ReadonlySet<string>): string {
  const match = HOST.exec(host ?? '');
  const name = (match?.[1] ?? '').toLowerCase();
  if (match !== null && (isLoopback(name) || allowed.has(name))) return `http://${name}${match[2] ?? ''}`;
  throw new MetadataError('ROUTE_REFUSED', 'Reading the Host header: it does not name this gateway', {
    detail: { host: (host ?? '').slice(0, 200) },
  });
}

/** Tells whether a host name, without port, is this machine's loopback. */
export function isLoopback(name: string): boolean {
  return name === 'localhost' || name === '[::1]' || IPV4_LOOPBACK.test(name);
}

const HOST = /^([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?$/;
const IPV4_LOOPBACK = /^127(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}$/;
