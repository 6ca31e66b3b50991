// npm's names: which ones a collection accepts, how a name becomes one path
// segment, and which file name a version has. Stricter than npm where a
// pattern dialect of some TUF client or a registry route could read a name
// differently; never changes a name, so that `JSONStream` stays itself.

import { AdmissionError, ownerRoleName, type Project } from '@countersign/core';
import { strictVersion } from './versions.ts';

/**
 * Makes a project of an npm package name.
 *
 * @throws AdmissionError NAME_INVALID
 * @example npmProject('@types/node') // { ecosystem: 'npm', name: '@types/node', segment: '@types@node' }
 */
export function npmProject(name: string): Project {
  const problem = problemOf(name);
  if (problem !== undefined) refuse(name, problem);
  // `@` cannot occur inside a part, so the segment stands for one name only.
  const project = { ecosystem: 'npm', name, segment: name.replace('/', '@') };
  // The owner role becomes a file name, with each special character as three.
  if (ownerRoleName(project, 1).length > MAX_ROLE_NAME) refuse(name, 'its role name is too long for a file name');
  return project;
}

/** The part of a name behind its scope. @example unscopedName('@types/node') // 'node' */
export function unscopedName(name: string): string {
  return name.slice(name.indexOf('/') + 1);
}

/**
 * The file name of a version, as npm registries have it.
 *
 * @throws AdmissionError ENTRY_INVALID when the version is not strict
 * @example tarballName(npmProject('@types/node'), '20.1.0') // 'node-20.1.0.tgz'
 */
export function tarballName(project: Project, version: string): string {
  if (strictVersion(version) === undefined) {
    throw new AdmissionError('ENTRY_INVALID', `Naming a file of ${project.name}: the version is not strict semver`, {
      detail: { project: project.name, version: version.slice(0, 100) },
    });
  }
  return `${unscopedName(project.name)}-${version}.tgz`;
}

/** The version that a file name of a project stands for; `undefined` if it is no such name. */
export function versionOfTarballName(project: Project, file: string): string | undefined {
  const prefix = `${unscopedName(project.name)}-`;
  if (!file.startsWith(prefix) || !file.endsWith('.tgz')) return undefined;
  return strictVersion(file.slice(prefix.length, -'.tgz'.length));
}

/**
 * Where a registry serves a version's file, relative to its own address.
 *
 * @example tarballPath(npmProject('@types/node'), 'node-20.1.0.tgz') // '@types/node/-/node-20.1.0.tgz'
 */
export function tarballPath(project: Project, file: string): string {
  return `${project.name}/-/${file}`;
}

function problemOf(name: string): string | undefined {
  if (name.length === 0 || name.length > MAX_NAME) return `it must have 1 to ${MAX_NAME} characters`;
  const match = /^(?:@([^/]*)\/)?([^/]*)$/.exec(name);
  if (match === null) return 'it must be name or @scope/name';
  for (const part of [match[1], match[2]]) {
    if (part !== undefined && !PART.test(part)) {
      return 'each part must begin with a letter or digit and hold only letters, digits, dot, hyphen and underscore';
    }
  }
  return RESERVED.has(name.toLowerCase()) ? 'npm reserves it' : undefined;
}

function refuse(name: string, problem: string): never {
  throw new AdmissionError('NAME_INVALID', `Reading an npm package name: ${problem}`, {
    detail: { name: name.slice(0, MAX_NAME) },
  });
}

const MAX_NAME = 214; // npm's own limit
const MAX_ROLE_NAME = 180; // of 255 for a file name; the rest is for version, release label and suffixes
const PART = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const RESERVED: ReadonlySet<string> = new Set(['node_modules', 'favicon.ico']);
