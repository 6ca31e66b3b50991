// The list of decisions as fsck sees it: replayed from its first entry by the
// same machine as everybody's, and compared with the tiles that are published.

import {
  type FreshState,
  hex,
  isTufError,
  openEnvelope,
  readRoot,
  readTargets,
  type Targets,
  utf8,
} from '@countersign/core';
import {
  HEAD_PATH,
  type Quorum,
  quorumOf,
  Register,
  readEntry,
  TILE,
  tilePath,
  writeHead,
  writeTile,
} from '@countersign/decisions';
import { DECISIONS_ROLE } from '../list-files.ts';
import type { Checking } from './check.ts';

/** Checks the list. @returns how many entries it has */
export async function checkDecisions(
  { options, head, tell }: Checking,
  state: FreshState | undefined,
): Promise<number> {
  const { ledger, crypto, name } = options;
  if (state === undefined) return 0;
  const lines: string[] = [];
  const quorums = new Map<number, Quorum>();
  for (let version = 1; version <= state.root.content.version; version++) {
    const bytes = await ledger.file('root', version);
    if (bytes === undefined) return 0; // said already, and without it nobody can judge
    quorums.set(version, quorumOf(readRoot(openEnvelope(bytes, 'root').signed), hex(crypto.hash('sha256', bytes))));
  }
  const register = new Register({ collection: name, crypto, quorum: (version) => quorums.get(version) });
  for await (const { sequence, text } of ledger.decisions(1)) {
    try {
      if (readEntry(text).publication > head.publication) break; // listed since
      register.replay(text);
      lines.push(text);
    } catch (error) {
      if (!isTufError(error)) throw error;
      tell({
        kind: 'DECISIONS_REFUSED',
        subject: `entry ${sequence}`,
        facts: { count: sequence, code: error.code, about: error.message },
      });
      return sequence - 1;
    }
  }
  const shown = await shownList(options, state);
  if (lines.length > 0 || shown !== undefined) compare(lines, shown, register);
  return lines.length;

  function compare(all: readonly string[], published: Targets | undefined, { head: end }: Register): void {
    const wanted = new Map<string, string>();
    for (let at = 0; at < all.length; at += TILE) wanted.set(tilePath(at + 1), writeTile(all.slice(at, at + TILE)));
    if (end !== undefined) wanted.set(HEAD_PATH, writeHead(end));
    for (const [path, text] of wanted) {
      const want = hex(crypto.hash('sha256', utf8(text)));
      const got = published?.targets.get(path)?.hashes.get('sha256');
      if (got === want) continue;
      const about = got === undefined ? 'it is not published' : 'it says something else';
      tell({ kind: 'DECISIONS_UNSHOWN', subject: path, facts: { path, about } });
    }
  }
}

/** The role that publishes the list, at the version that is judged. */
async function shownList({ ledger }: Checking['options'], state: FreshState): Promise<Targets | undefined> {
  const version = state.snapshot.content.meta.get(DECISIONS_ROLE)?.version;
  const bytes = version === undefined ? undefined : await ledger.file(DECISIONS_ROLE, version);
  return bytes && readTargets(openEnvelope(bytes, DECISIONS_ROLE).signed, DECISIONS_ROLE);
}
