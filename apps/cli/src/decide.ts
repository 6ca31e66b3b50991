// One decision, from wish to outcome: made against the replayed list, shown in
// words, signed with the keys at hand, sent. Where more people must sign, it
// becomes a signing event that waits for them.

import type { Client } from '@countersign/client';
import { nodeCrypto } from '@countersign/client/node';
import {
  AdmissionError,
  editTargets,
  type Instant,
  isTufError,
  MetadataError,
  ownerRoleName,
  type Project,
  type Signer,
  signFile,
  utf8Text,
} from '@countersign/core';
import {
  decisionId,
  liveOwnersOf,
  type NameBody,
  type NameDecision,
  type NameRecord,
  openDecision,
  previousOf,
  Register,
  readEntry,
  signDecision,
} from '@countersign/decisions';
import { submissionText } from '@countersign/repository';
import { AUTHOR_LIFETIME, openService } from './author.ts';
import type { Context } from './context.ts';
import { decisionLines, recordLines } from './decision-lines.ts';
import { type DecisionList, openDecisionList } from './decision-list.ts';
import { short } from './output.ts';
import { requireMember } from './quorum-key.ts';
import { keepReceipt } from './receipts.ts';
import { shownPath } from './shell.ts';
import { openTrust, ownerOf } from './trusted-collection.ts';

/** What somebody wants decided about a name. */
export interface Wish {
  readonly project: Project;
  readonly body: NameBody;
  readonly side: 'owners' | 'quorum';
}

/** A collection as this user's client verified it, with its decisions. */
export interface KnownCollection {
  readonly client: Client;
  readonly list: DecisionList;
}

/** Verifies the collection and replays its decisions. @throws whatever client and mirror give */
export async function knownCollection({ config, shell, output }: Context): Promise<KnownCollection> {
  const client = await openTrust(config, shell);
  const progress = output.progress(`Verifying ${config.url}`);
  await client.refresh();
  const list = await openDecisionList(client, config, shell);
  progress.end();
  return { client, list };
}

/** The record of a name. @throws AdmissionError NAME_UNCLAIMED */
export function requireRecord({ list }: KnownCollection, project: Project): NameRecord {
  const record = list.register.record(project.ecosystem, project.name);
  if (record !== undefined) return record;
  const name = `${project.ecosystem}/${project.name}`;
  throw new AdmissionError('NAME_UNCLAIMED', `Looking up ${name}: nobody has claimed it`, {
    detail: { project: name },
  });
}

/**
 * Decides, or opens a signing event where signatures are missing.
 *
 * @param signers whose keys are at hand
 * @throws AdmissionError with the rule it breaks and the next step; SignerError; whatever client and service give
 */
export async function decide(
  context: Context,
  known: KnownCollection,
  { project, body, side }: Wish,
  signers: readonly Signer[],
): Promise<void> {
  const { config, shell, output, suggest } = context;
  const { client, list } = known;
  const record = list.register.record(project.ecosystem, project.name);
  const decision = {
    collection: config.collection,
    ecosystem: project.ecosystem,
    name: project.name,
    epoch: record?.epoch ?? 1,
    previous: previousOf(record, body.decision, side),
    ...body,
  };
  if (side === 'quorum') for (const signer of signers) requireMember(client, signer);
  output.note(`Signing with ${signers.map(({ keyId }) => `${short(keyId)}…`).join(', ')}:`);
  for (const line of decisionLines(decision, record)) output.note(`  ${line}`);
  const statement = await signDecision(decision, signers);
  const roles = needsRole(body, record) ? [await roleFor(client, project, record, body, signers, shell.clock())] : [];
  const service = openService(config, shell);
  const title = decisionLines(decision, record)[0] ?? body.decision;
  const name = `${project.ecosystem}/${project.name}`;
  try {
    const { publication, receipts } = await service.submit(submissionText({ roles, decisions: [statement] }));
    const id = decisionId(decision, nodeCrypto);
    const receipt = await keepReceipt(client, receipts, id, config);
    const after = await knownCollection(context);
    requireListed(after, id);
    const now = requireRecord(after, project);
    output.result({ project: name, decision: body.decision, publication, event: null, receipt: receipt ?? null }, [
      `Decided, in publication ${publication}:`,
      ...recordLines(now, shell.clock()),
      ...(receipt === undefined ? [] : [`The repository's receipt is kept in ${shownPath(receipt, shell)}.`]),
    ]);
  } catch (error) {
    if (!isUnsigned(error)) throw error;
    // Nobody shall be asked to sign what is refused in the end.
    await requirePermitted(list.register, decision, side, signers, shell.clock());
    const event = await service.openEvent({ roles, decisions: [statement] }, title);
    output.result({ project: name, decision: body.decision, publication: null, event: event.id }, [
      `More people must sign. Signing event ${event.id} waits for them:`,
      ...missingLines(event.parts),
      '',
      'Each of them runs:',
      `  ${suggest(`sign ${event.id}`)}`,
    ]);
  }
}

