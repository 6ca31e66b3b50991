// npm's index entry: what a packument says of one version, derived from the
// tarball itself as npm derives it. The same bytes always give the same entry,
// because author, admission and gateway each derive it and compare. Only text,
// booleans, lists and maps of these: signed JSON cannot hold a fraction.
// package.json is JSON as JavaScript reads it, not the strict JSON of metadata.

import { canonicalBytes, isObject, type JsonObject, type JsonValue, sameBytes } from '@countersign/core';
import { binsIn, normalBins } from './bins.ts';
import { refuse } from './tar.ts';
import { isTagName, strictVersion } from './versions.ts';

/** A package.json as parsed. Never signed or passed on as it is. */
export type Manifest = Readonly<Record<string, unknown>>;

/** An index entry with the two members everything else hangs on. */
export interface NpmEntry {
  readonly name: string;
  readonly version: string;
  readonly json: JsonObject;
}

/** Parses package.json. @throws AdmissionError ENTRY_INVALID */
export function readManifest(bytes: Uint8Array): Manifest {
  let parsed: unknown;
  try {
    // Lenient as npm is: a byte order mark and odd bytes in somebody's name are common.
    parsed = JSON.parse(new TextDecoder('utf-8').decode(bytes));
  } catch {
    refuse('its package.json is not JSON');
  }
  return isRecord(parsed) ? parsed : refuse('its package.json is not an object');
}

/**
 * Derives the index entry.
 *
 * @param files every regular file of the package, relative to its root
 * @throws AdmissionError ENTRY_INVALID
 */
export function entryOf(manifest: Manifest, files: readonly string[]): NpmEntry {
  const name = manifest['name'];
  const version = manifest['version'];
  if (typeof name !== 'string' || name === '') refuse('its package.json has no name');
  if (typeof version !== 'string') refuse('its package.json has no version');
  if (strictVersion(version) === undefined) {
    refuse('its version is not strict semver without build metadata', { version: version.slice(0, 100) });
  }
  const json = new Map<string, JsonValue>([
    ['name', name],
    ['version', version],
  ]);
  const put = (member: string, value: JsonValue | undefined): void => {
    if (value !== undefined) json.set(member, value);
  };
  for (const member of DEPENDENCY_MAPS) put(member, dependencies(manifest, member));
  put('peerDependenciesMeta', peerMeta(manifest['peerDependenciesMeta']));
  put('bundleDependencies', bundled(manifest));
  put('bin', normalBins(name, manifest['bin']) ?? binsIn(manifest, files));
  put('engines', engines(manifest['engines']));
  for (const member of PLATFORM_LISTS) put(member, words(manifest[member]));
  if (runsOnInstall(manifest, files)) json.set('hasInstallScript', true);
  if (files.includes('npm-shrinkwrap.json')) json.set('_hasShrinkwrap', true);
  requireText(json);
  return { name, version, json };
}

/** The dist-tag a package asks to be published under, `publishConfig.tag`. @throws AdmissionError ENTRY_INVALID */
export function suggestedTag(manifest: Manifest): string | undefined {
  const config = manifest['publishConfig'];
  const tag = isRecord(config) ? config['tag'] : undefined;
  if (tag === undefined) return undefined;
  return typeof tag === 'string' && isTagName(tag) ? tag : refuse('its publishConfig.tag is not a dist-tag');
}

/**
 * Tells whether a target's `custom` is the derived one. The author may have
 * added `deprecated`, a text, since; nothing else may differ.
 */
export function sameEntry(custom: JsonObject | undefined, derived: JsonObject): boolean {
  const entry = custom?.get('npm');
  if (custom === undefined || !isObject(entry)) return false;
  const deprecated = entry.get('deprecated');
  if (deprecated !== undefined && typeof deprecated !== 'string') return false;
  const plain = new Map(entry);
  plain.delete('deprecated');
  return sameBytes(canonicalBytes(new Map(custom).set('npm', plain)), canonicalBytes(derived));
}

// npm turns lists and texts of dependencies into ranges of `*`; nothing alive
// has them. To drop them silently would change what is installed.
function dependencies(manifest: Manifest, member: string): JsonObject | undefined {
  const value = manifest[member];
  if (value === undefined || value === null || value === '' || value === false) return undefined;
  if (Array.isArray(value) && value.length === 0) return undefined;
  if (!isRecord(value)) refuse(`its ${member} are not an object`);
  const result = new Map<string, JsonValue>();
  for (const [name, range] of Object.entries(value)) {
    if (typeof range !== 'string') refuse(`its ${member} hold something that is no text`, { name: name.slice(0, 214) });
    result.set(name, range);
  }
  return result.size === 0 ? undefined : result;
}

function peerMeta(value: unknown): JsonObject | undefined {
  if (!isRecord(value)) return undefined;
  const result = new Map<string, JsonValue>();
  for (const [name, meta] of Object.entries(value)) {
    // `optional` is the only member that installers read.
    if (isRecord(meta) && typeof meta['optional'] === 'boolean') {
      result.set(name, new Map([['optional', meta['optional']]]));
    }
  }
  return result.size === 0 ? undefined : result;
}

function bundled(manifest: Manifest): JsonValue | undefined {
  const value = manifest['bundleDependencies'] ?? manifest['bundledDependencies'];
  const names = value === true ? Object.keys(recordOf(manifest['dependencies'])) : value;
  const list = isRecord(names) ? Object.keys(names) : names;
  if (!Array.isArray(list)) return undefined;
  const result = list.filter((name): name is string => typeof name === 'string');
  return result.length === 0 ? undefined : result;
}

function engines(value: unknown): JsonObject | undefined {
  if (!isRecord(value)) return undefined;
  const result = new Map<string, JsonValue>();
  for (const [name, range] of Object.entries(value)) if (typeof range === 'string') result.set(name, range);
  return result.size === 0 ? undefined : result;
}

function words(value: unknown): readonly string[] | undefined {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  const result = list.filter((word): word is string => typeof word === 'string' && word !== '');
  return result.length === 0 ? undefined : result;
}

// A binding.gyp is built with `node-gyp rebuild` unless a script says otherwise.
function runsOnInstall(manifest: Manifest, files: readonly string[]): boolean {
  const scripts = recordOf(manifest['scripts']);
  const has = (script: string): boolean => typeof scripts[script] === 'string' && scripts[script] !== '';
  if (has('preinstall') || has('install') || has('postinstall')) return true;
  return manifest['gypfile'] !== false && files.includes('binding.gyp');
}

// Half a surrogate pair has no UTF-8 form, so it cannot be signed.
function requireText(value: JsonValue): void {
  if (typeof value === 'string') {
    if (/\p{Cs}/u.test(value)) refuse('its package.json holds half a character');
  } else if (isObject(value)) {
    for (const [name, member] of value) {
      requireText(name);
      requireText(member);
    }
  } else if (Array.isArray(value)) {
    for (const item of value) requireText(item);
  }
}

/** Tells whether a parsed value is an object. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {};
}

const DEPENDENCY_MAPS = ['dependencies', 'optionalDependencies', 'peerDependencies'] as const;
const PLATFORM_LISTS = ['os', 'cpu', 'libc'] as const;
