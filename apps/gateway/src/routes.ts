// From a raw request path to a route. Segments are split before they are
// decoded, so that `%2f` never makes a new one; what is not exactly a known
// route is refused, because an unknown request that is passed on somewhere is
// how gateways are walked around. npm's own addresses are read by ecosystems.

import { MetadataError, type Project, type TargetPath, targetPathOf } from '@countersign/core';
import { ecosystemOf, type RegistryRoute, registryRoute } from '@countersign/ecosystems';

/** What is asked for. */
export type Route =
  | { readonly to: 'health' }
  | { readonly to: 'why' | 'target'; readonly path: TargetPath }
  | { readonly to: 'file'; readonly project: Project; readonly file: string }
  | { readonly to: 'npm'; readonly npm: RegistryRoute };

/**
 * Reads a request.
 *
 * @param path as sent, without query
 * @throws MetadataError ROUTE_REFUSED
 * @throws AdmissionError NAME_INVALID
 * @example routeOf('GET', '/npm/@types%2fnode') // { to: 'npm', npm: { kind: 'packument', … } }
 */
export function routeOf(method: string, path: string): Route {
  const npm = path.startsWith(NPM) ? registryRoute(path.slice(NPM.length - 1)) : undefined;
  // The one request that npm makes by POST; its answer changes nothing.
  const allowed = method === 'GET' || method === 'HEAD' || npm?.kind === 'advisories';
  const route = !allowed ? undefined : npm === undefined ? ownRoute(path) : ({ to: 'npm', npm } as const);
  if (route !== undefined) return route;
  throw new MetadataError('ROUTE_REFUSED', 'Reading a request: it is not one that is answered here', {
    detail: { method: method.slice(0, 16), path: path.slice(0, 300) },
  });
}

function ownRoute(path: string): Route | undefined {
  const segments = path.split('/').map(decoded);
  // A segment that holds a slash is another path than the one it looks like.
  if (segments.some((segment) => segment === undefined || segment.includes('/'))) return undefined;
  const [before, room, ...rest] = segments.map((segment) => segment ?? '');
  if (before !== '') return undefined;
  const [first, second, ...more] = rest;
  if (room === 'targets') return targetRoute('target', rest);
  if (room === '-' && first === 'why') return targetRoute('why', rest.slice(1));
  if (room === '-' && first === 'health' && second === undefined) return { to: 'health' };
  if (room !== 'files' || !first || !second || more.length > 0) return undefined;
  return { to: 'file', project: ecosystemOf('files').project(first), file: second };
}

function targetRoute(to: 'why' | 'target', segments: readonly string[]): Route | undefined {
  const path = targetPathOf(segments.join('/'));
  return path && { to, path };
}

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

const NPM = '/npm/';
