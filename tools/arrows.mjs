// @ts-check
// The architecture check: which room may import which (DESIGN §4). Reads every
// import, type-only ones too, and says file and line of each that the design,
// the package's own package.json or another package's exports do not allow;
// of cycles; and of powers that pure code must not have. Sources are bound by
// all of it, tests only by the rule that nobody imports past an exports map.

import { builtinModules } from 'node:module';
import { posix } from 'node:path';
import { isCode, isNode, isTest, lineOf, listFiles, listWorkspaces, readSource, visitNodes } from './source-tree.mjs';

/** @import { Node, Problem, Source, Workspace } from './source-tree.mjs' */

/**
 * One import of one file. `value` is false when it leaves no trace at run time.
 * @typedef {{ file: string, line: number, specifier: string, value: boolean }} Import
 */

const LIBRARIES = ['core', 'tlog', 'decisions', 'client', 'signers', 'repository', 'ecosystems'].map(
  (name) => `packages/${name}`,
);

/** What each room may import. Nothing else may appear in its sources or among its dependencies. */
export const ARROWS = new Map([
  ['packages/core', []],
  ['packages/tlog', ['packages/core']],
  ['packages/decisions', ['packages/core']],
  ['packages/client', ['packages/core', 'packages/tlog']],
  ['packages/signers', ['packages/core']],
  ['packages/repository', ['packages/core', 'packages/tlog', 'packages/decisions']],
  ['packages/ecosystems', ['packages/core']],
  ['packages/testkit', LIBRARIES],
  ['apps/server', LIBRARIES],
  ['apps/gateway', ['packages/core', 'packages/tlog', 'packages/decisions', 'packages/client', 'packages/ecosystems']],
  ['apps/console', ['packages/core', 'packages/tlog', 'packages/decisions', 'packages/client']],
  ['apps/cli', [...LIBRARIES, 'apps/server', 'apps/gateway', 'apps/console']],
]);

const POWERS =
  'process global fetch crypto console performance setTimeout setInterval setImmediate localStorage indexedDB XMLHttpRequest WebSocket require';
const PLATFORM =
  'globalThis window self document navigator Buffer queueMicrotask structuredClone TextEncoder TextDecoder URL URLSearchParams URLPattern atob btoa AbortController AbortSignal Blob File FormData Headers Request Response ReadableStream WritableStream TransformStream Worker MessageChannel Event EventTarget WebAssembly Intl eval Function module exports __dirname __filename';

/** Sources without ambient powers; core, which runs anywhere, does without the platform too. */
const PURE = [
  { prefix: 'packages/core/src/', refused: new Set(`${POWERS} ${PLATFORM}`.split(' ')) },
  { prefix: 'packages/tlog/src/', refused: new Set(POWERS.split(' ')) },
  { prefix: 'packages/decisions/src/', refused: new Set(`${POWERS} ${PLATFORM}`.split(' ')) },
  { prefix: 'packages/repository/src/admit', refused: new Set(POWERS.split(' ')) },
  { prefix: 'packages/repository/src/plan', refused: new Set(POWERS.split(' ')) },
];

/** Entries that run on any runtime: nothing reachable from them may ask for Node. */
const NEUTRAL = ['core', 'tlog', 'decisions', 'client'].map((name) => `packages/${name}/src/index.ts`);

/** Checks a whole tree. @param {string} root @returns {Problem[]} */
export function checkArrows(root) {
  const files = listFiles(root);
  const workspaces = listWorkspaces(root, files);
  const code = files.filter((file) => isCode(file) && workspaces.some(({ folder }) => file.startsWith(`${folder}/`)));
  const sources = code.map((file) => readSource(root, file));
  const imports = sources.flatMap(importsOf);
  return [
    ...workspaces.flatMap((workspace) => manifestProblems(workspace, workspaces)),
    ...imports.flatMap((item) => importProblems(item, workspaces, new Set(code))),
    ...cyclesOfFiles(imports, new Set(code)),
    ...cyclesOfPackages(imports, workspaces),
    ...neutralProblems(imports),
    ...sources.flatMap((source) => [...powerProblems(source), ...surfaceProblems(source)]),
  ];
}

