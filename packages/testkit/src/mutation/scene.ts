// A repository that follows from a seed: keys, thresholds, delegations,
// targets, and a history of publications with rotations in it. A victim has
// followed the second one; what comes next is what mutants are made of. The
// ledger knows what the world's keys have signed, and what each publication
// says of each path. Honest throughout: cheating is mutants.ts's business.

import { createHash } from 'node:crypto';
import type { TopLevelRole } from '@countersign/core';
import { MemoryFiles } from '../memory-files.ts';
import { naiveSearch } from '../reference.ts';
import type { Served } from '../served.ts';
import { World } from '../world.ts';
import { type Draw, drawFrom } from './draw.ts';
import { signedText } from './ledger.ts';
import { type Requirement, signaturesIn } from './rules.ts';
import { type Victim, visit } from './victim.ts';

/** What a publication says of a path. */
export interface Expected {
  readonly lister: string;
  readonly sha256: string;
}

/** The signatures that were made over something, and whose there must be. */
export interface Signed {
  readonly made: ReadonlySet<string>;
  readonly required: readonly Requirement[];
}

/** A repository with its history, and a victim who comes back. */
export interface Scene {
  readonly world: World;
  /** What the repository serves now. */
  readonly served: ReadonlyMap<string, Served>;
  /** What it served before, oldest first. */
  readonly earlier: readonly ReadonlyMap<string, Served>[];
  /** What the victim kept of the second publication. */
  readonly kept: ReadonlyMap<string, Uint8Array>;
  /** What the victim will ask for: old and new files, and one that there is not. */
  readonly paths: readonly string[];
  /** What an honest visit asks for, in order, as far as it is there. */
  readonly asked: readonly string[];
  /** Whether a root since then has taken timestamp or snapshot keys away (§5.3.11). */
  readonly rotated: boolean;
  /** What the world's keys have signed, by role and by what is signed. */
  readonly signed: ReadonlyMap<string, ReadonlyMap<string, Signed>>;
  /** Whose signatures each role must bear now. */
  readonly required: ReadonlyMap<string, readonly Requirement[]>;
  /** What each publication says, by the version of its snapshot, then by path. */
  readonly says: ReadonlyMap<number, ReadonlyMap<string, Expected | undefined>>;
}

/**
 * The scene of a seed.
 *
 * @param follow how the victim has followed the second publication
 */
export async function sceneOf(seed: number, follow: Victim): Promise<Scene> {
  const draw = drawFrom(seed);
  const world = new World({ seed: `mutation ${draw.int(WORLDS)}`, consistentSnapshot: draw.chance(75) });
  const signed = new Map<string, Map<string, Signed>>();
  let required = new Map<string, readonly Requirement[]>();
  const says = new Map<number, ReadonlyMap<string, Expected | undefined>>();
  const earlier: ReadonlyMap<string, Served>[] = [];
  const publish = (): void => {
    const rootBefore = required.get('root') ?? [];
    world.publish();
    required = new Map(rolesOf(world).map((role) => [role, [requirementOf(world, role)]]));
    for (const role of rolesOf(world)) {
      const file = world.bytes(role);
      const own = required.get(role) ?? [];
      const texts = signed.get(role) ?? new Map<string, Signed>();
      signed.set(role, texts);
      const text = signedText(file) ?? '';
      // A root is signed by its predecessor's keys, too.
      const entry = { made: new Set(signaturesIn(file)), required: role === 'root' ? [...rootBefore, ...own] : own };
      if (!texts.has(text)) texts.set(text, entry);
    }
    says.set(
      world.snapshot.version,
      new Map([ALWAYS, ...PATHS, ABSENT].map((path) => [path, expectedOf(world, path)])),
    );
  };
  settle(world, draw);
  publish();
  earlier.push(world.capture());
  // The victim has missed the first publication: there is something to be rolled back to.
  evolve(world, draw, 0);
  publish();
  earlier.push(world.capture());
  const files = new MemoryFiles();
  await follow({ world, files, paths: [draw.pick(listed(world)), ABSENT] });
  const first = listed(world);
  const rounds = 1 + draw.int(2);
  let rotated = false;
  for (let round = 1; round <= rounds; round++) {
    if (round > 1) earlier.push(world.capture());
    rotated = evolve(world, draw, round) || rotated;
    publish();
  }
  const paths = [...new Set([draw.pick(first), draw.pick(listed(world)), ABSENT])];
  world.takeRequests();
  const served = world.capture();
  await visit(follow, { world, files: files.files, paths });
  const asked = [...new Set(world.takeRequests())].filter((url) => served.has(url));
  return { world, served, earlier, kept: files.files, paths, asked, rotated, signed, required, says };
}

