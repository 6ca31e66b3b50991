// @ts-check
// Makes docs/spec-map.md: every demand of the specification on the client
// workflow and the file formats (spec-musts.mjs) → the code that cites its
// section → the tests that name it. Fails when a demand has neither a test nor
// a decision record that DEVIATES from it, when the list does not hold as many
// MUSTs as the text, and when the page is not what this file makes.
// A test names a demand; a step of the workflow that demands one thing needs no
// number behind its section.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { citationsOf, proseOf, readSections, testNamesOf } from './citations.mjs';
import { isCode, isNode, isTest, lineOf, listFiles, readSource, visitNodes } from './source-tree.mjs';
import { DEMANDS } from './spec-musts.mjs';

/** @import { Node, Problem, Source } from './source-tree.mjs' */
/** @import { Demand } from './spec-musts.mjs' */

/**
 * Where something is cited: a file, and a name in it.
 * @typedef {{ file: string, name: string }} Place
 */

/**
 * All that is known about the demands: code by section, tests and departures by demand.
 * @typedef {{ code: Map<string, Place[]>, tests: Map<string, Place[]>, departures: Map<string, string[]>, problems: Problem[] }} Evidence
 */

const PAGE = 'docs/spec-map.md';
const CODE = /^packages\/(?:core|client|repository)\/src\//;
const TESTS = /^packages\/(?:core|client|repository|testkit)\//;
const ATTACKS = /^packages\/testkit\/src\/attacks\//;
const SHOWN = 2; // tests of one file

/** Checks a whole tree: every demand is met, and the page says so. @param {string} root @returns {Problem[]} */
export function checkSpecMap(root) {
  const evidence = gather(root);
  const page = existsSync(join(root, PAGE)) ? readFileSync(join(root, PAGE), 'utf8') : '';
  const stale = page === render(evidence) ? [] : [problem(PAGE, 'is out of date: node tools/spec-map.mjs --write')];
  return [...evidence.problems, ...countProblems(DEMANDS, readMusts()), ...unmet(evidence), ...stale];
}

/** Demands with neither a test nor a departure. @param {Evidence} evidence @returns {Problem[]} */
function unmet({ tests, departures }) {
  return [...DEMANDS]
    .filter(([id]) => !tests.has(id) && !departures.has(id))
    .map(([id, { says }]) => problem('tools/spec-musts.mjs', `no test names ${cited(id)}, no ADR DEVIATES: ${says}`));
}

/**
 * Compares the list with the text: as many MUSTs in each section, and no step of the workflow left out.
 * @param {ReadonlyMap<string, Demand>} demands @param {Readonly<Record<string, number>>} musts @returns {Problem[]}
 */
export function countProblems(demands, musts) {
  const all = [...demands.values()];
  const sections = Object.keys(readSections());
  const file = 'tools/spec-musts.mjs';
  const wrong = [...new Set([...Object.keys(musts), ...all.map(({ section }) => section)])].flatMap((section) => {
    const listed = all.filter((demand) => demand.section === section && demand.kind === 'MUST').length;
    if (!sections.includes(section)) return [problem(file, `the specification has no §${section}`)];
    if (listed === (musts[section] ?? 0)) return [];
    return [problem(file, `§${section} has ${musts[section] ?? 0} MUSTs, the list ${listed}`)];
  });
  const steps = sections.filter((number) => /^5\.\d+\.\d/.test(number));
  const leaves = steps.filter((number) => !steps.some((other) => other.startsWith(`${number}.`)));
  const missing = leaves.filter((number) => !all.some(({ section }) => section === number));
  return [...wrong, ...missing.map((number) => problem(file, `the step §${number} is not listed`))];
}

/** How many MUSTs the text has, by section. @returns {Readonly<Record<string, number>>} */
export function readMusts() {
  return JSON.parse(readFileSync(new URL('spec-sections.json', import.meta.url), 'utf8')).musts;
}

