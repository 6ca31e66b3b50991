// @ts-check
// The hygiene check: what no file of the tree may hold, whatever it is about.
// Paths of the machine it was written on, host names of package registries,
// tests that are focused or switched off, files too long or without a head
// comment, names that say nothing, and promises without an issue.

import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, extname } from 'node:path';
import { isCode, isNode, isTest, lineOf, listFiles, readSource, visitNodes } from './source-tree.mjs';

/** @import { Node, Problem, Source } from './source-tree.mjs' */

const LINES = 600;
const HEADED = /^(?:packages|apps)\/[^/]+\/src\/|^(?:tools|bench|conformance)\//;
const SCRIPT = /\.(?:ts|mts|mjs|js|py|sh)$/;
const REASON = /\b(?:long|large|one file|whole)\b[^.]*\bbecause\b/i;
const EMPTY_NAME = /(?:^|[-.])(?:utils?|helpers?|common|managers?)(?:[-.]|$)|^types(?:\.|$)/;
const KEBAB = /^[a-z0-9]+(?:[-.][a-z0-9]+)*$/;
const PROMISE = /\b(?:TODO|FIXME)\b(?!\([^()]*#\d+\))/g;

/** Folders that say nothing about whose machine it is. */
const SHARED_FOLDERS = new Set(['/', '/tmp', '/var/tmp', '/home', '/root', '/usr', '/opt', '/mnt', '/srv', tmpdir()]);

/** Written in parts, so that this file passes its own check. */
const REGISTRY_HOSTS = [
  ['registry', 'npmjs', 'org'],
  ['npmjs', 'com'],
  ['registry', 'yarnpkg', 'com'],
  ['npm', 'pkg', 'github', 'com'],
  ['jsr', 'io'],
  ['pypi', 'org'],
  ['pypi', 'python', 'org'],
  ['pythonhosted', 'org'],
  ['crates', 'io'],
  ['proxy', 'golang', 'org'],
  ['sum', 'golang', 'org'],
  ['rubygems', 'org'],
  ['repo', 'maven', 'apache', 'org'],
  ['repo1', 'maven', 'org'],
  ['deb', 'debian', 'org'],
  ['archive', 'ubuntu', 'com'],
  ['cpan', 'org'],
  ['metacpan', 'org'],
  ['docker', 'io'],
  ['ghcr', 'io'],
  ['quay', 'io'],
].map((parts) => parts.join('.'));
const HOST = new RegExp(`(?<![\\w-])(?:${REGISTRY_HOSTS.map(literally).join('|')})(?![\\w-])`, 'gi');

/** Checks a whole tree. @param {string} root @returns {Problem[]} */
export function checkHygiene(root) {
  return listFiles(root).flatMap((file) => {
    const bytes = readFileSync(`${root}/${file}`);
    if (bytes.subarray(0, 8192).includes(0)) return nameProblems(file); // not text
    const text = bytes.toString('utf8');
    return [
      ...nameProblems(file),
      ...placeProblems(file, text, root),
      ...(SCRIPT.test(file) ? [...lengthProblems(file, text), ...headProblems(file, text)] : []),
      ...(isCode(file) ? codeProblems(readSource(root, file)) : []),
    ];
  });
}

/** Absolute paths of this checkout, homes of people, hosts of registries. @param {string} file @param {string} text @param {string} root @returns {Problem[]} */
export function placeProblems(file, text, root) {
  const places = [root, dirname(root)].filter((folder) => !SHARED_FOLDERS.has(folder));
  const rules = [
    { pattern: HOST, what: 'names the host of a package registry' },
    ...places.map((place) => ({
      pattern: new RegExp(`(?<![\\w./-])${literally(place)}(?![\\w-])`, 'g'),
      what: 'names a path of this machine',
    })),
    { pattern: /(?<![\w.-])\/(?:home|Users)\/[a-z_][\w.-]*\//g, what: 'names the home of a user' },
  ];
  return rules.flatMap(({ pattern, what }) =>
    [...text.matchAll(pattern)].map(({ index }) => ({ file, line: lineOf(text, index), message: what })),
  );
}

/** @param {string} file @returns {Problem[]} */
function nameProblems(file) {
  if (!SCRIPT.test(file)) return [];
  const name = basename(file, extname(file));
  if (EMPTY_NAME.test(name)) return [{ file, line: 1, message: `"${name}" does not say what the file holds` }];
  return KEBAB.test(name) ? [] : [{ file, line: 1, message: `"${name}" is not kebab-case` }];
}

/** @param {string} file @param {string} text @returns {Problem[]} */
function lengthProblems(file, text) {
  const lines = text.split('\n').length - 1;
  if (lines <= LINES || REASON.test(headOf(text) ?? '')) return [];
  const message = `${lines} lines, and the head comment does not say "long because …" (more than ${LINES} need a reason)`;
  return [{ file, line: 1, message }];
}

/** @param {string} file @param {string} text @returns {Problem[]} */
function headProblems(file, text) {
  if (isTest(file) || !HEADED.test(file) || headOf(text) !== undefined) return [];
  return [{ file, line: 1, message: 'no head comment: what does this file decide, and what must it never do?' }];
}

/** The comment (or Python docstring) that a file begins with. @param {string} text */
function headOf(text) {
  return /^(?:#!.*\n)?\s*((?:\/\/.*\n)+|\/\*[^]*?\*\/|(?:#.*\n)+|"""[^]*?""")/.exec(text)?.[1];
}

/** Focused and switched-off tests, and promises in comments. @param {Source} source @returns {Problem[]} */
export function codeProblems({ file, text, program, comments }) {
  /** @type {Problem[]} */
  const found = [];
  /** @param {number} at @param {string} message */
  const add = (at, message) => found.push({ file, line: lineOf(text, at), message });
  for (const { value, start } of comments) {
    for (const { index } of value.matchAll(PROMISE))
      add(start + 2 + index, 'a promise needs owner and issue: (name, #12)');
    const inCore = file.startsWith('packages/core/') && /\bTODO\b/.test(value);
    if (inCore) add(start, 'core makes no promises for later');
  }
  visitNodes(program, (node) => {
    const mode = isTest(file) ? modeOf(node) : undefined;
    if (mode !== undefined)
      add(node.start, `.${mode} in a test (a peer that may be missing: see tools/peers/peers.mjs)`);
  });
  return found;
}

/** The `only`, `skip` or `todo` of `it.only`, `describe.concurrent.skip`. @param {Node} node */
function modeOf(node) {
  if (node.type !== 'MemberExpression' || !isNode(node['property'])) return undefined;
  const mode = String(node['property']['name'] ?? node['property']['value']);
  return /^(?:only|skip|todo)$/.test(mode) && isTestFunction(node['object']) ? mode : undefined;
}

/** @param {unknown} node @returns {boolean} */
function isTestFunction(node) {
  if (!isNode(node)) return false;
  if (node.type === 'MemberExpression') return isTestFunction(node['object']);
  return node.type === 'Identifier' && /^(?:test|it|describe|suite|bench)$/.test(String(node['name']));
}

/** A pattern for exactly this text. @param {string} text */
function literally(text) {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
