// A session of the offline quorum, prepared: what its members sign so that the
// claimed shards say what the list of decisions says. One statement, and every
// claimed shard that it changes; the repository takes all of it or nothing.
// Works from public files alone, so that no member has to believe the service.

import { binOf, type Instant, type JsonObject, type Signer, shardName, signFile, utf8Text } from '@countersign/core';
import { type Countersign, decisionPayload, type ProjectOf, Register, signDecision } from '@countersign/decisions';
import { shardDraft } from './shards.ts';
import type { SubmissionParts } from './submission.ts';

/** What a session is drafted from. */
export interface SessionBase {
  /** The replayed list. */
  readonly register: Register;
  /** How many hex digits the collection's shards are split by. */
  readonly digits: number;
  /** The present version of a claimed shard. */
  readonly versionOf: (shard: string) => number;
  readonly projectOf: ProjectOf;
  /** Until when the shards are to be valid. */
  readonly expires: Instant;
  /** Names to leave out, as `ecosystem/name`. */
  readonly except?: readonly string[];
}

/** What the quorum signs in a session. */
export interface SessionDraft {
  readonly statement: Countersign;
  /** The statement's exact payload. */
  readonly payload: Uint8Array;
  /** The `signed` objects of the claimed shards that change, by role. */
  readonly shards: ReadonlyMap<string, JsonObject>;
  /** Names that clients will see otherwise than before, as `ecosystem/name`. */
  readonly names: readonly string[];
}

/**
 * Drafts a session over the whole list; `undefined` when it would change nothing.
 *
 * @throws AdmissionError DECISION_REFUSED when the list does not say yet who the quorum is
 * @example const draft = await draftSession({ register, digits: 1, versionOf, projectOf, expires })
 */
export async function draftSession(base: SessionBase): Promise<SessionDraft | undefined> {
  const { register, digits, versionOf, projectOf, expires, except = [] } = base;
  const { sequence, entry } = register.tip;
  const { collection } = register.rules;
  const statement: Countersign = {
    decision: 'countersign',
    collection,
    previous: register.session.id,
    upto: sequence,
    head: entry,
    except: [...except].sort(),
  };
  if (sequence === 0) return undefined;
  const { after, touched } = await foresee(register, statement);
  if (touched.length === 0) return undefined;
  const bins = touched.map((key) => {
    const name = key.slice(key.indexOf('/') + 1);
    return binOf({ ecosystem: '', name, segment: name }, register.sha256).slice(0, digits);
  });
  const roles = [...new Set(bins)].sort().map((prefix) => shardName('claimed', prefix));
  const shards = new Map(roles.map((role) => [role, shardDraft(role, versionOf(role) + 1, expires, after, projectOf)]));
  return { statement, payload: decisionPayload(statement), shards, names: touched };
}

/** The register as it will be once the quorum has signed. Gives nothing that anybody could publish. */
async function foresee(
  register: Register,
  statement: Countersign,
): Promise<{ readonly after: Register; readonly touched: readonly string[] }> {
  const { rules, tip } = register;
  const quorum = rules.quorum(register.rootInForce.version);
  const blank: Signer[] = (quorum?.role.keyIds ?? []).flatMap((keyId) => {
    const key = quorum?.keys.get(keyId);
    return key === undefined ? [] : [{ keyId, key, sign: () => new Uint8Array(1) }];
  });
  const crypto = { hash: rules.crypto.hash.bind(rules.crypto), check: () => true };
  const after = new Register({ ...rules, crypto }, register);
  const text = await signDecision(statement, blank);
  const { touched } = after.append(text, { at: tip.at, publication: tip.publication + 1 });
  return { after, touched };
}

/** Signs a drafted session as a whole. @throws SignerError */
export async function signSession(
  { statement, shards }: SessionDraft,
  signers: readonly Signer[],
): Promise<SubmissionParts> {
  const roles: { role: string; file: string }[] = [];
  for (const [role, draft] of shards) roles.push({ role, file: utf8Text(await signFile(draft, signers)) ?? '' });
  return { decisions: [await signDecision(statement, signers)], roles };
}
