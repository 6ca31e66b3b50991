// The layouts of ours that other clients are to read: for each, a repository
// and what must come of asking for its files. Built with the testkit alone, so
// that what is right here follows from the specification and not from a client.
// Long expiry dates: some peers read the machine's clock.

import { createHash } from 'node:crypto';
import {
  type JsonLiteral,
  ownerRoleName,
  type Project,
  projectDirectory,
  releaseRoleName,
  succinctBin,
  utf8,
} from '@countersign/core';
import { DEBUG, IS_ODD, MS, registryWorld, type TargetsDraft, World, withMember } from '@countersign/testkit';

/** One file asked for: it is fetched with this content, or nothing is. */
export interface Probe {
  readonly path: string;
  readonly want: Uint8Array | 'refused';
}

/** A published repository and what to ask of it. */
export interface OpenLayout {
  readonly world: World;
  readonly probes: readonly Probe[];
}

/** A way to lay out a repository. */
export interface Layout {
  readonly name: string;
  open(consistentSnapshot: boolean): OpenLayout;
}

/** All of them, in the order of the table. */
export const LAYOUTS: readonly Layout[] = [
  { name: 'registry: shards, owners, release roles, scoped names', open: registry },
  { name: 'registry: a claimed name, forged by online keys at every depth', open: forgedClaim },
  { name: 'bins by path hash prefix', open: classicBins },
  { name: 'succinct bins (TAP 15)', open: succinctBins },
  { name: 'order of delegations, terminating or not', open: order },
  { name: 'twenty delegations deep', open: deep },
  { name: '`*` and `?` within a segment', open: patterns },
  { name: '`*` and `?` stand for no `/`', open: slashes },
  { name: '`*` stands for a leading dot', open: leadingDot },
  { name: 'files listed outside the paths of their role', open: outside },
  { name: 'role names with `.xx` escapes and dots', open: (on) => named(on, REGISTRY_NAMES) },
  { name: 'role names with any other character', open: (on) => named(on, OTHER_NAMES) },
  { name: 'files by sha256 alone', open: (on) => hashed(on, 'sha256') },
  { name: 'files by sha512 alone', open: (on) => hashed(on, 'sha512') },
  { name: 'three signature schemes, thresholds above one', open: schemes },
  { name: 'three roots, with new keys for every role', open: rootChain },
  { name: 'metadata listed by version alone', open: versionsAlone },
  { name: 'members that nobody knows', open: unknownMembers },
];

function registry(consistentSnapshot: boolean): OpenLayout {
  const world = registryWorld({ consistentSnapshot, shardDigits: 1 });
  const paths = [MS.path, DEBUG.path, IS_ODD.path];
  for (const name of ['@types/node', 'r.js', '@a.b/c_d~e']) {
    const project = { ecosystem: 'npm', name, segment: name.replace('/', '@') };
    const directory = projectDirectory(project, sha256);
    const owner = ownerRoleName(project, 1);
    const release = releaseRoleName(owner, 'ci');
    world.delegate(`claimed-${binDigit(project)}`, owner, { terminating: true, paths: [`${directory}/*`] });
    world.delegate(owner, release, { paths: [`${directory}/*`] });
    const listed = [
      [owner, `${directory}/first-1.0.0-rc.1+build.7.tgz`],
      [release, `${directory}/second~2_0.tgz`],
    ] as const;
    for (const [role, path] of listed) world.addTarget(role, path, `${path} of ${role}`);
    paths.push(...listed.map(([, path]) => path));
  }
  return opened(world, paths, [`${MS.directory}/ms-9.9.9.tgz`, 'npm/0000/nobody/nobody-1.0.0.tgz', 'npm/ms/ms.tgz']);
}

function forgedClaim(consistentSnapshot: boolean): OpenLayout {
  const world = registryWorld({ consistentSnapshot });
  const refused: string[] = [];
  const forge = (kind: 'recent' | 'unclaimed', directory: string): void => {
    let role: string = kind;
    for (let depth = 0; depth < 4; depth++) {
      const path = `${directory}/forged-by-${kind}-${depth}.tgz`;
      world.addTarget(role, path, 'forged');
      refused.push(path);
      const child = `${kind}.${depth}.${directory.replaceAll('/', '.')}`;
      world.delegate(role, child, { keys: [world.key(kind)], paths: [`${directory}/*`] });
      role = child;
    }
  };
  forge('recent', MS.directory);
  forge('unclaimed', MS.directory);
  forge('unclaimed', DEBUG.directory); // of its online shards, the recent one comes first
  for (const kind of ['recent', 'unclaimed']) {
    world.role(kind).targets.set(MS.path, { length: 6, hashes: { sha256: digest('sha256', utf8('forged')) } });
  }
  return opened(world, [MS.path, DEBUG.path], refused);
}

