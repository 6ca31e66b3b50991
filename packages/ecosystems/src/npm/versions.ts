// npm's versions and tags: strict semantic versions without build metadata
// (registries drop it, so two files would become one version), their order,
// and the names that may point to them.

import compare from 'semver/functions/compare.js';
import parse from 'semver/functions/parse.js';
import validRange from 'semver/ranges/valid.js';

/** A strict version exactly as written; `undefined` for anything else, `v1.2.3` and `1.2.3+b` included. */
export function strictVersion(text: string): string | undefined {
  const version = parse(text);
  return version !== null && version.version === text && version.build.length === 0 ? text : undefined;
}

/** Tells whether a strict version is a prerelease, such as `1.0.0-beta.1`. */
export function isPrerelease(version: string): boolean {
  return version.includes('-');
}

/** Orders strict versions by precedence, lowest first. */
export function compareVersions(a: string, b: string): number {
  return compare(a, b);
}

/** The version that `latest` means when nothing says so: the highest, prereleases only if there is nothing else. */
export function highestVersion(versions: Iterable<string>): string | undefined {
  let best: string | undefined;
  for (const version of versions) {
    if (best === undefined || ranks(version, best)) best = version;
  }
  return best;
}

/** Tells whether a text can be a dist-tag: a word that no version range is read from. */
export function isTagName(text: string): boolean {
  return text.length <= MAX_TAG && TAG.test(text) && validRange(text, true) === null;
}

function ranks(version: string, best: string): boolean {
  if (isPrerelease(version) !== isPrerelease(best)) return isPrerelease(best);
  return compareVersions(version, best) > 0;
}

const MAX_TAG = 100;
const TAG = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
