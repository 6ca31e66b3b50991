// `countersign sign`: what waits for signatures, and one's own signature under
// it. Everything is shown in words before it is signed, made from the very
// bytes that will be signed and from what this user's own client verified.

import { nodeCrypto } from '@countersign/client/node';
import {
  AdmissionError,
  canonicalBytes,
  cosign,
  isTopLevelRole,
  type JsonObject,
  MetadataError,
  openEnvelope,
  openStatement,
  readShardName,
  readTargets,
  type Signer,
  sameBytes,
  UsageError,
  utf8,
} from '@countersign/core';
import { DECISION_TYPE, isNameDecision, openDecision } from '@countersign/decisions';
import { BINS_ROLE, isRestructuring } from '@countersign/repository';
import { openService } from '../author.ts';
import { openAuthorKey } from '../author-key.ts';
import type { Context } from '../context.ts';
import { type KnownCollection, missingLines } from '../decide.ts';
import { decisionLines } from '../decision-lines.ts';
import { draftLines } from '../draft-lines.ts';
import type { EventAnswer } from '../http-api.ts';
import { short } from '../output.ts';
import { openQuorumKey } from '../quorum-key.ts';
import { claimedDrafts, draftedLines, type InForce, knownEvenExpired, readInForce } from '../quorum-meeting.ts';
import { shelvingLines } from '../shelves.ts';
import { roleNamed } from '../trusted-collection.ts';

/** What `sign` may be told. */
export interface SignOptions {
  readonly yes?: boolean;
  readonly quorum?: boolean;
}

/** Lists what waits, or signs one event. @throws AdmissionError NOT_FOUND, SUBMISSION_UNSIGNED; whatever client and service give */
export async function sign(context: Context, id: string | undefined, options: SignOptions): Promise<void> {
  const service = openService(context.config, context.shell);
  if (id === undefined) {
    const events = await service.events();
    context.output.result({ events }, [
      ...(events.length === 0 ? ['Nothing waits for signatures.'] : []),
      ...events.flatMap((event) => [`${event.id}  ${event.title}`, ...missingLines(event.parts)]),
    ]);
    return;
  }
  const { known, until } = await knownEvenExpired(context);
  const event = await service.event(id);
  for (const line of await eventLines(known, until, event)) context.output.note(line);
  await requireCurrent(known, event);
  const signer = await (options.quorum === true
    ? openQuorumKey(context)
    : openAuthorKey(context.config.key, context.shell));
  const wanted = event.parts.filter(({ thresholds }) =>
    thresholds.some(({ missing, met }) => !met && missing.includes(signer.keyId)),
  );
  if (wanted.length === 0) {
    throw new UsageError('USAGE_INVALID', `Signing ${id}: nothing in it waits for your key ${short(signer.keyId)}…`, {
      detail: { missing: event.parts.flatMap(missingIn), next: 'Sign with one of the missing keys: --key <file>' },
    });
  }
  if (options.yes !== true && !(await agreed(context, `Sign this with your key ${short(signer.keyId)}…?`))) return;
  const signatures = [];
  for (const { part } of wanted) {
    for (const { keyId, bytes } of await cosign(messageOf(event, part), [signer])) {
      signatures.push({ part, keyid: keyId, sig: Buffer.from(bytes).toString('hex') });
    }
  }
  const after = await service.signEvent(id, signatures);
  report(context, id, signer, after);
}

/** Who has to sign a part still. */
function missingIn({ thresholds }: EventAnswer['parts'][number]): readonly string[] {
  return thresholds.flatMap(({ missing, met }) => (met ? [] : missing));
}