function classicBins(consistentSnapshot: boolean): OpenLayout {
  const world = new World({ consistentSnapshot });
  const bins = ['0123', '4567', '89ab', 'cdef'];
  for (const digits of bins)
    world.delegate('targets', `bin-${digits}`, { terminating: true, prefixes: digits.split('') });
  for (const path of BINNED) {
    const first = digest('sha256', utf8(path)).slice(0, 1);
    world.addTarget(`bin-${bins.find((digits) => digits.includes(first))}`, path, `content of ${path}`);
  }
  return opened(world, BINNED, ['files/absent']);
}

function succinctBins(consistentSnapshot: boolean): OpenLayout {
  const world = new World({ consistentSnapshot });
  const key = world.key('bins');
  const bins = { keyIds: [key.keyId], threshold: 1, bitLength: 5, namePrefix: 'bin.s', json: new Map() };
  for (let i = 0; i < 32; i++) {
    world.delegate('targets', `bin.s-${i.toString(16).padStart(2, '0')}`, { keys: [key], prefixes: [''] });
  }
  for (const path of BINNED) world.addTarget(succinctBin(bins, sha256(utf8(path))), path, `content of ${path}`);
  const succinct = { keyids: [key.keyId], threshold: 1, bit_length: 5, name_prefix: 'bin.s' };
  const delegations: JsonLiteral = { keys: new Map([[key.keyId, key.key.json]]), succinct_roles: succinct };
  world.targets.tamper = { signed: (signed) => withMember(signed, ['delegations'], delegations) };
  return opened(world, BINNED, ['files/absent']);
}

function order(consistentSnapshot: boolean): OpenLayout {
  const world = new World({ consistentSnapshot });
  world.addTarget('targets', 'top.txt', 'of targets');
  world.delegate('targets', 'first', { paths: ['shared/*', 'top.txt'] });
  world.delegate('targets', 'second', { paths: ['shared/*', 'below/?/*'] });
  world.delegate('targets', 'last', { paths: ['ended/*'], terminating: true });
  world.delegate('targets', 'later', { paths: ['ended/*', 'shared/*', 'below/b/*'] });
  world.delegate('second', 'below', { paths: ['below/*/*'], terminating: true });
  world.addTarget('first', 'shared/first.txt', 'of first');
  world.addTarget('second', 'shared/second.txt', 'of second');
  world.addTarget('below', 'below/a/file.txt', 'of below');
  world.addTarget('later', 'shared/later.txt', 'of later');
  // Listed by a later role too, as another file: the first role to list it speaks for it.
  const other = { length: 5, hashes: { sha256: digest('sha256', utf8('other')) } };
  world.role('first').targets.set('top.txt', other);
  world.role('second').targets.set('shared/first.txt', other);
  for (const path of ['ended/by-last.txt', 'below/b/ended-below.txt']) world.addTarget('later', path, 'of later');
  const read = ['top.txt', 'shared/first.txt', 'shared/second.txt', 'shared/later.txt', 'below/a/file.txt'];
  return opened(world, read, ['ended/by-last.txt', 'below/b/ended-below.txt', 'shared/absent.txt']);
}

function deep(consistentSnapshot: boolean): OpenLayout {
  const world = new World({ consistentSnapshot });
  let role = 'targets';
  for (let depth = 1; depth <= 20; depth++) {
    world.delegate(role, `level-${depth}`, { paths: ['deep/*'] });
    role = `level-${depth}`;
  }
  world.addTarget(role, 'deep/file.txt', 'at the bottom');
  return opened(world, ['deep/file.txt'], ['deep/absent.txt']);
}

function patterns(consistentSnapshot: boolean): OpenLayout {
  const world = new World({ consistentSnapshot });
  world.delegate('targets', 'author', { paths: ['one/*', 'v?.txt', 'a*b*c/*.tgz'] });
  const read = ['one/file.txt', 'v1.txt', 'aXbYc/pkg.tgz', 'abc/x.tgz'];
  for (const path of read) world.addTarget('author', path, `content of ${path}`);
  return opened(world, read, ['one/absent.txt']);
}

function slashes(consistentSnapshot: boolean): OpenLayout {
  const world = new World({ consistentSnapshot });
  world.delegate('targets', 'author', { paths: ['one/*', 'v?.txt', 'a*b*c/*.tgz'] });
  const refused = ['one/two/file.txt', 'v/.txt', 'aX/bYc/pkg.tgz'];
  for (const path of ['one/file.txt', ...refused]) world.addTarget('author', path, `content of ${path}`);
  return opened(world, ['one/file.txt'], refused);
}

function outside(consistentSnapshot: boolean): OpenLayout {
  const world = new World({ consistentSnapshot });
  world.delegate('targets', 'author', { paths: ['one/*', 'v?.txt'] });
  const refused = ['two/file.txt', 'v12.txt', 'One/file.txt', 'one'];
  for (const path of ['one/file.txt', ...refused]) world.addTarget('author', path, `content of ${path}`);
  return opened(world, ['one/file.txt'], refused);
}

function leadingDot(consistentSnapshot: boolean): OpenLayout {
  const world = new World({ consistentSnapshot });
  world.delegate('targets', 'author', { paths: ['dots/*'] });
  world.addTarget('author', 'dots/.npmignore', 'hidden');
  return opened(world, ['dots/.npmignore'], []);
}

