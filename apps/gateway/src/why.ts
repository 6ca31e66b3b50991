// The proof path, for people: which roles vouch for a file, in which versions,
// until when; and what is trusted of the collection at all. Reads what was
// verified; a refusal is shown with its code instead of being thrown.

import { type Found, isTufError, rowOf, type TargetPath, type TrustedState, writeInstant } from '@countersign/core';
import { type Answer, jsonAnswer } from './answer.ts';
import { assuranceOf } from './assurance.ts';
import type { Collection } from './collection.ts';

/** What is trusted now, and how the last update went. The gateway is up whatever it says. */
export async function health({ client, freshness }: Collection): Promise<Answer> {
  await freshness.current().catch(() => {}); // `standing` says how it went
  const { standing } = freshness;
  const usable = client.isFresh() && standing.state !== 'refused' && standing.state !== 'broken';
  return jsonAnswer(200, {
    status: usable ? 'ok' : 'blocked',
    collection: standing.state,
    ...('error' in standing ? refusalIn(standing.error) : {}),
    roles: topRoles(client.trusted),
  });
}

/** Why a file is served, or why not. */
export async function why(collection: Collection, path: TargetPath): Promise<Answer> {
  try {
    const found = await collection.find(path);
    if (!('unlisted' in found)) return jsonAnswer(200, proofOf(found, collection.client.trusted));
    const { sentence, next } = rowOf('NAME_UNLISTED');
    return jsonAnswer(200, { path, verdict: 'refused', code: 'NAME_UNLISTED', error: sentence, next });
  } catch (error) {
    if (!isTufError(error)) throw error;
    return jsonAnswer(200, {
      path,
      verdict: 'refused',
      ...refusalIn(error),
      roles: topRoles(collection.client.trusted),
    });
  }
}

function proofOf({ target, trail }: Found, trusted: TrustedState): unknown {
  const delegated = trail.slice(1).map((name) => {
    const known = trusted.memo.get(name);
    return {
      role: name,
      ...(known && roleFacts(known.role.content)),
      ...(known && { keyids: known.under.keyIds, threshold: known.under.threshold }),
    };
  });
  return {
    path: target.path,
    verdict: 'trusted',
    assurance: assuranceOf(trail),
    length: target.length,
    hashes: Object.fromEntries(target.hashes),
    trail,
    roles: [...topRoles(trusted), ...delegated],
  };
}

function topRoles({ root, timestamp, snapshot, targets }: TrustedState): readonly unknown[] {
  const named = { root, timestamp, snapshot, targets };
  return Object.entries(named).flatMap(([role, file]) => (file ? [{ role, ...roleFacts(file.content) }] : []));
}

function roleFacts({ version, expires }: { readonly version: number; readonly expires: number }): object {
  return { version, expires: writeInstant(expires) };
}

function refusalIn(error: unknown): object {
  if (!isTufError(error)) return { code: 'INTERNAL' };
  return { code: error.code, error: error.message, next: rowOf(error.code).next, detail: error.detail };
}