/**
 * Tells whether a decision would be admitted if everybody had signed who may.
 *
 * @throws AdmissionError with the rule that it breaks all the same
 */
async function requirePermitted(
  register: Register,
  decision: NameDecision,
  side: Wish['side'],
  signers: readonly Signer[],
  now: Instant,
): Promise<void> {
  const { rules, tip, rootInForce } = register;
  const record = register.record(decision.ecosystem, decision.name);
  const quorum = rules.quorum(rootInForce.version);
  const own = side === 'owners' ? record && liveOwnersOf(record) : quorum && { keys: quorum.keys, ...quorum.role };
  const everybody = new Map(signers.map(({ keyId, key }) => [keyId, key]));
  if (decision.decision !== 'revoke') {
    for (const set of [own, 'owners' in decision ? decision.owners : undefined]) {
      for (const keyId of set?.keyIds ?? []) {
        const key = set?.keys.get(keyId);
        if (key !== undefined) everybody.set(keyId, key);
      }
    }
  }
  const blank = [...everybody].map(([keyId, key]): Signer => ({ keyId, key, sign: () => new Uint8Array(1) }));
  // Gives nothing that anybody could publish: no signature of it is real.
  const crypto = { hash: rules.crypto.hash.bind(rules.crypto), check: () => true };
  const foreseen = new Register({ ...rules, crypto }, register);
  const at = Math.max(now, tip.at);
  foreseen.append(await signDecision(decision, blank), { at, publication: tip.publication + 1 });
}

/** Who is missing, a line for each part. */
export function missingLines(
  parts: readonly {
    readonly part: string;
    readonly thresholds: readonly {
      readonly threshold: number;
      readonly signed: readonly string[];
      readonly missing: readonly string[];
      readonly met: boolean;
    }[];
  }[],
): readonly string[] {
  return parts.flatMap(({ part, thresholds }) => {
    const open = thresholds.filter(({ met }) => !met);
    if (open.length === 0) {
      const all = new Set(thresholds.flatMap(({ signed }) => signed));
      return [`  ${part}: enough have signed (${[...all].map(short).join(', ')})`];
    }
    return open.map(({ threshold, signed, missing }) => {
      const who = missing.map((id) => `${short(id)}…`).join(', ') || 'keys that count for nothing here';
      return `  ${part}: ${signed.length} of ${threshold} have signed; missing: ${who}`;
    });
  });
}

/** Tells whether a refusal only asks for more signatures. */
export function isUnsigned(error: unknown): boolean {
  if (!isTufError(error)) return false;
  if (error.code === 'SUBMISSION_UNSIGNED') return error.detail['rule'] !== 'strays';
  // The new owners have not signed their role yet.
  return error.code === 'SUBMISSION_INVALID' && typeof error.detail['role'] === 'string';
}

/** Whether clients will check the owner role with other keys than before. */
function needsRole(body: NameBody, record: NameRecord | undefined): boolean {
  return 'owners' in body || (body.decision === 'lift' && (record?.dead.size ?? 0) > 0);
}

/** The owner role's next version, which the new owners must sign as well before clients are led to it. */
async function roleFor(
  client: Client,
  project: Project,
  record: NameRecord | undefined,
  body: NameBody,
  signers: readonly Signer[],
  now: number,
): Promise<{ readonly role: string; readonly file: string }> {
  const present = record?.epoch ?? 1;
  const later = body.decision === 'recover' || body.decision === 'adopt';
  const role = ownerRoleName(project, later ? present + 1 : present);
  const owner = record === undefined ? undefined : await ownerOf(client, project);
  const expires = now + AUTHOR_LIFETIME;
  // A new epoch begins with what clients find now, so that nothing that users have disappears.
  const signed = later
    ? editTargets(undefined, { expires, set: [...(owner?.files.values() ?? [])].map(({ target }) => target) })
    : editTargets(owner?.role, { expires });
  return { role, file: utf8Text(await signFile(signed, signers)) ?? '' };
}

/** Checks that the served list now holds what was sent. @throws MetadataError METADATA_MISSING */
function requireListed({ list }: KnownCollection, id: string): void {
  // New entries are at the end.
  for (let i = list.lines.length - 1; i >= 0; i--) {
    if (openDecision(readEntry(list.lines[i] ?? '').statement, nodeCrypto).id === id) return;
  }
  throw new MetadataError(
    'METADATA_MISSING',
    'Looking for the decision: the service called it published, but the list lacks it',
  );
}
