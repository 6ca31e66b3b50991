// What the project must know of a packaging ecosystem, and the list of those
// it knows. Author tool, admission and gateway use the same `Ecosystem`, so
// that a name, a file name or an index entry means the same to all three.
// Nothing here may decide trust: signatures and hashes are core's.

import { AdmissionError, type JsonObject, type Project } from '@countersign/core';
import { files } from './files/ecosystem.ts';
import { npm } from './npm/ecosystem.ts';

/** What is known of an artifact beyond its bytes. */
export interface InspectHint {
  /** The file name it was found under, without folders. */
  readonly fileName?: string;
  /** The project it must belong to. */
  readonly project?: Project;
}

/** What an artifact says of itself. */
export interface Inspected {
  readonly project: Project;
  /** The last segment of its target path. */
  readonly file: string;
  /** `undefined` where the ecosystem has no versions. */
  readonly version: string | undefined;
  /** The index entry: the target's `custom`, one member named after the ecosystem. */
  readonly custom: JsonObject;
  /** The mutable pointer that the artifact itself asks for (npm: `publishConfig.tag`), else `undefined`. */
  readonly tag: string | undefined;
}

/** One ecosystem: its names, its file names, and how to read its artifacts. */
export interface Ecosystem {
  readonly name: 'npm' | 'files';

  /**
   * Makes a project of a name.
   *
   * @throws AdmissionError NAME_INVALID
   * @example ecosystemOf('npm').project('@types/node').segment // '@types@node'
   */
  project(name: string): Project;

  /**
   * Reads an artifact and gives the file name, version and index entry to sign.
   * The same bytes always give the same entry. Errors of the byte source pass through.
   *
   * @throws AdmissionError ENTRY_INVALID
   */
  inspect(bytes: Uint8Array | AsyncIterable<Uint8Array>, hint?: InspectHint): Promise<Inspected>;

  /**
   * Refuses a file name that no artifact of the project can have.
   *
   * @throws AdmissionError ENTRY_INVALID
   */
  checkFileName(project: Project, file: string): void;

  /**
   * Tells whether a signed target says what its bytes say: same file name,
   * and the same index entry but for what an author may add later (npm: `deprecated`).
   *
   * @param target path and `custom` of the target as signed
   */
  entryMatches(
    target: { readonly path: string; readonly custom: JsonObject | undefined },
    inspected: Inspected,
  ): boolean;

  /**
   * The role's `custom` after publishing an artifact: its mutable pointers
   * moved, everything else kept.
   *
   * @param custom the role's present `custom`, if any
   * @param tag the pointer the author names; without it the ecosystem's habit decides
   * @throws AdmissionError ENTRY_INVALID when the tag is not a valid one
   */
  withPublished(custom: JsonObject | undefined, inspected: Inspected, tag?: string): JsonObject;
}

/**
 * The ecosystem of a given short name.
 *
 * @throws AdmissionError NAME_INVALID
 */
export function ecosystemOf(name: string): Ecosystem {
  const ecosystem = ECOSYSTEMS.get(name);
  if (ecosystem !== undefined) return ecosystem;
  throw new AdmissionError('NAME_INVALID', 'Looking up an ecosystem: it is not a known one', {
    detail: { ecosystem: name.slice(0, 40), known: [...ECOSYSTEMS.keys()] },
  });
}

/**
 * Reads a project as people write it: `<ecosystem>/<name>`.
 *
 * @throws AdmissionError NAME_INVALID
 * @example projectOf('npm/@types/node') // { ecosystem: 'npm', name: '@types/node', segment: '@types@node' }
 */
export function projectOf(text: string): Project {
  const slash = text.indexOf('/');
  if (slash < 0) {
    throw new AdmissionError('NAME_INVALID', 'Reading a project: it is not written as ecosystem/name', {
      detail: { project: text.slice(0, 240) },
    });
  }
  return ecosystemOf(text.slice(0, slash)).project(text.slice(slash + 1));
}

const ECOSYSTEMS: ReadonlyMap<string, Ecosystem> = new Map([
  [npm.name, npm],
  [files.name, files],
]);
