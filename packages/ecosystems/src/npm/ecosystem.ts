// npm as an ecosystem: ties names, tarballs, entries and tags together for the
// author tool, admission and the gateway.

import { AdmissionError, type JsonObject, type Project } from '@countersign/core';
import type { Ecosystem, Inspected, InspectHint } from '../ecosystem.ts';
import { entryOf, readManifest, sameEntry, suggestedTag } from './entry.ts';
import { npmProject, tarballName, versionOfTarballName } from './names.ts';
import { advanceDistTags } from './pointers.ts';
import { readTarball } from './tarball.ts';

/** The npm ecosystem. */
export const npm: Ecosystem = {
  name: 'npm',
  project: npmProject,
  inspect,
  checkFileName(project, file) {
    if (versionOfTarballName(project, file) !== undefined) return;
    throw new AdmissionError(
      'ENTRY_INVALID',
      `Checking a file name of ${project.name}: it is not <name>-<version>.tgz`,
      {
        detail: { project: project.name, file: file.slice(0, 300) },
      },
    );
  },
  entryMatches(target, inspected) {
    const file = target.path.slice(target.path.lastIndexOf('/') + 1);
    return file === inspected.file && sameEntry(target.custom, inspected.custom);
  },
  withPublished: (custom, inspected, tag) => advanceDistTags(custom, inspected, tag),
};

async function inspect(bytes: Uint8Array | AsyncIterable<Uint8Array>, hint: InspectHint = {}): Promise<Inspected> {
  const tarball = await readTarball(bytes);
  const manifest = readManifest(tarball.manifest);
  const entry = entryOf(manifest, tarball.files);
  const project = projectOfManifest(entry.name);
  if (hint.project !== undefined && hint.project.name !== project.name) {
    throw new AdmissionError('ENTRY_INVALID', `Reading a tarball of ${hint.project.name}: it is of another package`, {
      detail: { want: hint.project.name, got: project.name },
    });
  }
  const custom: JsonObject = new Map([['npm', entry.json]]);
  const file = tarballName(project, entry.version);
  return { project, file, version: entry.version, custom, tag: suggestedTag(manifest) };
}

function projectOfManifest(name: string): Project {
  try {
    return npmProject(name);
  } catch (cause) {
    // Here the name is part of the artifact, not of the request.
    throw new AdmissionError('ENTRY_INVALID', 'Reading package.json: its name is not acceptable', {
      detail: { name: name.slice(0, 214) },
      cause,
    });
  }
}
