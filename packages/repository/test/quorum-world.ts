// The offline quorum at work, for tests: drafts from what the site serves,
// signed by whom a test wants, and keys that the service finds when they are
// named. Nothing here knows the engine's state.

import {
  driveSync,
  type FreshState,
  openEnvelope,
  type Root,
  readRoot,
  refresh,
  type Signer,
  type SyncPorts,
  signFile,
  start,
} from '@countersign/core';
import { quorumOf, type Register, readTile, replayList } from '@countersign/decisions';
import { seededKey } from '@countersign/testkit';
import {
  type DelegatedKind,
  draftBins,
  draftClaimedShards,
  draftRoot,
  draftTargets,
  type FindOnlineKey,
  type KeySet,
  keySetOf,
  type OnlineKind,
  submissionText,
  type TargetsChange,
} from '../src/index.ts';
import { shardDigits } from '../src/standing.ts';
import type { Disk } from './memory-store.ts';
import { ECOSYSTEMS, nodeCrypto, presentOf, sha256, textOf, type World } from './world.ts';

/** The keys of one generation: `fresh(2)` replaces those of `fresh(1)`. */
export const freshKey = (kind: OnlineKind, generation: number): Signer =>
  seededKey(generation === 0 ? kind : `${kind} ${generation}`);

/** A folder of keys that grows: finds whatever was put in. */
export function keyFolder(...keys: readonly Signer[]): { readonly find: FindOnlineKey; add(key: Signer): void } {
  const held = new Map(keys.map((key) => [key.keyId, key]));
  return {
    find: async (_kind, keyIds) => keyIds.map((id) => held.get(id)).find((key) => key !== undefined),
    add: (key) => void held.set(key.keyId, key),
  };
}

/** What a test changes at one meeting of the quorum. */
export interface Meeting {
  readonly expires: number;
  /** Who is the quorum from then on. */
  readonly quorum?: KeySet;
  readonly root?: 'renew';
  readonly targets?: 'renew';
  readonly claimed?: 'renew';
  readonly bins?: 'renew';
  readonly online?: Partial<Readonly<Record<OnlineKind, Signer>>>;
  readonly digits?: number;
}

/** The present root, from the disk. */
export function rootOf({ disk }: Pick<World, 'disk'>): Root {
  const bytes = disk.roles.get('root')?.bytes ?? new Uint8Array();
  return readRoot(openEnvelope(bytes, 'root').signed);
}

/** Drafts what a meeting decides: every file that it touches, by role. */
export function draftsOf(world: World, meeting: Meeting): ReadonlyMap<string, ReturnType<typeof draftRoot>> {
  const { expires, quorum, online = {}, digits } = meeting;
  const drafts = new Map<string, ReturnType<typeof draftRoot>>();
  const only = (signer: Signer | undefined): KeySet | undefined => signer && keySetOf([signer], 1);
  const [timestamp, snapshot] = [only(online.timestamp), only(online.snapshot)];
  if (quorum ?? timestamp ?? snapshot ?? meeting.root) {
    const roles = {
      ...(quorum && { root: quorum, targets: quorum }),
      ...(timestamp && { timestamp }),
      ...(snapshot && { snapshot }),
    };
    drafts.set('root', draftRoot(rootOf(world), { expires, roles }));
  }
  const keys: Partial<Record<DelegatedKind, KeySet>> = { ...(quorum && { claimed: quorum, bins: quorum }) };
  for (const kind of ['recent', 'unclaimed', 'decisions'] as const) {
    const set = only(online[kind]);
    if (set !== undefined) keys[kind] = set;
  }
  const present = presentOf(world, 'targets');
  if (present === undefined) throw new Error('no targets');
  if (Object.keys(keys).length > 0 || digits !== undefined || meeting.targets) {
    const change: TargetsChange = { expires, keys, ...(digits !== undefined && { digits }) };
    drafts.set('targets', draftTargets(present, change));
  }
  const bins = presentOf(world, 'bins');
  if (bins !== undefined && (quorum || online.bins || meeting.bins)) {
    drafts.set('bins', draftBins(bins, expires, online.bins));
  }
  if (bins === undefined && (quorum || digits !== undefined || meeting.claimed)) {
    const base = {
      register: replayedFrom(world),
      versionOf: (role: string) => presentOf(world, role)?.version ?? 0,
      projectOf: (ecosystem: string, name: string) => ECOSYSTEMS.project(ecosystem, name),
      digits: digits ?? shardDigits(present),
      expires,
    };
    for (const [role, draft] of draftClaimedShards(base)) drafts.set(role, draft);
  }
  return drafts;
}

/** The drafts of a meeting, signed by all who are given. */
export async function meetingText(world: World, meeting: Meeting, by: readonly Signer[]): Promise<string> {
  const roles: { role: string; file: string }[] = [];
  for (const [role, draft] of draftsOf(world, meeting)) roles.push({ role, file: textOf(await signFile(draft, by)) });
  return submissionText({ roles });
}

/** The list of decisions, replayed from what the site serves, under every root that it serves. */
export function replayedFrom(world: Pick<World, 'disk'>): Register {
  const quorumIn = (version: number): ReturnType<typeof quorumOf> | undefined => {
    const bytes = world.disk.site.get(`metadata/${version}.root.json`);
    if (bytes === undefined) return undefined;
    return quorumOf(readRoot(openEnvelope(bytes, 'root').signed), Buffer.from(sha256(bytes)).toString('hex'));
  };
  const role = presentOf(world, 'decisions');
  const lines: string[] = [];
  for (let tile = 0; role?.targets.has(`decisions/${tile}.jsonl`); tile++) {
    const digest = role.targets.get(`decisions/${tile}.jsonl`)?.hashes.get('sha256') ?? '';
    const bytes = world.disk.site.get(`targets/decisions/${digest}.${tile}.jsonl`);
    lines.push(...readTile(textOf(bytes ?? new Uint8Array())));
  }
  return replayList({ collection: 'main', crypto: nodeCrypto, quorum: quorumIn }, lines);
}

/** What the site shows while a publication is made visible. */
export function pictures(disk: Disk): {
  readonly step: (name: string) => void;
  readonly taken: readonly ReadonlyMap<string, Uint8Array>[];
} {
  const taken: ReadonlyMap<string, Uint8Array>[] = [];
  const step = (name: string): void => {
    if (name.includes(' show ')) take();
  };
  const take = (): void => {
    const urls = (picture: ReadonlyMap<string, Uint8Array> | undefined): number => picture?.size ?? 0;
    // A picture for every few versioned files, which nobody asks for yet, and each of root and timestamp.
    const last = taken.at(-1);
    const same = ['metadata/timestamp.json', 'metadata/2.root.json'].every(
      (url) => last?.get(url) === disk.site.get(url),
    );
    if (last === undefined || !same || disk.site.size > urls(last) + 10) taken.push(new Map(disk.site));
  };
  return { taken, step };
}

/** A client that asks for its root at one moment, and for everything else at another. */
export function refreshAcross(
  before: FreshState | Uint8Array,
  atRoot: ReadonlyMap<string, Uint8Array>,
  atRest: ReadonlyMap<string, Uint8Array>,
  now: number,
): FreshState {
  const ports: SyncPorts = {
    crypto: nodeCrypto,
    state: { load: () => undefined, save: () => undefined, drop: () => undefined },
    source: { fetch: ({ role, url }) => (role === 'root' ? atRoot : atRest).get(`metadata/${url}`) },
  };
  const state = before instanceof Uint8Array ? driveSync(start(before), ports) : { ...before, memo: new Map() };
  return driveSync(refresh(state, now), ports);
}