/** Every import, re-export, dynamic import and import type of a file. @param {Source} source @returns {Import[]} */
export function importsOf({ file, text, program }) {
  /** @type {Import[]} */
  const found = [];
  visitNodes(program, (node) => {
    const at = requestOf(node);
    if (at === undefined) return;
    const value = node.type !== 'TSImportType' && node['importKind'] !== 'type' && node['exportKind'] !== 'type';
    found.push({ file, line: lineOf(text, node.start), specifier: at, value });
  });
  return found;
}

/** The module that a node asks for. @param {Node} node */
function requestOf(node) {
  const asks =
    /^(?:Import(?:Declaration|Expression)|Export(?:Named|All)Declaration|TSImportType|TSExternalModuleReference)$/;
  if (asks.test(node.type)) return literal(node['source'] ?? node['expression']);
  const callee = node['callee'];
  const required = node.type === 'CallExpression' && isNode(callee) && callee['name'] === 'require';
  return required && Array.isArray(node['arguments']) ? literal(node['arguments'][0]) : undefined;
}

/** @param {unknown} node */
function literal(node) {
  return isNode(node) && node.type === 'Literal' && typeof node['value'] === 'string' ? node['value'] : undefined;
}

/** The workspace that a file belongs to. @param {string} file @param {readonly Workspace[]} workspaces */
function homeOf(file, workspaces) {
  return workspaces.find(({ folder }) => file.startsWith(`${folder}/`));
}

/** The file that a relative import means. @param {Import} item */
function relativeTarget({ file, specifier }) {
  return specifier.startsWith('.') ? posix.join(posix.dirname(file), specifier) : undefined;
}

/** `@scope/name/sub` → `@scope/name` and `./sub`. @param {string} specifier */
function splitSpecifier(specifier) {
  const parts = specifier.split('/');
  const length = specifier.startsWith('@') ? 2 : 1;
  return { name: parts.slice(0, length).join('/'), subpath: ['.', ...parts.slice(length)].join('/') };
}

/** @param {string} specifier */
function isBuiltin(specifier) {
  return specifier.startsWith('node:') || builtinModules.includes(specifier);
}

/** The dependencies that a package.json declares. @param {Workspace} workspace @param {readonly Workspace[]} workspaces @returns {Problem[]} */
function manifestProblems({ folder, name, manifest }, workspaces) {
  const file = `${folder}/package.json`;
  const allowed = ARROWS.get(folder);
  if (allowed === undefined) return [{ file, line: 1, message: `${name} is not among the rooms of DESIGN §4` }];
  return Object.keys(manifest['dependencies'] ?? {}).flatMap((dependency) => {
    const to = workspaces.find((workspace) => workspace.name === dependency);
    if (to !== undefined && !allowed.includes(to.folder)) {
      return [{ file, line: 1, message: `depends on ${dependency}, which DESIGN §4 does not allow` }];
    }
    const core = folder === 'packages/core';
    return core ? [{ file, line: 1, message: `core has no dependencies, but lists ${dependency}` }] : [];
  });
}

/** @param {Import} item @param {readonly Workspace[]} workspaces @param {ReadonlySet<string>} files @returns {Problem[]} */
function importProblems(item, workspaces, files) {
  const { file, line, specifier } = item;
  const home = homeOf(file, workspaces);
  if (home === undefined) return [];
  /** @param {string} message */
  const problem = (message) => [{ file, line, message }];
  const target = relativeTarget(item);
  if (target !== undefined) {
    const to = homeOf(target, workspaces);
    if (to !== undefined && to !== home) return problem(`reaches past the exports of ${to.name}: ${specifier}`);
    if (isTest(file)) return [];
    if (to === undefined) return problem(`reaches out of its package: ${specifier}`);
    if (isTest(target)) return problem(`a source imports test code: ${specifier}`);
    return files.has(target) ? [] : problem(`there is no file ${target}`);
  }
  if (isBuiltin(specifier)) return builtinProblems(item).flatMap(problem);
  const { name, subpath } = splitSpecifier(specifier);
  const to = workspaces.find((workspace) => workspace.name === name);
  if (to !== undefined && to !== home && !isExported(to, subpath)) {
    return problem(`reaches past the exports of ${name}: there is no "${subpath}"`);
  }
  if (isTest(file)) return [];
  if (to === home) return problem(`imports its own package by name: ${specifier}`);
  if (to !== undefined && !(ARROWS.get(home.folder) ?? []).includes(to.folder)) {
    return problem(`${home.name} may not import ${name} (DESIGN §4)`);
  }
  if (home.folder === 'packages/core') return problem(`core imports nothing, but asks for ${specifier}`);
  return isDeclared(home, name) ? [] : problem(`${name} is not among the dependencies in ${home.folder}/package.json`);
}

