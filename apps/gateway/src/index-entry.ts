// Whether an artifact is what its author's index entry says: the entry decides
// which dependencies and scripts a client believes in before it has the file,
// so a signed entry that lies must not be served, however genuine the bytes.

import { sha256 } from '@countersign/client/node';
import { AdmissionError, MetadataError, type Project, projectDirectory, type TargetFile } from '@countersign/core';
import { type Ecosystem, ecosystemOf, type Inspected } from '@countersign/ecosystems';

/**
 * Reads an artifact again and compares. Targets without an entry pass: nothing
 * was said of them. Where an index is served, {@link requireEntry} asks for one.
 *
 * @throws MetadataError INDEX_MISMATCH
 */
export async function checkEntry(target: TargetFile, bytes: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
  const place = placeOf(target.path);
  if (place === undefined) return;
  const { ecosystem, directory, project, file } = place;
  if (target.custom?.has(ecosystem.name) !== true) return;
  let inspected: Inspected;
  try {
    inspected = await ecosystem.inspect(bytes, { fileName: file, ...(project && { project }) });
  } catch (cause) {
    // To the author it is an invalid entry; to the user it is one that was signed all the same.
    if (cause instanceof AdmissionError) throw mismatch(target.path, cause.message, cause);
    throw cause;
  }
  if (projectDirectory(inspected.project, sha256) !== directory) {
    throw mismatch(target.path, `the file is of the project ${inspected.project.name}`);
  }
  if (!ecosystem.entryMatches(target, inspected)) {
    throw mismatch(target.path, 'the file says something else of itself than the signed entry');
  }
}

/** Refuses an artifact that no signed entry describes. @throws MetadataError INDEX_MISMATCH */
export function requireEntry({ path, custom }: TargetFile, ecosystem: string): void {
  if (custom?.has(ecosystem) !== true) throw mismatch(path, 'its signed entry is missing');
}

/** Where a path lies in the registry layout, `undefined` outside of it. */
function placeOf(
  path: string,
): { ecosystem: Ecosystem; directory: string; project: Project | undefined; file: string } | undefined {
  const [name = '', bin, segment = '', file, ...rest] = path.split('/');
  if (bin === undefined || file === undefined || rest.length > 0) return undefined;
  const directory = `${name}/${bin}/${segment}`;
  try {
    const ecosystem = ecosystemOf(name);
    return { ecosystem, directory, project: projectAt(ecosystem, segment, directory), file };
  } catch (error) {
    if (error instanceof AdmissionError) return undefined; // not an ecosystem of ours
    throw error;
  }
}

/** The project of a segment where that is the name itself; else the artifact has to tell. */
function projectAt(ecosystem: Ecosystem, segment: string, directory: string): Project | undefined {
  try {
    const project = ecosystem.project(segment);
    return projectDirectory(project, sha256) === directory ? project : undefined;
  } catch (error) {
    if (error instanceof AdmissionError) return undefined;
    throw error;
  }
}

function mismatch(path: string, problem: string, cause?: unknown): MetadataError {
  return new MetadataError('INDEX_MISMATCH', `Comparing ${path} with its index entry: ${problem}`, {
    detail: { path },
    cause,
  });
}
