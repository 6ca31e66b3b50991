// @ts-check
// The citation check: every `§5.4.3.1` in a comment or a test's name must be a
// section of the TUF specification (spec-sections.json), and an attack named
// right after it must be one that the section is about. A § that directly
// follows the name of another document (RFC 8410 §4) is not ours. A departure
// (DEVIATES) names an architecture decision record that exists.

import { readFileSync } from 'node:fs';
import { isCode, isNode, isTest, lineOf, listFiles, readSource, visitNodes } from './source-tree.mjs';
import { DEMANDS } from './spec-musts.mjs';
import { ATTACKS } from './spec-sections.mjs';

/** @import { Node, Problem, Source } from './source-tree.mjs' */

/** @typedef {Readonly<Record<string, string | readonly string[]>>} Sections */

/**
 * A citation: its offset, the section, the demand within the section if one is named, and what follows.
 * @typedef {{ at: number, number: string | undefined, item: string | undefined, after: string }} Citation
 */

const OTHER_DOCUMENT =
  /(?:\b(?:RFC|PEP|TAP|ADR|FIPS|ISO|SEC|NIST SP|TR|UAX)[\s-]*[\d.-]+|\b(?:DESIGN|HOUSE-STYLE|ARCHITECTURE|THREATS|CONTRIBUTING|README|SemVer|ECMA-\d+|POSIX|purl|C2SP|DSSE|in-toto|SLSA|OCI [\w-]+)|[\w.-]+\.md)(?:'s)?\s*$/;
// `§5.3.4/2` is one demand of the section: its second (spec-musts.mjs).
const CITATION = /§+\s*(?:(\d+(?:\.\d+)*)(?:\/(\d+))?)?/g;
// `§5.3.8, 5.4.5 and §5.5.7`, `§5.3 to §5.6`: one document, several sections.
const CONTINUED = /^(?:,?\s*(?:and|or|to)\s+|\s*[,–-]\s*)(§*)\s*(\d+(?:\.\d+)*)(?:\/(\d+))?(?![\d%]|\.\d)/;
const ATTACK = new RegExp(`^\\s+(${ATTACKS.join('|')})\\b`, 'i');
const DECISION = /\b(?:ADR[\s-]*|adr\/)(\d{4})\b/g;
// A departure names its record at once, in the same sentence.
const DEPARTURE = /\bDEVIATES\b(?!(?:(?!\.\s)[^\0])*?(?:ADR[\s-]*|adr\/)\d{4}\b)/g;

/** Checks a whole tree. @param {string} root @returns {Problem[]} */
export function checkCitations(root) {
  const files = listFiles(root);
  const decisions = new Set(files.flatMap((file) => /^docs\/adr\/(\d{4})-[^/]+\.md$/.exec(file)?.[1] ?? []));
  return files
    .filter((file) => isCode(file) && /^(?:packages|apps)\//.test(file))
    .flatMap((file) => citationProblems(readSource(root, file), readSections(), decisions));
}

/** The section list of the specification. @returns {Sections} */
export function readSections() {
  return JSON.parse(readFileSync(new URL('spec-sections.json', import.meta.url), 'utf8')).sections;
}

/**
 * Checks one file.
 * @param {Source} source @param {Sections} sections @param {ReadonlySet<string>} decisions four-digit numbers @returns {Problem[]}
 */
export function citationProblems(source, sections, decisions) {
  const prose = proseOf(source);
  /** @type {Problem[]} */
  const found = [];
  /** @param {number} at @param {string} message */
  const add = (at, message) => found.push({ file: source.file, line: lineOf(prose, at), message });
  for (const { at, number, item, after } of citationsOf(prose)) {
    if (number === undefined) add(at, '§ without a section number');
    else if (!Object.hasOwn(sections, number)) add(at, `the specification has no §${number}`);
    else if (item !== undefined && !DEMANDS.has(`${number}/${item}`)) add(at, `there is no demand §${number}/${item}`);
    else if (!isAbout(sections, number, after)) add(at, `§${number} is not about ${ATTACK.exec(after)?.[1]}`);
  }
  for (const { index, 1: number = '' } of prose.matchAll(DECISION)) {
    if (!decisions.has(number)) add(index, `there is no docs/adr/${number}-*.md`);
  }
  for (const { index } of prose.matchAll(DEPARTURE)) add(index, 'DEVIATES without the number of its ADR');
  return found;
}

/**
 * The citations of our specification in a text, with what follows each.
 * @param {string} prose @returns {Citation[]}
 */
export function citationsOf(prose) {
  /** @type {Citation[]} */
  const found = [];
  let readUpTo = 0;
  for (const match of prose.matchAll(CITATION)) {
    if (match.index < readUpTo) continue;
    let end = match.index + match[0].length;
    const [, first, firstItem] = match;
    const list = [{ at: match.index, number: first, item: firstItem, after: prose.slice(end, end + 40) }];
    for (;;) {
      const [text, sign = '', number = '', item] = CONTINUED.exec(prose.slice(end, end + 60)) ?? [];
      // Without a sign, only a dotted number goes on the list: `§4.2.3, 5 files`.
      if (text === undefined || (sign === '' && !number.includes('.'))) break;
      const at = end + text.indexOf(number);
      end += text.length;
      list.push({ at, number, item, after: prose.slice(end, end + 40) });
    }
    readUpTo = end;
    if (!OTHER_DOCUMENT.test(prose.slice(Math.max(0, match.index - 60), match.index))) found.push(...list);
  }
  return found;
}

/** Tells whether an attack named after a citation is one of the section's, its parents' or its steps'. @param {Sections} sections @param {string} number @param {string} after */
function isAbout(sections, number, after) {
  const attack = ATTACK.exec(after)?.[1]?.toLowerCase();
  const related = Object.entries(sections)
    .filter(([other]) => `${other}.`.startsWith(`${number}.`) || `${number}.`.startsWith(`${other}.`))
    .flatMap(([, about]) => (typeof about === 'string' ? [] : about));
  return attack === undefined || related.length === 0 || related.includes(attack);
}

/**
 * The text of a file with all but comments and test names blanked: prose keeps
 * its offsets, code becomes NUL, so that nothing is read across it.
 * @param {Source} source
 */
export function proseOf({ file, text, program, comments }) {
  /** @type {{ start: number, prose: string }[]} */
  const kept = comments.map(({ start, end }) => ({ start, prose: `  ${withoutStars(text.slice(start + 2, end))}` }));
  if (isTest(file)) visitNodes(program, (node) => kept.push(...testNamesOf(node, text)));
  let out = text.replaceAll(/\S/g, '\0');
  for (const { start, prose } of kept) out = out.slice(0, start) + prose + out.slice(start + prose.length);
  return out;
}

/** @param {string} comment */
function withoutStars(comment) {
  return comment.replaceAll(/(?<=\n[ \t]*)\*/g, ' ');
}

/** Where the name in `test('…')`, `it.each(…)('…')` or `describe('…')` stands. @param {Node} node @param {string} text */
export function testNamesOf(node, text) {
  if (node.type !== 'CallExpression' || !Array.isArray(node['arguments'])) return [];
  const [name] = node['arguments'];
  const named = /^(?:test|it|describe|suite|bench)$/.test(rootOf(node['callee']));
  return named && isNode(name) && name.type.endsWith('Literal')
    ? [{ start: name.start, prose: text.slice(name.start, name.end) }]
    : [];
}

/** The identifier at the root of a chain of calls and members. @param {unknown} node @returns {string} */
function rootOf(node) {
  if (!isNode(node)) return '';
  return node.type === 'Identifier' ? String(node['name']) : rootOf(node['callee'] ?? node['object'] ?? node['tag']);
}