/** @param {Import} item @returns {string[]} */
function builtinProblems({ file, specifier }) {
  if (isTest(file)) return [];
  if (!specifier.startsWith('node:')) return [`write node:${specifier}`];
  return PURE.some(({ prefix }) => file.startsWith(prefix)) ? [`pure code may not import ${specifier}`] : [];
}

/** @param {Workspace} workspace @param {string} name */
function isDeclared({ manifest }, name) {
  const lists = ['dependencies', 'peerDependencies', 'optionalDependencies'];
  return lists.some((list) => Object.hasOwn(manifest[list] ?? {}, name));
}

/** @param {Workspace} workspace @param {string} subpath */
function isExported({ manifest }, subpath) {
  return Object.keys(manifest['exports'] ?? {}).some((pattern) => {
    const [before = '', after] = pattern.split('*');
    return after === undefined ? pattern === subpath : subpath.startsWith(before) && subpath.endsWith(after);
  });
}

/** Cycles between files of one package; what only types ask for does not count. @param {readonly Import[]} imports @param {ReadonlySet<string>} files */
function cyclesOfFiles(imports, files) {
  const edges = imports.flatMap((item) => {
    const to = relativeTarget(item);
    return item.value && to !== undefined && files.has(to) && !isTest(item.file) ? [{ from: item.file, to, item }] : [];
  });
  return cycles(edges).map(({ item, path }) => ({
    file: item.file,
    line: item.line,
    message: `import cycle: ${path.join(' → ')}`,
  }));
}

/** Cycles between packages, by any import. @param {readonly Import[]} imports @param {readonly Workspace[]} workspaces */
function cyclesOfPackages(imports, workspaces) {
  const edges = imports.flatMap((item) => {
    const from = isTest(item.file) ? undefined : homeOf(item.file, workspaces)?.name;
    const to = workspaces.find(({ name }) => name === splitSpecifier(item.specifier).name)?.name;
    return from !== undefined && to !== undefined && from !== to ? [{ from, to, item }] : [];
  });
  return cycles(edges).map(({ item, path }) => ({
    file: item.file,
    line: item.line,
    message: `package cycle: ${path.join(' → ')}`,
  }));
}

/**
 * One cycle for each edge that closes one, by depth-first search.
 * @param {readonly { from: string, to: string, item: Import }[]} edges
 */
function cycles(edges) {
  /** @type {Map<string, Map<string, Import>>} */
  const outgoing = new Map();
  for (const { from, to, item } of edges) {
    const known = outgoing.get(from) ?? new Map();
    outgoing.set(from, known.has(to) ? known : known.set(to, item));
  }
  /** @type {{ item: Import, path: string[] }[]} */
  const found = [];
  /** @type {Set<string>} */
  const done = new Set();
  /** @param {readonly string[]} path ends at the node to descend from */
  const descend = (path) => {
    const at = path.at(-1) ?? '';
    for (const [to, item] of outgoing.get(at) ?? []) {
      const start = path.indexOf(to);
      if (start !== -1) found.push({ item, path: [...path.slice(start), to] });
      else if (!done.has(to)) descend([...path, to]);
    }
    done.add(at);
  };
  for (const from of outgoing.keys()) if (!done.has(from)) descend([from]);
  return found;
}