/** Reads all citations of a tree. @param {string} root @returns {Evidence} */
export function gather(root) {
  /** @type {Evidence} */
  const evidence = { code: new Map(), tests: new Map(), departures: new Map(), problems: [] };
  const files = listFiles(root);
  for (const file of files.filter((name) => isCode(name) && (CODE.test(name) || TESTS.test(name)))) {
    const source = readSource(root, file);
    if (ATTACKS.test(file)) addAttacks(source, evidence);
    else if (isTest(file)) addTests(source, evidence);
    else if (CODE.test(file)) addCode(source, evidence);
  }
  for (const file of files.filter((name) => /^docs\/adr\/\d{4}-[^/]+\.md$/.test(name))) {
    addDepartures(file, readFileSync(join(root, file), 'utf8'), evidence);
  }
  return evidence;
}

/** @param {Source} source @param {Evidence} evidence */
function addCode(source, evidence) {
  const declarations = declarationsOf(source.program);
  for (const { at, number, item, after } of citationsOf(proseOf(source))) {
    // `§5.3 to §5.6` names a range, not a rule.
    if (number === undefined || /^\s+to\s/.test(after)) continue;
    const place = { file: source.file, name: nameAt(declarations, at) };
    put(evidence.code, item === undefined ? number : `${number}/${item}`, place);
  }
}

/** @param {Source} source @param {Evidence} evidence */
function addTests(source, evidence) {
  visitNodes(source.program, (node) => {
    for (const { prose } of testNamesOf(node, source.text)) {
      const name = prose.slice(1, -1).replaceAll(/\s+/g, ' ');
      for (const { number, item } of citationsOf(name)) {
        const id = number === undefined ? undefined : demandOf(number, item);
        if (id !== undefined) put(evidence.tests, id, { file: source.file, name });
      }
    }
  });
}

/** The catalogue cites in `spec: ['5.3.5']` beside the `id` of each attack. @param {Source} source @param {Evidence} evidence */
function addAttacks(source, evidence) {
  visitNodes(source.program, (node) => {
    if (node.type !== 'ObjectExpression' || !Array.isArray(node['properties'])) return;
    const [id, spec] = ['id', 'spec'].map((name) => valueOf(node, name));
    if (id === undefined || spec === undefined) return;
    const name = source.text.slice(id.start + 1, id.end - 1);
    visitNodes(spec, (part) => {
      const text = part.type === 'Literal' ? String(part['value']) : '';
      const [, number, item] = /^(\d+(?:\.\d+)*)(?:\/(\d+))?$/.exec(text) ?? [];
      if (number === undefined) return;
      const known = Object.hasOwn(readSections(), number) && (item === undefined || DEMANDS.has(text));
      const line = lineOf(source.text, part.start);
      if (!known) evidence.problems.push({ file: source.file, line, message: `there is no §${text}` });
      const demand = demandOf(number, item);
      if (demand !== undefined) put(evidence.tests, demand, { file: source.file, name });
    });
  });
}

/** @param {string} file @param {string} text @param {Evidence} evidence */
function addDepartures(file, text, evidence) {
  for (const { 0: sentence } of text.matchAll(/\bDEVIATES\b[^\n]*?(?=\.\s|\.$|\)|$)/gm)) {
    for (const { number, item } of citationsOf(sentence)) {
      const id = number === undefined ? undefined : demandOf(number, item);
      if (id !== undefined) put(evidence.departures, id, file);
    }
  }
}

/** The demand that a test's citation means, if it means a single one. Sections of formats are about many things. @param {string} section @param {string | undefined} item */
function demandOf(section, item) {
  if (item !== undefined) return DEMANDS.has(`${section}/${item}`) ? `${section}/${item}` : undefined;
  const single = section.startsWith('5') && DEMANDS.has(`${section}/1`) && !DEMANDS.has(`${section}/2`);
  return single ? `${section}/1` : undefined;
}

/** @typedef {{ name: string, start: number, end: number }} Declaration */

/** Everything in a file that has a name, outermost first. @param {Node} program @returns {Declaration[]} */
function declarationsOf(program) {
  /** @type {Declaration[]} */
  const found = [];
  visitNodes(program, (node) => {
    const named =
      /^(?:FunctionDeclaration|ClassDeclaration|TSInterfaceDeclaration|TSTypeAliasDeclaration|VariableDeclarator|MethodDefinition)$/;
    const id = node['id'] ?? node['key'];
    if (named.test(node.type) && isNode(id)) {
      const name = id['name'];
      found.push({ name: typeof name === 'string' ? name : '', start: node.start, end: node.end });
    }
  });
  return found;
}

