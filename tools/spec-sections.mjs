// @ts-check
// Makes spec-sections.json from the text of the TUF specification: which
// section numbers exist, what each heading is called, which attacks each step
// of the client workflow is about, and how many sentences of the formats and
// the workflow say MUST. In the file, a heading has its title and a step the
// list of its attacks. No prose.
// Run it when the specification moves: node tools/spec-sections.mjs tuf-spec.md

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * A section: its title (empty for a step) and the attacks that it is about.
 * @typedef {{ title: string, attacks: string[], musts: number }} Section
 */

/** The attacks that a citation may name after its number. */
export const ATTACKS = ['arbitrary', 'rollback', 'freeze', 'fast-forward', 'mix-and-match'];

// Only the client workflow numbers its steps on from its headings.
const FORMATS = 4;
const WORKFLOW = 5;
const HEADING = /^(#+)\s+(\S.*?)\s+#+\s+\{#/; // \s: the text has no-break spaces here and there
const STEP = /^( *)(\d+)\. +(.*)$/;

/** Computes the section list of a specification text. @param {string} markdown @returns {Map<string, Section>} */
export function sectionsOf(markdown) {
  /** @type {Map<string, Section>} */
  const sections = new Map();
  /** @type {number[]} */
  let heading = [];
  /** @type {{ indent: number, number: number }[]} */
  let steps = [];
  let current = '';
  for (const line of markdown.split('\n')) {
    const [, marks, title = ''] = HEADING.exec(line) ?? [];
    if (marks !== undefined) {
      heading = [...heading, 0, 0, 0].slice(0, marks.length).map((n, i) => (i === marks.length - 1 ? n + 1 : n));
      steps = [];
      current = heading.join('.');
      sections.set(current, { title: title.trim(), attacks: [], musts: 0 });
      continue;
    }
    const stated = sections.get(current);
    if (stated !== undefined && heading[0] === FORMATS) stated.musts += mustsIn(line);
    if (heading[0] !== WORKFLOW) continue;
    const [, indent, number] = STEP.exec(line) ?? [];
    if (indent !== undefined) {
      steps = [
        ...steps.filter((step) => step.indent < indent.length),
        { indent: indent.length, number: Number(number) },
      ];
      current = [...heading, ...steps.map((step) => step.number)].join('.');
      sections.set(current, { title: '', attacks: [], musts: 0 });
    }
    const section = sections.get(current);
    if (section !== undefined) section.musts += mustsIn(line);
    const text = line.toLowerCase().replaceAll(/\(http\S*\)/g, '');
    for (const attack of ATTACKS) {
      if (text.includes(attack) && section?.attacks.includes(attack) === false) section.attacks.push(attack);
    }
  }
  return sections;
}

/** @param {string} line */
function mustsIn(line) {
  return line.match(/\b(?:MUST|SHALL|REQUIRED)\b/g)?.length ?? 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , from] = process.argv;
  if (from === undefined) throw new Error('Usage: node tools/spec-sections.mjs path/to/tuf-spec.md');
  const text = readFileSync(from, 'utf8');
  const version = /^Text Macro: VERSION (\S+)$/m.exec(text)?.[1] ?? 'unknown';
  const all = [...sectionsOf(text)];
  const sections = Object.fromEntries(
    all.map(([number, { title, attacks }]) => [number, title === '' ? attacks : title]),
  );
  const musts = Object.fromEntries(all.flatMap(([number, { musts: count }]) => (count > 0 ? [[number, count]] : [])));
  const made = JSON.stringify({ version, sections, musts }, null, 2);
  writeFileSync(new URL('spec-sections.json', import.meta.url), `${made}\n`);
}