function named(consistentSnapshot: boolean, names: readonly string[]): OpenLayout {
  const world = new World({ consistentSnapshot });
  const paths = names.map((name, i) => {
    world.delegate('targets', name, { paths: [`of-${i}/*`] });
    world.addTarget(name, `of-${i}/file.txt`, `listed by ${name}`);
    return `of-${i}/file.txt`;
  });
  return opened(world, paths, []);
}

function hashed(consistentSnapshot: boolean, algorithm: 'sha256' | 'sha512'): OpenLayout {
  const world = new World({ consistentSnapshot });
  const path = 'folder/file.txt';
  world.addTarget('targets', path, 'hashed once');
  const kept = digest(algorithm, world.content(path));
  world.targets.targets.set(path, { length: world.content(path).length, hashes: { [algorithm]: kept } });
  for (const url of world.targetUrls(path)) if (consistentSnapshot && !url.includes(kept)) world.files.delete(url);
  return opened(world, [path], []);
}

function schemes(consistentSnapshot: boolean): OpenLayout {
  const world = new World({ consistentSnapshot });
  const [ed, ec, rsa] = [world.key('ed'), world.key('ec', 'ecdsa-p256'), world.key('rsa', 'rsa-pss')];
  world.authorise('timestamp', [ec]);
  world.authorise('snapshot', [rsa, ed], 2);
  world.authorise('targets', [ed, ec, rsa], 3);
  world.delegate('targets', 'author', { keys: [ec, rsa, ed], threshold: 2 });
  world.addTarget('author', 'file.txt', 'signed in three ways');
  return opened(world, ['file.txt'], []);
}

function rootChain(consistentSnapshot: boolean): OpenLayout {
  const world = new World({ consistentSnapshot });
  world.addTarget('targets', 'file.txt', 'of the first root');
  prolong(world);
  world.publish();
  for (const generation of ['second', 'third']) {
    const quorum = ['a', 'b', 'c'].map((name) => world.key(`${generation} root ${name}`));
    world.authorise('root', quorum, 2);
    for (const role of ['timestamp', 'snapshot', 'targets'] as const) {
      world.authorise(role, [world.key(`${generation} ${role}`)]);
    }
    world.addTarget('targets', 'file.txt', `of the ${generation} root`);
    world.publish();
  }
  return opened(world, ['file.txt'], []);
}

function versionsAlone(consistentSnapshot: boolean): OpenLayout {
  const world = new World({ consistentSnapshot });
  world.timestamp.listing = 'version';
  world.targets.listing = 'version';
  world.delegate('targets', 'author', { listing: 'version' });
  world.addTarget('author', 'file.txt', 'listed by version');
  return opened(world, ['file.txt'], []);
}

function unknownMembers(consistentSnapshot: boolean): OpenLayout {
  const world = new World({ consistentSnapshot });
  const custom: JsonLiteral = { text: 'é\n"\\\u007f\u{1f600}', list: [1, -7, null, true, [], {}], '': '' };
  world.delegate('targets', 'author');
  world.addTarget('author', 'file.txt', 'with a note', custom);
  for (const draft of draftsOf(world)) draft.members.set('x-note', custom).set('ünbekannt', 9_007_199_254_740_991);
  return opened(world, ['file.txt'], []);
}

function opened(world: World, read: readonly string[], refused: readonly string[]): OpenLayout {
  prolong(world);
  world.publish();
  const probes = read.map((path) => ({ path, want: world.content(path) }));
  return { world, probes: [...probes, ...refused.map((path) => ({ path, want: 'refused' as const }))] };
}

function prolong(world: World): void {
  for (const draft of draftsOf(world)) draft.expires = FAR;
}

function draftsOf(world: World): readonly (World['root'] | World['timestamp'] | World['snapshot'] | TargetsDraft)[] {
  return [world.root, world.timestamp, world.snapshot, world.targets, ...world.roles.values()];
}

function binDigit(project: Project): string {
  return projectDirectory(project, sha256).split('/')[1]?.slice(0, 1) ?? '';
}

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}

function digest(algorithm: 'sha256' | 'sha512', bytes: Uint8Array): string {
  return createHash(algorithm).update(bytes).digest('hex');
}

const FAR = Date.UTC(2100, 0, 1);
const BINNED = ['npm/a.tgz', 'files/b', 'c.txt', 'npm/9e8f/ms/ms-2.1.3.tgz', 'x/y/z', '0', 'wheel.whl', 'k1'];
const REGISTRY_NAMES = [
  'npm.1..40types.2fnode',
  'npm.12.r.2ejs',
  'npm.1.ms.r.ci',
  'claimed-3f',
  'files.1..c3.a9t.c3.a9',
];
const OTHER_NAMES = ['1.root', 'a b', 'dir/role', 'ünï', '100%', 'q?x#y', '..', 'root.json', 'a+b', '%2e', "o'(!*~)"];
