// A meeting of the offline quorum about its own files: reads what is in force
// with one's own client, drafts what follows, shows it in words, signs with the
// key at hand, and sends it. Where more people must sign, it becomes a signing
// event. Works after root or targets have expired too: then it goes by what was
// valid last, because nothing else could be renewed.

import {
  type Instant,
  isTufError,
  type JsonObject,
  type Root,
  readInstant,
  readRoot,
  readShardName,
  readTargets,
  type Signer,
  SignerError,
  signFile,
  type Targets,
  UsageError,
  utf8Text,
} from '@countersign/core';
import { ecosystemOf } from '@countersign/ecosystems';
import {
  BINS_ROLE,
  draftClaimedShards,
  type KeySet,
  keysOfKind,
  keysOfTop,
  type SubmittedRole,
  submissionText,
} from '@countersign/repository';
import { openService } from './author.ts';
import type { Context } from './context.ts';
import { isUnsigned, type KnownCollection, knownCollection, missingLines } from './decide.ts';
import { layoutLines } from './layout-lines.ts';
import { counted, short } from './output.ts';
import { plainOf } from './plain-collection.ts';
import { openQuorumKey } from './quorum-key.ts';
import { keyLines } from './quorum-lines.ts';

/** What is in force, as one's own client verified it. */
export interface InForce {
  readonly known: KnownCollection;
  readonly root: Root;
  readonly targets: Targets;
  /** The role that delegates to the bins of a plain collection. */
  readonly bins: Targets | undefined;
  /** When it was valid last; `undefined` when it is valid now. */
  readonly until: Instant | undefined;
}

/** What a meeting decided. */
export interface Resolution {
  /** For people, in one line. */
  readonly title: string;
  /** The `signed` objects by role. */
  readonly drafts: ReadonlyMap<string, JsonObject>;
  /** Whose signatures count for anything in it, now or from then on. */
  readonly signers: readonly KeySet[];
  /** Whether it can only be published as a whole. */
  readonly together?: boolean;
}

/** What became of it. */
export interface Outcome {
  readonly publication: number | null;
  readonly event: string | null;
  readonly lines: readonly string[];
}

/**
 * Verifies the collection. What has expired is taken as it was when it was valid last.
 *
 * @throws whatever client and mirror give
 */
export async function knownEvenExpired(
  context: Context,
): Promise<{ readonly known: KnownCollection; readonly until: Instant | undefined }> {
  let until: Instant | undefined;
  for (let attempt = 0; ; attempt++) {
    const at = until;
    try {
      const shell = at === undefined ? context.shell : { ...context.shell, clock: () => at };
      return { known: await knownCollection({ ...context, shell }), until };
    } catch (error) {
      const expired = isTufError(error) && error.code === 'EXPIRED' ? error.detail['expired'] : undefined;
      const end = typeof expired === 'string' ? readInstant(expired) : undefined;
      if (end === undefined || attempt >= MAX_ATTEMPTS) throw error;
      context.output.note(`${String(isTufError(error) ? error.detail['role'] : '')} expired at ${String(expired)}.`);
      until = Math.min(end, until ?? end) - 1;
    }
  }
}

/** Reads what is in force. @throws whatever client and mirror give */
export async function inForce(context: Context): Promise<InForce> {
  const { known, until } = await knownEvenExpired(context);
  return await readInForce(known, until);
}

/** What is in force in a collection that was verified. */
export async function readInForce(known: KnownCollection, until: InForce['until']): Promise<InForce> {
  const { root, targets } = known.client.trusted;
  if (targets === undefined) throw new TypeError('A refreshed client has its targets');
  const plain = await plainOf(known.client);
  return { known, until, root: root.content, targets: targets.content, bins: plain?.role };
}

/** Every claimed shard as the decisions say, under its next version. @param targets the role that delegates to them */
export function claimedDrafts(
  { known }: Pick<InForce, 'known'>,
  targets: Targets,
  expires: Instant,
): ReadonlyMap<string, JsonObject> {
  const shards = (targets.delegations?.roles ?? []).map(({ name }) => readShardName(name));
  const claimed = shards.find((shard) => shard?.kind === 'claimed');
  if (claimed === undefined) return new Map();
  const meta = known.client.trusted.snapshot?.content.meta;
  return draftClaimedShards({
    register: known.list.register,
    versionOf: (role) => meta?.get(role)?.version ?? 0,
    projectOf: (ecosystem, name) => ecosystemOf(ecosystem).project(name),
    digits: claimed.prefix.length,
    expires,
  });
}

/** Whose signatures count for the quorum's files as they are. */
export function presentSigners({ root, targets }: InForce): readonly KeySet[] {
  const sets = [keysOfTop(root, 'root'), keysOfTop(root, 'targets')];
  return [...sets, ...(['claimed', 'bins'] as const).flatMap((kind) => keysOfKind(targets, kind) ?? [])];
}