function rolesOf(world: World): readonly string[] {
  return ['root', 'timestamp', 'snapshot', 'targets', ...world.roles.keys()];
}

/** Whose signatures a role must bear, by the drafts. */
function requirementOf(world: World, role: string): Requirement {
  const delegations = ['targets', ...world.roles.keys()].flatMap((name) => world.role(name).delegations);
  const holder =
    [...world.root.roles].find(([name]) => name === role)?.[1] ?? delegations.find(({ name }) => name === role);
  return { keyIds: holder?.keys.map((key) => key.keyId) ?? [], threshold: holder?.threshold ?? 1 };
}

/** Keys, delegations and targets of the first publication. */
function settle(world: World, draw: Draw): void {
  for (const role of ['root', 'timestamp', 'snapshot', 'targets'] as const) rekey(world, draw, role, 'first');
  world.timestamp.listing = draw.pick(LISTINGS);
  world.targets.listing = draw.pick(LISTINGS);
  const roles = ROLE_NAMES.slice(0, draw.int(ROLE_NAMES.length + 1));
  for (const [index, name] of roles.entries()) {
    const parent = draw.pick(['targets', 'targets', ...roles.slice(0, index)]);
    const keys = [world.key(name), world.key(`${name} two`)].slice(0, 1 + draw.int(2));
    const scope = draw.chance(25)
      ? { prefixes: [draw.pick(HEX), draw.pick(HEX), draw.pick(HEX)] }
      : { paths: [draw.pick(PATTERNS), draw.pick(PATTERNS)] };
    const how = { keys, threshold: 1 + draw.int(keys.length), terminating: draw.chance(30) };
    world.delegate(parent, name, { ...how, ...scope, listing: draw.pick(LISTINGS) });
  }
  for (const path of PATHS.slice(0, 4)) {
    for (const role of ['targets', ...roles]) if (draw.chance(40)) addFile(world, role, path, role);
  }
  world.addTarget('targets', ALWAYS, 'what is there from the beginning');
}

/** The next publication; tells whether floors are withdrawn. */
function evolve(world: World, draw: Draw, round: number): boolean {
  let rotated = false;
  for (const role of ['root', 'timestamp', 'snapshot', 'targets'] as const) {
    if (!draw.chance(20)) continue;
    rekey(world, draw, role, `round ${round}`);
    rotated ||= role === 'timestamp' || role === 'snapshot';
  }
  const roles = ['targets', ...world.roles.keys()];
  for (const role of roles) {
    if (draw.chance(60)) addFile(world, role, draw.pick(PATHS), `${role} in round ${round}`);
    if (draw.chance(20)) world.role(role).expires += 86_400_000;
  }
  world.addTarget('targets', ALWAYS, `what is there in round ${round}`);
  return rotated;
}

/** Without consistent snapshots a path has one content, whoever lists it, as there is one name for it. */
function addFile(world: World, role: string, path: string, content: string): void {
  world.addTarget(role, path, world.root.consistentSnapshot ? `${path}, ${content}` : path);
}

/** Gives a top-level role up to three keys, some or all of which must sign. */
function rekey(world: World, draw: Draw, role: TopLevelRole, when: string): void {
  const count = 1 + draw.int(3);
  const keys = Array.from({ length: count }, (_, i) => world.key(`${role} ${when} ${i}`));
  world.authorise(role, keys, 1 + draw.int(count));
}

function listed(world: World): readonly string[] {
  return [ALWAYS, ...PATHS].filter((path) => expectedOf(world, path) !== undefined);
}

function expectedOf(world: World, path: string): Expected | undefined {
  const { lister } = naiveSearch(world, path);
  const target = lister === undefined ? undefined : world.role(lister).targets.get(path);
  const sha256 = target?.hashes['sha256'];
  return lister === undefined || sha256 === undefined ? undefined : { lister, sha256 };
}

/** The SHA-256 of bytes, apart from what is tested. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

// Few sets of keys, so that making a world costs no new keys.
const WORLDS = 16;
const ROLE_NAMES = ['alpha', 'beta', 'gamma', 'constructor', '10'];
const PATHS = ['docs/a.txt', 'docs/b.txt', 'tools/hammer.tgz', 'readme', 'docs/deep/c.txt', '__proto__'];
const ABSENT = 'tools/nowhere';
// A path that is listed by the top-level role, with another content every time.
const ALWAYS = 'always';
const PATTERNS = ['docs/*', 'tools/*', '*/*', '*', 'docs/?.txt', 'docs/deep/*', '*/deep/c.txt'];
const LISTINGS = ['full', 'length', 'version'] as const;
const HEX = '0123456789abcdef'.split('');
