// @ts-check
// All gates that need no test run: format, lint, types of the tests, arrows,
// citations, hygiene. Runs every one, prints a line for each as it ends, then
// all that was found; the exit code is 1 if anything was.
// Changes no file: `npm run format` does.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkArrows } from './arrows.mjs';
import { checkCitations } from './citations.mjs';
import { checkHygiene } from './hygiene.mjs';
import { isCode, listFiles } from './source-tree.mjs';
import { checkSpecMap } from './spec-map.mjs';

/** @import { Problem } from './source-tree.mjs' */

const ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/[\\/]$/, '');

/** A gate's name, and what runs it: what it found, or an empty text. @type {readonly (readonly [string, () => string])[]} */
const GATES = [
  ['format (biome)', () => run('@biomejs/biome', 'biome', ['check', '--colors=off', ...formatted()])],
  ['lint (oxlint)', () => run('oxlint', 'oxlint', ['--type-aware', '--quiet', '.'])],
  ['types of tests (tsc)', () => run('typescript', 'tsc', ['-p', 'tsconfig.tests.json', '--noEmit'])],
  ['arrows', () => list(checkArrows(ROOT))],
  ['citations', () => list(checkCitations(ROOT))],
  ['spec map', () => list(checkSpecMap(ROOT))],
  ['hygiene', () => list(checkHygiene(ROOT))],
];

const findings = GATES.map(([name, gate]) => {
  const start = performance.now();
  const found = attempt(gate);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  process.stdout.write(`check  ${found === '' ? 'ok    ' : 'FAILED'}  ${name}  ${seconds} s\n`);
  return { name, found };
}).filter(({ found }) => found !== '');

for (const { name, found } of findings) process.stdout.write(`\n${name}\n${found}\n`);
if (findings.length > 0) process.stdout.write(`\ncheck failed: ${findings.map(({ name }) => name).join(', ')}\n`);
process.exitCode = findings.length > 0 ? 1 : 0;

/** @param {() => string} gate */
function attempt(gate) {
  try {
    return gate();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** What has a format: code and JSON. Prose in Markdown is laid out by its writer. */
function formatted() {
  return listFiles(ROOT).filter((file) => isCode(file) || /\.jsonc?$/.test(file));
}

/** Runs a tool of node_modules with this Node, whatever the platform's shell is. @param {string} name @param {string} bin @param {string[]} args */
function run(name, bin, args) {
  const manifest = join(ROOT, 'node_modules', name, 'package.json');
  const bins = JSON.parse(readFileSync(manifest, 'utf8')).bin;
  const script = join(dirname(manifest), typeof bins === 'string' ? bins : bins[bin]);
  const { status, stdout, stderr, error } = spawnSync(process.execPath, [script, ...args], {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status === 0) return '';
  return `${stdout ?? ''}${stderr ?? ''}`.trim() || `${name} ended with ${error?.message ?? `status ${status}`}`;
}

/** @param {readonly Problem[]} problems */
function list(problems) {
  return problems.map(({ file, line, message }) => `  ${file}:${line}  ${message}`).join('\n');
}