/**
 * Signs what was resolved with the key at hand, and publishes it or opens signing events.
 *
 * @throws SignerError KEY_MISSING, KEY_LOCKED; the service's refusal
 */
export async function resolve(context: Context, present: InForce, resolution: Resolution): Promise<Outcome> {
  const { output, config, shell, suggest } = context;
  const { title, drafts, signers, together = false } = resolution;
  output.note(`${title}:`);
  for (const line of draftedLines(present, drafts)) output.note(`  ${line}`);
  const signer = await openQuorumKey(context);
  requireMember(signer, signers);
  output.note(`Signing ${counted(drafts.size, 'file')} with ${short(signer.keyId)}….`);
  const service = openService(config, shell);
  let publication: number | null = null;
  let event: string | null = null;
  const lines: string[] = [];
  for (const roles of await signedInParts(drafts, signer, together)) {
    try {
      ({ publication } = await service.submit(submissionText({ roles })));
    } catch (error) {
      if (!isUnsigned(error)) throw error;
      const opened = await service.openEvent({ roles, decisions: [] }, title);
      event = opened.id;
      lines.push(
        `More members of the quorum must sign. Signing event ${event} waits for them:`,
        ...missingLines(opened.parts.slice(0, 2)),
        '',
        'Each of them runs:',
        `  ${suggest(`sign ${event}`)} --key <file of their key>`,
      );
    }
  }
  if (event !== null) return { publication, event, lines };
  await requireSeen(context, drafts);
  return { publication, event, lines: [`Published, in publication ${publication}.`] };
}

/** What drafts change about the quorum's files, in words. */
export function draftedLines(
  { root, targets, bins }: Pick<InForce, 'root' | 'targets' | 'bins'>,
  drafts: ReadonlyMap<string, JsonObject>,
): readonly string[] {
  const lines: string[] = [];
  let shards = 0;
  for (const [role, draft] of drafts) {
    if (role === 'root') lines.push(...keyLines(role, root, readRoot(draft)));
    else if (role === 'targets') {
      const after = readTargets(draft, role);
      lines.push(...keyLines(role, targets, after), ...layoutLines(role, targets, after));
    } else if (role === BINS_ROLE && bins !== undefined) {
      const after = readTargets(draft, role);
      lines.push(...keyLines(role, bins, after), ...layoutLines(role, bins, after));
    } else if (readShardName(role) !== undefined) shards++;
  }
  return shards === 0 ? lines : [...lines, `${shards} claimed shards: every name as it was decided`];
}

/** Signs drafts, and cuts them into submissions that the service takes. Shards that follow need nothing before them. */
async function signedInParts(
  drafts: ReadonlyMap<string, JsonObject>,
  signer: Signer,
  together: boolean,
): Promise<readonly (readonly SubmittedRole[])[]> {
  const parts: SubmittedRole[][] = [];
  let size = 0;
  for (const [role, draft] of drafts) {
    const file = utf8Text(await signFile(draft, [signer])) ?? '';
    const last = parts.at(-1);
    if (last === undefined || size + file.length > MAX_PART) {
      parts.push([{ role, file }]);
      size = file.length;
    } else {
      last.push({ role, file });
      size += file.length;
    }
  }
  if (!together || parts.length === 1) return parts;
  throw new UsageError('USAGE_INVALID', 'Changing the quorum: its shards are too large for one submission', {
    detail: { limit: MAX_PART },
  });
}

/** Refuses a key that counts for none of these. @throws SignerError KEY_MISSING */
export function requireMember(signer: Signer, sets: readonly KeySet[]): void {
  const mine = signer.key.verification?.key.identity;
  const counting = sets.flatMap(({ keys, keyIds }) => keyIds.map((id) => keys.get(id)?.verification?.key.identity));
  if (mine !== undefined && counting.includes(mine)) return;
  throw new SignerError('KEY_MISSING', 'Signing for the quorum: the key at hand is not one of its keys', {
    detail: { want: [...new Set(sets.flatMap(({ keyIds }) => keyIds))], got: signer.keyId },
  });
}

/** One's own client sees what was sent. @throws MetadataError */
async function requireSeen(context: Context, drafts: ReadonlyMap<string, JsonObject>): Promise<void> {
  const known = await knownCollection(context);
  const { root, targets } = known.client.trusted;
  const seen = new Map<string, number | undefined>([
    ['root', root.content.version],
    ['targets', targets?.content.version],
  ]);
  for (const [role, version] of seen) {
    const draft = drafts.get(role);
    if (draft === undefined || draft.get('version') === version) continue;
    throw new UsageError('USAGE_INVALID', `Looking for the new ${role}: somebody has replaced it already`);
  }
}

const MAX_ATTEMPTS = 8;
// In characters: an event may hold 8 million, a request 16.
const MAX_PART = 6_000_000;
