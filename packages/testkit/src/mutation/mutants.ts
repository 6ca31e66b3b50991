// The kinds of mutants. Each kind takes a scene and draws one way of its own in
// which an attacker, a mirror or a thief of one role's keys could change what
// is served. `harmless` ones change nothing that matters and must be accepted.

import { type JsonObject, objectOf, readDocument, utf8, utf8Text } from '@countersign/core';
import { member } from '../attacks/moves.ts';
import { type Tamper, withMember } from '../drafts.ts';
import { aliasOf, type WorldKey } from '../keys.ts';
import type { Served } from '../served.ts';
import { World } from '../world.ts';
import type { Draw } from './draw.ts';
import {
  copyOf,
  doubleMember,
  editBytes,
  editTree,
  respell,
  respellNumber,
  spoilText,
  textOf,
  treeOf,
} from './edits.ts';
import { type Scene, sha256Of } from './scene.ts';

/** What is served instead. */
export interface Mutation {
  /** By URL; `undefined` for what is not there any more. */
  readonly files: ReadonlyMap<string, Served | undefined>;
  /** Files that stolen keys have really signed, by role. */
  readonly stolen?: readonly { readonly role: string; readonly bytes: Uint8Array }[];
  /** Nothing that matters has changed. */
  readonly harmless?: boolean;
}

/** A way to change a scene; `undefined` when this scene has nothing for it. */
export type Kind = (scene: Scene, draw: Draw) => Mutation | undefined;

/** Every kind of mutant by its name. */
export const KINDS: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  // What any mirror can do to bytes.
  ['bytes', (scene, draw) => change(scene, draw, (bytes) => editBytes(bytes, draw))],
  ['truncated', (scene, draw) => change(scene, draw, (bytes) => bytes.subarray(0, draw.int(bytes.length)))],
  ['swapped', (scene, draw) => serve(draw.pick(scene.asked), anyFile(scene, draw))],
  ['replayed', replayed],
  ['replayed-mixture', mixture],
  ['withheld', (scene, draw) => serve(draw.pick(scene.asked), undefined)],
  ['status', (scene, draw) => serve(draw.pick(scene.asked), { fault: 'status', status: draw.pick(STATUSES) })],
  ['silence', (scene, draw) => serve(draw.pick(scene.asked), { fault: 'unreachable' })],
  ['endless', (scene, draw) => fault(scene, draw, (start) => ({ fault: 'endless', start }))],
  ['cut', (scene, draw) => fault(scene, draw, (bytes) => ({ fault: 'cut', bytes, after: draw.int(bytes.length) }))],
  ['cut-once', cutOnce],
  // What any mirror can do to JSON, with the signatures left as they are.
  ['tree', (scene, draw) => change(scene, draw, (file) => utf8(textOf(editTree(treeOf(file), draw))), METADATA)],
  ['duplicate-key', (scene, draw) => change(scene, draw, (file) => doubleMember(file, draw), METADATA)],
  ['number', (scene, draw) => change(scene, draw, (file) => utf8(respellNumber(textIn(file), draw)), METADATA)],
  ['text', (scene, draw) => change(scene, draw, (file) => spoilText(file, draw), METADATA)],
  ['order-of-keys', (scene, draw) => harmless(scene, draw, (file) => respell(file, draw))],
  ['signatures', (scene, draw) => change(scene, draw, (file) => spoilSignatures(file, draw), METADATA)],
  ['extra-signatures', (scene, draw) => harmless(scene, draw, (file) => addSignatures(file, draw))],
  // What keys can do that may not: signed, but not by those who must.
  ['re-signed-by-another-role', (scene, draw) => resigned(scene, draw, (own, foreign) => foreign.slice(0, own.length))],
  ['re-signed-by-too-few', (scene, draw) => resigned(scene, draw, (own) => tooFew(own))],
  ['re-signed-under-right-ids', (scene, draw) => resigned(scene, draw, (own, foreign) => disguised(own, foreign))],
  ['another-repository', anotherRepository],
  // What the thief of one role's keys can do, well signed and announced.
  ['stolen-tree', (scene, draw) => stolen(scene, draw, { signed: (tree) => edited(tree, draw) })],
  ['stolen-text', (scene, draw) => stolen(scene, draw, { text: (text) => textIn(spoilText(utf8(text), draw)) })],
  ['stolen-number', (scene, draw) => stolen(scene, draw, { text: (text) => respellNumber(text, draw) })],
  ['stolen-versions', (scene, draw) => stolenMember(scene, draw, versionsIn, VERSIONS)],
  ['stolen-lengths', (scene, draw) => stolenMember(scene, draw, (tree) => namedIn(tree, 'length'), LENGTHS)],
  ['stolen-hashes', (scene, draw) => stolenMember(scene, draw, (tree) => namedIn(tree, 'hashes'), HASHES)],
  ['stolen-thresholds', (scene, draw) => stolenMember(scene, draw, (tree) => namedIn(tree, 'threshold'), THRESHOLDS)],
  ['stolen-expiry', (scene, draw) => stolenMember(scene, draw, () => [['expires']], EXPIRES)],
  ['stolen-types', (scene, draw) => stolenMember(scene, draw, () => [['_type'], ['spec_version']], TYPES)],
  [
    'stolen-delegations',
    (scene, draw) => stolen(scene, draw, member(['delegations'], delegations(scene, draw)), TARGETS),
  ],
  ['stolen-names', oddNames],
  ['stolen-files', stolenFiles],
  ['combined', combined],
]);

