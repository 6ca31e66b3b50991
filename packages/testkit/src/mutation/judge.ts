// What a visit may have come to. The judge knows what the world's keys have
// signed and what each publication says, reads files by itself (ledger.ts), and
// names everything that must not be: an error without a code, a visit without
// an end, a forgery believed, trust that went back, a destination touched by
// what failed, and an honest repository refused.

import { cacheNameOf, isTufError, rowOf } from '@countersign/core';
import { signedText, versionIn } from './ledger.ts';
import type { Mutation } from './mutants.ts';
import { agrees, flawsIn, isSigned, plainOf, recordOf, signaturesIn } from './rules.ts';
import { type Scene, sha256Of } from './scene.ts';
import { type Fetched, type Report, Runaway } from './victim.ts';

/** What must not be. */
export type Violation =
  | 'untyped error'
  | 'runaway'
  | 'accepted forgery'
  | 'accepted malformed file'
  | 'trust moved backwards'
  | 'partial file'
  | 'honest repository refused';

/** A violation with its facts. */
export interface Finding {
  readonly violation: Violation;
  readonly what: string;
}

/** A visit as the judge sees it. */
export interface Case {
  readonly scene: Scene;
  readonly mutation: Mutation;
  readonly report: Report;
  readonly before: ReadonlyMap<string, Uint8Array>;
  readonly after: ReadonlyMap<string, Uint8Array>;
}

/** Everything that must not be. */
export function judge(visited: Case): readonly Finding[] {
  const { report, mutation } = visited;
  return [
    ...[report.refused, ...report.fetched.map(({ error }) => error)].flatMap(ofError),
    ...report.fetched.flatMap(ofDestination),
    ...ofTrust(visited),
    ...report.fetched.flatMap((fetched) => ofContent(visited, fetched)),
    ...ofVersions(visited),
    ...(mutation.harmless === true ? ofHonesty(visited) : []),
  ];
}

/** An honest repository was not followed to its end. */
export function ofHonesty({ scene, report }: Case): readonly Finding[] {
  const said = scene.says.get(scene.world.snapshot.version);
  const failed = [report.refused, ...report.fetched.map(({ error }) => error)].filter((error) => error !== undefined);
  const missed = report.fetched.filter(({ path, trail }) => said?.get(path)?.lister !== trail?.at(-1));
  const what = [...failed.map(String), ...missed.map(({ path }) => `${path} was not found as it is listed`)];
  return what.map((text) => ({ violation: 'honest repository refused', what: text }));
}

function ofError(error: unknown): readonly Finding[] {
  if (error === undefined || (isTufError(error) && rowOf(error.code) !== undefined)) return [];
  if (error instanceof Runaway) return [{ violation: 'runaway', what: error.message }];
  return [{ violation: 'untyped error', what: error instanceof Error ? String(error.stack) : typeof error }];
}

/** What failed leaves nothing; what is there was committed. */
function ofDestination({ path, error, trail, destination }: Fetched): readonly Finding[] {
  const { state, content } = destination;
  const done = error === undefined && trail !== undefined;
  if (done ? state === 'committed' : content === undefined && state !== 'open') return [];
  return [
    {
      violation: 'partial file',
      what: `${path} is ${state} after ${error instanceof Error ? error.message : 'no error'}`,
    },
  ];
}

/** Everything believed or kept was signed by the role's own keys, is well formed, and is what is listed. */
function ofTrust(visited: Case): readonly Finding[] {
  const { scene, report, before, after } = visited;
  const changed = [...after].filter(([name, bytes]) => !isSame(before.get(name), bytes));
  const kept = changed.map(([name, bytes]) => [roleOf(scene, name), bytes] as const);
  const findings = [...report.trusted, ...kept].flatMap(([role, bytes]) => ofFile(visited, role, bytes));
  const { timestamp, snapshot, targets } = Object.fromEntries(report.trusted);
  const pairs = [
    ['snapshot', timestamp, snapshot],
    ['targets', snapshot, targets],
  ] as const;
  const disagreeing = pairs.filter(
    ([role, by, bytes]) => by !== undefined && bytes !== undefined && !isListed(by, role, bytes),
  );
  return [
    ...findings,
    ...disagreeing.map(([role]) => ({ violation: 'accepted forgery' as const, what: `${role} is not what is listed` })),
  ];
}

