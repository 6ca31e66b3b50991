// The packument: the index page npm clients resolve from, derived from
// author-signed targets and tags alone. What does not hold together is not
// served but named, in the way npm shows to its user as the reason.

import {
  base64,
  type Code,
  hexBytes,
  isObject,
  type JsonObject,
  type JsonValue,
  type Project,
  plainOf,
  type TargetFile,
} from '@countersign/core';
import { versionOfTarballName } from './names.ts';
import { compareVersions, highestVersion } from './versions.ts';

/** A version that exists but must not be installed, and why. */
export interface Withheld {
  /** `undefined` when not even the file name is a version's. */
  readonly version: string | undefined;
  readonly path: string;
  readonly code: Code;
  /** For a person; no full stop. */
  readonly reason: string;
}

/** What a packument is derived from. */
export interface PackumentSource {
  readonly project: Project;
  /** Targets in the project's directory, as found by a trusted search. */
  readonly versions: Iterable<{ readonly target: TargetFile }>;
  /** The tags the author signed: {@link readDistTags}. */
  readonly distTags: ReadonlyMap<string, string>;
  /** Versions the author wants nobody to choose any more, with the reason: {@link readYanks}. */
  readonly yanks?: ReadonlyMap<string, string>;
  /** The address that a client fetches a file from. */
  readonly tarballUrl: (file: string) => string;
  /** Versions the caller will not serve, by target path: content that turned out other than its entry. */
  readonly withheld?: Iterable<Withheld>;
}

/** A derived packument, ready for JSON, and what was left out of it. */
export interface DerivedPackument {
  readonly packument: Packument;
  readonly withheld: readonly Withheld[];
}

/** The members of a packument. Objects have no prototype. `time` is never known from signed data. */
export interface Packument {
  readonly name: string;
  readonly 'dist-tags': Readonly<Record<string, string>>;
  readonly versions: Readonly<Record<string, unknown>>;
  readonly policyRestrictions?: { readonly versions: Readonly<Record<string, unknown>>; readonly message: string };
}

/**
 * Derives a packument. `latest` is the signed tag, else the highest version.
 * Versions are in ascending order, whatever the order of the targets.
 *
 * @example
 * const { found } = await client.list(projectDirectory(project, sha256));
 * packumentOf({ project, versions: found.values(), distTags, tarballUrl: (file) => `${base}/${tarballPath(project, file)}` })
 */
export function packumentOf(source: PackumentSource): DerivedPackument {
  const { project } = source;
  const withheld: Withheld[] = [...(source.withheld ?? [])];
  const refusedPaths = new Set(withheld.map(({ path }) => path));
  const versions = new Map<string, JsonObject>();
  for (const { target } of source.versions) {
    if (refusedPaths.has(target.path)) continue;
    const reading = readVersion(project, target, source.tarballUrl);
    const yank = 'code' in reading ? undefined : source.yanks?.get(reading.version);
    if ('code' in reading) withheld.push(reading);
    else if (yank !== undefined) withheld.push(yanked(reading.version, target.path, yank));
    else versions.set(reading.version, reading.json);
  }
  const listed = inOrder(versions);
  const restricted = restrictedOf(project, withheld, versions);
  const packument: Packument = {
    name: project.name,
    'dist-tags': tagsOf(source.distTags, versions, restricted),
    versions: listed,
    ...(restricted.size > 0 && {
      policyRestrictions: { versions: inOrder(restricted), message: messageOf(withheld) },
    }),
  };
  return { packument, withheld };
}

type Reading = { readonly version: string; readonly json: JsonObject } | (Withheld & { readonly code: Code });