/** Which kinds a combination is made of. */
const SIMPLE = [
  'bytes',
  'truncated',
  'swapped',
  'replayed',
  'withheld',
  'tree',
  'signatures',
  'number',
  'status',
  'cut',
];

function combined(scene: Scene, draw: Draw): Mutation | undefined {
  const parts = Array.from({ length: 2 + draw.int(3) }, () => KINDS.get(draw.pick(SIMPLE))?.(scene, draw));
  const main = draw.chance(50)
    ? KINDS.get(draw.pick(['stolen-tree', 'stolen-versions', 'replayed-mixture']))?.(scene, draw)
    : undefined;
  const files = [main, ...parts].flatMap((part) => [...(part?.files ?? [])]);
  return { files: new Map(files), stolen: main?.stolen ?? [] };
}

function serve(url: string, served: Served | undefined): Mutation {
  return { files: new Map([[url, served]]) };
}

/** Changes the bytes of a file that the victim asks for. */
function change(
  scene: Scene,
  draw: Draw,
  how: (bytes: Uint8Array) => Uint8Array,
  only: (url: string) => boolean = () => true,
): Mutation | undefined {
  const files = scene.asked.filter(only);
  if (files.length === 0) return undefined;
  const url = draw.pick(files);
  return serve(url, how(bytesAt(scene.served, url)));
}

/** Changes a file whose bytes nothing announces. */
function harmless(scene: Scene, draw: Draw, how: (bytes: Uint8Array) => Uint8Array): Mutation | undefined {
  const mutation = change(scene, draw, how, (url) => /(?:timestamp|root)\.json$/.test(url));
  return mutation && { ...mutation, harmless: true };
}

function fault(scene: Scene, draw: Draw, how: (bytes: Uint8Array) => Served): Mutation {
  const url = draw.pick(scene.asked);
  return serve(url, how(bytesAt(scene.served, url)));
}

/** The connection dies once; the transfer is begun, or continued, again. */
function cutOnce(scene: Scene, draw: Draw): Mutation {
  const url = draw.pick(scene.asked);
  const bytes = bytesAt(scene.served, url);
  return { ...serve(url, { fault: 'cut', bytes, after: draw.int(bytes.length), times: 1 }), harmless: true };
}

/** An older file where a newer one belongs: another version of it, or the same URL of another day. */
function replayed(scene: Scene, draw: Draw): Mutation {
  const url = draw.pick(scene.asked);
  const old = draw.pick(scene.earlier);
  const name = url.replace(/^(?:(.*\/))?\d+\.(?=\w+\.json$)/, '$1');
  const like = [...old.keys()].filter((other) => other === url || other.replace(/\/\d+\./, '/') === name);
  return serve(url, old.get(like.length === 0 ? url : draw.pick(like)));
}

/** Each file as it was on a day of its own. */
function mixture(scene: Scene, draw: Draw): Mutation {
  const days = [...scene.earlier, scene.served];
  return { files: new Map([...scene.served.keys()].map((url) => [url, draw.pick(days).get(url)])) };
}

function anyFile(scene: Scene, draw: Draw): Served | undefined {
  return draw.pick([...scene.served.values()]);
}

