// A whole list, replayed by somebody who trusts nobody: entries that the
// machine refuses, entries from the future, and lists that were rewritten or
// lengthened backwards since they were last seen are all refused.

import { type Instant, writeInstant } from '@countersign/core';
import { broken, type ListHead } from './list.ts';
import { Register, type RegisterRules } from './register.ts';

/** What the replayer knows beside the list. */
export interface Witnessed {
  /** The replayer's own time. Entries dated later are refused. */
  readonly now?: Instant;
  /** The head that was served when the replayer last looked, and when that was. */
  readonly seen?: ListHead & { readonly when: Instant };
}

/**
 * Replays a list from its first entry.
 *
 * @param lines every entry's line, in order
 * @throws MetadataError DECISIONS_INVALID with `detail.sequence`
 * @example const register = replayList(rules, readTile(text))
 */
export function replayList(rules: RegisterRules, lines: Iterable<string>, { now, seen }: Witnessed = {}): Register {
  const register = new Register(rules);
  for (const line of lines) {
    const { at, sequence } = register.replay(line).entry;
    if (now !== undefined && at > now) throw broken('an entry is from the future', { sequence, at: writeInstant(at) });
    if (seen === undefined) continue;
    if (sequence === seen.sequence && register.tip.entry !== seen.entry) {
      throw broken('an entry is not the one that was seen', { sequence });
    }
    // It was not there when one looked, so its time cannot be before that.
    if (sequence > seen.sequence && at < seen.when) {
      throw broken('an entry is dated before it was listed', { sequence, at: writeInstant(at) });
    }
  }
  if (seen !== undefined && register.tip.sequence < seen.sequence) {
    throw broken('the list is shorter than it was', { sequence: register.tip.sequence, seen: seen.sequence });
  }
  return register;
}
