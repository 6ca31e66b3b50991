// @ts-check
// The files that the checks look at: what git tracks or would track, read and
// parsed once. Says what a file is (source, test, workspace it belongs to) so
// that every check agrees. Changes nothing, and decides no rule.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, posix } from 'node:path';
import { parseSync } from 'rolldown/utils';

/**
 * One finding. `line` counts from 1.
 * @typedef {{ file: string, line: number, message: string }} Problem
 */

/**
 * A node of the syntax tree (ESTree, with TypeScript's nodes).
 * @typedef {{ type: string, start: number, end: number, [member: string]: unknown }} Node
 */

/**
 * A parsed file.
 * @typedef {object} Source
 * @property {string} file path from the root, with `/`
 * @property {string} text
 * @property {Node} program
 * @property {readonly { type: string, value: string, start: number, end: number }[]} comments
 */

/**
 * A workspace: its folder, its package.json, its name.
 * @typedef {{ folder: string, name: string, manifest: Record<string, any> }} Workspace
 */

const NOT_OURS = new Set(['node_modules', 'dist', 'coverage', '.git', '.countersign']);
const PARSED = /\.(?:ts|mts|mjs|js)$/;

/** Lists the files of the tree, sorted, as paths from `root` with `/`. @param {string} root @returns {string[]} */
export function listFiles(root) {
  const listed = (existsSync(join(root, '.git')) ? gitFiles(root) : undefined) ?? walk(root, '');
  const present = listed.filter((file) => statSync(join(root, file), { throwIfNoEntry: false })?.isFile() === true);
  return present.sort((a, b) => (a < b ? -1 : 1));
}

/** Tells whether a file is a test, or only serves tests. @param {string} file */
export function isTest(file) {
  return /\.test\.\w+$/.test(file) || file.includes('/test/');
}

/** Tells whether a file is code that the parser reads. @param {string} file */
export function isCode(file) {
  return PARSED.test(file) && !file.endsWith('.d.ts');
}

/**
 * Reads and parses one file. A syntax error is thrown: the compiler says more about it.
 * @param {string} root @param {string} file @returns {Source}
 */
export function readSource(root, file) {
  const text = readFileSync(join(root, file), 'utf8');
  const { program, comments, errors } = parseSync(file, text);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`);
  return { file, text, program: /** @type {Node} */ (/** @type {unknown} */ (program)), comments };
}

/** The line of an offset, from 1. @param {string} text @param {number} offset */
export function lineOf(text, offset) {
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) line += 1;
  return line;
}

/**
 * Visits every node of a tree, parents first.
 * @param {unknown} node @param {(node: Node, parent: Node | undefined) => void} visit @param {Node} [parent]
 */
export function visitNodes(node, visit, parent) {
  if (Array.isArray(node)) {
    for (const item of node) visitNodes(item, visit, parent);
  } else if (isNode(node)) {
    visit(node, parent);
    for (const [member, value] of Object.entries(node)) if (member !== 'type') visitNodes(value, visit, node);
  }
}

/** @param {unknown} value @returns {value is Node} */
export function isNode(value) {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

/** The workspaces under packages/ and apps/. @param {string} root @param {readonly string[]} files @returns {Workspace[]} */
export function listWorkspaces(root, files) {
  return files
    .filter((file) => /^(?:packages|apps)\/[^/]+\/package\.json$/.test(file))
    .map((file) => {
      const manifest = JSON.parse(readFileSync(join(root, file), 'utf8'));
      return { folder: posix.dirname(file), name: String(manifest.name), manifest };
    });
}

/** What git lists; `undefined` where git is missing or refuses the folder, as it does one that belongs to another user. @param {string} root */
function gitFiles(root) {
  const { status, stdout } = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  return status === 0 ? [...new Set(stdout.split('\0'))].filter((file) => file !== '') : undefined;
}

/** What git would list, near enough for a tree that came without its history. @param {string} root @param {string} folder @returns {string[]} */
function walk(root, folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name);
    if (!entry.isDirectory()) return [path];
    return NOT_OURS.has(entry.name) || /^tools\/peers\/[^/]+$/.test(path) ? [] : walk(root, path);
  });
}
