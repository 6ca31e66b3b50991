// The addresses npm clients ask a registry for. Valid names need no percent
// encoding but for the slash and the at sign of a scope, so nothing else is
// decoded: an address has one reading here or none.

import { MetadataError, type Project } from '@countersign/core';
import { npmProject, versionOfTarballName } from './names.ts';
import { isTagName, strictVersion } from './versions.ts';

/** What a request to a registry asks for. */
export type RegistryRoute =
  | { readonly kind: 'ping' }
  | { readonly kind: 'advisories' }
  | { readonly kind: 'packument'; readonly project: Project }
  /** `selector` is a strict version or a tag. */
  | { readonly kind: 'version'; readonly project: Project; readonly selector: string }
  | { readonly kind: 'dist-tags'; readonly project: Project }
  | { readonly kind: 'tarball'; readonly project: Project; readonly file: string; readonly version: string };

/**
 * Reads the path of a request, as received, below the registry's own address.
 * A query is ignored.
 *
 * @throws MetadataError ROUTE_REFUSED for everything that is not one of the routes
 * @example registryRoute('/@types%2fnode') // { kind: 'packument', project: … }
 */
export function registryRoute(path: string): RegistryRoute {
  const plain = path.split('?', 1)[0] ?? '';
  if (plain.length > MAX_PATH || !plain.startsWith('/')) refuse(path, 'it is no path of a registry');
  const segments = plain.slice(1).split('/');
  if (segments[0] === '-') return serviceRoute(path, segments);
  const { name, rest } = splitName(path, segments);
  const project = projectOf(path, name);
  const [first, second, ...more] = rest;
  if (first === undefined) return { kind: 'packument', project };
  if (more.length > 0) refuse(path, 'it has too many segments');
  if (second === undefined) {
    if (strictVersion(first) === undefined && !isTagName(first)) refuse(path, 'it names no version or tag');
    return { kind: 'version', project, selector: first };
  }
  if (first !== '-') refuse(path, 'it is no route of a package');
  const version = versionOfTarballName(project, second);
  if (version === undefined) refuse(path, 'its last segment is not <name>-<version>.tgz of the package');
  return { kind: 'tarball', project, file: second, version };
}

function serviceRoute(path: string, segments: readonly string[]): RegistryRoute {
  const joined = segments.join('/');
  if (joined === '-/ping') return { kind: 'ping' };
  if (ADVISORIES.has(joined)) return { kind: 'advisories' };
  if (segments[1] === 'package') {
    const { name, rest } = splitName(path, segments.slice(2));
    if (rest.length === 1 && rest[0] === 'dist-tags') return { kind: 'dist-tags', project: projectOf(path, name) };
  }
  return refuse(path, 'it is no route of a registry that is answered here');
}

// `@scope%2fname`, `%40scope%2fname` and `@scope/name` are one name.
function splitName(path: string, segments: readonly string[]): { name: string; rest: readonly string[] } {
  const [first = '', second = '', ...rest] = segments;
  const head = first.replace(/^%40/, '@');
  if (!head.startsWith('@')) return { name: head, rest: segments.slice(1) };
  if (/%2f/i.test(head)) return { name: head.replace(/%2f/i, '/'), rest: segments.slice(1) };
  if (segments.length < 2) refuse(path, 'a scope alone is no package');
  return { name: `${head}/${second}`, rest };
}

function projectOf(path: string, name: string): Project {
  try {
    return npmProject(name);
  } catch (cause) {
    return refuse(path, 'it names no valid package', cause);
  }
}

function refuse(path: string, problem: string, cause?: unknown): never {
  throw new MetadataError('ROUTE_REFUSED', `Reading a registry request: ${problem}`, {
    detail: { path: path.slice(0, 300), problem },
    ...(cause !== undefined && { cause }),
  });
}

const MAX_PATH = 1024;
const ADVISORIES: ReadonlySet<string> = new Set([
  '-/npm/v1/security/advisories/bulk',
  '-/npm/v1/security/audits',
  '-/npm/v1/security/audits/quick',
]);