function readVersion(project: Project, target: TargetFile, tarballUrl: (file: string) => string): Reading {
  const file = target.path.slice(target.path.lastIndexOf('/') + 1);
  const version = versionOfTarballName(project, file);
  const withhold = (code: Code, reason: string): Reading => ({ version, path: target.path, code, reason });
  if (version === undefined) return withhold('INDEX_MISMATCH', `${file.slice(0, 100)} is no file name of a version`);
  const entry = target.custom?.get('npm');
  if (!isObject(entry)) return withhold('INDEX_MISMATCH', 'its signed entry is missing');
  if (entry.get('name') !== project.name || entry.get('version') !== version) {
    return withhold('INDEX_MISMATCH', 'its signed entry is of another name or version');
  }
  const integrity = integrityOf(target);
  if (integrity === undefined) return withhold('HASH_UNSUPPORTED', 'no strong hash of it is signed');
  // Known members only: an entry must not bring its own `dist`.
  const json = new Map<string, JsonValue>();
  for (const member of ENTRY_MEMBERS) {
    const value = entry.get(member);
    if (value !== undefined) json.set(member, value);
  }
  json.set('dist', new Map([['tarball', tarballUrl(file)], ...integrity]));
  return { version, json };
}

function yanked(version: string, path: string, reason: string): Withheld {
  return { version, path, code: 'YANKED', reason: reason === '' ? 'its author gave no reason' : reason };
}

// Subresource integrity, as lock files keep it: of the signed hash, never of received bytes.
function integrityOf(target: TargetFile): readonly (readonly [string, string])[] | undefined {
  for (const algorithm of ['sha512', 'sha256'] as const) {
    const digest = hexBytes(target.hashes.get(algorithm) ?? '');
    if (digest !== undefined && digest.length === DIGEST_BYTES[algorithm]) {
      return [['integrity', `${algorithm}-${base64(digest)}`]];
    }
  }
  return undefined;
}

// npm lets nobody pick these, but prefers to say so over "no such version".
function restrictedOf(
  project: Project,
  withheld: readonly Withheld[],
  served: ReadonlyMap<string, JsonObject>,
): ReadonlyMap<string, JsonObject> {
  const restricted = new Map<string, JsonObject>();
  for (const { version } of withheld) {
    if (version === undefined || served.has(version)) continue;
    restricted.set(
      version,
      new Map([
        ['name', project.name],
        ['version', version],
      ]),
    );
  }
  return restricted;
}

function tagsOf(
  signed: ReadonlyMap<string, string>,
  served: ReadonlyMap<string, JsonObject>,
  restricted: ReadonlyMap<string, JsonObject>,
): Readonly<Record<string, string>> {
  const tags: Record<string, string> = Object.create(null);
  for (const [tag, version] of signed) {
    // A tag of a withheld version stays, so that asking for it gives the reason;
    // `latest` does not, so that everybody else gets a version that holds.
    if (served.has(version) || (restricted.has(version) && tag !== 'latest')) tags[tag] = version;
  }
  const latest = tags['latest'] ?? highestVersion(served.keys()) ?? highestVersion(restricted.keys());
  if (latest !== undefined) tags['latest'] = latest;
  return tags;
}

function messageOf(withheld: readonly Withheld[]): string {
  const told = withheld.slice(0, MAX_TOLD).map(({ version, path, code, reason }) => {
    return `TUF ${code}: ${version ?? path}: ${reason}`;
  });
  const more = withheld.length > MAX_TOLD ? [`and ${withheld.length - MAX_TOLD} more`] : [];
  return [...told, ...more].join('\n');
}

function inOrder(versions: ReadonlyMap<string, JsonObject>): Readonly<Record<string, unknown>> {
  const plain: Record<string, unknown> = Object.create(null);
  for (const version of [...versions.keys()].sort(compareVersions))
    plain[version] = plainOf(versions.get(version) ?? null);
  return plain;
}

const MAX_TOLD = 5;
const DIGEST_BYTES = { sha512: 64, sha256: 32 } as const;
const ENTRY_MEMBERS = [
  'name',
  'version',
  'deprecated',
  'dependencies',
  'optionalDependencies',
  'peerDependencies',
  'peerDependenciesMeta',
  'bundleDependencies',
  'bin',
  'engines',
  'os',
  'cpu',
  'libc',
  'hasInstallScript',
  '_hasShrinkwrap',
] as const;
