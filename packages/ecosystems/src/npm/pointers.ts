// npm's mutable pointers: the dist-tags that an author signs in the role's own
// `custom`, `{"npm":{"dist-tags":{"latest":"1.2.3"}}}`. Reading is lenient (a
// bad pointer is no pointer), writing is strict.

import { AdmissionError, isObject, type JsonObject, type JsonValue } from '@countersign/core';
import type { Inspected } from '../ecosystem.ts';
import { compareVersions, isPrerelease, isTagName, strictVersion } from './versions.ts';

/**
 * The dist-tags of a role. Members that are no tag or point to no strict
 * version are left out.
 *
 * @param custom the role's `signed.custom`, if any
 */
export function readDistTags(custom: JsonObject | undefined): ReadonlyMap<string, string> {
  const tags = new Map<string, string>();
  const npm = custom?.get('npm');
  const listed = isObject(npm) ? npm.get('dist-tags') : undefined;
  if (!isObject(listed)) return tags;
  for (const [tag, version] of listed) {
    if (isTagName(tag) && typeof version === 'string' && strictVersion(version) !== undefined) tags.set(tag, version);
  }
  return tags;
}

/**
 * The role's `custom` with these dist-tags; every other member is kept.
 *
 * @throws AdmissionError ENTRY_INVALID for a tag or version that is not one
 * @example writeDistTags(undefined, new Map([['latest', '1.2.3']]))
 */
export function writeDistTags(custom: JsonObject | undefined, tags: ReadonlyMap<string, string>): JsonObject {
  for (const [tag, version] of tags) {
    if (!isTagName(tag)) refuse('a dist-tag must be a word that is no version range', { tag: tag.slice(0, 100) });
    if (strictVersion(version) === undefined) refuse('a dist-tag must point to a strict version', { tag });
  }
  const before = custom?.get('npm');
  const npm = new Map<string, JsonValue>(isObject(before) ? before : []);
  npm.set('dist-tags', new Map(tags));
  return new Map<string, JsonValue>(custom ?? []).set('npm', npm);
}

/**
 * The role's `custom` after publishing a version. With a tag (the author's, or
 * the package's own `publishConfig.tag`) that tag moves there. Without one,
 * `latest` moves, but never to a prerelease and never backwards, so that the
 * order of publishing does not matter.
 *
 * @throws AdmissionError ENTRY_INVALID
 */
export function advanceDistTags(custom: JsonObject | undefined, inspected: Inspected, tag?: string): JsonObject {
  const { version } = inspected;
  const tags = new Map(readDistTags(custom));
  const named = tag ?? inspected.tag;
  if (version !== undefined && named !== undefined) tags.set(named, version);
  if (version !== undefined && named === undefined && !isPrerelease(version)) {
    const latest = tags.get('latest');
    if (latest === undefined || compareVersions(version, latest) > 0) tags.set('latest', version);
  }
  return writeDistTags(custom, tags);
}

function refuse(problem: string, detail: Readonly<Record<string, string>>): never {
  throw new AdmissionError('ENTRY_INVALID', `Writing dist-tags: ${problem}`, { detail });
}
