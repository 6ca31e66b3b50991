// Yanks: what an author no longer wants anybody to choose, with the reason, in
// the role's own `custom`: `{"npm":{"yanked":{"1.2.3":"leaks memory"}}}`. The
// file stays signed and served, so that lock files go on working; index pages
// leave it out. Reading is lenient (a bad yank is no yank), writing is strict.

import { AdmissionError, isObject, type JsonObject, type JsonValue } from '@countersign/core';

/**
 * What a role yanks: reasons by version, or by file name where the ecosystem has no versions.
 *
 * @param custom the role's `signed.custom`, if any
 * @example readYanks(custom, 'npm').get('1.2.3') // 'leaks memory'
 */
export function readYanks(custom: JsonObject | undefined, ecosystem: string): ReadonlyMap<string, string> {
  const own = custom?.get(ecosystem);
  const listed = isObject(own) ? own.get('yanked') : undefined;
  const yanks = new Map<string, string>();
  for (const [what, reason] of isObject(listed) ? listed : []) if (typeof reason === 'string') yanks.set(what, reason);
  return yanks;
}

/**
 * The role's `custom` with these yanks; every other member is kept.
 *
 * @throws AdmissionError ENTRY_INVALID for a reason that is too long or holds control characters
 */
export function writeYanks(
  custom: JsonObject | undefined,
  ecosystem: string,
  yanks: ReadonlyMap<string, string>,
): JsonObject {
  for (const [what, reason] of yanks) {
    if (reason.length <= MAX_REASON && !/\p{Cc}/u.test(reason)) continue;
    throw new AdmissionError('ENTRY_INVALID', 'Writing a yank: its reason must be one line of at most 300 characters', {
      detail: { what: what.slice(0, 100) },
    });
  }
  const before = custom?.get(ecosystem);
  const own = new Map<string, JsonValue>(isObject(before) ? before : []);
  if (yanks.size === 0) own.delete('yanked');
  else own.set('yanked', new Map(yanks));
  return new Map<string, JsonValue>(custom ?? []).set(ecosystem, own);
}

const MAX_REASON = 300;