/** Takes signatures out, doubles, mixes up and spoils them. */
function spoilSignatures(file: Uint8Array, draw: Draw): Uint8Array {
  const text = textIn(file);
  const list: { keyid: string; sig: string }[] = JSON.parse(text).signatures;
  const one = draw.int(list.length);
  const other = draw.int(list.length);
  const changed = list.flatMap((item, i): readonly unknown[] => {
    if (i !== one) return [item];
    return draw.pick<() => readonly unknown[]>([
      () => [],
      () => [item, item],
      () => [item, { ...item, sig: '00' }],
      () => [{ ...item, sig: '' }],
      () => [{ ...item, sig: item.sig.slice(0, -2) }],
      () => [{ ...item, sig: `${item.sig}00` }],
      () => [{ ...item, sig: item.sig.replace(/./, (digit) => (digit === '0' ? '1' : '0')) }],
      () => [{ ...item, sig: list[other === i ? (i + 1) % list.length : other]?.sig.split('').reverse().join('') }],
      () => [{ ...item, keyid: item.keyid.toUpperCase().replace(/^/, ' ') }],
      () => [{ sig: item.sig }],
      () => [null],
      () => [{ keyid: item.keyid, sig: 7 }],
    ])();
  });
  return utf8(text.replace(/"signatures":\[.*?\](?=,"signed")/s, () => `"signatures":${JSON.stringify(changed)}`));
}

