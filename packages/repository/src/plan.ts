// Planning: which online roles must be written again so that the admitted
// submissions become visible together, and which are due for renewal. Pure:
// gives drafts of `signed` objects; signing and publishing is publish.ts.
// An online key is only ever used for its own kind of role; nothing here can
// touch a claimed shard except by carrying what the offline keys signed.

import {
  type DelegatedRole,
  type Delegations,
  days,
  editTargets,
  type FileMeta,
  type Instant,
  isTufError,
  type JsonObject,
  type Key,
  type KeyId,
  readShardName,
  type Signed,
  type Targets,
} from '@countersign/core';
import { type AdmissionRules, type Admitted, type AdmittedRole, admit } from './admit.ts';
import type { Commit, Refusal } from './ports.ts';
import { type Draft, draftOf, NO_DELEGATIONS, type Standing } from './standing.ts';
import type { Submission } from './submission.ts';

/** How long what the repository signs stays valid, in milliseconds. */
export interface Lifetimes {
  readonly timestamp: number;
  readonly snapshot: number;
  /** Recent and unclaimed shards. */
  readonly shard: number;
  /** Root, top-level targets and claimed shards. */
  readonly offline: number;
}

/** The defaults: only the timestamp expires fast. */
export const DEFAULT_LIFETIMES: Lifetimes = {
  timestamp: days(1),
  snapshot: days(90),
  shard: days(90),
  offline: days(365),
};

/** A journaled submission to plan for. */
export interface Waiting {
  readonly id: string;
  readonly text: string;
  /** The text, read. */
  readonly submission: Submission;
}

/** What a publication will consist of, before it is signed. */
export interface Plan {
  /** The standing that the publication leads to, but for the shards' new content. */
  readonly draft: Draft;
  /** Online shards to sign, by name. */
  readonly shards: ReadonlyMap<string, JsonObject>;
  /** Files that authors and the offline quorum signed, to carry verbatim. */
  readonly authored: readonly AdmittedRole[];
  readonly targets: Commit['targets'];
  readonly published: readonly string[];
  readonly refused: Commit['refused'];
}

/**
 * Plans one publication for many submissions. Each is admitted again against
 * the collection as the ones before it leave it; a refused one does not
 * disturb the others.
 *
 * @param due online shards that are past half of their life
 */
export function plan(
  standing: Standing,
  waiting: readonly Waiting[],
  due: readonly string[],
  rules: AdmissionRules,
  lifetimes: Lifetimes,
): Plan {
  const draft = draftOf(standing);
  const authored: AdmittedRole[] = [];
  const published: string[] = [];
  const refused: { id: string; refusal: Refusal }[] = [];
  const touched = new Set(due);
  for (const { id, submission } of waiting) {
    try {
      const admitted = admit(draft, submission, rules);
      for (const shard of apply(draft, admitted)) touched.add(shard);
      authored.push(...admitted.roles);
      published.push(id);
    } catch (error) {
      if (!isTufError(error)) throw error;
      refused.push({ id, refusal: { code: error.code, message: error.message, detail: error.detail } });
    }
  }
  const shards = new Map<string, JsonObject>();
  for (const name of touched) {
    const previous = standing.contents.get(name);
    const delegations = previous && recentDelegations(draft, name, previous);
    const edit = { expires: rules.now + lifetimes.shard, ...(delegations && { delegations }) };
    shards.set(name, editTargets(previous, edit));
  }
  const targets = authored.flatMap((role) => role.added.map((target) => visible(standing, target)));
  return { draft, shards, authored, targets, published, refused };
}

/** What the snapshot says of a role: shards and top-level targets with length and hash, project roles with length. */
export function listingOf(role: string, version: number, length: number, sha256: string): FileMeta {
  const pinned = role === 'targets' || readShardName(role) !== undefined;
  return { version, length, hashes: pinned ? new Map([['sha256', sha256]]) : undefined };
}

/** Tells whether less than half of a lifetime is left. */
export function isDue(signed: Pick<Signed, 'expires'>, lifetime: number, now: Instant): boolean {
  return signed.expires - now < lifetime / 2;
}

/** Makes an admitted submission true in the draft; gives the recent shards to write again. */
function apply(draft: Draft, admitted: Admitted): ReadonlySet<string> {
  const touched = new Set<string>();
  for (const { owner } of admitted.claims) {
    draft.owners.set(owner.delegation.name, owner);
    touched.add(owner.shard);
  }
  for (const { role, content, added } of admitted.roles) {
    draft.versions.set(role, content.version);
    draft.contents.set(role, content);
    for (const { path, hashes } of added) draft.shown.set(path, hashes.get('sha256') ?? '');
    if (readShardName(role)?.kind !== 'claimed') continue;
    for (const { name } of content.delegations?.roles ?? []) {
      const owner = draft.owners.get(name);
      if (owner === undefined || owner.kind === 'claimed') continue;
      touched.add(owner.shard);
      draft.owners.set(name, { ...owner, shard: role, kind: 'claimed' });
    }
  }
  return touched;
}

/** The delegations of a recent shard: those that stay, in their order, then new ones. */
function recentDelegations(draft: Draft, shard: string, previous: Targets): Delegations {
  const stays = (name: string): boolean => draft.owners.get(name)?.shard === shard;
  const { roles, keys: known } = previous.delegations ?? NO_DELEGATIONS;
  const kept = roles.filter((role) => stays(role.name));
  const names = new Set(kept.map((role) => role.name));
  const added: DelegatedRole[] = [];
  const keys = new Map<KeyId, Key>();
  for (const role of kept) for (const id of role.keyIds) addKey(keys, id, known);
  for (const [name, owner] of draft.owners.changes) {
    if (owner.shard !== shard || names.has(name)) continue;
    added.push(owner.delegation);
    for (const id of owner.delegation.keyIds) addKey(keys, id, owner.keys);
  }
  return { keys, roles: [...kept, ...added], succinct: undefined };
}

function addKey(keys: Map<KeyId, Key>, id: KeyId, from: ReadonlyMap<KeyId, Key>): void {
  const key = from.get(id);
  if (key !== undefined) keys.set(id, key);
}

function visible(standing: Standing, target: AdmittedRole['added'][number]): Commit['targets'][number] {
  const blob = standing.blobs.get(target.hashes.get('sha256') ?? '');
  if (blob === undefined) throw new TypeError('An admitted target has no blob');
  return { path: target.path, blob };
}
