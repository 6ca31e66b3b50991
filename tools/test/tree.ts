// Small trees of files in a temporary folder, for the tests of the checks.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';

/** Writes files into a fresh folder that is gone after the test. Returns the folder. */
export function treeOf(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'countersign-tree-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  }
  return root;
}

/** The package.json of a workspace that exports its index and, where asked, more. */
export function manifest(name: string, dependencies: readonly string[] = [], subpaths: readonly string[] = []): string {
  return JSON.stringify({
    name,
    dependencies: Object.fromEntries(dependencies.map((dependency) => [dependency, '0.1.0'])),
    exports: Object.fromEntries(['.', ...subpaths].map((path) => [path, './src/any.ts'])),
  });
}

/** Findings as `file:line message`, the way they are printed. */
export function printed(
  problems: readonly { readonly file: string; readonly line: number; readonly message: string }[],
): string[] {
  return problems.map(({ file, line, message }) => `${file}:${line} ${message}`);
}