/** Signatures of strangers, and members that nobody knows, beside the good ones. */
function addSignatures(file: Uint8Array, draw: Draw): Uint8Array {
  const more = JSON.stringify({
    keyid: `stranger ${draw.int(1000)}`,
    sig: draw.pick(['', '00', 'zz', 'ab'.repeat(64)]),
  });
  const put = (text: string): string =>
    draw.chance(50)
      ? text.replace('"signatures":[', `"signatures":[${more},`)
      : text.replace(/^\{/, `{"x-${draw.int(9)}":[],`);
  return utf8(put(textIn(file)));
}

/** The next version of a role with something else in it, signed by keys that may not, or too few. */
function resigned(
  scene: Scene,
  draw: Draw,
  signersOf: (own: readonly WorldKey[], foreign: readonly WorldKey[]) => readonly WorldKey[],
): Mutation | undefined {
  const role = draw.pick(rolesOf(scene));
  const own = scene.world.signersOf(role);
  const ids = new Set(own.map((key) => key.keyId));
  const others = rolesOf(scene).flatMap((other) => scene.world.signersOf(other));
  const foreign = [...others, scene.world.key('a stranger')].filter((key) => !ids.has(key.keyId));
  const signers = signersOf(authorisedFor(scene, role), foreign);
  const tamper: Tamper = { signed: (tree) => edited(tree, draw) };
  const { files, bytes } = announced(scene, draw, role, { tamper, signers });
  return {
    files,
    stolen: bytes.filter(([name]) => name !== role).map(([name, file]) => ({ role: name, bytes: file })),
  };
}

/** One key fewer than the threshold, the last of them twice under another id. */
function tooFew(own: readonly WorldKey[]): readonly WorldKey[] {
  const few = own.slice(0, -1);
  const [first] = few;
  return first === undefined ? [] : [...few, aliasOf(first, 'another id')];
}

/** Strangers who put the right key ids under their signatures. */
function disguised(own: readonly WorldKey[], foreign: readonly WorldKey[]): readonly WorldKey[] {
  return own.flatMap((key, i) => {
    const stranger = foreign[i % foreign.length];
    return stranger === undefined ? [] : [aliasOf(stranger, key.keyId)];
  });
}

/** As many of the keys of a role as must sign. */
function authorisedFor({ world }: Scene, role: string): readonly WorldKey[] {
  const keys = world.signersOf(role);
  if (role === 'root' || role === 'timestamp' || role === 'snapshot' || role === 'targets') {
    return keys.slice(0, world.root.roles.get(role)?.threshold ?? 1);
  }
  const delegators = ['targets', ...world.roles.keys()].flatMap((name) => world.role(name).delegations);
  return keys.slice(0, delegators.find(({ name }) => name === role)?.threshold ?? 1);
}

/** The attacker's own repository, in part or whole, in place of the real one. */
function anotherRepository(scene: Scene, draw: Draw): Mutation {
  const other = new World({ seed: 'another', consistentSnapshot: scene.world.root.consistentSnapshot });
  for (const role of ['root', 'timestamp', 'snapshot', 'targets'] as const) {
    other[role].version = scene.world[role].version + draw.int(2);
  }
  for (const path of scene.paths) other.addTarget('targets', path, 'another content');
  other.publish();
  const whole = draw.chance(50);
  const files = [...other.files].filter(() => whole || draw.chance(60));
  return { files: new Map(files) };
}

/** A role's next version, tampered with, signed by its own keys, and announced as the repository would. */
function stolen(scene: Scene, draw: Draw, tamper: Tamper, only?: (role: string) => boolean): Mutation | undefined {
  const roles = rolesOf(scene).filter(only ?? ((role) => role !== 'root'));
  if (roles.length === 0) return undefined;
  const role = draw.pick(roles);
  const { files, bytes } = announced(scene, draw, role, { tamper });
  return { files, stolen: bytes.map(([name, file]) => ({ role: name, bytes: file })) };
}

/** Sets one of the members that a role has to one of the values. */
function stolenMember(
  scene: Scene,
  draw: Draw,
  places: (signed: JsonObject) => readonly (readonly [string, ...(string | number)[]])[],
  values: readonly unknown[],
): Mutation | undefined {
  const roles = rolesOf(scene).filter((role) => role !== 'root' && places(signedIn(scene, role)).length > 0);
  if (roles.length === 0) return undefined;
  const role = draw.pick(roles);
  const path = draw.pick(places(signedIn(scene, role)));
  const value = draw.pick(values);
  const tamper: Tamper = { signed: (tree) => withMember(tree, path, value as never) };
  return stolen(scene, draw, tamper, (name) => name === role);
}

/** Other bytes for a file that the stolen role lists, and their hashes. */
function stolenFiles(scene: Scene, draw: Draw): Mutation | undefined {
  const path = draw.pick(scene.paths);
  const bytes = utf8(draw.pick(['evil', '', 'x'.repeat(3000)]));
  const length = bytes.length + draw.pick([0, 0, 0, 1, -1]);
  const target = { length, hashes: { sha256: draw.chance(80) ? sha256Of(bytes) : '0'.repeat(64) } };
  const mutation = stolen(scene, draw, member(['targets', path], target), TARGETS);
  if (mutation === undefined) return undefined;
  const prefix = scene.world.root.consistentSnapshot ? `${target.hashes.sha256}.` : '';
  const url = `targets/${path.replace(/[^/]*$/, (name) => prefix + name)}`;
  return { ...mutation, files: new Map([...mutation.files, [url, bytes]]) };
}

/** Seals a role and everything that must announce it. */
function announced(
  scene: Scene,
  draw: Draw,
  role: string,
  how: { readonly tamper: Tamper; readonly signers?: readonly WorldKey[] },
): { files: Map<string, Served>; bytes: [role: string, file: Uint8Array][] } {
  const { world } = scene;
  const next = (name: string): number => draftVersion(world, name) + 1;
  const file = world.seal(role, { version: next(role), ...how });
  const bytes: [string, Uint8Array][] = [[role, file]];
  const files = new Map<string, Served>([[world.urlOf(role, next(role)), file]]);
  const announce = (by: 'snapshot' | 'timestamp', what: string, listedFile: Uint8Array): Uint8Array => {
    const meta = {
      version: next(what),
      ...(draw.chance(60) && { length: listedFile.length }),
      ...(draw.chance(60) && { hashes: { sha256: sha256Of(listedFile) } }),
    };
    const sealed = world.seal(by, { version: next(by), tamper: member(['meta', `${what}.json`], meta) });
    files.set(world.urlOf(by, next(by)), sealed);
    bytes.push([by, sealed]);
    return sealed;
  };
  if (role === 'root' || role === 'timestamp') return { files, bytes };
  announce('timestamp', 'snapshot', role === 'snapshot' ? file : announce('snapshot', role, file));
  return { files, bytes };
}

/** Delegations as no honest role would have them. */
function delegations(scene: Scene, draw: Draw): JsonObject {
  const { world } = scene;
  const keys = rolesOf(scene)
    .filter(TARGETS)
    .flatMap((role) => world.signersOf(role));
  const described = new Map([...keys, world.key('a stranger')].map((key) => [key.keyId, key.key.json]));
  const names = [...world.roles.keys(), 'targets', 'root', '', '..', '/', '#', '__proto__', 'new', 'x'.repeat(300)];
  const role = (): JsonObject =>
    objectOf({
      name: draw.pick(names),
      keyids: draw.chance(80) ? [draw.pick([...described.keys()])] : [],
      threshold: draw.pick([1, 1, 1, 2, 0, 1000]),
      terminating: draw.chance(50),
      ...(draw.chance(80) && { paths: [draw.pick(['*', '*/*', '**', '*a*b*c*d', '/', '']), draw.pick(scene.paths)] }),
      ...(draw.chance(25) && { path_hash_prefixes: [draw.pick(['', '0', 'zz', '0'.repeat(65)])] }),
    });
  const roles = Array.from({ length: draw.pick([0, 1, 2, 5, 40]) }, role);
  const keyIds = [draw.pick([...described.keys()])];
  const succinct = {
    bit_length: draw.pick([0, 1, 8, 32, 33]),
    name_prefix: draw.pick(names),
    keyids: keyIds,
    threshold: 1,
  };
  return objectOf({
    keys: draw.chance(90) ? described : {},
    ...(draw.chance(80) && { roles }),
    ...(draw.chance(20) && { succinct_roles: succinct }),
  });
}

/** Names that mean something elsewhere are nobody's business here, and change nothing. */
function oddNames(scene: Scene, draw: Draw): Mutation | undefined {
  const mutation = stolen(scene, draw, odd(draw), TARGETS);
  return mutation && { ...mutation, harmless: true };
}

/** A target or a role member under a name that means something elsewhere. */
function odd(draw: Draw): Tamper {
  const name = draw.pick(['', '/', '../../etc/passwd', 'a//b', 'a\\b', '\u0000', '.', 'constructor', 'x'.repeat(2000)]);
  const target = { length: 1, hashes: { sha256: '0'.repeat(64) } };
  // A target called `__proto__` is one of those that are asked for.
  return draw.chance(50) ? member(['targets', name], target) : member([draw.pick([name, '__proto__'])], { x: 1 });
}

function edited(tree: JsonObject, draw: Draw): JsonObject {
  const changed = textOf(editTree(copyOf(tree), draw));
  try {
    return readDocument(utf8(changed)).root;
  } catch {
    return withMember(tree, ['x-edited'], draw.int(1000)); // what no tree can say is the business of `stolen-text`
  }
}

function rolesOf({ world }: Scene): readonly string[] {
  return ['root', 'timestamp', 'snapshot', 'targets', ...world.roles.keys()];
}

function draftVersion(world: World, role: string): number {
  return role === 'root' || role === 'timestamp' || role === 'snapshot'
    ? world[role].version
    : world.role(role).version;
}

function signedIn({ world }: Scene, role: string): JsonObject {
  const signed = readDocument(world.bytes(role)).root.get('signed');
  return signed instanceof Map ? signed : new Map();
}

type Path = readonly [string, ...(string | number)[]];

/** Where versions stand: the file's own, and those that it lists. */
function versionsIn(signed: JsonObject): readonly Path[] {
  return namedIn(signed, 'version');
}

/** Where members of a name stand, at any depth. */
function namedIn(signed: JsonObject, name: string): readonly Path[] {
  const found: Path[] = [];
  const walk = (node: unknown, path: readonly (string | number)[]): void => {
    if (node instanceof Map) {
      for (const [key, value] of node) {
        const [first = key, ...rest] = [...path, key];
        if (key === name) found.push([String(first), ...rest]);
        walk(value, [...path, String(key)]);
      }
    } else if (Array.isArray(node)) {
      for (const [index, value] of node.entries()) walk(value, [...path, index]);
    }
  };
  walk(signed, []);
  return found;
}

function bytesAt(files: ReadonlyMap<string, Served>, url: string): Uint8Array {
  const served = files.get(url);
  return served instanceof Uint8Array ? served : new Uint8Array();
}

function textIn(file: Uint8Array): string {
  return utf8Text(file) ?? '{}';
}

const METADATA = (url: string): boolean => url.startsWith('metadata/');
const TARGETS = (role: string): boolean => role !== 'root' && role !== 'timestamp' && role !== 'snapshot';
const STATUSES = [100, 201, 204, 206, 301, 304, 400, 401, 403, 404, 405, 410, 416, 429, 500, 502, 503, 999];
const VERSIONS = [0, -1, 1, 2, 3, 1000, Number.MAX_SAFE_INTEGER, '2', null, [1]];
const LENGTHS = [0, 1, -1, 100, 1_000_000, Number.MAX_SAFE_INTEGER, '1', null];
const HASHES = [
  {},
  { md5: '00' },
  { sha256: '00' },
  { sha256: '0'.repeat(64) },
  { sha512: 'f'.repeat(128) },
  { sha256: 1 },
  null,
  [],
];
const THRESHOLDS = [0, -1, 2, 1000, Number.MAX_SAFE_INTEGER, '1', null];
const EXPIRES = [
  '2029-12-31T23:59:59Z',
  '2030-01-01T00:00:00Z',
  '9999-12-31T23:59:59Z',
  '2030-13-01T00:00:00Z',
  '',
  null,
  0,
];
const TYPES = ['root', 'timestamp', 'snapshot', 'targets', 'mirrors', '', '1.0.0', '2.0.0', null, 1];
