// The private document behind a decision of the quorum. Only its hash is
// published: whoever holds the document can show later what was known.

import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { sha256 } from '@countersign/client/node';
import { hex, UsageError } from '@countersign/core';
import type { Context } from './context.ts';

/** The hash of an evidence file. @throws UsageError USAGE_INVALID when there is none */
export async function evidenceOf(file: string | undefined, { shell }: Pick<Context, 'shell'>): Promise<string> {
  if (file === undefined) {
    throw new UsageError(
      'USAGE_INVALID',
      'Deciding for the quorum: name the document with the evidence by --evidence <file>',
    );
  }
  const path = resolve(shell.cwd, file);
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new UsageError('USAGE_INVALID', 'Reading the evidence: the file cannot be read', {
      detail: { file: path },
      cause,
    });
  });
  return hex(sha256(bytes));
}
