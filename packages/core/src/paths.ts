// The one module where names from outside become file names, URLs or patterns:
// role names, target paths, path patterns (§4.5, §6.2.1).
// Nothing else may build a path or a URL from metadata.

import { UsageError } from './errors.ts';

declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** A file name inside the folder of trusted local state, `/`-separated, safe on every system. */
export type CacheName = Brand<string, 'CacheName'>;
/** A URL relative to the metadata or targets base URL, percent-encoded. */
export type RelativeUrl = Brand<string, 'RelativeUrl'>;
/** A target path that is safe to turn into a URL or file name. */
export type TargetPath = Brand<string, 'TargetPath'>;

/** The four top-level roles (§2.1). */
export const TOP_LEVEL_ROLES = ['root', 'timestamp', 'snapshot', 'targets'] as const;
/** One of the four top-level roles. */
export type TopLevelRole = (typeof TOP_LEVEL_ROLES)[number];

/** Tells whether a role name is one of the four top-level ones. */
export function isTopLevelRole(name: string): name is TopLevelRole {
  return (TOP_LEVEL_ROLES as readonly string[]).includes(name);
}

/** Where a role's trusted metadata is kept locally (§5.3.8, 5.4.5, 5.5.7, 5.6.6: unversioned names). */
export function cacheNameOf(role: string): CacheName {
  // On a file system that ignores case, a delegated `Root` must not overwrite `root`.
  const lookalike = !isTopLevelRole(role) && isTopLevelRole(role.toLowerCase());
  const name = lookalike ? `%${role.charCodeAt(0).toString(16)}${role.slice(1)}` : encode(role);
  return `${name}.json` as CacheName;
}

/** Where an earlier, verified root is kept locally, so that its chain can be walked again. */
export function rootHistoryName(version: number): CacheName {
  return `root_history/${version}.root.json` as CacheName;
}

/**
 * The URL of a role's metadata, relative to the metadata base URL: with its
 * version in front (§6.2.1), or plain when `version` is `undefined`.
 */
export function metadataUrl(role: string, version: number | undefined): RelativeUrl {
  return `${version === undefined ? '' : `${version}.`}${encode(role)}.json` as RelativeUrl;
}

/** The URL of a target relative to the targets base URL; with `digest` as prefix of its last segment (§6.2.1). */
export function targetUrl(path: TargetPath, digest: string | undefined): RelativeUrl {
  const name = path.lastIndexOf('/') + 1;
  const folder = path.slice(0, name).split('/').map(encode).join('/');
  const prefix = digest === undefined ? '' : `${encode(digest)}.`;
  return `${folder}${prefix}${encode(path.slice(name))}` as RelativeUrl;
}

/**
 * Accepts a target path: `/`-separated, no empty, `.` or `..` segment, no
 * backslash, no control character, no lone surrogate, at most 1,024 characters and 255 in a segment. Else `undefined`.
 */
export function targetPathOf(text: string): TargetPath | undefined {
  if (text.length === 0 || text.length > MAX_PATH || FORBIDDEN_IN_PATH.test(text)) return undefined;
  const segments = text.split('/');
  if (segments.some((segment) => NOT_A_SEGMENT.includes(segment) || segment.length > MAX_SEGMENT)) return undefined;
  return text as TargetPath;
}

/**
 * Like {@link targetPathOf}, for callers' input.
 *
 * @throws UsageError USAGE_INVALID when it is not a target path.
 */
export function requireTargetPath(text: string): TargetPath {
  const path = targetPathOf(text);
  if (path !== undefined) return path;
  throw new UsageError('USAGE_INVALID', 'Reading a target path: it is not a relative, slash-separated path', {
    detail: { path: text.slice(0, 200) },
  });
}

/**
 * Matches a path against a pattern (§4.5): `*` and `?` stand for any
 * characters but `/`; everything else is literal (DEVIATES: ADR 0003). Case
 * matters. A segment with one `*` costs what its length is; with more, at most
 * its length times its pattern's, both of which are bounded (`MAX_SEGMENT`).
 *
 * @example matchesPattern('npm/3f??' + '/x/*', 'npm/3f01/x/a.tgz') // true
 */
export function matchesPattern(pattern: string, path: string): boolean {
  const globs = pattern.split('/');
  const segments = path.split('/');
  return globs.length === segments.length && globs.every((glob, i) => matchesSegment(glob, String(segments[i])));
}

/** How a pattern relates to the files directly inside a directory. */
export function patternCoverage(pattern: string, directory: string): 'all' | 'some' | 'none' {
  const globs = pattern.split('/');
  const last = globs.pop();
  const segments = directory.split('/');
  if (globs.length !== segments.length) return 'none';
  if (!globs.every((glob, i) => matchesSegment(glob, String(segments[i])))) return 'none';
  return last === '*' ? 'all' : 'some';
}

function matchesSegment(glob: string, text: string): boolean {
  const first = glob.indexOf('*');
  if (first < 0) return endOfMatch(glob, text, 0) === text.length;
  const last = glob.lastIndexOf('*');
  let at = endOfMatch(glob.slice(0, first), text, 0);
  if (at < 0) return false;
  const chunks = glob
    .slice(first, last)
    .split('*')
    .filter((chunk) => chunk !== '');
  for (const chunk of chunks) {
    // The leftmost place that fits leaves the most room for what follows.
    let end = -1;
    while (at <= text.length && end < 0) end = endOfMatch(chunk, text, at++);
    if (end < 0) return false;
    at = end;
  }
  return startOfMatch(glob.slice(last + 1), text) >= at;
}

/** Where a chunk without `*` ends when it begins at `at`, or -1. `?` is one character, not one UTF-16 unit. */
function endOfMatch(chunk: string, text: string, at: number): number {
  if (!chunk.includes('?')) return text.startsWith(chunk, at) ? at + chunk.length : -1;
  let end = at;
  for (const sign of chunk) {
    const code = text.codePointAt(end);
    if (code === undefined) return -1;
    const here = String.fromCodePoint(code);
    if (sign !== '?' && sign !== here) return -1;
    end += here.length;
  }
  return end;
}

/** Where a chunk without `*` begins when it ends with the text, or -1. */
function startOfMatch(chunk: string, text: string): number {
  if (!chunk.includes('?')) return text.endsWith(chunk) ? text.length - chunk.length : -1;
  const signs = Array.from(chunk);
  const characters = Array.from(text);
  const from = characters.length - signs.length;
  const fits = from >= 0 && signs.every((sign, i) => sign === '?' || sign === characters[from + i]);
  return fits ? characters.slice(0, from).join('').length : -1;
}

/** Tells whether matching a pattern may cost more than its length: a segment has several `*`. */
export function isCostlyPattern(pattern: string): boolean {
  return /\*[^/*]+\*/.test(pattern);
}

/** Tells whether a pattern's length and segments are within what a match may cost. */
export function isBoundedPattern(pattern: string): boolean {
  return pattern.length <= MAX_PATH && pattern.split('/').every((segment) => segment.length <= MAX_SEGMENT);
}

// Everything but unreserved characters (RFC 3986 §2.3) is percent-encoded, so
// `/`, `?` and `#` cannot leave the folder or the path; `..` gets `.json` behind it.
function encode(name: string): string {
  return encodeURIComponent(name).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

const MAX_PATH = 1024;
const MAX_SEGMENT = 255;
const NOT_A_SEGMENT: readonly string[] = ['', '.', '..'];
const FORBIDDEN_IN_PATH = /[\u0000-\u001f\u007f\\\p{Cs}]/u;
