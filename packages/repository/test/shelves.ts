// A collection with shelves in one hand: drafts of what its quorum would sign,
// and what a thief of every online key could show instead.

import {
  days,
  editSnapshot,
  editTimestamp,
  hex,
  type JsonObject,
  openEnvelope,
  type Root,
  readRoot,
  readSnapshot,
  readTimestamp,
  type Signer,
  type Snapshot,
  signFile,
  type Timestamp,
} from '@countersign/core';
import {
  draftResharding,
  draftShelving,
  type Repository,
  type ShelvingBase,
  type SubmittedFile,
  submissionText,
} from '../src/index.ts';
import { type Disk, factsOf } from './memory-store.ts';
import {
  type Author,
  ECOSYSTEMS,
  newWorld,
  OFFLINE,
  ONLINE,
  presentOf,
  replayed,
  roleText,
  sha256,
  targetOf,
  textOf,
  upload,
  type World,
} from './world.ts';

/** What the quorum wants. */
export interface Wanted {
  readonly take?: readonly Author[];
  readonly release?: readonly Author[];
  readonly renew?: readonly string[];
}

/** A collection whose quorum shelves. */
export interface Shelves {
  readonly world: World;
  readonly repository: Repository;
  /** A submission of plain files: content by name. */
  filesOf(by: Author, files: Readonly<Record<string, string>>): string;
  base(): ShelvingBase;
  drafts(wanted: Wanted): ReadonlyMap<string, JsonObject>;
  shelving(wanted: Wanted, by?: readonly Signer[]): Promise<string>;
  resharding(digits: number): Promise<string>;
  /** The disk as one shows it who has every online key: the name claimed for a thief, and listed as unclaimed. */
  forgery(victim: Author, files: Readonly<Record<string, string>>): Promise<Disk>;
}

export async function shelvedWorld(): Promise<Shelves> {
  const world = await newWorld();
  const repository = await world.open();
  await upload(repository, 'one', 'two', 'evil');
  const expires = (): number => world.clock.now + days(365);
  const present = (role: string): NonNullable<ReturnType<typeof presentOf>> => {
    const content = presentOf(world, role);
    if (content === undefined) throw new Error(`no ${role}`);
    return content;
  };
  const versionOf = (role: string): number => presentOf(world, role)?.version ?? 0;
  const submission = async (drafts: ReadonlyMap<string, JsonObject>, by: readonly Signer[]): Promise<string> => {
    const roles: { role: string; file: string }[] = [];
    for (const [role, draft] of drafts) roles.push({ role, file: textOf(await signFile(draft, by)) });
    return submissionText({ roles });
  };
  const base = (): ShelvingBase => ({
    root: rootOf(world),
    targets: present('targets'),
    contentOf: (role) => presentOf(world, role),
    versionOf,
  });
  const drafts = ({ take = [], release = [], renew = [] }: Wanted): ReadonlyMap<string, JsonObject> =>
    draftShelving(base(), {
      take: take.map(({ directory }) => directory),
      release: release.map(({ directory }) => directory),
      renew,
      expires: expires(),
    });
  return {
    world,
    repository,
    base,
    drafts,
    filesOf(by, files) {
      const listed = Object.entries(files).map(
        ([name, content]): SubmittedFile => ({
          path: `${by.directory}/${name}`,
          sha256: factsOf(Buffer.from(content)).sha256,
        }),
      );
      return submissionText({ files: listed });
    },
    shelving: (wanted, by = OFFLINE) => submission(drafts(wanted), by),
    resharding: (digits) =>
      submission(
        draftResharding({
          targets: present('targets'),
          register: replayed(world),
          versionOf,
          projectOf: (ecosystem, name) => ECOSYSTEMS.project(ecosystem, name),
          digits,
          expires: expires(),
        }),
        OFFLINE,
      ),
    async forgery(victim, files) {
      const set = Object.entries(files).map(([name, content]) => targetOf(victim, name, content));
      const digit = victim.directory.charAt(victim.project.ecosystem.length + 1);
      const made = new Map<string, string>();
      for (const [kind, key] of [
        ['recent', ONLINE.recent],
        ['unclaimed', ONLINE.unclaimed],
      ] as const) {
        const role = `${kind}-${digit}`;
        made.set(role, await roleText(present(role), { set, expires: expires() }, [key]));
      }
      const site = new Map(world.disk.site);
      const put = (role: string, version: number, text: string): void =>
        void site.set(`metadata/${role === 'timestamp' ? role : `${version}.${role}`}.json`, Buffer.from(text));
      const meta = new Map<string, { version: number; length: number; hashes: ReadonlyMap<string, string> }>();
      for (const [role, text] of made) {
        const bytes = Buffer.from(text);
        const version = present(role).version + 1;
        put(role, version, text);
        meta.set(role, { version, length: bytes.length, hashes: new Map([['sha256', hex(sha256(bytes))]]) });
      }
      const { snapshot: before, timestamp } = topOf(world);
      const snapshot = await signFile(editSnapshot(before, { expires: expires(), set: meta }), [ONLINE.snapshot]);
      put('snapshot', before.version + 1, textOf(snapshot));
      const pinned = {
        version: before.version + 1,
        length: snapshot.length,
        hashes: new Map([['sha256', hex(sha256(snapshot))]]),
      };
      const last = editTimestamp(timestamp, { expires: expires(), snapshot: pinned });
      put('timestamp', 0, textOf(await signFile(last, [ONLINE.timestamp])));
      return { ...world.disk, site };
    },
  };
}

function rootOf({ disk, anchor }: World): Root {
  return readRoot(openEnvelope(disk.roles.get('root')?.bytes ?? anchor, 'root').signed);
}

function topOf({ disk }: World): { readonly snapshot: Snapshot; readonly timestamp: Timestamp } {
  const signed = (role: string): JsonObject =>
    openEnvelope(disk.roles.get(role)?.bytes ?? new Uint8Array(), role).signed;
  return { snapshot: readSnapshot(signed('snapshot')), timestamp: readTimestamp(signed('timestamp')) };
}