/** A role that has moved on since: nobody shall sign what would be refused. @throws AdmissionError SUBMISSION_STALE */
async function requireCurrent({ client }: KnownCollection, { id, submission }: EventAnswer): Promise<void> {
  for (const { role, file } of submission.roles) {
    if (isOfQuorum(role)) continue;
    const present = await roleNamed(client, role);
    const { version } = readTargets(openEnvelope(utf8(file), role).signed, role);
    if (present === undefined || version === present.version + 1) continue;
    throw new AdmissionError('SUBMISSION_STALE', `Signing ${id}: ${role} has changed since it was drafted`, {
      detail: { role, drafted: version, present: present.version, next: 'Ask whoever opened it to begin again' },
    });
  }
}

function report({ output }: Context, id: string, signer: Signer, after: EventAnswer): void {
  output.result({ event: id, keyId: signer.keyId, complete: after.complete, publication: after.publication }, [
    `Signed ${id} with your key ${short(signer.keyId)}….`,
    ...(after.publication === null
      ? ['It still waits:', ...missingLines(after.parts)]
      : [`Nobody is missing any more: it is in publication ${after.publication}.`]),
  ]);
}

/** Everything that an event would change, in words. */
async function eventLines(
  known: KnownCollection,
  until: InForce['until'],
  event: EventAnswer,
): Promise<readonly string[]> {
  const lines = [`Signing event ${event.id}: ${event.title}`, `  opened by ${event.account}, until ${event.expires}`];
  for (const text of event.submission.decisions) {
    const { decision } = openDecision(text, nodeCrypto);
    const record = isNameDecision(decision) ? known.list.register.record(decision.ecosystem, decision.name) : undefined;
    lines.push(...decisionLines(decision, record).map((line) => `  ${line}`));
  }
  const shelving = await shelvingLines(known, event.submission.roles);
  if (shelving !== undefined) return [...lines, ...shelving.map((line) => `  ${line}`)];
  const whole = isRestructuring(event.submission);
  if (whole) lines.push(...quorumLines(await readInForce(known, until), event).map((line) => `  ${line}`));
  for (const { role, file } of event.submission.roles) {
    if (whole && isOfQuorum(role)) continue;
    const content = readTargets(openEnvelope(utf8(file), role).signed, role);
    lines.push(...draftLines(role, await roleNamed(known.client, role), content).map((line) => `  ${line}`));
  }
  return lines;
}

/** What is told of as a whole. */
function isOfQuorum(role: string): boolean {
  return role === BINS_ROLE || isTopLevelRole(role) || readShardName(role) !== undefined;
}

/** What the quorum's own files would say. A shard that says anything but what was decided is not even shown. */
function quorumLines(present: InForce, { submission }: EventAnswer): readonly string[] {
  const drafts = new Map<string, JsonObject>();
  for (const { role, file } of submission.roles) drafts.set(role, openEnvelope(utf8(file), role).signed);
  const sent = drafts.get('targets');
  const derived = claimedDrafts(present, sent === undefined ? present.targets : readTargets(sent, 'targets'), 0);
  for (const [role, draft] of drafts) {
    if (readShardName(role) === undefined) continue;
    const want = new Map([...(derived.get(role) ?? []), ['expires', draft.get('expires') ?? '']]);
    if (sameBytes(canonicalBytes(want), canonicalBytes(draft))) continue;
    throw new MetadataError('DECISIONS_INVALID', `Looking at ${role}: it does not say what was decided`, {
      detail: { role },
    });
  }
  return draftedLines(present, drafts);
}

function messageOf({ submission }: EventAnswer, part: string): Uint8Array {
  const role = submission.roles.find((one) => one.role === part);
  if (role !== undefined) return openEnvelope(utf8(role.file), part).message;
  const index = Number(/^decision (\d+)$/.exec(part)?.[1] ?? 0) - 1;
  return openStatement(utf8(submission.decisions[index] ?? ''), DECISION_TYPE, part).message;
}

async function agreed({ shell }: Context, question: string): Promise<boolean> {
  if (shell.confirm !== undefined) return await shell.confirm(question);
  throw new UsageError('USAGE_INVALID', 'Signing: look at it in a terminal, or say --yes');
}