/** The function around an offset, or the one that its comment stands before; empty for the head of the file. @param {readonly Declaration[]} declarations @param {number} at */
function nameAt(declarations, at) {
  const around = declarations.filter(({ start, end }) => start <= at && at < end).at(-1);
  return around?.name ?? declarations.find(({ start }) => start > at && start - at < 400)?.name ?? '';
}

/** @param {Node} object @param {string} name @returns {Node | undefined} */
function valueOf(object, name) {
  /** @type {unknown} */
  const properties = object['properties'];
  if (!Array.isArray(properties)) return undefined;
  const property = properties.find((item) => isNode(item) && isNode(item['key']) && item['key']['name'] === name);
  return isNode(property?.value) ? property.value : undefined;
}

/** @template T @param {Map<string, T[]>} map @param {string} key @param {T} item */
function put(map, key, item) {
  map.set(key, [...(map.get(key) ?? []), item]);
}

/** The page. @param {Evidence} evidence */
export function render({ code, tests, departures }) {
  const lines = [
    '# Specification map',
    '',
    'Every demand of the TUF specification 1.0.34 on the file formats (§4) and on the client workflow (§5), in our own words: where the code cites it, and which tests name it, two of each file at most. **MUST** is a sentence with that keyword; *must* has it in lower case; a *step* is what the workflow tells a client to do without one. Demands without code of their own show the code of the section around them.',
    '',
    'Made by `node tools/spec-map.mjs --write` from the citations in sources and tests; `npm run check` fails when it is out of date, and on a demand with neither a test nor a decision record that departs from it.',
  ];
  for (const part of ['4', '5']) {
    lines.push('', part === '4' ? '## File formats' : '## Client workflow', '');
    lines.push('| | demand | code | tests |', '| --- | --- | --- | --- |');
    for (const [id, { section, kind, says }] of DEMANDS) {
      if (!`${section}.`.startsWith(`${part}.`)) continue;
      const away = (departures.get(id) ?? []).map((file) => `departs: [${file.slice(9, 13)}](${file.slice(5)})`);
      const demand = `${kind === 'MUST' ? '**MUST**' : `*${kind}*`} ${says}`;
      const proof = [...away, ...shown(tests.get(id) ?? [])].join('<br>');
      lines.push(`| ${cited(id)} | ${demand} | ${codeOf(code, id, section).join('<br>')} | ${proof} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** The code of a demand, of its section, or of the nearest one around it. @param {Evidence['code']} code @param {string} id @param {string} section @returns {string[]} */
function codeOf(code, id, section) {
  const around = [id];
  for (let number = section; number !== ''; number = number.replace(/\.?\d+$/, '')) around.push(number);
  for (const number of around) {
    const places = (code.get(number) ?? []).filter(({ name }) => name !== '');
    if (places.length === 0) continue;
    return [...new Set(places.map(({ file, name }) => `\`${short(file)}\` ${name}`))].sort();
  }
  return [];
}

/** @param {readonly Place[]} places */
function shown(places) {
  const files = [...new Set(places.map(({ file }) => file))].sort();
  return files.map((file) => {
    const names = [...new Set(places.filter((place) => place.file === file).map(({ name }) => name))];
    return `\`${short(file)}\` ${names.slice(0, SHOWN).map(told).join('; ')}`;
  });
}

/** @param {string} name */
function told(name) {
  const plain = name.replaceAll('|', '\\|').replaceAll('<', '&lt;');
  return `“${plain.length > 110 ? `${plain.slice(0, 109)}…` : plain}”`;
}

/** @param {string} file */
function short(file) {
  return file.replace(/^packages\//, '').replace('/src/', '/');
}

/** @param {string} id */
function cited(id) {
  const single = id.startsWith('5') && !DEMANDS.has(`${DEMANDS.get(id)?.section}/2`);
  return `§${single ? id.slice(0, -2) : id}`;
}

/** @param {string} file @param {string} message @returns {Problem} */
function problem(file, message) {
  return { file, line: 1, message };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL('..', import.meta.url)).replace(/[\\/]$/, '');
  if (process.argv.includes('--write')) writeFileSync(join(root, PAGE), render(gather(root)));
  for (const { file, line, message } of checkSpecMap(root)) {
    process.stdout.write(`${file}:${line}  ${message}\n`);
    process.exitCode = 1;
  }
}