/** A file that is believed. What the repository itself has published is looked at once. */
function ofFile(visited: Case, role: string, bytes: Uint8Array): readonly Finding[] {
  const { scene } = visited;
  const name = `${role} ${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')}`;
  const sound = soundIn.get(scene) ?? new Set<string>();
  if (sound.has(name)) return [];
  const what = `${role} ${versionIn(bytes)}`;
  const flaws = flawsIn(bytes, role, scene.world.now);
  if (!isGenuine(visited, role, bytes)) return [{ violation: 'accepted forgery', what: `${what} is not signed` }];
  if (flaws.length > 0) return [{ violation: 'accepted malformed file', what: `${what}: ${flaws.join(', ')}` }];
  if (visited.mutation.stolen === undefined) soundIn.set(scene, sound.add(name));
  return [];
}

/** Signed by as many as must, as the world's keys have really signed it. */
function isGenuine({ scene, mutation }: Case, role: string, bytes: Uint8Array): boolean {
  const text = signedText(bytes);
  if (text === undefined) return false;
  const own = scene.signed.get(role)?.get(text);
  if (own !== undefined) return isSigned(bytes, own.made, own.required);
  const stolen = mutation.stolen?.find((other) => other.role === role && signedText(other.bytes) === text);
  return stolen !== undefined && isSigned(bytes, new Set(signaturesIn(stolen.bytes)), scene.required.get(role) ?? []);
}

function isListed(by: Uint8Array, role: string, bytes: Uint8Array): boolean {
  const listing = recordOf(recordOf(recordOf(plainOf(by)['signed'])['meta'])[`${role}.json`]);
  return listing['version'] === versionIn(bytes) && agrees(bytes, listing);
}

function isSame(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0;
}

/** What was downloaded, or said not to be there, is what the believed snapshot says. */
function ofContent({ scene, mutation, after }: Case, fetched: Fetched): readonly Finding[] {
  const { path, error, trail, destination, snapshot } = fetched;
  if (error !== undefined) return [];
  const stolenRoles = new Set(mutation.stolen?.map(({ role }) => role));
  const said = snapshot === undefined ? undefined : scene.says.get(versionIn(snapshot));
  const got = destination.content === undefined ? undefined : sha256Of(destination.content);
  const forged = (what: string): readonly Finding[] => [{ violation: 'accepted forgery', what: `${path}: ${what}` }];
  for (const role of trail ?? []) {
    const bytes = after.get(cacheNameOf(role));
    if (bytes !== undefined && snapshot !== undefined && !isListed(snapshot, role, bytes))
      return forged(`by another ${role}`);
  }
  const lister = after.get(cacheNameOf(trail?.at(-1) ?? ''));
  if (lister !== undefined && destination.content !== undefined) {
    const target = recordOf(recordOf(plainOf(lister)['signed'])['targets'])[path];
    if (!agrees(destination.content, target)) return forged('not the bytes that are listed');
  }
  if (stolenRoles.size === 0) {
    if (said === undefined) return forged('it was found by a snapshot that was never published');
    const expected = said.get(path);
    const same = expected?.sha256 === got && expected?.lister === trail?.at(-1);
    return same ? [] : forged(`${trail?.join(' ')} and ${got} instead of ${expected?.lister} and ${expected?.sha256}`);
  }
  // A thief speaks for the stolen role and what it delegates to, and for nothing else.
  if (got === undefined || trail?.some((role) => stolenRoles.has(role)) === true) return [];
  const genuine = [...scene.says.values()].some((paths) => paths.get(path)?.sha256 === got);
  const listedBy = [...(scene.signed.get(trail?.at(-1) ?? '')?.keys() ?? [])].some((text) => text.includes(got));
  return genuine || listedBy ? [] : forged(`${trail?.join(' ')} and ${got}, which nobody there has listed`);
}

/** Nothing kept is older than before, or gone, unless the root has withdrawn the floors. */
function ofVersions({ scene, before, after }: Case): readonly Finding[] {
  return [...before].flatMap(([name, bytes]) => {
    const now = after.get(name);
    const floor = name === cacheNameOf('timestamp') || name === cacheNameOf('snapshot');
    if (floor && scene.rotated) return [];
    // A delegated role is held to its version by the snapshot; under new floors it may be listed anew.
    if (scene.rotated && !name.startsWith('root')) return [];
    if (now !== undefined && versionIn(now) >= versionIn(bytes)) return [];
    const what = `${name} from ${versionIn(bytes)} to ${now === undefined ? 'nothing' : versionIn(now)}`;
    return [{ violation: 'trust moved backwards' as const, what }];
  });
}

function roleOf({ world }: Scene, name: string): string {
  if (name.startsWith('root_history/')) return 'root';
  const roles = ['root', 'timestamp', 'snapshot', 'targets', ...world.roles.keys()];
  return roles.find((role) => cacheNameOf(role) === name) ?? name;
}

const soundIn = new WeakMap<Scene, Set<string>>();
