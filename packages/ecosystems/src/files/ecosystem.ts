// Plain files: a project is a folder of files with no versions and no index
// entry beyond the ecosystem's name. The bytes are never looked at.

import { AdmissionError, objectOf, type Project } from '@countersign/core';
import type { Ecosystem } from '../ecosystem.ts';

/** The plain files ecosystem. */
export const files: Ecosystem = {
  name: 'files',
  project(name) {
    if (NAME.test(name)) return { ecosystem: 'files', name, segment: name };
    throw new AdmissionError(
      'NAME_INVALID',
      'Reading a project of files: 1 to 100 lower-case letters, digits, dots, hyphens and underscores are allowed, a letter or digit first',
      { detail: { name: name.slice(0, 200) } },
    );
  },
  async inspect(_bytes, hint = {}) {
    const { fileName, project } = hint;
    if (fileName === undefined || project === undefined) {
      throw new AdmissionError('ENTRY_INVALID', 'Reading a file: its name and project must be given with it');
    }
    checkFileName(project, fileName);
    return { project, file: fileName, version: undefined, custom: objectOf({ files: {} }), tag: undefined };
  },
  checkFileName,
  entryMatches(target, inspected) {
    const file = target.path.slice(target.path.lastIndexOf('/') + 1);
    const custom = target.custom;
    const entry = custom?.get('files');
    const empty = entry === undefined || (entry instanceof Map && entry.size === 0);
    return file === inspected.file && empty && (custom?.size ?? 0) === (entry === undefined ? 0 : 1);
  },
  withPublished: (custom) => custom ?? new Map(),
};

// A name that is one file name on every system, and one segment of a URL.
function checkFileName(project: Project, file: string): void {
  const fits = file.length > 0 && file.length <= MAX_FILE_NAME && file.normalize('NFC') === file;
  if (fits && !FORBIDDEN.test(file) && !/^[. ]|[. ]$/.test(file)) return;
  throw new AdmissionError('ENTRY_INVALID', `Checking a file name of ${project.name}: it is not a safe file name`, {
    detail: { project: project.name, file: file.slice(0, MAX_FILE_NAME) },
  });
}

const NAME = /^[a-z0-9][a-z0-9._-]{0,99}$/;
// A SHA-512 and a dot go in front of it (§6.2.1), and file systems end at 255 bytes.
const MAX_FILE_NAME = 120;
const FORBIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}<>:"/\\|?*]/u;