/** What a platform-neutral entry reaches must not ask for Node. @param {readonly Import[]} imports @returns {Problem[]} */
function neutralProblems(imports) {
  const reached = new Set(NEUTRAL);
  for (const file of reached) {
    for (const item of imports) {
      const to = item.file === file && item.value ? relativeTarget(item) : undefined;
      if (to !== undefined) reached.add(to);
    }
  }
  return imports
    .filter(({ file, specifier, value }) => value && reached.has(file) && isBuiltin(specifier))
    .filter(({ file }) => !PURE.some(({ prefix }) => file.startsWith(prefix)))
    .map(({ file, line, specifier }) => ({
      file,
      line,
      message: `${specifier} is within reach of a platform-neutral entry`,
    }));
}

/** Platform globals, the clock and randomness in pure code. @param {Source} source @returns {Problem[]} */
function powerProblems({ file, text, program }) {
  const rule = isTest(file) ? undefined : PURE.find(({ prefix }) => file.startsWith(prefix));
  if (rule === undefined) return [];
  const own = ownNames(program);
  /** @type {Problem[]} */
  const found = [];
  visitNodes(program, (node, parent) => {
    const used = ambientUse(node, parent, rule.refused);
    if (used === undefined || own.has(used)) return;
    found.push({ file, line: lineOf(text, node.start), message: `pure code may not use ${used}` });
  });
  return found;
}

/** The ambient power that a node uses, if any. @param {Node} node @param {Node | undefined} parent @param {ReadonlySet<string>} refused */
function ambientUse(node, parent, refused) {
  if (node.type === 'Identifier' && typeof node['name'] === 'string' && isReference(node, parent)) {
    return refused.has(node['name']) ? node['name'] : undefined;
  }
  if (node.type === 'MetaProperty' && isNode(node['meta']) && node['meta']['name'] === 'import') return 'import.meta';
  const callee = isNode(node['callee']) ? node['callee'] : undefined;
  if (callee?.['name'] === 'Date' && Array.isArray(node['arguments']) && node['arguments'].length === 0) {
    return 'the clock (Date)';
  }
  if (node.type !== 'MemberExpression' || !isNode(node['object']) || !isNode(node['property'])) return undefined;
  const member = [node['object']['name'], node['property']['name']].join('.');
  return member === 'Date.now' || member === 'Math.random' ? member : undefined;
}

/** Tells a use of a variable from a mere name, as in `a.name`, `{ name: 1 }` or a type's member. @param {Node} node @param {Node | undefined} parent */
function isReference(node, parent) {
  if (parent === undefined) return false;
  if (parent['computed'] === true || parent['shorthand'] === true) return true;
  if (parent.type === 'MemberExpression') return parent['object'] === node;
  if (
    /^(?:TS(?:Qualified|TypeReference|Property|Method|NamedTuple|Type|Interface)|ImportSpecifier|ExportSpecifier)/.test(
      parent.type,
    )
  ) {
    return false;
  }
  return parent['key'] !== node;
}

/** Names that a file declares itself: variables, parameters, functions, imports. @param {Node} program */
function ownNames(program) {
  /** @type {Set<string>} */
  const names = new Set();
  /** @param {unknown} target */
  const bind = (target) => {
    if (Array.isArray(target)) for (const item of target) bind(item);
    else if (isNode(target)) {
      if (target.type === 'Identifier' && typeof target['name'] === 'string') names.add(target['name']);
      for (const member of ['properties', 'elements', 'argument', 'left', 'value']) bind(target[member]);
    }
  };
  visitNodes(program, (node) => {
    if (node.type === 'VariableDeclarator' || /Function|Class/.test(node.type)) bind(node['id']);
    if (/Function/.test(node.type)) bind(node['params']);
    if (/^Import\w*Specifier$/.test(node.type)) bind(node['local']);
    if (node.type === 'CatchClause') bind(node['param']);
  });
  return names;
}

/** `index.ts` is written by hand: it never passes on all that another file has. @param {Source} source @returns {Problem[]} */
function surfaceProblems({ file, text, program }) {
  if (isTest(file) || posix.basename(file) !== 'index.ts') return [];
  /** @type {Problem[]} */
  const found = [];
  visitNodes(program, (node) => {
    if (node.type !== 'ExportAllDeclaration') return;
    found.push({ file, line: lineOf(text, node.start), message: 'index.ts lists what it exports, without `export *`' });
  });
  return found;
}
